/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes in blocks, from a prefix, and to a group (E3, E5, E6). */
#include "tests/unit/coap_rig.h"

static const struct rates per_second[] = {
    {.of = {[RATE_REQUESTS] = {{.amount = 5, .period_us = S, .burst = 5}}}}};

static bool no_event(enum outcome outcome)
{
    const struct event *event;
    bool none = true;
    while ((event = event_ring_peek(rig.events)) != NULL) {
        none &= event->outcome != outcome;
        event_ring_pop(rig.events);
    }
    return none;
}

/* ---- prefixes (E3) ---- */

static void test_prefix_rate(void)
{
    open_rig();
    rig.config.listeners[0].prefix =
        (struct config_prefix){.rates = per_second[0], .v4_bits = 24, .v6_bits = 64};
    for (uint32_t i = 0; i < 8; i++) {
        struct request q = get;
        q.mid = (uint16_t)(100 + i);
        device_asks(20 + i, &q); /* devices of one /24, none of which is known: 4.03 each */
    }
    CU_ASSERT_EQUAL(rig.sent_n, 8);
    uint32_t forbidden = 0, later = 0;
    for (uint32_t i = 0; i < 8; i++) {
        forbidden += sent(i).code == COAP_FORBIDDEN;
        later += sent(i).code == COAP_UNAVAILABLE;
    }
    CU_ASSERT_TRUE(forbidden == 5 && later == 3);
    struct coap_message last = sent(0);
    CU_ASSERT_EQUAL(coap_uint(coap_option_find(&last, COAP_MAX_AGE)->value), 1);
    device_asks(0x1000, &get); /* another /24 */
    CU_ASSERT_EQUAL(sent(0).code, COAP_FORBIDDEN);
    rig.config.listeners[0].prefix.rates.over = POLICY_DROP; /* silence, by policy */
    uint32_t before = rig.sent_n;
    device_asks(40, &get);
    CU_ASSERT_TRUE(rig.sent_n == before);
    wait_us(2 * S);
    device_asks(40, &get);
    CU_ASSERT_TRUE(rig.sent_n == before + 1);
    close_rig();
}

static void test_prefix_exchanges(void)
{
    open_rig();
    rig.config.listeners[0].prefix = (struct config_prefix){.exchanges = 2, .v4_bits = 24, .v6_bits = 64};
    struct request q = get;
    device_asks(0, &q);
    struct coap_message up = sent(0);
    uint8_t copy[64];
    memcpy(copy, rig.sent[0].bytes, rig.sent[0].n);
    coap_parse(&up, bytes_of(copy, rig.sent[0].n));
    q.mid = 2;
    device_asks(0, &q); /* waits for its turn */
    q.mid = 3;
    device_asks(0, &q);
    CU_ASSERT_TRUE(rig.sent_n == 2 && sent(0).code == COAP_UNAVAILABLE);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 1);
    q.mid = 4;
    device_asks(0, &q);
    CU_ASSERT_NOT_EQUAL(sent(0).code, COAP_UNAVAILABLE);
    wait_us(400 * S);
    CU_ASSERT_EQUAL(coap_relays_exchanges(rig.relays), 0);
    q.mid = 9;
    device_asks(0, &q); /* and all is counted back */
    q.mid = 10;
    device_asks(0, &q);
    CU_ASSERT_NOT_EQUAL(sent(0).code, COAP_UNAVAILABLE);
    close_rig();
}

/* ---- block-wise (RFC 7959) ---- */

static void put_block(uint16_t mid, uint32_t number, bool more, const char *tag)
{
    uint8_t bytes[256];
    static const uint8_t block[16] = "sixteen bytes...";
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_PUT, mid, (const uint8_t *)"\x5A", 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("probe-1"));
    coap_build_uint(&w, COAP_BLOCK1, number << 4 | (more ? 8U : 0U));
    if (tag != NULL)
        coap_build_option(&w, COAP_REQUEST_TAG, bytes_of_text(tag));
    coap_build_payload(&w, bytes_of(block, sizeof(block)));
    device_sends(0, 1, bytes, coap_build_end(&w));
}

static void server_continues(uint8_t code)
{
    struct coap_message up = sent(0);
    uint8_t copy[256];
    const struct sent *s = &rig.sent[rig.sent_n - 1];
    memcpy(copy, s->bytes, s->n);
    coap_parse(&up, bytes_of(copy, s->n));
    server_answers(&up, COAP_ACK, up.mid, code, -1, 0);
}

