/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The message layer, rule by rule, with a clock that the test moves. */
#include "policy/coap/amplification.h"
#include "policy/coap/exchange.h"

#include "tests/unit/runner.h"

#define S UINT64_C(1000000)
#define T0 (1000 * S)

static struct coap_exchange con_exchange(void)
{
    struct coap_exchange x;
    coap_exchange_begin(&x, true, 7, T0);
    coap_exchange_send_up(&x, 100, 0, T0);
    return x;
}

/* Moves the clock to the next thing that is due, and answers what is to be done then. */
static unsigned int next(struct coap_exchange *x, uint64_t *now_us)
{
    *now_us = coap_exchange_due_us(x);
    return coap_exchange_fire(x, *now_us);
}

static void test_piggybacked(void)
{
    struct coap_exchange x = con_exchange();
    CU_ASSERT_TRUE(coap_exchange_outstanding(&x));
    CU_ASSERT_EQUAL(coap_exchange_repeated(&x), 0);                                /* nothing to say yet */
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_ACK, 99, false, 0, T0), 0); /* not our message id */
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_ACK, 100, false, 0, T0 + S / 10), COAP_DO_TAKE);
    CU_ASSERT_FALSE(coap_exchange_outstanding(&x));
    struct coap_reply_form form = coap_exchange_reply(&x, true, 55, 0, T0 + S / 10);
    CU_ASSERT_TRUE(form.type == COAP_ACK && form.mid == 7 && form.now);
    CU_ASSERT_EQUAL(coap_exchange_repeated(&x), COAP_DO_DOWN_REPLY);
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_ACK, 100, false, 0, T0 + S), 0); /* twice */
    CU_ASSERT_EQUAL(coap_exchange_due_us(&x), T0 + COAP_EXCHANGE_LIFETIME_US);
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + COAP_EXCHANGE_LIFETIME_US - 1), 0);
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + COAP_EXCHANGE_LIFETIME_US), COAP_DO_FORGET);
}

/* s.4.2: 2 s, doubled four times, then it has failed; between 1 and 1.5 times that. */
static void test_retransmission(void)
{
    static const uint16_t randoms[] = {0, 0x8000, 0xFFFF};
    static const uint64_t firsts[] = {2000000, 2500000, 2999984};
    for (size_t i = 0; i < 3; i++) {
        struct coap_exchange x;
        uint64_t now = T0, wait = firsts[i];
        coap_exchange_begin(&x, true, 7, T0);
        coap_exchange_reply(&x, false, 1, 0, T0); /* so that only the upstream's side has timers */
        coap_exchange_send_up(&x, 100, randoms[i], T0);
        for (int again = 0; again < COAP_MAX_RETRANSMIT; again++) {
            uint64_t before = now;
            CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_UP_REQUEST);
            CU_ASSERT_EQUAL(now - before, wait);
            wait *= 2;
        }
        uint64_t before = now;
        CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_FAIL);
        CU_ASSERT_EQUAL(now - before, wait);
        CU_ASSERT_TRUE(now - T0 <= COAP_TURN_WAIT_US); /* MAX_TRANSMIT_WAIT */
        CU_ASSERT_FALSE(x.reset);
    }
}

/* s.5.2.2 */
static void test_separate(void)
{
    struct coap_exchange x = con_exchange();
    uint64_t now;
    CU_ASSERT_FALSE(coap_exchange_up_ack(&x, 101, T0));
    CU_ASSERT_TRUE(coap_exchange_up_ack(&x, 100, T0 + 1));
    CU_ASSERT_FALSE(coap_exchange_up_ack(&x, 100, T0 + 2));
    CU_ASSERT_FALSE(coap_exchange_outstanding(&x));
    CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_DOWN_ACK);
    CU_ASSERT_EQUAL(now, T0 + COAP_ACK_DELAY_US);
    CU_ASSERT_EQUAL(coap_exchange_repeated(&x), COAP_DO_DOWN_ACK);
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + 90 * S), 0); /* no time-out after the ACK */
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_CON, 900, false, 0, T0 + 91 * S),
                    COAP_DO_UP_ACK | COAP_DO_TAKE);
    /* Its ACK was lost: the response comes again, is acknowledged again, and is not taken twice. */
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_CON, 900, false, 0, T0 + 92 * S), COAP_DO_UP_ACK);
    struct coap_reply_form form = coap_exchange_reply(&x, true, 55, 0, T0 + 92 * S);
    CU_ASSERT_TRUE(form.type == COAP_CON && form.mid == 55 && form.now);
    CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_DOWN_REPLY);
    CU_ASSERT_EQUAL(now, T0 + 94 * S);
    CU_ASSERT_FALSE(coap_exchange_down_ack(&x, 54, 0));
    CU_ASSERT_TRUE(coap_exchange_down_ack(&x, 55, 3 * 1000000));
    CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_FORGET);
}

