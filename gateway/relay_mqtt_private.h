/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the MQTT relay share: relay_mqtt.c (all relays of a worker), relay_mqtt_flow.c (bytes
 * between the sides), relay_mqtt_box.c (what waits), relay_mqtt_auth.c (passwords), relay_mqtt_connect.c
 * (from CONNECT to an open upstream), relay_mqtt_dial.c (whose turn it is to be dialled), relay_mqtt_life.c
 * (time, generations, ends), relay_mqtt_event.c (what is told). Everybody else uses relay_mqtt.h.
 *
 * Rules that keep callbacks simple: a relay is freed, and a stream resumed or flushed, only in
 * mqtt_relays_flush, so no call up can find its relay gone or enter itself. Every way in from outside first
 * makes the relay current (relay_make_current): nothing of an older generation is ever looked at.
 */
#ifndef GATEWAY_RELAY_MQTT_PRIVATE_H
#define GATEWAY_RELAY_MQTT_PRIVATE_H

#include "dataplane/slab.h"
#include "gateway/client_table.h"
#include "gateway/dial_queue.h"
#include "gateway/packet_buffer.h"
#include "gateway/relay_mqtt.h"
#include "policy/access/identity.h"
#include "policy/mqtt/build.h"
#include "policy/mqtt/frame.h"
#include "policy/mqtt/guard.h"

#define RELAY_CONNECT_TIMEOUT_US UINT64_C(5000000)  /* accepted to CONNECT (D2) */
#define RELAY_AUTH_TIMEOUT_US UINT64_C(10000000)    /* CONNECT to the verdict on its password */
#define RELAY_TURN_TIMEOUT_US UINT64_C(30000000)    /* until it is dialled */
#define RELAY_CONNACK_TIMEOUT_US UINT64_C(10000000) /* CONNECT passed on to CONNACK */
#define RELAY_PACKET_TIMEOUT_US UINT64_C(10000000)  /* a packet that was begun, beyond its share of bytes: */
#define RELAY_PACKET_US_PER_BYTE UINT64_C(1000)     /* about 1 kB/s is the slowest that is put up with */
#define RELAY_STALL_TIMEOUT_US UINT64_C(30000000)   /* a side that does not take what waits for it */
#define RELAY_LINGER_US UINT64_C(5000000)           /* an orderly close that does not end */
#define RELAY_LEAVING_US UINT64_C(30000000)         /* what the upstream still says to who half-closed */
#define RELAY_CONNECT_BYTES_MAX UINT32_C(65536)     /* of a CONNECT: nobody is known yet */
#define RELAY_HEAD_BYTES_MAX UINT32_C(65536)        /* of what is gathered: all but payloads */
#define RELAY_NAMED_BYTES UINT32_C(8)               /* lengths and identifier beside a topic of 64 KiB */
#define RELAY_SMALL_BYTES UINT32_C(4096)            /* of a half packet, even when buffers are scarce */
#define RELAY_TEXT_MAX 1024                         /* client identifier; user name */
#define RELAY_WAITING_BYTES_MAX 2048                /* answers that may wait before a side is not read */
#define RELAY_SCRATCH_BYTES (RELAY_HEAD_BYTES_MAX * 2) /* above any head and a payload that goes with it */
#define RELAY_SHAPE_SCRATCH_BYTES (RELAY_HEAD_BYTES_MAX * 3)

enum relay_state {
    RELAY_ENDING = 0, /* what arrives is thrown away; streams are closing */
    RELAY_CONNECT,
    RELAY_AUTH,    /* CONNECT is there, its password is being checked */
    RELAY_LEAVING, /* the device has closed its sending side: what the upstream still says is passed on */
    RELAY_DIALLING,
    RELAY_CONNACK,
    RELAY_RUNNING,
};

/* What becomes of a payload that streams. */
enum relay_payload {
    RELAY_PAYLOAD_NONE = 0,
    RELAY_PAYLOAD_DISCARD,
    RELAY_PAYLOAD_PASS,
};

/* Bytes that wait to be written to a side, and those that come after them; the head of a pool block. */
struct relay_box {
    struct relay_box *next;
    uint8_t *data; /* `room`, or a buffer of a framer that was taken over */
    uint32_t start, end, capacity;
    bool secret; /* holds a password: is wiped */
    uint8_t room[];
};