static void test_upload(void)
{
    open_rig();
    put_block(1, 1, true, NULL); /* s.2.9.2: nobody began it */
    CU_ASSERT_TRUE(rig.sent_n == 1 && sent(0).code == COAP_INCOMPLETE);
    put_block(2, 0, true, NULL);
    server_continues(COAP_CONTINUE);
    put_block(3, 1, true, "a"); /* RFC 9175 s.3: of another body */
    CU_ASSERT_EQUAL(sent(0).code, COAP_INCOMPLETE);
    put_block(4, 1, true, NULL);
    server_continues(COAP_CONTINUE);
    put_block(5, 2, false, NULL);
    server_continues(COAP_CHANGED);
    CU_ASSERT_EQUAL(sent(0).code, COAP_CHANGED);
    static const char *const tags[] = {"a", "b", "c", "d", "e"};
    for (uint16_t i = 0; i < 5; i++) {
        put_block((uint16_t)(10 + i), 0, true, tags[i]);
        if (i < 4)
            server_continues(COAP_CONTINUE);
    }
    CU_ASSERT_EQUAL(sent(0).code, COAP_UNAVAILABLE); /* the fifth at once */
    put_block(20, 1, true, "a");
    server_continues(COAP_TOO_LARGE); /* the server does not want it: that makes room */
    put_block(21, 0, true, "e");
    server_continues(COAP_CONTINUE);
    CU_ASSERT_EQUAL(sent(0).code, COAP_CONTINUE);
    close_rig();
}

static void get_block(uint16_t mid, uint32_t number, const char *query)
{
    uint8_t bytes[256];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, mid, (const uint8_t *)"\x5A", 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("probe-1"));
    coap_build_option(&w, COAP_URI_QUERY, bytes_of_text(query));
    coap_build_uint(&w, COAP_BLOCK2, number << 4);
    device_sends(0, 1, bytes, coap_build_end(&w));
}

static void server_sends_block(uint32_t number, bool more)
{
    struct coap_message up;
    uint8_t copy[256], bytes[256];
    const struct sent *s = &rig.sent[rig.sent_n - 1];
    struct coap_writer w;
    memcpy(copy, s->bytes, s->n);
    coap_parse(&up, bytes_of(copy, s->n));
    coap_build_start(&w, bytes, sizeof(bytes), COAP_ACK, COAP_CONTENT, up.mid, up.token, up.token_len);
    coap_build_uint(&w, COAP_MAX_AGE, 30);
    coap_build_uint(&w, COAP_BLOCK2, number << 4 | (more ? 8U : 0U));
    coap_build_payload(&w, bytes_of("0123456789abcdef", 16));
    coap_relays_from_upstream(rig.relays, &s->key, bytes_of(bytes, coap_build_end(&w)));
}

/* Downloads: four at once; the last block ends one, wherever it comes from; none goes beyond `packet`. */
static void test_download(void)
{
    static const char *const queries[] = {"a", "b", "c", "d", "e"};
    open_rig();
    rig.config.upstreams[0].cache_bytes = 1 << 16;
    for (uint16_t i = 0; i < 4; i++) {
        get_block((uint16_t)(1 + i), 1, queries[i]);
        server_sends_block(1, true);
        CU_ASSERT_EQUAL(sent(0).code, COAP_CONTENT);
    }
    get_block(10, 1, queries[4]);
    CU_ASSERT_EQUAL(sent(0).code, COAP_UNAVAILABLE);
    get_block(11, 2, queries[0]);
    server_sends_block(2, false);
    get_block(12, 1, queries[4]);
    server_sends_block(1, true);
    CU_ASSERT_EQUAL(sent(0).code, COAP_CONTENT);
    uint32_t before = rig.sent_n;
    get_block(13, 1, queries[1]); /* from the cache: nothing of it is under way */
    CU_ASSERT_TRUE(rig.sent_n == before + 1 && counted(COAP_COUNT_CACHE_HITS) == 1);
    get_block(14, 7, "f");
    server_sends_block(7, true);
    CU_ASSERT_EQUAL(sent(0).code, COAP_CONTENT);
    get_block(15, (256 << 10) / 16, "a");
    CU_ASSERT_EQUAL(sent(0).code, COAP_FORBIDDEN);
    close_rig();
}

/* ---- groups (E6) ---- */

static void ask_group(uint32_t who, enum coap_type type, uint8_t code, uint16_t mid, struct ip_address group,
                      const char *id)
{
    uint8_t bytes[128];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), type, code, mid, (const uint8_t *)"\x5A", 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text(id));
    struct coap_arrival arrival = {.key = {.local = group,
                                           .remote = ip_address_v4(DEVICE_IP + who),
                                           .local_port = 5683,
                                           .remote_port = 40000,
                                           .interface = 1,
                                           .protocol = 17},
                                   .has_mac = true,
                                   .group = true,
                                   .mac = {2, 0, 0, 0, 0, (uint8_t)(who + 1)},
                                   .payload = bytes_of(bytes, coap_build_end(&w))};
    coap_relays_from_device(rig.relays, &arrival);
}

