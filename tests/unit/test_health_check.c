/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks against a server that the test plays: a stream whose other end is this file, and a clock of its own.
 */
#include "gateway/health_check.h"
#include "tests/unit/runner.h"

#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000)

static struct peer {
    struct stream base;
    bool live, finished;
    uint8_t out[256];
    size_t out_n;
    const char *reason;
} peer;

static struct gateway_config config;
static struct timer_wheel *timers;
static struct health_checks *checks;
static upstream_verdicts verdicts;
static uint64_t now_us;
static unsigned int dials, changes;
static enum upstream_verdict last_verdict;
static char last_why[HEALTH_REASON_MAX];
static bool dial_fails, last_secure;

static size_t peer_room(const struct stream *s)
{
    (void)s;
    return sizeof(peer.out) - peer.out_n;
}

static size_t peer_write(struct stream *s, const uint8_t *p, size_t n)
{
    (void)s;
    if (n > sizeof(peer.out) - peer.out_n)
        n = sizeof(peer.out) - peer.out_n;
    memcpy(peer.out + peer.out_n, p, n);
    peer.out_n += n;
    return n;
}

static void peer_nothing(struct stream *s)
{
    (void)s;
}

static void peer_finish(struct stream *s)
{
    (void)s;
    peer.finished = true;
}

static void peer_abort(struct stream *s)
{
    (void)s;
    CU_ASSERT_TRUE(peer.live);
    peer.live = false;
}

static const char *peer_reason(const struct stream *s)
{
    (void)s;
    return peer.reason;
}

static const struct stream_ops peer_ops = {.room = peer_room,
                                           .write = peer_write,
                                           .flush = peer_nothing,
                                           .resume = peer_nothing,
                                           .finish = peer_finish,
                                           .abort = peer_abort,
                                           .reason = peer_reason};

static struct stream *on_dial(void *worker, uint32_t upstream, uint8_t server, bool secure,
                              const char *identity, const struct stream_handler *handler, void *owner)
{
    (void)worker;
    CU_ASSERT_EQUAL(upstream, 0);
    CU_ASSERT_EQUAL(server, 0);
    CU_ASSERT_STRING_EQUAL(identity, "probe");
    CU_ASSERT_FALSE(peer.live);
    dials++;
    last_secure = secure;
    if (dial_fails)
        return NULL;
    peer = (struct peer){.base = {.ops = &peer_ops, .handler = handler, .owner = owner}, .live = true};
    return &peer.base;
}

static void on_changed(void *worker, uint32_t upstream, uint8_t server, enum upstream_verdict verdict,
                       const char *why)
{
    (void)worker, (void)upstream, (void)server;
    changes++;
    last_verdict = verdict;
    snprintf(last_why, sizeof(last_why), "%s", why == NULL ? "" : why);
}

static void open_checks(enum config_check check)
{
    memset(&config, 0, sizeof(config));
    memset(&verdicts, 0, sizeof(verdicts));
    memset(&peer, 0, sizeof(peer));
    dials = changes = 0;
    dial_fails = false;
    now_us = 10 * SECOND;
    config.upstreams_n = 1;
    config.upstreams[0].servers_n = 1;
    config.upstreams[0].servers[0].port = 8883;
    config.upstreams[0].security = CONFIG_SECURITY_TLS;
    config.upstreams[0].check = check;
    config.upstreams[0].check_id = "probe";
    config.upstreams[0].check_interval_us = 10 * SECOND;
    config.upstreams[0].check_fall = 2;
    config.upstreams[0].check_rise = 2;
    config.upstreams[0].connect_timeout_us = 5 * SECOND;
    timers = timer_wheel_create(now_us);
    struct health_checks_config settings = {.timers = timers,
                                            .now_us = &now_us,
                                            .seed = 3,
                                            .verdicts = &verdicts,
                                            .dial = on_dial,
                                            .changed = on_changed};
    checks = health_checks_create(&settings);
    CU_ASSERT_PTR_NOT_NULL_FATAL(checks);
    health_checks_update(checks, &config);
}

static void close_checks(void)
{
    health_checks_destroy(checks);
    CU_ASSERT_FALSE(peer.live && !peer.finished);
    timer_wheel_destroy(timers);
}

static void wait(uint64_t us)
{
    for (uint64_t end = now_us + us; now_us < end;) {
        now_us = end - now_us > 1000 ? now_us + 1000 : end;
        timer_wheel_advance(timers, now_us, 100);
    }
}

