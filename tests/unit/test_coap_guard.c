/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The law of CoAP: each message as bytes, the verdict, and the bytes that go on. */
#include "policy/coap/guard.h"

#include <stdio.h>

#include "tests/unit/runner.h"

#define HEX_MAX 512

static const struct acl_options log_options = {.queries_n = 1, .queries = {"from=*"}, .block = ACL_BLOCK_NO};
static const struct acl_options data_options = {.formats_n = 1, .formats = {112}, .block = ACL_BLOCK_NO};

/* The role of all vectors. */
static const struct acl_rule_spec rules[] = {
    {.id = "conf",
     .file = "f",
     .line = 1,
     .allow = true,
     .actions = 1 << ACL_GET | 1 << ACL_OBSERVE,
     .topic = "conf/${id}",
     .retain = -1,
     .will = -1},
    {.id = "plain",
     .file = "f",
     .line = 2,
     .allow = true,
     .actions = 1 << ACL_GET | 1 << ACL_PUT,
     .topic = "t/+",
     .retain = -1,
     .will = -1,
     .payload_max = 8},
    {.id = "json",
     .file = "f",
     .line = 3,
     .allow = true,
     .actions = 1 << ACL_POST,
     .topic = "j",
     .retain = -1,
     .will = -1,
     .payload = ACL_PAYLOAD_JSON},
    {.id = "no",
     .file = "f",
     .line = 4,
     .allow = false,
     .actions = 1 << ACL_GET,
     .topic = "t/secret",
     .retain = -1,
     .will = -1},
    {.id = "log",
     .file = "f",
     .line = 6,
     .allow = true,
     .actions = 1 << ACL_GET,
     .topic = "log",
     .retain = -1,
     .will = -1,
     .options = &log_options},
    {.id = "data",
     .file = "f",
     .line = 7,
     .allow = true,
     .actions = 1 << ACL_PUT,
     .topic = "data",
     .retain = -1,
     .will = -1,
     .options = &data_options},
    {.id = "any",
     .file = "f",
     .line = 5,
     .allow = true,
     .actions = 1 << ACL_FETCH,
     .topic = "#",
     .retain = -1,
     .will = -1},
};

struct rig {
    struct acl *acl;
    struct acl_values values;
    struct policy_role role;
};

static void rig_open(struct rig *rig)
{
    static const char *const names[] = {"id"};
    struct acl_problem problem;
    rig->acl = acl_compile(rules, sizeof(rules) / sizeof(rules[0]), names, 1, &problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->acl);
    rig->values = (struct acl_values){.value = {bytes_of_text("probe-1")}};
    rig->role = (struct policy_role){
        .name = "r", .acl = rig->acl, .limits = {.packet_bytes = 4096, .topic_levels = 4, .topic_bytes = 64}};
}

static size_t unhex(const char *text, uint8_t *to)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        unsigned int value;
        if (*text == ' ')
            continue;
        if (sscanf(text, "%2x", &value) != 1)
            break;
        to[n++] = (uint8_t)value;
        text++;
    }
    return n;
}

struct vector {
    const char *name;
    const char *request; /* hex; 40 CC 0001 and options */
    enum outcome outcome;
    uint8_t code;        /* when refused */
    const char *goes_on; /* hex of what follows the header; NULL: not looked at */
};

