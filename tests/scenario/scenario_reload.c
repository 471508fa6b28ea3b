/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reloads and thousands of live sessions, through the real worker with a clock that we turn (G2, G3). */
#include "tests/scenario/world.h"
#include "tests/unit/runner.h"

#define SESSIONS 2000
#define SWEEP_BUDGET 64 /* as gateway/worker.c has it */

static struct world *world;
static struct world_device *devices[SESSIONS];

/* A fleet of which those whose number matches `who` are known; `more` are rules. */
static const char *policy(const char *who, const char *more)
{
    static char text[1024];
    snprintf(
        text, sizeof(text),
        "roles = ( { name = \"d\"; match = { client_id = \"d-{n:%s}\"; }; max_qos = 1; inflight = 1000;\n"
        "  limits = { sessions = 10; };\n"
        "  rules = ( { id = \"own\"; allow = \"publish\"; topic = \"d/${n}/t\"; } %s ); } );\n",
        who, more);
    return text;
}

#define EVERYBODY "[0-9][0-9][0-9][0-9]"
#define EVEN "[0-9][0-9][0-9][02468]"
#define DOOR ", { id = \"door\"; allow = \"publish\"; topic = \"d/${n}/door\"; }"

static size_t publish(uint8_t *to, const char *topic, uint16_t id)
{
    size_t length = strlen(topic), n = 0;
    to[n++] = 0x32;
    to[n++] = (uint8_t)(2 + length + 2 + 1 + 5);
    to[n++] = 0;
    to[n++] = (uint8_t)length;
    memcpy(to + n, topic, length);
    n += length;
    to[n++] = (uint8_t)(id >> 8);
    to[n++] = (uint8_t)id;
    to[n++] = 0; /* no properties */
    memcpy(to + n, "hello", 5);
    return n + 5;
}

/* The reason code of the next PUBACK, or -1. */
static int ack_code(struct world_device *device, uint16_t id)
{
    uint8_t bytes[64];
    size_t n = world_received(device, bytes, sizeof(bytes));
    if (n < 4 || bytes[0] != 0x40 || bytes[2] != (uint8_t)(id >> 8) || bytes[3] != (uint8_t)id)
        return -1;
    return bytes[1] == 2 ? 0 : bytes[4];
}

static int publishes(uint32_t i, const char *what)
{
    char topic[32];
    uint8_t bytes[128];
    static uint16_t id;
    snprintf(topic, sizeof(topic), "d/%04u/%s", i, what);
    world_send(devices[i], bytes, publish(bytes, topic, ++id));
    world_settle(world, 100);
    return ack_code(devices[i], id);
}

static struct worker_stats stats(void)
{
    static struct worker_stats answer;
    struct worker_request request = {.kind = WORKER_STATS, .stats = &answer};
    CU_ASSERT_TRUE_FATAL(worker_post(world_worker(world), &request));
    world_turn(world, 1);
    CU_ASSERT_TRUE_FATAL(request.done);
    return answer;
}

static void turns(uint32_t n, uint64_t step_us)
{
    while (n-- > 0)
        world_turn(world, step_us);
}

static void everybody_connects(void)
{
    uint8_t connect[64] = "\x10\0\0\4MQTT\5\2\0\0\0";
    uint8_t drain[64];
    for (uint32_t i = 0; i < SESSIONS; i++) {
        devices[i] = world_connect(world, i);
        if (i % 64 == 63 || i < WORLD_SOURCES) /* neighbours are found first */
            turns(20, i < WORLD_SOURCES ? 10000 : 50);
    }
    turns(100, 1000);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        char name[8];
        int n = snprintf(name, sizeof(name), "d-%04u", i);
        connect[1] = (uint8_t)(13 + n);
        connect[14] = (uint8_t)n;
        memcpy(connect + 15, name, (size_t)n);
        world_send(devices[i], connect, (size_t)(15 + n));
        turns(1, 5);
        if (i % 64 == 63)
            turns(4, 50);
    }
    for (uint32_t i = 0; i < 4000 && world_cloud(world)->connects < SESSIONS; i++)
        turns(1, 200);
    turns(200, 1000);
    CU_ASSERT_EQUAL_FATAL(world_cloud(world)->connects, SESSIONS);
    for (uint32_t i = 0; i < SESSIONS; i++)
        CU_ASSERT_TRUE_FATAL(world_received(devices[i], drain, sizeof(drain)) >= 4 && drain[3] == 0);
}

