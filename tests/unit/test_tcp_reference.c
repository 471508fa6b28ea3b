/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real endpoint sends to a reference receiver: a byte map and the rules of RFC 9293 written down as
 * plainly as possible, with small, closed, reopening and shrinking windows, delayed and lost
 * acknowledgements, SACK that is sometimes taken back. All from one seed, on a fake clock: test_tcp_reference
 * SEED repeats one.
 */
#include "dataplane/tcp/options.h"
#include "tests/unit/runner.h"
#include "tests/unit/tcp_invariants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIRE 512u
#define BYTES_MAX 60000u
#define TIME_LIMIT_US UINT64_C(36000000000)
#define SENDER_MSS 1460u

struct settings {
    uint32_t bytes;
    uint32_t buffer;              /* of the receiver: its largest window */
    uint32_t read_bytes, read_us; /* it reads at most so much so often */
    uint16_t mss;
    uint8_t scale;
    bool sack, timestamps, delays, shrinks, forgets;
    uint32_t loss_permille, dup_permille, jitter_us, delay_us;
};

struct wire_segment {
    bool used, to_receiver;
    uint64_t at_us;
    uint32_t seq, ack, len;
    uint16_t window;
    uint8_t flags, options_len;
    uint8_t options[TCP_OPTIONS_MAX];
    uint8_t payload[SENDER_MSS];
};

struct receiver {
    bool synchronized, fin, closed;
    uint32_t irs, iss;           /* the sender's and its own first number */
    uint32_t next, read, fin_at; /* in bytes of the stream */
    uint32_t edge, edge_most;
    uint32_t unacked; /* segments since the last acknowledgement */
    uint64_t ack_due_us, read_due_us;
    uint32_t ts_recent, block_start; /* of the block that is told first */
    bool has_block, fin_acked;
    uint8_t have[BYTES_MAX];
};

struct lab {
    struct settings set;
    uint64_t seed, now_us;
    struct tcp_endpoint *tcp;
    struct chunk_pool *chunks;
    struct timer_wheel *timers;
    struct stream *stream;
    struct flow_key key;
    uint32_t written;
    bool opened, finished, ended, closed;
    enum stream_end why;
    const char *complaint;
    struct receiver peer;
    struct wire_segment wire[WIRE];
};

static struct lab lab;

static uint32_t draw(uint32_t below)
{
    lab.seed = lab.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return below == 0 ? 0 : (uint32_t)(lab.seed >> 33) % below;
}

static void complain(const char *what)
{
    if (lab.complaint == NULL)
        lab.complaint = what;
}

static uint8_t byte_at(uint32_t i)
{
    return (uint8_t)((i + 1) * 2654435761u >> 24);
}

/* ---- the wire -------------------------------------------------------------------------------------------
 */

static void post_once(const struct wire_segment *segment)
{
    for (uint32_t i = 0; i < WIRE; i++)
        if (!lab.wire[i].used) {
            lab.wire[i] = *segment;
            lab.wire[i].used = true;
            lab.wire[i].at_us = lab.now_us + lab.set.delay_us + draw(lab.set.jitter_us + 1);
            return;
        }
}

static void post(const struct wire_segment *segment)
{
    if (draw(1000) < lab.set.loss_permille)
        return;
    post_once(segment);
    if (draw(1000) < lab.set.dup_permille)
        post_once(segment);
}

/* ---- the reference receiver ------------------------------------------------------------------------------
 */

static uint8_t put_sack(uint8_t *p)
{
    struct receiver *r = &lab.peer;
    struct tcp_sack_block blocks[3];
    unsigned int n = 0;
    for (uint32_t i = r->next; i < lab.set.bytes && n < 3; i++) {
        if (!r->have[i])
            continue;
        blocks[n].start = r->irs + 1 + i;
        while (i < lab.set.bytes && r->have[i])
            i++;
        blocks[n++].end = r->irs + 1 + i;
    }
    return n == 0 ? 0 : tcp_options_put_sack(p, blocks, n);
}

