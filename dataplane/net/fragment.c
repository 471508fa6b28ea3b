/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/fragment.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

#include <stdlib.h>

#define BLOCKS (FRAGMENT_BYTES / 8)
#define HEADERS (WIRE_ETHERNET_BYTES + WIRE_IPV6_BYTES)

enum state {
    STATE_FREE = 0,
    STATE_OPEN,
    STATE_REFUSED, /* overlapping: what still comes is dropped */
    STATE_DONE,    /* complete and in use */
};

/* Searched in order, so apart from the data. */
struct key {
    struct ip_address source;
    struct ip_address destination;
    uint32_t id;
    uint16_t interface;
    uint8_t protocol; /* IPv4 */
    uint8_t state;
    uint64_t first_us;
};

struct datagram {
    uint32_t received; /* bytes */
    uint32_t highest;  /* end of the piece that reaches furthest */
    uint32_t total;    /* 0 until the last piece came */
    uint8_t protocol;  /* of the first piece */
    uint8_t ttl;
    uint8_t traffic_class;
    bool v4;
    uint64_t blocks[BLOCKS / 64]; /* 8 bytes each: which are there */
    uint8_t ethernet[12];
    uint8_t frame[HEADERS + FRAGMENT_BYTES];
};

struct fragment_table {
    uint32_t used;
    uint32_t done;
    struct key keys[FRAGMENT_DATAGRAMS];
    struct datagram datagrams[FRAGMENT_DATAGRAMS];
};

static bool block_set(const struct datagram *d, uint32_t block)
{
    return (d->blocks[block / 64] >> (block % 64) & 1) != 0;
}

static uint8_t *data_of(struct datagram *d)
{
    return d->frame + HEADERS;
}

static struct key *find(struct fragment_table *table, uint16_t interface, const struct frame *frame)
{
    bool v4 = ip_address_is_v4(&frame->source);
    for (uint32_t i = 0; i < FRAGMENT_DATAGRAMS; i++) {
        struct key *key = &table->keys[i];
        if ((key->state == STATE_OPEN || key->state == STATE_REFUSED) && key->id == frame->fragment_id &&
            key->interface == interface && (!v4 || key->protocol == frame->protocol) &&
            ip_address_equal(&key->source, &frame->source) &&
            ip_address_equal(&key->destination, &frame->destination))
            return key;
    }
    return NULL;
}

static void release(struct fragment_table *table, struct key *key)
{
    key->state = STATE_FREE;
    table->used--;
}

/* A free place: the oldest of the same source gives way when that has its share, or the oldest of all. */
static struct key *make_room(struct fragment_table *table, uint16_t interface,
                             const struct ip_address *source)
{
    struct key *free_key = NULL;
    struct key *oldest = NULL;
    struct key *oldest_own = NULL;
    uint32_t own = 0;
    for (uint32_t i = 0; i < FRAGMENT_DATAGRAMS; i++) {
        struct key *key = &table->keys[i];
        if (key->state == STATE_FREE)
            free_key = key;
        if (key->state == STATE_FREE || key->state == STATE_DONE)
            continue;
        if (oldest == NULL || key->first_us < oldest->first_us)
            oldest = key;
        if (key->interface != interface || !ip_address_equal(&key->source, source))
            continue;
        own++;
        if (oldest_own == NULL || key->first_us < oldest_own->first_us)
            oldest_own = key;
    }
    struct key *victim = own >= FRAGMENT_PER_SOURCE ? oldest_own : oldest;
    if (own < FRAGMENT_PER_SOURCE && free_key != NULL)
        return free_key;
    if (victim != NULL)
        release(table, victim);
    return victim;
}

static struct key *open_datagram(struct fragment_table *table, uint16_t interface, const struct frame *frame,
                                 uint64_t now_us)
{
    struct key *key = make_room(table, interface, &frame->source);
    if (key == NULL)
        return NULL;
    *key = (struct key){.source = frame->source,
                        .destination = frame->destination,
                        .id = frame->fragment_id,
                        .interface = interface,
                        .protocol = frame->protocol,
                        .state = STATE_OPEN,
                        .first_us = now_us};
    table->used++;
    struct datagram *d = &table->datagrams[key - table->keys];
    d->received = 0;
    d->highest = 0;
    d->total = 0;
    d->protocol = frame->protocol;
    d->ttl = frame->ttl;
    d->traffic_class = frame->traffic_class;
    d->v4 = ip_address_is_v4(&frame->source);
    memset(d->blocks, 0, sizeof(d->blocks));
    memcpy(d->ethernet, frame->ethernet, sizeof(d->ethernet));
    return key;
}

/* How a piece lies among those that are there. */
enum fit {
    FIT_BAD = 0,
    FIT_REPEATED,
    FIT_NEW,
};

