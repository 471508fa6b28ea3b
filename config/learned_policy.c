/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/learned_policy.h"

#include "config/gateway_config.h"
#include "config/learned_rules.h"
#include "config/policy_config.h"
#include "config/policy_draft.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEST_FAILED "test failed:"

/* ---- the kept text, line by line ------------------------------------------------------------------------
 */

struct lines {
    const char *at, *end;
};

/* The next line without its end; false at the end of the text. */
static bool next_line(struct lines *lines, struct bytes *line)
{
    if (lines->at == lines->end)
        return false;
    size_t left = (size_t)(lines->end - lines->at);
    const char *stop = memchr(lines->at, '\n', left);
    size_t n = stop == NULL ? left : (size_t)(stop - lines->at);
    *line = bytes_of(lines->at, n);
    lines->at += stop == NULL ? n : n + 1;
    return true;
}

static bool is(struct bytes line, const char *text)
{
    return bytes_equal(line, bytes_of_text(text));
}

static bool begins(struct bytes line, const char *text)
{
    size_t n = strlen(text);
    return line.len >= n && memcmp(line.at, text, n) == 0;
}

/* "  }" or "  }," */
static bool closes(struct bytes line, const char *blanks)
{
    size_t n = strlen(blanks);
    return begins(line, blanks) && line.len > n && line.at[n] == '}' &&
           (line.len == n + 1 || (line.len == n + 2 && line.at[n + 1] == ','));
}

static bool closes_list(struct bytes line, const char *blanks)
{
    size_t n = strlen(blanks);
    return begins(line, blanks) && line.len == n + 2 && line.at[n] == ')' && line.at[n + 1] == ';';
}

/* The lines of an entry, from its "{" to its "}" without a comma; `first` was its first line. False when it
 * does not end. */
static bool take_entry(struct lines *lines, struct bytes first, const char *blanks, struct bytes *entry)
{
    struct bytes line;
    while (next_line(lines, &line))
        if (closes(line, blanks)) {
            *entry = bytes_of(first.at, (size_t)(line.at + strlen(blanks) + 1 - first.at));
            return true;
        }
    return false;
}

/* ---- what is made ---------------------------------------------------------------------------------------
 */

struct making {
    struct learned_role *roles;
    uint32_t roles_n;
    struct learned_policy *out;
    FILE *to;
    uint32_t old_at; /* the next of the old tests */
    uint32_t room;   /* of tests */
    bool again;      /* tests are known */
    bool opened;     /* a list of tests was met */
};

static void put_line(struct making *m, struct bytes line)
{
    fwrite(line.at, 1, line.len, m->to);
    fputc('\n', m->to);
}

static bool add_test(struct making *m, struct bytes text, bool old)
{
    struct learned_policy *out = m->out;
    for (uint32_t i = 0; i < out->tests_n; i++)
        if (strlen(out->test[i].at) == text.len && memcmp(out->test[i].at, text.at, text.len) == 0)
            return true; /* it is there */
    if (out->tests_n == m->room) {
        uint32_t room = m->room == 0 ? 64 : m->room * 2;
        struct learned_test *more = realloc(out->test, room * sizeof(*more));
        if (more == NULL)
            return false;
        out->test = more;
        m->room = room;
    }
    char *copy = strndup((const char *)text.at, text.len);
    if (copy == NULL)
        return false;
    out->test[out->tests_n++] = (struct learned_test){.old = old, .at = copy};
    return true;
}

static bool add_learned(void *owner, const char *text, bool positive)
{
    struct making *m = owner;
    uint32_t before = m->out->tests_n;
    bool good = add_test(m, bytes_of_text(text), false);
    if (m->out->tests_n != before)
        *(positive ? &m->out->tests_positive : &m->out->tests_negative) += 1;
    return good;
}

/* ---- roles ----------------------------------------------------------------------------------------------
 */

/* The role's rules that deny, as they are. */
static void keep_denials(struct making *m, struct bytes rules, uint32_t *written)
{
    struct lines lines = {(const char *)rules.at, (const char *)rules.at + rules.len};
    struct bytes line, entry;
    while (next_line(&lines, &line)) {
        if (!is(line, "      {") || !take_entry(&lines, line, "      ", &entry))
            continue;
        struct lines inner = {(const char *)entry.at, (const char *)entry.at + entry.len};
        bool denies = false;
        while (next_line(&inner, &line))
            denies = denies || begins(line, "        deny = ");
        if (!denies)
            continue;
        if ((*written)++ != 0)
            fprintf(m->to, ",\n");
        fwrite(entry.at, 1, entry.len, m->to);
    }
}

static void put_rules(struct making *m, const struct learned_role *role, struct bytes old)
{
    uint32_t written = 0, denials;
    learned_findings_write(role, m->to);
    fprintf(m->to, "    rules = (\n");
    keep_denials(m, old, &written);
    denials = written;
    learned_rules_write(role, m->to, &written);
    m->out->rules += written - denials;
    fprintf(m->to, "\n    );\n");
}