static void acknowledge(uint8_t flags)
{
    struct receiver *r = &lab.peer;
    bool syn = (flags & TCP_SYN) != 0;
    struct wire_segment s = {.seq = syn ? r->iss : r->iss + 1 + (r->closed && (flags & TCP_FIN) == 0),
                             .ack = r->irs + 1 + r->next + (r->fin && r->next == r->fin_at),
                             .flags = flags | TCP_ACK};
    uint32_t held = r->next - r->read, room = lab.set.buffer > held ? lab.set.buffer - held : 0;
    uint32_t edge = r->next + room;
    if (lab.set.shrinks && draw(20) == 0)
        edge = r->next + draw(room + 1); /* RFC 9293 s.3.8.6: it should not, but it may */
    else if ((int32_t)(edge - r->edge) < 0)
        edge = r->edge;
    uint32_t scale = syn ? 0 : lab.set.scale, window = (edge - r->next) >> scale;
    s.window = (uint16_t)(window < UINT16_MAX ? window : UINT16_MAX);
    edge = r->next + ((uint32_t)s.window << scale);
    r->edge = edge;
    r->edge_most = (int32_t)(edge - r->edge_most) > 0 ? edge : r->edge_most;
    uint8_t *p = s.options, n = 0;
    if (syn)
        n = (uint8_t)(n + tcp_options_put_mss(p + n, lab.set.mss));
    if (syn && lab.set.scale != 0)
        n = (uint8_t)(n + tcp_options_put_scale(p + n, lab.set.scale));
    if (lab.set.timestamps)
        n = (uint8_t)(n + tcp_options_put_timestamp(p + n, (uint32_t)(lab.now_us / 1000), r->ts_recent));
    if (lab.set.sack)
        n = (uint8_t)(n + (syn ? tcp_options_put_sack_permitted(p + n) : put_sack(p + n)));
    s.options_len = n;
    r->unacked = 0;
    r->ack_due_us = 0;
    post(&s);
}

/* The one segment a closed window may get. */
static void check_edge(const struct wire_segment *s, uint32_t first)
{
    if (s->len > 0 && (int32_t)(first + s->len - lab.peer.edge_most) > 0 && s->len != 1)
        complain("more was sent than any window allowed");
    if (s->len > lab.set.mss || s->len + s->options_len > lab.set.mss + 0u)
        complain("a segment larger than the peer's MSS");
}

static void take_bytes(const struct wire_segment *s, uint32_t first)
{
    struct receiver *r = &lab.peer;
    for (uint32_t i = 0; i < s->len; i++) {
        uint32_t at = first + i;
        if (at >= lab.set.bytes || s->payload[i] != byte_at(at)) {
            complain("a byte that was never written, or another");
            return;
        }
        if ((int32_t)(at - r->edge) < 0)
            r->have[at] = 1;
    }
    while (r->next < lab.set.bytes && r->have[r->next])
        r->next++;
}

static void receive(const struct wire_segment *s)
{
    struct receiver *r = &lab.peer;
    struct tcp_options o;
    if ((s->flags & TCP_RST) != 0) {
        complain("the sender gave up");
        return;
    }
    if (!tcp_options_parse(s->options, s->options_len, &o)) {
        complain("options that cannot be read");
        return;
    }
    if ((s->flags & TCP_SYN) != 0) {
        r->irs = s->seq;
        r->synchronized = true;
        r->ts_recent = o.ts_value;
        acknowledge(TCP_SYN);
        return;
    }
    if (lab.set.timestamps && !o.has_timestamp)
        complain("a segment without timestamp (RFC 7323 s.3.2)");
    uint32_t first = s->seq - r->irs - 1, before = r->next;
    check_edge(s, s->len > 0 ? first : r->next);
    if (lab.set.timestamps && (int32_t)(first - r->next) <= 0 && !seq_lt(o.ts_value, r->ts_recent))
        r->ts_recent = o.ts_value;
    take_bytes(s, first);
    if ((s->flags & TCP_FIN) != 0) {
        r->fin = true;
        r->fin_at = first + s->len;
        if (r->fin_at != lab.set.bytes)
            complain("FIN at another place than the end");
    }
    if (r->closed && s->ack == r->iss + 2)
        r->fin_acked = true;
    bool whole = r->fin && r->next == r->fin_at;
    if (whole && !r->closed) {
        r->closed = true;
        acknowledge(TCP_FIN);
    } else if (s->len > 0 || (s->flags & TCP_FIN) != 0 || first + 1 == r->next) {
        bool in_order = s->len > 0 && first == before && r->next == first + s->len;
        if (lab.set.delays && in_order && ++r->unacked < 2)
            r->ack_due_us = lab.now_us + 100000;
        else
            acknowledge(r->closed && !r->fin_acked ? TCP_FIN : 0);
    }
}

