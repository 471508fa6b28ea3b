/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile devices and a hostile cloud against the real worker, TLS upstream. After each attack an innocent
 * session that has been there from the start still works, and at the end nothing is left behind.
 */
#include "tests/scenario/world.h"
#include "tests/unit/runner.h"

static struct world *world;
static struct world_device *innocent;
static uint32_t clients; /* that the cloud has seen */
static uint32_t seed = 2463534242u;

static const char policy[] =
    "roles = ( { name = \"truck\"; match = { client_id = \"truck-{serial:[0-9][0-9][0-9]}\"; }; max_qos = 2; "
    "inflight = 4; queue = 4;\n"
    "  limits = { packet = \"128KiB\"; sessions = 4; };\n"
    "  rules = ( { id = \"own\"; allow = [ \"publish\", \"subscribe\" ]; topic = \"t/${serial}/a\"; will = "
    "true; retain = true; },\n"
    "    { id = \"text\"; allow = [ \"publish\", \"subscribe\" ]; topic = \"t/${serial}/text\"; payload = "
    "\"json\"; will = true; retain = true; } ); } );\n";

static uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

static void pass(uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i += 10)
        world_turn(world, 10000);
}

static struct world_device *truck(uint32_t number, uint8_t version)
{
    char name[16];
    uint8_t drain[4096];
    snprintf(name, sizeof(name), "truck-%03u", number);
    struct world_device *device = world_connect(world, 1 + number % (WORLD_SOURCES - 1));
    CU_ASSERT_TRUE_FATAL(world_login(world, device, name, version));
    world_received(device, drain, sizeof(drain));
    clients++;
    return device;
}

/* PUBLISH of `length` bytes to `topic`; version 5 when `five`. */
static size_t publish(uint8_t *to, const char *topic, uint8_t qos, uint16_t id, size_t length, bool five)
{
    size_t name = strlen(topic), n = 0;
    size_t rest = 2 + name + (qos ? 2 : 0) + five + length;
    to[n++] = (uint8_t)(0x30 | qos << 1);
    do {
        to[n++] = (uint8_t)(rest % 128 | (rest > 127 ? 128 : 0));
        rest /= 128;
    } while (rest != 0);
    to[n++] = 0;
    to[n++] = (uint8_t)name;
    memcpy(to + n, topic, name);
    n += name;
    if (qos != 0) {
        to[n++] = (uint8_t)(id >> 8);
        to[n++] = (uint8_t)id;
    }
    if (five)
        to[n++] = 0;
    memset(to + n, 'x', length);
    return n + length;
}

static void innocent_works(void)
{
    static uint16_t id;
    uint8_t bytes[128];
    world_received(innocent, bytes, sizeof(bytes));
    id = id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
    uint64_t before = world_cloud(world)->publishes;
    world_send(innocent, bytes, publish(bytes, "t/000/a", 1, id, 4, true));
    for (int i = 0; i < 50; i++)
        world_turn(world, 1000);
    CU_ASSERT_EQUAL(world_cloud(world)->publishes, before + 1);
    size_t n = world_received(innocent, bytes, sizeof(bytes));
    CU_ASSERT_TRUE(n == 4 && bytes[0] == 0x40 && bytes[2] == id >> 8 && bytes[3] == (id & 0xff));
    CU_ASSERT_TRUE(world_open(innocent));
}

static uint32_t sessions(void)
{
    struct worker_stats stats;
    struct worker_request request = {.kind = WORKER_STATS, .stats = &stats};
    worker_post(world_worker(world), &request);
    world_turn(world, 10);
    return stats.sessions;
}

/* Whatever was attacked ends by itself within `ms`. */
static void ends_within(uint32_t ms)
{
    static const uint8_t ping[] = {0xc0, 0};
    for (uint32_t i = 0; i < ms && sessions() > 1; i += 1000) {
        world_send(innocent, ping, sizeof(ping));
        pass(1000);
    }
    CU_ASSERT_EQUAL(sessions(), 1);
}

