/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The message layer of the relays: tokens, No-Response, NON, PROBING_RATE, confirmable notifications. */
#include "tests/unit/coap_rig.h"

/* A GET of conf/probe-1 with any token and options after the path. */
static void ask(enum coap_type type, uint8_t code, uint16_t mid, struct bytes token, int no_response)
{
    static uint8_t bytes[COAP_MESSAGE_MAX];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), type, code, mid, token.at, (uint16_t)token.len);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("probe-1"));
    if (no_response >= 0)
        coap_build_uint(&w, COAP_NO_RESPONSE, (uint32_t)no_response);
    device_sends(0, 1, bytes, coap_build_end(&w));
}

static struct bytes token_of(size_t n)
{
    static uint8_t token[COAP_TOKEN_KEPT_MAX + 1];
    for (size_t i = 0; i < sizeof(token); i++)
        token[i] = (uint8_t)(i + 1);
    return bytes_of(token, n);
}

/* RFC 8974: a long token comes back as it was; one that is too long gets 4.00, with all of it. */
static void test_long_tokens(void)
{
    open_rig();
    ask(COAP_CON, COAP_GET, 1, token_of(40), -1);
    struct coap_message up = sent(0);
    CU_ASSERT_EQUAL(up.token_len, 8);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 4);
    struct coap_message down = sent(0);
    CU_ASSERT_TRUE(down.code == COAP_CONTENT &&
                   bytes_equal(bytes_of(down.token, down.token_len), token_of(40)));
    ask(COAP_CON, COAP_GET, 2, token_of(COAP_TOKEN_KEPT_MAX), -1);
    up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 4);
    CU_ASSERT_EQUAL(sent(0).token_len, COAP_TOKEN_KEPT_MAX);
    ask(COAP_CON, COAP_GET, 3, token_of(COAP_TOKEN_KEPT_MAX + 1), -1);
    down = sent(0);
    CU_ASSERT_TRUE(down.code == COAP_BAD_REQUEST && down.token_len == COAP_TOKEN_KEPT_MAX + 1);
    wait_us(COAP_EXCHANGE_LIFETIME_US + S);
    CU_ASSERT_EQUAL(coap_relays_exchanges(rig.relays), 0);
    close_rig();
}

/* RFC 7967: a refusal that nobody wants to hear is not sent; a CON gets its ACK all the same. */
static void test_no_response(void)
{
    open_rig();
    ask(COAP_NON, COAP_DELETE, 1, token_of(1), 8);
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    ask(COAP_CON, COAP_DELETE, 2, token_of(1), 8);
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).type == COAP_ACK && sent(0).code == COAP_EMPTY);
    ask(COAP_NON, COAP_DELETE, 3, token_of(1), 2);
    CU_ASSERT_TRUE(rig.sent_n == 2 && sent(0).type == COAP_NON && sent(0).code == COAP_FORBIDDEN);
    close_rig();
}

/* E2: whom no role takes is told that it is not known, not that it may not. */
static void test_unknown(void)
{
    open_rig();
    snapshot_destroy((struct snapshot *)(uintptr_t)rig.generation.policy);
    const struct policy_role_spec role = {
        .name = "r", .file = "f", .line = 1, .match = {.vlan = -1, .client_id = "other"}, .max_qos = 2};
    const struct policy_spec spec = {.roles = &role, .roles_n = 1};
    rig.generation.policy = snapshot_create(&spec, 1, NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.generation.policy);
    ask(COAP_CON, COAP_GET, 1, token_of(1), -1);
    CU_ASSERT_EQUAL(sent(0).code, COAP_UNAUTHORIZED);
    close_rig();
}

/* s.4.7: a NON counts as outstanding for a while only, and one that wants no answer (RFC 7967) not at all. */
static void test_non_turns(void)
{
    open_rig();
    ask(COAP_NON, COAP_PUT, 1, token_of(1), -1);
    ask(COAP_NON, COAP_PUT, 2, token_of(1), -1);
    CU_ASSERT_EQUAL(rig.sent_n, 1);
    wait_us(COAP_NON_EXPECTED_US + 10000);
    CU_ASSERT_EQUAL(rig.sent_n, 2);
    wait_us(COAP_NON_EXPECTED_US + 10000);
    for (uint16_t i = 0; i < 5; i++)
        ask(COAP_NON, COAP_PUT, (uint16_t)(10 + i), token_of(1), 26);
    CU_ASSERT_EQUAL(rig.sent_n, 7);
    wait_us(COAP_NON_LIFETIME_US + S);
    CU_ASSERT_EQUAL(coap_relays_exchanges(rig.relays), 0);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_TIMEOUTS), 2);
    close_rig();
}

