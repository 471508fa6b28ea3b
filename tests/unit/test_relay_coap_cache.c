/* SPDX-License-Identifier: GPL-2.0-or-later */
/* E5 through the relays: answers from the cache, validation, and one observation for many devices. */
#include "tests/unit/coap_rig.h"

#define ACTIONS (1 << ACL_GET | 1 << ACL_PUT | 1 << ACL_FETCH | 1 << ACL_OBSERVE)

static const struct snapshot *shared_policy(bool shared, uint32_t number)
{
    const struct acl_rule_spec rules[] = {{.id = "all",
                                           .file = "f",
                                           .line = 1,
                                           .allow = true,
                                           .topic = "conf/+",
                                           .retain = -1,
                                           .will = -1,
                                           .actions = ACTIONS,
                                           .shared = shared}};
    const struct policy_role_spec role = {.name = "sensor",
                                          .file = "f",
                                          .line = 1,
                                          .match = {.any = true, .vlan = -1},
                                          .rules = rules,
                                          .rules_n = 1,
                                          .max_qos = 2};
    struct policy_device_spec devices[3];
    static const char *const names[] = {"probe-1", "probe-2", "probe-3"};
    for (uint32_t i = 0; i < 3; i++) {
        struct ip_address address = ip_address_v4(DEVICE_IP + i);
        devices[i] = (struct policy_device_spec){.id = names[i],
                                                 .file = "f",
                                                 .line = 2 + i,
                                                 .has_mac = true,
                                                 .mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
                                                 .addresses_n = 1,
                                                 .addresses = {{.bits = 128}}};
        memcpy(devices[i].addresses[0].address, address.bytes, 16);
    }
    const struct policy_spec spec = {.roles = &role, .roles_n = 1, .devices = devices, .devices_n = 3};
    const struct snapshot *snapshot = snapshot_create(&spec, number, NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    return snapshot;
}

static void open_cache(bool shared)
{
    open_rig();
    snapshot_destroy((struct snapshot *)(uintptr_t)rig.generation.policy);
    rig.generation.policy = shared_policy(shared, 1);
    rig.config.upstreams[0].cache_bytes = 1 << 16;
}

/* A request that was sent upstream, copied out of the rig. */
static struct coap_message taken(uint32_t back)
{
    static uint8_t bytes[8][COAP_MESSAGE_MAX];
    static unsigned int turn;
    uint8_t *to = bytes[turn++ % 8];
    struct coap_message message;
    const struct sent *s = &rig.sent[rig.sent_n - 1 - back];
    memcpy(to, s->bytes, s->n);
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(to, s->n)), COAP_PARSE_OK);
    return message;
}

struct reply {
    enum coap_type type;
    uint16_t mid;
    uint8_t code;
    int observe;
    int max_age; /* -1: none */
    const char *etag;
    const char *payload;
    uint16_t port; /* of the leg */
};

static void replies(const struct coap_message *request, const struct reply *a)
{
    uint8_t bytes[COAP_MESSAGE_MAX];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), a->type, a->code, a->mid, request->token, request->token_len);
    if (a->etag != NULL)
        coap_build_option(&w, COAP_ETAG, bytes_of_text(a->etag));
    if (a->observe >= 0)
        coap_build_uint(&w, COAP_OBSERVE, (uint32_t)a->observe);
    if (a->max_age >= 0)
        coap_build_uint(&w, COAP_MAX_AGE, (uint32_t)a->max_age);
    if (a->payload != NULL)
        coap_build_payload(&w, bytes_of_text(a->payload));
    struct flow_key key = {.local = ip_address_v4(0x0a1e0001),
                           .remote = ip_address_v4(SERVER_IP),
                           .local_port = a->port,
                           .remote_port = 5683,
                           .interface = 1,
                           .protocol = 17};
    coap_relays_from_upstream(rig.relays, &key, bytes_of(bytes, coap_build_end(&w)));
}

static void asks(uint32_t who, uint16_t mid, int observe, const char *etag)
{
    uint8_t bytes[256];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, mid, (const uint8_t *)"\x5A", 1);
    if (etag != NULL)
        coap_build_option(&w, COAP_ETAG, bytes_of_text(etag));
    if (observe >= 0)
        coap_build_uint(&w, COAP_OBSERVE, (uint32_t)observe);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("x"));
    device_sends(who, (uint8_t)(who + 1), bytes, coap_build_end(&w));
}

static const struct reply content = {
    .type = COAP_ACK, .code = COAP_CONTENT, .observe = -1, .max_age = 30, .etag = "v1", .payload = "one"};

