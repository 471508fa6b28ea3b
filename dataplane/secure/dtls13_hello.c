/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/sha256.h>
#include <wolfssl/wolfcrypt/sha512.h>

#include "dataplane/secure/dtls13_hello.h"

#include <string.h>

#define VERSION_1_3 0xfefc
#define SERVER_HELLO 2

enum extension {
    EXTENSION_GROUPS = 10,
    EXTENSION_VERSIONS = 43,
    EXTENSION_COOKIE = 44,
    EXTENSION_KEY_SHARE = 51,
};

/* By preference, the first that the client has too. Of AES-CCM not the one with a tag of 8 bytes, which is
 * broken by 2^7 forgeries in DTLS 1.3 (RFC 9147 s.4.5.3). */
static const struct suite {
    uint16_t id;
    uint8_t digest_bytes;
    const char *name;
} suites[] = {{0x1301, 32, "TLS13-AES128-GCM-SHA256"},
              {0x1303, 32, "TLS13-CHACHA20-POLY1305-SHA256"},
              {0x1304, 32, "TLS13-AES128-CCM-SHA256"},
              {0x1302, 48, "TLS13-AES256-GCM-SHA384"}};
const char dtls13_suites[] = "TLS13-AES128-GCM-SHA256:TLS13-CHACHA20-POLY1305-SHA256:"
                             "TLS13-AES128-CCM-SHA256:TLS13-AES256-GCM-SHA384";
static const uint16_t groups[] = {29, 23, 24}; /* X25519, P-256, P-384 */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint8_t *put16(uint8_t *p, size_t value)
{
    *p++ = (uint8_t)(value >> 8);
    *p++ = (uint8_t)value;
    return p;
}

static const struct suite *suite_of(uint16_t id)
{
    for (size_t i = 0; i < COUNT(suites); i++)
        if (suites[i].id == id)
            return &suites[i];
    return NULL;
}

const char *dtls13_suite_name(uint16_t id)
{
    const struct suite *suite = suite_of(id);
    return suite == NULL ? "" : suite->name;
}

/* ---- what a client offers --------------------------------------------------------------------------------
 */

struct extensions {
    struct dtls_slice versions, groups, shares, cookie;
};

/* False when one is there twice, or not all there. */
static bool read_extensions(struct dtls_slice all, struct extensions *out)
{
    *out = (struct extensions){.versions = {.n = 0}};
    while (all.n > 0) {
        if (all.n < 4 || be16(all.at + 2) > all.n - 4)
            return false;
        struct dtls_slice body = {.at = all.at + 4, .n = be16(all.at + 2)};
        uint16_t type = be16(all.at);
        struct dtls_slice *into = type == EXTENSION_VERSIONS    ? &out->versions
                                  : type == EXTENSION_GROUPS    ? &out->groups
                                  : type == EXTENSION_KEY_SHARE ? &out->shares
                                  : type == EXTENSION_COOKIE    ? &out->cookie
                                                                : NULL;
        if (into != NULL && into->at != NULL)
            return false;
        if (into != NULL)
            *into = body;
        all.at += 4 + body.n;
        all.n -= 4 + body.n;
    }
    return true;
}

static bool list_has(struct dtls_slice list, uint16_t value)
{
    for (size_t i = 0; i + 2 <= list.n; i += 2)
        if (be16(list.at + i) == value)
            return true;
    return false;
}

/* The list in a body behind its length of `width` bytes; false when it is not of two-byte items throughout.
 */
static bool take_list(struct dtls_slice body, size_t width, struct dtls_slice *list)
{
    if (body.n < width)
        return false;
    size_t n = width == 1 ? body.at[0] : be16(body.at);
    if (n != body.n - width || n % 2 != 0)
        return false;
    *list = (struct dtls_slice){.at = body.at + width, .n = n};
    return true;
}

static bool has_share(struct dtls_slice body, uint16_t group, bool *good)
{
    *good = body.n >= 2 && be16(body.at) == body.n - 2;
    if (!*good)
        return false;
    const uint8_t *p = body.at + 2;
    size_t n = body.n - 2;
    bool found = false;
    while (n > 0) {
        *good = n >= 4 && be16(p + 2) > 0 && be16(p + 2) <= n - 4;
        if (!*good)
            return false;
        found = found || be16(p) == group;
        n -= 4u + be16(p + 2);
        p += 4 + be16(p + 2);
    }
    return found;
}

/* The group to go on with: a share of ours first, else one to ask for. */
static enum dtls13_form choose_group(const struct extensions *have, struct dtls13_offer *out)
{
    struct dtls_slice list;
    bool good = true;
    if (!take_list(have->groups, 2, &list))
        return DTLS13_BROKEN;
    for (size_t i = 0; i < COUNT(groups) && good; i++)
        if (list_has(list, groups[i]) && has_share(have->shares, groups[i], &good)) {
            out->group = 0;
            return DTLS13_GOOD;
        }
    if (!good)
        return DTLS13_BROKEN;
    for (size_t i = 0; i < COUNT(groups); i++)
        if (list_has(list, groups[i])) {
            out->group = groups[i];
            return DTLS13_GOOD;
        }
    return DTLS13_NOTHING;
}

