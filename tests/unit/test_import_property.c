/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Imported policies against models of the broker, over random rules (H5): what is allowed is never more than
 * the broker allows, and the same where the import has told of nothing. The models are written from the
 * broker's documented order of asking and share nothing with the import.
 */
#include "tests/unit/import_rig.h"

#include <stdarg.h>

#define ROUNDS 250
#define LINES_MAX 9

static uint64_t seed = 20250115;

static uint32_t roll(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* ---- the model ----------------------------------------------------------------------------------------- */

enum { DENY = 0, READ = 1, WRITE = 2 };

struct line {
    int user; /* of the section: -1 before the first user; -2 a pattern */
    int access;
    char topic[96];
};

struct model {
    uint32_t n;
    struct line line[LINES_MAX];
};

static const char *const users[] = {"ann", "bob", "u/v", "eve"}; /* the last one has no section */
static const char *const client_ids[] = {"c1", "ann", "c+2", "a/b"};
static const char *const levels[] = {"a", "a", "b", "+", "+", "ann", "", "c1", "$SYS"};

/* Recursive, as the specification explains it (4.7.1); not the code under test. */
static bool fits(const char *filter, const char *topic, bool first)
{
    size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");
    if (first && topic[0] == '$' && filter[0] != '$')
        return false;
    if (f == 1 && filter[0] == '#')
        return true;
    if (!(f == 1 && filter[0] == '+') && (f != t || strncmp(filter, topic, f) != 0))
        return false;
    if (topic[t] == '\0')
        return filter[f] == '\0' || strcmp(filter + f, "/#") == 0;
    return filter[f] == '/' && fits(filter + f + 1, topic + t + 1, false);
}

static void expand(const char *topic, const char *client_id, const char *user, char to[400])
{
    size_t n = 0;
    for (; *topic != '\0'; topic++) {
        const char *value = topic[0] != '%'   ? NULL
                            : topic[1] == 'c' ? client_id
                            : topic[1] == 'u' ? user
                                              : NULL;
        if (value != NULL) {
            n += (size_t)sprintf(to + n, "%s", value);
            topic++;
        } else {
            to[n++] = *topic;
        }
    }
    to[n] = '\0';
}

/* One pass over a group of lines: 1 allowed, 0 refused, -1 nothing said. */
static int pass(const struct model *model, int group, bool deny, int access, const char *client_id,
                const char *user, const char *topic)
{
    char filter[400];
    for (uint32_t i = 0; i < model->n; i++) {
        const struct line *line = &model->line[i];
        if (line->user != group || (line->access == DENY) != deny)
            continue;
        if (group == -2 && user == NULL && strstr(line->topic, "%u") != NULL)
            continue;
        if (group == -2)
            expand(line->topic, client_id, user, filter);
        else
            strcpy(filter, line->topic);
        if (fits(filter, topic, true) && (deny || (line->access & access) != 0))
            return deny ? 0 : 1;
    }
    return -1;
}

static bool model_allows(const struct model *model, int access, const char *client_id, const char *user,
                         const char *topic)
{
    int section = user == NULL ? -1 : -3;
    bool patterns = false;
    for (int i = 0; user != NULL && i < 4; i++)
        if (strcmp(users[i], user) == 0)
            section = i;
    for (int deny = 1; deny >= 0; deny--) {
        int said = pass(model, section, deny != 0, access, client_id, user, topic);
        if (said >= 0)
            return said == 1;
    }
    for (uint32_t i = 0; i < model->n; i++)
        patterns = patterns || model->line[i].user == -2;
    if (!patterns || (user != NULL && strpbrk(user, "+#/") != NULL) || strpbrk(client_id, "+#/") != NULL)
        return false;
    for (int deny = 1; deny >= 0; deny--) {
        int said = pass(model, -2, deny != 0, access, client_id, user, topic);
        if (said >= 0)
            return said == 1;
    }
    return false;
}

/* ---- random rules -------------------------------------------------------------------------------------- */

static void random_topic(char *to, bool filter, bool variables)
{
    uint32_t n = 1 + roll(3);
    to[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            strcat(to, "/");
        uint32_t kind = roll(10);
        if (variables && kind < 3)
            strcat(to, kind == 0 ? "%c" : kind == 1 ? "%u" : "x-%u");
        else if (filter && i + 1 == n && kind >= 7)
            strcat(to, "#");
        else
            strcat(to, levels[roll(i == 0 ? 9 : 8)]);
        if (!filter && strcmp(to, "+") == 0)
            strcpy(to, "a");
    }
    for (char *c = to; !filter && *c != '\0'; c++)
        if (*c == '+')
            *c = 'a';
    if (to[0] == '\0')
        strcpy(to, "a");
}

static void random_model(struct model *model, char *text)
{
    static const char *const words[] = {"deny", "read", "write", "readwrite"};
    int user = -1;
    model->n = 1 + roll(LINES_MAX);
    text[0] = '\0';
    for (uint32_t i = 0; i < model->n; i++) {
        struct line *line = &model->line[i];
        if (roll(3) == 0) {
            user = (int)roll(3);
            sprintf(text + strlen(text), "user %s\n", users[user]);
        }
        bool pattern = roll(3) == 0;
        line->user = pattern ? -2 : user;
        line->access = (int)roll(4);
        random_topic(line->topic, true, pattern);
        sprintf(text + strlen(text), "%s %s %s\n", pattern ? "pattern" : "topic", words[line->access],
                line->topic);
    }
}

struct told_counts {
    uint32_t compared, narrower, exact_rounds;
};

static void compare(const struct import_rig *rig, const struct model *model, bool exact, const char *text,
                    struct told_counts *counts)
{
    for (uint32_t i = 0; i < 300; i++) {
        char topic[96];
        const char *user = roll(5) == 0 ? NULL : users[roll(4)], *client_id = client_ids[roll(4)];
        bool receive = roll(2) == 0;
        random_topic(topic, false, false);
        bool broker = model_allows(model, receive ? READ : WRITE, client_id, user, topic);
        bool here = rig_allows(rig, client_id, user, NULL, "mqtt-1883", receive, topic);
        bool plain = strpbrk(client_id, "+/") == NULL;
        counts->compared++;
        counts->narrower += broker && !here;
        if ((here && !broker) || (exact && plain && here != broker)) {
            printf("--- %s as %s %s %s: broker %d, here %d\n%s", topic, client_id, user != NULL ? user : "-",
                   receive ? "receives" : "publishes", broker, here, text);
            CU_FAIL_FATAL("the imported policy differs");
        }
    }
}

/* Whether nothing was told that makes a topic narrower. */
static bool told_nothing(const struct import_rig *rig)
{
    for (size_t i = 0; i < diagnostics_count(rig->run.d); i++)
        if (strstr(diagnostics_at(rig->run.d, i)->text, "wider filters are accepted") == NULL)
            return false;
    return true;
}

static bool writes_anything(const struct import_site *site)
{
    for (uint32_t i = 0; i < site->roles_n; i++)
        for (uint32_t k = 0; k < site->roles[i].rules.n; k++)
            if (site->roles[i].rules.at[k].allow)
                return true;
    return false;
}

static void acl_files(void)
{
    struct told_counts counts = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct import_rig rig;
        struct model model;
        struct import_summary summary;
        struct mosquitto_acl acl = {.file = NULL};
        char text[2048], copy[2048];
        rig_open(&rig);
        random_model(&model, text);
        strcpy(copy, text);
        bool good = mosquitto_acl_parse(&rig.run, copy, "acl", &acl) &&
                    mosquitto_site_acl_roles(&rig.run, &acl, NULL, true, &rig.site) &&
                    mosquitto_site_finish(&rig.run, &rig.site);
        if (!good)
            printf("%s", text), rig_print(rig.run.d);
        CU_ASSERT_TRUE_FATAL(good);
        bool exact = told_nothing(&rig);
        if (writes_anything(&rig.site)) {
            rig_load(&rig, NULL, &summary);
            compare(&rig, &model, exact, text, &counts);
            counts.exact_rounds += exact;
        }
        rig_close(&rig);
    }
    printf("%u comparisons, %u narrower, %u exact rounds\n", counts.compared, counts.narrower,
           counts.exact_rounds);
    CU_ASSERT_TRUE(counts.exact_rounds > ROUNDS / 3);
    CU_ASSERT_TRUE(counts.narrower < counts.compared / 10);
}

