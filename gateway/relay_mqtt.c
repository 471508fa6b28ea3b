/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/relay_mqtt_private.h"

#include "dataplane/secure/tls_stream.h"

#include <stdlib.h>
#include <sys/random.h>

/* ---- what streams call -------------------------------------------------------------------------------- */

static void on_upstream_opened(void *owner)
{
    struct relay *r = owner;
    relay_make_current(r);
    relay_opened(r);
}

static size_t on_device_data(void *owner, const uint8_t *p, size_t n)
{
    struct relay *r = owner;
    relay_prefetch(r);
    relay_make_current(r);
    __builtin_prefetch(r->upstream.stream);
    return relay_take(r, &r->device, p, n);
}

static size_t on_upstream_data(void *owner, const uint8_t *p, size_t n)
{
    struct relay *r = owner;
    relay_make_current(r);
    return relay_take(r, &r->upstream, p, n);
}

static void on_device_writable(void *owner)
{
    struct relay *r = owner;
    relay_make_current(r);
    relay_flush_out(r, &r->device);
}

static void on_upstream_writable(void *owner)
{
    struct relay *r = owner;
    relay_make_current(r);
    if (r->state != RELAY_DIALLING)
        relay_flush_out(r, &r->upstream);
}

static void on_device_ended(void *owner)
{
    struct relay *r = owner;
    relay_make_current(r);
    relay_side_ended(r, &r->device);
}

static void on_upstream_ended(void *owner)
{
    struct relay *r = owner;
    relay_make_current(r);
    relay_side_ended(r, &r->upstream);
}

static void on_device_closed(void *owner, enum stream_end why)
{
    struct relay *r = owner;
    relay_make_current(r);
    relay_side_closed(r, &r->device, why, NULL);
}

static void on_upstream_closed(void *owner, enum stream_end why)
{
    struct relay *r = owner;
    const char *reason = stream_reason(r->upstream.stream);
    relay_make_current(r);
    relay_side_closed(r, &r->upstream, why, reason);
}

const struct stream_handler relay_device_handler = {.data = on_device_data,
                                                    .writable = on_device_writable,
                                                    .ended = on_device_ended,
                                                    .closed = on_device_closed};
const struct stream_handler relay_upstream_handler = {.opened = on_upstream_opened,
                                                      .data = on_upstream_data,
                                                      .writable = on_upstream_writable,
                                                      .ended = on_upstream_ended,
                                                      .closed = on_upstream_closed};

/* ---- all relays of a worker --------------------------------------------------------------------------- */

static void *workspace_get(struct mqtt_workspace *workspace, uint32_t bytes, uint32_t *capacity)
{
    struct mqtt_relays *all = (struct mqtt_relays *)(void *)workspace;
    return packet_buffer_get(all->buffers, bytes, capacity);
}

static void workspace_put(struct mqtt_workspace *workspace, void *at)
{
    struct mqtt_relays *all = (struct mqtt_relays *)(void *)workspace;
    packet_buffer_put(all->buffers, at);
}

static bool make_workspace(struct mqtt_relays *all)
{
    struct mqtt_workspace *w = &all->workspace;
    uint64_t share = all->config.buffer_bytes / 4; /* a buffer grows by doubling, and others need some too */
    w->held_bytes_max = (uint32_t)(share < PACKET_BUFFER_MAX ? share : PACKET_BUFFER_MAX);
    w->get = workspace_get;
    w->put = workspace_put;
    w->entries_room = RELAY_HEAD_BYTES_MAX;
    w->entries = malloc(w->entries_room);
    w->codes_room = RELAY_HEAD_BYTES_MAX / 3;
    w->codes = malloc(w->codes_room);
    all->scratch = malloc(RELAY_SCRATCH_BYTES);
    all->shape_scratch = malloc(RELAY_SHAPE_SCRATCH_BYTES);
    return w->entries != NULL && w->codes != NULL && all->scratch != NULL && all->shape_scratch != NULL;
}

