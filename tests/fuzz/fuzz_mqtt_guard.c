/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard alone, under arbitrary packets of both sides and roles of every kind. Checking twice gives the
 * same answer; what is forwarded is what the reference allows, unless the verdict says that it was only
 * observed; nothing is forwarded that its mount point or its cloud does not take; tables stay within their
 * caps; memory comes back, also when there is too little of it.
 */
#include "gateway/cloud_roles.h"
#include "policy/access/identity.h"
#include "policy/access/topic.h"
#include "policy/mqtt/build.h"
#include "policy/mqtt/guard.h"
#include "policy/mqtt/mount.h"
#include "tests/fuzz/tape.h"
#include "tests/unit/memory_workspace.h"
#include "tests/unit/relay_roles.h"

#include <stdio.h>
#include <stdlib.h>

static struct memory_workspace memory;
static struct mqtt_guard guard;
static struct rate_buckets rates;
static struct identity identity;
static struct snapshot *snapshot;
static struct cloud_roles *toward; /* the roles of `snapshot` as the cloud has them */
static struct cloud_session cloud;
static uint64_t now_us;

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "fuzz_mqtt_guard: %s\n", what);
    abort();
}

static void on_problem(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    (void)problem;
}

/* ---- roles and packets -------------------------------------------------------------------------------- */

/* What is one cloud's own, beside what clients may do anywhere. */
static const struct acl_rule_spec cloud_rules[] = {
    RULE("news", PUBLISH_BIT | SUBSCRIBE_BIT, "news/#"),
    RULE("hub", PUBLISH_BIT, "devices/truck-017/messages/events/#"),
    RULE("bound", SUBSCRIBE_BIT, "devices/truck-017/messages/devicebound/#"),
    RULE("aws", PUBLISH_BIT | SUBSCRIBE_BIT, "$aws/#"),
};

/* Where the session is going: as much of its life as it lasts. */
static void draw_cloud(void)
{
    static const char *const mounts[] = {"", "sites/7/", "a/", "sites/north/hall/7/"};
    uint8_t choice = draw();
    cloud = (struct cloud_session){.profile = (enum cloud_profile)(choice % CLOUD_PROFILES),
                                   .client_id = bytes_of_text("truck-017"),
                                   .mount = bytes_of_text(mounts[choice >> 2 & 3])};
    guard.cloud = (choice & 0x10) != 0 ? &cloud : NULL;
}

static void bind_role(void)
{
    uint8_t choice = draw();
    struct policy_role_spec role = (choice & 1) != 0 ? truck_role() : office_role();
    role.match.client_id = "truck-{serial:[0-9][0-9][0-9]}";
    role.mode = (choice & 2) != 0 ? POLICY_OBSERVE : POLICY_ENFORCE;
    role.subscribe_mode = (choice & 4) != 0 ? ACL_FILTER_TRIM : ACL_FILTER_COVER;
    role.payload_utf8 = (choice & 8) != 0;
    role.refusal = (choice & 16) != 0 ? POLICY_REFUSE_DISCONNECT : POLICY_REFUSE_ACKNOWLEDGE;
    role.max_qos = draw() % 3;
    role.inflight = (uint16_t)(draw() % 10 + 1);
    role.queue = (uint16_t)(draw() % 10);
    uint8_t law = draw();
    role.law = (struct policy_mqtt_law){.strict_strings = (law & 1) != 0,
                                        .pass_redirection = (law & 2) != 0,
                                        .over = (enum policy_overrun)(law >> 2 & 3),
                                        .response_topic = (enum policy_response)(law >> 4 & 3)};
    role.limits.subscriptions = draw() % 6 + 1u;
    if ((choice & 64) != 0) {
        role.rules = cloud_rules;
        role.rules_n = sizeof(cloud_rules) / sizeof(cloud_rules[0]);
    }
    role.limits.rates.over = (enum policy_over_limit)(draw() % 5);
    if ((choice & 32) != 0)
        role.limits.rates.of[RATE_PUBLISHES][0] =
            (struct rate){.amount = 5, .period_us = 1000000, .burst = 5};
    struct policy_spec spec = {.roles = &role, .roles_n = 1};
    struct snapshot *next = snapshot_create(&spec, 1, on_problem, NULL);
    if (next == NULL)
        return;
    struct client_facts facts = {.client_id = bytes_of_text("truck-017"),
                                 .listener = bytes_of_text("mqtt"),
                                 .port = bytes_of_text("iot")};
    require(identity_resolve(next, &facts, &identity) == OUTCOME_ALLOWED, "the role does not fit");
    struct cloud_roles *held = cloud_roles_create(next, guard.cloud == NULL ? CLOUD_PLAIN : cloud.profile);
    require(held != NULL, "no memory for the cloud's roles");
    identity.role = cloud_roles_of(held, identity.role);
    mqtt_guard_bind(&guard, identity.role, &identity.values, false, &rates);
    cloud_roles_destroy(toward);
    snapshot_destroy(snapshot);
    toward = held;
    snapshot = next;
}

