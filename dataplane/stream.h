/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A byte stream between two parties: the one interface that TCP, TLS over TCP, and test doubles offer to a
 * relay.
 *
 * The implementation embeds a `struct stream` in its own object and sets `ops`; the user sets `handler` and
 * `owner` before the first event can come. Everything runs on one worker; nothing blocks; time is the
 * worker's loop time. Calls down (stream_*) may be made from inside calls up. After handler->closed, or after
 * stream_abort, the stream no longer exists for its user.
 *
 * Reading is push: handler->data is offered what arrived, in place where possible, and answers how much it
 * took. What it did not take is kept by the stream (the TCP window closes as it grows) and is offered again
 * after stream_resume, or together with more data, in one slice that starts with the first byte not taken. It
 * may be shorter than what is there: more calls follow while all is taken. Writing is bounded: stream_write
 * takes what fits and answers how much; once it has answered less than asked, handler->writable comes when
 * there is room again. Written bytes leave at stream_flush, which the worker calls at the end of the burst (a
 * TLS stream makes one record of them then); writing never emits by itself.
 */
#ifndef DATAPLANE_STREAM_H
#define DATAPLANE_STREAM_H

#include <stddef.h>
#include <stdint.h>

struct stream;

/* Why a stream ended; the argument of handler->closed. */
enum stream_end {
    STREAM_END_UNKNOWN = 0,
    STREAM_END_DONE,         /* both sides closed in order */
    STREAM_END_RESET,        /* the peer reset it */
    STREAM_END_REFUSED,      /* the peer refused the connection */
    STREAM_END_UNREACHABLE,  /* no route, no neighbour, ICMP says so */
    STREAM_END_TIMEOUT,      /* retransmissions or keep-alives without answer */
    STREAM_END_ABORTED,      /* we gave up: out of memory, of threads, or told to */
    STREAM_END_TLS_VERIFY,   /* certificate or name not accepted; stream_reason tells */
    STREAM_END_TLS_ALERT,    /* the peer sent a fatal alert */
    STREAM_END_TLS_PROTOCOL, /* the peer broke TLS, or no common parameters */
    STREAM_END_TLS_IDENTITY  /* our own certificate or key for it is not to be had; a client's PSK identity is
                                unknown */
};

struct stream_handler {
    /* The stream can carry data (TCP established, TLS handshake done). Not called for streams accepted
     * already open. */
    void (*opened)(void *owner);
    /* n bytes at p; answers how many were taken, 0..n. */
    size_t (*data)(void *owner, const uint8_t *p, size_t n);
    /* There is room again after a short stream_write. */
    void (*writable)(void *owner);
    /* The peer has closed its sending side; no data comes any more, writing is still possible. */
    void (*ended)(void *owner);
    /* The last event: the stream is gone. Not called after stream_abort. */
    void (*closed)(void *owner, enum stream_end why);
};

struct stream_ops {
    size_t (*room)(const struct stream *s);
    size_t (*write)(struct stream *s, const uint8_t *p, size_t n);
    void (*flush)(struct stream *s);
    void (*resume)(struct stream *s);
    void (*finish)(struct stream *s);
    void (*abort)(struct stream *s);
    const char *(*reason)(const struct stream *s);
    uint64_t (*own_us)(const struct stream *s, uint64_t now_us); /* NULL: always 0 */
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_handler *handler;
    void *owner;
};

/* How many bytes the next stream_write will take. */
static inline size_t stream_room(const struct stream *s)
{
    return s->ops->room(s);
}

/* Queues up to n bytes (copied); answers how many. */
static inline size_t stream_write(struct stream *s, const uint8_t *p, size_t n)
{
    return s->ops->write(s, p, n);
}

/* Lets what was written leave. */
static inline void stream_flush(struct stream *s)
{
    s->ops->flush(s);
}

/* The owner can take data again: what is kept is offered from inside this call. */
static inline void stream_resume(struct stream *s)
{
    s->ops->resume(s);
}

/* Closes our sending side after everything queued (TLS: close_notify, TCP: FIN). Data may still come; closed
 * follows in time. */
static inline void stream_finish(struct stream *s)
{
    s->ops->finish(s);
}

/* Ends it now (TCP: RST). No event follows; the stream must not be used again. */
static inline void stream_abort(struct stream *s)
{
    s->ops->abort(s);
}

/* A sentence on why it failed ("certificate has expired"), or NULL; static or alive as long as the stream;
 * valid inside closed. */
static inline const char *stream_reason(const struct stream *s)
{
    return s->ops->reason == NULL ? NULL : s->ops->reason(s);
}

/* How much of the time that it has taken to open was ours and not the other side's: spent waiting for a
 * handshake thread. Who has given the other side so long does not count that. */
static inline uint64_t stream_own_us(const struct stream *s, uint64_t now_us)
{
    return s->ops->own_us == NULL ? 0 : s->ops->own_us(s, now_us);
}

#endif
