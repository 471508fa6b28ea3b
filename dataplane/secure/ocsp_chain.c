/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/ocsp_chain.h"

#include "dataplane/secure/ocsp_asker.h"

void ocsp_chain_clear(struct ocsp_chain *chain)
{
    for (uint32_t i = 0; i < chain->n; i++)
        ocsp_case_unref(chain->of[i]);
    chain->n = 0;
}

enum ocsp_status ocsp_chain_status(const struct ocsp_chain *chain, int64_t now_s, uint32_t *which)
{
    static const uint8_t badness[] = {
        [OCSP_GOOD] = 0, [OCSP_UNKNOWN] = 1, [OCSP_FAILED] = 2, [OCSP_NONE] = 3, [OCSP_REVOKED] = 4};
    enum ocsp_status worst = OCSP_GOOD;
    uint32_t at = 0;
    for (uint32_t i = 0; i < chain->n; i++) {
        enum ocsp_status status = ocsp_case_status(chain->of[i], now_s);
        if (badness[status] <= badness[worst])
            continue;
        worst = status;
        at = i;
    }
    if (which != NULL)
        *which = at;
    return worst;
}

const char *ocsp_chain_refuses(const struct ocsp_chain *chain, enum ocsp_mode mode, int64_t now_s)
{
    for (uint32_t i = 0; i < chain->n; i++) {
        const char *why = ocsp_case_refuses(chain->of[i], mode, now_s);
        if (why == NULL)
            continue;
        if (i == 0)
            return why;
        switch (ocsp_case_status(chain->of[i], now_s)) {
        case OCSP_REVOKED:
            return "certificate's issuer has been revoked, says its OCSP responder";
        case OCSP_UNKNOWN:
            return "certificate's issuer is unknown to its OCSP responder";
        case OCSP_FAILED:
        case OCSP_NONE:
        case OCSP_GOOD:
            return "status of the certificate's issuer is not known";
        }
    }
    return NULL;
}

void ocsp_chain_ask(const struct ocsp_chain *chain, struct ocsp_asker *asker, int64_t now_s)
{
    for (uint32_t i = 0; i < chain->n; i++)
        if (ocsp_case_status(chain->of[i], now_s) == OCSP_NONE)
            ocsp_ask(asker, chain->of[i]);
}

void ocsp_chain_renew(const struct ocsp_chain *chain, struct ocsp_asker *asker, int64_t now_s)
{
    for (uint32_t i = 0; i < chain->n; i++)
        if (atomic_load_explicit(&chain->of[i]->due_s, memory_order_relaxed) <= now_s)
            ocsp_ask(asker, chain->of[i]);
}

const char *ocsp_chain_why(const struct ocsp_chain *chain, int64_t now_s)
{
    uint32_t which;
    if (ocsp_chain_status(chain, now_s, &which) != OCSP_FAILED)
        return NULL;
    return atomic_load_explicit(&chain->of[which]->why, memory_order_relaxed);
}
