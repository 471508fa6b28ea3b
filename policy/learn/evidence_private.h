/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What evidence.c (topics), evidence_client.c (clients and their addresses) and evidence_store.c share. */
#ifndef POLICY_LEARN_EVIDENCE_PRIVATE_H
#define POLICY_LEARN_EVIDENCE_PRIVATE_H

#include "policy/learn/evidence.h"

/* Gives all topics of a client that nobody else uses back, and the others to one who does. */
void evidence_leave_topics(struct evidence *e, uint16_t client);

/* A client that was not there, by its hash; EVIDENCE_NONE when it was, or there is no place for it. */
uint16_t evidence_add_client(struct evidence *e, uint64_t hash, const uint8_t address[16]);
/* A topic that was not there, as `like` says but for where it stands; false when it was, or there is no
 * place. */
bool evidence_add_topic(struct evidence *e, uint16_t owner, const struct evidence_topic *like);
/* The bit of a variable, a new one if need be; SHAPE_VARIABLES_MAX when there is none left. */
uint32_t evidence_name(struct evidence *e, struct bytes name);

static inline struct evidence_source *evidence_source_of(struct evidence *e, uint16_t client)
{
    return &e->source[e->client[client].source];
}

#endif