static void read_some(void)
{
    struct receiver *r = &lab.peer;
    uint32_t held = r->next - r->read, before = lab.set.buffer - held;
    r->read_due_us = lab.now_us + 1 + draw(lab.set.read_us);
    r->read += held < lab.set.read_bytes ? held : lab.set.read_bytes;
    uint32_t after = lab.set.buffer - (r->next - r->read);
    bool worth = after - before > 0 && (before == 0 || after >= 2u * lab.set.mss);
    if (r->synchronized && worth && (int32_t)(r->next + after - r->edge) > 0)
        acknowledge(r->closed && !r->fin_acked ? TCP_FIN : 0); /* a window update, which may get lost */
    if (lab.set.forgets && draw(4) == 0) /* RFC 2018 s.8: what was not acknowledged may be dropped */
        memset(r->have + r->next, 0, sizeof(r->have) - r->next);
}

/* ---- the sender: the endpoint under test -----------------------------------------------------------------
 */

static void emit(void *host, const struct tcp_segment_out *out)
{
    struct wire_segment s = {.to_receiver = true,
                             .seq = out->seq,
                             .ack = out->ack,
                             .len = out->payload_len,
                             .window = out->window,
                             .flags = out->flags,
                             .options_len = out->options_len};
    uint32_t at = 0;
    (void)host;
    if (out->payload_len > SENDER_MSS) {
        complain("a segment larger than the path");
        return;
    }
    memcpy(s.options, out->options, out->options_len);
    for (uint8_t i = 0; i < out->pieces_n; i++) {
        memcpy(s.payload + at, out->pieces[i].at, out->pieces[i].len);
        at += out->pieces[i].len;
    }
    post(&s);
}

static enum tcp_admission admit(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)key;
    (void)path;
    return TCP_ADMIT_DROP;
}

static void accepted(void *host, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    (void)host;
    (void)key;
    (void)path;
    (void)stream;
    complain("accepted what nobody opened");
}

static uint16_t mss(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)key;
    (void)path;
    return SENDER_MSS;
}

static void user_write(void)
{
    uint8_t buffer[1000];
    while (lab.opened && !lab.closed && lab.written < lab.set.bytes) {
        uint32_t n = lab.set.bytes - lab.written;
        n = 1 + draw(n < sizeof(buffer) ? n : (uint32_t)sizeof(buffer));
        n = n < lab.set.bytes - lab.written ? n : lab.set.bytes - lab.written;
        for (uint32_t i = 0; i < n; i++)
            buffer[i] = byte_at(lab.written + i);
        size_t k = stream_write(lab.stream, buffer, n);
        lab.written += (uint32_t)k;
        if (k < n)
            return;
    }
    if (lab.opened && !lab.closed && !lab.finished) {
        lab.finished = true;
        stream_finish(lab.stream);
    }
}

static void on_opened(void *owner)
{
    (void)owner;
    lab.opened = true;
    user_write();
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    (void)owner;
    (void)p;
    complain("data from a peer that sends none");
    return n;
}

static void on_writable(void *owner)
{
    (void)owner;
    user_write();
}

