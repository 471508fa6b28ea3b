/* SPDX-License-Identifier: GPL-2.0-or-later */
/* E5: keys, freshness, what is kept and how it is served; and the store with its bounds. */
#include "gateway/coap_cache.h"

#include "policy/coap/build.h"

#include "tests/unit/runner.h"

#define S UINT64_C(1000000)

struct option {
    uint16_t number;
    const char *value; /* NULL: none */
};

static struct coap_message message_of(uint8_t code, const struct option *options, size_t n,
                                      const char *payload)
{
    static uint8_t bytes[4][COAP_MESSAGE_MAX];
    static unsigned int turn;
    uint8_t *to = bytes[turn++ % 4];
    struct coap_message message;
    struct coap_writer w;
    coap_build_start(&w, to, COAP_MESSAGE_MAX, COAP_CON, code, 1, NULL, 0);
    for (size_t i = 0; i < n && options[i].value != NULL; i++)
        coap_build_option(&w, options[i].number, bytes_of_text(options[i].value));
    if (payload != NULL)
        coap_build_payload(&w, bytes_of_text(payload));
    CU_ASSERT_EQUAL_FATAL(coap_parse(&message, bytes_of(to, coap_build_end(&w))), COAP_PARSE_OK);
    return message;
}

struct pair {
    const char *name;
    struct option a[4], b[4];
    bool same;
};

static const struct pair pairs[] = {
    {"s.5.6: the same", {{COAP_URI_PATH, "a"}}, {{COAP_URI_PATH, "a"}}, true},
    {"s.5.6: another path", {{COAP_URI_PATH, "a"}}, {{COAP_URI_PATH, "b"}}, false},
    {"s.5.6: two segments are not one",
     {{COAP_URI_PATH, "a"}, {COAP_URI_PATH, "b"}},
     {{COAP_URI_PATH, "ab"}},
     false},
    {"s.5.6: a query is no segment",
     {{COAP_URI_PATH, "a"}, {COAP_URI_PATH, "b"}},
     {{COAP_URI_PATH, "a"}, {COAP_URI_QUERY, "b"}},
     false},
    {"s.5.6: Accept counts", {{COAP_URI_PATH, "a"}}, {{COAP_URI_PATH, "a"}, {COAP_ACCEPT, "2"}}, false},
    {"s.5.6: Block2 counts",
     {{COAP_URI_PATH, "a"}, {COAP_BLOCK2, "\x16"}},
     {{COAP_URI_PATH, "a"}, {COAP_BLOCK2, "\x26"}},
     false},
    {"s.5.6: an unknown safe option counts",
     {{COAP_URI_PATH, "a"}},
     {{COAP_URI_PATH, "a"}, {2048, "x"}},
     false},
    {"s.5.4.2: NoCacheKey does not (Size2, Echo)",
     {{COAP_URI_PATH, "a"}, {COAP_SIZE2, "x"}},
     {{COAP_URI_PATH, "a"}, {COAP_ECHO, "y"}},
     true},
    {"s.5.6: ETag is ours to interpret",
     {{COAP_ETAG, "1"}, {COAP_URI_PATH, "a"}},
     {{COAP_URI_PATH, "a"}},
     true},
    {"RFC 7641: Observe is", {{COAP_OBSERVE, ""}, {COAP_URI_PATH, "a"}}, {{COAP_URI_PATH, "a"}}, true},
    {"RFC 8768: Hop-Limit is",
     {{COAP_URI_PATH, "a"}, {COAP_HOP_LIMIT, "\x10"}},
     {{COAP_URI_PATH, "a"}},
     true},
    {"RFC 7967: No-Response is",
     {{COAP_URI_PATH, "a"}, {COAP_NO_RESPONSE, "\x02"}},
     {{COAP_URI_PATH, "a"}},
     true},
};

