/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/tcp_script.h"

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/state.h"
#include "tests/unit/tcp_invariants.h"
#include "tests/unit/tcp_script_segment.h"

#include <CUnit/CUnit.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define OUT_MAX 512u

struct sent_segment {
    uint32_t seq, ack, len;
    uint16_t window;
    uint8_t flags;
    struct tcp_options options;
    uint8_t options_len;
};

struct run {
    struct tcp_endpoint *tcp;
    struct chunk_pool *chunks;
    struct timer_wheel *timers;
    struct tcp_limits limits;
    uint32_t chunks_n;
    uint16_t mss;
    enum tcp_admission admission;
    uint64_t now_us;
    struct flow_key key;
    struct stream *stream;
    const char *inside; /* command to run inside the next data event */
    uint32_t our_iss, peer_iss, ts_base, take, take_upto;
    bool have_iss, have_ts, begun;
    uint32_t accepted, read;
    bool opened, ended, writable, closed, take_half;
    enum stream_end why;
    struct sent_segment out[OUT_MAX];
    uint32_t out_n, out_at;
    char error[300];
};

static bool fail(struct run *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (r->error[0] == 0)
        vsnprintf(r->error, sizeof(r->error), format, args);
    va_end(args);
    return false;
}

static uint8_t byte_at(uint32_t i)
{
    return (uint8_t)((i + 1) * 2654435761u >> 24);
}

static bool command(struct run *r, char *line);

/* ---- host and user ---- */

static void emit(void *host, const struct tcp_segment_out *out)
{
    struct run *r = host;
    struct sent_segment *s = &r->out[r->out_n < OUT_MAX ? r->out_n++ : OUT_MAX - 1];
    uint32_t total = 0;

    *s = (struct sent_segment){.seq = out->seq,
                               .ack = out->ack,
                               .len = out->payload_len,
                               .window = out->window,
                               .flags = out->flags,
                               .options_len = out->options_len};
    for (uint8_t i = 0; i < out->pieces_n; i++)
        total += out->pieces[i].len;
    if (total != out->payload_len)
        fail(r, "pieces do not add up");
    if (!tcp_options_parse(out->options, out->options_len, &s->options) || out->options_len % 4 != 0)
        fail(r, "malformed options sent");
    if ((out->flags & TCP_SYN) != 0) {
        r->our_iss = out->seq;
        r->have_iss = true;
    }
    if (s->options.has_timestamp && !r->have_ts) {
        r->ts_base = s->options.ts_value;
        r->have_ts = true;
    }
}

static enum tcp_admission admit(void *host, const struct flow_key *key, uint32_t path)
{
    const struct run *r = host;
    (void)key;
    (void)path;
    return r->admission;
}

static uint16_t mss(void *host, const struct flow_key *key, uint32_t path)
{
    const struct run *r = host;
    (void)key;
    (void)path;
    return r->mss;
}

static void on_opened(void *owner)
{
    ((struct run *)owner)->opened = true;
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct run *r = owner;
    size_t k = r->take_half ? (n + 1) / 2 : n < r->take ? n : r->take;

    if (r->take_upto != 0)
        k = n < r->take_upto - r->read ? n : r->take_upto - r->read;

    for (size_t i = 0; i < k; i++)
        if (p[i] != byte_at(r->read + (uint32_t)i)) {
            fail(r, "byte %u delivered is not the one sent first", r->read + (uint32_t)i);
            break;
        }
    r->read += (uint32_t)k;
    if (r->ended || r->closed)
        fail(r, "data after the end");
    if (r->inside != NULL) {
        char line[64];
        snprintf(line, sizeof(line), "%s", r->inside);
        r->inside = NULL;
        command(r, line);
    }
    return k;
}

static void on_writable(void *owner)
{
    ((struct run *)owner)->writable = true;
}

static void on_ended(void *owner)
{
    ((struct run *)owner)->ended = true;
}

static void on_closed(void *owner, enum stream_end why)
{
    struct run *r = owner;
    r->closed = true;
    r->why = why;
    r->stream = NULL;
}

static const struct stream_handler handler = {on_opened, on_data, on_writable, on_ended, on_closed};

static void accepted(void *host, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct run *r = host;
    (void)key;
    (void)path;
    r->accepted++;
    r->stream = stream;
    stream->handler = &handler;
    stream->owner = r;
}