static void fill(uint32_t who)
{
    asks(who, 1, -1, NULL);
    struct coap_message up = taken(0);
    struct reply first = content;
    first.mid = up.mid;
    first.port = (uint16_t)(rig.next_port - 1);
    replies(&up, &first);
    CU_ASSERT_TRUE(rig.sent_n == 2 && sent(0).code == COAP_CONTENT);
}

static bool says(const struct coap_message *message, const char *text)
{
    return bytes_equal(message->payload, bytes_of_text(text));
}

static uint32_t age_of(const struct coap_message *message)
{
    const struct coap_option *age = coap_option_find(message, COAP_MAX_AGE);
    return age == NULL ? UINT32_MAX : coap_uint(age->value);
}

/* s.5.6.1: fresh, it is served without the upstream, with what is left of its Max-Age. */
static void test_hit(void)
{
    open_cache(false);
    fill(0);
    wait_us(10 * S);
    asks(0, 2, -1, NULL);
    struct coap_message hit = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 3 && hit.type == COAP_ACK && hit.mid == 2 && says(&hit, "one") &&
                   hit.token[0] == 0x5A);
    CU_ASSERT_TRUE(age_of(&hit) >= 19 && age_of(&hit) <= 20);
    asks(0, 3, -1, "v1"); /* s.5.10.6.2: the client has it */
    hit = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 4 && hit.code == COAP_VALID && hit.payload.len == 0);
    CU_ASSERT_TRUE(counted(COAP_COUNT_CACHE_HITS) == 2 && counted(COAP_COUNT_FORWARDED) == 1);
    asks(1, 4, -1, NULL); /* s.11.2: what is another's is asked for anew */
    CU_ASSERT_TRUE(rig.sent_n == 5 && rig.sent[4].key.remote_port == 5683 &&
                   counted(COAP_COUNT_CACHE_MISSES) == 2);
    close_rig();
}

static void fetches(uint16_t mid, const char *body)
{
    uint8_t bytes[256];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_FETCH, mid, (const uint8_t *)"\x5A", 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("x"));
    coap_build_uint(&w, COAP_CONTENT_FORMAT, 50);
    coap_build_payload(&w, bytes_of_text(body));
    device_sends(0, 1, bytes, coap_build_end(&w));
}

/* RFC 8132 s.2.1: the same question gets the same answer, another one is asked upstream. */
static void test_fetch(void)
{
    open_cache(false);
    fetches(1, "[\"a\"]");
    struct coap_message up = taken(0);
    CU_ASSERT_TRUE(up.code == COAP_FETCH && says(&up, "[\"a\"]"));
    struct reply first = content;
    first.mid = up.mid;
    first.port = (uint16_t)(rig.next_port - 1);
    replies(&up, &first);
    fetches(2, "[\"a\"]");
    struct coap_message hit = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 3 && hit.mid == 2 && hit.code == COAP_CONTENT && says(&hit, "one"));
    fetches(3, "[\"b\"]");
    CU_ASSERT_TRUE(counted(COAP_COUNT_CACHE_HITS) == 1 && counted(COAP_COUNT_FORWARDED) == 2);
    close_rig();
}

/* What a rule says is everybody's is served to everybody. */
static void test_shared_hit(void)
{
    open_cache(true);
    fill(0);
    asks(1, 4, -1, NULL);
    struct coap_message hit = sent(0);
    CU_ASSERT_TRUE(rig.sent_n == 3 && says(&hit, "one") && counted(COAP_COUNT_CACHE_HITS) == 1);
    close_rig();
}

/* s.5.6.2: stale, it is validated by its ETag. */
static void test_validation(void)
{
    open_cache(false);
    fill(0);
    wait_us(31 * S);
    asks(0, 2, -1, NULL);
    struct coap_message up = taken(0);
    const struct coap_option *etag = coap_option_find(&up, COAP_ETAG);
    CU_ASSERT_TRUE(rig.sent_n == 3 && etag != NULL && bytes_equal(etag->value, bytes_of_text("v1")));
    struct reply valid = {.type = COAP_ACK,
                          .mid = up.mid,
                          .code = COAP_VALID,
                          .observe = -1,
                          .max_age = 50,
                          .etag = "v1",
                          .port = (uint16_t)(rig.next_port - 1)};
    replies(&up, &valid);
    struct coap_message down = sent(0);
    CU_ASSERT_TRUE(down.code == COAP_CONTENT && says(&down, "one") && age_of(&down) == 50);
    wait_us(45 * S);
    asks(0, 3, -1, NULL); /* fresh again */
    CU_ASSERT_TRUE(rig.sent_n == 5 && counted(COAP_COUNT_CACHE_HITS) == 1 &&
                   counted(COAP_COUNT_CACHE_VALIDATED) == 1);
    wait_us(10 * S);
    asks(0, 4, -1, "v0");
    up = taken(0);
    uint32_t from = 0, etags = 0;
    while (coap_option_next(&up, COAP_ETAG, &from) != NULL)
        etags++;
    CU_ASSERT_EQUAL(etags, 2); /* the client's and ours */
    struct reply newer = content;
    newer.mid = up.mid;
    newer.etag = "v2";
    newer.payload = "two";
    newer.port = valid.port;
    replies(&up, &newer);
    down = sent(0);
    CU_ASSERT_TRUE(says(&down, "two"));
    asks(0, 5, -1, NULL);
    down = sent(0);
    CU_ASSERT_TRUE(says(&down, "two") && counted(COAP_COUNT_CACHE_HITS) == 2);
    close_rig();
}

