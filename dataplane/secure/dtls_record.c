/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/dtls_record.h"

#include <string.h>

#define VERSION_MAJOR 0xFE /* DTLS 1.x, of which 1.0 is FE FF and 1.2 is FE FD */
#define VERSION_BYTES 2
/* A chain of certificates fits; the library puts the length of a message aside at its first fragment. */
#define MESSAGE_MAX 12288
/* A client's last message has number 6: a second ClientHello, certificate, key, proof, ticket, finished. */
#define MESSAGES_MAX 12

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)(p[0] << 8 | p[1]);
}

static uint32_t be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | be16(p + 1);
}

bool dtls_record_next(const uint8_t **datagram, size_t *n, struct dtls_record *out)
{
    const uint8_t *p = *datagram;
    if (*n < DTLS_RECORD_HEADER_BYTES || p[1] != VERSION_MAJOR)
        return false;
    size_t length = be16(p + 11);
    if (length > *n - DTLS_RECORD_HEADER_BYTES)
        return false;
    *out = (struct dtls_record){.type = p[0],
                                .epoch = (uint16_t)be16(p + 3),
                                .header = p,
                                .at = p + DTLS_RECORD_HEADER_BYTES,
                                .n = length};
    *datagram += DTLS_RECORD_HEADER_BYTES + length;
    *n -= DTLS_RECORD_HEADER_BYTES + length;
    return true;
}

bool dtls_fragment_next(const uint8_t **contents, size_t *n, struct dtls_fragment *out)
{
    const uint8_t *p = *contents;
    if (*n < DTLS_HANDSHAKE_HEADER_BYTES)
        return false;
    size_t length = be24(p + 1), offset = be24(p + 6), part = be24(p + 9);
    if (part > *n - DTLS_HANDSHAKE_HEADER_BYTES || offset > length || part > length - offset)
        return false;
    *out = (struct dtls_fragment){.type = p[0],
                                  .message = (uint16_t)be16(p + 4),
                                  .length = (uint32_t)length,
                                  .offset = (uint32_t)offset,
                                  .at = p + DTLS_HANDSHAKE_HEADER_BYTES,
                                  .n = part};
    *contents += DTLS_HANDSHAKE_HEADER_BYTES + part;
    *n -= DTLS_HANDSHAKE_HEADER_BYTES + part;
    return true;
}

static bool fragments_good(struct dtls_record record)
{
    struct dtls_fragment fragment;
    while (record.n > 0) {
        if (!dtls_fragment_next(&record.at, &record.n, &fragment))
            return false;
        if (fragment.length > MESSAGE_MAX || fragment.message >= MESSAGES_MAX)
            return false;
    }
    return true;
}

enum dtls_verdict dtls_datagram_judge(const uint8_t *datagram, size_t n, bool open, uint32_t *records)
{
    struct dtls_record record;
    bool data = false, handshake = false, forged = false;
    *records = 0;
    while (dtls_record_next(&datagram, &n, &record)) {
        ++*records;
        if (!open && record.epoch == 0 && record.type == DTLS_CONTENT_HANDSHAKE && !fragments_good(record))
            return DTLS_DATAGRAM_DROP;
        data = data ||
               (record.epoch != 0 && (record.type == DTLS_CONTENT_DATA || record.type == DTLS_CONTENT_ALERT));
        handshake = handshake || (record.epoch != 0 && record.type == DTLS_CONTENT_HANDSHAKE);
        forged = forged || record.epoch == 0;
    }
    if (n != 0)
        return DTLS_DATAGRAM_DROP;
    if (!open || (data && !handshake && !forged))
        return DTLS_DATAGRAM_GOOD;
    return handshake && !data ? DTLS_DATAGRAM_AGAIN : DTLS_DATAGRAM_DROP;
}

/* A vector whose length takes `width` bytes. */
static bool take_vector(const uint8_t **p, size_t *n, size_t width, struct dtls_slice *out)
{
    if (*n < width)
        return false;
    size_t length = width == 1 ? (*p)[0] : be16(*p);
    if (length > *n - width)
        return false;
    *out = (struct dtls_slice){.at = *p + width, .n = length};
    *p += width + length;
    *n -= width + length;
    return true;
}

