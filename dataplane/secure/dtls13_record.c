/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/dtls13_record.h"

/* 0 0 1 C S L E E (RFC 9147 s.4) */
#define FIXED_MASK 0xe0
#define FIXED 0x20
#define HAS_ID 0x10
#define LONG_NUMBER 0x08
#define HAS_LENGTH 0x04
#define EPOCH_MASK 0x03
#define EPOCH_HANDSHAKE 2

#define SERVER_HELLO 2
#define SERVER_HELLO_MAX 1024
#define ALERT_BYTES 2

bool dtls13_is_protected(const uint8_t *datagram, size_t n)
{
    return n > 0 && (datagram[0] & FIXED_MASK) == FIXED;
}

bool dtls13_is_handshake(const uint8_t *datagram, size_t n)
{
    return dtls13_is_protected(datagram, n) && (datagram[0] & EPOCH_MASK) == EPOCH_HANDSHAKE;
}

const uint8_t *dtls13_connection_id(const uint8_t *datagram, size_t n, size_t bytes)
{
    return dtls13_is_protected(datagram, n) && (datagram[0] & HAS_ID) != 0 && n > bytes ? datagram + 1 : NULL;
}

/* Takes a protected record off the front; false when it is not all there. */
static bool take_protected(const uint8_t **datagram, size_t *n, size_t id_bytes)
{
    const uint8_t *p = *datagram;
    bool has_id = (p[0] & HAS_ID) != 0;
    size_t header = 1u + id_bytes + ((p[0] & LONG_NUMBER) != 0 ? 2u : 1u);
    if (has_id != (id_bytes != 0))
        return false;
    size_t length_at = header;
    if ((p[0] & HAS_LENGTH) != 0)
        header += 2;
    if (*n < header + DTLS13_CIPHERTEXT_MIN)
        return false;
    size_t length = (p[0] & HAS_LENGTH) != 0 ? (size_t)(p[length_at] << 8 | p[length_at + 1]) : *n - header;
    if (length < DTLS13_CIPHERTEXT_MIN || length > *n - header)
        return false;
    *datagram += header + length;
    *n -= header + length;
    return true;
}

/* What a server says before there are keys: a hello in one piece, or why there will be none. */
static bool plain_good(const struct dtls_record *record)
{
    struct dtls_fragment fragment;
    const uint8_t *at = record->at;
    size_t n = record->n;
    if (record->epoch != 0)
        return false;
    if (record->type == DTLS_CONTENT_ALERT)
        return n == ALERT_BYTES;
    return record->type == DTLS_CONTENT_HANDSHAKE && dtls_fragment_next(&at, &n, &fragment) && n == 0 &&
           fragment.type == SERVER_HELLO && fragment.n == fragment.length &&
           fragment.length <= SERVER_HELLO_MAX;
}

bool dtls13_datagram_good(const uint8_t *datagram, size_t n, const struct dtls13_view *view,
                          uint32_t *records)
{
    struct dtls_record record;
    *records = 0;
    for (; n > 0; ++*records) {
        if (dtls13_is_protected(datagram, n)) {
            if (!take_protected(&datagram, &n, view->id_bytes))
                return false;
        } else if (view->server || view->open || !dtls_record_next(&datagram, &n, &record) ||
                   !plain_good(&record)) {
            return false;
        }
    }
    return *records > 0;
}
