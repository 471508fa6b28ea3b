/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies between a socket and wolfSSL in the programs of the lab bench: one recv for an event, one send
 * for a flight. One thread, one connection at a time: the library takes all that a recv has brought before it
 * asks in vain.
 */
#ifndef TESTS_BENCH_TLS_WIRE_H
#define TESTS_BENCH_TLS_WIRE_H

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Sessions of `ctx` read what tls_wire_receive has brought, and send to the socket of tls_wire_attach. */
void tls_wire_use(WOLFSSL_CTX *ctx);
/* `fd` is read at each send, and must live as long as `ssl`. */
void tls_wire_attach(WOLFSSL *ssl, const int *fd);
/* recv, with what it answers and errno; what was there before is gone. */
ssize_t tls_wire_receive(int fd);
/* What it has brought, for those who speak without TLS. */
const uint8_t *tls_wire_bytes(size_t *n);
/* Nothing is there: another connection begins. */
void tls_wire_forget(void);

#endif
