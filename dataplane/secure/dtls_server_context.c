/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a DTLS listener takes clients with, and who they are once they have shown it (B2, B4, C1). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/dtls13_hello.h"
#include "dataplane/secure/dtls_session.h"
#include "dataplane/secure/tls_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITES_PSK                                                                                           \
    "PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384:PSK-AES128-CCM:PSK-AES256-CCM:PSK-AES128-CCM-8:"            \
    "PSK-AES256-CCM-8"

static bool say(struct tls_error *error, const char *text)
{
    snprintf(error->text, sizeof(error->text), "%s", text);
    return false;
}

static unsigned int on_psk(WOLFSSL *ssl, const char *identity, unsigned char *out, unsigned int room)
{
    struct dtls_session *session = wolfSSL_get_psk_callback_ctx(ssl);
    if (session == NULL || session->context->keys == NULL)
        return 0;
    snprintf(session->name, sizeof(session->name), "%s", identity);
    const struct psk_key *key =
        strlen(identity) < sizeof(session->name) ? psk_keys_find(session->context->keys, identity) : NULL;
    if (key == NULL || key->key_len > room)
        return 0;
    memcpy(out, key->key, key->key_len);
    session->psk_used = true;
    return key->key_len;
}

/* What is the same in all versions. */
static bool set_common(WOLFSSL_CTX *ctx, const char *suites, bool certificates)
{
    if (wolfSSL_CTX_set_cipher_list(ctx, suites) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 2048) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinEccKey_Sz(ctx, 256) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetDevId(ctx, crypto_offload_device()) != WOLFSSL_SUCCESS)
        return false;
    /* A resumed session would not show the certificate again, and a revoked one would live on. */
    wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    if (certificates)
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_EXCEPT_PSK, tls_verify);
    return true;
}

static WOLFSSL_METHOD *method_1_2(unsigned versions)
{
#ifdef WOLFSSL_DTLS13
    /* So that the library marks what it says in 1.2 (RFC 8446 s.4.1.3). */
    if ((versions & DTLS_1_3) != 0)
        return wolfDTLS_server_method();
#endif
    (void)versions;
    return wolfDTLSv1_2_server_method();
}

static bool set_1_2(struct dtls_context *context, bool keys, bool certificates, struct tls_error *error)
{
    const char *suites = keys && certificates ? TLS_SUITES_DTLS ":" SUITES_PSK
                         : keys               ? SUITES_PSK
                                              : TLS_SUITES_DTLS;
    if (keys && !tls_library_has_psk())
        return say(error, DTLS_NO_PSK);
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(method_1_2(context->versions));
    context->ctx = ctx;
    if (ctx == NULL)
        return say(error, "out of memory");
    if (!set_common(ctx, suites, certificates) || wolfSSL_CTX_NoTicketTLSv12(ctx) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_DTLSV1_2) != WOLFSSL_SUCCESS)
        return say(error, "this wolfSSL refuses the DTLS parameters");
    /* Without keys too: with it the library makes sessions whose certificate is given to each by itself, from
     * secret memory. No suite with keys is in its list. */
    wolfSSL_CTX_set_psk_server_callback(ctx, on_psk);
    return true;
}

#ifdef WOLFSSL_DTLS13
static unsigned int on_psk_1_3(WOLFSSL *ssl, const char *identity, unsigned char *out, unsigned int room,
                               const char **suite)
{
    const struct dtls_session *session = wolfSSL_get_psk_callback_ctx(ssl);
    if (session == NULL || strstr(dtls13_suite_name(session->suite), "SHA256") == NULL)
        return 0; /* RFC 8446 s.4.2.11: a key is for SHA-256, unless it says so */
    *suite = dtls13_suite_name(session->suite);
    return on_psk(ssl, identity, out, room);
}

static bool set_1_3(struct dtls_context *context, bool certificates, struct tls_error *error)
{
    static int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfDTLSv1_3_server_method());
    context->ctx_1_3 = ctx;
    if (ctx == NULL)
        return say(error, "out of memory");
    if (!set_common(ctx, dtls13_suites, certificates) || wolfSSL_CTX_no_ticket_TLSv13(ctx) != 0 ||
        wolfSSL_CTX_set_groups(ctx, groups, 3) != WOLFSSL_SUCCESS)
        return say(error, "this wolfSSL refuses the DTLS 1.3 parameters");
    wolfSSL_CTX_set_psk_server_tls13_callback(ctx, on_psk_1_3);
    return true;
}

