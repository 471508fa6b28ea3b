/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/aes_offload.h"
#include "dataplane/secure/dtls_session.h"
#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_identity.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE_MAX (64u * 1024 * 1024)
#define KEY_MIN 16
#define SESSIONS_KEPT_LEAST 64
#define SESSIONS_KEPT_MOST 65536

#define SUITES                                                                                               \
    "PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384:PSK-AES128-CCM:PSK-AES256-CCM:PSK-AES128-CCM-8:"            \
    "PSK-AES256-CCM-8"

struct psk {
    char identity[DTLS_IDENTITY_MAX];
    uint8_t key[DTLS_KEY_MAX];
    uint32_t key_len;
    uint32_t line;
};

struct dtls_context {
    atomic_uint refs;
    WOLFSSL_CTX *ctx;
    char *psk_id;
    struct psk *keys; /* in order of identities, in secret memory */
    uint32_t keys_n;
    size_t keys_bytes;
    struct name_cache *sessions;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct tls_error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return false;
}

/* ---- the key file
 * ------------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What is wrong with a line, or NULL. */
static const char *read_line(const char *line, size_t n, struct psk *out)
{
    const char *colon = memchr(line, ':', n);
    size_t name = colon == NULL ? 0 : (size_t)(colon - line);
    size_t digits = colon == NULL ? 0 : n - name - 1;
    if (colon == NULL)
        return "it is not 'identity:key in hex'";
    if (name == 0 || name >= DTLS_IDENTITY_MAX || memchr(line, '\0', n) != NULL)
        return "the identity is empty or longer than 127 bytes";
    if (digits % 2 != 0 || digits < 2 * KEY_MIN || digits > 2 * DTLS_KEY_MAX)
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
    return strcmp(((const struct psk *)a)->identity, ((const struct psk *)b)->identity);
}

static bool parse_keys(struct dtls_context *context, const char *path, const char *file, size_t n,
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
        struct psk *psk = &context->keys[context->keys_n];
        const char *problem = read_line(line, len, psk);
        if (problem != NULL)
            return fail(error, "%.160s line %u: %s", path, number, problem);
        psk->line = number;
        context->keys_n++;
    }
    qsort(context->keys, context->keys_n, sizeof(*context->keys), by_identity);
    for (uint32_t i = 1; i < context->keys_n; i++)
        if (by_identity(&context->keys[i - 1], &context->keys[i]) == 0)
            return fail(error, "%.160s lines %u and %u are for the same identity", path,
                        context->keys[i - 1].line, context->keys[i].line);
    return context->keys_n > 0 || fail(error, "%.160s holds no key", path);
}