/* ---- the plugin ---------------------------------------------------------------------------------------- */

struct plugin_entry {
    int role, kind, priority; /* kind: 0 send, 1 receive, 2 subscribe literal, 3 pattern */
    bool allow;
    char topic[96];
};

struct plugin_model {
    uint32_t n;
    struct plugin_entry entry[12];
    int role_priority[3]; /* of ann's roles: 0 and 1 her own, 2 of her group */
    bool send, receive, subscribe;
};

/* Entries of a role of one kind, by priority and then as written. */
static int plugin_role(const struct plugin_model *model, int role, int kind, const char *topic)
{
    const struct plugin_entry *best = NULL;
    for (uint32_t i = 0; i < model->n; i++) {
        const struct plugin_entry *entry = &model->entry[i];
        bool here = entry->role == role && entry->kind == kind &&
                    (kind == 2 ? strcmp(entry->topic, topic) == 0 : fits(entry->topic, topic, true));
        if (here && (best == NULL || entry->priority > best->priority))
            best = entry;
    }
    return best == NULL ? -1 : best->allow;
}

static bool plugin_says(const struct plugin_model *model, int kind, bool otherwise, const char *topic)
{
    int first = model->role_priority[1] > model->role_priority[0];
    int order[3] = {first, !first, 2};
    for (int i = 0; i < 3; i++) {
        int said = kind == 3 ? plugin_role(model, order[i], 2, topic) : -1;
        if (said < 0)
            said = plugin_role(model, order[i], kind, topic);
        if (said >= 0)
            return said == 1;
    }
    return otherwise;
}

