/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law of one MQTT session (D, F2, G3, G6): what may pass, what is answered instead, what ends it.
 *
 * `check` decides about one decoded packet of either side and changes nothing that a decision depends on (it
 * may fetch memory for a table, and CONNECT and CONNACK, which come once, note what they agree on); it
 * rewrites the packet into what is to be passed on. The relay then acts,
 * and `advance` records what it did. Nothing is recorded of a packet that was checked and not acted upon.
 *
 *   state       from the client                       from the upstream
 *   CONNECT     CONNECT                               -
 *   CONNACK     AUTH when asked; all else waits       CONNACK, AUTH
 *   RUNNING     all but CONNECT                       all but CONNACK
 *   OVER        -                                     -
 *
 * Framing, UTF-8, flags, properties and codes have been checked by the codec (packet.h); who the client is,
 * by access/identity.h. The guard adds: order and direction in time, packet identifiers and the flows of QoS
 * 1 and 2 both ways (inflight.h), topic aliases (alias.h), rules and caps of the role, rates, and SUBSCRIBE
 * with its acknowledgement (requests.h, subscriptions.h). It borrows the role and the values of its
 * variables: the relay binds it anew whenever the policy's generation has changed.
 *
 * Packet identifiers pass unchanged, but for those of a client that meet one which the gateway uses itself
 * for an UNSUBSCRIBE at that moment: these go by another one upstream.
 *
 * In MQTT 3.1, where SUBACK knows no failure, a refused filter is answered as granted and never passed on.
 *
 * Pure, but for the memory of the workspace. One thread.
 */
#ifndef POLICY_MQTT_GUARD_H
#define POLICY_MQTT_GUARD_H

#include "policy/access/snapshot.h"
#include "policy/mqtt/alias.h"
#include "policy/mqtt/cloud.h"
#include "policy/mqtt/inflight.h"
#include "policy/mqtt/packet.h"
#include "policy/mqtt/requests.h"
#include "policy/mqtt/subscriptions.h"

#define GUARD_TOPIC_ALIASES 16 /* Topic Alias Maximum that clients are told */
#define GUARD_NEVER_US UINT64_MAX
#define GUARD_RELEASE_TICKS 4 /* in which a QoS 2 message must be released, see mqtt_guard_age */

enum guard_state {
    GUARD_OVER = 0,
    GUARD_CONNECT, /* CONNECT is awaited */
    GUARD_CONNACK, /* CONNECT was passed on */
    GUARD_RUNNING,
};

/* Which Will the upstream holds for a session (D10). */
enum guard_will {
    GUARD_WILL_NONE = 0,
    GUARD_WILL_OWN,      /* the client's */
    GUARD_WILL_SUPPLIED, /* the role's */
};

enum guard_action {
    GUARD_DROP = 0, /* nothing is passed on and nothing said */
    GUARD_FORWARD,  /* what the packet says now is passed on */
    GUARD_ANSWER,   /* nothing is passed on; the sender is told `answer` */
    GUARD_CLOSE,    /* the session ends; a version 5 client is told `code` */
    GUARD_HOLD,     /* the head of a PUBLISH whose payload must be read: gather it and check again */
};

/* An acknowledgement that the gateway gives by itself. SUBACK and UNSUBACK: the codes are the first n of the
 * workspace's. */
struct guard_answer {
    enum mqtt_type type;
    uint16_t id;
    uint8_t code;
    uint16_t n;
};

struct guard_verdict {
    enum guard_action action;
    enum outcome outcome;   /* why; OUTCOME_ALLOWED when nothing was refused */
    uint32_t rule;          /* of the role's acl that decided, or ACL_RULE_NONE */
    uint8_t code;           /* with GUARD_CLOSE */
    bool enforced;          /* false: outcome is only recorded, the packet passes (observe) */
    bool quiet;             /* dropped in the normal course of things */
    bool last;              /* after this packet the session is over: DISCONNECT, a refused CONNACK */
    bool counts;            /* takes tokens of the rates of `rate_kind` */
    uint8_t rate_kind;      /* enum rate_kind */
    uint8_t qos;            /* likewise */
    uint8_t scope;          /* over a rate: whose (enum guard_scope) */
    uint8_t over;           /* likewise: what is done about it (enum policy_over_limit) */
    uint64_t quarantine_us; /* likewise: the client is to be refused for so long; 0: it is not */
    bool again;             /* a PUBLISH that was passed on before */
    uint8_t record;         /* for guard_advance */
    uint8_t state;          /* likewise */
    uint16_t id;            /* likewise: as the sender wrote it */
    uint16_t alias;         /* likewise: that the packet sets */
    struct guard_answer answer;
    struct mqtt_request *request; /* likewise */
    struct bytes rest;            /* entries of a SUBSCRIBE that go upstream behind this part of it */
};

