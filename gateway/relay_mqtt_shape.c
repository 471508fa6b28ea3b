/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The form in which a session goes to its upstream: another client identifier, user name and password of the
 * gateway's, topics below a mount point (C5); and that no second session of the same name goes there (C3).
 */
#include "gateway/relay_mqtt_private.h"
#include "policy/access/template.h"
#include "policy/mqtt/mount.h"

static const struct config_upstream *upstream_of(const struct relay *r)
{
    return &relay_generation(r)->config->upstreams[r->upstream_index];
}

/* ---- templates of an upstream ------------------------------------------------------------------------- */

/* The names that gateway_upstream_variable knows. */
static struct bytes value_of(void *owner, struct bytes name)
{
    const struct relay *r = owner;
    struct bytes value = bytes_of(NULL, 0);
    if (bytes_equal(name, bytes_of_text("id")))
        value = bytes_of(r->identity.name, r->identity.name_len);
    else if (bytes_equal(name, bytes_of_text("client_id")))
        value = relay_client_id(r);
    return value.len != 0 ? value : bytes_of(NULL, 0);
}

/* What stands in a topic must not open others. */
static struct bytes safe_value_of(void *owner, struct bytes name)
{
    struct bytes value = value_of(owner, name);
    return template_value_safe(value) ? value : bytes_of(NULL, 0);
}

static bool expand(struct relay *r, const char *text, struct bytes (*value)(void *, struct bytes),
                   uint8_t **at, size_t *room, struct bytes *out)
{
    size_t n;
    if (!template_expand(bytes_of_text(text), value, r, *at, *room, &n))
        return false;
    *out = bytes_of(*at, n);
    *at += n;
    *room -= n;
    return true;
}

/* The client identifier at the upstream; borrowed from the CONNECT or the scratch. */
static enum outcome make_client_id(struct relay *r, struct bytes own, uint8_t **at, size_t *room,
                                   struct bytes *out)
{
    const struct config_upstream *upstream = upstream_of(r);
    uint32_t most = cloud_limits(upstream->profile)->client_id_bytes;
    *out = own;
    if (upstream->client_id != NULL && !expand(r, upstream->client_id, value_of, at, room, out))
        return OUTCOME_BAD_CLIENT_ID;
    /* Whom the upstream would name, it would name anew each time. */
    bool nameless = own.len == 0 && (upstream->client_id != NULL || upstream->profile != CLOUD_PLAIN);
    if (nameless || (most != 0 && out->len > most) || !utf8_check(*out, UTF8_SPEC))
        return OUTCOME_BAD_CLIENT_ID;
    return OUTCOME_ALLOWED;
}

static enum outcome keep_shape(struct relay *r, struct bytes client_id, struct bytes mount)
{
    enum cloud_profile profile = upstream_of(r)->profile;
    uint32_t given;
    r->shape =
        packet_buffer_get(r->all->buffers, (uint32_t)(sizeof(*r->shape) + client_id.len + mount.len), &given);
    if (r->shape == NULL)
        return OUTCOME_NO_RESOURCES;
    uint8_t *at = r->shape->at;
    if (client_id.len != 0)
        memcpy(at, client_id.at, client_id.len);
    if (mount.len != 0)
        memcpy(at + client_id.len, mount.at, mount.len);
    r->shape->cloud = (struct cloud_session){.profile = profile,
                                             .client_id = bytes_of(at, client_id.len),
                                             .mount = bytes_of(at + client_id.len, mount.len)};
    r->shape->rates = NULL;
    if (!rates_limit(&cloud_limits(profile)->rates, RATE_PUBLISHES))
        return OUTCOME_ALLOWED;
    r->shape->rates = packet_buffer_get(r->all->buffers, sizeof(*r->shape->rates), &given);
    if (r->shape->rates == NULL)
        return OUTCOME_NO_RESOURCES;
    *r->shape->rates = (struct rate_buckets){.unpaid_bytes = 0};
    return OUTCOME_ALLOWED;
}

void relay_drop_shape(struct relay *r)
{
    if (r->shape == NULL)
        return;
    if (r->shape->rates != NULL)
        packet_buffer_put(r->all->buffers, r->shape->rates);
    packet_buffer_put(r->all->buffers, r->shape);
    r->shape = NULL;
}