struct mqtt_relays *mqtt_relays_create(const struct mqtt_relays_config *config)
{
    uint8_t secret[16];
    struct mqtt_relays *all = calloc(1, sizeof(*all));
    if (all == NULL || getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret)) {
        free(all);
        return NULL;
    }
    all->config = *config;
    if (config->judged == NULL)
        all->config.judged = &judged_nobody;
    dial_queue_init(&all->dials);
    all->next_number = config->session_seed;
    all->slab = slab_create(config->sessions, sizeof(struct relay));
    all->buffers = packet_buffers_create(config->buffer_bytes);
    all->clients = client_table_create(config->sessions * 2, secret, config->shares);
    all->sources = client_table_create(config->sessions, secret, NULL);
    explicit_bzero(secret, sizeof(secret));
    if (!make_workspace(all) || all->slab == NULL || all->buffers == NULL || all->clients == NULL ||
        all->sources == NULL) {
        mqtt_relays_destroy(all);
        return NULL;
    }
    return all;
}

static void give_back(struct relay *r, struct relay_side *side)
{
    relay_drop_box(r, &side->out);
    relay_drop_box(r, &side->later);
    uint32_t bytes = side->framer.capacity;
    uint8_t *buffer = mqtt_framer_reclaim(&side->framer);
    /* Half a CONNECT may hold a password. */
    if (buffer != NULL)
        relay_put_buffer(r, buffer, side->framer.version == MQTT_VERSION_UNKNOWN ? bytes : 0);
}

static void forget_client(struct relay *r)
{
    struct relay **link = (struct relay **)&r->client->sessions;
    while (*link != r)
        link = &(*link)->next_of_client;
    *link = r->next_of_client;
    client_table_close(r->all->clients, r->client);
}

static void release(struct relay *r)
{
    struct mqtt_relays *all = r->all;
    timer_stop(all->config.timers, &r->timer);
    dial_queue_leave(&all->dials, &r->turn);
    give_back(r, &r->device);
    give_back(r, &r->upstream);
    mqtt_guard_fini(&r->guard);
    if (r->text != NULL)
        packet_buffer_put(all->buffers, r->text);
    relay_release_claims(r);
    if (r->client != NULL)
        forget_client(r);
    relay_unhold_source(r);
    relay_drop_shape(r);
    if (all->config.gone != NULL)
        all->config.gone(all->config.worker, &r->origin);
    slab_free(all->slab, r);
}

void mqtt_relays_destroy(struct mqtt_relays *all)
{
    uint32_t index = 0;
    struct relay *r;
    if (all == NULL)
        return;
    while (all->slab != NULL && (r = slab_next(all->slab, &index)) != NULL) {
        if (r->device.stream != NULL)
            stream_abort(r->device.stream);
        if (r->upstream.stream != NULL)
            stream_abort(r->upstream.stream);
        release(r);
    }
    slab_destroy(all->slab);
    packet_buffers_destroy(all->buffers);
    client_table_destroy(all->clients);
    client_table_destroy(all->sources);
    free(all->workspace.entries);
    free(all->workspace.codes);
    free(all->scratch);
    free(all->shape_scratch);
    free(all);
}

void mqtt_relays_accept(struct mqtt_relays *all, struct stream *device, const struct relay_origin *origin)
{
    struct relay *r = all->draining ? NULL : slab_alloc(all->slab);
    if (r == NULL) {
        stream_abort(device);
        if (all->config.gone != NULL)
            all->config.gone(all->config.worker, origin);
        return;
    }
    r->all = all;
    r->origin = *origin;
    r->number = all->next_number++;
    r->generation = relay_generation(r)->number;
    r->listener_name = relay_name_digest(relay_generation(r)->config->listeners[origin->listener].name);
    r->accepted_us = r->last_packet_us = relay_now(r);
    r->timer.fire = relay_fire;
    r->device.stream = device;
    mqtt_framer_init(&r->device.framer, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, RELAY_CONNECT_BYTES_MAX,
                     RELAY_CONNECT_BYTES_MAX);
    mqtt_guard_init(&r->guard, &all->workspace);
    relay_set_state(r, RELAY_CONNECT);
    all->counters.count[RELAY_SESSIONS_ACCEPTED]++;
    device->handler = &relay_device_handler;
    device->owner = r;
}

