/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes two requests the same to a cache, and what of a response may be kept and served again (E5; RFC
 * 7252 s.5.6, 5.9, 5.10.5, 5.10.6).
 *
 * A key is all of a request that a response may depend on: every option that goes upstream but those marked
 * NoCacheKey and those whose meaning for a cache is ours (ETag, Observe, Hop-Limit, No-Response), so each
 * block of a body and each Accept is kept by itself; of a FETCH its payload too (RFC 8132 s.2.1), which is
 * kept only when request and response are whole, since what a later block means is said by earlier ones.
 * Whose answer it is, is for the caller to add. Only 2.05 for GET and FETCH is kept: errors of a moment ago
 * help nobody. What is kept is a message without token, Max-Age and Observe, which are written when it is
 * served: Max-Age is what is left of it. Pure.
 */
#ifndef POLICY_COAP_CACHE_H
#define POLICY_COAP_CACHE_H

#include "policy/coap/guard.h"

#define COAP_CACHE_KEY_MAX 1280
#define COAP_MAX_AGE_DEFAULT_S 60
#define COAP_ETAG_MAX 8

/* Whether a method's responses are kept at all. */
static inline bool coap_cache_method(uint8_t code)
{
    return code == COAP_GET || code == COAP_FETCH;
}
/* Writes the key of a GET or FETCH as it goes upstream, and how many of its first bytes name the resource
 * alone (all of Uri-Path). The length, or 0 when it has none: another method, or more than fits. */
size_t coap_cache_key(const struct coap_message *request, uint8_t to[COAP_CACHE_KEY_MAX], size_t *resource);
/* The same for any request, of its resource alone: what a change makes stale (s.5.8, 5.9.1). */
size_t coap_cache_resource(const struct coap_message *request, uint8_t to[COAP_CACHE_KEY_MAX]);

/* What a response says of itself. */
struct coap_freshness {
    bool keeps;         /* it may be kept */
    uint32_t max_age_s; /* 0: must be validated before each use */
    uint8_t etag_len;   /* 0: cannot be validated */
    uint8_t etag[COAP_ETAG_MAX];
};
struct coap_freshness coap_cache_freshness(const struct coap_message *response);
/* Whether a request changes its resource when it is answered with this code. */
bool coap_cache_changes(uint8_t method, uint8_t code);

/* Writes what is kept of a response that has passed the guard. Length, or 0 when it does not fit. */
size_t coap_cache_keep(const struct coap_message *response, const struct coap_verdict *verdict, uint8_t *to,
                       size_t room);
/* Whether the request has this ETag, so that 2.03 says enough (s.5.10.6.2). */
bool coap_cache_has_etag(const struct coap_message *request, const uint8_t *etag, uint8_t len);
/* Writes a kept message for a client. `valid`: as 2.03; `observe` < 0: no notification. Length, or 0. */
size_t coap_cache_serve(const struct coap_message *kept, struct bytes token, bool valid, int64_t observe,
                        uint32_t max_age_s, enum coap_type type, uint16_t mid, uint8_t *to, size_t room);

#endif
