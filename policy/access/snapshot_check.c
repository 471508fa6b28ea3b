/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be wrong with a policy: all of it is told, in sentences that end in what to do. */
#include "policy/access/glob.h"
#include "policy/access/identity.h"
#include "policy/access/snapshot_layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define VLAN_MAX 4094

struct check {
    const struct policy_spec *spec;
    struct snapshot_problems *problems;
    struct name_index device_vars; /* names that some device sets */
    struct name_index topic_vars;  /* names that some rule uses */
    struct name_index rule_ids;    /* number: place in `rules` */
    const struct acl_rule_spec **rules;
    uint32_t rules_n;
};

void snapshot_problem(struct snapshot_problems *problems, const char *file, uint32_t line, const char *format,
                      ...)
{
    struct policy_problem problem = {.file = file, .line = line};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem.text, sizeof(problem.text), format, arguments);
    va_end(arguments);
    problems->n++;
    problems->told(problems->owner, &problem);
}

void snapshot_warning(const struct snapshot_problems *problems, const char *file, uint32_t line,
                      const char *format, ...)
{
    struct policy_problem problem = {.warning = true, .file = file, .line = line};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem.text, sizeof(problem.text), format, arguments);
    va_end(arguments);
    problems->told(problems->owner, &problem);
}

#define TELL_ROLE(c, role, ...) snapshot_problem((c)->problems, (role)->file, (role)->line, __VA_ARGS__)
#define TELL_DEVICE(c, device, ...)                                                                          \
    snapshot_problem((c)->problems, (device)->file, (device)->line, __VA_ARGS__)
#define TELL_RULE(c, rule, ...) snapshot_problem((c)->problems, (rule)->file, (rule)->line, __VA_ARGS__)

/* ---- variables ------------------------------------------------------------------------------------------
 */

/* Tells that nothing sets a variable, and what may have been meant. */
static void tell_unknown(struct check *c, const struct policy_role_spec *role, const char *file,
                         uint32_t line, const char *what, struct bytes name)
{
    char meant[TEMPLATE_NAME_MAX + 1];
    if (snapshot_suggest(name, role, meant) == NULL)
        snapshot_problem(c->problems, file, line,
                         "unknown variable '${%.*s}' in %.80s; nothing sets it: capture it in 'match', or "
                         "write it under 'vars'",
                         (int)name.len, (const char *)name.at, what);
    else
        snapshot_problem(c->problems, file, line,
                         "unknown variable '${%.*s}' in %.80s; did you mean '${%s}'?", (int)name.len,
                         (const char *)name.at, what, meant);
}

static bool role_sets(const struct policy_role_spec *role, struct bytes var)
{
    for (uint32_t i = 0; i < role->variables_n; i++)
        if (bytes_equal(bytes_of_text(role->variables[i].name), var))
            return true;
    return false;
}

static bool variable_known(const struct check *c, const struct policy_role_spec *role, struct bytes name,
                           bool of_devices)
{
    enum variable_source source = snapshot_variable_source(name, &role->match, role->client_id);
    struct bytes var;
    if (source != VARIABLE_VAR || !snapshot_var_name(name, &var))
        return source != VARIABLE_UNKNOWN;
    return role_sets(role, var) || (of_devices && name_index_find(&c->device_vars, var) != NAME_INDEX_NONE);
}

/* ---- roles ----------------------------------------------------------------------------------------------
 */

static bool asks_nothing(const struct policy_match *match)
{
    struct match_glob globs[MATCH_GLOBS];
    snapshot_globs(match, NULL, globs);
    for (size_t i = 0; i < MATCH_GLOBS; i++)
        if (globs[i].glob != NULL)
            return false;
    return match->vlan < 0 && match->sources_n == 0;
}

static bool sources_good(const struct policy_source *sources, uint32_t n, uint32_t max)
{
    if (n > max)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (sources[i].bits > 128)
            return false;
    return true;
}

