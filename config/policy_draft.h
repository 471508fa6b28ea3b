/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy while it is read: what all files of policy.d say, before it is checked and compiled. Private to
 * config/policy_*.c and print.c.
 */
#ifndef CONFIG_POLICY_DRAFT_H
#define CONFIG_POLICY_DRAFT_H

#include "config/policy_config.h"
#include "config/schema.h"

#define POLICY_VARIABLES_MAX 16
#define POLICY_ROLES_MAX 4096

struct draft_role {
    struct policy_role_spec spec; /* first: the schema reads into it */
    struct acl_rule_spec *rules;
    uint32_t rules_n;
    uint32_t rules_room;
    struct topic_map *maps;
    uint32_t maps_n;
    uint32_t maps_room;
    struct policy_variable variables[POLICY_VARIABLES_MAX];
    uint32_t variables_n;
    bool match_empty;              /* `match` is there and asks nothing, which the compiler tells */
    struct config_origin listener; /* where match.listener and match.port are written */
    struct config_origin port;
};

struct draft_device {
    struct policy_device_spec spec; /* first */
    struct policy_variable *variables;
};

/* tests = ( { as = "truck-017"; publish = "..."; expect = "deny"; } ) */
struct policy_test {
    struct config_origin origin;
    const char *as; /* client id */
    bool connect;
    uint32_t actions; /* how many of connect, publish, subscribe and methods are written: must be one */
    enum acl_action action;
    const char *topic;
    bool expect_allow;
    uint8_t qos;
    bool retain;
    bool will;
    uint32_t payload_bytes;
    /* Facts that are not told are taken from the role that is tried. */
    bool has_source;
    uint8_t source[16];
    bool has_mac;
    uint8_t mac[6];
    int32_t vlan; /* -1: not told */
    const char *listener;
    const char *port;
    const char *user;
    const char *cert_cn;
    const char *cert_ou;
    const char *cert_san;
    const char *psk_id;
    int32_t format; /* ACL_FORMAT_NONE: not told */
    bool block;
    uint32_t queries_n;
    const char *queries[ACL_QUERIES_MAX];
};

struct policy_draft {
    struct arena *arena;
    const char *shown;   /* where the policy is, for messages about all of it */
    struct load **loads; /* strings point into them */
    uint32_t loads_n;
    struct draft_role **roles;
    uint32_t roles_n;
    uint32_t roles_room;
    struct draft_device *devices;
    uint32_t devices_n;
    uint32_t devices_room;
    struct policy_test *tests;
    const char *users_file; /* or NULL */
    struct config_origin users_file_origin;
    uint32_t tests_n;
    uint32_t tests_room;
};

/* The table of policy.d/x.conf; objects are read into a struct policy_draft. */
extern const struct schema_table policy_keys;
/* Entries of `rules` (of a struct draft_role) and of `tests`. */
extern const struct schema_table policy_rule_keys;
extern const struct schema_table policy_map_keys;
extern const struct schema_table policy_test_keys;
void *policy_next_rule(struct schema_read *read, const config_setting_t *setting, void *into);
void *policy_next_map(struct schema_read *read, const config_setting_t *setting, void *into);
void *policy_next_test(struct schema_read *read, const config_setting_t *setting, void *into);
/* "publish", "subscribe", "GET"... */
extern const char *const policy_action_words[ACL_ACTIONS];

/*
 * What neither a single setting nor the compiler can tell: references to the gateway (NULL: not checked),
 * what is allowed too widely; and, when the draft is `whole` (nothing was left out for an error), roles that
 * never match, have no rules, or are missing for a listener.
 */
void policy_check(const struct policy_draft *draft, const struct gateway_config *gateway, bool whole,
                  struct diagnostics *d);

/* Clients of the listener, whose name and port are known, may be of the role. */
bool policy_may_come(const struct policy_match *match, const struct gateway_config *gateway,
                     const struct config_listener *listener);

/*
 * What can never come about where clients come in: roles that ask for places that there are not. When nothing
 * else is wrong (`good`), also roles that ask for what none of their listeners tells, rules and maps for
 * another protocol than that of the role's listener, listeners without a role, and devices that CoAP cannot
 * tell apart.
 */
void policy_check_places(const struct policy_draft *draft, const struct gateway_config *gateway, bool good,
                         struct diagnostics *d);

/* What the role's own caps, the form of names and missing maps leave nothing of (policy_bounds.c). */
void policy_check_bounds(const struct policy_draft *draft, const struct gateway_config *gateway,
                         struct diagnostics *d);

/* What the policy allows and a cloud does not take. */
void policy_check_clouds(const struct policy_draft *draft, const struct gateway_config *gateway,
                         struct diagnostics *d);

/* Runs all tests on the compiled policy and answers how many came out as expected; the others are told. Each
 * is a line of `report`, when there is one. */
uint32_t policy_test_run(const struct policy_draft *draft, const struct snapshot *snapshot,
                         struct diagnostics *d, FILE *report);

#endif
