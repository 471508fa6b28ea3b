/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What concerns an endpoint and not one connection: sharing memory and tables, creation and destruction, the
 * contract's small print. */
#include "dataplane/tcp/tcp.h"
#include "tests/unit/runner.h"
#include "tests/unit/tcp_invariants.h"

#include <string.h>

#define USERS 8u

struct user {
    struct stream *stream;
    struct flow_key key;
    uint32_t seq, ack; /* what the peer would send next, and acknowledges */
    bool opened, writable, ended, closed;
    enum stream_end why;
    struct stream *victim; /* aborted from inside data */
};

static struct {
    struct tcp_endpoint *tcp;
    struct chunk_pool *chunks;
    struct timer_wheel *timers;
    uint64_t now_us;
    struct user users[USERS];
    uint32_t emitted;
    uint8_t last_flags;
    bool refuse_handler;
    bool watch;
    uint64_t sender, told_sender; /* of segments that are fed; the last foreign one */
    uint32_t foreign, strays;
} w;

static void on_opened(void *owner)
{
    ((struct user *)owner)->opened = true;
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct user *u = owner;
    (void)p;
    if (u->victim != NULL) {
        stream_abort(u->victim);
        u->victim = NULL;
    }
    return n;
}

static void on_writable(void *owner)
{
    ((struct user *)owner)->writable = true;
}

static void on_ended(void *owner)
{
    ((struct user *)owner)->ended = true;
}

static void on_closed(void *owner, enum stream_end why)
{
    struct user *u = owner;
    u->closed = true;
    u->why = why;
}

static const struct stream_handler handler = {on_opened, on_data, on_writable, on_ended, on_closed};

static struct user *user_of(const struct flow_key *key)
{
    for (uint32_t i = 0; i < USERS; i++)
        if (memcmp(&w.users[i].key, key, sizeof(*key)) == 0)
            return &w.users[i];
    return NULL;
}

static void emit(void *host, const struct tcp_segment_out *out)
{
    struct user *u = user_of(out->key);
    (void)host;
    w.emitted++;
    w.last_flags = out->flags;
    if (u != NULL)
        u->ack = out->seq + out->payload_len + ((out->flags & (TCP_SYN | TCP_FIN)) != 0);
}

static enum tcp_admission admit(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)key;
    (void)path;
    return TCP_ADMIT_YES;
}

static void accepted(void *host, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct user *u = user_of(key);
    (void)host;
    (void)path;
    if (w.refuse_handler)
        return;
    u->stream = stream;
    stream->handler = &handler;
    stream->owner = u;
    if (w.watch)
        tcp_stream_watch(stream, tcp_stream_sender(stream));
}

static void foreign(void *host, struct stream *stream, uint64_t sender)
{
    (void)host;
    CU_ASSERT_TRUE(tcp_is_stream(stream));
    w.foreign++;
    w.told_sender = sender;
}

static void stray(void *host, const struct flow_key *key, uint64_t sender)
{
    (void)host;
    (void)key;
    w.strays++;
    w.told_sender = sender;
}

static uint16_t mss(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)key;
    (void)path;
    return 1000;
}

static const struct tcp_host host = {emit, admit, accepted, mss, foreign, stray};
static const uint8_t secret[32] = "another secret of tests";

static void begin(uint32_t connections, uint32_t chunks)
{
    struct tcp_limits limits;
    memset(&w, 0, sizeof(w));
    w.now_us = 1000000;
    tcp_limits_default(&limits, connections);
    w.chunks = chunk_pool_create(chunks);
    w.timers = timer_wheel_create(w.now_us);
    w.tcp = tcp_create(&limits, &host, NULL, w.chunks, w.timers, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w.tcp);
    for (uint32_t i = 0; i < USERS; i++)
        w.users[i].key = (struct flow_key){.local = ip_address_v4(1),
                                           .remote = ip_address_v4(2),
                                           .local_port = 1883,
                                           .remote_port = (uint16_t)(1000 + i),
                                           .protocol = 6};
}

static void end(void)
{
    CU_ASSERT_PTR_NULL(tcp_invariants(w.tcp));
    tcp_destroy(w.tcp);
    CU_ASSERT_EQUAL(chunk_pool_free(w.chunks), chunk_pool_capacity(w.chunks));
    CU_ASSERT_EQUAL(timer_wheel_next_us(w.timers), UINT64_MAX);
    chunk_pool_destroy(w.chunks);
    timer_wheel_destroy(w.timers);
}

