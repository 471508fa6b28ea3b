/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the organs of the TCP endpoint share: the connection, the endpoint, and small helpers. Private to this
 * folder.
 *
 * Sequence numbers are compared modulo 2^32 (RFC 9293 s.3.4). Times inside a connection are the low 32 bits
 * of microseconds (transmission times, seconds apart at most) or of milliseconds (deadlines, days apart at
 * most). A connection is six cache lines, what every segment touches first; buffers hang off it only while
 * bytes wait.
 */
#ifndef DATAPLANE_TCP_CONNECTION_H
#define DATAPLANE_TCP_CONNECTION_H

#include "dataplane/flow_table.h"
#include "dataplane/siphash.h"
#include "dataplane/slab.h"
#include "dataplane/tcp/tcp.h"

/* RFC 9293 s.3.3.2. CLOSED is also nobody's connection, seen as LISTEN where the host admits. */
enum tcp_state {
    TCP_STATE_CLOSED = 0,
    TCP_STATE_SYN_SENT,
    TCP_STATE_SYN_RECEIVED,
    TCP_STATE_ESTABLISHED,
    TCP_STATE_FIN_WAIT_1,
    TCP_STATE_FIN_WAIT_2,
    TCP_STATE_CLOSE_WAIT,
    TCP_STATE_CLOSING,
    TCP_STATE_LAST_ACK,
    TCP_STATE_TIME_WAIT,
    TCP_STATE_COUNT
};

/* Bits of tcp_connection.flags. */
#define TCP_F_ACTIVE (1u << 0)         /* opened by tcp_connect */
#define TCP_F_DIRTY (1u << 1)          /* on the dirty list */
#define TCP_F_ACK_NOW (1u << 2)        /* the next flush acknowledges */
#define TCP_F_SYN_DUE (1u << 3)        /* the next flush sends SYN or SYN-ACK */
#define TCP_F_TIMESTAMPS (1u << 4)     /* negotiated, RFC 7323 s.3 */
#define TCP_F_SACK (1u << 5)           /* negotiated, RFC 2018 */
#define TCP_F_SCALING (1u << 6)        /* negotiated, RFC 7323 s.2 */
#define TCP_F_FIN_QUEUED (1u << 7)     /* the user has finished */
#define TCP_F_FIN_SENT (1u << 8)       /* the last number before snd_nxt is our FIN */
#define TCP_F_FIN_SEEN (1u << 9)       /* the peer's FIN has number rcv_fin */
#define TCP_F_FIN_RECEIVED (1u << 10)  /* and everything before it has arrived */
#define TCP_F_ENDED (1u << 11)         /* handler->ended was told */
#define TCP_F_WANTS_ROOM (1u << 12)    /* a write was short */
#define TCP_F_OFFERING (1u << 13)      /* inside handler->data */
#define TCP_F_RESUMED (1u << 14)       /* stream_resume from inside handler->data */
#define TCP_F_CWND_LIMITED (1u << 15)  /* the congestion window, not the user, held us back */
#define TCP_F_REORDERING (1u << 16)    /* seen on this path, RFC 8985 s.6.2 */
#define TCP_F_PROBED (1u << 17)        /* a tail loss probe is out, ending at tlp_end */
#define TCP_F_PROBE_REPEATS (1u << 18) /* and it repeats old data */
#define TCP_F_UNREACHABLE (1u << 19)   /* a soft error was reported for it */
#define TCP_F_SLOW_EXIT (1u << 20)     /* conservative slow start, RFC 9406 */
#define TCP_F_UNDO (1u << 21)          /* the last reduction may yet prove needless */
#define TCP_F_UPCALL_ROOM (1u << 22)   /* handler->writable is due at the end of this segment */
#define TCP_F_DSACK (1u << 23)         /* dsack_start..dsack_end is to be reported, RFC 2883 */
#define TCP_F_EPOCH (1u << 24)         /* a CUBIC epoch runs */
#define TCP_F_RTT (1u << 25)           /* there was an RTT measurement */
#define TCP_F_RACK (1u << 26)          /* rack_* is valid */
#define TCP_F_RACK_BUMPED (1u << 27)   /* the reordering window has grown in this round */
#define TCP_F_GAPS (1u << 28)     /* segments came out of order or twice in this window's worth of data */
#define TCP_F_REPEATED (1u << 30) /* something was sent again in this recovery */
#define TCP_F_WATCHED (1u << 31)  /* by endpoint.senders */
#define TCP_F_ACK_GAP (1u << 29)  /* a segment out of order waits for its acknowledgement */

enum tcp_armed {
    TCP_ARMED_RETRANSMIT = 1,
    TCP_ARMED_ACK = 2,
    TCP_ARMED_LIFE = 4,
};

/* What the retransmission deadline stands for; one at a time. */
enum tcp_timer_kind {
    TCP_TIMER_NONE = 0,
    TCP_TIMER_RTO,     /* RFC 6298 */
    TCP_TIMER_PROBE,   /* tail loss probe, RFC 8985 s.7 */
    TCP_TIMER_REORDER, /* RACK reordering window, RFC 8985 s.6.3 */
    TCP_TIMER_PERSIST, /* window probe, RFC 9293 s.3.8.6.1 */
};

