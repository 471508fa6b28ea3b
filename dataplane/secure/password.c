/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/password.h"

#include "dataplane/secure/tag.h"

#include <limits.h>
#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/pwdbased.h>
#include <wolfssl/wolfcrypt/sha512.h>

static bool pbkdf2(const struct password_hash *stored, const uint8_t *password, size_t n, uint8_t *out)
{
    return stored->rounds <= INT_MAX && wc_PBKDF2(out, password, (int)n, stored->salt, stored->salt_len,
                                                  (int)stored->rounds, PASSWORD_HASH_BYTES, WC_SHA512) == 0;
}

static bool sha512(const struct password_hash *stored, const uint8_t *password, size_t n, uint8_t *out)
{
    wc_Sha512 state;
    if (wc_InitSha512(&state) != 0)
        return false;
    bool good = wc_Sha512Update(&state, password, (word32)n) == 0 &&
                wc_Sha512Update(&state, stored->salt, stored->salt_len) == 0 &&
                wc_Sha512Final(&state, out) == 0;
    wc_Sha512Free(&state);
    explicit_bzero(&state, sizeof(state));
    return good;
}

bool password_matches(const struct password_hash *stored, const uint8_t *password, size_t n)
{
    uint8_t computed[PASSWORD_HASH_BYTES];
    bool good = false;
    if (n == 0 || n > INT_MAX || stored->salt_len > PASSWORD_SALT_MAX)
        return false;
    switch (stored->scheme) {
    case PASSWORD_NONE:
        break;
    case PASSWORD_SHA512:
        good = sha512(stored, password, n, computed);
        break;
    case PASSWORD_PBKDF2_SHA512:
        good = stored->rounds > 0 && pbkdf2(stored, password, n, computed);
        break;
    }
    good = good && !tag_differs(computed, stored->hash, PASSWORD_HASH_BYTES);
    explicit_bzero(computed, sizeof(computed));
    return good;
}
