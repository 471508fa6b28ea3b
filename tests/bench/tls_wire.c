/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/tls_wire.h"

#include <wolfssl/wolfio.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define WIRE_BYTES (256u << 10)

static uint8_t wire[WIRE_BYTES];
static size_t wire_at, wire_n;

static int take(WOLFSSL *ssl, char *to, int room, void *context)
{
    (void)ssl;
    (void)context;
    size_t n = wire_n - wire_at;
    if (n == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    if (n > (size_t)room)
        n = (size_t)room;
    memcpy(to, wire + wire_at, n);
    wire_at += n;
    return (int)n;
}

static int give(WOLFSSL *ssl, char *from, int n, void *context)
{
    (void)ssl;
    const int *fd = context;
    ssize_t sent = send(*fd, from, (size_t)n, MSG_NOSIGNAL);
    if (sent >= 0)
        return (int)sent;
    return errno == EAGAIN ? WOLFSSL_CBIO_ERR_WANT_WRITE : WOLFSSL_CBIO_ERR_CONN_RST;
}

void tls_wire_use(WOLFSSL_CTX *ctx)
{
    wolfSSL_CTX_SetIORecv(ctx, take);
    wolfSSL_CTX_SetIOSend(ctx, give);
}

void tls_wire_attach(WOLFSSL *ssl, const int *fd)
{
    wolfSSL_SetIOWriteCtx(ssl, (void *)(uintptr_t)fd);
}

ssize_t tls_wire_receive(int fd)
{
    ssize_t n = recv(fd, wire, sizeof(wire), 0);
    wire_at = 0;
    wire_n = n > 0 ? (size_t)n : 0;
    return n;
}

const uint8_t *tls_wire_bytes(size_t *n)
{
    *n = wire_n;
    return wire;
}

void tls_wire_forget(void)
{
    wire_at = wire_n = 0;
}
