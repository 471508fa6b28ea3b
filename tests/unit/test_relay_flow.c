/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes and time in a relay: streaming, back pressure, every split, every timer (D1, D2, D10; traps 1.4). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define MINE "trucks/017/location"
#define SECOND UINT64_C(1000000)

static void open_lab(void)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    lab_open(&lab, roles, 2);
}

/* The head of a PUBLISH that announces `payload_bytes`. */
static size_t head_of(uint8_t *to, size_t room, enum mqtt_version version, const char *topic,
                      uint32_t payload_bytes)
{
    struct mqtt_packet p = lab_publish(version, topic, 0, 0);
    p.publish.payload_bytes = payload_bytes;
    return mqtt_build(to, room, &p, version);
}

static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 7 + (i >> 8) * 13);
}

static void feed_pattern(struct lab_stream *s, uint32_t from, uint32_t n)
{
    uint8_t bytes[4096];
    while (n != 0) {
        uint32_t part = n < sizeof(bytes) ? n : (uint32_t)sizeof(bytes);
        for (uint32_t i = 0; i < part; i++)
            bytes[i] = pattern(from + i);
        lab_feed(s, bytes, part);
        lab_flush(s->lab);
        from += part;
        n -= part;
    }
}

/* ---- streaming ---------------------------------------------------------------------------------------- */

/* 200 KiB through an upstream that takes a few bytes at a time: byte for byte, in no memory of ours to speak
 * of. */
static void payloads_stream(void)
{
    static const size_t rooms[] = {1, 3, 17, 100, 1460, 5000, 100000};
    for (size_t r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++) {
        uint32_t total = rooms[r] < 100 ? 3000 : 200 * 1024;
        uint8_t head[64];
        open_lab();
        struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
        size_t head_len = head_of(head, sizeof(head), MQTT_3_1_1, MINE, total);
        size_t begin = s.upstream->out_n;
        uint64_t idle_bytes = mqtt_relays_buffers_used(lab.relays);
        lab_drain(s.upstream, rooms[r]);
        lab_feed(s.device, head, head_len);
        feed_pattern(s.device, 0, total);
        uint64_t most = 0;
        while (s.device->in_n != 0 || s.upstream->out_n - begin != head_len + total) {
            uint64_t used = mqtt_relays_buffers_used(lab.relays) - idle_bytes;
            most = used > most ? used : most;
            size_t before = s.upstream->out_n;
            lab_drain(s.upstream, rooms[r]);
            lab_flush(&lab);
            CU_ASSERT_TRUE_FATAL(s.upstream->out_n > before);
        }
        CU_ASSERT_TRUE(most <= 256);
        CU_ASSERT_TRUE(memcmp(s.upstream->out + begin, head, head_len) == 0);
        bool same = true;
        for (uint32_t i = 0; i < total; i++)
            same &= s.upstream->out[begin + head_len + i] == pattern(i);
        CU_ASSERT_TRUE(same);
        lab_drain(s.upstream, 1000);
        struct mqtt_packet p = lab_plain(MQTT_3_1_1, MQTT_PINGREQ);
        lab_send(s.device, &p);
        s.upstream->out_read = begin + head_len + total;
        CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PINGREQ);
        lab_close(&lab);
    }
}

/* Nothing of ours goes into the middle of a message that is passing. */
static void answers_wait_behind_a_message(void)
{
    uint8_t head[64];
    struct mqtt_packet p;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    size_t n = head_of(head, sizeof(head), MQTT_3_1_1, "news/a", 1000);
    lab_feed(s.device, head, n);
    feed_pattern(s.device, 0, 400);
    p = lab_publish(MQTT_3_1_1, "locks/1/unlock", 1, 5); /* a delivery to refuse: we owe a PUBACK */
    lab_send(s.upstream, &p);
    p = lab_publish(MQTT_3_1_1, "locks/1/unlock", 2, 6);
    lab_send(s.upstream, &p);
    CU_ASSERT_FALSE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    feed_pattern(s.device, 400, 600);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PUBLISH);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PUBACK &&
                   p.packet_id == 5);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PUBREC &&
                   p.packet_id == 6);
    /* The other way: the device publishes what is refused while a delivery passes to it. */
    n = head_of(head, sizeof(head), MQTT_3_1_1, "news/a", 1000);
    lab_feed(s.upstream, head, n);
    feed_pattern(s.upstream, 0, 999);
    p = lab_publish(MQTT_3_1_1, "locks/1/unlock", 1, 9);
    lab_send(s.device, &p);
    CU_ASSERT_FALSE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p));
    feed_pattern(s.upstream, 999, 1);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.type == MQTT_PUBLISH);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.type == MQTT_PUBACK &&
                   p.packet_id == 9);
    lab_close(&lab);
}

