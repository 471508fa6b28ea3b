/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The property table (MQTT 5.0 s.2.2.2.2, table 2-4): every property at every place, of both senders (D1,
 * D3). */
#include "policy/mqtt/property.h"
#include "tests/unit/mqtt_vector.h"
#include "tests/unit/runner.h"

/* What the specification's own table says, by the names of the places. */
static const struct {
    unsigned int id;
    const char *name;
    const char *value; /* a good one */
    const char *places;
    bool many_everywhere;
} table[] = {
    {0x01, "Payload Format Indicator", "01", "PUBLISH WILL", false},
    {0x02, "Message Expiry Interval", "00000001", "PUBLISH WILL", false},
    {0x03, "Content Type", "['t']", "PUBLISH WILL", false},
    {0x08, "Response Topic", "['r']", "PUBLISH WILL", false},
    {0x09, "Correlation Data", "[C080]", "PUBLISH WILL", false},
    {0x0B, "Subscription Identifier", "01", "PUBLISH SUBSCRIBE", false},
    {0x11, "Session Expiry Interval", "00000001", "CONNECT CONNACK DISCONNECT", false},
    {0x12, "Assigned Client Identifier", "['c']", "CONNACK", false},
    {0x13, "Server Keep Alive", "0001", "CONNACK", false},
    {0x15, "Authentication Method", "['m']", "CONNECT CONNACK AUTH", false},
    {0x16, "Authentication Data", "[FF]", "CONNECT CONNACK AUTH", false},
    {0x17, "Request Problem Information", "01", "CONNECT", false},
    {0x18, "Will Delay Interval", "00000001", "WILL", false},
    {0x19, "Request Response Information", "01", "CONNECT", false},
    {0x1A, "Response Information", "['i']", "CONNACK", false},
    {0x1C, "Server Reference", "['s']", "CONNACK DISCONNECT", false},
    {0x1F, "Reason String", "['r']", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH",
     false},
    {0x21, "Receive Maximum", "0001", "CONNECT CONNACK", false},
    {0x22, "Topic Alias Maximum", "0001", "CONNECT CONNACK", false},
    {0x23, "Topic Alias", "0001", "PUBLISH", false},
    {0x24, "Maximum QoS", "01", "CONNACK", false},
    {0x25, "Retain Available", "01", "CONNACK", false},
    {0x26, "User Property", "['k'] ['v']",
     "CONNECT CONNACK PUBLISH WILL PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK "
     "DISCONNECT "
     "AUTH",
     true},
    {0x27, "Maximum Packet Size", "00000001", "CONNECT CONNACK", false},
    {0x28, "Wildcard Subscription Available", "01", "CONNACK", false},
    {0x29, "Subscription Identifier Available", "01", "CONNACK", false},
    {0x2A, "Shared Subscription Available", "01", "CONNACK", false},
};
#define PROPERTIES (sizeof(table) / sizeof(table[0]))

enum { CLIENT = 1, SERVER = 2, BOTH = 3 };

/* A packet around a property section, which stands for the %s. */
static const struct place {
    const char *name;
    int senders;
    const char *packet;
} places[] = {
    {"CONNECT", CLIENT, "10 < ['MQTT'] 05 02 0000 < %s > ['c'] >"},
    {"WILL", CLIENT, "10 < ['MQTT'] 05 06 0000 <> ['c'] < %s > ['w'] [] >"},
    {"CONNACK", SERVER, "20 < 00 00 < %s > >"},
    {"PUBLISH", BOTH, "30 < ['a'] < %s > >"},
    {"PUBACK", BOTH, "40 < 0001 00 < %s > >"},
    {"PUBREC", BOTH, "50 < 0001 00 < %s > >"},
    {"PUBREL", BOTH, "62 < 0001 00 < %s > >"},
    {"PUBCOMP", BOTH, "70 < 0001 00 < %s > >"},
    {"SUBSCRIBE", CLIENT, "82 < 0001 < %s > ['a'] 00 >"},
    {"SUBACK", SERVER, "90 < 0001 < %s > 00 >"},
    {"UNSUBSCRIBE", CLIENT, "A2 < 0001 < %s > ['a'] >"},
    {"UNSUBACK", SERVER, "B0 < 0001 < %s > 00 >"},
    {"DISCONNECT", BOTH, "E0 < 00 < %s > >"},
    {"AUTH", BOTH, "F0 < 18 < %s > >"},
};
#define PLACES (sizeof(places) / sizeof(places[0]))

