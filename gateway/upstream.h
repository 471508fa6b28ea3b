/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which server of an upstream to connect to (A7), and from which local port.
 *
 * Servers are used in the order written, or in turn (balance = "round-robin"). One that failed is passed over
 * for a time that doubles from 1 s to 60 s with jitter; one that active checks found sick (health_check.h),
 * until they find it healthy again, which also forgives its failures. When all are out, the one is tried
 * whose time ends first, a sick one last of all: being wrong about all of them must not close the gateway.
 * What counts as a failure is for the caller: only what the server is to blame for, or a single device could
 * shut the others out. Local ports carry the worker's number in their value modulo the number of workers, so
 * that return traffic can be steered by looking at the port alone (decision 3); their order is a secret (RFC
 * 6056). One per worker; verdicts are shared.
 */
#ifndef GATEWAY_UPSTREAM_H
#define GATEWAY_UPSTREAM_H

#include "config/gateway_config.h"
#include "dataplane/address.h"
#include "gateway/port_order.h"

#include <stdatomic.h>

#define UPSTREAM_PORT_FIRST 16384
#define UPSTREAM_PORT_LAST 65535

#define UPSTREAM_NONE UINT8_MAX

/* What active checks say of a server. */
enum upstream_verdict {
    UPSTREAM_UNCHECKED = 0,
    UPSTREAM_HEALTHY,
    UPSTREAM_SICK,
};

/* Written by worker 0, read by all, each byte by itself. */
typedef _Atomic uint8_t upstream_verdicts[GATEWAY_UPSTREAMS_MAX][GATEWAY_SERVERS_MAX];

struct upstream_server_state {
    struct config_server server; /* whose state this is; another address starts afresh */
    uint32_t failures;           /* in a row */
    uint64_t out_until_us;       /* 0: in */
    uint8_t verdict;             /* enum upstream_verdict, as last looked at */
};

struct upstream_set {
    uint32_t random; /* jitter and first port */
    uint32_t worker;
    uint32_t workers;
    uint32_t next_port; /* its place in the order */
    struct port_order ports;
    upstream_verdicts *verdicts;         /* borrowed; NULL: nobody checks */
    uint8_t turn[GATEWAY_UPSTREAMS_MAX]; /* of round robin */
    struct upstream_server_state state[GATEWAY_UPSTREAMS_MAX][GATEWAY_SERVERS_MAX];
};

void upstream_set_init(struct upstream_set *set, uint32_t worker, uint32_t workers, const uint8_t secret[16]);
/* Takes over what a new configuration says: state of servers that stayed is kept. */
void upstream_set_update(struct upstream_set *set, const struct gateway_config *config);
/* The server to use now, of those whose bits in `tried` are not set; UPSTREAM_NONE when none is left. */
uint8_t upstream_pick(struct upstream_set *set, const struct config_upstream *upstream, uint32_t index,
                      uint8_t tried, uint64_t now_us);
void upstream_result(struct upstream_set *set, uint32_t index, uint8_t server, bool good, uint64_t now_us);
/* True when the server is not passed over at the moment. */
bool upstream_up(struct upstream_set *set, uint32_t index, uint8_t server, uint64_t now_us);
/* The next candidate for a local port of this worker; call again while it is in use. */
uint16_t upstream_next_port(struct upstream_set *set);

#endif
