/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One endpoint with many peers that are made by hand: how many connections it holds, what each costs in
 * memory, how fast they come and go, what a segment costs. Prints what it measures; asserts bounds that hold
 * on any machine and under sanitizers. */
#include "dataplane/tcp/tcp.h"
#include "tests/unit/runner.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 100000u

struct world {
    struct tcp_endpoint *tcp;
    struct chunk_pool *chunks;
    struct timer_wheel *timers;
    uint64_t now_us;
    uint32_t iss, ack, emitted, last_seq, last_len; /* of the last segment out */
    uint8_t last_flags;
    uint32_t accepted, closed, ended;
    uint64_t bytes;
    struct stream *stream; /* the last accepted */
    bool echo;
};

static void emit(void *host, const struct tcp_segment_out *out)
{
    struct world *w = host;
    w->emitted++;
    w->last_flags = out->flags;
    w->last_seq = out->seq;
    w->last_len = out->payload_len;
    w->ack = out->ack;
    if ((out->flags & TCP_SYN) != 0)
        w->iss = out->seq;
}

static enum tcp_admission admit(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)key;
    (void)path;
    return TCP_ADMIT_YES;
}

static uint16_t mss(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)key;
    (void)path;
    return 1460;
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct world *w = owner;
    w->bytes += n;
    if (w->echo) {
        stream_write(w->stream, p, n);
        stream_flush(w->stream);
    }
    return n;
}

static void on_ended(void *owner)
{
    ((struct world *)owner)->ended++;
}

