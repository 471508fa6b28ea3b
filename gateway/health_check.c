/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/health_check.h"

#include "gateway/jitter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT_ID_MAX 128
#define KEEP_ALIVE_S 60

enum check_state {
    CHECK_OFF = 0, /* nobody asks for it */
    CHECK_RESTING,
    CHECK_DIALLING,
    CHECK_CONNACK,
    CHECK_PINGRESP,
};

struct health_check {
    struct health_checks *all;
    struct timer timer; /* the next check, or the end of this one's time */
    struct stream *stream;
    struct config_server server; /* that the verdict is about */
    uint64_t began_us;
    uint8_t state; /* enum check_state */
    uint8_t kind;  /* enum config_check: whose verdict it is */
    uint8_t upstream, index;
    uint8_t in_n;
    uint8_t in[4];      /* the head of an answer */
    uint32_t good, bad; /* in a row */
    struct health_report report;
};

struct health_checks {
    struct health_checks_config config;
    const struct gateway_config *gateway;
    uint32_t random;
    struct health_check check[GATEWAY_UPSTREAMS_MAX][GATEWAY_SERVERS_MAX];
};

static const struct config_upstream *upstream_of(const struct health_check *check)
{
    return &check->all->gateway->upstreams[check->upstream];
}

/* ---- verdicts ------------------------------------------------------------------------------------------ */

static void judge(struct health_check *check, enum upstream_verdict verdict)
{
    struct health_checks *all = check->all;
    if (check->report.verdict == verdict)
        return;
    check->report.verdict = (uint8_t)verdict;
    check->report.since_us = *all->config.now_us;
    atomic_store_explicit(&(*all->config.verdicts)[check->upstream][check->index], (uint8_t)verdict,
                          memory_order_relaxed);
    all->config.changed(all->config.worker, check->upstream, check->index, verdict,
                        verdict == UPSTREAM_SICK ? check->report.why : NULL);
}

/* Ends the check under way and rests until the next, between seven and nine eighths of the interval. */
static void rest(struct health_check *check)
{
    struct health_checks *all = check->all;
    uint64_t interval_us = upstream_of(check)->check_interval_us;
    check->state = CHECK_RESTING;
    timer_start(all->config.timers, &check->timer,
                *all->config.now_us + interval_us * 7 / 8 + jitter_next(&all->random) % (interval_us / 4));
}

static void succeed(struct health_check *check)
{
    const struct config_upstream *upstream = upstream_of(check);
    check->report.rtt_us = (uint32_t)(*check->all->config.now_us - check->began_us);
    check->bad = 0;
    check->good++;
    if (check->report.verdict == UPSTREAM_UNCHECKED || check->good >= upstream->check_rise)
        judge(check, UPSTREAM_HEALTHY);
    rest(check);
}

static void fail(struct health_check *check, const char *why)
{
    const struct config_upstream *upstream = upstream_of(check);
    snprintf(check->report.why, sizeof(check->report.why), "%s", why);
    check->good = 0;
    check->bad++;
    if (check->report.verdict == UPSTREAM_UNCHECKED || check->bad >= upstream->check_fall)
        judge(check, UPSTREAM_SICK);
    rest(check);
}

/* ---- one check ----------------------------------------------------------------------------------------- */

static void abort_stream(struct health_check *check)
{
    struct stream *stream = check->stream;
    check->stream = NULL;
    if (stream != NULL)
        stream_abort(stream);
}

/* CONNECT of MQTT 3.1.1 (s.3.1): every broker knows it, and its answers have fixed lengths. */
static size_t build_connect(uint8_t *out, const char *client_id)
{
    static const uint8_t head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, KEEP_ALIVE_S};
    size_t id = strnlen(client_id, CLIENT_ID_MAX), length = sizeof(head) + 2 + id;
    size_t n = 0;
    out[n++] = 0x10;
    if (length >= 128)
        out[n++] = (uint8_t)(0x80 | (length & 0x7f));
    out[n++] = (uint8_t)(length >= 128 ? length >> 7 : length);
    memcpy(out + n, head, sizeof(head));
    n += sizeof(head);
    out[n++] = 0;
    out[n++] = (uint8_t)id;
    memcpy(out + n, client_id, id);
    return n + id;
}