static bool load_keys(struct dtls_context *context, const char *path, struct tls_error *error)
{
    size_t n, lines = 1;
    uint8_t *file = tls_read_file(path, KEY_FILE_MAX, &n, error);
    if (file == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        lines += file[i] == '\n';
    context->keys_bytes = lines * sizeof(*context->keys);
    context->keys = secret_memory_alloc(context->keys_bytes);
    bool good = context->keys != NULL ? parse_keys(context, path, (const char *)file, n, error)
                                      : fail(error, "out of memory");
    explicit_bzero(file, n);
    free(file);
    return good;
}

static const struct psk *find_key(const struct dtls_context *context, const char *identity)
{
    uint32_t low = 0, high = context->keys_n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = strcmp(context->keys[middle].identity, identity);
        if (order == 0)
            return &context->keys[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The PSK identity of a client; false when it does not fit. */
static bool psk_identity(const struct dtls_context *context, const char *identity,
                         char out[DTLS_IDENTITY_MAX])
{
    const char *at = strstr(context->psk_id, "%s");
    int n = at == NULL ? snprintf(out, DTLS_IDENTITY_MAX, "%s", context->psk_id)
                       : snprintf(out, DTLS_IDENTITY_MAX, "%.*s%s%s", (int)(at - context->psk_id),
                                  context->psk_id, identity, at + 2);
    return n > 0 && n < DTLS_IDENTITY_MAX;
}

/* ---- the context
 * -------------------------------------------------------------------------------------------- */

static unsigned int on_psk(WOLFSSL *ssl, const char *hint, char *identity, unsigned int identity_room,
                           unsigned char *key, unsigned int key_room)
{
    struct dtls_session *session = wolfSSL_get_psk_callback_ctx(ssl);
    (void)hint;
    const struct psk *psk = session == NULL ? NULL : find_key(session->context, session->psk_identity);
    if (psk == NULL || strlen(psk->identity) >= identity_room || psk->key_len > key_room)
        return 0;
    memcpy(identity, psk->identity, strlen(psk->identity) + 1);
    memcpy(key, psk->key, psk->key_len);
    return psk->key_len;
}

static void *share_session(void *kept)
{
    (void)kept;
    return NULL; /* only ever taken */
}

static void drop_session(void *kept)
{
    wolfSSL_SESSION_free(kept);
}

static const struct name_cache_type session_type = {share_session, drop_session};

static bool set_protocol(struct dtls_context *context, struct tls_error *error)
{
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
    context->ctx = ctx;
    if (ctx == NULL)
        return fail(error, "out of memory");
    if (wolfSSL_CTX_set_cipher_list(ctx, SUITES) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetDevId(ctx, aes_offload_device()) != WOLFSSL_SUCCESS)
        return fail(error, "this wolfSSL refuses the DTLS parameters");
    wolfSSL_CTX_set_psk_client_callback(ctx, on_psk);
    wolfSSL_CTX_UseSessionTicket(ctx);
    return true;
}

struct dtls_context *dtls_context_create(const struct dtls_settings *settings, struct tls_error *error)
{
    struct dtls_context *context = calloc(1, sizeof(*context));
    error->text[0] = '\0';
    if (context == NULL) {
        fail(error, "out of memory");
        return NULL;
    }
    atomic_init(&context->refs, 1);
    if (settings->psk_file == NULL || settings->psk_id == NULL) {
        fail(error, "a PSK file and a PSK identity are needed");
    } else if ((context->psk_id = strdup(settings->psk_id)) == NULL) {
        fail(error, "out of memory");
    } else if (set_protocol(context, error) && load_keys(context, settings->psk_file, error)) {
        uint32_t kept = context->keys_n < SESSIONS_KEPT_LEAST  ? SESSIONS_KEPT_LEAST
                        : context->keys_n > SESSIONS_KEPT_MOST ? SESSIONS_KEPT_MOST
                                                               : context->keys_n;
        context->sessions = name_cache_create(kept, &session_type);
        if (context->sessions != NULL)
            return context;
        fail(error, "out of memory");
    }
    dtls_context_unref(context);
    return NULL;
}

struct dtls_context *dtls_context_ref(struct dtls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void dtls_context_unref(struct dtls_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    name_cache_destroy(context->sessions);
    wolfSSL_CTX_free(context->ctx);
    secret_memory_free(context->keys, context->keys_bytes);
    free(context->psk_id);
    free(context);
}

bool dtls_context_same(const struct dtls_context *a, const struct dtls_context *b, const char *identity)
{
    char name_a[DTLS_IDENTITY_MAX], name_b[DTLS_IDENTITY_MAX];
    if (a == b)
        return true;
    if (a == NULL || b == NULL || !psk_identity(a, identity, name_a) || !psk_identity(b, identity, name_b))
        return false;
    const struct psk *key_a = find_key(a, name_a), *key_b = find_key(b, name_b);
    return key_a != NULL && key_b != NULL && strcmp(name_a, name_b) == 0 &&
           key_a->key_len == key_b->key_len && memcmp(key_a->key, key_b->key, key_a->key_len) == 0;
}

uint32_t dtls_context_keys(const struct dtls_context *context)
{
    return context->keys_n;
}

/* ---- for sessions
 * ------------------------------------------------------------------------------------------- */

struct WOLFSSL *dtls_context_session(struct dtls_context *context, struct dtls_session *session,
                                     const char *identity, struct tls_error *error)
{
    if (!psk_identity(context, identity, session->psk_identity)) {
        fail(error, "the PSK identity of %.60s is too long", identity);
        return NULL;
    }
    if (find_key(context, session->psk_identity) == NULL) {
        fail(error, "no key for PSK identity %.100s", session->psk_identity);
        return NULL;
    }
    WOLFSSL *ssl = wolfSSL_new(context->ctx);
    if (ssl == NULL) {
        fail(error, "out of memory");
        return NULL;
    }
    wolfSSL_set_psk_callback_ctx(ssl, session);
    WOLFSSL_SESSION *kept = name_cache_take(context->sessions, session->psk_identity);
    if (kept != NULL) {
        wolfSSL_set_session(ssl, kept);
        wolfSSL_SESSION_free(kept);
    }
    return ssl;
}

void dtls_context_keep(struct dtls_context *context, const struct dtls_session *session)
{
    WOLFSSL_SESSION *kept = wolfSSL_get1_session(session->ssl);
    if (kept != NULL)
        name_cache_put(context->sessions, session->psk_identity, kept, false);
}
