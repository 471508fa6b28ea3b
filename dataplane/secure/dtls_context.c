/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/dtls_session.h"
#include "dataplane/secure/tls_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (16u * 1024 * 1024)
#define SESSIONS_KEPT_LEAST 64
#define SESSIONS_KEPT_MOST 65536

#define SUITES                                                                                               \
    "PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384:PSK-AES128-CCM:PSK-AES256-CCM:PSK-AES128-CCM-8:"            \
    "PSK-AES256-CCM-8"

/* Digest of a file's contents after what is in `out`. */
static bool add_file(const char *path, uint8_t out[32], struct tls_error *error)
{
    wc_Sha256 sha;
    size_t n;
    uint8_t *file = tls_read_file(path, FILE_MAX, &n, error);
    if (file == NULL)
        return false;
    bool good = wc_InitSha256(&sha) == 0 && wc_Sha256Update(&sha, out, 32) == 0 &&
                wc_Sha256Update(&sha, file, (word32)n) == 0 && wc_Sha256Final(&sha, out) == 0;
    wc_Sha256Free(&sha);
    free(file);
    return good || tls_error_set(error, "out of memory");
}

bool dtls_context_digest(struct dtls_context *context, const char *const texts[], size_t texts_n,
                         const char *const files[], size_t files_n, struct tls_error *error)
{
    for (size_t i = 0; i < texts_n; i++) {
        wc_Sha256 sha;
        const char *text = texts[i] == NULL ? "" : texts[i];
        bool good = wc_InitSha256(&sha) == 0 && wc_Sha256Update(&sha, context->trust, 32) == 0 &&
                    wc_Sha256Update(&sha, (const uint8_t *)text, (word32)strlen(text) + 1) == 0 &&
                    wc_Sha256Final(&sha, context->trust) == 0;
        wc_Sha256Free(&sha);
        if (!good)
            return tls_error_set(error, "out of memory");
    }
    for (size_t i = 0; i < files_n; i++)
        if (files[i] != NULL && !add_file(files[i], context->trust, error))
            return false;
    return true;
}

/* ---- the context -----------------------------------------------------------------------------------------
 */

static unsigned int on_psk(WOLFSSL *ssl, const char *hint, char *identity, unsigned int identity_room,
                           unsigned char *key, unsigned int key_room)
{
    struct dtls_session *session = wolfSSL_get_psk_callback_ctx(ssl);
    (void)hint;
    const struct psk_key *psk = session == NULL ? NULL : psk_keys_find(session->context->keys, session->name);
    if (psk == NULL || strlen(psk->identity) >= identity_room || psk->key_len > key_room)
        return 0;
    memcpy(identity, psk->identity, strlen(psk->identity) + 1);
    memcpy(key, psk->key, psk->key_len);
    return psk->key_len;
}

static void *share_session(void *kept)
{
    (void)kept;
    return NULL; /* only ever taken */
}

static void drop_session(void *kept)
{
    wolfSSL_SESSION_free(kept);
}

static const struct name_cache_type session_type = {share_session, drop_session};

#ifdef WOLFSSL_DTLS13
static unsigned int on_psk_1_3(WOLFSSL *ssl, const char *hint, char *identity, unsigned int identity_room,
                               unsigned char *key, unsigned int key_room, const char **suite)
{
    *suite = DTLS13_SUITE_PSK;
    return on_psk(ssl, hint, identity, identity_room, key, key_room);
}

/* No authority is known to it and none is asked: whoever shows a certificate instead of the key is refused.
 */
static bool set_protocol_1_3(struct dtls_context *context, struct tls_error *error)
{
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1}; /* the share that is sent is of the first */
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfDTLSv1_3_client_method());
    context->ctx = ctx;
    if (ctx == NULL)
        return tls_error_set(error, "out of memory");
    if (wolfSSL_CTX_set_cipher_list(ctx, DTLS13_SUITE_PSK) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(ctx, groups, 2) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetDevId(ctx, crypto_offload_device()) != WOLFSSL_SUCCESS)
        return tls_error_set(error, "this wolfSSL refuses the DTLS 1.3 parameters");
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER, NULL);
    wolfSSL_CTX_set_psk_client_tls13_callback(ctx, on_psk_1_3);
    return true;
}
#else
static bool set_protocol_1_3(struct dtls_context *context, struct tls_error *error)
{
    (void)context;
    return tls_error_set(error, DTLS_NO_1_3);
}
#endif

