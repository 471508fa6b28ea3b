/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is allowed: all .conf files of policy.d into an immutable snapshot, all or nothing (G1, G5; operators'
 * surface 2.3a to 2.5).
 *
 * Every file ending in .conf of the directory is read, in byte order of names (libconfig's @include takes no
 * wildcard); roles, devices and tests of all files are joined in that order. Listener, port and upstream
 * names are checked against the gateway's configuration. The policy's own `tests` are run on the compiled
 * snapshot; a failing one is an error at its line. A sallyport.conf that holds roles itself is read instead
 * of the directory. Control thread.
 */
#ifndef CONFIG_POLICY_CONFIG_H
#define CONFIG_POLICY_CONFIG_H

#include "config/print.h"
#include "policy/access/snapshot.h"

#define POLICY_PATH_MAX 512

struct policy_summary {
    uint32_t files;
    uint32_t roles;
    uint32_t rules;
    uint32_t devices;
    uint32_t tests;
    uint32_t tests_passed;
    char users_file[POLICY_PATH_MAX]; /* empty: none */
};

/*
 * NULL when the policy has any error; all of them are in `d`. The snapshot is the caller's to destroy.
 * `directory` is NULL when the policy must be in sallyport.conf itself. `gateway` may come from
 * gateway_config_read; NULL checks as much as can be told without it, and answers
 * NULL.
 */
struct snapshot *policy_config_load(const char *directory, const struct gateway_config *gateway,
                                    uint32_t generation, struct diagnostics *d,
                                    struct policy_summary *summary);

/* What more is wanted of a load. */
struct policy_wishes {
    enum config_print_style style;
    struct config_text *text; /* without an error: the effective configuration, from just what was loaded */
    FILE *tests; /* a line for each of the policy's tests; NULL: only failures are told, in `d` */
};
struct snapshot *policy_config_load_with(const char *directory, const struct gateway_config *gateway,
                                         uint32_t generation, struct diagnostics *d,
                                         struct policy_summary *summary, const struct policy_wishes *wishes);

#endif
