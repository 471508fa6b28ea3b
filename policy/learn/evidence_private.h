/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What evidence.c (topics) and evidence_client.c (clients and their addresses) share. */
#ifndef POLICY_LEARN_EVIDENCE_PRIVATE_H
#define POLICY_LEARN_EVIDENCE_PRIVATE_H

#include "policy/learn/evidence.h"

/* Gives all topics of a client that nobody else uses back, and the others to one who does. */
void evidence_leave_topics(struct evidence *e, uint16_t client);

static inline struct evidence_source *evidence_source_of(struct evidence *e, uint16_t client)
{
    return &e->source[e->client[client].source];
}

#endif
