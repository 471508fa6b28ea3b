/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mount.h: topics below a prefix, both ways (C5). */
#include "policy/mqtt/mount.h"

#include "policy/mqtt/build.h"
#include "tests/unit/runner.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PREFIX bytes_of_text("sites/7/")

static uint8_t scratch[4096];

static void prefixes(void)
{
    static const char *const good[] = {"a/", "sites/7/", "a//", "/", "caf\xC3\xA9/"};
    static const char *const bad[] = {"", "a", "$a/", "+/", "a/#/", "a/\x01/", "a/\xC0\x80/"};
    for (size_t i = 0; i < COUNT(good); i++)
        CU_ASSERT_PTR_NULL(mqtt_mount_check(bytes_of_text(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_PTR_NOT_NULL(mqtt_mount_check(bytes_of_text(bad[i])));
}

static void publish_up(void)
{
    static const struct {
        const char *topic, *response, *out, *response_out;
    } t[] = {
        {"a/b", NULL, "sites/7/a/b", NULL},
        {"a/b", "r", "sites/7/a/b", "sites/7/r"},
        {"/", NULL, "sites/7//", NULL},
        {"$aws/things/x", "$iothub/x", "$aws/things/x", "$iothub/x"},
        {"$delayed/5/a", NULL, "$delayed/5/sites/7/a", NULL},
        {"a", "$delayed/5/r", "sites/7/a", "$delayed/5/sites/7/r"},
        {"$delayed/5/$SYS/a", NULL, "$delayed/5/$SYS/a", NULL},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct mqtt_packet p = {.type = MQTT_PUBLISH, .version = MQTT_5};
        p.publish.topic = bytes_of_text(t[i].topic);
        if (t[i].response != NULL) {
            p.properties.response_topic = bytes_of_text(t[i].response);
            p.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
        }
        CU_ASSERT_TRUE(mqtt_mount_up(PREFIX, &p, scratch, sizeof(scratch)));
        CU_ASSERT_TRUE(bytes_equal(p.publish.topic, bytes_of_text(t[i].out)));
        if (t[i].response != NULL)
            CU_ASSERT_TRUE(bytes_equal(p.properties.response_topic, bytes_of_text(t[i].response_out)));
        /* As much room as is needed, and not a byte less. */
        p.publish.topic = bytes_of_text(t[i].topic);
        p.properties.present = 0;
        size_t need = t[i].topic[0] == '$' && strcmp(t[i].topic, t[i].out) == 0 ? 0 : strlen(t[i].out);
        CU_ASSERT_TRUE(mqtt_mount_up(PREFIX, &p, scratch, need));
        p.publish.topic = bytes_of_text(t[i].topic);
        if (need > 0)
            CU_ASSERT_FALSE(mqtt_mount_up(PREFIX, &p, scratch, need - 1));
    }
}

/* What went up comes off, with what stood before the name. */
static void will_off(void)
{
    static const struct {
        const char *topic, *off;
    } t[] = {{"a/b", "a/b"},
             {"$aws/things/x", "$aws/things/x"},
             {"$delayed/5/a", "a"},
             {"/", "/"},
             {"$delayed/5/$SYS/a", "$SYS/a"}};
    for (size_t i = 0; i < COUNT(t); i++) {
        struct mqtt_packet p = {.type = MQTT_CONNECT, .version = MQTT_5};
        struct mqtt_will *will = &p.connect.will;
        *will = (struct mqtt_will){.present = true, .topic = bytes_of_text(t[i].topic)};
        will->properties.response_topic = will->topic;
        will->properties.present = i % 2 == 0 ? MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC) : 0;
        CU_ASSERT_TRUE(mqtt_mount_up(PREFIX, &p, scratch, sizeof(scratch)));
        mqtt_mount_off(PREFIX, will);
        CU_ASSERT_TRUE(bytes_equal(will->topic, bytes_of_text(t[i].off)));
        CU_ASSERT_TRUE(
            bytes_equal(will->properties.response_topic, bytes_of_text(i % 2 == 0 ? t[i].off : t[i].topic)));
    }
}

/* A topic that is too long with its prefix is not passed on. */
static void too_long(void)
{
    static uint8_t topic[65535], room[2 * 65535];
    struct mqtt_packet p = {.type = MQTT_PUBLISH, .version = MQTT_5};
    memset(topic, 'a', sizeof(topic));
    p.publish.topic = bytes_of(topic, sizeof(topic) - 8);
    CU_ASSERT_TRUE(mqtt_mount_up(PREFIX, &p, room, sizeof(room)));
    p.publish.topic = bytes_of(topic, sizeof(topic) - 7);
    CU_ASSERT_FALSE(mqtt_mount_up(PREFIX, &p, room, sizeof(room)));
}

static void filters_up(void)
{
    static const char *const in[] = {"a/+",      "#",      "$share/g/a/#", "$share/g/$SYS/x",
                                     "$queue/a", "$SYS/#", "$exclusive/b"};
    static const char *const out[] = {"sites/7/a/+",         "sites/7/#",        "$share/g/sites/7/a/#",
                                      "$share/g/$SYS/x",     "$queue/sites/7/a", "$SYS/#",
                                      "$exclusive/sites/7/b"};
    for (int type = 0; type < 2; type++) {
        uint8_t entries[512];
        size_t used = 0;
        struct mqtt_packet p = {.type = type == 0 ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE, .version = MQTT_5};
        for (size_t i = 0; i < COUNT(in); i++) {
            struct mqtt_filter entry = {
                .filter = bytes_of_text(in[i]), .qos = (uint8_t)(i % 3), .retain_handling = 1};
            used += mqtt_build_filter(entries + used, sizeof(entries) - used, p.type, MQTT_5, &entry);
        }
        p.list = bytes_of(entries, used);
        p.list_count = COUNT(in);
        CU_ASSERT_TRUE_FATAL(mqtt_mount_up(PREFIX, &p, scratch, sizeof(scratch)));
        struct cursor list = cursor_of(p.list);
        struct mqtt_filter entry;
        size_t n = 0;
        while (mqtt_filter_next(&list, p.type, &entry)) {
            CU_ASSERT_TRUE(n < COUNT(out) && bytes_equal(entry.filter, bytes_of_text(out[n])));
            if (p.type == MQTT_SUBSCRIBE)
                CU_ASSERT(entry.qos == n % 3 && entry.retain_handling == 1);
            n++;
        }
        CU_ASSERT_EQUAL(n, COUNT(out));
        p.list = bytes_of(entries, used);
        for (size_t room = 0; room < 100; room += 7) {
            struct mqtt_packet copy = p;
            CU_ASSERT_FALSE(mqtt_mount_up(PREFIX, &copy, scratch, room));
        }
    }
}

static void will_up(void)
{
    struct mqtt_packet p = {.type = MQTT_CONNECT, .version = MQTT_5};
    CU_ASSERT_TRUE(mqtt_mount_up(PREFIX, &p, scratch, 0));
    p.connect.will = (struct mqtt_will){.present = true, .topic = bytes_of_text("s")};
    p.connect.will.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
    p.connect.will.properties.response_topic = bytes_of_text("r");
    CU_ASSERT_TRUE(mqtt_mount_up(PREFIX, &p, scratch, sizeof(scratch)));
    CU_ASSERT_TRUE(bytes_equal(p.connect.will.topic, bytes_of_text("sites/7/s")));
    CU_ASSERT_TRUE(bytes_equal(p.connect.will.properties.response_topic, bytes_of_text("sites/7/r")));
}

static void down(void)
{
    static const struct {
        const char *topic, *out; /* NULL: outside */
        const char *response, *response_out;
    } t[] = {
        {"sites/7/a/b", "a/b", NULL, NULL},    {"sites/7/a", "a", "sites/7/r", "r"},
        {"sites/7/a", "a", "sites/8/r", NULL}, {"sites/7//", "/", "$iothub/r", "$iothub/r"},
        {"$aws/x", "$aws/x", NULL, NULL},      {"sites/8/a", NULL, NULL, NULL},
        {"sites/7", NULL, NULL, NULL},         {"sites/7/", NULL, NULL, NULL},
        {"sites/7/$SYS/a", NULL, NULL, NULL}, /* would be taken for the upstream's own */
        {"sites/70/a", NULL, NULL, NULL},      {"", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct mqtt_packet p = {.type = MQTT_PUBLISH, .version = MQTT_5};
        p.publish.topic = bytes_of_text(t[i].topic);
        if (t[i].response != NULL) {
            p.properties.response_topic = bytes_of_text(t[i].response);
            p.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
        }
        bool under = mqtt_mount_down(PREFIX, &p);
        CU_ASSERT_EQUAL(under, t[i].out != NULL);
        CU_ASSERT_TRUE(bytes_equal(p.publish.topic, bytes_of_text(under ? t[i].out : t[i].topic)));
        bool kept = (p.properties.present & MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC)) != 0;
        CU_ASSERT_EQUAL(kept, t[i].response_out != NULL);
        if (kept && t[i].response_out != NULL)
            CU_ASSERT_TRUE(bytes_equal(p.properties.response_topic, bytes_of_text(t[i].response_out)));
    }
    struct mqtt_packet p = {.type = MQTT_CONNACK, .version = MQTT_5};
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_INFO);
    p.properties.response_info = bytes_of_text("sites/7/replies/");
    CU_ASSERT_TRUE(mqtt_mount_down(PREFIX, &p));
    CU_ASSERT_TRUE(bytes_equal(p.properties.response_info, bytes_of_text("replies/")));
    p.properties.response_info = bytes_of_text("replies/");
    CU_ASSERT_TRUE(mqtt_mount_down(PREFIX, &p));
    CU_ASSERT_EQUAL(p.properties.present, 0);
}

static const struct unit_test tests[] = {
    {"the Will of a CONNECT comes off again", will_off},
    {"prefixes", prefixes},
    {"PUBLISH up (C5)", publish_up},
    {"too long", too_long},
    {"filters up (C5)", filters_up},
    {"Wills up (C5, D10)", will_up},
    {"down (C5)", down},
};

int main(void)
{
    return unit_run("mount", tests, COUNT(tests));
}
