/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/tcp_sim.h"

#include "tests/unit/tcp_invariants.h"

#include <stdlib.h>
#include <string.h>

#define PACKETS 8192
#define PAYLOAD_MAX 4200
#define TIME_LIMIT_US UINT64_C(7200000000)

struct packet {
    uint64_t at_us;
    uint64_t order;
    struct tcp_segment_in s;
    uint8_t options[TCP_OPTIONS_MAX];
    uint8_t payload[PAYLOAD_MAX];
};

static struct packet pool[PACKETS];

struct sim;

/* What a receiver must have, kept apart from the code under test: which numbers have arrived. */
struct model {
    uint8_t *have; /* by byte of the peer's stream */
    uint32_t next; /* all below it have arrived */
    bool fin;
};

struct side {
    struct sim *sim;
    uint32_t n; /* 0 or 1 */
    struct tcp_endpoint *tcp;
    struct timer_wheel *timers;
    struct chunk_pool *chunks;
    struct stream *stream;
    struct flow_key key;
    uint32_t to_send;
    uint32_t written;
    uint32_t read;
    bool finished, ended, closed, opened, paused, wants_room;
    uint64_t resume_us;
    enum stream_end why;
    struct model model;
    /* the wire, as this side speaks */
    uint32_t iss, edge, ack;
    bool spoke, edge_known;
    uint8_t scale;
    uint64_t line_free_us;
};

struct sim {
    const struct sim_settings *set;
    struct side side[2];
    uint64_t now_us;
    uint64_t seed;
    uint64_t order;
    struct packet *pool;
    struct packet *heap[PACKETS];
    struct packet *spare[PACKETS];
    uint32_t heap_n, spare_n;
    uint64_t segments;
    const char *complaint;
};

static uint32_t random_of(struct sim *m, uint32_t below)
{
    m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return below == 0 ? 0 : (uint32_t)(m->seed >> 33) % below;
}

static void complain(struct sim *m, const char *what)
{
    if (m->complaint == NULL)
        m->complaint = what;
}

static uint8_t byte_at(uint32_t direction, uint32_t i)
{
    uint32_t x = (i + 1) * 2654435761u ^ direction * 0x9e3779b9u;
    return (uint8_t)(x >> 24 ^ x >> 13);
}

/* ---- the network: a heap by arrival time ---- */

static bool earlier(const struct packet *a, const struct packet *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_push(struct sim *m, struct packet *p)
{
    uint32_t i = m->heap_n++;
    while (i > 0 && earlier(p, m->heap[(i - 1) / 2])) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = p;
}

static struct packet *heap_pop(struct sim *m)
{
    struct packet *top = m->heap[0], *last = m->heap[--m->heap_n];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= m->heap_n)
            break;
        if (child + 1 < m->heap_n && earlier(m->heap[child + 1], m->heap[child]))
            child++;
        if (!earlier(m->heap[child], last))
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = last;
    return top;
}

/* Overwrites an option with NOPs, as middleboxes do. */
static void strip(uint8_t *options, size_t n, uint8_t kind)
{
    for (size_t i = 0; i < n;) {
        if (options[i] <= 1) {
            i++;
            continue;
        }
        size_t length = options[i + 1];
        if (options[i] == kind)
            memset(options + i, 1, length);
        i += length;
    }
}

static void post(struct side *from, const struct tcp_segment_out *out, uint64_t at_us)
{
    struct sim *m = from->sim;
    struct side *to = &m->side[1 - from->n];
    if (m->spare_n == 0)
        return; /* the network is full: a loss */
    struct packet *p = m->spare[--m->spare_n];
    p->at_us = at_us;
    p->order = m->order++;
    p->s = (struct tcp_segment_in){.key = to->key,
                                   .seq = out->seq,
                                   .ack = out->ack,
                                   .window = out->window,
                                   .flags = out->flags,
                                   .options_len = out->options_len,
                                   .options = p->options,
                                   .payload = p->payload,
                                   .payload_len = out->payload_len};
    memcpy(p->options, out->options, out->options_len);
    uint32_t at = 0;
    for (uint8_t i = 0; i < out->pieces_n; i++) {
        memcpy(p->payload + at, out->pieces[i].at, out->pieces[i].len);
        at += out->pieces[i].len;
    }
    if ((out->flags & TCP_SYN) != 0) {
        if (m->set->strip_sack)
            strip(p->options, p->s.options_len, 4);
        if (m->set->strip_timestamps)
            strip(p->options, p->s.options_len, 8);
        if (m->set->strip_scaling)
            strip(p->options, p->s.options_len, 3);
    }
    heap_push(m, p);
}

