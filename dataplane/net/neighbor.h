/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is at which MAC: one table for ARP (RFC 826) and neighbour discovery (RFC 4861 s.7.3), per worker.
 *
 * What may teach it is narrow, because on a shared wire anybody can claim anything:
 * - an answer is taken only while we ask for that very address (solicited);
 * - a request or a packet addressed to us makes an entry that did not exist, "unconfirmed": it is asked for
 *   as soon as it is used, by unicast alone, and it is the first to go when the table is full;
 * - nothing replaces a MAC that we have, before its holder stopped answering: a packet, request or
 *   announcement with another MAC only makes us ask the old one (unicast), and when it is silent everybody.
 *
 * The table is capped and so are packets that wait for an answer, per neighbour and in all. Next hops of
 * routes are made at start and never recycled, so nobody can push a router out. Time is the caller's; no
 * locks. It writes no frame: host->solicit does.
 */
#ifndef DATAPLANE_NET_NEIGHBOR_H
#define DATAPLANE_NET_NEIGHBOR_H

#include "dataplane/address.h"

struct rte_mbuf;

#define NEIGHBOR_WAITING 3       /* packets held per neighbour; the oldest goes first (RFC 4861 s.7.2.2) */
#define NEIGHBOR_WAITING_ALL 512 /* in the whole table */
#define NEIGHBOR_NONE UINT32_MAX

enum neighbor_state {
    NEIGHBOR_FREE = 0,
    NEIGHBOR_INCOMPLETE, /* asked for, no MAC yet */
    NEIGHBOR_FAILED,     /* nobody answered; packets are dropped until the pause is over */
    NEIGHBOR_STALE,      /* a MAC, not confirmed lately */
    NEIGHBOR_REACHABLE,  /* confirmed lately */
    NEIGHBOR_DELAY,      /* used while stale; asked soon unless it shows itself */
    NEIGHBOR_PROBE,      /* the old MAC is being asked */
};

struct neighbor {
    struct ip_address address;
    uint8_t mac[6];
    uint8_t interface;
    uint8_t state;  /* enum neighbor_state; there is a MAC from STALE on */
    bool permanent; /* the next hop of a route */
    bool confirmed; /* has answered us at least once */
    uint8_t probes;
    uint8_t waiting_n;
    uint32_t next; /* in its hash chain, or the free list */
    uint64_t confirmed_us;
    uint64_t used_us;
    uint64_t due_us;
    uint32_t timed_next; /* in the list of those with something due */
    uint32_t timed_previous;
    struct rte_mbuf *waiting[NEIGHBOR_WAITING];
};

struct neighbor_host {
    /* Ask for n->address: of n->mac alone, or of everybody. */
    void (*solicit)(void *host, const struct neighbor *n, bool unicast);
    /* It has a MAC now: send what waited. The mbufs are the host's from here. */
    void (*resolved)(void *host, const struct neighbor *n, struct rte_mbuf **waiting, uint32_t count);
    /* Nobody answered. The mbufs are the host's. */
    void (*failed)(void *host, const struct neighbor *n, struct rte_mbuf **waiting, uint32_t count);
};

struct neighbor_table;

/* NULL when memory is not to be had. `capacity` at most 2^24. */
struct neighbor_table *neighbor_table_create(uint32_t capacity, const uint8_t secret[16],
                                             const struct neighbor_host *host, void *host_data);
/* Waiting packets are freed. */
void neighbor_table_destroy(struct neighbor_table *table);
uint32_t neighbor_table_used(const struct neighbor_table *table);

/* NULL when there is none. */
struct neighbor *neighbor_find(const struct neighbor_table *table, uint16_t interface,
                               const struct ip_address *address);
/* The entry to send to, made and asked for when there is none; NULL when the table is full. */
struct neighbor *neighbor_want(struct neighbor_table *table, uint16_t interface,
                               const struct ip_address *address, uint64_t now_us);
/* Makes the permanent entry of a next hop; asks nobody yet. NULL when the table is full. */
struct neighbor *neighbor_pin(struct neighbor_table *table, uint16_t interface,
                              const struct ip_address *address);
/* A packet or request addressed to us came from this address and MAC. The entry, NULL when full. */
struct neighbor *neighbor_heard(struct neighbor_table *table, uint16_t interface,
                                const struct ip_address *address, const uint8_t mac[6], uint64_t now_us);
/* The same for an entry at hand (a router whose packets come from elsewhere). */
void neighbor_heard_from(struct neighbor_table *table, struct neighbor *n, const uint8_t mac[6],
                         uint64_t now_us);
/* An unsolicited claim: changes nothing but that a different MAC makes us verify the one we have. */
void neighbor_announced(struct neighbor_table *table, uint16_t interface, const struct ip_address *address,
                        const uint8_t mac[6], uint64_t now_us);
/* An answer. True when it was asked for and taken. */
bool neighbor_answered(struct neighbor_table *table, uint16_t interface, const struct ip_address *address,
                       const uint8_t mac[6], uint64_t now_us);
/* Before sending to an entry with a MAC: notes the use, verifies when stale. */
void neighbor_use(struct neighbor_table *table, struct neighbor *n, uint64_t now_us);
/* Keeps a packet until the entry has a MAC; takes the mbuf. The one that had to give way is returned, else
 * NULL. */
struct rte_mbuf *neighbor_hold(struct neighbor_table *table, struct neighbor *n, struct rte_mbuf *packet,
                               uint64_t now_us);
/* Retries, verifications, ageing. */
void neighbor_advance(struct neighbor_table *table, uint64_t now_us);

/* Entries by number, for notes that outlive calls. */
uint32_t neighbor_index(const struct neighbor_table *table, const struct neighbor *n);
/* NULL when out of range or free. */
struct neighbor *neighbor_at(const struct neighbor_table *table, uint32_t index);

static inline bool neighbor_has_mac(const struct neighbor *n)
{
    return n->state >= NEIGHBOR_STALE;
}

#endif