static struct bytes draw_topic(bool filter)
{
    static const char *const topics[] = {"trucks/017/location",
                                         "trucks/018/location",
                                         "trucks/017/status",
                                         "news/a",
                                         "trucks/017/json",
                                         "trucks/017/cmd/go",
                                         "a/b/c/d/e/f/g",
                                         "$SYS/x",
                                         "$delayed/5/news/a",
                                         "$delayed/5/$SYS/x",
                                         "news/1/2/3/4/5/6/7",
                                         "news/1/2/3/4/5/6/7/8",
                                         "$aws/things/truck-017/shadow/update",
                                         "devices/truck-017/messages/events/",
                                         "devices/truck-018/messages/events/"};
    static const char *const filters[] = {"#",
                                          "trucks/017/cmd/+",
                                          "trucks/+/location",
                                          "news/#",
                                          "$share/g/#",
                                          "$share/g/news/a",
                                          "news/a",
                                          "$SYS/#",
                                          "$aws/#",
                                          "devices/truck-017/messages/devicebound/#",
                                          "news/1/2/3/4/5/6/7/8"};
    return bytes_of_text(filter ? filters[draw() % 11] : topics[draw() % 15]);
}

static void draw_list(struct mqtt_packet *p)
{
    static uint8_t entries[512];
    size_t used = 0;
    for (uint8_t n = draw() % 4 + 1; n != 0; n--) {
        struct mqtt_filter entry = {.filter = draw_topic(true), .qos = draw() % 3};
        used += mqtt_build_filter(entries + used, sizeof(entries) - used, p->type,
                                  (enum mqtt_version)guard.version, &entry);
        p->list_count++;
    }
    p->list = bytes_of(entries, used);
}

static void draw_codes(struct mqtt_packet *p)
{
    static uint8_t codes[4];
    for (int i = 0; i < 4; i++)
        codes[i] = draw() % 4 == 0 && guard.version != MQTT_3_1 ? 0x80 : draw() % 3;
    /* As the codec lets them pass. */
    if (p->type == MQTT_UNSUBACK && guard.version != MQTT_5)
        return;
    p->list_count = draw() % 4 + 1;
    p->list = bytes_of(codes, p->list_count);
}

static void draw_publish(struct mqtt_packet *p)
{
    uint8_t choice = draw();
    p->publish.qos = choice % 3;
    p->publish.dup = p->publish.qos != 0 && (choice & 0x10) != 0;
    p->publish.retain = (choice & 0x20) != 0;
    p->publish.topic = draw_topic(false);
    p->publish.payload = bytes_of((choice & 0x40) != 0 ? "{\"a\":1}" : "\xC0\x80", 2);
    p->publish.payload_bytes = draw() % 16 == 0 ? 200000 : 2;
    if (guard.version == MQTT_5 && (choice & 0x80) != 0) {
        p->properties.present = MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS);
        p->properties.topic_alias = (uint16_t)(draw() % 20);
        if (draw() % 2 == 0)
            p->publish.topic = bytes_of(NULL, 0);
    }
    if (guard.version == MQTT_5 && draw() % 8 == 0) {
        p->properties.present |= MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
        p->properties.response_topic = draw_topic(false);
    }
    if (p->publish.qos == 0)
        p->packet_id = 0;
}

