/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench_tcp [PAIRS]: what the TCP endpoint of one worker carries, without network, TLS and MQTT (K3): PAIRS
 * (100,000) relayed connections, each one accepted from a device and one opened to an upstream, all
 * established and idle; what they cost in memory and time; how many connections a second are accepted and
 * closed beside them; what a SYN of a flood costs. Peers are made by hand, segment by segment, and their time
 * counts too: times are upper bounds.
 */
#include "dataplane/tcp/tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAIRS 100000u
#define ROUNDS 200000u
#define PAYLOAD 64u

struct crowd {
    struct tcp_endpoint *tcp;
    struct chunk_pool *chunks;
    struct timer_wheel *timers;
    uint64_t now_us;
    uint32_t emitted, last_seq, last_end; /* of the last segment that left */
    uint64_t accepted, opened, closed, bytes;
    struct stream *stream; /* the last that was accepted */
};

static void die(const char *what)
{
    fprintf(stderr, "bench_tcp: %s\n", what);
    exit(EXIT_FAILURE);
}

/* ---- the endpoint's host, and its users ---------------------------------------------------------------- */

static void emit(void *host, const struct tcp_segment_out *out)
{
    struct crowd *w = host;
    w->emitted++;
    w->last_seq = out->seq;
    w->last_end = out->seq + out->payload_len + ((out->flags & (TCP_SYN | TCP_FIN)) != 0);
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

static void on_opened(void *owner)
{
    ((struct crowd *)owner)->opened++;
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    (void)p;
    ((struct crowd *)owner)->bytes += n;
    return n;
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_closed(void *owner, enum stream_end why)
{
    (void)why;
    ((struct crowd *)owner)->closed++;
}

static const struct stream_handler handler = {on_opened, on_data, on_nothing, on_nothing, on_closed};

static void accepted(void *host, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct crowd *w = host;
    (void)key;
    (void)path;
    w->accepted++;
    w->stream = stream;
    stream->handler = &handler;
    stream->owner = w;
}

static void create(struct crowd *w, uint32_t connections, uint32_t half_open)
{
    static const struct tcp_host host = {emit, admit, accepted, mss};
    static const uint8_t secret[32] = "a secret that only benches know";
    struct tcp_limits limits;

    memset(w, 0, sizeof(*w));
    w->now_us = 5000000;
    tcp_limits_default(&limits, connections);
    if (half_open != UINT32_MAX)
        limits.half_open = half_open;
    w->timers = timer_wheel_create(w->now_us);
    w->chunks = chunk_pool_create(16384);
    if (w->timers == NULL || w->chunks == NULL)
        die("no memory");
    w->tcp = tcp_create(&limits, &host, w, w->chunks, w->timers, secret);
    if (w->tcp == NULL)
        die("no memory");
}

static void destroy(struct crowd *w)
{
    tcp_destroy(w->tcp);
    chunk_pool_destroy(w->chunks);
    timer_wheel_destroy(w->timers);
}

/* ---- peers --------------------------------------------------------------------------------------------- */

static struct flow_key device(uint32_t i)
{
    return (struct flow_key){.local = ip_address_v4(0x0a140001),
                             .remote = ip_address_v4(0x0a150000 + i / 50000),
                             .local_port = 1883,
                             .remote_port = (uint16_t)(1024 + i % 50000),
                             .protocol = 6};
}

static struct flow_key upstream(uint32_t i)
{
    return (struct flow_key){.local = ip_address_v4(0x0a1e0001 + i / 40000),
                             .remote = ip_address_v4(0x0a1e0102),
                             .local_port = (uint16_t)(16384 + i % 40000),
                             .remote_port = 1883,
                             .protocol = 6};
}

static void send(struct crowd *w, struct tcp_segment_in *s, uint8_t flags, uint32_t len)
{
    static const uint8_t payload[PAYLOAD];
    s->flags = flags;
    s->window = 65535;
    s->payload = payload;
    s->payload_len = len;
    s->hash = tcp_hash(w->tcp, &s->key);
    tcp_input(w->tcp, s, w->now_us);
    s->seq += len + ((flags & (TCP_SYN | TCP_FIN)) != 0);
}

static void open_device(struct crowd *w, uint32_t i, struct tcp_segment_in *s)
{
    *s = (struct tcp_segment_in){.key = device(i), .seq = i * 7919u};
    send(w, s, TCP_SYN, 0);
    tcp_flush(w->tcp, w->now_us);
    s->ack = w->last_end;
    send(w, s, TCP_ACK, 0);
}

static void open_upstream(struct crowd *w, uint32_t i)
{
    struct flow_key key = upstream(i);
    struct tcp_segment_in s = {.key = key, .seq = i * 104729u};
    if (tcp_connect(w->tcp, &key, 0, &handler, w, w->now_us) == NULL)
        die("no connection to an upstream");
    tcp_flush(w->tcp, w->now_us);
    s.ack = w->last_end;
    send(w, &s, TCP_SYN | TCP_ACK, 0);
    tcp_flush(w->tcp, w->now_us);
}

/* A device that comes, says something, and goes. */
static void visit(struct crowd *w, uint32_t i)
{
    struct tcp_segment_in s;
    open_device(w, i, &s);
    struct stream *stream = w->stream;
    send(w, &s, TCP_ACK | TCP_PSH, PAYLOAD);
    send(w, &s, TCP_ACK | TCP_FIN, 0);
    stream_finish(stream);
    tcp_flush(w->tcp, w->now_us);
    s.ack = w->last_end;
    send(w, &s, TCP_ACK, 0);
    tcp_flush(w->tcp, w->now_us);
}

/* ---- measuring ----------------------------------------------------------------------------------------- */

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
    if (f == NULL || fscanf(f, "%lu %lu", &size, &resident) != 2)
        die("/proc/self/statm");
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void visits(struct crowd *w, uint32_t beside)
{
    uint64_t before = w->closed;
    double start = seconds();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        w->now_us += 10;
        visit(w, PAIRS * 2 + i % 50000);
        timer_wheel_advance(w->timers, w->now_us, 512);
    }
    double took = seconds() - start;
    printf(
        "accepted, %u bytes, closed, beside %u pairs: %.0f connections/s of processor time (goal 20,000)%s\n",
        PAYLOAD, beside, ROUNDS / took, w->closed - before == ROUNDS ? "" : ", NOT ALL CLOSED");
}

/* Time passes in steps of a millisecond, and nobody says a word: what the timers of idle connections cost. */
static void idleness(struct crowd *w, uint32_t pairs)
{
    uint32_t emitted = w->emitted;
    double start = seconds();
    for (uint32_t ms = 0; ms < 60000; ms++) {
        w->now_us += 1000;
        timer_wheel_advance(w->timers, w->now_us, 512);
        tcp_flush(w->tcp, w->now_us);
    }
    printf(
        "%u idle pairs: %.3f %% of a core for a loop of a thousand turns a second, %u segments in a minute\n",
        pairs, (seconds() - start) / 60 * 100, w->emitted - emitted);
}

static void flood(void)
{
    struct crowd w;
    create(&w, 1000, 0);
    double start = seconds();
    for (uint32_t i = 0; i < ROUNDS * 5; i++) {
        struct tcp_segment_in s = {.key = device(i), .seq = i * 2654435761u};
        send(&w, &s, TCP_SYN, 0);
        w.now_us++;
    }
    double took = seconds() - start;
    printf("SYN flood: %.0f ns for a SYN and its cookie, %u connections held, %u of %u chunks in use\n",
           took / (ROUNDS * 5) * 1e9, tcp_connections(w.tcp),
           chunk_pool_capacity(w.chunks) - chunk_pool_free(w.chunks), chunk_pool_capacity(w.chunks));
    destroy(&w);
}

int main(int argc, char **argv)
{
    uint32_t pairs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : PAIRS;
    struct crowd w;
    struct tcp_segment_in s;

    if (pairs == 0 || pairs > 1000000)
        die("between 1 and 1,000,000 pairs");
    size_t before = resident_bytes();
    create(&w, pairs * 2 + 1000, UINT32_MAX);
    double start = seconds();
    for (uint32_t i = 0; i < pairs; i++) {
        open_device(&w, i, &s);
        open_upstream(&w, i);
    }
    double took = seconds() - start;
    if (w.accepted != pairs || w.opened != pairs || tcp_connections(w.tcp) != 2 * pairs)
        die("not all are established");
    printf("%u pairs, %u connections established in one endpoint in %.2f s of processor time\n", pairs,
           tcp_connections(w.tcp), took);
    printf("each pair: %zu bytes of objects, %.0f bytes resident with tables and timers (goal 1,024); %u "
           "chunks in use\n",
           2 * tcp_connection_bytes(), (double)(resident_bytes() - before) / pairs,
           chunk_pool_capacity(w.chunks) - chunk_pool_free(w.chunks));
    idleness(&w, pairs);
    visits(&w, pairs);
    destroy(&w);
    create(&w, 1000, UINT32_MAX);
    visits(&w, 0);
    destroy(&w);
    flood();
    return EXIT_SUCCESS;
}
