/* SPDX-License-Identifier: GPL-2.0-or-later */
/* evidence_store.h: what is kept is taken in again as it was; what lies is refused (G6). */
#include "policy/access/acl.h"
#include "policy/learn/evidence_store.h"
#include "policy/learn/mining.h"
#include "tests/unit/learn_lab.h"
#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t kept[EVIDENCE_STORE_MAX], again[EVIDENCE_STORE_MAX];

/* Trucks that say what is theirs, and one that says more than its share. */
static struct evidence *fleet(uint32_t trucks, uint32_t topics)
{
    struct evidence *e = learn_lab_create();
    char name[32], topic[64];
    uint16_t busy = learn_lab_client(e, "busy", 5000);
    for (uint32_t i = 0; i < trucks; i++) {
        snprintf(name, sizeof(name), "truck-%03u", i);
        uint16_t client = learn_lab_client(e, name, i);
        snprintf(topic, sizeof(topic), "fleet/truck-%03u/gps", i);
        learn_lab_see(e, client, ACL_PUBLISH, topic, 10 + i);
        struct evidence_act will = {.action = ACL_PUBLISH,
                                    .qos = 1,
                                    .retain = true,
                                    .will = i % 2 == 0,
                                    .refusal = (enum evidence_refusal)(i % 3),
                                    .payload_bytes = 100 + i,
                                    .now_us = 99,
                                    .topic = bytes_of_text("fleet/all")};
        evidence_see(e, client, &will);
    }
    for (uint32_t i = 0; i < topics; i++) {
        snprintf(topic, sizeof(topic), "busy/%u", i);
        learn_lab_see(e, busy, ACL_SUBSCRIBE, topic, i);
    }
    evidence_see(e, EVIDENCE_NONE, &(struct evidence_act){.topic = bytes_of_text("x")});
    return e;
}

static bool same_finding(const struct finding *a, const struct finding *b)
{
    return strcmp(a->topic, b->topic) == 0 && a->kind == b->kind && a->clients_n == b->clients_n &&
           a->sources_n == b->sources_n && a->messages == b->messages && a->not_allowed == b->not_allowed &&
           a->denied == b->denied && a->first_us == b->first_us && a->last_us == b->last_us &&
           a->qos_seen == b->qos_seen && a->retain == b->retain && a->will == b->will &&
           a->payload_max == b->payload_max && a->payload_seen == b->payload_seen;
}

/* The same findings, the same bytes, and whoever is seen again is the same client. */
static void as_it_was(void)
{
    static const uint32_t sizes[][2] = {{0, 0}, {1, 1}, {40, 10}, {300, 200}, {3000, 3000}};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        struct evidence *e = fleet(sizes[s][0], sizes[s][1]), *other = learn_lab_create();
        size_t n = evidence_store(e, kept, sizeof(kept));
        CU_ASSERT_TRUE_FATAL(n != 0 && evidence_take(other, bytes_of(kept, n)));
        CU_ASSERT_TRUE(learn_lab_whole(other));
        CU_ASSERT_TRUE(evidence_store(other, again, sizeof(again)) == n && memcmp(kept, again, n) == 0);
        CU_ASSERT_TRUE(other->messages == e->messages && other->not_counted == e->not_counted &&
                       e->not_counted != 0);
        struct mined *a = mine((const struct evidence *const *)&e, 1, 5);
        struct mined *b = mine((const struct evidence *const *)&other, 1, 5);
        CU_ASSERT_TRUE_FATAL(a != NULL && b != NULL && a->findings_n == b->findings_n);
        for (uint32_t i = 0; i < a->findings_n; i++)
            CU_ASSERT_TRUE(same_finding(&a->finding[i], &b->finding[i]));
        uint16_t clients = other->clients_n;
        CU_ASSERT_NOT_EQUAL(learn_lab_client(other, "busy", 5000), EVIDENCE_NONE);
        CU_ASSERT_EQUAL(other->clients_n, clients);
        mined_destroy(a);
        mined_destroy(b);
        free(e);
        free(other);
    }
}

/* What only one of several did, who was displaced since, is still what several did. */
static void of_those_who_are_gone(void)
{
    struct evidence *e = learn_lab_create(), *other = learn_lab_create();
    char name[32], topic[32];
    learn_lab_see(e, learn_lab_client(e, "first", 1), ACL_PUBLISH, "all", 1);
    for (uint32_t i = 0; i < EVIDENCE_SOURCE_CLIENTS - 1; i++) {
        snprintf(name, sizeof(name), "crowd-%u", i);
        learn_lab_see(e, learn_lab_client(e, name, 1), ACL_PUBLISH, "all", 1);
    }
    for (uint32_t i = 0; i < 2 * EVIDENCE_CLIENTS; i++) {
        snprintf(name, sizeof(name), "c-%u", i);
        snprintf(topic, sizeof(topic), "t/%u", i % 900);
        learn_lab_see(e, learn_lab_client(e, name, 2 + i), ACL_PUBLISH, topic, 1);
    }
    CU_ASSERT_TRUE(e->displaced_clients != 0);
    size_t n = evidence_store(e, kept, sizeof(kept));
    CU_ASSERT_TRUE(n != 0 && evidence_take(other, bytes_of(kept, n)));
    CU_ASSERT_TRUE(learn_lab_whole(other));
    free(e);
    free(other);
}

