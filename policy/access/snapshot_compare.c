/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/snapshot_compare.h"

#include "policy/access/snapshot_layout.h"

/* Rules of one role; `before` or `after` is NULL when the role is only in the other policy. */
static bool compare_rules(const struct role *before, const struct role *after, struct snapshot_count *count)
{
    uint32_t before_n = before == NULL ? 0 : acl_rules(before->acl);
    uint32_t after_n = after == NULL ? 0 : acl_rules(after->acl), met = 0;
    struct name_index ids;
    if (!name_index_init(&ids, before_n))
        return false;
    for (uint32_t i = 0; i < before_n; i++)
        name_index_add(&ids, bytes_of_text(acl_rule_at(before->acl, i)->id), i);
    for (uint32_t i = 0; i < after_n; i++) {
        uint32_t twin = name_index_find(&ids, bytes_of_text(acl_rule_at(after->acl, i)->id));
        if (twin == NAME_INDEX_NONE) {
            count->added++;
            continue;
        }
        met++;
        count->changed += before->rule_digests[twin] != after->rule_digests[i];
    }
    count->removed += before_n - met;
    name_index_fini(&ids);
    return true;
}

static bool compare_roles(const struct snapshot *before, const struct snapshot *after,
                          struct snapshot_changes *changes)
{
    struct name_index names;
    uint32_t met = 0, last = 0;
    bool good = name_index_init(&names, before->roles_n);
    if (!good)
        return false;
    for (uint32_t i = 0; i < before->roles_n; i++)
        name_index_add(&names, bytes_of_text(before->roles[i].seen.name), i);
    for (uint32_t i = 0; i < after->roles_n; i++) {
        const struct role *role = &after->roles[i];
        uint32_t at = name_index_find(&names, bytes_of_text(role->seen.name));
        const struct role *twin = at == NAME_INDEX_NONE ? NULL : &before->roles[at];
        good &= compare_rules(twin, role, &changes->rules);
        if (twin == NULL) {
            changes->roles.added++;
            continue;
        }
        changes->roles_reordered |= at < last;
        last = at;
        met++;
        changes->roles.changed += twin->digest != role->digest;
        changes->limits += twin->limits_digest != role->limits_digest;
    }
    name_index_fini(&names);
    changes->roles.removed = before->roles_n - met;
    /* The rules of the roles that went. */
    if (!name_index_init(&names, after->roles_n))
        return false;
    for (uint32_t i = 0; i < after->roles_n; i++)
        name_index_add(&names, bytes_of_text(after->roles[i].seen.name), i);
    for (uint32_t i = 0; i < before->roles_n; i++)
        if (name_index_find(&names, bytes_of_text(before->roles[i].seen.name)) == NAME_INDEX_NONE)
            good &= compare_rules(&before->roles[i], NULL, &changes->rules);
    name_index_fini(&names);
    return good;
}

static void compare_devices(const struct snapshot *before, const struct snapshot *after,
                            struct snapshot_count *count)
{
    uint32_t met = 0;
    for (uint32_t i = 0; i < after->devices_n; i++) {
        uint32_t at = name_index_find(&before->device_by_id, bytes_of_text(after->devices[i].seen.id));
        if (at == NAME_INDEX_NONE) {
            count->added++;
            continue;
        }
        met++;
        count->changed += before->devices[at].digest != after->devices[i].digest;
    }
    count->removed += before->devices_n - met;
}

bool snapshot_compare(const struct snapshot *before, const struct snapshot *after,
                      struct snapshot_changes *changes)
{
    *changes = (struct snapshot_changes){.limits = 0};
    compare_devices(before, after, &changes->devices);
    return compare_roles(before, after, changes);
}
