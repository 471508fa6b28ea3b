/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every question is put to an acl that is compiled for it: what the role could publish, what is refused, what
 * was refused and no longer is, what the others subscribe to. Their rules have no variables: in the one
 * reading a variable is a text of its own, so that containment is exact; in the other any level, so that
 * nothing that may overlap is missed.
 */
#include "policy/access/snapshot_publishers.h"

#include "policy/access/snapshot_layout.h"
#include "policy/access/topic.h"

#include <stdlib.h>

/* An action without conditions, for acls that only know topics. */
#define PLAIN ACL_GET
/* Of subscribers' roles, by one digit and its value: two actions each, of those without conditions. */
#define DIGITS_PER_ACL 4
#define SUBSCRIBER_ACLS (32 / DIGITS_PER_ACL)
/* No text of a policy, which is UTF-8, holds these. The second is of what is filled another way than it was.
 */
#define VARIABLE_MARK 0xFF
#define VARIABLE_CHANGED_MARK 0xFE
#define PAYLOADS (ACL_PAYLOAD_JSON + 1)
#define CONDITIONS_BYTES 3

/* Rules being put together, and their topics. */
struct pile {
    struct acl_rule_spec *specs;
    uint32_t n;
    char *text;
    size_t used;
};

/* A subscribe rule of the next policy, in the order of the acls of them. */
struct subscription {
    uint32_t role;
    uint32_t rule; /* ACL_RULE_NONE: the role only observes */
};

struct comparison {
    const struct snapshot *before, *after;
    struct new_publishers *found;
    struct acl *subscribers[SUBSCRIBER_ACLS]; /* NULL: not to be had, all may subscribe to anything */
    struct subscription *subscriptions;
    uint32_t digits; /* that tell roles apart */
    bool devices_differ;
    /* of one role */
    const struct role *old, *role;
    uint32_t changed;            /* by variable of `role`: filled another way */
    struct acl *could[PAYLOADS]; /* allows of the old role, by what payloads they take; NULL: nothing */
    struct acl *denied;          /* what is refused whatever the conditions; NULL: nothing */
    struct acl *opened;          /* what was refused and may not be any more; NULL: anything */
    bool clients_differ, clients_told;
};

/* What a rule's topic is taken for. */
struct filters {
    char exact[ACL_TEMPLATE_BYTES_MAX + 1]; /* variables as texts of their own */
    char wide[ACL_TEMPLATE_BYTES_MAX + 1];  /* variables as '+' */
};

/* ---- topics ---------------------------------------------------------------------------------------------
 */

static uint8_t mark_of(const struct role *role, uint32_t changed, struct bytes name)
{
    for (uint32_t i = 0; i < role->seen.variables_n; i++)
        if (bytes_equal(bytes_of_text(role->seen.variables[i]), name))
            return (changed >> i & 1) != 0 ? VARIABLE_CHANGED_MARK : VARIABLE_MARK;
    return VARIABLE_CHANGED_MARK;
}

/* Never longer than the template: "${name}" becomes a mark and the name. */
static void write_exact(const struct role *role, uint32_t changed, const char *topic, char *to)
{
    struct cursor rest = cursor_of(bytes_of_text(topic));
    struct bytes piece;
    enum template_piece kind;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        if (kind == TEMPLATE_VARIABLE)
            *to++ = (char)mark_of(role, changed, piece);
        memcpy(to, piece.at, piece.len);
        to += piece.len;
    }
    *to = 0;
}

static bool has_variable(struct bytes level)
{
    struct cursor rest = cursor_of(level);
    struct bytes piece;
    enum template_piece kind;
    while ((kind = template_next(&rest, &piece)) == TEMPLATE_TEXT)
        ;
    return kind == TEMPLATE_VARIABLE;
}

static void write_wide(const char *topic, char *to)
{
    struct cursor rest = cursor_of(bytes_of_text(topic));
    struct bytes level;
    bool end = false;
    while (topic_next_level(&rest, &end, &level)) {
        if (has_variable(level))
            level = bytes_of_text("+");
        if (level.len > 0)
            memcpy(to, level.at, level.len);
        to += level.len;
        if (!end)
            *to++ = '/';
    }
    *to = 0;
}

/* ---- acls for one question ------------------------------------------------------------------------------
 */

static size_t rules_bytes(const struct role *role)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < acl_rules(role->acl); i++)
        bytes += strlen(acl_rule_at(role->acl, i)->topic) + CONDITIONS_BYTES + 1;
    return bytes;
}

