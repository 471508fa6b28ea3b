/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The message layer of one request on its way through the gateway, which is a server toward the client and a
 * client toward the upstream (RFC 7252 s.4, 5.2, 5.3; 7641 s.3.4, 4.5).
 *
 * Pure: what happened and the time go in, what to do comes out as a set of `enum coap_do` bits; the caller
 * owns buffers, sockets, tokens and timers. Random numbers are the caller's too. Both sides have message ids
 * of their own: the client's comes with the request, all others are chosen by the caller.
 *
 *   client side    PENDING --delay--> ACKED --reply--> SENT (a separate response, CON) --ACK--> DONE
 *                     \---------reply---------------------------------------------------------/
 *   upstream side  NONE -> SENT --ACK--> ACKED --response--> DONE, or OBSERVING until the observation ends
 *                             \---------response-----------/
 *
 * A finished exchange is kept until a repeated request can no longer come (247 s for CON, 145 s for NON,
 * s.4.8.2): a repeat gets the same reply, and is not carried out twice.
 */
#ifndef POLICY_COAP_EXCHANGE_H
#define POLICY_COAP_EXCHANGE_H

#include "policy/coap/message.h"

/* RFC 7252 s.4.8, microseconds. */
#define COAP_ACK_TIMEOUT_US UINT64_C(2000000)
#define COAP_MAX_RETRANSMIT 4
#define COAP_EXCHANGE_LIFETIME_US UINT64_C(247000000)
#define COAP_NON_LIFETIME_US UINT64_C(145000000)
/* How long we wait before we tell a client that its answer comes later: well below its ACK_TIMEOUT. */
#define COAP_ACK_DELAY_US UINT64_C(1000000)
/* How long the answer to a NON request is awaited, and how long it counts as outstanding (s.4.7). */
#define COAP_NON_WAIT_US UINT64_C(30000000)
#define COAP_NON_EXPECTED_US COAP_ACK_TIMEOUT_US
/* s.8.2: replies to a multicast request are spread over this. */
#define COAP_LEISURE_US UINT64_C(5000000)
/* How long a request may wait for its turn (NSTART): MAX_TRANSMIT_WAIT. */
#define COAP_TURN_WAIT_US UINT64_C(93000000)
/* A server confirms at least every 24 hours that an observer is there (RFC 7641 s.4.5); with an hour of grace
 * an observation without any notification ends. */
#define COAP_OBSERVE_SILENCE_US (UINT64_C(25) * 3600 * 1000000)
/* So do we, with the first notification that comes after this. */
#define COAP_OBSERVE_CONFIRM_US (UINT64_C(23) * 3600 * 1000000)
#define COAP_NEVER_US UINT64_MAX

enum coap_do {
    COAP_DO_UP_REQUEST = 1 << 0, /* send the request (again) to the upstream */
    COAP_DO_UP_ACK = 1 << 1,     /* acknowledge the message of the upstream */
    COAP_DO_TAKE = 1 << 2,       /* the response, or notification, is the one that was awaited */
    COAP_DO_DOWN_ACK = 1 << 3,   /* an empty ACK with the client's message id */
    COAP_DO_DOWN_REPLY = 1 << 4, /* send the kept reply (again) to the client */
    COAP_DO_FAIL = 1 << 5, /* the upstream will not answer: reply for it, 5.02 when it sent RST, else 5.04 */
    COAP_DO_END_OBSERVE = 1 << 6, /* the client is gone: tell the upstream, forget the observation */
    COAP_DO_FORGET = 1 << 7,      /* nothing can come any more */
    COAP_DO_LANDED = 1 << 8,      /* a NON request that is not outstanding any more */
};

enum coap_up_state { COAP_UP_NONE = 0, COAP_UP_SENT, COAP_UP_ACKED, COAP_UP_OBSERVING, COAP_UP_DONE };
enum coap_down_state { COAP_DOWN_PENDING = 0, COAP_DOWN_ACKED, COAP_DOWN_SENT, COAP_DOWN_DONE };

/* A message that is sent again until it is acknowledged (s.4.2). */
struct coap_transmission {
    uint64_t due_us; /* COAP_NEVER_US: not running */
    uint64_t timeout_us;
    uint16_t mid;
    uint8_t sent_again;
};

