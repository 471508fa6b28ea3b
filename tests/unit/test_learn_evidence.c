/* SPDX-License-Identifier: GPL-2.0-or-later */
/* evidence.h: what is counted, exactly, and who may displace whom. */
#include "tests/unit/learn_lab.h"
#include "tests/unit/runner.h"

#include "policy/access/acl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t random_state;
static uint32_t below(uint32_t n) /* splitmix64 */
{
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ z >> 31) % n);
}

static const struct evidence_topic *find(const struct evidence *e, const char *topic)
{
    struct shape shape;
    CU_ASSERT_TRUE(shape_make(&shape, ACL_PUBLISH, bytes_of_text(topic), NULL, 0));
    for (uint32_t i = 0; i < e->topics_used; i++)
        if (e->topic[i].used && e->topic[i].shape.len == shape.len &&
            memcmp(e->topic[i].shape.at, shape.at, shape.len) == 0)
            return &e->topic[i];
    return NULL;
}

static void publish(struct evidence *e, uint16_t client, const char *topic)
{
    learn_lab_see(e, client, ACL_PUBLISH, topic, 1);
}

/* Rings, buckets and counts say the same, and nobody has more than a share. */
static void check_whole(const struct evidence *e)
{
    CU_ASSERT_TRUE(learn_lab_whole(e));
    for (uint16_t i = 0; i < e->clients_used; i++)
        CU_ASSERT_TRUE(!e->client[i].used || e->client[i].topics <= EVIDENCE_SHARE);
}

/* As long as there are places, everything is exact. */
static void exact(void)
{
    enum { CLIENTS = 40, TOPICS = 30 };
    static uint32_t messages[TOPICS];
    static bool used[TOPICS][CLIENTS];
    struct evidence *e = learn_lab_create();
    char text[32];
    random_state = 3;
    memset(messages, 0, sizeof(messages));
    memset(used, 0, sizeof(used));
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t client = below(CLIENTS), topic = below(below(TOPICS) + 1);
        snprintf(text, sizeof(text), "c%u", client);
        uint16_t place = learn_lab_client(e, text, client % 7);
        snprintf(text, sizeof(text), "t/%u", topic);
        publish(e, place, text);
        messages[topic]++;
        used[topic][client] = true;
    }
    for (uint32_t t = 0; t < TOPICS; t++) {
        uint32_t n = 0;
        snprintf(text, sizeof(text), "t/%u", t);
        const struct evidence_topic *topic = find(e, text);
        for (uint32_t c = 0; c < CLIENTS; c++)
            n += used[t][c];
        if (topic == NULL) {
            CU_ASSERT_EQUAL(messages[t], 0);
            continue;
        }
        CU_ASSERT_EQUAL(topic->messages, messages[t]);
        CU_ASSERT_EQUAL(topic->clients_n, n);
    }
    CU_ASSERT_EQUAL(e->messages, 20000);
    CU_ASSERT_EQUAL(e->no_place + e->displaced_messages + e->not_counted, 0);
    check_whole(e);
    free(e);
}

/* What only one client did can be told from what several did; the largest payload is one client's, and so is
 * what is left when it is taken away. */
static void one_or_several(void)
{
    static const struct {
        uint32_t client, bytes;
    } said[] = {{0, 100}, {1, 50}, {0, 120}, {2, 900}, {2, 800}, {1, 60}, {0, 130}, {1, 1000}, {1, 70}};
    struct evidence *e = learn_lab_create();
    uint16_t client[3] = {learn_lab_client(e, "a", 1), learn_lab_client(e, "b", 2),
                          learn_lab_client(e, "c", 3)};
    for (size_t i = 0; i < COUNT(said); i++) {
        struct evidence_act act = {.action = ACL_PUBLISH,
                                   .qos = said[i].client == 2 ? 2 : 1,
                                   .retain = said[i].client == 0,
                                   .payload_bytes = said[i].bytes,
                                   .now_us = i,
                                   .topic = bytes_of_text("t")};
        evidence_see(e, client[said[i].client], &act);
    }
    const struct evidence_topic *t = find(e, "t");
    CU_ASSERT_EQUAL(t->payload_max, 1000);
    CU_ASSERT_EQUAL(t->payload_client, client[1]);
    CU_ASSERT_EQUAL(t->payload_other_max, 900);
    CU_ASSERT_EQUAL(t->flag[EVIDENCE_RETAIN], client[0]);
    CU_ASSERT_EQUAL(t->flag[EVIDENCE_QOS_2], client[2]);
    CU_ASSERT_EQUAL(t->flags_more, 1u << EVIDENCE_QOS_1 | 1u << EVIDENCE_MESSAGE);
    CU_ASSERT_EQUAL(t->flag[EVIDENCE_WILL], EVIDENCE_NONE);
    CU_ASSERT_EQUAL(t->first_us, 0);
    CU_ASSERT_EQUAL(t->last_us, COUNT(said) - 1);
    free(e);
}

