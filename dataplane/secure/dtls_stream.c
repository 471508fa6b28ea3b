/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/aes_offload.h"
#include "dataplane/secure/dtls_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US UINT64_C(1000000)
/* 1, 2, 4, 8, 16 s (RFC 6347 s.4.2.4.1); then the server is taken to be silent. */
#define RETRIES_MAX 5
#define MESSAGE_MAX 16384
#define DATAGRAM_MIN 256

struct dtls_worker {
    struct aes_offload_cache *keys;
    uint32_t next_index;
};

struct dtls_worker *dtls_worker_create(uint32_t sessions)
{
    struct dtls_worker *worker = calloc(1, sizeof(*worker));
    if (worker != NULL)
        worker->keys = aes_offload_cache_create(sessions);
    return worker;
}

void dtls_worker_destroy(struct dtls_worker *worker)
{
    if (worker == NULL)
        return;
    aes_offload_cache_destroy(worker->keys);
    free(worker);
}

/* ---- wolfSSL's view of the network
 * -------------------------------------------------------------------------- */

static int on_receive(WOLFSSL *ssl, char *out, int room, void *owner)
{
    struct dtls_session *session = owner;
    (void)ssl;
    size_t n = session->wire_bytes;
    session->wire_bytes = 0;
    if (n == 0 || room < 0 || n > (size_t)room)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, session->wire, n);
    return (int)n;
}

static int on_send(WOLFSSL *ssl, char *datagram, int n, void *owner)
{
    struct dtls_session *session = owner;
    (void)ssl;
    session->handler->send(session->owner, (const uint8_t *)datagram, (size_t)n);
    return n;
}

/* ---- life
 * --------------------------------------------------------------------------------------------------- */

static void enter(struct dtls_session *session)
{
    session->depth++;
    aes_offload_use(session->worker->keys, session->index);
}

static void release(struct dtls_session *session)
{
    aes_offload_use(session->worker->keys, session->index);
    wolfSSL_free(session->ssl);
    aes_offload_use(NULL, 0);
    aes_offload_forget(session->worker->keys, session->index);
    dtls_context_unref(session->context);
    free(session);
}

/* False when the session is no more. */
static bool leave(struct dtls_session *session)
{
    aes_offload_use(NULL, 0);
    if (--session->depth > 0 || !session->doomed)
        return !session->doomed;
    release(session);
    return false;
}

static void end(struct dtls_session *session, enum dtls_end why, const char *reason)
{
    session->open = false;
    session->due_us = UINT64_MAX;
    if (session->ended)
        return;
    session->ended = true;
    session->handler->closed(session->owner, why, reason);
}

static void end_by_error(struct dtls_session *session, int error)
{
    char text[WOLFSSL_MAX_ERROR_SZ];
    char reason[160];
    WOLFSSL_ALERT_HISTORY alerts = {0};
    wolfSSL_get_alert_history(session->ssl, &alerts);
    wolfSSL_ERR_error_string_n((unsigned long)error, text, sizeof(text));
    if (alerts.last_rx.level == alert_fatal)
        snprintf(reason, sizeof(reason), "the server refused with alert %d", alerts.last_rx.code);
    else
        snprintf(reason, sizeof(reason), "DTLS: %.120s", text);
    end(session,
        session->open ? (error == WOLFSSL_ERROR_ZERO_RETURN ? DTLS_END_PEER : DTLS_END_ERROR)
                      : DTLS_END_FAILED,
        reason);
}

static void arm(struct dtls_session *session, uint64_t now_us)
{
    int seconds = wolfSSL_dtls_get_current_timeout(session->ssl);
    session->due_us = now_us + (uint64_t)(seconds < 1 ? 1 : seconds) * SECOND_US;
}

static bool waits(int error)
{
    return error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE;
}

static void shake_hands(struct dtls_session *session, uint64_t now_us)
{
    int result = wolfSSL_connect(session->ssl);
    if (result == WOLFSSL_SUCCESS) {
        session->open = true;
        session->due_us = UINT64_MAX;
        int most = wolfSSL_GetMaxOutputSize(session->ssl);
        if (most > 0 && most < session->message_max)
            session->message_max = (uint16_t)most;
        session->resumed = wolfSSL_session_reused(session->ssl) != 0;
        session->handler->opened(session->owner);
        return;
    }
    int error = wolfSSL_get_error(session->ssl, result);
    if (waits(error))
        arm(session, now_us);
    else
        end_by_error(session, error);
}