static void check_match(struct check *c, const struct policy_role_spec *role)
{
    struct match_glob globs[MATCH_GLOBS];
    const struct policy_match *match = &role->match;
    if (asks_nothing(match) && !match->any)
        TELL_ROLE(
            c, role,
            "role '%.60s' asks nothing in 'match', so that nobody gets it; write match = { any = true; } "
            "if everybody is meant",
            role->name);
    if (!asks_nothing(match) && match->any)
        TELL_ROLE(c, role,
                  "role '%.60s' has 'any' beside other conditions in 'match'; remove one or the other",
                  role->name);
    if (match->vlan < -1 || match->vlan > VLAN_MAX)
        TELL_ROLE(c, role, "VLAN %d of role '%.60s' is not in 0 to 4094", (int)match->vlan, role->name);
    if (!sources_good(match->sources, match->sources_n, POLICY_SOURCES_MAX))
        TELL_ROLE(c, role, "a source prefix of role '%.60s' is longer than an address", role->name);
    snapshot_globs(match, role->client_id, globs);
    for (size_t i = 0; i < MATCH_GLOBS; i++) {
        const char *wrong = globs[i].glob == NULL ? NULL : glob_check(bytes_of_text(globs[i].glob));
        if (wrong != NULL)
            TELL_ROLE(c, role, "'%s' of role '%.60s': %s", globs[i].what, role->name, wrong);
    }
}

static void check_captures(struct check *c, const struct policy_role_spec *role)
{
    struct bytes names[SNAPSHOT_CAPTURES_MAX];
    uint32_t n = snapshot_captures(&role->match, role->client_id, names);
    for (uint32_t i = 0; i < n; i++) {
        enum variable_source source = snapshot_variable_source(names[i], &role->match, role->client_id);
        if (source != VARIABLE_CAPTURE)
            TELL_ROLE(c, role, "capture '{%.*s}' of role '%.60s' has the name of a fact; rename it",
                      (int)names[i].len, (const char *)names[i].at, role->name);
        for (uint32_t k = 0; k < i; k++)
            if (bytes_equal(names[i], names[k]))
                TELL_ROLE(c, role, "role '%.60s' captures '{%.*s}' twice; rename one", role->name,
                          (int)names[i].len, (const char *)names[i].at);
    }
}

/* A template outside topics: well formed, of variables that are known before the device is. */
static bool check_template(struct check *c, const struct policy_role_spec *role, const char *what,
                           const char *text, bool may_name_id)
{
    struct cursor rest = cursor_of(bytes_of_text(text));
    struct bytes piece;
    for (;;) {
        enum template_piece kind = template_next(&rest, &piece);
        if (kind == TEMPLATE_END)
            return true;
        if (kind == TEMPLATE_MALFORMED) {
            TELL_ROLE(c, role,
                      "'${' without a name and '}' in %s of role '%.60s'; write it as in ${client_id}", what,
                      role->name);
            return false;
        }
        if (kind == TEMPLATE_TEXT)
            continue;
        if (!may_name_id && bytes_equal(piece, bytes_of_text("id"))) {
            TELL_ROLE(c, role, "%s of role '%.60s' names '${id}', which is itself", what, role->name);
            return false;
        }
        if (!variable_known(c, role, piece, false)) {
            tell_unknown(c, role, role->file, role->line, what, piece);
            return false;
        }
    }
}

static void check_templates(struct check *c, const struct policy_role_spec *role)
{
    if (role->id != NULL && role->id[0] == 0)
        TELL_ROLE(c, role, "'id' of role '%.60s' is empty", role->name);
    else if (role->id != NULL)
        (void)check_template(c, role, "'id'", role->id, false);
    if (role->client_id == NULL || !snapshot_is_template(role->client_id) ||
        !check_template(c, role, "'client_id'", role->client_id, true))
        return;
    /* What is left beside the variables is a glob. */
    char glob[GLOB_PATTERN_MAX + 2];
    struct cursor rest = cursor_of(bytes_of_text(role->client_id));
    struct bytes piece, names[GLOB_CAPTURES_MAX];
    enum template_piece kind;
    size_t n = 0;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        if (kind == TEMPLATE_VARIABLE)
            piece = bytes_of("x", 1);
        if (piece.len > sizeof(glob) - n)
            break;
        memcpy(glob + n, piece.at, piece.len);
        n += piece.len;
    }
    const char *wrong =
        kind != TEMPLATE_END ? "a pattern is longer than 255 bytes" : glob_check(bytes_of(glob, n));
    if (wrong == NULL && glob_capture_names(bytes_of(glob, n), names) > 0)
        wrong = "captures {...} and variables ${...} do not go together";
    if (wrong != NULL)
        TELL_ROLE(c, role, "'client_id' of role '%.60s': %s", role->name, wrong);
}

