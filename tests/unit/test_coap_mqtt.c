/* SPDX-License-Identifier: GPL-2.0-or-later */
/* E8: CoAP devices in front of a broker that the test plays. */
#include "gateway/coap_body.h"
#include "gateway/coap_mqtt.h"

#include "tests/unit/coap_broker.h"

#include <unistd.h>

#define RULE(name, does, where)                                                                              \
    {                                                                                                        \
        .id = name, .file = "f", .line = 1, .allow = true, .actions = does, .topic = where, .retain = -1,    \
        .will = -1                                                                                           \
    }
#define PATH_ACTIONS (1 << ACL_GET | 1 << ACL_POST | 1 << ACL_PUT | 1 << ACL_OBSERVE | 1 << ACL_DELETE)

static const struct acl_rule_spec rules[] = {
    RULE("own", PATH_ACTIONS, "t/+"), RULE("pub", 1 << ACL_PUBLISH, "fleet/${id}/temp"),
    RULE("sub", 1 << ACL_SUBSCRIBE, "fleet/${id}/+"), RULE("other", PATH_ACTIONS, "x/${id}")};
static const struct topic_map maps[] = {
    {.file = "f", .line = 9, .path = "t/{kind}", .topic = "fleet/${id}/${kind}", .retain = true}};

static const struct snapshot *broker_policy(const struct acl_rule_spec *all, uint32_t n, uint32_t number)
{
    const struct policy_role_spec role = {.name = "sensor",
                                          .file = "f",
                                          .line = 1,
                                          .match = {.any = true, .vlan = -1},
                                          .rules = all,
                                          .rules_n = n,
                                          .maps = maps,
                                          .maps_n = 1,
                                          .max_qos = 2};
    struct policy_device_spec device = {.id = "probe-1",
                                        .file = "f",
                                        .line = 2,
                                        .has_mac = true,
                                        .mac = {2, 0, 0, 0, 0, 1},
                                        .addresses_n = 1,
                                        .addresses = {{.bits = 128}}};
    struct ip_address address = ip_address_v4(DEVICE_IP);
    memcpy(device.addresses[0].address, address.bytes, 16);
    const struct policy_spec spec = {.roles = &role, .roles_n = 1, .devices = &device, .devices_n = 1};
    const struct snapshot *snapshot = snapshot_create(&spec, number, NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    return snapshot;
}

static void open_broker(void)
{
    memset(&broker, 0, sizeof(broker));
    open_rig();
    snapshot_destroy((struct snapshot *)(uintptr_t)rig.generation.policy);
    rig.generation.policy = broker_policy(rules, sizeof(rules) / sizeof(rules[0]), 1);
    rig.config.upstreams[0].protocol = CONFIG_MQTT;
    rig.config.upstreams[0].connect_timeout_us = 5 * S;
}

struct ask {
    enum coap_type type;
    uint8_t code;
    uint16_t mid;
    const char *path[2];
    const char *payload;
    int observe;   /* -1: none */
    int block2;    /* -1: none */
    uint32_t etag; /* 0: none */
    int no_response;
};

static void asks(const struct ask *a)
{
    uint8_t bytes[COAP_MESSAGE_MAX];
    struct coap_writer w;
    const uint8_t etag[4] = {(uint8_t)(a->etag >> 24), (uint8_t)(a->etag >> 16), (uint8_t)(a->etag >> 8),
                             (uint8_t)a->etag};
    coap_build_start(&w, bytes, sizeof(bytes), a->type, a->code, a->mid, (const uint8_t *)"\x5A", 1);
    if (a->etag != 0)
        coap_build_option(&w, COAP_ETAG, bytes_of(etag, 4));
    if (a->observe >= 0)
        coap_build_uint(&w, COAP_OBSERVE, (uint32_t)a->observe);
    for (int i = 0; i < 2; i++)
        coap_build_option(&w, COAP_URI_PATH, bytes_of_text(a->path[i]));
    if (a->block2 >= 0)
        coap_build_uint(&w, COAP_BLOCK2, (uint32_t)a->block2);
    if (a->no_response > 0)
        coap_build_uint(&w, COAP_NO_RESPONSE, (uint32_t)a->no_response);
    if (a->payload != NULL)
        coap_build_payload(&w, bytes_of_text(a->payload));
    device_sends(0, 1, bytes, coap_build_end(&w));
}

static const struct ask put = {.type = COAP_CON,
                               .code = COAP_PUT,
                               .mid = 1,
                               .path = {"t", "temp"},
                               .payload = "21",
                               .observe = -1,
                               .block2 = -1};
static const struct ask read_temp = {
    .type = COAP_CON, .code = COAP_GET, .mid = 1, .path = {"t", "temp"}, .observe = -1, .block2 = -1};

static bool payload_is(const struct coap_message *message, const char *text)
{
    return bytes_equal(message->payload, bytes_of_text(text));
}

/* CON is QoS 1, and 2.04 comes with PUBACK, not before. */
static void test_publish_confirmable(void)
{
    open_broker();
    asks(&put);
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    broker_opens();
    CU_ASSERT_STRING_EQUAL(broker.identity, "probe-1");
    CU_ASSERT_EQUAL(broker.version, MQTT_5);
    struct mqtt_packet publish = broker_reads(MQTT_PUBLISH);
    CU_ASSERT_TRUE(publish.publish.qos == 1 && publish.publish.retain && publish.packet_id != 0);
    CU_ASSERT_TRUE(bytes_equal(publish.publish.topic, bytes_of_text("fleet/probe-1/temp")));
    CU_ASSERT_TRUE(bytes_equal(publish.publish.payload, bytes_of_text("21")));
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    broker_acks((uint16_t)(publish.packet_id + 1), 0); /* somebody else's */
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    broker_acks(publish.packet_id, 0);
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).type == COAP_ACK && sent(0).mid == 1 &&
                   sent(0).code == COAP_CHANGED);
    asks(&put); /* the same again is not published again (s.4.5) */
    CU_ASSERT_TRUE(rig.sent_n == 2 && sent(0).code == COAP_CHANGED && broker_read_all());
    CU_ASSERT_EQUAL(counted(COAP_COUNT_PUBLISHED), 1);
    close_rig();
}