static bool offer_id(WOLFSSL *ssl, const struct dtls_birth *birth)
{
#ifdef WOLFSSL_DTLS_CID
    uint8_t id[DTLS_ID_BYTES];
    memcpy(id, birth->id, sizeof(id));
    return !birth->has_id || (wolfSSL_dtls_cid_use(ssl) == WOLFSSL_SUCCESS &&
                              wolfSSL_dtls_cid_set(ssl, id, sizeof(id)) == WOLFSSL_SUCCESS);
#else
    (void)ssl;
    return !birth->has_id;
#endif
}

static bool make_session_1_3(struct dtls_session *session, WOLFSSL *ssl)
{
    const struct dtls_birth *birth = session->birth;
    return offer_id(ssl, birth) &&
           wolfSSL_send_hrr_cookie(ssl, birth->secret, sizeof(birth->secret)) == WOLFSSL_SUCCESS &&
           wolfSSL_set_cipher_list(ssl, dtls13_suite_name(birth->suite)) == WOLFSSL_SUCCESS;
}
#else
static bool set_1_3(struct dtls_context *context, bool certificates, struct tls_error *error)
{
    (void)context;
    (void)certificates;
    return say(error, DTLS_NO_1_3);
}

static bool make_session_1_3(struct dtls_session *session, WOLFSSL *ssl)
{
    (void)session;
    (void)ssl;
    return false;
}
#endif

static bool set_protocol(struct dtls_context *context, bool keys, bool certificates, struct tls_error *error)
{
    return ((context->versions & DTLS_1_2) == 0 || set_1_2(context, keys, certificates, error)) &&
           ((context->versions & DTLS_1_3) == 0 || set_1_3(context, certificates, error));
}

/* The library's contexts of a listener: one for each version. */
static bool each(struct dtls_context *context,
                 bool (*what)(WOLFSSL_CTX *ctx, const char *file, struct dtls_context *context,
                              struct tls_error *error),
                 const char *file, struct tls_error *error)
{
    return (context->ctx == NULL || what(context->ctx, file, context, error)) &&
           (context->ctx_1_3 == NULL || what(context->ctx_1_3, file, context, error));
}

static bool load_ca(WOLFSSL_CTX *ctx, const char *file, struct dtls_context *context, struct tls_error *error)
{
    (void)context;
    return tls_trust_load_ca(ctx, file, error);
}

static bool load_crl(WOLFSSL_CTX *ctx, const char *file, struct dtls_context *context,
                     struct tls_error *error)
{
    return tls_trust_load_crl(ctx, file, context->own.revoked, error);
}

static bool set_certificates(struct dtls_context *context, const struct dtls_server_settings *settings,
                             struct tls_error *error)
{
    if (settings->certificate_file == NULL)
        return true;
    if (settings->key_file == NULL || settings->client_ca_file == NULL)
        return say(error, "a certificate needs its key and the CA of the clients");
    const char *const files[] = {settings->client_ca_file};
    context->identity = tls_identity_load(settings->certificate_file, settings->key_file, error);
    if (context->identity == NULL || !each(context, load_ca, settings->client_ca_file, error) ||
        !dtls_context_digest(context, NULL, 0, files, 1, error) ||
        !tls_pins_parse(&context->own.pins, settings->pins, error) ||
        !tls_trust_set(&context->own, settings->client_ca_file, settings->ocsp, error))
        return false;
    if (settings->crl_file == NULL)
        return true;
    context->own.revoked = revocations_create();
    if (context->own.revoked == NULL)
        return say(error, "out of memory");
    bool good = each(context, load_crl, settings->crl_file, error);
    revocations_seal(context->own.revoked);
    return good;
}

