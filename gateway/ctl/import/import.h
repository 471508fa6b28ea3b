/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a broker's own access control says, in a form from which a policy can be written (H5).
 *
 * Readers (mosquitto_conf.h, mosquitto_acl.h, mosquitto_dynsec.h) fill an import_site: per group of clients
 * an ordered list of entries, asked from the first to the last as the broker does, and the first that fits
 * decides. import_resolve.h turns each list into rules of which every deny wins; import_write.h writes them
 * down with the policy's tests, whose expectations come from the lists and not from the rules.
 *
 * What cannot be carried over exactly is told as a warning at its line and comes out narrower, never wider;
 * what would change who decides (other plugins, mount points) or cannot be read is an error, and then nothing
 * is written. Everything lives in the arena of the run. One thread, no gateway, no privileges; every size has
 * a cap below.
 */
#ifndef GATEWAY_CTL_IMPORT_IMPORT_H
#define GATEWAY_CTL_IMPORT_IMPORT_H

#include "config/arena.h"
#include "config/diagnostics.h"

#define IMPORT_FILE_BYTES_MAX (16u << 20)
#define IMPORT_LINE_BYTES_MAX 8192u
#define IMPORT_ENTRIES_MAX 100000u
#define IMPORT_ROLES_MAX 4096u
#define IMPORT_RULES_MAX                                                                                     \
    200000u /* of all roles: patterns are written for each user that has lines of its own */
#define IMPORT_LISTENERS_MAX 32u
#define IMPORT_INCLUDES_MAX 64u
#define IMPORT_TESTS_MAX 4000u
#define IMPORT_SAMPLES_MAX 8u
#define IMPORT_ALLOWS_COMPARED_MAX 4096u /* entries of one role when some of them deny */

/* In filters: the client identifier and the user name of who asks. Control characters are refused in what is
 * read, so that nothing else can mean them. */
#define IMPORT_CLIENT_ID '\x01'
#define IMPORT_USER '\x02'

#define IMPORT_PUBLISH 1u
#define IMPORT_RECEIVE 2u
#define IMPORT_BOTH 3u
#define IMPORT_SUBSCRIBE 4u /* where the broker judges subscriptions by lists of their own */

struct import_run {
    struct arena *arena;
    struct diagnostics *d;
    uint32_t samples_n;
    const char *samples[IMPORT_SAMPLES_MAX]; /* users whose names the tests try, beside those in the files */
};

struct import_entry {
    const char *filter;
    const char *file;
    uint32_t line;      /* 0: the file has no lines to speak of (JSON) */
    const char *origin; /* for the comment: "acl:17" */
    uint8_t actions;
    bool allow;
};

struct import_entries {
    struct import_entry *at;
    uint32_t n, room;
};

enum import_who {
    IMPORT_NAMED = 0, /* one user */
    IMPORT_OTHERS,    /* any other user name */
    IMPORT_ANONYMOUS, /* no user name */
};

/* Clients that are judged alike. */
struct import_role {
    enum import_who who;
    const char *user;      /* of IMPORT_NAMED */
    const char *client_id; /* the only one it may use; NULL: any */
    const char *listener;  /* NULL: all */
    bool by_certificate;   /* the user is the CN of the certificate */
    bool by_psk;           /* the user is the PSK identity */
    bool needs_certificate;
    bool judges_subscriptions;   /* a delivery needs a subscription that is granted, too */
    bool has_patterns;           /* asked only when names are safe in a topic */
    struct import_entries lists; /* asked in order; the first that fits and is about the action decides */
    struct import_entries rules; /* what import_resolve made of it: any deny wins */
    bool trim;                   /* subscriptions may be wider than what the broker grants */
    bool except; /* what is denied is cut out of subscriptions, which are as the broker grants */
    const char *name;
    const char *origin; /* for the comment above the role */
};

struct import_listener {
    const char *name;
    const char *file;
    uint32_t line;
    uint16_t port;
    const char *address; /* NULL: any */
    bool tls, require_certificate, certificate_is_user;
    bool anonymous;
    bool passwords; /* a file or a plugin knows users */
    bool only_1_3;
    const char *certificate, *key, *client_ca, *crl;
    bool keys, key_is_user; /* clients prove a pre-shared key; its identity is the user name */
    const char **psk;       /* lines "identity:key" */
    uint32_t psk_n;
    const char *psk_file; /* where they are written; NULL: not yet known */
    uint32_t max_qos;
};

struct import_site {
    struct import_listener *listeners;
    uint32_t listeners_n;
    struct import_role *roles;
    uint32_t roles_n, roles_room;
    const char *users_file; /* NULL: none, or `users` is written to a new one */
    const char **users;     /* lines "name:$7$..." */
    uint32_t users_n, users_room;
    uint32_t max_inflight, max_queued, keepalive_max_s, expiry_s, packet_bytes, payload_max; /* 0: not said */
    bool unlimited_inflight;
};

/* Tells; `line` 0 is the file as a whole. */
void import_tell(struct import_run *run, enum diagnostic_level level, const char *file, uint32_t line,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Appends a copy; false, told, when there are too many or no memory. */
bool import_add(struct import_run *run, struct import_entries *to, const struct import_entry *entry);
struct import_role *import_add_role(struct import_run *run, struct import_site *site);
bool import_add_user(struct import_run *run, struct import_site *site, const char *line);

/* A file as text, NUL-terminated; NULL, told at `from`, when it cannot be read whole, is no regular file, is
 * too large, or holds NUL. `*n` are its bytes. */
char *import_read(struct import_run *run, const char *path, struct config_origin from, size_t *n);

/* The lines of a text: each without its end (LF, CR LF). */
struct import_lines {
    char *at;
    uint32_t line; /* of the last one that was answered, from 1 */
};
/* Cuts the next line off in place; NULL at the end. */
char *import_next_line(struct import_lines *lines, size_t *length);

/* NULL when a filter can be carried over, else why not. */
const char *import_filter_problem(const char *filter);

#endif
