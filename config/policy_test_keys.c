/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of the policy's own tests (operators' surface 2.4; G5). */
#include "config/address.h"
#include "config/policy_option_keys.h"

#include <string.h>

#define MIB (INT64_C(1) << 20)

static void set_test_action(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    test->actions++;
    if (strcmp(value->key->name, "connect") == 0) {
        test->connect = true;
        if (value->number == 0)
            schema_error(read, value->origin, "'connect' is true or is not there; remove it, or write true");
        return;
    }
    for (unsigned int i = 0; i < ACL_ACTIONS; i++)
        if (strcmp(policy_action_words[i], value->key->name) == 0)
            test->action = (enum acl_action)i;
    bool path = test->action != ACL_PUBLISH && test->action != ACL_SUBSCRIBE;
    test->topic = path && value->text[0] == '/' ? value->text + 1 : value->text;
}

static void set_expect(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    ((struct policy_test *)into)->expect_allow = value->number == 1;
}

static void set_test_source(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    const char *problem = address_parse(value->text, test->source);
    if (problem != NULL)
        schema_refuse(read, value, problem);
    test->has_source = problem == NULL;
}

static void set_test_mac(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    const char *problem = address_parse_mac(value->text, test->mac);
    if (problem != NULL)
        schema_refuse(read, value, problem);
    test->has_mac = problem == NULL;
}

static void check_test(struct schema_read *read, const config_setting_t *setting, void *into)
{
    const struct policy_test *test = into;
    if (test->actions != 1)
        schema_error(read, load_origin(read->load, setting),
                     "test of '%.64s' has %s; write one of publish, subscribe or connect = true;",
                     test->as != NULL ? test->as : "?",
                     test->actions == 0 ? "nothing to try" : "more than one thing to try");
}

static const char *const expect_words[] = {"deny", "allow", NULL};

#define TEST(member) SCHEMA_INTO(struct policy_test, member)
#define METHOD(method)                                                                                       \
    {                                                                                                        \
        .name = method, .type = SCHEMA_TEXT, .feature = FEATURE_COAP, .set = set_test_action                 \
    }

static const struct schema_key test_keys[] = {
    {.name = "as", .type = SCHEMA_TEXT, .required = true, .max = 127, .example = "\"truck-017\"", TEST(as)},
    {.name = "publish", .type = SCHEMA_TEXT, .set = set_test_action},
    {.name = "subscribe", .type = SCHEMA_TEXT, .set = set_test_action},
    {.name = "connect", .type = SCHEMA_FLAG, .set = set_test_action},
    METHOD("GET"),
    METHOD("POST"),
    METHOD("PUT"),
    METHOD("DELETE"),
    METHOD("FETCH"),
    METHOD("PATCH"),
    METHOD("IPATCH"),
    METHOD("OBSERVE"),
    {.name = "expect",
     .type = SCHEMA_WORD,
     .required = true,
     .words = expect_words,
     .example = "\"deny\"",
     .set = set_expect},
    {.name = "qos", .type = SCHEMA_NUMBER, .min = 0, .max = 2, TEST(qos)},
    {.name = "retain", .type = SCHEMA_FLAG, TEST(retain)},
    {.name = "will", .type = SCHEMA_FLAG, TEST(will)},
    {.name = "payload", .type = SCHEMA_SIZE, .min = 0, .max = 256 * MIB, TEST(payload_bytes)},
    {.name = "query",
     .type = SCHEMA_TEXTS,
     .feature = FEATURE_COAP,
     .max = 255,
     .example = "\"from=1\"",
     .set = policy_set_test_query},
    {.name = "format",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_COAP,
     .max = 63,
     .example = "\"senml+cbor\"",
     .set = policy_set_test_format},
    {.name = "block", .type = SCHEMA_FLAG, .feature = FEATURE_COAP, TEST(block)},
    {.name = "source", .type = SCHEMA_TEXT, .max = 63, .example = "\"10.20.0.17\"", .set = set_test_source},
    {.name = "mac", .type = SCHEMA_TEXT, .max = 63, .example = "\"00:1d:9c:00:00:01\"", .set = set_test_mac},
    {.name = "vlan", .type = SCHEMA_NUMBER, .min = 1, .max = 4094, .example = "20", TEST(vlan)},
    {.name = "listener", .type = SCHEMA_NAME, .example = "\"mqtt\"", TEST(listener)},
    {.name = "port", .type = SCHEMA_NAME, .example = "\"iot\"", TEST(port)},
    {.name = "user", .type = SCHEMA_TEXT, .max = 255, TEST(user)},
    {.name = "cert_cn", .type = SCHEMA_TEXT, .feature = FEATURE_CERTIFICATE_NAME, .max = 255, TEST(cert_cn)},
    {.name = "cert_ou", .type = SCHEMA_TEXT, .feature = FEATURE_CERTIFICATE_NAME, .max = 255, TEST(cert_ou)},
    {.name = "cert_san",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_CERTIFICATE_NAME,
     .max = 255,
     TEST(cert_san)},
    {.name = "psk_id", .type = SCHEMA_TEXT, .feature = FEATURE_CERTIFICATE_NAME, .max = 255, TEST(psk_id)},
};
const struct schema_table policy_test_keys = {.what = "test", SCHEMA_KEYS(test_keys), .done = check_test};

void *policy_next_test(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct policy_draft *draft = into;
    void *tests =
        schema_grow(read, setting, draft->tests, draft->tests_n, &draft->tests_room, sizeof(*draft->tests));
    if (tests == NULL)
        return NULL;
    draft->tests = tests;
    struct policy_test *test = &draft->tests[draft->tests_n++];
    test->origin = load_origin(read->load, setting);
    test->vlan = -1;
    test->format = ACL_FORMAT_NONE;
    return test;
}