struct dtls_context *dtls_server_context_create(const struct dtls_server_settings *settings,
                                                struct tls_error *error)
{
    struct dtls_context *context = calloc(1, sizeof(*context));
    error->text[0] = '\0';
    if (context == NULL) {
        say(error, "out of memory");
        return NULL;
    }
    atomic_init(&context->refs, 1);
    context->server = true;
    context->versions = settings->versions == 0 ? DTLS_1_2 : settings->versions;
    context->connection_ids = settings->connection_ids;
    bool keys = settings->psk_file != NULL, certificates = settings->certificate_file != NULL;
    bool good = (context->versions & DTLS_1_3) != 0 && !tls_library_has_dtls13() ? say(error, DTLS_NO_1_3)
                : settings->connection_ids && !tls_library_has_connection_ids()  ? say(error, DTLS_NO_IDS)
                : keys || certificates ? set_protocol(context, keys, certificates, error)
                                       : say(error, "a PSK file or a certificate is needed");
    if (good && keys)
        good = (context->keys = psk_keys_load(settings->psk_file, error)) != NULL;
    if (good && set_certificates(context, settings, error))
        return context;
    dtls_context_unref(context);
    return NULL;
}

/* ---- for sessions ----------------------------------------------------------------------------------------
 */

struct WOLFSSL *dtls_server_context_session(struct dtls_context *context, struct dtls_session *session,
                                            struct tls_failure *failure)
{
    struct dtls_birth *birth = session->birth;
    WOLFSSL *ssl = birth == NULL ? NULL : wolfSSL_new(session->version_1_3 ? context->ctx_1_3 : context->ctx);
    snprintf(failure->reason, sizeof(failure->reason), "out of memory");
    if (ssl == NULL)
        return NULL;
    wolfSSL_set_psk_callback_ctx(ssl, session);
    bool good = wolfSSL_dtls_set_peer(ssl, birth->peer, sizeof(birth->peer)) == WOLFSSL_SUCCESS &&
                (session->version_1_3
                     ? make_session_1_3(session, ssl)
                     : wolfSSL_DTLS_SetCookieSecret(ssl, birth->secret, sizeof(birth->secret)) == 0) &&
                (context->identity == NULL || tls_identity_apply(context->identity, ssl));
    explicit_bzero(birth, sizeof(*birth));
    free(birth);
    session->birth = NULL;
    if (good)
        return ssl;
    wolfSSL_free(ssl);
    return NULL;
}

bool dtls_server_identify(struct dtls_session *session)
{
    tls_peer_unref(session->peer);
#ifdef WOLFSSL_PSK_DHE_ONLY
    /* That a key was found is no proof yet: a second ClientHello may have come without it. */
    session->psk_used = session->psk_used && wolfSSL_psk_proved(session->ssl) == 1;
#endif
    if (session->psk_used) {
        session->peer = tls_peer_of_psk(session->name);
    } else {
        session->peer = session->verification.peer; /* whom tls_verify has found good */
        session->verification.peer = NULL;
    }
    return session->peer != NULL;
}

const struct tls_trust *dtls_context_trust(const struct dtls_context *context)
{
    return context->server                 ? &context->own
           : context->certificates != NULL ? tls_context_trust(context->certificates)
                                           : NULL;
}

const char *dtls_context_refuses(const struct dtls_context *next, const struct dtls_session *session)
{
    const struct dtls_context *own = session->context;
    if (next == NULL || (!session->open && next != own))
        return "its listener is another now";
    if (!dtls_context_speaks(next, session->version_1_3 ? DTLS_1_3 : DTLS_1_2))
        return "its version is not spoken any more";
    if (session->psk_used) {
        const struct psk_key *was = psk_keys_find(own->keys, session->name);
        const struct psk_key *is = next->keys == NULL ? NULL : psk_keys_find(next->keys, session->name);
        return next == own || (was != NULL && is != NULL && psk_key_equal(was, is))
                   ? NULL
                   : "its key is not there any more, or is another";
    }
    if (session->peer == NULL)
        return next == own ? NULL : "its listener is another now";
    if (next->identity == NULL || memcmp(own->trust, next->trust, sizeof(own->trust)) != 0)
        return "the CAs of the listener are others now";
    return tls_trust_judge(&next->own, session->peer).why;
}
