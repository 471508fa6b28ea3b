/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn_public.h>

#include "dataplane/secure/certificate.h"
#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_bundle.h"
#include "dataplane/secure/tls_session_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_BYTES_MAX (128u * 1024)
/* Pairs that are checked when the file is opened; of more devices every n-th. */
#define CHECKED_MAX 2000u

struct entry {
    uint64_t at; /* in the file */
    uint32_t bytes;
    uint32_t name; /* in names */
};

struct tls_bundle {
    char *path;
    char *password_file;   /* or NULL */
    struct entry *entries; /* by name */
    uint32_t n;
    uint32_t room;
    char *names; /* NUL-terminated, one behind the other */
    size_t names_used;
    size_t names_room;
};

/* ---- reading it through -------------------------------------------------------------------------------- */

/* The file while it is read through. */
struct scan {
    struct tls_bundle *bundle;
    const char *path;
    const char *text;
    size_t bytes;
    size_t at;
    uint32_t line; /* of `at` */
    bool open;     /* a device has begun */
    size_t begun;
    uint32_t begun_line;
    uint32_t name;
    struct tls_error *error;
};

static bool complain(const struct scan *s, uint32_t line, const char *what)
{
    return tls_error_set(s->error, "%.150s, line %u: %s", s->path, line, what);
}

static bool starts(const struct scan *s, size_t at, const char *word)
{
    size_t n = strlen(word);
    return s->bytes - at >= n && memcmp(s->text + at, word, n) == 0;
}

static size_t end_of_line(const struct scan *s, size_t at)
{
    const char *newline = memchr(s->text + at, '\n', s->bytes - at);
    return newline == NULL ? s->bytes : (size_t)(newline - s->text) + 1;
}

/* Goes behind the END line of the block that begins at `at`; false when there is none. */
static bool skip_block(struct scan *s)
{
    while (s->at < s->bytes) {
        bool last = starts(s, s->at, "-----END ");
        s->at = end_of_line(s, s->at);
        s->line++;
        if (last)
            return true;
    }
    return false;
}

static bool keep_name(struct scan *s, const struct der *cn)
{
    struct tls_bundle *bundle = s->bundle;
    if (bundle->names_room - bundle->names_used < cn->left + 1) {
        size_t room = bundle->names_room * 2 + cn->left + 4096;
        char *names = realloc(bundle->names, room);
        if (names == NULL || room > UINT32_MAX)
            return false;
        bundle->names = names;
        bundle->names_room = room;
    }
    s->name = (uint32_t)bundle->names_used;
    memcpy(bundle->names + bundle->names_used, cn->at, cn->left);
    bundle->names[bundle->names_used + cn->left] = 0;
    bundle->names_used += cn->left + 1;
    return true;
}

/* The certificate that begins a device: its CN is the name. */
static bool take_leaf(struct scan *s, size_t from, uint32_t line)
{
    DerBuffer *der = NULL;
    struct certificate leaf;
    struct der cn;
    char name[TLS_IDENTITY_BYTES];
    if (wc_PemToDer((const uint8_t *)s->text + from, (long)(s->at - from), CERT_TYPE, &der, NULL, NULL,
                    NULL) != 0)
        return complain(s, line, "a certificate cannot be read");
    bool good = certificate_parse(der->buffer, der->length, &leaf) &&
                certificate_subject(&leaf, CERTIFICATE_CN, &cn) && cn.left < sizeof(name) &&
                memchr(cn.at, 0, cn.left) == NULL;
    if (good) {
        memcpy(name, cn.at, cn.left);
        name[cn.left] = 0;
        good = tls_identity_name_good(name);
    }
    bool kept = good && keep_name(s, &cn);
    wc_FreeDer(&der);
    s->open = true;
    s->begun = from;
    s->begun_line = line;
    if (!good)
        return complain(s, line, "a certificate has no CN that can name a device");
    return kept || tls_error_set(s->error, "out of memory");
}

static bool take_device(struct scan *s)
{
    struct tls_bundle *bundle = s->bundle;
    if (s->at - s->begun > PART_BYTES_MAX)
        return complain(s, s->begun_line, "a device takes more than 128 KiB");
    if (bundle->n == bundle->room) {
        uint32_t room = bundle->room == 0 ? 256 : bundle->room * 2;
        struct entry *entries = bundle->n >= TLS_BUNDLE_DEVICES_MAX
                                    ? NULL
                                    : realloc(bundle->entries, (size_t)room * sizeof(*entries));
        if (entries == NULL)
            return complain(s, s->begun_line, "no room for more devices");
        bundle->entries = entries;
        bundle->room = room;
    }
    bundle->entries[bundle->n++] =
        (struct entry){.at = s->begun, .bytes = (uint32_t)(s->at - s->begun), .name = s->name};
    s->open = false;
    return true;
}