struct coap_exchange {
    uint64_t begun_us;
    uint64_t ack_due_us;
    uint64_t leisure_us; /* when a reply to a multicast request goes out (s.8.2) */
    uint64_t give_up_us; /* on the upstream's response, or its next notification */
    struct coap_transmission up;
    struct coap_transmission down;
    uint64_t notified_us;  /* the last notification that was taken */
    uint64_t confirmed_us; /* when the client last showed that it is there */
    uint32_t sequence;     /* its Observe value */
    uint16_t mid;          /* the client's */
    uint8_t up_state;      /* enum coap_up_state */
    uint8_t down_state;    /* enum coap_down_state */
    bool confirmable;      /* the client's request was */
    bool replied;          /* a reply is kept */
    bool piggybacked;      /* it went with the ACK */
    bool reset;            /* the upstream answered with RST */
    bool has_sequence;
};

/* How a reply goes out. */
struct coap_reply_form {
    enum coap_type type;
    uint16_t mid;
    bool now; /* false: an earlier notification is unacknowledged; this one takes its place when it is due */
};

/* A new request of the client. */
void coap_exchange_begin(struct coap_exchange *x, bool confirmable, uint16_t mid, uint64_t now_us);
/* The same request again (s.4.5). */
unsigned int coap_exchange_repeated(const struct coap_exchange *x);

/* The request goes upstream, as CON or NON as the client sent it, with our `mid`; `random` is uniform. */
void coap_exchange_send_up(struct coap_exchange *x, uint16_t mid, uint16_t random, uint64_t now_us);
/* True while it counts as outstanding toward the upstream (s.4.7): neither acknowledged nor answered. */
static inline bool coap_exchange_outstanding(const struct coap_exchange *x)
{
    return x->up_state == COAP_UP_SENT;
}
/* An empty ACK or RST of the upstream with message id `mid`; false or 0 when it is not about this request. */
bool coap_exchange_up_ack(struct coap_exchange *x, uint16_t mid, uint64_t now_us);
unsigned int coap_exchange_up_rst(struct coap_exchange *x, uint16_t mid);
/*
 * A response of the upstream with our token. `notification`: it has an Observe option with value `sequence`
 * and we asked to observe; without it, the response ends the exchange (RFC 7641 s.3.2). COAP_DO_TAKE unless
 * it is a duplicate, older than the last one, or an ACK of another message id.
 */
unsigned int coap_exchange_up_response(struct coap_exchange *x, enum coap_type type, uint16_t mid,
                                       bool notification, uint32_t sequence, uint64_t now_us);
/* The request went on over something that loses nothing; its answer is awaited until `give_up_us`. */
void coap_exchange_hand_over(struct coap_exchange *x, uint64_t give_up_us);
/* It was answered, and more answers may come at any time. */
void coap_exchange_watch(struct coap_exchange *x);
/* Nothing more is awaited from the upstream. */
void coap_exchange_stop_up(struct coap_exchange *x);

/*
 * There is a reply to the client: how to send it. `mid` and `random` are used when it is not the ACK itself.
 * `reliable`: a separate response is CON; errors of our own are NON then. Also for notifications, which are
 * CON when `reliable`, and once in 24 hours at least (RFC 7641 s.4.5).
 */
struct coap_reply_form coap_exchange_reply(struct coap_exchange *x, bool reliable, uint16_t mid,
                                           uint16_t random, uint64_t now_us);
/* The client's ACK or RST with message id `mid`; false or 0 when it is not about our last message. */
bool coap_exchange_down_ack(struct coap_exchange *x, uint16_t mid, uint64_t now_us);
unsigned int coap_exchange_down_rst(struct coap_exchange *x, uint16_t mid);

/* The reply that is kept is sent at `due_us`, not before (s.8.2). */
void coap_exchange_delay(struct coap_exchange *x, uint64_t due_us);

/* What is due at `now_us`, and when to ask next. */
unsigned int coap_exchange_fire(struct coap_exchange *x, uint64_t now_us);
uint64_t coap_exchange_due_us(const struct coap_exchange *x);

/* Whether a notification with Observe value `next` is newer than `last` (RFC 7641 s.3.4). */
bool coap_observe_newer(uint32_t last, uint64_t last_us, uint32_t next, uint64_t now_us);

#endif