static void time_text(uint64_t wall_us, char text[32])
{
    struct tm tm;
    time_t seconds = (time_t)(wall_us / 1000000);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
}

static void put_head(struct making *m, const struct learned_role *role)
{
    char from[32], until[32];
    time_text(role->since_us, from);
    time_text(role->until_us, until);
    fprintf(m->to, "    # learned from %s to %s: %u clients at %u addresses, %" PRIu64 " messages\n", from,
            until, role->mined->clients_n, role->mined->sources_n, role->mined->messages);
    if (role->mined->no_place + role->mined->not_counted + role->mined->too_long != 0)
        fprintf(m->to,
                "    # not in it: %" PRIu64 " messages in topics beyond what is kept, %" PRIu64
                " of clients beyond, %" PRIu64 " too long\n",
                role->mined->no_place, role->mined->not_counted, role->mined->too_long);
    fprintf(m->to, "    # it observes: nothing is refused yet; write \"enforce\" when nothing is missing\n");
    fprintf(m->to, "    mode = \"observe\";\n");
}

static struct learned_role *role_named(struct making *m, struct bytes entry)
{
    struct lines lines = {(const char *)entry.at, (const char *)entry.at + entry.len};
    struct bytes line;
    while (next_line(&lines, &line)) {
        if (!begins(line, "    name = \""))
            continue;
        struct bytes name = bytes_of(line.at + 12, line.len < 14 ? 0 : line.len - 14);
        for (uint32_t i = 0; i < m->roles_n; i++)
            if (bytes_equal(name, bytes_of_text(m->roles[i].name)))
                return &m->roles[i];
        return NULL;
    }
    return NULL;
}

/* A learned role: its lines but for `mode` and `rules`, which are written anew. */
static bool put_role(struct making *m, struct learned_role *role, struct bytes entry)
{
    struct lines lines = {(const char *)entry.at, (const char *)entry.at + entry.len};
    struct bytes line, rules = bytes_of(NULL, 0);
    role->found = true;
    while (next_line(&lines, &line)) {
        if (begins(line, "    rules = (")) {
            rules = line;
            while (!closes_list(line, "    "))
                if (!next_line(&lines, &line))
                    return false;
            rules.len = (size_t)(line.at - rules.at);
        } else if (lines.at == lines.end) { /* its "  }" */
            put_rules(m, role, rules);
            fwrite(line.at, 1, line.len, m->to);
        } else if (!begins(line, "    mode = ")) {
            put_line(m, line);
            if (begins(line, "    name = "))
                put_head(m, role);
        }
    }
    return true;
}

static bool put_roles(struct making *m, struct lines *lines)
{
    struct bytes line, entry;
    const char *comma = "";
    fprintf(m->to, "roles = (\n");
    while (next_line(lines, &line) && !closes_list(line, "")) {
        if (!is(line, "  {") || !take_entry(lines, line, "  ", &entry))
            return false;
        struct learned_role *role = role_named(m, entry);
        fprintf(m->to, "%s", comma);
        comma = ",\n";
        if (role != NULL)
            role->left = role->mined->findings_n == 0;
        if (role != NULL && role->left)
            role->found = true;
        if (role == NULL || role->left)
            fwrite(entry.at, 1, entry.len, m->to);
        else if (!put_role(m, role, entry))
            return false;
    }
    fprintf(m->to, "\n);\n");
    return true;
}

/* ---- tests ----------------------------------------------------------------------------------------------
 */

static bool take_tests(struct making *m, struct lines *lines)
{
    struct bytes line, entry;
    while (next_line(lines, &line) && !closes_list(line, "")) {
        if (!is(line, "  {") || !take_entry(lines, line, "  ", &entry))
            return false;
        if (!m->again && !add_test(m, entry, true))
            return false;
    }
    return true;
}

static uint32_t lines_of(const char *text)
{
    uint32_t n = 1;
    for (; (text = strchr(text, '\n')) != NULL; text++)
        n++;
    return n;
}

static void put_dropped(struct making *m, const struct learned_test *test)
{
    struct lines lines = {test->at, test->at + strlen(test->at)};
    struct bytes line;
    while (next_line(&lines, &line)) {
        fprintf(m->to, "  # ");
        put_line(m, line);
    }
}