/* Messages flow while policies change under them: nothing is lost, doubled or closed (G2). */
static void traffic_through_reloads(void)
{
    uint8_t bytes[128], drain[4096];
    uint64_t before = world_cloud(world)->publishes;
    uint32_t sent = 0, acked = 0;
    for (uint32_t turn = 0; turn < 200; turn++) {
        for (uint32_t k = 0; k < 20; k++, sent++) {
            char topic[32];
            uint32_t i = sent % SESSIONS;
            snprintf(topic, sizeof(topic), "d/%04u/t", i);
            world_send(devices[i], bytes, publish(bytes, topic, (uint16_t)(1 + sent / SESSIONS)));
        }
        if (turn % 4 == 3)
            CU_ASSERT_TRUE_FATAL(world_reload(world, policy(EVERYBODY, turn % 8 == 3 ? DOOR : "")));
        world_turn(world, 50);
    }
    world_settle(world, 1000);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        size_t n = world_received(devices[i], drain, sizeof(drain));
        CU_ASSERT_EQUAL(n % 4, 0);
        for (size_t at = 0; at + 4 <= n; at += 4)
            acked += drain[at] == 0x40 && drain[at + 1] == 2;
        CU_ASSERT_TRUE_FATAL(world_open(devices[i]));
    }
    CU_ASSERT_EQUAL(acked, sent);
    CU_ASSERT_EQUAL(world_cloud(world)->publishes - before, sent);
}

/* A PUBLISH cut at every byte, a reload in the cut: judged by what is in force when its head is whole, that
 * is all before the payload, which streams (G3). */
static void in_the_middle_of_a_packet(void)
{
    uint8_t bytes[128];
    size_t n = publish(bytes, "d/0007/door", 1), head = n - strlen("hello");
    CU_ASSERT_TRUE_FATAL(world_reload(world, policy(EVERYBODY, DOOR)));
    for (size_t cut = 1; cut < n; cut++) {
        for (int allowed = 0; allowed < 2; allowed++) {
            uint16_t id = (uint16_t)(cut * 2 + (size_t)allowed);
            publish(bytes, "d/0007/door", id);
            world_send(devices[7], bytes, cut);
            world_settle(world, 20);
            CU_ASSERT_TRUE_FATAL(world_reload(world, policy(EVERYBODY, allowed ? DOOR : "")));
            world_send(devices[7], bytes + cut, n - cut);
            world_settle(world, 100);
            bool by_new = cut < head;
            CU_ASSERT_EQUAL(ack_code(devices[7], id), (allowed != 0) == by_new ? 0 : 0x87);
        }
    }
}

/* A refused one in between leaves everything as it was, however it is broken (G2). */
static void a_refused_reload(void)
{
    static const char *const broken[] = {
        "",
        "roles = ( { name = ",
        "roles = ( );",
        "roles = ( { name = \"d\"; match = { any = true; }; rules = ( { id = \"all\"; allow = \"publish\"; "
        "topic = "
        "\"#\"; } ); } ); tests = ( { as = \"x\"; publish = \"y\"; expect = \"deny\"; } );",
    };
    struct worker_stats before = stats();
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        CU_ASSERT_FALSE(world_reload(world, broken[i]));
        CU_ASSERT_EQUAL(publishes(9, "t"), 0);
        CU_ASSERT_EQUAL(publishes(9, "door"), 0); /* as the last good one says */
        CU_ASSERT_EQUAL(publishes(9, "window"), 0x87);
    }
    struct worker_stats after = stats();
    CU_ASSERT_EQUAL(after.generation, before.generation);
    CU_ASSERT_EQUAL(after.sessions, SESSIONS);
}

/* What is freed may come again at the same address before a worker has looked: it is another one all the
 * same, and every session is judged by it (G3). */
static void at_the_same_address(void)
{
    struct worker_stats before = stats();
    CU_ASSERT_TRUE_FATAL(world_reload_in_place(world, policy(EVERYBODY, "")));
    turns(SESSIONS / SWEEP_BUDGET + 2, 10);
    struct worker_stats after = stats();
    CU_ASSERT_EQUAL(after.generation, before.generation + 1);
    CU_ASSERT_EQUAL(after.relays.count[RELAY_SESSIONS_KEPT] - before.relays.count[RELAY_SESSIONS_KEPT],
                    SESSIONS);
    CU_ASSERT_EQUAL(publishes(9, "t"), 0);
    CU_ASSERT_EQUAL(publishes(9, "door"), 0x87);
}

/* A worker that is late has one question before it and no room for another: the second is turned away with
 * nothing touched, and the first is answered by what is in force when the worker comes to it. */
