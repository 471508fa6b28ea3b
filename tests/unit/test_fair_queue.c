/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who comes next when handshakes wait (B6): sources in turn, what has begun first, nobody lost. */
#include "dataplane/secure/fair_queue.h"
#include "tests/unit/runner.h"

#include <stdlib.h>

static const uint8_t secret[16] = {7, 7, 7};
static struct fair_queue queue;

static void put(struct fair_queue_entry *entry, uint16_t line, bool begun)
{
    entry->line = line;
    fair_queue_put(&queue, entry, begun);
}

static void sources_have_lines_and_the_gateway_its_own(void)
{
    uint32_t used[FAIR_QUEUE_LINES] = {0};
    uint32_t most = 0;
    fair_queue_init(&queue, secret);
    CU_ASSERT_EQUAL(fair_queue_line(&queue, NULL), 0);
    for (uint32_t i = 0; i < 16 * FAIR_QUEUE_LINES; i++) {
        struct ip_address a = ip_address_v4(0x0a140000 + i);
        uint16_t line = fair_queue_line(&queue, &a);
        CU_ASSERT_EQUAL(line, fair_queue_line(&queue, &a));
        CU_ASSERT_TRUE_FATAL(line > 0 && line < FAIR_QUEUE_LINES);
        most = ++used[line] > most ? used[line] : most;
    }
    CU_ASSERT_TRUE(most < 48); /* 16 on average */
    static const uint8_t other[16] = {8};
    struct fair_queue *second = malloc(sizeof(*second));
    uint32_t same = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(second);
    fair_queue_init(second, other);
    for (uint32_t i = 0; i < 1000; i++) {
        struct ip_address a = ip_address_v4(0x0a140000 + i);
        same += fair_queue_line(&queue, &a) == fair_queue_line(second, &a);
    }
    CU_ASSERT_TRUE(same < 50); /* who shares a line hangs on the secret */
    free(second);
}

/* B6: one source with 500 waiting, nine others with one each: all nine are served within ten takes. */
static void a_storm_of_one_source_delays_others_by_one_step_a_line(void)
{
    static struct fair_queue_entry storm[500], others[9];
    fair_queue_init(&queue, secret);
    for (int i = 0; i < 500; i++)
        put(&storm[i], 1, false);
    for (uint16_t i = 0; i < 9; i++)
        put(&others[i], (uint16_t)(2 + i), false);
    CU_ASSERT_EQUAL(fair_queue_waiting(&queue), 509);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &storm[0]);
    for (int i = 0; i < 9; i++)
        CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &others[i]);
    /* Who comes back waits for one step of the storm again, not for all of it. */
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &storm[1]);
    put(&others[3], 5, true);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &storm[2]);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &others[3]);
    for (int i = 3; i < 500; i++)
        CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &storm[i]);
    CU_ASSERT_PTR_NULL(fair_queue_take(&queue));
    CU_ASSERT_EQUAL(fair_queue_waiting(&queue), 0);
}

static void what_has_begun_goes_before_what_has_not(void)
{
    static struct fair_queue_entry a, b, c, d;
    fair_queue_init(&queue, secret);
    put(&a, 3, false);
    put(&b, 3, true);
    put(&c, 3, false);
    put(&d, 3, true);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &b);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &d);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &a);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &c);
}

static void who_goes_away_is_not_served(void)
{
    static struct fair_queue_entry a, b, c;
    fair_queue_init(&queue, secret);
    put(&a, 1, false);
    put(&b, 2, true);
    put(&c, 2, false);
    fair_queue_remove(&queue, &a);
    fair_queue_remove(&queue, &a); /* does nothing */
    CU_ASSERT_FALSE(a.queued);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &b);
    fair_queue_remove(&queue, &c);
    CU_ASSERT_PTR_NULL(fair_queue_take(&queue));
    put(&c, 2, false);
    CU_ASSERT_PTR_EQUAL(fair_queue_take(&queue), &c);
    CU_ASSERT_EQUAL(fair_queue_waiting(&queue), 0);
}

/* Whatever joins and leaves: each is served once, and between two services of one line no other line that
 * waits all the while is passed over. */
static void nobody_is_lost_and_nobody_is_passed_over(void)
{
    enum { ENTRIES = 64, LINES = 8 };
    static struct fair_queue_entry entries[ENTRIES];
    uint32_t waits_since[LINES] = {0}; /* takes since it was served, while it has something */
    uint32_t n[LINES] = {0};
    uint32_t queued = 0;
    fair_queue_init(&queue, secret);
    srand(1);
    for (int round = 0; round < 200000; round++) {
        struct fair_queue_entry *entry = &entries[rand() % ENTRIES];
        if (rand() % 2 == 0 && !entry->queued) {
            uint16_t line = (uint16_t)(rand() % LINES);
            waits_since[line] = n[line] == 0 ? 0 : waits_since[line];
            n[line]++;
            put(entry, line, rand() % 2 == 0);
            queued++;
        } else if (rand() % 8 == 0 && entry->queued) {
            n[entry->line]--;
            fair_queue_remove(&queue, entry);
            queued--;
        } else if ((entry = fair_queue_take(&queue)) != NULL) {
            queued--;
            n[entry->line]--;
            for (int i = 0; i < LINES; i++)
                waits_since[i]++;
            CU_ASSERT_TRUE_FATAL(waits_since[entry->line] <= LINES);
            waits_since[entry->line] = 0;
            for (int i = 0; i < LINES; i++)
                waits_since[i] = n[i] == 0 ? 0 : waits_since[i];
        }
        CU_ASSERT_EQUAL_FATAL(fair_queue_waiting(&queue), queued);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"lines", sources_have_lines_and_the_gateway_its_own},
        {"a storm of one source", a_storm_of_one_source_delays_others_by_one_step_a_line},
        {"begun first", what_has_begun_goes_before_what_has_not},
        {"leaving", who_goes_away_is_not_served},
        {"nobody is passed over", nobody_is_lost_and_nobody_is_passed_over},
    };
    return unit_run("fair_queue", tests, sizeof(tests) / sizeof(tests[0]));
}
