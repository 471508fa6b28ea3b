/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Responses of CoAP upstreams that are served again (E5): the store behind policy/coap/cache.h.
 *
 * An entry is found by its whole key, which begins with the upstream and, unless a rule shares it, with whose
 * answer it is: nobody is served what another was authorised for. When a resource was last changed is
 * remembered apart, for as many of them as there is room; what was kept before that is not fresh, however
 * many have it, and what was kept before a change that had to be forgotten is not either. Bounded in entries
 * and bytes; who was used longest ago makes room. Memory is the relays' pool of buffers. One per worker, no
 * locks.
 */
#ifndef GATEWAY_COAP_CACHE_H
#define GATEWAY_COAP_CACHE_H

#include "dataplane/siphash.h"
#include "gateway/packet_buffer.h"
#include "policy/coap/cache.h"

#include <sys/queue.h>

#define COAP_CACHE_SCOPE_MAX 136
#define COAP_CACHE_NAME_MAX (COAP_CACHE_SCOPE_MAX + COAP_CACHE_KEY_MAX)

struct coap_cache;

/* What a response is kept under. */
struct coap_cache_name {
    uint64_t resource; /* digest */
    uint64_t whole;    /* likewise */
    size_t len;        /* 0: it is not kept */
    uint8_t bytes[COAP_CACHE_NAME_MAX];
};

struct coap_cached {
    TAILQ_ENTRY(coap_cached) by_use;
    uint64_t resource;
    uint64_t whole;
    uint64_t kept_us; /* or validated */
    uint64_t fresh_until_us;
    uint8_t *bytes; /* the name, and behind it the message */
    uint32_t next;
    uint16_t name_len;
    uint16_t message_len;
    uint8_t etag_len;
    uint8_t etag[COAP_ETAG_MAX];
};

struct coap_cache *coap_cache_create(uint32_t entries, struct packet_buffers *buffers,
                                     struct siphash_key key);
void coap_cache_destroy(struct coap_cache *cache);
/* The name of a request as it goes to `upstream` (a digest) for `identity`; "" when it is shared. */
void coap_cache_name(const struct coap_cache *cache, uint64_t upstream, const char *identity,
                     const struct coap_message *request, struct coap_cache_name *name);
/* NULL when there is none. It stays until the next put or change. */
struct coap_cached *coap_cache_find(struct coap_cache *cache, const struct coap_cache_name *name);
/* Keeps a message (of coap_cache_keep) under a name, in the place of what was there; `limit_bytes`: of all
 * that is kept. */
void coap_cache_put(struct coap_cache *cache, const struct coap_cache_name *name, const uint8_t *message,
                    size_t n, const struct coap_freshness *freshness, uint64_t limit_bytes, uint64_t now_us);
/* 2.03 said that it still holds. */
void coap_cache_renew(struct coap_cached *entry, uint32_t max_age_s, uint64_t now_us);
/* A resource was changed through us: what is kept of it is not fresh any more, whoever's it is. */
void coap_cache_changed(struct coap_cache *cache, uint64_t upstream, const struct coap_message *request,
                        uint64_t now_us);
/* The message of an entry, parsed; seconds that are left of its Max-Age. */
void coap_cached_message(const struct coap_cached *entry, struct coap_message *out);
uint32_t coap_cached_left_s(const struct coap_cached *entry, uint64_t now_us);
uint64_t coap_cache_bytes(const struct coap_cache *cache);

#endif