static void a_late_worker(void)
{
    struct worker_stats first, second, untouched;
    memset(&untouched, 0xA5, sizeof(untouched));
    second = untouched;
    struct worker_request one = {.kind = WORKER_STATS, .stats = &first};
    struct worker_request two = {.kind = WORKER_STATS, .stats = &second};
    struct worker *worker = world_worker(world);
    CU_ASSERT_TRUE(worker_listens(worker));
    CU_ASSERT_TRUE_FATAL(worker_post(worker, &one));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_FALSE(worker_listens(worker));
        CU_ASSERT_FALSE(worker_post(worker, &two));
    }
    CU_ASSERT_FALSE(one.done);
    CU_ASSERT_FALSE(two.done);
    CU_ASSERT_EQUAL(memcmp(&second, &untouched, sizeof(second)), 0);
    CU_ASSERT_TRUE_FATAL(world_reload(world, policy(EVERYBODY, DOOR)));
    turns(50, 1000);
    CU_ASSERT_TRUE(one.done && worker_listens(worker));
    CU_ASSERT_FALSE(two.done); /* it was never taken */
    CU_ASSERT_TRUE_FATAL(worker_post(worker, &two));
    turns(1, 1000);
    CU_ASSERT_TRUE(two.done);
    CU_ASSERT_NOT_EQUAL(memcmp(&second, &untouched, sizeof(second)), 0);
}

/* Half of the fleet is shut out: all of it hears so within a sweep of bounded steps, without having sent
 * anything; the other half notices nothing (G3). */
static void one_sweep(void)
{
    struct worker_stats before = stats();
    CU_ASSERT_TRUE_FATAL(world_reload(world, policy(EVEN, "")));
    uint32_t turns = 1; /* the one that took it up */
    while (stats().sweeping && turns < SESSIONS)
        turns++;
    CU_ASSERT_TRUE(turns <= SESSIONS / SWEEP_BUDGET + 2);
    struct worker_stats after = stats();
    const uint64_t *was = before.relays.count, *is = after.relays.count;
    CU_ASSERT_EQUAL(is[RELAY_SESSIONS_RIGHTS_LOST] - was[RELAY_SESSIONS_RIGHTS_LOST], SESSIONS / 2);
    CU_ASSERT_EQUAL(is[RELAY_SESSIONS_KEPT] - was[RELAY_SESSIONS_KEPT], SESSIONS / 2);
    world_settle(world, 2000);
    uint8_t bytes[64];
    for (uint32_t i = 0; i < SESSIONS; i++) {
        CU_ASSERT_EQUAL_FATAL(world_open(devices[i]), i % 2 == 0);
        size_t n = world_received(devices[i], bytes, sizeof(bytes));
        if (i % 2 == 0)
            CU_ASSERT_EQUAL(n, 0);
        if (i % 2 == 1)
            CU_ASSERT(n == 3 && bytes[0] == 0xe0 && bytes[2] == 0x98);
    }
    CU_ASSERT_EQUAL(publishes(0, "t"), 0);
    CU_ASSERT_EQUAL(publishes(SESSIONS - 2, "t"), 0);
}

/* What a policy would do is told before it does it, and nothing changes by that. */
static void foresight(void)
{
    struct worker_request request = {.kind = WORKER_FORESEE};
    struct worker_stats before = stats();
    request.next = world_generation(world);
    do {
        CU_ASSERT_TRUE_FATAL(worker_post(world_worker(world), &request));
        world_turn(world, 1);
        CU_ASSERT_TRUE_FATAL(request.done);
    } while (request.more);
    CU_ASSERT_EQUAL(request.foresight.sessions, SESSIONS / 2);
    CU_ASSERT_EQUAL(request.foresight.closed, 0);
    CU_ASSERT_EQUAL(request.foresight.other_role, 0);
    CU_ASSERT_EQUAL(stats().sessions, before.sessions);
}

static void everything_comes_back(void)
{
    CU_ASSERT_EQUAL(world_destroy(world), 0);
}

int main(void)
{
    struct world_settings settings = {.connections = SESSIONS, .policy = policy(EVERYBODY, "")};
    static const struct unit_test tests[] = {
        {"2,000 devices connect", everybody_connects},
        {"G2: traffic through 50 reloads", traffic_through_reloads},
        {"G3: in the middle of a packet", in_the_middle_of_a_packet},
        {"G2: a refused reload", a_refused_reload},
        {"G3: another generation at the same address", at_the_same_address},
        {"a worker that is late (H1)", a_late_worker},
        {"G3: 2,000 sessions in one sweep", one_sweep},
        {"foresight", foresight},
        {"everything comes back", everything_comes_back},
    };
    world = world_create(&settings);
    if (world == NULL)
        return EXIT_FAILURE;
    return unit_run("reload with live sessions", tests, sizeof(tests) / sizeof(tests[0]));
}
