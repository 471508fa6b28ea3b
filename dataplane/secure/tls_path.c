/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/tls_path.h"

#include "dataplane/secure/certificate_name.h"
#include "dataplane/secure/signature.h"

#include <string.h>

#define CONSTRAINTS_ID 30

static bool issued(const struct certificate *issuer, const struct certificate *of)
{
    return issuer->subject.left == of->issuer.left &&
           memcmp(issuer->subject.at, of->issuer.at, of->issuer.left) == 0 &&
           signature_of_certificate(&of->whole, &issuer->public_key);
}

/* Names may be the same where keys are not. */
static bool find_ours(struct der ours, const struct certificate *of, struct certificate *issuer)
{
    struct der one;
    while (der_take(&ours, DER_SEQUENCE, NULL, &one))
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

bool tls_path_find(struct der ours, const struct der shown[], uint32_t n, struct tls_path *path)
{
    path->n = 0;
    if (n == 0 || n > OCSP_CHAIN_MAX || !certificate_parse(shown[0].at, shown[0].left, &path->of[0]))
        return false;
    for (path->n = 1; path->n <= n; path->n++) {
        const struct certificate *of = &path->of[path->n - 1];
        struct certificate *issuer = &path->of[path->n];
        if (find_ours(ours, of, issuer)) {
            path->n++;
            return true;
        }
        if (!find_shown(shown, n, of, issuer))
            return false;
    }
    return false;
}

bool tls_path_constrained(struct der ours, const struct der shown[], uint32_t n)
{
    struct certificate ca;
    struct der value, one;
    for (uint32_t i = 1; i < n; i++)
        if (!certificate_parse(shown[i].at, shown[i].left, &ca) ||
            certificate_extension(&ca, CONSTRAINTS_ID, &value))
            return true;
    while (der_take(&ours, DER_SEQUENCE, NULL, &one))
        if (!certificate_parse(one.at, one.left, &ca) || certificate_extension(&ca, CONSTRAINTS_ID, &value))
            return true;
    return false;
}

static bool self_issued(const struct certificate *of)
{
    return of->subject.left == of->issuer.left && memcmp(of->subject.at, of->issuer.at, of->issuer.left) == 0;
}

bool tls_path_names_allowed(const struct tls_path *path)
{
    for (uint32_t ca = 1; ca < path->n; ca++)
        for (uint32_t below = 0; below < ca; below++)
            if ((below == 0 || !self_issued(&path->of[below])) &&
                !certificate_name_allowed(&path->of[ca], &path->of[below], below == 0))
                return false;
    return true;
}