/* Everything that must hold of any segment a side sends. */
static void check_segment(struct side *from, const struct tcp_segment_out *out)
{
    struct sim *m = from->sim;
    const struct side *peer = &m->side[1 - from->n];
    uint32_t total = 0;

    for (uint8_t i = 0; i < out->pieces_n; i++)
        total += out->pieces[i].len;
    if (total != out->payload_len || out->pieces_n > 3)
        complain(m, "pieces do not add up to the payload");
    if (out->options_len % 4 != 0 || out->options_len > TCP_OPTIONS_MAX)
        complain(m, "options not padded or too long");
    if ((out->flags & TCP_RST) != 0)
        return;
    if ((out->flags & TCP_SYN) != 0) {
        if (from->spoke && out->seq != from->iss && !m->set->cookies) /* they change each minute */
            complain(m, "SYN repeated with another number");
        if (!m->set->cookies || from->n == 0 || !m->side[0].edge_known)
            from->iss = out->seq;
        from->spoke = true;
        if (out->payload_len != 0)
            complain(m, "SYN with payload");
        return;
    }
    uint32_t limit =
        m->set->mss[peer->n] < m->set->mss[from->n] ? m->set->mss[peer->n] : m->set->mss[from->n];
    if (limit < 64)
        limit = 64;
    if (out->payload_len > 0 && out->payload_len + out->options_len > limit)
        complain(m, "segment larger than the path");
    uint32_t first = out->seq - from->iss - 1;
    uint32_t at = 0;
    for (uint8_t i = 0; i < out->pieces_n; i++)
        for (uint32_t k = 0; k < out->pieces[i].len; k++, at++)
            if (out->pieces[i].at[k] != byte_at(from->n, first + at)) {
                complain(m, "a byte changed on its way into the segment");
                return;
            }
    if (out->payload_len > 0 && first + out->payload_len > from->written)
        complain(m, "more sent than written");
    if ((out->flags & TCP_FIN) != 0 && (!from->finished || first + out->payload_len != from->written))
        complain(m, "FIN before its time");
    if (m->set->cookies && from->n == 0 && !from->edge_known)
        m->side[1].iss = out->ack - 1; /* the cookie that was taken */
    /* What it acknowledges must have arrived, by the model. */
    if (peer->spoke && (out->flags & TCP_ACK) != 0) {
        uint32_t acked = out->ack - peer->iss - 1;
        uint32_t model = from->model.next + (from->model.fin && from->model.next == peer->written);
        if ((int32_t)(acked - model) > 0)
            complain(m, "acknowledges what has not arrived");
        if (from->edge_known && (int32_t)(out->ack - from->ack) < 0)
            complain(m, "the acknowledgement went back");
        bool forgotten = m->set->cookies && m->set->strip_timestamps;
        uint32_t scale = m->set->strip_scaling || forgotten ? 0 : from->scale;
        uint32_t edge = out->ack + ((uint32_t)out->window << scale);
        if (from->edge_known && (int32_t)(edge - from->edge) < 0)
            complain(m, "the right edge of the window moved left (RFC 9293 s.3.8.6)");
        from->edge = edge;
        from->ack = out->ack;
        from->edge_known = true;
    }
}