static void test_keys(void)
{
    uint8_t a[COAP_CACHE_KEY_MAX], b[COAP_CACHE_KEY_MAX];
    size_t resource;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct coap_message first = message_of(COAP_GET, pairs[i].a, 4, NULL),
                            second = message_of(COAP_GET, pairs[i].b, 4, NULL);
        size_t n = coap_cache_key(&first, a, &resource), m = coap_cache_key(&second, b, &resource);
        bool same = n == m && memcmp(a, b, n) == 0;
        if (same != pairs[i].same)
            printf("\n%s\n", pairs[i].name);
        CU_ASSERT_TRUE(n != 0 && same == pairs[i].same);
    }
    struct coap_message post = message_of(COAP_POST, pairs[0].a, 4, NULL),
                        body = message_of(COAP_GET, pairs[0].a, 4, "x");
    CU_ASSERT_EQUAL(coap_cache_key(&post, a, &resource), 0);
    CU_ASSERT_EQUAL(coap_cache_key(&body, a, &resource), 0);
    /* RFC 8132 s.2.1: the payload of a FETCH is in its key; its resource is that of a GET, for what a change
     * makes stale. */
    const struct option block1[2] = {{11, "a"}, {27, "\x08"}}, block2[2] = {{11, "a"}, {23, "\x16"}},
                        odd[2] = {{11, "a"}, {65535, "x"}};
    struct coap_message x = message_of(COAP_FETCH, block1, 1, "x"),
                        y = message_of(COAP_FETCH, block1, 1, "y"),
                        none = message_of(COAP_FETCH, block1, 1, NULL),
                        get = message_of(COAP_GET, odd, 2, NULL),
                        part = message_of(COAP_FETCH, block1, 2, "x"),
                        later = message_of(COAP_FETCH, block2, 2, "x");
    size_t n = coap_cache_key(&x, a, &resource), own = resource;
    CU_ASSERT_TRUE(n != 0 && n == coap_cache_key(&x, b, &resource) && memcmp(a, b, n) == 0);
    CU_ASSERT_TRUE(n == coap_cache_key(&y, b, &resource) && memcmp(a, b, n) != 0 && resource == own &&
                   memcmp(a, b, own) == 0);
    CU_ASSERT_TRUE(coap_cache_key(&none, b, &resource) != 0 && n != coap_cache_key(&none, b, &resource));
    CU_ASSERT_TRUE(coap_cache_key(&get, b, &resource) != n || memcmp(a, b, n) != 0);
    CU_ASSERT_EQUAL(coap_cache_key(&part, a, &resource), 0); /* what is asked is not all here */
    CU_ASSERT_EQUAL(coap_cache_key(&later, a, &resource), 0);
    static char longest[256];
    memset(longest, 'x', 255);
    const struct option many[6] = {{11, longest}, {11, longest}, {11, longest},
                                   {11, longest}, {11, longest}, {11, longest}};
    struct coap_message wide = message_of(COAP_GET, many, 6, NULL);
    CU_ASSERT_EQUAL(coap_cache_key(&wide, a, &resource), 0);
}

struct fresh {
    const char *name;
    uint8_t code;
    struct option options[3];
    bool keeps;
    uint32_t max_age_s;
    uint8_t etag_len;
};

static void test_freshness(void)
{
    static const struct fresh all[] = {
        {"s.5.10.5: 60 s when nothing is said", COAP_CONTENT, {{0}}, true, 60, 0},
        {"s.5.10.5: as said", COAP_CONTENT, {{COAP_MAX_AGE, "\x0A"}}, true, 10, 0},
        {"s.5.10.5: 0 without an ETag is of no use", COAP_CONTENT, {{COAP_MAX_AGE, ""}}, false, 0, 0},
        {"s.5.10.6: 0 with an ETag is to be validated",
         COAP_CONTENT,
         {{COAP_ETAG, "ab"}, {COAP_MAX_AGE, ""}},
         true,
         0,
         2},
        {"s.5.9.1.4: 2.04 is not kept", COAP_CHANGED, {{0}}, false, 60, 0},
        {"4.04 is not kept", COAP_NOT_FOUND, {{0}}, false, 60, 0},
        {"2.31 is not kept", COAP_CONTINUE, {{0}}, false, 60, 0},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct coap_message response = message_of(all[i].code, all[i].options, 3, NULL);
        struct coap_freshness f = coap_cache_freshness(&response);
        if (f.keeps != all[i].keeps)
            printf("\n%s\n", all[i].name);
        CU_ASSERT_TRUE(f.keeps == all[i].keeps && f.max_age_s == all[i].max_age_s &&
                       f.etag_len == all[i].etag_len);
    }
    CU_ASSERT_TRUE(coap_cache_changes(COAP_PUT, COAP_CHANGED) &&
                   coap_cache_changes(COAP_DELETE, COAP_DELETED));
    CU_ASSERT_FALSE(coap_cache_changes(COAP_GET, COAP_CONTENT) ||
                    coap_cache_changes(COAP_FETCH, COAP_CONTENT) ||
                    coap_cache_changes(COAP_POST, COAP_FORBIDDEN));
}

