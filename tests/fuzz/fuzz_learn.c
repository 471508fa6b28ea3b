/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning under a hostile fleet: clients of any name and value say any topic to one to three workers.
 * Evidence stays whole, mining answers, every proposal allows what its examples said, and nothing that is not
 * a template of at most its bound comes out. What is kept of evidence and taken in again is the same
 * evidence.
 */
#include "policy/access/acl.h"
#include "policy/access/template.h"
#include "policy/access/topic.h"
#include "policy/learn/evidence_store.h"
#include "policy/learn/mining.h"
#include "tests/fuzz/tape.h"
#include "tests/unit/learn_lab.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            __builtin_trap();                                                                                \
    } while (0)

static const char *const names[] = {"client_id", "id", "user", "cert.cn", "serial", "var.line"};

/* Short texts of few letters, so that they meet. */
static struct bytes text_of(uint8_t *to, size_t room, bool topic)
{
    size_t n = draw() % room;
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = draw();
        to[i] = byte < 200 ? (uint8_t)((topic ? "abc/+#$\"" : "abcd7-x9")[byte % 8]) : byte;
    }
    return bytes_of(to, n);
}

static void act(struct evidence *e)
{
    uint8_t name[20], value[140], topic[300], address[16] = {0};
    address[15] = draw() % 40;
    uint16_t client = evidence_client(e, text_of(name, sizeof(name), false), address);
    if (client != EVIDENCE_NONE && draw() % 2 == 0) {
        evidence_clear_values(e, client);
        for (uint8_t n = draw() % 6; n != 0; n--) {
            struct bytes v = text_of(value, sizeof(value), false);
            evidence_value(e, client, bytes_of_text(names[draw() % 6]), v, template_value_safe(v));
        }
    }
    uint8_t flags = draw();
    struct evidence_act did = {.action = draw() % ACL_ACTIONS,
                               .qos = draw() % 4,
                               .retain = (flags & 1) != 0,
                               .will = (flags & 2) != 0,
                               .refusal = (enum evidence_refusal)((flags >> 2) % 3),
                               .payload_bytes = (uint32_t)draw() << (flags >> 5),
                               .now_us = tape_left};
    e->frozen = flags == 255;
    for (uint8_t times = 1 + draw() % 32; times != 0; times--) {
        did.topic = text_of(topic, sizeof(topic), true);
        evidence_see(e, client, &did);
    }
}

static void check_proposal(const struct mined *mined, const struct finding *f)
{
    uint8_t topic[MINED_TOPIC_MAX];
    CHECK(topic_filter_valid(bytes_of_text(f->topic)) && f->denied == 0 && f->clients_n != 0);
    CHECK(f->clients_n <= mined->clients_n && f->sources_n <= mined->sources_n);
    for (int i = 0; i < MINING_EXAMPLES; i++) {
        const struct mined_example *example = &f->example[i];
        if (!example->there)
            continue;
        size_t n = mined_example_topic(mined, example, example->client, topic, sizeof(topic));
        /* A client's values may have changed since, and then nothing comes of it. */
        CHECK(n == 0 || f->action == ACL_SUBSCRIBE || topic[0] == '$' ||
              mined_allows(mined, example->client, f->action, bytes_of(topic, n)) ||
              mined_expand(mined, f, example->client, topic, sizeof(topic)) != 0);
    }
}

static void check_kept(const struct evidence *e)
{
    static uint8_t kept[EVIDENCE_STORE_MAX], again[EVIDENCE_STORE_MAX];
    struct evidence *other = learn_lab_create();
    size_t n = evidence_store(e, kept, sizeof(kept));
    CHECK(n != 0 && evidence_take(other, bytes_of(kept, n)));
    CHECK(other->topics_n == e->topics_n && other->clients_n == e->clients_n);
    CHECK(evidence_store(other, again, sizeof(again)) == n && memcmp(kept, again, n) == 0);
    free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct evidence *e[3];
    tape = data;
    tape_left = size;
    uint32_t n = 1 + draw() % 3;
    for (uint32_t i = 0; i < n; i++)
        e[i] = learn_lab_create();
    while (tape_left != 0)
        act(e[draw() % n]);
    struct mined *mined = mine((const struct evidence *const *)e, n, 1 + draw() % 100);
    CHECK(mined != NULL);
    for (uint32_t i = 0; i < mined->findings_n; i++) {
        const struct finding *f = &mined->finding[i];
        CHECK(strlen(f->topic) < MINING_TEMPLATE_MAX && f->levels_n <= SHAPE_LEVELS_MAX);
        CHECK((i < mined->proposed_n) == (f->kind == FINDING_PROPOSED));
        if (f->kind == FINDING_PROPOSED)
            check_proposal(mined, f);
    }
    mined_destroy(mined);
    for (uint32_t i = 0; i < n; i++) {
        check_kept(e[i]);
        free(e[i]);
    }
    return 0;
}
