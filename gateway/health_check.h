/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Active checks of upstream servers (A7): whether each would serve a client if one came now.
 *
 * Owned by worker 0; the verdicts are for all workers, who read them without a lock (upstream.h). Every
 * server of an upstream that asks for a check is dialled once an interval, the servers of one upstream spread
 * over it, with jitter so that gateways do not check in step:
 *
 *   tcp         a connection opens
 *   tls         a TLS session opens: the server's certificate is as it must be, ours is taken
 *   mqtt-ping   over that, CONNECT (3.1.1, clean session, as `check_id`) is accepted and PINGREQ answered
 *
 * `fall` failures in a row make a healthy server sick, `rise` successes a sick one healthy; the first check
 * decides alone. A check that takes longer than the upstream's connect_timeout has failed. Changes are told
 * once. One check of a server at a time; its memory is part of the table.
 */
#ifndef GATEWAY_HEALTH_CHECK_H
#define GATEWAY_HEALTH_CHECK_H

#include "config/gateway_config.h"
#include "dataplane/stream.h"
#include "dataplane/timer_wheel.h"
#include "gateway/upstream.h"

#define HEALTH_REASON_MAX 96

struct health_checks;

struct health_checks_config {
    struct timer_wheel *timers;  /* borrowed */
    const uint64_t *now_us;      /* the worker's loop time */
    uint32_t seed;               /* jitter */
    upstream_verdicts *verdicts; /* written here, read by all workers */
    /* Opens a stream to that server, TLS included when `secure`; NULL when it cannot even be tried. */
    struct stream *(*dial)(void *worker, uint32_t upstream, uint8_t server, bool secure, const char *identity,
                           const struct stream_handler *handler, void *owner);
    /* A server has become healthy or sick; `why` only for the latter. */
    void (*changed)(void *worker, uint32_t upstream, uint8_t server, enum upstream_verdict verdict,
                    const char *why);
    void *worker;
};

struct health_report {
    uint8_t verdict;             /* enum upstream_verdict */
    uint32_t rtt_us;             /* of the last good check, from dialling to its end */
    uint64_t since_us;           /* of the verdict */
    char why[HEALTH_REASON_MAX]; /* of the last bad one */
};

/* NULL without memory. */
struct health_checks *health_checks_create(const struct health_checks_config *config);
/* Aborts what is under way. NULL is ignored. */
void health_checks_destroy(struct health_checks *checks);
/* What a new configuration asks for: verdicts about servers that stayed are kept. The configuration must live
 * until the next update. */
void health_checks_update(struct health_checks *checks, const struct gateway_config *config);
void health_checks_report(const struct health_checks *checks, uint32_t upstream, uint8_t server,
                          struct health_report *out);

#endif