/* A message that breaks off must not be taken for a whole one, nor end with DISCONNECT. */
static void broken_messages(void)
{
    for (int way = 0; way < 3; way++) {
        uint8_t head[64];
        open_lab();
        struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
        size_t n = head_of(head, sizeof(head), MQTT_5, "news/a", 1000);
        struct lab_stream *from = way == 2 ? s.upstream : s.device;
        struct lab_stream *to = way == 2 ? s.device : s.upstream;
        lab_feed(from, head, n);
        feed_pattern(from, 0, 500);
        size_t before = to->out_n;
        if (way == 0)
            lab_peer_closes(from, STREAM_END_RESET);
        else
            lab_peer_ends(from);
        CU_ASSERT_EQUAL(to->out_n, before);
        CU_ASSERT_TRUE(way == 2 ? to->finished : to->aborted);
        lab_close(&lab);
    }
}

static void refused_payloads_are_thrown_away(void)
{
    uint8_t head[64];
    struct mqtt_packet p;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    size_t n = head_of(head, sizeof(head), MQTT_3_1_1, "trucks/018/location", 50000);
    lab_feed(s.device, head, n);
    feed_pattern(s.device, 0, 50000);
    CU_ASSERT_EQUAL(s.device->in_n, 0);
    CU_ASSERT_EQUAL(s.upstream->out_read, s.upstream->out_n);
    p = lab_plain(MQTT_3_1_1, MQTT_PINGREQ);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PINGREQ);
    lab_close(&lab);
}

/* A device that takes nothing: deliveries stay in the upstream's window, and then it is cut off. */
static void devices_that_do_not_read(void)
{
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "news/a", 0, 0);
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    lab_drain(s.device, 10);
    for (int i = 0; i < 100; i++)
        lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(s.upstream->in_n > 1000);
    CU_ASSERT_TRUE(mqtt_relays_buffers_used(lab.relays) < 1024);
    lab_drain(s.device, 100000);
    lab_flush(&lab);
    CU_ASSERT_EQUAL(s.upstream->in_n, 0);
    int n = 0;
    while (lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p))
        n++;
    CU_ASSERT_EQUAL(n, 100);
    s.device->room = 0;
    p = lab_publish(MQTT_3_1_1, "news/a", 0, 0);
    lab_send(s.upstream, &p);
    for (int i = 0; i < 29; i++) { /* it does send */
        p = lab_plain(MQTT_3_1_1, MQTT_PINGREQ);
        lab_send(s.device, &p);
        lab_wait(&lab, SECOND);
    }
    CU_ASSERT_FALSE(s.device->aborted);
    lab_wait(&lab, 8 * SECOND);
    CU_ASSERT_TRUE(s.device->aborted && s.upstream->finished);
    const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_WRITE_STALL);
    lab_close(&lab);
}

/* ---- every split -------------------------------------------------------------------------------------- */

/* A device's side of a talk: everything from CONNECT on that needs no answer to go on. */
static size_t write_talk(uint8_t *to, size_t room, enum mqtt_version version)
{
    static const char *const filters[] = {"#", "trucks/017/cmd/+", NULL};
    struct mqtt_packet p[8];
    size_t n = 0;
    p[0] = lab_connect(version, "truck-017");
    p[1] = lab_publish(version, MINE, 0, 0);
    p[2] = lab_publish(version, "trucks/018/location", 1, 1);
    p[3] = lab_publish(version, MINE, 1, 2);
    p[4] = lab_subscribe(version, MQTT_SUBSCRIBE, 3, 1, filters);
    p[5] = lab_publish(version, "trucks/017/json", 1, 4);
    p[5].publish.payload = bytes_of_text("{\"x\":1}");
    p[6] = lab_plain(version, MQTT_PINGREQ);
    p[7] = lab_plain(version, MQTT_DISCONNECT);
    for (int i = 0; i < 8; i++) {
        n += mqtt_build(to + n, room - n, &p[i], version);
        if (p[i].type == MQTT_PUBLISH) {
            memcpy(to + n, p[i].publish.payload.at, p[i].publish.payload.len);
            n += p[i].publish.payload.len;
        }
    }
    return n;
}