/* s.4.7, PROBING_RATE: a server that says nothing is asked for a sign, and gets little until it gives one. */
static void test_probing(void)
{
    open_rig();
    rig.config.upstreams[0].probing = (struct rate){.amount = 1, .period_us = S, .burst = 64};
    uint16_t mid = 1;
    uint32_t pings = 0;
    for (int i = 0; i < 18; i++)
        ask(COAP_NON, COAP_PUT, mid++, token_of(1), 26);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_PROBING), 0);
    wait_us(S);
    for (int i = 0; i < 10; i++)
        ask(COAP_NON, COAP_PUT, mid++, token_of(1), 26);
    CU_ASSERT_TRUE(counted(COAP_COUNT_PROBING) > 0);
    for (uint32_t i = 0; i < rig.sent_n; i++)
        pings += rig.sent[i].n == 4 && rig.sent[i].bytes[0] == 0x40 && rig.sent[i].bytes[1] == 0;
    CU_ASSERT_EQUAL(pings, 1);
    uint64_t held = counted(COAP_COUNT_PROBING);
    struct coap_message nothing = {.token_len = 0};
    server_answers(&nothing, COAP_RST, 77, COAP_EMPTY, -1, 0); /* a sign, of whatever kind */
    wait_us(S);
    for (int i = 0; i < 5; i++)
        ask(COAP_NON, COAP_PUT, mid++, token_of(1), 26);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_PROBING), held);
    close_rig();
}

/* E4: what a device has shown runs out unless notifications ask for a sign; a pinned one has nothing to show.
 */
static void test_proof_of_observers(void)
{
    open_rig();
    struct request observe = {.type = COAP_CON, .code = COAP_GET, .mid = 1, .id = "probe-2", .observe = 0};
    device_asks(1, &observe);
    struct coap_message up = sent(0);
    uint8_t copy[sizeof(rig.sent[0].bytes)];
    memcpy(copy, rig.sent[0].bytes, rig.sent[0].n);
    coap_parse(&up, bytes_of(copy, rig.sent[0].n));
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, 1, 4);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS), 1);
    uint32_t at = rig.sent_n;
    for (uint32_t i = 0; i < 8; i++) {
        wait_us(100 * S);
        server_answers(&up, COAP_NON, (uint16_t)(900 + i), COAP_CONTENT, (int)(2 + i), 500);
        CU_ASSERT_TRUE(rig.sent_n == at + 1 + i && sent(0).type == COAP_NON && sent(0).payload.len == 500);
    }
    close_rig();
}

static void test_proof_renewed(void)
{
    open_rig();
    struct request observe = get;
    observe.observe = 0;
    device_asks(0, &observe);
    uint8_t value[COAP_ECHO_BYTES], ack[4];
    struct coap_message challenge = sent(0);
    memcpy(value, coap_option_find(&challenge, COAP_ECHO)->value.at, sizeof(value));
    observe.mid = 2;
    observe.echo = bytes_of(value, sizeof(value));
    device_asks(0, &observe);
    struct coap_message up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, 1, 4);
    uint32_t confirmable = 0;
    for (uint32_t i = 0; i < 10; i++) {
        wait_us(90 * S);
        server_answers(&up, COAP_NON, (uint16_t)(900 + i), COAP_CONTENT, (int)(2 + i), 500);
        CU_ASSERT_EQUAL(sent(0).payload.len, 500);
        if (sent(0).type == COAP_CON) {
            confirmable++;
            device_sends(0, 1, ack, coap_build_empty(ack, COAP_ACK, sent(0).mid));
        }
    }
    CU_ASSERT_TRUE(confirmable >= 4 && confirmable <= 6);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_HELD_BACK), 0);
    close_rig();
}

int main(void)
{
    static const struct unit_test tests[] = {{"long tokens (RFC 8974)", test_long_tokens},
                                             {"No-Response (RFC 7967)", test_no_response},
                                             {"unknown clients (E2)", test_unknown},
                                             {"NON and NSTART (s.4.7)", test_non_turns},
                                             {"PROBING_RATE (s.4.7)", test_probing},
                                             {"observers that are pinned (E4)", test_proof_of_observers},
                                             {"observers that are not (E4)", test_proof_renewed}};
    return unit_run("relay_coap_message", tests, sizeof(tests) / sizeof(tests[0]));
}
