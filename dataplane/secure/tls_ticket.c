/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/random.h>

#include "dataplane/secure/name_cache.h"
#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_ticket.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 32
#define GCM_IV_BYTES 12
#define GCM_TAG_BYTES 16
#define AAD_BYTES (TLS_TICKET_NAME_BYTES + TLS_TICKET_IV_BYTES)

struct ticket_key {
    bool set;
    int64_t since_s;
    uint8_t name[TLS_TICKET_NAME_BYTES];
    uint8_t key[KEY_BYTES];
};

struct ticket_keys {
    struct ticket_key now;
    struct ticket_key before;
};

struct tls_tickets {
    pthread_mutex_t lock;     /* keys and random numbers */
    struct ticket_keys *keys; /* secret memory */
    WC_RNG rng;
    bool has_rng;
    struct name_cache *peers; /* by the reference in hexadecimal */
};

static void *share_peer(void *peer)
{
    return tls_peer_ref(peer);
}

static void drop_peer(void *peer)
{
    tls_peer_unref(peer);
}

static const struct name_cache_type peer_type = {share_peer, drop_peer};

struct tls_tickets *tls_tickets_create(uint32_t peers)
{
    struct tls_tickets *tickets = calloc(1, sizeof(*tickets));
    if (tickets == NULL)
        return NULL;
    pthread_mutex_init(&tickets->lock, NULL);
    tickets->keys = secret_memory_alloc(sizeof(*tickets->keys));
    tickets->peers = name_cache_create(peers, &peer_type);
    tickets->has_rng = wc_InitRng(&tickets->rng) == 0;
    if (tickets->keys != NULL && tickets->peers != NULL && tickets->has_rng)
        return tickets;
    tls_tickets_destroy(tickets);
    return NULL;
}

void tls_tickets_destroy(struct tls_tickets *tickets)
{
    if (tickets == NULL)
        return;
    if (tickets->has_rng)
        wc_FreeRng(&tickets->rng);
    name_cache_destroy(tickets->peers);
    secret_memory_free(tickets->keys, sizeof(*tickets->keys));
    pthread_mutex_destroy(&tickets->lock);
    free(tickets);
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* Forgets and renews what is due. False when there are no random numbers. Under the lock. */
static bool rotate(struct tls_tickets *tickets, int64_t now_s)
{
    struct ticket_keys *keys = tickets->keys;
    if (keys->now.set && now_s - keys->now.since_s < TLS_TICKET_ROTATE_S)
        return true;
    if (keys->now.set && now_s - keys->now.since_s < 2 * TLS_TICKET_ROTATE_S)
        keys->before = keys->now;
    else
        explicit_bzero(&keys->before, sizeof(keys->before));
    explicit_bzero(&keys->now, sizeof(keys->now));
    if (wc_RNG_GenerateBlock(&tickets->rng, keys->now.name, sizeof(keys->now.name)) != 0 ||
        wc_RNG_GenerateBlock(&tickets->rng, keys->now.key, sizeof(keys->now.key)) != 0)
        return false;
    keys->now.set = true;
    keys->now.since_s = now_s;
    return true;
}

/* Copies the key that a ticket names, when it still counts. Under the lock. */
static bool find_key(const struct tls_tickets *tickets, const uint8_t name[TLS_TICKET_NAME_BYTES],
                     uint8_t key[KEY_BYTES])
{
    const struct ticket_key *all[] = {&tickets->keys->now, &tickets->keys->before};
    for (size_t i = 0; i < 2; i++)
        if (all[i]->set && memcmp(all[i]->name, name, TLS_TICKET_NAME_BYTES) == 0) {
            memcpy(key, all[i]->key, KEY_BYTES);
            return true;
        }
    return false;
}

static void reference_name(const uint8_t reference[TLS_TICKET_EXTRA_BYTES],
                           char name[2 * TLS_TICKET_EXTRA_BYTES + 1])
{
    for (size_t i = 0; i < TLS_TICKET_EXTRA_BYTES; i++)
        snprintf(name + 2 * i, 3, "%02x", reference[i]);
}

static void fill_aad(uint8_t aad[AAD_BYTES], const uint8_t *name, const uint8_t *iv)
{
    memcpy(aad, name, TLS_TICKET_NAME_BYTES);
    memcpy(aad + TLS_TICKET_NAME_BYTES, iv, TLS_TICKET_IV_BYTES);
}

/* ---- tickets ------------------------------------------------------------------------------------------- */

static bool run_gcm(bool seal, const uint8_t key[KEY_BYTES], const uint8_t *name, const uint8_t *iv,
                    uint8_t tag[GCM_TAG_BYTES], uint8_t *p, size_t n)
{
    uint8_t aad[AAD_BYTES];
    Aes aes;
    fill_aad(aad, name, iv);
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) != 0)
        return false;
    int result = wc_AesGcmSetKey(&aes, key, KEY_BYTES);
    if (result == 0 && seal)
        result =
            wc_AesGcmEncrypt(&aes, p, p, (word32)n, iv, GCM_IV_BYTES, tag, GCM_TAG_BYTES, aad, sizeof(aad));
    else if (result == 0)
        result =
            wc_AesGcmDecrypt(&aes, p, p, (word32)n, iv, GCM_IV_BYTES, tag, GCM_TAG_BYTES, aad, sizeof(aad));
    wc_AesFree(&aes);
    return result == 0;
}