/* conf = 636f6e66, probe-1 = 70726f62652d31 */
#define CONF "b4636f6e66 0770726f62652d31"
static const struct vector vectors[] = {
    {"E2: own path", "40010001" CONF, OUTCOME_ALLOWED, 0, CONF},
    {"E2: other's path", "40010001 b4636f6e66 0770726f62652d32", OUTCOME_DEFAULT_DENY, COAP_FORBIDDEN, NULL},
    {"E2: method not allowed by a rule", "40030001" CONF, OUTCOME_DEFAULT_DENY, COAP_FORBIDDEN, NULL},
    {"E2: deny beats allow", "40010001 b174 06736563726574", OUTCOME_RULE_DENY, COAP_FORBIDDEN, NULL},
    {"E2: no path", "40010001", OUTCOME_DEFAULT_DENY, COAP_FORBIDDEN, NULL},
    {"E2: no path, allowed", "40050001", OUTCOME_ALLOWED, 0, ""},
    {"s.5.8: method 0.08", "40080001" CONF, OUTCOME_BAD_METHOD, COAP_METHOD_NOT_ALLOWED, NULL},
    {"s.5.8: method 0.31", "401f0001" CONF, OUTCOME_BAD_METHOD, COAP_METHOD_NOT_ALLOWED, NULL},
    {"s.5.10.1: '/' inside a segment", "40010001 bc636f6e662f70726f62652d31", OUTCOME_BAD_PATH,
     COAP_BAD_REQUEST, NULL},
    {"s.5.10.1: '/' alone", "40010001 b174 012f", OUTCOME_BAD_PATH, COAP_BAD_REQUEST, NULL},
    {"s.5.10.1: '.'", "40010001 b174 012e", OUTCOME_BAD_PATH, COAP_BAD_REQUEST, NULL},
    {"s.5.10.1: '..'", "40010001 b174 022e2e", OUTCOME_BAD_PATH, COAP_BAD_REQUEST, NULL},
    {"'...' is a name", "40010001 b174 032e2e2e", OUTCOME_ALLOWED, 0, "b174 032e2e2e"},
    {"%2F is three characters", "40010001 b174 03253246", OUTCOME_ALLOWED, 0, "b174 03253246"},
    {"empty segment at the end", "40010001 b174 00", OUTCOME_ALLOWED, 0, "b174 00"},
    {"one empty segment", "40050001 b0", OUTCOME_BAD_PATH, COAP_BAD_REQUEST, NULL},
    {"five levels of four", "40050001 b161 0161 0161 0161 0161", OUTCOME_TOPIC_TOO_DEEP, COAP_BAD_REQUEST,
     NULL},
    {"E2: Uri-Path C0 80", "40010001 b174 02c080", OUTCOME_MALFORMED_STRING, COAP_BAD_REQUEST, NULL},
    {"E2: Uri-Path with U+0000", "40010001 b174 0100", OUTCOME_MALFORMED_STRING, COAP_BAD_REQUEST, NULL},
    {"E2: Uri-Query surrogate", "40010001 b174 0161 43eda080", OUTCOME_MALFORMED_STRING, COAP_BAD_REQUEST,
     NULL},
    {"Uri-Query passes", "40010001 b174 0161 43613d62", OUTCOME_ALLOWED, 0, "b174 0161 43613d62"},
    {"s.5.10.2: Proxy-Uri", "40010001 dd160a 636f61703a2f2f782f792f7a2f616263 6465666768696a",
     OUTCOME_PROXY_REFUSED, COAP_PROXYING_NOT_SUPPORTED, NULL},
    {"s.5.10.2: Proxy-Scheme", "40010001 d41a636f6170", OUTCOME_PROXY_REFUSED, COAP_PROXYING_NOT_SUPPORTED,
     NULL},
    {"Uri-Host is left out", "40010001 33612e62 81740161", OUTCOME_ALLOWED, 0, "b174 0161"},
    {"Uri-Host that is no host", "40010001 3361 2f62 81740161", OUTCOME_PROXY_REFUSED,
     COAP_PROXYING_NOT_SUPPORTED, NULL},
    {"Uri-Host of no byte: critical and invalid", "40010001 30 81740161", OUTCOME_BAD_OPTION, COAP_BAD_OPTION,
     NULL},
    {"Uri-Port as it is", "40010001 721633 41740161", OUTCOME_ALLOWED, 0, "b174 0161"},
    {"Uri-Port elsewhere", "40010001 721634 41740161", OUTCOME_PROXY_REFUSED, COAP_PROXYING_NOT_SUPPORTED,
     NULL},
    {"s.5.4.1: unknown critical option 9 (OSCORE)", "40010001 9101 21740161", OUTCOME_BAD_OPTION,
     COAP_BAD_OPTION, NULL},
    {"s.5.4.1: unknown critical 2049", "40010001 b174 0161 e106e901", OUTCOME_BAD_OPTION, COAP_BAD_OPTION,
     NULL},
    {"s.5.7.1: unknown, unsafe, elective 2050", "40010001 b174 0161 e106ea01", OUTCOME_BAD_OPTION,
     COAP_BAD_OPTION, NULL},
    {"s.5.7.1: unknown, safe, elective 2048 passes", "40010001 b174 0161 e106e801", OUTCOME_ALLOWED, 0,
     "b174 0161 e106e801"},
    {"s.5.4.5: Accept twice", "40010001 b174 0161 6132 0132", OUTCOME_BAD_OPTION, COAP_BAD_OPTION, NULL},
    {"s.5.4.5: Content-Format twice: one is left", "40030001 b174 0161 1132 0133", OUTCOME_ALLOWED, 0,
     "b174 0161 1132"},
    {"s.5.4.3: Content-Format too long is left out", "40030001 b174 0161 13323232", OUTCOME_ALLOWED, 0,
     "b174 0161"},
    {"Max-Age means nothing in a request", "40010001 b174 0161 3101", OUTCOME_BAD_OPTION, COAP_BAD_OPTION,
     NULL},
    {"If-Match, ETag, If-None-Match pass", "40030001 1101 3102 10 6174 0161", OUTCOME_ALLOWED, 0,
     "1101 3102 10 6174 0161"},
    {"E2: a query that the rule allows", "40010001 b36c6f67 4666726f6d3d31", OUTCOME_ALLOWED, 0,
     "b36c6f67 4666726f6d3d31"},
    {"E2: a query that it does not", "40010001 b36c6f67 4666726f6d3d31 0161", OUTCOME_QUERY_DENIED,
     COAP_FORBIDDEN, NULL},
    {"E2: block-wise where it is not allowed", "40010001 b36c6f67 c116", OUTCOME_BLOCK_DENIED, COAP_FORBIDDEN,
     NULL},
    {"E2: asking for small blocks is not block-wise", "40010001 b36c6f67 c106", OUTCOME_ALLOWED, 0,
     "b36c6f67 c106"},
    {"E2: the format that the rule allows", "40030001 b464617461 1170 ff 80", OUTCOME_ALLOWED, 0,
     "b464617461 1170 ff 80"},
    {"E2: another format is 4.15", "40030001 b464617461 1132 ff 80", OUTCOME_FORMAT_DENIED,
     COAP_UNSUPPORTED_FORMAT, NULL},
    {"E2: a payload without a format", "40030001 b464617461 ff 80", OUTCOME_FORMAT_DENIED,
     COAP_UNSUPPORTED_FORMAT, NULL},
    {"E2: Block1 where it is not allowed",
     "40030001 b464617461 1170 d10208 ff 00000000000000000000000000000000", OUTCOME_BLOCK_DENIED,
     COAP_FORBIDDEN, NULL},
    {"payload_max", "40030001 b174 0161 ff 313233343536373839", OUTCOME_PAYLOAD_TOO_LARGE, COAP_TOO_LARGE,
     NULL},
    {"payload within", "40030001 b174 0161 ff 3132333435363738", OUTCOME_ALLOWED, 0,
     "b174 0161 ff 3132333435363738"},
    {"JSON", "40020001 b16a ff 7b7d", OUTCOME_ALLOWED, 0, "b16a ff 7b7d"},
    {"not JSON", "40020001 b16a ff 7b", OUTCOME_MALFORMED_PAYLOAD, COAP_BAD_REQUEST, NULL},
    {"JSON in blocks cannot be judged", "40020001 b16a d10308 ff 30303030303030303030303030303030",
     OUTCOME_MALFORMED_PAYLOAD, COAP_TOO_LARGE, NULL},
    {"RFC 7959: SZX 7", "40010001 b174 0161 c107", OUTCOME_BAD_OPTION, COAP_BAD_REQUEST, NULL},
    {"RFC 7959: Block2 passes", "40010001 b174 0161 c11e", OUTCOME_ALLOWED, 0, "b174 0161 c11e"},
    {"RFC 7959: body above the cap", "40030001 b174 0161 d203 1006 ff 31", OUTCOME_PACKET_TOO_LARGE,
     COAP_TOO_LARGE, NULL},
    {"RFC 7959: not the last and not full", "40030001 b174 0161 d10308 ff 31", OUTCOME_BAD_OPTION,
     COAP_BAD_REQUEST, NULL},
    {"Size1 above the cap", "40030001 b174 0161 d2242000 ff 31", OUTCOME_PACKET_TOO_LARGE, COAP_TOO_LARGE,
     NULL},
    {"RFC 8768: Hop-Limit goes down", "40010001 b174 0161 5110", OUTCOME_ALLOWED, 0, "b174 0161 510f"},
    {"RFC 8768: Hop-Limit 1", "40010001 b174 0161 5101", OUTCOME_HOP_LIMIT, COAP_HOP_LIMIT_REACHED, NULL},
    {"RFC 8768: Hop-Limit 0", "40010001 b174 0161 5100", OUTCOME_HOP_LIMIT, COAP_BAD_REQUEST, NULL},
    {"RFC 7967: No-Response stays here", "40030001 b174 0161 d1ea 1a", OUTCOME_ALLOWED, 0, "b174 0161"},
    {"RFC 9175: Echo stays here", "40010001 b174 0161 d1e4 01", OUTCOME_ALLOWED, 0, "b174 0161"},
    {"RFC 9175: Request-Tag passes", "40030001 b174 0161 e1000c01", OUTCOME_ALLOWED, 0, "b174 0161 e1000c01"},
    {"RFC 7641: observe", "40010001 60 54636f6e66 0770726f62652d31", OUTCOME_ALLOWED, 0,
     "60 54636f6e66 0770726f62652d31"},
    {"RFC 7641: end of it", "40010001 6101 54636f6e66 0770726f62652d31", OUTCOME_ALLOWED, 0,
     "6101 54636f6e66 0770726f62652d31"},
    {"RFC 7641 s.4.1: observe not allowed, GET is", "40010001 60 5174 0161", OUTCOME_ALLOWED, 0, "b174 0161"},
    {"Observe on PUT means nothing", "40030001 60 5174 0161", OUTCOME_ALLOWED, 0, "b174 0161"},
};