/* A response that overtakes its ACK implies it; the late ACK changes nothing. */
static void test_overtaken(void)
{
    struct coap_exchange x = con_exchange();
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_NON, 900, false, 0, T0 + 1), COAP_DO_TAKE);
    CU_ASSERT_FALSE(coap_exchange_up_ack(&x, 100, T0 + 2));
    CU_ASSERT_FALSE(coap_exchange_outstanding(&x));
}

static void test_reset(void)
{
    struct coap_exchange x = con_exchange();
    CU_ASSERT_EQUAL(coap_exchange_up_rst(&x, 101), 0);
    CU_ASSERT_EQUAL(coap_exchange_up_rst(&x, 100), COAP_DO_FAIL);
    CU_ASSERT_TRUE(x.reset);
    CU_ASSERT_EQUAL(coap_exchange_up_rst(&x, 100), 0);
}

/* An error of our own after the ACK is NON: nothing is sent again for it. */
static void test_own_error_separate(void)
{
    struct coap_exchange x = con_exchange();
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + COAP_ACK_DELAY_US), COAP_DO_DOWN_ACK);
    coap_exchange_stop_up(&x);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, false, 55, 0, T0 + 5 * S).type, COAP_NON);
    CU_ASSERT_EQUAL(coap_exchange_due_us(&x), T0 + COAP_EXCHANGE_LIFETIME_US);
}

/* RFC 7641 s.4.5: after a day of NON notifications one is confirmable. */
static void test_confirmed_daily(void)
{
    const uint64_t hour_us = 3600 * S;
    struct coap_exchange x = con_exchange();
    coap_exchange_up_response(&x, COAP_ACK, 100, true, 1, T0);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, true, 1, 0, T0).type, COAP_ACK);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, false, 2, 0, T0 + 22 * hour_us).type, COAP_NON);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, false, 3, 0, T0 + 23 * hour_us).type, COAP_CON);
    CU_ASSERT_TRUE(coap_exchange_down_ack(&x, 3, T0 + 23 * hour_us));
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, false, 4, 0, T0 + 24 * hour_us).type, COAP_NON);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, false, 5, 0, T0 + 46 * hour_us).type, COAP_CON);
}

/* s.4.3: a NON may be rejected with RST, also when its answer is not expected any more. */
static void test_non_reset(void)
{
    struct coap_exchange x;
    coap_exchange_begin(&x, false, 7, T0);
    coap_exchange_send_up(&x, 100, 0, T0);
    coap_exchange_fire(&x, T0 + COAP_NON_EXPECTED_US);
    CU_ASSERT_EQUAL(coap_exchange_up_rst(&x, 101), 0);
    CU_ASSERT_EQUAL(coap_exchange_up_rst(&x, 100), COAP_DO_FAIL);
}