static bool set_protocol(struct dtls_context *context, struct tls_error *error)
{
    if (context->versions == DTLS_1_3)
        return set_protocol_1_3(context, error);
    if (!tls_library_has_psk())
        return tls_error_set(error, DTLS_NO_PSK);
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
    context->ctx = ctx;
    if (ctx == NULL)
        return tls_error_set(error, "out of memory");
    if (wolfSSL_CTX_set_cipher_list(ctx, SUITES) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetDevId(ctx, crypto_offload_device()) != WOLFSSL_SUCCESS)
        return tls_error_set(error, "this wolfSSL refuses the DTLS parameters");
    wolfSSL_CTX_set_psk_client_callback(ctx, on_psk);
    wolfSSL_CTX_UseSessionTicket(ctx);
    return true;
}

static bool set_keys(struct dtls_context *context, const struct dtls_settings *settings,
                     struct tls_error *error)
{
    if (settings->psk_file == NULL || settings->psk_id == NULL)
        return tls_error_set(error, "a PSK file and a PSK identity are needed");
    context->psk_id = strdup(settings->psk_id);
    if (context->psk_id == NULL)
        return tls_error_set(error, "out of memory");
    if (!set_protocol(context, error))
        return false;
    context->keys = psk_keys_load(settings->psk_file, error);
    if (context->keys == NULL)
        return false;
    uint32_t kept = psk_keys_count(context->keys);
    kept = kept < SESSIONS_KEPT_LEAST  ? SESSIONS_KEPT_LEAST
           : kept > SESSIONS_KEPT_MOST ? SESSIONS_KEPT_MOST
                                       : kept;
    context->sessions = name_cache_create(kept, &session_type);
    return context->sessions != NULL || tls_error_set(error, "out of memory");
}

struct dtls_context *dtls_context_create(const struct dtls_settings *settings, struct tls_error *error)
{
    struct dtls_context *context = calloc(1, sizeof(*context));
    error->text[0] = '\0';
    if (context == NULL) {
        tls_error_set(error, "out of memory");
        return NULL;
    }
    atomic_init(&context->refs, 1);
    context->versions = settings->version == 0 ? DTLS_1_2 : settings->version;
    context->connection_ids = settings->connection_ids && context->versions == DTLS_1_3;
    bool good;
    if (context->versions == DTLS_1_3 && !tls_library_has_dtls13()) {
        good = tls_error_set(error, DTLS_NO_1_3);
    } else if (settings->connection_ids && !tls_library_has_connection_ids()) {
        good = tls_error_set(error, DTLS_NO_IDS);
    } else if (settings->certificates != NULL) {
        struct tls_settings own = *settings->certificates;
        const char *const texts[] = {own.server_name, own.certificate_file, own.key_file, own.alpn};
        const char *const files[] = {own.ca_file};
        own.datagrams = true;
        own.min_version = context->versions == DTLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
        context->certificates = tls_context_create(&own, error);
        good = context->certificates != NULL && dtls_context_digest(context, texts, 4, files, 1, error);
    } else {
        good = set_keys(context, settings, error);
    }
    if (good)
        return context;
    dtls_context_unref(context);
    return NULL;
}

