/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients whose address is another than before, and who are known by their connection id (B2; RFC 9146 s.6,
 * RFC 9147 s.9).
 */
#include "dataplane/secure/dtls_server_private.h"

#include <string.h>

/* An address is kept for this long at least. */
#define KEPT_US UINT64_C(1000000)

/* To the same listener, which sees the same network there. */
static bool same_door(const struct flow_key *a, const struct flow_key *b)
{
    return a->local_port == b->local_port && a->interface == b->interface && a->protocol == b->protocol &&
           memcmp(&a->local, &b->local, sizeof(a->local)) == 0;
}

/* An address that somebody else has is not taken from him by a record that anybody might have passed on:
 * then the client shakes hands anew, which shows where it is. */
static bool is_free(const struct dtls_server *s, const struct flow_key *key)
{
    return flow_table_find(s->by_key, key, flow_table_hash(s->by_key, key)) == FLOW_TABLE_NONE;
}

static bool rekey(struct dtls_endpoint *e, const struct flow_key *key)
{
    struct flow_table *table = e->server->by_key;
    uint32_t index = slab_handle_of(e->server->endpoints, e).index;
    if (flow_table_insert(table, key, flow_table_hash(table, key), index) != 0)
        return false;
    flow_table_remove(table, &e->key, flow_table_hash(table, &e->key));
    return true;
}

void dtls_move(struct dtls_endpoint *e)
{
    struct dtls_server *s = e->server;
    const struct dtls_arrival *arrival = e->elsewhere;
    if (arrival == NULL || !dtls_session_newest(e->seats[e->open].session))
        return;
    if ((e->moved && e->moved_us + KEPT_US > dtls_server_now(s)) || !is_free(s, &arrival->key)) {
        dtls_server_count(s, DTLS_SERVER_STAYED);
        return;
    }
    if (e->coming != SEAT_NONE)
        dtls_seat_leave(e, e->coming, false); /* its cookie was for the other address */
    struct flow_key old = e->key;
    if (!rekey(e, &arrival->key))
        return;
    /* Another port of the same address is the same host, or the NAT before it, which the cookie has reached.
     */
    e->proved =
        (!e->moved || e->proved) && memcmp(&old.remote, &arrival->key.remote, sizeof(old.remote)) == 0;
    e->key = arrival->key;
    e->moved = true;
    e->moved_us = dtls_server_now(s);
    dtls_endpoint_note(e, arrival);
    dtls_server_count(s, DTLS_SERVER_MOVED);
    if (s->config.handler->moved != NULL)
        s->config.handler->moved(s->config.owner, e, &old);
}

void dtls_take_by_id(struct dtls_server *s, const struct dtls_arrival *arrival, const uint8_t *id)
{
    uint32_t value = dtls_ids_find(s->ids, id);
    if (value == DTLS_IDS_NONE) {
        dtls_server_count(s, DTLS_SERVER_UNKNOWN_ID);
        return;
    }
    struct dtls_endpoint *e = slab_at(s->endpoints, value / 2);
    struct slab_handle handle = slab_handle_of(s->endpoints, e);
    int8_t seat = (int8_t)(value % 2);
    bool here = memcmp(&e->key, &arrival->key, sizeof(e->key)) == 0;
    if (!here && (seat != e->open || !same_door(&e->key, &arrival->key))) {
        dtls_server_count(s, DTLS_SERVER_STAYED); /* a handshake ends where it began */
        return;
    }
    if (here)
        dtls_endpoint_note(e, arrival);
    else
        e->elsewhere = arrival;
    dtls_seat_feed(e, seat, arrival->datagram, arrival->n);
    if (slab_resolve(s->endpoints, handle) != NULL)
        e->elsewhere = NULL;
}

bool dtls_endpoint_moved(const struct dtls_endpoint *e)
{
    return e->moved && !e->proved;
}

void dtls_endpoint_prove(struct dtls_endpoint *e)
{
    e->proved = true;
}
