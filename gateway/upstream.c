/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/upstream.h"

#define OUT_FIRST_US UINT64_C(1000000)
#define OUT_MOST_US UINT64_C(60000000)

/* xorshift32: jitter and port order need no secrecy, initial sequence numbers carry that. */
static uint32_t next_random(struct upstream_set *set)
{
    uint32_t x = set->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    set->random = x;
    return x;
}

void upstream_set_init(struct upstream_set *set, uint32_t worker, uint32_t workers, uint32_t seed)
{
    memset(set, 0, sizeof(*set));
    set->random = seed == 0 ? 1 : seed;
    set->worker = worker;
    set->workers = workers;
    set->next_port = next_random(set) % (UPSTREAM_PORT_LAST - UPSTREAM_PORT_FIRST + 1);
}

void upstream_set_update(struct upstream_set *set, const struct gateway_config *config)
{
    for (uint32_t i = 0; i < config->upstreams_n; i++)
        for (uint32_t s = 0; s < config->upstreams[i].servers_n; s++) {
            struct upstream_server_state *state = &set->state[i][s];
            const struct config_server *server = &config->upstreams[i].servers[s];
            if (memcmp(state->server.address, server->address, sizeof(server->address)) == 0 &&
                state->server.port == server->port)
                continue;
            *state = (struct upstream_server_state){.server = *server};
        }
}

bool upstream_up(const struct upstream_set *set, uint32_t index, uint8_t server, uint64_t now_us)
{
    return set->state[index][server].out_until_us <= now_us;
}

uint8_t upstream_pick(const struct upstream_set *set, const struct config_upstream *upstream, uint32_t index,
                      uint64_t now_us)
{
    uint8_t soonest = 0;
    for (uint8_t s = 0; s < upstream->servers_n; s++) {
        if (upstream_up(set, index, s, now_us))
            return s;
        if (set->state[index][s].out_until_us < set->state[index][soonest].out_until_us)
            soonest = s;
    }
    return soonest;
}

void upstream_result(struct upstream_set *set, uint32_t index, uint8_t server, bool good, uint64_t now_us)
{
    if (index >= GATEWAY_UPSTREAMS_MAX || server >= GATEWAY_SERVERS_MAX)
        return;
    struct upstream_server_state *state = &set->state[index][server];
    if (good) {
        state->failures = 0;
        state->out_until_us = 0;
        return;
    }
    uint32_t doublings = state->failures < 6 ? state->failures : 6;
    state->failures++;
    uint64_t out_us = OUT_FIRST_US << doublings;
    if (out_us > OUT_MOST_US)
        out_us = OUT_MOST_US;
    /* Between three and five quarters, so that gateways do not return in step. */
    state->out_until_us = now_us + out_us * 3 / 4 + next_random(set) % (out_us / 2);
}

uint16_t upstream_next_port(struct upstream_set *set)
{
    uint32_t span = UPSTREAM_PORT_LAST - UPSTREAM_PORT_FIRST + 1;
    uint32_t per_worker = span / set->workers;
    set->next_port = (set->next_port + 1) % per_worker;
    return (uint16_t)(UPSTREAM_PORT_FIRST + set->next_port * set->workers + set->worker);
}
