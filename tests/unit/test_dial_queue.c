/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns at an upstream: so many at once, in order, line by line (A7, B6). */
#include "gateway/dial_queue.h"
#include "tests/unit/runner.h"

static struct dial_queue queue;
static struct dial_place places[DIAL_LINES * 2];

static void begin(void)
{
    dial_queue_init(&queue);
    for (uint32_t i = 0; i < DIAL_LINES * 2; i++)
        places[i] = (struct dial_place){0};
}

static void so_many_at_once_and_the_rest_in_order(void)
{
    begin();
    for (uint32_t i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(dial_queue_enter(&queue, &places[i], 7, 3), i < 3);
    CU_ASSERT_EQUAL(queue.waiting_n, 7);
    CU_ASSERT_PTR_NULL(dial_queue_next(&queue));
    for (uint32_t i = 0; i < 7; i++) {
        dial_queue_leave(&queue, &places[i]);
        CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[i + 3]);
        CU_ASSERT_PTR_NULL(dial_queue_next(&queue));
    }
    CU_ASSERT_EQUAL(queue.waiting_n, 0);
}

/* Room that is there belongs to who waits, not to who comes. */
static void nobody_overtakes(void)
{
    begin();
    for (uint32_t i = 0; i < 3; i++)
        (void)dial_queue_enter(&queue, &places[i], 7, 1);
    dial_queue_leave(&queue, &places[0]);
    CU_ASSERT_FALSE(dial_queue_enter(&queue, &places[3], 7, 1));
    CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[1]);
}

static void who_leaves_is_forgotten(void)
{
    begin();
    for (uint32_t i = 0; i < 4; i++)
        (void)dial_queue_enter(&queue, &places[i], 7, 1);
    dial_queue_leave(&queue, &places[1]);
    dial_queue_leave(&queue, &places[1]);
    dial_queue_leave(&queue, &places[0]);
    dial_queue_leave(&queue, &places[0]);
    CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[2]);
    CU_ASSERT_PTR_NULL(dial_queue_next(&queue));
    CU_ASSERT_EQUAL(queue.waiting_n, 1);
}

static void lines_do_not_wait_for_each_other(void)
{
    begin();
    CU_ASSERT_TRUE(dial_queue_enter(&queue, &places[0], 7, 1));
    CU_ASSERT_FALSE(dial_queue_enter(&queue, &places[1], 7, 1));
    CU_ASSERT_TRUE(dial_queue_enter(&queue, &places[2], 8, 1));
    CU_ASSERT_FALSE(dial_queue_enter(&queue, &places[3], 8, 1));
    dial_queue_leave(&queue, &places[2]);
    CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[3]);
    CU_ASSERT_PTR_NULL(dial_queue_next(&queue));
}

static void another_bound_is_in_force_at_once(void)
{
    begin();
    for (uint32_t i = 0; i < 6; i++)
        (void)dial_queue_enter(&queue, &places[i], 7, 1);
    dial_queue_bound(&queue, &places[1], 3);
    CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[1]);
    CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[2]);
    CU_ASSERT_PTR_NULL(dial_queue_next(&queue));
    dial_queue_bound(&queue, &places[3], 0);
    for (uint32_t i = 3; i < 6; i++)
        CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[i]);
    CU_ASSERT_TRUE(dial_queue_enter(&queue, &places[6], 7, 0));
}

/* More names than lines: the last one is shared, and still bounded. A line that is empty is anyone's. */
static void names_beyond_the_lines_share_one(void)
{
    begin();
    for (uint32_t i = 0; i < DIAL_LINES; i++)
        CU_ASSERT_TRUE(dial_queue_enter(&queue, &places[i], 100 + i, 1));
    for (uint32_t i = DIAL_LINES; i < DIAL_LINES + 5; i++)
        CU_ASSERT_FALSE(dial_queue_enter(&queue, &places[i], 100 + i, 1));
    dial_queue_leave(&queue, &places[3]);
    CU_ASSERT_PTR_NULL(dial_queue_next(&queue));
    CU_ASSERT_TRUE(dial_queue_enter(&queue, &places[3], 999, 1));
    dial_queue_leave(&queue, &places[DIAL_LINES - 1]);
    CU_ASSERT_PTR_EQUAL(dial_queue_next(&queue), &places[DIAL_LINES]);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B6: so many at once, the rest in order", so_many_at_once_and_the_rest_in_order},
        {"B6: nobody overtakes", nobody_overtakes},
        {"B6: who leaves is forgotten", who_leaves_is_forgotten},
        {"A7: lines do not wait for each other", lines_do_not_wait_for_each_other},
        {"G3: another bound is in force at once", another_bound_is_in_force_at_once},
        {"A7: names beyond the lines share one", names_beyond_the_lines_share_one},
    };
    return unit_run("turns at an upstream", tests, sizeof(tests) / sizeof(tests[0]));
}