static void say(struct health_check *check, const uint8_t *packet, size_t n, enum check_state next)
{
    check->state = (uint8_t)next;
    check->in_n = 0;
    if (stream_write(check->stream, packet, n) == n) {
        stream_flush(check->stream);
        return;
    }
    abort_stream(check);
    fail(check, "no room to send");
}

static void on_opened(void *owner)
{
    struct health_check *check = owner;
    uint8_t packet[CLIENT_ID_MAX + 20];
    if (check->state != CHECK_DIALLING)
        return;
    if (check->kind == CONFIG_CHECK_MQTT_PING) {
        say(check, packet, build_connect(packet, upstream_of(check)->check_id), CHECK_CONNACK);
        return;
    }
    /* The other side learns that we leave; there is nothing to wait for. */
    struct stream *stream = check->stream;
    succeed(check);
    stream_finish(stream);
}

static const char *const connack_text[] = {"",
                                           "CONNACK 1: the protocol version is not accepted",
                                           "CONNACK 2: the client identifier is refused",
                                           "CONNACK 3: server unavailable",
                                           "CONNACK 4: user name or password",
                                           "CONNACK 5: not authorized"};

static void answered(struct health_check *check)
{
    static const uint8_t pingreq[] = {0xc0, 0}, disconnect[] = {0xe0, 0};
    if (check->state == CHECK_CONNACK && check->in_n == 4) {
        uint8_t code = check->in[3];
        if (check->in[0] == 0x20 && check->in[1] == 2 && code == 0) {
            say(check, pingreq, sizeof(pingreq), CHECK_PINGRESP);
            return;
        }
        bool known = check->in[0] == 0x20 && check->in[1] == 2 && code < 6;
        abort_stream(check);
        fail(check, known ? connack_text[code] : "the answer to CONNECT is no CONNACK");
    } else if (check->state == CHECK_PINGRESP && check->in_n == 2) {
        struct stream *stream = check->stream;
        if (check->in[0] != 0xd0 || check->in[1] != 0) {
            abort_stream(check);
            fail(check, "the answer to PINGREQ is no PINGRESP");
            return;
        }
        stream_write(stream, disconnect, sizeof(disconnect));
        succeed(check);
        stream_flush(stream);
        stream_finish(stream);
    }
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct health_check *check = owner;
    size_t taken = 0;
    while (taken < n && check->stream != NULL) {
        size_t want = check->state == CHECK_CONNACK ? 4 : check->state == CHECK_PINGRESP ? 2 : 0;
        if (want == 0)
            return n; /* after the end nothing of it counts */
        check->in[check->in_n++] = p[taken++];
        if (check->in_n == want)
            answered(check);
    }
    return n;
}

static void on_writable(void *owner)
{
    (void)owner;
}

static bool under_way(const struct health_check *check)
{
    return check->state > CHECK_RESTING;
}

static void on_ended(void *owner)
{
    struct health_check *check = owner;
    if (under_way(check)) {
        abort_stream(check);
        fail(check, "the server closed the connection");
    } else if (check->stream != NULL) {
        stream_finish(check->stream);
    }
}

static void on_closed(void *owner, enum stream_end why)
{
    struct health_check *check = owner;
    const char *reason = check->stream != NULL ? stream_reason(check->stream) : NULL;
    check->stream = NULL;
    if (!under_way(check))
        return;
    static const char *const texts[] = {[STREAM_END_RESET] = "the server reset the connection",
                                        [STREAM_END_REFUSED] = "connection refused",
                                        [STREAM_END_UNREACHABLE] = "unreachable",
                                        [STREAM_END_TIMEOUT] = "no answer",
                                        [STREAM_END_TLS_VERIFY] = "the certificate was not accepted",
                                        [STREAM_END_TLS_ALERT] = "a TLS alert",
                                        [STREAM_END_TLS_PROTOCOL] = "no TLS session came about"};
    size_t known = (size_t)why < sizeof(texts) / sizeof(texts[0]) ? (size_t)why : 0;
    fail(check, reason != NULL ? reason : texts[known] != NULL ? texts[known] : "the connection was lost");
}

static const struct stream_handler handler = {
    .opened = on_opened, .data = on_data, .writable = on_writable, .ended = on_ended, .closed = on_closed};