struct transcript {
    uint8_t up[1024], down[1024];
    size_t up_n, down_n;
};

/* Feeds the talk in pieces of `piece` bytes with one more cut at `cut`. */
static void play(struct transcript *t, enum mqtt_version version, size_t piece, size_t cut)
{
    uint8_t talk[1024];
    size_t n = write_talk(talk, sizeof(talk), version), at = 0;
    open_lab();
    struct lab_stream *device = lab_accept(&lab, 17);
    while (at < n) {
        size_t next = at + piece < n ? at + piece : n;
        if (at < cut && cut < next)
            next = cut;
        lab_feed(device, talk + at, next - at);
        lab_flush(&lab);
        at = next;
        if (lab.dials == 1 && lab.dial_results == 0) {
            struct mqtt_packet p = lab_connack(version, 0);
            lab_upstream_opens(lab.dialled);
            lab_send(lab.dialled, &p);
        }
    }
    lab_flush(&lab);
    CU_ASSERT_TRUE(device->finished);
    t->up_n = lab.dialled->out_n;
    t->down_n = device->out_n;
    CU_ASSERT_TRUE_FATAL(t->up_n <= sizeof(t->up) && t->down_n <= sizeof(t->down));
    memcpy(t->up, lab.dialled->out, t->up_n);
    memcpy(t->down, device->out, t->down_n);
    lab_close(&lab);
}

static bool same(const struct transcript *a, const struct transcript *b)
{
    return a->up_n == b->up_n && a->down_n == b->down_n && memcmp(a->up, b->up, a->up_n) == 0 &&
           memcmp(a->down, b->down, a->down_n) == 0;
}

static void every_split_gives_the_same(void)
{
    for (int version = MQTT_3_1; version <= MQTT_5; version++) {
        static struct transcript whole, split;
        uint8_t talk[1024];
        size_t n = write_talk(talk, sizeof(talk), (enum mqtt_version)version);
        play(&whole, (enum mqtt_version)version, n, 0);
        CU_ASSERT_TRUE(whole.up_n > 100);
        for (size_t cut = 1; cut < n; cut++) {
            play(&split, (enum mqtt_version)version, n, cut);
            CU_ASSERT_TRUE(same(&whole, &split));
        }
        for (size_t piece = 1; piece < 12; piece++) {
            play(&split, (enum mqtt_version)version, piece, 0);
            CU_ASSERT_TRUE(same(&whole, &split));
        }
    }
}

/* ---- time (D2) ---------------------------------------------------------------------------------------- */

static void no_connect_in_time(void)
{
    static const uint8_t begun[] = {0x10, 20, 0, 4, 'M'};
    open_lab();
    struct lab_stream *silent = lab_accept(&lab, 17);
    struct lab_stream *slow = lab_accept(&lab, 18);
    for (size_t i = 0; i < sizeof(begun); i++) { /* bytes that trickle in hold nothing open */
        lab_wait(&lab, SECOND);
        lab_feed(slow, begun + i, 1);
    }
    lab_wait(&lab, 1000);
    CU_ASSERT_TRUE(silent->finished && slow->finished);
    CU_ASSERT_EQUAL(slow->out_n, 0);
    const struct event *event = lab_event_of(&lab, EVENT_PROTOCOL_ERROR);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_CONNECT_TIMEOUT);
    lab_close(&lab);
}

static void upstreams_that_take_too_long(void)
{
    for (int way = 0; way < 2; way++) {
        struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
        open_lab();
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        if (way == 1)
            lab_upstream_opens(lab.dialled);
        lab_wait(&lab, 4 * SECOND);
        CU_ASSERT_FALSE(device->finished);
        lab_wait(&lab, 7 * SECOND);
        CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p) && p.reason_code == 0x88);
        CU_ASSERT_TRUE(device->finished);
        CU_ASSERT_TRUE(lab.dialled->aborted || lab.dialled->finished);
        CU_ASSERT_EQUAL(lab.dial_good, way == 1);
        lab_close(&lab);
    }
}

