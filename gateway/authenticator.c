/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/authenticator.h"

#include "dataplane/secure/secret_memory.h"
#include "dataplane/siphash.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#define WAYS 8U
#define PLACES_LEAST 1024U
#define PLACES_MOST (1U << 22)
#define TEXT_BYTES (sizeof(uint64_t) + sizeof(uint16_t) + USER_NAME_MAX + PASSWORD_BYTES_MAX)

/* What is remembered of one: never {0, 0}, which is an empty place. */
struct place {
    uint64_t mac[2];
};

/* All of it in secret memory, but for the places. */
struct authenticator {
    struct siphash_key key[2];
    struct password_pool *pool;
    uint32_t worker;
    uint32_t buckets;
    uint32_t turn;
    struct place *places;
    struct authenticator_counters counters;
    uint8_t text[TEXT_BYTES]; /* what is hashed is gathered here */
};

static size_t places_bytes(const struct authenticator *a)
{
    return (size_t)a->buckets * WAYS * sizeof(*a->places);
}

struct authenticator *authenticator_create(struct password_pool *pool, uint32_t worker, uint32_t places)
{
    uint32_t n = PLACES_LEAST;
    struct authenticator *a = secret_memory_alloc(sizeof(*a));
    if (a == NULL)
        return NULL;
    while (n < places && n < PLACES_MOST)
        n *= 2;
    a->pool = pool;
    a->worker = worker;
    a->buckets = n / WAYS;
    a->places = mmap(NULL, places_bytes(a), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->places == MAP_FAILED)
        a->places = NULL;
    if (a->places == NULL || getrandom(a->key, sizeof(a->key), 0) != (ssize_t)sizeof(a->key)) {
        authenticator_destroy(a);
        return NULL;
    }
    (void)madvise(a->places, places_bytes(a), MADV_DONTDUMP);
    return a;
}

void authenticator_destroy(struct authenticator *a)
{
    if (a == NULL)
        return;
    if (a->places != NULL)
        munmap(a->places, places_bytes(a));
    secret_memory_free(a, sizeof(*a));
}

/* ---- what is remembered ---------------------------------------------------------------------------------
 */

/* The user's name is at most USER_NAME_MAX bytes, the password PASSWORD_BYTES_MAX: both were looked at. */
static struct place mac_of(struct authenticator *a, uint64_t digest, struct bytes user,
                           const uint8_t *password, size_t password_len)
{
    struct place place;
    size_t n = 0;
    uint16_t user_len = (uint16_t)user.len;
    memcpy(a->text, &digest, sizeof(digest));
    n += sizeof(digest);
    memcpy(a->text + n, &user_len, sizeof(user_len)); /* so that "ab"+"c" is not "a"+"bc" */
    n += sizeof(user_len);
    memcpy(a->text + n, user.at, user.len);
    n += user.len;
    memcpy(a->text + n, password, password_len);
    n += password_len;
    place.mac[0] = siphash_2_4(a->key[0], a->text, n);
    place.mac[1] = siphash_2_4(a->key[1], a->text, n) | 1;
    explicit_bzero(a->text, n);
    return place;
}

static struct place *bucket_of(const struct authenticator *a, const struct place *wanted)
{
    return &a->places[(size_t)(wanted->mac[0] & (a->buckets - 1)) * WAYS];
}

static bool remembers(const struct authenticator *a, const struct place *wanted)
{
    const struct place *bucket = bucket_of(a, wanted);
    bool found = false;
    for (uint32_t i = 0; i < WAYS; i++)
        found |= ((bucket[i].mac[0] ^ wanted->mac[0]) | (bucket[i].mac[1] ^ wanted->mac[1])) == 0;
    return found;
}

static void remember(struct authenticator *a, const struct place *good)
{
    struct place *bucket = bucket_of(a, good);
    struct place *to = &bucket[a->turn++ % WAYS];
    if (remembers(a, good))
        return;
    for (uint32_t i = 0; i < WAYS; i++)
        if (bucket[i].mac[1] == 0)
            to = &bucket[i];
    *to = *good;
}

/* ---- asking ---------------------------------------------------------------------------------------------
 */

static void fill_hash(const struct user *user, struct password_hash *hash)
{
    hash->scheme = user->scheme == USER_PBKDF2_SHA512 ? PASSWORD_PBKDF2_SHA512
                   : user->scheme == USER_SHA512      ? PASSWORD_SHA512
                                                      : PASSWORD_NONE;
    hash->rounds = user->rounds;
    hash->salt_len = user->salt_len;
    memcpy(hash->salt, user->salt, sizeof(hash->salt));
    memcpy(hash->hash, user->hash, sizeof(hash->hash));
}

/* The MAC of a job's credentials comes back with it in `mac`, since the password does not. */
static enum auth_answer submit(struct authenticator *a, const struct ip_address *source,
                               const struct user *user, const struct user *held_against,
                               struct bytes password, const struct place *mac, uint64_t tag)
{
    struct password_job *job = password_pool_take(a->pool, a->worker, source);
    if (job == NULL) {
        a->counters.busy++;
        return AUTH_BUSY;
    }
    job->tag = tag;
    job->digest = user == NULL ? 0 : user_digest(user);
    job->decoy = user == NULL;
    job->mac[0] = mac->mac[0];
    job->mac[1] = mac->mac[1];
    fill_hash(held_against, &job->hash);
    job->password_len = (uint16_t)password.len;
    memcpy(job->password, password.at, password.len);
    a->counters.computed++;
    password_pool_submit(a->pool, job);
    return AUTH_WAITS;
}

enum auth_answer authenticator_ask(struct authenticator *a, const struct ip_address *source,
                                   const struct users *users, struct bytes name, struct bytes password,
                                   uint64_t tag, uint64_t *digest)
{
    if (users_count(users) == 0 || name.len == 0 || name.len > USER_NAME_MAX || password.len == 0 ||
        password.len > PASSWORD_BYTES_MAX) {
        a->counters.refused++;
        return AUTH_REFUSED;
    }
    const struct user *user = users_find(users, name);
    struct place mac = mac_of(a, user == NULL ? 0 : user_digest(user), name, password.at, password.len);
    if (user != NULL && remembers(a, &mac)) {
        a->counters.remembered++;
        *digest = user_digest(user);
        return AUTH_GOOD;
    }
    /* The entry that stands in is always the same for a name, as a real one would be. */
    const struct user *decoy = users_decoy(users, siphash_2_4(a->key[0], name.at, name.len));
    return submit(a, source, user, user == NULL ? decoy : user, password, &mac, tag);
}

bool authenticator_collect(struct authenticator *a, struct auth_verdict *verdict)
{
    struct password_job *job = password_pool_collect(a->pool, a->worker);
    if (job == NULL)
        return false;
    *verdict = (struct auth_verdict){.tag = job->tag, .digest = job->digest, .good = job->good};
    struct place mac = {{job->mac[0], job->mac[1]}};
    if (job->good)
        remember(a, &mac);
    else
        a->counters.refused++;
    password_pool_give_back(a->pool, job);
    return true;
}

const struct authenticator_counters *authenticator_counters(const struct authenticator *a)
{
    return &a->counters;
}