static void begin(struct health_check *check)
{
    struct health_checks *all = check->all;
    const struct config_upstream *upstream = upstream_of(check);
    bool secure = upstream->security == CONFIG_SECURITY_TLS && check->kind != CONFIG_CHECK_TCP;
    abort_stream(check); /* of the last check, if it still closes */
    check->state = CHECK_DIALLING;
    check->began_us = *all->config.now_us;
    timer_start(all->config.timers, &check->timer, check->began_us + upstream->connect_timeout_us);
    struct stream *stream = all->config.dial(all->config.worker, check->upstream, check->index, secure,
                                             upstream->check_id, &handler, check);
    if (check->state != CHECK_DIALLING) /* over already, from inside */
        return;
    check->stream = stream;
    if (stream == NULL)
        fail(check, "no route, no free port or no memory");
}

static void fire(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    struct health_check *check =
        (struct health_check *)(void *)((char *)timer - offsetof(struct health_check, timer));
    if (under_way(check)) {
        abort_stream(check);
        fail(check, check->state == CHECK_DIALLING ? "no connection in time" : "no answer in time");
    } else if (check->state == CHECK_RESTING) {
        begin(check);
    }
}

/* ---- the table ----------------------------------------------------------------------------------------- */

struct health_checks *health_checks_create(const struct health_checks_config *config)
{
    struct health_checks *all = calloc(1, sizeof(*all));
    if (all == NULL)
        return NULL;
    all->config = *config;
    all->random = config->seed == 0 ? 1 : config->seed;
    for (uint32_t u = 0; u < GATEWAY_UPSTREAMS_MAX; u++)
        for (uint32_t s = 0; s < GATEWAY_SERVERS_MAX; s++) {
            struct health_check *check = &all->check[u][s];
            check->all = all;
            check->upstream = (uint8_t)u;
            check->index = (uint8_t)s;
            check->timer.fire = fire;
        }
    return all;
}

static void stop(struct health_check *check)
{
    timer_stop(check->all->config.timers, &check->timer);
    abort_stream(check);
    check->state = CHECK_OFF;
    check->good = check->bad = 0;
    check->report = (struct health_report){.verdict = UPSTREAM_UNCHECKED};
    atomic_store_explicit(&(*check->all->config.verdicts)[check->upstream][check->index], UPSTREAM_UNCHECKED,
                          memory_order_relaxed);
}

void health_checks_destroy(struct health_checks *all)
{
    if (all == NULL)
        return;
    for (uint32_t u = 0; u < GATEWAY_UPSTREAMS_MAX; u++)
        for (uint32_t s = 0; s < GATEWAY_SERVERS_MAX; s++)
            stop(&all->check[u][s]);
    free(all);
}

/* The first checks follow each other at once, spread over a tenth of the interval. */
static void start(struct health_check *check, const struct config_upstream *upstream)
{
    struct health_checks *all = check->all;
    check->server = upstream->servers[check->index];
    check->kind = (uint8_t)upstream->check;
    check->state = CHECK_RESTING;
    timer_start(all->config.timers, &check->timer,
                *all->config.now_us + jitter_next(&all->random) % (upstream->check_interval_us / 10 + 1));
}

void health_checks_update(struct health_checks *all, const struct gateway_config *config)
{
    all->gateway = config;
    for (uint32_t u = 0; u < GATEWAY_UPSTREAMS_MAX; u++)
        for (uint32_t s = 0; s < GATEWAY_SERVERS_MAX; s++) {
            struct health_check *check = &all->check[u][s];
            const struct config_upstream *upstream = &config->upstreams[u];
            bool wanted =
                u < config->upstreams_n && s < upstream->servers_n && upstream->check != CONFIG_CHECK_NONE;
            bool same = wanted && check->state != CHECK_OFF && check->kind == (uint8_t)upstream->check &&
                        check->server.port == upstream->servers[s].port &&
                        memcmp(check->server.address, upstream->servers[s].address, 16) == 0;
            if (same)
                continue;
            if (check->state != CHECK_OFF)
                stop(check);
            if (wanted)
                start(check, upstream);
        }
}

void health_checks_report(const struct health_checks *all, uint32_t upstream, uint8_t server,
                          struct health_report *out)
{
    *out = all->check[upstream][server].report;
}