static void honest(struct evidence *e, uint32_t clients, bool again)
{
    char text[32];
    for (uint32_t i = 0; i < clients; i++) {
        snprintf(text, sizeof(text), "truck-%u", i);
        uint16_t client = learn_lab_client(e, text, 1000 + i);
        if (again)
            CU_ASSERT_NOT_EQUAL_FATAL(client, EVIDENCE_NONE);
        if (client == EVIDENCE_NONE)
            continue;
        publish(e, client, "fleet/gps");
        publish(e, client, "fleet/status");
    }
}

static uint32_t clients_of(const struct evidence *e, const char *topic)
{
    const struct evidence_topic *t = find(e, topic);
    return t == NULL ? 0 : t->clients_n;
}

/* 100,000 invented topics of one client: a share of places, and not one of anybody else's topics or clients.
 */
static void flood_of_topics(void)
{
    struct evidence *e = learn_lab_create();
    char text[32];
    honest(e, 50, true);
    uint16_t attacker = learn_lab_client(e, "attacker", 1);
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "flood/%u", i);
        publish(e, attacker, text);
    }
    CU_ASSERT_EQUAL(e->client[attacker].topics, EVIDENCE_SHARE);
    CU_ASSERT_EQUAL(e->topics_n, EVIDENCE_SHARE + 2);
    CU_ASSERT_EQUAL(clients_of(e, "fleet/gps"), 50);
    CU_ASSERT_EQUAL(clients_of(e, "fleet/status"), 50);
    CU_ASSERT_EQUAL(e->no_place + e->displaced_messages, 100000 - EVIDENCE_SHARE);
    CU_ASSERT_TRUE(e->displaced_topics < 1000); /* and what is kept is not stirred all the time */
    check_whole(e);
    free(e);
}

/* Of a client that says a thousand topics once, one that it says often is kept. */
static void often_said(void)
{
    struct evidence *e = learn_lab_create();
    uint16_t client = learn_lab_client(e, "busy", 1);
    char text[32];
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "once/%u", i);
        publish(e, client, text);
        if (i % 10 == 0)
            publish(e, client, "often");
    }
    CU_ASSERT_TRUE(find(e, "often") != NULL);
    free(e);
}

/* Sixteen addresses fill all places before the honest come: each of these still has its own. */
static void full_of_topics(void)
{
    struct evidence *e = learn_lab_create();
    char text[32];
    for (uint32_t a = 0; a < 100; a++) {
        snprintf(text, sizeof(text), "attacker-%u", a);
        uint16_t client = learn_lab_client(e, text, a % 16);
        for (uint32_t i = 0; i < 200; i++) {
            snprintf(text, sizeof(text), "flood/%u/%u", a, i);
            publish(e, client, text);
        }
    }
    CU_ASSERT_EQUAL(e->topics_n, EVIDENCE_TOPICS);
    for (uint32_t i = 0; i < 40; i++)
        honest(e, 50, true);
    CU_ASSERT_EQUAL(clients_of(e, "fleet/gps"), 50);
    CU_ASSERT_EQUAL(clients_of(e, "fleet/status"), 50);
    for (uint32_t a = 0; a < 100; a++) { /* and when they go on, too */
        snprintf(text, sizeof(text), "attacker-%u", a);
        uint16_t client = learn_lab_client(e, text, a % 16);
        for (uint32_t i = 0; i < 200; i++) {
            snprintf(text, sizeof(text), "more/%u/%u", a, i);
            publish(e, client, text);
        }
    }
    CU_ASSERT_EQUAL(clients_of(e, "fleet/gps"), 50);
    CU_ASSERT_EQUAL(clients_of(e, "fleet/status"), 50);
    check_whole(e);
    free(e);
}

