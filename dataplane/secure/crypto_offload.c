/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include "dataplane/secure/crypto_offload.h"

#include "dataplane/secure/chacha_offload.h"
#include "dataplane/secure/tag.h"
#include "dataplane/secure/tls_key.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

/* Two kilobytes each: as many as are busy at a time, not as many as there are. */
#define SLOTS_MAX 1024u
#define IV_BYTES 12
#define TAG_BYTES 16
#define RANDOM_STORE_BYTES 1024u
/*
 * ChaCha20-Poly1305 records up to these many bytes are quicker by libipsec-mb 1.3 than by wolfCrypt. With
 * AVX-512 all are: 161 ns against 315 for 64 bytes, 2.7 us against 7.2 for 16 KiB. With AVX2 16 KiB take 8.5
 * us. Never with SSE, where it reads up to 14 bytes past the end of a text.
 */
#define CHACHA_AVX512_BYTES UINT32_MAX
#define CHACHA_AVX2_BYTES 768u
#define CHACHA_SSE_BYTES 0u

struct expanded_key {
    _Alignas(64) struct gcm_key_data expanded;
    uint8_t raw[32];
    int raw_bytes; /* 0: nothing in it */
};

struct key_pair {
    struct expanded_key seal;
    struct expanded_key open;
};

struct crypto_offload_cache {
    struct key_pair *pairs;
    IMB_MGR *jobs; /* for ChaCha20-Poly1305; NULL: wolfCrypt does it */
    uint32_t mask;
};

struct random_store {
    uint8_t bytes[RANDOM_STORE_BYTES];
    uint32_t left;
    uint32_t epoch; /* of the process: a forked child starts with an empty store */
};

/* How far the instructions of a processor go. */
struct instructions {
    const char *name;
    const char *wanted_as;
    uint64_t needs; /* IMB_FEATURE_* */
    void (*set_up)(IMB_MGR *manager);
    uint32_t chacha_bytes; /* longest ChaCha20-Poly1305 record that is quicker so; 0: never so */
};

static struct {
    bool registered;
    IMB_MGR *manager; /* NULL: wolfCrypt does all records */
    const struct instructions *by;
    uint32_t chacha_bytes; /* the longest that is taken; 0: none */
    char text[96];
} offload;

static _Thread_local struct key_pair own_pair;
static _Thread_local struct key_pair *pair_in_use;
static _Thread_local IMB_MGR *jobs_in_use;
static _Thread_local uint64_t chacha_records;
static _Thread_local struct random_store random_store;
static uint32_t process_epoch = 1;
static atomic_uint_fast64_t expansions;

/* ---- AES-GCM ------------------------------------------------------------------------------------------- */

static struct expanded_key *key_for(struct expanded_key *key, const Aes *aes)
{
    if (key->raw_bytes == aes->keylen && memcmp(key->raw, aes->devKey, (size_t)aes->keylen) == 0)
        return key;
    switch (aes->keylen) {
    case 16:
        IMB_AES128_GCM_PRE(offload.manager, aes->devKey, &key->expanded);
        break;
    case 24:
        IMB_AES192_GCM_PRE(offload.manager, aes->devKey, &key->expanded);
        break;
    case 32:
        IMB_AES256_GCM_PRE(offload.manager, aes->devKey, &key->expanded);
        break;
    default:
        return NULL;
    }
    memcpy(key->raw, aes->devKey, (size_t)aes->keylen);
    key->raw_bytes = aes->keylen;
    atomic_fetch_add_explicit(&expansions, 1, memory_order_relaxed);
    return key;
}

static struct key_pair *pair(void)
{
    return pair_in_use == NULL ? &own_pair : pair_in_use;
}

/* wolfCrypt has checked that a length without a pointer cannot be; libipsec-mb wants none of the pointers to
 * be NULL. */
static const uint8_t *not_null(const uint8_t *p)
{
    static const uint8_t nothing[1];
    return p == NULL ? nothing : p;
}

static int seal(wc_CryptoInfo *info)
{
    Aes *aes = info->cipher.aesgcm_enc.aes;
    word32 n = info->cipher.aesgcm_enc.sz;
    word32 aad_bytes = info->cipher.aesgcm_enc.authInSz;
    if (offload.manager == NULL || aes == NULL || info->cipher.aesgcm_enc.ivSz != IV_BYTES ||
        info->cipher.aesgcm_enc.authTagSz != TAG_BYTES || n == 0)
        return CRYPTOCB_UNAVAILABLE;
    struct expanded_key *key = key_for(&pair()->seal, aes);
    if (key == NULL)
        return CRYPTOCB_UNAVAILABLE;
    struct gcm_context_data state;
    uint8_t *out = info->cipher.aesgcm_enc.out;
    const uint8_t *in = info->cipher.aesgcm_enc.in;
    const uint8_t *iv = info->cipher.aesgcm_enc.iv;
    const uint8_t *aad = not_null(info->cipher.aesgcm_enc.authIn);
    uint8_t *tag = info->cipher.aesgcm_enc.authTag;
    if (aes->keylen == 16)
        IMB_AES128_GCM_ENC(offload.manager, &key->expanded, &state, out, in, n, iv, aad, aad_bytes, tag,
                           TAG_BYTES);
    else if (aes->keylen == 24)
        IMB_AES192_GCM_ENC(offload.manager, &key->expanded, &state, out, in, n, iv, aad, aad_bytes, tag,
                           TAG_BYTES);
    else
        IMB_AES256_GCM_ENC(offload.manager, &key->expanded, &state, out, in, n, iv, aad, aad_bytes, tag,
                           TAG_BYTES);
    return 0;
}

