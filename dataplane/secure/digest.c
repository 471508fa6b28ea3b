/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/digest.h"

#include <stdint.h>
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/sha256.h>

/* One call of the library takes 32 bits of length. */
#define STEP ((size_t)1 << 30)

static int sum(wc_Sha256 *sha, const uint8_t *bytes, size_t n, uint8_t digest[WC_SHA256_DIGEST_SIZE])
{
    for (size_t at = 0; at < n;) {
        size_t step = n - at < STEP ? n - at : STEP;
        int result = wc_Sha256Update(sha, bytes + at, (word32)step);
        if (result != 0)
            return result;
        at += step;
    }
    return wc_Sha256Final(sha, digest);
}

void digest_sha256(const void *bytes, size_t n, char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    wc_Sha256 sha;
    hex[0] = '\0';
    if (wc_InitSha256(&sha) != 0)
        return;
    if (sum(&sha, bytes, n, digest) == 0) {
        for (size_t i = 0; i < sizeof(digest); i++) {
            hex[2 * i] = digits[digest[i] >> 4];
            hex[2 * i + 1] = digits[digest[i] & 15];
        }
        hex[2 * sizeof(digest)] = '\0';
    }
    wc_Sha256Free(&sha);
}
