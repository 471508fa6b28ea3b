/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/name_cache.h"
#include "dataplane/secure/peer_share.h"
#include "dataplane/secure/tls_context_private.h"
#include "dataplane/secure/tls_psk.h"
#include "dataplane/secure/tls_trust.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDENTITY_CACHE_DEFAULT 1024
#define PATH_BYTES 512

static void *share_identity(void *identity)
{
    return tls_identity_ref(identity);
}

static void drop_identity(void *identity)
{
    tls_identity_unref(identity);
}

/* What is kept to resume from. The certificate is not shown again, so who it was is kept beside it. */
struct kept_session {
    WOLFSSL_SESSION *session;
    struct tls_peer *peer; /* or NULL */
};

/* A ticket is used once (RFC 8446 appendix C.4), so it is only ever taken. */
static void *share_ticket(void *ticket)
{
    (void)ticket;
    return NULL;
}

static void drop_ticket(void *ticket)
{
    struct kept_session *kept = ticket;
    wolfSSL_SESSION_free(kept->session);
    tls_peer_unref(kept->peer);
    free(kept);
}

static const struct name_cache_type identity_type = {share_identity, drop_identity};
static const struct name_cache_type ticket_type = {share_ticket, drop_ticket};

/* ---- creation ------------------------------------------------------------------------------------------ */

/* An address as wolfSSL renders it from a certificate (GenerateDNSEntryIPString), or a copy of the name. */
static char *name_to_check(const char *name, bool *is_address)
{
    uint8_t b[16];
    char text[48];
    *is_address = true;
    if (inet_pton(AF_INET, name, b) == 1)
        return strdup(name);
    if (inet_pton(AF_INET6, name, b) != 1) {
        *is_address = false;
        return strdup(name);
    }
    for (size_t i = 0; i < 8; i++)
        snprintf(text + i * 5, sizeof(text) - i * 5, "%02X%02X%s", b[2 * i], b[2 * i + 1], i < 7 ? ":" : "");
    return strdup(text);
}

bool tls_context_set_protocol(struct tls_context *context, bool only_1_3, struct tls_error *error)
{
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1}; /* the share that is sent is of the first */
    WOLFSSL_CTX *ctx = context->ctx;
    bool datagrams_1_2 = context->datagrams && !only_1_3;
    const char *suites = context->psk != NULL
                             ? tls_psk_suites(context->server, !context->trust.keys_only, only_1_3)
                         : datagrams_1_2 ? TLS_SUITES_DTLS
                         : only_1_3      ? TLS_SUITES_1_3
                                         : TLS_SUITES_1_3 TLS_SUITES_1_2;
    if ((!only_1_3 && !context->datagrams &&
         wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS) ||
        wolfSSL_CTX_set_cipher_list(ctx, suites) != WOLFSSL_SUCCESS ||
        (!datagrams_1_2 && wolfSSL_CTX_set_groups(ctx, groups, 2) != WOLFSSL_SUCCESS) ||
        wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 2048) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinEccKey_Sz(ctx, 256) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetDevId(ctx, crypto_offload_device()) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_group_messages(ctx) != WOLFSSL_SUCCESS)
        return tls_error_set(error, "this wolfSSL refuses the TLS parameters");
    return true;
}

bool tls_context_load_crl(struct tls_context *context, const char *path, struct tls_error *error)
{
    context->trust.revoked = revocations_create();
    return context->trust.revoked != NULL
               ? tls_trust_load_crl(context->ctx, path, context->trust.revoked, error)
               : tls_error_set(error, "out of memory");
}

/*
 * With a wolfSSL that is not ours nothing is resumed where a server may speak TLS 1.2: RFC 5077 section 3.4
 * lets it refuse a ticket, one of 1.3 too, by going on with a full handshake, which the library (5.5.4) takes
 * for a message out of order. After a restart of such a server each device would fail once, and the server be
 * passed over for it. See deploy/wolfssl.d/tls12-resumption.patch.
 */