/* 1.5 times the keep-alive, by whole packets [MQTT-3.1.2-22]. */
static void keep_alive_is_enforced(void)
{
    struct mqtt_packet p;
    static const uint8_t begun[] = {0x30, 100, 0, 19};
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017"); /* 60 s */
    lab_wait(&lab, 80 * SECOND);
    p = lab_plain(MQTT_5, MQTT_PINGREQ);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_PINGREQ);
    p = lab_plain(MQTT_5, MQTT_PINGRESP);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_PINGRESP);
    lab_wait(&lab, 85 * SECOND);
    CU_ASSERT_FALSE(s.device->finished);
    lab_feed(s.device, begun, sizeof(begun)); /* a piece of a packet is no sign of life */
    lab_wait(&lab, 6 * SECOND);
    CU_ASSERT_TRUE(s.device->finished || s.device->aborted);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.reason_code == 0x8D);
    CU_ASSERT_TRUE(s.upstream->finished);
    CU_ASSERT_EQUAL(s.upstream->out_read, s.upstream->out_n); /* no DISCONNECT: the Will is due */
    CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_UNGRACEFUL_END));
    lab_close(&lab);
}

/* A 3.x device that asks for no keep-alive: the upstream hears a PINGREQ of ours, the device none of the
 * answers; and it is cut off when it has been silent for longer than the role allows. */
static void silent_devices(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "truck-017");
    role.limits.keepalive_max_s = 100;
    lab_open(&lab, &role, 1);
    p.connect.keep_alive_s = 0;
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_TRUE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p));
    CU_ASSERT_EQUAL(p.connect.keep_alive_s, 100);
    p = lab_connack(MQTT_3_1_1, 0);
    lab_send(lab.dialled, &p);
    device->out_read = device->out_n;
    lab_wait(&lab, 91 * SECOND);
    CU_ASSERT_TRUE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PINGREQ);
    p = lab_plain(MQTT_3_1_1, MQTT_PINGRESP);
    lab_send(lab.dialled, &p);
    CU_ASSERT_EQUAL(device->out_read, device->out_n);
    lab_wait(&lab, 60 * SECOND);
    CU_ASSERT_TRUE(device->finished || device->aborted);
    const struct event *event = lab_event_of(&lab, EVENT_UNGRACEFUL_END);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_IDLE_TIMEOUT);
    lab_close(&lab);
}

static void keep_alives_outside_the_range(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "truck-017");
    role.limits.keepalive_min_s = 30;
    lab_open(&lab, &role, 1);
    p.connect.keep_alive_s = 5;
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p); /* 3.x cannot be told */
    CU_ASSERT_EQUAL(lab.dials, 0);
    CU_ASSERT_TRUE(device->finished);
    p = lab_connect(MQTT_5, "truck-017");
    p.connect.keep_alive_s = 5;
    device = lab_accept(&lab, 17);
    lab_send(device, &p);
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_TRUE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p));
    CU_ASSERT_EQUAL(p.connect.keep_alive_s, 30); /* the upstream waits for what the device is told */
    p = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.properties.server_keep_alive_s, 30);
    lab_close(&lab);
}

static void packets_that_drip(void)
{
    uint8_t head[64];
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    size_t n = head_of(head, sizeof(head), MQTT_5, MINE, 200000);
    lab_feed(s.device, head, n);
    for (uint32_t i = 0; i < 20; i++) { /* 2 kB/s is slow, but it goes on */
        feed_pattern(s.device, i * 2000, 2000);
        lab_wait(&lab, SECOND);
    }
    CU_ASSERT_FALSE(s.device->finished || s.device->aborted);
    for (uint32_t i = 0; i < 11; i++) {
        feed_pattern(s.device, 40000 + i, 1);
        lab_wait(&lab, SECOND);
    }
    CU_ASSERT_TRUE(s.device->finished);
    CU_ASSERT_TRUE(s.upstream->aborted); /* in the middle of a message */
    const struct event *event = lab_event_of(&lab, EVENT_PROTOCOL_ERROR);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_PACKET_TIMEOUT);
    lab_close(&lab);
}

/* A long message that had to wait in the middle has its time again afterwards. */
static void messages_that_had_to_wait(void)
{
    uint8_t head[64];
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    size_t n = head_of(head, sizeof(head), MQTT_3_1_1, MINE, 100000);
    lab_feed(s.device, head, n);
    lab_drain(s.upstream, 100);
    feed_pattern(s.device, 0, 1000);
    lab_wait(&lab, 25 * SECOND);
    lab_drain(s.upstream, 1000000);
    lab_wait(&lab, 5 * SECOND);
    feed_pattern(s.device, 1000, 1000);
    lab_wait(&lab, 5 * SECOND);
    CU_ASSERT_FALSE(s.device->finished || s.upstream->aborted);
    feed_pattern(s.device, 2000, 98000);
    struct mqtt_packet p;
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PUBLISH);
    lab_close(&lab);
}

