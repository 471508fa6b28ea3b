/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/load_packet.h"

#include <stdio.h>
#include <string.h>

#define NUMBER_DIGITS 10

static uint32_t put_varint(uint8_t *to, uint32_t value)
{
    uint32_t n = 0;
    do {
        to[n] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        n++;
    } while (value > 0);
    return n;
}

uint32_t load_packet_connect(const struct load_options *o, uint32_t index, uint8_t to[LOAD_CONNECT_MOST])
{
    static const uint8_t fixed[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 2, 88}; /* keep-alive 600 s */
    char id[64];
    uint32_t id_n = (uint32_t)snprintf(id, sizeof(id), "%.40s%05u", o->name, index);
    uint32_t n = 0;
    to[n++] = 0x10;
    to[n++] = (uint8_t)(sizeof(fixed) + 2 + id_n);
    memcpy(to + n, fixed, sizeof(fixed));
    n += (uint32_t)sizeof(fixed);
    to[n++] = 0;
    to[n++] = (uint8_t)id_n;
    memcpy(to + n, id, id_n);
    return n + id_n;
}

uint32_t load_packet_publish(const struct load_options *o, uint32_t index, uint16_t packet_id,
                             uint32_t number, uint8_t *to)
{
    char topic[80];
    uint32_t topic_n = (uint32_t)snprintf(topic, sizeof(topic), "bench/%.40s%05u/up", o->name, index);
    uint32_t n = 0;
    to[n++] = (uint8_t)(0x30 | o->qos << 1);
    n += put_varint(to + n, 2 + topic_n + (o->qos > 0 ? 2 : 0) + o->payload);
    to[n++] = 0;
    to[n++] = (uint8_t)topic_n;
    memcpy(to + n, topic, topic_n);
    n += topic_n;
    if (o->qos > 0) {
        to[n++] = (uint8_t)(packet_id >> 8);
        to[n++] = (uint8_t)packet_id;
    }
    memset(to + n, 'x', o->payload);
    if (o->numbered != 0) {
        char digits[NUMBER_DIGITS + 1];
        snprintf(digits, sizeof(digits), "%0*u", NUMBER_DIGITS, number);
        memcpy(to + n, digits, NUMBER_DIGITS);
    }
    return n + o->payload;
}
