/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reassembly: orders, overlaps, bounds. */
#include "dataplane/net/fragment.h"
#include "dataplane/net/path_mtu.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/runner.h"

#define SECOND 1000000u
#define TOTAL 3008 /* a UDP datagram of 3,000 bytes */

static struct fragment_table *table;
static uint8_t whole_datagram[TOTAL];

static void start(void)
{
    table = fragment_table_create();
    if (table == NULL)
        abort();
    for (size_t i = 0; i < TOTAL; i++)
        whole_datagram[i] = (uint8_t)(i * 31 + i / 256);
}

static void stop(void)
{
    fragment_table_destroy(table);
}

/* A piece of the datagram as a frame: bytes from..end. */
struct piece {
    uint32_t from;
    uint32_t end;
    bool more;
};

static enum frame_outcome give_from(const char *source, const uint8_t *mac, bool v4, uint32_t id,
                                    const uint8_t *data, struct piece piece, uint64_t now_us,
                                    const uint8_t **whole, size_t *whole_len)
{
    struct rig_frame f;
    struct frame frame;
    uint32_t n = piece.end - piece.from;
    frame_ethernet(&f, rig_gateway_mac, mac, 0, v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    if (v4) {
        frame_ip(&f, source, "10.20.0.1", WIRE_PROTOCOL_UDP, n,
                 (uint16_t)(piece.from / 8 | (piece.more ? WIRE_IPV4_MORE_FRAGMENTS : 0)), 64);
    } else {
        struct wire_ipv6_fragment header = {.next_header = piece.from == 0 ? WIRE_PROTOCOL_UDP : 99,
                                            .offset = be16_make(piece.from | (piece.more ? 1 : 0)),
                                            .id = be32_make(id)};
        frame_ip(&f, source, "fd20::1", WIRE_PROTOCOL_FRAGMENT, n + 8, 0, 64);
        frame_bytes(&f, &header, sizeof(header));
    }
    frame_bytes(&f, data, n);
    if (frame_parse(&frame, f.at, f.len) != FRAME_FRAGMENT)
        return FRAME_UNDECIDED;
    if (v4)
        frame.fragment_id = id;
    return fragment_add(table, 0, &frame, now_us, whole, whole_len);
}

static enum frame_outcome give(bool v4, uint32_t id, struct piece piece, uint64_t now_us,
                               const uint8_t **whole, size_t *whole_len)
{
    return give_from(v4 ? "10.20.0.5" : "fd20::5", rig_device_mac, v4, id, whole_datagram + piece.from, piece,
                     now_us, whole, whole_len);
}

static enum frame_outcome give_only(struct piece piece)
{
    const uint8_t *whole;
    size_t len;
    return give(true, 7, piece, SECOND, &whole, &len);
}

static const struct piece pieces[4] = {
    {0, 1000, true}, {1000, 1480, true}, {1480, 2960, true}, {2960, TOTAL, false}};

static bool is_the_datagram(const uint8_t *at, size_t len, bool v4)
{
    struct frame frame;
    if (frame_parse(&frame, at, len) != FRAME_BAD_TRANSPORT_HEADER && !v4)
        return false;
    /* The bytes are no UDP header; what counts is that they are there in order. */
    size_t header = WIRE_ETHERNET_BYTES + (v4 ? WIRE_IPV4_BYTES : WIRE_IPV6_BYTES);
    return len == header + TOTAL && memcmp(at + header, whole_datagram, TOTAL) == 0 &&
           memcmp(at + 6, rig_device_mac, 6) == 0;
}

static void every_order_completes(void)
{
    uint32_t id = 0;
    start();
    for (int v4 = 0; v4 < 2; v4++) {
        for (int order = 0; order < 256; order++) {
            const int p[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};
            if (((1 << p[0]) | (1 << p[1]) | (1 << p[2]) | (1 << p[3])) != 15)
                continue;
            const uint8_t *whole = NULL;
            size_t len = 0;
            id++;
            for (int i = 0; i < 3; i++)
                CU_ASSERT(give(v4, id, pieces[p[i]], SECOND, &whole, &len) == FRAME_FRAGMENT);
            CU_ASSERT_FATAL(give(v4, id, pieces[p[3]], SECOND, &whole, &len) == FRAME_OK);
            CU_ASSERT(is_the_datagram(whole, len, v4));
            fragment_release(table);
            CU_ASSERT(fragment_used(table) == 0);
        }
    }
    CU_ASSERT(id == 48);
    stop();
}

/* RFC 5722, RFC 8200 s.4.5: the whole datagram goes, and what follows of it. */
static void overlaps_are_refused(void)
{
    static const struct piece overlapping[] = {
        {0, 1008, true},          {8, 16, true},     {992, 1000, true},   {1472, 1488, true},
        {0, 1480, true},          {992, 2000, true}, {2960, TOTAL, true}, {1480, TOTAL, false},
        {3000, TOTAL, false},     {8, 16, false},    {2960, 3000, false}, {2968, 3016, false},
        {TOTAL, TOTAL + 8, true},
    };
    for (size_t i = 0; i < RTE_DIM(overlapping); i++) {
        start();
        struct piece bad = overlapping[i];
        static const uint8_t other[TOTAL + 8];
        const uint8_t *whole;
        size_t len;
        CU_ASSERT(give_only(pieces[0]) == FRAME_FRAGMENT);
        CU_ASSERT(give_only(pieces[3]) == FRAME_FRAGMENT);
        CU_ASSERT(give_only(pieces[1]) == FRAME_FRAGMENT);
        CU_ASSERT(give_from("10.20.0.5", rig_device_mac, true, 7, other, bad, SECOND, &whole, &len) ==
                  FRAME_BAD_FRAGMENT);
        CU_ASSERT(give_only(pieces[2]) == FRAME_BAD_FRAGMENT);
        CU_ASSERT(fragment_used(table) == 1);
        CU_ASSERT(fragment_advance(table, 31 * SECOND) == 0 && fragment_used(table) == 0);
        stop();
    }
}

static void repetitions_are_ignored(void)
{
    const uint8_t *whole;
    size_t len;
    start();
    CU_ASSERT(give_only(pieces[0]) == FRAME_FRAGMENT);
    CU_ASSERT(give_only(pieces[0]) == FRAME_FRAGMENT);
    CU_ASSERT(give_only(pieces[3]) == FRAME_FRAGMENT);
    CU_ASSERT(give_only(pieces[3]) == FRAME_FRAGMENT);
    CU_ASSERT(give_only(pieces[1]) == FRAME_FRAGMENT);
    CU_ASSERT(give(true, 7, pieces[2], SECOND, &whole, &len) == FRAME_OK);
    CU_ASSERT(is_the_datagram(whole, len, true));
    stop();
}

/* Fragments of one datagram from two MACs: one of them is a forger. */
static void another_mac_is_refused(void)
{
    const uint8_t *whole;
    size_t len;
    start();
    CU_ASSERT(give_only(pieces[0]) == FRAME_FRAGMENT);
    CU_ASSERT(give_from("10.20.0.5", rig_other_mac, true, 7, whole_datagram + 1000, pieces[1], SECOND, &whole,
                        &len) == FRAME_BAD_FRAGMENT);
    CU_ASSERT(give_only(pieces[1]) == FRAME_BAD_FRAGMENT);
    stop();
}

static void size_is_limited(void)
{
    static const uint8_t zeros[1480];
    const uint8_t *whole;
    size_t len;
    start();
    struct piece far_piece = {FRAGMENT_BYTES - 8, FRAGMENT_BYTES + 8, true};
    CU_ASSERT(give_from("10.20.0.5", rig_device_mac, true, 7, zeros, far_piece, SECOND, &whole, &len) ==
              FRAME_TOO_LARGE);
    CU_ASSERT(fragment_used(table) == 0);
    far_piece = (struct piece){FRAGMENT_BYTES - 8, FRAGMENT_BYTES, false};
    CU_ASSERT(give_from("10.20.0.5", rig_device_mac, true, 7, zeros, far_piece, SECOND, &whole, &len) ==
              FRAME_FRAGMENT);
    stop();
}

static void one_source_has_its_share(void)
{
    const uint8_t *whole;
    size_t len;
    start();
    CU_ASSERT(give_from("10.20.0.9", rig_device_mac, true, 1, whole_datagram, pieces[0], 1, &whole, &len) ==
              FRAME_FRAGMENT);
    for (uint32_t id = 0; id < 1000; id++)
        CU_ASSERT(give(true, id, pieces[0], 2 + id, &whole, &len) == FRAME_FRAGMENT);
    CU_ASSERT(fragment_used(table) == 1 + FRAGMENT_PER_SOURCE);
    /* The newest ones are there, and the other's. */
    struct piece rest = {1000, 1100, false};
    CU_ASSERT(give(true, 999, rest, 2000, &whole, &len) == FRAME_OK);
    fragment_release(table);
    CU_ASSERT(give(true, 1, rest, 2000, &whole, &len) == FRAME_FRAGMENT);
    CU_ASSERT(give_from("10.20.0.9", rig_device_mac, true, 1, whole_datagram + 1000, rest, 2000, &whole,
                        &len) == FRAME_OK);
    stop();
}

static void a_full_table_drops_the_oldest(void)
{
    const uint8_t *whole;
    size_t len;
    char source[32];
    start();
    for (uint32_t i = 0; i < FRAGMENT_DATAGRAMS + 1; i++) {
        snprintf(source, sizeof(source), "10.20.1.%u", i);
        CU_ASSERT(give_from(source, rig_device_mac, true, i, whole_datagram, pieces[0], 1 + i, &whole,
                            &len) == FRAME_FRAGMENT);
    }
    CU_ASSERT(fragment_used(table) == FRAGMENT_DATAGRAMS);
    struct piece rest = {1000, 1100, false};
    CU_ASSERT(give_from("10.20.1.1", rig_device_mac, true, 1, whole_datagram + 1000, rest, 99, &whole,
                        &len) == FRAME_OK);
    CU_ASSERT(give_from("10.20.1.0", rig_device_mac, true, 0, whole_datagram + 1000, rest, 99, &whole,
                        &len) == FRAME_FRAGMENT);
    stop();
}

/* RFC 8200 s.4.5: time is counted from the first fragment that came. */
static void waiting_ends(void)
{
    const uint8_t *whole;
    size_t len;
    start();
    CU_ASSERT(give(true, 7, pieces[0], SECOND, &whole, &len) == FRAME_FRAGMENT);
    CU_ASSERT(give(true, 7, pieces[1], 20 * SECOND, &whole, &len) == FRAME_FRAGMENT);
    CU_ASSERT(fragment_advance(table, 30 * SECOND) == 0);
    CU_ASSERT(fragment_advance(table, 31 * SECOND) == 1 && fragment_used(table) == 0);
    stop();
}

static void path_mtus_are_kept_for_a_while(void)
{
    static struct path_mtu cache;
    struct ip_address a = rig_ip("192.0.2.1");
    struct ip_address b = rig_ip("192.0.2.2");
    CU_ASSERT(path_mtu_get(&cache, &a, 1500, 0) == 1500);
    path_mtu_set(&cache, &a, 1400, SECOND);
    CU_ASSERT(path_mtu_get(&cache, &a, 1500, 2 * SECOND) == 1400);
    CU_ASSERT(path_mtu_get(&cache, &a, 1280, 2 * SECOND) == 1280);
    CU_ASSERT(path_mtu_get(&cache, &b, 1500, 2 * SECOND) == 1500);
    CU_ASSERT(path_mtu_get(&cache, &a, 1500, 602ull * SECOND) == 1500);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 791, RFC 8200 4.5: every order completes", every_order_completes},
        {"RFC 5722: overlaps refuse the datagram", overlaps_are_refused},
        {"RFC 8200 4.5: exact repetitions are ignored", repetitions_are_ignored},
        {"fragments from two MACs", another_mac_is_refused},
        {"size is limited", size_is_limited},
        {"a source has its share", one_source_has_its_share},
        {"a full table drops the oldest", a_full_table_drops_the_oldest},
        {"waiting ends", waiting_ends},
        {"RFC 8201: path MTUs are kept for a while", path_mtus_are_kept_for_a_while},
    };
    return unit_run("net/fragment", tests, RTE_DIM(tests));
}