/* What is served is what was kept, with the client's token, the age that is left, and Observe where it
 * belongs. */
static void test_serve(void)
{
    static const struct option options[4] = {
        {COAP_ETAG, "ab"}, {COAP_OBSERVE, "\x07"}, {COAP_CONTENT_FORMAT, "2"}, {COAP_MAX_AGE, "\x3C"}};
    struct coap_message response = message_of(COAP_CONTENT, options, 4, "hello"), kept, served;
    struct coap_verdict verdict;
    uint8_t bytes[256], out[256];
    coap_guard_response(&response, true, &verdict);
    CU_ASSERT_EQUAL(verdict.outcome, OUTCOME_ALLOWED);
    size_t n = coap_cache_keep(&response, &verdict, bytes, sizeof(bytes));
    CU_ASSERT_EQUAL(coap_parse(&kept, bytes_of(bytes, n)), COAP_PARSE_OK);
    CU_ASSERT_EQUAL(kept.options_n, 2);
    for (int i = 0; i < 4; i++) {
        bool valid = (i & 1) != 0;
        int64_t observe = (i & 2) != 0 ? 99 : -1;
        n = coap_cache_serve(&kept, bytes_of("tok", 3), valid, observe, 5, COAP_ACK, 77, out, sizeof(out));
        CU_ASSERT_EQUAL(coap_parse(&served, bytes_of(out, n)), COAP_PARSE_OK);
        CU_ASSERT_TRUE(served.token_len == 3 && served.mid == 77 && served.type == COAP_ACK);
        CU_ASSERT_EQUAL(served.code, valid ? COAP_VALID : COAP_CONTENT);
        CU_ASSERT_TRUE(bytes_equal(served.payload, valid ? bytes_of(NULL, 0) : bytes_of_text("hello")));
        CU_ASSERT_EQUAL(coap_uint(coap_option_find(&served, COAP_MAX_AGE)->value), 5);
        CU_ASSERT_EQUAL(coap_option_find(&served, COAP_OBSERVE) != NULL, observe >= 0);
        CU_ASSERT_EQUAL(coap_option_find(&served, COAP_CONTENT_FORMAT) != NULL, !valid);
        CU_ASSERT_TRUE(coap_cache_has_etag(&served, (const uint8_t *)"ab", 2) &&
                       !coap_cache_has_etag(&served, (const uint8_t *)"ac", 2));
    }
}

static struct coap_cache_name named(const struct coap_cache *cache, uint64_t upstream, const char *who,
                                    const char *path)
{
    const struct option options[1] = {{COAP_URI_PATH, path}};
    struct coap_message request = message_of(COAP_GET, options, 1, NULL);
    struct coap_cache_name name;
    coap_cache_name(cache, upstream, who, &request, &name);
    return name;
}