static struct mqtt_packet draw_packet(void)
{
    struct mqtt_packet p;
    memset(&p, 0, sizeof(p));
    p.version = (enum mqtt_version)guard.version;
    p.defect = draw() % 8 == 0 ? OUTCOME_MALFORMED_STRING : OUTCOME_ALLOWED;
    p.type = (enum mqtt_type)(draw() % 15 + 1);
    p.packet_id = (uint16_t)(draw() % 12 + 1);
    p.reason_code = draw() % 8 == 0 ? 0x87 : 0;
    if (p.type == MQTT_PUBLISH)
        draw_publish(&p);
    else if (p.type == MQTT_SUBSCRIBE || p.type == MQTT_UNSUBSCRIBE)
        draw_list(&p);
    else if (p.type == MQTT_SUBACK || p.type == MQTT_UNSUBACK)
        draw_codes(&p);
    else if (p.type == MQTT_CONNECT)
        p.connect.version = (enum mqtt_version)guard.version;
    if ((p.type == MQTT_SUBACK || p.type == MQTT_UNSUBACK) && draw() % 4 == 0 && guard.requests.first != NULL)
        p.packet_id = guard.requests.first->wire;
    return p;
}

/* ---- what must hold ----------------------------------------------------------------------------------- */

static bool reference_allows(enum acl_action action, const struct mqtt_packet *p)
{
    struct acl_request request = {.action = action,
                                  .topic = p->publish.topic,
                                  .qos = p->publish.qos,
                                  .retain = action == ACL_PUBLISH && p->publish.retain,
                                  .payload_bytes = p->publish.payload_bytes};
    if (action == ACL_PUBLISH && !topic_publish_parse(p->publish.topic, &request.topic))
        return false;
    return acl_decide_reference(identity.role->acl, &identity.values, &request).outcome == OUTCOME_ALLOWED;
}

/* By which right a Response Topic may be named. */
static bool reference_allows_response(const struct mqtt_packet *p)
{
    enum policy_response by = identity.role->law.response_topic;
    struct mqtt_packet response;
    if ((p->properties.present & MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC)) == 0 || by == POLICY_RESPONSE_ANY)
        return true;
    memset(&response, 0, sizeof(response));
    response.publish.topic = p->properties.response_topic;
    bool may_publish = reference_allows(ACL_PUBLISH, &response);
    if (!topic_publish_parse(p->properties.response_topic, &response.publish.topic))
        return false;
    bool may_read = reference_allows(ACL_SUBSCRIBE, &response);
    return (by == POLICY_RESPONSE_PUBLISH || may_read) && (by == POLICY_RESPONSE_SUBSCRIBE || may_publish);
}

/* Written anew from what the clouds say of themselves, of the name as it stands there. */
static bool cloud_takes(const struct mqtt_packet *p, struct bytes wire)
{
    static const char hub[] = "devices/truck-017/messages/events/", own[] = "$iothub/";
    size_t slashes = 0;
    for (size_t i = 0; i < wire.len; i++)
        slashes += wire.at[i] == '/';
    if (cloud.profile == CLOUD_AWS)
        return p->publish.qos < 2 && slashes <= 7 && wire.len <= 256 && p->publish.payload_bytes <= 131072 &&
               !(p->publish.retain && wire.at[0] == '$');
    if (cloud.profile == CLOUD_AZURE)
        return p->publish.qos < 2 && p->publish.payload_bytes <= 262144 &&
               ((wire.len >= sizeof(hub) - 1 && memcmp(wire.at, hub, sizeof(hub) - 1) == 0) ||
                (wire.len >= sizeof(own) - 1 && memcmp(wire.at, own, sizeof(own) - 1) == 0));
    return true;
}

