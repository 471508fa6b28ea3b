/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relays under arbitrary bytes and arbitrary packets from both sides, in any order, with streams that take
 * little, time that passes and policies that change, below a mount point or not, toward a plain broker or a
 * cloud, with Wills that the role supplies. Whatever happens: what leaves toward an upstream is
 * well-formed MQTT in which the reference decides that every PUBLISH may pass; what leaves toward a device
 * likewise; and in the end every buffer, timer and session has come back.
 */
#include "policy/access/identity.h"
#include "policy/access/topic.h"
#include "tests/fuzz/tape.h"
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"

#include <stdio.h>
#include <stdlib.h>

#define PAIRS 3

static struct relay_lab lab;

/* A device's side and the upstream dialled for it, and what has been checked of both. */
struct pair {
    struct lab_stream *device, *upstream;
    struct mqtt_framer down, up;
    size_t down_checked, up_checked;
    char client_id[16];
    enum mqtt_version version;
    bool connected;
    bool own_will; /* its CONNECT had one; else there may be the role's, as it was then: */
    bool supplied, supplied_retain;
    uint8_t supplied_qos;
    char supplied_topic[32];
    bool opened;
    bool wild; /* it began with arbitrary bytes: nobody knows what it is */
};

static struct pair pairs[PAIRS];
static struct bytes mount; /* at the upstream; may be empty */

static void fail(const char *what)
{
    fprintf(stderr, "fuzz_relay_mqtt: %s\n", what);
    abort();
}

static const char *draw_topic(bool filter)
{
    static const char *const topics[] = {
        "trucks/017/location",
        "trucks/018/location",
        "trucks/017/status",
        "news/a",
        "news/b/c",
        "$SYS/x",
        "trucks/017/json",
        "trucks/017/cmd/go",
        "",
        "$delayed/1/news/a",
        "$delayed/1/trucks/018/location",
    };
    static const char *const filters[] = {
        "#",          "trucks/017/cmd/+", "trucks/+/location", "$share/g/trucks/+/location",
        "$share/g/#", "news/#",           "news/+/c",          "+/+/location",
        "$SYS/#",
    };
    return filter ? filters[draw() % 9] : topics[draw() % 11];
}

/* ---- what has left is checked ------------------------------------------------------------------------- */

/* Who the client of this pair is under the policy in force; NULL: nobody. */
static const struct identity *identity_of(const struct pair *pair)
{
    static struct identity identity;
    struct client_facts facts = {.listener = bytes_of_text("mqtt"),
                                 .port = bytes_of_text("iot"),
                                 .vlan = 20,
                                 .client_id = bytes_of_text(pair->client_id)};
    uint32_t address = (uint32_t)(pair - pairs) + 0x0A140011u;
    struct ip_address source = ip_address_v4(address);
    memcpy(facts.source, source.bytes, sizeof(facts.source));
    bool found = identity_resolve(lab.generation->policy, &facts, &identity) == OUTCOME_ALLOWED;
    return found ? &identity : NULL;
}

/* The reference's answer for it. */
static bool reference_allows(const struct pair *pair, const struct acl_request *request)
{
    const struct identity *who = identity_of(pair);
    return who != NULL &&
           acl_decide_reference(who->role->acl, &who->values, request).outcome == OUTCOME_ALLOWED;
}

/* The client's name for a name that went up: what the mount point was put before. */
static struct bytes unmounted(struct bytes name)
{
    if (mount.len == 0 || (name.len != 0 && name.at[0] == '$'))
        return name;
    if (name.len < mount.len || memcmp(name.at, mount.at, mount.len) != 0)
        fail("a name went up beside the mount point");
    return bytes_of(name.at + mount.len, name.len - mount.len);
}

/* The policy's own word is not judged (C5): it goes up to the letter. */
static void note_supplied_will(struct pair *pair)
{
    const struct identity *who = identity_of(pair);
    if (who == NULL || who->role->will != POLICY_WILL_SUPPLIED)
        return;
    const struct policy_last_will *will = &who->role->last_will;
    bool varies = strstr(will->topic, "${serial}") != NULL;
    pair->supplied = true;
    pair->supplied_qos = will->qos;
    pair->supplied_retain = will->retain;
    snprintf(pair->supplied_topic, sizeof(pair->supplied_topic), "trucks/%.3s/status",
             varies ? pair->client_id + strlen("truck-") : "018");
}

static void check_supplied_will(const struct pair *pair, const struct mqtt_will *will)
{
    if (!pair->supplied)
        fail("a Will went up that nobody has written");
    if (!bytes_equal(unmounted(will->topic), bytes_of_text(pair->supplied_topic)) ||
        !bytes_equal(will->payload, bytes_of_text("lost")) || will->qos != pair->supplied_qos ||
        will->retain != pair->supplied_retain)
        fail("a supplied Will is another than the role's");
}