static void emit(void *host, const struct tcp_segment_out *out)
{
    struct side *from = host;
    struct sim *m = from->sim;
    const struct sim_settings *set = m->set;

    m->segments++;
    check_segment(from, out);
    if (random_of(m, 1000) < set->loss_permille)
        return;
    uint64_t at = m->now_us + set->delay_us;
    if (set->rate_bytes_per_s != 0) {
        uint64_t wire = 40 + out->options_len + out->payload_len;
        uint64_t backlog_us = from->line_free_us > m->now_us ? from->line_free_us - m->now_us : 0;
        if (backlog_us * set->rate_bytes_per_s / 1000000 > set->queue_bytes)
            return;
        from->line_free_us = m->now_us + backlog_us + wire * 1000000 / set->rate_bytes_per_s;
        at = from->line_free_us + set->delay_us;
    }
    if (random_of(m, 1000) < set->reorder_permille)
        at += random_of(m, set->jitter_us + 1);
    post(from, out, at);
    if (random_of(m, 1000) < set->dup_permille)
        post(from, out, at + random_of(m, 2 * set->delay_us + 1));
}

/* ---- the users ---- */

static void user_write(struct side *u)
{
    uint8_t buffer[4096];
    u->wants_room = false;
    while (u->opened && !u->closed && u->written < u->to_send) {
        uint32_t n = u->to_send - u->written, cap = u->sim->set->write_bytes;
        n = n < cap ? n : cap;
        n = n < sizeof(buffer) ? n : (uint32_t)sizeof(buffer);
        n = 1 + random_of(u->sim, n);
        if (n > u->to_send - u->written)
            n = u->to_send - u->written;
        for (uint32_t i = 0; i < n; i++)
            buffer[i] = byte_at(u->n, u->written + i);
        size_t room = stream_room(u->stream);
        size_t k = stream_write(u->stream, buffer, n);
        if (k > n || k != (room < n ? room : n))
            complain(u->sim, "write took another number than room said");
        u->written += (uint32_t)k;
        if (k < n) {
            u->wants_room = true;
            break;
        }
        if (random_of(u->sim, 8) == 0)
            break;
    }
    if (u->opened && !u->closed && u->written == u->to_send && !u->finished) {
        u->finished = true;
        stream_finish(u->stream);
    }
    if (u->opened && !u->closed)
        stream_flush(u->stream);
}

static void on_opened(void *owner)
{
    struct side *u = owner;
    if (u->opened)
        complain(u->sim, "opened twice");
    u->opened = true;
    user_write(u);
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct side *u = owner;
    struct sim *m = u->sim;
    size_t take = n;

    if (u->closed || u->ended)
        complain(m, "data after the end");
    if (n == 0)
        complain(m, "an empty offer");
    if (u->paused)
        return 0;
    if (m->set->pauses && random_of(m, 6) == 0) {
        take = random_of(m, (uint32_t)n + 1);
        u->paused = true;
        u->resume_us = m->now_us + random_of(m, 400000);
    }
    for (size_t i = 0; i < take; i++)
        if (p[i] != byte_at(1 - u->n, u->read + (uint32_t)i)) {
            complain(m, "a byte arrived wrong or out of order");
            break;
        }
    u->read += (uint32_t)take;
    if (u->read > u->model.next)
        complain(m, "delivered what the model has not received");
    return take;
}

static void on_writable(void *owner)
{
    struct side *u = owner;
    if (!u->wants_room)
        complain(u->sim, "writable without a short write");
    user_write(u);
}

static void on_ended(void *owner)
{
    struct side *u = owner;
    if (u->ended)
        complain(u->sim, "ended twice");
    u->ended = true;
}

static void on_closed(void *owner, enum stream_end why)
{
    struct side *u = owner;
    if (u->closed)
        complain(u->sim, "closed twice");
    u->closed = true;
    u->why = why;
}

static const struct stream_handler handler = {on_opened, on_data, on_writable, on_ended, on_closed};

static enum tcp_admission admit(void *host, const struct flow_key *key, uint32_t path)
{
    const struct side *u = host;
    (void)key;
    (void)path;
    return u->opened ? TCP_ADMIT_DROP : TCP_ADMIT_YES; /* an old SYN may come again */
}

static void accepted(void *host, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct side *u = host;
    (void)path;
    if (memcmp(key, &u->key, sizeof(*key)) != 0 || u->opened)
        complain(u->sim, "accepted what nobody opened");
    stream->handler = &handler;
    stream->owner = u;
    u->stream = stream;
    u->opened = true;
    user_write(u);
}

