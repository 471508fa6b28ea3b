/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of TLS listeners: accepted connections whose handshake is under way (A5, B4, B6, D2).
 *
 * A connection stands here from TCP's accept until TLS is open, then it is handed on to the relays; who
 * fails, takes too long, or does not speak TLS at all is told as an event with what was wrong, at most
 * TLS_GATE_EVENTS_PER_S a second, and gone. A place costs a few dozen bytes; a relay is not made before. The
 * number of places, and of those that one source may have, is bounded. Owned by one worker, no locks.
 */
#ifndef GATEWAY_TLS_GATE_H
#define GATEWAY_TLS_GATE_H

#include "dataplane/secure/tls_stream.h"
#include "gateway/event.h"
#include "gateway/generation.h"
#include "gateway/relay_mqtt.h"

#define TLS_GATE_EVENTS_PER_S 20

struct tls_gate;

struct tls_gate_config {
    uint32_t places;
    struct tls_worker *tls;                     /* borrowed */
    struct event_ring *events;                  /* borrowed */
    const struct generation *const *generation; /* the worker's current one */
    const uint64_t *now_us;                     /* the worker's loop time */
    const uint64_t *wall_offset_us;             /* from loop time to CLOCK_REALTIME; NULL: none */
    /* TLS is open: `stream` and its peer are the relays' from here on. */
    void (*opened)(void *worker, struct stream *stream, const struct relay_origin *origin);
    /* A place was given up, before `opened` too: the source's handshake is over. */
    void (*settled)(void *worker, const struct relay_origin *origin);
    /* It came to nothing: the source's connection is over. */
    void (*failed)(void *worker, const struct relay_origin *origin);
    void *worker;
};

/* NULL when memory is not to be had. */
struct tls_gate *tls_gate_create(const struct tls_gate_config *config);
/* NULL is ignored. Streams are aborted: before the TLS worker goes. */
void tls_gate_destroy(struct tls_gate *gate);
/* Takes over an accepted stream. `settled` and `failed` are called for it, perhaps from within. */
void tls_gate_accept(struct tls_gate *gate, struct stream *device, const struct relay_origin *origin);

#endif
