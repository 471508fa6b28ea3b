/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sequences of segments, time and user calls against a small TCP endpoint. The input is a list of operations;
 * numbers in segments are taken relative to what the endpoint last said, so that the fuzzer gets past the
 * handshake at once. After each operation the invariants of tests/unit/tcp_invariants.h must hold; what
 * readers get must be each byte once and in order; after everything was ended, nothing may be left over.
 */
#include "tests/unit/tcp_invariants.h"

#include <stdio.h>
#include <stdlib.h>

#define FLOWS 5u
#define CHUNKS 48u

struct user {
    struct stream *stream;
    struct fuzz *fuzz;
    uint32_t next; /* number of the next byte to be delivered */
    uint8_t mood;  /* how much it takes, what it does inside events */
    bool ended;
};

struct peer {
    struct flow_key key;
    uint32_t seq; /* the endpoint's last ack: what it expects */
    uint32_t ack; /* one past what it sent last */
    uint32_t ts;  /* its last timestamp */
    struct user user;
};

struct fuzz {
    struct tcp_endpoint *tcp;
    struct chunk_pool *chunks;
    struct timer_wheel *timers;
    uint64_t now_us;
    const uint8_t *p, *end;
    struct peer peer[FLOWS];
};

static void fail(const char *why)
{
    fprintf(stderr, "fuzz_tcp: %s\n", why);
    abort();
}

static uint8_t take8(struct fuzz *f)
{
    return f->p < f->end ? *f->p++ : 0;
}

static uint32_t take16(struct fuzz *f)
{
    uint32_t high = take8(f);
    return high << 8 | take8(f);
}

/* The peer's stream as a function of the sequence number. */
static uint8_t byte_at(uint32_t seq)
{
    return (uint8_t)((seq * 2654435761u) >> 24);
}

static struct peer *peer_of(struct fuzz *f, const struct flow_key *key)
{
    for (uint32_t i = 0; i < FLOWS; i++)
        if (memcmp(&f->peer[i].key, key, sizeof(*key)) == 0)
            return &f->peer[i];
    fail("a segment for nobody");
    return NULL;
}

static void emit(void *host, const struct tcp_segment_out *out)
{
    struct peer *p = peer_of(host, out->key);
    uint32_t total = 0;

    for (uint8_t i = 0; i < out->pieces_n; i++)
        total += out->pieces[i].len;
    if (total != out->payload_len || out->pieces_n > 3 || out->options_len > 40 || out->options_len % 4 != 0)
        fail("a segment that does not add up");
    if (out->payload_len > 1460)
        fail("a segment larger than the path");
    if ((out->flags & TCP_RST) != 0)
        return;
    p->seq = out->ack;
    p->ack = out->seq + out->payload_len + ((out->flags & (TCP_SYN | TCP_FIN)) != 0);
    if (out->options_len >= 12 && out->options[2] == 8)
        p->ts = (uint32_t)out->options[4] << 24 | (uint32_t)out->options[5] << 16 |
                (uint32_t)out->options[6] << 8 | out->options[7];
}

static void act(struct user *u)
{
    static const uint8_t text[700];
    struct stream *s = u->stream;
    if (s == NULL)
        return;
    switch (u->mood >> 4) {
    case 1:
        u->stream = NULL;
        stream_abort(s);
        break;
    case 2:
        stream_finish(s);
        break;
    case 3:
        stream_resume(s);
        break;
    case 4:
    case 5:
        stream_write(s, text, sizeof(text));
        stream_flush(s);
        break;
    case 6: { /* ends somebody else */
        struct user *other = &u->fuzz->peer[u->mood % FLOWS].user;
        struct stream *victim = other->stream;
        other->stream = NULL;
        if (victim != NULL)
            stream_abort(victim);
        break;
    }
    default:
        break;
    }
}

static void on_opened(void *owner)
{
    struct user *u = owner;
    u->next = ((struct tcp_connection *)(void *)u->stream)->rcv_nxt;
    act(u);
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct user *u = owner;
    size_t take = (u->mood & 3) == 0 ? n : (u->mood & 3) == 1 ? n / 2 : (u->mood & 3) == 2 ? 0 : 1;

    if (u->stream == NULL || u->ended || n == 0)
        fail("data for a stream that is over");
    take = take < n ? take : n;
    for (size_t i = 0; i < take; i++)
        if (p[i] != byte_at(u->next++))
            fail("a byte twice, lost or out of order");
    act(u);
    return take;
}

