/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/snapshot_layout.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_PACKET_BYTES (256U << 10)
#define DEFAULT_SUBSCRIPTIONS 64
#define DEFAULT_SESSIONS 1
#define DEFAULT_TOPIC_LEVELS 32
#define DEFAULT_TOPIC_BYTES 1024
#define DEFAULT_USER_PROPERTIES 16
#define DEFAULT_KEEPALIVE_MAX_S 3600
#define DEFAULT_INFLIGHT 20
#define DEFAULT_QUEUE 100
#define DEFAULT_EXCHANGES 64
#define DEFAULT_TRANSFERS 4
#define DEFAULT_TRANSFER_US UINT64_C(600000000)

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static struct policy_limits limits_of(const struct policy_limits *spec)
{
    struct policy_limits limits = *spec;
    limits.packet_bytes = or_default(spec->packet_bytes, DEFAULT_PACKET_BYTES);
    limits.subscriptions = or_default(spec->subscriptions, DEFAULT_SUBSCRIPTIONS);
    limits.sessions = or_default(spec->sessions, DEFAULT_SESSIONS);
    limits.topic_levels = or_default(spec->topic_levels, DEFAULT_TOPIC_LEVELS);
    limits.topic_bytes = or_default(spec->topic_bytes, DEFAULT_TOPIC_BYTES);
    limits.user_properties = or_default(spec->user_properties, DEFAULT_USER_PROPERTIES);
    limits.keepalive_max_s = or_default(spec->keepalive_max_s, DEFAULT_KEEPALIVE_MAX_S);
    limits.silence_max_s = limits.keepalive_max_s;
    limits.exchanges = or_default(spec->exchanges, DEFAULT_EXCHANGES);
    limits.observations = or_default(spec->observations, limits.subscriptions);
    limits.transfers = or_default(spec->transfers, DEFAULT_TRANSFERS);
    limits.transfer_us = spec->transfer_us == 0 ? DEFAULT_TRANSFER_US : spec->transfer_us;
    return limits;
}

static struct policy_mqtt_law law_of(const struct policy_mqtt_law *spec)
{
    struct policy_mqtt_law law = *spec;
    law.release_s = or_default(spec->release_s, POLICY_RELEASE_DEFAULT_S);
    return law;
}

