/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gateway's MQTT session for one CoAP identity: dialling, packets both ways, what waits. */
#include "policy/mqtt/build.h"

#include "gateway/coap_group.h"
#include "gateway/coap_mqtt.h"

#define PACKET_ROOM (256 + COAP_MQTT_NAME_MAX + COAP_MQTT_MESSAGE_BYTES)
#define HEAD_BYTES_MAX 4096
#define TICK_US UINT64_C(15000000)

/* ---- what is kept of a request ---------------------------------------------------------------------------
 */

static void note_options(const struct coap_message *message, struct coap_mapped *mapped)
{
    struct coap_block block;
    for (uint32_t i = 0; i < message->options_n; i++) {
        const struct coap_option *option = &message->options[i];
        if (option->number == COAP_BLOCK2 && coap_block_parse(option->value, &block)) {
            mapped->block_bytes = (uint16_t)block.bytes;
            mapped->block_number = block.number;
        } else if (option->number == COAP_CONTENT_FORMAT) {
            mapped->format = coap_uint(option->value);
        } else if (option->number == COAP_ETAG && option->value.len == 4 && mapped->etags_n < 4) {
            mapped->etags[mapped->etags_n++] = coap_uint(option->value);
        }
    }
}

bool coap_mqtt_keep(struct coap_flight *flight, const struct coap_message *message, struct bytes body,
                    const struct coap_verdict *verdict, const struct coap_topic *topic)
{
    uint8_t bytes[sizeof(struct coap_mapped) + COAP_PATH_MAX + TOPIC_MAP_BYTES_MAX + COAP_MQTT_MESSAGE_BYTES];
    struct coap_mapped mapped = {.payload_len = (uint32_t)body.len,
                                 .format = COAP_FORMAT_NONE,
                                 .path_len = (uint16_t)verdict->path_len,
                                 .topic_len = (uint16_t)topic->len,
                                 .publish = topic->publish,
                                 .retain = topic->retain,
                                 .qos = topic->qos};
    size_t n = sizeof(mapped);
    note_options(message, &mapped);
    memcpy(bytes, &mapped, sizeof(mapped));
    memcpy(bytes + n, verdict->path, verdict->path_len);
    n += verdict->path_len;
    memcpy(bytes + n, topic->topic, topic->len);
    n += topic->len;
    if (body.len != 0)
        memcpy(bytes + n, body.at, body.len);
    n += body.len;
    flight->mapped = true;
    return coap_keep_bytes(flight->relays, &flight->request, &flight->request_len, bytes, n);
}

struct coap_mapped coap_mqtt_mapped(const struct coap_flight *flight, struct bytes *path, struct bytes *topic,
                                    struct bytes *payload)
{
    struct coap_mapped mapped;
    const uint8_t *at = flight->request + sizeof(mapped);
    memcpy(&mapped, flight->request, sizeof(mapped));
    *path = bytes_of(at, mapped.path_len);
    *topic = bytes_of(at + mapped.path_len, mapped.topic_len);
    *payload = bytes_of(at + mapped.path_len + mapped.topic_len, mapped.payload_len);
    return mapped;
}

bool coap_mqtt_still_allowed(const struct coap_flight *flight)
{
    struct bytes path, topic, payload;
    const struct identity *identity = &flight->client->identity;
    if (flight->request == NULL)
        return false;
    coap_mqtt_mapped(flight, &path, &topic, &payload);
    struct acl_request request = {.action = ACL_OBSERVE, .topic = path};
    struct acl_decision observe = acl_decide(identity->role->acl, &identity->values, &request);
    request = (struct acl_request){.action = ACL_SUBSCRIBE, .topic = topic};
    struct acl_decision subscribe = acl_decide(identity->role->acl, &identity->values, &request);
    bool observing =
        coap_generation(flight->relays)->config->observe || identity->role->mode == POLICY_OBSERVE;
    return observing || (observe.outcome == OUTCOME_ALLOWED && subscribe.outcome == OUTCOME_ALLOWED);
}

