/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole sessions through the real worker, TLS upstream, with a clock that we turn. */
#include "tests/scenario/world.h"
#include "tests/unit/runner.h"

static struct world *world;

static const char fleet[] =
    "roles = ( { name = \"truck\"; match = { client_id = \"truck-{serial:[0-9][0-9][0-9]}\"; }; max_qos = "
    "1;\n"
    "  rules = ( { id = \"own\"; allow = \"publish\"; topic = \"trucks/${serial}/location\"; } %s ); } );\n";

static const char *policy_with(const char *more)
{
    static char text[1024];
    snprintf(text, sizeof(text), fleet, more);
    return text;
}

static size_t publish(uint8_t *to, const char *topic, uint8_t qos, uint16_t id)
{
    size_t length = strlen(topic);
    size_t n = 0;
    to[n++] = (uint8_t)(0x30 | qos << 1);
    to[n++] = (uint8_t)(2 + length + (qos ? 2 : 0) + 1 + 5);
    to[n++] = 0;
    to[n++] = (uint8_t)length;
    memcpy(to + n, topic, length);
    n += length;
    if (qos) {
        to[n++] = (uint8_t)(id >> 8);
        to[n++] = (uint8_t)id;
    }
    to[n++] = 0;
    memcpy(to + n, "hello", 5);
    return n + 5;
}

static struct world_device *truck(const char *name)
{
    uint8_t drain[256];
    struct world_device *device = world_connect(world, 0);
    CU_ASSERT_TRUE_FATAL(world_login(world, device, name, 5));
    world_received(device, drain, sizeof(drain));
    CU_ASSERT_EQUAL(drain[0], 0x20);
    CU_ASSERT_EQUAL(drain[3], 0);
    return device;
}

/* The reason code of the PUBACK that answers one QoS 1 publish. */
static int ack_of(struct world_device *device, const char *topic)
{
    uint8_t bytes[256];
    static uint16_t id;
    world_send(device, bytes, publish(bytes, topic, 1, ++id));
    world_settle(world, 200);
    size_t n = world_received(device, bytes, sizeof(bytes));
    if (n < 4 || bytes[0] != 0x40 || bytes[2] != (uint8_t)(id >> 8) || bytes[3] != (uint8_t)id)
        return -1;
    return bytes[1] == 2 ? 0 : bytes[4];
}

static void allowed_arrives_refused_does_not(void)
{
    struct world_device *device = truck("truck-001");
    uint64_t before = world_cloud(world)->publishes;
    CU_ASSERT_EQUAL(ack_of(device, "trucks/001/location"), 0);
    CU_ASSERT_EQUAL(world_cloud(world)->publishes, before + 1);
    CU_ASSERT_STRING_EQUAL(world_cloud(world)->last_topic, "trucks/001/location");
    CU_ASSERT_EQUAL(ack_of(device, "trucks/002/location"), 0x87);
    CU_ASSERT_EQUAL(world_cloud(world)->publishes, before + 1);
    CU_ASSERT_EQUAL(ack_of(device, "trucks/001/location"), 0);
    world_hang_up(device, false);
    world_settle(world, 500);
}

static void an_ungraceful_end_keeps_the_will(void)
{
    struct world_device *device = truck("truck-002");
    uint64_t ended = world_cloud(world)->ended;
    uint64_t goodbyes = world_cloud(world)->disconnects;
    world_hang_up(device, true);
    world_settle(world, 500);
    CU_ASSERT_EQUAL(world_cloud(world)->disconnects, goodbyes); /* no DISCONNECT: the broker sends the Will */
    CU_ASSERT_EQUAL(world_cloud(world)->ended, ended + 1);
}

