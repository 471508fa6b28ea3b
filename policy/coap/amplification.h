/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much may be sent to an address that has not shown that it is there (E4; RFC 9175 s.2.4).
 *
 * Bytes are those of whole IP packets, in both directions, as a victim would count them. Until an address has
 * proved itself, what it was sent stays within three times what came from it, and it may always be sent 136
 * bytes in all. An address proves itself by returning an Echo value that only it was sent, or by belonging to
 * a device that is pinned to its wire; the proof ends and has to be renewed. Pure.
 */
#ifndef POLICY_COAP_AMPLIFICATION_H
#define POLICY_COAP_AMPLIFICATION_H

#include <stdbool.h>
#include <stdint.h>

#define COAP_AMPLIFICATION_FACTOR 3
#define COAP_AMPLIFICATION_FLOOR_BYTES 136
#define COAP_PROOF_US UINT64_C(300000000)

/* All zero: an address that was never heard of. */
struct coap_ledger {
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t proved_until_us;
};

/* Counts a packet; not while the address is proved, so that it begins anew when the proof ends. */
void coap_ledger_received(struct coap_ledger *ledger, uint32_t bytes, uint64_t now_us);
void coap_ledger_sent(struct coap_ledger *ledger, uint32_t bytes, uint64_t now_us);
/* Whether a packet of `bytes` may be sent now. */
bool coap_ledger_allows(const struct coap_ledger *ledger, uint32_t bytes, uint64_t now_us);
void coap_ledger_prove(struct coap_ledger *ledger, uint64_t now_us);
static inline bool coap_ledger_proved(const struct coap_ledger *ledger, uint64_t now_us)
{
    return ledger->proved_until_us > now_us;
}

#endif
