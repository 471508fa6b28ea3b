/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reload (G2, G3): load, check and compile the files as a new generation off the packet path, publish it with
 * one atomic store, and retire the old one when no worker can hold it any more. On any error the old
 * generation stays, complete, and an event and a counter say so with file and line. Control thread; reloads
 * are therefore never concurrent.
 *
 * A generation that is to be confirmed is in force like any other, but the one before stays at hand, and
 * comes back by itself when the time is over (reload_tick). Until then more reloads may follow: what comes
 * back is always the last one that was confirmed. What is in force instead of the files (because it came
 * back, or was restored from the history) stays so over a restart, until a reload of the files succeeds.
 */
#ifndef GATEWAY_RELOAD_H
#define GATEWAY_RELOAD_H

#include "gateway/gateway.h"
#include "policy/access/snapshot_compare.h"

struct reload_request {
    const char *user;     /* who asked, for the event */
    uint64_t confirm_us;  /* 0: it is final */
    const char *file;     /* a configuration in place of the operator's; NULL: these files */
    const char *policy;   /* likewise its directory of policies */
    const char *sha256;   /* refused unless that is what it is, and the history keeps it; NULL: anything */
    const char *promoted; /* what to call it: it is in force instead of the files; NULL: it is these */
    uint32_t restore;     /* number of an entry of the history, instead of the files; 0: the files */
};

/*
 * Reloads. What there is to say (every error line, or what changed) is written to `report`. True when the new
 * generation is in force.
 */
bool reload_run(struct gateway *gateway, const struct reload_request *request, FILE *report);
/* What is in force stays. False when nothing waits for it. */
bool reload_confirm(struct gateway *gateway, const char *user);
/* Once every worker runs a generation and has re-judged its sessions (gateway_reload.obeyed): what became of
 * them, one line. */
void reload_print_settled(const struct gateway *gateway, FILE *to);
/* Whatever is due: the way back, the event that all obey. */
void reload_tick(struct gateway *gateway);
/* Destroys retired generations that nobody can hold; with `wait`, after waiting for the workers (they must be
 * running or offline). */
void reload_retire(struct gateway *gateway, bool wait);
/* Prints diagnostics, one a line, and the count line of G1; `running` is 0 when nothing is in force. */
void reload_print(const struct diagnostics *d, uint32_t running, FILE *to);
/* "rules +1 -0 ~2, devices +0 -1 ~0, limits ~1", or that nothing did; answers `to`. */
const char *reload_changes(const struct snapshot_changes *changes, char *to, size_t room);
/* The first generation, before there are workers: the files', or what was in force instead of them. NULL when
 * it is refused; everything was said to `report`. */
struct generation *reload_first(struct gateway *gateway, FILE *report);
/* Refreshes what metrics.h tells of the policy. */
void reload_metrics(const struct gateway *gateway);
/* What an operator should know of the policy in force, one line each behind "attention ! ". */
void reload_attention(const struct gateway *gateway, FILE *to);

#endif
