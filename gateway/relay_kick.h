/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ending what a client has under way, wherever it is (C6): one pass over a worker's sessions, or CoAP
 * endpoints, a bounded number at a time.
 */
#ifndef GATEWAY_RELAY_KICK_H
#define GATEWAY_RELAY_KICK_H

#include "policy/bytes.h"
#include "policy/verdict.h"

struct relay_kick {
    struct bytes name; /* of an identity, or a client id */
    enum outcome why;
    const char *detail; /* for the event, or NULL */
    uint32_t position;  /* where the pass is; 0 to begin */
    uint32_t n;         /* how many were ended */
};

#endif