static void init(struct run *r)
{
    memset(r, 0, sizeof(*r));
    tcp_limits_default(&r->limits, 8);
    r->limits.keepalive_idle_us = 0;
    r->limits.receive_buffer_bytes = 65535;
    r->limits.receive_buffer_max_bytes = 0;
    r->limits.send_buffer_max_bytes = 0;
    r->chunks_n = 256;
    r->mss = 1460;
    r->take = UINT32_MAX;
    r->admission = TCP_ADMIT_YES;
    r->now_us = 100000000;
    r->peer_iss = 0xfffffc00; /* the numbers of every longer script wrap around */
    r->key = (struct flow_key){.local = ip_address_v4(0x0a000001),
                               .remote = ip_address_v4(0x0a000002),
                               .local_port = 1883,
                               .remote_port = 40000,
                               .protocol = 6};
}

static void begin(struct run *r)
{
    static const struct tcp_host host = {emit, admit, accepted, mss};
    static const uint8_t secret[32] = "scripts know this secret";
    if (r->begun)
        return;
    r->begun = true;
    r->chunks = chunk_pool_create(r->chunks_n);
    r->timers = timer_wheel_create(r->now_us);
    r->tcp = tcp_create(&r->limits, &host, r, r->chunks, r->timers, secret);
}

static void check(struct run *r)
{
    const char *complaint = tcp_invariants(r->tcp);
    if (complaint != NULL)
        fail(r, "%s", complaint);
}

/* ---- statements ---- */

static bool pass_time(struct run *r, double s)
{
    uint64_t end = r->now_us + (uint64_t)(s * 1e6 + 0.5);
    while (timer_wheel_next_us(r->timers) <= end) {
        uint64_t next = timer_wheel_next_us(r->timers);
        r->now_us = next > r->now_us ? next : r->now_us;
        timer_wheel_advance(r->timers, r->now_us, UINT32_MAX);
        tcp_flush(r->tcp, r->now_us);
    }
    r->now_us = end;
    tcp_flush(r->tcp, r->now_us);
    check(r);
    return true;
}

static uint8_t build_options(const struct run *r, const struct tcp_script_segment *t, uint8_t *p)
{
    uint8_t n = 0;
    if (t->has_mss)
        n = (uint8_t)(n + tcp_options_put_mss(p + n, (uint16_t)t->mss));
    if (t->has_sack_ok)
        n = (uint8_t)(n + tcp_options_put_sack_permitted(p + n));
    if (t->has_ts)
        n = (uint8_t)(n + tcp_options_put_timestamp(p + n, t->ts_value, r->ts_base + t->ts_echo));
    if (t->has_scale)
        n = (uint8_t)(n + tcp_options_put_scale(p + n, (uint8_t)t->scale));
    if (t->sack_n > 0) {
        struct tcp_sack_block blocks[TCP_SACK_BLOCKS];
        for (unsigned int i = 0; i < t->sack_n; i++)
            blocks[i] = (struct tcp_sack_block){t->sack[i].start + r->our_iss, t->sack[i].end + r->our_iss};
        n = (uint8_t)(n + tcp_options_put_sack(p + n, blocks, t->sack_n));
    }
    return n;
}

static bool arrive(struct run *r, char *text, bool flush)
{
    static uint8_t payload[70000];
    uint8_t options[64];
    struct tcp_script_segment t;

    if (!tcp_script_segment_parse(text, &t))
        return fail(r, "not a segment");
    uint32_t len = t.to - t.from;
    if (len > sizeof(payload))
        return fail(r, "segment too long for the script");
    struct tcp_segment_in s = {.key = r->key,
                               .hash = tcp_hash(r->tcp, &r->key),
                               .seq = r->peer_iss + t.from,
                               .ack = r->our_iss + t.ack,
                               .window = t.has_window ? (uint16_t)t.window : 65535,
                               .flags = t.flags,
                               .options = options,
                               .payload = payload,
                               .payload_len = len};
    if (!t.has_ack)
        s.ack = 0;
    s.options_len = build_options(r, &t, options);
    for (uint32_t i = 0; i < len; i++)
        payload[i] = (uint8_t)(byte_at(t.from - 1 + i + ((t.flags & TCP_SYN) != 0)) ^ (t.bad ? 0xff : 0));
    tcp_input(r->tcp, &s, r->now_us);
    if (flush) {
        tcp_flush(r->tcp, r->now_us);
        check(r);
    }
    return true;
}