static const struct policy_variable *keep_variables(struct store *store, const struct policy_variable *vars,
                                                    uint32_t n, int *failed)
{
    struct policy_variable *kept = n == 0 ? NULL : store_take(store, n * sizeof(*kept));
    if (kept == NULL) {
        *failed |= n > 0;
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        kept[i] = (struct policy_variable){.name = store_text(store, vars[i].name, failed),
                                           .value = store_text(store, vars[i].value, failed)};
    return kept;
}

static struct policy_match keep_match(struct store *store, const struct policy_match *spec, int *failed)
{
    struct policy_match match = *spec;
    const char **texts[] = {&match.listener, &match.port,    &match.mac,      &match.client_id, &match.user,
                            &match.cert_cn,  &match.cert_ou, &match.cert_san, &match.psk_id};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = store_text(store, *texts[i], failed);
    return match;
}

/* The variables that the rules use, with where each comes from. */
static void keep_rule_variables(struct store *store, struct role *role, const struct variable_names *names,
                                int *failed)
{
    for (uint32_t i = 0; i < names->n; i++) {
        struct bytes name = bytes_of_text(names->list[i]);
        enum variable_source source = snapshot_variable_source(name, &role->match, role->client_id);
        const char *kept = names->list[i];
        if (source == VARIABLE_VAR)
            kept += strlen(VARIABLE_VAR_PREFIX);
        role->variable_names[role->variables_n] = store_text(store, names->list[i], failed);
        role->variables[role->variables_n++] =
            (struct role_variable){.source = source, .name = store_text(store, kept, failed)};
    }
    role->seen.variables = role->variable_names;
    role->seen.variables_n = role->variables_n;
}

static struct policy_role seen_role(const struct policy_role_spec *spec, uint32_t index)
{
    return (struct policy_role){
        .line = spec->line,
        .index = index,
        .mode = spec->mode,
        .subscribe_mode = spec->subscribe_mode,
        .payload_utf8 = spec->payload_utf8,
        .max_qos = spec->max_qos,
        .inflight = (uint16_t)or_default(spec->inflight, DEFAULT_INFLIGHT),
        .queue = (uint16_t)or_default(spec->queue, DEFAULT_QUEUE),
        .will = spec->will,
        .last_will = spec->last_will,
        .session = spec->session,
        .refusal = spec->refusal,
        .law = law_of(&spec->law),
        .limits = limits_of(&spec->limits),
        .total = spec->total,
    };
}

static const struct topic_map *keep_maps(struct store *store, const struct policy_role_spec *spec,
                                         int *failed)
{
    struct topic_map *kept = spec->maps_n == 0 ? NULL : store_take(store, spec->maps_n * sizeof(*kept));
    if (kept == NULL) {
        *failed |= spec->maps_n > 0;
        return NULL;
    }
    for (uint32_t i = 0; i < spec->maps_n; i++) {
        kept[i] = spec->maps[i];
        kept[i].file = store_text(store, spec->maps[i].file, failed);
        kept[i].path = store_text(store, spec->maps[i].path, failed);
        kept[i].topic = store_text(store, spec->maps[i].topic, failed);
    }
    return kept;
}

static const uint64_t *digest_rules(struct store *store, const struct policy_role_spec *spec, int *failed)
{
    if (spec->rules_n == 0)
        return NULL;
    uint64_t *digests = store_take(store, spec->rules_n * sizeof(*digests));
    for (uint32_t i = 0; digests != NULL && i < spec->rules_n; i++)
        digests[i] = snapshot_rule_digest(&spec->rules[i]);
    *failed |= digests == NULL;
    return digests;
}

static void compile_role(struct snapshot *s, const struct policy_role_spec *spec, uint32_t index,
                         struct snapshot_problems *problems, int *failed)
{
    struct role *role = &s->roles[index];
    struct variable_names names;
    struct acl_problem problem;
    role->seen = seen_role(spec, index);
    role->digest = snapshot_role_digest(spec);
    role->limits_digest = snapshot_limits_digest(spec);
    role->rule_digests = digest_rules(&s->store, spec, failed);
    role->seen.name = store_text(&s->store, spec->name, failed);
    role->seen.file = store_text(&s->store, spec->file, failed);
    role->seen.last_will.topic = store_text(&s->store, spec->last_will.topic, failed);
    role->seen.last_will.payload = store_text(&s->store, spec->last_will.payload, failed);
    role->match = keep_match(&s->store, &spec->match, failed);
    role->id = store_text(&s->store, spec->id, failed);
    role->client_id = store_text(&s->store, spec->client_id, failed);
    role->vars = keep_variables(&s->store, spec->variables, spec->variables_n, failed);
    role->vars_n = spec->variables_n;
    role->seen.maps = keep_maps(&s->store, spec, failed);
    role->seen.maps_n = spec->maps_n;
    snapshot_variables(spec, &names);
    keep_rule_variables(&s->store, role, &names, failed);
    role->seen.acl = role->acl = acl_compile(spec->rules, spec->rules_n, names.list, names.n, &problem);
    if (role->acl == NULL) {
        const struct acl_rule_spec *rule = problem.rule < spec->rules_n ? &spec->rules[problem.rule] : NULL;
        snapshot_problem(problems, rule != NULL ? rule->file : spec->file,
                         rule != NULL ? rule->line : spec->line, "role '%.60s': %s", spec->name,
                         problem.text);
        return;
    }
    if (index > 0 && s->roles[index - 1].acl != NULL)
        role->seen.first_rule = s->roles[index - 1].seen.first_rule + acl_rules(s->roles[index - 1].acl);
    role->seen.holds_payload = role->seen.payload_utf8 || acl_reads_payload(role->acl);
    snapshot_check_idle(role->acl, problems);
}

static void keep_device(struct snapshot *s, const struct policy_device_spec *spec, struct device *device,
                        int *failed)
{
    device->seen = (struct policy_device){
        .id = store_text(&s->store, spec->id, failed),
        .quarantine = store_text(&s->store, spec->quarantine, failed),
        .client_id = store_text(&s->store, spec->client_id, failed),
        .user = store_text(&s->store, spec->user, failed),
        .vlan = spec->vlan,
        .has_mac = spec->has_mac,
        .has_address = spec->addresses_n > 0,
    };
    memcpy(device->seen.mac, spec->mac, sizeof(spec->mac));
    if (spec->addresses_n > 0)
        memcpy(device->seen.address, spec->addresses[0].address, sizeof(device->seen.address));
    device->digest = snapshot_device_digest(spec);
    device->vars = keep_variables(&s->store, spec->variables, spec->variables_n, failed);
    device->vars_n = spec->variables_n;
    device->addresses_n = spec->addresses_n;
    if (spec->addresses_n == 0)
        return;
    size_t bytes = spec->addresses_n * sizeof(spec->addresses[0]);
    struct policy_source *addresses = store_take(&s->store, bytes);
    if (addresses != NULL)
        memcpy(addresses, spec->addresses, bytes);
    *failed |= addresses == NULL;
    device->addresses = addresses;
}

#define WHOLE_ADDRESS_BITS 128

static uint32_t whole_addresses(const struct policy_spec *spec)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < spec->devices_n; i++)
        for (uint32_t a = 0; a < spec->devices[i].addresses_n; a++)
            n += spec->devices[i].addresses[a].bits == WHOLE_ADDRESS_BITS;
    return n;
}

static void place_device(struct snapshot *s, uint32_t number)
{
    const struct device *device = &s->devices[number];
    if (device->seen.has_mac)
        name_index_add(&s->device_by_mac, bytes_of(device->seen.mac, sizeof(device->seen.mac)), number);
    for (uint32_t i = 0; i < device->addresses_n; i++)
        if (device->addresses[i].bits == WHOLE_ADDRESS_BITS)
            name_index_add(&s->device_by_address, bytes_of(device->addresses[i].address, 16), number);
}