/* ---- the cloud ------------------------------------------------------------------------------------------
 */

static void wrong_answers_from_the_cloud(void)
{
#define WRONG(name, text, ends)                                                                              \
    {                                                                                                        \
        name, (const uint8_t *)text, sizeof(text) - 1, ends                                                  \
    }
    static const struct {
        const char *name;
        const uint8_t *bytes;
        size_t n;
        bool ends;
    } cases[] = {
        WRONG("CONNACK again", "\x20\x03\x00\x00\x00", true),
        WRONG("SUBACK for nothing", "\x90\x04\x00\x07\x00\x00", false),
        WRONG("SUBACK without codes", "\x90\x03\x00\x07\x00", true),
        WRONG("PUBACK for an id never used", "\x40\x02\x12\x34", false),
        WRONG("PUBREC for an id never used", "\x50\x02\x12\x34", false),
        WRONG("PUBREL for an id never used", "\x62\x02\x12\x34", false),
        WRONG("PUBCOMP for an id never used", "\x70\x02\x12\x34", false),
        WRONG("packet id 0", "\x40\x02\x00\x00", true),
        WRONG("five bytes of length", "\x30\x80\x80\x80\x80\x01", true),
        WRONG("length that is not minimal", "\x40\x82\x00\x12\x34", true),
        WRONG("CONNECT", "\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00", true),
        WRONG("QoS 3", "\x36\x0b\x00\x05t/001\x00\x01\x00x", true),
        WRONG("wildcard in a topic", "\x30\x08\x00\x05t/+/a\x00", false),
        WRONG("C0 80 in a topic", "\x30\x0a\x00\x07t/001\xc0\x80\x00", false),
        WRONG("topic alias that nobody allowed", "\x30\x0b\x00\x05t/001\x03\x23\x00\x01", true),
        WRONG("topic of another", "\x32\x0c\x00\x07t/002/a\x00\x01\x00", false),
        WRONG("redirection",
              "\xe0\x0b\x9d\x09\x1c\x00\x06"
              "a:1883",
              true),
        WRONG("AUTH", "\xf0\x00", true),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[256];
        struct world_device *device = truck(1, 5);
        CU_ASSERT_TRUE(world_cloud_send(world, clients, cases[i].bytes, cases[i].n));
        pass(100);
        size_t n = world_received(device, bytes, sizeof(bytes));
        for (size_t k = 0; k + 1 < n; k++) /* neither the bad topic nor where to go instead */
            CU_ASSERT_FALSE((bytes[k] == 0xc0 && bytes[k + 1] == 0x80) || (bytes[0] == 0xe0 && n > 3));
        CU_ASSERT_EQUAL(world_open(device), !cases[i].ends);
        if (world_open(device) == cases[i].ends)
            fprintf(stderr, "%s\n", cases[i].name);
        if (!cases[i].ends) {
            CU_ASSERT_TRUE(n == 0);
            if (n != 0)
                fprintf(stderr, "%s\n", cases[i].name);
        }
        world_hang_up(device, true);
        innocent_works();
    }
    ends_within(10000);
}

/* A message that never ends, in every way of ending it. */
static void messages_from_the_cloud_that_stop_halfway(void)
{
    for (int i = 0; i < 4; i++) {
        uint8_t bytes[64];
        struct world_device *device = truck(1, 5);
        /* 256 MiB less one, of which ten bytes come */
        CU_ASSERT_TRUE(
            world_cloud_send(world, clients, "\x30\xff\xff\xff\x7f\x00\x07t/001/a\x00xxxxxxxxxx", 25));
        pass(100);
        CU_ASSERT_EQUAL(world_received(device, bytes, sizeof(bytes)), 25);
        if (i == 0)
            world_cloud_hang_up(world, false);
        else if (i == 1)
            world_cloud_hang_up(world, true);
        else if (i == 2)
            world_cloud_send_raw(world, "\x15\x03\x03\x00\x02\x02\x50", 7);
        pass(i == 3 ? 14000 : 100);
        CU_ASSERT_FALSE(world_open(device));
        CU_ASSERT_EQUAL(world_received(device, bytes, sizeof(bytes)), 0); /* nothing inside the message */
        innocent_works();
    }
    ends_within(10000);
}