static void on_writable(void *owner)
{
    struct user *u = owner;
    if (u->stream == NULL)
        fail("writable for a stream that is over");
    act(u);
}

static void on_ended(void *owner)
{
    struct user *u = owner;
    if (u->stream == NULL || u->ended)
        fail("ended out of place");
    u->ended = true;
    act(u);
}

static void on_closed(void *owner, enum stream_end why)
{
    struct user *u = owner;
    if (u->stream == NULL || why == STREAM_END_UNKNOWN)
        fail("closed out of place");
    u->stream = NULL;
}

static const struct stream_handler handler = {on_opened, on_data, on_writable, on_ended, on_closed};

static enum tcp_admission admit(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)path;
    return key->local_port == 1883 ? TCP_ADMIT_YES : key->local_port == 80 ? TCP_ADMIT_RESET : TCP_ADMIT_DROP;
}

static void accepted(void *host, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct peer *p = peer_of(host, key);
    (void)path;
    if (p->user.stream != NULL)
        fail("accepted twice");
    p->user.stream = stream;
    p->user.ended = false;
    stream->handler = &handler;
    stream->owner = &p->user;
    on_opened(&p->user);
}

static uint16_t mss(void *host, const struct flow_key *key, uint32_t path)
{
    (void)host;
    (void)key;
    (void)path;
    return 1460;
}

static uint8_t options_of(struct fuzz *f, const struct peer *p, uint8_t choice, uint8_t *out)
{
    static const uint8_t syn[20] = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 2};
    uint8_t n = 0;

    switch (choice & 7) {
    case 1:
        memcpy(out, syn, 20);
        return 20;
    case 2:
        memcpy(out, syn, 6);
        return 8; /* MSS and SACK permitted, then what lies there: two zeros */
    case 3:
    case 4:
        out[n++] = 8;
        out[n++] = 10;
        for (int i = 0; i < 3; i++)
            out[n++] = 0;
        out[n++] = take8(f);
        for (int i = 24; i >= 0; i -= 8)
            out[n++] = (uint8_t)(p->ts >> i);
        if ((choice & 7) == 3)
            return n;
        /* fall through */
    case 5: /* a SACK block relative to what we sent */
        out[n++] = 5;
        out[n++] = 10;
        for (int k = 0; k < 2; k++) {
            uint32_t edge = p->ack - take16(f) % 3000;
            for (int i = 24; i >= 0; i -= 8)
                out[n++] = (uint8_t)(edge >> i);
        }
        return n;
    case 6:
        n = take8(f) % 41;
        for (uint8_t i = 0; i < n; i++)
            out[i] = take8(f);
        return n;
    default:
        return 0;
    }
}

static uint32_t near(struct fuzz *f, uint32_t base)
{
    uint8_t how = take8(f);
    switch (how & 7) {
    case 0:
    case 1:
    case 2:
        return base;
    case 3:
        return base + take16(f) % 4096;
    case 4:
        return base - take16(f) % 4096;
    case 5:
        return base + 1;
    case 6:
        return base - 1;
    default:
        return base + (take16(f) << 16) + take16(f);
    }
}

static void do_segment(struct fuzz *f, struct peer *p)
{
    uint8_t options[41] = {0}, payload[2000];
    struct tcp_segment_in s = {.key = p->key, .options = options, .payload = payload};

    s.hash = tcp_hash(f->tcp, &s.key);
    s.flags = take8(f);
    s.seq = near(f, p->seq);
    s.ack = near(f, p->ack);
    s.window = (uint16_t)take16(f);
    s.options_len = options_of(f, p, take8(f), options);
    uint8_t size = take8(f);
    s.payload_len = (size & 3) == 0 ? 0 : (size & 3) == 1 ? size : (uint32_t)size * 7;
    for (uint32_t i = 0; i < s.payload_len; i++)
        payload[i] = byte_at(s.seq + ((s.flags & TCP_SYN) != 0) + i);
    tcp_input(f->tcp, &s, f->now_us);
}

static void do_user(struct fuzz *f, struct peer *p, uint8_t what)
{
    static const uint8_t text[1500];
    struct stream *s = p->user.stream;

    p->user.mood = take8(f);
    if (s == NULL)
        return;
    switch (what) {
    case 0:
        stream_write(s, text, take16(f) % sizeof(text));
        break;
    case 1:
        stream_resume(s);
        break;
    case 2:
        stream_finish(s);
        break;
    case 3:
        p->user.stream = NULL;
        stream_abort(s);
        break;
    default:
        break;
    }
}