static uint16_t mss(void *host, const struct flow_key *key, uint32_t path)
{
    const struct side *u = host;
    (void)key;
    (void)path;
    return u->sim->set->mss[u->n];
}

/* ---- running ---- */

static bool side_init(struct sim *m, uint32_t n)
{
    static const struct tcp_host host = {emit, admit, accepted, mss};
    const struct sim_settings *set = m->set;
    struct side *u = &m->side[n];
    struct tcp_limits limits;
    uint8_t secret[32];

    tcp_limits_default(&limits, 16);
    limits.send_buffer_bytes = set->buffer_bytes;
    limits.receive_buffer_bytes = set->buffer_bytes;
    limits.send_buffer_max_bytes = set->buffer_max_bytes;
    limits.receive_buffer_max_bytes = set->buffer_max_bytes;
    limits.data_retries = 60;
    limits.syn_retries = 20;
    limits.syn_ack_retries = 20;
    limits.orphan_us = UINT64_C(3000000000);
    limits.challenges_per_s = 1000000;
    if (set->cookies)
        limits.half_open = 0;
    memset(secret, (int)(set->seed + n), sizeof(secret));
    u->sim = m;
    u->n = n;
    u->to_send = set->bytes[n];
    u->timers = timer_wheel_create(m->now_us);
    u->chunks = chunk_pool_create(set->chunks);
    u->tcp = tcp_create(&limits, &host, u, u->chunks, u->timers, secret);
    u->key = (struct flow_key){.local = ip_address_v4(n + 1),
                               .remote = ip_address_v4(2 - n),
                               .local_port = (uint16_t)(1000 + n),
                               .remote_port = (uint16_t)(1001 - n),
                               .protocol = 6};
    u->model.have = calloc(1, set->bytes[1 - n] + 1);
    uint32_t scale = 0;
    while ((65535u << scale) <
           (set->buffer_bytes < set->buffer_max_bytes ? set->buffer_max_bytes : set->buffer_bytes))
        scale++;
    u->scale = (uint8_t)scale;
    return u->timers != NULL && u->chunks != NULL && u->tcp != NULL && u->model.have != NULL;
}

static void model_arrives(struct side *to, const struct tcp_segment_in *s)
{
    struct side *from = &to->sim->side[1 - to->n];
    if ((s->flags & TCP_SYN) != 0)
        return;
    uint32_t first = s->seq - from->iss - 1;
    for (uint32_t i = 0; i < s->payload_len; i++)
        if (first + i < from->to_send)
            to->model.have[first + i] = 1;
    while (to->model.next < from->to_send && to->model.have[to->model.next])
        to->model.next++;
    if ((s->flags & TCP_FIN) != 0)
        to->model.fin = true;
}

static uint64_t next_event(const struct sim *m)
{
    uint64_t next = m->heap_n > 0 ? m->heap[0]->at_us : UINT64_MAX;
    for (uint32_t n = 0; n < 2; n++) {
        const struct side *u = &m->side[n];
        uint64_t timer = timer_wheel_next_us(u->timers);
        if (timer < next)
            next = timer;
        if (u->paused && u->resume_us < next)
            next = u->resume_us;
        if (u->opened && !u->closed && !u->wants_room && !u->finished && m->now_us + 1000 < next)
            next = m->now_us + 1000;
    }
    return next;
}

static void step(struct sim *m)
{
    while (m->heap_n > 0 && m->heap[0]->at_us <= m->now_us) {
        struct packet *p = heap_pop(m);
        struct side *to =
            memcmp(&p->s.key, &m->side[0].key, sizeof(p->s.key)) == 0 ? &m->side[0] : &m->side[1];
        p->s.hash = tcp_hash(to->tcp, &p->s.key);
        model_arrives(to, &p->s);
        tcp_input(to->tcp, &p->s, m->now_us);
        m->spare[m->spare_n++] = p;
    }
    for (uint32_t n = 0; n < 2; n++) {
        struct side *u = &m->side[n];
        timer_wheel_advance(u->timers, m->now_us, UINT32_MAX);
        if (u->paused && u->resume_us <= m->now_us) {
            u->paused = false;
            if (!u->closed)
                stream_resume(u->stream);
        }
        if (!u->wants_room && !u->finished)
            user_write(u);
        tcp_flush(u->tcp, m->now_us);
        const char *complaint = tcp_invariants(u->tcp);
        if (complaint != NULL)
            complain(m, complaint);
    }
}

