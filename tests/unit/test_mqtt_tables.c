/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard's tables: exchanges, aliases, requests, subscriptions (D5 to D9). */
#include "policy/mqtt/alias.h"
#include "policy/mqtt/inflight.h"
#include "policy/mqtt/requests.h"
#include "policy/mqtt/subscriptions.h"
#include "tests/unit/memory_workspace.h"
#include "tests/unit/runner.h"

static struct memory_workspace memory;

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* ---- exchanges ---------------------------------------------------------------------------------------- */

#define MODEL_MAX 200

/* The plain definition: a list in order of arrival. */
struct model {
    struct inflight_entry entry[MODEL_MAX];
    uint32_t n;
};

static struct inflight_entry *model_find(struct model *m, uint16_t id)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (m->entry[i].id == id)
            return &m->entry[i];
    return NULL;
}

static void model_remove(struct model *m, struct inflight_entry *entry)
{
    uint32_t at = (uint32_t)(entry - m->entry);
    memmove(entry, entry + 1, (m->n - at - 1) * sizeof(*entry));
    m->n--;
}

static int kind_of(uint8_t state)
{
    if (state == INFLIGHT_PUBACK || state == INFLIGHT_HELD_PUBACK)
        return 1;
    return state == INFLIGHT_PUBREC || state == INFLIGHT_HELD_PUBREC ? 2 : 0;
}

static bool is_held(uint8_t state)
{
    return state == INFLIGHT_HELD_PUBACK || state == INFLIGHT_HELD_PUBREC;
}

static bool model_due(const struct model *m, uint16_t id)
{
    bool seen[3] = {false, false, false};
    for (uint32_t i = 0; i < m->n; i++) {
        int kind = kind_of(m->entry[i].state);
        if (kind != 0 && !seen[kind] && is_held(m->entry[i].state) && m->entry[i].id == id)
            return true;
        seen[kind] = true;
    }
    return false;
}

static bool model_has_due(const struct model *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (model_due(m, m->entry[i].id))
            return true;
    return false;
}

static void compare(struct inflight *t, struct model *m, uint32_t *seed)
{
    uint32_t waiting = 0, held = 0, mapped = 0;
    bool of_kind[3] = {false, false, false};
    for (uint32_t i = 0; i < m->n; i++) {
        const struct inflight_entry *e = &m->entry[i];
        const struct inflight_entry *found = inflight_find(t, e->id);
        CU_ASSERT_TRUE_FATAL(found != NULL && found->state == e->state && found->wire == e->wire);
        CU_ASSERT_TRUE(inflight_find_wire(t, e->wire) == found);
        waiting += e->state == INFLIGHT_PUBACK || e->state == INFLIGHT_PUBREC || e->state == INFLIGHT_PUBCOMP;
        held += is_held(e->state);
        mapped += e->id != e->wire;
        of_kind[kind_of(e->state)] = true;
    }
    CU_ASSERT_TRUE(t->used == m->n && t->waiting == waiting && t->held == held && t->mapped == mapped);
    CU_ASSERT_EQUAL(inflight_must_hold(t, 1), of_kind[1]);
    CU_ASSERT_EQUAL(inflight_must_hold(t, 2), of_kind[2]);
    const struct inflight_entry *due = inflight_due(t);
    CU_ASSERT_EQUAL(due != NULL, model_has_due(m));
    CU_ASSERT_TRUE(due == NULL || model_due(m, due->id));
    uint16_t id = (uint16_t)(random_next(seed) % 65535 + 1);
    CU_ASSERT_EQUAL(inflight_find(t, id) != NULL, model_find(m, id) != NULL);
}

/* Identifiers that count up, that are chosen to collide, and that are drawn from a few or from all. */
static uint16_t draw_id(int manner, uint32_t step, uint32_t *seed)
{
    switch (manner) {
    case 0:
        return (uint16_t)(step % 65535 + 1);
    case 1:
        return (uint16_t)((random_next(seed) % 250 + 1) << 8);
    case 2:
        return (uint16_t)(random_next(seed) % 12 + 1);
    default:
        return (uint16_t)(random_next(seed) % 65535 + 1);
    }
}

