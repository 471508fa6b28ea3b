/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TCP endpoint (RFC 9293), as pure code: parsed header, payload slice and time in, segments out.
 *
 * A `struct tcp_endpoint` owns all connections of one worker: their table, timers, buffers and secrets. It
 * touches no packet buffer, no clock and no allocator: memory is reserved at creation, `now_us` comes with
 * every call, and segments leave through host->emit, which copies what it wants before it returns. So a whole
 * lossy transfer runs in a unit test or a fuzzer without a socket or a sleep.
 *
 * tcp_input only changes state and offers data to readers; acknowledgements, window updates and data that
 * became due leave together in tcp_flush, once per burst, so that a burst of segments costs one
 * acknowledgement and an answer carries it. Retransmissions and other timed events leave in tcp_advance, from
 * the timer wheel given at creation.
 *
 * A reader must be able to go on with CHUNK_BYTES of contiguous data: what was not taken is offered in slices
 * that grow to that size and no further. A stream that has ended stays valid memory until the next tcp_flush.
 *
 * Passive opens: host->admit is asked when a SYN arrives, before any state exists; host->accepted is told
 * when the handshake is complete and must set handler and owner of the stream (or abort it). Active opens:
 * tcp_connect, then handler->opened or closed.
 *
 * What an outsider can make it do is bounded: connections, half-open connections, buffers per connection and
 * in all (limits below), challenge acknowledgements and resets per second. When a limit is met the segment is
 * dropped or answered statelessly and counted in `counters`.
 */
#ifndef DATAPLANE_TCP_TCP_H
#define DATAPLANE_TCP_TCP_H

#include "dataplane/address.h"
#include "dataplane/chunk.h"
#include "dataplane/stream.h"
#include "dataplane/timer_wheel.h"

#include <stdbool.h>

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

#define TCP_OPTIONS_MAX 40

/* A segment that arrived: header fields in host order, checksum already verified, lengths already checked. */
struct tcp_segment_in {
    struct flow_key key;
    uint32_t hash; /* flow_table_hash of key, by tcp_hash */
    uint32_t seq;
    uint32_t ack;
    uint16_t window;
    uint8_t flags;
    uint8_t options_len;
    const uint8_t *options;
    const uint8_t *payload;
    uint32_t payload_len;
    uint32_t path;   /* the host's own note on where it came from, kept in the connection for emit */
    uint64_t sender; /* likewise on who sent it, see tcp_stream_watch; 0: not known */
};

struct tcp_piece {
    const uint8_t *at;
    uint32_t len;
};

/* A segment to send. Pieces are borrowed until emit returns. */
struct tcp_segment_out {
    const struct flow_key *key;
    uint32_t *path; /* the connection's note of the host, may be updated by it; NULL for answers without a
                       connection: see reply_path */
    uint32_t reply_path;
    uint32_t seq;
    uint32_t ack;
    uint16_t window;
    uint8_t flags;
    uint8_t options_len; /* multiple of 4 */
    uint8_t pieces_n;
    uint32_t payload_len;
    struct tcp_piece pieces[3];
    uint8_t options[TCP_OPTIONS_MAX];
};

enum tcp_admission {
    TCP_ADMIT_DROP = 0, /* silently */
    TCP_ADMIT_RESET,    /* answer RST */
    TCP_ADMIT_YES,
};

struct tcp_host {
    /* Sends one segment; never fails from TCP's view (a lost packet is retransmitted). Must not call back
     * into the endpoint, except tcp_unreachable. */
    void (*emit)(void *host, const struct tcp_segment_out *segment);
    /* A SYN for `key`; `path` as given with the segment. No state exists yet. */
    enum tcp_admission (*admit)(void *host, const struct flow_key *key, uint32_t path);
    /* A connection is established by a peer; set stream->handler and owner, or stream_abort it. */
    void (*accepted)(void *host, const struct flow_key *key, uint32_t path, struct stream *stream);
    /* Payload bytes a segment toward this key may carry at most with 20 bytes of TCP header (MTU minus IP and
     * TCP headers). */
    uint16_t (*mss)(void *host, const struct flow_key *key, uint32_t path);
    /* A segment for a watched stream came from somebody else, and is dropped; may be NULL. */
    void (*foreign)(void *host, struct stream *stream, uint64_t sender);
    /* A segment that opens nothing, for a flow that does not exist; may be NULL. */
    void (*stray)(void *host, const struct flow_key *key, uint64_t sender);
};

