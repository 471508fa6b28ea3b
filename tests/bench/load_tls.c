/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "tests/bench/load_tls.h"
#include "tests/bench/tls_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load_tls {
    WOLFSSL *ssl; /* NULL between connections */
    WOLFSSL_SESSION *ticket;
    int fd;
    bool ended; /* the server has closed the socket */
};

static WOLFSSL_CTX *ctx;
static bool resume;

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
    tls_wire_use(ctx);
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
    ssize_t n = tls_wire_receive(tls->fd);
    tls->ended = n == 0 || (n < 0 && errno != EAGAIN);
}

enum load_tls_step load_tls_begin(struct load_tls *tls, int fd)
{
    tls_wire_forget();
    tls->fd = fd;
    tls->ended = false;
    tls->ssl = wolfSSL_new(ctx);
    if (tls->ssl == NULL)
        return LOAD_TLS_FAILED;
    tls_wire_attach(tls->ssl, &tls->fd);
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