struct relay_side {
    struct stream *stream;   /* NULL: not yet or no longer */
    struct relay_box *out;   /* goes to this side before anything else */
    struct relay_box *later; /* goes to this side after the message that is passing to it */
    /* Payload bytes from this side that the framer has counted and the other has not taken. */
    uint32_t raw_left;
    uint8_t payload;           /* enum relay_payload: of the message that is coming from this side */
    bool blocked;              /* not all that was offered was taken */
    bool resume;               /* ask for it again at the next flush */
    bool dirty;                /* something was written */
    bool finish;               /* close once `out` is empty */
    bool abort;                /* at the next flush */
    bool finished;             /* stream_finish was called */
    struct mqtt_framer framer; /* of what comes from this side */
    uint64_t packet_since_us;  /* a packet is half read; 0: none */
    uint64_t wait_until_us;    /* not read before (rate limit); 0: no such time */
    uint64_t stalled_since_us; /* something waits for this side to read; 0: nothing */
};

/* Client identifier, then user name. */
struct relay_text {
    uint16_t client_id_len;
    uint16_t user_len;
    bool has_user;
    uint8_t data[];
};

/* What its upstream knows it by: the client identifier, then the prefix of its topics (which may be empty).
 */
struct relay_shape {
    struct cloud_session cloud; /* its slices lie in `at` */
    struct rate_buckets *rates; /* of what the cloud takes; NULL: it does not say */
    uint8_t at[];
};

#define RELAY_CLAIMS 2
#define RELAY_FOLDS 4

/* Repeats of one kind of event within a second. */
struct relay_fold {
    uint8_t kind;
    uint8_t outcome;
    uint16_t told;
    uint32_t folded;
};

/* What a PUBLISH from the device touches comes first: six cache lines, see relay_prefetch. */
struct relay {
    struct mqtt_relays *all;
    struct relay *next_listed;
    uint64_t last_packet_us;   /* of the device, whole */
    uint64_t last_upstream_us; /* something was written to the upstream */
    uint64_t publishes_up, publishes_down;
    uint32_t generation;
    uint8_t state;       /* enum relay_state */
    bool listed;         /* in the list for the next flush */
    bool named;          /* identity was resolved */
    bool connected_told; /* the event of the connection was sent */
    bool revoke;         /* lost subscriptions may still have to be taken back */
    uint8_t version;
    uint8_t server;     /* of the upstream */
    uint8_t over_scope; /* enum guard_scope: of a CONNECT over a rate */
    uint8_t tried;      /* servers that were dialled for this CONNECT, by bit */
    struct relay_side device;
    struct relay_side upstream;
    struct mqtt_guard guard;
    uint64_t denied;
    uint32_t upstream_index; /* in the configuration of dial_generation */
    uint32_t dial_generation;
    uint64_t dial_due_us; /* dial_own_us of it were added because they were ours */
    uint64_t dial_own_us;
    uint64_t since_us;       /* of the state */
    uint64_t release_due_us; /* the next tick of the release timeout; 0: nothing waits for it */
    struct timer timer;
    uint64_t accepted_us;
    uint64_t number;
    uint64_t listener_name; /* digest */
    uint64_t upstream_name; /* likewise: of the upstream that was dialled */
    uint64_t upstream_form; /* likewise: what of it CONNECT was made for */
    bool upstream_tls;
    struct dial_place turn; /* in the line of its upstream, until that is open */
    struct client *client;
    struct relay *next_of_client;
    struct relay_shape *shape;     /* NULL: it goes upstream as it is */
    uint64_t claims[RELAY_CLAIMS]; /* on its names at the upstream; 0: none */
    bool counted;                  /* among its client's sessions on all workers */
    struct client *source;         /* what is remembered of its address; NULL: not asked for */
    struct relay_text *text;
    uint64_t over_rate_us; /* the client's next packet waits, or has waited, for a rate since then; 0: not */
    uint64_t credential;   /* user_digest of what its password was held against; 0: nothing was */
    struct relay_origin origin;
    uint64_t fold_second;
    struct relay_fold folds[RELAY_FOLDS];
    struct identity identity;
};

/* What was told, and what was not, of sessions that came to nothing, of one kind. */
struct relay_strangers {
    uint64_t second;
    uint32_t told;
    uint32_t untold;
};