static bool var_name_good(struct bytes name)
{
    char text[TEMPLATE_NAME_MAX + 8];
    if (name.len == 0 || name.len + strlen(VARIABLE_VAR_PREFIX) > TEMPLATE_NAME_MAX)
        return false;
    int n = snprintf(text, sizeof(text), "${%.*s}", (int)name.len, (const char *)name.at);
    struct cursor rest = cursor_of(bytes_of(text, (size_t)n));
    struct bytes piece;
    return template_next(&rest, &piece) == TEMPLATE_VARIABLE && cursor_left(&rest) == 0;
}

/* `vars` of a role or a device: `whose` is "role 'x'" or "device 'y'". */
static void check_vars(struct check *c, const char *file, uint32_t line, const char *whose,
                       const struct policy_variable *vars, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct bytes name = bytes_of_text(vars[i].name);
        if (!var_name_good(name))
            snapshot_problem(c->problems, file, line, "'%.40s' in 'vars' of %.80s is no name for a variable",
                             vars[i].name, whose);
        else if (!template_value_safe(bytes_of_text(vars[i].value)) &&
                 name_index_find(&c->topic_vars, name) != NAME_INDEX_NONE)
            snapshot_problem(
                c->problems, file, line,
                "'%s' of %.80s stands in topics and cannot be \"%.40s\"; write one level without "
                "'+', '#', '/', a leading '$' or control characters",
                vars[i].name, whose, vars[i].value);
        for (uint32_t k = 0; k < i; k++)
            if (bytes_equal(bytes_of_text(vars[k].name), name))
                snapshot_problem(c->problems, file, line, "'%.40s' is twice in 'vars' of %.80s; remove one",
                                 vars[i].name, whose);
    }
}

static void check_will_text(struct check *c, const struct policy_role_spec *role, const char *what,
                            const char *text)
{
    struct cursor rest = cursor_of(bytes_of_text(text));
    struct bytes piece;
    enum template_piece kind;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT)
        if (kind == TEMPLATE_VARIABLE && !variable_known(c, role, piece, true))
            tell_unknown(c, role, role->file, role->last_will.line, what, piece);
    if (kind == TEMPLATE_MALFORMED)
        snapshot_problem(c->problems, role->file, role->last_will.line,
                         "'${' without a name and '}' in %s of role "
                         "'%.60s'; write it as in ${client_id}",
                         what, role->name);
}

/* The Will that the role supplies. */
static void check_will(struct check *c, const struct policy_role_spec *role)
{
    const struct policy_last_will *will = &role->last_will;
    bool supplied = role->will == POLICY_WILL_SUPPLIED;
    if (will->topic == NULL) {
        if (supplied && will->line == 0)
            TELL_ROLE(
                c, role,
                "role '%.60s' supplies a Will and does not say which; add last_will = { topic = \"...\"; "
                "payload = \"...\"; };",
                role->name);
        return;
    }
    if (!supplied)
        snapshot_problem(c->problems, role->file, will->line,
                         "'last_will' of role '%.60s' is never used; write will = \"supplied\"; or remove it",
                         role->name);
    if (will->topic[0] == 0 || strpbrk(will->topic, "+#") != NULL)
        snapshot_problem(
            c->problems, role->file, will->line,
            "the topic of 'last_will' of role '%.60s' is \"%.60s\"; a topic is not empty and holds no "
            "'+' or '#'",
            role->name, will->topic);
    if (will->qos > role->max_qos)
        snapshot_problem(c->problems, role->file, will->line,
                         "'last_will' of role '%.60s' has QoS %u, above its max_qos %u; lower it", role->name,
                         will->qos, role->max_qos);
    check_will_text(c, role, "'last_will'", will->topic);
    if (will->payload != NULL)
        check_will_text(c, role, "'last_will'", will->payload);
}