/* As the relay would mount it; the way back is the same name. */
static void check_mounted(const struct mqtt_packet *p, bool observed)
{
    uint8_t room[4096];
    struct mqtt_packet wire = *p;
    if (guard.cloud == NULL)
        return;
    require(mqtt_mount_up(cloud.mount, &wire, room, sizeof(room)), "cannot be mounted");
    require(observed || cloud_takes(p, wire.publish.topic), "the cloud does not take what is forwarded");
    bool outside = p->publish.topic.at[0] == '$';
    if (outside && wire.publish.topic.at[0] == '$')
        return; /* the upstream's own, or a vendor's prefix that stays outermost */
    require(wire.publish.topic.len >= cloud.mount.len &&
                memcmp(wire.publish.topic.at, cloud.mount.at, cloud.mount.len) == 0,
            "beside the mount point");
    require(mqtt_mount_down(cloud.mount, &wire) && bytes_equal(wire.publish.topic, p->publish.topic),
            "another name on the way back");
}

static void check_forwarded(enum mqtt_sender sender, const struct mqtt_packet *p,
                            const struct guard_verdict *v)
{
    bool observed = v->outcome != OUTCOME_ALLOWED && !v->enforced;
    require(!observed || identity.role->mode == POLICY_OBSERVE, "observed where the role enforces");
    if (p->type == MQTT_PUBLISH) {
        require(sender == MQTT_FROM_CLIENT || p->defect == OUTCOME_ALLOWED, "a bad delivery is forwarded");
        require(observed || reference_allows(sender == MQTT_FROM_CLIENT ? ACL_PUBLISH : ACL_SUBSCRIBE, p),
                "a refused PUBLISH is forwarded");
        require(observed || sender == MQTT_FROM_SERVER || p->publish.qos <= identity.role->max_qos,
                "a PUBLISH above the cap is forwarded");
        require(observed || sender == MQTT_FROM_SERVER || reference_allows_response(p),
                "a refused Response Topic is forwarded");
        require(p->publish.qos == 0 || p->packet_id != 0, "no identifier");
        if (sender == MQTT_FROM_CLIENT)
            check_mounted(p, observed);
    }
    if (p->type == MQTT_CONNECT || p->type == MQTT_CONNACK)
        require(guard.state != GUARD_RUNNING, "connected twice");
    uint8_t built[2048];
    require(mqtt_build(built, sizeof(built), p, (enum mqtt_version)guard.version) != 0, "cannot be built");
}

static void check_tables(void)
{
    uint32_t up = guard.version == MQTT_5 ? guard.receive_max_up : UINT16_MAX;
    require(guard.up.used <= (up > 40 ? up : 40), "too many exchanges up");
    require(guard.requests.used <= REQUESTS_MAX + 1, "too many requests");
    require(guard.up.held <= guard.up.used && guard.up.waiting <= guard.up.used, "counts");
    require(guard.down.held <= guard.down.used && guard.down.waiting <= guard.down.used, "counts");
}

static void drain_answers(enum mqtt_sender sender)
{
    struct guard_answer answer;
    while (mqtt_guard_holds(&guard, sender) && mqtt_guard_release(&guard, sender, &answer))
        require(answer.id != 0 && (answer.type == MQTT_PUBACK || answer.type == MQTT_PUBREC), "an answer");
}

