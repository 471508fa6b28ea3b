/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The running gateway as the control thread sees it: options, the generation in force, workers, ports, the
 * event log. Brought up in stages, each undone in reverse when a later one fails. Control thread only; what
 * workers share is in worker_shared.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/event_log.h"
#include "gateway/generation.h"
#include "gateway/learn.h"
#include "gateway/quarantine.h"
#include "gateway/refusals.h"
#include "gateway/will_storm.h"
#include "gateway/worker.h"

#define GATEWAY_VERSION "0.1.0"
#define GATEWAY_RETIRED_MAX 8

enum gateway_exit {
    GATEWAY_EXIT_OK = 0,
    GATEWAY_EXIT_FAULT = 1,
    GATEWAY_EXIT_USAGE = 64,
    GATEWAY_EXIT_DEVICE = 69,
    GATEWAY_EXIT_PERMISSION = 77,
    GATEWAY_EXIT_CONFIG = 78,
};

struct gateway_options {
    const char *config_file;
    const char *policy_directory;
    bool foreground; /* -f: log to stderr */
    bool no_huge;
    int verbosity;    /* -1 quiet, 0, 1 */
    char *const *eal; /* after "--" */
    uint32_t eal_n;
    const char *program;
};

/* A replaced generation, destroyed when every worker has reported quiescence past `token`. */
struct gateway_retired {
    struct generation *generation;
    uint64_t token;
};

/* Sessions that obey the generation in force, as counted by all workers. */
struct gateway_obeyed {
    uint64_t kept, closed, taken_back;
};

/* What a reload leaves to be done; see reload.h. */
struct gateway_reload {
    struct generation *fallback;      /* comes back unless the one in force is confirmed; NULL: it is */
    uint64_t confirm_until_us;        /* gateway_monotonic_us */
    uint64_t published, obeyed;       /* how many have been put in force; the last one that all obey */
    struct gateway_obeyed base, done; /* counted before it was published; and since, once all obey */
    uint64_t good_at_us;              /* CLOCK_REALTIME of the last one that succeeded; 0: none */
    char away[160];                   /* why what is in force is not what the files say; empty: it is */
    char unkept[160];                 /* why the history lacks it; empty: it does not */
};

/* The same of a list of quarantined clients. */
struct gateway_old_list {
    struct quarantine *list;
    uint64_t token;
};

/* The same of a candidate. */
struct gateway_old_candidate {
    struct candidate *candidate;
    uint64_t token;
};

struct gateway {
    const struct gateway_options *options;
    struct generation *generation;
    uint32_t next_number;
    uint32_t retired_n;
    struct gateway_retired retired[GATEWAY_RETIRED_MAX];
    struct quarantine *quarantine; /* in force */
    uint32_t old_lists_n;
    struct gateway_old_list old_lists[GATEWAY_RETIRED_MAX];
    struct candidate *candidate; /* NULL: there is none */
    uint64_t candidates;         /* how many there were */
    uint32_t old_candidates_n;
    struct gateway_old_candidate old_candidates[GATEWAY_RETIRED_MAX];
    struct worker_shared shared;
    uint32_t workers_n;
    struct worker *workers[WORKERS_MAX];
    unsigned int lcores[WORKERS_MAX];
    uint32_t ports_n;
    struct port ports[PORT_MAX];
    struct event_log *log;
    struct refusals *refusals; /* the last lines of it that are one */
    struct will_storm will_storm;
    struct learn learn;
    uint64_t started_us;  /* CLOCK_REALTIME */
    uint64_t up_since_us; /* gateway_monotonic_us */
    uint64_t reloads_good, reloads_refused, reloads_returned;
    bool last_reload_good;
    struct gateway_reload reload;
    bool draining;
    bool stop;
};

/* Wall time is for people and files: it may be set at any moment, also back. What waits or measures goes by
 * the other. */
uint64_t gateway_wall_us(void);
uint64_t gateway_monotonic_us(void);
/* Seconds from a wall time until now; 0 when the clock was set back past it. */
uint64_t gateway_seconds_since(uint64_t wall_us);
/* One line for the operator: to stderr with -f, to syslog otherwise; level 0 says it, 1 only with -v. */
void gateway_say(const struct gateway *gateway, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Brings everything up, workers running. An enum gateway_exit; on failure nothing is left behind and the
 * reason was said. */
int gateway_start(struct gateway *gateway, const struct gateway_options *options);
/* Gives up what is not needed any more (confine.h), unless the settings say "none"; once, when the control
 * socket is open. An enum gateway_exit. */
int gateway_confine(struct gateway *gateway);
/* Stops workers and frees all. */
void gateway_stop(struct gateway *gateway);

/* Asks worker `index` for its counters; false when it does not answer. */
bool gateway_stats(struct gateway *gateway, uint32_t index, struct worker_stats *out);
/* An event of the control thread, with the time filled in. */
void gateway_event(struct gateway *gateway, enum event_kind kind, enum outcome outcome, const char *user,
                   const char *detail);
void gateway_event_revision(struct gateway *gateway, enum event_kind kind, const char *user,
                            const char *detail, const struct event_revision *revision);
/* Makes the event log that of the generation in force. */
void gateway_open_log(struct gateway *gateway);
/* Makes a list the one that workers obey, and its own; it takes effect in a worker's next iteration. */
void gateway_publish_quarantine(struct gateway *gateway, struct quarantine *next);
/* Writes down what events workers have put in their rings; for errand.h, of a struct gateway. */
void gateway_drain_events(void *gateway);
/* Drains event rings, retires generations, refreshes metrics: every 50 ms. */
void gateway_tick(struct gateway *gateway);

#endif
