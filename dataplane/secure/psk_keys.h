/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-shared keys: a file of lines "identity:key in hex", for TLS and DTLS toward servers and for clients of
 * ours (B2, B3, C1). Immutable once loaded, any thread; keys lie in secret memory.
 */
#ifndef DATAPLANE_SECURE_PSK_KEYS_H
#define DATAPLANE_SECURE_PSK_KEYS_H

#include "dataplane/secure/tls_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PSK_IDENTITY_MAX 128
#define PSK_KEY_MAX 64
#define PSK_MARK_BYTES 16

struct psk_key {
    char identity[PSK_IDENTITY_MAX];
    uint8_t key[PSK_KEY_MAX];
    uint32_t key_len;
    uint32_t line;
    /* Same for the same identity and key in every file that this process loads, and says nothing of the key
     * to whoever has not the process's secret: by it a session is judged after a reload. */
    uint8_t mark[PSK_MARK_BYTES];
};

struct psk_keys;

/* NULL with file and line of what is wrong; never with any part of a key. */
struct psk_keys *psk_keys_load(const char *path, struct tls_error *error);
/* Wiped. NULL is ignored. */
void psk_keys_destroy(struct psk_keys *keys);
uint32_t psk_keys_count(const struct psk_keys *keys);
/* In the order of identities; below psk_keys_count. */
const struct psk_key *psk_keys_at(const struct psk_keys *keys, uint32_t index);
/* NULL when there is none of that name. */
const struct psk_key *psk_keys_find(const struct psk_keys *keys, const char *identity);
bool psk_key_equal(const struct psk_key *a, const struct psk_key *b);
/* The PSK identity of a device: `pattern`, whose "%s", if it has one, is the device's identity. False when it
 * does not fit, or there is a "%s" and no identity (NULL). */
bool psk_identity_fill(const char *pattern, const char *identity, char out[PSK_IDENTITY_MAX]);

#endif