static bool taken(struct bytes from)
{
    struct evidence *e = learn_lab_create();
    bool good = evidence_take(e, from);
    CU_ASSERT_TRUE(!good || learn_lab_whole(e));
    free(e);
    return good;
}

static void cut_anywhere(void)
{
    struct evidence *e = fleet(3, 2);
    size_t n = evidence_store(e, kept, sizeof(kept));
    CU_ASSERT_TRUE(taken(bytes_of(kept, n)));
    for (size_t i = 0; i < n; i++)
        CU_ASSERT_FALSE(taken(bytes_of(kept, i)));
    kept[n] = 0;
    CU_ASSERT_FALSE(taken(bytes_of(kept, n + 1)));
    for (size_t i = 0; i < n; i++)
        CU_ASSERT_EQUAL(evidence_store(e, again, i), 0);
    free(e);
}

/* Every byte set to what a liar would: refused, or whole. */
static void any_byte(void)
{
    static const uint8_t lies[] = {0, 1, 0x7F, 0x80, 0xFF};
    struct evidence *e = fleet(3, 2);
    size_t n = evidence_store(e, kept, sizeof(kept));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof(lies); k++) {
            uint8_t was = kept[i];
            kept[i] = lies[k];
            (void)taken(bytes_of(kept, n));
            kept[i] = was;
        }
    free(e);
}

/* By hand: one name "id", one client with the value "a", one topic of two levels. */
/* clang-format off */
static const uint8_t one[] = {
    1, 2, 'i', 'd',                                                /* 0: names */
    0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,                /* 4: counts */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 1,                                                          /* 68: clients */
    9, 9, 9, 9, 9, 9, 9, 9,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 1,
    0, 1, 1,                                                       /* 94: in topics, values */
    0, 1, 'a',                                                     /* 97: the value */
    0, 1,                                                          /* 100: topics */
    0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0,               /* 126 */
    0, 0, 0, 0,                                                    /* 142: payload client, owner */
    0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, /* 146: flags, several */
    7, ACL_PUBLISH, SHAPE_TEXT, 1, 't', SHAPE_VARIABLE, 0, 1,      /* 159: shape */
    1,                                                             /* 167: users */
};
/* clang-format on */

static void lies_by_name(void)
{
    static const struct {
        const char *name;
        size_t at;
        uint8_t value;
        bool good;
    } cases[] = {
        {"as it is", 0, 1, true},
        {"more names than there are bits", 0, 17, false},
        {"a name with NUL", 2, 0, false},
        {"an empty name", 1, 0, false},
        {"more clients than are there", 69, 2, false},
        {"more clients than places", 68, 9, false},
        {"a bit in topics without a value", 95, 3, false},
        {"more values than names", 96, 2, false},
        {"a value of no name", 97, 1, false},
        {"an empty value", 98, 0, false},
        {"more topics than places", 100, 5, false},
        {"a payload of no client", 143, 1, false},
        {"an owner that is no client", 145, 1, false},
        {"an owner that is nobody", 144, 0xFF, false},
        {"a flag of no client", 147, 1, false},
        {"a flag that there is not", 158, 0x40, false},
        {"no action", 160, ACL_ACTIONS, false},
        {"no kind of level", 161, 3, false},
        {"a level longer than the shape", 162, 200, false},
        {"a variable without name", 166, 2, false},
        {"a level of no variable", 166, 0, false},
        {"a user that is no client", 167, 3, false},
        {"no user", 167, 0, false},
    };
    CU_ASSERT_EQUAL_FATAL(sizeof(one), 168);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t text[sizeof(one)];
        memcpy(text, one, sizeof(one));
        text[cases[i].at] = cases[i].value;
        if (taken(bytes_of(text, sizeof(text))) != cases[i].good)
            CU_FAIL_FATAL(cases[i].name);
    }
}

/* Two clients or topics that are the same one. */
static void twice(void)
{
    struct evidence *e = fleet(2, 0);
    size_t n = evidence_store(e, kept, sizeof(kept));
    size_t clients = (size_t)(1 + 10 + 3 + 7 + 64); /* client_id, id, source, and the counts */
    CU_ASSERT_TRUE_FATAL(kept[0] == 3 && kept[clients] == 0 && kept[clients + 1] == 3 &&
                         taken(bytes_of(kept, n)));
    size_t first = clients + 2, bytes = 27 + 3 * (2 + 4); /* of "busy" */
    memcpy(kept + first + bytes, kept + first, 8);
    CU_ASSERT_FALSE(taken(bytes_of(kept, n)));
    free(e);
    uint8_t text[sizeof(one) + 66];
    memcpy(text, one, sizeof(one));
    memcpy(text + sizeof(one), one + 102, 66);
    text[101] = 2;
    CU_ASSERT_FALSE(taken(bytes_of(text, sizeof(text))));
    text[sizeof(one) + 61] = 'u';
    CU_ASSERT_TRUE(taken(bytes_of(text, sizeof(text))));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"what is kept is taken in as it was (G6)", as_it_was},
        {"of those who are gone", of_those_who_are_gone},
        {"cut anywhere it is refused", cut_anywhere},
        {"any byte may lie", any_byte},
        {"lies by name", lies_by_name},
        {"nothing twice", twice},
    };
    return unit_run("learn_store", tests, COUNT(tests));
}