static int open_sealed(wc_CryptoInfo *info)
{
    Aes *aes = info->cipher.aesgcm_dec.aes;
    word32 n = info->cipher.aesgcm_dec.sz;
    word32 aad_bytes = info->cipher.aesgcm_dec.authInSz;
    if (offload.manager == NULL || aes == NULL || info->cipher.aesgcm_dec.ivSz != IV_BYTES ||
        info->cipher.aesgcm_dec.authTagSz != TAG_BYTES || n == 0)
        return CRYPTOCB_UNAVAILABLE;
    struct expanded_key *key = key_for(&pair()->open, aes);
    if (key == NULL)
        return CRYPTOCB_UNAVAILABLE;
    struct gcm_context_data state;
    uint8_t tag[TAG_BYTES];
    uint8_t *out = info->cipher.aesgcm_dec.out;
    const uint8_t *in = info->cipher.aesgcm_dec.in;
    const uint8_t *iv = info->cipher.aesgcm_dec.iv;
    const uint8_t *aad = not_null(info->cipher.aesgcm_dec.authIn);
    if (aes->keylen == 16)
        IMB_AES128_GCM_DEC(offload.manager, &key->expanded, &state, out, in, n, iv, aad, aad_bytes, tag,
                           TAG_BYTES);
    else if (aes->keylen == 24)
        IMB_AES192_GCM_DEC(offload.manager, &key->expanded, &state, out, in, n, iv, aad, aad_bytes, tag,
                           TAG_BYTES);
    else
        IMB_AES256_GCM_DEC(offload.manager, &key->expanded, &state, out, in, n, iv, aad, aad_bytes, tag,
                           TAG_BYTES);
    if (!tag_differs(tag, info->cipher.aesgcm_dec.authTag, TAG_BYTES))
        return 0;
    explicit_bzero(out, n); /* nobody may act on what is not authentic */
    return AES_GCM_AUTH_E;
}

/* ---- ChaCha20-Poly1305 --------------------------------------------------------------------------------- */

#ifdef WC_CRYPTOCB_CHACHAPOLY
#define ASKED_FOR_CHACHA true

static bool takes_chacha(word32 bytes)
{
    return jobs_in_use != NULL && bytes > 0 && bytes <= offload.chacha_bytes;
}

static int seal_chacha(const wc_CryptoInfo *info)
{
    struct chacha_record record = {.key = info->cipher.chachapoly_enc.key,
                                   .nonce = info->cipher.chachapoly_enc.nonce,
                                   .aad = not_null(info->cipher.chachapoly_enc.authIn),
                                   .aad_bytes = info->cipher.chachapoly_enc.authInSz,
                                   .in = info->cipher.chachapoly_enc.in,
                                   .out = info->cipher.chachapoly_enc.out,
                                   .bytes = info->cipher.chachapoly_enc.sz};
    if (!takes_chacha(info->cipher.chachapoly_enc.sz))
        return CRYPTOCB_UNAVAILABLE;
    chacha_records++;
    return chacha_offload_seal(jobs_in_use, &record, info->cipher.chachapoly_enc.authTag) ? 0 : BAD_STATE_E;
}

static int open_chacha(const wc_CryptoInfo *info)
{
    struct chacha_record record = {.key = info->cipher.chachapoly_dec.key,
                                   .nonce = info->cipher.chachapoly_dec.nonce,
                                   .aad = not_null(info->cipher.chachapoly_dec.authIn),
                                   .aad_bytes = info->cipher.chachapoly_dec.authInSz,
                                   .in = info->cipher.chachapoly_dec.in,
                                   .out = info->cipher.chachapoly_dec.out,
                                   .bytes = info->cipher.chachapoly_dec.sz};
    if (!takes_chacha(info->cipher.chachapoly_dec.sz))
        return CRYPTOCB_UNAVAILABLE;
    chacha_records++;
    return chacha_offload_open(jobs_in_use, &record, info->cipher.chachapoly_dec.authTag) ? 0
                                                                                          : MAC_CMP_FAILED_E;
}