static void a_reload_acts_on_the_live_session(void)
{
    struct world_device *device = truck("truck-003");
    CU_ASSERT_EQUAL(ack_of(device, "trucks/003/door"), 0x87);
    CU_ASSERT_TRUE_FATAL(world_reload(
        world, policy_with(", { id = \"door\"; allow = \"publish\"; topic = \"trucks/${serial}/door\"; }")));
    CU_ASSERT_EQUAL(ack_of(device, "trucks/003/door"), 0);
    CU_ASSERT_FALSE(world_reload(world, "roles = ( { name = ")); /* refused; the old one stays */
    CU_ASSERT_EQUAL(ack_of(device, "trucks/003/door"), 0);
    CU_ASSERT_TRUE_FATAL(world_reload(world, policy_with("")));
    CU_ASSERT_EQUAL(ack_of(device, "trucks/003/door"), 0x87);
    CU_ASSERT_TRUE(world_open(device));
    CU_ASSERT_TRUE_FATAL(
        world_reload(world, "roles = ( { name = \"other\"; match = { client_id = \"x-*\"; }; rules = ( "
                            "{ id = \"o\"; allow = \"publish\"; topic = \"o\"; } ); } );\n"));
    world_settle(world, 500);
    CU_ASSERT_FALSE(world_open(
        device)); /* G3: a client that is no longer allowed is disconnected without having sent anything */
    uint8_t bytes[64];
    CU_ASSERT_EQUAL(world_received(device, bytes, sizeof(bytes)), 3);
    CU_ASSERT_EQUAL(bytes[0], 0xe0);
    CU_ASSERT_EQUAL(bytes[2], 0x98);
    CU_ASSERT_TRUE_FATAL(world_reload(world, policy_with("")));
}

static void silence_ends_what_was_begun(void)
{
    struct world_device *silent = world_connect(world, 1);
    struct world_device *slow = world_connect(world, 2);
    struct world_device *idle = truck("truck-004"); /* keep-alive 60 s */
    for (int i = 0; i < 1000; i++)
        world_turn(world, 100);
    CU_ASSERT_TRUE(world_open(silent) && world_open(slow));
    for (int i = 0; i < 6; i++) { /* a byte a second does not hold the slot (D2) */
        world_send(slow, &"\x10\x20\0\4MQTT"[i], 1);
        for (int k = 0; k < 100; k++)
            world_turn(world, 10000);
    }
    CU_ASSERT_FALSE(world_open(silent));
    CU_ASSERT_FALSE(world_open(slow));
    CU_ASSERT_TRUE(world_open(idle));
    for (int i = 0; i < 1000 && world_open(idle); i++)
        world_turn(world, 100000);
    CU_ASSERT_FALSE(world_open(idle));
    uint8_t bytes[64];
    CU_ASSERT_EQUAL(world_received(idle, bytes, sizeof(bytes)), 3);
    CU_ASSERT_EQUAL(bytes[2], 0x8d);
}

static void garbage_frames_are_counted_and_change_nothing(void)
{
    struct world_device *device = truck("truck-005");
    uint8_t frame[1514];
    uint32_t state = 12345;
    for (int i = 0; i < 20000; i++) {
        size_t n = 1 + (state = state * 1664525u + 1013904223u) % (i % 2 ? 100 : 1513);
        for (size_t k = 0; k < n; k++)
            frame[k] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
        if (n > 18 && i % 3 != 0) { /* enough sense to get further in */
            memcpy(frame + 12, "\x81\0\0\x14\x08\0\x45\0", 8);
            frame[27] = i % 5 == 0 ? 17 : 6;
        }
        world_inject(world, (uint32_t)i & 1, frame, n);
        if (i % 32 == 31)
            world_turn(world, 100);
    }
    world_settle(world, 100);
    CU_ASSERT_EQUAL(ack_of(device, "trucks/005/location"), 0);
    world_hang_up(device, true);
}

static void everything_comes_back(void)
{
    CU_ASSERT_EQUAL(world_destroy(world), 0);
}

int main(void)
{
    struct world_settings settings = {.tls = true, .connections = 64, .policy = policy_with("")};
    static const struct unit_test tests[] = {
        {"D4, D7: allowed arrives, refused does not", allowed_arrives_refused_does_not},
        {"D10: an ungraceful end keeps the Will", an_ungraceful_end_keeps_the_will},
        {"G2, G3: a reload acts on the live session", a_reload_acts_on_the_live_session},
        {"D2: silence and single bytes", silence_ends_what_was_begun},
        {"A4: garbage frames", garbage_frames_are_counted_and_change_nothing},
        {"everything comes back", everything_comes_back},
    };
    world = world_create(&settings);
    if (world == NULL)
        return EXIT_FAILURE;
    return unit_run("sessions through the worker", tests, sizeof(tests) / sizeof(tests[0]));
}