#define ALL_NODES ip_address_v4(0xE00001BB)

static void test_group_refused(void)
{
    open_rig();
    ask_group(0, COAP_NON, COAP_GET, 1, ALL_NODES, "probe-1");
    CU_ASSERT_TRUE(rig.sent_n == 0 && !no_event(OUTCOME_MULTICAST));
    close_rig();
}

struct silent {
    const char *name;
    enum coap_type type;
    uint8_t code;
    uint32_t group;
    const char *id;
};

/* Never anything but a good answer: no RST, no error, no challenge, whatever is wrong with it. */
static void test_group_silent(void)
{
    static const struct silent all[] = {
        {"s.8.1: confirmable", COAP_CON, COAP_GET, 0xE00001BB, "probe-1"},
        {"a ping", COAP_CON, COAP_EMPTY, 0xE00001BB, "probe-1"},
        {"a change", COAP_NON, COAP_PUT, 0xE00001BB, "probe-1"},
        {"a method that is not known", COAP_NON, 0x08, 0xE00001BB, "probe-1"},
        {"another group", COAP_NON, COAP_GET, 0xE0000001, "probe-1"},
        {"broadcast", COAP_NON, COAP_GET, 0xFFFFFFFF, "probe-1"},
        {"E2: what is not allowed", COAP_NON, COAP_GET, 0xE00001BB, "probe-2"},
        {"a response", COAP_NON, COAP_CONTENT, 0xE00001BB, "probe-1"}};
    open_rig();
    rig.config.listeners[0].multicast = true;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        ask_group(0, all[i].type, all[i].code, (uint16_t)(1 + i), ip_address_v4(all[i].group), all[i].id);
        wait_us(6 * S);
        if (rig.sent_n != 0)
            printf("\n%s\n", all[i].name);
        CU_ASSERT_EQUAL_FATAL(rig.sent_n, 0);
    }
    ask_group(1, COAP_NON, COAP_GET, 50, ALL_NODES, "probe-1"); /* a device that is somebody else */
    CU_ASSERT_EQUAL(rig.sent_n, 0);
    close_rig();
}

static void test_group_answered(void)
{
    open_rig();
    rig.config.listeners[0].multicast = true;
    ask_group(0, COAP_NON, COAP_GET, 1, ALL_NODES, "probe-1");
    struct coap_message up = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 1 && up.type == COAP_NON);
    uint8_t copy[64];
    memcpy(copy, rig.sent[0].bytes, rig.sent[0].n);
    coap_parse(&up, bytes_of(copy, rig.sent[0].n));
    server_answers(&up, COAP_NON, 900, COAP_CONTENT, -1, 20);
    CU_ASSERT_EQUAL(rig.sent_n, 1); /* s.8.2: at leisure */
    wait_us(5 * S + 10000);
    struct coap_message down = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 2 && down.type == COAP_NON && down.code == COAP_CONTENT &&
                   down.token[0] == 0x5A);
    CU_ASSERT_EQUAL(ip_address_to_v4(&rig.sent[1].key.local), 0x0a1e0001); /* not from the group */
    wait_us(10 * S);
    CU_ASSERT_EQUAL(rig.sent_n, 2);
    /* An error of the server, an answer that is too large for an address without proof, a silent server. */
    for (uint16_t i = 0; i < 3; i++) {
        uint32_t before = rig.sent_n;
        ask_group(0, COAP_NON, COAP_GET, (uint16_t)(2 + i), ALL_NODES, "probe-1");
        const struct sent *s = &rig.sent[rig.sent_n - 1];
        memcpy(copy, s->bytes, s->n);
        coap_parse(&up, bytes_of(copy, s->n));
        if (i < 2)
            server_answers(&up, COAP_NON, (uint16_t)(901 + i), i == 0 ? COAP_NOT_FOUND : COAP_CONTENT, -1,
                           i == 0 ? 0 : 1000);
        wait_us(40 * S);
        CU_ASSERT_EQUAL(rig.sent_n, before + 1);
    }
    wait_us(COAP_NON_LIFETIME_US);
    CU_ASSERT_EQUAL(coap_relays_exchanges(rig.relays), 0);
    close_rig();
}

int main(void)
{
    static const struct unit_test tests[] = {{"rates of a prefix (E3)", test_prefix_rate},
                                             {"exchanges of a prefix (E3)", test_prefix_exchanges},
                                             {"uploads in blocks (RFC 7959)", test_upload},
                                             {"downloads in blocks (RFC 7959)", test_download},
                                             {"groups are refused (E6)", test_group_refused},
                                             {"groups hear nothing bad (E6)", test_group_silent},
                                             {"groups are answered (E6, s.8.2)", test_group_answered}};
    return unit_run("relay_coap_limits", tests, sizeof(tests) / sizeof(tests[0]));
}