static void feed_options(struct user *u, uint8_t flags, uint32_t len, const uint8_t *options,
                         uint8_t options_len)
{
    static const uint8_t zeros[1000];
    struct tcp_segment_in s = {.key = u->key,
                               .hash = tcp_hash(w.tcp, &u->key),
                               .seq = u->seq,
                               .ack = u->ack,
                               .window = 65535,
                               .flags = flags,
                               .sender = w.sender,
                               .options = options,
                               .options_len = options_len,
                               .payload = zeros,
                               .payload_len = len};
    tcp_input(w.tcp, &s, w.now_us);
    u->seq += len + ((flags & (TCP_SYN | TCP_FIN)) != 0);
}

static void feed(struct user *u, uint8_t flags, uint32_t len)
{
    feed_options(u, flags, len, NULL, 0);
}

static void flush(void)
{
    tcp_flush(w.tcp, w.now_us);
    CU_ASSERT_PTR_NULL(tcp_invariants(w.tcp));
}

static struct user *open_user(uint32_t i)
{
    struct user *u = &w.users[i];
    u->stream = NULL;
    u->closed = false;
    feed(u, TCP_SYN, 0);
    flush();
    feed(u, TCP_ACK, 0);
    flush();
    return u;
}

static void writers_share_the_pool(void)
{
    static const uint8_t zeros[100000];
    begin(USERS, 16);
    struct user *a = open_user(0), *b = open_user(1);

    size_t taken = stream_write(a->stream, zeros, sizeof(zeros));
    CU_ASSERT(taken > 0 && taken < sizeof(zeros));
    while (stream_room(a->stream) > 0)
        taken += stream_write(a->stream, zeros, 100);
    /* Under pressure a connection gets little, and at last nothing. */
    size_t other = 0;
    for (size_t k = 1; k > 0; other += k)
        k = stream_write(b->stream, zeros, 5000);
    flush();
    CU_ASSERT(other <= 2 * CHUNK_BYTES);
    CU_ASSERT_FALSE(b->writable);
    for (uint32_t i = 2; i < USERS; i++) { /* the rest find it empty */
        struct user *u = open_user(i);
        while (stream_write(u->stream, zeros, 5000) > 0)
            ;
    }
    struct user *last = &w.users[USERS - 1];
    CU_ASSERT_EQUAL(stream_room(last->stream), 0);
    for (uint32_t i = 0; i < 5; i++)
        flush();
    CU_ASSERT_FALSE(last->writable);
    /* What is acknowledged comes free, and those who wait are told, also those with nothing in flight. */
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < USERS - 1; i++)
            feed(&w.users[i], TCP_ACK, 0);
        w.now_us += 500000;
        timer_wheel_advance(w.timers, w.now_us, UINT32_MAX);
        flush();
    }
    CU_ASSERT(last->writable);
    CU_ASSERT(b->writable);
    CU_ASSERT(stream_room(last->stream) > 0);
    end();
}

/* Those who fill buffers behind a gap and stop must not keep them (requirements F, defence). */
static void pressure_drops_what_waits_behind_gaps(void)
{
    static const uint8_t zeros[100000];
    begin(USERS, 64);
    struct user *a = open_user(0), *b = open_user(1);
    a->seq += 10;
    for (uint32_t i = 0; i < 30; i++) {
        feed(a, TCP_ACK | TCP_PSH, 1);
        a->seq += 9;
    }
    flush();
    CU_ASSERT_EQUAL(chunk_pool_free(w.chunks), 34);
    while (stream_write(b->stream, zeros, 1000) > 0)
        ;
    flush();
    flush();
    CU_ASSERT(chunk_pool_free(w.chunks) >= 30);
    CU_ASSERT(tcp_counter(w.tcp, TCP_NO_BUFFER) >= 1);
    a->seq -= 310; /* the gap is filled after all: what was dropped is asked for again */
    feed(a, TCP_ACK | TCP_PSH, 11);
    flush();
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BYTES_IN), 11);
    end();
}

static void a_full_table_refuses_and_recovers(void)
{
    begin(2, 64);
    struct user *a = open_user(0), *b = open_user(1), *c = &w.users[2];
    CU_ASSERT(a->stream != NULL && b->stream != NULL);
    feed(c, TCP_SYN, 0);
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_TABLE_FULL), 1);
    CU_ASSERT_PTR_NULL(tcp_connect(w.tcp, &c->key, 0, &handler, c, w.now_us));
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_TABLE_FULL), 2);
    CU_ASSERT_EQUAL(tcp_connections(w.tcp), 2);
    stream_abort(a->stream);
    CU_ASSERT_EQUAL(tcp_connections(w.tcp), 1);
    flush();
    CU_ASSERT_PTR_NOT_NULL(tcp_connect(w.tcp, &c->key, 0, &handler, c, w.now_us));
    flush();
    CU_ASSERT_PTR_NULL(tcp_connect(w.tcp, &c->key, 0, &handler, c, w.now_us)); /* it exists */
    end();
}

