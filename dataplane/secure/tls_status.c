/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A context's policy on certificate status: who issued which certificate, and whom to ask (B4). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/secure/peer_share.h"
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

bool tls_trust_set(struct tls_trust *trust, const char *ca_file, const struct ocsp_policy *policy,
                   struct tls_error *error)
{
    if (!load_issuers(trust, ca_file, error))
        return false;
    trust->constrained = tls_path_constrained(der_of(trust->issuers, trust->issuers_bytes), NULL, 0);
    if (policy == NULL || policy->mode == OCSP_OFF)
        return true;
    trust->ocsp = *policy;
    trust->ocsp.responder = NULL;
    if (policy->responder != NULL && !ocsp_uri_good(policy->responder))
        return tls_error_set(error, "OCSP responder '%.100s' is not http://HOST[:PORT][/PATH]",
                             policy->responder);
    if (policy->responder != NULL && (trust->ocsp.responder = strdup(policy->responder)) == NULL)
        return tls_error_set(error, "out of memory");
    return true;
}

void tls_trust_clear(struct tls_trust *trust)
{
    revocations_destroy(trust->revoked);
    free(trust->issuers);
    free((char *)(uintptr_t)trust->ocsp.responder);
    peer_share_destroy(trust->peers);
    *trust = (struct tls_trust){.revoked = NULL};
}

/* About the leaf in any case; about a CA when there is whom to ask: one that names nobody is what lists are
 * for. */
static bool wanted(const struct tls_trust *trust, const struct certificate *of, bool leaf)
{
    struct der uri;
    if (leaf)
        return true;
    return !trust->ocsp.leaf_only && (trust->ocsp.responder != NULL || certificate_responder(of, &uri));
}

void tls_trust_status(const struct tls_trust *trust, const struct tls_path *path, struct ocsp_chain *status)
{
    struct ocsp_registry *registry = ocsp_asker_registry(ocsp_asker_shared());
    if (trust->ocsp.mode == OCSP_OFF)
        return;
    for (uint32_t i = 0; i + 1 < path->n; i++) {
        if (!wanted(trust, &path->of[i], i == 0))
            continue;
        struct ocsp_case *c = ocsp_case_of(registry, &path->of[i], &path->of[i + 1], &trust->ocsp);
        if (c == NULL) { /* no memory: nothing can be asked, which is judged */
            ocsp_chain_clear(status);
            return;
        }
        status->of[status->n++] = c;
    }
}
