/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/port_order.h"

#include <assert.h>

#define ROUNDS 4

void port_order_init(struct port_order *order, uint32_t n, const uint8_t secret[16])
{
    assert(n > 0 && n <= 65536);
    *order = (struct port_order){.key = siphash_key_of(secret), .n = n, .half_bits = 1};
    while (1u << (2 * order->half_bits) < n)
        order->half_bits++;
}

static uint32_t permute(const struct port_order *order, uint32_t i)
{
    uint32_t mask = (1u << order->half_bits) - 1, left = i >> order->half_bits, right = i & mask;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t in[2] = {round, right};
        uint32_t next = left ^ ((uint32_t)siphash_1_3(order->key, in, sizeof(in)) & mask);
        left = right;
        right = next;
    }
    return left << order->half_bits | right;
}

uint32_t port_order_at(const struct port_order *order, uint32_t i)
{
    do
        i = permute(order, i);
    while (i >= order->n);
    return i;
}
