/* SPDX-License-Identifier: GPL-2.0-or-later */
/* topic.h: names, filters, containment and intersection (MQTT 5.0 s.4.7, 4.8; D4, D5). */
#include "policy/access/topic.h"
#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct bytes text(const char *s)
{
    return bytes_of_text(s);
}

static void validity(void)
{
    static const struct {
        const char *topic;
        bool name, filter;
    } t[] = {
        {"a", true, true},      {"/", true, true},       {"a//b", true, true},   {"$SYS/x", true, true},
        {" ", true, true},      {"", false, false},      {"+", false, true},     {"#", false, true},
        {"a/+/b", false, true}, {"+/+", false, true},    {"a/#", false, true},   {"/#", false, true},
        {"a#", false, false},   {"a/#/b", false, false}, {"#/", false, false},   {"a+/b", false, false},
        {"a/+b", false, false}, {"##", false, false},    {"a/##", false, false}, {"++", false, false},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        CU_ASSERT_EQUAL(topic_name_valid(text(t[i].topic)), t[i].name);
        CU_ASSERT_EQUAL(topic_filter_valid(text(t[i].topic)), t[i].filter);
    }
    CU_ASSERT_FALSE(topic_name_valid(bytes_of("a\0b", 3)));
    CU_ASSERT_FALSE(topic_filter_valid(bytes_of("a\0b", 3)));
    CU_ASSERT_FALSE(topic_name_valid(bytes_of(NULL, 0)));
}

static void levels(void)
{
    CU_ASSERT_EQUAL(topic_levels(text("a")), 1);
    CU_ASSERT_EQUAL(topic_levels(text("")), 1);
    CU_ASSERT_EQUAL(topic_levels(text("/")), 2);
    CU_ASSERT_EQUAL(topic_levels(text("a//b/")), 4);
    struct cursor c = cursor_of(text("a//"));
    bool end = false;
    struct bytes level;
    CU_ASSERT_TRUE(topic_next_level(&c, &end, &level) && bytes_equal(level, text("a")));
    CU_ASSERT_TRUE(topic_next_level(&c, &end, &level) && level.len == 0);
    CU_ASSERT_TRUE(topic_next_level(&c, &end, &level) && level.len == 0);
    CU_ASSERT_FALSE(topic_next_level(&c, &end, &level));
}

