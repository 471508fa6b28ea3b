/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event file: ECS 8.11 JSON lines (H2, operators' surface 2.7). The control thread drains every worker's
 * ring into it, folds repeats and flushes; a full disk or a slow one loses events, counted, and never slows
 * packets.
 *
 * Folding: an event that equals an earlier one of the last second (kind, outcome, session or source, topic,
 * rule) is not written but counted; when the second is over one line with sallyport.repeats tells how many.
 * Sequence numbers have no gaps except where lines were lost.
 */
#ifndef GATEWAY_EVENT_LOG_H
#define GATEWAY_EVENT_LOG_H

#include "gateway/event.h"

#include <stdio.h>

struct event_log;

#define EVENT_RULESETS 8

/* Which policy a generation was. */
struct event_ruleset {
    uint32_t number;
    char fingerprint[9];
};

struct event_log_config {
    const char *file;     /* NULL: nothing is written */
    const char *observer; /* the gateway's name */
    const char *version;
    const struct event_ruleset *rulesets; /* EVENT_RULESETS of them, or NULL; the log has its own */
};

/* Opens (appends). NULL only without memory; a file that cannot be opened is reported by event_log_error and
 * tried again at reopen. */
struct event_log *event_log_create(const struct event_log_config *config);
void event_log_destroy(struct event_log *log);
/* For log rotation (SIGUSR1), and to change the file. When it cannot be opened, the old one stays. */
void event_log_reopen(struct event_log *log, const struct event_log_config *config);
/* From now on events of generation `number` tell this fingerprint of its policy too. */
void event_log_ruleset(struct event_log *log, uint32_t number, const char *fingerprint);
/* From now on `wrote` is told of each line, with its sequence number; of what was folded, as it is written.
 * NULL: nobody is. */
void event_log_watch(struct event_log *log,
                     void (*wrote)(void *owner, const struct event *event, uint64_t sequence), void *owner);
/* Takes everything out of a ring. `now_us` of this and of event_log_tick: gateway_monotonic_us; by a clock
 * that can be set back a folding would last for hours. */
void event_log_drain(struct event_log *log, struct event_ring *ring, uint64_t now_us);
/* Writes an event of the control thread's own. */
void event_log_write(struct event_log *log, const struct event *event);
/* Ends foldings that are over and flushes to the file. Call a few times a second. */
void event_log_tick(struct event_log *log, uint64_t now_us);
/* errno of the last failure, 0 when well; lines lost because of failures. */
int event_log_error(const struct event_log *log);
uint64_t event_log_lost(const struct event_log *log);
uint64_t event_log_written(const struct event_log *log);

/* One event as a JSON line without newline; false when it does not fit (it always fits 8 KiB). */
bool event_format(const struct event *event, const struct event_log_config *config, uint64_t sequence,
                  char *to, size_t room);

#endif