static enum outcome outcome_of(const struct place *place, enum mqtt_sender sender, const char *section)
{
    char notation[1024];
    struct mqtt_framer f;
    struct mqtt_packet packet;
    char *mark = strstr(place->packet, "%s");
    snprintf(notation, sizeof(notation), "%.*s%s%s", (int)(mark - place->packet), place->packet, section,
             mark + 2);
    struct vector v = vector_of(notation);
    struct cursor in = cursor_of(bytes_of(v.at, v.len));
    bool connect = v.at[0] == 0x10;
    mqtt_framer_init(&f, sender, connect ? MQTT_VERSION_UNKNOWN : MQTT_5, UINT32_C(1) << 28,
                     UINT32_C(1) << 28);
    enum mqtt_step step = mqtt_framer_next(&f, &in, &packet);
    free(v.at);
    return step == MQTT_STEP_PACKET ? OUTCOME_ALLOWED : f.fault;
}

/* What the standard forbids to one side only. */
static bool wrong_side(const char *place, unsigned int id, enum mqtt_sender sender)
{
    if (sender == MQTT_FROM_CLIENT) /* [3.3.4-6], s.3.14.2.2.5 */
        return (id == 0x0B && strcmp(place, "PUBLISH") == 0) ||
               (id == 0x1C && strcmp(place, "DISCONNECT") == 0);
    return id == 0x11 && strcmp(place, "DISCONNECT") == 0; /* [3.14.2-2] */
}

