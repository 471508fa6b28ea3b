/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy's tests, from what the broker's lists say. For each role: topics that its own entries match,
 * some that they just do not, and some of the neighbours'; publish and delivery of each.
 */
#include "gateway/ctl/import/import_resolve.h"
#include "gateway/ctl/import/import_write.h"

#include <string.h>

#define TOPIC_ROOM 1024
#define TOPICS_PER_ROLE 48u
#define SAMPLE_CLIENT "sample-client"
#define SAMPLE_USER "sample-user"

struct tester {
    struct import_run *run;
    const struct import_site *site;
    const struct import_role *role;
    struct import_client client;
    FILE *to;
    struct import_summary *summary;
    uint32_t topics;
    bool wider;
};

/* Some topic that the filter matches: "x" for '+', `rest` for '#'; empty when there is none. */
static bool topic_of(const char *filter, const struct import_client *client, const char *rest, char *to)
{
    size_t n = 0;
    for (const char *c = filter; *c != '\0'; c++) {
        bool level = (c == filter || c[-1] == '/') && (c[1] == '/' || c[1] == '\0');
        const char *piece = *c == IMPORT_CLIENT_ID ? client->client_id
                            : *c == IMPORT_USER    ? client->user
                            : level && *c == '+'   ? "x"
                            : level && *c == '#'   ? rest
                                                   : NULL;
        bool known = piece != NULL || (*c != IMPORT_USER && *c != IMPORT_CLIENT_ID);
        size_t length = piece != NULL ? strlen(piece) : 1;
        if (!known || length + 1 >= TOPIC_ROOM - n)
            return false;
        if (piece != NULL && length == 0 && n > 0)
            n--; /* "a/#" matches "a" */
        memcpy(to + n, piece != NULL ? piece : c, length);
        n += length;
    }
    to[n] = '\0';
    return n > 0 && n < 1000;
}

static void write_test(struct tester *t, uint8_t action, const char *topic)
{
    bool broker = import_broker_allows(t->role, action, topic, &t->client);
    bool rules = import_rules_allow(t->role, action, topic, &t->client);
    if (t->summary->tests == IMPORT_TESTS_MAX)
        return;
    if (rules && !broker) {
        import_tell(t->run, DIAGNOSTIC_ERROR, "import", 0,
                    "'%.128s' would allow '%.160s', which the broker does not; this is a fault of the "
                    "import: nothing is written",
                    t->role->name, topic);
        t->wider = true;
        return;
    }
    fprintf(t->to, "%s\n  { as = ", t->summary->tests == 0 ? "" : ",");
    import_write_string(t->to, t->client.client_id);
    if (t->client.user != NULL) {
        fprintf(t->to, "; %s = ", t->role->by_certificate ? "cert_cn" : t->role->by_psk ? "psk_id" : "user");
        import_write_string(t->to, t->client.user);
    }
    if (t->role->needs_certificate && !t->role->by_certificate)
        fputs("; cert_cn = \"sample\"", t->to);
    if (t->role->listener != NULL)
        fprintf(t->to, "; listener = \"%s\"", t->role->listener);
    fprintf(t->to, "; %s = ", action == IMPORT_PUBLISH ? "publish" : "subscribe");
    import_write_string(t->to, topic);
    fprintf(t->to, "; expect = \"%s\"; }", rules ? "allow" : "deny");
    if (broker && !rules) {
        fputs(" /* mosquitto allows it: see the warnings */", t->to);
        t->summary->narrower++;
    }
    t->summary->tests++;
}

static void try_topic(struct tester *t, const char *topic)
{
    if (t->topics++ >= TOPICS_PER_ROLE)
        return;
    write_test(t, IMPORT_PUBLISH, topic);
    write_test(t, IMPORT_RECEIVE, topic);
}

static void try_filter(struct tester *t, const char *filter, bool near)
{
    char topic[TOPIC_ROOM], other[TOPIC_ROOM + 16];
    size_t n = strlen(filter);
    if (topic_of(filter, &t->client, "x/y", topic)) {
        try_topic(t, topic);
        snprintf(other, sizeof(other), "%s/beyond", topic);
        if (near && strlen(other) < 1000)
            try_topic(t, other);
    }
    if (n > 2 && filter[n - 1] == '#' && topic_of(filter, &t->client, "", topic))
        try_topic(t, topic);
}

/* Of the neighbours: the first entry of each of the next few roles. */
static void try_neighbours(struct tester *t)
{
    uint32_t own = (uint32_t)(t->role - t->site->roles);
    for (uint32_t i = 1; i <= 3 && i < t->site->roles_n; i++) {
        const struct import_role *other = &t->site->roles[(own + i) % t->site->roles_n];
        if (other->lists.n != 0)
            try_filter(t, other->lists.at[0].filter, false);
    }
}

static void try_client(struct tester *t)
{
    const struct import_entries *lists = &t->role->lists;
    t->topics = 0;
    try_neighbours(t);
    for (uint32_t i = 0; i < lists->n && t->topics < TOPICS_PER_ROLE; i++)
        try_filter(t, lists->at[i].filter, i % 4 == 0);
}

static bool has_own_role(const struct import_site *site, const struct import_role *of, const char *user)
{
    for (uint32_t i = 0; i < site->roles_n; i++) {
        const struct import_role *role = &site->roles[i];
        bool here =
            role->listener == NULL || of->listener == NULL || strcmp(role->listener, of->listener) == 0;
        if (here && role->who == IMPORT_NAMED && strcmp(role->user, user) == 0)
            return true;
    }
    return false;
}

static bool written(const struct import_role *role)
{
    for (uint32_t i = 0; i < role->rules.n; i++)
        if (role->rules.at[i].allow)
            return true;
    return false;
}

bool import_write_tests(struct import_run *run, const struct import_site *site, FILE *to,
                        struct import_summary *summary)
{
    struct tester t = {.run = run, .site = site, .to = to, .summary = summary};
    fputs("tests = (", to);
    for (uint32_t i = 0; i < site->roles_n; i++) {
        t.role = &site->roles[i];
        t.client =
            (struct import_client){.client_id = t.role->client_id != NULL ? t.role->client_id : SAMPLE_CLIENT,
                                   .user = t.role->who == IMPORT_NAMED ? t.role->user : NULL};
        if (!written(t.role) || strlen(t.client.client_id) > 127 ||
            strpbrk(t.client.client_id, "/+#") != NULL)
            continue;
        if (t.role->who != IMPORT_OTHERS)
            try_client(&t);
        for (uint32_t s = 0; t.role->who == IMPORT_OTHERS && s < run->samples_n + 1; s++) {
            t.client.user = s == run->samples_n ? SAMPLE_USER : run->samples[s];
            if (!has_own_role(site, t.role, t.client.user) && strpbrk(t.client.user, "/+#") == NULL)
                try_client(&t);
        }
    }
    fputs("\n);\n", to);
    if (summary->tests == IMPORT_TESTS_MAX)
        import_tell(run, DIAGNOSTIC_WARNING, "import", 0,
                    "only the first %u tests are written; the rules are all there", IMPORT_TESTS_MAX);
    return !t.wider;
}