/* Time goes on until the next check begins. */
static void next_check(void)
{
    unsigned int before = dials;
    for (int i = 0; i < 20000 && dials == before; i++)
        wait(1000);
    CU_ASSERT_EQUAL_FATAL(dials, before + 1);
}

static void opens(void)
{
    peer.base.handler->opened(peer.base.owner);
}

static void says(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && peer.live; i++) {
        const uint8_t byte = (uint8_t)bytes[i];
        CU_ASSERT_EQUAL(peer.base.handler->data(peer.base.owner, &byte, 1), 1);
    }
}

static void closes(enum stream_end why)
{
    peer.base.handler->closed(peer.base.owner, why);
    peer.live = false;
}

static void passes_mqtt(void)
{
    opens();
    says("\x20\x02\x00\x00", 4);
    says("\xd0\x00", 2);
    CU_ASSERT_TRUE(peer.finished);
    closes(STREAM_END_DONE);
}

static void tcp_and_tls_check(void)
{
    static const enum config_check kinds[] = {CONFIG_CHECK_TCP, CONFIG_CHECK_TLS};
    for (int i = 0; i < 2; i++) {
        open_checks(kinds[i]);
        CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_UNCHECKED);
        next_check();
        CU_ASSERT_EQUAL(last_secure, kinds[i] == CONFIG_CHECK_TLS);
        wait(3000);
        opens();
        CU_ASSERT_TRUE(peer.finished);
        CU_ASSERT_EQUAL(peer.out_n, 0);
        CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_HEALTHY);
        CU_ASSERT_EQUAL(changes, 1);
        closes(STREAM_END_DONE);
        struct health_report report;
        health_checks_report(checks, 0, 0, &report);
        CU_ASSERT_TRUE(report.rtt_us >= 3000 && report.rtt_us < 5000);
        uint64_t before_us = now_us;
        next_check();
        CU_ASSERT_TRUE(now_us - before_us > 8 * SECOND && now_us - before_us < 12 * SECOND);
        close_checks();
    }
}

static void mqtt_ping(void)
{
    static const uint8_t expected[] = {0x10, 17, 0, 4, 'M', 'Q', 'T', 'T', 4,  2,
                                       0,    60, 0, 5, 'p', 'r', 'o', 'b', 'e'};
    open_checks(CONFIG_CHECK_MQTT_PING);
    next_check();
    CU_ASSERT_EQUAL(peer.out_n, 0);
    opens();
    CU_ASSERT_EQUAL_FATAL(peer.out_n, sizeof(expected));
    CU_ASSERT_EQUAL(memcmp(peer.out, expected, sizeof(expected)), 0);
    says("\x20\x02\x00\x00", 4);
    CU_ASSERT_EQUAL(peer.out_n, sizeof(expected) + 2);
    CU_ASSERT_EQUAL(memcmp(peer.out + sizeof(expected), "\xc0\x00", 2), 0);
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_UNCHECKED);
    says("\xd0\x00", 2);
    CU_ASSERT_EQUAL(memcmp(peer.out + sizeof(expected) + 2, "\xe0\x00", 2), 0);
    CU_ASSERT_TRUE(peer.finished);
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_HEALTHY);
    closes(STREAM_END_DONE);
    /* all in one segment, and more than belongs there */
    next_check();
    opens();
    CU_ASSERT_EQUAL(
        peer.base.handler->data(peer.base.owner, (const uint8_t *)"\x20\x02\x00\x00\xd0\x00\xff\xff", 8), 8);
    CU_ASSERT_TRUE(peer.finished);
    closes(STREAM_END_DONE);
    CU_ASSERT_EQUAL(changes, 1);
    close_checks();
}

/* 3.1.1 s.3.1: an identifier of more than 108 bytes makes the remaining length take two. */
static void long_client_id(void)
{
    static char id[121];
    memset(id, 'x', sizeof(id) - 1);
    open_checks(CONFIG_CHECK_NONE);
    close_checks();
    open_checks(CONFIG_CHECK_MQTT_PING);
    next_check();
    config.upstreams[0].check_id = id;
    opens();
    CU_ASSERT_EQUAL_FATAL(peer.out_n, 3 + 10 + 2 + 120);
    CU_ASSERT_EQUAL(peer.out[1], 0x80 | ((12 + 120) & 0x7f));
    CU_ASSERT_EQUAL(peer.out[2], 1);
    config.upstreams[0].check_id = "probe";
    close_checks();
}