static void step(void)
{
    enum mqtt_sender sender = draw() % 2 == 0 ? MQTT_FROM_CLIENT : MQTT_FROM_SERVER;
    struct mqtt_packet first = draw_packet(), p = first;
    struct guard_verdict v, again;
    uint64_t until_us;
    uint8_t first_byte =
        (uint8_t)(p.type << 4 | (p.type == MQTT_PUBLISH ? (unsigned int)p.publish.qos << 1 : 0u));
    if (!mqtt_guard_admits(&guard, sender, first_byte, now_us, &until_us)) {
        require(until_us > now_us, "to be asked again at once");
        return;
    }
    mqtt_guard_check(&guard, sender, &first, true, now_us, &again);
    mqtt_guard_abandon(&guard, &again);
    mqtt_guard_check(&guard, sender, &p, true, now_us, &v);
    /* Where memory runs out in between, the answers may differ. */
    require(memory.grant < 100 || (v.action == again.action && v.outcome == again.outcome &&
                                   v.record == again.record && v.rule == again.rule &&
                                   v.answer.type == again.answer.type && first.packet_id == p.packet_id),
            "checked twice, judged twice");
    require(v.action != GUARD_HOLD, "all of it is at hand");
    if (v.action == GUARD_FORWARD)
        check_forwarded(sender, &p, &v);
    if (v.action == GUARD_CLOSE) {
        require(v.outcome != OUTCOME_ALLOWED && v.record == 0, "closed for nothing");
        guard.state = GUARD_OVER;
        return;
    }
    mqtt_guard_advance(&guard, sender, &p, &v, now_us);
    drain_answers(MQTT_FROM_CLIENT);
    drain_answers(MQTT_FROM_SERVER);
    check_tables();
}

static void connect_guard(uint8_t choice)
{
    struct mqtt_packet p;
    struct guard_verdict v;
    memset(&p, 0, sizeof(p));
    p.type = MQTT_CONNECT;
    p.version = p.connect.version = (enum mqtt_version)(MQTT_3_1 + choice % 3);
    p.connect.client_id = bytes_of_text("truck-017");
    p.connect.clean_start = (choice & 4) != 0;
    p.connect.keep_alive_s = 60;
    mqtt_guard_check(&guard, MQTT_FROM_CLIENT, &p, true, now_us, &v);
    require(v.action == GUARD_FORWARD, "CONNECT");
    mqtt_guard_advance(&guard, MQTT_FROM_CLIENT, &p, &v, now_us);
    memset(&p, 0, sizeof(p));
    p.type = MQTT_CONNACK;
    p.version = (enum mqtt_version)guard.version;
    p.connack.session_present = !guard.clean_start && (choice & 8) != 0;
    mqtt_guard_check(&guard, MQTT_FROM_SERVER, &p, true, now_us, &v);
    require(v.action == GUARD_FORWARD, "CONNACK");
    mqtt_guard_advance(&guard, MQTT_FROM_SERVER, &p, &v, now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tape = data;
    tape_left = size;
    now_us = 1000000;
    memory_workspace_init(&memory);
    memset(&rates, 0, sizeof(rates));
    mqtt_guard_init(&guard, &memory.base);
    draw_cloud();
    bind_role();
    connect_guard(draw());
    while (tape_left != 0) {
        uint8_t choice = draw();
        struct mqtt_packet p;
        bool again;
        if (choice == 0) {
            bind_role();
            while (mqtt_guard_revoke(&guard, &p, &again))
                require(p.list_count != 0, "an empty UNSUBSCRIBE");
        } else if (choice == 1) {
            memory.grant = draw() % 4; /* little is left */
        } else if (choice == 2) {
            memory.grant = UINT32_MAX;
        } else if (choice == 3) {
            now_us += (uint64_t)draw() * 10000;
        } else if (choice == 4) {
            uint16_t before = (uint16_t)(guard.up.used + guard.down.used);
            uint32_t forgotten = mqtt_guard_age(&guard);
            require(guard.up.used + guard.down.used + forgotten == before, "forgotten, and not gone");
            check_tables();
        } else {
            step();
        }
    }
    mqtt_guard_fini(&guard);
    require(memory.out == 0, "memory did not come back");
    cloud_roles_destroy(toward);
    snapshot_destroy(snapshot);
    toward = NULL;
    snapshot = NULL;
    return 0;
}
