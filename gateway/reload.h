/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reload (G2, G3): load, check and compile the files as a new generation off the packet path, publish it with
 * one atomic store, and retire the old one when no worker can hold it any more. On any error the old
 * generation stays, complete, and an event and a metric say so with file and line. Control thread; reloads
 * are therefore never concurrent.
 */
#ifndef GATEWAY_RELOAD_H
#define GATEWAY_RELOAD_H

#include "gateway/gateway.h"

/*
 * Reloads for `user` (who asked, for the event). What there is to say (every error line, or what changed) is
 * written to `report`. True when the new generation is in force.
 */
bool reload_run(struct gateway *gateway, const char *user, FILE *report);
/* True when every worker runs the current generation and has re-judged its sessions. */
bool reload_settled(struct gateway *gateway);
/* Destroys retired generations that nobody can hold; with `wait`, after waiting for the workers (they must be
 * running or offline). */
void reload_retire(struct gateway *gateway, bool wait);
/* Prints diagnostics, one a line, and the count line of G1; `running` is 0 when nothing is in force. */
void reload_print(const struct diagnostics *d, uint32_t running, FILE *to);

#endif
