/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/sha256.h>

#include "dataplane/secure/ocsp_case.h"
#include "dataplane/secure/ocsp_fetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096u
#define CACHE_DEFAULT_S 3600
#define TIMEOUT_DEFAULT_MS 3000
#define CASE_BYTES_MAX                                                                                       \
    8192 /* names and keys of one: certificates hold larger ones, but none that is asked about */

TAILQ_HEAD(case_ages, ocsp_case);
LIST_HEAD(case_bucket, ocsp_case);

struct ocsp_registry {
    pthread_mutex_t lock;
    uint32_t capacity;
    uint32_t n;
    struct case_ages ages; /* longest not met first */
    struct case_bucket buckets[BUCKETS];
};

struct ocsp_registry *ocsp_registry_create(uint32_t capacity)
{
    struct ocsp_registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL)
        return NULL;
    pthread_mutex_init(&registry->lock, NULL);
    registry->capacity = capacity;
    TAILQ_INIT(&registry->ages);
    return registry;
}

struct ocsp_case *ocsp_case_ref(struct ocsp_case *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void ocsp_case_unref(struct ocsp_case *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free(c);
}

static void drop(struct ocsp_registry *registry, struct ocsp_case *c)
{
    TAILQ_REMOVE(&registry->ages, c, by_age);
    LIST_REMOVE(c, by_key);
    registry->n--;
    ocsp_case_unref(c);
}

void ocsp_registry_destroy(struct ocsp_registry *registry)
{
    struct ocsp_case *c;
    if (registry == NULL)
        return;
    while ((c = TAILQ_FIRST(&registry->ages)) != NULL)
        drop(registry, c);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

/* ---- making one ---------------------------------------------------------------------------------------- */

static struct der keep(uint8_t **to, const struct der *from)
{
    struct der kept = der_of(*to, from->left);
    memcpy(*to, from->at, from->left);
    *to += from->left;
    return kept;
}

/* Whatever changes an answer or what is done with it makes another case. */
static bool digest(struct ocsp_case *c)
{
    wc_Sha256 sha;
    const struct der *parts[] = {&c->subject.issuer, &c->subject.issuer_key, &c->subject.serial};
    uint32_t numbers[] = {c->cache_s, c->timeout_ms, c->configured};
    if (wc_InitSha256(&sha) != 0)
        return false;
    for (size_t i = 0; i < 3; i++) {
        uint32_t n = (uint32_t)parts[i]->left;
        wc_Sha256Update(&sha, (const uint8_t *)&n, sizeof(n));
        wc_Sha256Update(&sha, parts[i]->at, n);
    }
    wc_Sha256Update(&sha, (const uint8_t *)numbers, sizeof(numbers));
    wc_Sha256Update(&sha, (const uint8_t *)c->uri, (word32)strlen(c->uri));
    bool good = wc_Sha256Final(&sha, c->key) == 0;
    wc_Sha256Free(&sha);
    return good;
}

static struct ocsp_case *make(const struct certificate *leaf, const struct certificate *issuer,
                              const struct ocsp_policy *policy)
{
    char uri[OCSP_URI_MAX + 1] = "";
    struct der named;
    if (policy->responder != NULL && strlen(policy->responder) < sizeof(uri))
        memcpy(uri, policy->responder, strlen(policy->responder) + 1);
    else if (policy->responder == NULL && certificate_responder(leaf, &named) && named.left < sizeof(uri) &&
             memchr(named.at, 0, named.left) == NULL)
        memcpy(uri, named.at, named.left); /* the rest is zero */
    if (!ocsp_uri_good(uri))
        uri[0] = 0;
    size_t bytes = leaf->issuer.left + issuer->public_key.left + leaf->serial.left + strlen(uri) + 1;
    struct ocsp_case *c = bytes > CASE_BYTES_MAX ? NULL : calloc(1, sizeof(*c) + bytes);
    if (c == NULL)
        return NULL;
    uint8_t *at = c->text;
    atomic_init(&c->refs, 1);
    c->configured = policy->responder != NULL;
    c->cache_s = policy->cache_s == 0 ? CACHE_DEFAULT_S : policy->cache_s;
    c->timeout_ms = policy->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : policy->timeout_ms;
    c->subject.issuer = keep(&at, &leaf->issuer);
    c->subject.issuer_key = keep(&at, &issuer->public_key);
    c->subject.serial = keep(&at, &leaf->serial);
    memcpy(at, uri, strlen(uri) + 1);
    c->uri = (const char *)at;
    if (digest(c))
        return c;
    free(c);
    return NULL;
}

/* The longest not met that nobody holds; some are looked at. */
static void make_room(struct ocsp_registry *registry)
{
    struct ocsp_case *c = TAILQ_FIRST(&registry->ages);
    for (int i = 0; i < 64 && c != NULL && registry->n >= registry->capacity; i++) {
        struct ocsp_case *next = TAILQ_NEXT(c, by_age);
        if (atomic_load_explicit(&c->refs, memory_order_acquire) == 1) {
            drop(registry, c);
        } else {
            TAILQ_REMOVE(&registry->ages, c, by_age);
            TAILQ_INSERT_TAIL(&registry->ages, c, by_age);
        }
        c = next;
    }
}

static struct case_bucket *bucket_of(struct ocsp_registry *registry, const uint8_t *key)
{
    uint32_t at;
    memcpy(&at, key, sizeof(at));
    return &registry->buckets[at % BUCKETS];
}

struct ocsp_case *ocsp_case_of(struct ocsp_registry *registry, const struct certificate *leaf,
                               const struct certificate *issuer, const struct ocsp_policy *policy)
{
    struct ocsp_case *mine = make(leaf, issuer, policy);
    struct ocsp_case *c;
    if (mine == NULL || registry == NULL)
        return mine;
    pthread_mutex_lock(&registry->lock);
    struct case_bucket *bucket = bucket_of(registry, mine->key);
    LIST_FOREACH(c, bucket, by_key)
    if (memcmp(c->key, mine->key, sizeof(c->key)) == 0)
        break;
    if (c != NULL) {
        ocsp_case_ref(c);
        TAILQ_REMOVE(&registry->ages, c, by_age);
        TAILQ_INSERT_TAIL(&registry->ages, c, by_age);
    } else {
        make_room(registry);
        c = ocsp_case_ref(mine);
        LIST_INSERT_HEAD(bucket, c, by_key);
        TAILQ_INSERT_TAIL(&registry->ages, c, by_age);
        registry->n++;
    }
    pthread_mutex_unlock(&registry->lock);
    if (c != mine) {
        ocsp_case_unref(mine);
        return c;
    }
    return mine;
}

/* ---- verdicts ------------------------------------------------------------------------------------------ */

void ocsp_case_settle(struct ocsp_case *c, enum ocsp_status status, int64_t until_s, int64_t due_s,
                      const char *why)
{
    atomic_store_explicit(&c->why, why, memory_order_relaxed);
    atomic_store_explicit(&c->due_s, due_s, memory_order_relaxed);
    atomic_store_explicit(&c->verdict, (uint64_t)until_s << 3 | status, memory_order_release);
}

const char *ocsp_case_refuses(const struct ocsp_case *c, enum ocsp_mode mode, int64_t now_s)
{
    if (mode == OCSP_OFF)
        return NULL;
    switch (ocsp_case_status(c, now_s)) {
    case OCSP_REVOKED:
        return "certificate has been revoked, says its OCSP responder";
    case OCSP_UNKNOWN:
        return mode == OCSP_HARD ? "certificate is unknown to its OCSP responder" : NULL;
    case OCSP_FAILED:
        return mode == OCSP_HARD ? "certificate's status is not known" : NULL;
    case OCSP_NONE:
    case OCSP_GOOD:
        return NULL;
    }
    return NULL;
}

bool ocsp_uri_good(const char *uri)
{
    struct ocsp_uri parts;
    return ocsp_uri_parse(uri, &parts);
}
