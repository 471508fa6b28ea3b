/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contiguous memory for what a session needs only now and then: half packets, packets that wait for room,
 * tables of the guard. One bounded pool per worker, a buddy system of blocks from 64 bytes to 16 MiB: O(log)
 * to get and to put, no system call, neighbours join again, so that a flood of small blocks leaves no scars.
 * The largest block of a pool is the largest power of two in it. Memory is reserved at once and touched as it
 * is used. Belongs to one worker; no locks.
 */
#ifndef GATEWAY_PACKET_BUFFER_H
#define GATEWAY_PACKET_BUFFER_H

#include <stdint.h>

#define PACKET_BUFFER_MAX (UINT32_C(16) << 20)

struct packet_buffers;

/* `bytes` is rounded up to whole MiB. NULL when the memory cannot be reserved. */
struct packet_buffers *packet_buffers_create(uint64_t bytes);
void packet_buffers_destroy(struct packet_buffers *pool);
/* A block of at least `bytes` (not cleared, aligned to 64), its size in *capacity; NULL when there is none.
 */
void *packet_buffer_get(struct packet_buffers *pool, uint32_t bytes, uint32_t *capacity);
void packet_buffer_put(struct packet_buffers *pool, void *at);
/* Bytes in blocks that are out. */
uint64_t packet_buffers_used(const struct packet_buffers *pool);

#endif