/* ---- writing ---------------------------------------------------------------------------------------------
 */

static void mark_dirty(struct coap_mqtt *m)
{
    m->wrote_us = coap_now(m->leg->relays);
    if (m->is_dirty)
        return;
    m->is_dirty = true;
    TAILQ_INSERT_TAIL(&m->leg->relays->dirty_sessions, m, dirty);
}

static bool make_room(struct coap_mqtt *m, size_t n)
{
    struct coap_relays *r = m->leg->relays;
    uint32_t held = m->out_to - m->out_from, room;
    if (held + n > COAP_MQTT_OUT_BYTES)
        return false;
    if (m->out != NULL && m->out_room - m->out_to >= n)
        return true;
    uint8_t *bigger = packet_buffer_get(r->buffers, (uint32_t)(held + n), &room);
    if (bigger == NULL)
        return false;
    if (m->out != NULL) {
        memcpy(bigger, m->out + m->out_from, held);
        packet_buffer_put(r->buffers, m->out);
    }
    m->out = bigger;
    m->out_from = 0;
    m->out_to = held;
    m->out_room = room;
    return true;
}

bool coap_mqtt_put(struct coap_mqtt *m, const uint8_t *packet, size_t n)
{
    if (n == 0)
        return false;
    if (m->out == NULL && stream_room(m->stream) >= n) {
        stream_write(m->stream, packet, n);
        mark_dirty(m);
        return true;
    }
    if (!make_room(m, n))
        return false;
    memcpy(m->out + m->out_to, packet, n);
    m->out_to += (uint32_t)n;
    /* The stream tells of room only after it has taken less than it was given. */
    size_t k = stream_write(m->stream, m->out + m->out_from, m->out_to - m->out_from);
    m->out_from += (uint32_t)k;
    mark_dirty(m);
    return true;
}

static void drop_out(struct coap_mqtt *m)
{
    if (m->out == NULL)
        return;
    if (!m->connected)
        explicit_bzero(m->out, m->out_to); /* CONNECT may hold a password */
    packet_buffer_put(m->leg->relays->buffers, m->out);
    m->out = NULL;
    m->out_from = m->out_to = m->out_room = 0;
}

static void on_writable(void *owner)
{
    struct coap_mqtt *m = owner;
    if (m->out == NULL)
        return;
    m->out_from += (uint32_t)stream_write(m->stream, m->out + m->out_from, m->out_to - m->out_from);
    mark_dirty(m);
    if (m->out_from < m->out_to)
        return;
    drop_out(m);
    coap_mqtt_turn(m->leg);
}

bool coap_mqtt_ping(struct coap_mqtt *m)
{
    uint8_t packet[8];
    if (!coap_mqtt_put(m, packet, mqtt_build_ping(packet, sizeof(packet), MQTT_PINGREQ)))
        return false;
    m->pings_sent++;
    return true;
}

static bool id_used(const struct coap_mqtt *m, uint16_t id)
{
    const struct coap_flight *flight;
    const struct coap_mqtt_topic *topic;
    TAILQ_FOREACH (flight, &m->leg->flying, of_leg)
        if (flight->packet_id == id)
            return true;
    TAILQ_FOREACH (topic, &m->topics, of_session)
        if (topic->subscribe_id == id)
            return true;
    return id == 0;
}

uint16_t coap_mqtt_next_id(struct coap_mqtt *m)
{
    do
        m->next_id++;
    while (id_used(m, m->next_id)); /* ends: far fewer are in use than there are */
    return m->next_id;
}

/* ---- requests whose turn has come ------------------------------------------------------------------------
 */

void coap_mqtt_finish(struct coap_flight *flight, uint8_t code)
{
    coap_leg_remove(flight);
    coap_exchange_stop_up(&flight->x);
    coap_reply_own(flight, code);
    coap_flight_settle(flight);
}

