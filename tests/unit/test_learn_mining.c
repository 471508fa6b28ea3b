/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mining.h: templates and findings of what was seen. */
#include "tests/unit/learn_lab.h"
#include "tests/unit/runner.h"

#include "policy/access/acl.h"
#include "policy/learn/mining.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Clients `first` to `last` of "dev-N", each at an address of its own unless one is given, say each topic; in
 * it %c is the client's own number, %n another number for each message. */
struct did {
    uint32_t first, last;
    uint32_t address; /* 0: the client's own */
    uint8_t action;
    uint32_t times; /* 0: once */
    const char *topic;
};

static void expand(const char *topic, uint32_t client, uint32_t number, char to[300])
{
    size_t n = 0;
    for (; *topic != '\0'; topic++)
        if (topic[0] == '%' && topic[1] == 'c' && topic++)
            n += (size_t)snprintf(to + n, 300 - n, "%u", client);
        else if (topic[0] == '%' && topic[1] == 'n' && topic++)
            n += (size_t)snprintf(to + n, 300 - n, "%u", number);
        else
            to[n++] = *topic;
    to[n] = '\0';
}

static void do_all(struct evidence *e, const struct did *did, size_t n)
{
    static uint32_t number;
    char name[32], topic[300];
    for (size_t i = 0; i < n && did[i].topic != NULL; i++)
        for (uint32_t client = did[i].first; client <= did[i].last; client++)
            for (uint32_t k = 0; k < (did[i].times == 0 ? 1 : did[i].times); k++) {
                snprintf(name, sizeof(name), "dev-%u", client);
                uint16_t place =
                    learn_lab_client(e, name, did[i].address != 0 ? did[i].address : 100000 + client);
                expand(did[i].topic, client, ++number, topic);
                learn_lab_see(e, place, did[i].action, topic, number);
            }
}