static enum fit fit_of(struct datagram *d, const struct frame *frame)
{
    uint32_t from = frame->fragment_offset;
    uint32_t end = from + frame->transport_len;
    if (!frame->more_fragments && ((d->total != 0 && d->total != end) || d->highest > end))
        return FIT_BAD;
    if (frame->more_fragments && d->total != 0 && end >= d->total)
        return FIT_BAD;
    uint32_t there = 0;
    uint32_t last = (end + 7) / 8;
    for (uint32_t block = from / 8; block < last; block++)
        there += block_set(d, block);
    if (there == 0)
        return FIT_NEW;
    bool same = there == last - from / 8 && memcmp(data_of(d) + from, frame->transport, end - from) == 0;
    return same ? FIT_REPEATED : FIT_BAD;
}

static void store(struct datagram *d, const struct frame *frame)
{
    uint32_t from = frame->fragment_offset;
    uint32_t end = from + frame->transport_len;
    memcpy(data_of(d) + from, frame->transport, frame->transport_len);
    for (uint32_t block = from / 8; block < (end + 7) / 8; block++)
        d->blocks[block / 64] |= 1ull << (block % 64);
    d->received += frame->transport_len;
    if (end > d->highest)
        d->highest = end;
    if (!frame->more_fragments)
        d->total = end;
    if (from == 0)
        d->protocol = frame->protocol; /* RFC 8200 s.4.5: of the first piece only */
}

/* Writes the headers in front of the data; answers where the frame starts. */
static const uint8_t *write_headers(const struct key *key, struct datagram *d)
{
    uint32_t header = d->v4 ? WIRE_IPV4_BYTES : WIRE_IPV6_BYTES;
    uint8_t *network = data_of(d) - header;
    struct be16 type = be16_make(d->v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    memcpy(network - WIRE_ETHERNET_BYTES, d->ethernet, sizeof(d->ethernet));
    memcpy(network - sizeof(type), &type, sizeof(type));
    if (d->v4) {
        struct wire_ipv4 *ip = (void *)network;
        *ip = (struct wire_ipv4){.version_words = 0x45,
                                 .traffic_class = d->traffic_class,
                                 .length = be16_make(header + d->total),
                                 .ttl = d->ttl,
                                 .protocol = d->protocol};
        memcpy(&ip->source, key->source.bytes + 12, 4);
        memcpy(&ip->destination, key->destination.bytes + 12, 4);
        checksum_store(ip->checksum, (uint16_t)~checksum_fold(checksum_add(0, network, header)));
    } else {
        struct wire_ipv6 *ip = (void *)network;
        ip->version_class_flow = be32_make(0x60000000u | (uint32_t)d->traffic_class << 20);
        ip->payload_len = be16_make(d->total);
        ip->next_header = d->protocol;
        ip->hop_limit = d->ttl;
        memcpy(ip->source, key->source.bytes, 16);
        memcpy(ip->destination, key->destination.bytes, 16);
    }
    return network - WIRE_ETHERNET_BYTES;
}

enum frame_outcome fragment_add(struct fragment_table *table, uint16_t interface, const struct frame *frame,
                                uint64_t now_us, const uint8_t **whole, size_t *whole_len)
{
    struct key *key = find(table, interface, frame);
    if (frame->fragment_offset + frame->transport_len > FRAGMENT_BYTES) {
        if (key != NULL)
            key->state = STATE_REFUSED;
        return FRAME_TOO_LARGE;
    }
    if (key == NULL)
        key = open_datagram(table, interface, frame, now_us);
    if (key == NULL || key->state == STATE_REFUSED)
        return FRAME_BAD_FRAGMENT;
    struct datagram *d = &table->datagrams[key - table->keys];
    enum fit fit =
        memcmp(d->ethernet, frame->ethernet, sizeof(d->ethernet)) == 0 ? fit_of(d, frame) : FIT_BAD;
    if (fit == FIT_REPEATED)
        return FRAME_FRAGMENT;
    if (fit == FIT_BAD) {
        key->state = STATE_REFUSED;
        return FRAME_BAD_FRAGMENT;
    }
    store(d, frame);
    if (d->total == 0 || d->received != d->total)
        return FRAME_FRAGMENT;
    *whole = write_headers(key, d);
    *whole_len = (size_t)(data_of(d) + d->total - *whole);
    key->state = STATE_DONE;
    table->done++;
    return FRAME_OK;
}

void fragment_release(struct fragment_table *table)
{
    for (uint32_t i = 0; table->done > 0 && i < FRAGMENT_DATAGRAMS; i++) {
        if (table->keys[i].state == STATE_DONE) {
            release(table, &table->keys[i]);
            table->done--;
        }
    }
}

uint32_t fragment_advance(struct fragment_table *table, uint64_t now_us)
{
    uint32_t expired = 0;
    for (uint32_t i = 0; table->used > 0 && i < FRAGMENT_DATAGRAMS; i++) {
        struct key *key = &table->keys[i];
        if (key->state == STATE_FREE || now_us - key->first_us < FRAGMENT_TIMEOUT_US)
            continue;
        expired += key->state == STATE_OPEN;
        release(table, key);
    }
    return expired;
}

uint32_t fragment_used(const struct fragment_table *table)
{
    return table->used;
}

struct fragment_table *fragment_table_create(void)
{
    return calloc(1, sizeof(struct fragment_table));
}

void fragment_table_destroy(struct fragment_table *table)
{
    free(table);
}
