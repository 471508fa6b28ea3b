/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which worker a frame belongs to (A6, decision 3).
 *
 * Flows of clients (destination port of a listener) go by source address, so that everything that counts per
 * client stays on one worker; but a record of DTLS 1.3 under a connection id goes to the worker that gave the
 * id, since its client may be at any address now (dataplane/secure/dtls_ids.h). Answers to our own upstream
 * connections go by our local port, which carries the worker's number. ICMP errors go where the quoted packet
 * came from. The rest (ARP, neighbour discovery, echo) goes to worker 0, which tells the others what it
 * learns. Reads headers only, checks every length, decides nothing else: a frame that makes no sense goes to
 * worker 0 and is dropped there with its reason.
 */
#ifndef GATEWAY_STEER_H
#define GATEWAY_STEER_H

#include "gateway/listener.h"

#include <stddef.h>

uint32_t steer_worker(const struct listener_table *listeners, uint32_t workers, const uint8_t *frame,
                      size_t len);

#endif