enum outcome relay_know_upstream(struct relay *r, const struct mqtt_packet *packet)
{
    uint8_t *at = r->all->shape_scratch;
    size_t room = RELAY_SHAPE_SCRATCH_BYTES;
    struct bytes client_id, mount = bytes_of(at, 0);
    r->upstream_index = relay_generation(r)->config->listeners[r->origin.listener].upstream;
    const struct config_upstream *upstream = upstream_of(r);
    if (upstream->client_id == NULL && upstream->mount == NULL && upstream->profile == CLOUD_PLAIN)
        return OUTCOME_ALLOWED;
    enum outcome outcome = make_client_id(r, packet->connect.client_id, &at, &room, &client_id);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    if (upstream->mount != NULL &&
        (!expand(r, upstream->mount, safe_value_of, &at, &room, &mount) || mqtt_mount_check(mount) != NULL))
        return OUTCOME_UNSAFE_VARIABLE;
    outcome = keep_shape(r, client_id, mount);
    if (outcome == OUTCOME_ALLOWED)
        relay_bind_cloud(r);
    return outcome;
}

void relay_bind_cloud(struct relay *r)
{
    r->guard.cloud = NULL;
    if (r->shape == NULL || r->shape->cloud.profile == CLOUD_PLAIN)
        return;
    r->guard.cloud = &r->shape->cloud;
    if (r->shape->rates != NULL)
        mqtt_guard_meter(&r->guard,
                         &(struct guard_meter){.scope = GUARD_UPSTREAM,
                                               .rates = &cloud_limits(r->shape->cloud.profile)->rates,
                                               .own = r->shape->rates});
}

/* ---- mount point -------------------------------------------------------------------------------------- */

bool relay_mount_up(struct relay *r, struct mqtt_packet *packet)
{
    return !relay_is_mounted(r) ||
           mqtt_mount_up(r->shape->cloud.mount, packet, r->all->shape_scratch, RELAY_SHAPE_SCRATCH_BYTES);
}

void relay_mount_down(struct relay *r, struct mqtt_packet *packet)
{
    if (!relay_is_mounted(r))
        return;
    bool under = mqtt_mount_down(r->shape->cloud.mount, packet);
    /* Acknowledged upstream and dropped, like any other message that cannot be delivered (D3). */
    if (!under && packet->defect == OUTCOME_ALLOWED)
        packet->defect = OUTCOME_OUTSIDE_MOUNT;
}

/* ---- CONNECT ------------------------------------------------------------------------------------------ */

/* "HUB/DEVICE/?api-version=2021-04-12", as Azure IoT Hub wants it. */
static bool make_hub_user(const struct relay *r, uint8_t **at, size_t *room, struct bytes *out)
{
    const struct bytes pieces[] = {bytes_of_text(upstream_of(r)->server_name), bytes_of_text("/"),
                                   r->shape->cloud.client_id, bytes_of_text("/?api-version=2021-04-12")};
    uint8_t *begin = *at;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (pieces[i].len > *room)
            return false;
        memcpy(*at, pieces[i].at, pieces[i].len);
        *at += pieces[i].len;
        *room -= pieces[i].len;
    }
    *out = bytes_of(begin, (size_t)(*at - begin));
    return true;
}

static enum outcome shape_names(struct relay *r, struct mqtt_connect *c, uint8_t **at, size_t *room)
{
    const struct config_upstream *upstream = upstream_of(r);
    const struct secret_file *passwords = relay_generation(r)->passwords[r->upstream_index];
    bool hub = upstream->profile == CLOUD_AZURE && upstream->user_name == NULL;
    if (r->shape != NULL)
        c->client_id = r->shape->cloud.client_id;
    if (upstream->user_name == NULL && !hub)
        return OUTCOME_ALLOWED;
    /* A password of the device is for the gateway's ears only once the gateway has its own. */
    c->has_user_name = true;
    c->has_password = false;
    c->password = bytes_of(NULL, 0);
    if (hub ? !make_hub_user(r, at, room, &c->user_name)
            : !expand(r, upstream->user_name, value_of, at, room, &c->user_name))
        return OUTCOME_BAD_CREDENTIALS;
    if (passwords == NULL)
        return OUTCOME_ALLOWED;
    c->password = secret_file_find(passwords, bytes_of(r->identity.name, r->identity.name_len));
    c->has_password = true;
    return c->password.at != NULL ? OUTCOME_ALLOWED : OUTCOME_NO_PASSWORD;
}

