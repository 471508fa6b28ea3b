/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/hmac.h>

#include "dataplane/secure/psk_keys.h"

#include "dataplane/secure/secret_memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEY_FILE_MAX (64u * 1024 * 1024)
#define KEY_MIN 16

struct psk_keys {
    struct psk_key *keys; /* in secret memory */
    struct psk_key *
        *sorted; /* by identity: to sort keys themselves would move them through memory of qsort's */
    uint32_t n;
    size_t bytes;
};

/* ---- marks -----------------------------------------------------------------------------------------------
 */

#define SECRET_BYTES 32

static pthread_once_t secret_once = PTHREAD_ONCE_INIT;
static uint8_t *secret; /* of the process; NULL: none could be made */

static void make_secret(void)
{
    secret = secret_memory_alloc(SECRET_BYTES);
    if (secret == NULL || getrandom(secret, SECRET_BYTES, 0) == SECRET_BYTES)
        return;
    secret_memory_free(secret, SECRET_BYTES);
    secret = NULL;
}

static bool set_mark(struct psk_key *psk)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    Hmac state;
    if (wc_HmacInit(&state, NULL, INVALID_DEVID) != 0)
        return false;
    bool good =
        wc_HmacSetKey(&state, WC_SHA256, secret, SECRET_BYTES) == 0 &&
        wc_HmacUpdate(&state, (const uint8_t *)psk->identity, (word32)strlen(psk->identity) + 1) == 0 &&
        wc_HmacUpdate(&state, psk->key, psk->key_len) == 0 && wc_HmacFinal(&state, digest) == 0;
    wc_HmacFree(&state);
    memcpy(psk->mark, digest, sizeof(psk->mark));
    return good;
}

/* ---- the file --------------------------------------------------------------------------------------------
 */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What is wrong with a line, or NULL. */
static const char *read_line(const char *line, size_t n, struct psk_key *out)
{
    const char *colon = memchr(line, ':', n);
    size_t name = colon == NULL ? 0 : (size_t)(colon - line);
    size_t digits = colon == NULL ? 0 : n - name - 1;
    if (colon == NULL)
        return "it is not 'identity:key in hex'";
    if (name == 0 || name >= PSK_IDENTITY_MAX || memchr(line, '\0', n) != NULL)
        return "the identity is empty or longer than 127 bytes";
    if (digits % 2 != 0 || digits < 2 * KEY_MIN || digits > 2 * PSK_KEY_MAX)
        return "the key is not of 32 to 128 hex digits";
    for (size_t i = 0; i < digits / 2; i++) {
        int high = hex_digit(colon[1 + 2 * i]), low = hex_digit(colon[2 + 2 * i]);
        if (high < 0 || low < 0)
            return "the key holds something else than hex digits";
        out->key[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out->identity, line, name);
    out->identity[name] = '\0';
    out->key_len = (uint32_t)(digits / 2);
    return NULL;
}

static int by_identity(const void *a, const void *b)
{
    const struct psk_key *const *x = a, *const *y = b;
    return strcmp((*x)->identity, (*y)->identity);
}

static bool parse(struct psk_keys *keys, const char *path, const char *file, size_t n,
                  struct tls_error *error)
{
    uint32_t number = 0;
    for (size_t at = 0; at < n;) {
        const char *line = file + at;
        const char *end = memchr(line, '\n', n - at);
        size_t len = end == NULL ? n - at : (size_t)(end - line);
        at += len + 1;
        number++;
        if (len > 0 && line[len - 1] == '\r')
            len--;
        if (len == 0 || line[0] == '#')
            continue;
        struct psk_key *psk = &keys->keys[keys->n];
        const char *problem = read_line(line, len, psk);
        if (problem != NULL)
            return tls_error_set(error, "%.160s line %u: %s", path, number, problem);
        if (!set_mark(psk))
            return tls_error_set(error, "out of memory");
        psk->line = number;
        keys->sorted[keys->n++] = psk;
    }
    qsort(keys->sorted, keys->n, sizeof(struct psk_key *), by_identity);
    for (uint32_t i = 1; i < keys->n; i++)
        if (by_identity(&keys->sorted[i - 1], &keys->sorted[i]) == 0)
            return tls_error_set(error, "%.160s lines %u and %u are for the same identity", path,
                                 keys->sorted[i - 1]->line, keys->sorted[i]->line);
    return keys->n > 0 || tls_error_set(error, "%.160s holds no key", path);
}

static bool load(struct psk_keys *keys, const char *path, struct tls_error *error)
{
    size_t n, room, lines = 1;
    uint8_t *file = secret_memory_read(path, KEY_FILE_MAX, &n, &room, error);
    if (file == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        lines += file[i] == '\n';
    keys->bytes = lines * sizeof(*keys->keys);
    keys->keys = secret_memory_alloc(keys->bytes);
    pthread_once(&secret_once, make_secret);
    keys->sorted = malloc(lines * sizeof(struct psk_key *));
    bool good = keys->keys != NULL && keys->sorted != NULL && secret != NULL
                    ? parse(keys, path, (const char *)file, n, error)
                    : tls_error_set(error, "out of memory");
    secret_memory_free(file, room);
    return good;
}

const struct psk_key *psk_keys_find(const struct psk_keys *keys, const char *identity)
{
    uint32_t low = 0, high = keys->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = strcmp(keys->sorted[middle]->identity, identity);
        if (order == 0)
            return keys->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct psk_keys *psk_keys_load(const char *path, struct tls_error *error)
{
    struct psk_keys *keys = calloc(1, sizeof(*keys));
    if (keys == NULL) {
        tls_error_set(error, "out of memory");
        return NULL;
    }
    if (load(keys, path, error))
        return keys;
    psk_keys_destroy(keys);
    return NULL;
}

void psk_keys_destroy(struct psk_keys *keys)
{
    if (keys == NULL)
        return;
    secret_memory_free(keys->keys, keys->bytes);
    free(keys->sorted);
    free(keys);
}

uint32_t psk_keys_count(const struct psk_keys *keys)
{
    return keys->n;
}

const struct psk_key *psk_keys_at(const struct psk_keys *keys, uint32_t index)
{
    return keys->sorted[index];
}

bool psk_identity_fill(const char *pattern, const char *identity, char out[PSK_IDENTITY_MAX])
{
    const char *at = strstr(pattern, "%s");
    if (at != NULL && identity == NULL)
        return false;
    int n = at == NULL
                ? snprintf(out, PSK_IDENTITY_MAX, "%s", pattern)
                : snprintf(out, PSK_IDENTITY_MAX, "%.*s%s%s", (int)(at - pattern), pattern, identity, at + 2);
    return n > 0 && n < PSK_IDENTITY_MAX;
}

bool psk_key_equal(const struct psk_key *a, const struct psk_key *b)
{
    return strcmp(a->identity, b->identity) == 0 && a->key_len == b->key_len &&
           memcmp(a->key, b->key, a->key_len) == 0;
}
