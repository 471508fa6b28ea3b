/* SPDX-License-Identifier: GPL-2.0-or-later */
/* password.h against what mosquitto_passwd wrote and hashlib computed (C2, RFC 8018 s.5.2). */
#include "dataplane/secure/password.h"

#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct password_hash stored(enum password_scheme scheme, uint32_t rounds, const char *salt,
                                   size_t salt_len, const char *hash)
{
    struct password_hash out = {.scheme = scheme, .rounds = rounds, .salt_len = (uint8_t)salt_len};
    memcpy(out.salt, salt, salt_len);
    for (size_t i = 0; i < sizeof(out.hash); i++) {
        unsigned int byte;
        CU_ASSERT_EQUAL_FATAL(sscanf(hash + 2 * i, "%2x", &byte), 1);
        out.hash[i] = (uint8_t)byte;
    }
    return out;
}

static bool matches(const struct password_hash *hash, const char *password)
{
    return password_matches(hash, (const uint8_t *)password, strlen(password));
}

#define HASH_ONE                                                                                             \
    "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252"                                       \
    "c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce"

static void pbkdf2(void)
{
    struct password_hash hash = stored(PASSWORD_PBKDF2_SHA512, 1, "salt", 4, HASH_ONE);
    CU_ASSERT_TRUE(matches(&hash, "password"));
    static const char *const wrong[] = {"", "passwor", "password ", "Password", "passwordpassword"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        CU_ASSERT_FALSE(matches(&hash, wrong[i]));
    struct password_hash other = hash;
    other.rounds = 2;
    CU_ASSERT_FALSE(matches(&other, "password"));
    other = hash;
    other.salt_len = 3;
    CU_ASSERT_FALSE(matches(&other, "password"));
    for (size_t i = 0; i < sizeof(hash.hash) * 8; i++) { /* every bit counts */
        other = hash;
        other.hash[i / 8] ^= (uint8_t)(1U << i % 8);
        CU_ASSERT_FALSE(matches(&other, "password"));
    }
}

/* SHA-512 of password and salt: "old" with the salt that mosquitto_passwd -H sha512 drew. */
static void one_round(void)
{
    static const uint8_t salt[] = {0xE1, 0xB5, 0x7E, 0x64, 0xC6, 0xC0, 0xDE, 0xB1, 0xD8, 0x35, 0x63, 0xC8};
    struct password_hash hash = stored(PASSWORD_SHA512, 1, (const char *)salt, sizeof(salt),
                                       "01c66c7fc2d84008cdf7e2856c86496640630ffe9b90b17bec5cbadc3949edce"
                                       "2ec962d06782eea57fc0b71e4a9ba4bf6b430df60698ce128dbc90372aa839cf");
    CU_ASSERT_TRUE(matches(&hash, "old"));
    CU_ASSERT_FALSE(matches(&hash, "new"));
    CU_ASSERT_FALSE(matches(&hash, ""));
    hash.scheme = PASSWORD_PBKDF2_SHA512;
    CU_ASSERT_FALSE(matches(&hash, "old"));
}

static void never(void)
{
    struct password_hash hash = stored(PASSWORD_PBKDF2_SHA512, 1, "salt", 4, HASH_ONE);
    hash.scheme = PASSWORD_NONE;
    CU_ASSERT_FALSE(matches(&hash, "password"));
    hash.scheme = PASSWORD_PBKDF2_SHA512;
    hash.rounds = 0;
    CU_ASSERT_FALSE(matches(&hash, "password"));
    hash.rounds = UINT32_MAX;
    CU_ASSERT_FALSE(matches(&hash, "password"));
    hash.rounds = 1;
    hash.salt_len = PASSWORD_SALT_MAX + 1;
    CU_ASSERT_FALSE(matches(&hash, "password"));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"PBKDF2 with HMAC-SHA-512 (RFC 8018 s.5.2)", pbkdf2},
        {"one SHA-512", one_round},
        {"what never fits", never},
    };
    return unit_run("password", tests, COUNT(tests));
}