static void random_plugin(struct plugin_model *model, char *text)
{
    static const char *const kinds[] = {"publishClientSend", "publishClientReceive", "subscribeLiteral",
                                        "subscribePattern"};
    size_t n = 0;
    model->n = 3 + roll(9);
    model->send = roll(4) == 0;
    model->receive = roll(4) != 0;
    model->subscribe = roll(4) == 0;
    n += (size_t)sprintf(text,
                         "{\"defaultACLAccess\":{\"publishClientSend\":%s,\"publishClientReceive\":%s,"
                         "\"subscribe\":%s},\"roles\":[",
                         model->send ? "true" : "false", model->receive ? "true" : "false",
                         model->subscribe ? "true" : "false");
    for (uint32_t i = 0; i < model->n; i++) {
        struct plugin_entry *entry = &model->entry[i];
        *entry = (struct plugin_entry){
            .role = (int)roll(3), .kind = (int)roll(4), .priority = (int)(i * 7 % 12), .allow = roll(3) != 0};
        random_topic(entry->topic, entry->kind != 2, false);
    }
    for (int role = 0; role < 3; role++) {
        bool any = false;
        model->role_priority[role] = role == 2 ? 0 : (int)roll(3) * 2 + role;
        n += (size_t)sprintf(text + n, "%s{\"rolename\":\"r%d\",\"acls\":[", role == 0 ? "" : ",", role);
        for (uint32_t i = 0; i < model->n; i++) {
            const struct plugin_entry *entry = &model->entry[i];
            if (entry->role != role)
                continue;
            n += (size_t)sprintf(text + n,
                                 "%s{\"acltype\":\"%s\",\"topic\":\"%s\",\"priority\":%d,\"allow\":%s}",
                                 any ? "," : "", kinds[entry->kind], entry->topic, entry->priority,
                                 entry->allow ? "true" : "false");
            any = true;
        }
        n += (size_t)sprintf(text + n, "]}");
    }
    sprintf(text + n,
            "],\"groups\":[{\"groupname\":\"g\",\"roles\":[{\"rolename\":\"r2\"}],\"clients\":[{\"username\":"
            "\"ann\"}]}],"
            "\"clients\":[{\"username\":\"ann\",\"password\":\"cGFzcw==\",\"salt\":\"c2FsdA==\","
            "\"iterations\":101,"
            "\"roles\":[{\"rolename\":\"r0\",\"priority\":%d},{\"rolename\":\"r1\",\"priority\":%d}]}]}",
            model->role_priority[0], model->role_priority[1]);
}

static void compare_plugin(const struct import_rig *rig, const struct plugin_model *model, bool exact,
                           const char *text, struct told_counts *counts)
{
    for (uint32_t i = 0; i < 300; i++) {
        char topic[96];
        bool receive = roll(2) == 0;
        random_topic(topic, false, false);
        bool system = topic[0] == '$' && strncmp(topic, "$SYS", 4) != 0;
        bool broker = receive ? plugin_says(model, 3, model->subscribe, topic) &&
                                    plugin_says(model, 1, model->receive, topic)
                              : plugin_says(model, 0, model->send && topic[0] != '$', topic);
        bool here = rig_allows(rig, "c1", "ann", NULL, "mqtt-1883", receive, topic);
        counts->compared++;
        counts->narrower += broker && !here;
        if ((here && !broker) || (exact && !system && here != broker)) {
            printf("--- %s %s: broker %d, here %d\n%s\n", topic, receive ? "received" : "published", broker,
                   here, text);
            CU_FAIL_FATAL("the imported policy differs");
        }
    }
}

/* Whether a deny of subscriptions lies below or beside a wider grant: there the plugin delivers to who asks
 * for more what it refuses to who asks for it alone, and the import does not. That is narrower, and no
 * difference for single topics, which are what is compared. */
static void plugin_files(void)
{
    struct told_counts counts = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct import_rig rig;
        struct plugin_model model;
        struct import_summary summary;
        static char text[8192];
        rig_open(&rig);
        random_plugin(&model, text);
        bool good =
            mosquitto_dynsec_read(&rig.run, text, strlen(text), "dynsec.json", NULL, false, &rig.site) &&
            mosquitto_site_finish(&rig.run, &rig.site);
        if (!good)
            printf("%s\n", text), rig_print(rig.run.d);
        CU_ASSERT_TRUE_FATAL(good);
        bool exact = told_nothing(&rig);
        if (writes_anything(&rig.site)) {
            rig_load(&rig, NULL, &summary);
            compare_plugin(&rig, &model, exact, text, &counts);
            counts.exact_rounds += exact;
        }
        rig_close(&rig);
    }
    printf("%u comparisons, %u narrower, %u exact rounds\n", counts.compared, counts.narrower,
           counts.exact_rounds);
    CU_ASSERT_TRUE(counts.exact_rounds > ROUNDS / 4);
    CU_ASSERT_TRUE(counts.narrower < counts.compared / 10);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"random acl_files say the same as mosquitto, or less and it is told (H5)", acl_files},
        {"random files of the dynamic-security plugin (H5)", plugin_files},
    };
    return unit_run("import property", tests, sizeof(tests) / sizeof(tests[0]));
}