static bool pile_open(struct pile *pile, uint32_t rules, size_t bytes)
{
    *pile = (struct pile){.specs = calloc(rules + 1U, sizeof(*pile->specs)), .text = malloc(bytes + 1)};
    return pile->specs != NULL && pile->text != NULL;
}

static void pile_close(struct pile *pile)
{
    free(pile->specs);
    free(pile->text);
}

static char *pile_room(struct pile *pile)
{
    return pile->text + pile->used;
}

/* The topic is what has been written to pile_room. */
static struct acl_rule_spec *pile_add(struct pile *pile, uint16_t actions)
{
    struct acl_rule_spec *spec = &pile->specs[pile->n++];
    *spec = (struct acl_rule_spec){
        .id = "-", .allow = true, .actions = actions, .topic = pile_room(pile), .retain = -1, .will = 1};
    pile->used += strlen(spec->topic) + 1;
    return spec;
}

/* NULL also when wildcards combine too often; *good is false when it is for memory. */
static struct acl *pile_compile(const struct pile *pile, bool *good)
{
    struct acl_problem problem = {.rule = 0};
    struct acl *acl = acl_compile(pile->specs, pile->n, NULL, 0, &problem);
    if (acl == NULL && problem.rule == ACL_RULE_NONE)
        *good = false;
    return acl;
}

static bool contains(const struct acl *acl, const char *filter)
{
    const struct acl_request request = {.action = PLAIN, .topic = bytes_of_text(filter)};
    return acl != NULL && acl_decide_filter(acl, NULL, &request, false).outcome == OUTCOME_ALLOWED;
}

enum meets {
    MEETS_NOT = 0,
    MEETS,
    MEETS_PERHAPS,
};

static enum meets meets(const struct acl *acl, enum acl_action action, const char *filter, uint32_t *rule)
{
    const struct acl_request request = {.action = action, .topic = bytes_of_text(filter)};
    if (acl == NULL)
        return MEETS_PERHAPS;
    struct acl_decision decision = acl_decide_filter(acl, NULL, &request, true);
    *rule = decision.rule;
    return decision.outcome == OUTCOME_ALLOWED        ? MEETS
           : decision.outcome == OUTCOME_DEFAULT_DENY ? MEETS_NOT
                                                      : MEETS_PERHAPS;
}

/* ---- subscribers ----------------------------------------------------------------------------------------
 */

static bool subscribes(const struct acl_rule *rule)
{
    return rule->allow && (rule->actions >> ACL_SUBSCRIBE & 1) != 0;
}

static void pile_subscriptions(struct comparison *c, struct pile *pile)
{
    for (uint32_t i = 0; i < c->after->roles_n; i++) {
        const struct role *role = &c->after->roles[i];
        for (uint32_t k = 0; k < acl_rules(role->acl); k++)
            if (subscribes(acl_rule_at(role->acl, k))) {
                c->subscriptions[pile->n] = (struct subscription){i, k};
                write_wide(acl_rule_at(role->acl, k)->topic, pile_room(pile));
                pile_add(pile, 0);
            }
        if (role->seen.mode == POLICY_OBSERVE) {
            c->subscriptions[pile->n] = (struct subscription){i, ACL_RULE_NONE};
            memcpy(pile_room(pile), "#", 2);
            pile_add(pile, 0);
        }
    }
}

/* The action that stands for roles whose digit has this value. */
static enum acl_action digit_action(uint32_t digit, uint32_t value)
{
    return (enum acl_action)(ACL_GET + 2 * (digit % DIGITS_PER_ACL) + value);
}

/* Two roles differ in one binary digit at least: so those of all other roles are found by asking, for each
 * digit, for those where it is not the role's own. */
static bool compile_subscribers(struct comparison *c)
{
    uint32_t rules = 0;
    size_t bytes = 0;
    struct pile pile;
    bool good = true;
    for (uint32_t i = 0; i < c->after->roles_n; i++) {
        rules += acl_rules(c->after->roles[i].acl) + 1;
        bytes += rules_bytes(&c->after->roles[i]) + 2;
    }
    c->subscriptions = calloc(rules + 1U, sizeof(*c->subscriptions));
    if (!pile_open(&pile, rules, bytes) || c->subscriptions == NULL) {
        pile_close(&pile);
        return false;
    }
    pile_subscriptions(c, &pile);
    while (c->digits < 32 && (c->after->roles_n - 1) >> c->digits != 0)
        c->digits++;
    for (uint32_t first = 0; good && first < c->digits; first += DIGITS_PER_ACL) {
        for (uint32_t i = 0; i < pile.n; i++) {
            pile.specs[i].actions = 0;
            for (uint32_t d = first; d < first + DIGITS_PER_ACL; d++)
                pile.specs[i].actions |= (uint16_t)(1U << digit_action(d, c->subscriptions[i].role >> d & 1));
        }
        c->subscribers[first / DIGITS_PER_ACL] = pile_compile(&pile, &good);
    }
    pile_close(&pile);
    return good;
}