static void garbage_under_tls(void)
{
    for (int i = 0; i < 60; i++) {
        uint8_t bytes[1400];
        size_t n = 1 + random_below(sizeof(bytes));
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)random_below(256);
        struct world_device *device = NULL;
        if (i % 2 == 0) { /* in the middle of a session */
            device = truck(2, 5);
        } else { /* in the middle of the handshake */
            device = world_connect(world, 2);
            for (uint32_t t = 0; t < 5; t++)
                world_turn(world, 100);
            static const uint8_t hello[] = "\x10\x16\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x09truck-002";
            world_send(device, hello, sizeof(hello) - 1);
            for (uint32_t t = random_below(12); t > 0; t--)
                world_turn(world, 10);
        }
        if (i % 3 == 0)
            memcpy(bytes, "\x17\x03\x03", n < 3 ? n : 3);
        if (i % 5 == 0 && n >= 5) /* a record longer than what comes */
            memcpy(bytes, "\x17\x03\x03\x40\x00", 5);
        world_cloud_send_raw(world, bytes, n);
        pass(50);
        if (i % 4 == 3)
            world_cloud_hang_up(world, i % 8 == 3);
        pass(50);
        world_hang_up(device, i % 7 == 0);
        pass(20);
        clients = (uint32_t)world_cloud(world)->connects - 1;
    }
    innocent_works();
    ends_within(30000);
}

static void a_cloud_that_does_not_answer(void)
{
    static const uint8_t hello[] = "\x10\x16\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x09truck-003";
    uint8_t bytes[64];
    world_cloud_behave(world, true, false);
    struct world_device *device = world_connect(world, 3);
    pass(20);
    world_send(device, hello, sizeof(hello) - 1);
    pass(9000);
    CU_ASSERT_TRUE(world_open(device));
    pass(3000);
    CU_ASSERT_FALSE(world_open(device));
    size_t n = world_received(device, bytes, sizeof(bytes));
    CU_ASSERT_TRUE(n == 5 && bytes[0] == 0x20 && bytes[3] >= 0x80);
    world_cloud_behave(world, false, false);
    clients = (uint32_t)world_cloud(world)->connects - 1;
    innocent_works();
    ends_within(10000);
}

/* As many messages as may be in flight are never acknowledged; then the device goes away. */
static void acknowledgements_that_never_come(void)
{
    for (int how = 0; how < 2; how++) {
        uint8_t bytes[1400];
        struct world_device *device = truck(4, 4);
        world_cloud_behave(world, true, false);
        for (uint16_t id = 1; id <= 12; id++) {
            world_send(device, bytes, publish(bytes, "t/004/a", 1, id, 64, false));
            pass(10);
        }
        world_hang_up(device, how == 1);
        ends_within(how == 1 ? 2000 : 130000);
        world_cloud_behave(world, false, false);
        innocent_works();
    }
}

/* ---- devices --------------------------------------------------------------------------------------------
 */

/* A device whose window is closed for minutes while the cloud sends. */
static void a_deaf_device(void)
{
    static uint8_t bytes[1400];
    struct world_device *device = truck(5, 5);
    world_deafen(device, true);
    size_t n = publish(bytes, "t/005/a", 0, 0, 1200, true);
    for (int i = 0; i < 3000; i++) {
        world_cloud_send(world, clients, bytes, n);
        if (i % 8 == 7)
            world_turn(world, 100);
    }
    innocent_works();
    ends_within(90000);
    world_deafen(device, false);
    pass(1000);
    CU_ASSERT_FALSE(world_open(device));
}