static bool done(const struct sim *m)
{
    return m->side[0].closed && m->side[1].closed;
}

static void connect_sides(struct sim *m)
{
    for (uint32_t n = 0; n < (m->set->both_connect ? 2u : 1u); n++) {
        struct side *u = &m->side[n];
        u->stream = tcp_connect(u->tcp, &u->key, 0, &handler, u, m->now_us);
        if (u->stream == NULL)
            complain(m, "could not connect");
    }
    for (uint32_t n = 0; n < 2; n++)
        tcp_flush(m->side[n].tcp, m->now_us);
}

/* After both are closed only TIME-WAIT may remain, and then nothing; every chunk is back. */
static void check_rest(struct sim *m)
{
    for (uint32_t i = 0; i < 100000 && next_event(m) != UINT64_MAX; i++) {
        uint64_t next = next_event(m);
        m->now_us = next > m->now_us ? next : m->now_us;
        step(m);
    }
    for (uint32_t n = 0; n < 2; n++) {
        struct side *u = &m->side[n];
        tcp_flush(u->tcp, m->now_us);
        if (tcp_connections(u->tcp) != 0 || tcp_flow_exists(u->tcp, &u->key))
            complain(m, "a connection is left over");
        if (chunk_pool_free(u->chunks) != chunk_pool_capacity(u->chunks))
            complain(m, "chunks are lost");
        if (u->written != u->to_send || u->read != m->side[1 - n].to_send || !u->ended)
            complain(m, "not everything arrived");
        /* Two generals: the last acknowledgements may be lost until the other side has forgotten. */
        if (u->why != STREAM_END_DONE && m->side[1 - n].why != STREAM_END_DONE)
            complain(m, "the end was not told as DONE");
    }
}

struct sim_result sim_run(const struct sim_settings *set)
{
    struct sim *m = calloc(1, sizeof(*m));
    struct sim_result r = {0};
    if (m == NULL)
        abort();
    m->set = set;
    m->seed = set->seed;
    m->now_us = 1000000 + random_of(m, 1000000000);
    m->pool = pool;
    if (!side_init(m, 0) || !side_init(m, 1))
        abort();
    for (uint32_t i = 0; i < PACKETS; i++)
        m->spare[m->spare_n++] = &m->pool[i];

    uint64_t start = m->now_us;
    connect_sides(m);
    while (!done(m) && m->complaint == NULL && m->now_us - start < TIME_LIMIT_US) {
        uint64_t next = next_event(m);
        if (next == UINT64_MAX) {
            complain(m, "nothing will ever happen again");
            break;
        }
        m->now_us = next > m->now_us ? next : m->now_us;
        if (set->late_clock && random_of(m, 200) == 0)
            m->now_us += random_of(m, 3000000);
        step(m);
    }
    r.duration_us = m->now_us - start;
    if (!done(m))
        complain(m, "did not finish in two hours");
    else
        check_rest(m);
    r.complaint = m->complaint;
    r.complete = m->complaint == NULL;
    r.segments = m->segments;
    for (uint32_t n = 0; n < 2; n++) {
        struct side *u = &m->side[n];
        r.retransmits += tcp_counter(u->tcp, TCP_RETRANSMITS);
        r.timeouts += tcp_counter(u->tcp, TCP_TIMEOUTS);
        r.spurious += tcp_counter(u->tcp, TCP_SPURIOUS);
        r.tail_probes += tcp_counter(u->tcp, TCP_TAIL_PROBES);
        tcp_destroy(u->tcp);
        timer_wheel_destroy(u->timers);
        chunk_pool_destroy(u->chunks);
        free(u->model.have);
    }
    free(m);
    return r;
}