static void the_oldest_time_wait_makes_room(void)
{
    begin(USERS, 64);
    for (uint32_t i = 0; i < 1500; i++) {
        struct user *u = &w.users[0];
        u->key.remote_port = (uint16_t)(2000 + i);
        open_user(0);
        stream_finish(u->stream);
        flush();
        feed(u, TCP_FIN | TCP_ACK, 0);
        flush();
        CU_ASSERT(u->closed && u->why == STREAM_END_DONE);
        u->why = STREAM_END_UNKNOWN;
    }
    CU_ASSERT_EQUAL(slab_used(w.tcp->waits), 1024);
    struct flow_key first = w.users[0].key, last = first;
    first.remote_port = 2000;
    CU_ASSERT_FALSE(tcp_flow_exists(w.tcp, &first));
    CU_ASSERT(tcp_flow_exists(w.tcp, &last));
    w.now_us += 61000000;
    timer_wheel_advance(w.timers, w.now_us, UINT32_MAX);
    w.now_us += 2000;
    timer_wheel_advance(w.timers, w.now_us, UINT32_MAX);
    CU_ASSERT_EQUAL(slab_used(w.tcp->waits), 0);
    CU_ASSERT_EQUAL(flow_table_used(w.tcp->table), 0);
    end();
}

static void malformed_options_drop_the_segment(void)
{
    static const uint8_t bad[4] = {2, 0, 0, 0};
    begin(USERS, 64);
    struct user *u = &w.users[0];
    uint32_t isn = u->seq;

    feed_options(u, TCP_SYN, 0, bad, 4);
    flush();
    CU_ASSERT_EQUAL(w.emitted, 0);
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BAD_OPTIONS), 1);
    u->seq = isn;
    open_user(0);
    feed_options(u, TCP_ACK, 10, bad, 4);
    u->seq -= 10;
    flush();
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BAD_OPTIONS), 2);
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BYTES_IN), 0);
    stream_finish(u->stream);
    flush();
    feed(u, TCP_FIN | TCP_ACK, 0);
    flush();
    feed_options(u, TCP_ACK, 10, bad, 4); /* TIME-WAIT */
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BAD_OPTIONS), 3);
    feed(u, TCP_PSH, 0);
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BAD_STATE), 1);

    u = &w.users[1];
    u->stream = tcp_connect(w.tcp, &u->key, 0, &handler, u, w.now_us);
    flush();
    feed_options(u, TCP_SYN | TCP_ACK, 0, bad, 4);
    flush();
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BAD_OPTIONS), 4);
    CU_ASSERT_FALSE(u->opened);
    end();
}

static void one_reader_may_end_another(void)
{
    begin(USERS, 64);
    struct user *a = open_user(0), *b = open_user(1);
    a->victim = b->stream;
    feed(a, TCP_ACK | TCP_PSH, 100);
    CU_ASSERT_FALSE(tcp_flow_exists(w.tcp, &b->key));
    CU_ASSERT_FALSE(b->closed); /* no event after abort */
    a->victim = a->stream;
    feed(a, TCP_ACK | TCP_PSH, 100);
    CU_ASSERT_FALSE(tcp_flow_exists(w.tcp, &a->key));
    /* Until the flush the stream is memory that may still be called. */
    stream_resume(a->stream);
    stream_finish(a->stream);
    stream_flush(a->stream);
    stream_abort(a->stream);
    CU_ASSERT_EQUAL(stream_write(a->stream, secret, 10), 0);
    CU_ASSERT_EQUAL(stream_room(a->stream), 0);
    flush();
    CU_ASSERT_EQUAL(tcp_connections(w.tcp), 0);
    end();
}

static void a_host_that_takes_no_stream_resets_it(void)
{
    begin(USERS, 64);
    w.refuse_handler = true;
    open_user(0);
    CU_ASSERT_EQUAL(w.last_flags, TCP_RST | TCP_ACK);
    CU_ASSERT_EQUAL(tcp_connections(w.tcp), 0);
    end();
}