/* s.5.8: a change through us makes it stale. */
static void test_changed(void)
{
    open_cache(false);
    fill(0);
    struct request put = {.type = COAP_CON, .code = COAP_PUT, .mid = 7, .id = "x", .observe = -1};
    device_asks(1, &put);
    struct coap_message up = taken(0);
    struct reply changed = {.type = COAP_ACK,
                            .mid = up.mid,
                            .code = COAP_CHANGED,
                            .observe = -1,
                            .max_age = -1,
                            .port = (uint16_t)(rig.next_port - 1)};
    replies(&up, &changed);
    uint32_t before = rig.sent_n;
    asks(0, 8, -1, NULL);
    CU_ASSERT_TRUE(rig.sent_n == before + 1 && rig.sent[before].key.remote_port == 5683 &&
                   counted(COAP_COUNT_CACHE_HITS) == 0);
    close_rig();
}

static void test_off(void)
{
    open_cache(false);
    rig.config.upstreams[0].cache_bytes = 0;
    fill(0);
    asks(0, 2, -1, NULL);
    CU_ASSERT_TRUE(rig.sent[2].key.remote_port == 5683 && counted(COAP_COUNT_CACHE_MISSES) == 0);
    close_rig();
}

/* What is sent to device `who` since `from`, as "code type payload". */
static uint32_t sent_to(uint32_t who, uint32_t from, struct coap_message *last)
{
    uint32_t n = 0;
    struct ip_address address = ip_address_v4(DEVICE_IP + who);
    for (uint32_t i = from; i < rig.sent_n; i++) {
        if (!ip_address_equal(&rig.sent[i].key.remote, &address))
            continue;
        n++;
        CU_ASSERT_EQUAL(coap_parse(last, bytes_of(rig.sent[i].bytes, rig.sent[i].n)), COAP_PARSE_OK);
    }
    return n;
}

static uint32_t sequence_of(const struct coap_message *message)
{
    const struct coap_option *observe = coap_option_find(message, COAP_OBSERVE);
    return observe == NULL ? UINT32_MAX : coap_uint(observe->value);
}

