/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "tests/bench/load_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WIRE_BYTES 65536

struct load_tls {
    WOLFSSL *ssl; /* NULL between connections */
    WOLFSSL_SESSION *ticket;
    int fd;
    bool ended; /* the server has closed the socket */
};

static WOLFSSL_CTX *ctx;
static bool resume;

/* What one recv has brought for the session at hand; the library takes all of it before it asks in vain. */
static char wire[WIRE_BYTES];
static size_t wire_at, wire_n;

static int take_wire(WOLFSSL *ssl, char *to, int room, void *context)
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

static int give_wire(WOLFSSL *ssl, char *from, int n, void *context)
{
    (void)ssl;
    const struct load_tls *tls = context;
    ssize_t sent = send(tls->fd, from, (size_t)n, MSG_NOSIGNAL);
    if (sent >= 0)
        return (int)sent;
    return errno == EAGAIN ? WOLFSSL_CBIO_ERR_WANT_WRITE : WOLFSSL_CBIO_ERR_CONN_RST;
}

void load_tls_init(const struct load_options *options)
{
    int groups[] = {WOLFSSL_ECC_X25519};
    wolfSSL_Init();
    ctx = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    bool good = ctx != NULL &&
                wolfSSL_CTX_set_cipher_list(ctx, "TLS13-AES128-GCM-SHA256") == WOLFSSL_SUCCESS &&
                wolfSSL_CTX_set_groups(ctx, groups, 1) == WOLFSSL_SUCCESS;
    if (good && options->certificate != NULL)
        good = wolfSSL_CTX_use_certificate_chain_file(ctx, options->certificate) == WOLFSSL_SUCCESS &&
               wolfSSL_CTX_use_PrivateKey_file(ctx, options->key, WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS;
    if (!good) {
        fprintf(stderr, "load: certificate, key or TLS settings refused\n");
        exit(EXIT_FAILURE);
    }
    resume = options->resume != 0;
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
    wolfSSL_CTX_set_group_messages(ctx);
    if (resume)
        wolfSSL_CTX_UseSessionTicket(ctx);
    else
        wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF); /* and no session can be set */
    wolfSSL_CTX_SetIORecv(ctx, take_wire);
    wolfSSL_CTX_SetIOSend(ctx, give_wire);
}

struct load_tls *load_tls_create(void)
{
    return calloc(1, sizeof(struct load_tls));
}

static bool wants(const struct load_tls *tls, int result)
{
    int error = wolfSSL_get_error(tls->ssl, result);
    return error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE;
}

static enum load_tls_step connect_on(struct load_tls *tls)
{
    int result = wolfSSL_connect(tls->ssl);
    if (result == WOLFSSL_SUCCESS)
        return LOAD_TLS_OPEN;
    return wants(tls, result) && !tls->ended ? LOAD_TLS_MORE : LOAD_TLS_FAILED;
}

static void fill(struct load_tls *tls)
{
    ssize_t n = recv(tls->fd, wire, sizeof(wire), 0);
    wire_at = 0;
    wire_n = n > 0 ? (size_t)n : 0;
    tls->ended = n == 0 || (n < 0 && errno != EAGAIN);
}

enum load_tls_step load_tls_begin(struct load_tls *tls, int fd)
{
    wire_at = wire_n = 0;
    tls->fd = fd;
    tls->ended = false;
    tls->ssl = wolfSSL_new(ctx);
    if (tls->ssl == NULL)
        return LOAD_TLS_FAILED;
    wolfSSL_SetIOReadCtx(tls->ssl, tls);
    wolfSSL_SetIOWriteCtx(tls->ssl, tls);
    if (tls->ticket != NULL)
        wolfSSL_set_session(tls->ssl, tls->ticket);
    return connect_on(tls);
}

enum load_tls_step load_tls_go_on(struct load_tls *tls)
{
    fill(tls);
    return connect_on(tls);
}

bool load_tls_resumed(const struct load_tls *tls)
{
    return wolfSSL_session_reused(tls->ssl) != 0;
}

ssize_t load_tls_recv(struct load_tls *tls, void *to, size_t room, bool fresh)
{
    if (fresh)
        fill(tls);
    int n = wolfSSL_read(tls->ssl, to, (int)room);
    if (n > 0)
        return n;
    if (n == 0 || wolfSSL_get_error(tls->ssl, n) == WOLFSSL_ERROR_ZERO_RETURN)
        return 0;
    errno = wants(tls, n) && !tls->ended ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t load_tls_send(struct load_tls *tls, const void *from, size_t n)
{
    int sent = wolfSSL_write(tls->ssl, from, (int)n);
    if (sent > 0)
        return sent;
    errno = wants(tls, sent) ? EAGAIN : ECONNRESET;
    return -1;
}

void load_tls_end(struct load_tls *tls, bool orderly)
{
    if (tls->ssl == NULL)
        return;
    if (orderly) {
        WOLFSSL_SESSION *ticket = resume ? wolfSSL_get1_session(tls->ssl) : NULL;
        if (ticket != NULL) {
            wolfSSL_SESSION_free(tls->ticket);
            tls->ticket = ticket;
        }
        wolfSSL_shutdown(tls->ssl);
    }
    wolfSSL_free(tls->ssl);
    tls->ssl = NULL;
}
