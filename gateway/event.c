/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/event.h"

#include <stdatomic.h>
#include <stdlib.h>

/* One producer, one consumer: each writes its own index and reads the other's. */
struct event_ring {
    uint32_t mask;
    _Alignas(64) _Atomic uint32_t head; /* the producer's: next slot to fill */
    _Atomic uint64_t dropped;
    _Alignas(64) _Atomic uint32_t tail; /* the consumer's: oldest event */
    _Alignas(64) struct event slots[];
};

struct event_ring *event_ring_create(uint32_t slots)
{
    uint32_t n = 2;
    while (n < slots && n < (UINT32_C(1) << 20))
        n *= 2;
    size_t bytes = sizeof(struct event_ring) + (size_t)n * sizeof(struct event);
    struct event_ring *ring = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (ring == NULL)
        return NULL;
    ring->mask = n - 1;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->dropped, 0);
    return ring;
}

void event_ring_destroy(struct event_ring *ring)
{
    free(ring);
}

struct event *event_ring_begin(struct event_ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head - tail > ring->mask) {
        uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
        atomic_store_explicit(&ring->dropped, dropped + 1, memory_order_relaxed);
        return NULL;
    }
    struct event *event = &ring->slots[head & ring->mask];
    memset(event, 0, sizeof(*event));
    return event;
}

void event_ring_commit(struct event_ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

const struct event *event_ring_peek(struct event_ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail == atomic_load_explicit(&ring->head, memory_order_acquire))
        return NULL;
    return &ring->slots[tail & ring->mask];
}

void event_ring_pop(struct event_ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

uint64_t event_ring_dropped(const struct event_ring *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}

void event_set_name(char *field, size_t room, struct bytes value)
{
    size_t n = value.len < room - 1 ? value.len : room - 1;
    if (n != 0)
        memcpy(field, value.at, n);
    field[n] = '\0';
}

void event_set_topic(struct event *event, struct bytes topic)
{
    size_t n = topic.len < sizeof(event->topic) ? topic.len : sizeof(event->topic);
    if (n != 0)
        memcpy(event->topic, topic.at, n);
    event->topic_len = (uint16_t)n;
}
