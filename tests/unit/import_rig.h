/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An import of texts, and the policy that comes of it, compiled as the gateway would (H5). */
#ifndef TESTS_UNIT_IMPORT_RIG_H
#define TESTS_UNIT_IMPORT_RIG_H

#include "config/policy_config.h"
#include "gateway/ctl/import/import_resolve.h"
#include "gateway/ctl/import/import_write.h"
#include "gateway/ctl/import/mosquitto_dynsec.h"
#include "gateway/ctl/import/mosquitto_site.h"
#include "policy/access/identity.h"
#include "policy/access/topic.h"
#include "tests/unit/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct import_rig {
    struct import_run run;
    struct import_site site;
    char directory[64];
    struct snapshot *policy;
};

static inline void rig_open(struct import_rig *rig)
{
    *rig = (struct import_rig){.run = {.arena = arena_create(), .d = diagnostics_create()}};
    snprintf(rig->directory, sizeof(rig->directory), "/tmp/sallyport-import-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->run.arena);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->run.d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->directory));
}

static inline void rig_path(const struct import_rig *rig, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", rig->directory, name);
}

static inline void rig_close(struct import_rig *rig)
{
    static const char *const names[] = {
        "10.conf", "sallyport.conf", "mosquitto.conf", "acl",           "pw",
        "pw2",     "dynsec.json",    "conf.d/a.conf",  "conf.d/b.conf", "conf.d"};
    char path[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        rig_path(rig, names[i], path);
        (void)remove(path);
    }
    rmdir(rig->directory);
    snapshot_destroy(rig->policy);
    diagnostics_destroy(rig->run.d);
    arena_destroy(rig->run.arena);
}

static inline void rig_file(const struct import_rig *rig, const char *name, const char *text)
{
    char path[128];
    rig_path(rig, name, path);
    FILE *to = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    fputs(text, to);
    fclose(to);
}

static inline bool rig_told(const struct import_rig *rig, const char *file, uint32_t line, const char *text)
{
    for (size_t i = 0; i < diagnostics_count(rig->run.d); i++) {
        const struct diagnostic *entry = diagnostics_at(rig->run.d, i);
        size_t length = strlen(entry->file), wanted = strlen(file);
        if (entry->line == line && strstr(entry->text, text) != NULL && length >= wanted &&
            strcmp(entry->file + length - wanted, file) == 0)
            return true;
    }
    return false;
}

static inline void rig_print(const struct diagnostics *d)
{
    char line[1024];
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        diagnostic_format(diagnostics_at(d, i), line, sizeof(line));
        printf("%s\n", line);
    }
}

/* Writes what was read and has it loaded; what the loader finds wrong fails the test. */
static inline void rig_load(struct import_rig *rig, const char *users_file, struct import_summary *summary)
{
    static struct import_listener plain = {.name = "mqtt-1883", .file = "mosquitto.conf", .port = 1883};
    char policy[128], gateway[128];
    struct policy_summary loaded;
    if (rig->site.listeners_n == 0) {
        rig->site.listeners = &plain;
        rig->site.listeners_n = 1;
    }
    rig_path(rig, "10.conf", policy);
    rig_path(rig, "sallyport.conf", gateway);
    FILE *to = fopen(policy, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    bool good = import_write_policy(&rig->run, &rig->site, "mosquitto.conf", users_file, to, summary);
    fclose(to);
    to = fopen(gateway, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    good = import_write_gateway(&rig->run, &rig->site, "mosquitto.conf", NULL, to) && good;
    fclose(to);
    CU_ASSERT_TRUE_FATAL(good);
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *config = gateway_config_read(gateway, d);
    unlink(gateway); /* which lie where policies are looked for */
    rig_path(rig, "mosquitto.conf", gateway);
    unlink(gateway);
    rig->policy = config == NULL ? NULL : policy_config_load(rig->directory, config, 1, d, &loaded);
    if (rig->policy == NULL)
        rig_print(d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->policy);
    CU_ASSERT_EQUAL(loaded.tests_passed, summary->tests);
    gateway_config_destroy(config);
    diagnostics_destroy(d);
}

/* What the policy says of one topic. `receive`: whether it would be delivered. */
static inline bool rig_allows(const struct import_rig *rig, const char *client_id, const char *user,
                              const char *cert_cn, const char *listener, bool receive, const char *topic)
{
    static struct identity identity;
    struct client_facts facts = {.listener = bytes_of_text(listener),
                                 .client_id = bytes_of_text(client_id),
                                 .user = user == NULL ? bytes_of(NULL, 0) : bytes_of_text(user),
                                 .cert_cn = cert_cn == NULL ? bytes_of(NULL, 0) : bytes_of_text(cert_cn),
                                 .source = {[10] = 0xFF, [11] = 0xFF, 10, 0, 0, 1}};
    struct acl_request request = {.action = receive ? ACL_SUBSCRIBE : ACL_PUBLISH,
                                  .topic = bytes_of_text(topic)};
    if (identity_resolve(rig->policy, &facts, &identity) != OUTCOME_ALLOWED)
        return false;
    return acl_decide(identity.role->acl, &identity.values, &request).outcome == OUTCOME_ALLOWED;
}

/* Whether a SUBSCRIBE is accepted. */
static inline bool rig_subscribes(const struct import_rig *rig, const char *client_id, const char *user,
                                  const char *filter)
{
    static struct identity identity;
    struct client_facts facts = {.listener = bytes_of_text("mqtt-1883"),
                                 .client_id = bytes_of_text(client_id),
                                 .user = user == NULL ? bytes_of(NULL, 0) : bytes_of_text(user),
                                 .source = {[10] = 0xFF, [11] = 0xFF, 10, 0, 0, 1}};
    struct acl_request request = {.action = ACL_SUBSCRIBE, .topic = bytes_of_text(filter)};
    if (identity_resolve(rig->policy, &facts, &identity) != OUTCOME_ALLOWED)
        return false;
    return acl_decide_filter(identity.role->acl, &identity.values, &request, identity.role->subscribe_mode)
               .outcome == OUTCOME_ALLOWED;
}

#endif