/* Dropped ones first: a comma must not come behind the last that is not. `line`: where it begins. */
static void put_tests(struct making *m, uint32_t line)
{
    struct learned_policy *out = m->out;
    bool first = true;
    out->tests_dropped = 0;
    for (uint32_t i = 0; i < out->tests_n; i++)
        out->tests_dropped += out->test[i].dropped;
    if (out->tests_n == out->tests_dropped && out->tests_n == 0)
        return;
    if (out->tests_dropped != 0) {
        fprintf(m->to, "# tests that do not hold any more:\n");
        line++;
    }
    for (uint32_t i = 0; i < out->tests_n; i++)
        if (out->test[i].dropped) {
            put_dropped(m, &out->test[i]);
            line += lines_of(out->test[i].at);
        }
    if (out->tests_n == out->tests_dropped)
        return;
    fprintf(m->to, "tests = (\n");
    line++;
    for (uint32_t i = 0; i < out->tests_n; i++) {
        struct learned_test *test = &out->test[i];
        if (test->dropped)
            continue;
        fprintf(m->to, "%s%s", first ? "" : ",\n", test->at);
        first = false;
        test->first_line = line;
        line += lines_of(test->at);
        test->last_line = line - 1;
    }
    fprintf(m->to, "\n);\n");
}

/* ---- all of it ------------------------------------------------------------------------------------------
 */

/* Whether the line begins a setting of the policy; the others are the gateway's. */
static bool is_policys(struct bytes line)
{
    for (size_t i = 0; i < policy_keys.keys_n; i++) {
        size_t n = strlen(policy_keys.keys[i].name);
        if (begins(line, policy_keys.keys[i].name) && line.len > n && line.at[n] == ' ')
            return true;
    }
    return false;
}

static bool put_all(struct making *m, const char *kept, size_t len)
{
    struct lines lines = {kept, kept + len};
    struct bytes line;
    long policy_at = -1;
    while (next_line(&lines, &line)) {
        if (policy_at < 0 && is_policys(line))
            policy_at = ftell(m->to);
        if (is(line, "roles = (")) {
            if (!put_roles(m, &lines))
                return false;
        } else if (is(line, "tests = (")) {
            if (!take_tests(m, &lines))
                return false;
        } else {
            put_line(m, line);
        }
    }
    m->out->policy_at = policy_at < 0 ? 0 : (size_t)policy_at;
    for (uint32_t i = 0; i < m->roles_n && !m->again; i++)
        if (m->roles[i].found && !learned_tests_each(&m->roles[i], add_learned, m))
            return false;
    return policy_at >= 0;
}

static uint32_t count_lines(const char *text, size_t len)
{
    uint32_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

static bool make(const char *kept, size_t len, struct learned_role *roles, uint32_t n, bool again,
                 struct learned_policy *out)
{
    struct making m = {.roles = roles, .roles_n = n, .out = out, .again = again, .room = out->tests_n};
    free(out->at);
    out->at = NULL;
    out->rules = 0;
    m.to = open_memstream(&out->at, &out->len);
    if (m.to == NULL)
        return false;
    bool good = put_all(&m, kept, len) && fflush(m.to) == 0;
    if (good)
        put_tests(&m, count_lines(out->at, out->len) + 1);
    good = ferror(m.to) == 0 && good;
    return fclose(m.to) == 0 && good;
}

bool learned_policy_make(const char *kept, size_t len, struct learned_role *roles, uint32_t n,
                         struct learned_policy *out)
{
    *out = (struct learned_policy){.at = NULL};
    return make(kept, len, roles, n, false, out);
}

bool learned_policy_rewrite(const char *kept, size_t len, struct learned_role *roles, uint32_t n,
                            struct learned_policy *policy)
{
    return make(kept, len, roles, n, true, policy);
}

void learned_policy_fini(struct learned_policy *policy)
{
    for (uint32_t i = 0; i < policy->tests_n; i++)
        free(policy->test[i].at);
    free(policy->test);
    free(policy->at);
    *policy = (struct learned_policy){.at = NULL};
}

/* ---- the check ------------------------------------------------------------------------------------------
 */

static void drop_failed(struct learned_policy *policy, const struct diagnostics *d, uint32_t *dropped)
{
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        const struct diagnostic *entry = diagnostics_at(d, i);
        if (entry->level != DIAGNOSTIC_ERROR || strncmp(entry->text, TEST_FAILED, strlen(TEST_FAILED)) != 0)
            continue;
        for (uint32_t k = 0; k < policy->tests_n; k++) {
            struct learned_test *test = &policy->test[k];
            if (test->dropped || entry->line < test->first_line || entry->line > test->last_line)
                continue;
            test->dropped = true;
            ++*dropped;
        }
    }
}

bool learned_policy_check(struct learned_policy *policy, const char *path, struct diagnostics *d,
                          uint32_t *dropped)
{
    struct policy_summary summary;
    *dropped = 0;
    struct gateway_config *config = gateway_config_load(path, d);
    struct snapshot *snapshot = config == NULL ? NULL : policy_config_load(NULL, config, 1, d, &summary);
    bool good = snapshot != NULL;
    if (!good)
        drop_failed(policy, d, dropped);
    snapshot_destroy(snapshot);
    gateway_config_destroy(config);
    return good;
}