static void test_non(void)
{
    struct coap_exchange x;
    uint64_t now;
    coap_exchange_begin(&x, false, 7, T0);
    coap_exchange_send_up(&x, 100, 0, T0);
    CU_ASSERT_EQUAL(coap_exchange_repeated(&x), 0);
    CU_ASSERT_FALSE(coap_exchange_up_ack(&x, 100, T0)); /* nobody acknowledges a NON */
    CU_ASSERT_TRUE(coap_exchange_outstanding(&x));
    CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_LANDED); /* s.4.7: no longer expected, but taken when it comes */
    CU_ASSERT_EQUAL(now, T0 + COAP_NON_EXPECTED_US);
    CU_ASSERT_FALSE(coap_exchange_outstanding(&x));
    CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_FAIL);
    CU_ASSERT_EQUAL(now, T0 + COAP_NON_WAIT_US);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, true, 55, 0, now).type, COAP_NON);
    CU_ASSERT_EQUAL(coap_exchange_repeated(&x), 0); /* s.4.3 */
    CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_FORGET);
    CU_ASSERT_EQUAL(now, T0 + COAP_NON_LIFETIME_US);
}

static void test_waiting_for_its_turn(void)
{
    struct coap_exchange x;
    coap_exchange_begin(&x, true, 7, T0);
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + COAP_ACK_DELAY_US), COAP_DO_DOWN_ACK);
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + COAP_TURN_WAIT_US), COAP_DO_FAIL);
}

static void test_observe(void)
{
    struct coap_exchange x = con_exchange();
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_ACK, 100, true, 5, T0), COAP_DO_TAKE);
    CU_ASSERT_EQUAL(x.up_state, COAP_UP_OBSERVING);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, true, 50, 0, T0).type, COAP_ACK);
    /* Notifications in order, one of them late (RFC 7641 s.3.4). */
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_NON, 1, true, 7, T0 + S), COAP_DO_TAKE);
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_NON, 2, true, 6, T0 + S), 0);
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_CON, 2, true, 7, T0 + S), COAP_DO_UP_ACK);
    CU_ASSERT_EQUAL(coap_exchange_reply(&x, false, 51, 0, T0 + S).type, COAP_NON);
    /* A RST for it ends the observation (s.3.6), one for anything else does not. */
    CU_ASSERT_EQUAL(coap_exchange_down_rst(&x, 50), 0);
    CU_ASSERT_EQUAL(coap_exchange_down_rst(&x, 51), COAP_DO_END_OBSERVE);
    /* A response without the option ends it from the other side (s.3.2). */
    CU_ASSERT_EQUAL(coap_exchange_up_response(&x, COAP_NON, 3, false, 0, T0 + 2 * S), COAP_DO_TAKE);
    CU_ASSERT_EQUAL(x.up_state, COAP_UP_DONE);
}

/* RFC 7641 s.4.5.2: one notification on its way; the newest takes its place; a client that is gone is given
 * up. */
static void test_notification_replaced(void)
{
    struct coap_exchange x = con_exchange();
    uint64_t now;
    coap_exchange_up_response(&x, COAP_ACK, 100, true, 5, T0);
    coap_exchange_reply(&x, true, 50, 0, T0);
    struct coap_reply_form form = coap_exchange_reply(&x, true, 51, 0, T0 + S);
    CU_ASSERT_TRUE(form.type == COAP_CON && form.now);
    form = coap_exchange_reply(&x, true, 52, 0, T0 + 2 * S);
    CU_ASSERT_TRUE(form.type == COAP_CON && form.mid == 52 && !form.now);
    CU_ASSERT_FALSE(coap_exchange_down_ack(&x, 51, 0));
    for (int i = 0; i < COAP_MAX_RETRANSMIT; i++)
        CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_DOWN_REPLY);
    CU_ASSERT_EQUAL(next(&x, &now), COAP_DO_END_OBSERVE);
}

static void test_silent_observation(void)
{
    struct coap_exchange x = con_exchange();
    coap_exchange_up_response(&x, COAP_ACK, 100, true, 5, T0);
    coap_exchange_reply(&x, true, 50, 0, T0);
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + COAP_OBSERVE_SILENCE_US - 1), 0);
    CU_ASSERT_EQUAL(coap_exchange_fire(&x, T0 + COAP_OBSERVE_SILENCE_US) & COAP_DO_END_OBSERVE,
                    COAP_DO_END_OBSERVE);
}

