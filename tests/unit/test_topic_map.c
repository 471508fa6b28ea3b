/* SPDX-License-Identifier: GPL-2.0-or-later */
/* E8: from CoAP paths to MQTT topics. */
#include "policy/access/topic_map.h"

#include "tests/unit/runner.h"

#define MAP(from, to)                                                                                        \
    {                                                                                                        \
        .file = "f", .line = 1, .path = from, .topic = to                                                    \
    }

static const struct topic_map maps[] = {
    MAP("status", "fleet/${id}/status"),
    MAP("t/{kind}", "fleet/${id}/${kind}"),
    MAP("t/{kind}/{unit}", "fleet/${id}/${unit}-${kind}"),
    MAP("a/{x}/b", "only/${x}"),
    MAP("a/{x}/{y}", "${y}/${x}"),
    MAP("v", "needs/${none}"),
    MAP("end/", "end"),
};
#define MAPS_N (sizeof(maps) / sizeof(maps[0]))

struct vector {
    const char *name;
    const char *path;
    const char *topic; /* NULL: none */
};

static const struct vector vectors[] = {
    {"E8: literal", "status", "fleet/p-1/status"},
    {"E8: captured", "t/temp", "fleet/p-1/temp"},
    {"E8: two captures, in another order", "t/temp/c", "fleet/p-1/c-temp"},
    {"E8: the first that fits decides", "a/1/b", "only/1"},
    {"E8: and the next when it does not", "a/1/c", "c/1"},
    {"E8: too short", "t", NULL},
    {"E8: too long", "t/a/b/c", NULL},
    {"E8: another case", "Status", NULL},
    {"E8: nothing", "", NULL},
    {"E8: an empty segment is not captured", "t/", NULL},
    {"E8: an empty literal", "end/", "end"},
    {"E8: and without it", "end", NULL},
    {"s.4.7.1: '+'", "t/+", NULL},
    {"s.4.7.1: '#'", "t/#", NULL},
    {"s.4.7.1: '+' within", "t/a+b", NULL},
    {"s.4.7.2: '$'", "a/1/$SYS", NULL},
    {"s.1.5.4: a control character", "t/a\x01", NULL},
    {"E8: a variable without a value", "v", NULL},
};

static struct acl *compile(struct acl_values *values)
{
    static const char *const names[] = {"id", "none"};
    static const struct acl_rule_spec rule = {.id = "r",
                                              .file = "f",
                                              .line = 1,
                                              .allow = true,
                                              .actions = 1 << ACL_GET,
                                              .topic = "x",
                                              .retain = -1,
                                              .will = -1};
    struct acl_problem problem;
    *values = (struct acl_values){.value = {bytes_of_text("p-1")}};
    struct acl *acl = acl_compile(&rule, 1, names, 2, &problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(acl);
    return acl;
}

static void test_vectors(void)
{
    struct acl_values values;
    struct acl *acl = compile(&values);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const struct vector *v = &vectors[i];
        uint8_t topic[TOPIC_MAP_BYTES_MAX];
        const struct topic_map *which = NULL;
        size_t n = topic_map_apply(maps, MAPS_N, acl, &values, bytes_of_text(v->path), topic, &which);
        bool good = v->topic == NULL ? n == 0 : bytes_equal(bytes_of(topic, n), bytes_of_text(v->topic));
        if (!good)
            printf("\n%s: %.*s\n", v->name, (int)n, (const char *)topic);
        CU_ASSERT_TRUE(good);
    }
    acl_destroy(acl);
}

/* A topic that would be longer than 1,024 bytes is none. */
static void test_long(void)
{
    static char segment[701];
    char path[1500];
    uint8_t topic[TOPIC_MAP_BYTES_MAX];
    struct acl_values values;
    const struct topic_map *which;
    struct acl *acl = compile(&values);
    memset(segment, 'x', 700);
    snprintf(path, sizeof(path), "a/%s/%.323s", segment, segment);
    CU_ASSERT_EQUAL(topic_map_apply(maps, MAPS_N, acl, &values, bytes_of_text(path), topic, &which), 1024);
    snprintf(path, sizeof(path), "a/%s/%.324s", segment, segment);
    CU_ASSERT_EQUAL(topic_map_apply(maps, MAPS_N, acl, &values, bytes_of_text(path), topic, &which), 0);
    acl_destroy(acl);
}

struct check {
    struct topic_map map;
    const char *wrong; /* how the sentence begins; NULL: good */
};

static void test_check(void)
{
    static const struct check checks[] = {
        {MAP("t/{a}", "x/${a}"), NULL},
        {MAP(NULL, "x"), "a map needs"},
        {MAP("t", NULL), "a map needs"},
        {MAP("t/x{a}", "x"), "a segment of the path"},
        {MAP("t/{}", "x"), "a segment of the path"},
        {MAP("t/{a", "x"), "a segment of the path"},
        {MAP("t/{a b}", "x"), "a capture of the path"},
        {MAP("{a}/{a}", "x"), "the path captures one name"},
        {MAP("{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "x"), "the path has more"},
        {MAP("t", ""), "the topic is empty"},
        {MAP("t", "a/+"), "the topic is one to publish"},
        {MAP("t", "a/#"), "the topic is one to publish"},
        {MAP("t", "/a"), "the topic is one to publish"},
        {MAP("t", "a\x01"), "the topic has a control"},
        {MAP("t", "a/${b"), "the topic has a '${'"},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const char *wrong = topic_map_check(&checks[i].map);
        bool good = checks[i].wrong == NULL
                        ? wrong == NULL
                        : wrong != NULL && strncmp(wrong, checks[i].wrong, strlen(checks[i].wrong)) == 0;
        if (!good)
            printf("\n%zu: %s\n", i, wrong == NULL ? "good" : wrong);
        CU_ASSERT_TRUE(good);
    }
    CU_ASSERT_TRUE(topic_map_captures(&maps[2], bytes_of_text("unit")));
    CU_ASSERT_FALSE(topic_map_captures(&maps[2], bytes_of_text("t")));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"vectors", test_vectors}, {"long", test_long}, {"check", test_check}};
    return unit_run("topic_map", tests, sizeof(tests) / sizeof(tests[0]));
}
