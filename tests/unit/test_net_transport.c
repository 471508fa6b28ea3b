/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hinge between IP stack and TCP, with a notebook in TCP's place. */
#include "dataplane/net/transport.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/runner.h"

static struct rig rig;

static struct {
    uint32_t hashed;
    uint32_t prefetched;
    uint32_t input_n;
    uint32_t hashed_at_first_input;
    struct tcp_segment_in input[PORT_BURST * 3];
    struct flow_key unreachable_key;
    uint32_t unreachable_seq;
    uint16_t unreachable_mtu;
    uint64_t bad_headers;
} seen;

uint32_t tcp_hash(const struct tcp_endpoint *tcp, const struct flow_key *key)
{
    (void)tcp;
    seen.hashed++;
    return key->remote_port;
}

void tcp_prefetch(const struct tcp_endpoint *tcp, uint32_t hash)
{
    (void)tcp;
    (void)hash;
    seen.prefetched++;
}

void tcp_prefetch_key(const struct tcp_endpoint *tcp, uint32_t hash)
{
    (void)tcp;
    (void)hash;
}

void tcp_prefetch_connection(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t hash)
{
    (void)tcp;
    (void)key;
    (void)hash;
}

void tcp_input(struct tcp_endpoint *tcp, const struct tcp_segment_in *segment, uint64_t now_us)
{
    (void)tcp;
    (void)now_us;
    if (seen.input_n == 0)
        seen.hashed_at_first_input = seen.hashed;
    seen.input[seen.input_n++] = *segment;
}

void tcp_unreachable(struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t seq, uint16_t next_mtu,
                     uint64_t now_us)
{
    (void)tcp;
    (void)now_us;
    seen.unreachable_key = *key;
    seen.unreachable_seq = seq;
    seen.unreachable_mtu = next_mtu;
}

static void hand_to_tcp(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us)
{
    (void)owner;
    transport_tcp_input(NULL, packets, n, now_us, &seen.bad_headers);
}

static void start(void)
{
    memset(&seen, 0, sizeof(seen));
    CU_ASSERT_FATAL(rig_stack_start(&rig, 64));
    rig.handler.tcp = hand_to_tcp;
}

static void stop(void)
{
    CU_ASSERT(rig_stack_stop(&rig));
}

static struct rig_frame segment_of(uint8_t flags, size_t options, const void *payload, size_t n)
{
    struct rig_frame f;
    uint8_t body[128] = {0};
    for (size_t i = 0; i < options; i++)
        body[i] = (uint8_t)(i + 1);
    if (n > 0)
        memcpy(body + options, payload, n);
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
    frame_tcp(&f, "10.20.0.5", 40000, "10.20.0.1", 1883, flags, body, options + n);
    f.at[18 + 20 + 12] = (uint8_t)((20 + options) / 4 << 4);
    frame_checksum(&f, "10.20.0.5", "10.20.0.1", WIRE_PROTOCOL_TCP, 20 + options + n, 16);
    return f;
}

static void headers_become_segments(void)
{
    static const struct {
        size_t options;
        size_t payload;
    } cases[] = {{0, 0}, {0, 5}, {12, 5}, {40, 0}, {40, 50}};
    start();
    for (uint32_t i = 0; i < RTE_DIM(cases); i++) {
        static const char payload[64] = "payload";
        struct rig_frame f = segment_of(TCP_ACK | TCP_PSH, cases[i].options, payload, cases[i].payload);
        CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
        CU_ASSERT_FATAL(seen.input_n == i + 1);
        const struct tcp_segment_in *s = &seen.input[i];
        CU_ASSERT(rig_is(&s->key.local, "10.20.0.1") && rig_is(&s->key.remote, "10.20.0.5"));
        CU_ASSERT(s->key.local_port == 1883 && s->key.remote_port == 40000 && s->key.interface == 0);
        CU_ASSERT(s->key.protocol == 6 && s->hash == 40000);
        CU_ASSERT(s->seq == 1000 && s->ack == 2000 && s->window == 4096);
        CU_ASSERT(s->flags == (TCP_ACK | TCP_PSH));
        CU_ASSERT(s->options_len == cases[i].options && s->payload_len == cases[i].payload);
        CU_ASSERT(s->payload == s->options + s->options_len && s->path != IP_STACK_PATH_NONE);
    }
    stop();
}

/* The table's cache misses of a burst overlap: all are looked up before the first is processed. */
static void bursts_are_looked_up_ahead(void)
{
    struct rig_frame frames[PORT_BURST];
    start();
    for (uint32_t i = 0; i < PORT_BURST; i++)
        frames[i] = segment_of(TCP_ACK, 0, "x", 1);
    rig_write_burst(&rig, 0, frames, PORT_BURST);
    CU_ASSERT(seen.input_n == PORT_BURST && seen.prefetched == PORT_BURST);
    CU_ASSERT(seen.hashed_at_first_input == PORT_BURST);
    stop();
}