static bool reads_payload(const struct policy_role_spec *role)
{
    for (uint32_t i = 0; i < role->rules_n; i++)
        if (role->rules[i].payload != ACL_PAYLOAD_ANY)
            return true;
    return role->payload_utf8;
}

static void check_role(struct check *c, const struct policy_role_spec *role)
{
    char whose[96];
    snprintf(whose, sizeof(whose), "role '%.60s'", role->name);
    check_match(c, role);
    check_captures(c, role);
    check_templates(c, role);
    check_vars(c, role->file, role->line, whose, role->variables, role->variables_n);
    if (role->max_qos > 2)
        TELL_ROLE(c, role, "max_qos of role '%.60s' is not 0, 1 or 2", role->name);
    check_will(c, role);
    if (reads_payload(role) && role->limits.packet_bytes > POLICY_HELD_BYTES_MAX)
        TELL_ROLE(
            c, role,
            "role '%.60s' reads payloads, which are held in memory until they are whole, and takes packets "
            "above 16MiB; write packet = \"16MiB\" or less",
            role->name);
    if (role->limits.keepalive_max_s != 0 && role->limits.keepalive_min_s > role->limits.keepalive_max_s)
        TELL_ROLE(c, role, "the least keep-alive of role '%.60s' is above its largest", role->name);
}

static void check_roles(struct check *c)
{
    const struct policy_role_spec *everybody = NULL;
    struct name_index names;
    if (!name_index_init(&names, c->spec->roles_n)) {
        snapshot_problem(c->problems, NULL, 0, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < c->spec->roles_n; i++) {
        const struct policy_role_spec *role = &c->spec->roles[i];
        if (role->name == NULL || role->name[0] == 0) {
            TELL_ROLE(c, role, "a role has no name; give it one");
            continue;
        }
        uint32_t twin = name_index_add(&names, bytes_of_text(role->name), i);
        if (twin != NAME_INDEX_NONE)
            TELL_ROLE(c, role, "role '%.60s' is there already (%.80s:%u); rename one", role->name,
                      c->spec->roles[twin].file != NULL ? c->spec->roles[twin].file : "",
                      (unsigned int)c->spec->roles[twin].line);
        if (everybody != NULL)
            TELL_ROLE(
                c, role,
                "role '%.60s' can never be given: '%.60s' (line %u) comes first and takes everybody; put it "
                "last",
                role->name, everybody->name, (unsigned int)everybody->line);
        check_role(c, role);
        if (everybody == NULL && role->match.any)
            everybody = role;
    }
    name_index_fini(&names);
}

/* ---- rules ----------------------------------------------------------------------------------------------
 */

/* "line 29", or with its file when that is another. */
static const char *place_of(const char *file, uint32_t line, const char *from_file, char *out, size_t room)
{
    if (file == NULL || (from_file != NULL && strcmp(file, from_file) == 0))
        snprintf(out, room, "line %u", (unsigned int)line);
    else
        snprintf(out, room, "%.80s:%u", file, (unsigned int)line);
    return out;
}

static void check_rule_variables(struct check *c, const struct policy_role_spec *role,
                                 const struct acl_rule_spec *rule)
{
    char what[96];
    struct cursor rest = cursor_of(bytes_of_text(rule->topic));
    struct bytes piece;
    enum template_piece kind;
    snprintf(what, sizeof(what), "rule '%.60s'", rule->id);
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT)
        if (kind == TEMPLATE_VARIABLE && !variable_known(c, role, piece, true))
            tell_unknown(c, role, rule->file, rule->line, what, piece);
}