/* What MQTT 5.0 can say of a payload; that it is text only when it is. */
static void tell_format(struct mqtt_packet *packet, const struct coap_mapped *mapped, struct bytes payload)
{
    bool text;
    const char *type = coap_format_type(mapped->format, &text);
    if (type == NULL || packet->version != MQTT_5)
        return;
    packet->properties.content_type = bytes_of_text(type);
    packet->properties.present |= MQTT_PROP_BIT(MQTT_PROP_CONTENT_TYPE);
    if (!text || !utf8_check(payload, UTF8_TEXT))
        return;
    packet->properties.payload_format = 1;
    packet->properties.present |= MQTT_PROP_BIT(MQTT_PROP_PAYLOAD_FORMAT);
}

static void publish(struct coap_mqtt *m, struct coap_flight *flight)
{
    uint8_t bytes[PACKET_ROOM], name[COAP_MQTT_NAME_MAX];
    struct bytes path, topic, payload;
    struct coap_relays *r = m->leg->relays;
    struct coap_mapped mapped = coap_mqtt_mapped(flight, &path, &topic, &payload);
    struct mqtt_packet packet = {.type = MQTT_PUBLISH,
                                 .version = (enum mqtt_version)m->version,
                                 .packet_id = mapped.qos > 0 ? coap_mqtt_next_id(m) : 0,
                                 .publish = {.retain = mapped.retain,
                                             .qos = mapped.qos,
                                             .topic = coap_mqtt_mounted(m, topic, name),
                                             .payload_bytes = mapped.payload_len}};
    tell_format(&packet, &mapped, payload);
    size_t n = mqtt_build(bytes, sizeof(bytes), &packet, (enum mqtt_version)m->version);
    bool good = n != 0 && payload.len <= sizeof(bytes) - n;
    if (good) {
        if (payload.len != 0)
            memcpy(bytes + n, payload.at, payload.len);
        good = coap_mqtt_put(m, bytes, n + payload.len);
    }
    bool unanswered = coap_flight_unanswered(flight);
    if (good && mapped.qos == 0 && !unanswered)
        good = coap_mqtt_ping(m);
    if (!good) {
        coap_mqtt_finish(flight, COAP_UNAVAILABLE);
        return;
    }
    coap_count(r, COAP_COUNT_PUBLISHED);
    flight->packet_id = packet.packet_id;
    flight->ping = m->pings_sent;
    if (unanswered) {
        flight->suppressed = true;
        coap_mqtt_finish(flight, COAP_CHANGED);
        return;
    }
    coap_leg_place(flight, COAP_PLACE_FLYING);
    coap_exchange_hand_over(&flight->x, coap_now(r) + COAP_MQTT_WAIT_US);
    coap_flight_settle(flight);
}

/* Where a broker would answer, a cloud closes the connection: what it does not take is not sent. */
static void not_taken(struct coap_flight *flight, enum outcome outcome, struct bytes path)
{
    uint8_t code = outcome == OUTCOME_RATE_PUBLISHES      ? COAP_UNAVAILABLE
                   : outcome == OUTCOME_PAYLOAD_TOO_LARGE ? COAP_TOO_LARGE
                                                          : COAP_FORBIDDEN;
    struct coap_report report = {.kind = EVENT_COAP_REQUEST_DENIED,
                                 .outcome = outcome,
                                 .enforced = true,
                                 .method = flight->method,
                                 .code = code,
                                 .path = path,
                                 .detail = "the upstream's cloud does not take it"};
    coap_tell(flight->relays, flight->client, &report);
    coap_mqtt_finish(flight, code);
}

