/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The candidate of a gateway, as the control thread handles it (candidate.h): loading and publishing, taking
 * away, and adding up what all workers have seen. There is one at a time; another takes its place. Control
 * thread.
 */
#ifndef GATEWAY_CANDIDATES_H
#define GATEWAY_CANDIDATES_H

#include "gateway/candidate.h"
#include "gateway/gateway.h"

#include <stdio.h>

#define CANDIDATES_ROWS_MAX 512 /* of all workers */
#define CANDIDATES_CLIENTS_MAX 512

/* What all workers have seen. */
struct candidates_sum {
    uint32_t silent; /* workers that did not answer */
    struct candidate_counts counts;
    uint32_t rows_n, clients_n;
    struct candidate_row rows[CANDIDATES_ROWS_MAX];          /* the most frequent first */
    struct candidate_client clients[CANDIDATES_CLIENTS_MAX]; /* likewise */
};

/*
 * Loads what is at `path` as a reload would and puts it beside the policy in force: a directory of policy
 * files, a file of one, or a whole configuration, of which the policy counts; NULL: the operator's own files
 * as they are now. False when it is refused. Everything there is to say is written to `report`.
 */
bool candidates_load(struct gateway *gateway, const char *path, uint32_t sample, const char *user,
                     FILE *report);
/* False when there is none. */
bool candidates_drop(struct gateway *gateway);
/* Borrowed until the next call; NULL when there is none. */
const struct candidates_sum *candidates_collect(struct gateway *gateway);
/* Destroys those that no worker can hold; with `wait`, after waiting for the workers. */
void candidates_retire(struct gateway *gateway, bool wait);
/* Refreshes what metrics.h tells. */
void candidates_metrics(struct gateway *gateway);

#endif