static void on_ended(void *owner)
{
    (void)owner;
    lab.ended = true;
}

static void on_closed(void *owner, enum stream_end why)
{
    (void)owner;
    lab.closed = true;
    lab.why = why;
}

static const struct stream_handler handler = {on_opened, on_data, on_writable, on_ended, on_closed};

/* ---- running ---------------------------------------------------------------------------------------------
 */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return b != 0 && b < a ? b : a;
}

static uint64_t next_event(void)
{
    uint64_t next = timer_wheel_next_us(lab.timers);
    for (uint32_t i = 0; i < WIRE; i++)
        if (lab.wire[i].used)
            next = sooner(next, lab.wire[i].at_us);
    next = sooner(next, lab.peer.ack_due_us);
    if (lab.peer.read < lab.peer.next)
        next = sooner(next, lab.peer.read_due_us);
    return next;
}

static void to_endpoint(const struct wire_segment *s)
{
    struct tcp_segment_in in = {.key = lab.key,
                                .hash = tcp_hash(lab.tcp, &lab.key),
                                .seq = s->seq,
                                .ack = s->ack,
                                .window = s->window,
                                .flags = s->flags,
                                .options_len = s->options_len,
                                .options = s->options};
    tcp_input(lab.tcp, &in, lab.now_us);
}

static void step(void)
{
    for (uint32_t i = 0; i < WIRE; i++) {
        if (!lab.wire[i].used || lab.wire[i].at_us > lab.now_us)
            continue;
        struct wire_segment s = lab.wire[i];
        lab.wire[i].used = false;
        if (s.to_receiver)
            receive(&s);
        else
            to_endpoint(&s);
    }
    if (lab.peer.ack_due_us != 0 && lab.peer.ack_due_us <= lab.now_us)
        acknowledge(lab.peer.closed && !lab.peer.fin_acked ? TCP_FIN : 0);
    if (lab.peer.read < lab.peer.next && lab.peer.read_due_us <= lab.now_us)
        read_some();
    timer_wheel_advance(lab.timers, lab.now_us, UINT32_MAX);
    tcp_flush(lab.tcp, lab.now_us);
    const char *complaint = tcp_invariants(lab.tcp);
    if (complaint != NULL)
        complain(complaint);
}

static void begin(const struct settings *set, uint64_t seed)
{
    static const struct tcp_host host = {emit, admit, accepted, mss};
    struct tcp_limits limits;
    uint8_t secret[32];

    memset(&lab, 0, sizeof(lab));
    lab.set = *set;
    lab.seed = seed;
    lab.now_us = 1000000 + draw(1000000000);
    lab.peer.iss = draw(UINT32_MAX);
    memset(secret, (int)seed, sizeof(secret));
    tcp_limits_default(&limits, 4);
    limits.send_buffer_bytes = 20000;
    limits.send_buffer_max_bytes = 60000;
    limits.data_retries = 60;
    limits.syn_retries = 20;
    limits.orphan_us = TIME_LIMIT_US;
    lab.timers = timer_wheel_create(lab.now_us);
    lab.chunks = chunk_pool_create(256);
    if (lab.timers == NULL || lab.chunks == NULL)
        abort();
    lab.tcp = tcp_create(&limits, &host, NULL, lab.chunks, lab.timers, secret);
    if (lab.tcp == NULL)
        abort();
    lab.key = (struct flow_key){.local = ip_address_v4(1),
                                .remote = ip_address_v4(2),
                                .local_port = 1000,
                                .remote_port = 1883,
                                .protocol = 6};
    lab.stream = tcp_connect(lab.tcp, &lab.key, 0, &handler, NULL, lab.now_us);
    tcp_flush(lab.tcp, lab.now_us);
}

