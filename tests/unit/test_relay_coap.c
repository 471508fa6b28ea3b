/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CoAP relays: requests, proofs, observations and bounds. */
#include "tests/unit/coap_rig.h"

/* E1: own token and message id upstream, the client's back; a repeat gets the same answer. */
static void test_get(void)
{
    open_rig();
    device_asks(0, &get);
    struct coap_message up = sent(0);
    CU_ASSERT_EQUAL(rig.sent[0].key.remote_port, 5683);
    CU_ASSERT_TRUE(up.type == COAP_CON && up.code == COAP_GET && up.token_len == 8);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 20);
    struct coap_message down = sent(0);
    CU_ASSERT_TRUE(down.type == COAP_ACK && down.mid == 1 && down.code == COAP_CONTENT &&
                   down.payload.len == 20);
    CU_ASSERT_TRUE(down.token_len == 1 && down.token[0] == 0x5A);
    CU_ASSERT_TRUE(ip_address_to_v4(&rig.sent[1].key.local) ==
                   MEANT_IP); /* A2: from the address that was meant */
    device_asks(0, &get);
    CU_ASSERT_EQUAL(rig.sent_n, 3);
    CU_ASSERT_EQUAL(memcmp(rig.sent[1].bytes, rig.sent[2].bytes, rig.sent[1].n), 0);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_FORWARDED), 1);
    wait_us(COAP_EXCHANGE_LIFETIME_US + S);
    CU_ASSERT_EQUAL(coap_relays_exchanges(rig.relays), 0);
    close_rig();
}

static void test_denied(void)
{
    open_rig();
    struct request other = get;
    other.id = "probe-2";
    device_asks(0, &other);
    CU_ASSERT_TRUE(sent(0).type == COAP_ACK && sent(0).code == COAP_FORBIDDEN && sent(0).mid == 1);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_FORWARDED), 0);
    const struct event *event = event_ring_peek(rig.events);
    CU_ASSERT_TRUE(event != NULL && event->kind == EVENT_COAP_REQUEST_DENIED &&
                   event->outcome == OUTCOME_DEFAULT_DENY);
    close_rig();
}

/* C4: the address of a pinned device with another MAC is not answered, and told. */
static void test_spoofed(void)
{
    uint8_t bytes[64];
    struct coap_writer w;
    open_rig();
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 5, NULL, 0);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("probe-2"));
    device_sends(1, 99, bytes, coap_build_end(&w));
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    const struct event *event = event_ring_peek(rig.events);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_IDENTITY_MISMATCH);
    device_sends(1, 2, bytes, coap_build_end(&w));
    CU_ASSERT_EQUAL(rig.sent_n, 1);
    close_rig();
}

/* s.4.2, 5.2.2: nothing comes back for 93 s; the client hears of it after its ACK, and the server is passed
 * over. */
static void test_timeout(void)
{
    open_rig();
    device_asks(0, &get);
    wait_us(2 * S);
    CU_ASSERT_TRUE(sent(0).type == COAP_ACK && sent(0).code == COAP_EMPTY && sent(0).mid == 1);
    wait_us(100 * S);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_SENT_AGAIN_UP), COAP_MAX_RETRANSMIT);
    CU_ASSERT_TRUE(sent(0).type == COAP_NON && sent(0).code == COAP_GATEWAY_TIMEOUT);
    CU_ASSERT_EQUAL(rig.bad_results, 1);
    close_rig();
}

/* s.4.7: one outstanding request toward a server; the next goes when it is answered or acknowledged. */
static void test_nstart(void)
{
    open_rig();
    device_asks(0, &get);
    struct request second = get;
    second.mid = 2;
    device_asks(0, &second);
    CU_ASSERT_EQUAL(rig.sent_n, 1);
    struct coap_message up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 1);
    CU_ASSERT_EQUAL(rig.sent_n, 3);
    CU_ASSERT_TRUE(sent(1).code == COAP_CONTENT && sent(0).code == COAP_GET);
    close_rig();
}

