/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "dataplane/secure/certificate_name.h"
#include "dataplane/secure/peer_share.h"
#include "dataplane/secure/tls_identity.h"
#include "dataplane/secure/tls_trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CA_FILE_MAX (4u * 1024 * 1024)
#define CRL_FILE_MAX (16u * 1024 * 1024)

/* ---- files --------------------------------------------------------------------------------------------- */

bool tls_trust_load_ca(WOLFSSL_CTX *ctx, const char *path, struct tls_error *error)
{
    size_t n;
    uint8_t *pem = tls_read_file(path, CA_FILE_MAX, &n, error);
    if (pem == NULL)
        return false;
    int result = wolfSSL_CTX_load_verify_buffer(ctx, pem, (long)n, WOLFSSL_FILETYPE_PEM);
    free(pem);
    if (result == ASN_AFTER_DATE_E)
        return tls_error_set(error, "%.160s holds a CA certificate that has expired", path);
    if (result != WOLFSSL_SUCCESS)
        return tls_error_set(error, "%.160s does not hold CA certificates in PEM: %.60s", path,
                             wc_GetErrorString(result));
    return true;
}

/* One list in PEM. */
static bool add_list(struct revocations *into, const char *pem, size_t n, struct tls_error *error)
{
    DerBuffer *der = NULL;
    if (wc_PemToDer((const uint8_t *)pem, (long)n, CRL_TYPE, &der, NULL, NULL, NULL) != 0)
        return tls_error_set(error, "holds a list that is not PEM");
    bool good = revocations_add(into, der->buffer, der->length, error);
    if (good && revocations_next_update_s(into) < (int64_t)time(NULL)) /* the library calls it unreadable */
        good = tls_error_set(error, "revocation list is out of date; get a new one");
    wc_FreeDer(&der);
    return good;
}

bool tls_trust_load_crl(WOLFSSL_CTX *ctx, const char *path, struct revocations *into, struct tls_error *error)
{
    static const char begin[] = "-----BEGIN X509 CRL-----";
    static const char end[] = "-----END X509 CRL-----";
    size_t n;
    uint8_t *file = tls_read_file(path, CRL_FILE_MAX, &n, error);
    if (file == NULL)
        return false;
    int loaded = 0;
    int result = wolfSSL_CTX_EnableCRL(ctx, WOLFSSL_CRL_CHECKALL | WOLFSSL_CRL_CHECK);
    const char *at = (const char *)file;
    while (result == WOLFSSL_SUCCESS && (at = strstr(at, begin)) != NULL) {
        const char *stop = strstr(at, end);
        if (stop == NULL)
            break;
        stop += sizeof(end) - 1;
        struct tls_error why;
        if (into != NULL && !add_list(into, at, (size_t)(stop - at), &why)) {
            free(file);
            return tls_error_set(error, "%.100s: %.140s", path, why.text);
        }
        result = wolfSSL_CTX_LoadCRLBuffer(ctx, (const uint8_t *)at, (long)(stop - at), WOLFSSL_FILETYPE_PEM);
        loaded++;
        at = stop;
    }
    free(file);
    if (into != NULL)
        revocations_seal(into);
    if (result != WOLFSSL_SUCCESS)
        return tls_error_set(error, "%.160s holds a revocation list that is not accepted: %.60s", path,
                             wc_GetErrorString(result));
    return loaded > 0 ? true : tls_error_set(error, "%.160s does not hold revocation lists in PEM", path);
}

/* ---- verification -------------------------------------------------------------------------------------- */

/* A trust anchor's signature proves nothing, so its algorithm does not matter. */
static bool self_issued(WOLFSSL_X509 *x509)
{
    char issuer[512];
    char subject[512];
    return wolfSSL_X509_NAME_oneline(wolfSSL_X509_get_issuer_name(x509), issuer, sizeof(issuer)) != NULL &&
           wolfSSL_X509_NAME_oneline(wolfSSL_X509_get_subject_name(x509), subject, sizeof(subject)) != NULL &&
           strcmp(issuer, subject) == 0;
}

