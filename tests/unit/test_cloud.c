/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cloud.h: what two clouds take (traps part 3; J). */
#include "policy/mqtt/cloud.h"

#include "tests/unit/runner.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void publishes(void)
{
    static const struct {
        enum cloud_profile profile;
        const char *client_id, *mount, *topic;
        bool retain, will;
        uint32_t payload;
        enum outcome outcome;
    } t[] = {
        {CLOUD_PLAIN, "d", "", "a/b/c/d/e/f/g/h/i/j", true, false, 1U << 28, OUTCOME_ALLOWED},
        {CLOUD_AWS, "d", "", "a/b/c/d/e/f/g/h", false, false, 131072, OUTCOME_ALLOWED},
        {CLOUD_AWS, "d", "", "a/b/c/d/e/f/g/h/i", false, false, 1, OUTCOME_TOPIC_TOO_DEEP},
        {CLOUD_AWS, "d", "m/", "a/b/c/d/e/f/g", false, false, 1, OUTCOME_ALLOWED},
        {CLOUD_AWS, "d", "m/", "a/b/c/d/e/f/g/h", false, false, 1, OUTCOME_TOPIC_TOO_DEEP},
        {CLOUD_AWS, "d", "m/n/", "$aws/b/c/d/e/f/g/h", false, false, 1, OUTCOME_ALLOWED}, /* not mounted */
        {CLOUD_AWS, "d", "", "a", false, false, 131073, OUTCOME_PAYLOAD_TOO_LARGE},
        {CLOUD_AWS, "d", "", "a", true, false, 1, OUTCOME_ALLOWED},
        {CLOUD_AWS, "d", "", "$aws/x", true, false, 1, OUTCOME_RETAIN_DENIED},
        {CLOUD_AWS, "d", "", "$aws/x", false, false, 1, OUTCOME_ALLOWED},
        {CLOUD_AZURE, "d", "", "devices/d/messages/events/", true, true, 262144, OUTCOME_ALLOWED},
        {CLOUD_AZURE, "d", "", "devices/d/messages/events/a=b", false, false, 262145,
         OUTCOME_PAYLOAD_TOO_LARGE},
        {CLOUD_AZURE, "d", "", "devices/e/messages/events/", false, false, 1, OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "d", "", "devices/dd/messages/events/", false, false, 1, OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "dd", "", "devices/d/messages/events/", false, false, 1, OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "d", "", "devices/d/messages/devicebound/", false, false, 1, OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "d", "devices/d/messages/events/", "x", false, false, 1, OUTCOME_ALLOWED},
        {CLOUD_AZURE, "d", "", "$iothub/twin/GET/?$rid=1", false, false, 0, OUTCOME_ALLOWED},
        {CLOUD_AZURE, "d", "", "$iothub/twin/PATCH/properties/reported/?$rid=1", false, false, 1,
         OUTCOME_ALLOWED},
        {CLOUD_AZURE, "d", "", "$iothub/methods/res/200/?$rid=1", false, false, 1, OUTCOME_ALLOWED},
        {CLOUD_AZURE, "d", "", "$iothub/twin/GET/?$rid=1", false, true, 0,
         OUTCOME_CLOUD_TOPIC}, /* as a Will */
        {CLOUD_AZURE, "d", "", "$iothub/other", false, false, 0, OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "d/m", "", "devices/d/modules/m/messages/events/", false, false, 1, OUTCOME_ALLOWED},
        {CLOUD_AZURE, "d/m", "", "devices/d/messages/events/", false, false, 1, OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "", "", "devices/", false, false, 1, OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "d", "", "", false, false, 1, OUTCOME_CLOUD_TOPIC},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct cloud_session s = {.profile = t[i].profile,
                                  .client_id = bytes_of_text(t[i].client_id),
                                  .mount = bytes_of_text(t[i].mount)};
        enum outcome outcome =
            cloud_judge_publish(&s, bytes_of_text(t[i].topic), t[i].retain, t[i].will, t[i].payload);
        if (outcome != t[i].outcome) {
            fprintf(stderr, "\n%zu %s: %s\n", i, t[i].topic, outcome_id(outcome));
            CU_FAIL("outcome");
        }
    }
    CU_PASS("all were judged");
}

static void filters(void)
{
    static const struct {
        enum cloud_profile profile;
        const char *filter;
        enum outcome outcome;
    } t[] = {
        {CLOUD_PLAIN, "#", OUTCOME_ALLOWED},
        {CLOUD_AWS, "a/+/#", OUTCOME_ALLOWED},
        {CLOUD_AWS, "a/b/c/d/e/f/g/#", OUTCOME_ALLOWED},
        {CLOUD_AWS, "a/b/c/d/e/f/g/h/#", OUTCOME_TOPIC_TOO_DEEP},
        {CLOUD_AZURE, "devices/d/messages/devicebound/#", OUTCOME_ALLOWED},
        {CLOUD_AZURE, "devices/d/messages/devicebound/+", OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "devices/e/messages/devicebound/#", OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "devices/d/messages/events/#", OUTCOME_CLOUD_TOPIC},
        {CLOUD_AZURE, "$iothub/twin/res/#", OUTCOME_ALLOWED},
        {CLOUD_AZURE, "$iothub/methods/POST/#", OUTCOME_ALLOWED},
        {CLOUD_AZURE, "$iothub/twin/PATCH/properties/desired/#", OUTCOME_ALLOWED},
        {CLOUD_AZURE, "#", OUTCOME_CLOUD_TOPIC},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct cloud_session s = {.profile = t[i].profile, .client_id = bytes_of_text("d")};
        CU_ASSERT_EQUAL(cloud_judge_filter(&s, bytes_of_text(t[i].filter)), t[i].outcome);
    }
}

/* Names beyond what is compared are judged by their length, not read past. */
static void long_names(void)
{
    static uint8_t name[65535];
    memset(name, 'a', sizeof(name));
    memcpy(name, "devices/d/messages/events/", 26);
    struct cloud_session azure = {.profile = CLOUD_AZURE, .client_id = bytes_of_text("d")};
    struct cloud_session aws = {
        .profile = CLOUD_AWS, .client_id = bytes_of_text("d"), .mount = bytes_of_text("m/")};
    CU_ASSERT_EQUAL(cloud_judge_publish(&azure, bytes_of(name, sizeof(name)), false, false, 1),
                    OUTCOME_ALLOWED);
    CU_ASSERT_EQUAL(cloud_judge_publish(&aws, bytes_of(name, 254), false, false, 1), OUTCOME_ALLOWED);
    CU_ASSERT_EQUAL(cloud_judge_publish(&aws, bytes_of(name, 255), false, false, 1), OUTCOME_TOPIC_TOO_DEEP);
    azure.client_id = bytes_of(name, 600);
    CU_ASSERT_EQUAL(cloud_judge_publish(&azure, bytes_of(name, sizeof(name)), false, false, 1),
                    OUTCOME_CLOUD_TOPIC);
}

static const struct unit_test tests[] = {
    {"PUBLISH (traps part 3)", publishes},
    {"SUBSCRIBE (traps part 3)", filters},
    {"long names", long_names},
};

int main(void)
{
    return unit_run("cloud", tests, COUNT(tests));
}