static void exchanges_match_a_model(void)
{
    for (int manner = 0; manner < 4; manner++) {
        struct inflight table;
        static struct model model;
        uint32_t seed = (uint32_t)manner + 1, peak = 0;
        memory_workspace_init(&memory);
        inflight_init(&table);
        model.n = 0;
        for (uint32_t step = 0; step < 20000; step++) {
            bool fill = step / 500 % 2 == 0;
            uint16_t id = draw_id(manner, step, &seed);
            uint8_t state = (uint8_t)(random_next(&seed) % INFLIGHT_REFUSED + 1);
            struct inflight_entry *known = model_find(&model, id);
            if (known == NULL && model.n != 0 &&
                (!fill || model.n == MODEL_MAX || random_next(&seed) % 3 == 0))
                known = &model.entry[random_next(&seed) % model.n];
            if (known == NULL) {
                uint16_t wire = random_next(&seed) % 8 == 0 && id < 65000 && manner == 0 ? 65535 : id;
                if (inflight_find_wire(&table, wire) != NULL)
                    wire = id;
                CU_ASSERT_TRUE_FATAL(inflight_reserve(&table, &memory.base));
                inflight_add(&table, id, wire, (enum inflight_state)state, 0);
                model.entry[model.n++] = (struct inflight_entry){.id = id, .wire = wire, .state = state};
            } else if (fill && random_next(&seed) % 2 == 0) {
                inflight_set(&table, inflight_find(&table, known->id), (enum inflight_state)state);
                known->state = state;
            } else {
                inflight_remove(&table, inflight_find(&table, known->id), &memory.base);
                model_remove(&model, known);
            }
            peak = model.n > peak ? model.n : peak;
            if (step % 7 == 0)
                compare(&table, &model, &seed);
        }
        CU_ASSERT_TRUE(peak >= (manner == 2 ? 8 : 60));
        inflight_fini(&table, &memory.base);
        CU_ASSERT_EQUAL(memory.out, 0);
    }
}

/* Those that wait for the sender's PUBREL are forgotten at their fourth tick, others never; in a table that
 * closes its gaps meanwhile. */
static void exchanges_that_age(void)
{
    static uint8_t state_of[65536];
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct inflight table;
        uint32_t random = seed;
        uint16_t left = 0, expected = 0;
        uint32_t n = seed % 2 == 0 ? 3 : 700;
        memory_workspace_init(&memory);
        memset(state_of, 0, sizeof(state_of));
        inflight_init(&table);
        for (uint32_t i = 0; i < n; i++) {
            uint16_t id = draw_id((int)(seed % 4), i, &random);
            uint8_t state = (uint8_t)(random_next(&random) % INFLIGHT_REFUSED + 1);
            if (state_of[id] != INFLIGHT_NONE)
                continue;
            CU_ASSERT_TRUE_FATAL(inflight_reserve(&table, &memory.base));
            inflight_add(&table, id, id, (enum inflight_state)state, 0);
            state_of[id] = state;
            if (state == INFLIGHT_PUBREL || state == INFLIGHT_REFUSED)
                expected++;
            else
                left++;
        }
        CU_ASSERT_EQUAL(inflight_unreleased(&table), expected);
        for (int tick = 1; tick < 4; tick++)
            CU_ASSERT_EQUAL(inflight_age(&table, 4, &memory.base), 0);
        CU_ASSERT_EQUAL(inflight_age(&table, 4, &memory.base), expected);
        CU_ASSERT_EQUAL(table.used, left);
        for (uint32_t id = 1; id < 65536; id++) {
            bool kept = state_of[id] != INFLIGHT_NONE && state_of[id] != INFLIGHT_PUBREL &&
                        state_of[id] != INFLIGHT_REFUSED;
            if ((inflight_find(&table, (uint16_t)id) != NULL) != kept)
                CU_FAIL("kept and forgotten were mixed up");
        }
        inflight_fini(&table, &memory.base);
        CU_ASSERT_EQUAL(memory.out, 0);
    }
}