struct tcp_limits {
    uint32_t connections;
    uint32_t half_open;            /* above it: SYN cookies */
    uint32_t send_buffer_bytes;    /* queued and unacknowledged, per connection */
    uint32_t receive_buffer_bytes; /* kept and out of order, per connection; also the window */
    /* What the two may grow to, for a peer that fills them within a round trip, as long as the connection
     * takes no more than an eighth of what is free. Not above the others: they do not grow. */
    uint32_t send_buffer_max_bytes;
    uint32_t receive_buffer_max_bytes;
    uint32_t resets_per_s;      /* RST answered to nobody's segments */
    uint32_t challenges_per_s;  /* RFC 5961 s.7 */
    uint32_t syn_retries;       /* of ours */
    uint32_t syn_ack_retries;   /* fewer: who has sent a SYN repeats it, and its address may be forged */
    uint32_t data_retries;      /* RFC 1122 s.4.2.3.5, R2 */
    uint64_t keepalive_idle_us; /* 0: none */
    uint64_t keepalive_interval_us;
    uint32_t keepalive_probes;
    uint64_t time_wait_us;
    uint64_t orphan_us; /* FIN-WAIT-2 and unacknowledged FIN after both sides are done with it */
};

/* Named, counted outcomes (decision 8). TCP_COUNTER(name, id) */
#define TCP_COUNTER_TABLE(TCP_COUNTER)                                                                       \
    TCP_COUNTER(SEGMENTS_IN, "segments-in")                                                                  \
    TCP_COUNTER(SEGMENTS_OUT, "segments-out")                                                                \
    TCP_COUNTER(BYTES_IN, "bytes-in")                                                                        \
    TCP_COUNTER(BYTES_OUT, "bytes-out")                                                                      \
    TCP_COUNTER(ACCEPTED, "accepted")                                                                        \
    TCP_COUNTER(CONNECTED, "connected")                                                                      \
    TCP_COUNTER(CLOSED, "closed")                                                                            \
    TCP_COUNTER(NO_CONNECTION, "no-connection")                                                              \
    TCP_COUNTER(NOT_ADMITTED, "not-admitted")                                                                \
    TCP_COUNTER(TABLE_FULL, "table-full")                                                                    \
    TCP_COUNTER(COOKIES_SENT, "syn-cookies-sent")                                                            \
    TCP_COUNTER(COOKIES_GOOD, "syn-cookies-good")                                                            \
    TCP_COUNTER(COOKIES_BAD, "syn-cookies-bad")                                                              \
    TCP_COUNTER(FOREIGN_SENDER, "foreign-sender")                                                            \
    TCP_COUNTER(OUT_OF_WINDOW, "out-of-window")                                                              \
    TCP_COUNTER(BAD_ACK, "bad-ack")                                                                          \
    TCP_COUNTER(BAD_STATE, "bad-state")                                                                      \
    TCP_COUNTER(BAD_OPTIONS, "bad-options")                                                                  \
    TCP_COUNTER(PAWS, "paws")                                                                                \
    TCP_COUNTER(CHALLENGE_ACKS, "challenge-acks")                                                            \
    TCP_COUNTER(RESETS_IN, "resets-in")                                                                      \
    TCP_COUNTER(RESETS_OUT, "resets-out")                                                                    \
    TCP_COUNTER(RESETS_SUPPRESSED, "resets-suppressed")                                                      \
    TCP_COUNTER(OUT_OF_ORDER, "out-of-order")                                                                \
    TCP_COUNTER(OVERLAP, "overlap")                                                                          \
    TCP_COUNTER(OVERLAP_CONFLICT, "overlap-conflict")                                                        \
    TCP_COUNTER(DUPLICATE, "duplicate")                                                                      \
    TCP_COUNTER(NO_BUFFER, "no-buffer")                                                                      \
    TCP_COUNTER(RETRANSMITS, "retransmits")                                                                  \
    TCP_COUNTER(FAST_RETRANSMITS, "fast-retransmits")                                                        \
    TCP_COUNTER(TIMEOUTS, "timeouts")                                                                        \
    TCP_COUNTER(TAIL_PROBES, "tail-loss-probes")                                                             \
    TCP_COUNTER(SPURIOUS, "spurious-recoveries")                                                             \
    TCP_COUNTER(PROBES, "window-probes")                                                                     \
    TCP_COUNTER(KEEPALIVES, "keepalives")                                                                    \
    TCP_COUNTER(ABORTED, "aborted")

