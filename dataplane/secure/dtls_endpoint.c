/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the owner of a DTLS server asks of it and of its endpoints. */
#include "dataplane/secure/dtls_server_private.h"

bool dtls_endpoint_write(struct dtls_endpoint *e, const uint8_t *message, size_t n)
{
    return e->open != SEAT_NONE && dtls_session_write(e->seats[e->open].session, message, n);
}

void dtls_endpoint_close(struct dtls_endpoint *e)
{
    if (e->open == SEAT_NONE)
        return;
    dtls_server_count(e->server, DTLS_SERVER_UNWANTED);
    dtls_seat_leave(e, e->open, true);
    dtls_endpoint_free_if_empty(e);
}

const struct flow_key *dtls_endpoint_key(const struct dtls_endpoint *e)
{
    return &e->key;
}

uint32_t dtls_endpoint_path(const struct dtls_endpoint *e)
{
    return e->path;
}

uint32_t dtls_endpoint_listener(const struct dtls_endpoint *e)
{
    return e->listener;
}

void dtls_endpoint_set_listener(struct dtls_endpoint *e, uint32_t listener)
{
    e->listener = listener;
}

const uint8_t *dtls_endpoint_mac(const struct dtls_endpoint *e)
{
    return e->has_mac ? e->mac : NULL;
}

const struct tls_peer *dtls_endpoint_peer(const struct dtls_endpoint *e)
{
    return e->open == SEAT_NONE ? NULL : dtls_session_peer(e->seats[e->open].session);
}

const char *dtls_endpoint_unchecked(const struct dtls_endpoint *e)
{
    return e->open == SEAT_NONE ? NULL : dtls_session_unchecked(e->seats[e->open].session);
}

const char *dtls_endpoint_cipher(const struct dtls_endpoint *e)
{
    return e->open == SEAT_NONE ? "" : dtls_session_cipher(e->seats[e->open].session);
}

uint32_t dtls_server_endpoints(const struct dtls_server *s)
{
    return slab_used(s->endpoints);
}

uint32_t dtls_server_handshakes(const struct dtls_server *s)
{
    return s->handshakes;
}

uint64_t dtls_server_counter(const struct dtls_server *s, enum dtls_server_counter counter)
{
    return s->counters[counter];
}

const char *dtls_server_counter_id(enum dtls_server_counter counter)
{
#define DTLS_SERVER_COUNTER_ID(name, id) id,
    static const char *const ids[DTLS_SERVER_COUNTER_COUNT] = {
        DTLS_SERVER_COUNTER_TABLE(DTLS_SERVER_COUNTER_ID)};
#undef DTLS_SERVER_COUNTER_ID
    return ids[counter];
}

size_t dtls_endpoint_bytes(void)
{
    return sizeof(struct dtls_endpoint);
}