static void check(struct rig *rig, const struct vector *v)
{
    uint8_t raw[HEX_MAX], out[HEX_MAX], expected[HEX_MAX];
    struct coap_message message;
    static struct coap_verdict verdict;
    size_t n = unhex(v->request, raw);
    CU_ASSERT_EQUAL_FATAL(coap_parse(&message, bytes_of(raw, n)), COAP_PARSE_OK);
    coap_guard_request(&rig->role, &rig->values, false, 5683, &message, &verdict);
    if (verdict.outcome != v->outcome || (v->outcome != OUTCOME_ALLOWED && verdict.code != v->code))
        printf("\n%s: %s, code %x\n", v->name, outcome_id(verdict.outcome), (unsigned int)verdict.code);
    CU_ASSERT_EQUAL(verdict.outcome, v->outcome);
    CU_ASSERT_EQUAL(coap_verdict_passes(&verdict), v->outcome == OUTCOME_ALLOWED);
    if (v->outcome != OUTCOME_ALLOWED) {
        CU_ASSERT_EQUAL(verdict.code, v->code);
        return;
    }
    if (v->goes_on == NULL)
        return;
    size_t wanted = unhex(v->goes_on, expected);
    size_t got =
        coap_guard_rebuild(&message, &verdict, bytes_of(NULL, 0), COAP_CON, 1, NULL, 0, out, sizeof(out));
    bool same = got == wanted + COAP_HEADER_BYTES && memcmp(out + COAP_HEADER_BYTES, expected, wanted) == 0;
    if (!same)
        printf("\n%s: %zu bytes go on\n", v->name, got);
    CU_ASSERT_TRUE(same);
}

