/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_context_private.h"
#include "dataplane/secure/tls_psk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DECOY_SECRET_BYTES 32
#define SUITES_1_2 ":ECDHE-PSK-AES128-GCM-SHA256:ECDHE-PSK-CHACHA20-POLY1305"

struct tls_psk {
    struct psk_keys *keys;
    char *pattern;  /* NULL: a listener's */
    uint8_t *decoy; /* in secret memory: from it are the keys of identities that are not known */
};

static bool fill(struct tls_psk *psk, const char *file, const char *pattern, struct tls_error *error)
{
    if (!tls_library_has_tls_psk())
        return tls_error_set(error,
                             "this wolfSSL does not keep TLS 1.3 from taking a PSK without a key share; "
                             "build it with deploy/wolfssl, or use certificates");
    psk->decoy = secret_memory_alloc(DECOY_SECRET_BYTES);
    psk->pattern = pattern == NULL ? NULL : strdup(pattern);
    if (psk->decoy == NULL || getrandom(psk->decoy, DECOY_SECRET_BYTES, 0) != DECOY_SECRET_BYTES ||
        (pattern != NULL && psk->pattern == NULL))
        return tls_error_set(error, "out of memory");
    psk->keys = psk_keys_load(file, error);
    return psk->keys != NULL;
}

struct tls_psk *tls_psk_create(const char *file, const char *pattern, struct tls_error *error)
{
    struct tls_psk *psk = calloc(1, sizeof(*psk));
    if (psk == NULL) {
        tls_error_set(error, "out of memory");
        return NULL;
    }
    if (fill(psk, file, pattern, error))
        return psk;
    tls_psk_destroy(psk);
    return NULL;
}

void tls_psk_destroy(struct tls_psk *psk)
{
    if (psk == NULL)
        return;
    psk_keys_destroy(psk->keys);
    secret_memory_free(psk->decoy, DECOY_SECRET_BYTES);
    free(psk->pattern);
    free(psk);
}

const struct psk_keys *tls_psk_keys(const struct tls_psk *psk)
{
    return psk->keys;
}

const char *tls_psk_suites(bool server, bool certificates, bool only_1_3)
{
    if (certificates)
        return only_1_3 ? TLS_SUITES_1_3 : TLS_SUITES_1_3 TLS_SUITES_1_2 SUITES_1_2;
    /* The library offers a client's PSK with the one suite that every server has (RFC 8446 section 9.1). */
    if (!server)
        return only_1_3 ? "TLS13-AES128-GCM-SHA256" : "TLS13-AES128-GCM-SHA256" SUITES_1_2;
    return only_1_3 ? "TLS13-AES128-GCM-SHA256:TLS13-CHACHA20-POLY1305-SHA256"
                    : "TLS13-AES128-GCM-SHA256:TLS13-CHACHA20-POLY1305-SHA256" SUITES_1_2;
}

/* ---- callbacks of the library ----------------------------------------------------------------------------
 */

static const struct psk_key *key_of(const struct tls_psk *psk, const char *identity)
{
    char name[PSK_IDENTITY_MAX];
    return psk_identity_fill(psk->pattern, identity, name) ? psk_keys_find(psk->keys, name) : NULL;
}

/* Notes whom the identity names; he is the session's peer only once he has proved it. */
static bool note(struct tls_verification *verification, const char *identity, const struct psk_key *key)
{
    tls_peer_unref(verification->psk_peer);
    verification->psk_peer = tls_peer_of_psk(identity);
    verification->psk_shown = true;
    verification->psk_known = key != NULL;
    if (verification->psk_peer == NULL || key == NULL)
        return false;
    memcpy(verification->psk_peer->fingerprint, key->mark, sizeof(key->mark));
    return true;
}

static unsigned int on_client(WOLFSSL *ssl, const char *hint, char *identity, unsigned int identity_room,
                              unsigned char *out, unsigned int room)
{
    struct tls_job *job = wolfSSL_get_psk_callback_ctx(ssl);
    (void)hint;
    const struct psk_key *key =
        job == NULL ? NULL : key_of(job->context->psk, job->has_identity ? job->identity : NULL);
    if (key == NULL || strlen(key->identity) >= identity_room || key->key_len > room ||
        !note(&job->verification, key->identity, key))
        return 0;
    memcpy(identity, key->identity, strlen(key->identity) + 1);
    memcpy(out, key->key, key->key_len);
    return key->key_len;
}

static bool make_decoy(const struct tls_psk *psk, const char *identity, uint8_t out[WC_SHA256_DIGEST_SIZE])
{
    Hmac state;
    if (wc_HmacInit(&state, NULL, INVALID_DEVID) != 0)
        return false;
    bool good = wc_HmacSetKey(&state, WC_SHA256, psk->decoy, DECOY_SECRET_BYTES) == 0 &&
                wc_HmacUpdate(&state, (const uint8_t *)identity, (word32)strlen(identity)) == 0 &&
                wc_HmacFinal(&state, out) == 0;
    wc_HmacFree(&state);
    return good;
}