static int on_chacha(const wc_CryptoInfo *info)
{
    return info->cipher.enc ? seal_chacha(info) : open_chacha(info);
}
#else
#define ASKED_FOR_CHACHA false

static int on_chacha(const wc_CryptoInfo *info)
{
    (void)info;
    return CRYPTOCB_UNAVAILABLE;
}
#endif

/* ---- random bytes -------------------------------------------------------------------------------------- */

static void on_fork_child(void)
{
    process_epoch++;
}

static int fill_from_kernel(uint8_t *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return RNG_FAILURE_E;
        out += got;
        n -= (size_t)got;
    }
    return 0;
}

static int random_bytes(uint8_t *out, size_t n)
{
    struct random_store *store = &random_store;
    if (n > RANDOM_STORE_BYTES / 4)
        return fill_from_kernel(out, n);
    if (store->epoch != process_epoch || store->left < n) {
        int bad = fill_from_kernel(store->bytes, sizeof(store->bytes));
        if (bad != 0)
            return bad;
        store->left = sizeof(store->bytes);
        store->epoch = process_epoch;
    }
    uint8_t *from = store->bytes + sizeof(store->bytes) - store->left;
    memcpy(out, from, n);
    explicit_bzero(from, n);
    store->left -= (uint32_t)n;
    return 0;
}

/* ---- the device ---------------------------------------------------------------------------------------- */

static int on_request(int device, wc_CryptoInfo *info, void *context)
{
    (void)device;
    (void)context;
    if (info->algo_type == WC_ALGO_TYPE_CIPHER && info->cipher.type == WC_CIPHER_AES_GCM)
        return info->cipher.enc ? seal(info) : open_sealed(info);
    if (info->algo_type == WC_ALGO_TYPE_CIPHER && info->cipher.type == WC_CIPHER_CHACHA)
        return on_chacha(info);
    if (info->algo_type == WC_ALGO_TYPE_PK)
        return tls_key_on_request(info);
    if (info->algo_type == WC_ALGO_TYPE_RNG)
        return random_bytes(info->rng.out, info->rng.sz);
    if (info->algo_type == WC_ALGO_TYPE_SEED)
        return fill_from_kernel(info->seed.seed, info->seed.sz);
    return CRYPTOCB_UNAVAILABLE;
}

/* Best first. */
static const struct instructions known[] = {
    {"vaes-avx512", "avx512", IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ,
     init_mb_mgr_avx512, CHACHA_AVX512_BYTES},
    {"avx512", "avx512", IMB_FEATURE_AVX512_SKX | IMB_FEATURE_AESNI, init_mb_mgr_avx512, CHACHA_AVX512_BYTES},
    {"avx2", "avx2", IMB_FEATURE_AVX2 | IMB_FEATURE_AESNI, init_mb_mgr_avx2, CHACHA_AVX2_BYTES},
    {"sse", "sse", IMB_FEATURE_AESNI, init_mb_mgr_sse, CHACHA_SSE_BYTES},
};

static const struct instructions *find_instructions(const IMB_MGR *manager, const char *wanted)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if ((wanted == NULL || strcmp(wanted, known[i].wanted_as) == 0) &&
            (manager->features & known[i].needs) == known[i].needs)
            return &known[i];
    return NULL;
}

static void use_wolfcrypt(void)
{
    if (offload.manager != NULL)
        free_mb_mgr(offload.manager);
    offload.manager = NULL;
    offload.by = NULL;
    offload.chacha_bytes = 0;
    snprintf(offload.text, sizeof(offload.text), "wolfCrypt");
}

static void use_ipsec_mb(IMB_MGR *manager, const struct instructions *by, uint32_t chacha_bytes)
{
    offload.manager = manager;
    offload.by = by;
    offload.chacha_bytes = ASKED_FOR_CHACHA ? chacha_bytes : 0;
    int n = snprintf(offload.text, sizeof(offload.text), "libipsec-mb (%s)", by->name);
    if (offload.chacha_bytes == 0)
        snprintf(offload.text + n, sizeof(offload.text) - (size_t)n, ", ChaCha20-Poly1305 wolfCrypt");
    else if (offload.chacha_bytes != UINT32_MAX)
        snprintf(offload.text + n, sizeof(offload.text) - (size_t)n,
                 ", ChaCha20-Poly1305 of more than %u bytes wolfCrypt", offload.chacha_bytes);
}

int crypto_offload_choose(enum crypto_engine engine, const char *instructions)
{
    use_wolfcrypt();
    if (engine == CRYPTO_ENGINE_WOLFCRYPT)
        return 0;
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (manager == NULL)
        return -ENOMEM;
    const struct instructions *by = find_instructions(manager, instructions);
    if (by != NULL)
        by->set_up(manager);
    if (by == NULL || imb_get_errno(manager) != 0) {
        free_mb_mgr(manager);
        return engine == CRYPTO_ENGINE_AUTO ? 0 : -ENOTSUP;
    }
    bool all = engine == CRYPTO_ENGINE_IPSEC_MB && by->chacha_bytes > 0;
    use_ipsec_mb(manager, by, all ? UINT32_MAX : by->chacha_bytes);
    return 0;
}