static void check_will(const struct pair *pair, const struct mqtt_will *will)
{
    struct acl_request request = {.action = ACL_PUBLISH,
                                  .topic = unmounted(will->topic),
                                  .qos = will->qos,
                                  .retain = will->retain,
                                  .will = true,
                                  .payload_bytes = (uint32_t)will->payload.len};
    if (!pair->own_will)
        check_supplied_will(pair, will);
    else if (!reference_allows(pair, &request))
        fail("a refused Will went up");
}

static void check_publish(const struct pair *pair, const struct mqtt_packet *p, enum acl_action action)
{
    struct acl_request request = {.action = action,
                                  .topic = p->publish.topic,
                                  .qos = p->publish.qos,
                                  .retain = action == ACL_PUBLISH && p->publish.retain,
                                  .payload_bytes = p->publish.payload_bytes};
    if (action == ACL_PUBLISH && !topic_publish_parse(request.topic, &request.topic))
        fail("a malformed delay went up");
    if (action == ACL_PUBLISH) /* the mount point stands behind a delay */
        request.topic = unmounted(request.topic);
    if (!reference_allows(pair, &request))
        fail(action == ACL_PUBLISH ? "a refused PUBLISH went up" : "a refused PUBLISH went down");
    if ((p->properties.present & MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS)) != 0)
        fail("a topic alias crossed");
}

static void check_filters(const struct pair *pair, const struct mqtt_packet *p)
{
    (void)pair;
    struct cursor list = cursor_of(p->list);
    struct mqtt_filter entry;
    uint32_t most = cloud_limits(lab.config->upstreams[0].profile)->filters;
    if (most != 0 && p->list_count > most)
        fail("more filters went up than the cloud takes");
    while (mqtt_filter_next(&list, MQTT_SUBSCRIBE, &entry)) {
        entry.filter = unmounted(entry.filter);
        if (bytes_equal(entry.filter, bytes_of_text("#")) ||
            bytes_equal(entry.filter, bytes_of_text("$SYS/#")) ||
            bytes_equal(entry.filter, bytes_of_text("$share/g/#")))
            fail("a filter that nobody is granted went up");
    }
}

static void check_side(struct pair *pair, struct lab_stream *s, struct mqtt_framer *framer, size_t *checked,
                       bool up)
{
    static uint8_t buffers[2 * PAIRS][1 << 17];
    uint8_t *buffer = buffers[2 * (pair - pairs) + up];
    struct mqtt_packet p;
    if (s == NULL)
        return;
    /* A copy in one piece for each look: half packets are looked at again when there is more. */
    struct cursor in = {.at = s->out + *checked, .end = s->out + s->out_n};
    while (in.at != in.end) {
        switch (mqtt_framer_next(framer, &in, &p)) {
        case MQTT_STEP_FAULT:
            fprintf(stderr, "%s: ", outcome_id(framer->fault));
            fail(up ? "what went up is no MQTT" : "what went down is no MQTT");
            break;
        case MQTT_STEP_NEED_BUFFER:
            mqtt_framer_lend(framer, buffer, 1 << 17);
            continue;
        case MQTT_STEP_PACKET:
        case MQTT_STEP_PUBLISH:
            if (p.type == MQTT_PUBLISH)
                check_publish(pair, &p, up ? ACL_PUBLISH : ACL_SUBSCRIBE);
            if (p.type == MQTT_SUBSCRIBE)
                check_filters(pair, &p);
            if (p.type == MQTT_CONNECT) {
                if (!up || !bytes_equal(p.connect.client_id, bytes_of_text(pair->client_id)))
                    fail("another client's CONNECT");
                if (p.connect.will.present)
                    check_will(pair, &p.connect.will);
                framer->version = p.connect.version;
            }
            break;
        case MQTT_STEP_PAYLOAD:
        case MQTT_STEP_NEED_MORE:
            break;
        }
    }
    *checked = s->out_n;
}

/* The lab uses streams that are gone for others. */
static void let_go(struct pair *pair)
{
    bool device_gone = pair->device->gone;
    if (pair->upstream != NULL && (pair->upstream->gone || device_gone)) {
        lab_peer_closes(pair->upstream, STREAM_END_DONE);
        pair->upstream = NULL;
        pair->opened = false;
    }
    if (device_gone)
        pair->device = NULL;
}

static void check_all(void)
{
    lab_flush(&lab);
    for (int i = 0; i < PAIRS; i++) {
        struct pair *pair = &pairs[i];
        if (pair->device == NULL)
            continue;
        if (!pair->wild) {
            check_side(pair, pair->upstream, &pair->up, &pair->up_checked, true);
            pair->down.version = pair->version;
            check_side(pair, pair->device, &pair->down, &pair->down_checked, false);
        }
        let_go(pair);
    }
}