/* True when all arrived and both sides are done; time passes until nothing is left. */
static bool run(const struct settings *set, uint64_t seed)
{
    begin(set, seed);
    uint64_t start = lab.now_us;
    while (lab.complaint == NULL && lab.now_us - start < TIME_LIMIT_US) {
        uint64_t next = next_event();
        if (next == UINT64_MAX)
            break;
        lab.now_us = next > lab.now_us ? next : lab.now_us;
        step();
    }
    if (lab.complaint == NULL && (lab.peer.next != set->bytes || !lab.peer.closed))
        complain("not all of it arrived");
    if (lab.complaint == NULL && (!lab.closed || lab.why != STREAM_END_DONE))
        complain("the sender did not end well");
    if (lab.complaint == NULL &&
        (tcp_connections(lab.tcp) != 0 || chunk_pool_free(lab.chunks) != chunk_pool_capacity(lab.chunks)))
        complain("something is left over");
    if (lab.complaint != NULL)
        fprintf(stderr, "\n    seed %llu: %s after %.3f s; %u of %u bytes\n", (unsigned long long)seed,
                lab.complaint, (double)(lab.now_us - start) / 1e6, lab.peer.next, set->bytes);
    tcp_destroy(lab.tcp);
    chunk_pool_destroy(lab.chunks);
    timer_wheel_destroy(lab.timers);
    return lab.complaint == NULL;
}

/* Settings drawn from the seed: half of them with windows of a few bytes to a few segments. */
static struct settings drawn(uint64_t seed)
{
    static const uint16_t sizes[] = {64, 100, 536, 1000, 1460};
    struct settings s = {0};
    lab.seed = seed * 77 + 5;
    s.bytes = 1 + draw(BYTES_MAX);
    s.mss = sizes[draw(5)];
    s.buffer = draw(2) == 0 ? 1 + draw(3u * s.mss) : s.mss + draw(65000);
    s.read_bytes = draw(2) == 0 ? UINT32_MAX : 1 + draw(s.buffer);
    s.read_us = draw(2) == 0 ? 1 : draw(300000);
    s.scale = draw(3) == 0 ? (uint8_t)draw(3) : 0;
    s.sack = draw(3) != 0;
    s.timestamps = draw(3) != 0;
    s.delays = draw(2) == 0;
    s.shrinks = draw(4) == 0;
    s.forgets = draw(3) == 0;
    s.loss_permille = draw(3) == 0 ? 0 : draw(150);
    s.dup_permille = draw(2) == 0 ? 0 : draw(100);
    s.delay_us = draw(50000);
    s.jitter_us = draw(2) == 0 ? 0 : draw(60000);
    if (s.buffer < 1u << s.scale) /* it could never offer anything */
        s.scale = 0;
    if (s.buffer < 200 || s.read_bytes < 200 || s.mss < 200) /* many segments: fewer bytes */
        s.bytes = 1 + s.bytes % 3000;
    if (s.buffer < 20 || s.read_bytes < 20)
        s.bytes = 1 + s.bytes % 200;
    return s;
}

static bool run_one(uint64_t seed)
{
    struct settings s = drawn(seed);
    return run(&s, seed);
}

static void thousands_of_transfers(void)
{
    uint32_t bad = 0;
    for (uint64_t seed = 1; seed <= 2000 && bad < 5; seed++)
        bad += !run_one(seed);
    CU_ASSERT_EQUAL(bad, 0);
}

/* RFC 9293 s.3.8.6.1: a receiver with one byte of room that reads it once a second. */
static void a_window_of_one_byte(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct settings s = {
            .bytes = 100, .buffer = 1, .read_bytes = 1, .read_us = 1000000, .mss = 1460, .delay_us = 10000};
        s.loss_permille = seed > 10 ? 50 : 0;
        CU_ASSERT_TRUE(run(&s, seed));
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"RFC 9293 s.3.8.6.1: a window of one byte", a_window_of_one_byte},
        {"thousands of transfers to a reference receiver", thousands_of_transfers},
    };
    if (argc == 2)
        return run_one(strtoull(argv[1], NULL, 10)) ? EXIT_SUCCESS : EXIT_FAILURE;
    return unit_run("tcp_reference", tests, sizeof(tests) / sizeof(tests[0]));
}