static void matching(void)
{
    static const struct {
        const char *clause, *filter, *topic;
        bool matches;
    } t[] = {
        {"s.4.7.1.2", "sport/tennis/player1/#", "sport/tennis/player1", true},
        {"s.4.7.1.2", "sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"s.4.7.1.2", "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"s.4.7.1.2", "sport/#", "sport", true},
        {"s.4.7.1.2", "sport/#", "sports", false},
        {"s.4.7.1.2", "#", "a/b/c", true},
        {"s.4.7.1.2", "#", "/", true},
        {"s.4.7.1.3", "sport/tennis/+", "sport/tennis/player1", true},
        {"s.4.7.1.3", "sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"s.4.7.1.3", "sport/+", "sport", false},
        {"s.4.7.1.3", "sport/+", "sport/", true},
        {"s.4.7.1.3", "+/+", "/finance", true},
        {"s.4.7.1.3", "/+", "/finance", true},
        {"s.4.7.1.3", "+", "/finance", false},
        {"s.4.7.1.3", "+/tennis/#", "x/tennis", true},
        {"s.4.7.2-1", "#", "$SYS/monitor", false},
        {"s.4.7.2-1", "+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"s.4.7.2-1", "+", "$SYS", false},
        {"s.4.7.2", "$SYS/#", "$SYS/monitor", true},
        {"s.4.7.2", "$SYS/#", "$SYS", true},
        {"s.4.7.2", "$SYS/monitor/+", "$SYS/monitor/Clients", true},
        {"s.4.7.2: only the first byte counts", "a/+", "a/$b", true},
        {"s.4.7.2: only the first byte counts", "+/$SYS", "a/$SYS", true},
        {"s.4.7.3-4: bytes as they are", "ACCOUNTS", "Accounts", false},
        {"s.4.7.3: an empty level is a level", "a/b", "a//b", false},
        {"s.4.7.3: an empty level is a level", "a/+/b", "a//b", true},
        {"s.4.7.3", "/a", "a", false},
        {"s.4.7.3", "a", "a/", false},
        {"s.4.7.3", "a/", "a/", true},
        {"a name may hold what a filter may not (CoAP)", "a/+", "a/#", true},
        {"no prefix match", "a/b", "a/bc", false},
        {"no prefix match", "a/bc", "a/b", false},
        {"deeper", "a", "a/b", false},
        {"shallower", "a/b", "a", false},
    };
    for (size_t i = 0; i < COUNT(t); i++)
        CU_ASSERT_EQUAL(topic_matches(text(t[i].filter), text(t[i].topic)), t[i].matches);
    /* U+00E9 and e + U+0301 are different topics: no normalisation (s.4.7.3-4). */
    CU_ASSERT_FALSE(topic_matches(text("caf\xC3\xA9"), text("cafe\xCC\x81")));
}

static void containment(void)
{
    static const struct {
        const char *outer, *inner;
        bool contains;
    } t[] = {
        {"a", "a", true},         {"a", "b", false},          {"#", "#", true},
        {"#", "a/+/b", true},     {"#", "+/#", true},         {"#", "+", true},
        {"+", "#", false},        {"+/#", "#", true},         {"+/#", "+", true},
        {"+/+/#", "#", false},    {"a/+/#", "a/#", false},    {"a/#", "a/+/#", true},
        {"a/+", "a/#", false},    {"a/#", "a/+/b", true},     {"a/#", "a", true},
        {"a/#", "a/#", true},     {"a/#", "a/", true},        {"a/#", "+/b", false},
        {"a/#", "#", false},      {"a/+", "a/b", true},       {"a/+", "a/+", true},
        {"a/b", "a/+", false},    {"a/+/c", "a/b/+", false},  {"+/+", "a/b", true},
        {"+/+", "a", false},      {"+", "a/b", false},        {"a/b/#", "a/#", false},
        {"#", "$SYS/#", false},   {"#", "$SYS", false},       {"+/x", "$SYS/x", false},
        {"+/#", "$SYS/#", false}, {"$SYS/#", "$SYS/#", true}, {"$SYS/#", "$SYS/+/x", true},
        {"$SYS/#", "#", false},   {"$SYS/+", "+/x", false},   {"#", "/#", true},
        {"#", "+/$SYS/#", true},  {"a/+", "a/", true},        {"a//#", "a/+/#", false},
        {"a/+/#", "a//#", true},  {"a/+/#", "a", false},      {"a/+/#", "a/b", true},
    };
    for (size_t i = 0; i < COUNT(t); i++)
        CU_ASSERT_EQUAL(topic_filter_contains(text(t[i].outer), text(t[i].inner)), t[i].contains);
}

static void intersection(void)
{
    static const struct {
        const char *a, *b;
        bool intersects;
    } t[] = {
        {"a/b", "a/+", true},     {"a/+", "+/b", true},       {"a/+", "b/+", false},
        {"a/#", "a", true},       {"a/#", "+", true},         {"a/#", "a/b/c", true},
        {"a/b/#", "a", false},    {"a/b/#", "a/+", true},     {"#", "a", true},
        {"#", "#", true},         {"#", "$SYS/#", false},     {"+/a", "$SYS/a", false},
        {"+/#", "$SYS", false},   {"$SYS/#", "$SYS/+", true}, {"$SYS/#", "$SYS", true},
        {"a/+/c", "a/b/+", true}, {"a/+/c", "a/b", false},    {"a", "a/", false},
        {"a/+", "a/", true},      {"+/b/#", "a/c/#", false},  {"a/b", "a/b", true},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        CU_ASSERT_EQUAL(topic_filter_intersects(text(t[i].a), text(t[i].b)), t[i].intersects);
        CU_ASSERT_EQUAL(topic_filter_intersects(text(t[i].b), text(t[i].a)), t[i].intersects);
    }
}

/* Containment and intersection against their meaning: all filters and topics of up to three levels over a
 * small alphabet. A literal that no filter names stands for every other one. */
static const char *const filter_levels[] = {"a", "$b", "", "+", "#"};
static const char *const topic_words[] = {"a", "$b", "", "other"};

static size_t combine(char out[][32], const char *const *words, size_t words_n, bool filters)
{
    size_t n = 0;
    for (size_t i = 0; i < words_n; i++)
        for (size_t j = 0; j <= words_n; j++)
            for (size_t k = 0; k <= words_n; k++) {
                if (j == words_n && k != words_n)
                    continue;
                snprintf(out[n], 32, "%s%s%s%s%s", words[i], j < words_n ? "/" : "",
                         j < words_n ? words[j] : "", k < words_n ? "/" : "", k < words_n ? words[k] : "");
                /* The name without bytes is no MQTT topic, but the root of a CoAP server. */
                if (!filters || topic_filter_valid(text(out[n])))
                    n++;
            }
    return n;
}

static void exhaustive(void)
{
    static char filter[256][32], topic[256][32];
    size_t filters = combine(filter, filter_levels, COUNT(filter_levels), true);
    size_t topics = combine(topic, topic_words, COUNT(topic_words), false);
    CU_ASSERT_TRUE(filters > 80 && topics > 60);
    size_t wrong = 0;
    for (size_t i = 0; i < filters; i++)
        for (size_t j = 0; j < filters; j++) {
            bool contains = true, intersects = false;
            for (size_t k = 0; k < topics; k++) {
                bool a = topic_matches(text(filter[i]), text(topic[k]));
                bool b = topic_matches(text(filter[j]), text(topic[k]));
                contains = contains && (a || !b);
                intersects = intersects || (a && b);
            }
            wrong += topic_filter_contains(text(filter[i]), text(filter[j])) != contains;
            wrong += topic_filter_intersects(text(filter[i]), text(filter[j])) != intersects;
        }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void shares(void)
{
    static const struct {
        const char *filter;
        bool ok, shared;
        const char *group, *inner;
    } t[] = {
        {"a/b", true, false, "", "a/b"},
        {"$share/g/a/b", true, true, "g", "a/b"},
        {"$share/g/#", true, true, "g", "#"},
        {"$share/g//a", true, true, "g", "/a"},
        {"$share/g/$SYS/#", true, true, "g", "$SYS/#"},
        {"$share/", false, false, "", ""},
        {"$share/g", false, false, "", ""},
        {"$share/g/", false, false, "", ""},
        {"$share//x", false, false, "", ""},
        {"$share/+/x", false, false, "", ""},
        {"$share/#/x", false, false, "", ""},
        {"$share/a+/x", false, false, "", ""},
        {"$share/g/$share/h/x", false, false, "", ""},
        {"$share", true, false, "", "$share"},
        {"$Share/g/x", true, false, "", "$Share/g/x"},
        {"$shared/g/x", true, false, "", "$shared/g/x"},
        {"$queue/a/b", true, true, "", "a/b"},
        {"$queue/", false, false, "", ""},
        {"$queue/$share/g/x", false, false, "", ""},
        {"$exclusive/a", true, false, "", "a"},
        {"$exclusive/", false, false, "", ""},
        {"$exclusive/$queue/x", false, false, "", ""},
        {"$delayed/15/a/b", true, false, "", "a/b"},
        {"$delayed/15", false, false, "", ""},
        {"$delayed/x/a", false, false, "", ""},
        {"$delayed//a", false, false, "", ""},
        {"$delayed/1/$delayed/2/a", false, false, "", ""},
        {"$SYS/#", true, false, "", "$SYS/#"},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct topic_share share;
        CU_ASSERT_EQUAL(topic_share_parse(text(t[i].filter), &share), t[i].ok);
        if (!t[i].ok)
            continue;
        CU_ASSERT_EQUAL(share.shared, t[i].shared);
        CU_ASSERT_TRUE(bytes_equal(share.group, text(t[i].group)));
        CU_ASSERT_TRUE(bytes_equal(share.inner, text(t[i].inner)));
    }
}

/* What a PUBLISH names is what is behind "$delayed/n/", and nothing else has such a form. */
static void delayed(void)
{
    static const struct {
        const char *topic;
        bool ok;
        const char *inner;
    } t[] = {
        {"a/b", true, "a/b"},
        {"$SYS/x", true, "$SYS/x"},
        {"$share/g/a", true, "$share/g/a"},
        {"$queue/a", true, "$queue/a"},
        {"$delayed", true, "$delayed"},
        {"$Delayed/5/a", true, "$Delayed/5/a"},
        {"$delayed/5/a/b", true, "a/b"},
        {"$delayed/4294967296/$SYS/x", true, "$SYS/x"},
        {"$delayed/5//a", true, "/a"},
        {"$delayed/", false, ""},
        {"$delayed/5", false, ""},
        {"$delayed/5/", false, ""},
        {"$delayed//a", false, ""},
        {"$delayed/-5/a", false, ""},
        {"$delayed/5/$delayed/5/a", false, ""},
        {"$delayed/5/$share/g/a", false, ""},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct bytes inner;
        CU_ASSERT_EQUAL(topic_publish_parse(text(t[i].topic), &inner), t[i].ok);
        if (t[i].ok)
            CU_ASSERT_TRUE(bytes_equal(inner, text(t[i].inner)));
    }
}

/* CVE-2019-11779 and its like: nothing recurses over levels. */
static void deep(void)
{
    static uint8_t slashes[65535];
    memset(slashes, '/', sizeof(slashes));
    struct bytes topic = bytes_of(slashes, sizeof(slashes));
    CU_ASSERT_EQUAL(topic_levels(topic), 65536);
    CU_ASSERT_TRUE(topic_name_valid(topic));
    CU_ASSERT_TRUE(topic_matches(text("#"), topic));
    CU_ASSERT_TRUE(topic_matches(topic, topic));
    CU_ASSERT_TRUE(topic_filter_contains(topic, topic));
    CU_ASSERT_TRUE(topic_filter_intersects(topic, topic));
    CU_ASSERT_FALSE(topic_filter_contains(text("+/+"), topic));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"names and filters (s.4.7.1, 4.7.3)", validity},
        {"levels, empty ones too", levels},
        {"matching (s.4.7)", matching},
        {"containment (D5)", containment},
        {"intersection (D5)", intersection},
        {"containment and intersection against their meaning", exhaustive},
        {"prefixes of shared subscriptions (s.4.8.2)", shares},
        {"delayed publishes", delayed},
        {"65535 slashes", deep},
    };
    return unit_run("topic", tests, COUNT(tests));
}
