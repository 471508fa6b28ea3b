/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A context's policy on certificate status: who issued a certificate, and which case it is (B4). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/secure/signature.h"
#include "dataplane/secure/tls_context_private.h"
#include "dataplane/secure/tls_trust.h"

#include <stdlib.h>
#include <string.h>

#define CA_FILE_MAX (4u * 1024 * 1024)

/* All certificates of a PEM file as DER, which is shorter. */
static bool load_issuers(struct tls_context *context, const char *path, struct tls_error *error)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    size_t n;
    uint8_t *pem = tls_read_file(path, CA_FILE_MAX, &n, error);
    if (pem == NULL)
        return false;
    context->issuers = malloc(n + 1);
    bool good = context->issuers != NULL;
    for (const char *at = (const char *)pem; good && (at = strstr(at, begin)) != NULL; at += sizeof(begin)) {
        DerBuffer *der = NULL;
        long left = (long)(n - (size_t)(at - (const char *)pem));
        good = wc_PemToDer((const uint8_t *)at, left, CERT_TYPE, &der, NULL, NULL, NULL) == 0 &&
               der->length <= n - context->issuers_bytes;
        if (good) {
            memcpy(context->issuers + context->issuers_bytes, der->buffer, der->length);
            context->issuers_bytes += der->length;
        }
        wc_FreeDer(&der);
    }
    free(pem);
    return good || tls_error_set(error, "%.160s does not hold CA certificates in PEM", path);
}

bool tls_context_set_ocsp(struct tls_context *context, const struct ocsp_policy *policy, const char *ca_file,
                          struct tls_error *error)
{
    if (policy == NULL || policy->mode == OCSP_OFF)
        return true;
    context->ocsp = *policy;
    context->ocsp.responder = NULL;
    if (policy->responder != NULL && !ocsp_uri_good(policy->responder))
        return tls_error_set(error, "OCSP responder '%.100s' is not http://HOST[:PORT][/PATH]",
                             policy->responder);
    if (policy->responder != NULL && (context->ocsp.responder = strdup(policy->responder)) == NULL)
        return tls_error_set(error, "out of memory");
    return load_issuers(context, ca_file, error);
}

enum ocsp_mode tls_context_ocsp(const struct tls_context *context)
{
    return context->ocsp.mode;
}

static bool issued(const struct certificate *issuer, const struct certificate *leaf)
{
    return issuer->subject.left == leaf->issuer.left &&
           memcmp(issuer->subject.at, leaf->issuer.at, leaf->issuer.left) == 0 &&
           signature_of_certificate(&leaf->whole, &issuer->public_key);
}

/* Among what the peer has shown, then among the CAs; names may be the same where keys are not. */
static bool find_issuer(const struct tls_context *context, const struct der shown[], uint32_t n,
                        const struct certificate *leaf, struct certificate *issuer)
{
    for (uint32_t i = 1; i < n; i++)
        if (certificate_parse(shown[i].at, shown[i].left, issuer) && issued(issuer, leaf))
            return true;
    struct der all = der_of(context->issuers, context->issuers_bytes);
    struct der one;
    while (der_take(&all, DER_SEQUENCE, NULL, &one))
        if (certificate_parse(one.at, one.left, issuer) && issued(issuer, leaf))
            return true;
    return false;
}

struct ocsp_case *tls_context_case(const struct tls_context *context, const struct der chain[], uint32_t n)
{
    struct certificate leaf, issuer;
    if (context->ocsp.mode == OCSP_OFF || n == 0 || !certificate_parse(chain[0].at, chain[0].left, &leaf) ||
        !find_issuer(context, chain, n, &leaf, &issuer))
        return NULL;
    return ocsp_case_of(ocsp_asker_registry(ocsp_asker_shared()), &leaf, &issuer, &context->ocsp);
}