/* Whose rate a packet counts against (F2, F3). */
enum guard_scope {
    GUARD_CLIENT = 0, /* all sessions of the client */
    GUARD_SOURCE,     /* its address */
    GUARD_ROLE,       /* all clients of the role */
    GUARD_LISTENER,   /* all clients of the listener */
    GUARD_UPSTREAM,   /* what its upstream takes of one session */
    GUARD_SCOPES,
};

/* Rates that the session is held to, and where their state is. */
struct guard_meter {
    const struct rates *rates;
    struct rate_buckets *own;      /* of this worker */
    struct shared_buckets *shared; /* of all workers; instead of `own` */
    uint8_t scope;                 /* enum guard_scope */
};

/*
 * The last grant to publish, so that a device that says the same again and again is not judged from the root
 * of the rules each time. It holds for the same topic, QoS and retain flag and for no larger payload: a grant
 * with no condition on the content stays one when the payload is smaller.
 */
#define GUARD_GRANT_TOPIC_MAX 52

struct guard_grant {
    uint32_t rule;
    uint32_t payload_bytes;
    uint8_t topic_len; /* 0: none */
    uint8_t qos;
    bool retain;
    uint8_t topic[GUARD_GRANT_TOPIC_MAX];
};

/* In the order of use: what a PUBLISH touches comes first. */
struct mqtt_guard {
    const struct policy_role *role;   /* borrowed, see mqtt_guard_bind */
    const struct acl_values *values;  /* likewise */
    struct mqtt_workspace *workspace; /* borrowed for life */
    uint8_t state;                    /* enum guard_state */
    uint8_t version;                  /* enum mqtt_version, from CONNECT */
    bool observe;                     /* the gateway or the role only observes */
    uint8_t meters_n;                 /* 0: no rate limits this session */
    bool clean_start;                 /* as the client asked */
    bool resumed;                     /* the upstream kept a session */
    bool authenticates;               /* CONNECT named a method (s.4.12) */
    bool client_speaks;               /* it is the client's turn to send AUTH */
    bool session_ends;                /* Session Expiry Interval 0 */
    bool named;                       /* CONNECT had a client identifier */
    uint8_t will;                     /* enum guard_will */
    bool no_problem_info;             /* Request Problem Information 0 [MQTT-3.1.2-29] */
    bool wants_response_info;         /* Request Response Information 1 [MQTT-3.1.2-28] */
    bool no_retain;                   /* the upstream said Retain Available 0 */
    bool forgot;                      /* a QoS 2 exchange was given up: its PUBREL may still come */
    uint8_t upstream_max_qos;         /* as the upstream said in CONNACK; 2 when it did not */
    uint8_t pings;                    /* PINGREQs of the client that are unanswered */
    uint8_t own_pings;                /* ours */
    uint16_t keep_alive_s;            /* that the client is held to; 0: none */
    uint16_t asked_keep_alive_s;      /* in CONNECT */
    uint16_t upstream_keep_alive_s;   /* that the upstream holds us to; 0: none */
    bool expiry_cut;                  /* the role capped the Session Expiry Interval, at: */
    uint32_t expiry_s;
    uint16_t receive_max_up;           /* version 5: as the client was told */
    uint16_t receive_max_down;         /* version 5: as the upstream was told */
    uint16_t receive_max_client;       /* version 5: the client's own; never below the former */
    uint32_t upstream_packet_max;      /* 0: none */
    uint32_t client_packet_max;        /* likewise */
    const struct cloud_session *cloud; /* what its upstream demands beside; NULL: nothing. Set by the relay */
    struct guard_meter meters[GUARD_SCOPES]; /* borrowed, see mqtt_guard_meter */
    struct guard_grant grant;
    struct inflight up;         /* messages of the client */
    struct inflight down;       /* messages of the upstream */
    struct alias_table aliases; /* of the client */
    struct requests requests;
    struct subscriptions subscriptions;
    uint64_t auth_method; /* a digest of its name */
};

void mqtt_guard_init(struct mqtt_guard *guard, struct mqtt_workspace *workspace);
/* Gives all memory back. */
void mqtt_guard_fini(struct mqtt_guard *guard);

/* Binds to a role and its variables, which must live until the next bind; before CONNECT is checked and
 * whenever the generation changes. `observe`: the whole gateway only observes. */
void mqtt_guard_bind(struct mqtt_guard *guard, const struct policy_role *role,
                     const struct acl_values *values, bool observe, struct rate_buckets *buckets);
/* Holds the session to more rates, until the next bind; those that limit nothing are passed over. */
void mqtt_guard_meter(struct mqtt_guard *guard, const struct guard_meter *meter);
const char *mqtt_guard_scope_text(enum guard_scope scope); /* "of the client" */

/*
 * Whether the next packet of `sender`, of which only the first byte is known, may be read now. If not, it
 * stays where it is (back pressure): until *until_us, or, when that is GUARD_NEVER_US, until something has
 * been advanced for the other side.
 */
bool mqtt_guard_admits(struct mqtt_guard *guard, enum mqtt_sender sender, uint8_t first_byte, uint64_t now_us,
                       uint64_t *until_us);