#define DID 12
static const struct {
    const char *name;
    struct did did[DID];
    const char *findings[DID]; /* "finding action template clients", in any order; COVERED ones left out */
} cases[] = {
    {"a value of the client's own becomes its variable",
     {{1, 20, 0, ACL_PUBLISH, 0, "fleet/dev-%c/gps"}, {1, 20, 0, ACL_SUBSCRIBE, 0, "fleet/dev-%c/cmd/+"}},
     {"proposed 0 fleet/${client_id}/gps 20", "proposed 1 fleet/${client_id}/cmd/+ 20"}},
    {"a level that varies becomes +",
     {{1, 20, 0, ACL_PUBLISH, 5, "logs/dev-%c/%n"}},
     {"proposed 0 logs/${client_id}/+ 20"}},
    {"two levels that vary", {{1, 20, 0, ACL_PUBLISH, 5, "logs/%n/run/%n"}}, {"proposed 0 logs/+/run/+ 20"}},
    {"texts that enough use stay texts",
     {{1, 20, 0, ACL_PUBLISH, 0, "a/one"}, {1, 10, 0, ACL_PUBLISH, 0, "a/two"}},
     {"proposed 0 a/one 20", "proposed 0 a/two 10"}},
    {"a topic of one client is apart",
     {{1, 20, 0, ACL_PUBLISH, 0, "a/one"}, {3, 3, 0, ACL_PUBLISH, 9, "debug/shell"}},
     {"proposed 0 a/one 20", "few-clients 0 debug/shell 1"}},
    {"another client's topic is apart, though several do it",
     {{1, 20, 0, ACL_PUBLISH, 0, "fleet/dev-%c/gps"}, {5, 9, 0, ACL_PUBLISH, 0, "fleet/dev-1/gps"}},
     {"proposed 0 fleet/${client_id}/gps 20", "foreign 0 fleet/dev-1/gps 5"}},
    {"nothing becomes + beside a variable",
     {{1, 20, 0, ACL_PUBLISH, 0, "fleet/dev-%c/gps"}, {1, 20, 0, ACL_PUBLISH, 5, "fleet/x%n/gps"}},
     {"proposed 0 fleet/${client_id}/gps 20", "foreign 0 fleet/+/gps 20"}},
    {"one client's variety is not a level that varies",
     {{1, 20, 0, ACL_PUBLISH, 0, "a/one"},
      {4, 4, 0, ACL_PUBLISH, 60, "a/%n"},
      {5, 5, 0, ACL_PUBLISH, 0, "a/x"}},
     {"proposed 0 a/one 20", "few-clients 0 a/+ 2"}},
    {"a role of one client is believed",
     {{1, 1, 0, ACL_PUBLISH, 50, "fleet/%n/cmd/stop"}, {1, 1, 0, ACL_SUBSCRIBE, 0, "fleet/#"}},
     {"proposed 0 fleet/+/cmd/stop 1", "proposed 1 fleet/# 1"}},
    {"one machine with many client ids is not many clients",
     {{1, 20, 0, ACL_PUBLISH, 0, "a/one"}, {100, 160, 77, ACL_PUBLISH, 0, "b/one"}},
     {"proposed 0 a/one 20", "few-sources 0 b/one 61"}},
    {"behind one address, clients are what counts",
     {{1, 20, 77, ACL_PUBLISH, 0, "fleet/dev-%c/gps"}, {2, 2, 77, ACL_PUBLISH, 0, "b/one"}},
     {"proposed 0 fleet/${client_id}/gps 20", "few-clients 0 b/one 1"}},
    {"everything is never proposed, nor what is the broker's own",
     {{1, 20, 0, ACL_SUBSCRIBE, 0, "#"},
      {1, 20, 0, ACL_SUBSCRIBE, 0, "+/+"},
      {1, 20, 0, ACL_SUBSCRIBE, 0, "$SYS/#"}},
     {"wide 1 # 20", "wide 1 +/+ 20", "wide 1 $SYS/# 20"}},
    {"what a rule cannot say (E2)",
     {{1, 20, 0, ACL_GET, 0, "a/+"}, {1, 20, 0, ACL_GET, 0, "a/x#y"}, {1, 20, 0, ACL_PUBLISH, 0, "a/${id}"}},
     {"unwritable 2 a/+ 20", "unwritable 2 a/x#y 20", "unwritable 0 a/${id} 20"}},
    {"a filter of a client takes in another",
     {{1, 20, 0, ACL_SUBSCRIBE, 0, "a/+"}, {1, 20, 0, ACL_SUBSCRIBE, 0, "a/b"}},
     {"proposed 1 a/+ 20"}},
    {"empty levels", {{1, 20, 0, ACL_PUBLISH, 0, "/a//"}}, {"proposed 0 /a// 20"}},
    {"a client named as a level does not make it a variable",
     {{1, 20, 0, ACL_PUBLISH, 0, "x/dev-3"}},
     {"proposed 0 x/dev-3 19"}},
};

static void describe(const struct mined *mined, char to[DID][400], uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < mined->findings_n && *n < DID; i++)
        if (mined->finding[i].kind != FINDING_COVERED)
            snprintf(to[(*n)++], 400, "%s %u %.300s %u", finding_id(mined->finding[i].kind),
                     mined->finding[i].action, mined->finding[i].topic, mined->finding[i].clients_n);
}

static bool same(char said[DID][400], uint32_t n, const char *const *expected)
{
    uint32_t wanted = 0, met = 0;
    for (; wanted < DID && expected[wanted] != NULL; wanted++)
        for (uint32_t i = 0; i < n; i++)
            met += strcmp(said[i], expected[wanted]) == 0;
    return met == wanted && wanted == n;
}

static void check_case(size_t i, const struct evidence *const *evidence, uint32_t n)
{
    char said[DID][400];
    uint32_t said_n;
    struct mined *mined = mine(evidence, n, MINING_SHARE_PERCENT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mined);
    describe(mined, said, &said_n);
    bool good = same(said, said_n, cases[i].findings);
    for (uint32_t k = 0; !good && k < said_n; k++)
        fprintf(stderr, "%s (of %u): %s\n", cases[i].name, n, said[k]);
    CU_ASSERT_TRUE(good);
    mined_destroy(mined);
}