static enum meets other_subscribes(const struct comparison *c, const char *filter, uint32_t *at)
{
    enum meets best = MEETS_NOT;
    uint32_t own = (uint32_t)(c->role - c->after->roles);
    for (uint32_t d = 0; d < c->digits && best != MEETS; d++) {
        enum meets one =
            meets(c->subscribers[d / DIGITS_PER_ACL], digit_action(d, ~own >> d & 1), filter, at);
        best = one == MEETS_NOT ? best : one;
    }
    return best;
}

/* ---- what a role was ------------------------------------------------------------------------------------
 */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Who is in the role, and what its globs capture. */
static bool same_clients(const struct role *a, const struct role *b)
{
    struct match_glob ga[MATCH_GLOBS], gb[MATCH_GLOBS];
    bool same = a->match.any == b->match.any && a->match.vlan == b->match.vlan &&
                a->match.sources_n == b->match.sources_n && same_text(a->client_id, b->client_id);
    for (uint32_t i = 0; same && i < a->match.sources_n; i++)
        same = a->match.sources[i].bits == b->match.sources[i].bits &&
               memcmp(a->match.sources[i].address, b->match.sources[i].address, 16) == 0;
    snapshot_globs(&a->match, a->client_id, ga);
    snapshot_globs(&b->match, b->client_id, gb);
    for (uint32_t i = 0; same && i < MATCH_GLOBS; i++)
        same = same_text(ga[i].glob, gb[i].glob);
    return same;
}

static const char *var_of(const struct policy_variable *vars, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(vars[i].name, name) == 0)
            return vars[i].value;
    return NULL;
}

/* Whether devices that are in both policies bring other values. */
static bool devices_differ(const struct snapshot *before, const struct snapshot *after)
{
    for (uint32_t i = 0; i < after->devices_n; i++) {
        const struct device *b = &after->devices[i];
        uint32_t at = name_index_find(&before->device_by_id, bytes_of_text(b->seen.id));
        const struct device *a = at == NAME_INDEX_NONE ? NULL : &before->devices[at];
        if (a == NULL || a->digest == b->digest)
            continue;
        if (a->vars_n != b->vars_n)
            return true;
        for (uint32_t k = 0; k < b->vars_n; k++)
            if (!same_text(b->vars[k].value, var_of(a->vars, a->vars_n, b->vars[k].name)))
                return true;
    }
    return false;
}

/* By variable of the next role: those that the old one filled another way. What globs capture goes with who
 * is in the role. */
static uint32_t changed_variables(const struct comparison *c)
{
    const struct role *a = c->old, *b = c->role;
    uint32_t changed = 0;
    for (uint32_t i = 0; i < b->variables_n; i++) {
        const struct role_variable *v = &b->variables[i];
        bool same = true;
        for (uint32_t k = 0; k < a->variables_n; k++)
            if (strcmp(a->variable_names[k], b->variable_names[i]) == 0)
                same = a->variables[k].source == v->source;
        if (v->source == VARIABLE_VAR)
            same &= !c->devices_differ &&
                    same_text(var_of(a->vars, a->vars_n, v->name), var_of(b->vars, b->vars_n, v->name));
        else if (v->source == VARIABLE_ID)
            same &= same_text(a->id, b->id) && !c->devices_differ;
        changed |= same ? 0 : 1U << i;
    }
    return changed;
}

static enum acl_payload payload_of(const struct role *role, const struct acl_rule *rule)
{
    return rule->payload == ACL_PAYLOAD_ANY && role->seen.payload_utf8 ? ACL_PAYLOAD_UTF8 : rule->payload;
}

static bool publishes(const struct acl_rule *rule)
{
    return (rule->actions >> ACL_PUBLISH & 1) != 0;
}

/* Allows of the old role that take payloads of this kind, and be it that they take others too. */
static bool compile_could(struct comparison *c, enum acl_payload payload)
{
    const struct acl *acl = c->old->acl;
    struct pile pile;
    bool good = pile_open(&pile, acl_rules(acl), rules_bytes(c->old));
    for (uint32_t i = 0; good && i < acl_rules(acl); i++) {
        const struct acl_rule *rule = acl_rule_at(acl, i);
        if (!rule->allow || !publishes(rule) || payload_of(c->old, rule) > payload)
            continue;
        write_exact(c->old, 0, rule->topic, pile_room(&pile));
        struct acl_rule_spec *spec = pile_add(&pile, 1U << ACL_PUBLISH);
        spec->qos_mask = rule->qos_mask;
        spec->retain = rule->retain;
        spec->will = rule->will;
        spec->payload_max = rule->payload_max;
    }
    if (good)
        c->could[payload] = pile_compile(&pile, &good);
    pile_close(&pile);
    return good;
}