/* ---- the end of a burst ------------------------------------------------------------------------------- */

void relay_list(struct relay *r)
{
    if (r->listed)
        return;
    r->listed = true;
    r->next_listed = r->all->listed;
    r->all->listed = r;
}

void relay_mark_resume(struct relay *r, struct relay_side *side)
{
    if (!side->blocked || side->stream == NULL)
        return;
    side->resume = true;
    relay_list(r);
}

static void abort_side(struct relay_side *side)
{
    if (!side->abort || side->stream == NULL)
        return;
    stream_abort(side->stream);
    side->stream = NULL;
}

static void resume_side(struct relay_side *side)
{
    bool resume = side->resume;
    side->resume = false;
    if (resume && side->stream != NULL)
        stream_resume(side->stream);
}

static void flush_side(struct relay_side *side)
{
    bool dirty = side->dirty;
    side->dirty = false;
    if (dirty && side->stream != NULL)
        stream_flush(side->stream);
}

bool mqtt_relays_tell_foreign(const struct stream *device, const char *what)
{
    if (device->handler != &relay_device_handler)
        return false;
    struct relay *r = device->owner;
    relay_report(r, &(struct relay_report){.kind = EVENT_IDENTITY_VIOLATION,
                                           .outcome = OUTCOME_IDENTITY_MISMATCH,
                                           .rule = ACL_RULE_NONE,
                                           .detail = what});
    return true;
}

static void flush_listed(struct mqtt_relays *all)
{
    struct relay *r;
    while ((r = all->listed) != NULL) {
        all->listed = r->next_listed;
        r->listed = false;
        abort_side(&r->device);
        abort_side(&r->upstream);
        resume_side(&r->device);
        resume_side(&r->upstream);
        flush_side(&r->upstream);
        flush_side(&r->device);
        if (r->device.stream == NULL && r->upstream.stream == NULL && !r->listed)
            release(r);
    }
}

void mqtt_relays_flush(struct mqtt_relays *all)
{
    if (all->config.claims != NULL)
        relay_yield_claims(all);
    flush_listed(all);
    if (relay_take_turns(all)) /* what was given up is gone by now, upstream too */
        flush_listed(all);
}

/* ---- the control thread's questions, put by the worker ------------------------------------------------ */

bool mqtt_relays_sweep(struct mqtt_relays *all, uint32_t budget)
{
    for (; budget != 0; budget--) {
        struct relay *r = slab_next(all->slab, &all->sweep_position);
        if (r == NULL) {
            all->sweep_position = 0;
            return true;
        }
        relay_make_current(r);
    }
    return false;
}

bool mqtt_relays_recheck(struct mqtt_relays *all, uint32_t budget)
{
    for (; budget != 0; budget--) {
        struct relay *r = slab_next(all->slab, &all->recheck_position);
        if (r == NULL) {
            all->recheck_position = 0;
            return true;
        }
        relay_recheck(r);
    }
    return false;
}

bool mqtt_relays_drain(struct mqtt_relays *all, enum outcome why, uint32_t budget)
{
    uint32_t index = 0;
    struct relay *r;
    all->draining = true;
    while (budget != 0 && (r = slab_next(all->slab, &index)) != NULL) {
        relay_make_current(r);
        if (r->state == RELAY_ENDING)
            continue;
        relay_end(r, why);
        budget--;
    }
    return slab_used(all->slab) == 0;
}

uint32_t mqtt_relays_sessions(const struct mqtt_relays *all)
{
    return slab_used(all->slab);
}

const struct mqtt_relays_counters *mqtt_relays_counters(const struct mqtt_relays *all)
{
    return &all->counters;
}

size_t mqtt_relays_session_bytes(void)
{
    return sizeof(struct relay);
}

uint32_t mqtt_relays_dials_waiting(const struct mqtt_relays *all)
{
    return all->dials.waiting_n;
}