#ifdef WOLFSSL_RESUMES_TLSV1_2
#define RESUMES_1_2 true
#else
#define RESUMES_1_2 false
#endif

static bool resumes(const struct tls_settings *settings)
{
    bool only_1_3 = settings->min_version == TLS_VERSION_1_3;
    return settings->resumption && settings->psk_file == NULL &&
           (settings->datagrams ? !only_1_3 : RESUMES_1_2 || only_1_3); /* nothing of DTLS 1.3 is */
}

static WOLFSSL_METHOD *client_method(bool datagrams, bool only_1_3)
{
#ifdef WOLFSSL_DTLS13
    if (datagrams && only_1_3)
        return wolfDTLSv1_3_client_method();
#endif
    return datagrams  ? wolfDTLSv1_2_client_method()
           : only_1_3 ? wolfTLSv1_3_client_method()
                      : wolfSSLv23_client_method();
}

static bool set_name(struct tls_context *context, const char *name, struct tls_error *error)
{
    bool is_address;
    if (name == NULL) /* with a PSK nothing is compared */
        return true;
    context->checked_name = name_to_check(name, &is_address);
    size_t bytes = strlen(name);
    /* RFC 6066 section 3: names only, no addresses. */
    bool good = context->checked_name != NULL && bytes > 0 && bytes <= 253 &&
                (is_address || wolfSSL_CTX_UseSNI(context->ctx, WOLFSSL_SNI_HOST_NAME, name,
                                                  (unsigned short)bytes) == WOLFSSL_SUCCESS);
    return good || tls_error_set(error, "server name '%.60s' cannot be used", name);
}

static bool set_client(struct tls_context *context, const struct tls_settings *settings,
                       struct tls_error *error)
{
    bool only_1_3 = settings->min_version == TLS_VERSION_1_3;
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(client_method(settings->datagrams, only_1_3));
    context->ctx = ctx;
    if (ctx == NULL)
        return tls_error_set(error, "out of memory");
    if (!tls_context_set_protocol(context, only_1_3, error) ||
        !set_name(context, settings->server_name, error))
        return false;
    if (context->psk != NULL)
        tls_psk_install(ctx, false);
    context->stapling = settings->stapling != TLS_STAPLING_NONE;
    if ((context->stapling && wolfSSL_CTX_EnableOCSPStapling(ctx) != WOLFSSL_SUCCESS) ||
        (settings->stapling == TLS_STAPLING_HARD && wolfSSL_CTX_EnableOCSPMustStaple(ctx) != WOLFSSL_SUCCESS))
        return tls_error_set(error, "this wolfSSL cannot ask for a stapled status");
    if (resumes(settings))
        wolfSSL_CTX_UseSessionTicket(ctx);
    else
        wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER, tls_verify);
    return true;
}

static bool copy_string(char **to, const char *from)
{
    *to = from == NULL ? NULL : strdup(from);
    return from == NULL || *to != NULL;
}

/* "%s" at most once, and no other conversion. */
static bool pattern_good(const char *path)
{
    const char *percent = strchr(path, '%');
    return strlen(path) < PATH_BYTES - TLS_IDENTITY_BYTES &&
           (percent == NULL || (percent[1] == 's' && strchr(percent + 1, '%') == NULL));
}