/* One observation upstream for three devices, that outlives the one who made it. */
static void test_group(void)
{
    struct coap_message last;
    uint8_t empty[4];
    open_cache(true);
    asks(0, 1, 0, NULL);
    struct coap_message up = taken(0);
    CU_ASSERT_PTR_NOT_NULL(coap_option_find(&up, COAP_OBSERVE));
    asks(1, 1, 0, "v0"); /* before anything has come: it waits with the first */
    CU_ASSERT_EQUAL(rig.sent_n, 1);
    struct reply notify = content;
    notify.mid = up.mid;
    notify.observe = 5;
    notify.port = (uint16_t)(rig.next_port - 1);
    uint16_t first_port = notify.port;
    replies(&up, &notify);
    CU_ASSERT_TRUE(rig.sent_n == 3 && sent_to(0, 0, &last) == 1 && says(&last, "one"));
    CU_ASSERT_TRUE(sent_to(1, 0, &last) == 1 && says(&last, "one") && last.type == COAP_ACK);
    wait_us(10 * S);
    asks(2, 1, 0, NULL); /* later: it gets what came last, aged */
    CU_ASSERT_TRUE(rig.sent_n == 4 && sent_to(2, 0, &last) == 1 && says(&last, "one") && age_of(&last) <= 20);
    uint32_t first_sequence = sequence_of(&last);
    CU_ASSERT_TRUE(counted(COAP_COUNT_OBSERVATIONS) == 3 && counted(COAP_COUNT_SHARED) == 2);
    notify = (struct reply){.type = COAP_NON,
                            .mid = 900,
                            .code = COAP_CONTENT,
                            .observe = 6,
                            .max_age = 30,
                            .payload = "two",
                            .port = first_port};
    uint32_t at = rig.sent_n;
    replies(&up, &notify);
    for (uint32_t who = 0; who < 3; who++)
        CU_ASSERT_TRUE(sent_to(who, at, &last) == 1 && says(&last, "two") && last.type == COAP_NON);
    CU_ASSERT_TRUE(coap_observe_newer(first_sequence, rig.now_us, sequence_of(&last), rig.now_us));
    uint32_t second_sequence = sequence_of(&last);
    /* The leader goes: it is told upstream, and another takes its place. */
    sent_to(0, at, &last);
    at = rig.sent_n;
    device_sends(0, 1, empty, coap_build_empty(empty, COAP_RST, last.mid));
    struct coap_message cancel = taken(0);
    CU_ASSERT_TRUE(rig.sent_n == at + 1 && cancel.type == COAP_NON &&
                   coap_uint(coap_option_find(&cancel, COAP_OBSERVE)->value) == 1);
    CU_ASSERT_EQUAL(memcmp(cancel.token, up.token, 8), 0);
    coap_relays_flush(rig.relays);
    struct coap_message again = taken(0);
    CU_ASSERT_TRUE(rig.sent_n == at + 2 && rig.sent[at + 1].key.local_port != first_port);
    CU_ASSERT_EQUAL(coap_uint(coap_option_find(&again, COAP_OBSERVE)->value), 0);
    notify = (struct reply){.type = COAP_ACK,
                            .mid = again.mid,
                            .code = COAP_CONTENT,
                            .observe = 1,
                            .max_age = 30,
                            .payload = "three",
                            .port = (uint16_t)(rig.next_port - 1)};
    at = rig.sent_n;
    replies(&again, &notify);
    CU_ASSERT_EQUAL(sent_to(0, at, &last), 0);
    for (uint32_t who = 1; who < 3; who++)
        CU_ASSERT_TRUE(sent_to(who, at, &last) == 1 && says(&last, "three"));
    /* The upstream counts anew; the group does not (RFC 7641 s.3.4). */
    CU_ASSERT_TRUE(coap_observe_newer(second_sequence, rig.now_us, sequence_of(&last), rig.now_us));
    /* The upstream ends it for all. */
    notify = (struct reply){.type = COAP_NON,
                            .mid = 901,
                            .code = COAP_NOT_FOUND,
                            .observe = -1,
                            .max_age = -1,
                            .port = notify.port};
    at = rig.sent_n;
    replies(&again, &notify);
    for (uint32_t who = 1; who < 3; who++)
        CU_ASSERT_TRUE(sent_to(who, at, &last) == 1 && last.code == COAP_NOT_FOUND);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 3);
    coap_relays_flush(rig.relays);
    close_rig();
}

/* The way of the leader fails: the others are not told, but one of them leads. */
static void test_group_leader_fails(void)
{
    struct coap_message last;
    open_cache(true);
    asks(0, 1, 0, NULL);
    asks(1, 1, 0, NULL);
    asks(2, 1, 0, NULL);
    CU_ASSERT_EQUAL(rig.sent_n, 1);
    wait_us(120 * S);
    coap_relays_flush(rig.relays);
    CU_ASSERT_TRUE(sent_to(0, 0, &last) >= 1 && last.code == COAP_GATEWAY_TIMEOUT);
    close_rig();
}

/* G3: what is everybody's no more is observed by each for itself. */
static void test_group_reload(void)
{
    open_cache(true);
    asks(0, 1, 0, NULL);
    struct coap_message up = taken(0);
    struct reply notify = content;
    notify.mid = up.mid;
    notify.observe = 5;
    notify.port = (uint16_t)(rig.next_port - 1);
    replies(&up, &notify);
    asks(1, 1, 0, NULL);
    uint32_t at = rig.sent_n;
    struct generation next = rig.generation;
    next.number = 2;
    next.policy = shared_policy(false, 2);
    rig.current = &next;
    CU_ASSERT_TRUE(coap_relays_sweep(rig.relays, 100));
    CU_ASSERT_TRUE(rig.sent_n == at + 1 && rig.sent[at].key.remote_port == 5683);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_OBSERVATIONS_ENDED), 0);
    rig.current = &rig.generation;
    close_rig();
    snapshot_destroy((struct snapshot *)(uintptr_t)next.policy);
}

int main(void)
{
    static const struct unit_test tests[] = {{"hit (s.5.6.1)", test_hit},
                                             {"FETCH (RFC 8132 s.2.1)", test_fetch},
                                             {"shared hit", test_shared_hit},
                                             {"validation (s.5.6.2)", test_validation},
                                             {"changed (s.5.8)", test_changed},
                                             {"off", test_off},
                                             {"one observation for many", test_group},
                                             {"its leader fails", test_group_leader_fails},
                                             {"shared no more (G3)", test_group_reload}};
    return unit_run("relay_coap_cache", tests, sizeof(tests) / sizeof(tests[0]));
}
