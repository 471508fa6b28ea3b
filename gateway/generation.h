/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that one reload replaces, under one number: settings, policy snapshot, TLS contexts (G2,
 * decision 7).
 *
 * Made and destroyed by the control thread. Workers read the current pointer once per loop iteration and
 * report quiescence after it (rte_rcu_qsbr), so a generation lives until no worker can hold it. What must
 * live longer than an iteration is copied (identity) or reference-counted (TLS contexts).
 */
#ifndef GATEWAY_GENERATION_H
#define GATEWAY_GENERATION_H

#include "config/gateway_config.h"
#include "config/policy_config.h"
#include "dataplane/secure/digest.h"
#include "dataplane/secure/dtls_stream.h"
#include "dataplane/secure/tls_context.h"
#include "gateway/cloud_roles.h"
#include "gateway/rate_totals.h"
#include "gateway/rule_hits.h"
#include "gateway/secret_file.h"
#include "policy/access/snapshot.h"

struct generation {
    uint32_t number;
    const struct gateway_config *config;
    const struct snapshot *policy;
    struct tls_context *upstream_tls[GATEWAY_UPSTREAMS_MAX];   /* NULL: plain */
    struct dtls_context *upstream_dtls[GATEWAY_UPSTREAMS_MAX]; /* likewise */
    struct rate_totals *totals;
    struct cloud_roles *cloud[GATEWAY_UPSTREAMS_MAX];          /* NULL: a plain broker */
    struct secret_file *passwords[GATEWAY_UPSTREAMS_MAX];      /* NULL: none */
    struct dtls_context *listener_dtls[GATEWAY_LISTENERS_MAX]; /* NULL: plain, or not CoAP */
    struct tls_context *listener_tls[GATEWAY_LISTENERS_MAX];   /* NULL: plain, or not MQTT */
    struct rule_hits *hits;                                    /* NULL: not counted */
    struct policy_summary summary;
    char sha256[DIGEST_HEX]; /* of the policy as it is kept; empty unless it was printed so */
    uint32_t kept;           /* number under which the history has it; 0: not kept */
    uint64_t loaded_at_us;   /* CLOCK_REALTIME */
};

/*
 * Loads settings and policy, checks key pairs, makes TLS contexts: all or nothing. NULL when anything is
 * wrong, with everything that is wrong in `d`. `running` is the generation in force or NULL; settings that
 * need a restart are taken from it, with a warning.
 */
struct generation *generation_load(const char *config_file, const char *policy_directory, uint32_t number,
                                   const struct generation *running, struct diagnostics *d);
/* The same, with what more is wanted of it; the text is the caller's to free when a generation is answered.
 */
struct generation *generation_load_with(const char *config_file, const char *policy_directory,
                                        uint32_t number, const struct generation *running,
                                        struct diagnostics *d, const struct policy_wishes *wishes);
/* Before it is published: gives it another number. */
void generation_renumber(struct generation *generation, uint32_t number);
void generation_destroy(struct generation *generation);

#endif
