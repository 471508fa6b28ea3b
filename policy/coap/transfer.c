/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/transfer.h"

static struct coap_transfer *find(struct coap_transfers *transfers, uint64_t name)
{
    for (uint32_t i = 0; i < COAP_TRANSFERS_MAX; i++)
        if (name != 0 && transfers->at[i].name == name)
            return &transfers->at[i];
    return NULL;
}

static bool silent(const struct coap_transfer *transfer, uint64_t now_us)
{
    return transfer->name == 0 || transfer->heard_us + COAP_TRANSFER_SILENCE_US <= now_us;
}

static struct coap_transfer *begin(struct coap_transfers *transfers, uint64_t name, uint32_t most,
                                   uint64_t now_us)
{
    struct coap_transfer *transfer = find(transfers, name);
    uint32_t live = 0;
    for (uint32_t i = 0; i < COAP_TRANSFERS_MAX; i++)
        live += !silent(&transfers->at[i], now_us);
    for (uint32_t i = 0; transfer == NULL && live < most && i < COAP_TRANSFERS_MAX; i++)
        if (silent(&transfers->at[i], now_us))
            transfer = &transfers->at[i];
    if (transfer != NULL)
        *transfer = (struct coap_transfer){.name = name, .begun_us = now_us, .heard_us = now_us};
    return transfer;
}

static bool too_long(struct coap_transfer *transfer, uint64_t time_us, uint64_t now_us)
{
    if (time_us == 0 || now_us - transfer->begun_us <= time_us)
        return false;
    transfer->name = 0;
    return true;
}

enum coap_transfer_result coap_transfer_up(struct coap_transfers *transfers, uint64_t name,
                                           const struct coap_block *block, size_t payload_bytes,
                                           uint32_t most, uint64_t time_us, uint64_t now_us)
{
    uint64_t from = (uint64_t)block->number * block->bytes;
    struct coap_transfer *transfer =
        block->number == 0 ? begin(transfers, name, most, now_us) : find(transfers, name);
    if (transfer == NULL)
        return block->number == 0 ? COAP_TRANSFER_TOO_MANY : COAP_TRANSFER_INCOMPLETE;
    if (too_long(transfer, time_us, now_us))
        return COAP_TRANSFER_TOO_LONG;
    if (from > transfer->bytes) {
        transfer->name = 0;
        return COAP_TRANSFER_INCOMPLETE;
    }
    transfer->heard_us = now_us;
    if (from + payload_bytes > transfer->bytes)
        transfer->bytes = from + payload_bytes;
    if (!block->more)
        transfer->name = 0;
    return COAP_TRANSFER_GOOD;
}

enum coap_transfer_result coap_transfer_down(struct coap_transfers *transfers, uint64_t name, uint32_t most,
                                             uint64_t time_us, uint64_t now_us)
{
    struct coap_transfer *transfer = find(transfers, name);
    if (transfer == NULL)
        transfer = begin(transfers, name, most, now_us);
    if (transfer == NULL)
        return COAP_TRANSFER_TOO_MANY;
    if (too_long(transfer, time_us, now_us))
        return COAP_TRANSFER_TOO_LONG;
    transfer->heard_us = now_us;
    return COAP_TRANSFER_GOOD;
}

void coap_transfer_end(struct coap_transfers *transfers, uint64_t name)
{
    struct coap_transfer *transfer = find(transfers, name);
    if (transfer != NULL)
        transfer->name = 0;
}
