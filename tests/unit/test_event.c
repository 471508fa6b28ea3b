/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring of events: bounded, in order, never waits (H2). */
#include "gateway/event.h"
#include "tests/unit/runner.h"

#include <pthread.h>

static void full_rings_drop_and_count(void)
{
    struct event_ring *ring = event_ring_create(4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
    CU_ASSERT_PTR_NULL(event_ring_peek(ring));
    for (uint32_t i = 0; i < 6; i++) {
        struct event *event = event_ring_begin(ring);
        CU_ASSERT_EQUAL(event != NULL, i < 4);
        if (event == NULL)
            continue;
        CU_ASSERT_TRUE(event->session == 0 && event->detail[0] == '\0' && event->kind == EVENT_NONE);
        event->session = i;
        event->detail[0] = 'x';
        event_ring_commit(ring);
    }
    CU_ASSERT_EQUAL(event_ring_dropped(ring), 2);
    for (uint32_t i = 0; i < 4; i++) {
        const struct event *event = event_ring_peek(ring);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_EQUAL(event->session, i);
        event_ring_pop(ring);
    }
    CU_ASSERT_PTR_NULL(event_ring_peek(ring));
    CU_ASSERT_PTR_NOT_NULL(event_ring_begin(ring));
    CU_ASSERT_PTR_NULL(event_ring_peek(ring)); /* begun is not committed */
    event_ring_destroy(ring);
}

static void texts_are_cut(void)
{
    struct event event = {.kind = EVENT_NONE};
    char longer[400];
    memset(longer, 'a', sizeof(longer));
    event_set_name(event.client_id, sizeof(event.client_id), bytes_of(longer, sizeof(longer)));
    CU_ASSERT_EQUAL(strlen(event.client_id), EVENT_NAME_MAX - 1);
    event_set_name(event.client_id, sizeof(event.client_id), bytes_of(NULL, 0));
    CU_ASSERT_EQUAL(strlen(event.client_id), 0);
    event_set_topic(&event, bytes_of(longer, sizeof(longer)));
    CU_ASSERT_EQUAL(event.topic_len, EVENT_TOPIC_MAX);
    event_set_topic(&event, bytes_of(NULL, 0));
    CU_ASSERT_EQUAL(event.topic_len, 0);
}

#define MANY 20000

static void *produce(void *owner)
{
    struct event_ring *ring = owner;
    for (uint64_t i = 1; i <= MANY;) {
        struct event *event = event_ring_begin(ring);
        if (event == NULL)
            continue;
        event->session = i;
        event->repeats = (uint32_t)i;
        event_ring_commit(ring);
        i++;
    }
    return NULL;
}

static void two_threads(void)
{
    struct event_ring *ring = event_ring_create(8);
    pthread_t producer;
    uint64_t seen = 0;
    bool in_order = true;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&producer, NULL, produce, ring), 0);
    while (seen < MANY) {
        const struct event *event = event_ring_peek(ring);
        if (event == NULL)
            continue;
        seen++;
        in_order &= event->session == seen && event->repeats == (uint32_t)seen;
        event_ring_pop(ring);
    }
    pthread_join(producer, NULL);
    CU_ASSERT_TRUE(in_order);
    event_ring_destroy(ring);
}

static const struct unit_test tests[] = {
    {"full rings drop and count", full_rings_drop_and_count},
    {"texts are cut", texts_are_cut},
    {"two threads", two_threads},
};

int main(void)
{
    return unit_run("event", tests, sizeof(tests) / sizeof(tests[0]));
}