static bool weak_signature(const WOLFSSL_BUFFER_INFO *certificate, bool leaf)
{
    WOLFSSL_X509 *x509 = wolfSSL_X509_load_certificate_buffer(certificate->buffer, (int)certificate->length,
                                                              WOLFSSL_FILETYPE_ASN1);
    if (x509 == NULL)
        return true;
    int type = wolfSSL_X509_get_signature_type(x509);
    bool weak = type == CTC_SHAwRSA || type == CTC_SHAwECDSA || type == CTC_SHAwDSA || type == CTC_MD5wRSA ||
                type == CTC_MD2wRSA;
    weak = weak && (leaf || !self_issued(x509));
    wolfSSL_X509_free(x509);
    return weak;
}

/* The library has looked too, but not so closely. */
static bool has_name(const struct tls_trust *trust, const struct der *shown)
{
    struct certificate leaf;
    return trust->server_name == NULL || (certificate_parse(shown->at, shown->left, &leaf) &&
                                          certificate_is_for(&leaf, trust->server_name));
}

/* What is above the certificate, where that matters: with constraints on names, or somebody to ask. */
static struct tls_refusal judge_path(const struct tls_trust *trust, const struct der chain[], uint32_t n,
                                     struct tls_peer *peer)
{
    struct der ours = der_of(trust->issuers, trust->issuers_bytes);
    struct tls_path path;
    if (trust->ocsp.mode != OCSP_OFF || trust->constrained ||
        tls_path_constrained(der_of(NULL, 0), chain, n)) {
        if (!tls_path_find(ours, chain, n, &path))
            return (struct tls_refusal){"certificate's issuer was not shown", TLS_ALERT_UNKNOWN_CA};
        if (!tls_path_names_allowed(&path))
            return (struct tls_refusal){"certificate's name is outside of what its issuer may certify",
                                        TLS_ALERT_BAD_CERTIFICATE};
        tls_trust_status(trust, &path, &peer->status);
    }
    return tls_trust_judge(trust, peer);
}

/* The chain is good: who is it? Without memory it is nobody, and nobody is refused. */
static int note_peer(struct tls_verification *verification, const WOLFSSL_X509_STORE_CTX *store)
{
    struct der chain[TLS_PEER_CHAIN_MAX];
    const uint8_t *der[TLS_PEER_CHAIN_MAX];
    size_t bytes[TLS_PEER_CHAIN_MAX];
    uint32_t n = (uint32_t)store->totalCerts;
    if (n > TLS_PEER_CHAIN_MAX)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        der[i] = store->certs[i].buffer;
        bytes[i] = store->certs[i].length;
        chain[i] = der_of(der[i], bytes[i]);
    }
    tls_peer_unref(verification->peer);
    verification->peer = tls_peer_of_chain(der, bytes, n);
    if (verification->peer == NULL)
        return 0;
    const struct tls_trust *trust = verification->trust;
    if (!verification->peer->may_sign) /* the library asks for it in TLS 1.2 only */
        verification->refusal =
            (struct tls_refusal){"certificate's key may not be used to sign", TLS_ALERT_UNSUPPORTED};
    else if (trust != NULL && !has_name(trust, &chain[0]))
        verification->note = TLS_VERIFY_NOTE_WRONG_NAME;
    else if (trust != NULL)
        verification->refusal = judge_path(trust, chain, n, verification->peer);
    if (verification->note == TLS_VERIFY_NOTE_WRONG_NAME)
        return 0;
    if (verification->refusal.why != NULL)
        verification->note = TLS_VERIFY_NOTE_REFUSED;
    else if (trust != NULL)
        verification->peer = peer_share_take(trust->peers, verification->peer);
    return verification->refusal.why == NULL;
}