static void what_goes_wrong(void)
{
    static const struct {
        const char *name;
        bool opens;
        const char *answer;
        size_t answer_n;
        int end; /* of the stream; -1: it ends its side, -2: silence */
        const char *why;
    } cases[] = {
        {"refused", false, "", 0, STREAM_END_REFUSED, "connection refused"},
        {"unreachable", false, "", 0, STREAM_END_UNREACHABLE, "unreachable"},
        {"no connection", false, "", 0, -2, "no connection in time"},
        {"certificate", false, "", 0, STREAM_END_TLS_VERIFY, "certificate has expired"},
        {"reset after CONNECT", true, "", 0, STREAM_END_RESET, "the server reset the connection"},
        {"half a CONNACK", true, "\x20\x02", 2, -2, "no answer in time"},
        {"closed instead of CONNACK", true, "", 0, -1, "the server closed the connection"},
        {"CONNACK 3", true, "\x20\x02\x00\x03", 4, -3, "CONNACK 3: server unavailable"},
        {"CONNACK 200", true, "\x20\x02\x00\xc8", 4, -3, "the answer to CONNECT is no CONNACK"},
        {"not MQTT", true, "HTTP", 4, -3, "the answer to CONNECT is no CONNACK"},
        {"not PINGRESP", true, "\x20\x02\x00\x00\x30\x00", 6, -3, "the answer to PINGREQ is no PINGRESP"},
        {"no PINGRESP", true, "\x20\x02\x00\x00", 4, -2, "no answer in time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_checks(CONFIG_CHECK_MQTT_PING);
        next_check();
        if (cases[i].end == STREAM_END_TLS_VERIFY)
            peer.reason = "certificate has expired";
        if (cases[i].opens)
            opens();
        says(cases[i].answer, cases[i].answer_n);
        if (cases[i].end == -1)
            peer.base.handler->ended(peer.base.owner);
        else if (cases[i].end == -2)
            wait(5 * SECOND + 2000);
        else if (cases[i].end >= 0)
            closes((enum stream_end)cases[i].end);
        CU_ASSERT_FALSE(peer.live);
        CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_SICK);
        CU_ASSERT_STRING_EQUAL(last_why, cases[i].why);
        CU_ASSERT_EQUAL(changes, 1);
        next_check();
        close_checks();
    }
    open_checks(CONFIG_CHECK_TCP);
    dial_fails = true;
    next_check();
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_SICK);
    next_check();
    close_checks();
}

static void fall_and_rise(void)
{
    open_checks(CONFIG_CHECK_MQTT_PING);
    next_check();
    passes_mqtt();
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_HEALTHY);
    /* one failure is not enough, and a success between starts the count anew */
    next_check();
    closes(STREAM_END_REFUSED);
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_HEALTHY);
    next_check();
    passes_mqtt();
    next_check();
    closes(STREAM_END_REFUSED);
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_HEALTHY);
    next_check();
    closes(STREAM_END_REFUSED);
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_SICK);
    CU_ASSERT_EQUAL(changes, 2);
    next_check();
    passes_mqtt();
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_SICK);
    next_check();
    passes_mqtt();
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_HEALTHY);
    CU_ASSERT_EQUAL(last_verdict, UPSTREAM_HEALTHY);
    CU_ASSERT_EQUAL(changes, 3);
    close_checks();
}

static void reload(void)
{
    open_checks(CONFIG_CHECK_MQTT_PING);
    next_check();
    passes_mqtt();
    health_checks_update(checks, &config);
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_HEALTHY);
    /* another address is another server */
    config.upstreams[0].servers[0].port = 8884;
    health_checks_update(checks, &config);
    CU_ASSERT_EQUAL(verdicts[0][0], UPSTREAM_UNCHECKED);
    next_check();
    /* no more checks, in the middle of one */
    config.upstreams[0].check = CONFIG_CHECK_NONE;
    health_checks_update(checks, &config);
    CU_ASSERT_FALSE(peer.live);
    unsigned int before = dials;
    wait(60 * SECOND);
    CU_ASSERT_EQUAL(dials, before);
    close_checks();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"A7: TCP and TLS", tcp_and_tls_check},
        {"A7: MQTT ping", mqtt_ping},
        {"A7: a long client identifier", long_client_id},
        {"A7: what goes wrong", what_goes_wrong},
        {"A7: fall and rise", fall_and_rise},
        {"G2: a reload keeps what stays", reload},
    };
    return unit_run("active checks of servers", tests, sizeof(tests) / sizeof(tests[0]));
}