static bool expect_options(struct run *r, const struct sent_segment *s, const struct tcp_script_segment *t)
{
    const struct tcp_options *o = &s->options;
    if (t->no_options && s->options_len != 0)
        return fail(r, "options sent where none were expected");
    if (t->has_mss && o->mss != t->mss)
        return fail(r, "mss %u sent", o->mss);
    if (t->has_sack_ok && !o->sack_permitted)
        return fail(r, "sackOK not sent");
    if (t->has_scale && (!o->has_scale || o->scale != t->scale))
        return fail(r, "wscale %u sent", o->scale);
    if (t->has_ts && (!o->has_timestamp || o->ts_echo != t->ts_echo ||
                      (!t->any_ts && o->ts_value - r->ts_base != t->ts_value)))
        return fail(r, "ts %u %u sent", o->ts_value - r->ts_base, o->ts_echo);
    if (t->no_sack && o->sack_n != 0)
        return fail(r, "a SACK option sent");
    if (t->sack_n == 0)
        return true;
    if (o->sack_n != t->sack_n)
        return fail(r, "%u SACK blocks sent", o->sack_n);
    for (unsigned int i = 0; i < t->sack_n; i++)
        if (o->sack[i].start - r->peer_iss != t->sack[i].start ||
            o->sack[i].end - r->peer_iss != t->sack[i].end)
            return fail(r, "SACK block %u is %u:%u", i, o->sack[i].start - r->peer_iss,
                        o->sack[i].end - r->peer_iss);
    return true;
}

static bool expect(struct run *r, char *text)
{
    struct tcp_script_segment t;

    if (strncmp(text, "none", 4) == 0) {
        if (r->out_at == r->out_n)
            return true;
        const struct sent_segment *s = &r->out[r->out_at];
        return fail(r, "left: flags %02x %u:%u ack %u win %u", s->flags, s->seq - r->our_iss,
                    s->seq - r->our_iss + s->len, s->ack - r->peer_iss, s->window);
    }
    if (!tcp_script_segment_parse(text, &t))
        return fail(r, "not a segment");
    if (r->out_at == r->out_n)
        return fail(r, "nothing left");
    const struct sent_segment *s = &r->out[r->out_at++];
    uint32_t from = s->seq - r->our_iss;
    bool same = s->flags == t.flags && (!t.has_range || (from == t.from && from + s->len == t.to)) &&
                (!t.has_ack || s->ack - r->peer_iss == t.ack) && (!t.has_window || s->window == t.window);
    if (!same)
        return fail(r, "left: flags %02x %u:%u ack %u win %u", s->flags, from, from + s->len,
                    s->ack - r->peer_iss, s->window);
    return expect_options(r, s, &t);
}

static bool set_limit(struct run *r, const char *name, uint64_t n)
{
    struct tcp_limits *l = &r->limits;
    if (strcmp(name, "half_open") == 0)
        l->half_open = (uint32_t)n;
    else if (strcmp(name, "send") == 0)
        l->send_buffer_bytes = (uint32_t)n;
    else if (strcmp(name, "receive") == 0)
        l->receive_buffer_bytes = (uint32_t)n;
    else if (strcmp(name, "send_max") == 0)
        l->send_buffer_max_bytes = (uint32_t)n;
    else if (strcmp(name, "receive_max") == 0)
        l->receive_buffer_max_bytes = (uint32_t)n;
    else if (strcmp(name, "keepalive") == 0)
        l->keepalive_idle_us = n * 1000000;
    else if (strcmp(name, "orphan") == 0)
        l->orphan_us = n * 1000000;
    else if (strcmp(name, "time_wait") == 0)
        l->time_wait_us = n * 1000000;
    else if (strcmp(name, "data_retries") == 0)
        l->data_retries = (uint32_t)n;
    else if (strcmp(name, "syn_retries") == 0)
        l->syn_retries = (uint32_t)n;
    else if (strcmp(name, "syn_ack_retries") == 0)
        l->syn_ack_retries = (uint32_t)n;
    else if (strcmp(name, "resets") == 0)
        l->resets_per_s = (uint32_t)n;
    else if (strcmp(name, "challenges") == 0)
        l->challenges_per_s = (uint32_t)n;
    else if (strcmp(name, "chunks") == 0)
        r->chunks_n = (uint32_t)n;
    else if (strcmp(name, "mss") == 0)
        r->mss = (uint16_t)n;
    else
        return fail(r, "unknown limit");
    return true;
}

