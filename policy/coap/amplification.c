/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/amplification.h"

/* What lies far back is forgotten by halves, so that nobody saves up for a large burst. */
#define MOST_BYTES (UINT64_C(1) << 20)

static void count(struct coap_ledger *ledger, uint64_t *total, uint32_t bytes, uint64_t now_us)
{
    if (coap_ledger_proved(ledger, now_us))
        return;
    *total += bytes;
    while (ledger->received_bytes > MOST_BYTES) {
        ledger->received_bytes /= 2;
        ledger->sent_bytes = (ledger->sent_bytes + 1) / 2;
    }
}

void coap_ledger_received(struct coap_ledger *ledger, uint32_t bytes, uint64_t now_us)
{
    count(ledger, &ledger->received_bytes, bytes, now_us);
}

void coap_ledger_sent(struct coap_ledger *ledger, uint32_t bytes, uint64_t now_us)
{
    count(ledger, &ledger->sent_bytes, bytes, now_us);
}

bool coap_ledger_allows(const struct coap_ledger *ledger, uint32_t bytes, uint64_t now_us)
{
    uint64_t most = ledger->received_bytes * COAP_AMPLIFICATION_FACTOR;
    if (most < COAP_AMPLIFICATION_FLOOR_BYTES)
        most = COAP_AMPLIFICATION_FLOOR_BYTES;
    return coap_ledger_proved(ledger, now_us) || ledger->sent_bytes + bytes <= most;
}

void coap_ledger_prove(struct coap_ledger *ledger, uint64_t now_us)
{
    *ledger = (struct coap_ledger){.proved_until_us = now_us + COAP_PROOF_US};
}