enum dtls13_form dtls13_hello_read(const struct dtls_hello *hello, struct dtls13_offer *out)
{
    struct extensions have;
    struct dtls_slice list;
    *out = (struct dtls13_offer){.suite = 0};
    if (hello->extensions.n == 0)
        return DTLS13_NONE;
    if (!read_extensions(hello->extensions, &have))
        return DTLS13_BROKEN;
    if (have.versions.at == NULL)
        return DTLS13_NONE;
    if (!take_list(have.versions, 1, &list))
        return DTLS13_BROKEN;
    if (!list_has(list, VERSION_1_3))
        return DTLS13_NONE;
    if (hello->cookie.n != 0 || hello->compression.n != 1 || hello->compression.at[0] != 0)
        return DTLS13_BROKEN; /* RFC 9147 s.5.3 */
    for (size_t i = 0; i < COUNT(suites) && out->suite == 0; i++)
        if (list_has(hello->suites, suites[i].id))
            out->suite = suites[i].id;
    if (out->suite == 0)
        return DTLS13_NOTHING;
    if (have.cookie.at != NULL) {
        if (have.cookie.n < 3 || be16(have.cookie.at) != have.cookie.n - 2)
            return DTLS13_BROKEN;
        out->cookie = (struct dtls_slice){.at = have.cookie.at + 2, .n = have.cookie.n - 2};
    }
    return choose_group(&have, out);
}

/* ---- the answer ------------------------------------------------------------------------------------------
 */

/* Of the message as the transcript sees it: without the fields that only DTLS has (RFC 9147 s.5.2). */
static bool digest_of(const struct dtls_hello *hello, const struct suite *suite, uint8_t *out)
{
    const uint8_t front[4] = {DTLS_CLIENT_HELLO, (uint8_t)(hello->body.n >> 16),
                              (uint8_t)(hello->body.n >> 8), (uint8_t)hello->body.n};
    bool good;
    if (suite->digest_bytes == 32) {
        wc_Sha256 sha;
        if (wc_InitSha256(&sha) != 0)
            return false;
        good = wc_Sha256Update(&sha, front, sizeof(front)) == 0 &&
               wc_Sha256Update(&sha, hello->body.at, (word32)hello->body.n) == 0 &&
               wc_Sha256Final(&sha, out) == 0;
        wc_Sha256Free(&sha);
    } else {
        wc_Sha384 sha;
        if (wc_InitSha384(&sha) != 0)
            return false;
        good = wc_Sha384Update(&sha, front, sizeof(front)) == 0 &&
               wc_Sha384Update(&sha, hello->body.at, (word32)hello->body.n) == 0 &&
               wc_Sha384Final(&sha, out) == 0;
        wc_Sha384Free(&sha);
    }
    return good;
}

static size_t make_cookie(struct dtls_cookies *cookies, const struct flow_key *key,
                          const struct dtls_hello *hello, const struct dtls13_offer *offer, uint64_t now_us,
                          uint8_t out[DTLS13_COOKIE_MAX])
{
    const struct suite *suite = suite_of(offer->suite);
    uint8_t *p = out;
    *p++ = suite->digest_bytes;
    if (!digest_of(hello, suite, p))
        return 0;
    p = put16(p + suite->digest_bytes, offer->suite);
    if (offer->group != 0)
        p = put16(p, offer->group);
    size_t n = (size_t)(p - out);
    return dtls_cookie_mac(cookies, key, out, n, now_us, p) ? n + DTLS_COOKIE_BYTES : 0;
}

size_t dtls13_retry(struct dtls_cookies *cookies, const struct flow_key *key, const struct dtls_hello *hello,
                    const struct dtls13_offer *offer, uint64_t now_us, uint8_t out[DTLS13_RETRY_MAX])
{
    static const uint8_t random[DTLS_RANDOM_BYTES] = {
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
        0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    uint8_t cookie[DTLS13_COOKIE_MAX];
    size_t cookie_n = make_cookie(cookies, key, hello, offer, now_us, cookie);
    if (cookie_n == 0)
        return 0;
    size_t extensions = (offer->group != 0 ? 6u : 0u) + 6 + 6 + cookie_n;
    size_t body = 2 + DTLS_RANDOM_BYTES + 1 + 2 + 1 + 2 + extensions;
    uint8_t *p = out;
    *p++ = DTLS_CONTENT_HANDSHAKE;
    p = put16(p, 0xfefd);
    memcpy(p, hello->record + 3, 8); /* epoch and number are those of the ClientHello */
    p = put16(p + 8, DTLS_HANDSHAKE_HEADER_BYTES + body);
    *p++ = SERVER_HELLO;
    *p++ = 0;
    p = put16(p, body);
    p = put16(p, hello->message);
    memset(p, 0, 4);
    p = put16(p + 4, body);
    p = put16(p, 0xfefd);
    memcpy(p, random, sizeof(random));
    p += sizeof(random);
    *p++ = 0; /* no session id, whatever the client says (RFC 9147 s.5.3) */
    p = put16(p, offer->suite);
    *p++ = 0;
    p = put16(p, extensions);
    if (offer->group != 0)
        p = put16(put16(put16(p, EXTENSION_KEY_SHARE), 2), offer->group);
    p = put16(put16(put16(p, EXTENSION_VERSIONS), 2), VERSION_1_3);
    p = put16(put16(put16(p, EXTENSION_COOKIE), 2 + cookie_n), cookie_n);
    memcpy(p, cookie, cookie_n);
    return (size_t)(p - out) + cookie_n;
}

const uint8_t *dtls13_cookie_check(struct dtls_cookies *cookies, const struct flow_key *key,
                                   const struct dtls13_offer *offer, uint64_t now_us)
{
    const struct suite *suite = suite_of(offer->suite);
    const struct dtls_slice *cookie = &offer->cookie;
    if (suite == NULL || cookie->n < 1u + suite->digest_bytes + 2 + DTLS_COOKIE_BYTES)
        return NULL;
    size_t n = cookie->n - DTLS_COOKIE_BYTES, front = 1u + suite->digest_bytes;
    if ((n != front + 2 && n != front + 4) || cookie->at[0] != suite->digest_bytes ||
        be16(cookie->at + front) != suite->id)
        return NULL;
    return dtls_cookie_mac_check(cookies, key, cookie->at, n, now_us);
}
