/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to an upstream are opened so many at a time; the rest wait, and nobody is blamed (A7, B6). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

#define SECOND UINT64_C(1000000)
#define STORM 1000
#define BOUND 64
#define BACKLOG 100 /* of the played server: what is beyond that is lost */

static struct relay_lab lab;
static bool opened[LAB_STREAMS];

static void begin(uint32_t dials)
{
    struct policy_role_spec role = truck_role();
    lab_open_for(&lab, &role, 1, NULL, NULL, STORM);
    lab.config->upstreams[0].dials = dials;
    lab.out_bytes = 4096;
    memset(opened, 0, sizeof(opened));
}

static struct lab_stream *come(uint32_t number)
{
    char id[16];
    snprintf(id, sizeof(id), "truck-%03u", number);
    struct mqtt_packet p = lab_connect(MQTT_5, id);
    struct lab_stream *device = lab_accept(&lab, (uint8_t)number);
    lab_send(device, &p);
    lab_flush(&lab);
    return device;
}

static uint64_t counted(enum relay_counter counter)
{
    return mqtt_relays_counters(lab.relays)->count[counter];
}

static uint8_t code_at(struct lab_stream *device)
{
    struct mqtt_packet p;
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_CONNACK);
    return p.reason_code;
}

/* ---- the storm ---------------------------------------------------------------------------------------- */

/* Connections that the server has not got to. */
static uint32_t pending(const struct stream_handler *devices)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < LAB_STREAMS; i++) {
        const struct lab_stream *s = &lab.streams[i];
        n += s->used && !s->gone && s->base.handler != devices && !opened[i];
    }
    return n;
}

static uint32_t open_some(const struct stream_handler *devices, uint32_t most)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < LAB_STREAMS && n < most; i++) {
        struct lab_stream *s = &lab.streams[i];
        if (!s->used || s->gone || s->base.handler == devices || opened[i])
            continue;
        struct mqtt_packet ack = lab_connack(MQTT_5, 0);
        opened[i] = true;
        n++;
        lab_upstream_opens(s);
        lab_send(s, &ack);
    }
    return n;
}

/* 20 a tick of 100 ms: the last waits for 5 s, as long as connect_timeout. */
static void a_storm_fails_nobody(void)
{
    static struct lab_stream *devices[STORM];
    begin(BOUND);
    for (uint32_t i = 0; i < STORM; i++) {
        devices[i] = come(i);
        CU_ASSERT_FATAL(pending(devices[0]->base.handler) <= BOUND);
    }
    const struct stream_handler *handler = devices[0]->base.handler;
    CU_ASSERT_EQUAL(pending(handler), BOUND);
    CU_ASSERT_EQUAL(mqtt_relays_dials_waiting(lab.relays), STORM - BOUND);
    uint32_t done = 0, ticks = 0;
    while (done < STORM && ticks++ < 100) {
        done += open_some(handler, 20);
        lab_wait(&lab, SECOND / 10);
        CU_ASSERT(pending(handler) <= BACKLOG && pending(handler) <= BOUND);
        CU_ASSERT_EQUAL(pending(handler), STORM - done < BOUND ? STORM - done : BOUND);
    }
    CU_ASSERT_EQUAL(done, STORM);
    for (uint32_t i = 0; i < STORM; i++)
        CU_ASSERT_EQUAL(code_at(devices[i]), 0);
    CU_ASSERT_EQUAL(lab.dials, STORM);
    CU_ASSERT_TRUE(lab.dial_good);
    CU_ASSERT_EQUAL(lab.dial_results, STORM);
    CU_ASSERT_EQUAL(counted(RELAY_DIALS_WAITED), STORM - BOUND);
    CU_ASSERT_EQUAL(counted(RELAY_DIALS_GIVEN_UP), 0);
    CU_ASSERT_EQUAL(mqtt_relays_dials_waiting(lab.relays), 0);
    lab_close(&lab);
}

static void without_a_bound_nobody_waits(void)
{
    begin(0);
    for (uint32_t i = 0; i < 300; i++)
        (void)come(i);
    CU_ASSERT_EQUAL(lab.dials, 300);
    CU_ASSERT_EQUAL(counted(RELAY_DIALS_WAITED), 0);
    lab_close(&lab);
}

/* ---- the line ----------------------------------------------------------------------------------------- */

static void who_came_first_is_first_and_who_leaves_is_not_dialled(void)
{
    begin(1);
    struct lab_stream *devices[5];
    for (uint32_t i = 0; i < 5; i++)
        devices[i] = come(i);
    lab_peer_closes(devices[1], STREAM_END_RESET);
    lab_peer_ends(devices[2]);
    CU_ASSERT_EQUAL(mqtt_relays_dials_waiting(lab.relays), 2);
    CU_ASSERT_STRING_EQUAL(lab.identity, "truck-000");
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_STRING_EQUAL(lab.identity, "truck-003");
    lab_peer_closes(devices[3], STREAM_END_RESET); /* while it is dialled */
    CU_ASSERT_STRING_EQUAL(lab.identity, "truck-004");
    CU_ASSERT_EQUAL(lab.dials, 3);
    lab_upstream_opens(lab.dialled);
    (void)come(5);
    CU_ASSERT_EQUAL(lab.dials, 4);
    lab_close(&lab);
}