/* A deny that holds: in a role that observes only those that are enforced do. */
static bool refuses(const struct role *role, const struct acl_rule *rule)
{
    return !rule->allow && publishes(rule) && (role->seen.mode != POLICY_OBSERVE || rule->enforce);
}

static bool unconditional(const struct acl_rule *rule)
{
    return (rule->qos_mask == 0 || rule->qos_mask == 7) && rule->retain < 0 && rule->will < 0;
}

/* Behind its conditions the topic: what a deny says, as a name. */
static struct bytes deny_name(const struct role *role, uint32_t changed, const struct acl_rule *rule,
                              char *to)
{
    to[0] = (char)(rule->qos_mask == 0 ? 7 : rule->qos_mask);
    to[1] = (char)(rule->retain + 2);
    to[2] = (char)(rule->will + 2);
    write_exact(role, changed, rule->topic, to + CONDITIONS_BYTES);
    return bytes_of_text(to);
}

/* Denies of the next role: as an acl those that have no conditions, by name all. */
static bool compile_denied(struct comparison *c, struct name_index *names, struct pile *pile)
{
    const struct acl *acl = c->role->acl;
    bool good = true;
    for (uint32_t i = 0; i < acl_rules(acl); i++) {
        const struct acl_rule *rule = acl_rule_at(acl, i);
        if (!refuses(c->role, rule))
            continue;
        struct bytes name = deny_name(c->role, c->changed, rule, pile_room(pile));
        (void)name_index_add(names, name, i);
        pile->used += CONDITIONS_BYTES;
        if (unconditional(rule))
            pile_add(pile, 1U << PLAIN);
        else
            pile->used += name.len - CONDITIONS_BYTES + 1;
    }
    c->denied = pile_compile(pile, &good);
    return good;
}

/* Denies of the old role that none of the next covers alone, or as one. */
static bool compile_opened(struct comparison *c, const struct name_index *names)
{
    const struct acl *acl = c->old->acl;
    char text[CONDITIONS_BYTES + ACL_TEMPLATE_BYTES_MAX + 1];
    struct pile pile;
    bool good = pile_open(&pile, acl_rules(acl), rules_bytes(c->old));
    for (uint32_t i = 0; good && i < acl_rules(acl); i++) {
        const struct acl_rule *rule = acl_rule_at(acl, i);
        if (!refuses(c->old, rule) ||
            name_index_find(names, deny_name(c->old, 0, rule, text)) != NAME_INDEX_NONE ||
            contains(c->denied, text + CONDITIONS_BYTES))
            continue;
        write_wide(rule->topic, pile_room(&pile));
        pile_add(&pile, 1U << PLAIN);
    }
    if (good)
        c->opened = pile_compile(&pile, &good);
    pile_close(&pile);
    return good;
}

/* What the rules of the role will be asked about. */
static bool compile_role(struct comparison *c)
{
    struct name_index names;
    struct pile pile;
    uint32_t rules = acl_rules(c->role->acl);
    if (!name_index_init(&names, rules))
        return false;
    bool good = pile_open(&pile, rules, rules_bytes(c->role)) && compile_denied(c, &names, &pile);
    if (good && c->old != NULL)
        good = compile_opened(c, &names);
    bool asked[PAYLOADS] = {[ACL_PAYLOAD_ANY] = true};
    for (uint32_t i = 0; i < rules; i++)
        asked[payload_of(c->role, acl_rule_at(c->role->acl, i))] = true;
    for (int payload = ACL_PAYLOAD_ANY; good && c->old != NULL && payload < PAYLOADS; payload++)
        good = !asked[payload] || compile_could(c, (enum acl_payload)payload);
    pile_close(&pile);
    name_index_fini(&names);
    return good;
}

static void forget_role(struct comparison *c)
{
    for (int i = 0; i < PAYLOADS; i++) {
        acl_destroy(c->could[i]);
        c->could[i] = NULL;
    }
    acl_destroy(c->denied);
    acl_destroy(c->opened);
    c->denied = c->opened = NULL;
}

/* ---- the rules of a role --------------------------------------------------------------------------------
 */

/* What stands for the rules of a role that only observes. */
static const struct acl_rule anything = {.topic = "#", .retain = 1, .will = 1, .allow = true};