struct mqtt_relays {
    struct mqtt_workspace workspace; /* first: get and put find the rest from it */
    struct mqtt_relays_config config;
    struct slab *slab;
    struct packet_buffers *buffers;
    struct client_table *clients;
    struct client_table *sources; /* named by their address */
    struct relay *listed;
    struct dial_queue dials;
    uint64_t next_number;
    uint32_t sweep_position;
    uint32_t recheck_position;
    bool draining;
    struct mqtt_relays_counters counters;
    uint8_t *scratch;       /* RELAY_SCRATCH_BYTES: packets are built here */
    uint8_t *shape_scratch; /* RELAY_SHAPE_SCRATCH_BYTES: names as the upstream knows them */
    uint32_t contests;      /* of claims, as far as they were seen */
    char detail[EVENT_DETAIL_MAX];
    struct relay_strangers strangers[EVENT_KIND_COUNT];
};

/* Asks for all that the next packet will touch at once, instead of one cache miss after the other. */
static inline void relay_prefetch(const struct relay *r)
{
    const char *at = (const char *)r;
    for (size_t line = 1; line * 64 < offsetof(struct relay, guard) + offsetof(struct mqtt_guard, up); line++)
        __builtin_prefetch(at + line * 64);
}

static inline uint64_t relay_now(const struct relay *r)
{
    return *r->all->config.now_us;
}

static inline const struct generation *relay_generation(const struct relay *r)
{
    return *r->all->config.generation;
}

/* A rule decided about something of this session. */
static inline void relay_hit(const struct relay *r, uint32_t rule)
{
    rule_hits_count(relay_generation(r)->hits, r->all->config.worker_index, r->identity.role, rule);
}

static inline struct relay_side *relay_other(struct relay *r, const struct relay_side *side)
{
    return side == &r->device ? &r->upstream : &r->device;
}

static inline bool relay_is_device(const struct relay *r, const struct relay_side *side)
{
    return side == &r->device;
}

static inline struct bytes relay_client_id(const struct relay *r)
{
    return r->text == NULL ? bytes_of(NULL, 0) : bytes_of(r->text->data, r->text->client_id_len);
}

static inline struct bytes relay_user(const struct relay *r)
{
    if (r->text == NULL || !r->text->has_user)
        return bytes_of(NULL, 0);
    return bytes_of(r->text->data + r->text->client_id_len, r->text->user_len);
}

/* ---- relay_mqtt.c ---- */
/* Puts it on the list for the next flush. */
void relay_list(struct relay *r);
void relay_mark_resume(struct relay *r, struct relay_side *side);
extern const struct stream_handler relay_device_handler;
extern const struct stream_handler relay_upstream_handler;

/* ---- relay_mqtt_box.c ---- */
/* Something was written to it, or waits for it to read. */
void relay_wrote(struct relay *r, struct relay_side *to);
void relay_stalled(struct relay *r, struct relay_side *to);
/* The bytes that come next for a side. False when there is no memory (the caller ends the session). */
bool relay_put(struct relay *r, struct relay_side *to, const uint8_t *p, size_t n);
/* A whole packet to a side, behind a message that is passing to it. False as above. */
bool relay_send(struct relay *r, struct relay_side *to, const uint8_t *packet, size_t n);
/* The message that was passing to `to` is over: what had to wait for that follows. */
void relay_release_later(struct relay *r, struct relay_side *to);
/* Writes what waits for a side, as far as it goes. */
void relay_flush_out(struct relay *r, struct relay_side *side);
uint32_t relay_waits(const struct relay_box *box); /* bytes */
void relay_drop_box(struct relay *r, struct relay_box **box);
bool relay_box_append(struct relay *r, struct relay_box **box, const uint8_t *p, size_t n);
/* The same for bytes that lie in the buffer of `from`'s idle framer: the buffer goes into the box, uncopied.
 */
bool relay_box_adopt(struct relay *r, struct relay_box **box, struct relay_side *from, struct bytes part);

/* ---- relay_mqtt_flow.c ---- */
size_t relay_take(struct relay *r, struct relay_side *from, const uint8_t *p, size_t n);
/* Sends the UNSUBSCRIBEs that a new policy makes necessary. */
void relay_revoke(struct relay *r);
/* Gives a buffer of a framer back; the first secret_bytes are wiped. */
void relay_put_buffer(struct relay *r, uint8_t *buffer, uint32_t secret_bytes);

