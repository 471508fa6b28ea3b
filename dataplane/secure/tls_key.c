/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_key.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define RSA_BYTES_MIN 256 /* 2048 bits */
#define EC_BYTES_MIN 32
#define PUBLIC_MAX 1024 /* RSA with 8192 bits */
#define BUCKETS 1024u
#define STACK_BYTES (32u * 1024)

struct tls_key {
    LIST_ENTRY(tls_key) by_public;
    uint32_t refs; /* under `lock`: its owner, and signatures under way */
    bool is_rsa;
    uint8_t *der; /* in secret memory */
    size_t der_bytes;
    size_t public_bytes;
    uint8_t public_half[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(key_list, tls_key) buckets[BUCKETS];

/* ---- all there are ------------------------------------------------------------------------------------- */

/* Its last bytes are as good as any: they are those of a coordinate, or of a product of primes. */
static struct key_list *bucket_of(const uint8_t *public_half, size_t n)
{
    uint32_t at;
    memcpy(&at, public_half + n - sizeof(at), sizeof(at));
    return &buckets[at % BUCKETS];
}

/* A reference. Where several have the same public half, they have the same private one. */
static struct tls_key *find(const uint8_t *public_half, size_t n, bool is_rsa)
{
    struct tls_key *key;
    if (n < sizeof(uint32_t))
        return NULL;
    pthread_mutex_lock(&lock);
    LIST_FOREACH(key, bucket_of(public_half, n), by_public)
    if (key->is_rsa == is_rsa && key->public_bytes == n && memcmp(key->public_half, public_half, n) == 0)
        break;
    if (key != NULL)
        key->refs++;
    pthread_mutex_unlock(&lock);
    return key;
}

static void unref(struct tls_key *key)
{
    pthread_mutex_lock(&lock);
    bool last = --key->refs == 0;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    secret_memory_free(key->der, key->der_bytes);
    free(key);
}

/* What the arithmetic has left on the stack. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t used[STACK_BYTES];
    explicit_bzero(used, sizeof(used));
}

/* ---- making one ---------------------------------------------------------------------------------------- */

/* The public half, computed from the private one: its length, 0 when this is not such a key, -1 when it is
 * too short. (wolfSSL_CTX_check_private_key accepts any EC key in some builds.) */
static int public_of_ec(const uint8_t *der, size_t n, uint8_t *out, word32 room)
{
    ecc_key *key = secret_memory_alloc(sizeof(*key));
    WC_RNG rng;
    word32 at = 0;
    int result = 0;
    if (key == NULL || wc_InitRng(&rng) != 0) {
        secret_memory_free(key, sizeof(*key));
        return 0;
    }
    if (wc_ecc_init(key) == 0) {
        if (wc_EccPrivateKeyDecode(der, &at, key, (word32)n) == 0 &&
            wc_ecc_make_pub_ex(key, NULL, &rng) == 0 && wc_ecc_export_x963(key, out, &room) == 0)
            result = wc_ecc_size(key) < EC_BYTES_MIN ? -1 : (int)room;
        wc_ecc_free(key);
    }
    wc_FreeRng(&rng);
    secret_memory_free(key, sizeof(*key));
    return result;
}

static int public_of_rsa(const uint8_t *der, size_t n, uint8_t *out, word32 room)
{
    RsaKey *key = secret_memory_alloc(sizeof(*key));
    uint8_t exponent[512];
    word32 exponent_bytes = sizeof(exponent);
    word32 at = 0;
    int result = 0;
    if (key == NULL || wc_InitRsaKey(key, NULL) != 0) {
        secret_memory_free(key, sizeof(*key));
        return 0;
    }
    if (wc_RsaPrivateKeyDecode(der, &at, key, (word32)n) == 0 &&
        wc_RsaFlattenPublicKey(key, exponent, &exponent_bytes, out, &room) == 0)
        result = room < RSA_BYTES_MIN ? -1 : (int)room;
    wc_FreeRsaKey(key);
    secret_memory_free(key, sizeof(*key));
    return result;
}

struct tls_key *tls_key_create(const uint8_t *der, size_t n, enum tls_key_trouble *trouble)
{
    uint8_t half[PUBLIC_MAX];
    int bytes = public_of_ec(der, n, half, sizeof(half));
    bool is_rsa = bytes == 0;
    if (is_rsa)
        bytes = public_of_rsa(der, n, half, sizeof(half));
    wipe_stack();
    *trouble = bytes == 0 ? TLS_KEY_UNKNOWN_KIND : bytes < 0 ? TLS_KEY_SHORT : TLS_KEY_NO_MEMORY;
    struct tls_key *key = bytes <= 0 ? NULL : calloc(1, sizeof(*key) + (size_t)bytes);
    if (key == NULL)
        return NULL;
    key->refs = 1;
    key->is_rsa = is_rsa;
    key->der_bytes = n;
    key->der = secret_memory_alloc(n);
    if (key->der == NULL) {
        free(key);
        return NULL;
    }
    memcpy(key->der, der, n);
    key->public_bytes = (size_t)bytes;
    memcpy(key->public_half, half, (size_t)bytes);
    pthread_mutex_lock(&lock);
    LIST_INSERT_HEAD(bucket_of(half, (size_t)bytes), key, by_public);
    pthread_mutex_unlock(&lock);
    *trouble = TLS_KEY_GOOD;
    return key;
}

void tls_key_destroy(struct tls_key *key)
{
    if (key == NULL)
        return;
    pthread_mutex_lock(&lock);
    LIST_REMOVE(key, by_public);
    pthread_mutex_unlock(&lock);
    unref(key);
}

const uint8_t *tls_key_public(const struct tls_key *key, size_t *n)
{
    *n = key->public_bytes;
    return key->public_half;
}

/* ---- signing ------------------------------------------------------------------------------------------- */

static int sign_ec(const struct tls_key *key, wc_CryptoInfo *info)
{
    ecc_key *scratch = secret_memory_alloc(sizeof(*scratch));
    word32 at = 0;
    if (scratch == NULL)
        return MEMORY_E;
    int result = wc_ecc_init(scratch);
    if (result == 0) {
        result = wc_EccPrivateKeyDecode(key->der, &at, scratch, (word32)key->der_bytes);
        if (result == 0)
            result = wc_ecc_sign_hash(info->pk.eccsign.in, info->pk.eccsign.inlen, info->pk.eccsign.out,
                                      info->pk.eccsign.outlen, info->pk.eccsign.rng, scratch);
        wc_ecc_free(scratch);
    }
    secret_memory_free(scratch, sizeof(*scratch));
    return result;
}

static int sign_rsa(const struct tls_key *key, wc_CryptoInfo *info)
{
    RsaKey *scratch = secret_memory_alloc(sizeof(*scratch));
    word32 at = 0;
    if (scratch == NULL)
        return MEMORY_E;
    int result = wc_InitRsaKey(scratch, NULL);
    if (result == 0) {
        result = wc_RsaPrivateKeyDecode(key->der, &at, scratch, (word32)key->der_bytes);
        if (result == 0)
            result = wc_RsaFunction(info->pk.rsa.in, info->pk.rsa.inLen, info->pk.rsa.out,
                                    info->pk.rsa.outLen, info->pk.rsa.type, scratch, info->pk.rsa.rng);
        wc_FreeRsaKey(scratch);
    }
    secret_memory_free(scratch, sizeof(*scratch));
    return result;
}

/* The public half of the key that wolfSSL has; its length, 0: it has none. */
static size_t half_of(const wc_CryptoInfo *info, uint8_t half[PUBLIC_MAX])
{
    word32 n = PUBLIC_MAX;
    if (info->pk.type == WC_PK_TYPE_ECDSA_SIGN)
        return wc_ecc_export_x963(info->pk.eccsign.key, half, &n) == 0 ? n : 0;
    uint8_t exponent[512];
    word32 exponent_bytes = sizeof(exponent);
    return wc_RsaFlattenPublicKey(info->pk.rsa.key, exponent, &exponent_bytes, half, &n) == 0 ? n : 0;
}

int tls_key_on_request(wc_CryptoInfo *info)
{
    uint8_t half[PUBLIC_MAX];
    bool ec = info->pk.type == WC_PK_TYPE_ECDSA_SIGN;
    if (!ec && (info->pk.type != WC_PK_TYPE_RSA || info->pk.rsa.type != RSA_PRIVATE_ENCRYPT))
        return CRYPTOCB_UNAVAILABLE;
    struct tls_key *key = find(half, half_of(info, half), !ec);
    if (key == NULL)
        return CRYPTOCB_UNAVAILABLE;
    int result = ec ? sign_ec(key, info) : sign_rsa(key, info);
    wipe_stack();
    unref(key);
    return result;
}
