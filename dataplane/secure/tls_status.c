/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A context's policy on certificate status: who issued which certificate, and whom to ask (B4). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/secure/peer_share.h"
#include "dataplane/secure/signature.h"
#include "dataplane/secure/tls_identity.h"
#include "dataplane/secure/tls_trust.h"

#include <stdlib.h>
#include <string.h>

#define CA_FILE_MAX (4u * 1024 * 1024)

/* All certificates of a PEM file as DER, which is shorter. */
static bool load_issuers(struct tls_trust *trust, const char *path, struct tls_error *error)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    size_t n;
    uint8_t *pem = tls_read_file(path, CA_FILE_MAX, &n, error);
    if (pem == NULL)
        return false;
    trust->issuers = malloc(n + 1);
    bool good = trust->issuers != NULL;
    for (const char *at = (const char *)pem; good && (at = strstr(at, begin)) != NULL; at += sizeof(begin)) {
        DerBuffer *der = NULL;
        long left = (long)(n - (size_t)(at - (const char *)pem));
        good = wc_PemToDer((const uint8_t *)at, left, CERT_TYPE, &der, NULL, NULL, NULL) == 0 &&
               der->length <= n - trust->issuers_bytes;
        if (good) {
            memcpy(trust->issuers + trust->issuers_bytes, der->buffer, der->length);
            trust->issuers_bytes += der->length;
        }
        wc_FreeDer(&der);
    }
    free(pem);
    return good || tls_error_set(error, "%.160s does not hold CA certificates in PEM", path);
}

bool tls_trust_set_ocsp(struct tls_trust *trust, const struct ocsp_policy *policy, const char *ca_file,
                        struct tls_error *error)
{
    if (policy == NULL || policy->mode == OCSP_OFF)
        return true;
    trust->ocsp = *policy;
    trust->ocsp.responder = NULL;
    if (policy->responder != NULL && !ocsp_uri_good(policy->responder))
        return tls_error_set(error, "OCSP responder '%.100s' is not http://HOST[:PORT][/PATH]",
                             policy->responder);
    if (policy->responder != NULL && (trust->ocsp.responder = strdup(policy->responder)) == NULL)
        return tls_error_set(error, "out of memory");
    return load_issuers(trust, ca_file, error);
}

void tls_trust_clear(struct tls_trust *trust)
{
    revocations_destroy(trust->revoked);
    free(trust->issuers);
    free((char *)(uintptr_t)trust->ocsp.responder);
    peer_share_destroy(trust->peers);
    *trust = (struct tls_trust){.revoked = NULL};
}

/* ---- the way up ---------------------------------------------------------------------------------------- */

static bool issued(const struct certificate *issuer, const struct certificate *leaf)
{
    return issuer->subject.left == leaf->issuer.left &&
           memcmp(issuer->subject.at, leaf->issuer.at, leaf->issuer.left) == 0 &&
           signature_of_certificate(&leaf->whole, &issuer->public_key);
}

/* Names may be the same where keys are not. */
static bool find_among_ours(const struct tls_trust *trust, const struct certificate *of,
                            struct certificate *issuer)
{
    struct der all = der_of(trust->issuers, trust->issuers_bytes);
    struct der one;
    while (der_take(&all, DER_SEQUENCE, NULL, &one))
        if (certificate_parse(one.at, one.left, issuer) && issued(issuer, of))
            return true;
    return false;
}

static bool find_shown(const struct der shown[], uint32_t n, const struct certificate *of,
                       struct certificate *issuer)
{
    for (uint32_t i = 1; i < n; i++)
        if (certificate_parse(shown[i].at, shown[i].left, issuer) && issued(issuer, of))
            return true;
    return false;
}

/* About the leaf in any case; about a CA when there is whom to ask: one that names nobody is what lists are
 * for. */
static bool add_case(const struct tls_trust *trust, const struct certificate *of,
                     const struct certificate *issuer, struct ocsp_chain *status)
{
    struct der uri;
    if (status->n > 0 &&
        (trust->ocsp.leaf_only || (trust->ocsp.responder == NULL && !certificate_responder(of, &uri))))
        return true;
    if (status->n == OCSP_CHAIN_MAX)
        return false;
    struct ocsp_case *c = ocsp_case_of(ocsp_asker_registry(ocsp_asker_shared()), of, issuer, &trust->ocsp);
    if (c != NULL)
        status->of[status->n++] = c;
    return c != NULL;
}

bool tls_trust_status(const struct tls_trust *trust, const struct der shown[], uint32_t n,
                      struct ocsp_chain *status)
{
    struct certificate of, issuer;
    if (trust->ocsp.mode == OCSP_OFF)
        return true;
    if (n == 0 || !certificate_parse(shown[0].at, shown[0].left, &of))
        return false;
    /* What a CA of ours has issued ends the way, whatever else was shown. */
    for (uint32_t i = 0; i < n; i++) {
        bool ours = find_among_ours(trust, &of, &issuer);
        if (!ours && !find_shown(shown, n, &of, &issuer))
            return false;
        if (!add_case(trust, &of, &issuer, status)) { /* no memory: nothing can be asked, which is judged */
            ocsp_chain_clear(status);
            return true;
        }
        if (ours)
            return true;
        of = issuer;
    }
    return false;
}