static void check_rule(struct check *c, const struct policy_role_spec *role, const struct acl_rule_spec *rule,
                       const struct variable_names *names)
{
    struct acl_problem problem;
    char place[112];
    if (!acl_rule_check(rule, names->list, names->n, &problem) && !names->too_many) {
        TELL_RULE(c, rule, "rule '%.60s': %s", rule->id != NULL ? rule->id : "", problem.text);
        return;
    }
    if (rule->id == NULL || rule->topic == NULL)
        return;
    c->rules[c->rules_n] = rule;
    uint32_t twin = name_index_add(&c->rule_ids, bytes_of_text(rule->id), c->rules_n++);
    if (twin != NAME_INDEX_NONE)
        TELL_RULE(c, rule, "rule '%.60s' is there already (%s); rename one", rule->id,
                  place_of(c->rules[twin]->file, c->rules[twin]->line, rule->file, place, sizeof(place)));
    check_rule_variables(c, role, rule);
}

static void check_map(struct check *c, const struct policy_role_spec *role, const struct topic_map *map)
{
    char what[96];
    struct bytes piece;
    enum template_piece kind;
    const char *wrong = topic_map_check(map);
    if (wrong != NULL) {
        TELL_RULE(c, map, "map of '/%.60s' in role '%.60s': %s", map->path != NULL ? map->path : "",
                  role->name, wrong);
        return;
    }
    snprintf(what, sizeof(what), "the map of '/%.60s'", map->path);
    struct cursor rest = cursor_of(bytes_of_text(map->topic));
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT)
        if (kind == TEMPLATE_VARIABLE && !topic_map_captures(map, piece) &&
            !variable_known(c, role, piece, true))
            tell_unknown(c, role, map->file, map->line, what, piece);
}

static void check_rules(struct check *c)
{
    for (uint32_t i = 0; i < c->spec->roles_n; i++) {
        const struct policy_role_spec *role = &c->spec->roles[i];
        struct variable_names names;
        snapshot_variables(role, &names);
        for (uint32_t k = 0; k < role->maps_n; k++)
            check_map(c, role, &role->maps[k]);
        if (names.too_many)
            TELL_ROLE(c, role, "topics of role '%.60s' use more than 16 variables", role->name);
        for (uint32_t k = 0; k < role->rules_n; k++)
            check_rule(c, role, &role->rules[k], &names);
    }
}

struct idle_context {
    const struct acl *acl;
    struct snapshot_problems *problems;
};

static void tell_idle(void *owner, uint32_t rule, uint32_t because_of, enum acl_idle why)
{
    const struct idle_context *context = owner;
    const struct acl_rule *idle = acl_rule_at(context->acl, rule),
                          *by = acl_rule_at(context->acl, because_of);
    char place[112];
    snapshot_problem(context->problems, idle->file, idle->line,
                     why == ACL_IDLE_DENIED
                         ? "rule '%.60s' can never decide; '%.60s' (%s) covers it; delete one of them"
                         : "rule '%.60s' can never decide; '%.60s' (%s) says the same; delete one of them",
                     idle->id, by->id, place_of(by->file, by->line, idle->file, place, sizeof(place)));
}

static void tell_covered(void *owner, uint32_t rule, uint32_t because_of)
{
    const struct idle_context *context = owner;
    const struct acl_rule *covered = acl_rule_at(context->acl, rule),
                          *by = acl_rule_at(context->acl, because_of);
    char place[112];
    snapshot_warning(context->problems, covered->file, covered->line,
                     "rule '%.60s' changes nothing; '%.60s' (%s) %s all of it; delete it, or make that one "
                     "narrower",
                     covered->id, by->id, place_of(by->file, by->line, covered->file, place, sizeof(place)),
                     by->allow ? "allows" : "denies");
}

void snapshot_check_idle(const struct acl *acl, struct snapshot_problems *problems)
{
    struct idle_context context = {.acl = acl, .problems = problems};
    acl_idle_rules(acl, tell_idle, &context);
    acl_covered_rules(acl, tell_covered, &context);
}

/* ---- devices --------------------------------------------------------------------------------------------
 */

static void check_device_glob(struct check *c, const struct policy_device_spec *device, const char *what,
                              const char *glob, const char *whose)
{
    struct bytes names[GLOB_CAPTURES_MAX];
    const char *wrong = glob == NULL ? NULL : glob_check(bytes_of_text(glob));
    if (wrong == NULL && glob != NULL && glob_capture_names(bytes_of_text(glob), names) > 0)
        wrong = "a device captures nothing; write the capture in the role's match";
    if (wrong != NULL)
        TELL_DEVICE(c, device, "'%s' of %s: %s", what, whose, wrong);
}