static bool take_block(struct scan *s)
{
    size_t from = s->at;
    uint32_t line = s->line;
    size_t header = end_of_line(s, from) - from;
    bool certificate = starts(s, from, "-----BEGIN CERTIFICATE-----");
    bool key = memmem(s->text + from, header, "PRIVATE KEY-----", 16) != NULL;
    bool parameters = starts(s, from, "-----BEGIN EC PARAMETERS-----");
    if (!skip_block(s))
        return complain(s, line, "the block does not end");
    if (certificate)
        return s->open || take_leaf(s, from, line);
    if (parameters)
        return s->open || complain(s, line, "EC parameters come without a certificate before them");
    if (!key)
        return complain(s, line, "neither a certificate nor a private key");
    return s->open ? take_device(s)
                   : complain(s, line, "a private key comes without a certificate before it");
}

static bool read_through(struct scan *s)
{
    while (s->at < s->bytes) {
        if (starts(s, s->at, "-----BEGIN ")) {
            if (!take_block(s))
                return false;
            continue;
        }
        s->at = end_of_line(s, s->at);
        s->line++;
    }
    if (s->open)
        return complain(s, s->begun_line, "a certificate comes without its private key behind it");
    return s->bundle->n > 0 || tls_error_set(s->error, "%.150s holds no device", s->path);
}

/* ---- the index ----------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b, void *names)
{
    const struct entry *left = a, *right = b;
    return strcmp((const char *)names + left->name, (const char *)names + right->name);
}

static bool sort_names(struct tls_bundle *bundle, struct tls_error *error)
{
    qsort_r(bundle->entries, bundle->n, sizeof(*bundle->entries), by_name, bundle->names);
    for (uint32_t i = 1; i < bundle->n; i++) {
        const char *name = bundle->names + bundle->entries[i].name;
        if (strcmp(name, bundle->names + bundle->entries[i - 1].name) == 0)
            return tls_error_set(error, "%.120s has '%.64s' twice", bundle->path, name);
    }
    return true;
}

static bool check_pairs(const struct tls_bundle *bundle, struct tls_error *error)
{
    uint32_t step = (bundle->n + CHECKED_MAX - 1) / CHECKED_MAX;
    for (uint32_t i = 0; i < bundle->n; i += step) {
        struct tls_identity *identity =
            tls_bundle_identity(bundle, bundle->names + bundle->entries[i].name, error);
        if (identity == NULL)
            return false;
        tls_identity_unref(identity);
    }
    return true;
}

static bool read_file(struct tls_bundle *bundle, struct tls_error *error)
{
    size_t bytes, room;
    /* Not mapped: whoever cuts the file meanwhile would end the process by a fault. */
    uint8_t *text = secret_memory_read(bundle->path, TLS_BUNDLE_BYTES_MAX, &bytes, &room, error);
    if (text == NULL)
        return false;
    struct scan scan = {.bundle = bundle,
                        .path = bundle->path,
                        .text = (const char *)text,
                        .bytes = bytes,
                        .line = 1,
                        .error = error};
    bool good = read_through(&scan);
    secret_memory_free(text, room);
    return good;
}

struct tls_bundle *tls_bundle_open(const char *path, const char *key_password_file, struct tls_error *error)
{
    struct tls_bundle *bundle = calloc(1, sizeof(*bundle));
    if (bundle != NULL && (bundle->path = strdup(path)) != NULL &&
        (key_password_file == NULL || (bundle->password_file = strdup(key_password_file)) != NULL)) {
        if (read_file(bundle, error) && sort_names(bundle, error) && check_pairs(bundle, error))
            return bundle;
    } else {
        tls_error_set(error, "out of memory");
    }
    tls_bundle_close(bundle);
    return NULL;
}

void tls_bundle_close(struct tls_bundle *bundle)
{
    if (bundle == NULL)
        return;
    free(bundle->path);
    free(bundle->password_file);
    free(bundle->entries);
    free(bundle->names);
    free(bundle);
}

struct tls_identity *tls_bundle_identity(const struct tls_bundle *bundle, const char *name,
                                         struct tls_error *error)
{
    uint32_t low = 0, high = bundle->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct entry *entry = &bundle->entries[middle];
        int order = strcmp(name, bundle->names + entry->name);
        if (order == 0)
            return tls_identity_load_part(bundle->path, entry->at, entry->bytes, bundle->password_file, name,
                                          error);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    tls_error_set(error, "%.120s has no certificate for '%.64s'", bundle->path, name);
    return NULL;
}

uint32_t tls_bundle_devices(const struct tls_bundle *bundle)
{
    return bundle->n;
}

size_t tls_bundle_memory_bytes(const struct tls_bundle *bundle)
{
    return sizeof(*bundle) + (size_t)bundle->room * sizeof(*bundle->entries) + bundle->names_room;
}