static void test_order(void)
{
    CU_ASSERT_TRUE(coap_observe_newer(1, T0, 2, T0));
    CU_ASSERT_FALSE(coap_observe_newer(2, T0, 2, T0));
    CU_ASSERT_FALSE(coap_observe_newer(2, T0, 1, T0));
    CU_ASSERT_TRUE(coap_observe_newer(0xFFFFFF, T0, 0, T0));
    CU_ASSERT_FALSE(coap_observe_newer(0, T0, 0xFFFFFF, T0));
    CU_ASSERT_TRUE(coap_observe_newer(0, T0, 0x7FFFFF, T0));
    CU_ASSERT_FALSE(coap_observe_newer(0, T0, 0x800000, T0));
    CU_ASSERT_FALSE(coap_observe_newer(2, T0, 1, T0 + 128 * S));
    CU_ASSERT_TRUE(coap_observe_newer(2, T0, 1, T0 + 128 * S + 1));
}

/* RFC 9175 s.2.4 */
static void test_ledger(void)
{
    struct coap_ledger ledger = {0};
    CU_ASSERT_TRUE(coap_ledger_allows(&ledger, 136, T0));
    CU_ASSERT_FALSE(coap_ledger_allows(&ledger, 137, T0));
    coap_ledger_received(&ledger, 50, T0);
    CU_ASSERT_TRUE(coap_ledger_allows(&ledger, 150, T0));
    CU_ASSERT_FALSE(coap_ledger_allows(&ledger, 151, T0));
    coap_ledger_sent(&ledger, 150, T0);
    CU_ASSERT_FALSE(coap_ledger_allows(&ledger, 1, T0));
    coap_ledger_received(&ledger, 10, T0);
    CU_ASSERT_TRUE(coap_ledger_allows(&ledger, 30, T0));
    coap_ledger_prove(&ledger, T0);
    CU_ASSERT_TRUE(coap_ledger_allows(&ledger, 1000000, T0));
    coap_ledger_sent(&ledger, 1000000, T0);
    /* The proof ends, and the account begins anew. */
    CU_ASSERT_FALSE(coap_ledger_proved(&ledger, T0 + COAP_PROOF_US));
    CU_ASSERT_TRUE(coap_ledger_allows(&ledger, 136, T0 + COAP_PROOF_US));
    CU_ASSERT_FALSE(coap_ledger_allows(&ledger, 137, T0 + COAP_PROOF_US));
}

/* Nobody saves up for more than three megabytes, and never for more than three times what he sent. */
static void test_ledger_bound(void)
{
    struct coap_ledger ledger = {0};
    uint64_t received = 0, sent = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        coap_ledger_received(&ledger, 1000, T0);
        received += 1000;
        while (i % 3 == 0 && coap_ledger_allows(&ledger, 1400, T0)) {
            coap_ledger_sent(&ledger, 1400, T0);
            sent += 1400;
        }
        CU_ASSERT_TRUE_FATAL(sent <= 3 * received);
    }
    CU_ASSERT_TRUE(sent > 2 * received);
    ledger = (struct coap_ledger){0};
    for (uint32_t i = 0; i < 100000; i++)
        coap_ledger_received(&ledger, 1000, T0);
    CU_ASSERT_FALSE(coap_ledger_allows(&ledger, UINT32_C(4) << 20, T0));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"piggybacked", test_piggybacked},
        {"retransmission (s.4.2)", test_retransmission},
        {"separate response (s.5.2.2)", test_separate},
        {"response overtakes its ACK", test_overtaken},
        {"RST", test_reset},
        {"own error after the ACK", test_own_error_separate},
        {"NON", test_non},
        {"NON reset (s.4.3)", test_non_reset},
        {"confirmed daily (RFC 7641 s.4.5)", test_confirmed_daily},
        {"waiting for its turn", test_waiting_for_its_turn},
        {"observe", test_observe},
        {"notification replaced (7641 s.4.5.2)", test_notification_replaced},
        {"silent observation", test_silent_observation},
        {"order (7641 s.3.4)", test_order},
        {"ledger (9175 s.2.4)", test_ledger},
        {"ledger has no savings", test_ledger_bound},
    };
    return unit_run("coap_exchange", tests, sizeof(tests) / sizeof(tests[0]));
}