static void test_requests(void)
{
    struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check(&rig, &vectors[i]);
    acl_destroy(rig.acl);
}

/* G6: what rules refuse goes on and is told; what the protocol refuses does not. */
static void test_observing(void)
{
    struct rig rig;
    uint8_t raw[HEX_MAX];
    struct coap_message message;
    struct coap_verdict verdict;
    rig_open(&rig);
    coap_parse(&message, bytes_of(raw, unhex("40040001 b16e", raw)));
    coap_guard_request(&rig.role, &rig.values, true, 5683, &message, &verdict);
    CU_ASSERT_TRUE(verdict.outcome == OUTCOME_DEFAULT_DENY && coap_verdict_passes(&verdict));
    coap_parse(&message, bytes_of(raw, unhex("40040001 b12f", raw)));
    coap_guard_request(&rig.role, &rig.values, true, 5683, &message, &verdict);
    CU_ASSERT_FALSE(coap_verdict_passes(&verdict));
    acl_destroy(rig.acl);
}

/* G6: `enforce` on a rule against observing holds where the role only observes: the GET goes on, plain. */
static void test_observe_of_an_enforced_rule(void)
{
    static const struct acl_rule_spec both[] = {{.id = "read",
                                                 .file = "f",
                                                 .line = 1,
                                                 .allow = true,
                                                 .actions = 1 << ACL_GET | 1 << ACL_OBSERVE,
                                                 .topic = "n",
                                                 .retain = -1,
                                                 .will = -1},
                                                {.id = "not",
                                                 .file = "f",
                                                 .line = 2,
                                                 .actions = 1 << ACL_OBSERVE,
                                                 .topic = "n",
                                                 .retain = -1,
                                                 .will = -1,
                                                 .enforce = true}};
    struct acl_rule_spec rule[2];
    memcpy(rule, both, sizeof(rule));
    for (int enforce = 0; enforce < 2; enforce++) {
        uint8_t raw[HEX_MAX];
        struct rig rig;
        struct acl_problem problem;
        struct coap_message message;
        struct coap_verdict verdict;
        rig_open(&rig);
        acl_destroy(rig.acl);
        rule[1].enforce = enforce != 0;
        rig.acl = acl_compile(rule, 2, NULL, 0, &problem);
        CU_ASSERT_PTR_NOT_NULL_FATAL(rig.acl);
        rig.role.acl = rig.acl;
        rig.role.mode = POLICY_OBSERVE;
        coap_parse(&message, bytes_of(raw, unhex("40010001 60 516e", raw)));
        coap_guard_request(&rig.role, &rig.values, false, 5683, &message, &verdict);
        CU_ASSERT_TRUE(coap_verdict_passes(&verdict) && verdict.observe_denied);
        CU_ASSERT_EQUAL(verdict.observe, enforce == 0);
        acl_destroy(rig.acl);
    }
}