static void the_small_print(void)
{
    static const struct stream_ops foreign_ops;
    struct stream foreign = {.ops = &foreign_ops};
    struct tcp_limits limits;

    begin(USERS, 64);
    struct user *u = open_user(0);
    CU_ASSERT(tcp_is_stream(u->stream));
    CU_ASSERT_FALSE(tcp_is_stream(&foreign));
    CU_ASSERT_EQUAL(memcmp(tcp_stream_key(u->stream), &u->key, sizeof(u->key)), 0);
    CU_ASSERT_PTR_NULL(stream_reason(u->stream));
    stream_write(u->stream, secret, 10);
    flush();
    tcp_unreachable(w.tcp, &u->key, u->ack - 1, 0, w.now_us);
    CU_ASSERT_PTR_NOT_NULL(stream_reason(u->stream));
    tcp_unreachable(w.tcp, &w.users[3].key, 0, 0, w.now_us); /* nobody's */
    tcp_prefetch(w.tcp, tcp_hash(w.tcp, &u->key));
    tcp_prefetch_key(w.tcp, tcp_hash(w.tcp, &u->key));
    tcp_prefetch_connection(w.tcp, &u->key, tcp_hash(w.tcp, &u->key));
    tcp_prefetch_connection(w.tcp, &w.users[3].key, 5);
    for (int i = 0; i < TCP_COUNTER_COUNT; i++) {
        CU_ASSERT_STRING_NOT_EQUAL(tcp_counter_id((enum tcp_counter)i), "?");
        CU_ASSERT_EQUAL(strspn(tcp_counter_id((enum tcp_counter)i), "abcdefghijklmnopqrstuvwxyz-"),
                        strlen(tcp_counter_id((enum tcp_counter)i)));
    }
    CU_ASSERT_STRING_EQUAL(tcp_counter_id(TCP_COUNTER_COUNT), "?");
    tcp_limits_default(&limits, 0);
    CU_ASSERT_PTR_NULL(tcp_create(&limits, &host, NULL, w.chunks, w.timers, secret));
    tcp_destroy(NULL);
    end();
}

/* A clock that goes back, or stands still, must not hurt. */
static void time_does_not_go_back(void)
{
    begin(USERS, 64);
    struct user *u = open_user(0);
    stream_write(u->stream, secret, 10);
    flush();
    uint64_t now = w.now_us;
    w.now_us = 0;
    feed(u, TCP_ACK, 10);
    flush();
    CU_ASSERT_EQUAL(w.tcp->now_us, now);
    end();
}

/* C4: with the right numbers, and from somebody else: not a byte of it is looked at. */
static void a_watched_stream_hears_nobody_else(void)
{
    static const uint8_t all_flags[] = {TCP_RST,           TCP_RST | TCP_ACK, TCP_ACK,
                                        TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_SYN};
    begin(USERS, 64);
    w.watch = true;
    w.sender = 7;
    struct user *u = open_user(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(u->stream);
    CU_ASSERT_PTR_EQUAL(tcp_watched(w.tcp, &u->key), u->stream);
    CU_ASSERT_PTR_NULL(tcp_watched(w.tcp, &w.users[1].key));
    uint32_t emitted = w.emitted;
    for (size_t i = 0; i < sizeof(all_flags); i++) {
        uint32_t seq = u->seq;
        w.sender = i == 3 ? 0 : 8; /* nobody is somebody else too */
        feed(u, all_flags[i], (all_flags[i] & (TCP_RST | TCP_SYN)) != 0 ? 0 : 100);
        u->seq = seq;
        flush();
        CU_ASSERT_EQUAL(w.foreign, i + 1);
        CU_ASSERT_EQUAL(w.told_sender, w.sender);
    }
    CU_ASSERT_FALSE(u->closed || u->ended);
    CU_ASSERT_EQUAL(w.emitted, emitted);
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_FOREIGN_SENDER), sizeof(all_flags));
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_CHALLENGE_ACKS), 0);
    w.sender = 7;
    feed(u, TCP_ACK, 100);
    flush();
    CU_ASSERT_EQUAL(w.emitted, emitted + 1); /* its own is taken and acknowledged */
    CU_ASSERT_EQUAL(w.strays, 0);
    feed(&w.users[1], TCP_ACK, 0);
    CU_ASSERT_EQUAL(w.strays, 1);
    tcp_stream_watch(u->stream, 0);
    w.sender = 9;
    feed(u, TCP_RST, 0);
    CU_ASSERT_TRUE(u->closed);
    end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"a watched stream hears nobody else (C4)", a_watched_stream_hears_nobody_else},
        {"writers share the pool, and all are told when there is room", writers_share_the_pool},
        {"pressure drops what waits behind gaps", pressure_drops_what_waits_behind_gaps},
        {"a full table refuses and recovers", a_full_table_refuses_and_recovers},
        {"the oldest TIME-WAIT makes room", the_oldest_time_wait_makes_room},
        {"malformed options drop the segment (RFC 9293 MUST-7)", malformed_options_drop_the_segment},
        {"one reader may end another, and itself", one_reader_may_end_another},
        {"a host that takes no stream resets it", a_host_that_takes_no_stream_resets_it},
        {"the small print of tcp.h", the_small_print},
        {"time does not go back", time_does_not_go_back},
    };
    return unit_run("tcp_endpoint", tests, sizeof(tests) / sizeof(tests[0]));
}