static void a_wait_is_ours(void)
{
    begin(1);
    (void)come(0);
    struct lab_stream *device = come(1);
    for (int i = 0; i < 5; i++) { /* the first server's slowness is its own, as long as that is excused */
        lab.dialled->own_us += 4 * SECOND;
        lab_wait(&lab, 4 * SECOND);
    }
    CU_ASSERT_EQUAL(lab.dials, 1);
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_EQUAL(lab.dials, 2);
    lab_wait(&lab, 4900000); /* all of connect_timeout is left */
    CU_ASSERT_FALSE(device->finished);
    CU_ASSERT_TRUE(lab.dial_good);
    lab_upstream_opens(lab.dialled);
    struct mqtt_packet ack = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &ack);
    CU_ASSERT_EQUAL(code_at(device), 0);
    lab_close(&lab);
}

static void a_wait_has_an_end(void)
{
    begin(1);
    (void)come(0);
    struct lab_stream *device = come(1);
    lab.dialled->own_us = 100 * SECOND;
    lab_wait(&lab, 29900000);
    CU_ASSERT_FALSE(device->finished);
    lab_wait(&lab, SECOND / 5);
    CU_ASSERT_TRUE(device->finished);
    CU_ASSERT_EQUAL(code_at(device), outcome_mqtt5_code(OUTCOME_NO_RESOURCES));
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_EQUAL(lab.dial_results, 0);
    CU_ASSERT_EQUAL(counted(RELAY_DIALS_GIVEN_UP), 1);
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_NO_RESOURCES);
    CU_ASSERT_STRING_EQUAL(event->detail, "its turn to be connected to the upstream did not come in time");
    lab_close(&lab);
}

/* One that goes on to the next server keeps its turn; its end, whatever it is, is the next one's turn. */
static void a_failure_is_the_next_turn(void)
{
    begin(1);
    lab.servers = 2;
    struct lab_stream *first = come(0);
    (void)come(1);
    lab_peer_closes(lab.dialled, STREAM_END_REFUSED);
    CU_ASSERT_EQUAL(lab.dials, 2);
    CU_ASSERT_STRING_EQUAL(lab.identity, "truck-000");
    lab_wait(&lab, 5100000); /* silent: connect_timeout is the server's */
    CU_ASSERT_TRUE(first->finished);
    lab_flush(&lab);
    CU_ASSERT_EQUAL(lab.dials, 3);
    CU_ASSERT_STRING_EQUAL(lab.identity, "truck-001");
    lab_close(&lab);
}

static void a_dial_that_cannot_be_begun_is_told(void)
{
    begin(1);
    (void)come(0);
    struct lab_stream *second = come(1), *third = come(2);
    lab.dial_fails = OUTCOME_NO_RESOURCES;
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_EQUAL(code_at(second), outcome_mqtt5_code(OUTCOME_UPSTREAM_REFUSED));
    CU_ASSERT_EQUAL(code_at(third), outcome_mqtt5_code(OUTCOME_UPSTREAM_REFUSED));
    CU_ASSERT_EQUAL(mqtt_relays_dials_waiting(lab.relays), 0);
    lab_close(&lab);
}

/* ---- reload ------------------------------------------------------------------------------------------- */

static void reload(void)
{
    struct policy_role_spec role = truck_role();
    lab_policy(&lab, &role, 1);
    lab_flush(&lab);
}

static void a_reload_keeps_the_line_and_takes_its_bound(void)
{
    begin(1);
    struct lab_stream *devices[4];
    for (uint32_t i = 0; i < 4; i++)
        devices[i] = come(i);
    reload();
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_EQUAL(mqtt_relays_dials_waiting(lab.relays), 3);
    lab.config->upstreams[0].dials = 3;
    reload();
    CU_ASSERT_EQUAL(lab.dials, 3);
    CU_ASSERT_STRING_EQUAL(lab.identity, "truck-002");
    lab_peer_closes(lab.dialled, STREAM_END_REFUSED); /* of the generation that it waits in: counts */
    CU_ASSERT_EQUAL(lab.dial_results, 1);
    CU_ASSERT_EQUAL(lab.dials, 4);
    CU_ASSERT_FALSE(devices[3]->finished);
    lab_close(&lab);
}

static void a_reload_without_the_upstream_ends_the_wait(void)
{
    static const char *const other = "other";
    for (int form = 0; form < 2; form++) { /* another name; another shape of CONNECT */
        begin(1);
        struct lab_stream *first = come(0), *second = come(1);
        if (form == 0)
            lab.config->upstreams[0].name = other;
        else
            lab.config->upstreams[0].user_name = other;
        reload();
        CU_ASSERT_FALSE(first->finished);
        CU_ASSERT_TRUE(second->finished);
        CU_ASSERT_EQUAL(code_at(second), outcome_mqtt5_code(OUTCOME_UPSTREAM_REFUSED));
        CU_ASSERT_EQUAL(mqtt_relays_dials_waiting(lab.relays), 0);
        CU_ASSERT_EQUAL(lab.dial_results, 0);
        (void)come(2); /* its line is new, or shared with what is left of the old one */
        CU_ASSERT_EQUAL(lab.dials, form == 0 ? 2 : 1);
        lab_close(&lab);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B6: a storm fails nobody", a_storm_fails_nobody},
        {"B6: without a bound nobody waits", without_a_bound_nobody_waits},
        {"B6: first come, first dialled", who_came_first_is_first_and_who_leaves_is_not_dialled},
        {"B6: a wait is ours", a_wait_is_ours},
        {"B6: a wait has an end", a_wait_has_an_end},
        {"A7: a failure is the next turn", a_failure_is_the_next_turn},
        {"A7: a dial that cannot be begun", a_dial_that_cannot_be_begun_is_told},
        {"G3: a reload keeps the line", a_reload_keeps_the_line_and_takes_its_bound},
        {"G3: a reload without the upstream", a_reload_without_the_upstream_ends_the_wait},
    };
    return unit_run("turns of relays at an upstream", tests, sizeof(tests) / sizeof(tests[0]));
}