bool tls_tickets_seal(struct tls_tickets *tickets, struct tls_peer *peer, int64_t now_s,
                      uint8_t name[TLS_TICKET_NAME_BYTES], uint8_t iv[TLS_TICKET_IV_BYTES],
                      uint8_t mac[TLS_TICKET_MAC_BYTES], uint8_t *state, size_t bytes)
{
    uint8_t key[KEY_BYTES];
    uint8_t *reference = state + bytes;
    memset(reference, 0, TLS_TICKET_EXTRA_BYTES);
    memset(mac, 0, TLS_TICKET_MAC_BYTES);
    if (peer != NULL) {
        char text[2 * TLS_TICKET_EXTRA_BYTES + 1];
        memcpy(reference, peer->fingerprint, TLS_TICKET_EXTRA_BYTES);
        reference_name(reference, text);
        name_cache_put(tickets->peers, text, tls_peer_ref(peer), true);
    }
    pthread_mutex_lock(&tickets->lock);
    bool good = rotate(tickets, now_s) && wc_RNG_GenerateBlock(&tickets->rng, iv, TLS_TICKET_IV_BYTES) == 0;
    if (good) {
        memcpy(name, tickets->keys->now.name, TLS_TICKET_NAME_BYTES);
        memcpy(key, tickets->keys->now.key, KEY_BYTES);
    }
    pthread_mutex_unlock(&tickets->lock);
    good = good && run_gcm(true, key, name, iv, mac, state, bytes + TLS_TICKET_EXTRA_BYTES);
    explicit_bzero(key, sizeof(key));
    return good;
}

bool tls_tickets_open(struct tls_tickets *tickets, int64_t now_s, const uint8_t name[TLS_TICKET_NAME_BYTES],
                      const uint8_t iv[TLS_TICKET_IV_BYTES], const uint8_t mac[TLS_TICKET_MAC_BYTES],
                      uint8_t *state, size_t bytes, struct tls_peer **peer)
{
    static const uint8_t nobody[TLS_TICKET_EXTRA_BYTES];
    uint8_t key[KEY_BYTES];
    uint8_t tag[GCM_TAG_BYTES];
    char text[2 * TLS_TICKET_EXTRA_BYTES + 1];
    *peer = NULL;
    if (bytes <= TLS_TICKET_EXTRA_BYTES)
        return false;
    pthread_mutex_lock(&tickets->lock);
    bool good = rotate(tickets, now_s) && find_key(tickets, name, key);
    pthread_mutex_unlock(&tickets->lock);
    memcpy(tag, mac, sizeof(tag));
    good = good && run_gcm(false, key, name, iv, tag, state, bytes);
    explicit_bzero(key, sizeof(key));
    const uint8_t *reference = state + bytes - TLS_TICKET_EXTRA_BYTES;
    if (!good || memcmp(reference, nobody, TLS_TICKET_EXTRA_BYTES) == 0)
        return good;
    reference_name(reference, text);
    *peer = name_cache_get(tickets->peers, text);
    return *peer != NULL;
}