static void do_connect(struct fuzz *f, struct peer *p)
{
    if (p->user.stream != NULL)
        return;
    p->user.stream = tcp_connect(f->tcp, &p->key, 0, &handler, &p->user, f->now_us);
    p->user.ended = false;
}

static void step(struct fuzz *f)
{
    uint8_t op = take8(f);
    struct peer *p = &f->peer[(op >> 4) % FLOWS];

    switch (op & 15) {
    case 0:
        f->now_us += take16(f);
        break;
    case 1:
        f->now_us += (uint64_t)take16(f) * 1000;
        break;
    case 2:
        f->now_us += (uint64_t)take8(f) * 1000000;
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        do_user(f, p, (op & 15) - 3);
        break;
    case 7:
        do_connect(f, p);
        break;
    case 8:
        tcp_unreachable(f->tcp, &p->key, near(f, p->ack - 1), (uint16_t)take16(f), f->now_us);
        break;
    case 9:
        tcp_flush(f->tcp, f->now_us);
        break;
    default:
        do_segment(f, p);
        break;
    }
    if ((op & 8) == 0 || (op & 1) != 0) {
        timer_wheel_advance(f->timers, f->now_us, 1000);
        tcp_flush(f->tcp, f->now_us);
    }
}

/* Readers take everything, users finish or leave, time passes: nothing may remain. */
static void wind_up(struct fuzz *f)
{
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct user *u = &f->peer[i].user;
        u->mood = 0;
        if (u->stream != NULL)
            stream_resume(u->stream);
        if (u->stream != NULL && i % 2 == 0)
            stream_finish(u->stream);
        else if (u->stream != NULL) {
            struct stream *s = u->stream;
            u->stream = NULL;
            stream_abort(s);
        }
    }
    for (uint32_t second = 0; second < 4000; second += 2) {
        f->now_us += 2000000;
        timer_wheel_advance(f->timers, f->now_us, 1000);
        tcp_flush(f->tcp, f->now_us);
    }
    if (tcp_connections(f->tcp) != 0)
        fail("a connection never ends");
    if (chunk_pool_free(f->chunks) != CHUNKS)
        fail("chunks are lost at the end");
    if (flow_table_used(f->tcp->table) != 0)
        fail("a flow is left over");
    if (timer_wheel_next_us(f->timers) != UINT64_MAX)
        fail("a timer is left over");
}

static void setup(struct fuzz *f)
{
    static const struct tcp_host host = {emit, admit, accepted, mss};
    static const uint8_t secret[32] = "a secret that only fuzzers know";
    struct tcp_limits limits;

    tcp_limits_default(&limits, 4);
    limits.half_open = 2;
    limits.send_buffer_bytes = 20000;
    limits.receive_buffer_bytes = 1u << (12 + take8(f) % 6);
    limits.send_buffer_max_bytes = 60000;
    limits.receive_buffer_max_bytes = 65536;
    limits.data_retries = 6;
    f->now_us = 1000000 + take16(f) * UINT64_C(4294967);
    f->timers = timer_wheel_create(f->now_us);
    f->chunks = chunk_pool_create(CHUNKS);
    f->tcp = tcp_create(&limits, &host, f, f->chunks, f->timers, secret);
    if (f->timers == NULL || f->chunks == NULL || f->tcp == NULL)
        abort();
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct peer *p = &f->peer[i];
        p->key = (struct flow_key){.local = ip_address_v4(1),
                                   .remote = ip_address_v4(100 + i),
                                   .local_port = i < 4 ? 1883 : 80,
                                   .remote_port = (uint16_t)(2000 + i),
                                   .protocol = 6};
        p->user.fuzz = f;
        p->seq = i * 0x3fffffffu;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz f;

    memset(&f, 0, sizeof(f));
    f.p = data;
    f.end = data + size;
    setup(&f);
    while (f.p < f.end) {
        step(&f);
        const char *complaint = tcp_invariants(f.tcp);
        if (complaint != NULL)
            fail(complaint);
    }
    wind_up(&f);
    tcp_destroy(f.tcp);
    chunk_pool_destroy(f.chunks);
    timer_wheel_destroy(f.timers);
    return 0;
}
