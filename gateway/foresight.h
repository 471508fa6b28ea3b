/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a generation would do to live sessions if it were published (G2): asked of the workers, a few sessions
 * between two iterations at a time, so that traffic does not notice. Control thread.
 */
#ifndef GATEWAY_FORESIGHT_H
#define GATEWAY_FORESIGHT_H

#include "gateway/gateway.h"

/* Writes one line, and takes `next`: it is destroyed once no worker can look at it any more. */
void foresight_print(struct gateway *gateway, struct generation *next, FILE *to);
/* Whatever foresight_print had to leave, when a worker did not answer in time. */
void foresight_tick(void);

/* Writes a line for each role's rule by which clients may newly publish what those of another role may
 * subscribe to (policy/access/snapshot_publishers.h), NEW_PUBLISHERS_KEPT at most and how many more there
 * are; nothing when there is none. From the policies alone; works behind the other threads. */
void foresight_print_publishers(struct gateway *gateway, const struct generation *next, FILE *to);

#endif