static bool set_identities(struct tls_context *context, const struct tls_settings *settings,
                           struct tls_error *error)
{
    uint32_t capacity = settings->identity_cache == 0 ? IDENTITY_CACHE_DEFAULT : settings->identity_cache;
    if (resumes(settings) && (context->tickets = name_cache_create(capacity, &ticket_type)) == NULL)
        return tls_error_set(error, "out of memory");
    if (settings->bundle_file != NULL) {
        if (settings->certificate_file != NULL || settings->key_file != NULL)
            return tls_error_set(error, "certificates come from files or from a bundle, not from both");
        context->bundle = tls_bundle_open(settings->bundle_file, settings->key_password_file, error);
        if (context->bundle == NULL)
            return false;
        context->identities = name_cache_create(capacity, &identity_type);
        return context->identities != NULL || tls_error_set(error, "out of memory");
    }
    if ((settings->certificate_file == NULL) != (settings->key_file == NULL))
        return tls_error_set(error, "a certificate and its key are given together or not at all");
    if (settings->certificate_file == NULL)
        return true;
    if (!pattern_good(settings->certificate_file) || !pattern_good(settings->key_file))
        return tls_error_set(error, "certificate and key paths may hold one %%s and nothing else after %%");
    if (strchr(settings->certificate_file, '%') == NULL && strchr(settings->key_file, '%') == NULL) {
        context->shared_identity = tls_identity_load_with(settings->certificate_file, settings->key_file,
                                                          settings->key_password_file, error);
        return context->shared_identity != NULL;
    }
    context->identities = name_cache_create(capacity, &identity_type);
    return context->identities != NULL || tls_error_set(error, "out of memory");
}

/* All devices have the same servers. */
static bool share_peers(struct tls_context *context, struct tls_error *error)
{
    context->trust.peers = peer_share_create();
    return context->trust.peers != NULL || tls_error_set(error, "out of memory");
}

struct tls_context *tls_context_create(const struct tls_settings *settings, struct tls_error *error)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    error->text[0] = 0;
    if (context == NULL) {
        tls_error_set(error, "out of memory");
        return NULL;
    }
    atomic_init(&context->refs, 1);
    context->datagrams = settings->datagrams;
    context->trust.keys_only = settings->psk_file != NULL;
    bool told = context->trust.keys_only
                    ? settings->psk_id != NULL && settings->ca_file == NULL &&
                          settings->certificate_file == NULL && settings->bundle_file == NULL &&
                          settings->crl_file == NULL && settings->pins == NULL &&
                          settings->stapling == TLS_STAPLING_NONE
                    : settings->ca_file != NULL && settings->server_name != NULL;
    if (!told) {
        tls_error_set(error,
                      "a CA file and a server name are needed, or a PSK file and a PSK identity alone");
    } else if (!copy_string(&context->server_name, settings->server_name) ||
               !copy_string(&context->alpn, settings->alpn) ||
               !copy_string(&context->certificate_file, settings->certificate_file) ||
               !copy_string(&context->key_file, settings->key_file) ||
               !copy_string(&context->key_password_file, settings->key_password_file)) {
        tls_error_set(error, "out of memory");
    } else if (context->trust.keys_only) {
        context->psk = tls_psk_create(settings->psk_file, settings->psk_id, error);
        if (context->psk != NULL && set_client(context, settings, error))
            return context;
    } else if ((context->trust.server_name = context->server_name) != NULL &&
               set_client(context, settings, error) && share_peers(context, error) &&
               tls_trust_load_ca(context->ctx, settings->ca_file, error) &&
               (settings->crl_file == NULL || tls_context_load_crl(context, settings->crl_file, error)) &&
               tls_trust_set(&context->trust, settings->ca_file, settings->ocsp, error) &&
               tls_pins_parse(&context->trust.pins, settings->pins, error) &&
               set_identities(context, settings, error)) {
        return context;
    }
    tls_context_unref(context);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    name_cache_destroy(context->identities);
    name_cache_destroy(context->tickets);
    tls_tickets_destroy(context->given);
    tls_trust_clear(&context->trust);
    tls_psk_destroy(context->psk);
    tls_identity_unref(context->shared_identity);
    wolfSSL_CTX_free(context->ctx);
    free(context->server_name);
    free(context->checked_name);
    free(context->alpn);
    free(context->certificate_file);
    free(context->key_file);
    free(context->key_password_file);
    tls_bundle_close(context->bundle);
    free(context);
}

int tls_check_pair(const char *certificate_file, const char *key_file, int *days_left,
                   struct tls_error *error)
{
    return tls_check_pair_with(certificate_file, key_file, NULL, days_left, error);
}

