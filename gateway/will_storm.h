/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many devices lost at once: each ungraceful end makes the upstream publish a Will, and a run of them is
 * worth an alert (D10). Counts ends against a rate ("100/min"): the alert is raised when more come than that,
 * once, and lowered when a whole burst would pass again. Control thread; time is given.
 */
#ifndef GATEWAY_WILL_STORM_H
#define GATEWAY_WILL_STORM_H

#include "policy/access/rate_limit.h"

struct will_storm {
    struct rate_bucket bucket;
    uint64_t seen;  /* ends counted so far */
    uint64_t since; /* of those, before the storm began */
    bool raised;
};

/* `ends` is the count since the start, which only grows. True when the alert is to be told now. */
bool will_storm_feed(struct will_storm *storm, const struct rate *threshold, uint64_t ends, uint64_t now_us);
/* Ends since the storm was raised, itself included; 0 when none is on. */
uint64_t will_storm_ends(const struct will_storm *storm);

#endif