static bool is_end(struct run *r, const char *word)
{
    static const char *const names[] = {
        [STREAM_END_DONE] = "done",       [STREAM_END_RESET] = "reset",
        [STREAM_END_REFUSED] = "refused", [STREAM_END_UNREACHABLE] = "unreachable",
        [STREAM_END_TIMEOUT] = "timeout", [STREAM_END_ABORTED] = "aborted"};
    if (!r->closed)
        return fail(r, "not closed");
    if (r->why >= sizeof(names) / sizeof(names[0]) || names[r->why] == NULL ||
        strcmp(names[r->why], word) != 0)
        return fail(r, "closed for reason %d", (int)r->why);
    return true;
}

static bool is_state(struct run *r, const char *word)
{
    const struct tcp_connection *c = (const struct tcp_connection *)(const void *)r->stream;
    if (c == NULL)
        return fail(r, "no connection");
    if (strcmp(tcp_state_name(c->state), word) != 0)
        return fail(r, "state is %s", tcp_state_name(c->state));
    return true;
}

static bool is_number(struct run *r, const char *what, uint64_t is, uint64_t expected)
{
    return is == expected || fail(r, "%s is %llu", what, (unsigned long long)is);
}

static bool is_counter(struct run *r, const char *id, uint64_t expected)
{
    for (int i = 0; i < TCP_COUNTER_COUNT; i++)
        if (strcmp(tcp_counter_id((enum tcp_counter)i), id) == 0)
            return is_number(r, id, tcp_counter(r->tcp, (enum tcp_counter)i), expected);
    return fail(r, "unknown counter");
}

static bool is_true(struct run *r, bool is, const char *what)
{
    return is || fail(r, "not %s", what);
}

/* What the user does. */
static bool user(struct run *r, const char *verb, uint64_t n, bool *known)
{
    static uint8_t zeros[300000];
    struct stream *s = r->stream;

    *known = true;
    if (strcmp(verb, "connect") == 0) {
        r->stream = tcp_connect(r->tcp, &r->key, 0, &handler, r, r->now_us);
        return r->stream != NULL || fail(r, "tcp_connect refused");
    }
    if (strcmp(verb, "write") == 0)
        return n <= sizeof(zeros) && s != NULL
                   ? is_number(r, "taken", stream_write(s, zeros, n) + (stream_flush(s), 0), n)
                   : fail(r, "cannot write");
    if (strcmp(verb, "write-short") == 0)
        return s != NULL && stream_write(s, zeros, sizeof(zeros)) < sizeof(zeros) ? true
                                                                                  : fail(r, "all taken");
    if (strcmp(verb, "finish") == 0 && s != NULL)
        stream_finish(s);
    else if (strcmp(verb, "resume") == 0 && s != NULL)
        stream_resume(s);
    else if (strcmp(verb, "flush") == 0)
        tcp_flush(r->tcp, r->now_us);
    else if (strcmp(verb, "abort") == 0 && s != NULL) {
        r->stream = NULL;
        stream_abort(s);
    } else
        *known = false;
    return true;
}

static bool expectation(struct run *r, const char *verb, const char *arg, uint64_t n)
{
    const struct tcp_connection *c = (const struct tcp_connection *)(const void *)r->stream;

    if (strcmp(verb, "opened") == 0)
        return is_true(r, r->opened, "opened");
    if (strcmp(verb, "accepted") == 0)
        return is_number(r, "accepted", r->accepted, n);
    if (strcmp(verb, "ended") == 0)
        return is_true(r, r->ended, "ended");
    if (strcmp(verb, "not-ended") == 0)
        return is_true(r, !r->ended, "not-ended");
    if (strcmp(verb, "writable") == 0)
        return is_true(r, r->writable, "writable");
    if (strcmp(verb, "not-writable") == 0)
        return is_true(r, !r->writable, "not-writable");
    if (strcmp(verb, "open") == 0)
        return is_true(r, !r->closed && r->stream != NULL, "open");
    if (strcmp(verb, "closed") == 0)
        return is_end(r, arg);
    if (strcmp(verb, "read") == 0)
        return is_number(r, "read", r->read, n);
    if (strcmp(verb, "state") == 0)
        return is_state(r, arg);
    if (strcmp(verb, "no-connection") == 0)
        return is_true(r, !tcp_flow_exists(r->tcp, &r->key), "gone");
    if (c == NULL)
        return fail(r, "unknown statement, or no connection");
    if (strcmp(verb, "room") == 0)
        return is_number(r, "room", stream_room(r->stream), n);
    if (strcmp(verb, "mss") == 0)
        return is_number(r, "mss", c->snd_mss, n);
    if (strcmp(verb, "cwnd") == 0)
        return is_number(r, "cwnd", c->cwnd, n);
    if (strcmp(verb, "kept") == 0)
        return is_number(r, "kept", c->kept_bytes, n);
    return fail(r, "unknown statement");
}