/* One machine with a million client ids is 64 clients, whoever came first. */
static void flood_of_clients(void)
{
    struct evidence *e = learn_lab_create();
    char text[32];
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "id-%u", i);
        publish(e, learn_lab_client(e, text, 7), "invented");
    }
    CU_ASSERT_EQUAL(e->clients_n, EVIDENCE_SOURCE_CLIENTS);
    CU_ASSERT_EQUAL(clients_of(e, "invented"), EVIDENCE_SOURCE_CLIENTS);
    CU_ASSERT_EQUAL(e->not_counted, 100000 - EVIDENCE_SOURCE_CLIENTS);
    honest(e, 50, true);
    CU_ASSERT_EQUAL(clients_of(e, "fleet/gps"), 50);
    check_whole(e);
    free(e);
}

/* All places of clients taken by few addresses: a new address still comes in, and what the displaced alone
 * used is gone. */
static void full_of_clients(void)
{
    struct evidence *e = learn_lab_create();
    char text[32];
    for (uint32_t i = 0; i < EVIDENCE_CLIENTS; i++) {
        snprintf(text, sizeof(text), "id-%u", i);
        uint16_t client = learn_lab_client(e, text, i / EVIDENCE_SOURCE_CLIENTS);
        publish(e, client, "invented");
        publish(e, client, text);
    }
    CU_ASSERT_EQUAL(e->clients_n, EVIDENCE_CLIENTS);
    for (uint32_t i = 0; i < 70; i++) /* it may take some calls: few places are looked at in one */
        honest(e, 50, i > 60);
    CU_ASSERT_EQUAL(clients_of(e, "fleet/gps"), 50);
    CU_ASSERT_EQUAL(e->clients_n, EVIDENCE_CLIENTS);
    CU_ASSERT_EQUAL(e->displaced_clients, 50);
    check_whole(e);
    free(e);
}

/* Nothing is displaced while it is copied. */
static void frozen(void)
{
    struct evidence *e = learn_lab_create();
    uint16_t client = learn_lab_client(e, "a", 1);
    char text[32];
    e->frozen = true;
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "t/%u", i % 100);
        publish(e, client, text);
    }
    CU_ASSERT_EQUAL(e->displaced_topics, 0);
    CU_ASSERT_EQUAL(e->client[client].topics, EVIDENCE_SHARE);
    check_whole(e);
    free(e);
}

/* Whatever happens, it stays whole. */
static void storm(void)
{
    struct evidence *e = learn_lab_create();
    char text[64];
    random_state = 9;
    for (uint32_t i = 0; i < 300000; i++) {
        uint32_t who = below(below(6000) + 1);
        snprintf(text, sizeof(text), "c%u", who);
        uint16_t client = learn_lab_client(e, text, below(2) ? who % 40 : who);
        snprintf(text, sizeof(text), "t/%u", below(below(5000) + 1));
        publish(e, client, text);
        e->frozen = below(50) == 0;
        if (i % 50000 == 0)
            check_whole(e);
    }
    check_whole(e);
    CU_ASSERT_TRUE(e->displaced_clients != 0 && e->displaced_topics != 0);
    free(e);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"exact, as long as there are places", exact},
        {"what one does, and what several do", one_or_several},
        {"a flood of topics displaces only its own", flood_of_topics},
        {"what is said often is kept", often_said},
        {"topics: full, and the honest still come in", full_of_topics},
        {"a flood of client ids is 64 clients", flood_of_clients},
        {"clients: full, and new addresses still come in", full_of_clients},
        {"nothing is displaced while it is copied", frozen},
        {"it stays whole", storm},
    };
    return unit_run("learn_evidence", tests, COUNT(tests));
}
