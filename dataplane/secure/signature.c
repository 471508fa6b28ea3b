/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/signature.h>

#include "dataplane/secure/signature.h"

#include <string.h>

#define RSA_BYTES_LEAST 256
#define ECC_BYTES_LEAST 32

struct algorithm {
    uint8_t oid[10];
    uint8_t oid_bytes;
    bool rsa;
    enum wc_HashType hash;
};

/* RFC 5758 section 3.2, RFC 4055 section 5. */
static const struct algorithm algorithms[] = {
    {{0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02}, 8, false, WC_HASH_TYPE_SHA256},
    {{0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03}, 8, false, WC_HASH_TYPE_SHA384},
    {{0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x04}, 8, false, WC_HASH_TYPE_SHA512},
    {{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B}, 9, true, WC_HASH_TYPE_SHA256},
    {{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0C}, 9, true, WC_HASH_TYPE_SHA384},
    {{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0D}, 9, true, WC_HASH_TYPE_SHA512},
};

static const struct algorithm *find_algorithm(struct der identifier)
{
    struct der oid;
    if (!der_take(&identifier, DER_OID, &oid, NULL))
        return NULL;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (oid.left == algorithms[i].oid_bytes && memcmp(oid.at, algorithms[i].oid, oid.left) == 0)
            return &algorithms[i];
    return NULL;
}

static bool rsa_good(const struct algorithm *how, const struct der *data, const struct der *signature,
                     const struct der *public_key)
{
    RsaKey key;
    word32 at = 0;
    if (wc_InitRsaKey(&key, NULL) != 0)
        return false;
    bool good = wc_RsaPublicKeyDecode(public_key->at, &at, &key, (word32)public_key->left) == 0 &&
                wc_RsaEncryptSize(&key) >= RSA_BYTES_LEAST &&
                wc_SignatureVerify(how->hash, WC_SIGNATURE_TYPE_RSA_W_ENC, data->at, (word32)data->left,
                                   signature->at, (word32)signature->left, &key, sizeof(key)) == 0;
    wc_FreeRsaKey(&key);
    return good;
}

static bool ecc_good(const struct algorithm *how, const struct der *data, const struct der *signature,
                     const struct der *public_key)
{
    ecc_key key;
    word32 at = 0;
    if (wc_ecc_init(&key) != 0)
        return false;
    bool good = wc_EccPublicKeyDecode(public_key->at, &at, &key, (word32)public_key->left) == 0 &&
                wc_ecc_size(&key) >= ECC_BYTES_LEAST &&
                wc_SignatureVerify(how->hash, WC_SIGNATURE_TYPE_ECC, data->at, (word32)data->left,
                                   signature->at, (word32)signature->left, &key, sizeof(key)) == 0;
    wc_ecc_free(&key);
    return good;
}

bool signature_good(struct der *body, const struct der *public_key)
{
    struct der data, identifier, bits;
    if (!der_take(body, DER_SEQUENCE, NULL, &data) || !der_take(body, DER_SEQUENCE, &identifier, NULL) ||
        !der_take(body, DER_BIT_STRING, &bits, NULL) || bits.left < 2 || bits.at[0] != 0)
        return false;
    const struct algorithm *how = find_algorithm(identifier);
    struct der signature = der_of(bits.at + 1, bits.left - 1);
    if (how == NULL)
        return false;
    return how->rsa ? rsa_good(how, &data, &signature, public_key)
                    : ecc_good(how, &data, &signature, public_key);
}

bool signature_of_certificate(const struct der *certificate, const struct der *public_key)
{
    struct der all = *certificate;
    struct der body;
    return der_take(&all, DER_SEQUENCE, &body, NULL) && all.left == 0 && signature_good(&body, public_key) &&
           body.left == 0;
}