static void read_messages(struct dtls_session *session)
{
    uint8_t message[MESSAGE_MAX];
    while (session->open && !session->doomed) {
        aes_offload_use(session->worker->keys, session->index);
        int n = wolfSSL_read(session->ssl, message, sizeof(message));
        if (n > 0) {
            session->handler->received(session->owner, message, (size_t)n);
            continue;
        }
        int error = wolfSSL_get_error(session->ssl, n);
        if (!waits(error))
            end_by_error(session, error);
        return;
    }
}

struct dtls_session *dtls_connect(struct dtls_worker *worker, struct dtls_context *context,
                                  const char *identity, uint16_t datagram_max,
                                  const struct dtls_handler *handler, void *owner, uint64_t now_us,
                                  struct tls_error *error)
{
    struct dtls_session *session = calloc(1, sizeof(*session));
    if (session == NULL || context == NULL || datagram_max < DATAGRAM_MIN) {
        snprintf(error->text, sizeof(error->text), "no memory, context or room for DTLS");
        free(session);
        return NULL;
    }
    session->worker = worker;
    session->handler = handler;
    session->owner = owner;
    session->index = worker->next_index++;
    session->message_max = (uint16_t)(datagram_max - DTLS_RECORD_OVERHEAD);
    session->context = dtls_context_ref(context);
    enter(session);
    session->ssl = dtls_context_session(context, session, identity, error);
    if (session->ssl == NULL) {
        session->depth--;
        aes_offload_use(NULL, 0);
        dtls_context_unref(context);
        free(session);
        return NULL;
    }
    wolfSSL_SSLSetIORecv(session->ssl, on_receive);
    wolfSSL_SSLSetIOSend(session->ssl, on_send);
    wolfSSL_SetIOReadCtx(session->ssl, session);
    wolfSSL_SetIOWriteCtx(session->ssl, session);
    wolfSSL_dtls_set_using_nonblock(session->ssl, 1);
#ifdef WOLFSSL_DTLS_MTU
    wolfSSL_dtls_set_mtu(session->ssl, datagram_max);
#else
    (void)datagram_max; /* Debian's library cannot be told: its records fit 1,400 bytes, and IP cuts what does
                           not */
#endif
    session->ended = true; /* a failure here is the caller's answer */
    shake_hands(session, now_us);
    session->ended = false;
    if (session->due_us == UINT64_MAX) {
        snprintf(error->text, sizeof(error->text), "the DTLS handshake could not be begun");
        session->doomed = true;
    }
    return leave(session) ? session : NULL;
}

void dtls_session_close(struct dtls_session *session)
{
    bool open = session->open;
    session->ended = true;
    session->doomed = true;
    enter(session);
    if (open) {
        dtls_context_keep(session->context, session);
        wolfSSL_shutdown(session->ssl);
    }
    session->open = false;
    session->due_us = UINT64_MAX;
    leave(session);
}

void dtls_session_input(struct dtls_session *session, const uint8_t *datagram, size_t n, uint64_t now_us)
{
    if (session->ended)
        return;
    enter(session);
    session->wire = datagram;
    session->wire_bytes = n;
    if (!session->open)
        shake_hands(session, now_us);
    if (session->open && !session->doomed)
        read_messages(session);
    session->wire = NULL;
    session->wire_bytes = 0;
    leave(session);
}

bool dtls_session_write(struct dtls_session *session, const uint8_t *message, size_t n)
{
    if (!session->open || session->doomed || n > session->message_max)
        return false;
    enter(session);
    int written = wolfSSL_write(session->ssl, message, (int)n);
    return leave(session) && written == (int)n;
}

void dtls_session_fire(struct dtls_session *session, uint64_t now_us)
{
    if (session->due_us > now_us || session->ended)
        return;
    enter(session);
    if (++session->retries > RETRIES_MAX) {
        end(session, DTLS_END_SILENT, "the server does not answer the DTLS handshake");
    } else if (wolfSSL_dtls_got_timeout(session->ssl) != WOLFSSL_SUCCESS) {
        end_by_error(session, wolfSSL_get_error(session->ssl, WOLFSSL_FATAL_ERROR));
    } else {
        arm(session, now_us);
    }
    leave(session);
}

uint64_t dtls_session_due_us(const struct dtls_session *session)
{
    return session->due_us;
}

const char *dtls_session_cipher(const struct dtls_session *session)
{
    return session->open ? wolfSSL_get_cipher_name(session->ssl) : "";
}

bool dtls_session_resumed(const struct dtls_session *session)
{
    return session->resumed;
}

const struct dtls_context *dtls_session_context(const struct dtls_session *session)
{
    return session->context;
}