void coap_mqtt_turn(struct coap_leg *leg)
{
    struct coap_flight *flight;
    if (leg->turning)
        return;
    leg->turning = true;
    while ((flight = TAILQ_FIRST(&leg->waiting)) != NULL) {
        if (leg->dialled || !flight->mapped) { /* it was another kind of upstream a moment ago */
            if (leg->dialled && leg->outstanding == 0)
                coap_leg_hang_up(leg);
            if (!flight->mapped)
                coap_mqtt_finish(flight, COAP_UNAVAILABLE);
            else if (leg->dialled)
                break;
            continue;
        }
        if (leg->mqtt != NULL && leg->stale && leg->outstanding == 0)
            coap_leg_hang_up(leg);
        if ((leg->mqtt == NULL && !coap_leg_dial(leg)) || leg->mqtt == NULL || !leg->mqtt->connected)
            break;
        if (leg->outstanding >= leg->mqtt->inflight)
            break;
        struct bytes path, topic, payload;
        struct coap_mapped mapped = coap_mqtt_mapped(flight, &path, &topic, &payload);
        enum outcome outcome = coap_mqtt_cloud(leg->mqtt, &mapped, topic);
        if (outcome != OUTCOME_ALLOWED)
            not_taken(flight, outcome, path);
        else if (mapped.publish)
            publish(leg->mqtt, flight);
        else
            coap_mqtt_read(leg->mqtt, flight);
    }
    leg->turning = false;
}

/* ---- dialling and hanging up -----------------------------------------------------------------------------
 */

static void on_opened(void *owner)
{
    struct coap_mqtt *m = owner;
    m->heard_us = coap_now(m->leg->relays);
    if (!coap_mqtt_connect(m))
        coap_mqtt_fail(m, OUTCOME_BAD_CREDENTIALS, COAP_UNAVAILABLE, false, "its CONNECT cannot be made");
}

static void on_ended(void *owner)
{
    coap_mqtt_fail(owner, OUTCOME_UPSTREAM_LOST, COAP_UNAVAILABLE, false, "the broker closed the connection");
}

static void on_closed(void *owner, enum stream_end why)
{
    struct coap_mqtt *m = owner;
    bool tls = why == STREAM_END_TLS_VERIFY || why == STREAM_END_TLS_ALERT || why == STREAM_END_TLS_PROTOCOL;
    const char *reason = stream_reason(m->stream);
    bool before = !m->connected;
    m->stream = NULL;
    coap_mqtt_fail(m,
                   tls                         ? OUTCOME_UPSTREAM_TLS
                   : why == STREAM_END_ABORTED ? OUTCOME_NO_RESOURCES
                   : before                    ? OUTCOME_UPSTREAM_REFUSED
                                               : OUTCOME_UPSTREAM_LOST,
                   COAP_UNAVAILABLE, before && !tls && why != STREAM_END_ABORTED,
                   reason != NULL ? reason : "the connection to the broker ended");
}

static const struct stream_handler broker_handler = {.opened = on_opened,
                                                     .data = coap_mqtt_data,
                                                     .writable = on_writable,
                                                     .ended = on_ended,
                                                     .closed = on_closed};