static bool reader(struct run *r, const char *arg, uint64_t n)
{
    r->take_upto = 0;
    r->take_half = strcmp(arg, "half") == 0;
    r->take = strcmp(arg, "all") == 0 ? UINT32_MAX : (uint32_t)n;
    return true;
}

static bool command(struct run *r, char *line)
{
    char verb[32] = "", arg[32] = "", second[32] = "";
    bool known;

    sscanf(line, "%31s %31s %31s", verb, arg, second);
    uint64_t n = strtoull(arg, NULL, 10);
    if (strcmp(verb, "limit") == 0)
        return set_limit(r, arg, strtoull(second, NULL, 10));
    if (strcmp(verb, "ipv6") == 0)
        return ip_address_parse("fd20::1", &r->key.local) && ip_address_parse("fd20::2", &r->key.remote);
    begin(r);
    if (verb[0] == '+')
        return pass_time(r, strtod(verb + 1, NULL));
    if (strncmp(line, "<< ", 3) == 0)
        return arrive(r, line + 3, false);
    if (strncmp(line, "< ", 2) == 0)
        return arrive(r, line + 2, true);
    if (strncmp(line, "> ", 2) == 0) {
        tcp_flush(r->tcp, r->now_us);
        return expect(r, line + 2);
    }
    if (strcmp(verb, "admit") == 0) {
        r->admission = strcmp(arg, "yes") == 0     ? TCP_ADMIT_YES
                       : strcmp(arg, "reset") == 0 ? TCP_ADMIT_RESET
                                                   : TCP_ADMIT_DROP;
        return true;
    }
    if (strcmp(verb, "take") == 0)
        return reader(r, arg, n);
    if (strcmp(verb, "take-upto") == 0) {
        r->take_upto = (uint32_t)n;
        return true;
    }
    if (strcmp(verb, "inside") == 0) {
        static char kept[64];
        snprintf(kept, sizeof(kept), "%s", strstr(line, "inside") + 7);
        r->inside = kept;
        return true;
    }
    if (strcmp(verb, "unreachable") == 0) {
        tcp_unreachable(r->tcp, &r->key, r->our_iss + (uint32_t)n, (uint16_t)strtoul(second, NULL, 10),
                        r->now_us);
        return true;
    }
    if (strcmp(verb, "peer-iss") == 0) {
        r->peer_iss = (uint32_t)n;
        return true;
    }
    if (strcmp(verb, "counter") == 0)
        return is_counter(r, arg, strtoull(second, NULL, 10));
    bool good = user(r, verb, n, &known);
    return known ? good : expectation(r, verb, arg, n);
}

static bool run_one(const struct tcp_script *script)
{
    static struct run r;
    char text[8192];
    char *save = NULL;
    uint32_t number = 0;

    init(&r);
    snprintf(text, sizeof(text), "%s", script->text);
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char copy[256], *comment = strchr(line, '#');
        number++;
        if (comment != NULL)
            *comment = 0;
        line += strspn(line, " ");
        for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
            line[n - 1] = 0;
        if (*line == 0)
            continue;
        snprintf(copy, sizeof(copy), "%s", line);
        if (!command(&r, line) || r.error[0] != 0) {
            fprintf(stderr, "\n    %s\n      line %u: %s\n      %s\n", script->name, number, copy, r.error);
            break;
        }
    }
    if (r.error[0] == 0 && r.out_at != r.out_n) {
        expect(&r, (char[]){"none"});
        fprintf(stderr, "\n    %s\n      at the end: %s\n", script->name, r.error);
    }
    begin(&r);
    tcp_destroy(r.tcp);
    if (chunk_pool_free(r.chunks) != chunk_pool_capacity(r.chunks)) {
        fail(&r, "chunks are lost");
        fprintf(stderr, "\n    %s\n      chunks are lost\n", script->name);
    }
    chunk_pool_destroy(r.chunks);
    timer_wheel_destroy(r.timers);
    return r.error[0] == 0;
}

void tcp_script_run_all(const struct tcp_script *scripts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CU_ASSERT_TRUE(run_one(&scripts[i]));
}
