/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connection ids that a DTLS server gives (RFC 9146, RFC 9147 s.9): by them a record finds its session when
 * the client's address is another than before.
 *
 * An id has 8 bytes: the output of a keyed function, so that nobody can tell one from another, or which is
 * next. The remainder of the first byte by the number of workers is the worker that gave it, so that a frame
 * finds its way without a table (gateway/steer.h). Lookups are O(1), the table has a fixed size. One per
 * worker.
 */
#ifndef DATAPLANE_SECURE_DTLS_IDS_H
#define DATAPLANE_SECURE_DTLS_IDS_H

#include <stdbool.h>
#include <stdint.h>

#define DTLS_ID_BYTES 8
#define DTLS_IDS_NONE UINT32_MAX

struct dtls_ids;

/* Of worker `worker` among `workers`. NULL without memory or random bytes. */
struct dtls_ids *dtls_ids_create(uint32_t capacity, uint32_t worker, uint32_t workers);
/* NULL is ignored. */
void dtls_ids_destroy(struct dtls_ids *ids);
/* A new one that stands for `value`; false when there is no room. */
bool dtls_ids_give(struct dtls_ids *ids, uint32_t value, uint8_t id[DTLS_ID_BYTES]);
/* What an id stands for; DTLS_IDS_NONE: nobody has it. */
uint32_t dtls_ids_find(const struct dtls_ids *ids, const uint8_t id[DTLS_ID_BYTES]);
void dtls_ids_drop(struct dtls_ids *ids, const uint8_t id[DTLS_ID_BYTES]);

static inline uint32_t dtls_id_worker(const uint8_t *id, uint32_t workers)
{
    return id[0] % workers;
}

#endif
