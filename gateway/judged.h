/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judged actions, made known: what a session asked for, and what the policy in force said to it. Whoever
 * learns from traffic or compares policies looks here, and nowhere else in the relays; so allows are seen as
 * refusals are, of both protocols, in one form.
 *
 * Observers belong to one worker and are called on its thread, in the middle of a packet: they must not wait,
 * allocate, write to the session or keep anything that they are shown. Without observers it costs one load
 * and one branch that is never taken.
 */
#ifndef GATEWAY_JUDGED_H
#define GATEWAY_JUDGED_H

#include "gateway/generation.h"
#include "policy/access/identity.h"
#include "policy/coap/message.h"
#include "policy/mqtt/guard.h"

enum judged_kind {
    JUDGED_CONNECT = 0, /* whether an MQTT client is let in; its role may be NULL when it is not */
    JUDGED_WILL,        /* the client's own Last Will: ACL_PUBLISH */
    JUDGED_PUBLISH,     /* ACL_PUBLISH */
    JUDGED_SUBSCRIBE,   /* one filter of a SUBSCRIBE, with its $share: ACL_SUBSCRIBE */
    JUDGED_DELIVERY,    /* a message of the upstream: ACL_SUBSCRIBE with its topic */
    JUDGED_REQUEST,     /* CoAP: the method, or ACL_OBSERVE; the role may be NULL when the client has none */
    JUDGED_TERMS, /* what a CONNECT without a Will of its own is held to: keep-alive, properties, strings */
    JUDGED_PING,  /* a PINGREQ, which only rates are about */
    JUDGED_KINDS,
};

/* Whose action it is. Borrowed for the call. */
struct judged_subject {
    bool coap;
    uint64_t session;                /* never the same for two sessions of a worker that live at one time */
    uint64_t stamp;                  /* changes whenever what is known of the session does */
    const struct identity *identity; /* under the generation in force */
    const void *owner;               /* for resolve */
    /* Who it would be under another generation; as identity_resolve, or NO_LISTENER. Takes microseconds. */
    enum outcome (*resolve)(const void *owner, const struct generation *other, struct identity *out);
    /* Its listener under another generation, or NULL when it has none there. */
    const struct config_listener *(*listener)(const void *owner, const struct generation *other);
    /* What `identity` was resolved from, borrowed likewise; false when it was not. */
    bool (*facts)(const void *owner, struct client_facts *out);
};

struct judged_action {
    const struct judged_subject *who;
    enum judged_kind kind;
    enum acl_action action; /* of all but JUDGED_CONNECT and JUDGED_TERMS */
    uint8_t qos;
    bool retain;
    bool enforced;            /* with a refusal: false when it passed all the same (observe) */
    bool observe_denied;      /* CoAP: it asked to observe and gets a plain answer */
    bool again;               /* PUBLISH: it was passed on before */
    bool password;            /* JUDGED_CONNECT: one was asked for */
    bool observes;            /* CoAP: it asks to observe and may */
    uint8_t over;             /* with a rate's outcome: enum policy_over_limit */
    uint64_t waited_since_us; /* for a rate, before it was judged; 0: it did not */
    uint32_t part;            /* JUDGED_SUBSCRIBE: which filter of its packet, from 0 */
    uint32_t bytes;           /* of the packet or datagram; 0: not told */
    uint32_t exchanges;       /* CoAP: under way for its identity before this one, */
    uint32_t observations;    /* and observations */
    enum outcome outcome;
    uint32_t rule; /* of the role that decided, or ACL_RULE_NONE */
    uint32_t payload_bytes;
    struct bytes topic; /* as the client names it; CoAP: the path's segments joined by '/'. May be empty */
    /* What it was judged from, for whoever judges it again; NULL where it does not apply. */
    const struct mqtt_guard *guard;
    const struct mqtt_packet *packet; /* PUBLISH, SUBSCRIBE or CONNECT, as the guard left it */
    bool whole;                       /* all of its payload is at hand */
    const struct coap_message *message;
    uint16_t port;  /* CoAP: that it was sent to */
    bool to_broker; /* CoAP: the upstream speaks MQTT */
    /* To a broker, when a map leads there: what it is there, judged as such too. len 0: nothing. */
    struct bytes mapped;
    enum acl_action mapped_action;
    uint8_t mapped_qos;
    bool mapped_retain;
};

enum judged_place {
    JUDGED_BY_CANDIDATE = 0,
    JUDGED_BY_LEARN,
    JUDGED_PLACES,
};

struct judged_observer {
    void (*see)(void *owner, const struct judged_action *action); /* NULL: nobody */
    void *owner;
};

/* Zeroed: nobody looks. */
struct judged_observers {
    uint32_t n;
    struct judged_observer at[JUDGED_PLACES];
};

static inline bool judged_wanted(const struct judged_observers *observers)
{
    return __builtin_expect(observers->n != 0, false);
}

extern const struct judged_observers judged_nobody; /* the one of whoever has none */

/* Puts an observer in its place, or with `see` NULL takes it away. On the worker, between packets. */
static inline void judged_set(struct judged_observers *observers, enum judged_place place,
                              void (*see)(void *owner, const struct judged_action *action), void *owner)
{
    observers->n -= observers->at[place].see != NULL;
    observers->n += see != NULL;
    observers->at[place] = (struct judged_observer){.see = see, .owner = owner};
}

static inline void judged_tell(const struct judged_observers *observers, const struct judged_action *action)
{
    for (uint32_t i = 0; i < JUDGED_PLACES; i++)
        if (observers->at[i].see != NULL)
            observers->at[i].see(observers->at[i].owner, action);
}

#endif