static void compile(struct snapshot *s, const struct policy_spec *spec, struct snapshot_problems *problems,
                    int *failed)
{
    s->roles = calloc(spec->roles_n + 1U, sizeof(*s->roles));
    s->devices = calloc(spec->devices_n + 1U, sizeof(*s->devices));
    if (s->roles == NULL || s->devices == NULL || !name_index_init(&s->device_by_id, spec->devices_n) ||
        !name_index_init(&s->device_by_mac, spec->devices_n) ||
        !name_index_init(&s->device_by_address, whole_addresses(spec))) {
        *failed = 1;
        return;
    }
    s->roles_n = spec->roles_n;
    for (uint32_t i = 0; i < spec->roles_n && !*failed; i++)
        compile_role(s, &spec->roles[i], i, problems, failed);
    s->devices_n = spec->devices_n;
    for (uint32_t i = 0; i < spec->devices_n && !*failed; i++) {
        keep_device(s, &spec->devices[i], &s->devices[i], failed);
        if (*failed)
            break;
        name_index_add(&s->device_by_id, bytes_of_text(s->devices[i].seen.id), i);
        place_device(s, i);
    }
}

struct snapshot *snapshot_create(const struct policy_spec *spec, uint32_t generation,
                                 void (*problem)(void *owner, const struct policy_problem *problem),
                                 void *owner)
{
    struct snapshot_problems problems = {.told = problem, .owner = owner};
    snapshot_check(spec, &problems);
    if (problems.n > 0)
        return NULL;
    struct snapshot *s = calloc(1, sizeof(*s));
    int failed = s == NULL;
    if (!failed) {
        s->generation = generation;
        snprintf(s->fingerprint, sizeof(s->fingerprint), "%08x", (unsigned int)snapshot_digest(spec));
        compile(s, spec, &problems, &failed);
    }
    if (failed)
        snapshot_problem(&problems, NULL, 0, "out of memory");
    if (problems.n == 0) {
        s->users = spec->users;
        return s;
    }
    snapshot_destroy(s);
    return NULL;
}

void snapshot_destroy(struct snapshot *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->roles_n; i++)
        acl_destroy(s->roles[i].acl);
    name_index_fini(&s->device_by_id);
    name_index_fini(&s->device_by_mac);
    name_index_fini(&s->device_by_address);
    store_free(&s->store);
    users_destroy(s->users);
    free(s->roles);
    free(s->devices);
    free(s);
}

uint32_t snapshot_generation(const struct snapshot *s)
{
    return s->generation;
}

void snapshot_renumber(struct snapshot *s, uint32_t generation)
{
    s->generation = generation;
}

const char *snapshot_fingerprint(const struct snapshot *s)
{
    return s->fingerprint;
}

uint32_t snapshot_roles(const struct snapshot *s)
{
    return s->roles_n;
}

const struct policy_role *snapshot_role(const struct snapshot *s, uint32_t index)
{
    return index < s->roles_n ? &s->roles[index].seen : NULL;
}

uint32_t snapshot_devices(const struct snapshot *s)
{
    return s->devices_n;
}

const struct users *snapshot_users(const struct snapshot *s)
{
    return s->users;
}

const struct policy_device *snapshot_device(const struct snapshot *s, struct bytes id)
{
    uint32_t i = name_index_find(&s->device_by_id, id);
    return i == NAME_INDEX_NONE ? NULL : &s->devices[i].seen;
}

static const struct device *device_named(const struct snapshot *s, const struct name_index *index,
                                         const uint8_t *name, size_t len)
{
    uint32_t i = name_index_find(index, bytes_of(name, len));
    return i == NAME_INDEX_NONE ? NULL : &s->devices[i];
}

const struct policy_device *snapshot_device_at(const struct snapshot *s, bool has_mac, const uint8_t mac[6],
                                               const uint8_t address[16])
{
    const struct device *by_address = device_named(s, &s->device_by_address, address, 16);
    const struct device *by_mac = has_mac ? device_named(s, &s->device_by_mac, mac, 6) : NULL;
    if (by_address != NULL && by_address->seen.has_mac && by_address != by_mac)
        return &by_address->seen;
    const struct device *device = by_mac != NULL ? by_mac : by_address;
    return device == NULL ? NULL : &device->seen;
}

size_t snapshot_memory_bytes(const struct snapshot *s)
{
    size_t bytes = sizeof(*s) + s->roles_n * sizeof(*s->roles) + s->devices_n * sizeof(*s->devices) +
                   s->device_by_id.bytes + s->device_by_mac.bytes + s->device_by_address.bytes +
                   s->store.bytes + users_memory_bytes(s->users);
    for (uint32_t i = 0; i < s->roles_n; i++)
        bytes += acl_memory_bytes(s->roles[i].acl);
    return bytes;
}