static void senseless_headers_are_counted(void)
{
    static const struct {
        uint8_t flags;
        bool good;
    } cases[] = {{0, false},
                 {TCP_PSH | TCP_URG, false},
                 {TCP_SYN | TCP_FIN, false},
                 {TCP_SYN | TCP_RST, false},
                 {TCP_SYN | TCP_FIN | TCP_ACK, false},
                 {0xff, false},
                 {TCP_SYN, true},
                 {TCP_SYN | TCP_ACK, true},
                 {TCP_SYN | TCP_ECE | TCP_CWR, true},
                 {TCP_RST, true},
                 {TCP_FIN, true},
                 {TCP_FIN | TCP_PSH | TCP_URG, true}};
    start();
    uint64_t bad = 0;
    uint32_t good = 0;
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        struct rig_frame f = segment_of(cases[i].flags, 0, NULL, 0);
        rig_write(&rig, 0, &f);
        bad += !cases[i].good;
        good += cases[i].good;
        CU_ASSERT(seen.bad_headers == bad && seen.input_n == good);
    }
    struct rig_frame f;
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
    frame_tcp(&f, "10.20.0.5", 0, "10.20.0.1", 1883, TCP_SYN, NULL, 0);
    rig_write(&rig, 0, &f);
    CU_ASSERT(seen.bad_headers == bad + 1);
    stop();
}

static void segments_become_frames(void)
{
    struct flow_key key = {.local = rig_ip("10.20.0.1"),
                           .remote = rig_ip("10.20.0.5"),
                           .local_port = 1883,
                           .remote_port = 40000,
                           .protocol = 6};
    struct tcp_segment_out segment = {.key = &key,
                                      .seq = 0x01020304,
                                      .ack = 0x05060708,
                                      .window = 0x1234,
                                      .flags = TCP_ACK | TCP_PSH,
                                      .options_len = 12,
                                      .options = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}};
    struct rig_frame out;
    struct frame frame;
    start();
    struct rig_frame in = segment_of(TCP_ACK, 0, NULL, 0);
    rig_write(&rig, 0, &in); /* makes the neighbour known */
    uint32_t good_path = seen.input[0].path;
    for (uint32_t pieces = 0; pieces <= 3; pieces++) {
        static const uint8_t *const texts[3] = {(const uint8_t *)"one", (const uint8_t *)"two",
                                                (const uint8_t *)"!"};
        static const uint32_t lengths[3] = {3, 3, 1};
        uint32_t note = IP_STACK_PATH_NONE;
        segment.path = pieces % 2 == 0 ? &note : NULL;
        segment.reply_path = good_path;
        segment.pieces_n = (uint8_t)pieces;
        segment.payload_len = 0;
        for (uint32_t i = 0; i < pieces; i++) {
            segment.pieces[i] = (struct tcp_piece){texts[i], lengths[i]};
            segment.payload_len += lengths[i];
        }
        transport_tcp_emit(rig.stack, &segment, rig.now_us);
        CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
        const struct wire_tcp *tcp = (const void *)frame.transport;
        CU_ASSERT(be16_get(tcp->source_port) == 1883 && be16_get(tcp->destination_port) == 40000);
        CU_ASSERT(be32_get(tcp->seq) == 0x01020304 && be32_get(tcp->ack) == 0x05060708);
        CU_ASSERT(tcp->offset == 0x80 && tcp->flags == (TCP_ACK | TCP_PSH) &&
                  be16_get(tcp->window) == 0x1234);
        CU_ASSERT(be16_get(tcp->urgent) == 0 && memcmp(frame.transport + 20, segment.options, 12) == 0);
        CU_ASSERT(frame.transport_len == 32 + segment.payload_len);
        CU_ASSERT(memcmp(frame.transport + 32, "onetwo!", segment.payload_len) == 0);
        if (segment.path != NULL)
            CU_ASSERT(note == good_path); /* the note was filled in */
        segment.path = NULL;
    }
    stop();
}

static void mss_is_of_the_path(void)
{
    struct flow_key v4 = {.remote = rig_ip("10.20.0.5")};
    struct flow_key v6 = {.remote = rig_ip("fd20::5")};
    start();
    uint32_t path = ip_stack_path(rig.stack, &v4.remote);
    CU_ASSERT(transport_tcp_mss(rig.stack, &v4, path) == 1460);
    CU_ASSERT(transport_tcp_mss(rig.stack, &v6, path) == 1440);
    stop();
}

static void errors_carry_the_sequence(void)
{
    struct flow_key key = {.local_port = 1, .remote_port = 2, .protocol = 6};
    static const uint8_t quoted[8] = {0, 1, 0, 2, 0xde, 0xad, 0xbe, 0xef};
    memset(&seen, 0, sizeof(seen));
    transport_tcp_unreachable(NULL, &key, quoted, 7, 1400, 0);
    CU_ASSERT(seen.unreachable_mtu == 0);
    transport_tcp_unreachable(NULL, &key, quoted, 8, 1400, 0);
    CU_ASSERT(seen.unreachable_seq == 0xdeadbeef && seen.unreachable_mtu == 1400);
    CU_ASSERT(seen.unreachable_key.remote_port == 2);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 9293 3.1: headers become segments", headers_become_segments},
        {"bursts are looked up ahead", bursts_are_looked_up_ahead},
        {"senseless headers are counted", senseless_headers_are_counted},
        {"segments become frames", segments_become_frames},
        {"RFC 9293 3.7.1: MSS is of the path", mss_is_of_the_path},
        {"RFC 5927 4.1: errors carry the sequence number", errors_carry_the_sequence},
    };
    return rig_run(&rig, "net/transport", tests, RTE_DIM(tests));
}