/* Whether the old role's clients were let through with all that the rule lets through. */
static bool could_before(const struct comparison *c, const struct acl_rule *rule, const struct filters *f)
{
    uint32_t found;
    if (c->old == NULL || meets(c->opened, PLAIN, f->wide, &found) != MEETS_NOT)
        return false;
    if (c->old->seen.mode == POLICY_OBSERVE)
        return true;
    const struct acl *could = c->could[rule == &anything ? ACL_PAYLOAD_ANY : payload_of(c->role, rule)];
    for (uint8_t qos = 0; qos <= 2; qos++) {
        const struct acl_request request = {
            .action = ACL_PUBLISH,
            .topic = bytes_of_text(f->exact),
            .qos = qos,
            .retain = rule->retain != 0,
            .will = rule->will > 0,
            .payload_bytes = rule->payload_max == 0 ? UINT32_MAX : rule->payload_max,
        };
        if (rule->qos_mask != 0 && (rule->qos_mask >> qos & 1) == 0)
            continue;
        if (could == NULL || acl_decide_filter(could, NULL, &request, false).outcome != OUTCOME_ALLOWED)
            return false;
    }
    return true;
}

static void tell(struct comparison *c, enum new_publisher_why why, const struct acl_rule *rule,
                 enum meets how, uint32_t at)
{
    struct new_publishers *found = c->found;
    struct new_publisher one = {.why = why, .role = &c->role->seen, .rule = rule == &anything ? NULL : rule};
    if (how == MEETS) {
        const struct subscription *s = &c->subscriptions[at];
        one.subscriber = &c->after->roles[s->role].seen;
        one.subscription =
            s->rule == ACL_RULE_NONE ? NULL : acl_rule_at(c->after->roles[s->role].acl, s->rule);
    }
    if (found->n < NEW_PUBLISHERS_KEPT)
        found->first[found->n] = one;
    found->n++;
    found->stopped = found->n >= NEW_PUBLISHERS_MAX;
}

static void look_at(struct comparison *c, const struct acl_rule *rule)
{
    struct filters f;
    uint32_t at = ACL_RULE_NONE;
    write_exact(c->role, c->changed, rule->topic, f.exact);
    write_wide(rule->topic, f.wide);
    bool before = could_before(c, rule, &f);
    if ((before && (!c->clients_differ || c->clients_told)) || contains(c->denied, f.exact))
        return;
    enum meets how = other_subscribes(c, f.wide, &at);
    if (how == MEETS_NOT)
        return;
    c->clients_told |= before;
    tell(c,
         before           ? NEW_PUBLISHER_CLIENTS
         : c->old == NULL ? NEW_PUBLISHER_ROLE
                          : NEW_PUBLISHER_RULE,
         rule, how, at);
}

static bool look_at_role(struct comparison *c)
{
    const struct acl *acl = c->role->acl;
    c->clients_told = false;
    c->clients_differ = c->old != NULL && !same_clients(c->old, c->role);
    c->changed = c->old == NULL ? 0 : changed_variables(c);
    bool good = compile_role(c);
    if (good && c->role->seen.mode == POLICY_OBSERVE) {
        look_at(c, &anything);
    } else if (good) {
        for (uint32_t i = 0; i < acl_rules(acl) && !c->found->stopped; i++)
            if (acl_rule_at(acl, i)->allow && publishes(acl_rule_at(acl, i)))
                look_at(c, acl_rule_at(acl, i));
    }
    forget_role(c);
    return good;
}

bool snapshot_new_publishers(const struct snapshot *before, const struct snapshot *after,
                             struct new_publishers *found)
{
    struct comparison c = {.before = before, .after = after, .found = found};
    struct name_index names;
    *found = (struct new_publishers){.n = 0};
    if (!name_index_init(&names, before->roles_n))
        return false;
    for (uint32_t i = 0; i < before->roles_n; i++)
        name_index_add(&names, bytes_of_text(before->roles[i].seen.name), i);
    c.devices_differ = devices_differ(before, after);
    bool good = after->roles_n == 0 || compile_subscribers(&c);
    for (uint32_t i = 0; good && i < after->roles_n && !found->stopped; i++) {
        uint32_t at = name_index_find(&names, bytes_of_text(after->roles[i].seen.name));
        c.role = &after->roles[i];
        c.old = at == NAME_INDEX_NONE ? NULL : &before->roles[at];
        good = look_at_role(&c);
    }
    for (uint32_t i = 0; i < SUBSCRIBER_ACLS; i++)
        acl_destroy(c.subscribers[i]);
    free(c.subscriptions);
    name_index_fini(&names);
    return good;
}