static enum claim_result claim(struct relay *r, uint32_t index, struct bytes space, struct bytes name)
{
    const struct mqtt_relays_config *config = &r->all->config;
    uint64_t key = session_claims_key(config->claims, space, name);
    bool replaces = r->identity.role->session.takeover == POLICY_TAKEOVER_REPLACE;
    enum claim_result result = session_claims_take(config->claims, key, config->worker_index, replaces);
    if (result == CLAIM_HELD)
        r->claims[index] = key;
    return result;
}

/* The cap on sessions of all workers together (D9, F3). What a role that observes lets pass is told once:
 * here, unless this worker or a claim has found it before. */
static enum outcome count_session(struct relay *r)
{
    uint32_t most = r->identity.role->limits.sessions;
    if (r->client == NULL || r->client->share == NULL || r->counted)
        return OUTCOME_ALLOWED;
    r->counted = client_share_open(r->client->share, most);
    bool told = relay_observes(r) && (most == 1 || r->client->sessions_n > most);
    return r->counted || told ? OUTCOME_ALLOWED : relay_over(r, OUTCOME_SESSION_TAKEN);
}

static enum outcome claim_names(struct relay *r, struct bytes client_id)
{
    enum claim_result result = CLAIM_HELD;
    if (r->all->config.claims == NULL)
        return OUTCOME_ALLOWED;
    if (r->identity.role->limits.sessions == 1)
        result = claim(r, 0, bytes_of_text(""), bytes_of(r->identity.name, r->identity.name_len));
    if (result == CLAIM_TAKEN && relay_over(r, OUTCOME_SESSION_TAKEN) == OUTCOME_ALLOWED)
        result = CLAIM_HELD;
    if (result == CLAIM_HELD && client_id.len != 0)
        result = claim(r, 1, bytes_of_text(upstream_of(r)->name), client_id);
    return result == CLAIM_HELD    ? count_session(r)
           : result == CLAIM_TAKEN ? OUTCOME_SESSION_TAKEN
                                   : OUTCOME_NO_RESOURCES;
}

void relay_release_claims(struct relay *r)
{
    for (uint32_t i = 0; i < RELAY_CLAIMS; i++) {
        if (r->claims[i] != 0)
            session_claims_release(r->all->config.claims, r->claims[i], r->all->config.worker_index);
        r->claims[i] = 0;
    }
    if (r->counted)
        client_share_close(r->client->share);
    r->counted = false;
}

enum outcome relay_shape(struct relay *r, struct mqtt_packet *packet)
{
    uint8_t *at = r->all->shape_scratch;
    size_t room = RELAY_SHAPE_SCRATCH_BYTES;
    enum outcome outcome = shape_names(r, &packet->connect, &at, &room);
    if (outcome == OUTCOME_ALLOWED)
        outcome = claim_names(r, packet->connect.client_id);
    if (outcome != OUTCOME_ALLOWED || !relay_is_mounted(r))
        return outcome;
    return mqtt_mount_up(r->shape->cloud.mount, packet, at, room) ? OUTCOME_ALLOWED : OUTCOME_TOPIC_TOO_DEEP;
}

/* ---- names that another worker is to have ------------------------------------------------------------- */

void relay_yield_claims(struct mqtt_relays *all)
{
    const struct mqtt_relays_config *config = &all->config;
    uint32_t contests = session_claims_contests(config->claims), at = 0;
    struct relay *r;
    if (contests == all->contests)
        return;
    all->contests = contests;
    while ((r = slab_next(all->slab, &at)) != NULL)
        for (uint32_t i = 0; i < RELAY_CLAIMS; i++)
            if (r->claims[i] != 0 &&
                session_claims_contested(config->claims, r->claims[i], config->worker_index)) {
                relay_make_current(r);
                relay_take_over(r);
            }
}
