/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A digest over what a policy means: files and lines are no part of it, the order of roles is (the first that
 * matches wins), the order of rules, variables and devices is not. Not a cryptographic one: it tells an
 * operator that two boxes run the same policy.
 */
#include "policy/access/hash.h"
#include "policy/access/snapshot_layout.h"

static uint64_t mix(uint64_t digest, uint64_t value)
{
    return hash_fold(digest ^ HASH_ODD_1, value + HASH_ODD_2) + value;
}

static uint64_t mix_text(uint64_t digest, const char *text)
{
    if (text == NULL)
        return mix(digest, 1);
    return mix(digest, hash_bytes((const uint8_t *)text, strlen(text), HASH_ODD_2));
}

static uint64_t mix_bytes(uint64_t digest, const void *at, size_t n)
{
    return mix(digest, hash_bytes(at, n, HASH_ODD_2));
}

static uint64_t of_sources(const struct policy_source *sources, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += mix(mix_bytes(2, sources[i].address, sizeof(sources[i].address)), sources[i].bits);
    return sum;
}

static uint64_t of_variables(const struct policy_variable *vars, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += mix_text(mix_text(3, vars[i].name), vars[i].value);
    return sum;
}

static uint64_t of_options(uint64_t d, const struct acl_options *options)
{
    if (options == NULL)
        return d;
    d = mix(d, (uint64_t)options->queries_n | (uint64_t)options->formats_n << 8 |
                   (uint64_t)options->block << 16);
    for (uint32_t i = 0; i < options->queries_n; i++)
        d = mix_text(d, options->queries[i]);
    for (uint32_t i = 0; i < options->formats_n; i++)
        d = mix(d, options->formats[i]);
    return d;
}

uint64_t snapshot_rule_digest(const struct acl_rule_spec *r)
{
    uint64_t d = mix_text(mix_text(4, r->id), r->topic);
    d = mix(d, (uint64_t)r->allow | (uint64_t)r->enforce << 1 | (uint64_t)r->payload << 2 |
                   (uint64_t)(uint8_t)r->retain << 8 | (uint64_t)(uint8_t)r->will << 16 |
                   (uint64_t)r->qos_mask << 24 | (uint64_t)r->actions << 32 | (uint64_t)r->shared << 48);
    d = of_options(d, r->options);
    return mix(d, r->payload_max);
}

static uint64_t of_rules(const struct acl_rule_spec *rules, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += snapshot_rule_digest(&rules[i]);
    return sum;
}

static uint64_t mix_rate(uint64_t digest, const struct rate *rate)
{
    return mix(mix(mix(digest, rate->amount), rate->period_us), rate->burst);
}

static uint64_t of_rates(uint64_t d, const struct rates *rates)
{
    for (uint32_t kind = 0; kind < RATE_KINDS; kind++)
        for (uint32_t w = 0; w < RATE_WINDOWS; w++)
            d = mix_rate(d, &rates->of[kind][w]);
    return mix(mix(d, rates->over), rates->quarantine_us);
}

static uint64_t of_limits(const struct policy_limits *l)
{
    uint64_t d = of_rates(5, &l->rates);
    d = mix(d, (uint64_t)l->packet_bytes << 32 | l->subscriptions);
    d = mix(d, (uint64_t)l->sessions << 32 | l->topic_levels);
    d = mix(d, (uint64_t)l->topic_bytes << 32 | l->user_properties);
    d = mix(d, (uint64_t)l->exchanges << 32 | l->observations);
    d = mix(mix(d, l->transfers), l->transfer_us);
    return mix(d, (uint64_t)l->keepalive_min_s << 32 | l->keepalive_max_s);
}

static uint64_t of_law(const struct policy_mqtt_law *l)
{
    return mix(mix(10, l->release_s), (uint64_t)l->strict_strings | (uint64_t)l->pass_redirection << 1 |
                                          (uint64_t)l->over << 8 | (uint64_t)l->response_topic << 16);
}

static uint64_t of_match(const struct policy_match *m)
{
    uint64_t d = mix(6, (uint64_t)m->any << 32 | (uint32_t)m->vlan);
    const char *const texts[] = {m->listener, m->port,    m->mac,      m->client_id, m->user,
                                 m->cert_cn,  m->cert_ou, m->cert_san, m->psk_id};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        d = mix_text(d, texts[i]);
    return mix(d, of_sources(m->sources, m->sources_n));
}

/* The first that fits decides, so their order counts. */
static uint64_t of_maps(const struct topic_map *maps, uint32_t n)
{
    uint64_t d = 10;
    for (uint32_t i = 0; i < n; i++)
        d = mix(mix_text(mix_text(d, maps[i].path), maps[i].topic), maps[i].retain);
    return d;
}

static uint64_t of_role(const struct policy_role_spec *r)
{
    uint64_t d = mix_text(mix_text(mix_text(7, r->name), r->id), r->client_id);
    d = mix(d, of_match(&r->match));
    d = mix(d, (uint64_t)r->mode | (uint64_t)r->subscribe_mode << 40 | (uint64_t)r->payload_utf8 << 9 |
                   (uint64_t)r->max_qos << 16 | (uint64_t)r->will << 24 | (uint64_t)r->refusal << 32);
    d = mix(d, (uint64_t)r->inflight << 32 | r->queue);
    d = mix_text(mix_text(d, r->last_will.topic), r->last_will.payload);
    d = mix(mix(d, (uint64_t)r->session.takeover << 1 | r->session.caps_expiry),
            (uint64_t)r->session.expiry_max_s << 32 | r->session.packet_bytes);
    d = mix(d, (uint64_t)r->last_will.delay_s << 32 | (uint64_t)r->last_will.retain << 8 | r->last_will.qos);
    d = of_rates(mix(d, of_limits(&r->limits)), &r->total);
    d = mix(d, of_law(&r->law));
    d = mix(d, of_variables(r->variables, r->variables_n));
    if (r->maps_n > 0)
        d = mix(d, of_maps(r->maps, r->maps_n));
    return mix(d, of_rules(r->rules, r->rules_n));
}

static uint64_t of_device(const struct policy_device_spec *device)
{
    uint64_t d = mix_text(mix_text(8, device->id), device->quarantine);
    d = device->has_mac ? mix_bytes(d, device->mac, sizeof(device->mac)) : mix(d, 9);
    d = mix(mix_text(mix_text(d, device->client_id), device->user), device->vlan);
    d = mix(d, of_sources(device->addresses, device->addresses_n));
    return mix(d, of_variables(device->variables, device->variables_n));
}

uint64_t snapshot_role_digest(const struct policy_role_spec *spec)
{
    struct policy_role_spec bare = *spec;
    bare.rules_n = 0;
    bare.limits = (struct policy_limits){.packet_bytes = 0};
    return of_role(&bare);
}

uint64_t snapshot_limits_digest(const struct policy_role_spec *spec)
{
    return of_limits(&spec->limits);
}

uint64_t snapshot_device_digest(const struct policy_device_spec *spec)
{
    return of_device(spec);
}

uint32_t snapshot_digest(const struct policy_spec *spec)
{
    uint64_t roles = 0, devices = 0;
    for (uint32_t i = 0; i < spec->roles_n; i++)
        roles = mix(roles, of_role(&spec->roles[i]));
    for (uint32_t i = 0; i < spec->devices_n; i++)
        devices += of_device(&spec->devices[i]);
    uint64_t digest = mix(mix(roles, devices), (uint64_t)spec->roles_n << 32 | spec->devices_n);
    if (spec->users != NULL)
        digest = mix(digest, users_digest(spec->users));
    return (uint32_t)(digest ^ digest >> 32);
}
