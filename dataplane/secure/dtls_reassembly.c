/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/dtls_reassembly.h"

#include <stdlib.h>
#include <string.h>

#define FRONT (DTLS_RECORD_HEADER_BYTES + DTLS_HANDSHAKE_HEADER_BYTES)

struct place {
    struct flow_key key;
    uint64_t begun_us; /* 0: free */
    uint32_t length;
    uint32_t have; /* bytes from the front: fragments are taken in order, and what is missing is repeated */
    uint16_t message;
    uint8_t record[DTLS_RECORD_HEADER_BYTES]; /* of the first fragment */
    uint8_t body[DTLS_HELLO_MAX];
};

struct dtls_reassembly {
    uint8_t whole[FRONT + DTLS_HELLO_MAX];
    struct place places[DTLS_REASSEMBLY_PLACES];
};

struct dtls_reassembly *dtls_reassembly_create(void)
{
    return calloc(1, sizeof(struct dtls_reassembly));
}

void dtls_reassembly_destroy(struct dtls_reassembly *all)
{
    free(all);
}

static struct place *place_of(struct dtls_reassembly *all, const struct flow_key *key)
{
    for (uint32_t i = 0; i < DTLS_REASSEMBLY_PLACES; i++)
        if (all->places[i].begun_us != 0 && memcmp(&all->places[i].key, key, sizeof(*key)) == 0)
            return &all->places[i];
    return NULL;
}

static struct place *oldest(struct dtls_reassembly *all)
{
    struct place *place = &all->places[0];
    for (uint32_t i = 1; i < DTLS_REASSEMBLY_PLACES; i++)
        if (all->places[i].begun_us < place->begun_us)
            place = &all->places[i];
    return place;
}

/* The place where this fragment goes on, or begins; NULL when it fits nowhere. */
static struct place *place_for(struct dtls_reassembly *all, const struct flow_key *key,
                               const struct dtls_record *record, const struct dtls_fragment *fragment,
                               uint64_t now_us)
{
    struct place *place = place_of(all, key);
    if (place != NULL && place->message == fragment->message && place->length == fragment->length &&
        place->begun_us + DTLS_REASSEMBLY_US > now_us && fragment->offset <= place->have &&
        (fragment->offset != 0 || place->have == 0 ||
         memcmp(place->body, fragment->at, fragment->n < place->have ? fragment->n : place->have) == 0))
        return place;
    if (fragment->offset != 0)
        return NULL;
    if (place == NULL)
        place = oldest(all);
    place->key = *key;
    place->begun_us = now_us == 0 ? 1 : now_us;
    place->length = fragment->length;
    place->message = fragment->message;
    place->have = 0;
    memcpy(place->record, record->header, sizeof(place->record));
    return place;
}

static const uint8_t *finish(struct dtls_reassembly *all, struct place *place, size_t *whole)
{
    uint32_t n = place->length + DTLS_HANDSHAKE_HEADER_BYTES;
    uint8_t *p = all->whole;
    memcpy(p, place->record, DTLS_RECORD_HEADER_BYTES);
    p[11] = (uint8_t)(n >> 8);
    p[12] = (uint8_t)n;
    p += DTLS_RECORD_HEADER_BYTES;
    const uint8_t header[DTLS_HANDSHAKE_HEADER_BYTES] = {DTLS_CLIENT_HELLO,
                                                         0,
                                                         (uint8_t)(place->length >> 8),
                                                         (uint8_t)place->length,
                                                         (uint8_t)(place->message >> 8),
                                                         (uint8_t)place->message,
                                                         0,
                                                         0,
                                                         0,
                                                         0,
                                                         (uint8_t)(place->length >> 8),
                                                         (uint8_t)place->length};
    memcpy(p, header, sizeof(header));
    memcpy(p + sizeof(header), place->body, place->length);
    place->begun_us = 0;
    *whole = FRONT + place->length;
    return all->whole;
}

const uint8_t *dtls_reassembly_add(struct dtls_reassembly *all, const struct flow_key *key,
                                   const uint8_t *datagram, size_t n, uint64_t now_us, size_t *whole)
{
    struct dtls_record record;
    struct dtls_fragment fragment;
    while (dtls_record_next(&datagram, &n, &record)) {
        if (record.epoch != 0 || record.type != DTLS_CONTENT_HANDSHAKE)
            return NULL;
        while (dtls_fragment_next(&record.at, &record.n, &fragment)) {
            if (fragment.type != DTLS_CLIENT_HELLO || fragment.length > DTLS_HELLO_MAX ||
                fragment.length == 0)
                return NULL;
            struct place *place = place_for(all, key, &record, &fragment, now_us);
            if (place == NULL)
                return NULL;
            memcpy(place->body + fragment.offset, fragment.at, fragment.n);
            if (fragment.offset + fragment.n > place->have)
                place->have = (uint32_t)(fragment.offset + fragment.n);
            if (place->have == place->length)
                return finish(all, place, whole);
        }
    }
    return NULL;
}
