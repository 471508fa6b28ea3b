/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The load's side of TLS 1.3: one session over one nonblocking socket, in the manner of recv and send. With
 * the library that the gateway is built with, and made to cost little: one recv for each event, one send for
 * a flight, no certificate verified, which is what devices would do with their own processors.
 */
#ifndef TESTS_BENCH_LOAD_TLS_H
#define TESTS_BENCH_LOAD_TLS_H

#include "tests/bench/load_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct load_tls; /* of one client; its ticket outlives its connections */

enum load_tls_step {
    LOAD_TLS_FAILED = 0,
    LOAD_TLS_MORE, /* waits for the server */
    LOAD_TLS_OPEN,
};

/* Once, before any other. Ends the program when the certificates cannot be had. */
void load_tls_init(const struct load_options *options);
/* NULL when there is no memory. */
struct load_tls *load_tls_create(void);
/* Begins a session on `fd`, which is connected; resumes the last one when that is asked for and it can. */
enum load_tls_step load_tls_begin(struct load_tls *tls, int fd);
/* The socket is readable and the session not open yet. */
enum load_tls_step load_tls_go_on(struct load_tls *tls);
bool load_tls_resumed(const struct load_tls *tls);
/*
 * As recv(): 0 at the end, -1 with EAGAIN when there is no more now, with another errno when it is broken.
 * `fresh`: the socket is readable. Called until EAGAIN; the first time with `fresh`, unless it follows
 * LOAD_TLS_OPEN at once: the server may have spoken behind its handshake.
 */
ssize_t load_tls_recv(struct load_tls *tls, void *to, size_t room, bool fresh);
/* As send(); after EAGAIN the same bytes must come again. */
ssize_t load_tls_send(struct load_tls *tls, const void *from, size_t n);
/* The end of a session, not of the socket. `orderly`: with close_notify, and its ticket is kept. */
void load_tls_end(struct load_tls *tls, bool orderly);

#endif