/* E4: what is too large becomes a challenge; with the Echo it is sent; nobody else can use the Echo. */
static void test_challenge(void)
{
    open_rig();
    device_asks(0, &get);
    struct coap_message up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 1024);
    struct coap_message challenge = sent(0);
    CU_ASSERT_EQUAL(challenge.code, COAP_UNAUTHORIZED);
    const struct coap_option *echo = coap_option_find(&challenge, COAP_ECHO);
    CU_ASSERT_PTR_NOT_NULL_FATAL(echo);
    uint8_t value[COAP_ECHO_BYTES];
    memcpy(value, echo->value.at, sizeof(value));
    struct request again = get;
    again.mid = 3;
    device_asks(0, &again); /* without the Echo: the upstream is not asked to learn that again */
    CU_ASSERT_TRUE(sent(0).code == COAP_UNAUTHORIZED && sent(0).mid == 3);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_FORWARDED), 1);
    again.mid = 2;
    again.echo = bytes_of(value, sizeof(value));
    device_asks(0, &again);
    up = sent(0);
    CU_ASSERT_PTR_NULL(coap_option_find(&up, COAP_ECHO)); /* ours is not for the upstream */
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 1024);
    CU_ASSERT_TRUE(sent(0).code == COAP_CONTENT && sent(0).payload.len == 1024);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_PROOFS), 1);
    close_rig();
}

static void test_echo_values(void)
{
    static const uint8_t secret[32] = "thirty-two bytes that nobody saw";
    struct coap_proofs *proofs = coap_proofs_create(64, secret);
    struct ip_address a = ip_address_v4(1), b = ip_address_v4(2);
    uint8_t value[COAP_ECHO_BYTES];
    coap_echo_make(proofs, &a, 1000 * S, value);
    CU_ASSERT_EQUAL(coap_echo_check(proofs, &a, bytes_of(value, sizeof(value)), 1000 * S), COAP_ECHO_FRESH);
    CU_ASSERT_EQUAL(coap_echo_check(proofs, &a, bytes_of(value, sizeof(value)), 1060 * S), COAP_ECHO_FRESH);
    CU_ASSERT_EQUAL(coap_echo_check(proofs, &a, bytes_of(value, sizeof(value)), 1061 * S), COAP_ECHO_STALE);
    CU_ASSERT_EQUAL(coap_echo_check(proofs, &a, bytes_of(value, sizeof(value)), 999 * S), COAP_ECHO_STALE);
    CU_ASSERT_EQUAL(coap_echo_check(proofs, &b, bytes_of(value, sizeof(value)), 1000 * S), COAP_ECHO_FOREIGN);
    CU_ASSERT_EQUAL(coap_echo_check(proofs, &a, bytes_of(value, 11), 1000 * S), COAP_ECHO_FOREIGN);
    for (size_t i = 0; i < sizeof(value) * 8; i++) {
        value[i / 8] ^= (uint8_t)(1 << i % 8);
        CU_ASSERT_EQUAL(coap_echo_check(proofs, &a, bytes_of(value, sizeof(value)), 1000 * S),
                        COAP_ECHO_FOREIGN);
        value[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    coap_proofs_destroy(proofs);
}

/* E4, over a thousand spoofed sources: what they are sent is within three times what came from them. */
static void test_reflection(void)
{
    open_rig();
    uint64_t received = 0, returned = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        rig.sent_n = 0;
        device_asks(100 + i, &get); /* no device: another identity each, and default deny */
        received += 28 + 18;
        for (uint32_t k = 0; k < rig.sent_n; k++)
            returned += rig.sent[k].key.remote_port == 40000 ? rig.sent[k].n + 28 : 0;
        wait_us(100000);
    }
    CU_ASSERT_TRUE(returned > 0 && returned <= 3 * received);
    CU_ASSERT_TRUE(coap_relays_clients(rig.relays) <= 64);
    close_rig();
}

static void start_observing(void)
{
    struct request observe = get;
    observe.observe = 0;
    device_asks(0, &observe);
    struct coap_message challenge = sent(0);
    CU_ASSERT_EQUAL_FATAL(challenge.code,
                          COAP_UNAUTHORIZED); /* first of all it has to show that it is there */
    uint8_t value[COAP_ECHO_BYTES];
    memcpy(value, coap_option_find(&challenge, COAP_ECHO)->value.at, sizeof(value));
    observe.mid = 2;
    observe.echo = bytes_of(value, sizeof(value));
    device_asks(0, &observe);
    struct coap_message up = sent(0);
    CU_ASSERT_PTR_NOT_NULL(coap_option_find(&up, COAP_OBSERVE));
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, 1, 4);
    CU_ASSERT_EQUAL(sent(0).code, COAP_CONTENT);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS), 1);
}