#define TCP_COUNTER_ENUM(name, id) TCP_##name,
enum tcp_counter { TCP_COUNTER_TABLE(TCP_COUNTER_ENUM) TCP_COUNTER_COUNT };
#undef TCP_COUNTER_ENUM

struct tcp_endpoint;

/*
 * `secret` seeds cookies, sequence numbers (RFC 6528) and the table. `chunks` and `timers` are borrowed and
 * must outlive the endpoint; `host_data` is the first argument of host's functions. NULL when memory is not
 * to be had.
 */
struct tcp_endpoint *tcp_create(const struct tcp_limits *limits, const struct tcp_host *host, void *host_data,
                                struct chunk_pool *chunks, struct timer_wheel *timers,
                                const uint8_t secret[32]);
/* Frees everything at once; no events, no segments. */
void tcp_destroy(struct tcp_endpoint *tcp);
/* Defaults for a gateway of `connections`. */
void tcp_limits_default(struct tcp_limits *limits, uint32_t connections);

uint32_t tcp_hash(const struct tcp_endpoint *tcp, const struct flow_key *key);
/* For a burst, each over all its segments before the next: the table, the key, the connection. */
void tcp_prefetch(const struct tcp_endpoint *tcp, uint32_t hash);
void tcp_prefetch_key(const struct tcp_endpoint *tcp, uint32_t hash);
void tcp_prefetch_connection(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t hash);
void tcp_input(struct tcp_endpoint *tcp, const struct tcp_segment_in *segment, uint64_t now_us);
/* Emits what became due in this burst. */
void tcp_flush(struct tcp_endpoint *tcp, uint64_t now_us);

/*
 * Opens a connection from key->local to key->remote; key->local_port is chosen by the caller and must be free
 * (see tcp_port_free). Handler events follow, never from inside this call. NULL: table full or the flow
 * exists.
 */
struct stream *tcp_connect(struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t path,
                           const struct stream_handler *handler, void *owner, uint64_t now_us);
bool tcp_flow_exists(const struct tcp_endpoint *tcp, const struct flow_key *key);

/* ICMP error for a flow of ours, `seq` as quoted: ignored unless inside the window (RFC 5927). next_mtu 0
 * when not "too big"; then it may also be called from inside host->emit, and closed follows later. */
void tcp_unreachable(struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t seq, uint16_t next_mtu,
                     uint64_t now_us);

/* The stream must be one of this endpoint's. */
const struct flow_key *tcp_stream_key(const struct stream *stream);
bool tcp_is_stream(const struct stream *stream);
/* Who completed the handshake of a stream that was accepted; from inside host->accepted. */
uint64_t tcp_stream_sender(const struct stream *stream);
/* From now on nobody else is listened to: a segment whose sender differs is dropped before anything of it is
 * looked at, whatever its numbers (counted, and told to host->foreign). 0: no matter who. */
void tcp_stream_watch(struct stream *stream, uint64_t sender);
/* The stream of a flow that was accepted and is watched, or NULL. */
struct stream *tcp_watched(const struct tcp_endpoint *tcp, const struct flow_key *key);

uint64_t tcp_counter(const struct tcp_endpoint *tcp, enum tcp_counter counter);
const char *tcp_counter_id(enum tcp_counter counter);
uint32_t tcp_connections(const struct tcp_endpoint *tcp);
/* Bytes one idle established connection costs. */
size_t tcp_connection_bytes(void);

#endif