/* A broker that takes longer: the empty ACK first, then 2.04 in a CON of its own. */
static void test_publish_slow(void)
{
    open_broker();
    asks(&put);
    broker_opens();
    struct mqtt_packet publish = broker_reads(MQTT_PUBLISH);
    wait_us(2 * S);
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).code == COAP_EMPTY);
    broker_acks(publish.packet_id, 0x10); /* nobody subscribed: it is published all the same */
    CU_ASSERT_TRUE(rig.sent_n == 2 && sent(0).type == COAP_CON && sent(0).code == COAP_CHANGED);
    close_rig();
}

/* NON is QoS 0, and what comes back says that the broker has read it. */
static void test_publish_non(void)
{
    struct ask non = put;
    non.type = COAP_NON;
    open_broker();
    asks(&non);
    broker_opens();
    struct mqtt_packet publish = broker_reads(MQTT_PUBLISH);
    CU_ASSERT_TRUE(publish.publish.qos == 0 && publish.packet_id == 0);
    broker_reads(MQTT_PINGREQ);
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    broker_pongs();
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).type == COAP_NON && sent(0).code == COAP_CHANGED);
    non.mid = 2;
    non.no_response = 26;
    asks(&non);
    broker_reads(MQTT_PUBLISH);
    CU_ASSERT_TRUE(broker_read_all() && rig.sent_n == 1); /* RFC 7967: nobody asks, nobody is told */
    close_rig();
}

/* C5: what the upstream's settings say of client identifier, user name, password and topics. */
static void test_shape(void)
{
    char file[] = "/tmp/sallyport-passwords-XXXXXX";
    int fd = mkstemp(file);
    CU_ASSERT_TRUE_FATAL(fd >= 0 && write(fd, "probe-1:open sesame\n", 20) == 20);
    close(fd);
    open_broker();
    struct diagnostics *d = diagnostics_create();
    rig.generation.passwords[0] = secret_file_load(file, d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.generation.passwords[0]);
    rig.config.upstreams[0].client_id = "site-${id}";
    rig.config.upstreams[0].user_name = "${client_id}@site";
    rig.config.upstreams[0].mount = "sites/${id}/";
    asks(&put);
    broker.stream.handler->opened(broker.stream.owner);
    struct mqtt_packet connect = broker_reads(MQTT_CONNECT);
    CU_ASSERT_TRUE(bytes_equal(connect.connect.client_id, bytes_of_text("site-probe-1")));
    CU_ASSERT_TRUE(connect.connect.has_user_name &&
                   bytes_equal(connect.connect.user_name, bytes_of_text("probe-1@site")));
    CU_ASSERT_TRUE(connect.connect.has_password &&
                   bytes_equal(connect.connect.password, bytes_of_text("open sesame")));
    broker_connacks(0);
    struct mqtt_packet publish = broker_reads(MQTT_PUBLISH);
    CU_ASSERT_TRUE(bytes_equal(publish.publish.topic, bytes_of_text("sites/probe-1/fleet/probe-1/temp")));
    broker_acks(publish.packet_id, 0);
    struct ask read = read_temp;
    read.mid = 2;
    asks(&read);
    struct mqtt_packet subscribe = broker_reads(MQTT_SUBSCRIBE);
    broker_subacks(subscribe.packet_id, 1);
    broker_publishes("fleet/probe-1/temp", 0, bytes_of_text("elsewhere"));
    broker_publishes("sites/probe-1/fleet/probe-1/temp", 0, bytes_of_text("here"));
    struct coap_message answer = sent(0);
    CU_ASSERT_TRUE(answer.code == COAP_CONTENT && payload_is(&answer, "here"));
    close_rig();
    /* One without a password is never dialled for. */
    struct secret_file *passwords = rig.generation.passwords[0];
    open_broker();
    rig.generation.passwords[0] = passwords;
    snapshot_destroy((struct snapshot *)(uintptr_t)rig.generation.policy);
    const struct acl_rule_spec all[] = {RULE("own", PATH_ACTIONS, "t/+"),
                                        RULE("pub", 1 << ACL_PUBLISH, "fleet/+/temp")};
    rig.generation.policy = broker_policy(all, 2, 1);
    uint8_t bytes[64];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_PUT, 1, NULL, 0);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("t"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("temp"));
    device_sends(5, 6, bytes, coap_build_end(&w));
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).code == COAP_UNAVAILABLE && broker.dialled == 0);
    close_rig();
    secret_file_destroy(passwords);
    diagnostics_destroy(d);
    unlink(file);
}