int tls_check_pair_with(const char *certificate_file, const char *key_file, const char *key_password_file,
                        int *days_left, struct tls_error *error)
{
    struct tls_identity *identity =
        tls_identity_load_with(certificate_file, key_file, key_password_file, error);
    if (identity == NULL)
        return -1;
    if (days_left != NULL)
        *days_left = tls_identity_days_left(identity);
    tls_identity_unref(identity);
    return 0;
}

/* Why who has shown neither certificate nor key may not go on; or NULL. */
static const char *shown_nothing(const struct tls_context *context)
{
    if (context->trust.keys_only)
        return context->server ? "client has proved no key" : "server has proved no key";
    if (!context->needs_certificate)
        return NULL;
    return context->psk != NULL ? "client has shown neither a certificate nor a key"
                                : "client sent no certificate";
}

const struct psk_keys *tls_context_keys(const struct tls_context *context)
{
    return context->psk == NULL ? NULL : tls_psk_keys(context->psk);
}

const char *tls_context_refuses(const struct tls_context *context, const struct tls_peer *peer)
{
    if (peer == NULL)
        return shown_nothing(context);
    if (peer->psk_id != NULL)
        return tls_psk_refuses(context->psk, peer);
    if (context->trust.keys_only)
        return "certificates are not taken any more";
    return tls_trust_judge(&context->trust, peer).why;
}

enum ocsp_mode tls_context_ocsp(const struct tls_context *context)
{
    return context->trust.ocsp.mode;
}

const struct tls_trust *tls_context_trust(const struct tls_context *context)
{
    return &context->trust;
}

/* ---- sessions ------------------------------------------------------------------------------------------ */

bool tls_identity_name_good(const char *identity)
{
    if (identity == NULL)
        return true;
    size_t n = strlen(identity);
    return n > 0 && n < TLS_IDENTITY_BYTES && identity[0] != '.' && strchr(identity, '/') == NULL;
}

const char *tls_context_server_name(const struct tls_context *context)
{
    return context->server_name;
}

static void fill_pattern(char *out, const char *pattern, const char *identity)
{
    const char *percent = strchr(pattern, '%');
    if (percent == NULL)
        snprintf(out, PATH_BYTES, "%s", pattern);
    else
        snprintf(out, PATH_BYTES, "%.*s%s%s", (int)(percent - pattern), pattern, identity, percent + 2);
}

static struct tls_identity *find_identity(struct tls_context *context, const char *name,
                                          struct tls_error *error)
{
    char certificate_file[PATH_BYTES];
    char key_file[PATH_BYTES];
    if (context->shared_identity != NULL)
        return tls_identity_ref(context->shared_identity);
    if (name == NULL) {
        tls_error_set(error, "no identity to choose a client certificate by");
        return NULL;
    }
    struct tls_identity *identity = name_cache_get(context->identities, name);
    if (identity != NULL)
        return identity;
    if (context->bundle != NULL) {
        identity = tls_bundle_identity(context->bundle, name, error);
    } else {
        fill_pattern(certificate_file, context->certificate_file, name);
        fill_pattern(key_file, context->key_file, name);
        identity = tls_identity_load_with(certificate_file, key_file, context->key_password_file, error);
    }
    if (identity != NULL)
        name_cache_put(context->identities, name, tls_identity_ref(identity), true);
    return identity;
}

/* `verification` keeps it until the handshake is over; without, its caller sees to that. */
static bool present_identity(struct tls_context *context, const char *name, WOLFSSL *ssl,
                             struct tls_verification *verification, struct tls_failure *failure)
{
    struct tls_error error = {""};
    if (context->psk != NULL)
        return tls_psk_has(context->psk, name, failure);
    if (context->certificate_file == NULL && context->bundle == NULL)
        return true;
    struct tls_identity *identity = find_identity(context, name, &error);
    bool good = identity != NULL && tls_identity_apply(identity, ssl);
    if (verification != NULL && good) {
        tls_verification_done(verification);
        verification->identity = identity;
    } else {
        tls_identity_unref(identity);
    }
    if (good)
        return true;
    failure->why = STREAM_END_TLS_IDENTITY;
    failure->counter = TLS_FAILED_IDENTITY;
    snprintf(failure->reason, sizeof(failure->reason), "%.*s", (int)sizeof(failure->reason) - 1,
             error.text[0] == 0 ? "client certificate cannot be used" : error.text);
    return false;
}

