/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/upstream.h"
#include "tests/unit/runner.h"

#include <string.h>

static const uint8_t secret[16] = "fifteen letters";

static struct gateway_config config;
static struct upstream_set set;
static upstream_verdicts verdicts;

static void open_set(uint32_t servers, enum config_balance balance)
{
    memset(&config, 0, sizeof(config));
    memset(&verdicts, 0, sizeof(verdicts));
    config.upstreams_n = 1;
    config.upstreams[0].servers_n = servers;
    config.upstreams[0].balance = balance;
    for (uint32_t s = 0; s < servers; s++)
        config.upstreams[0].servers[s].port = (uint16_t)(8883 + s);
    upstream_set_init(&set, 0, 1, secret);
    upstream_set_update(&set, &config);
    set.verdicts = &verdicts;
}

static uint8_t pick(uint8_t tried, uint64_t now_us)
{
    return upstream_pick(&set, &config.upstreams[0], 0, tried, now_us);
}

static void a_failed_server_is_passed_over_with_back_off(void)
{
    uint64_t now = 1000000;
    open_set(2, CONFIG_ORDER);
    CU_ASSERT_EQUAL(pick(0, now), 0);
    upstream_result(&set, 0, 0, false, now);
    CU_ASSERT_EQUAL(pick(0, now), 1);
    CU_ASSERT_FALSE(upstream_up(&set, 0, 0, now));
    CU_ASSERT_EQUAL(pick(0, now + 1250000), 0);
    /* both out: the one that returns first */
    for (int i = 0; i < 5; i++)
        upstream_result(&set, 0, 0, false, now);
    upstream_result(&set, 0, 1, false, now);
    CU_ASSERT_EQUAL(pick(0, now), 1);
    for (int i = 0; i < 50; i++)
        upstream_result(&set, 0, 0, false, now);
    CU_ASSERT_TRUE(upstream_up(&set, 0, 0, now + 75000001)); /* never longer than 60 s and a quarter */
    upstream_result(&set, 0, 0, true, now);
    CU_ASSERT_TRUE(upstream_up(&set, 0, 0, now));
    /* a reload that keeps a server keeps its state, one that changes it starts afresh */
    upstream_result(&set, 0, 1, false, now);
    upstream_set_update(&set, &config);
    CU_ASSERT_FALSE(upstream_up(&set, 0, 1, now));
    config.upstreams[0].servers[1].port = 8885;
    upstream_set_update(&set, &config);
    CU_ASSERT_TRUE(upstream_up(&set, 0, 1, now));
}

static void what_was_tried_is_not_tried_again(void)
{
    open_set(3, CONFIG_ORDER);
    CU_ASSERT_EQUAL(pick(0, 1), 0);
    CU_ASSERT_EQUAL(pick(1, 1), 1);
    CU_ASSERT_EQUAL(pick(3, 1), 2);
    CU_ASSERT_EQUAL(pick(7, 1), UPSTREAM_NONE);
    /* one that is out is still better than none */
    upstream_result(&set, 0, 1, false, 1);
    CU_ASSERT_EQUAL(pick(5, 1), 1);
    open_set(8, CONFIG_ORDER);
    CU_ASSERT_EQUAL(pick(0x7f, 1), 7);
    CU_ASSERT_EQUAL(pick(0xff, 1), UPSTREAM_NONE);
}

static void servers_take_turns(void)
{
    open_set(3, CONFIG_ROUND_ROBIN);
    for (int i = 0; i < 7; i++)
        CU_ASSERT_EQUAL(pick(0, 1), i % 3);
    upstream_result(&set, 0, 1, false, 1);
    CU_ASSERT_EQUAL(pick(0, 1), 2);
    CU_ASSERT_EQUAL(pick(0, 1), 0);
    CU_ASSERT_EQUAL(pick(0, 1), 2);
    /* fewer servers after a reload */
    set.turn[0] = 3;
    config.upstreams[0].servers_n = 2;
    upstream_result(&set, 0, 1, true, 1);
    CU_ASSERT_TRUE(pick(0, 1) < 2);
}

static void verdicts_of_checks_count(void)
{
    open_set(2, CONFIG_ORDER);
    verdicts[0][0] = UPSTREAM_SICK;
    CU_ASSERT_EQUAL(pick(0, 1), 1);
    CU_ASSERT_FALSE(upstream_up(&set, 0, 0, 1));
    /* a sick one is the last resort, after one that has just failed */
    upstream_result(&set, 0, 1, false, 1);
    CU_ASSERT_EQUAL(pick(0, 1), 1);
    verdicts[0][1] = UPSTREAM_SICK;
    CU_ASSERT_NOT_EQUAL(pick(0, 1), UPSTREAM_NONE);
    /* recovery forgives what was failed before */
    for (int i = 0; i < 6; i++)
        upstream_result(&set, 0, 0, false, 1);
    (void)pick(0, 1);
    verdicts[0][0] = UPSTREAM_HEALTHY;
    CU_ASSERT_EQUAL(pick(0, 2), 0);
    CU_ASSERT_EQUAL(set.state[0][0].failures, 0);
    /* a healthy one that fails a client is passed over all the same */
    upstream_result(&set, 0, 0, false, 2);
    CU_ASSERT_FALSE(upstream_up(&set, 0, 0, 2));
}

static void local_ports_carry_the_worker_and_do_not_repeat_soon(void)
{
    static uint8_t used[65536];
    for (uint32_t worker = 0; worker < 3; worker++) {
        struct upstream_set one;
        memset(used, 0, sizeof(used));
        upstream_set_init(&one, worker, 3, secret);
        for (uint32_t i = 0; i < (UPSTREAM_PORT_LAST - UPSTREAM_PORT_FIRST + 1) / 3; i++) {
            uint16_t port = upstream_next_port(&one);
            CU_ASSERT_TRUE_FATAL(port >= UPSTREAM_PORT_FIRST);
            CU_ASSERT_EQUAL_FATAL((port - UPSTREAM_PORT_FIRST) % 3u, worker);
            CU_ASSERT_EQUAL_FATAL(used[port], 0);
            used[port] = 1;
        }
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"A7: failover with back-off", a_failed_server_is_passed_over_with_back_off},
        {"A7: each server once for one client", what_was_tried_is_not_tried_again},
        {"A7: round robin", servers_take_turns},
        {"A7: active checks", verdicts_of_checks_count},
        {"A6: local ports", local_ports_carry_the_worker_and_do_not_repeat_soon},
    };
    return unit_run("choice of upstream servers", tests, sizeof(tests) / sizeof(tests[0]));
}