static unsigned int on_server(WOLFSSL *ssl, const char *identity, unsigned char *out, unsigned int room)
{
    uint8_t decoy[WC_SHA256_DIGEST_SIZE];
    struct tls_job *job = wolfSSL_get_psk_callback_ctx(ssl);
    if (job == NULL || room < sizeof(decoy))
        return 0;
    const struct tls_context *context = job->context;
    const struct psk_key *key = psk_keys_find(context->psk->keys, identity);
    /* Made for those that are known as well. */
    bool good = make_decoy(context->psk, identity, decoy);
    bool known = note(&job->verification, identity, key);
    unsigned int n = 0;
    if (known && key->key_len <= room) {
        n = key->key_len;
        memcpy(out, key->key, n);
    } else if (good && (context->trust.keys_only || wolfSSL_version(ssl) != TLS1_3_VERSION)) {
        n = sizeof(decoy);
        memcpy(out, decoy, n);
    }
    explicit_bzero(decoy, sizeof(decoy));
    return n;
}

void tls_psk_install(WOLFSSL_CTX *ctx, bool server)
{
    if (server)
        wolfSSL_CTX_set_psk_server_callback(ctx, on_server);
    else
        wolfSSL_CTX_set_psk_client_callback(ctx, on_client);
}

/* ---- of a handshake --------------------------------------------------------------------------------------
 */

bool tls_psk_has(const struct tls_psk *psk, const char *identity, struct tls_failure *failure)
{
    char name[PSK_IDENTITY_MAX];
    bool fits = psk_identity_fill(psk->pattern, identity, name);
    if (fits && psk_keys_find(psk->keys, name) != NULL)
        return true;
    failure->why = STREAM_END_TLS_IDENTITY;
    failure->counter = TLS_FAILED_IDENTITY;
    if (fits)
        snprintf(failure->reason, sizeof(failure->reason), "no key for PSK identity '%s'", name);
    else
        snprintf(failure->reason, sizeof(failure->reason),
                 "no identity to choose a PSK by, or it is too long");
    return false;
}

void tls_psk_begin_step(struct tls_job *job)
{
    if (job->context->psk != NULL)
        wolfSSL_set_psk_callback_ctx(job->ssl, job);
}

void tls_psk_end_step(struct tls_job *job)
{
    if (job->context->psk != NULL)
        wolfSSL_set_psk_callback_ctx(job->ssl, NULL);
}

static bool proved(const struct tls_job *job)
{
#ifdef WOLFSSL_PSK_DHE_ONLY
    return job->context->psk != NULL && wolfSSL_psk_proved(job->ssl) == 1;
#else
    (void)job;
    return false;
#endif
}

bool tls_psk_settle(struct tls_job *job)
{
    struct tls_verification *verification = &job->verification;
    struct tls_peer *holder = verification->psk_peer;
    verification->psk_peer = NULL;
    if (!proved(job) || !verification->psk_known || holder == NULL) {
        tls_peer_unref(holder);
        return false;
    }
    tls_verification_clear(verification);
    verification->trust = tls_context_trust(job->context);
    verification->peer = holder;
    return true;
}

/* What a wrong key comes to: a binder (1.3) or a Finished (1.2) that cannot be opened. */
static bool of_wrong_key(int error)
{
    return error == BAD_BINDER || error == VERIFY_MAC_ERROR || error == DECRYPT_ERROR ||
           error == AES_GCM_AUTH_E || error == MAC_CMP_FAILED_E || error == VERIFY_FINISHED_ERROR;
}

void tls_psk_explain(struct tls_job *job, int error)
{
    const struct tls_verification *verification = &job->verification;
    struct tls_failure *failure = &job->failure;
    if (!verification->psk_shown || !job->context->server || !of_wrong_key(error))
        return;
    const char *identity = verification->psk_peer == NULL ? NULL : verification->psk_peer->psk_id;
    failure->why = verification->psk_known ? STREAM_END_TLS_VERIFY : STREAM_END_TLS_IDENTITY;
    failure->counter = verification->psk_known ? TLS_FAILED_PSK_KEY : TLS_FAILED_PSK_UNKNOWN;
    if (identity == NULL)
        snprintf(failure->reason, sizeof(failure->reason),
                 "client has a PSK identity that is empty, holds a NUL, or is longer than %d bytes",
                 PSK_IDENTITY_MAX - 1);
    else
        snprintf(failure->reason, sizeof(failure->reason),
                 verification->psk_known ? "client has another key for PSK identity '%s'"
                                         : "no key for PSK identity '%s'",
                 identity);
}

const char *tls_psk_refuses(const struct tls_psk *psk, const struct tls_peer *peer)
{
    const struct psk_key *key = psk == NULL ? NULL : psk_keys_find(psk->keys, peer->psk_id);
    if (psk == NULL)
        return "pre-shared keys are not taken any more";
    if (key == NULL)
        return "there is no key for its PSK identity any more";
    return memcmp(key->mark, peer->fingerprint, sizeof(key->mark)) == 0
               ? NULL
               : "the key of its PSK identity is another now";
}