int crypto_offload_init(void)
{
    if (offload.registered)
        return 0;
    static bool fork_known;
    if (!fork_known && pthread_atfork(NULL, NULL, on_fork_child) != 0)
        return -ENOMEM;
    fork_known = true;
    if (wc_CryptoCb_RegisterDevice(CRYPTO_OFFLOAD_DEVICE, on_request, NULL) != 0)
        return -ENOSPC;
    offload.registered = true;
    int bad = crypto_offload_choose(CRYPTO_ENGINE_AUTO, NULL);
    if (bad != 0)
        crypto_offload_fini();
    return bad;
}

void crypto_offload_fini(void)
{
    if (!offload.registered)
        return;
    wc_CryptoCb_UnRegisterDevice(CRYPTO_OFFLOAD_DEVICE);
    offload.registered = false;
    use_wolfcrypt();
    crypto_offload_wipe_thread();
}

const char *crypto_offload_name(void)
{
    return offload.by == NULL ? "off" : offload.by->name;
}

const char *crypto_offload_text(void)
{
    return offload.text;
}

int crypto_offload_device(void)
{
    return offload.registered ? CRYPTO_OFFLOAD_DEVICE : INVALID_DEVID;
}

/* ---- the cache ----------------------------------------------------------------------------------------- */

static size_t cache_bytes(const struct crypto_offload_cache *cache)
{
    return ((size_t)cache->mask + 1) * sizeof(struct key_pair);
}

static uint32_t slots_for(uint32_t sessions)
{
    uint32_t slots = 1;
    while (slots < sessions && slots < SLOTS_MAX)
        slots *= 2;
    return slots;
}

size_t crypto_offload_cache_bytes(uint32_t sessions)
{
    return slots_for(sessions) * sizeof(struct key_pair);
}

/* A manager of the worker's own, where ChaCha20-Poly1305 is to be done so. False: no memory. */
static bool make_jobs(struct crypto_offload_cache *cache)
{
    if (offload.chacha_bytes == 0)
        return true;
    cache->jobs = alloc_mb_mgr(0);
    if (cache->jobs == NULL)
        return false;
    offload.by->set_up(cache->jobs);
    return imb_get_errno(cache->jobs) == 0;
}

struct crypto_offload_cache *crypto_offload_cache_create(uint32_t sessions)
{
    struct crypto_offload_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return NULL;
    cache->mask = slots_for(sessions) - 1;
    /* Touched as sessions use it; never in a core dump. */
    void *pairs = mmap(NULL, cache_bytes(cache), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cache->pairs = pairs == MAP_FAILED ? NULL : pairs;
    if (cache->pairs == NULL || madvise(pairs, cache_bytes(cache), MADV_DONTDUMP) != 0 || !make_jobs(cache)) {
        crypto_offload_cache_destroy(cache);
        return NULL;
    }
    return cache;
}

void crypto_offload_cache_destroy(struct crypto_offload_cache *cache)
{
    if (cache == NULL)
        return;
    crypto_offload_use(NULL, 0);
    for (uint32_t i = 0; cache->pairs != NULL && i <= cache->mask; i++)
        crypto_offload_forget(cache, i);
    if (cache->pairs != NULL)
        munmap(cache->pairs, cache_bytes(cache));
    if (cache->jobs != NULL)
        free_mb_mgr(cache->jobs);
    free(cache);
}

void crypto_offload_use(struct crypto_offload_cache *cache, uint32_t index)
{
    pair_in_use = cache == NULL ? NULL : &cache->pairs[index & cache->mask];
    jobs_in_use = cache == NULL ? NULL : cache->jobs;
}

void crypto_offload_forget(struct crypto_offload_cache *cache, uint32_t index)
{
    if (cache == NULL)
        return;
    struct key_pair *gone = &cache->pairs[index & cache->mask];
    if (gone->seal.raw_bytes != 0)
        explicit_bzero(&gone->seal, sizeof(gone->seal));
    if (gone->open.raw_bytes != 0)
        explicit_bzero(&gone->open, sizeof(gone->open));
}

void crypto_offload_wipe_thread(void)
{
    explicit_bzero(&own_pair, sizeof(own_pair));
    explicit_bzero(&random_store, sizeof(random_store));
}

uint64_t crypto_offload_expansions(void)
{
    return atomic_load_explicit(&expansions, memory_order_relaxed);
}

uint64_t crypto_offload_chacha_records(void)
{
    return chacha_records;
}
