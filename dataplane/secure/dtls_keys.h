/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-shared keys: a file of lines "identity:key in hex", for DTLS toward servers and for clients of ours
 * (B2, B3). Immutable once loaded, any thread; keys lie in secret memory.
 */
#ifndef DATAPLANE_SECURE_DTLS_KEYS_H
#define DATAPLANE_SECURE_DTLS_KEYS_H

#include "dataplane/secure/tls_context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DTLS_IDENTITY_MAX 128
#define DTLS_KEY_MAX 64

struct dtls_key {
    char identity[DTLS_IDENTITY_MAX];
    uint8_t key[DTLS_KEY_MAX];
    uint32_t key_len;
    uint32_t line;
};

struct dtls_keys;

/* NULL with file and line of what is wrong; never with any part of a key. */
struct dtls_keys *dtls_keys_load(const char *path, struct tls_error *error);
/* Wiped. NULL is ignored. */
void dtls_keys_destroy(struct dtls_keys *keys);
uint32_t dtls_keys_count(const struct dtls_keys *keys);
/* NULL when there is none of that name. */
const struct dtls_key *dtls_keys_find(const struct dtls_keys *keys, const char *identity);
bool dtls_key_equal(const struct dtls_key *a, const struct dtls_key *b);

#endif
