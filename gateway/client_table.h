/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is remembered of clients beyond their connections: token buckets, so that reconnecting refills nothing
 * (F3), and which sessions they have, for caps, takeovers and kicks. Found by the name of the identity.
 *
 * Bounded. A client without sessions is kept until its place is needed: the one that has been without for
 * longest goes first. One table per worker; all flows of a source address are on one worker, so a client that
 * stays at its address has one entry. What has to hold for a client that does not is in its share, see
 * client_shares.h. Names are kept as 128 bits of SipHash under a secret key.
 */
#ifndef GATEWAY_CLIENT_TABLE_H
#define GATEWAY_CLIENT_TABLE_H

#include "gateway/client_shares.h"
#include "policy/mqtt/guard.h"

struct client {
    struct rate_buckets rates;
    struct client_share *share;    /* of all workers, instead of `rates` and the next; NULL: there is one */
    uint64_t quarantined_until_us; /* 0: it is not */
    uint64_t will_digest;          /* of the Will it last came with; 0: none */
    bool will_known;
    uint32_t sessions_n;
    void *sessions; /* the relays' own list */
    /* private */
    uint64_t name[2];
    uint32_t next;         /* in its bucket, or among the free */
    uint32_t older, newer; /* among those without sessions */
};

struct client_table;

/* `shares`: borrowed; NULL: clients are of this worker only. */
struct client_table *client_table_create(uint32_t capacity, const uint8_t secret[16],
                                         struct client_shares *shares);
void client_table_destroy(struct client_table *table);
/* The client's entry, new or old; NULL when all places are taken by clients with sessions, or none
 * is left among the shares. It stays only
 * while it has sessions or nobody else needs the place, so count a session at once or ask again. */
struct client *client_table_get(struct client_table *table, struct bytes name);
/* NULL when unknown. */
struct client *client_table_find(struct client_table *table, struct bytes name);
void client_table_open(struct client_table *table, struct client *client);
void client_table_close(struct client_table *table, struct client *client);
uint32_t client_table_used(const struct client_table *table);

#endif
