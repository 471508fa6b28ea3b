/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include "dataplane/secure/aes_offload.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define SLOTS_MAX 4096u
#define IV_BYTES 12
#define TAG_BYTES 16
#define RANDOM_STORE_BYTES 1024u

struct expanded_key {
    _Alignas(64) struct gcm_key_data expanded;
    uint8_t raw[32];
    int raw_bytes; /* 0: nothing in it */
};

struct key_pair {
    struct expanded_key seal;
    struct expanded_key open;
};

struct aes_offload_cache {
    struct key_pair *pairs;
    uint32_t mask;
};

struct random_store {
    uint8_t bytes[RANDOM_STORE_BYTES];
    uint32_t left;
    uint32_t epoch; /* of the process: a forked child starts with an empty store */
};

static struct {
    IMB_MGR *manager;
    const char *name;
} offload = {NULL, "off"};

static _Thread_local struct key_pair own_pair;
static _Thread_local struct key_pair *pair_in_use;
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
    if (aes == NULL || info->cipher.aesgcm_enc.ivSz != IV_BYTES ||
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

/* 0 when equal; takes the same time wherever they differ. */
static int tags_differ(const uint8_t *a, const uint8_t *b)
{
    uint8_t difference = 0;
    for (int i = 0; i < TAG_BYTES; i++)
        difference |= (uint8_t)(a[i] ^ b[i]);
    return difference;
}

static int open_sealed(wc_CryptoInfo *info)
{
    Aes *aes = info->cipher.aesgcm_dec.aes;
    word32 n = info->cipher.aesgcm_dec.sz;
    word32 aad_bytes = info->cipher.aesgcm_dec.authInSz;
    if (aes == NULL || info->cipher.aesgcm_dec.ivSz != IV_BYTES ||
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
    if (tags_differ(tag, info->cipher.aesgcm_dec.authTag) == 0)
        return 0;
    explicit_bzero(out, n); /* nobody may act on what is not authentic */
    return AES_GCM_AUTH_E;
}

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
    if (info->algo_type == WC_ALGO_TYPE_RNG)
        return random_bytes(info->rng.out, info->rng.sz);
    if (info->algo_type == WC_ALGO_TYPE_SEED)
        return fill_from_kernel(info->seed.seed, info->seed.sz);
    return CRYPTOCB_UNAVAILABLE;
}

static const char *choose(IMB_MGR *manager, const char *wanted)
{
    const uint64_t vaes = IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;
    bool automatic = strcmp(wanted, "auto") == 0;
    if ((automatic || strcmp(wanted, "avx512") == 0) &&
        (manager->features & IMB_FEATURE_AVX512_SKX) == IMB_FEATURE_AVX512_SKX) {
        init_mb_mgr_avx512(manager);
        return (manager->features & vaes) == vaes ? "vaes-avx512" : "avx512";
    }
    if ((automatic || strcmp(wanted, "avx2") == 0) && (manager->features & IMB_FEATURE_AVX2) != 0) {
        init_mb_mgr_avx2(manager);
        return "avx2";
    }
    if ((automatic || strcmp(wanted, "sse") == 0) && (manager->features & IMB_FEATURE_AESNI) != 0) {
        init_mb_mgr_sse(manager);
        return "sse";
    }
    return NULL;
}

int aes_offload_init(void)
{
    const char *wanted = getenv("SALLYPORT_AES");
    if (wanted == NULL)
        wanted = "auto";
    if (offload.manager != NULL || strcmp(wanted, "off") == 0)
        return 0;
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (manager == NULL)
        return -ENOMEM;
    const char *name = choose(manager, wanted);
    if (name == NULL || imb_get_errno(manager) != 0) {
        free_mb_mgr(manager);
        return -ENOTSUP;
    }
    static bool fork_known;
    if (!fork_known && pthread_atfork(NULL, NULL, on_fork_child) != 0) {
        free_mb_mgr(manager);
        return -ENOMEM;
    }
    fork_known = true;
    offload.manager = manager;
    offload.name = name;
    if (wc_CryptoCb_RegisterDevice(AES_OFFLOAD_DEVICE, on_request, NULL) != 0) {
        aes_offload_fini();
        return -ENOSPC;
    }
    return 0;
}

void aes_offload_fini(void)
{
    if (offload.manager == NULL)
        return;
    wc_CryptoCb_UnRegisterDevice(AES_OFFLOAD_DEVICE);
    free_mb_mgr(offload.manager);
    offload.manager = NULL;
    offload.name = "off";
    aes_offload_wipe_thread();
}

const char *aes_offload_name(void)
{
    return offload.name;
}

int aes_offload_device(void)
{
    return offload.manager == NULL ? INVALID_DEVID : AES_OFFLOAD_DEVICE;
}

/* ---- the cache ----------------------------------------------------------------------------------------- */

static size_t cache_bytes(const struct aes_offload_cache *cache)
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

size_t aes_offload_cache_bytes(uint32_t sessions)
{
    return slots_for(sessions) * sizeof(struct key_pair);
}

struct aes_offload_cache *aes_offload_cache_create(uint32_t sessions)
{
    if (offload.manager == NULL)
        return NULL;
    struct aes_offload_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return NULL;
    cache->mask = slots_for(sessions) - 1;
    /* Touched as sessions use it; never in a core dump. */
    void *pairs = mmap(NULL, cache_bytes(cache), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pairs == MAP_FAILED || madvise(pairs, cache_bytes(cache), MADV_DONTDUMP) != 0) {
        if (pairs != MAP_FAILED)
            munmap(pairs, cache_bytes(cache));
        free(cache);
        return NULL;
    }
    cache->pairs = pairs;
    return cache;
}

void aes_offload_cache_destroy(struct aes_offload_cache *cache)
{
    if (cache == NULL)
        return;
    pair_in_use = NULL;
    for (uint32_t i = 0; i <= cache->mask; i++)
        aes_offload_forget(cache, i);
    munmap(cache->pairs, cache_bytes(cache));
    free(cache);
}

void aes_offload_use(struct aes_offload_cache *cache, uint32_t index)
{
    pair_in_use = cache == NULL ? NULL : &cache->pairs[index & cache->mask];
}

void aes_offload_forget(struct aes_offload_cache *cache, uint32_t index)
{
    if (cache == NULL)
        return;
    struct key_pair *gone = &cache->pairs[index & cache->mask];
    if (gone->seal.raw_bytes != 0)
        explicit_bzero(&gone->seal, sizeof(gone->seal));
    if (gone->open.raw_bytes != 0)
        explicit_bzero(&gone->open, sizeof(gone->open));
}

void aes_offload_wipe_thread(void)
{
    explicit_bzero(&own_pair, sizeof(own_pair));
    explicit_bzero(&random_store, sizeof(random_store));
}

uint64_t aes_offload_expansions(void)
{
    return atomic_load_explicit(&expansions, memory_order_relaxed);
}