/* J: what a cloud would close the connection for is refused here. */
static void test_cloud(void)
{
    open_broker();
    rig.config.upstreams[0].profile = CLOUD_AZURE; /* takes the hub's own topics only */
    asks(&put);
    broker_opens();
    CU_ASSERT_TRUE(broker_read_all() && rig.sent_n == 1 && sent(0).code == COAP_FORBIDDEN && broker.open);
    struct ask read = read_temp;
    read.mid = 2;
    asks(&read);
    CU_ASSERT_TRUE(broker_read_all() && rig.sent_n == 2 && sent(0).code == COAP_FORBIDDEN);
    close_rig();
    open_broker();
    rig.config.upstreams[0].profile = CLOUD_AWS;
    asks(&put);
    broker_opens();
    broker_acks(broker_reads(MQTT_PUBLISH).packet_id, 0);
    CU_ASSERT_EQUAL(sent(0).code, COAP_CHANGED);
    close_rig();
}

struct refusal {
    const char *name;
    uint8_t reason;
    uint8_t code;
};

static void test_puback_reasons(void)
{
    static const struct refusal refusals[] = {{"success", 0, COAP_CHANGED},
                                              {"unspecified", 0x80, COAP_BAD_GATEWAY},
                                              {"not authorized", 0x87, COAP_FORBIDDEN},
                                              {"topic name", 0x90, COAP_NOT_FOUND},
                                              {"quota", 0x97, COAP_UNAVAILABLE},
                                              {"payload format", 0x99, COAP_UNSUPPORTED_FORMAT}};
    open_broker();
    struct ask next = put;
    asks(&next);
    broker_opens();
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (i > 0)
            asks(&next);
        broker_acks(broker_reads(MQTT_PUBLISH).packet_id, refusals[i].reason);
        if (sent(0).code != refusals[i].code)
            printf("\n%s: %u\n", refusals[i].name, sent(0).code);
        CU_ASSERT_EQUAL(sent(0).code, refusals[i].code);
        next.mid++;
    }
    close_rig();
}

struct denied {
    const char *name;
    uint8_t method;
    const char *path[2];
    uint8_t code;
};

/* E2, E8: both the path and the topic are judged, and a path without a topic leads nowhere. */
static void test_denied(void)
{
    static const struct denied all[] = {
        {"the path", COAP_PUT, {"u", "temp"}, COAP_FORBIDDEN},
        {"the topic", COAP_PUT, {"t", "hum"}, COAP_FORBIDDEN},
        {"no map", COAP_PUT, {"x", "probe-1"}, COAP_NOT_FOUND},
        {"a wildcard as a segment", COAP_PUT, {"t", "+"}, COAP_NOT_FOUND},
        {"a '#' as a segment", COAP_GET, {"t", "#"}, COAP_NOT_FOUND},
        {"another method", COAP_DELETE, {"t", "temp"}, COAP_METHOD_NOT_ALLOWED}};
    open_broker();
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct ask ask = put;
        ask.mid = (uint16_t)(10 + i);
        ask.code = all[i].method;
        ask.path[0] = all[i].path[0];
        ask.path[1] = all[i].path[1];
        ask.payload = NULL;
        asks(&ask);
        if (rig.sent_n != i + 1 || sent(0).code != all[i].code)
            printf("\n%s\n", all[i].name);
        CU_ASSERT_TRUE(rig.sent_n == i + 1 && sent(0).code == all[i].code);
    }
    CU_ASSERT_EQUAL(broker.dialled, 0);
    close_rig();
}

