/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy file of what was learned (policy/learn/mining.h): the policy in force, in which the learned roles
 * observe and allow what was proposed for them instead of what they allowed before, with a test for each
 * proposal from what was seen, and one that another client's topic is refused.
 *
 * A role of which nothing was found stays as it is: to observe without rules is not what anybody learned.
 * What stays of another: who it is, limits, `deny` rules, and everything else but `allow` rules and
 * `mode`. What was found and is not proposed is told in comments. Tests of the policy in force stay as they
 * are; one that does not hold any more becomes a comment that says so.
 *
 * Works on the effective configuration as it is kept (print.h), whose lines and indentation are known, so
 * that nothing has to be understood that is not changed. Topics come from attackers: what is written is
 * escaped, and a text that a rule cannot hold is no proposal. Control thread; allocates.
 */
#ifndef CONFIG_LEARNED_POLICY_H
#define CONFIG_LEARNED_POLICY_H

#include "config/diagnostics.h"
#include "policy/learn/mining.h"

#define LEARNED_TOLD_MAX 20 /* findings that are not proposed, in comments of a role */

struct learned_role {
    const char *name;
    const struct mined *mined;
    uint64_t since_us, until_us; /* CLOCK_REALTIME */
    bool found;                  /* set: the policy has such a role, */
    bool left;                   /* and nothing was found of it: it is written as it was */
};

struct learned_test {
    uint32_t first_line, last_line; /* where it is in the text */
    bool old;                       /* of the policy in force */
    bool dropped;                   /* it does not hold any more: it is a comment */
    char *at;                       /* its lines; owned */
};

struct learned_policy {
    char *at; /* the whole configuration; the policy alone begins at policy_at */
    size_t len;
    size_t policy_at;
    uint32_t rules, tests_positive, tests_negative, tests_dropped;
    uint32_t tests_n;
    struct learned_test *test;
};

/* Makes it of the kept text. False without memory, or when the text is not one that print.h wrote. */
bool learned_policy_make(const char *kept, size_t len, struct learned_role *roles, uint32_t n,
                         struct learned_policy *out);
/*
 * Loads the whole text from the file at `path`, to which the caller wrote it, without any effect. True when
 * it loads; else all that is wrong is in `d`, and tests that fail are `dropped` (*dropped: how many now are):
 * then learned_policy_rewrite makes the text anew, for another check.
 */
bool learned_policy_check(struct learned_policy *policy, const char *path, struct diagnostics *d,
                          uint32_t *dropped);
bool learned_policy_rewrite(const char *kept, size_t len, struct learned_role *roles, uint32_t n,
                            struct learned_policy *policy);
void learned_policy_fini(struct learned_policy *policy);

#endif