static void a_deaf_cloud(void)
{
    static uint8_t bytes[1400];
    struct world_device *device = truck(6, 5);
    pass(20);
    world_cloud_behave(world, true, true);
    size_t n = publish(bytes, "t/006/a", 0, 0, 1200, true);
    for (int i = 0; i < 3000; i++) {
        world_send(device, bytes, n);
        if (i % 8 == 7)
            world_turn(world, 100);
    }
    for (int i = 0; i < 90 && world_open(device); i++)
        pass(1000);
    CU_ASSERT_FALSE(world_open(device));
    world_cloud_behave(world, false, false);
    pass(200);
    innocent_works();
    ends_within(20000);
}

static void ten_thousand_user_properties(void)
{
    static uint8_t bytes[8 + 9 + 4 + 50000];
    struct world_device *device = truck(7, 5);
    size_t n = 0;
    const size_t properties = 10000 * 5, rest = 2 + 7 + 3 + properties;
    bytes[n++] = 0x30;
    bytes[n++] = (uint8_t)(rest % 128 | 128);
    bytes[n++] = (uint8_t)(rest / 128 % 128 | 128);
    bytes[n++] = (uint8_t)(rest / 16384);
    memcpy(bytes + n, "\0\7t/007/a", 9);
    n += 9;
    bytes[n++] = (uint8_t)(properties % 128 | 128);
    bytes[n++] = (uint8_t)(properties / 128 % 128 | 128);
    bytes[n++] = (uint8_t)(properties / 16384);
    for (int i = 0; i < 10000; i++) {
        memcpy(bytes + n, "\x26\0\0\0\0", 5);
        n += 5;
    }
    uint64_t before = world_cloud(world)->publishes;
    for (size_t at = 0; at < n; at += 1400) {
        world_send(device, bytes + at, n - at < 1400 ? n - at : 1400);
        world_turn(world, 100);
    }
    pass(50);
    CU_ASSERT_EQUAL(world_cloud(world)->publishes, before);
    world_hang_up(device, false);
    innocent_works();
    ends_within(10000);
}

/* Half packets in as many sessions as there may be: each holds a buffer until its time is over. */
static void half_packets_from_everybody(void)
{
    static uint8_t bytes[1400];
    struct world_device *devices[40];
    for (uint32_t i = 0; i < 40; i++) {
        devices[i] = truck(10 + i, 5);
        char topic[16];
        snprintf(topic, sizeof(topic), "t/%03u/text", 10 + i); /* must be read whole */
        size_t n = publish(bytes, topic, 1, 1, 1000, true);
        bytes[1] = (uint8_t)(100000 % 128 | 128);
        memmove(bytes + 4, bytes + 3, n - 3);
        bytes[2] = (uint8_t)(100000 / 128 % 128 | 128);
        bytes[3] = (uint8_t)(100000 / 16384);
        world_send(devices[i], bytes, n + 1);
    }
    innocent_works();
    pass(15000);
    for (uint32_t i = 0; i < 40; i++)
        CU_ASSERT_FALSE(world_open(devices[i]));
    innocent_works();
    ends_within(10000);
}

