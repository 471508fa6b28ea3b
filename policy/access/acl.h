/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiled rules of one role (D4, D5; G4): decisions at a cost that follows the levels of the topic, not
 * the number of rules.
 *
 * Rules are a trie over topic levels: hashed literal children, one '+' child, '#' ends, and children that
 * compare a level with (prefix, variable, suffix), whose values come with the request, so that one role
 * serves a fleet. Any deny beats any allow; without an allow the answer is DEFAULT_DENY; order of rules never
 * matters. Conditions (QoS, retain, Will, payload) belong to a rule: an allow whose conditions do not hold
 * does not allow, a deny whose conditions do not hold does not deny. Where that makes the difference the
 * outcome says so (QOS_CAP, RETAIN_DENIED, PAYLOAD_TOO_LARGE).
 * '+' and '#' at the first level of a rule do not match '$' topics. Built once, immutable then; any thread
 * may decide.
 */
#ifndef POLICY_ACCESS_ACL_H
#define POLICY_ACCESS_ACL_H

#include "policy/bytes.h"
#include "policy/verdict.h"

#define ACL_VARIABLES_MAX 16
#define ACL_RULE_NONE UINT32_MAX

enum acl_action {
    ACL_PUBLISH = 0,
    ACL_SUBSCRIBE,
    ACL_GET,
    ACL_POST,
    ACL_PUT,
    ACL_DELETE,
    ACL_FETCH,
    ACL_PATCH,
    ACL_IPATCH,
    ACL_OBSERVE,
    ACL_ACTIONS,
};

enum acl_payload {
    ACL_PAYLOAD_ANY = 0,
    ACL_PAYLOAD_UTF8,
    ACL_PAYLOAD_JSON,
};

/* A rule as written; strings are borrowed until acl_compile returns. Enumerations of tri-states: -1 not said,
 * 0 no, 1 yes. */
struct acl_rule_spec {
    const char *id;
    const char *file;
    uint32_t line;
    bool allow;
    uint16_t actions;  /* bits of enum acl_action */
    const char *topic; /* template: filter, or CoAP path, with ${name} */
    uint8_t qos_mask;  /* bits 0..2; 0: any */
    int8_t retain;     /* publish: -1 retained or not, 0 only not retained, 1 both (the operator said so) */
    int8_t will;       /* -1: not as a Will unless another rule says; 1: also as a Will */
    enum acl_payload payload;
    uint32_t payload_max; /* 0: no limit of its own */
    bool enforce;         /* even when the role only observes */
};

/* A rule as kept; strings live as long as the acl. */
struct acl_rule {
    const char *id;
    const char *file;
    uint32_t line;
    const char *topic;
    uint32_t payload_max;
    uint16_t actions;
    uint8_t qos_mask;
    int8_t retain;
    int8_t will;
    bool allow;
    bool enforce;
    enum acl_payload payload;
};

struct acl_request {
    enum acl_action action;
    struct bytes topic; /* name, or filter without its $share prefix when subscribing; CoAP: the path's
                           segments joined by '/' after escaping '/' inside a segment as refused */
    uint8_t qos;
    bool retain;
    bool will;
    uint32_t payload_bytes;
};

struct acl_decision {
    enum outcome outcome;
    uint32_t rule;            /* the deciding one, or ACL_RULE_NONE for default deny */
    enum acl_payload payload; /* what the payload must be, when allowed */
};

/* Values of the role's variables for one client, by index. An unset variable (at == NULL) matches nothing. */
struct acl_values {
    struct bytes value[ACL_VARIABLES_MAX];
};

struct acl;

struct acl_problem {
    uint32_t rule; /* index in specs */
    char text[160];
};

/*
 * Compiles rules; `variables` are the names that templates may use, in the order of acl_values. NULL with
 * `problem` set when a template is malformed or names an unknown variable, or (problem->rule = ACL_RULE_NONE)
 * memory is not to be had.
 */
struct acl *acl_compile(const struct acl_rule_spec *rules, uint32_t n, const char *const *variables,
                        uint32_t variables_n, struct acl_problem *problem);
void acl_destroy(struct acl *acl);

/* Judges a topic name (publish, deliveries as ACL_SUBSCRIBE with the topic of the message, CoAP paths). */
struct acl_decision acl_decide(const struct acl *acl, const struct acl_values *values,
                               const struct acl_request *request);
/*
 * Judges a filter: allowed when one grant, or the union of grants where that is decided exactly, contains it
 * and no deny intersects it. With `trim` (subscribe_mode = "filter") it is allowed when any allow intersects
 * it and no deny contains it: deliveries are then judged one by one.
 */
struct acl_decision acl_decide_filter(const struct acl *acl, const struct acl_values *values,
                                      const struct acl_request *request, bool trim);

/* The allow rule that comes nearest to a refused request, and the level where it differs (1-based);
 * ACL_RULE_NONE when none. For explain. */
uint32_t acl_nearest(const struct acl *acl, const struct acl_values *values,
                     const struct acl_request *request, uint32_t *differs_at_level);
const struct acl_rule *acl_rule_at(const struct acl *acl, uint32_t rule);
uint32_t acl_rules(const struct acl *acl);
/* True when any rule looks at payload content, so that payloads must be held. */
bool acl_reads_payload(const struct acl *acl);
size_t acl_memory_bytes(const struct acl *acl);

/* The same decisions by trying every rule in turn with topic.h: the reference that property tests and fuzzers
 * compare with. */
struct acl_decision acl_decide_reference(const struct acl *acl, const struct acl_values *values,
                                         const struct acl_request *request);
struct acl_decision acl_decide_filter_reference(const struct acl *acl, const struct acl_values *values,
                                                const struct acl_request *request, bool trim);

#endif
