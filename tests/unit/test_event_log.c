/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/event_log.h"
#include "gateway/json.h"
#include "policy/utf8.h"
#include "tests/unit/runner.h"

#include <jansson.h>
#include <unistd.h>

static const struct event_log_config names = {.file = NULL, .observer = "gw", .version = "0"};

/* Whatever bytes an attacker chooses, the line is one JSON object in valid UTF-8, and the value is found
 * again. */
static void hostile_topics_stay_inside_their_string(void)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"plain", "trucks/001/location", 19},
        {"quote and backslash", "a\"b\\c", 5},
        {"line feed forges no second line", "a\n{\"event\":1}", 13},
        {"C0 80", "a\xc0\x80z", 4},
        {"surrogate", "\xed\xa0\x80", 3},
        {"truncated at the end", "ab\xf0\x9f", 4},
        {"lone F0", "\xf0", 1},
        {"NUL and DEL", "\0\x7f", 2},
        {"good multi-byte", "\xe2\x82\xac", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[8192];
        struct event event = {.kind = EVENT_MQTT_PUBLISH_DENIED,
                              .outcome = OUTCOME_DEFAULT_DENY,
                              .mqtt_type = 3,
                              .mqtt_version = 5};
        event_set_topic(&event, bytes_of(cases[i].bytes, cases[i].len));
        CU_ASSERT_TRUE_FATAL(event_format(&event, &names, 1, line, sizeof(line)));
        CU_ASSERT_TRUE(utf8_check_reference(bytes_of_text(line), UTF8_TEXT));
        CU_ASSERT_PTR_NULL(strchr(line, '\n'));
        json_error_t error;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (object == NULL)
            printf("\n  %s: %s in %s\n", cases[i].name, error.text, line);
        CU_ASSERT_PTR_NOT_NULL_FATAL(object);
        json_decref(object);
    }
}

static void every_kind_and_outcome_is_named(void)
{
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++)
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
            char line[8192];
            struct event event = {.kind = (enum event_kind)kind,
                                  .outcome = (enum outcome)outcome,
                                  .session = 7,
                                  .ruleset = 3,
                                  .source = ip_address_v4(0x0a140011),
                                  .has_mac = true};
            CU_ASSERT_TRUE_FATAL(event_format(&event, &names, 1, line, sizeof(line)));
            json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
            CU_ASSERT_PTR_NOT_NULL_FATAL(object);
            CU_ASSERT_STRING_EQUAL(
                json_string_value(json_object_get(json_object_get(object, "source"), "ip")), "10.20.0.17");
            json_decref(object);
        }
}

static void the_largest_event_fits(void)
{
    static char line[8192];
    struct event event = {.kind = EVENT_MQTT_PUBLISH_DENIED, .outcome = OUTCOME_DEFAULT_DENY, .mqtt_type = 3};
    memset(event.client_id, 1, sizeof(event.client_id) - 1);
    memset(event.user, 1, sizeof(event.user) - 1);
    memset(event.identity, 1, sizeof(event.identity) - 1);
    memset(event.role, 1, sizeof(event.role) - 1);
    memset(event.rule, 1, sizeof(event.rule) - 1);
    memset(event.listener, 1, sizeof(event.listener) - 1);
    memset(event.detail, 1, sizeof(event.detail) - 1);
    memset(event.topic, 0xff, sizeof(event.topic));
    event.topic_len = sizeof(event.topic);
    CU_ASSERT_TRUE(event_format(&event, &names, UINT64_MAX, line, sizeof(line)));
    CU_ASSERT_FALSE(event_format(&event, &names, UINT64_MAX, line, 1000)); /* and a short buffer is noticed */
}

static uint32_t count_lines(const char *file, uint64_t *repeats)
{
    char line[8192];
    uint32_t n = 0;
    FILE *in = fopen(file, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    *repeats = 0;
    while (fgets(line, sizeof(line), in) != NULL) {
        json_t *object = json_loads(line, 0, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(object);
        *repeats +=
            (uint64_t)json_integer_value(json_object_get(json_object_get(object, "sallyport"), "repeats"));
        json_decref(object);
        n++;
    }
    fclose(in);
    return n;
}

static void repeats_are_folded_and_none_is_lost(void)
{
    char file[] = "/tmp/sallyport-events-XXXXXX";
    int fd = mkstemp(file);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    close(fd);
    struct event_log_config config = {.file = file, .observer = "gw", .version = "0"};
    struct event_log *log = event_log_create(&config);
    struct event_ring *ring = event_ring_create(64);
    uint64_t now = 1000000;
    for (uint32_t i = 0; i < 500; i++) {
        struct event *event = event_ring_begin(ring);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        event->kind = EVENT_MQTT_PUBLISH_DENIED;
        event->session = 1 + i % 2;
        event_ring_commit(ring);
        event_log_drain(log, ring, now);
    }
    event_log_tick(log, now);
    uint64_t repeats;
    CU_ASSERT_EQUAL(count_lines(file, &repeats), 2);
    event_log_tick(log, now + 1000001);
    CU_ASSERT_EQUAL(count_lines(file, &repeats), 4);
    CU_ASSERT_EQUAL(repeats, 498);
    /* What takes the place of a folding that is over does not tell its repeats once more. */
    for (uint32_t i = 0; i < 3; i++) {
        struct event *event = event_ring_begin(ring);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        event->kind = EVENT_MQTT_PUBLISH_DENIED;
        event->session = 3 + i;
        event_ring_commit(ring);
    }
    event_log_drain(log, ring, now + 2000000);
    event_log_tick(log, now + 4000000);
    CU_ASSERT_EQUAL(count_lines(file, &repeats), 7);
    CU_ASSERT_EQUAL(repeats, 498);
    CU_ASSERT_EQUAL(event_log_lost(log), 0);
    event_log_destroy(log);
    event_ring_destroy(ring);
    unlink(file);
}

static void a_full_disk_loses_lines_and_says_so(void)
{
    struct event_log_config config = {.file = "/dev/full", .observer = "gw", .version = "0"};
    struct event_log *log = event_log_create(&config);
    struct event event = {.kind = EVENT_STARTED};
    for (int i = 0; i < 10; i++)
        event_log_write(log, &event);
    event_log_tick(log, 1);
    CU_ASSERT_NOT_EQUAL(event_log_error(log), 0);
    CU_ASSERT_EQUAL(event_log_lost(log), 10);
    event_log_destroy(log);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"H2: hostile topics", hostile_topics_stay_inside_their_string},
        {"H2: every kind and outcome", every_kind_and_outcome_is_named},
        {"H2: the largest event", the_largest_event_fits},
        {"H2: folding", repeats_are_folded_and_none_is_lost},
        {"H2: a full disk", a_full_disk_loses_lines_and_says_so},
    };
    return unit_run("event log", tests, sizeof(tests) / sizeof(tests[0]));
}