static void tables(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct evidence *e = learn_lab_create();
        do_all(e, cases[i].did, DID);
        check_case(i, (const struct evidence *const[]){e}, 1);
        free(e);
    }
}

/* Seen by three workers, whose variables came in different orders, each client by one of them or by two. */
static void of_several_workers(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct evidence *e[3] = {learn_lab_create(), learn_lab_create(), learn_lab_create()};
        uint8_t nowhere[16] = {0};
        uint16_t other = evidence_client(e[1], bytes_of_text("other"), nowhere);
        evidence_value(e[1], other, bytes_of_text("id"), bytes_of_text("other"), true);
        evidence_value(e[1], other, bytes_of_text("var.x"), bytes_of_text("y"), true);
        e[1]->client[other].used = false; /* it only brought names */
        e[1]->clients_n--;
        for (size_t k = 0; k < DID && cases[i].did[k].topic != NULL; k++)
            for (uint32_t client = cases[i].did[k].first; client <= cases[i].did[k].last; client++) {
                struct did one = cases[i].did[k];
                one.first = one.last = client;
                do_all(e[client % 3], &one, 1);
                if (client % 4 == 0 && strstr(one.topic, "%n") == NULL)
                    do_all(e[(client + 1) % 3], &one, 1);
            }
        check_case(i, (const struct evidence *const[]){e[0], e[1], e[2]}, 3);
        for (int k = 0; k < 3; k++)
            free(e[k]);
    }
}

/* An example is what was seen, of whom; a proposal's template is what each of its clients said. */
static void examples(void)
{
    struct evidence *e = learn_lab_create();
    struct did did[] = {{1, 20, 0, ACL_PUBLISH, 3, "logs/dev-%c/%n"}};
    uint8_t topic[MINED_TOPIC_MAX];
    char text[64];
    do_all(e, did, 1);
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, MINING_SHARE_PERCENT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mined);
    CU_ASSERT_EQUAL_FATAL(mined->proposed_n, 1);
    const struct finding *f = &mined->finding[0];
    CU_ASSERT_TRUE_FATAL(f->example[0].there && f->example[1].there);
    CU_ASSERT_NOT_EQUAL(f->example[0].client, f->example[1].client);
    for (int i = 0; i < 2; i++) {
        uint32_t client = f->example[i].client;
        size_t n = mined_example_topic(mined, &f->example[i], client, topic, sizeof(topic));
        struct bytes name = mined_value(mined, client, "client_id");
        snprintf(text, sizeof(text), "logs/%.*s/", (int)name.len, (const char *)name.at);
        CU_ASSERT_TRUE(n > strlen(text) && memcmp(topic, text, strlen(text)) == 0);
        CU_ASSERT_TRUE(mined_allows(mined, client, ACL_PUBLISH, bytes_of(topic, n)));
        CU_ASSERT_FALSE(mined_allows(mined, client, ACL_SUBSCRIBE, bytes_of(topic, n)));
        CU_ASSERT_FALSE(mined_allows(mined, f->example[1 - i].client, ACL_PUBLISH, bytes_of(topic, n)));
        n = mined_expand(mined, f, client, topic, sizeof(topic));
        CU_ASSERT_TRUE(n == strlen(text) + 1 && topic[n - 1] == '+');
        CU_ASSERT_EQUAL(mined_expand(mined, f, client, topic, n - 1), 0);
    }
    mined_destroy(mined);
    free(e);
}