/* The retained message comes with the subscription; afterwards the last message is at hand. */
static void test_read(void)
{
    open_broker();
    asks(&read_temp);
    broker_opens();
    struct mqtt_packet subscribe = broker_reads(MQTT_SUBSCRIBE);
    struct cursor list = cursor_of(subscribe.list);
    struct mqtt_filter filter;
    CU_ASSERT_TRUE(mqtt_filter_next(&list, MQTT_SUBSCRIBE, &filter) && filter.qos == 1);
    CU_ASSERT_TRUE(bytes_equal(filter.filter, bytes_of_text("fleet/probe-1/temp")));
    broker_subacks(subscribe.packet_id, 1);
    broker_reads(MQTT_PINGREQ);
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    broker_publishes("fleet/probe-1/temp", 1, bytes_of_text("21.5"));
    broker_reads(MQTT_PUBACK);
    struct coap_message answer = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 1 && answer.type == COAP_ACK && answer.code == COAP_CONTENT &&
                   payload_is(&answer, "21.5"));
    const struct coap_option *etag = coap_option_find(&answer, COAP_ETAG);
    CU_ASSERT_PTR_NOT_NULL_FATAL(etag);
    broker_pongs();
    struct ask again = read_temp;
    again.mid = 2;
    again.etag = coap_uint(etag->value);
    asks(&again);
    answer = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 2 && answer.code == COAP_VALID && answer.payload.len == 0 &&
                   broker_read_all());
    broker_publishes("fleet/probe-1/temp", 0, bytes_of_text("22"));
    again.mid = 3;
    asks(&again);
    answer = sent(0);
    CU_ASSERT_TRUE(answer.code == COAP_CONTENT && payload_is(&answer, "22"));
    wait_us(COAP_IDLE_US + 10 * S);
    broker_reads(MQTT_PINGREQ); /* keep-alive */
    close_rig();
}

static void test_read_nothing(void)
{
    open_broker();
    asks(&read_temp);
    broker_opens();
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 1);
    broker_reads(MQTT_PINGREQ);
    broker_pongs();
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).code == COAP_NOT_FOUND);
    struct ask other = read_temp;
    other.mid = 2;
    other.path[1] = "hum";
    asks(&other);
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 0x87);
    CU_ASSERT_TRUE(rig.sent_n == 2 && sent(0).code == COAP_FORBIDDEN);
    close_rig();
}

static void test_observe(void)
{
    struct ask observe = read_temp;
    observe.observe = 0;
    open_broker();
    asks(&observe);
    broker_opens();
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 1);
    broker_reads(MQTT_PINGREQ);
    broker_pongs();
    struct coap_message answer = sent(0);
    const struct coap_option *sequence = coap_option_find(&answer, COAP_OBSERVE);
    CU_ASSERT_TRUE(answer.code == COAP_CONTENT && answer.payload.len == 0 && sequence != NULL);
    uint32_t before = sequence == NULL ? 0 : coap_uint(sequence->value);
    broker_publishes("fleet/probe-1/temp", 1, bytes_of_text("1"));
    broker_reads(MQTT_PUBACK);
    answer = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 2 && answer.type == COAP_CON && payload_is(&answer, "1") &&
                   answer.token[0] == 0x5A);
    CU_ASSERT_TRUE(coap_observe_newer(before, rig.now_us,
                                      coap_uint(coap_option_find(&answer, COAP_OBSERVE)->value), rig.now_us));
    uint8_t empty[4];
    device_sends(0, 1, empty, coap_build_empty(empty, COAP_ACK, answer.mid));
    broker_publishes("fleet/probe-1/temp", 0, bytes_of_text("2"));
    answer = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 3 && answer.type == COAP_NON && payload_is(&answer, "2"));
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS), 1);
    /* RFC 7641 s.3.6: the device resets a notification, and hears no more. */
    device_sends(0, 1, empty, coap_build_empty(empty, COAP_RST, answer.mid));
    broker_publishes("fleet/probe-1/temp", 0, bytes_of_text("3"));
    CU_ASSERT_EQUAL(rig.sent_n, 3);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 1);
    close_rig();
}