/* Decides about a packet, which is rewritten for the other side. `whole`: all of its payload is at hand. */
void mqtt_guard_check(struct mqtt_guard *guard, enum mqtt_sender sender, struct mqtt_packet *packet,
                      bool whole, uint64_t now_us, struct guard_verdict *verdict);
/*
 * After a SUBSCRIBE was passed on and recorded: makes the packet the next part of it, to be passed on and
 * recorded like it, and answers true; false when there is none. The verdict's action is GUARD_CLOSE when
 * there is no room for it.
 */
bool mqtt_guard_next_part(struct mqtt_guard *guard, struct mqtt_packet *packet,
                          struct guard_verdict *verdict);
/* Records that the verdict was carried out. */
void mqtt_guard_advance(struct mqtt_guard *guard, enum mqtt_sender sender, const struct mqtt_packet *packet,
                        const struct guard_verdict *verdict, uint64_t now_us);
/* Lets go of a verdict that will not be carried out. */
void mqtt_guard_abandon(struct mqtt_guard *guard, const struct guard_verdict *verdict);

/* True when answers may be due to the publisher `sender`, see mqtt_guard_release. */
static inline bool mqtt_guard_holds(const struct mqtt_guard *guard, enum mqtt_sender sender)
{
    return (sender == MQTT_FROM_CLIENT ? guard->up.held : guard->down.held) != 0;
}
/* The next answer to a refused message of `sender` whose turn has come; false when there is none. */
bool mqtt_guard_release(struct mqtt_guard *guard, enum mqtt_sender sender, struct guard_answer *answer);

/* Counts bytes taken from the client. */
void mqtt_guard_count_bytes(struct mqtt_guard *guard, size_t bytes);
static inline void mqtt_guard_took(struct mqtt_guard *guard, size_t bytes)
{
    if (guard->meters_n != 0)
        mqtt_guard_count_bytes(guard, bytes);
}

/* Whether a packet of `sender` with `bytes` may be passed on (the Maximum Packet Size of the other side). */
static inline bool mqtt_guard_fits(const struct mqtt_guard *guard, enum mqtt_sender sender, uint64_t bytes)
{
    uint32_t most = sender == MQTT_FROM_CLIENT ? guard->upstream_packet_max : guard->client_packet_max;
    return most == 0 || bytes <= most;
}
/* Takes out of a packet of the upstream what it may do without when it does not fit (Reason String and User
 * Properties of all but PUBLISH [MQTT-3.2.2-19, -20, 3.4.2-2, -3]); false when there is no such thing. */
bool mqtt_guard_shorten(struct mqtt_packet *packet);
/* Turns the verdict about a PUBLISH into a refusal for a reason found later. */
void mqtt_guard_refuse(struct mqtt_guard *guard, enum mqtt_sender sender, const struct mqtt_packet *packet,
                       enum outcome outcome, struct guard_verdict *verdict);

/*
 * After a bind: makes the next UNSUBSCRIBE to send upstream for subscriptions that the role no longer allows,
 * and forgets them. False when there are none, or none can be sent now (then *again is set).
 */
bool mqtt_guard_revoke(struct mqtt_guard *guard, struct mqtt_packet *out, bool *again);
/* True while QoS 2 exchanges wait for the PUBREL of a side, whose time mqtt_guard_age measures. */
static inline bool mqtt_guard_unreleased(const struct mqtt_guard *guard)
{
    return inflight_unreleased(&guard->up) != 0 || inflight_unreleased(&guard->down) != 0;
}
/*
 * One tick of the release timeout (role->law.release_s), of which there are GUARD_RELEASE_TICKS: forgets
 * exchanges that were not released in all of them and answers how many. A PUBREL that comes later is passed
 * on if the message was, for its receiver still knows it.
 */
uint32_t mqtt_guard_age(struct mqtt_guard *guard);
/*
 * Whether the Will of a CONNECT that was passed on, and has not left yet, may go under the role that is bound
 * now (D10, G3): OUTCOME_ALLOWED too for one that the role had supplied, and for what is only recorded. Else
 * `rule` is what refuses it, or ACL_RULE_NONE. Changes nothing.
 */
enum outcome mqtt_guard_rejudge_will(const struct mqtt_guard *guard, const struct mqtt_will *will,
                                     uint32_t *rule);
/* How many subscriptions another role would not allow. Changes nothing. */
uint32_t mqtt_guard_foresee(const struct mqtt_guard *guard, const struct policy_role *role,
                            const struct acl_values *values, bool observe);
/* Notes a PINGREQ of our own to the upstream, whose answer must not reach the client. */
void mqtt_guard_pinged(struct mqtt_guard *guard);

/* The reason code that tells `outcome` in a packet of `type` to a version 5 client; 3.x: CONNACK's code. */
uint8_t mqtt_guard_code(enum mqtt_type type, enum mqtt_version version, enum outcome outcome);

#endif
