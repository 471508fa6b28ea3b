/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The immutable policy: roles with their compiled rules and limits, and the table of devices (C, D, F, G;
 * decision 7).
 *
 * config reads files into a `struct policy_spec`; snapshot_create compiles it, all or nothing. A snapshot is
 * never changed afterwards: workers borrow it for one loop iteration and sessions re-identify when its
 * generation differs from the one they were judged under. Any thread may read.
 */
#ifndef POLICY_ACCESS_SNAPSHOT_H
#define POLICY_ACCESS_SNAPSHOT_H

#include "policy/access/acl.h"
#include "policy/access/mqtt_law.h"
#include "policy/access/rates.h"
#include "policy/access/session_policy.h"
#include "policy/access/topic_map.h"
#include "policy/access/users.h"

#define POLICY_SOURCES_MAX 16

enum policy_mode {
    POLICY_ENFORCE = 0,
    POLICY_OBSERVE, /* forward, but record what would have been refused (G6) */
};

/* What a 3.x client gets for a refused PUBLISH with QoS 1 or 2 (D7). */
enum policy_refusal {
    POLICY_REFUSE_ACKNOWLEDGE = 0, /* acknowledged and dropped */
    POLICY_REFUSE_DISCONNECT,
};

enum policy_will {
    POLICY_WILL_OPTIONAL = 0,
    POLICY_WILL_REQUIRED,
    POLICY_WILL_FORBIDDEN,
    POLICY_WILL_SUPPLIED, /* the gateway adds the role's own for a client that has none */
};

/* The Will that a role supplies (C5, D10); templates of the role's variables. topic == NULL: none. */
struct policy_last_will {
    const char *topic;
    const char *payload;
    uint32_t delay_s; /* MQTT 5: Will Delay Interval */
    uint32_t line;    /* where it is written, in the file of its role */
    uint8_t qos;
    bool retain;
};

struct policy_source {
    uint8_t address[16]; /* IPv4-mapped */
    uint8_t bits;        /* of 128 */
};

struct policy_limits {
    struct rates rates;       /* per client */
    uint32_t packet_bytes;    /* largest MQTT packet; 0: 256 KiB */
    uint32_t subscriptions;   /* per session; 0: 64 */
    uint32_t sessions;        /* per identity; 0: 1 */
    uint32_t topic_levels;    /* 0: 32 */
    uint32_t topic_bytes;     /* 0: 1024 */
    uint32_t user_properties; /* per packet; 0: 16 */
    uint32_t keepalive_min_s; /* 0: none */
    uint32_t keepalive_max_s; /* 0: 3600; a client that asks for none gets this */
    uint32_t silence_max_s;   /* what a 3.x client that asks for more is held to, as it cannot be told: the
                                 role's own keepalive_max_s, where a cloud takes less too (D9). Not of a spec */
    uint32_t exchanges;       /* CoAP, under way per identity; 0: 64 */
    uint32_t observations;    /* CoAP, per identity; 0: as many as subscriptions */
    uint32_t transfers;       /* CoAP, block-wise, at once; 0: 4 */
    uint64_t transfer_us;     /* and how long one may take; 0: 10 minutes */
};

/* All a role may ask of a client; NULL or n = 0: not asked. Every condition that is set must hold. Text
 * conditions are globs (glob.h). */
struct policy_match {
    bool any; /* match = { any = true; } */
    const char *listener;
    const char *port;
    int32_t vlan; /* -1: any */
    uint32_t sources_n;
    struct policy_source sources[POLICY_SOURCES_MAX];
    const char *mac; /* glob over "00:1d:9c:00:00:01", lower case */
    const char *client_id;
    const char *user;
    const char *cert_cn;
    const char *cert_ou;
    const char *cert_san;
    const char *psk_id;
};

struct policy_variable {
    const char *name;
    const char *value;
};

struct policy_role_spec {
    const char *name;
    const char *file;
    uint32_t line;
    struct policy_match match;
    const char *id; /* template of the identity; NULL: "${client_id}", and for a client of a protocol that has
                       none the PSK identity, the certificate's CN or the source address */
    const char *client_id; /* template or glob that the client id must fit, or NULL */
    enum policy_mode mode;
    enum acl_filter_mode subscribe_mode;
    bool payload_utf8; /* payload = "utf8" for the role */
    uint8_t max_qos;   /* 0..2 */
    uint16_t inflight; /* 0: 20 */
    uint16_t queue;    /* 0: 100 */
    enum policy_will will;
    struct policy_last_will last_will;
    enum policy_refusal refusal;
    struct policy_session session;
    struct policy_mqtt_law law;
    struct policy_limits limits;
    struct rates total;                      /* of all its clients together */
    const struct policy_variable *variables; /* vars = { ... } */
    uint32_t variables_n;
    const struct acl_rule_spec *rules;
    uint32_t rules_n;
    const struct topic_map *maps; /* CoAP paths to MQTT topics (E8) */
    uint32_t maps_n;
};