/* RFC 7959 s.2.4: a long message in blocks of the size that is asked for. */
static void test_blocks(void)
{
    static uint8_t message[3000];
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)(i / 7);
    open_broker();
    struct ask ask = read_temp;
    asks(&ask);
    broker_opens();
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 1);
    broker_cut = 5;
    broker_publishes("fleet/probe-1/temp", 0, bytes_of(message, sizeof(message)));
    broker_cut = 0;
    struct coap_message answer = sent(0);
    CU_ASSERT_TRUE(answer.payload.len == 1024 &&
                   coap_uint(coap_option_find(&answer, COAP_BLOCK2)->value) == 0x0E);
    CU_ASSERT_EQUAL(coap_uint(coap_option_find(&answer, COAP_SIZE2)->value), 3000);
    for (uint32_t number = 0; number < 6; number++) {
        ask.mid++;
        ask.block2 = (int)(number << 4 | 5);
        asks(&ask);
        answer = sent(0);
        size_t n = number < 5 ? 512 : 3000 - 5 * 512;
        CU_ASSERT_TRUE(bytes_equal(answer.payload, bytes_of(message + number * 512, n)));
        CU_ASSERT_EQUAL(coap_uint(coap_option_find(&answer, COAP_BLOCK2)->value),
                        number << 4 | (number < 5 ? 8U : 0U) | 5U);
    }
    ask.mid++;
    ask.block2 = 6 << 4 | 5;
    asks(&ask);
    CU_ASSERT_EQUAL(sent(0).code, COAP_BAD_OPTION);
    close_rig();
}

static void test_too_large(void)
{
    static uint8_t message[COAP_MQTT_MESSAGE_BYTES + 1];
    open_broker();
    struct ask ask = read_temp;
    asks(&ask);
    broker_opens();
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 1);
    broker_cut = 999;
    broker_publishes("fleet/probe-1/temp", 0, bytes_of(message, sizeof(message)));
    CU_ASSERT_EQUAL(sent(0).code, COAP_BAD_GATEWAY);
    broker_publishes("fleet/probe-1/temp", 0, bytes_of(message, sizeof(message) - 1));
    broker_cut = 0;
    ask.mid++;
    asks(&ask);
    CU_ASSERT_TRUE(sent(0).code == COAP_CONTENT && sent(0).payload.len == 1024);
    close_rig();
}

/* E8: 5.03 when the session cannot be had or is lost, 5.04 when the broker is silent. */
static void test_failures(void)
{
    struct ask ask = put;
    open_broker();
    broker.refuse = true;
    asks(&ask);
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).code == COAP_UNAVAILABLE);
    ask.mid++;
    asks(&ask); /* not dialled again at once */
    CU_ASSERT_TRUE(rig.sent_n == 2 && sent(0).code == COAP_UNAVAILABLE && broker.dialled == 1);
    broker.refuse = false;
    wait_us(2 * S);
    ask.mid++;
    asks(&ask);
    wait_us(6 * S); /* nobody opens */
    CU_ASSERT_TRUE(sent(0).code == COAP_GATEWAY_TIMEOUT && rig.bad_results == 1 && !broker.open);
    wait_us(10 * S);
    ask.mid++;
    asks(&ask);
    broker_opens();
    broker_reads(MQTT_PUBLISH);
    broker.open = false;
    broker.stream.handler->closed(broker.stream.owner, STREAM_END_RESET);
    CU_ASSERT_EQUAL(sent(0).code, COAP_UNAVAILABLE);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_ACKNOWLEDGED), 0);
    wait_us(10 * S);
    ask.mid++;
    asks(&ask);
    broker_opens();
    broker_reads(MQTT_PUBLISH);
    wait_us(COAP_MQTT_WAIT_US + S);
    CU_ASSERT_TRUE(sent(0).type == COAP_NON && sent(0).code == COAP_GATEWAY_TIMEOUT);
    close_rig();
}

static void test_refused_session(void)
{
    open_broker();
    asks(&put);
    broker.stream.handler->opened(broker.stream.owner);
    broker_reads(MQTT_CONNECT);
    broker_connacks(0x84); /* knows no MQTT 5 */
    CU_ASSERT_EQUAL(broker.dialled, 2);
    broker_opens();
    CU_ASSERT_EQUAL(broker.version, MQTT_3_1_1);
    broker_acks(broker_reads(MQTT_PUBLISH).packet_id, 0);
    CU_ASSERT_EQUAL(sent(0).code, COAP_CHANGED);
    close_rig();
    open_broker();
    asks(&put);
    broker.stream.handler->opened(broker.stream.owner);
    broker_reads(MQTT_CONNECT);
    broker_connacks(0x87);
    CU_ASSERT_TRUE(!broker.open && sent(0).code == COAP_UNAVAILABLE);
    close_rig();
}

struct nonsense {
    const char *name;
    const char *bytes;
    size_t n;
};

/* Whatever the broker breaks ends the session, and what waited is told. */
static void test_nonsense(void)
{
    static const struct nonsense all[] = {
        {"a reserved type", "\x00\x00", 2},     {"a length of five bytes", "\x30\xff\xff\xff\xff\x01", 6},
        {"a packet of clients", "\xc0\x00", 2}, {"a second CONNACK", "\x20\x03\x00\x00\x00", 5},
        {"DISCONNECT", "\xe0\x00", 2},          {"QoS 2", "\x34\x06\x00\x01t\x00\x01\x00", 8}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        open_broker();
        asks(&put);
        broker_opens();
        broker_reads(MQTT_PUBLISH);
        broker_sends_bytes((const uint8_t *)all[i].bytes, all[i].n);
        if (broker.open || rig.sent_n != 1)
            printf("\n%s\n", all[i].name);
        CU_ASSERT_TRUE(!broker.open && rig.sent_n == 1 && COAP_CODE_CLASS(sent(0).code) == 5);
        close_rig();
    }
}

