/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a played worker of CoAP relays answers when nothing depends on it (gateway/relay_coap.h): one server,
 * one size of datagrams, and no interest in how it went. For unit tests, the fuzz target and the bench. */
#ifndef TESTS_UNIT_COAP_WORKER_H
#define TESTS_UNIT_COAP_WORKER_H

#include "gateway/relay_coap.h"

static inline uint16_t coap_worker_datagram_max(void *worker, const struct flow_key *key, uint32_t path)
{
    (void)worker;
    (void)key;
    (void)path;
    return 1472;
}

static inline uint8_t coap_worker_pick(void *worker, uint32_t upstream)
{
    (void)worker;
    (void)upstream;
    return 0;
}

static inline void coap_worker_result(void *worker, uint32_t upstream, uint8_t server, bool good)
{
    (void)worker;
    (void)upstream;
    (void)server;
    (void)good;
}

#endif