/* What the upstream does not take is not the device's fault: no timer of its own runs out meanwhile. */
static void back_pressure_stops_the_clock(void)
{
    struct mqtt_packet p;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    for (uint16_t id = 1; id <= 4; id++) { /* the fourth waits for an acknowledgement */
        p = lab_publish(MQTT_3_1_1, MINE, 1, id);
        lab_send(s.device, &p);
    }
    lab_wait(&lab, 200 * SECOND);
    CU_ASSERT_FALSE(s.device->finished);
    p = lab_ack(MQTT_3_1_1, MQTT_PUBACK, 1, 0);
    lab_send(s.upstream, &p);
    CU_ASSERT_EQUAL(s.device->in_n, 0);
    lab_close(&lab);
}

/* Half packets that must be read whole take buffers until there are few: then they end, and who comes new is
 * served. */
static void half_packets_leave_room(void)
{
    static uint8_t bytes[140000];
    static const uint8_t head[] = {0x30, 0xD1, 0x9A, 0x0C, 0, 15}; /* 200,017 bytes */
    struct policy_role_spec role = truck_role();
    uint32_t open = 0;
    lab_open(&lab, &role, 1);
    for (uint8_t i = 1; i <= 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "truck-%03u", i);
        struct lab_session s = lab_session(&lab, MQTT_3_1_1, name);
        memcpy(bytes, head, sizeof(head));
        snprintf((char *)bytes + sizeof(head), 16, "trucks/%03u/json", i);
        lab_feed(s.device, bytes, sizeof(bytes));
        lab_flush(&lab);
        open += !s.device->finished;
    }
    CU_ASSERT_TRUE(open > 8 && open < 16);
    CU_ASSERT_TRUE(mqtt_relays_buffers_used(lab.relays) > 3 << 20);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-100");
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "trucks/100/location", 0, 0);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    lab_close(&lab);
}

/* The broker is held to framing as firmly as a device. */
static void garbage_from_the_upstream(void)
{
    static const struct {
        const char *name;
        uint8_t bytes[8];
        uint8_t len;
    } cases[] = {
        {"CONNECT", {0x10, 0}, 2},
        {"QoS 3", {0x36, 5, 0, 1, 'a', 0, 1}, 7},
        {"SUBSCRIBE", {0x82, 2, 0, 1}, 4},
        {"five-byte length", {0x30, 0x80, 0x80, 0x80, 0x80, 0}, 6},
        {"SUBACK without codes (CVE-2024-10525)", {0x90, 3, 0, 1, 0}, 5},
        {"packet id 0", {0x32, 6, 0, 1, 'a', 0, 0, 0}, 8},
        {"second CONNACK", {0x20, 3, 0, 0, 0}, 5},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_packet p;
        open_lab();
        struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
        lab_feed(s.upstream, cases[i].bytes, cases[i].len);
        lab_flush(&lab);
        CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_DISCONNECT);
        CU_ASSERT_EQUAL(s.device->out_read, s.device->out_n);
        CU_ASSERT_TRUE(s.device->finished && s.upstream->finished);
        lab_close(&lab);
    }
}

static const struct unit_test tests[] = {
    {"payloads stream (D1)", payloads_stream},
    {"answers wait behind a message", answers_wait_behind_a_message},
    {"broken messages (D10)", broken_messages},
    {"refused payloads are thrown away", refused_payloads_are_thrown_away},
    {"devices that do not read", devices_that_do_not_read},
    {"every split gives the same (D1)", every_split_gives_the_same},
    {"no CONNECT in time (D2)", no_connect_in_time},
    {"upstreams that take too long", upstreams_that_take_too_long},
    {"keep-alive is enforced (D2)", keep_alive_is_enforced},
    {"silent devices (D2)", silent_devices},
    {"keep-alives outside the range (D9)", keep_alives_outside_the_range},
    {"half packets leave room for others (D9)", half_packets_leave_room},
    {"packets that drip (D2)", packets_that_drip},
    {"messages that had to wait", messages_that_had_to_wait},
    {"back pressure stops the clock", back_pressure_stops_the_clock},
    {"garbage from the upstream (D1, D11)", garbage_from_the_upstream},
};

int main(void)
{
    return unit_run("relay_flow", tests, sizeof(tests) / sizeof(tests[0]));
}