enum tcp_recovery_phase {
    TCP_PHASE_OPEN = 0,
    TCP_PHASE_RECOVERY, /* fast recovery until snd_una reaches `recover` */
    TCP_PHASE_LOSS,     /* after a timeout, until snd_una reaches `recover` */
};

/* A segment in flight, see sent.h. */
struct tcp_sent {
    uint32_t seq;
    uint32_t end;
    uint32_t sent_us;
    uint8_t flags;
    uint8_t spare[3];
};

struct tcp_connection {
    struct stream stream; /* first: a stream of ours is a connection */
    struct tcp_endpoint *tcp;
    struct tcp_connection *next_dirty;
    uint32_t flags;
    uint8_t state;
    uint8_t snd_scale;
    uint8_t rcv_scale;
    uint8_t armed; /* enum tcp_armed, ored */
    uint32_t snd_una;
    uint32_t snd_nxt;
    uint32_t snd_wnd;
    uint32_t rcv_nxt;

    uint32_t rcv_edge;      /* right edge of the window as announced; never moves left */
    uint32_t last_ack_sent; /* RFC 7323 Last.ACK.sent */
    uint32_t ack_bytes;     /* arrived since the last acknowledgement */
    uint32_t ts_recent;
    uint32_t ts_recent_ms;
    uint32_t ts_offset;
    uint32_t snd_wl1;
    uint32_t snd_wl2;
    uint16_t snd_mss; /* payload of a segment without options */
    uint16_t rcv_mss; /* largest payload seen, the unit of delayed acknowledgement */
    uint32_t send_bytes;
    struct chunk *send_head; /* its first byte has number snd_una */
    struct chunk *send_tail;
    uint32_t path;
    uint32_t heard_ms; /* last accepted segment; after stream_finish: last progress */

    struct chunk *send_cursor; /* chunk that holds send_cursor_seq as its first byte, or NULL */
    uint32_t send_cursor_seq;
    uint16_t sent_n;
    uint16_t ooo_chunks;
    struct chunk *sent_head; /* records of what is in flight; a single one is in sent_one */
    struct chunk *sent_tail;
    uint32_t sacked_bytes;
    uint32_t lost_bytes; /* marked lost and not sent again */
    uint32_t cwnd;
    uint32_t ssthresh;
    struct tcp_sent sent_one;

    struct timer timer; /* at or before the earliest deadline that is armed */
    uint32_t retransmit_ms;
    uint32_t ack_ms;
    uint32_t life_ms;
    uint8_t backoff;            /* doublings of the RTO */
    uint8_t retries;            /* timeouts without any answer */
    uint8_t dupacks;            /* with SACK: records sacked */
    uint8_t phase;              /* enum tcp_recovery_phase */
    const struct flow_key *key; /* in the flow table */
    uint32_t srtt_us;
    uint32_t rttvar_us;

    struct chunk *kept_head; /* in order, not taken by the reader */
    struct chunk *kept_tail;
    struct chunk *ooo_head; /* out of order, see reassembly.h */
    uint32_t kept_bytes;
    uint32_t rcv_fin;
    uint32_t dsack_start;
    uint32_t dsack_end;
    uint32_t rack_xmit_us;
    uint32_t rack_end;
    uint32_t rack_rtt_us;
    uint32_t rack_fack; /* highest number delivered */
    uint32_t min_rtt_us;
    uint32_t round_end; /* HyStart++ and RACK rounds */

    uint16_t max_snd_wnd; /* without scale, as the header had it */
    uint16_t challenge_tick;
    uint8_t timer_kind; /* enum tcp_timer_kind */
    uint8_t quick_acks;
    uint8_t late_acks; /* delayed acknowledgements in a row that had to wait for their timer */
    uint8_t probes;    /* keep-alives without answer */
    uint8_t round_samples;
    uint8_t slow_rounds;
    uint8_t rack_window;  /* reordering window in quarters of min_rtt */
    uint8_t rack_persist; /* recoveries until it shrinks again */
    uint32_t tlp_end;
    uint32_t recover;
    uint32_t rcv_round; /* when rcv_nxt gets there, a window's worth has arrived since rcv_round_ms */
    uint32_t rcv_round_ms;
    uint8_t rcv_grow; /* doublings of the receive buffer */
    uint32_t undo_cwnd;
    uint32_t undo_ssthresh;
    uint32_t undo_ts; /* our timestamp on the first retransmission */
    uint32_t cubic_max;
    union { /* slow start ends before an epoch of CUBIC begins; neither goes on during fast recovery */
        struct {
            uint32_t epoch_ms;
            uint32_t k_ms;
            uint32_t estimate;
        } cubic;
        struct {
            uint32_t round_rtt_us;
            uint32_t last_round_rtt_us;
            uint32_t exit_rtt_us; /* of the round that began conservative slow start */
        } slow;
        struct { /* RFC 6937, only in TCP_PHASE_RECOVERY */
            uint32_t delivered;
            uint32_t out;
            uint32_t flight; /* flight size when recovery began */
        } prr;
    };
};