struct policy_device_spec {
    const char *id;
    const char *file;
    uint32_t line;
    bool has_mac;
    uint8_t mac[6];
    uint32_t addresses_n;
    struct policy_source addresses[4];
    uint16_t vlan;          /* 0: any */
    const char *client_id;  /* glob, or NULL: any */
    const char *user;       /* likewise */
    const char *quarantine; /* reason, or NULL */
    const struct policy_variable *variables;
    uint32_t variables_n;
};

struct policy_spec {
    const struct policy_role_spec *roles;
    uint32_t roles_n;
    const struct policy_device_spec *devices;
    uint32_t devices_n;
    struct users *users; /* or NULL; the snapshot's own when it was made, else still the caller's */
};

struct policy_problem {
    bool warning;     /* it compiles all the same */
    const char *file; /* borrowed from the spec */
    uint32_t line;
    char text[288];
};

struct snapshot;

struct policy_role {
    const char *name;
    const char *file;
    uint32_t line;
    uint32_t index;
    uint32_t first_rule; /* its rules' place among those of all roles */
    enum policy_mode mode;
    enum acl_filter_mode subscribe_mode;
    bool payload_utf8;
    bool holds_payload; /* some payload must be read before it is judged */
    uint8_t max_qos;
    uint16_t inflight;
    uint16_t queue;
    enum policy_will will;
    struct policy_last_will last_will;
    const char *const *variables; /* names of the values of an identity, in the order of acl_values */
    uint32_t variables_n;
    enum policy_refusal refusal;
    struct policy_session session;
    struct policy_mqtt_law law;  /* likewise: defaults filled in */
    struct policy_limits limits; /* defaults filled in: no zeros that mean something else, but for rates
                                    (amount 0: unlimited) */
    struct rates total;          /* of all its clients together */
    const struct acl *acl;
    const struct topic_map *maps; /* in their order; NULL: none */
    uint32_t maps_n;
};

struct policy_device {
    const char *id;
    const char *quarantine;
    const char *client_id; /* glob that the client id must fit, or NULL */
    const char *user;      /* likewise */
    uint16_t vlan;         /* 0: any */
    bool has_mac;
    bool has_address; /* its addresses are told */
    uint8_t mac[6];
    uint8_t address[16]; /* the first of them */
};

/* Compiles. NULL when something is wrong: then `problem` (called once for each, in no order; `file` may be
 * NULL) has been told all of it: names that are missing or there twice, globs, templates and rules that are
 * malformed, variables that nothing sets, roles that nobody or everybody before them reaches, rules that can
 * never decide. Takes copies of all it keeps. */
struct snapshot *snapshot_create(const struct policy_spec *spec, uint32_t generation,
                                 void (*problem)(void *owner, const struct policy_problem *problem),
                                 void *owner);
void snapshot_destroy(struct snapshot *snapshot);

uint32_t snapshot_generation(const struct snapshot *snapshot);
/* Before anybody else sees it. */
void snapshot_renumber(struct snapshot *snapshot, uint32_t generation);
/* Eight hex digits of a digest over the meaning of the policy: equal policies, equal fingerprints. */
const char *snapshot_fingerprint(const struct snapshot *snapshot);
size_t snapshot_memory_bytes(const struct snapshot *snapshot);
uint32_t snapshot_roles(const struct snapshot *snapshot);
const struct policy_role *snapshot_role(const struct snapshot *snapshot, uint32_t index);
uint32_t snapshot_devices(const struct snapshot *snapshot);
const struct policy_device *snapshot_device(const struct snapshot *snapshot, struct bytes id);
/* Who may log in with a password; NULL: nobody. */
const struct users *snapshot_users(const struct snapshot *snapshot);
/* The device at this place, for protocols in which a device does not say who it is: the one with this MAC, or
 * else the one with this very address. One whose address this is but that has another MAC comes first, so
 * that identity_resolve refuses whoever took its address. NULL when there is none. */
const struct policy_device *snapshot_device_at(const struct snapshot *snapshot, bool has_mac,
                                               const uint8_t mac[6], const uint8_t address[16]);

#endif