/* ---- moves -------------------------------------------------------------------------------------------- */

static void start(struct pair *pair)
{
    static const char *const names[] = {"truck-017", "app-1", "visitor", "truck-018"};
    memset(pair, 0, sizeof(*pair));
    pair->device = lab_accept(&lab, (uint8_t)(17 + (pair - pairs)));
    pair->version = (enum mqtt_version)(MQTT_3_1 + draw() % 3);
    snprintf(pair->client_id, sizeof(pair->client_id), "%s", names[draw() % 4]);
    mqtt_framer_init(&pair->down, MQTT_FROM_SERVER, pair->version, UINT32_MAX, 1 << 17);
    mqtt_framer_init(&pair->up, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, UINT32_MAX, 1 << 17);
}

static void connect_pair(struct pair *pair)
{
    struct mqtt_packet p = lab_connect(pair->version, pair->client_id);
    uint8_t choice = draw();
    unsigned int dials = lab.dials;
    p.connect.clean_start = (choice & 1) != 0;
    pair->own_will = (choice & 2) != 0;
    note_supplied_will(pair);
    if (pair->own_will) {
        p.connect.will.present = true;
        p.connect.will.topic = bytes_of_text("trucks/017/status");
        p.connect.will.qos = draw() % 3;
        p.connect.will.retain = (choice & 4) != 0;
    }
    p.connect.keep_alive_s = draw();
    lab.dial_fails = (choice & 0x38) == 0 ? OUTCOME_UPSTREAM_REFUSED : OUTCOME_ALLOWED;
    lab_send(pair->device, &p);
    pair->connected = true;
    if (lab.dials != dials && lab.dial_fails == OUTCOME_ALLOWED) {
        pair->upstream = lab.dialled;
        pair->opened = (choice & 0x40) == 0;
        if (pair->opened)
            lab_upstream_opens(pair->upstream);
    }
}

static void answer_connect(struct pair *pair)
{
    if (!pair->opened && !pair->upstream->gone)
        lab_upstream_opens(pair->upstream);
    pair->opened = true;
    struct mqtt_packet p = lab_connack(pair->version, draw() % 16 == 0 ? 5 : 0);
    if (pair->version == MQTT_5 && p.reason_code != 0)
        p.reason_code = 0x9D;
    p.connack.session_present = draw() % 4 == 0;
    lab_send(pair->upstream, &p);
}

static void send_publish(const struct pair *pair, struct lab_stream *s)
{
    uint8_t choice = draw();
    char topic[64];
    const char *name = draw_topic(false);
    bool below = s == pair->upstream && mount.len != 0 && name[0] != '\0' && (choice & 7) != 7;
    snprintf(topic, sizeof(topic), "%.*s%s", below ? (int)mount.len : 0, below ? (const char *)mount.at : "",
             name);
    struct mqtt_packet p = lab_publish(pair->version, topic, choice % 3, 0);
    p.packet_id = p.publish.qos != 0 ? (uint16_t)(draw() % 8 + 1) : 0;
    p.publish.retain = (choice & 0x10) != 0;
    p.publish.dup = (choice & 0x20) != 0 && p.publish.qos != 0;
    p.publish.payload = draw_bytes(draw() % 64);
    p.publish.payload_bytes = (uint32_t)p.publish.payload.len;
    if (pair->version == MQTT_5 && (choice & 0x40) != 0) {
        p.properties.present = MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS);
        p.properties.topic_alias = (uint16_t)(draw() % 18 + 1);
    }
    if (pair->version == MQTT_5 && (choice & 0x80) != 0) {
        p.properties.present |= MQTT_PROP_BIT(MQTT_PROP_PAYLOAD_FORMAT);
        p.properties.payload_format = 1;
    }
    if (p.publish.topic.len != 0 || (p.properties.present & MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS)) != 0)
        lab_send(s, &p);
}

static void send_list(const struct pair *pair, struct lab_stream *device, struct lab_stream *upstream)
{
    const char *filters[21] = {NULL};
    uint8_t n = draw(), codes[8] = {draw() % 3, draw() % 2 == 0 && pair->version != MQTT_3_1 ? 0x80 : 0};
    n = n % 4 == 0 ? (uint8_t)(n / 4 % 20 + 1) : 2;
    for (uint8_t i = 0; i < n; i++)
        filters[i] = draw_topic(true);
    enum mqtt_type type = draw() % 2 == 0 ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE;
    uint16_t id = (uint16_t)(draw() % 8 + 1);
    struct mqtt_packet p = lab_subscribe(pair->version, type, id, draw() % 3, filters);
    if (draw() % 2 == 0) {
        lab_send(device, &p);
    } else if (pair->opened) {
        type = type == MQTT_SUBSCRIBE ? MQTT_SUBACK : MQTT_UNSUBACK;
        id = draw() % 2 == 0 ? (uint16_t)(65535 - draw() % 3) : id;
        if (type == MQTT_UNSUBACK)
            codes[0] = codes[1] = 0;
        p = lab_suback(pair->version, type, id, codes, n % 8 + 1u);
        if (type == MQTT_UNSUBACK && pair->version != MQTT_5)
            p.list = bytes_of(NULL, 0);
        lab_send(upstream, &p);
    }
}