static struct tls_refusal judge_status(const struct tls_trust *trust, const struct tls_peer *peer)
{
    int64_t now_s = (int64_t)time(NULL);
    if (peer->status.n == 0 && trust->ocsp.mode == OCSP_HARD)
        return (struct tls_refusal){"certificate's status cannot be asked for", TLS_ALERT_UNKNOWN};
    const char *why = ocsp_chain_refuses(&peer->status, trust->ocsp.mode, now_s);
    bool revoked = ocsp_chain_status(&peer->status, now_s, NULL) == OCSP_REVOKED;
    return (struct tls_refusal){why, revoked ? TLS_ALERT_REVOKED : TLS_ALERT_UNKNOWN};
}

struct tls_refusal tls_trust_judge(const struct tls_trust *trust, const struct tls_peer *peer)
{
    if (revocations_hold(trust->revoked, peer))
        return (struct tls_refusal){"certificate has been revoked", TLS_ALERT_REVOKED};
    if (!tls_pins_fit(&trust->pins, peer))
        return (struct tls_refusal){"certificate's key is not the one that is pinned", TLS_ALERT_UNKNOWN};
    if (trust->ocsp.mode == OCSP_OFF || !peer->has_certificate)
        return (struct tls_refusal){.why = NULL};
    return judge_status(trust, peer);
}

struct tls_status_end tls_trust_status_end(const struct tls_trust *trust, const struct tls_peer *peer,
                                           enum ocsp_status status, int64_t now_s)
{
    struct tls_status_end end = {.refusal = tls_trust_judge(trust, peer)};
    if (status == OCSP_FAILED)
        end.more = ocsp_chain_why(&peer->status, now_s);
    if (status != OCSP_GOOD)
        end.unchecked = end.more != NULL ? end.more : "the responder does not know the certificate";
    return end;
}

struct tls_status_end tls_trust_status_late(const struct tls_trust *trust)
{
    struct tls_status_end end = {.unchecked = "the certificate's status could not be had in time"};
    if (trust->ocsp.mode == OCSP_HARD)
        end.refusal =
            (struct tls_refusal){"certificate's status could not be had in time", TLS_ALERT_UNKNOWN};
    return end;
}

void tls_status_end_tell(const struct tls_status_end *end, bool client, char *out, size_t room)
{
    snprintf(out, room, "%s %s%s%s", client ? "client" : "server", end->refusal.why,
             end->more == NULL ? "" : ": ", end->more == NULL ? "" : end->more);
}

void tls_verification_done(struct tls_verification *verification)
{
    tls_identity_unref(verification->identity);
    verification->identity = NULL;
}

void tls_verification_clear(struct tls_verification *verification)
{
    tls_verification_done(verification);
    tls_peer_unref(verification->peer);
    tls_peer_unref(verification->resumed_peer);
    tls_peer_unref(verification->psk_peer);
    *verification = (struct tls_verification){.trust = NULL};
}

/* Called for each certificate of a chain, the leaf last. */
int tls_verify(int accepted, WOLFSSL_X509_STORE_CTX *store)
{
    struct tls_verification *verification = store->userCtx;
    int at = store->error_depth;
    /* An empty list of TLS 1.2: whether that will do is asked elsewhere. */
    if (accepted && store->totalCerts == 0)
        return 1;
    if (verification != NULL && verification->trust != NULL && verification->trust->keys_only) {
        verification->note = TLS_VERIFY_NOTE_REFUSED;
        verification->refusal =
            (struct tls_refusal){"certificate shown where a pre-shared key is agreed", TLS_ALERT_HANDSHAKE};
        return 0;
    }
    if (!accepted && verification != NULL && verification->error == 0)
        verification->error = store->error;
    if (!accepted || at < 0 || at >= store->totalCerts)
        return 0;
    if (weak_signature(&store->certs[at], at == 0)) {
        if (verification != NULL)
            verification->note = TLS_VERIFY_NOTE_WEAK_SIGNATURE;
        return 0;
    }
    return at > 0 || verification == NULL ? 1 : note_peer(verification, store);
}