static void test_observe(void)
{
    open_rig();
    start_observing();
    struct coap_message up = sent(1);
    server_answers(&up, COAP_CON, 900, COAP_CONTENT, 2, 4);
    CU_ASSERT_TRUE(sent(1).type == COAP_ACK && sent(1).mid == 900);
    struct coap_message down = sent(0);
    CU_ASSERT_TRUE(down.type == COAP_CON && down.token[0] == 0x5A);
    /* The device resets it: the next notification gets the RST that ends it upstream. */
    uint8_t rst[4];
    device_sends(0, 1, rst, coap_build_empty(rst, COAP_RST, down.mid));
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 1);
    server_answers(&up, COAP_NON, 901, COAP_CONTENT, 3, 4);
    CU_ASSERT_TRUE(sent(0).type == COAP_RST && sent(0).mid == 901);
    close_rig();
}

/* RFC 7641 s.3.6: the request that ends it has the token of the one that began it, upstream too. */
static void test_observe_ends(void)
{
    open_rig();
    start_observing();
    struct coap_message first = sent(1);
    struct request end = get;
    end.observe = 1;
    end.mid = 3;
    device_asks(0, &end);
    struct coap_message up = sent(0);
    CU_ASSERT_EQUAL(memcmp(first.token, up.token, 8), 0);
    CU_ASSERT_NOT_EQUAL(first.mid, up.mid);
    CU_ASSERT_EQUAL(coap_uint(coap_option_find(&up, COAP_OBSERVE)->value), 1);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 4);
    CU_ASSERT_TRUE(sent(0).type == COAP_ACK && sent(0).mid == 3);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 1);
    close_rig();
}

/* G3: a policy without the right ends the observation, and says so. */
static void test_reload(void)
{
    open_rig();
    start_observing();
    struct generation next = rig.generation;
    next.number = 2;
    next.policy = policy(2, false);
    rig.current = &next;
    CU_ASSERT_TRUE(coap_relays_sweep(rig.relays, 1000));
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 1);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_TAKEN_BACK), 1);
    CU_ASSERT_EQUAL(sent(0).code, COAP_FORBIDDEN);
    snapshot_destroy((struct snapshot *)(uintptr_t)rig.generation.policy);
    rig.generation = next;
    rig.current = &rig.generation;
    close_rig();
}

/* G3: a client stays one of the listener that it came by, wherever a new file lists that one, and has no
 * right any more when it is gone. */
static void test_listeners_in_another_order(void)
{
    policy_listener = "coap";
    open_rig();
    start_observing();
    struct gateway_config config = rig.config;
    config.listeners_n = 2;
    config.listeners[1] = rig.config.listeners[0];
    config.listeners[0].name = "another";
    config.listeners[0].port = 5783;
    struct generation next = rig.generation;
    next.number = 2;
    next.config = &config;
    rig.current = &next;
    CU_ASSERT_TRUE(coap_relays_sweep(rig.relays, 1000));
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 0);
    config.listeners_n = 1;
    next.number = 3;
    CU_ASSERT_TRUE(coap_relays_sweep(rig.relays, 1000));
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 1);
    CU_ASSERT_EQUAL(sent(0).code, COAP_FORBIDDEN);
    config.listeners[0].name = "coap"; /* and comes back, in the place that it is given meanwhile */
    next.number = 4;
    struct request again = get;
    again.mid = 77;
    device_asks(0, &again);
    CU_ASSERT_EQUAL(sent(0).code, COAP_GET);
    config.listeners[0].name = "another";
    next.number = 5;
    CU_ASSERT_TRUE(coap_relays_sweep(rig.relays, 1000));
    again.mid = 78;
    device_asks(0, &again);                           /* by the listener in place 0, which is another */
    CU_ASSERT_EQUAL(sent(0).code, COAP_UNAUTHORIZED); /* no role there */
    rig.current = &rig.generation;
    close_rig();
    policy_listener = NULL;
}

/* B1, G2: what waits goes to the upstream that it was meant for, wherever a new file lists that one. */
static void test_upstreams_in_another_order(void)
{
    open_rig();
    device_asks(0, &get);
    struct request second = get;
    second.mid = 2;
    device_asks(0, &second);
    struct coap_message up = sent(0);
    struct gateway_config config = rig.config;
    config.upstreams_n = 2;
    config.upstreams[1] = rig.config.upstreams[0];
    config.upstreams[0].name = "another";
    config.upstreams[0].servers[0].address[15] ^= 0x40;
    config.listeners[0].upstream = 1;
    struct generation next = rig.generation;
    next.number = 2;
    next.config = &config;
    rig.current = &next;
    CU_ASSERT_TRUE(coap_relays_sweep(rig.relays, 1000));
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 1);
    CU_ASSERT_EQUAL(rig.sent_n, 3);
    CU_ASSERT_EQUAL(ip_address_to_v4(&rig.sent[2].key.remote), SERVER_IP);
    second.mid = 3;
    up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 1);
    device_asks(0, &second);
    CU_ASSERT_EQUAL(ip_address_to_v4(&rig.sent[rig.sent_n - 1].key.remote), SERVER_IP);
    CU_ASSERT_EQUAL(coap_relays_legs(rig.relays), 1);
    close_rig();
}