static void resume(struct tls_context *context, const char *identity, WOLFSSL *ssl,
                   struct tls_verification *verification)
{
    if (context->tickets == NULL)
        return;
    struct kept_session *kept = name_cache_take(context->tickets, identity == NULL ? "" : identity);
    if (kept == NULL)
        return;
    wolfSSL_set_session(ssl, kept->session); /* copies; an expired one just means a full handshake */
    if (verification != NULL) {
        tls_peer_unref(verification->resumed_peer);
        verification->resumed_peer = kept->peer;
        kept->peer = NULL;
    }
    drop_ticket(kept);
}

bool tls_context_is_server(const struct tls_context *context)
{
    return context->server;
}

static WOLFSSL *server_session(struct tls_context *context, struct tls_failure *failure)
{
    WOLFSSL *ssl = wolfSSL_new(context->ctx);
    if (ssl != NULL)
        return ssl;
    failure->why = STREAM_END_ABORTED;
    failure->counter = TLS_TABLE_FULL;
    snprintf(failure->reason, sizeof(failure->reason), "out of memory");
    return NULL;
}

WOLFSSL *tls_context_session(struct tls_context *context, const char *identity,
                             struct tls_verification *verification, struct tls_failure *failure)
{
    if (context->server)
        return server_session(context, failure);
    WOLFSSL *ssl = wolfSSL_new(context->ctx);
    if (ssl == NULL ||
        (context->stapling && wolfSSL_UseOCSPStapling(ssl, WOLFSSL_CSR_OCSP, 0) != WOLFSSL_SUCCESS) ||
        (context->checked_name != NULL &&
         wolfSSL_check_domain_name(ssl, context->checked_name) != WOLFSSL_SUCCESS) ||
        (context->alpn != NULL && wolfSSL_UseALPN(ssl, context->alpn, (unsigned int)strlen(context->alpn),
                                                  WOLFSSL_ALPN_FAILED_ON_MISMATCH) != WOLFSSL_SUCCESS)) {
        failure->why = STREAM_END_ABORTED;
        failure->counter = TLS_TABLE_FULL;
        snprintf(failure->reason, sizeof(failure->reason), "out of memory");
    } else if (present_identity(context, identity, ssl, verification, failure)) {
        resume(context, identity, ssl, verification);
        return ssl;
    }
    wolfSSL_free(ssl);
    return NULL;
}

void tls_context_end_session(struct tls_context *context, const char *identity, WOLFSSL *ssl,
                             struct tls_peer *peer)
{
    WOLFSSL_SESSION *session = context->tickets == NULL ? NULL : wolfSSL_get1_session(ssl);
    /* A server of TLS 1.2 that gives no ticket knows the session by its number. */
    bool by_number = context->datagrams || wolfSSL_GetVersion(ssl) == WOLFSSL_TLSV1_2;
    wolfSSL_free(
        ssl); /* first, so that the table gets the only reference: others use it from other threads */
    if (session == NULL)
        return;
    bool useful = by_number || wolfSSL_SESSION_has_ticket(session);
    struct kept_session *kept = useful ? malloc(sizeof(*kept)) : NULL;
    if (kept == NULL) {
        wolfSSL_SESSION_free(session);
        return;
    }
    *kept = (struct kept_session){.session = session, .peer = peer == NULL ? NULL : tls_peer_ref(peer)};
    name_cache_put(context->tickets, identity == NULL ? "" : identity, kept, false);
}