struct dtls_context *dtls_context_ref(struct dtls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void dtls_context_unref(struct dtls_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    name_cache_destroy(context->sessions);
    wolfSSL_CTX_free(context->ctx);
    wolfSSL_CTX_free(context->ctx_1_3);
    psk_keys_destroy(context->keys);
    tls_identity_unref(context->identity);
    tls_trust_clear(&context->own);
    tls_context_unref(context->certificates);
    free(context->psk_id);
    free(context);
}

bool dtls_context_same(const struct dtls_context *a, const struct dtls_context *b, const char *identity)
{
    char name_a[PSK_IDENTITY_MAX], name_b[PSK_IDENTITY_MAX];
    if (a == b)
        return true;
    if (a != NULL && b != NULL && a->versions != b->versions)
        return false;
    if (a != NULL && b != NULL && a->certificates != NULL && b->certificates != NULL)
        return memcmp(a->trust, b->trust, sizeof(a->trust)) == 0;
    if (a == NULL || b == NULL || a->psk_id == NULL || b->psk_id == NULL ||
        !psk_identity_fill(a->psk_id, identity, name_a) || !psk_identity_fill(b->psk_id, identity, name_b))
        return false;
    const struct psk_key *key_a = psk_keys_find(a->keys, name_a), *key_b = psk_keys_find(b->keys, name_b);
    return key_a != NULL && key_b != NULL && psk_key_equal(key_a, key_b);
}

bool dtls_context_gives_ids(const struct dtls_context *context)
{
    return context->connection_ids;
}

bool dtls_context_speaks(const struct dtls_context *context, enum dtls_versions version)
{
    return (context->versions & version) != 0;
}

uint32_t dtls_context_keys(const struct dtls_context *context)
{
    return context->keys == NULL ? 0 : psk_keys_count(context->keys);
}

/* ---- for sessions ----------------------------------------------------------------------------------------
 */

bool dtls_context_name(const struct dtls_context *context, struct dtls_session *session, const char *identity,
                       struct tls_error *error)
{
    if (context->certificates != NULL) {
        bool fits = strlen(identity) < sizeof(session->name) && tls_identity_name_good(identity);
        if (!fits)
            return tls_error_set(error, "the identity %.60s cannot name a certificate", identity);
        memcpy(session->name, identity, strlen(identity) + 1);
        return true;
    }
    if (!psk_identity_fill(context->psk_id, identity, session->name))
        return tls_error_set(error, "the PSK identity of %.60s is too long", identity);
    return psk_keys_find(context->keys, session->name) != NULL ||
           tls_error_set(error, "no key for PSK identity %.100s", session->name);
}

/* Asks for an id of the server's to be known by, and for none of ours: our address is where we are. */
static WOLFSSL *offer_ids(const struct dtls_context *context, WOLFSSL *ssl)
{
#ifdef WOLFSSL_DTLS_CID
    if (ssl != NULL && context->connection_ids && wolfSSL_dtls_cid_use(ssl) != WOLFSSL_SUCCESS) {
        wolfSSL_free(ssl);
        return NULL;
    }
#else
    (void)context;
#endif
    return ssl;
}

struct WOLFSSL *dtls_context_session(struct dtls_context *context, struct dtls_session *session,
                                     struct tls_failure *failure)
{
    if (context->certificates != NULL)
        return offer_ids(context, tls_context_session(context->certificates, session->name,
                                                      &session->verification, failure));
    WOLFSSL *ssl = offer_ids(context, wolfSSL_new(context->ctx));
    if (ssl == NULL) {
        snprintf(failure->reason, sizeof(failure->reason), "out of memory");
        return NULL;
    }
    wolfSSL_set_psk_callback_ctx(ssl, session);
    WOLFSSL_SESSION *kept = session->version_1_3 ? NULL : name_cache_take(context->sessions, session->name);
    if (kept != NULL) {
        wolfSSL_set_session(ssl, kept);
        wolfSSL_SESSION_free(kept);
    }
    return ssl;
}

void dtls_client_identify(struct dtls_session *session)
{
    struct tls_verification *verification = &session->verification;
    if (wolfSSL_session_reused(session->ssl) && verification->resumed_peer != NULL) {
        tls_peer_unref(verification->peer);
        verification->peer = verification->resumed_peer;
    } else {
        tls_peer_unref(verification->resumed_peer);
    }
    verification->resumed_peer = NULL;
}

const char *dtls_session_refused(const struct dtls_session *session, const struct dtls_context *next,
                                 const char *identity)
{
    const struct dtls_context *own = session->context;
    char name[PSK_IDENTITY_MAX];
    if (next == NULL || (next->certificates == NULL) != (own->certificates == NULL))
        return NULL; /* another kind of upstream is for the caller to see */
    if (next->certificates != NULL)
        return session->verification.peer == NULL
                   ? NULL
                   : tls_context_refuses(next->certificates, session->verification.peer);
    if (next == own)
        return NULL;
    if (!psk_identity_fill(next->psk_id, identity, name) || psk_keys_find(next->keys, name) == NULL)
        return "there is no key for it any more";
    return dtls_context_same(own, next, identity) ? NULL : "its key is another now";
}

void dtls_context_end(struct dtls_context *context, struct dtls_session *session)
{
    if (session->keep && context->certificates != NULL) {
        tls_context_end_session(context->certificates, session->name, session->ssl,
                                session->verification.peer);
        return;
    }
    WOLFSSL_SESSION *kept = session->keep && !session->version_1_3 && context->sessions != NULL
                                ? wolfSSL_get1_session(session->ssl)
                                : NULL;
    wolfSSL_free(session->ssl); /* first, so that the table gets the only reference */
    if (kept != NULL)
        name_cache_put(context->sessions, session->name, kept, false);
}
