/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>

#include "dataplane/secure/certificate.h"
#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_identity.h"
#include "dataplane/secure/tls_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHAIN_FILE_MAX (128u * 1024)
#define KEY_FILE_MAX (32u * 1024)
#define PASSWORD_MAX 1024
#define DAY_S 86400

struct tls_identity {
    atomic_uint refs;
    uint8_t *chain; /* PEM */
    size_t chain_bytes;
    struct tls_key *key;
    uint8_t *public_key; /* SubjectPublicKeyInfo of the leaf, DER */
    size_t public_key_bytes;
    time_t expires;
};

/* ---- files --------------------------------------------------------------------------------------------- */

/* Reads the file from `at` on into `out`, at most `limit` bytes; the number, or -1 with `error`. */
static ssize_t read_from(const char *path, uint64_t at, uint8_t *out, size_t limit, struct tls_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) != 0) {
        tls_error_set(error, "cannot read %.160s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    size_t have = 0;
    ssize_t got = S_ISREG(facts.st_mode) ? 1 : -1;
    errno = EINVAL;
    while (got > 0 && have < limit) {
        got = pread(fd, out + have, limit - have, (off_t)(at + have));
        have += got > 0 ? (size_t)got : 0;
    }
    int why = errno;
    close(fd);
    if (got < 0)
        tls_error_set(error, "cannot read %.160s: %s", path,
                      S_ISREG(facts.st_mode) ? strerror(why) : "not a file");
    else
        return (ssize_t)have;
    return -1;
}

/* Reads the whole file into `out`, or answers -1 with `error`. */
static ssize_t read_into(const char *path, uint8_t *out, size_t limit, struct tls_error *error)
{
    ssize_t have = read_from(path, 0, out, limit, error);
    if (have == (ssize_t)limit)
        tls_error_set(error, "%.160s is larger than %zu KiB", path, limit / 1024);
    else if (have == 0)
        tls_error_set(error, "%.160s is empty", path);
    else
        return have;
    return -1;
}

uint8_t *tls_read_file(const char *path, size_t limit, size_t *bytes, struct tls_error *error)
{
    uint8_t *text = malloc(limit + 1);
    if (text == NULL) {
        tls_error_set(error, "out of memory");
        return NULL;
    }
    ssize_t n = read_into(path, text, limit, error);
    if (n < 0) {
        free(text);
        return NULL;
    }
    *bytes = (size_t)n;
    uint8_t *fitting = realloc(text, *bytes + 1);
    if (fitting == NULL)
        fitting = text;
    fitting[*bytes] = 0;
    return fitting;
}

static bool key_trouble(enum tls_key_trouble trouble, const char *path, struct tls_error *error)
{
    if (trouble == TLS_KEY_UNKNOWN_KIND)
        tls_error_set(error, "%.160s holds neither an EC nor an RSA key that can be used", path);
    else if (trouble == TLS_KEY_SHORT)
        tls_error_set(error, "key %.160s is too short", path);
    else
        tls_error_set(error, "out of memory");
    return false;
}

/* A PEM key in secret memory becomes the identity's. */
static bool take_key(struct tls_identity *identity, const uint8_t *pem, size_t n, const char *password,
                     const char *path, struct tls_error *error)
{
    enum tls_key_trouble trouble = TLS_KEY_NO_MEMORY;
    uint8_t *room = secret_memory_alloc(KEY_FILE_MAX);
    int der = room == NULL ? 0 : wc_KeyPemToDer(pem, (int)n, room, KEY_FILE_MAX, password);
    if (der > 0)
        identity->key = tls_key_create(room, (size_t)der, &trouble);
    secret_memory_free(room, KEY_FILE_MAX);
    if (identity->key != NULL)
        return true;
    if (room == NULL || der > 0)
        return key_trouble(trouble, path, error);
    if (password != NULL)
        tls_error_set(error, "%.160s does not hold a private key in PEM that the passphrase opens", path);
    else
        tls_error_set(error, "%.160s does not hold a private key in PEM that is not encrypted", path);
    return false;
}

/* What the first line of the file is, NUL behind it; false with `error`. */
static bool first_line(char *text, const char *path, struct tls_error *error)
{
    text[strcspn(text, "\r\n")] = 0;
    if (text[0] == 0)
        tls_error_set(error, "%.160s does not begin with a line that holds a passphrase", path);
    return text[0] != 0;
}

static bool open_key(struct tls_identity *identity, const uint8_t *pem, size_t n, const char *password_file,
                     const char *path, struct tls_error *error)
{
    size_t bytes, room;
    if (password_file == NULL)
        return take_key(identity, pem, n, NULL, path, error);
    uint8_t *password = secret_memory_read(password_file, PASSWORD_MAX, &bytes, &room, error);
    bool good = password != NULL && first_line((char *)password, password_file, error) &&
                take_key(identity, pem, n, (const char *)password, path, error);
    secret_memory_free(password, password == NULL ? 0 : room);
    return good;
}

/* The file's text never leaves secret memory. */
static bool load_key(struct tls_identity *identity, const char *path, const char *password_file,
                     struct tls_error *error)
{
    size_t n, room;
    uint8_t *pem = secret_memory_read(path, KEY_FILE_MAX, &n, &room, error);
    bool good = pem != NULL && open_key(identity, pem, n, password_file, path, error);
    secret_memory_free(pem, pem == NULL ? 0 : room);
    return good;
}

/* ---- checks -------------------------------------------------------------------------------------------- */

/* ASN.1 UTCTime or GeneralizedTime as wolfSSL keeps it: tag, length, digits and Z (RFC 5280 section 4.1.2.5).
 */
static time_t expiry(WOLFSSL_X509 *leaf)
{
    const uint8_t *date = wolfSSL_X509_notAfter(leaf);
    struct tm when = {0};
    char digits[16] = "";
    if (date == NULL || date[1] >= sizeof(digits))
        return 0;
    memcpy(digits, date + 2, date[1]);
    if (strptime(digits, date[0] == 0x17 ? "%y%m%d%H%M%S" : "%Y%m%d%H%M%S", &when) == NULL)
        return 0;
    if (date[0] == 0x17) /* two digits: 1950 to 2049 */
        when.tm_year = when.tm_year % 100 + (when.tm_year % 100 < 50 ? 100 : 0);
    return timegm(&when);
}

static bool check_key(struct tls_identity *identity, WOLFSSL_X509 *leaf, const char *certificate_file,
                      const char *key_file, struct tls_error *error)
{
    struct certificate parts;
    size_t n;
    const uint8_t *half = tls_key_public(identity->key, &n);
    int leaf_bytes = 0;
    const uint8_t *der = wolfSSL_X509_get_der(leaf, &leaf_bytes);
    if (der == NULL || !certificate_parse(der, (size_t)leaf_bytes, &parts) ||
        memmem(parts.public_key.at, parts.public_key.left, half, n) == NULL)
        return tls_error_set(error, "key %.100s does not belong to certificate %.100s", key_file,
                             certificate_file);
    identity->public_key_bytes = parts.public_key.left;
    identity->public_key = malloc(identity->public_key_bytes);
    if (identity->public_key == NULL)
        return tls_error_set(error, "out of memory");
    memcpy(identity->public_key, parts.public_key.at, identity->public_key_bytes);
    return true;
}

/* All of the chain can be read, and the key is the leaf's. */
static bool check(struct tls_identity *identity, const char *certificate_file, const char *key_file,
                  struct tls_error *error)
{
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    WOLFSSL_X509 *leaf = NULL;
    bool good = false;
    if (ctx == NULL) {
        tls_error_set(error, "out of memory");
        return false;
    }
    if (wolfSSL_CTX_use_certificate_chain_buffer(ctx, identity->chain, (long)identity->chain_bytes) ==
        WOLFSSL_SUCCESS)
        leaf = wolfSSL_X509_load_certificate_buffer(identity->chain, (int)identity->chain_bytes,
                                                    WOLFSSL_FILETYPE_PEM);
    if (leaf == NULL)
        tls_error_set(error, "%.160s does not hold certificates in PEM that can be used", certificate_file);
    else
        good = check_key(identity, leaf, certificate_file, key_file, error);
    if (good)
        identity->expires = expiry(leaf);
    wolfSSL_X509_free(leaf);
    wolfSSL_CTX_free(ctx);
    return good;
}

static struct tls_identity *make(struct tls_error *error)
{
    struct tls_identity *identity = calloc(1, sizeof(*identity));
    if (identity != NULL)
        atomic_init(&identity->refs, 1);
    else
        tls_error_set(error, "out of memory");
    return identity;
}

struct tls_identity *tls_identity_load_with(const char *certificate_file, const char *key_file,
                                            const char *key_password_file, struct tls_error *error)
{
    struct tls_identity *identity = make(error);
    if (identity == NULL)
        return NULL;
    identity->chain = tls_read_file(certificate_file, CHAIN_FILE_MAX, &identity->chain_bytes, error);
    if (identity->chain == NULL || !load_key(identity, key_file, key_password_file, error) ||
        !check(identity, certificate_file, key_file, error)) {
        tls_identity_unref(identity);
        return NULL;
    }
    return identity;
}

struct tls_identity *tls_identity_load(const char *certificate_file, const char *key_file,
                                       struct tls_error *error)
{
    return tls_identity_load_with(certificate_file, key_file, NULL, error);
}

/* Where the key begins: behind the last certificate. 0: there is none. */
static size_t find_key(const uint8_t *text, size_t n)
{
    static const char end[] = "-----END CERTIFICATE-----";
    const uint8_t *last = NULL;
    for (const uint8_t *at = text; (at = memmem(at, n - (size_t)(at - text), end, sizeof(end) - 1)) != NULL;)
        last = at += sizeof(end) - 1;
    return last == NULL ? 0 : (size_t)(last - text);
}

/* The leaf is who it should be: the file may have changed since it was indexed. */
static bool is_named(const struct tls_identity *identity, const char *name)
{
    DerBuffer *der = NULL;
    struct certificate leaf;
    struct der cn;
    if (wc_PemToDer(identity->chain, (long)identity->chain_bytes, CERT_TYPE, &der, NULL, NULL, NULL) != 0)
        return false;
    bool good = certificate_parse(der->buffer, der->length, &leaf) &&
                certificate_subject(&leaf, CERTIFICATE_CN, &cn) && cn.left == strlen(name) &&
                memcmp(cn.at, name, cn.left) == 0;
    wc_FreeDer(&der);
    return good;
}

static bool take_part(struct tls_identity *identity, const uint8_t *text, size_t n, const char *path,
                      const char *password_file, const char *name, struct tls_error *error)
{
    size_t key = find_key(text, n);
    identity->chain = key == 0 ? NULL : malloc(key + 1);
    if (identity->chain == NULL) {
        tls_error_set(error, "%.160s has changed since it was read", path);
        return false;
    }
    memcpy(identity->chain, text, key);
    identity->chain[key] = 0;
    identity->chain_bytes = key;
    if (!is_named(identity, name)) {
        tls_error_set(error, "%.120s has changed since it was read: '%.64s' is not where it was", path, name);
        return false;
    }
    return open_key(identity, text + key, n - key, password_file, path, error) &&
           check(identity, path, path, error);
}

struct tls_identity *tls_identity_load_part(const char *path, uint64_t at, uint32_t bytes,
                                            const char *key_password_file, const char *name,
                                            struct tls_error *error)
{
    struct tls_identity *identity = make(error);
    uint8_t *text = secret_memory_alloc((size_t)bytes + 1);
    bool good = false;
    if (identity != NULL && text == NULL)
        tls_error_set(error, "out of memory");
    if (identity != NULL && text != NULL) {
        ssize_t n = read_from(path, at, text, bytes, error);
        if (n >= 0 && n < (ssize_t)bytes)
            tls_error_set(error, "%.160s has changed since it was read", path);
        good = n == (ssize_t)bytes && take_part(identity, text, bytes, path, key_password_file, name, error);
    }
    secret_memory_free(text, (size_t)bytes + 1);
    if (good)
        return identity;
    tls_identity_unref(identity);
    return NULL;
}

struct tls_identity *tls_identity_ref(struct tls_identity *identity)
{
    atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
    return identity;
}

void tls_identity_unref(struct tls_identity *identity)
{
    if (identity == NULL || atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(identity->chain);
    free(identity->public_key);
    tls_key_destroy(identity->key);
    free(identity);
}

bool tls_identity_apply(const struct tls_identity *identity, WOLFSSL *ssl)
{
    return wolfSSL_use_certificate_chain_buffer(ssl, identity->chain, (long)identity->chain_bytes) ==
               WOLFSSL_SUCCESS &&
           wolfSSL_use_PrivateKey_buffer(ssl, identity->public_key, (long)identity->public_key_bytes,
                                         WOLFSSL_FILETYPE_ASN1) == WOLFSSL_SUCCESS;
}

bool tls_identity_apply_to_all(const struct tls_identity *identity, WOLFSSL_CTX *ctx)
{
    return wolfSSL_CTX_use_certificate_chain_buffer(ctx, identity->chain, (long)identity->chain_bytes) ==
               WOLFSSL_SUCCESS &&
           wolfSSL_CTX_use_PrivateKey_buffer(ctx, identity->public_key, (long)identity->public_key_bytes,
                                             WOLFSSL_FILETYPE_ASN1) == WOLFSSL_SUCCESS;
}

int tls_identity_days_left(const struct tls_identity *identity)
{
    time_t left = identity->expires - time(NULL);
    return (int)(left / DAY_S) - (left < 0 ? 1 : 0);
}
