/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From CONNECT to an open upstream: who it is, and whether it may (C1, C3, D2, D10, F2). */
#include "dataplane/secure/tls_stream.h"
#include "gateway/peer_facts.h"
#include "gateway/relay_mqtt_private.h"
#include "policy/mqtt/mount.h"

#include <stdio.h>

/* FNV-1a: names of listeners are told apart across reloads by it. */
uint64_t relay_name_digest(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return hash;
}

/* ---- who it is ---------------------------------------------------------------------------------------- */

static bool keep_text(struct relay *r, struct bytes client_id, bool has_user, struct bytes user)
{
    uint32_t given;
    uint32_t bytes = (uint32_t)(sizeof(struct relay_text) + client_id.len + user.len);
    struct relay_text *text = packet_buffer_get(r->all->buffers, bytes, &given);
    if (text == NULL)
        return false;
    *text = (struct relay_text){
        .client_id_len = (uint16_t)client_id.len, .user_len = (uint16_t)user.len, .has_user = has_user};
    if (client_id.len != 0)
        memcpy(text->data, client_id.at, client_id.len);
    if (user.len != 0)
        memcpy(text->data + client_id.len, user.at, user.len);
    if (r->text != NULL)
        packet_buffer_put(r->all->buffers, r->text);
    r->text = text;
    return true;
}

struct client_facts relay_facts(const struct relay *r, const struct generation *generation, uint16_t listener)
{
    const struct config_interface *interface = &generation->config->interfaces[r->origin.interface];
    struct client_facts facts = {.listener = bytes_of_text(generation->config->listeners[listener].name),
                                 .port = bytes_of_text(interface->name),
                                 .vlan = interface->vlan,
                                 .has_mac = r->origin.has_mac,
                                 .client_id = relay_client_id(r),
                                 .user = relay_user(r)};
    memcpy(facts.mac, r->origin.mac, sizeof(facts.mac));
    memcpy(facts.source, r->origin.key.remote.bytes, sizeof(facts.source));
    if (r->origin.tls && r->device.stream != NULL)
        peer_facts(tls_stream_peer(r->device.stream), &facts);
    return facts;
}

/* Shut out by command, by either of its names. */
static const struct quarantine_entry *quarantined(const struct relay *r)
{
    const struct quarantine *const *list = r->all->config.quarantine;
    const struct quarantine_entry *entry =
        list == NULL ? NULL : quarantine_find(*list, bytes_of(r->identity.name, r->identity.name_len));
    return entry != NULL || list == NULL ? entry : quarantine_find(*list, relay_client_id(r));
}

enum outcome relay_identify(struct relay *r)
{
    const struct generation *generation = relay_generation(r);
    struct client_facts facts = relay_facts(r, generation, r->origin.listener);
    enum outcome outcome = identity_resolve(generation->policy, &facts, &r->identity);
    r->named = r->identity.role != NULL;
    if (outcome == OUTCOME_ALLOWED && !relay_credential_holds(r))
        outcome = OUTCOME_BAD_CREDENTIALS;
    if (outcome == OUTCOME_ALLOWED && quarantined(r) != NULL)
        outcome = OUTCOME_QUARANTINED;
    if (outcome == OUTCOME_ALLOWED && r->client != NULL)
        relay_bind(r);
    return outcome;
}

enum outcome relay_assigned(struct relay *r, struct bytes client_id)
{
    if (client_id.len > RELAY_TEXT_MAX)
        return OUTCOME_BAD_CLIENT_ID;
    if (!keep_text(r, client_id, r->text->has_user, relay_user(r)))
        return OUTCOME_NO_RESOURCES;
    const struct policy_role *role = r->identity.role;
    char name[IDENTITY_NAME_MAX + 1];
    memcpy(name, r->identity.name, sizeof(name));
    enum outcome outcome = relay_identify(r);
    /* What it was dialled and judged as, it stays: its certificate, its limits, its place among the sessions.
     */
    if (outcome == OUTCOME_ALLOWED && (r->identity.role != role || strcmp(r->identity.name, name) != 0))
        outcome = OUTCOME_CLIENT_ID_MISMATCH;
    return outcome;
}

/* ---- whether it may ----------------------------------------------------------------------------------- */

/* The same device at the same place: it lost its connection and we have not heard of it yet. */
static bool same_place(const struct relay *a, const struct relay *b)
{
    return ip_address_equal(&a->origin.key.remote, &b->origin.key.remote) &&
           a->origin.has_mac == b->origin.has_mac &&
           memcmp(a->origin.mac, b->origin.mac, sizeof(a->origin.mac)) == 0;
}

