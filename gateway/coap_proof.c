/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/coap_proof.h"

#include "dataplane/siphash.h"

#include <stdlib.h>

#define WAYS 8
#define TICK_US 1000000

struct coap_proofs {
    uint32_t sets; /* power of two */
    struct siphash_key table_key;
    struct siphash_key echo_key;
    struct coap_source source[];
};

struct coap_proofs *coap_proofs_create(uint32_t capacity, const uint8_t secret[32])
{
    uint32_t sets = 1;
    while (sets * WAYS < capacity && sets < (UINT32_C(1) << 24))
        sets *= 2;
    struct coap_proofs *proofs =
        calloc(1, sizeof(*proofs) + (size_t)sets * WAYS * sizeof(struct coap_source));
    if (proofs == NULL)
        return NULL;
    proofs->sets = sets;
    proofs->table_key = siphash_key_of(secret);
    proofs->echo_key = siphash_key_of(secret + 16);
    return proofs;
}

void coap_proofs_destroy(struct coap_proofs *proofs)
{
    free(proofs);
}

/* Who makes room: nobody, else the one without proof that was silent longest, else the most silent. */
static bool yields_before(const struct coap_source *a, const struct coap_source *b, uint64_t now_us)
{
    bool a_proved = coap_ledger_proved(&a->ledger, now_us), b_proved = coap_ledger_proved(&b->ledger, now_us);
    if (a->used != b->used)
        return !a->used;
    if (a_proved != b_proved)
        return !a_proved;
    return a->heard_us < b->heard_us;
}

struct coap_source *coap_proofs_get(struct coap_proofs *proofs, const struct ip_address *address,
                                    uint64_t now_us)
{
    uint64_t hash = siphash_1_3(proofs->table_key, address, sizeof(*address));
    struct coap_source *set = &proofs->source[(hash & (proofs->sets - 1)) * WAYS];
    struct coap_source *yields = &set[0];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].used && ip_address_equal(&set[i].address, address)) {
            set[i].heard_us = now_us;
            return &set[i];
        }
        if (yields_before(&set[i], yields, now_us))
            yields = &set[i];
    }
    *yields = (struct coap_source){.address = *address, .heard_us = now_us, .used = true};
    return yields;
}

static uint64_t echo_digest(const struct coap_proofs *proofs, const struct ip_address *address,
                            const uint8_t time[4])
{
    uint8_t input[sizeof(address->bytes) + 4];
    memcpy(input, address->bytes, sizeof(address->bytes));
    memcpy(input + sizeof(address->bytes), time, 4);
    return siphash_2_4(proofs->echo_key, input, sizeof(input));
}

void coap_echo_make(const struct coap_proofs *proofs, const struct ip_address *address, uint64_t now_us,
                    uint8_t out[COAP_ECHO_BYTES])
{
    uint32_t time = (uint32_t)(now_us / TICK_US);
    memcpy(out, &time, sizeof(time));
    uint64_t digest = echo_digest(proofs, address, out);
    memcpy(out + sizeof(time), &digest, sizeof(digest));
}

enum coap_echo coap_echo_check(const struct coap_proofs *proofs, const struct ip_address *address,
                               struct bytes value, uint64_t now_us)
{
    uint32_t time;
    uint64_t digest;
    if (value.len != COAP_ECHO_BYTES)
        return COAP_ECHO_FOREIGN;
    memcpy(&time, value.at, sizeof(time));
    memcpy(&digest, value.at + sizeof(time), sizeof(digest));
    if ((digest ^ echo_digest(proofs, address, value.at)) != 0)
        return COAP_ECHO_FOREIGN;
    uint32_t age = (uint32_t)(now_us / TICK_US) - time;
    return (uint64_t)age * TICK_US <= COAP_ECHO_FRESH_US ? COAP_ECHO_FRESH : COAP_ECHO_STALE;
}
