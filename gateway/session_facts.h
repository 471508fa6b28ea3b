/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The facts by which a live session is told apart (identity.h), copied from its worker so that the control
 * thread can judge by them (explain, H1): also what a certificate or a key has shown, which no name of a
 * session repeats. Text that does not fit is as if it had not been shown, and `whole` says so.
 */
#ifndef GATEWAY_SESSION_FACTS_H
#define GATEWAY_SESSION_FACTS_H

#include "policy/access/identity.h"

#define SESSION_FACT_MAX 1024
#define SESSION_FACTS_BYTES 8192

struct session_facts {
    bool found;
    bool whole;
    uint64_t heard_us;         /* of CoAP: when it was heard last */
    struct client_facts facts; /* point into text[] */
    uint32_t used;
    uint8_t text[SESSION_FACTS_BYTES];
};

/* Copies. `out` must not be moved afterwards. */
void session_facts_take(struct session_facts *out, const struct client_facts *facts);

#endif
