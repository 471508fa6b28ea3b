/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiled rules of one role (D4, D5; G4): decisions at a cost that follows the levels of the topic, not
 * the number of rules.
 *
 * Rules are a trie over topic levels: hashed literal children, one '+' child, '#' ends, and children that
 * compare a level with text and variables ("dev-${serial}"), whose values come with the request, so that one
 * role serves a fleet. Any deny beats any allow; without an allow the answer is DEFAULT_DENY; order of rules
 * never matters. '+' and '#' at the first level of a rule do not match '$' topics. A variable that is unset,
 * empty or unsafe in a topic (template.h) matches nothing.
 *
 * Conditions belong to a rule: an allow whose conditions do not hold does not allow, a deny whose conditions
 * do not hold does not deny. An allow that fails by its conditions alone gives the outcome its name (QOS_CAP,
 * RETAIN_DENIED, PAYLOAD_TOO_LARGE, and those of acl_options.h). For subscriptions and deliveries a rule's
 * QoS is an upper bound.
 *
 * Bounds: nothing is allocated when deciding; a topic of more than TOPIC_LEVELS_MAX levels is TOPIC_TOO_DEEP;
 * acl_compile refuses rules whose wildcards combine so that one topic could lead to more than ACL_VISITS_MAX
 * places of the trie, and a filter whose wildcards would need more than that is refused as FILTER_TOO_WIDE.
 * Built once, immutable then, one block of memory; any thread may decide.
 */
#ifndef POLICY_ACCESS_ACL_H
#define POLICY_ACCESS_ACL_H

#include "policy/access/acl_options.h"
#include "policy/verdict.h"

#define ACL_VARIABLES_MAX 16
#define ACL_RULE_NONE UINT32_MAX
#define ACL_RULES_MAX (1U << 20)
#define ACL_VISITS_MAX 1024
#define ACL_TEMPLATE_BYTES_MAX 1024

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

/* A rule as written; strings are borrowed until acl_compile returns. Tri-states: -1 not said, 0 no, 1 yes. */
struct acl_rule_spec {
    const char *id;
    const char *file;
    uint32_t line;
    bool allow;
    uint16_t actions;  /* bits of enum acl_action */
    const char *topic; /* template: filter, or CoAP path without its leading '/', with ${name} */
    uint8_t qos_mask;  /* bits 0..2; 0: any */
    int8_t retain;     /* of a PUBLISH. allow: 0 only not retained, else both; deny: 0 only not retained, 1
                          only retained, -1 both */
    int8_t will;       /* of a PUBLISH. allow: 1 also as a Will, else not as a Will; deny: 0 only what is no
                          Will, 1 only Wills, -1 both */
    enum acl_payload payload;          /* allow only */
    uint32_t payload_max;              /* allow only; 0: no limit of its own */
    bool enforce;                      /* even when the role only observes */
    const struct acl_options *options; /* CoAP only; NULL: none */
    bool shared;                       /* CoAP GET and OBSERVE: answers are the same for everybody (E5) */
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
    const struct acl_options *options; /* or NULL */
    bool shared;
};

struct acl_request {
    enum acl_action action;
    struct bytes topic; /* name, or filter without its $share prefix when subscribing; CoAP: the path's
                           segments joined by '/' after escaping '/' inside a segment as refused */
    uint8_t qos;
    bool retain;
    bool will;
    uint32_t payload_bytes;
    const struct acl_asked *asked; /* of a CoAP request; NULL: it says nothing of that */
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
    char text[192];
};

/* True when the rule is well formed and names known variables only; else why not is in `problem->text`. */
bool acl_rule_check(const struct acl_rule_spec *rule, const char *const *variables, uint32_t variables_n,
                    struct acl_problem *problem);
/*
 * Compiles rules; `variables` are the names that templates may use, in the order of acl_values. NULL with
 * `problem` set when a rule is not well formed, or (problem->rule = ACL_RULE_NONE) memory is not to be had.
 */
struct acl *acl_compile(const struct acl_rule_spec *rules, uint32_t n, const char *const *variables,
                        uint32_t variables_n, struct acl_problem *problem);
void acl_destroy(struct acl *acl);

/* Judges a topic name (publish, deliveries as ACL_SUBSCRIBE with the topic of the message, CoAP paths). */
struct acl_decision acl_decide(const struct acl *acl, const struct acl_values *values,
                               const struct acl_request *request);
/* When a SUBSCRIBE is granted (subscribe_mode). */
enum acl_filter_mode {
    ACL_FILTER_COVER = 0, /* the allows contain it, and no deny intersects it */
    ACL_FILTER_TRIM,      /* "filter": an allow intersects it, and no deny contains it */
    ACL_FILTER_EXCEPT,    /* the allows contain it, and no deny contains it */
};

/*
 * Judges a filter. RULE_DENY when a deny contains it or, once it is granted, when a deny intersects it;
 * granted when the union of the allows contains it (decided exactly: "a" and "a/+/#" together contain "a/#").
 * In the other modes deliveries are judged one by one, for what is granted may hold what is not allowed. A
 * malformed filter is BAD_FILTER.
 */
struct acl_decision acl_decide_filter(const struct acl *acl, const struct acl_values *values,
                                      const struct acl_request *request, enum acl_filter_mode mode);

/* The allow rule that comes nearest to a refused request, and the level where it differs (1-based; 0 when the
 * topic fits and a condition does not hold); ACL_RULE_NONE when no rule allows the action at all. For
 * explain: tries every rule. */
uint32_t acl_nearest(const struct acl *acl, const struct acl_values *values,
                     const struct acl_request *request, uint32_t *differs_at_level);
/* Rules that can never decide: told once for each, with the rule that makes it idle. */
enum acl_idle {
    ACL_IDLE_DENIED = 0, /* an allow all of which an unconditional deny covers */
    ACL_IDLE_DUPLICATE,  /* says the same as an earlier rule */
};
/* Both answer how often they looked at a rule for another: what they cost. */
uint64_t acl_idle_rules(const struct acl *acl,
                        void (*found)(void *owner, uint32_t rule, uint32_t because_of, enum acl_idle why),
                        void *owner);
/* The value of one of the variables that acl_compile was given; at == NULL when there is no such one. */
struct bytes acl_value(const struct acl *acl, const struct acl_values *values, struct bytes name);
/* Rules that change nothing, because another of their kind says all that they say, and more. */
uint64_t acl_covered_rules(const struct acl *acl,
                           void (*found)(void *owner, uint32_t rule, uint32_t because_of), void *owner);
const struct acl_rule *acl_rule_at(const struct acl *acl, uint32_t rule);
uint32_t acl_rules(const struct acl *acl);
/* True when any rule looks at payload content, so that payloads must be held. */
bool acl_reads_payload(const struct acl *acl);
/* True when any rule looks at options, so that acl_request.asked has to be filled in. */
bool acl_reads_options(const struct acl *acl);
size_t acl_memory_bytes(const struct acl *acl);

/* The same decisions by trying every rule in turn with topic.h: the reference that property tests and fuzzers
 * compare with. Slow, and they allocate. The outcome is the same as above; so is the rule, but for
 * intersections, where any that intersects may be named, and for unions. */
struct acl_decision acl_decide_reference(const struct acl *acl, const struct acl_values *values,
                                         const struct acl_request *request);
struct acl_decision acl_decide_filter_reference(const struct acl *acl, const struct acl_values *values,
                                                const struct acl_request *request, enum acl_filter_mode mode);

#endif