uint64_t mqtt_relays_buffers_used(const struct mqtt_relays *all)
{
    return packet_buffers_used(all->buffers);
}

/* What its two connections are, of a session that has both. */
static void describe_sides(const struct relay *r, struct relay_info *out)
{
    const struct generation *generation = relay_generation(r);
    if (r->state != RELAY_RUNNING)
        return;
    if (r->origin.tls && r->device.stream != NULL)
        snprintf(out->device_tls, sizeof(out->device_tls), "%s %s", tls_stream_version(r->device.stream),
                 tls_stream_cipher(r->device.stream));
    if (r->upstream_tls && r->upstream.stream != NULL)
        snprintf(out->upstream_tls, sizeof(out->upstream_tls), "%s %s",
                 tls_stream_version(r->upstream.stream), tls_stream_cipher(r->upstream.stream));
    for (uint32_t i = 0; i < generation->config->upstreams_n; i++) {
        const struct config_upstream *upstream = &generation->config->upstreams[i];
        if (relay_name_digest(upstream->name) != r->upstream_name)
            continue;
        event_set_name(out->upstream, sizeof(out->upstream), bytes_of_text(upstream->name));
        out->has_server = r->dial_generation == generation->number && r->server < upstream->servers_n;
        if (out->has_server) {
            memcpy(out->server.bytes, upstream->servers[r->server].address, sizeof(out->server.bytes));
            out->server_port = upstream->servers[r->server].port;
        }
    }
}

bool mqtt_relays_next(struct mqtt_relays *all, uint32_t *position, struct relay_info *out)
{
    struct relay *r = slab_next(all->slab, position);
    if (r == NULL)
        return false;
    relay_make_current(r);
    *out = (struct relay_info){.session = r->number,
                               .since_us = r->accepted_us,
                               .publishes_up = r->publishes_up,
                               .publishes_down = r->publishes_down,
                               .denied = r->denied,
                               .version = r->version,
                               .running = r->state == RELAY_RUNNING,
                               .origin = r->origin};
    event_set_name(out->client_id, sizeof(out->client_id), relay_client_id(r));
    event_set_name(out->user, sizeof(out->user), relay_user(r));
    event_set_name(out->identity, sizeof(out->identity), bytes_of(r->identity.name, r->identity.name_len));
    if (r->named)
        event_set_name(out->role, sizeof(out->role), bytes_of_text(r->identity.role->name));
    describe_sides(r, out);
    return true;
}

static bool is_called(const struct relay *r, struct bytes name)
{
    return name.len != 0 && (bytes_equal(bytes_of(r->identity.name, r->identity.name_len), name) ||
                             bytes_equal(relay_client_id(r), name));
}

bool mqtt_relays_facts(struct mqtt_relays *all, struct bytes name, uint32_t *position, uint32_t budget,
                       struct session_facts *out)
{
    out->found = false;
    for (; budget != 0; budget--) {
        struct relay *r = slab_next(all->slab, position);
        if (r == NULL)
            return true;
        relay_make_current(r);
        if (r->state <= RELAY_CONNECT || !is_called(r, name))
            continue;
        struct client_facts facts = relay_facts(r, relay_generation(r), r->origin.listener);
        session_facts_take(out, &facts);
        return true;
    }
    return false;
}

bool mqtt_relays_kick(struct mqtt_relays *all, struct relay_kick *kick, uint32_t budget)
{
    for (; budget != 0; budget--) {
        struct relay *r = slab_next(all->slab, &kick->position);
        if (r == NULL)
            return true;
        relay_make_current(r);
        if (r->state == RELAY_ENDING || !is_called(r, kick->name))
            continue;
        relay_report(
            r, &(struct relay_report){.kind = EVENT_MQTT_END,
                                      .outcome = kick->why,
                                      .rule = ACL_RULE_NONE,
                                      .told = r->version == MQTT_5,
                                      .reason_code = mqtt_guard_code(MQTT_DISCONNECT, MQTT_5, kick->why),
                                      .detail = kick->detail});
        relay_end(r, kick->why);
        kick->n++;
    }
    return false;
}