static void on_closed(void *owner, enum stream_end why)
{
    (void)why;
    ((struct world *)owner)->closed++;
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static const struct stream_handler handler = {on_nothing, on_data, on_nothing, on_ended, on_closed};

static void accepted(void *host, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct world *w = host;
    (void)key;
    (void)path;
    w->accepted++;
    w->stream = stream;
    stream->handler = &handler;
    stream->owner = w;
}

static bool world_init(struct world *w, uint32_t connections)
{
    static const struct tcp_host host = {emit, admit, accepted, mss};
    static const uint8_t secret[32] = "a secret that only tests know";
    struct tcp_limits limits;

    memset(w, 0, sizeof(*w));
    w->now_us = 5000000;
    tcp_limits_default(&limits, connections);
    w->timers = timer_wheel_create(w->now_us);
    w->chunks = chunk_pool_create(2 * CONNECTIONS);
    if (w->timers == NULL || w->chunks == NULL)
        return false;
    w->tcp = tcp_create(&limits, &host, w, w->chunks, w->timers, secret);
    return w->tcp != NULL;
}

static void world_fini(struct world *w)
{
    tcp_destroy(w->tcp);
    CU_ASSERT_EQUAL(chunk_pool_free(w->chunks), chunk_pool_capacity(w->chunks));
    chunk_pool_destroy(w->chunks);
    timer_wheel_destroy(w->timers);
}

static struct flow_key peer(uint32_t i)
{
    return (struct flow_key){.local = ip_address_v4(0x0a140001),
                             .remote = ip_address_v4(0x0a150000 + i / 50000),
                             .local_port = 1883,
                             .remote_port = (uint16_t)(1024 + i % 50000),
                             .protocol = 6};
}

static void send(struct world *w, struct tcp_segment_in *s, uint8_t flags, uint32_t len)
{
    static uint8_t payload[2048];
    s->flags = flags;
    s->window = 65535;
    s->payload = payload;
    s->payload_len = len;
    s->hash = tcp_hash(w->tcp, &s->key);
    tcp_input(w->tcp, s, w->now_us);
    s->seq += len + ((flags & (TCP_SYN | TCP_FIN)) != 0);
}

/* The three segments of a handshake; the peer's next number is in s. */
static void open_one(struct world *w, uint32_t i, struct tcp_segment_in *s)
{
    *s = (struct tcp_segment_in){.key = peer(i), .seq = i * 7919u};
    send(w, s, TCP_SYN, 0);
    tcp_flush(w->tcp, w->now_us);
    s->ack = w->iss + 1;
    send(w, s, TCP_ACK, 0);
}

static void close_one(struct world *w, struct tcp_segment_in *s)
{
    struct stream *stream = w->stream;
    send(w, s, TCP_FIN | TCP_ACK, 0);
    stream_finish(stream);
    tcp_flush(w->tcp, w->now_us);
    s->ack = w->last_seq + w->last_len + 1;
    send(w, s, TCP_ACK, 0);
    tcp_flush(w->tcp, w->now_us);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void holds_a_hundred_thousand(void)
{
    struct world w;
    struct tcp_segment_in s;
    size_t before = resident_bytes();

    CU_ASSERT_TRUE_FATAL(world_init(&w, CONNECTIONS));
    double start = seconds();
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        open_one(&w, i, &s);
    double took = seconds() - start;
    CU_ASSERT_EQUAL(w.accepted, CONNECTIONS);
    CU_ASSERT_EQUAL(tcp_connections(w.tcp), CONNECTIONS);
    CU_ASSERT_EQUAL(chunk_pool_free(w.chunks), chunk_pool_capacity(w.chunks));
    size_t each = (resident_bytes() - before) / CONNECTIONS;
    printf("\n    %u connections: %zu bytes in the object, %zu resident each with table and timers, "
           "%.0f handshakes/s of CPU ",
           CONNECTIONS, tcp_connection_bytes(), each, CONNECTIONS / took);
    CU_ASSERT(tcp_connection_bytes() <= 384);
#if !defined(__SANITIZE_ADDRESS__)
    CU_ASSERT(each < 512); /* an idle pair takes less than 1 KiB */
#endif
    /* One more finds the table full, and nobody is hurt. */
    open_one(&w, CONNECTIONS + 1, &s);
    CU_ASSERT_EQUAL(w.accepted, CONNECTIONS);
    CU_ASSERT(tcp_counter(w.tcp, TCP_TABLE_FULL) >= 1);

    /* Ten minutes pass: every connection is probed, nobody answers, all are gone. */
    start = seconds();
    for (uint64_t end = w.now_us + UINT64_C(900000000); w.now_us < end; w.now_us += 10000) {
        timer_wheel_advance(w.timers, w.now_us, 10000);
        tcp_flush(w.tcp, w.now_us);
    }
    printf("\n    keep-alives and closing of all: %.2f s of CPU ", seconds() - start);
    CU_ASSERT_EQUAL(tcp_connections(w.tcp), 0);
    CU_ASSERT_EQUAL(w.closed, CONNECTIONS);
    world_fini(&w);
}

static void accepts_and_closes_quickly(void)
{
    enum { N = 60000 };
    struct world w;
    struct tcp_segment_in s;

    CU_ASSERT_TRUE_FATAL(world_init(&w, 1000));
    double start = seconds();
    for (uint32_t i = 0; i < N; i++) {
        open_one(&w, i, &s);
        close_one(&w, &s);
    }
    double took = seconds() - start;
    printf("\n    %.0f connections/s of CPU accepted and closed ", N / took);
    CU_ASSERT_EQUAL(w.accepted, N);
    CU_ASSERT_EQUAL(w.closed, N);
    CU_ASSERT_EQUAL(tcp_connections(w.tcp), 0);
    CU_ASSERT(N / took > 20000);
    world_fini(&w);
}

#define BURST 32u

/* An echo: each round one segment in with 64 bytes that acknowledges the last, one out. */
static double echo_rounds(uint32_t connections, uint32_t rounds)
{
    struct world w;
    struct tcp_segment_in *s = calloc(connections, sizeof(*s));
    struct stream **streams = calloc(connections, sizeof(struct stream *));

    if (s == NULL || streams == NULL || !world_init(&w, connections)) {
        CU_FAIL("memory");
        return 0;
    }
    for (uint32_t i = 0; i < connections; i++) {
        open_one(&w, i, &s[i]);
        streams[i] = w.stream;
        s[i].ack = w.iss + 1;
    }
    w.echo = true;
    double start = seconds();
    for (uint32_t r = 0; r < rounds; r += BURST) {
        uint32_t chosen[BURST], hashes[BURST];
        for (uint32_t k = 0; k < BURST; k++) {
            chosen[k] = ((r + k) * 7919u) % connections;
            hashes[k] = tcp_hash(w.tcp, &s[chosen[k]].key);
            tcp_prefetch(w.tcp, hashes[k]);
        }
        for (uint32_t k = 0; k < BURST; k++)
            tcp_prefetch_key(w.tcp, hashes[k]);
        for (uint32_t k = 0; k < BURST; k++)
            tcp_prefetch_connection(w.tcp, &s[chosen[k]].key, hashes[k]);
        for (uint32_t k = 0; k < BURST; k++) {
            struct tcp_segment_in *in = &s[chosen[k]];
            w.stream = streams[chosen[k]];
            w.now_us += 2;
            send(&w, in, TCP_ACK | TCP_PSH, 64);
            tcp_flush(w.tcp, w.now_us);
            in->ack = w.last_seq + w.last_len;
        }
        timer_wheel_advance(w.timers, w.now_us, 1000);
    }
    double took = seconds() - start;
    CU_ASSERT_EQUAL(w.bytes, 64ull * rounds);
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_BYTES_OUT), 64ull * rounds);
    CU_ASSERT_EQUAL(tcp_counter(w.tcp, TCP_RETRANSMITS), 0);
    world_fini(&w);
    free(s);
    free(streams);
    return took / rounds * 1e9;
}

static void a_segment_costs_little(void)
{
    static const uint32_t counts[] = {1, 1000, 100000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        double ns = echo_rounds(counts[i], BURST * 30000);
        printf("\n    %6u connections: %.0f ns for a segment in, its acknowledgement and data out ",
               counts[i], ns);
        CU_ASSERT(ns < 10000);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"holds 100,000 connections under 512 bytes each (K3)", holds_a_hundred_thousand},
        {"accepts and closes over 20,000 connections/s", accepts_and_closes_quickly},
        {"a segment costs little, however many connections (K1)", a_segment_costs_little},
    };
    return unit_run("tcp_scale", tests, sizeof(tests) / sizeof(tests[0]));
}
