/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cloud of a world: a broker of a hundred lines over streams, with or without TLS (a wolfSSL server). It
 * answers CONNECT, acknowledges QoS 1, and counts. */
#ifndef TESTS_SCENARIO_CLOUD_H
#define TESTS_SCENARIO_CLOUD_H

#include "dataplane/stream.h"
#include "tests/scenario/world.h"

struct cloud;

/* ca.pem, server.pem/.key for broker.cloud.example, device.pem/.key in `folder`, by the openssl command. */
bool cloud_make_pki(const char *folder);
/* `folder` with the PKI, or NULL for plain. */
struct cloud *cloud_create(const char *folder, bool quiet);
void cloud_destroy(struct cloud *cloud);
void cloud_accept(struct cloud *cloud, struct stream *stream);
/* Lets answers leave. */
void cloud_flush(struct cloud *cloud);
const struct world_cloud *cloud_seen(const struct cloud *cloud);
bool cloud_send(struct cloud *cloud, uint32_t index, const void *bytes, size_t n);
/* See world_cloud_behave, world_cloud_send_raw, world_cloud_hang_up. */
void cloud_behave(struct cloud *cloud, bool silent, bool deaf);
bool cloud_send_raw(struct cloud *cloud, const void *bytes, size_t n);
void cloud_hang_up(struct cloud *cloud, bool reset);

#endif