static void exchanges_without_memory(void)
{
    struct inflight table;
    memory_workspace_init(&memory);
    memory.grant = 1;
    inflight_init(&table);
    uint16_t n = 0;
    while (inflight_reserve(&table, &memory.base)) {
        n++;
        inflight_add(&table, n, n, INFLIGHT_PUBACK, 0);
    }
    CU_ASSERT_EQUAL(n, 12); /* four in the table itself, then one block, three quarters full */
    for (uint16_t id = 1; id <= n; id++)
        CU_ASSERT_PTR_NOT_NULL(inflight_find(&table, id));
    while (n != 0)
        inflight_remove(&table, inflight_find(&table, n--), &memory.base);
    CU_ASSERT_EQUAL(memory.out, 0); /* goes back when the table is empty */
    CU_ASSERT_PTR_NULL(inflight_find(&table, 0));
}

/* The order of arrival counts across the wrap of its counter. */
static void order_across_the_wrap(void)
{
    struct inflight table;
    memory_workspace_init(&memory);
    inflight_init(&table);
    table.next_order = UINT32_MAX;
    inflight_add(&table, 9, 9, INFLIGHT_PUBACK, 0);
    inflight_add(&table, 1, 1, INFLIGHT_HELD_PUBACK, 0);
    CU_ASSERT_PTR_NULL(inflight_due(&table));
    inflight_remove(&table, inflight_find(&table, 9), &memory.base);
    CU_ASSERT_EQUAL(inflight_due(&table)->id, 1);
}

/* ---- aliases ------------------------------------------------------------------------------------------ */

static void aliases(void)
{
    struct alias_table table;
    memory_workspace_init(&memory);
    alias_init(&table, 4);
    CU_ASSERT_EQUAL(alias_get(&table, 1).len, 0);
    CU_ASSERT_TRUE(alias_set(&table, 1, bytes_of_text("a/long/topic"), &memory.base));
    CU_ASSERT_TRUE(alias_set(&table, 4, bytes_of_text("b"), &memory.base));
    CU_ASSERT_TRUE(bytes_equal(alias_get(&table, 1), bytes_of_text("a/long/topic")));
    CU_ASSERT_TRUE(alias_set(&table, 1, bytes_of_text("short"), &memory.base));
    CU_ASSERT_TRUE(bytes_equal(alias_get(&table, 1), bytes_of_text("short")));
    CU_ASSERT_TRUE(alias_set(&table, 4, bytes_of_text("longer than before"), &memory.base));
    CU_ASSERT_TRUE(bytes_equal(alias_get(&table, 4), bytes_of_text("longer than before")));
    CU_ASSERT_FALSE(alias_set(&table, 0, bytes_of_text("x"), &memory.base));
    CU_ASSERT_FALSE(alias_set(&table, 5, bytes_of_text("x"), &memory.base));
    CU_ASSERT_EQUAL(alias_get(&table, 0).len + alias_get(&table, 5).len + alias_get(&table, 2).len, 0);
    memory.grant = 0; /* what cannot be remembered is not set at all */
    CU_ASSERT_FALSE(alias_set(&table, 1, bytes_of_text("a topic too long for its place"), &memory.base));
    CU_ASSERT_EQUAL(alias_get(&table, 1).len, 0);
    alias_fini(&table, &memory.base);
    CU_ASSERT_EQUAL(memory.out, 0);
}

/* ---- requests ----------------------------------------------------------------------------------------- */