/* ---- relay_mqtt_auth.c ---- */
/* Whether a client of this CONNECT is who it says. OUTCOME_ALLOWED with state RELAY_AUTH: not known yet. */
enum outcome relay_authenticate(struct relay *r, const struct mqtt_packet *packet);
/* Whether what it proved then still is what the policy asks for now. */
bool relay_credential_holds(const struct relay *r);

/* ---- relay_mqtt_connect.c ---- */
/* Answers what became of it; in state RELAY_AUTH that is not known yet. */
enum outcome relay_connect(struct relay *r, struct mqtt_packet *packet);
/* CONNACK with why not, event, end. */
void relay_refuse_connect(struct relay *r, enum outcome outcome, const struct mqtt_packet *packet);
/* Under a new generation: whether the Will of the CONNECT that has not left yet may still go (D10). It has
 * ended when not. */
bool relay_keep_connect(struct relay *r);
/* CONNECT as it goes upstream waits in the upstream's box until there is an upstream. */
bool relay_queue_connect(struct relay *r, const struct mqtt_packet *packet);
void relay_opened(struct relay *r);
/* Whether both sides' transport still is what a generation wants, in which the listener is `listener`: the
 * listener has TLS or not as the stream has, the peers' certificates are not refused. ALLOWED, or
 * CERTIFICATE_LOST, PSK_LOST, UPSTREAM_TLS or RIGHTS_LOST with the sentence. */
enum outcome relay_check_transport(const struct relay *r, const struct generation *generation,
                                   uint16_t listener, const char **detail);
/* What is known of the client, as `generation` names the places; `listener` is an index of it. */
struct client_facts relay_facts(const struct relay *r, const struct generation *generation,
                                uint16_t listener);
/* Judges who it is, after CONNECT and with every generation. */
enum outcome relay_identify(struct relay *r);
/* What an event tells beside that outcome of relay_identify; NULL: nothing. */
const char *relay_why_refused(const struct relay *r, enum outcome outcome);
/* A client identifier that the upstream gave: from now on it is ${client_id}. It may not make another client
 * of it. */
enum outcome relay_assigned(struct relay *r, struct bytes client_id);
/* How large packets of the device may be, and how strictly the strings of both sides are read, from the next
 * packet on (D3, D9). */
void relay_set_reading(struct relay *r);

/* ---- relay_mqtt_dial.c ---- */
/* Dials the upstream of a CONNECT that waits in its box, now or when it is its turn. */
enum outcome relay_dial(struct relay *r);
/* Tells whoever chooses servers what became of the dialling. */
void relay_dialled(struct relay *r, bool good);
/* Dials the next server that was not tried for this CONNECT, which still waits; false when none is left. */
bool relay_redial(struct relay *r);
/* Ends one that has waited too long for its turn; false: that is not what it waited for. */
bool relay_turn_timed_out(struct relay *r);
/* Under a new generation: whether what it waits for is still there. It has ended when not. */
bool relay_keep_turn(struct relay *r);
/* Dials for those whose turn it is; true when some of them are listed for another flush. */
bool relay_take_turns(struct mqtt_relays *all);

/* ---- relay_mqtt_rates.c ---- */
/* Binds the guard to the role and to every rate that holds for the relay, which has its client. */
void relay_bind(struct relay *r);
void relay_unhold_source(struct relay *r);
/* Counts a CONNECT against its rates; also QUARANTINED. */
enum outcome relay_take_connect(struct relay *r, struct client *client);
/* True while the role or the whole gateway only observes (G6). */
bool relay_observes(const struct relay *r);
/* A refusal of a CONNECT by a limit: told, and ALLOWED, where the role only observes; else the refusal. */
enum outcome relay_over(struct relay *r, enum outcome outcome);
/* Refuses a client for a time, and ends its sessions but this one. */
void relay_quarantine(struct relay *r, struct client *client, enum guard_scope scope, enum outcome outcome,
                      uint64_t for_us);

