/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world in one process: the real worker over ring devices, devices on one side and a cloud on the other,
 * both of them peers made from our own IP stack and TCP endpoint, the cloud with a wolfSSL server. No kernel,
 * no thread, and time is what the caller says it is.
 *
 * For scenarios (scripted packets, fake clock) and for the bench (tests/bench/inproc.c), which times
 * worker_iterate alone. One world per process.
 */
#ifndef TESTS_SCENARIO_WORLD_H
#define TESTS_SCENARIO_WORLD_H

#include "gateway/worker.h"

#include <stdio.h>

#define WORLD_SOURCES 8 /* addresses that devices have: 10.20.0.10 and following */

struct world;
struct world_device; /* a device's connection */

struct world_settings {
    bool tls;             /* the upstream speaks TLS 1.3 with a certificate per device */
    uint32_t connections; /* most at a time */
    const char *policy;   /* text of the policy file; NULL: everything under t/ is allowed, no rates */
    bool quiet_cloud;     /* the cloud answers CONNECT only by script */
};

/* What the cloud has understood so far. */
struct world_cloud {
    uint64_t connects;
    uint64_t publishes;
    uint64_t publish_bytes;
    uint64_t disconnects;
    uint64_t ended;      /* connections that ended without DISCONNECT */
    uint64_t bad_frames; /* what the cloud could not parse: must stay 0 */
    char last_topic[256];
};

/* NULL with a message on stderr. Starts the EAL. */
struct world *world_create(const struct world_settings *settings);
/* Ends everything; the number of packet buffers, chunks and sessions that did not come back (0 when all is
 * well). */
uint32_t world_destroy(struct world *world);

/* One turn: devices, worker, cloud; time moves on by step_us. The cycles that the worker was busy. */
uint64_t world_turn(struct world *world, uint64_t step_us);
/* Turns until nothing moves any more or `most` turns are over. */
void world_settle(struct world *world, uint32_t most);
uint64_t world_now_us(const struct world *world);
struct worker *world_worker(struct world *world);
const struct world_cloud *world_cloud(const struct world *world);
/* Replaces the policy text and publishes a new generation, as a reload does; false with a message when it is
 * refused. */
bool world_reload(struct world *world, const char *policy);
/* The same, as two reloads do between two iterations of a worker: the new generation lies where the one lay
 * that the worker had last. */
bool world_reload_in_place(struct world *world, const char *policy);
/* The one in force. */
const struct generation *world_generation(const struct world *world);
/* The cycles of the worker's iteration in which it took the last generation up. */
uint64_t world_reload_busy(const struct world *world);

/* A device connects (TCP only) from source address `source` (0..WORLD_SOURCES-1). */
struct world_device *world_connect(struct world *world, uint32_t source);
/* Sends bytes; they leave as one segment (at most 1,400). */
void world_send(struct world_device *device, const void *bytes, size_t n);
/* Sends a CONNECT for client id and waits for the CONNACK. */
bool world_login(struct world *world, struct world_device *device, const char *client_id, uint8_t version);
/* What came back since the last call; at most 4 KiB is kept, more is counted. */
size_t world_received(struct world_device *device, uint8_t *to, size_t room);
uint64_t world_received_total(const struct world_device *device);
bool world_open(const struct world_device *device);
void world_hang_up(struct world_device *device, bool reset);
/* A deaf device reads nothing, so that its window closes. */
void world_deafen(struct world_device *device, bool deaf);

/* The cloud sends bytes on the connection of its `index`-th client (in the order of CONNECT). */
bool world_cloud_send(struct world *world, uint32_t index, const void *bytes, size_t n);
/* A silent cloud answers nothing; a deaf one does not even read. */
void world_cloud_behave(struct world *world, bool silent, bool deaf);
/* Bytes under the TLS of the connection that the cloud accepted last; false when it is gone. */
bool world_cloud_send_raw(struct world *world, const void *bytes, size_t n);
/* The cloud ends that connection, in order or not. */
void world_cloud_hang_up(struct world *world, bool reset);
/* A raw frame toward the gateway: side 0 the devices', 1 the cloud's. And one that came out there and no peer
 * wanted: its length, 0 for none. */
/* A RST in the name of a device's connection, from another MAC and from a VLAN. */
void world_stray(struct world_device *device, uint16_t vlan);
void world_inject(struct world *world, uint32_t side, const void *frame, size_t n);

#endif