/* What one of many does is told, and proposed for nobody. */
static void one_does_not_widen(void)
{
    struct evidence *e = learn_lab_create();
    char name[32];
    for (uint32_t i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "dev-%u", i);
        struct evidence_act act = {.action = ACL_PUBLISH,
                                   .qos = i == 7 ? 2 : 1,
                                   .retain = i == 7,
                                   .payload_bytes = i == 7 ? 1000000 : 100 + i,
                                   .topic = bytes_of_text("t")};
        evidence_see(e, learn_lab_client(e, name, i), &act);
    }
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, MINING_SHARE_PERCENT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mined);
    CU_ASSERT_EQUAL_FATAL(mined->proposed_n, 1);
    const struct finding *f = &mined->finding[0];
    CU_ASSERT_TRUE(f->qos_mask == 2 && f->qos_seen == 6);
    CU_ASSERT_TRUE(!f->retain && f->retain_seen && f->message && !f->will);
    CU_ASSERT_TRUE(f->payload_max == 119 && f->payload_seen == 1000000);
    mined_destroy(mined);
    free(e);
}

/* What a rule denies is apart, whoever does it. */
static void denied(void)
{
    struct evidence *e = learn_lab_create();
    char name[32];
    for (uint32_t i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "dev-%u", i);
        struct evidence_act act = {.action = ACL_PUBLISH,
                                   .refusal = i == 7 ? EVIDENCE_DENIED : EVIDENCE_NOT_ALLOWED,
                                   .topic = bytes_of_text("t")};
        evidence_see(e, learn_lab_client(e, name, i), &act);
    }
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, MINING_SHARE_PERCENT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mined);
    CU_ASSERT_TRUE(mined->findings_n == 1 && mined->finding[0].kind == FINDING_DENIED);
    CU_ASSERT_TRUE(mined->finding[0].denied == 1 && mined->finding[0].not_allowed == 19);
    mined_destroy(mined);
    free(e);
}

/* The variable that is hardest to claim is meant, of those that fit for all. */
static void which_variable(void)
{
    static const struct {
        const char *names[3];
        const char *topic;
    } sets[] = {{{"id", "client_id", "cert.cn"}, "t/${cert.cn}"},
                {{"id", "serial", "mac"}, "t/${serial}"},
                {{"client_id", "serial", "user"}, "t/${user}"},
                {{"cert.ou", "id", NULL}, "t/${id}"}};
    char name[32];
    for (size_t i = 0; i < COUNT(sets); i++) {
        struct evidence *e = learn_lab_create();
        uint8_t source[16] = {0};
        for (uint8_t c = 0; c < 10; c++) {
            snprintf(name, sizeof(name), "v%u", c);
            source[0] = c;
            uint16_t client = evidence_client(e, bytes_of_text(name), source);
            for (size_t k = 0; k < 3 && sets[i].names[k] != NULL; k++)
                evidence_value(e, client, bytes_of_text(sets[i].names[k]), bytes_of_text(name), true);
            evidence_value(e, client, bytes_of_text("other"), bytes_of_text(c == 0 ? name : "x"), true);
            snprintf(name, sizeof(name), "t/v%u", c);
            learn_lab_see(e, client, ACL_PUBLISH, name, 1);
        }
        struct mined *mined = mine((const struct evidence *const[]){e}, 1, MINING_SHARE_PERCENT);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mined);
        CU_ASSERT_EQUAL(mined->findings_n, 1);
        CU_ASSERT_STRING_EQUAL(mined->finding[0].topic, sets[i].topic);
        mined_destroy(mined);
        free(e);
    }
}

static void nothing(void)
{
    struct evidence *e = learn_lab_create();
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, 5);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mined);
    CU_ASSERT_EQUAL(mined->findings_n, 0);
    mined_destroy(mined);
    mined = mine(NULL, 0, 5);
    CU_ASSERT_PTR_NOT_NULL(mined);
    mined_destroy(mined);
    free(e);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"templates and findings (G6)", tables},
        {"the same of several workers", of_several_workers},
        {"examples", examples},
        {"one of many widens nothing", one_does_not_widen},
        {"what a rule denies", denied},
        {"which variable is meant", which_variable},
        {"nothing was seen", nothing},
    };
    return unit_run("learn_mining", tests, COUNT(tests));
}