static void request_list(void)
{
    struct requests requests = {0};
    memory_workspace_init(&memory);
    for (uint16_t i = 0; i < 5; i++) {
        struct mqtt_request *r = requests_make(&memory.base, MQTT_SUBSCRIBE, 3, false);
        CU_ASSERT_PTR_NOT_NULL_FATAL(r);
        r->id = i; /* 0: our own */
        r->wire = i == 0 || i == 3 ? (uint16_t)(100 + i) : i;
        requests_add(&requests, r);
    }
    CU_ASSERT_TRUE(requests.used == 5 && requests.own == 2);
    CU_ASSERT_PTR_NULL(requests_find(&requests, 0)); /* nobody's identifier */
    CU_ASSERT_EQUAL(requests_find_wire(&requests, 100)->id, 0);
    CU_ASSERT_EQUAL(requests_find(&requests, 3)->wire, 103);
    CU_ASSERT_EQUAL(requests_find(&requests, 3)->codes[2], REQUEST_ASKED);
    requests_remove(&requests, requests_find(&requests, 3), &memory.base);
    requests_remove(&requests, requests_find_wire(&requests, 100), &memory.base);
    CU_ASSERT_TRUE(requests.used == 3 && requests.own == 0 && requests_find(&requests, 3) == NULL);
    requests_fini(&requests, &memory.base);
    CU_ASSERT_TRUE(requests.used == 0 && memory.out == 0);
    memory.grant = 0;
    CU_ASSERT_PTR_NULL(requests_make(&memory.base, MQTT_SUBSCRIBE, 1, false));
}

/* ---- subscriptions ------------------------------------------------------------------------------------ */

static bool add(struct subscriptions *list, const char *filter, uint8_t qos, uint16_t request,
                uint16_t ordinal)
{
    struct bytes f = bytes_of_text(filter);
    if (!subscriptions_reserve(list, 1, (uint32_t)f.len, &memory.base))
        return false;
    subscriptions_add(list, f, qos, request, ordinal);
    return true;
}

static void subscription_list(void)
{
    struct subscriptions list = {0};
    struct subscription s;
    uint32_t position = 0;
    memory_workspace_init(&memory);
    CU_ASSERT_TRUE(add(&list, "a/#", 1, 7, 0) && add(&list, "b", 0, 7, 1) && add(&list, "a", 0, 7, 2));
    CU_ASSERT_TRUE(add(&list, "b", 2, 8, 0)); /* renewed, not added */
    CU_ASSERT_EQUAL(list.n, 3);
    subscriptions_settle(&list, 7, 0, true);
    subscriptions_settle(&list, 7, 2, false);
    CU_ASSERT_FALSE(subscriptions_has(&list, bytes_of_text("a")));
    subscriptions_settle(&list, 8, 0, true);
    CU_ASSERT_TRUE(add(&list, "a/#", 0, 9, 0));
    subscriptions_settle(&list, 9, 0, false); /* what was granted before stays */
    CU_ASSERT_TRUE(subscriptions_next(&list, &position, &s) && bytes_equal(s.filter, bytes_of_text("a/#")));
    CU_ASSERT_TRUE(subscriptions_next(&list, &position, &s) && s.qos == 2);
    CU_ASSERT_FALSE(subscriptions_next(&list, &position, &s));
    subscriptions_remove(&list, bytes_of_text("a/#"));
    subscriptions_remove(&list, bytes_of_text("never"));
    CU_ASSERT_TRUE(list.n == 1 && subscriptions_has(&list, bytes_of_text("b")));
    CU_ASSERT_FALSE(subscriptions_reserve(&list, 1, SUBSCRIPTIONS_BYTES_MAX, &memory.base));
    CU_ASSERT_FALSE(subscriptions_reserve(&list, 1, UINT32_MAX, &memory.base));
    memory.grant = 0;
    CU_ASSERT_FALSE(subscriptions_reserve(&list, 1, 4096, &memory.base));
    CU_ASSERT_TRUE(subscriptions_has(&list, bytes_of_text("b")));
    subscriptions_fini(&list, &memory.base);
    CU_ASSERT_EQUAL(memory.out, 0);
}

static const struct unit_test tests[] = {
    {"exchanges match a model (D7, D8)", exchanges_match_a_model},
    {"exchanges that age (D8)", exchanges_that_age},
    {"exchanges without memory", exchanges_without_memory},
    {"order across the wrap (D7)", order_across_the_wrap},
    {"aliases (D6)", aliases},
    {"requests (D5)", request_list},
    {"subscriptions (D9, G3)", subscription_list},
};

int main(void)
{
    return unit_run("mqtt_tables", tests, sizeof(tests) / sizeof(tests[0]));
}
