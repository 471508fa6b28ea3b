/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block-wise transfers of one identity (E5; RFC 7959): how many at once, in which order, for how long.
 *
 * Each block is a request of its own and goes on as such; nothing of a body is gathered here. What is
 * remembered is that a transfer is under way and how far it has come: blocks of an upload come in order (a
 * block that was had already may come again), its first one begins anew, and one that nobody has begun, or
 * that leaves something out, is 4.08 (s.2.9.2). A transfer that takes longer than the role allows is 4.08;
 * one too many is refused until another has ended or has been silent for as long as a client may take for one
 * block. The size of the body is the guard's. Pure; names are digests that the caller makes of endpoint,
 * method, resource and Request-Tag (RFC 9175 s.3).
 */
#ifndef POLICY_COAP_TRANSFER_H
#define POLICY_COAP_TRANSFER_H

#include "policy/coap/message.h"

#define COAP_TRANSFERS_MAX 8
/* MAX_TRANSMIT_WAIT: after this a client has given a block up. */
#define COAP_TRANSFER_SILENCE_US UINT64_C(93000000)

struct coap_transfer {
    uint64_t name; /* 0: free */
    uint64_t begun_us;
    uint64_t heard_us;
    uint64_t bytes; /* of an upload: up to where it has come */
};

/* All zero: none. */
struct coap_transfers {
    struct coap_transfer at[COAP_TRANSFERS_MAX];
};

enum coap_transfer_result {
    COAP_TRANSFER_TOO_MANY = 0,
    COAP_TRANSFER_INCOMPLETE, /* 4.08: not begun, or something is left out */
    COAP_TRANSFER_TOO_LONG,   /* 4.08: begun too long ago */
    COAP_TRANSFER_GOOD,
};

/* A block of an upload with `payload_bytes`; the last one ends it. `most`: transfers at once, at most
 * COAP_TRANSFERS_MAX. */
enum coap_transfer_result coap_transfer_up(struct coap_transfers *transfers, uint64_t name,
                                           const struct coap_block *block, size_t payload_bytes,
                                           uint32_t most, uint64_t time_us, uint64_t now_us);
/* A request for a block of a download; any may be asked for. */
enum coap_transfer_result coap_transfer_down(struct coap_transfers *transfers, uint64_t name, uint32_t most,
                                             uint64_t time_us, uint64_t now_us);
/* The last block has been sent, or the upload was refused. */
void coap_transfer_end(struct coap_transfers *transfers, uint64_t name);

#endif