/* At most `per_s` a second, in a window that starts anew each second. */
struct tcp_rate {
    uint64_t window_us;
    uint32_t left;
};

/* The remains of a connection in TIME-WAIT. */
struct tcp_wait {
    struct flow_key key;
    uint32_t hash;
    uint32_t path;
    uint64_t due_us;
    uint32_t prev; /* slab indexes, TCP_WAIT_NONE at the ends */
    uint32_t next;
    uint32_t snd_nxt;
    uint32_t rcv_nxt;
    uint32_t rcv_window; /* scaled, as it goes into the header */
    uint32_t ts_recent;
    uint32_t ts_offset;
    uint32_t answered_ms;
    bool timestamps;
};

#define TCP_WAIT_NONE UINT32_MAX

/* A connection answers what does not fit at most once in each tenth of a second. */
#define TCP_CHALLENGE_EVERY_MS 100u

struct tcp_endpoint {
    uint64_t now_us;
    uint32_t now_ms;
    uint32_t stamp; /* counts arrivals out of order; tells which range is the most recent */
    struct tcp_connection *dirty_head;
    struct tcp_connection *dirty_tail;
    struct flow_table *table; /* values below limits.connections: connections; above: waits */
    struct slab *connections;
    uint64_t *senders; /* by index of the connection: of those that are watched */
    struct chunk_pool *chunks;
    struct timer_wheel *timers;
    struct tcp_host host;
    void *host_data;
    struct tcp_limits limits;
    uint8_t rcv_scale;
    uint32_t connections_n;
    uint32_t sweep; /* next connection to be relieved of what waits behind gaps */
    uint32_t half_open;

    struct slab *waits;
    uint32_t wait_first;
    uint32_t wait_last;
    struct timer wait_timer;

    struct siphash_key isn_key;
    struct siphash_key timestamp_key;
    struct siphash_key cookie_key;
    struct siphash_key noise_key;
    uint64_t noise;
    uint64_t completing; /* sender of the segment that completes a handshake, during host.accepted */
    uint64_t cookie_us;  /* when the last cookie was sent; 0: never */
    struct tcp_rate resets;
    struct tcp_rate challenges;
    uint64_t counters[TCP_COUNTER_COUNT];
};

static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool seq_leq(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? b : a;
}

static inline uint32_t tcp_min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t tcp_max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline struct tcp_connection *tcp_connection_of(const struct stream *s)
{
    return (struct tcp_connection *)(uintptr_t)s;
}

static inline void tcp_count(struct tcp_endpoint *tcp, enum tcp_counter counter)
{
    tcp->counters[counter]++;
}

/* Octets between the oldest unacknowledged one and the next to send, a FIN included. */
static inline uint32_t tcp_flight(const struct tcp_connection *c)
{
    return c->snd_nxt - c->snd_una;
}

/* Written bytes that never left; none after our FIN, which comes last. */
static inline uint32_t tcp_unsent(const struct tcp_connection *c)
{
    return (c->flags & TCP_F_FIN_SENT) != 0 ? 0 : c->send_bytes - tcp_flight(c);
}

/* The largest window the peer ever offered. */
static inline uint32_t tcp_max_window(const struct tcp_connection *c)
{
    return (uint32_t)c->max_snd_wnd << c->snd_scale;
}

static inline bool tcp_alive(const struct tcp_connection *c)
{
    return c->state != TCP_STATE_CLOSED;
}

/* Handshake complete, not yet in TIME-WAIT. */
static inline bool tcp_synchronized(const struct tcp_connection *c)
{
    return c->state >= TCP_STATE_ESTABLISHED;
}

/* Fewer than one chunk in eight is free: windows stop growing, what is out of order is dropped. */
static inline bool tcp_pressure(const struct tcp_endpoint *tcp)
{
    return chunk_pool_free(tcp->chunks) < chunk_pool_capacity(tcp->chunks) / 8;
}

/* Chunks that only the scoreboard may take: without a record nothing can be sent, and without sending nothing
 * comes free. */
static inline uint32_t tcp_spare_chunks(const struct tcp_endpoint *tcp)
{
    uint32_t reserve = chunk_pool_capacity(tcp->chunks) / 16 + 1, n = chunk_pool_free(tcp->chunks);
    return n > reserve ? n - reserve : 0;
}

/* A chunk for bytes that wait, or NULL. */
static inline struct chunk *tcp_chunk_get(struct tcp_endpoint *tcp)
{
    return tcp_spare_chunks(tcp) > 0 ? chunk_get(tcp->chunks) : NULL;
}

/* What one connection may take of what is free, beyond its first buffers: the more is used, the less. */
static inline uint32_t tcp_share_bytes(const struct tcp_endpoint *tcp)
{
    uint64_t share = (uint64_t)tcp_spare_chunks(tcp) * CHUNK_BYTES / 8;
    return share < UINT32_MAX ? (uint32_t)share : UINT32_MAX;
}

static inline uint32_t tcp_timestamp(const struct tcp_connection *c)
{
    return c->tcp->now_ms + c->ts_offset;
}

#endif