/* Where the session is that keeps this one out, for whoever reads the event. */
static void note_holder(struct relay *r, const struct relay *holder)
{
    char address[IP_ADDRESS_TEXT];
    const uint8_t *mac = holder->origin.mac;
    int n = snprintf(r->all->detail, sizeof(r->all->detail), "the session is held from %s",
                     ip_address_format(&holder->origin.key.remote, address));
    if (holder->origin.has_mac)
        snprintf(r->all->detail + n, sizeof(r->all->detail) - (size_t)n, " (%02x:%02x:%02x:%02x:%02x:%02x)",
                 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static bool takes_over(const struct relay *r, const struct relay *holder)
{
    switch (r->identity.role->session.takeover) {
    case POLICY_TAKEOVER_SAME_PLACE:
        return same_place(holder, r);
    case POLICY_TAKEOVER_REFUSE:
        return false;
    case POLICY_TAKEOVER_REPLACE:
        return true;
    }
    return false;
}

/* A second session with the same client identifier takes over or is refused, as the role says; others count
 * against the cap (C3, D9). */
static enum outcome claim_session(struct relay *r, struct client *client)
{
    struct bytes id = relay_client_id(r);
    for (struct relay *other = client->sessions; other != NULL; other = other->next_of_client) {
        if (other->state == RELAY_ENDING || id.len == 0 || !bytes_equal(relay_client_id(other), id))
            continue;
        if (!takes_over(r, other)) {
            note_holder(r, other);
            if (relay_over(r, OUTCOME_SESSION_TAKEN) != OUTCOME_ALLOWED)
                return OUTCOME_SESSION_TAKEN;
        }
        relay_take_over(other); /* the upstream would do the same */
    }
    uint32_t live = 0;
    for (const struct relay *other = client->sessions; other != NULL; other = other->next_of_client)
        live += other->state != RELAY_ENDING && other->state != RELAY_LEAVING;
    return live < r->identity.role->limits.sessions ? OUTCOME_ALLOWED : relay_over(r, OUTCOME_SESSION_TAKEN);
}

static enum outcome admit(struct relay *r)
{
    enum outcome outcome = relay_identify(r);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    struct client *client =
        client_table_get(r->all->clients, bytes_of(r->identity.name, r->identity.name_len));
    if (client == NULL)
        return OUTCOME_NO_RESOURCES;
    outcome = relay_take_connect(r, client);
    if (outcome == OUTCOME_ALLOWED)
        outcome = claim_session(r, client);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    r->client = client;
    r->next_of_client = client->sessions;
    client->sessions = r;
    client_table_open(r->all->clients, client);
    relay_bind(r);
    return OUTCOME_ALLOWED;
}

/* ---- what goes upstream first -------------------------------------------------------------------------- */

bool relay_queue_connect(struct relay *r, const struct mqtt_packet *packet)
{
    uint8_t *scratch = r->all->scratch;
    size_t n = mqtt_build(scratch, RELAY_SCRATCH_BYTES, packet, packet->connect.version);
    if (n == 0)
        return false;
    bool good = relay_box_append(r, &r->upstream.out, scratch, n);
    explicit_bzero(scratch, n);
    if (good)
        r->upstream.out->secret = true;
    return good;
}

void relay_set_reading(struct relay *r)
{
    bool observes = relay_observes(r);
    uint32_t limit = observes ? UINT32_MAX : r->identity.role->limits.packet_bytes;
    enum utf8_level level = r->identity.role->law.strict_strings && !observes ? UTF8_STRICT : UTF8_SPEC;
    r->device.framer.packet_limit_bytes = limit;
    r->device.framer.utf8 = level;
    r->upstream.framer.utf8 = level;
}

static void set_framers(struct relay *r)
{
    struct mqtt_framer *device = &r->device.framer;
    device->version = (enum mqtt_version)r->version;
    device->head_limit_bytes = RELAY_HEAD_BYTES_MAX;
    /* A topic of any length and its identifier are read, so that no delivery comes again for ever. */
    mqtt_framer_init(&r->upstream.framer, MQTT_FROM_SERVER, device->version, UINT32_MAX,
                     RELAY_HEAD_BYTES_MAX + RELAY_NAMED_BYTES);
    r->upstream.framer.pass_defects = true;
    relay_set_reading(r);
}

const char *relay_why_refused(const struct relay *r, enum outcome outcome)
{
    if (outcome == OUTCOME_IDENTITY_MISMATCH)
        return identity_part_text(r->identity.mismatch);
    if (outcome == OUTCOME_QUARANTINED && r->named && r->identity.device != NULL &&
        r->identity.device->quarantine != NULL)
        return r->identity.device->quarantine;
    if (outcome == OUTCOME_QUARANTINED) {
        const struct quarantine_entry *entry = quarantined(r);
        return entry == NULL ? NULL : entry->reason;
    }
    if (outcome == OUTCOME_SESSION_TAKEN && r->all->detail[0] != 0)
        return r->all->detail;
    if (outcome == OUTCOME_RATE_CONNECTS)
        return mqtt_guard_scope_text((enum guard_scope)r->over_scope);
    return NULL;
}

bool relay_observes(const struct relay *r)
{
    return relay_generation(r)->config->observe || r->identity.role->mode == POLICY_OBSERVE;
}

enum outcome relay_over(struct relay *r, enum outcome outcome)
{
    if (!relay_observes(r))
        return outcome;
    relay_report(r, &(struct relay_report){.kind = EVENT_MQTT_CONNECT_REFUSED,
                                           .detail = relay_why_refused(r, outcome),
                                           .outcome = outcome,
                                           .rule = ACL_RULE_NONE,
                                           .observed = true});
    r->all->counters.from_device[outcome]++;
    return OUTCOME_ALLOWED;
}

/* Refused before there was a session: CONNACK says why. */
static void refuse(struct relay *r, enum outcome outcome, const struct mqtt_packet *packet,
                   const struct guard_verdict *v)
{
    bool will = v != NULL && packet->connect.will.present && outcome != OUTCOME_KEEPALIVE_RANGE &&
                outcome != OUTCOME_WILL_REQUIRED && outcome != OUTCOME_MALFORMED_STRING;
    relay_report(r, &(struct relay_report){
                        .kind = will                                   ? EVENT_MQTT_WILL_DENIED
                                : outcome == OUTCOME_IDENTITY_MISMATCH ? EVENT_IDENTITY_VIOLATION
                                                                       : EVENT_MQTT_CONNECT_REFUSED,
                        .detail = relay_why_refused(r, outcome),
                        .outcome = outcome,
                        .rule = v == NULL ? ACL_RULE_NONE : v->rule,
                        .told = true,
                        .reason_code = mqtt_guard_code(MQTT_CONNACK, packet->connect.version, outcome),
                        .packet = packet,
                        .topic = will ? packet->connect.will.topic : bytes_of(NULL, 0)});
    relay_end(r, outcome);
}

void relay_refuse_connect(struct relay *r, enum outcome outcome, const struct mqtt_packet *packet)
{
    refuse(r, outcome, packet, NULL);
}

/* The CONNECT that is to be the first that goes to the upstream. */
static bool waiting_connect(const struct relay *r, struct mqtt_packet *packet)
{
    const struct relay_box *box = r->upstream.out;
    struct mqtt_framer framer;
    if (box == NULL)
        return false;
    struct cursor in = {.at = box->data + box->start, .end = box->data + box->end};
    mqtt_framer_init(&framer, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, UINT32_MAX, RELAY_SCRATCH_BYTES);
    return mqtt_framer_next(&framer, &in, packet) == MQTT_STEP_PACKET && packet->type == MQTT_CONNECT;
}

bool relay_keep_connect(struct relay *r)
{
    struct mqtt_packet packet;
    struct guard_verdict v = {.rule = ACL_RULE_NONE, .outcome = OUTCOME_UNDECIDED};
    if (r->state != RELAY_DIALLING || r->guard.will != GUARD_WILL_OWN)
        return true;
    if (!waiting_connect(r, &packet)) {
        relay_end(r, OUTCOME_UNDECIDED);
        return false;
    }
    if (relay_is_mounted(r))
        mqtt_mount_off(r->shape->cloud.mount, &packet.connect.will);
    v.outcome = mqtt_guard_rejudge_will(&r->guard, &packet.connect.will, &v.rule);
    if (v.outcome != OUTCOME_ALLOWED)
        refuse(r, v.outcome, &packet, &v);
    return v.outcome == OUTCOME_ALLOWED;
}

/* What it calls itself is kept before it is believed: events tell of it. */
static enum outcome keep_names(struct relay *r, const struct mqtt_connect *c)
{
    if (c->client_id.len > RELAY_TEXT_MAX)
        return OUTCOME_BAD_CLIENT_ID;
    if (c->user_name.len > RELAY_TEXT_MAX)
        return OUTCOME_BAD_CREDENTIALS;
    return keep_text(r, c->client_id, c->has_user_name, c->user_name) ? OUTCOME_ALLOWED
                                                                      : OUTCOME_NO_RESOURCES;
}

enum outcome relay_connect(struct relay *r, struct mqtt_packet *packet)
{
    struct guard_verdict v;
    r->all->detail[0] = 0;
    r->version = (uint8_t)packet->connect.version;
    r->tried = 0;
    enum outcome outcome = keep_names(r, &packet->connect);
    if (outcome == OUTCOME_ALLOWED)
        outcome = relay_authenticate(r, packet);
    if (r->state == RELAY_AUTH)
        return outcome;
    if (outcome == OUTCOME_ALLOWED)
        outcome = admit(r);
    if (judged_wanted(r->all->config.judged))
        relay_judged_connect(r, packet, outcome);
    if (outcome == OUTCOME_ALLOWED)
        outcome = relay_know_upstream(r, packet);
    if (outcome != OUTCOME_ALLOWED) {
        refuse(r, outcome, packet, NULL);
        return outcome;
    }
    bool will = packet->connect.will.present; /* its own, not one that the role supplies */
    mqtt_guard_check(&r->guard, MQTT_FROM_CLIENT, packet, true, relay_now(r), &v);
    relay_hit(r, v.rule);
    if (judged_wanted(r->all->config.judged))
        relay_judged_terms(r, packet, &v, will);
    if (v.action != GUARD_FORWARD) {
        refuse(r, v.outcome, packet, &v);
        return v.outcome;
    }
    if (v.outcome != OUTCOME_ALLOWED)
        relay_report_verdict(r, MQTT_FROM_CLIENT, packet, &v);
    set_framers(r);
    struct mqtt_packet shaped = *packet;
    outcome = relay_shape(r, &shaped);
    if (outcome == OUTCOME_ALLOWED)
        outcome = relay_queue_connect(r, &shaped) ? relay_dial(r) : OUTCOME_NO_RESOURCES;
    if (outcome != OUTCOME_ALLOWED) {
        refuse(r, outcome, packet, NULL);
        return outcome;
    }
    mqtt_guard_advance(&r->guard, MQTT_FROM_CLIENT, packet, &v, relay_now(r));
    relay_will_seen(r, packet);
    return v.outcome;
}

static const char *peer_refused(const struct tls_context *context, const struct stream *stream)
{
    return context == NULL || stream == NULL ? NULL : tls_context_refuses(context, tls_stream_peer(stream));
}

static enum outcome check_device_transport(const struct relay *r, const struct generation *generation,
                                           uint16_t listener, const char **detail)
{
    const struct tls_context *context = generation->listener_tls[listener];
    bool secured = generation->config->listeners[listener].security == CONFIG_SECURITY_TLS;
    if (r->origin.tls != secured) {
        *detail = secured ? "the listener has TLS now" : "the listener has no TLS any more";
        return OUTCOME_RIGHTS_LOST;
    }
    if (!r->origin.tls || r->device.stream == NULL)
        return OUTCOME_ALLOWED;
    *detail = peer_refused(context, r->device.stream);
    if (*detail == NULL)
        return OUTCOME_ALLOWED;
    const struct tls_peer *peer = tls_stream_peer(r->device.stream);
    return peer != NULL && peer->psk_id != NULL ? OUTCOME_PSK_LOST : OUTCOME_CERTIFICATE_LOST;
}

enum outcome relay_check_transport(const struct relay *r, const struct generation *generation,
                                   uint16_t listener, const char **detail)
{
    *detail = NULL;
    enum outcome outcome = check_device_transport(r, generation, listener, detail);
    if (outcome != OUTCOME_ALLOWED || !r->upstream_tls)
        return outcome;
    for (uint32_t i = 0; i < generation->config->upstreams_n && *detail == NULL; i++)
        if (relay_name_digest(generation->config->upstreams[i].name) == r->upstream_name)
            *detail = peer_refused(generation->upstream_tls[i], r->upstream.stream);
    return *detail == NULL ? OUTCOME_ALLOWED : OUTCOME_UPSTREAM_TLS;
}

void relay_opened(struct relay *r)
{
    if (r->state != RELAY_DIALLING)
        return;
    relay_dialled(r, true);
    /* The handshake was begun under an older configuration, perhaps. */
    const char *detail;
    enum outcome outcome = relay_check_transport(r, relay_generation(r), r->origin.listener, &detail);
    if (outcome != OUTCOME_ALLOWED) {
        relay_report(
            r, &(struct relay_report){
                   .kind = EVENT_TLS_FAILED, .outcome = outcome, .rule = ACL_RULE_NONE, .detail = detail});
        relay_end(r, outcome);
        return;
    }
    const char *unchecked = r->upstream_tls ? tls_stream_unchecked(r->upstream.stream) : NULL;
    if (unchecked != NULL)
        relay_report(r, &(struct relay_report){.kind = EVENT_STATUS_UNCHECKED,
                                               .outcome = OUTCOME_ALLOWED,
                                               .rule = ACL_RULE_NONE,
                                               .observed = true,
                                               .detail = unchecked});
    relay_set_state(r, RELAY_CONNACK);
    relay_flush_out(r, &r->upstream);
}
