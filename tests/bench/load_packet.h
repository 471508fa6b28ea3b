/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packets of load's clients, which are MQTT 3.1.1. */
#ifndef TESTS_BENCH_LOAD_PACKET_H
#define TESTS_BENCH_LOAD_PACKET_H

#include "tests/bench/load_options.h"

#include <stdint.h>

#define LOAD_CONNECT_MOST 128
#define LOAD_PUBLISH_HEAD_MOST 128 /* a PUBLISH without its payload */

/* CONNECT of client `index`, with a keep-alive of 600 s; its length. */
uint32_t load_packet_connect(const struct load_options *o, uint32_t index, uint8_t to[LOAD_CONNECT_MOST]);
/* PUBLISH of client `index`, message `number` of its own; its length. */
uint32_t load_packet_publish(const struct load_options *o, uint32_t index, uint16_t packet_id,
                             uint32_t number, uint8_t *to);

#endif
