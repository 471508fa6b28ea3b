/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One observation of an upstream for many devices (E5): where the rule that allows it says `shared`.
 *
 * Observers whose requests differ in nothing a response may depend on (policy/coap/cache.h) are a group. Its
 * leader has registered with the upstream, on its own leg; what comes for it goes to all, under numbers of
 * the group's own, since a leader may change (RFC 7641 s.3.4). A device that joins gets what came last. When
 * the leader goes, another member registers in its stead at the end of the iteration. Each member stays on
 * its own leg for its caps and its rights. Private to the CoAP relays.
 */
#ifndef GATEWAY_COAP_GROUP_H
#define GATEWAY_COAP_GROUP_H

#include "gateway/relay_coap_private.h"

/* What comes for one goes to all at once: more than so many observe by themselves. */
#define COAP_GROUP_MAX 1024

struct coap_group {
    uint64_t name[2];
    uint32_t next; /* in its bucket */
    uint32_t sequence;
    uint32_t members_n;
    struct coap_flight *leader; /* NULL: it has gone */
    TAILQ_HEAD(, coap_flight) members;
    TAILQ_ENTRY(coap_group) orphans;
    bool orphan;
};

/* Takes a flight that wants to observe, whose request is kept, into the group of its resource. True: it has
 * joined others, and nothing has to be sent upstream; false: it leads, or is on its own. */
bool coap_group_join(struct coap_flight *flight, struct coap_leg *leg);
/* The flight observes no more, or alone. */
void coap_group_leave(struct coap_flight *flight);
/* What came for the leader goes to the others; `more`: it was a notification. */
void coap_group_tell(struct coap_flight *leader, const struct coap_message *message,
                     const struct coap_verdict *verdict, bool more);
/* The number of the next message of the group. */
uint32_t coap_group_next(struct coap_group *group);
/* Lets others lead where the leader has gone. */
void coap_groups_mend(struct coap_relays *r);

#endif