/* Both sides say anything at all, policies change, connections end anyhow. */
static void chance(void)
{
    static uint8_t bytes[1400];
    static const uint8_t heads[] = {0x10, 0x20, 0x30, 0x32, 0x34, 0x3a, 0x3c, 0x40, 0x50, 0x62,
                                    0x70, 0x82, 0x90, 0xa2, 0xb0, 0xc0, 0xd0, 0xe0, 0xf0, 0x00};
    static const char *const topics[] = {"t/100/a", "t/100/text", "t/101/a", "$SYS/a", "t/100/#"};
    for (int round = 0; round < 150; round++) {
        struct world_device *device = truck(100, random_below(2) ? 5 : 4);
        for (uint32_t step = random_below(25); step > 0; step--) {
            size_t n = publish(bytes, topics[random_below(5)], (uint8_t)random_below(3),
                               (uint16_t)(1 + random_below(4)), random_below(600), random_below(2));
            switch (random_below(6)) {
            case 0: /* another kind of packet */
                bytes[0] = heads[random_below(sizeof(heads))];
                bytes[1] = (uint8_t)random_below(12);
                n = 2u + bytes[1];
                break;
            case 1: /* cut */
                n = random_below((uint32_t)n);
                break;
            case 2: /* bent */
                bytes[random_below((uint32_t)n)] ^= (uint8_t)(1 << random_below(8));
                break;
            default:
                break;
            }
            if (random_below(2) == 0)
                world_send(device, bytes, n);
            else if (n > 0)
                world_cloud_send(world, clients, bytes, n);
            if (random_below(40) == 0)
                CU_ASSERT_TRUE_FATAL(world_reload(world, policy));
            if (random_below(20) == 0)
                world_cloud_hang_up(world, random_below(2));
            for (uint32_t turns = random_below(4); turns > 0; turns--)
                world_turn(world, random_below(2000));
        }
        world_hang_up(device, random_below(2));
        pass(20);
    }
    innocent_works();
    ends_within(130000);
}

/* C4: a connection stays on its VLAN; what names it from another is dropped, counted and told. */
static void a_segment_from_another_vlan(void)
{
    static struct worker_stats stats;
    static struct worker_request request = {.kind = WORKER_STATS, .stats = &stats};
    struct worker *worker = world_worker(world);
    const struct event *event;
    bool told = false;
    while (event_ring_peek(worker_events(worker)) != NULL)
        event_ring_pop(worker_events(worker));
    for (int i = 0; i < 3; i++) {
        world_stray(innocent, 30);
        pass(20);
    }
    CU_ASSERT_TRUE(worker_post(worker, &request));
    pass(20);
    CU_ASSERT_TRUE_FATAL(atomic_load(&request.done));
    CU_ASSERT_EQUAL(stats.foreign_vlan, 3);
    while ((event = event_ring_peek(worker_events(worker))) != NULL) {
        told |= event->kind == EVENT_IDENTITY_VIOLATION &&
                strstr(event->detail, "another VLAN, sent by 02:00:00:00:00:99") != NULL &&
                strcmp(event->identity, "truck-000") == 0;
        event_ring_pop(worker_events(worker));
    }
    CU_ASSERT_TRUE(told);
    innocent_works();
}

static void everything_comes_back(void)
{
    CU_ASSERT_EQUAL(world_destroy(world), 0);
}

int main(void)
{
    struct world_settings settings = {.tls = true, .connections = 64, .policy = policy};
    static const struct unit_test tests[] = {
        {"D1, D11: wrong answers from the cloud", wrong_answers_from_the_cloud},
        {"D1: messages from the cloud that stop halfway", messages_from_the_cloud_that_stop_halfway},
        {"B1: garbage under TLS", garbage_under_tls},
        {"A7: a cloud that does not answer", a_cloud_that_does_not_answer},
        {"D8: acknowledgements that never come", acknowledgements_that_never_come},
        {"D2: a deaf device", a_deaf_device},
        {"A7: a deaf cloud", a_deaf_cloud},
        {"D9: ten thousand user properties", ten_thousand_user_properties},
        {"D2: half packets from everybody", half_packets_from_everybody},
        {"D1, G2: chance", chance},
        {"C4: a segment from another VLAN", a_segment_from_another_vlan},
        {"everything comes back", everything_comes_back},
    };
    world = world_create(&settings);
    if (world == NULL)
        return EXIT_FAILURE;
    innocent = world_connect(world, 0);
    if (!world_login(world, innocent, "truck-000", 5))
        return EXIT_FAILURE;
    return unit_run("hostile devices and a hostile cloud", tests, sizeof(tests) / sizeof(tests[0]));
}
