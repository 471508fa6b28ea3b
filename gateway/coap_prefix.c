/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/coap_prefix.h"

#include "dataplane/siphash.h"

#include <stdlib.h>

#define WAYS 8
#define IP4_OFFSET 96

struct coap_prefixes {
    uint32_t sets; /* power of two */
    struct siphash_key key;
    struct coap_prefix prefix[];
};

struct coap_prefixes *coap_prefixes_create(uint32_t capacity, const uint8_t secret[16])
{
    uint32_t sets = 1;
    while (sets * WAYS < capacity && sets < (UINT32_C(1) << 20))
        sets *= 2;
    struct coap_prefixes *prefixes =
        calloc(1, sizeof(*prefixes) + (size_t)sets * WAYS * sizeof(struct coap_prefix));
    if (prefixes == NULL)
        return NULL;
    prefixes->sets = sets;
    prefixes->key = siphash_key_of(secret);
    return prefixes;
}

void coap_prefixes_destroy(struct coap_prefixes *prefixes)
{
    free(prefixes);
}

static struct ip_address masked(const struct ip_address *address, uint8_t bits)
{
    struct ip_address out = *address;
    uint32_t keep = ip_address_is_v4(address) ? IP4_OFFSET + (uint32_t)bits : bits;
    for (uint32_t i = 0; i < sizeof(out.bytes); i++) {
        uint32_t begin = i * 8;
        if (begin >= keep)
            out.bytes[i] = 0;
        else if (keep - begin < 8)
            out.bytes[i] = (uint8_t)(out.bytes[i] & (0xFF00U >> (keep - begin)));
    }
    return out;
}

static bool busy(const struct coap_prefix *prefix)
{
    return prefix->used && (prefix->exchanges > 0 || prefix->observations > 0);
}

struct coap_prefix *coap_prefixes_get(struct coap_prefixes *prefixes, uint16_t listener,
                                      const struct ip_address *address, uint8_t bits, uint64_t now_us)
{
    uint8_t input[sizeof(struct ip_address) + sizeof(listener)];
    struct ip_address wanted = masked(address, bits);
    memcpy(input, wanted.bytes, sizeof(wanted.bytes));
    memcpy(input + sizeof(wanted.bytes), &listener, sizeof(listener));
    uint64_t hash = siphash_1_3(prefixes->key, input, sizeof(input));
    struct coap_prefix *set = &prefixes->prefix[(hash & (prefixes->sets - 1)) * WAYS], *yields = NULL;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].used && set[i].listener == listener && ip_address_equal(&set[i].address, &wanted)) {
            set[i].heard_us = now_us;
            return &set[i];
        }
        bool before =
            yields == NULL || (yields->used && (!set[i].used || set[i].heard_us < yields->heard_us));
        if (!busy(&set[i]) && before)
            yields = &set[i];
    }
    if (yields != NULL)
        *yields =
            (struct coap_prefix){.address = wanted, .listener = listener, .heard_us = now_us, .used = true};
    return yields;
}