static void test_echo_of_origin(void)
{
    struct rig rig;
    uint8_t raw[HEX_MAX], out[HEX_MAX];
    struct coap_message message;
    struct coap_verdict verdict;
    rig_open(&rig);
    coap_parse(&message, bytes_of(raw, unhex("40010001 b174 0161 d1e4 01", raw)));
    coap_guard_request(&rig.role, &rig.values, false, 5683, &message, &verdict);
    CU_ASSERT_EQUAL(verdict.echo.len, 1);
    size_t n = coap_guard_rebuild(&message, &verdict, verdict.echo, COAP_CON, 1, NULL, 0, out, sizeof(out));
    CU_ASSERT_TRUE(n == message.payload.len + 11 && memcmp(out + 4, "\xb1\x74\x01\x61\xd1\xe4\x01", 7) == 0);
    acl_destroy(rig.acl);
}

/* RFC 8768 s.3: whoever chooses the way says how many more there may be, in its place among the options. */
static void test_hop_limit(void)
{
    static const struct {
        const char *request, *goes_on;
    } rows[] = {{"40010001 b174 0161", "b174 0161 5110"},
                {"40010001 b174 0161 6132", "b174 0161 5110 1132"}, /* Accept comes behind it */
                {"40010001 b174 0161 5105", "b174 0161 5104"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        uint8_t raw[HEX_MAX], out[HEX_MAX], expected[HEX_MAX];
        struct coap_message message;
        struct coap_verdict verdict;
        rig_open(&rig);
        coap_parse(&message, bytes_of(raw, unhex(rows[i].request, raw)));
        coap_guard_request(&rig.role, &rig.values, false, 5683, &message, &verdict);
        if (verdict.hop_limit < 0)
            verdict.hop_limit = 16;
        size_t wanted = unhex(rows[i].goes_on, expected);
        size_t got =
            coap_guard_rebuild(&message, &verdict, bytes_of(NULL, 0), COAP_CON, 1, NULL, 0, out, sizeof(out));
        CU_ASSERT_TRUE(got == wanted + 4 && memcmp(out + 4, expected, wanted) == 0);
        acl_destroy(rig.acl);
    }
}

struct response {
    const char *name;
    const char *bytes;
    bool observed;
    enum outcome outcome;
    const char *goes_on;
};

static const struct response responses[] = {
    {"2.05 with a payload", "60450001 ff 31", false, OUTCOME_ALLOWED, "ff31"},
    {"ETag, Content-Format, Max-Age, Block2, Size2", "60450001 4101 8132 2101 9108 5110 ff 31", false,
     OUTCOME_ALLOWED, "4101 8132 2101 9108 5110 ff 31"},
    {"Observe that was asked for", "60450001 6105 ff 31", true, OUTCOME_ALLOWED, "6105 ff 31"},
    {"Observe that was not asked for", "60450001 6105 ff 31", false, OUTCOME_ALLOWED, "ff31"},
    {"RFC 7641 s.4.2: an error does not notify", "60840001 6105", true, OUTCOME_ALLOWED, ""},
    {"s.5.7.1: unknown unsafe option", "60450001 e106f501", false, OUTCOME_UPSTREAM_PROTOCOL, NULL},
    {"s.5.4.1: unknown critical option", "60450001 e106f401", false, OUTCOME_UPSTREAM_PROTOCOL, NULL},
    {"unknown safe option passes", "60450001 e106f301", false, OUTCOME_ALLOWED, "e106f301"},
    {"a request's option in a response", "60450001 b161", false, OUTCOME_UPSTREAM_PROTOCOL, NULL},
    {"Location-Path that is not UTF-8 is left out", "60410001 82c080", false, OUTCOME_ALLOWED, ""},
    {"Location-Path '..' is left out", "60410001 822e2e 0161", false, OUTCOME_ALLOWED, "8161"},
    {"a second ETag is left out", "60450001 4101 0102", false, OUTCOME_ALLOWED, "4101"},
    {"the origin's Echo passes (9175)", "60810001 d1ef 01", false, OUTCOME_ALLOWED, "d1ef01"},
    {"a diagnostic that is no text", "60840001 ff c080", false, OUTCOME_UPSTREAM_PROTOCOL, NULL},
    {"an error with a content format", "60840001 c13c ff c080", false, OUTCOME_ALLOWED, "c13c ff c080"},
    {"an error with a content format that is left out", "60840001 c3313131 ff c080", false,
     OUTCOME_UPSTREAM_PROTOCOL, NULL},
    {"SZX 7", "60450001 d10a07", false, OUTCOME_UPSTREAM_PROTOCOL, NULL},
};

static void test_responses(void)
{
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        const struct response *v = &responses[i];
        uint8_t raw[HEX_MAX], out[HEX_MAX], expected[HEX_MAX];
        struct coap_message message;
        struct coap_verdict verdict;
        CU_ASSERT_EQUAL_FATAL(coap_parse(&message, bytes_of(raw, unhex(v->bytes, raw))), COAP_PARSE_OK);
        coap_guard_response(&message, v->observed, &verdict);
        if (verdict.outcome != v->outcome)
            printf("\n%s: %s\n", v->name, outcome_id(verdict.outcome));
        CU_ASSERT_EQUAL(verdict.outcome, v->outcome);
        if (v->goes_on == NULL)
            continue;
        size_t wanted = unhex(v->goes_on, expected);
        size_t got =
            coap_guard_rebuild(&message, &verdict, bytes_of(NULL, 0), COAP_NON, 1, NULL, 0, out, sizeof(out));
        bool same = got == wanted + 4 && memcmp(out + 4, expected, wanted) == 0;
        if (!same)
            printf("\n%s: %zu bytes go on\n", v->name, got);
        CU_ASSERT_TRUE(same);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"requests", test_requests},
        {"observing (G6)", test_observing},
        {"G6: observing, against an enforced rule (E2)", test_observe_of_an_enforced_rule},
        {"Echo of the origin", test_echo_of_origin},
        {"Hop-Limit (RFC 8768)", test_hop_limit},
        {"responses", test_responses}};
    return unit_run("coap_guard", tests, sizeof(tests) / sizeof(tests[0]));
}
