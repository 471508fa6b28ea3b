/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a snapshot keeps beside what everybody may see. Private to snapshot*.c and identity.c.
 */
#ifndef POLICY_ACCESS_SNAPSHOT_LAYOUT_H
#define POLICY_ACCESS_SNAPSHOT_LAYOUT_H

#include "policy/access/glob.h"
#include "policy/access/name_index.h"
#include "policy/access/snapshot.h"
#include "policy/access/store.h"
#include "policy/access/template.h"

/* Where the value of a variable comes from. */
enum variable_source {
    VARIABLE_UNKNOWN = 0,
    VARIABLE_CLIENT_ID,
    VARIABLE_USER,
    VARIABLE_CERT_CN,
    VARIABLE_CERT_OU,
    VARIABLE_CERT_SAN,
    VARIABLE_PSK_ID,
    VARIABLE_ID,
    VARIABLE_MAC,
    VARIABLE_SOURCE,
    VARIABLE_LISTENER,
    VARIABLE_VAR,     /* ${var.NAME}: of the device, else of the role */
    VARIABLE_CAPTURE, /* of a glob of the role */
};

#define VARIABLE_VAR_PREFIX "var."

/* A variable that rules of a role use. */
struct role_variable {
    enum variable_source source;
    const char *name; /* without "var." */
};

struct role {
    struct policy_role seen; /* first: what snapshot_role returns */
    struct acl *acl;
    uint64_t digest; /* of its settings, but for limits and rules */
    uint64_t limits_digest;
    const uint64_t *rule_digests; /* in the order of the acl's rules */
    struct policy_match match;
    const char *id;        /* NULL: the default */
    const char *client_id; /* NULL: any */
    uint32_t vars_n;
    const struct policy_variable *vars;
    uint32_t variables_n; /* in the order of acl_values */
    struct role_variable variables[ACL_VARIABLES_MAX];
    const char *variable_names[ACL_VARIABLES_MAX]; /* likewise, as templates write them */
};

struct device {
    struct policy_device seen; /* first */
    uint64_t digest;
    uint32_t addresses_n;
    uint32_t vars_n;
    const struct policy_source *addresses;
    const struct policy_variable *vars;
};

struct snapshot {
    uint32_t generation;
    uint32_t roles_n;
    uint32_t devices_n;
    char fingerprint[9];
    struct role *roles;
    struct device *devices;
    struct users *users;
    struct name_index device_by_id;
    struct name_index device_by_mac;     /* names: 6 bytes */
    struct name_index device_by_address; /* 16 bytes; whole addresses only */
    struct store store;
};

/* The globs of a role's match, and its client_id when that is one (and no template), as an array. */
#define MATCH_GLOBS 10
struct match_glob {
    const char *what; /* the setting */
    const char *glob; /* NULL: not asked */
};
void snapshot_globs(const struct policy_match *match, const char *client_id,
                    struct match_glob globs[MATCH_GLOBS]);
bool snapshot_is_template(const char *text);
#define SNAPSHOT_CAPTURES_MAX (MATCH_GLOBS * GLOB_CAPTURES_MAX)
/* Names of all their captures; returns how many. */
uint32_t snapshot_captures(const struct policy_match *match, const char *client_id,
                           struct bytes names[SNAPSHOT_CAPTURES_MAX]);

/* Names that topics of a role's rules and its own Will use, in the order in which they come. */
struct variable_names {
    uint32_t n;
    bool too_many;
    const char *list[ACL_VARIABLES_MAX];
    char name[ACL_VARIABLES_MAX][TEMPLATE_NAME_MAX + 1];
};
void snapshot_variables(const struct policy_role_spec *spec, struct variable_names *names);
enum variable_source snapshot_variable_source(struct bytes name, const struct policy_match *match,
                                              const char *client_id);

/* True for "var.NAME", with NAME. */
bool snapshot_var_name(struct bytes name, struct bytes *var);
/* The known variable that is nearest to an unknown one, or NULL. */
const char *snapshot_suggest(struct bytes name, const struct policy_role_spec *role,
                             char text[TEMPLATE_NAME_MAX + 1]);

/* Everything that can be wrong with a spec; true when nothing is. */
struct snapshot_problems {
    void (*told)(void *owner, const struct policy_problem *problem);
    void *owner;
    uint32_t n;
};
void snapshot_problem(struct snapshot_problems *problems, const char *file, uint32_t line, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));
/* Told, but nothing that keeps it from being compiled. */
void snapshot_warning(const struct snapshot_problems *problems, const char *file, uint32_t line,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
void snapshot_check(const struct policy_spec *spec, struct snapshot_problems *problems);
/* What only the compiled rules of a role tell. */
void snapshot_check_idle(const struct acl *acl, struct snapshot_problems *problems);

uint32_t snapshot_digest(const struct policy_spec *spec);
/* Of one rule; of one role but for its rules and limits; of its limits; of one device. */
uint64_t snapshot_rule_digest(const struct acl_rule_spec *rule);
uint64_t snapshot_role_digest(const struct policy_role_spec *spec);
uint64_t snapshot_limits_digest(const struct policy_role_spec *spec);
uint64_t snapshot_device_digest(const struct policy_device_spec *spec);

#endif
