/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Contexts of listeners (A5, B4): who the gateway is, whom it asks for a certificate, and tickets. */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/tls_context_private.h"
#include "dataplane/secure/tls_psk.h"
#include "dataplane/secure/tls_trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PEERS_DEFAULT 4096

static bool fail(struct tls_error *error, const char *text)
{
    snprintf(error->text, sizeof(error->text), "%s", text);
    return false;
}

/* ---- tickets ------------------------------------------------------------------------------------------- */

static int64_t now_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec;
}

/* The library's state has room for TLS_TICKET_EXTRA_BYTES behind it: *out_bytes says how much. */
static int seal_ticket(struct tls_context *context, struct tls_peer *peer, unsigned char *name,
                       unsigned char *iv, unsigned char *mac, unsigned char *state, int bytes, int *out_bytes)
{
    if (*out_bytes < bytes + TLS_TICKET_EXTRA_BYTES ||
        !tls_tickets_seal(context->given, peer, now_s(CLOCK_MONOTONIC), name, iv, mac, state, (size_t)bytes))
        return WOLFSSL_TICKET_RET_FATAL;
    *out_bytes = bytes + TLS_TICKET_EXTRA_BYTES;
    return WOLFSSL_TICKET_RET_OK;
}

/* A peer that would not be let in with its certificate is not let in with a ticket. */
static int open_ticket(struct tls_context *context, struct tls_verification *verification,
                       const unsigned char *name, const unsigned char *iv, const unsigned char *mac,
                       unsigned char *state, int bytes, int *out_bytes)
{
    struct tls_peer *peer;
    if (bytes <= TLS_TICKET_EXTRA_BYTES ||
        !tls_tickets_open(context->given, now_s(CLOCK_MONOTONIC), name, iv, mac, state, (size_t)bytes, &peer))
        return WOLFSSL_TICKET_RET_REJECT;
    bool good = peer == NULL ? !context->needs_certificate
                             : tls_context_refuses(context, peer) == NULL &&
                                   peer->not_after_s >= now_s(CLOCK_REALTIME);
    if (!good) {
        tls_peer_unref(peer);
        return WOLFSSL_TICKET_RET_REJECT;
    }
    tls_peer_unref(verification->resumed_peer);
    verification->resumed_peer = peer;
    *out_bytes = bytes - TLS_TICKET_EXTRA_BYTES;
    return WOLFSSL_TICKET_RET_OK;
}

static int on_ticket(WOLFSSL *ssl, unsigned char *name, unsigned char *iv, unsigned char *mac, int seal,
                     unsigned char *state, int bytes, int *out_bytes, void *owner)
{
    struct tls_verification *verification = wolfSSL_get_ex_data(ssl, TLS_VERIFICATION_INDEX);
    if (verification == NULL)
        return WOLFSSL_TICKET_RET_FATAL;
    /* Given behind the client's Finished: by now it is settled whether its own ticket was accepted. */
    if (seal)
        return seal_ticket(owner,
                           wolfSSL_session_reused(ssl) ? verification->resumed_peer : verification->peer,
                           name, iv, mac, state, bytes, out_bytes);
    return open_ticket(owner, verification, name, iv, mac, state, bytes, out_bytes);
}

static bool set_tickets(struct tls_context *context, const struct tls_server_settings *settings,
                        struct tls_error *error)
{
    WOLFSSL_CTX *ctx = context->ctx;
    uint32_t peers = settings->ticket_peers == 0 ? PEERS_DEFAULT : settings->ticket_peers;
    wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    if (!settings->resumption || context->psk != NULL) {
        wolfSSL_CTX_no_ticket_TLSv13(ctx);
        wolfSSL_CTX_set_TicketEncCb(ctx, NULL);
        return true;
    }
    context->given = tls_tickets_create(peers);
    wolfSSL_CTX_set_timeout(ctx, 2 * TLS_TICKET_ROTATE_S); /* answers the old one, or success, by the build */
    if (context->given == NULL || wolfSSL_CTX_set_TicketHint(ctx, TLS_TICKET_ROTATE_S) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_TicketEncCb(ctx, on_ticket) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_TicketEncCtx(ctx, context) != WOLFSSL_SUCCESS)
        return fail(error, "out of memory");
    return true;
}

/* ---- creation ------------------------------------------------------------------------------------------ */

static bool set_identity(struct tls_context *context, const struct tls_server_settings *settings,
                         struct tls_error *error)
{
    context->shared_identity = tls_identity_load_with(settings->certificate_file, settings->key_file,
                                                      settings->key_password_file, error);
    return context->shared_identity != NULL &&
           (tls_identity_apply_to_all(context->shared_identity, context->ctx) ||
            fail(error, "certificate cannot be used"));
}

static bool set_keys(struct tls_context *context, const struct tls_server_settings *settings,
                     struct tls_error *error)
{
    if (settings->psk_file == NULL)
        return true;
    context->psk = tls_psk_create(settings->psk_file, NULL, error);
    if (context->psk == NULL)
        return false;
    tls_psk_install(context->ctx, true);
    return true;
}

static bool set_clients(struct tls_context *context, const struct tls_server_settings *settings,
                        struct tls_error *error)
{
    WOLFSSL_CTX *ctx = context->ctx;
    if (settings->client_ca_file == NULL) {
        if (settings->needs_certificate || settings->crl_file != NULL)
            return fail(error, "client certificates need a file of CAs that they come from");
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
        return true;
    }
    context->wants_certificate = true;
    context->needs_certificate = settings->needs_certificate;
    int without = !settings->needs_certificate ? 0
                  : context->psk != NULL       ? WOLFSSL_VERIFY_FAIL_EXCEPT_PSK
                                               : WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER | without, tls_verify);
    /* In TLS 1.2 an empty list of certificates is refused with an alert only when told so. */
    if (settings->needs_certificate && context->psk == NULL && wolfSSL_CTX_mutual_auth(ctx, 1) != 0)
        return fail(error, "this wolfSSL refuses the TLS parameters");
    return tls_trust_load_ca(ctx, settings->client_ca_file, error) &&
           (settings->crl_file == NULL || tls_context_load_crl(context, settings->crl_file, error)) &&
           tls_trust_set(&context->trust, settings->client_ca_file, settings->ocsp, error);
}

struct tls_context *tls_server_context_create(const struct tls_server_settings *settings,
                                              struct tls_error *error)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    bool only_1_3 = settings->min_version == TLS_VERSION_1_3;
    error->text[0] = 0;
    if (context == NULL) {
        fail(error, "out of memory");
        return NULL;
    }
    atomic_init(&context->refs, 1);
    context->server = true;
    context->ctx = wolfSSL_CTX_new(only_1_3 ? wolfTLSv1_3_server_method() : wolfSSLv23_server_method());
    context->trust.keys_only = settings->psk_file != NULL && settings->certificate_file == NULL;
    if (context->ctx == NULL) {
        fail(error, "out of memory");
    } else if (!context->trust.keys_only &&
               (settings->certificate_file == NULL || settings->key_file == NULL)) {
        fail(error, "a listener needs a certificate and its key, or a PSK file");
    } else if (set_keys(context, settings, error) && tls_context_set_protocol(context, only_1_3, error) &&
               (context->trust.keys_only || set_identity(context, settings, error)) &&
               set_clients(context, settings, error) && set_tickets(context, settings, error)) {
        return context;
    }
    tls_context_unref(context);
    return NULL;
}
