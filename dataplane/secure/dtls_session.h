/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of dtls_stream.h: a session, and what it takes from its context (dtls_context.c). */
#ifndef DATAPLANE_SECURE_DTLS_SESSION_H
#define DATAPLANE_SECURE_DTLS_SESSION_H

#include "dataplane/secure/dtls_stream.h"
#include "dataplane/secure/name_cache.h"

struct WOLFSSL;

struct dtls_session {
    struct dtls_worker *worker;
    struct dtls_context *context;
    struct WOLFSSL *ssl;
    const struct dtls_handler *handler;
    void *owner;
    const uint8_t *wire; /* the datagram that wolfSSL reads, while it does */
    size_t wire_bytes;
    uint64_t due_us;
    uint32_t index; /* of its keys in the worker's cache */
    uint16_t message_max;
    uint8_t retries;
    uint8_t depth; /* calls under way on it */
    bool open;
    bool resumed;
    bool ended;  /* closed was told, or is not wanted */
    bool doomed; /* freed when the outermost call returns */
    char psk_identity[DTLS_IDENTITY_MAX];
};

/* A wolfSSL session for `identity`, with what was kept to resume from. NULL with `error`. */
struct WOLFSSL *dtls_context_session(struct dtls_context *context, struct dtls_session *session,
                                     const char *identity, struct tls_error *error);
/* Keeps the session of an ending connection for the next one. */
void dtls_context_keep(struct dtls_context *context, const struct dtls_session *session);

#endif
