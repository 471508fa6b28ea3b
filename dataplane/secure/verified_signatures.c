/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "dataplane/secure/verified_signatures.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define SETS 4096u
#define WAYS 4u
#define COORDINATE_BYTES 66 /* of P-521 */

struct signature_digest {
    uint8_t at[WC_SHA256_DIGEST_SIZE];
};

static struct {
    pthread_mutex_t lock;
    struct signature_digest good[SETS][WAYS]; /* all zeros: nothing */
    uint8_t next[SETS];                       /* way that the next one of the set takes */
    uint64_t known, added;
    bool registered;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t set_of(const struct signature_digest *digest)
{
    return (uint32_t)(digest->at[0] | digest->at[1] << 8) % SETS;
}

static bool known(const struct signature_digest *digest)
{
    uint32_t set = set_of(digest);
    bool found = false;
    pthread_mutex_lock(&table.lock);
    for (uint32_t i = 0; i < WAYS && !found; i++)
        found = memcmp(&table.good[set][i], digest, sizeof(*digest)) == 0;
    table.known += found;
    pthread_mutex_unlock(&table.lock);
    return found;
}

static void remember(const struct signature_digest *digest)
{
    uint32_t set = set_of(digest);
    pthread_mutex_lock(&table.lock);
    table.good[set][table.next[set]] = *digest;
    table.next[set] = (uint8_t)((table.next[set] + 1) % WAYS);
    table.added++;
    pthread_mutex_unlock(&table.lock);
}

static bool hash_part(wc_Sha256 *hash, const uint8_t *at, word32 n)
{
    return wc_Sha256Update(hash, (const byte *)&n, sizeof(n)) == 0 &&
           (n == 0 || wc_Sha256Update(hash, at, n) == 0);
}

/* Of everything that the answer hangs on, each part behind its length. */
static bool digest_of(const wc_CryptoInfo *info, struct signature_digest *digest)
{
    uint8_t x[COORDINATE_BYTES], y[COORDINATE_BYTES];
    word32 x_bytes = sizeof(x), y_bytes = sizeof(y);
    ecc_key *key = info->pk.eccverify.key;
    int curve = wc_ecc_get_curve_id(key->idx);
    wc_Sha256 hash;
    if (wc_ecc_export_public_raw(key, x, &x_bytes, y, &y_bytes) != 0 || wc_InitSha256(&hash) != 0)
        return false;
    bool good = hash_part(&hash, (const uint8_t *)&curve, sizeof(curve)) && hash_part(&hash, x, x_bytes) &&
                hash_part(&hash, y, y_bytes) &&
                hash_part(&hash, info->pk.eccverify.hash, info->pk.eccverify.hashlen) &&
                hash_part(&hash, info->pk.eccverify.sig, info->pk.eccverify.siglen) &&
                wc_Sha256Final(&hash, digest->at) == 0;
    wc_Sha256Free(&hash);
    return good;
}

static int verify(const wc_CryptoInfo *info)
{
    struct signature_digest digest;
    ecc_key *key = info->pk.eccverify.key;
    if (key == NULL || info->pk.eccverify.res == NULL || !digest_of(info, &digest))
        return CRYPTOCB_UNAVAILABLE;
    if (known(&digest)) {
        *info->pk.eccverify.res = 1;
        return 0;
    }
    int device = key->devId;
    key->devId = INVALID_DEVID; /* by wolfCrypt itself, not by us again */
    int result =
        wc_ecc_verify_hash(info->pk.eccverify.sig, info->pk.eccverify.siglen, info->pk.eccverify.hash,
                           info->pk.eccverify.hashlen, info->pk.eccverify.res, key);
    key->devId = device;
    if (result == 0 && *info->pk.eccverify.res == 1)
        remember(&digest);
    return result;
}

static int on_request(int device, wc_CryptoInfo *info, void *context)
{
    (void)device;
    (void)context;
    return info->algo_type == WC_ALGO_TYPE_PK && info->pk.type == WC_PK_TYPE_ECDSA_VERIFY
               ? verify(info)
               : CRYPTOCB_UNAVAILABLE;
}

int verified_signatures_init(void)
{
    if (table.registered)
        return 0;
    if (wc_CryptoCb_RegisterDevice(VERIFIED_SIGNATURES_DEVICE, on_request, NULL) != 0)
        return -ENOSPC;
    table.registered = true;
#ifdef WC_CRYPTOCB_CERT_DEVICE
    wc_CryptoCb_SetCertDevID(VERIFIED_SIGNATURES_DEVICE);
#endif
    return 0;
}

void verified_signatures_fini(void)
{
    if (!table.registered)
        return;
#ifdef WC_CRYPTOCB_CERT_DEVICE
    wc_CryptoCb_SetCertDevID(INVALID_DEVID);
#endif
    wc_CryptoCb_UnRegisterDevice(VERIFIED_SIGNATURES_DEVICE);
    table.registered = false;
    memset(table.good, 0, sizeof(table.good));
    table.known = table.added = 0;
}

uint64_t verified_signatures_known(void)
{
    pthread_mutex_lock(&table.lock);
    uint64_t n = table.known;
    pthread_mutex_unlock(&table.lock);
    return n;
}

uint64_t verified_signatures_added(void)
{
    pthread_mutex_lock(&table.lock);
    uint64_t n = table.added;
    pthread_mutex_unlock(&table.lock);
    return n;
}