/* ---- relay_mqtt_shape.c ---- */
/* Before a CONNECT is judged: works out by which names the upstream of its listener will know it. */
enum outcome relay_know_upstream(struct relay *r, const struct mqtt_packet *connect);
/* What holds for its cloud; after each bind of the guard. */
void relay_bind_cloud(struct relay *r);
void relay_drop_shape(struct relay *r);
static inline bool relay_is_mounted(const struct relay *r)
{
    return r->shape != NULL && r->shape->cloud.mount.len != 0;
}
/* Gives a judged CONNECT the form in which it goes to the upstream of its listener, claims its names there
 * and keeps the mount point. What it borrows lies in the shape scratch and in the generation's passwords. */
enum outcome relay_shape(struct relay *r, struct mqtt_packet *connect);
void relay_release_claims(struct relay *r);
/* Ends sessions whose names were claimed elsewhere by a role that lets them be replaced. */
void relay_yield_claims(struct mqtt_relays *all);
/* Topics of a packet for the upstream; false when they do not fit. From the upstream: a PUBLISH that lies
 * outside gets a defect. */
bool relay_mount_up(struct relay *r, struct mqtt_packet *packet);
void relay_mount_down(struct relay *r, struct mqtt_packet *packet);

/* ---- relay_mqtt_will.c ---- */
/* A CONNECT was passed on: tells when the client's Will is another than it was, or is gone. */
void relay_will_seen(struct relay *r, const struct mqtt_packet *connect);
/* The Will that the upstream publishes if this session ends without DISCONNECT: enum guard_will. */
uint8_t relay_will_left(const struct relay *r, enum event_kind kind, enum outcome outcome);

/* ---- relay_mqtt_life.c ---- */
/* The listener keeps its name; its place in another configuration may differ. False when it is not there. */
bool relay_find_listener(const struct relay *r, const struct gateway_config *config, uint16_t *listener);
void relay_make_current(struct relay *r);
/* Ends it when a peer's certificate is not good any more under the generation that it has. */
void relay_recheck(struct relay *r);
/* Ends the session: the device is told as far as its version and state allow, the upstream is closed without
 * DISCONNECT, so that the Will survives. */
void relay_end(struct relay *r, enum outcome why);
/* The same with a code of the guard's choice. */
void relay_end_code(struct relay *r, enum outcome why, uint8_t code);
/* The same for one whose name a new connection takes, which is told. */
void relay_take_over(struct relay *r);
/* After a DISCONNECT that was passed on, or a refused CONNACK. */
void relay_end_quietly(struct relay *r, enum outcome why, uint8_t reason_code);
void relay_side_ended(struct relay *r, struct relay_side *side);
void relay_side_closed(struct relay *r, struct relay_side *side, enum stream_end why, const char *reason);
void relay_set_state(struct relay *r, enum relay_state state);
/* Starts the timer when something may be due before it. */
void relay_arm(struct relay *r);
void relay_fire(struct timer *timer, uint64_t now_us);
/* Begins to measure how long QoS 2 messages are not released. */
void relay_await_release(struct relay *r);

/* ---- relay_mqtt_judged.c: when judged_wanted ---- */
/* A packet of a running session; `list`: the filters of a SUBSCRIBE as they came. */
void relay_judged_packet(const struct relay *r, enum mqtt_sender sender, const struct mqtt_packet *packet,
                         const struct guard_verdict *v, struct bytes list, bool whole);
/* Whether a client was let in; and what was said to its CONNECT, with the Will that it brought if it did. */
void relay_judged_connect(const struct relay *r, const struct mqtt_packet *packet, enum outcome outcome);
void relay_judged_terms(const struct relay *r, const struct mqtt_packet *packet,
                        const struct guard_verdict *v, bool will);

/* ---- relay_mqtt_event.c ---- */
struct relay_report {
    enum event_kind kind;
    enum outcome outcome;
    uint32_t rule;
    bool observed; /* not enforced */
    bool told;
    uint8_t reason_code;
    const struct mqtt_packet *packet; /* or NULL */
    struct bytes topic;
    const char *detail; /* or NULL */
};
void relay_report(struct relay *r, const struct relay_report *report);
/* Reports a judged packet that was not simply allowed. */
void relay_report_verdict(struct relay *r, enum mqtt_sender sender, const struct mqtt_packet *packet,
                          const struct guard_verdict *verdict);
/* Sends what was folded. */
void relay_report_folded(struct relay *r);

#endif