static void test_store(void)
{
    static const uint8_t secret[16] = "a secret of 16 b";
    struct packet_buffers *buffers = packet_buffers_create(1 << 20);
    struct coap_cache *cache = coap_cache_create(16, buffers, siphash_key_of(secret));
    const struct coap_freshness fresh = {.keeps = true, .max_age_s = 10, .etag_len = 1, .etag = "e"};
    uint8_t message[64] = {0x50, 0x45, 0, 0, 0xFF, 'x'};
    uint64_t now_us = 5 * S;
    struct coap_cache_name a = named(cache, 1, "a", "p"), b = named(cache, 1, "b", "p"),
                           everybody = named(cache, 1, "", "p"), elsewhere = named(cache, 2, "a", "p");
    coap_cache_put(cache, &a, message, 6, &fresh, 4096, now_us);
    struct coap_cached *entry = coap_cache_find(cache, &a);
    CU_ASSERT_TRUE(entry != NULL && coap_cached_left_s(entry, now_us + 3 * S) == 7 &&
                   coap_cached_left_s(entry, now_us + 11 * S) == 0);
    /* RFC 7252 s.11.2: nobody is served what another may have; nor from another upstream. */
    CU_ASSERT_TRUE(coap_cache_find(cache, &b) == NULL && coap_cache_find(cache, &everybody) == NULL &&
                   coap_cache_find(cache, &elsewhere) == NULL);
    coap_cache_put(cache, &b, message, 6, &fresh, 4096, now_us);
    coap_cache_put(cache, &elsewhere, message, 6, &fresh, 4096, now_us);
    /* A change makes stale what everybody has of it, there and nowhere else. */
    const struct option path[1] = {{COAP_URI_PATH, "p"}};
    struct coap_message put = message_of(COAP_PUT, path, 1, "y");
    coap_cache_changed(cache, 1, &put, now_us + 1);
    CU_ASSERT_TRUE(coap_cache_find(cache, &a)->fresh_until_us == 0 &&
                   coap_cache_find(cache, &b)->fresh_until_us == 0);
    CU_ASSERT_TRUE(coap_cache_find(cache, &elsewhere)->fresh_until_us > now_us);
    /* What is kept after the change is fresh, and stays so while others change, until too many have. */
    coap_cache_put(cache, &a, message, 6, &fresh, 4096, now_us + 2);
    CU_ASSERT_TRUE(coap_cache_find(cache, &a)->fresh_until_us > now_us);
    for (int i = 0; i < 20000; i++) {
        char where[8];
        snprintf(where, sizeof(where), "q%d", i);
        const struct option other[1] = {{COAP_URI_PATH, where}};
        struct coap_message change = message_of(COAP_PUT, other, 1, "y");
        coap_cache_changed(cache, 1, &change, now_us + 10);
        if (i == 10)
            CU_ASSERT_TRUE(coap_cache_find(cache, &a)->fresh_until_us > now_us);
    }
    CU_ASSERT_EQUAL(coap_cache_find(cache, &a)->fresh_until_us, 0); /* a change may have been forgotten */
    coap_cache_put(cache, &a, message, 6, &fresh, 4096, now_us + 11);
    CU_ASSERT_TRUE(coap_cache_find(cache, &a)->fresh_until_us > now_us);
    coap_cache_put(cache, &elsewhere, message, 6, &fresh, 4096, now_us + 11);
    /* Bounds: bytes and entries; what was used last stays. */
    for (int i = 0; i < 100; i++) {
        char who[8];
        snprintf(who, sizeof(who), "n%d", i);
        struct coap_cache_name name = named(cache, 1, who, "p");
        coap_cache_put(cache, &name, message, sizeof(message), &fresh, 2000, now_us);
        CU_ASSERT_TRUE(coap_cache_bytes(cache) <= 2000 && coap_cache_find(cache, &name) != NULL);
        coap_cache_find(cache, &elsewhere);
    }
    CU_ASSERT_TRUE(coap_cache_find(cache, &elsewhere) != NULL && coap_cache_find(cache, &a) == NULL);
    for (int i = 0; i < 100; i++) {
        char who[8];
        snprintf(who, sizeof(who), "m%d", i);
        struct coap_cache_name name = named(cache, 1, who, "p");
        coap_cache_put(cache, &name, message, 6, &fresh, 1 << 20, now_us);
    }
    coap_cache_put(cache, &a, message, sizeof(message), &fresh, 10,
                   now_us); /* more than may be kept at all */
    CU_ASSERT_PTR_NULL(coap_cache_find(cache, &a));
    coap_cache_destroy(cache);
    packet_buffers_destroy(buffers);
}

int main(void)
{
    static const struct unit_test tests[] = {{"keys (s.5.6)", test_keys},
                                             {"freshness", test_freshness},
                                             {"serving", test_serve},
                                             {"the store", test_store}};
    return unit_run("coap_cache", tests, sizeof(tests) / sizeof(tests[0]));
}