static bool parse_body(const uint8_t *p, size_t n, struct dtls_hello *out)
{
    if (n < VERSION_BYTES + DTLS_RANDOM_BYTES || p[0] != VERSION_MAJOR)
        return false;
    out->body = (struct dtls_slice){.at = p, .n = n};
    out->version = p;
    out->random = p + VERSION_BYTES;
    p += VERSION_BYTES + DTLS_RANDOM_BYTES;
    n -= VERSION_BYTES + DTLS_RANDOM_BYTES;
    if (!take_vector(&p, &n, 1, &out->session_id) || out->session_id.n > 32 ||
        !take_vector(&p, &n, 1, &out->cookie) || !take_vector(&p, &n, 2, &out->suites) ||
        out->suites.n == 0 || out->suites.n % 2 != 0 || !take_vector(&p, &n, 1, &out->compression) ||
        out->compression.n == 0)
        return false;
    return n == 0 || (take_vector(&p, &n, 2, &out->extensions) && n == 0);
}

enum dtls_hello_form dtls_hello_parse(const uint8_t *datagram, size_t n, struct dtls_hello *out)
{
    struct dtls_record record;
    struct dtls_fragment fragment;
    if (!dtls_record_next(&datagram, &n, &record) || record.epoch != 0 ||
        record.type != DTLS_CONTENT_HANDSHAKE || record.n == 0 || record.at[0] != DTLS_CLIENT_HELLO)
        return DTLS_HELLO_NONE;
    if (!dtls_fragment_next(&record.at, &record.n, &fragment) || fragment.length > DTLS_HELLO_MAX)
        return DTLS_HELLO_BROKEN;
    if (fragment.n < fragment.length)
        return DTLS_HELLO_PART;
    *out = (struct dtls_hello){.record = record.header, .message = fragment.message};
    return parse_body(fragment.at, fragment.n, out) ? DTLS_HELLO_WHOLE : DTLS_HELLO_BROKEN;
}

void dtls_hello_verify(const struct dtls_hello *hello, const uint8_t cookie[DTLS_COOKIE_BYTES],
                       uint8_t out[DTLS_HELLO_VERIFY_BYTES])
{
    static const uint8_t version_1_0[VERSION_BYTES] = {0xFE, 0xFF}; /* in any case: s.4.2.1 */
    const size_t body = 3 + DTLS_COOKIE_BYTES;
    uint8_t *p = out;
    *p++ = DTLS_CONTENT_HANDSHAKE;
    memcpy(p, version_1_0, VERSION_BYTES);
    memcpy(p + VERSION_BYTES, hello->record + 3, 8); /* epoch and number */
    p += VERSION_BYTES + 8;
    *p++ = 0;
    *p++ = (uint8_t)(DTLS_HANDSHAKE_HEADER_BYTES + body);
    const uint8_t header[DTLS_HANDSHAKE_HEADER_BYTES] = {DTLS_HELLO_VERIFY,
                                                         0,
                                                         0,
                                                         (uint8_t)body,
                                                         (uint8_t)(hello->message >> 8),
                                                         (uint8_t)hello->message,
                                                         0,
                                                         0,
                                                         0,
                                                         0,
                                                         0,
                                                         (uint8_t)body};
    memcpy(p, header, sizeof(header));
    p += sizeof(header);
    memcpy(p, version_1_0, VERSION_BYTES);
    p[VERSION_BYTES] = DTLS_COOKIE_BYTES;
    memcpy(p + VERSION_BYTES + 1, cookie, DTLS_COOKIE_BYTES);
}

void dtls_alert(const struct dtls_hello *hello, uint8_t alert, uint8_t out[DTLS_ALERT_BYTES])
{
    const uint8_t front[3] = {DTLS_CONTENT_ALERT, 0xFE, 0xFD}, back[4] = {0, 2, 2, alert};
    memcpy(out, front, sizeof(front));
    memcpy(out + 3, hello->record + 3, 8);
    memcpy(out + 11, back, sizeof(back));
}