bool coap_mqtt_dial(struct coap_leg *leg, uint32_t upstream)
{
    struct coap_relays *r = leg->relays;
    const struct coap_flight *first = TAILQ_FIRST(&leg->waiting);
    const struct config_upstream *config = &coap_generation(r)->config->upstreams[upstream];
    enum outcome why = OUTCOME_NO_RESOURCES;
    struct coap_mqtt *m = first == NULL || r->config.dial == NULL ? NULL : slab_alloc(r->sessions);
    if (m != NULL) {
        m->leg = leg;
        m->serial = ++r->session_serial;
        m->version = leg->old_mqtt ? MQTT_3_1_1 : MQTT_5;
        m->keep_alive_s = COAP_MQTT_KEEP_ALIVE_S;
        m->dialled_us = m->heard_us = m->wrote_us = coap_now(r);
        TAILQ_INIT(&m->topics);
        mqtt_framer_init(&m->framer, MQTT_FROM_SERVER, (enum mqtt_version)m->version,
                         COAP_MQTT_MESSAGE_BYTES + HEAD_BYTES_MAX, HEAD_BYTES_MAX);
        why = coap_mqtt_shape(m, config);
    }
    if (m != NULL && why == OUTCOME_ALLOWED) {
        m->stream = r->config.dial(r->config.worker, upstream, leg->identity, &first->client->key,
                                   &broker_handler, m, &leg->server, &why);
    }
    if (m == NULL || m->stream == NULL) {
        if (m != NULL) {
            coap_mqtt_unshape(m);
            slab_free(r->sessions, m);
        }
        coap_leg_fail(leg, why, COAP_UNAVAILABLE, false,
                      why == OUTCOME_NO_PASSWORD ? "there is no password for it"
                                                 : "the broker cannot be dialled");
        return false;
    }
    leg->mqtt = m;
    leg->answered = leg->stale = false;
    memcpy(leg->key.remote.bytes, config->servers[leg->server].address, sizeof(leg->key.remote.bytes));
    leg->key.remote_port = config->servers[leg->server].port;
    coap_count(r, COAP_COUNT_LEGS_OPENED);
    timer_start(r->config.timers, &leg->timer, coap_now(r) + config->connect_timeout_us);
    return true;
}

void coap_mqtt_hang_up(struct coap_leg *leg)
{
    struct coap_relays *r = leg->relays;
    struct coap_mqtt *m = leg->mqtt;
    struct coap_flight *flight;
    if (m == NULL)
        return;
    TAILQ_FOREACH (flight, &leg->flying, of_leg)
        flight->topic = NULL;
    TAILQ_FOREACH (flight, &leg->landed, of_leg)
        flight->topic = NULL;
    coap_mqtt_free_topics(m);
    if (m->stream != NULL)
        stream_abort(m->stream);
    if (m->is_dirty)
        TAILQ_REMOVE(&r->dirty_sessions, m, dirty);
    drop_out(m);
    coap_mqtt_unshape(m);
    uint8_t *half = mqtt_framer_reclaim(&m->framer);
    if (half != NULL)
        packet_buffer_put(r->buffers, half);
    leg->mqtt = NULL;
    slab_free(r->sessions, m);
}

void coap_mqtt_fire(struct coap_leg *leg, uint64_t now_us)
{
    struct coap_mqtt *m = leg->mqtt;
    uint64_t keep_alive_us = m->keep_alive_s * UINT64_C(1000000);
    uint64_t own_us = m->connected || m->stream == NULL ? 0 : stream_own_us(m->stream, now_us);
    if (own_us > m->own_us) { /* that long it was not the broker that was waited for */
        timer_start(leg->relays->config.timers, &leg->timer, now_us + own_us - m->own_us);
        m->own_us = own_us;
        return;
    }
    if (!m->connected) {
        coap_mqtt_fail(m, OUTCOME_UPSTREAM_TIMEOUT, COAP_GATEWAY_TIMEOUT, true, "the broker does not answer");
        return;
    }
    if (keep_alive_us != 0 && now_us - m->heard_us > keep_alive_us + keep_alive_us / 2) {
        coap_mqtt_fail(m, OUTCOME_UPSTREAM_LOST, COAP_GATEWAY_TIMEOUT, true, "the broker has fallen silent");
        return;
    }
    coap_mqtt_expire_topics(m, now_us);
    if (keep_alive_us != 0 &&
        (now_us - m->wrote_us >= keep_alive_us / 2 || now_us - m->heard_us >= keep_alive_us / 2))
        coap_mqtt_ping(m);
    timer_start(leg->relays->config.timers, &leg->timer, now_us + TICK_US);
}

void coap_relays_flush(struct coap_relays *r)
{
    struct coap_mqtt *m;
    coap_groups_mend(r);
    while ((m = TAILQ_FIRST(&r->dirty_sessions)) != NULL) {
        TAILQ_REMOVE(&r->dirty_sessions, m, dirty);
        m->is_dirty = false;
        stream_flush(m->stream);
    }
}