static void check_device(struct check *c, const struct policy_device_spec *device)
{
    char whose[96];
    size_t len = strlen(device->id);
    snprintf(whose, sizeof(whose), "device '%.60s'", device->id);
    if (len > IDENTITY_NAME_MAX)
        TELL_DEVICE(c, device, "the id of %s... is longer than 127 bytes", whose);
    if (!sources_good(device->addresses, device->addresses_n,
                      sizeof(device->addresses) / sizeof(device->addresses[0])))
        TELL_DEVICE(c, device, "an address of %s is not well formed", whose);
    if (device->vlan > VLAN_MAX)
        TELL_DEVICE(c, device, "VLAN %u of %s is not in 1 to 4094", (unsigned int)device->vlan, whose);
    check_device_glob(c, device, "client_id", device->client_id, whose);
    check_device_glob(c, device, "user", device->user, whose);
    check_vars(c, device->file, device->line, whose, device->variables, device->variables_n);
}

static void check_devices(struct check *c)
{
    struct name_index ids;
    char place[112];
    if (!name_index_init(&ids, c->spec->devices_n)) {
        snapshot_problem(c->problems, NULL, 0, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < c->spec->devices_n; i++) {
        const struct policy_device_spec *device = &c->spec->devices[i];
        if (device->id == NULL || device->id[0] == 0) {
            TELL_DEVICE(c, device, "a device has no id; give it one");
            continue;
        }
        uint32_t twin = name_index_add(&ids, bytes_of_text(device->id), i);
        if (twin != NAME_INDEX_NONE)
            TELL_DEVICE(c, device, "device '%.60s' is there already (%s); merge them", device->id,
                        place_of(c->spec->devices[twin].file, c->spec->devices[twin].line, device->file,
                                 place, sizeof(place)));
        check_device(c, device);
    }
    name_index_fini(&ids);
}

/* ---- all ------------------------------------------------------------------------------------------------
 */

static bool prepare(struct check *c)
{
    uint32_t device_vars = 0, rules = 0;
    for (uint32_t i = 0; i < c->spec->devices_n; i++)
        device_vars += c->spec->devices[i].variables_n;
    for (uint32_t i = 0; i < c->spec->roles_n; i++)
        rules += c->spec->roles[i].rules_n;
    c->rules = calloc(rules + 1U, sizeof(*c->rules));
    if (!name_index_init(&c->device_vars, device_vars) ||
        !name_index_init(&c->topic_vars, c->spec->roles_n * ACL_VARIABLES_MAX) ||
        !name_index_init(&c->rule_ids, rules) || c->rules == NULL)
        return false;
    for (uint32_t i = 0; i < c->spec->devices_n; i++)
        for (uint32_t k = 0; k < c->spec->devices[i].variables_n; k++)
            name_index_add(&c->device_vars, bytes_of_text(c->spec->devices[i].variables[k].name), 0);
    return true;
}

/* Names point into `names`, which must last as long as the index. */
static void note_topic_vars(struct check *c, struct variable_names *names)
{
    struct bytes var;
    for (uint32_t i = 0; i < c->spec->roles_n; i++) {
        snapshot_variables(&c->spec->roles[i], &names[i]);
        for (uint32_t k = 0; k < names[i].n; k++)
            if (snapshot_var_name(bytes_of_text(names[i].list[k]), &var))
                name_index_add(&c->topic_vars, var, 0);
    }
}

void snapshot_check(const struct policy_spec *spec, struct snapshot_problems *problems)
{
    struct check c = {.spec = spec, .problems = problems};
    struct variable_names *names = calloc(spec->roles_n + 1U, sizeof(*names));
    if (names != NULL && prepare(&c)) {
        note_topic_vars(&c, names);
        check_roles(&c);
        check_rules(&c);
        check_devices(&c);
    } else {
        snapshot_problem(problems, NULL, 0, "out of memory");
    }
    name_index_fini(&c.device_vars);
    name_index_fini(&c.topic_vars);
    name_index_fini(&c.rule_ids);
    free(c.rules);
    free(names);
}
