/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bodies that come in several blocks and leave as one MQTT message (E8; RFC 7959 s.2.5): they are gathered
 * here, since a broker knows no blocks. Private to the CoAP relays.
 *
 * Which blocks may come, in which order, how many transfers at once and for how long is
 * policy/coap/transfer.h's and the guard's; a body is at most COAP_MQTT_MESSAGE_BYTES. Each block but the
 * last is answered 2.31; a block that was had already may come again; the last one hands the body on. A body
 * belongs to its leg, which is to its identity. At most COAP_BODIES are under way in a worker; one that has
 * been silent for as long as a client may take for a block makes room, and is forgotten. One per worker, no
 * locks.
 */
#ifndef GATEWAY_COAP_BODY_H
#define GATEWAY_COAP_BODY_H

#include "gateway/relay_coap_request.h"

#define COAP_BODIES 256

struct coap_bodies;

struct coap_bodies *coap_bodies_create(struct packet_buffers *buffers);
/* NULL is ignored. */
void coap_bodies_destroy(struct coap_bodies *bodies);

enum coap_body_result {
    COAP_BODY_NO_ROOM = 0, /* 5.03 */
    COAP_BODY_INCOMPLETE,  /* 4.08: what comes before is not here */
    COAP_BODY_TOO_LARGE,   /* 4.13 */
    COAP_BODY_MORE,        /* 2.31 */
    COAP_BODY_WHOLE,
};

/* A block of the transfer `name` (not 0) of a leg. WHOLE: `body` is all of it, until coap_body_drop or the
 * next call. After any result but MORE nothing is left of it, once it has been dropped. */
enum coap_body_result coap_body_add(struct coap_bodies *bodies, struct slab_handle leg, uint64_t name,
                                    const struct coap_block *block, struct bytes payload, uint64_t now_us,
                                    struct bytes *body);
void coap_body_drop(struct coap_bodies *bodies, struct slab_handle leg, uint64_t name);
/* Forgets what has been silent for too long; once a second or so. */
void coap_bodies_expire(struct coap_bodies *bodies, uint64_t now_us);
uint32_t coap_bodies_used(const struct coap_bodies *bodies);

#endif