static void new_policy(uint8_t choice)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    roles[0].rules_n = 1 + choice % 4;
    roles[0].refusal = (choice & 4) != 0 ? POLICY_REFUSE_DISCONNECT : POLICY_REFUSE_ACKNOWLEDGE;
    roles[0].payload_utf8 = (choice & 8) != 0;
    if ((choice & 128) != 0) {
        roles[0].will = POLICY_WILL_SUPPLIED;
        roles[0].last_will = (struct policy_last_will){.topic = (choice & 64) != 0 ? "trucks/${serial}/status"
                                                                                   : "trucks/018/status",
                                                       .payload = "lost",
                                                       .qos = choice % 2,
                                                       .retain = (choice & 2) != 0};
    }
    roles[1].inflight = (uint16_t)(1 + choice % 5);
    roles[1].queue = (uint16_t)(choice % 7);
    roles[1].rules_n = 1 + choice % 2;
    if ((choice & 16) != 0)
        roles[1].limits.rates.of[RATE_PUBLISHES][0] =
            (struct rate){.amount = 3, .period_us = 1000000, .burst = 3};
    roles[1].limits.rates.over = (enum policy_over_limit)(choice % 5);
    for (int i = 0; i < 2; i++)
        roles[i].law = (struct policy_mqtt_law){.strict_strings = (choice & 8) != 0,
                                                .pass_redirection = (choice & 64) != 0,
                                                .over = (enum policy_overrun)(choice % 4),
                                                .response_topic = (enum policy_response)(choice / 4 % 4),
                                                .release_s = 1 + choice % 9u};
    lab_policy(&lab, (choice & 32) != 0 ? roles + 1 : roles, (choice & 32) != 0 ? 1 : 2);
}

static void move(void)
{
    struct pair *pair = &pairs[draw() % PAIRS];
    uint8_t choice = draw();
    if (pair->device == NULL) {
        start(pair);
        return;
    }
    if (choice % 32 == 31 && draw() % 8 == 0) {
        lab_peer_closes(pair->device, STREAM_END_RESET);
        return;
    }
    struct lab_stream *device = pair->device, *upstream = pair->upstream;
    struct lab_stream *side = (choice & 1) != 0 || !pair->opened ? device : upstream;
    struct mqtt_packet p;
    struct bytes raw;
    switch (choice / 2 % 16) {
    case 0:
    case 1:
        if (!pair->connected)
            connect_pair(pair);
        else if (upstream != NULL && !upstream->gone)
            answer_connect(pair);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        send_publish(pair, side);
        break;
    case 6:
    case 7:
        p = lab_ack(pair->version, (enum mqtt_type)(MQTT_PUBACK + draw() % 4), (uint16_t)(draw() % 8 + 1), 0);
        lab_send(side, &p);
        break;
    case 8:
    case 9:
        send_list(pair, device, upstream);
        break;
    case 10:
        raw = draw_bytes(draw() % 32);
        pair->wild |= side == device && !pair->connected;
        lab_feed(side, raw.at, raw.len);
        break;
    case 11:
        lab_drain(side, draw() % 4 == 0 ? 100000 : draw() % 100);
        break;
    case 12:
        lab_wait(&lab, (uint64_t)draw() * 20000);
        break;
    case 13:
        new_policy(draw());
        break;
    case 14:
        p = lab_plain(pair->version, side == device ? MQTT_PINGREQ : MQTT_PINGRESP);
        lab_send(side, &p);
        break;
    case 15:
        if (draw() % 4 == 0)
            lab_peer_ends(side);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    tape = data;
    tape_left = size;
    memset(pairs, 0, sizeof(pairs));
    lab_open(&lab, roles, 2);
    lab.out_bytes = 1 << 16;
    uint8_t world = draw();
    mount = bytes_of_text((world & 1) != 0 ? "site/" : "");
    lab.config->upstreams[0].mount = mount.len != 0 ? (const char *)mount.at : NULL;
    lab.config->upstreams[0].profile = (enum cloud_profile)(world / 2 % CLOUD_PROFILES);
    lab.config->upstreams[0].server_name = "hub.example";
    while (tape_left != 0) {
        move();
        check_all();
    }
    lab_close(&lab);
    return 0;
}