/* What the stream does not take waits, whole and in order; nothing is sent when that is too much. */
static void test_back_pressure(void)
{
    open_broker();
    struct ask ask = put;
    asks(&ask);
    broker_opens();
    uint16_t first = broker_reads(MQTT_PUBLISH).packet_id;
    broker.room = 3;
    ask.mid++;
    asks(&ask);
    ask.mid++;
    asks(&ask);
    broker.room = 5;
    broker.stream.handler->writable(broker.stream.owner);
    broker.room = 4096;
    broker.stream.handler->writable(broker.stream.owner);
    uint16_t second = broker_reads(MQTT_PUBLISH).packet_id, third = broker_reads(MQTT_PUBLISH).packet_id;
    CU_ASSERT_TRUE(first != second && second != third && broker_read_all());
    broker_acks(third, 0);
    broker_acks(first, 0);
    broker_acks(second, 0);
    CU_ASSERT_TRUE(rig.sent_n == 3 && sent(2).mid == 3 && sent(1).mid == 1 && sent(0).mid == 2);
    close_rig();
}

/* Receive Maximum of the broker (MQTT 5.0 s.3.2.2.3.3). */
static void test_inflight(void)
{
    open_broker();
    struct ask ask = put;
    for (uint16_t i = 0; i < 4; i++) {
        ask.mid = (uint16_t)(1 + i);
        asks(&ask);
    }
    broker.stream.handler->opened(broker.stream.owner);
    broker_reads(MQTT_CONNECT);
    struct mqtt_packet connack = {
        .type = MQTT_CONNACK,
        .version = MQTT_5,
        .properties = {.present = MQTT_PROP_BIT(MQTT_PROP_RECEIVE_MAXIMUM), .receive_maximum = 2}};
    broker_sends(&connack, bytes_of(NULL, 0));
    uint16_t first = broker_reads(MQTT_PUBLISH).packet_id;
    broker_reads(MQTT_PUBLISH);
    CU_ASSERT_TRUE(broker_read_all());
    broker_acks(first, 0);
    broker_reads(MQTT_PUBLISH);
    CU_ASSERT_TRUE(broker_read_all());
    close_rig();
}

/* The broker is asked whether it is there, and given up when it is not. */
static void test_keep_alive(void)
{
    open_broker();
    struct ask observe = read_temp;
    observe.observe = 0;
    asks(&observe);
    broker_opens();
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 1);
    broker_reads(MQTT_PINGREQ);
    broker_pongs();
    for (int i = 0; i < 20; i++) {
        wait_us(35 * S);
        while (!broker_read_all())
            broker_reads(MQTT_PINGREQ);
        broker_pongs();
    }
    CU_ASSERT_TRUE(broker.open);
    wait_us(100 * S);
    CU_ASSERT_TRUE(!broker.open && sent(0).code == COAP_GATEWAY_TIMEOUT && sent(0).token[0] == 0x5A);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 1);
    close_rig();
}

/* B6: what the gateway itself made it wait comes on top, and the broker is not blamed for it. */
static void test_own_wait(void)
{
    struct ask ask = put;
    open_broker();
    asks(&ask);
    broker.own_us = 4 * S;
    wait_us(8 * S);
    CU_ASSERT_TRUE(broker.open && rig.bad_results == 0);
    wait_us(2 * S);
    CU_ASSERT_TRUE(!broker.open && rig.bad_results == 1 && sent(0).code == COAP_GATEWAY_TIMEOUT);
    wait_us(10 * S);
    ask.mid++;
    asks(&ask);
    broker.open = false;
    broker.stream.handler->closed(broker.stream.owner, STREAM_END_ABORTED);
    CU_ASSERT_TRUE(rig.bad_results == 1 && sent(0).code == COAP_UNAVAILABLE);
    close_rig();
}

