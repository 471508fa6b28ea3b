/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One step of a TLS handshake, detached from its connection, so that any thread can do it (decision 6).
 *
 * A worker fills a job with what arrived, the handshake's state is in `ssl`, and whoever runs the job takes
 * the handshake as far as that input goes. The job belongs to one side at a time; handing it over is the
 * pool's business. Nothing in it points into the worker's memory.
 */
#ifndef DATAPLANE_SECURE_TLS_HANDSHAKE_H
#define DATAPLANE_SECURE_TLS_HANDSHAKE_H

#include "dataplane/secure/tls_session_setup.h"
#include "dataplane/secure/tls_trust.h"
#include "dataplane/slab.h"

#define TLS_JOB_IN_BYTES 8192
#define TLS_JOB_OUT_BYTES 8192

enum tls_step {
    TLS_STEP_FAILED = 0,  /* `failure` says why; an alert may be in out */
    TLS_STEP_WANT_INPUT,  /* all input used up */
    TLS_STEP_WANT_OUTPUT, /* out is full: send it and run again */
    TLS_STEP_DONE
};

struct tls_job {
    struct tls_job *next; /* the worker's list of spare jobs, or of finished ones without a pool */
    void (*run)(struct tls_job *job); /* NULL: tls_job_run */
    void *owner;                      /* of a job that is none of TLS over a stream */
    struct slab_handle session;
    struct tls_context *context; /* a reference, while a session has the job */
    struct WOLFSSL *ssl;         /* NULL before the first step and after a failed one */
    uint32_t pool_thread;        /* which thread has it: the pool's */
    enum tls_step result;
    struct tls_verification verification; /* comes with the session and goes back with it */
    uint32_t in_at;
    uint32_t in_bytes;
    uint32_t out_bytes;
    struct tls_failure failure;
    char identity[TLS_IDENTITY_BYTES];
    bool has_identity;
    uint8_t in[TLS_JOB_IN_BYTES];
    uint8_t out[TLS_JOB_OUT_BYTES];
};

/* Runs one step. Any thread, not two at once. Reads in[in_at..in_bytes), appends to out. */
void tls_job_run(struct tls_job *job);

#endif
