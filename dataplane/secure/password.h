/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a password is the one that a stored hash was made of (C2): PBKDF2 with HMAC-SHA-512 (RFC 8018), or
 * one SHA-512 of password and salt. It takes as long as its rounds ask for: never on a worker. The comparison
 * takes the same time wherever hashes differ, and what is computed is wiped. Any thread; knows no user.
 */
#ifndef DATAPLANE_SECURE_PASSWORD_H
#define DATAPLANE_SECURE_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PASSWORD_SALT_MAX 64
#define PASSWORD_HASH_BYTES 64

enum password_scheme {
    PASSWORD_NONE = 0, /* fits nothing */
    PASSWORD_SHA512,
    PASSWORD_PBKDF2_SHA512,
};

struct password_hash {
    enum password_scheme scheme;
    uint32_t rounds; /* of PBKDF2, at least 1 */
    uint8_t salt_len;
    uint8_t salt[PASSWORD_SALT_MAX];
    uint8_t hash[PASSWORD_HASH_BYTES];
};

/* False too when the library fails, and for an empty password. */
bool password_matches(const struct password_hash *stored, const uint8_t *password, size_t n);

#endif