/* G3: a topic that may not be read any more is not observed any more. */
static void test_reload(void)
{
    open_broker();
    struct ask observe = read_temp;
    observe.observe = 0;
    asks(&observe);
    broker_opens();
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 1);
    broker_publishes("fleet/probe-1/temp", 0, bytes_of_text("1"));
    struct generation next = rig.generation;
    next.number = 2;
    next.policy = broker_policy(rules, 2, 2); /* without "sub" */
    rig.current = &next;
    CU_ASSERT_TRUE(coap_relays_sweep(rig.relays, 100));
    CU_ASSERT_EQUAL(sent(0).code, COAP_FORBIDDEN);
    uint32_t before = rig.sent_n;
    broker_publishes("fleet/probe-1/temp", 0, bytes_of_text("2"));
    CU_ASSERT_EQUAL(rig.sent_n, before);
    rig.current = &rig.generation;
    close_rig();
    snapshot_destroy((struct snapshot *)(uintptr_t)next.policy);
}

/* A block of an upload: `bytes` each, JSON. */
static void sends_block(uint16_t mid, uint32_t number, bool more, uint32_t bytes, const char *payload)
{
    uint8_t message[COAP_MESSAGE_MAX];
    struct coap_block block = {.number = number, .bytes = bytes, .more = more};
    struct coap_writer w;
    coap_build_start(&w, message, sizeof(message), COAP_CON, COAP_PUT, mid, (const uint8_t *)"\x5A", 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("t"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("temp"));
    coap_build_uint(&w, COAP_CONTENT_FORMAT, 50);
    coap_build_uint(&w, COAP_BLOCK1, coap_block_value(&block));
    coap_build_payload(&w, bytes_of_text(payload));
    device_sends(0, 1, message, coap_build_end(&w));
}

static bool told_block(uint8_t code, uint32_t value)
{
    struct coap_message last = sent(0);
    const struct coap_option *block1 = coap_option_find(&last, COAP_BLOCK1);
    return last.code == code && block1 != NULL && coap_uint(block1->value) == value;
}

/* RFC 7959 s.2.5: the broker gets one message, once all of it is here; 2.04 comes with its acknowledgement.
 */
static void test_upload(void)
{
    open_broker();
    sends_block(1, 0, true, 16, "{\"a\": 1, \"b\": 12");
    CU_ASSERT_TRUE(told_block(COAP_CONTINUE, 0x08));
    sends_block(1, 0, true, 16, "{\"a\": 1, \"b\": 12"); /* repeated */
    CU_ASSERT_TRUE(rig.sent_n == 2 && told_block(COAP_CONTINUE, 0x08));
    sends_block(2, 1, true, 16, ", \"c\": \"0123456\"");
    CU_ASSERT_TRUE(told_block(COAP_CONTINUE, 0x18));
    sends_block(3, 1, true, 16, ", \"c\": \"0123456\""); /* had already */
    CU_ASSERT_TRUE(told_block(COAP_CONTINUE, 0x18));
    CU_ASSERT_FALSE(broker.open);
    sends_block(4, 2, false, 16, "}");
    broker_opens();
    struct mqtt_packet publish = broker_reads(MQTT_PUBLISH);
    CU_ASSERT_TRUE(
        bytes_equal(publish.publish.payload, bytes_of_text("{\"a\": 1, \"b\": 12, \"c\": \"0123456\"}")));
    CU_ASSERT_TRUE(bytes_equal(publish.properties.content_type, bytes_of_text("application/json")));
    CU_ASSERT_EQUAL(publish.properties.payload_format, 1);
    broker_acks(publish.packet_id, 0);
    CU_ASSERT_TRUE(told_block(COAP_CHANGED, 0x20));
    CU_ASSERT_EQUAL(counted(COAP_COUNT_PUBLISHED), 1);
    sends_block(5, 2, false, 16, "}"); /* of nothing: 4.08 (s.2.9.2) */
    CU_ASSERT_TRUE(sent(0).code == COAP_INCOMPLETE && broker_read_all());
    close_rig();
}

/* Content Type comes back as Content-Format; what is not in the registry does not. */
static void test_formats(void)
{
    static const struct {
        const char *type;
        uint32_t format;
        bool text;
    } rows[] = {{"application/json", 50, true},
                {"Application/JSON", 50, true},
                {"text/plain; charset=UTF-8", 0, true},
                {"text/plain", 0, true},
                {"application/cbor", 60, false},
                {"application/octet-stream", 42, false},
                {"text/plain;charset=latin1", COAP_FORMAT_NONE, false},
                {"application/jso", COAP_FORMAT_NONE, false},
                {"", COAP_FORMAT_NONE, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool text;
        CU_ASSERT_EQUAL(coap_format_of(bytes_of_text(rows[i].type)), rows[i].format);
        const char *type = coap_format_type(rows[i].format, &text);
        CU_ASSERT_EQUAL(type == NULL, rows[i].format == COAP_FORMAT_NONE);
        CU_ASSERT_EQUAL(text, rows[i].text);
        if (type != NULL)
            CU_ASSERT_EQUAL(coap_format_of(bytes_of_text(type)), rows[i].format);
    }
    open_broker();
    asks(&read_temp);
    broker_opens();
    broker_subacks(broker_reads(MQTT_SUBSCRIBE).packet_id, 1);
    broker_reads(MQTT_PINGREQ);
    struct mqtt_packet publish = {
        .type = MQTT_PUBLISH,
        .version = MQTT_5,
        .publish = {.topic = bytes_of_text("fleet/probe-1/temp"), .payload_bytes = 2},
        .properties = {.present = MQTT_PROP_BIT(MQTT_PROP_CONTENT_TYPE),
                       .content_type = bytes_of_text("application/cbor")}};
    broker_sends(&publish, bytes_of_text("\x81\x01"));
    struct coap_message last = sent(0);
    const struct coap_option *format = coap_option_find(&last, COAP_CONTENT_FORMAT);
    CU_ASSERT_TRUE(last.code == COAP_CONTENT && format != NULL && coap_uint(format->value) == 60);
    close_rig();
}

/* What is gathered is bounded: a body, how many there are, and for how long. */
static void test_bodies(void)
{
    static uint8_t block[1024];
    struct packet_buffers *buffers = packet_buffers_create(UINT64_C(8) << 20);
    struct coap_bodies *bodies = coap_bodies_create(buffers);
    struct slab_handle leg = {.index = 1, .generation = 1}, other = {.index = 1, .generation = 2};
    struct bytes body, part = bytes_of(block, sizeof(block));
    struct coap_block at = {.bytes = 1024, .more = true};
    for (; at.number < 16; at.number++)
        CU_ASSERT_EQUAL(coap_body_add(bodies, leg, 7, &at, part, 0, &body), COAP_BODY_MORE);
    CU_ASSERT_EQUAL(coap_body_add(bodies, leg, 7, &at, part, 0, &body), COAP_BODY_TOO_LARGE);
    at.number = 15;
    CU_ASSERT_EQUAL(coap_body_add(bodies, other, 7, &at, part, 0, &body),
                    COAP_BODY_INCOMPLETE); /* not its own */
    at.more = false;
    CU_ASSERT_EQUAL(coap_body_add(bodies, leg, 7, &at, part, 0, &body), COAP_BODY_WHOLE);
    CU_ASSERT_EQUAL(body.len, 16384);
    coap_body_drop(bodies, leg, 7);
    CU_ASSERT_EQUAL(coap_bodies_used(bodies), 0);
    at = (struct coap_block){.bytes = 16, .more = true};
    for (uint64_t i = 1; i <= COAP_BODIES; i++)
        CU_ASSERT_EQUAL(coap_body_add(bodies, leg, i, &at, bytes_of(block, 16), i, &body), COAP_BODY_MORE);
    CU_ASSERT_EQUAL(coap_body_add(bodies, leg, 999, &at, bytes_of(block, 16), S, &body), COAP_BODY_NO_ROOM);
    at.number = 2; /* something is left out */
    CU_ASSERT_EQUAL(coap_body_add(bodies, leg, 1, &at, bytes_of(block, 16), S, &body), COAP_BODY_INCOMPLETE);
    at.number = 0;
    CU_ASSERT_EQUAL(coap_body_add(bodies, leg, 999, &at, bytes_of(block, 16), 100 * S, &body),
                    COAP_BODY_MORE);
    CU_ASSERT_EQUAL(coap_bodies_used(bodies), 1);
    coap_bodies_destroy(bodies);
    packet_buffers_destroy(buffers);
}

int main(void)
{
    static const struct unit_test tests[] = {{"CON is QoS 1", test_publish_confirmable},
                                             {"a slow broker", test_publish_slow},
                                             {"NON is QoS 0", test_publish_non},
                                             {"PUBACK", test_puback_reasons},
                                             {"credentials and mount point (C5)", test_shape},
                                             {"profiles of clouds (J)", test_cloud},
                                             {"path and topic (E2)", test_denied},
                                             {"GET", test_read},
                                             {"GET of nothing", test_read_nothing},
                                             {"Observe (RFC 7641)", test_observe},
                                             {"blocks (RFC 7959)", test_blocks},
                                             {"upload in blocks (RFC 7959)", test_upload},
                                             {"formats (MQTT 5.0 s.3.3.2.3.9)", test_formats},
                                             {"bodies", test_bodies},
                                             {"too large", test_too_large},
                                             {"failures", test_failures},
                                             {"what is ours is not the broker's (B6)", test_own_wait},
                                             {"refused sessions", test_refused_session},
                                             {"nonsense of a broker", test_nonsense},
                                             {"back pressure", test_back_pressure},
                                             {"Receive Maximum", test_inflight},
                                             {"keep-alive", test_keep_alive},
                                             {"reload (G3)", test_reload}};
    return unit_run("coap_mqtt", tests, sizeof(tests) / sizeof(tests[0]));
}