static bool named_in(const char *places_of, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = places_of; (at = strstr(at, name)) != NULL; at += n)
        if ((at == places_of || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

/* AUTH needs its method, and Authentication Data needs one anywhere: put before what is tested. */
static const char *needed_before(const struct place *place, unsigned int id)
{
    bool auth = strcmp(place->name, "AUTH") == 0;
    bool data_where_allowed = id == 0x16 && named_in("CONNECT CONNACK", place->name);
    return id != 0x15 && (auth || data_where_allowed) ? "15 ['m'] " : "";
}

static void check_at(const struct place *place, enum mqtt_sender sender, size_t i)
{
    char once[128], twice[256];
    bool here = named_in(table[i].places, place->name);
    bool many = table[i].many_everywhere ||
                (table[i].id == 0x0B && sender == MQTT_FROM_SERVER && strcmp(place->name, "PUBLISH") == 0);
    enum outcome expect_once = OUTCOME_ALLOWED;
    if (!here)
        expect_once = OUTCOME_MALFORMED_PROPERTY;
    else if (wrong_side(place->name, table[i].id, sender))
        expect_once = OUTCOME_BAD_PROPERTY;
    enum outcome expect_twice = expect_once == OUTCOME_ALLOWED && !many ? OUTCOME_BAD_PROPERTY : expect_once;
    snprintf(once, sizeof(once), "%s%02X %s", needed_before(place, table[i].id), table[i].id, table[i].value);
    snprintf(twice, sizeof(twice), "%s %02X %s", once, table[i].id, table[i].value);
    enum outcome got_once = outcome_of(place, sender, once), got_twice = outcome_of(place, sender, twice);
    if (got_once != expect_once || got_twice != expect_twice)
        fprintf(stderr, "\n%s at %s from %s: %s, twice %s\n", table[i].name, place->name,
                sender == MQTT_FROM_CLIENT ? "client" : "server", outcome_id(got_once),
                outcome_id(got_twice));
    CU_ASSERT_EQUAL(got_once, expect_once);
    CU_ASSERT_EQUAL(got_twice, expect_twice);
}

static void test_every_place(void)
{
    for (size_t p = 0; p < PLACES; p++)
        for (size_t i = 0; i < PROPERTIES; i++) {
            if ((places[p].senders & CLIENT) != 0)
                check_at(&places[p], MQTT_FROM_CLIENT, i);
            if ((places[p].senders & SERVER) != 0)
                check_at(&places[p], MQTT_FROM_SERVER, i);
        }
}

static void test_unknown_identifiers(void)
{
    for (unsigned int id = 0; id < 256; id++) {
        bool known = false;
        char section[64];
        for (size_t i = 0; i < PROPERTIES; i++)
            known |= table[i].id == id;
        if (known)
            continue;
        snprintf(section, sizeof(section), "%02X 00000000", id);
        for (size_t p = 0; p < PLACES; p++)
            CU_ASSERT_EQUAL(
                outcome_of(&places[p],
                           (places[p].senders & CLIENT) != 0 ? MQTT_FROM_CLIENT : MQTT_FROM_SERVER, section),
                OUTCOME_MALFORMED_PROPERTY);
    }
}

static const struct place *place_named(const char *name)
{
    for (size_t p = 0; p < PLACES; p++)
        if (strcmp(places[p].name, name) == 0)
            return &places[p];
    assert(false);
    return NULL;
}

/* Every value cut short by each number of bytes, by its section. */
static void test_cut_short(void)
{
    for (size_t i = 0; i < PROPERTIES; i++) {
        char first[32], section[64], *out;
        sscanf(table[i].places, "%31s", first);
        const struct place *place = place_named(first);
        struct vector v = vector_of(table[i].value);
        for (size_t keep = 0; keep < v.len; keep++) {
            out = section + snprintf(section, sizeof(section), "%02X ", table[i].id);
            for (size_t k = 0; k < keep; k++)
                out += snprintf(out, 3, "%02X", v.at[k]);
            enum mqtt_sender sender = place->senders == CLIENT ? MQTT_FROM_CLIENT : MQTT_FROM_SERVER;
            CU_ASSERT_EQUAL(outcome_of(place, sender, section), OUTCOME_MALFORMED_PROPERTY);
        }
        free(v.at);
    }
}

static void test_ranges(void)
{
    static const struct {
        const char *name, *place, *section;
        enum outcome outcome;
    } rows[] = {
        {"Payload Format 0", "PUBLISH", "01 00", OUTCOME_ALLOWED},
        {"Payload Format 2", "PUBLISH", "01 02", OUTCOME_BAD_PROPERTY},
        {"Payload Format 255, Will", "WILL", "01 FF", OUTCOME_BAD_PROPERTY},
        {"Message Expiry 0", "PUBLISH", "02 00000000", OUTCOME_ALLOWED},
        {"Message Expiry, greatest", "PUBLISH", "02 FFFFFFFF", OUTCOME_ALLOWED},
        {"Subscription Identifier 0 (s.3.8.2.1.2)", "SUBSCRIBE", "0B 00", OUTCOME_BAD_PROPERTY},
        {"Subscription Identifier, greatest", "SUBSCRIBE", "0B FFFFFF7F", OUTCOME_ALLOWED},
        {"Subscription Identifier of five bytes", "SUBSCRIBE", "0B 8080808001", OUTCOME_MALFORMED_PROPERTY},
        {"Subscription Identifier not minimal", "SUBSCRIBE", "0B 8000", OUTCOME_MALFORMED_PROPERTY},
        {"Session Expiry, for ever", "CONNECT", "11 FFFFFFFF", OUTCOME_ALLOWED},
        {"Session Expiry 0", "CONNECT", "11 00000000", OUTCOME_ALLOWED},
        {"Will Delay 0", "WILL", "18 00000000", OUTCOME_ALLOWED},
        {"Server Keep Alive 0", "CONNACK", "13 0000", OUTCOME_ALLOWED},
        {"Request Problem Information 2 (s.3.1.2.11.7)", "CONNECT", "17 02", OUTCOME_BAD_PROPERTY},
        {"Request Response Information 2 (s.3.1.2.11.6)", "CONNECT", "19 02", OUTCOME_BAD_PROPERTY},
        {"Receive Maximum 0 (s.3.1.2.11.3)", "CONNECT", "21 0000", OUTCOME_BAD_PROPERTY},
        {"Receive Maximum 0 (s.3.2.2.3.3)", "CONNACK", "21 0000", OUTCOME_BAD_PROPERTY},
        {"Receive Maximum, greatest", "CONNECT", "21 FFFF", OUTCOME_ALLOWED},
        {"Topic Alias Maximum 0", "CONNECT", "22 0000", OUTCOME_ALLOWED},
        {"Topic Alias 0 [3.3.2-8]", "PUBLISH", "23 0000", OUTCOME_BAD_TOPIC_ALIAS},
        {"Topic Alias, greatest", "PUBLISH", "23 FFFF", OUTCOME_ALLOWED},
        {"Maximum QoS 2 (s.3.2.2.3.4)", "CONNACK", "24 02", OUTCOME_BAD_PROPERTY},
        {"Maximum QoS 0", "CONNACK", "24 00", OUTCOME_ALLOWED},
        {"Retain Available 2 (s.3.2.2.3.5)", "CONNACK", "25 02", OUTCOME_BAD_PROPERTY},
        {"Maximum Packet Size 0 (s.3.1.2.11.4)", "CONNECT", "27 00000000", OUTCOME_BAD_PROPERTY},
        {"Maximum Packet Size 0 (s.3.2.2.3.6)", "CONNACK", "27 00000000", OUTCOME_BAD_PROPERTY},
        {"Wildcard Available 2 (s.3.2.2.3.11)", "CONNACK", "28 02", OUTCOME_BAD_PROPERTY},
        {"Identifier Available 2 (s.3.2.2.3.12)", "CONNACK", "29 02", OUTCOME_BAD_PROPERTY},
        {"Shared Available 2 (s.3.2.2.3.13)", "CONNACK", "2A 02", OUTCOME_BAD_PROPERTY},
        {"Content Type not UTF-8", "WILL", "03 [C080]", OUTCOME_MALFORMED_STRING},
        {"Response Topic not UTF-8", "WILL", "08 [C080]", OUTCOME_MALFORMED_STRING},
        {"Response Topic with wildcard", "WILL", "08 ['#']", OUTCOME_BAD_TOPIC},
        {"Correlation Data is binary", "PUBLISH", "09 [EDA080 FF 00]", OUTCOME_ALLOWED},
        {"Assigned Client Identifier not UTF-8", "CONNACK", "12 [EDA080]", OUTCOME_MALFORMED_STRING},
        {"Authentication Method not UTF-8", "CONNECT", "15 [FF]", OUTCOME_MALFORMED_STRING},
        {"Response Information not UTF-8", "CONNACK", "1A [FF]", OUTCOME_MALFORMED_STRING},
        {"Server Reference not UTF-8", "CONNACK", "1C [FF]", OUTCOME_MALFORMED_STRING},
        {"Reason String with NUL", "CONNACK", "1F [00]", OUTCOME_MALFORMED_STRING},
        {"User Property, empty", "CONNACK", "26 [] []", OUTCOME_ALLOWED},
        {"User Property without value", "CONNACK", "26 ['k']", OUTCOME_MALFORMED_PROPERTY},
        {"User Property, value past the end", "CONNACK", "26 ['k'] 0002 'v'", OUTCOME_MALFORMED_PROPERTY},
        {"User Property, value not UTF-8", "CONNACK", "26 ['k'] [F8]", OUTCOME_MALFORMED_STRING},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct place *place = place_named(rows[i].place);
        enum mqtt_sender sender = (place->senders & CLIENT) != 0 ? MQTT_FROM_CLIENT : MQTT_FROM_SERVER;
        enum outcome outcome = outcome_of(place, sender, rows[i].section);
        if (outcome != rows[i].outcome)
            fprintf(stderr, "\n%s: %s\n", rows[i].name, outcome_id(outcome));
        CU_ASSERT_EQUAL(outcome, rows[i].outcome);
    }
}

/* What a server says beside its answer in a well-formed string that is only not strict does not cost the
 * session: it is left out, wherever it stands; what is not well-formed is malformed at both levels. */
static void test_not_strict(void)
{
    static const struct {
        const char *name;
        enum mqtt_sender sender;
        enum mqtt_type place;
        const char *section;
        enum outcome outcome;
        uint32_t present;
    } rows[] = {
        {"Reason String", MQTT_FROM_SERVER, MQTT_PUBACK, "1F ['a' 07]", OUTCOME_ALLOWED, 0},
        {"Reason String, CONNACK", MQTT_FROM_SERVER, MQTT_CONNACK, "21 0005 1F ['a' 07]", OUTCOME_ALLOWED,
         MQTT_PROP_BIT(MQTT_PROP_RECEIVE_MAXIMUM)},
        {"Reason String, DISCONNECT", MQTT_FROM_SERVER, MQTT_DISCONNECT, "1F [EFBFBF]", OUTCOME_ALLOWED, 0},
        {"Reason String, SUBACK", MQTT_FROM_SERVER, MQTT_SUBACK, "1F [7F]", OUTCOME_ALLOWED, 0},
        {"User Property, one of two", MQTT_FROM_SERVER, MQTT_PUBREC, "26 ['a'] ['b'] 26 ['c'] [01] 1F ['x']",
         OUTCOME_ALLOWED, MQTT_PROP_BIT(MQTT_PROP_REASON_STRING)},
        {"User Property, its name", MQTT_FROM_SERVER, MQTT_UNSUBACK, "26 [01] ['b']", OUTCOME_ALLOWED, 0},
        {"Server Reference", MQTT_FROM_SERVER, MQTT_CONNACK, "1C ['b' 0A]", OUTCOME_ALLOWED, 0},
        {"Response Information", MQTT_FROM_SERVER, MQTT_CONNACK, "1A [01]", OUTCOME_ALLOWED, 0},
        {"twice is an error all the same", MQTT_FROM_SERVER, MQTT_PUBACK, "1F [01] 1F [01]",
         OUTCOME_BAD_PROPERTY, 0},
        {"Assigned Client Identifier", MQTT_FROM_SERVER, MQTT_CONNACK, "12 ['a' 01]",
         OUTCOME_MALFORMED_STRING, 0},
        {"Authentication Method", MQTT_FROM_SERVER, MQTT_AUTH, "15 [01]", OUTCOME_MALFORMED_STRING, 0},
        {"a PUBLISH is refused whole", MQTT_FROM_SERVER, MQTT_PUBLISH, "26 ['a'] [01]",
         OUTCOME_MALFORMED_STRING, 0},
        {"of a client", MQTT_FROM_CLIENT, MQTT_PUBACK, "1F [01]", OUTCOME_MALFORMED_STRING, 0},
        {"C0 80 [MQTT-1.5.4-1]", MQTT_FROM_SERVER, MQTT_PUBACK, "1F [C080]", OUTCOME_MALFORMED_STRING, 0},
        {"U+0000 [MQTT-1.5.4-2]", MQTT_FROM_SERVER, MQTT_PUBACK, "26 ['a'] [00]", OUTCOME_MALFORMED_STRING,
         0},
        {"strict, then C0 80", MQTT_FROM_SERVER, MQTT_PUBACK, "26 [01] ['b'] 26 ['a'] [C080]",
         OUTCOME_MALFORMED_STRING, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vector v = vector_of(rows[i].section);
        struct mqtt_properties out = {0};
        enum outcome outcome =
            mqtt_properties_parse(&out, bytes_of(v.at, v.len), rows[i].place, rows[i].sender, UTF8_STRICT);
        if (outcome != rows[i].outcome)
            fprintf(stderr, "\n%s: %s\n", rows[i].name, outcome_id(outcome));
        CU_ASSERT_EQUAL(outcome, rows[i].outcome);
        CU_ASSERT_TRUE(outcome != OUTCOME_ALLOWED || out.present == rows[i].present);
        CU_ASSERT_TRUE(outcome != OUTCOME_ALLOWED || out.user_property_count == 0);
        free(v.at);
    }
}

/* The iterators find theirs among all others, and end. */
static void test_iterators(void)
{
    struct vector v =
        vector_of("26 ['a'] ['1'] 01 00 0B 05 03 ['t'] 26 ['b'] [] 02 00000001 0B 8001 09 [26 00] 23 0001");
    struct cursor users = cursor_of(bytes_of(v.at, v.len)), ids = users;
    struct bytes name, value;
    uint32_t id;
    CU_ASSERT_TRUE(mqtt_user_property_next(&users, &name, &value));
    CU_ASSERT_TRUE(bytes_equal(name, bytes_of_text("a")) && bytes_equal(value, bytes_of_text("1")));
    CU_ASSERT_TRUE(mqtt_user_property_next(&users, &name, &value));
    CU_ASSERT_TRUE(bytes_equal(name, bytes_of_text("b")) && value.len == 0);
    CU_ASSERT_FALSE(mqtt_user_property_next(&users, &name, &value));
    CU_ASSERT_FALSE(mqtt_user_property_next(&users, &name, &value));
    CU_ASSERT_TRUE(mqtt_subscription_id_next(&ids, &id) && id == 5);
    CU_ASSERT_TRUE(mqtt_subscription_id_next(&ids, &id) && id == 128);
    CU_ASSERT_FALSE(mqtt_subscription_id_next(&ids, &id));
    free(v.at);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"every property at every place, once and twice", test_every_place},
        {"identifiers that are none", test_unknown_identifiers},
        {"values cut short", test_cut_short},
        {"ranges and strings", test_ranges},
        {"well-formed and not strict (D3)", test_not_strict},
        {"iterators", test_iterators},
    };
    return unit_run("mqtt_property", tests, sizeof(tests) / sizeof(tests[0]));
}
