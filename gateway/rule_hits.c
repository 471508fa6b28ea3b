/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/rule_hits.h"

#include "policy/access/name_index.h"

#include <stdlib.h>
#include <sys/mman.h>

static uint32_t count_rules(const struct snapshot *policy)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < snapshot_roles(policy); i++)
        n += acl_rules(snapshot_role(policy, i)->acl);
    return n;
}

struct rule_hits *rule_hits_create(const struct snapshot *policy, uint64_t now_us)
{
    struct rule_hits *hits = calloc(1, sizeof(*hits));
    if (hits == NULL)
        return NULL;
    hits->n = count_rules(policy);
    hits->since_us = now_us;
    hits->bytes = ((size_t)RULE_HITS_ROWS * hits->n + 1) * sizeof(*hits->row);
    hits->before = calloc(hits->n + 1U, sizeof(*hits->before));
    hits->since = calloc(hits->n + 1U, sizeof(*hits->since));
    void *row =
        mmap(NULL, hits->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    hits->row = row == MAP_FAILED ? NULL : row;
    if (hits->before == NULL || hits->since == NULL || hits->row == NULL) {
        rule_hits_destroy(hits);
        return NULL;
    }
    for (uint32_t i = 0; i < hits->n; i++)
        hits->since[i] = now_us;
    return hits;
}

void rule_hits_destroy(struct rule_hits *hits)
{
    if (hits == NULL)
        return;
    if (hits->row != NULL)
        munmap((void *)hits->row, hits->bytes);
    free(hits->before);
    free(hits->since);
    free(hits);
}

static uint64_t counted(const struct rule_hits *hits, uint32_t at)
{
    uint64_t sum = 0;
    for (size_t row = 0; row < RULE_HITS_ROWS; row++)
        sum += atomic_load_explicit(&hits->row[row * hits->n + at], memory_order_relaxed);
    return sum;
}

static uint64_t sum_at(const struct rule_hits *hits, uint32_t at)
{
    return hits->before[at] + counted(hits, at);
}

uint64_t rule_hits_sum(const struct rule_hits *hits, const struct policy_role *role, uint32_t rule)
{
    return sum_at(hits, role->first_rule + rule);
}

uint64_t rule_hits_since_us(const struct rule_hits *hits, const struct policy_role *role, uint32_t rule)
{
    return hits->since[role->first_rule + rule];
}

void rule_hits_follow(struct rule_hits *hits, const struct snapshot *policy, const struct rule_hits *old,
                      const struct snapshot *old_policy)
{
    struct name_index ids;
    if (!name_index_init(&ids, old->n))
        return; /* they begin anew */
    for (uint32_t i = 0; i < snapshot_roles(old_policy); i++) {
        const struct policy_role *role = snapshot_role(old_policy, i);
        for (uint32_t k = 0; k < acl_rules(role->acl); k++)
            name_index_add(&ids, bytes_of_text(acl_rule_at(role->acl, k)->id), role->first_rule + k);
    }
    for (uint32_t i = 0; i < snapshot_roles(policy); i++) {
        const struct policy_role *role = snapshot_role(policy, i);
        for (uint32_t k = 0; k < acl_rules(role->acl); k++) {
            uint32_t from = name_index_find(&ids, bytes_of_text(acl_rule_at(role->acl, k)->id));
            uint32_t to = role->first_rule + k;
            if (from == NAME_INDEX_NONE)
                continue;
            hits->since[to] = old->since[from];
            hits->before[to] = sum_at(old, from) - counted(hits, to); /* may wrap: the sum is right */
        }
    }
    name_index_fini(&ids);
}