/* s.4.2, 4.3, E6: what is answered without being understood, and what is not. */
static void test_silence(void)
{
    static const struct {
        const char *name;
        uint8_t bytes[6];
        size_t n;
        bool rst;
    } rows[] = {
        {"ping", {0x40, 0, 0, 1}, 4, true},
        {"empty NON", {0x50, 0, 0, 2}, 4, false},
        {"stray ACK", {0x60, 0, 0, 3}, 4, false},
        {"stray RST", {0x70, 0, 0, 4}, 4, false},
        {"malformed CON", {0x49, 1, 0, 5}, 4, true},
        {"malformed NON", {0x59, 1, 0, 6}, 4, false},
        {"malformed ACK", {0x69, 1, 0, 7}, 4, false},
        {"version 2", {0x80, 1, 0, 8}, 4, false},
        {"CON response", {0x40, 0x45, 0, 9}, 4, true},
        {"CON of class 1", {0x40, 0x21, 0, 10}, 4, true},
        {"NON of class 7", {0x50, 0xE1, 0, 11}, 4, false},
        {"request in an ACK", {0x60, 1, 0, 12}, 4, false},
    };
    open_rig();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rig.sent_n = 0;
        device_sends(0, 1, rows[i].bytes, rows[i].n);
        if ((rig.sent_n == 1) != rows[i].rst)
            printf("\n%s: %u sent\n", rows[i].name, rig.sent_n);
        CU_ASSERT_EQUAL(rig.sent_n, rows[i].rst ? 1 : 0);
        if (rows[i].rst)
            CU_ASSERT_TRUE(sent(0).type == COAP_RST && sent(0).mid == i + 1);
        wait_us(S);
    }
    rig.sent_n = 0;
    for (int i = 0; i < 100; i++)
        device_sends(0, 1, rows[0].bytes, 4);
    CU_ASSERT_TRUE(rig.sent_n > 0 && rig.sent_n <= 10); /* not a reflector */
    rig.sent_n = 0;
    struct coap_arrival group = {
        .key = {.local = ip_address_v4(0xe00001bb), .remote = ip_address_v4(DEVICE_IP)},
        .group = true,
        .payload = bytes_of(rows[4].bytes, 4)};
    coap_relays_from_device(rig.relays, &group);
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    close_rig();
}

/* F2: over the rate, 5.03 with the time after which to come again. */
static void test_rate(void)
{
    open_rig();
    struct request q = get;
    for (uint16_t i = 0; i < 21; i++) {
        q.mid = i;
        q.type = COAP_NON;
        device_asks(0, &q);
    }
    struct coap_message last = sent(0);
    CU_ASSERT_EQUAL(last.code, COAP_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(coap_option_find(&last, COAP_MAX_AGE));
    CU_ASSERT_EQUAL(coap_relays_counters(rig.relays)->requests[OUTCOME_RATE_REQUESTS], 1);
    close_rig();
}

/* More endpoints than places: the longest silent go, whoever waits stays, nothing leaks. */
static void test_bounds(void)
{
    open_rig();
    for (uint32_t i = 0; i < 1000; i++) {
        rig.sent_n = 0;
        device_asks(1000 + i, &get);
    }
    CU_ASSERT_EQUAL(coap_relays_clients(rig.relays), 64);
    CU_ASSERT_TRUE(coap_relays_legs(rig.relays) <= 64);
    close_rig();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"GET, answered and repeated (E1)", test_get},
        {"denied (E2)", test_denied},
        {"spoofed (C4)", test_spoofed},
        {"timeout", test_timeout},
        {"NSTART", test_nstart},
        {"challenge (E4)", test_challenge},
        {"Echo values", test_echo_values},
        {"reflection (E4)", test_reflection},
        {"observe", test_observe},
        {"observe ends", test_observe_ends},
        {"reload (G3)", test_reload},
        {"G3: listeners in another order", test_listeners_in_another_order},
        {"reload: upstreams in another order (B1)", test_upstreams_in_another_order},
        {"silence", test_silence},
        {"rate (F2)", test_rate},
        {"bounds", test_bounds}};
    return unit_run("relay_coap", tests, sizeof(tests) / sizeof(tests[0]));
}
