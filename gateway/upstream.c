/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/upstream.h"

#include "gateway/jitter.h"

#define OUT_FIRST_US UINT64_C(1000000)
#define OUT_MOST_US UINT64_C(60000000)

void upstream_set_init(struct upstream_set *set, uint32_t worker, uint32_t workers, const uint8_t secret[16])
{
    uint32_t seed;
    memset(set, 0, sizeof(*set));
    port_order_init(&set->ports, (UPSTREAM_PORT_LAST - UPSTREAM_PORT_FIRST + 1) / workers, secret);
    memcpy(&seed, secret, sizeof(seed));
    set->random = seed == 0 ? 1 : seed;
    set->worker = worker;
    set->workers = workers;
    set->next_port = jitter_next(&set->random) % set->ports.n;
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
            *state = (struct upstream_server_state){.server = *server}; /* and its verdict is another's */
        }
}

/* Looks at the verdict of active checks: a server that has recovered starts afresh. */
static bool is_sick(struct upstream_set *set, uint32_t index, uint8_t server)
{
    struct upstream_server_state *state = &set->state[index][server];
    uint8_t verdict = set->verdicts == NULL
                          ? UPSTREAM_UNCHECKED
                          : atomic_load_explicit(&(*set->verdicts)[index][server], memory_order_relaxed);
    if (verdict == UPSTREAM_HEALTHY && state->verdict == UPSTREAM_SICK) {
        state->failures = 0;
        state->out_until_us = 0;
    }
    state->verdict = verdict;
    return verdict == UPSTREAM_SICK;
}

bool upstream_up(struct upstream_set *set, uint32_t index, uint8_t server, uint64_t now_us)
{
    return !is_sick(set, index, server) && set->state[index][server].out_until_us <= now_us;
}

/* Whether `a` is to be tried before `b` when both are out. */
static bool sooner(const struct upstream_server_state *a, const struct upstream_server_state *b)
{
    bool a_sick = a->verdict == UPSTREAM_SICK, b_sick = b->verdict == UPSTREAM_SICK;
    return a_sick != b_sick ? b_sick : a->out_until_us < b->out_until_us;
}

uint8_t upstream_pick(struct upstream_set *set, const struct config_upstream *upstream, uint32_t index,
                      uint8_t tried, uint64_t now_us)
{
    uint8_t n = (uint8_t)upstream->servers_n, soonest = UPSTREAM_NONE;
    uint8_t first = upstream->balance == CONFIG_ROUND_ROBIN && n > 0 ? (uint8_t)(set->turn[index] % n) : 0;
    for (uint8_t i = 0; i < n; i++) {
        uint8_t s = (uint8_t)((first + i) % n);
        if ((tried >> s & 1) != 0)
            continue;
        if (upstream_up(set, index, s, now_us)) {
            set->turn[index] = (uint8_t)(s + 1);
            return s;
        }
        if (soonest == UPSTREAM_NONE || sooner(&set->state[index][s], &set->state[index][soonest]))
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
    state->out_until_us = now_us + out_us * 3 / 4 + jitter_next(&set->random) % (out_us / 2);
}

uint16_t upstream_next_port(struct upstream_set *set)
{
    set->next_port = (set->next_port + 1) % set->ports.n;
    uint32_t number = port_order_at(&set->ports, set->next_port);
    return (uint16_t)(UPSTREAM_PORT_FIRST + number * set->workers + set->worker);
}
