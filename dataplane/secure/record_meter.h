/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts the records of a TLS stream as the library takes them (RFC 8446 section 5.1), and how many came in a
 * row without bringing anything to the upper side: alerts that warn, KeyUpdates, tickets, empty records. The
 * library bounds some of these and not others; each costs work, and none is of use in numbers. Whoever has
 * the session. It neither allocates nor reads a clock.
 */
#ifndef DATAPLANE_SECURE_RECORD_METER_H
#define DATAPLANE_SECURE_RECORD_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_METER_HEADER 5
/* So many in a row are a flood; two tickets, a KeyUpdate and a close_notify are none. */
#define RECORD_METER_MOST 32
/* What came before is forgotten. */
#define RECORD_METER_WINDOW_US UINT64_C(60000000)

struct record_meter {
    uint64_t since_us;
    uint16_t left; /* of the record that is being taken */
    uint16_t in_a_row;
    uint8_t have; /* of the next one's header */
    uint8_t high; /* the first byte of its length */
};

/* n bytes of the stream were taken. */
static inline void record_meter_take(struct record_meter *meter, const uint8_t *p, size_t n, uint64_t now_us)
{
    while (n > 0) {
        size_t body = n < meter->left ? n : meter->left;
        meter->left = (uint16_t)(meter->left - body);
        p += body;
        n -= body;
        if (n == 0)
            return;
        if (meter->have == RECORD_METER_HEADER - 2)
            meter->high = *p;
        if (++meter->have == RECORD_METER_HEADER) {
            meter->have = 0;
            meter->left = (uint16_t)(meter->high << 8 | *p);
            if (meter->in_a_row == 0 || now_us - meter->since_us > RECORD_METER_WINDOW_US) {
                meter->since_us = now_us;
                meter->in_a_row = 0;
            }
            meter->in_a_row = (uint16_t)(meter->in_a_row + (meter->in_a_row < UINT16_MAX));
        }
        p++;
        n--;
    }
}

/* One of them has brought something. */
static inline void record_meter_useful(struct record_meter *meter)
{
    meter->in_a_row = 0;
}

static inline bool record_meter_flooded(const struct record_meter *meter)
{
    return meter->in_a_row > RECORD_METER_MOST;
}

#endif
