/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all files of a policy say together: names, references, and what is allowed too widely or never. */
#include "config/policy_draft.h"
#include "config/suggest.h"

#include <stdlib.h>
#include <string.h>

#define ROLES_MAX 4096

static void tell(struct diagnostics *d, enum diagnostic_level level, struct config_origin at,
                 const char *text, const char *name)
{
    diagnostics_add(d, level, at.file, at.line, text, name);
}

static struct config_origin origin_of_role(const struct draft_role *role)
{
    return (struct config_origin){.file = role->spec.file, .line = role->spec.line};
}

/* ---- names --------------------------------------------------------------------------------------------- */

struct named {
    const char *name;
    const char *file;
    uint32_t line;
    uint32_t index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* Sorts, and tells each name that is there before. */
static void check_unique(struct diagnostics *d, struct named *names, uint32_t n, const char *what)
{
    qsort(names, n, sizeof(*names), compare_named);
    const struct named *first = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (first == NULL || strcmp(first->name, names[i].name) != 0) {
            first = &names[i];
            continue;
        }
        bool here = strcmp(first->file, names[i].file) == 0;
        diagnostics_add(
            d, DIAGNOSTIC_ERROR, names[i].file, names[i].line,
            "there are two %s '%.64s'; the first is on line %u%s%s; give one another name or remove it", what,
            names[i].name, first->line, here ? "" : " of ", here ? "" : first->file);
    }
}

static void check_role_names(const struct policy_draft *draft, struct diagnostics *d)
{
    uint64_t rules = 0;
    for (uint32_t i = 0; i < draft->roles_n; i++)
        rules += draft->roles[i]->rules_n;
    struct named *roles = calloc((size_t)draft->roles_n + 1, sizeof(*roles));
    struct named *ids = calloc((size_t)rules + 1, sizeof(*ids));
    uint32_t roles_n = 0, ids_n = 0;
    for (uint32_t i = 0; roles != NULL && ids != NULL && i < draft->roles_n; i++) {
        const struct draft_role *role = draft->roles[i];
        if (role->spec.name != NULL)
            roles[roles_n++] = (struct named){role->spec.name, role->spec.file, role->spec.line, i};
        for (uint32_t k = 0; k < role->rules_n; k++)
            if (role->rules[k].id != NULL) {
                ids[ids_n] =
                    (struct named){role->rules[k].id, role->rules[k].file, role->rules[k].line, ids_n};
                ids_n++;
            }
    }
    if (roles == NULL || ids == NULL)
        tell(d, DIAGNOSTIC_ERROR, (struct config_origin){.file = "policy"}, "no memory to check %s", "names");
    else {
        check_unique(d, roles, roles_n, "roles");
        check_unique(d, ids, ids_n, "rules");
    }
    free(roles);
    free(ids);
}

static int compare_devices(const void *a, const void *b)
{
    const struct draft_device *const *x = a, *const *y = b;
    int order = strcmp((*x)->spec.id, (*y)->spec.id);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

static void check_devices(struct policy_draft *draft, struct diagnostics *d)
{
    draft->by_id = arena_take(draft->arena, ((size_t)draft->devices_n + 1) * sizeof(struct draft_device *));
    if (draft->by_id == NULL) {
        tell(d, DIAGNOSTIC_ERROR, (struct config_origin){.file = "policy"}, "no memory to check %s",
             "devices");
        return;
    }
    for (uint32_t i = 0; i < draft->devices_n; i++) {
        draft->by_id[i] = &draft->devices[i];
        if (draft->devices[i].spec.id == NULL) /* told already; it sorts somewhere */
            draft->devices[i].spec.id = "";
        draft->devices[i].spec.variables = draft->devices[i].variables;
    }
    qsort(draft->by_id, draft->devices_n, sizeof(struct draft_device *), compare_devices);
    for (uint32_t i = 1; i < draft->devices_n; i++) {
        const struct policy_device_spec *own = &draft->by_id[i]->spec, *first = &draft->by_id[i - 1]->spec;
        if (own->id[0] == '\0' || strcmp(own->id, first->id) != 0)
            continue;
        bool here = strcmp(own->file, first->file) == 0;
        diagnostics_add(d, DIAGNOSTIC_ERROR, own->file, own->line,
                        "device '%.64s' is there twice; the other is on line %u%s%s; remove one", own->id,
                        first->line, here ? "" : " of ", here ? "" : first->file);
    }
}

const struct draft_device *policy_check_device(const struct policy_draft *draft, const char *id)
{
    size_t low = 0, high = draft->by_id == NULL ? 0 : draft->devices_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(draft->by_id[middle]->spec.id, id);
        if (order == 0)
            return draft->by_id[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- references to the gateway ------------------------------------------------------------------------- */

static const struct config_listener *find_listener(const struct gateway_config *gateway, const char *name)
{
    for (uint32_t i = 0; i < gateway->listeners_n; i++)
        if (gateway->listeners[i].name != NULL && strcmp(gateway->listeners[i].name, name) == 0)
            return &gateway->listeners[i];
    return NULL;
}

static const struct config_interface *find_interface(const struct gateway_config *gateway, const char *name)
{
    for (uint32_t i = 0; i < gateway->interfaces_n; i++)
        if (gateway->interfaces[i].name != NULL && strcmp(gateway->interfaces[i].name, name) == 0)
            return &gateway->interfaces[i];
    return NULL;
}

static void check_reference(const struct gateway_config *gateway, struct diagnostics *d,
                            struct config_origin at, const char *listener, const char *port)
{
    struct suggest near;
    const char *name = listener != NULL ? listener : port;
    suggest_init(&near, name);
    if (listener != NULL ? find_listener(gateway, name) != NULL : find_interface(gateway, name) != NULL)
        return;
    for (uint32_t i = 0; listener != NULL && i < gateway->listeners_n; i++)
        if (gateway->listeners[i].name != NULL)
            suggest_offer(&near, gateway->listeners[i].name);
    for (uint32_t i = 0; listener == NULL && i < gateway->interfaces_n; i++)
        if (gateway->interfaces[i].name != NULL)
            suggest_offer(&near, gateway->interfaces[i].name);
    diagnostics_add(d, DIAGNOSTIC_ERROR, at.file, at.line, "there is no %s '%s' in %s; %s%s%s",
                    listener != NULL ? "listener" : "port", name, gateway->file,
                    near.best != NULL ? "did you mean '" : "add it there, or correct the name",
                    near.best != NULL ? near.best : "", near.best != NULL ? "'?" : "");
}

/* Listener, port and VLAN that never come together. */
static void check_place(const struct gateway_config *gateway, struct diagnostics *d,
                        const struct draft_role *role)
{
    const struct policy_match *match = &role->spec.match;
    const struct config_listener *listener =
        match->listener == NULL ? NULL : find_listener(gateway, match->listener);
    const struct config_interface *port = match->port == NULL ? NULL : find_interface(gateway, match->port);
    if (listener != NULL && listener->interface < gateway->interfaces_n) {
        const struct config_interface *own = &gateway->interfaces[listener->interface];
        if (port != NULL && port != own)
            diagnostics_add(d, DIAGNOSTIC_ERROR, role->port.file, role->port.line,
                            "role '%s' can never match; listener '%s' is on port '%s', not '%s'; correct one",
                            role->spec.name, match->listener, own->name, match->port);
        port = own;
    }
    if (port != NULL && match->vlan >= 0 && match->vlan != port->vlan)
        diagnostics_add(
            d, DIAGNOSTIC_ERROR, role->spec.file, role->spec.line,
            "role '%s' can never match; it asks for VLAN %d, but port '%s' has VLAN %u; correct one",
            role->spec.name, match->vlan, port->name, port->vlan);
}

static void check_listeners_used(const struct policy_draft *draft, const struct gateway_config *gateway,
                                 struct diagnostics *d)
{
    for (uint32_t i = 0; i < gateway->listeners_n; i++) {
        const struct config_listener *listener = &gateway->listeners[i];
        if (listener->name == NULL || listener->interface >= gateway->interfaces_n)
            continue;
        const struct config_interface *port = &gateway->interfaces[listener->interface];
        bool used = false;
        for (uint32_t k = 0; k < draft->roles_n && !used; k++) {
            const struct policy_match *match = &draft->roles[k]->spec.match;
            used = (match->listener == NULL || strcmp(match->listener, listener->name) == 0) &&
                   (match->port == NULL || strcmp(match->port, port->name) == 0) &&
                   (match->vlan < 0 || match->vlan == port->vlan);
        }
        if (!used)
            tell(d, DIAGNOSTIC_WARNING, listener->origin,
                 "no role matches clients of listener '%s', so all are refused; add a role or remove the "
                 "listener",
                 listener->name);
    }
}

/* ---- roles and rules ----------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return a == NULL || (b != NULL && (strcmp(a, b) == 0 || strcmp(a, "*") == 0));
}

static bool sources_within(const struct policy_match *outer, const struct policy_match *inner)
{
    if (outer->sources_n == 0)
        return true;
    for (uint32_t i = 0; i < inner->sources_n; i++) {
        bool within = false;
        for (uint32_t k = 0; k < outer->sources_n && !within; k++) {
            struct config_address prefix = {.bits = outer->sources[k].bits};
            memcpy(prefix.bytes, outer->sources[k].address, 16);
            within =
                prefix.bits <= inner->sources[i].bits && address_contains(&prefix, inner->sources[i].address);
        }
        if (!within)
            return false;
    }
    return inner->sources_n != 0;
}

/* Whatever `later` matches, `earlier` has matched before. */
static bool shadows(const struct policy_match *earlier, const struct policy_match *later)
{
    return same(earlier->listener, later->listener) && same(earlier->port, later->port) &&
           (earlier->vlan < 0 || earlier->vlan == later->vlan) && sources_within(earlier, later) &&
           same(earlier->mac, later->mac) && same(earlier->client_id, later->client_id) &&
           same(earlier->user, later->user) && same(earlier->cert_cn, later->cert_cn) &&
           same(earlier->cert_ou, later->cert_ou) && same(earlier->psk_id, later->psk_id);
}

static void check_shadowed(const struct policy_draft *draft, struct diagnostics *d)
{
    for (uint32_t i = 0; i < draft->roles_n; i++)
        for (uint32_t k = 0; k < i; k++) {
            const struct policy_role_spec *own = &draft->roles[i]->spec, *earlier = &draft->roles[k]->spec;
            if (!shadows(&earlier->match, &own->match))
                continue;
            bool here = strcmp(own->file, earlier->file) == 0;
            diagnostics_add(
                d, DIAGNOSTIC_ERROR, own->file, own->line,
                "role '%s' can never match; role '%s' (line %u%s%s) takes its clients first; move it up",
                own->name, earlier->name, earlier->line, here ? "" : " of ", here ? "" : earlier->file);
            break;
        }
}

static void check_role(const struct draft_role *role, struct diagnostics *d)
{
    if (role->rules_n == 0)
        tell(d, DIAGNOSTIC_WARNING, origin_of_role(role),
             "role '%s' has no rules; its clients connect and may do nothing else", role->spec.name);
    if (role->spec.match.user != NULL && !feature_present(FEATURE_PASSWORDS))
        tell(d, DIAGNOSTIC_WARNING, origin_of_role(role),
             "role '%s' believes a user name; passwords are not checked in this version, the upstream must "
             "do it",
             role->spec.name);
    for (uint32_t i = 0; i < role->rules_n; i++) {
        const struct acl_rule_spec *rule = &role->rules[i];
        if (!rule->allow || rule->topic == NULL ||
            (strcmp(rule->topic, "#") != 0 && strcmp(rule->topic, "+/#") != 0))
            continue;
        diagnostics_add(d, DIAGNOSTIC_WARNING, rule->file, rule->line,
                        "rule '%s' allows every topic ('%s'); name the topics that role '%s' needs",
                        rule->id != NULL ? rule->id : "?", rule->topic, role->spec.name);
    }
}

void policy_check(struct policy_draft *draft, const struct gateway_config *gateway, bool whole,
                  struct diagnostics *d)
{
    check_role_names(draft, d);
    check_devices(draft, d);
    for (uint32_t i = 0; i < draft->roles_n; i++)
        if (draft->roles[i]->spec.name == NULL) /* told already; messages need one */
            draft->roles[i]->spec.name = "?";
    if (draft->roles_n > ROLES_MAX) {
        diagnostics_add(
            d, DIAGNOSTIC_ERROR, draft->roles[ROLES_MAX]->spec.file, draft->roles[ROLES_MAX]->spec.line,
            "there are more than %d roles; let one role serve many devices, with captures such as "
            "\"truck-{serial}\"",
            ROLES_MAX);
        return;
    }
    for (uint32_t i = 0; i < draft->roles_n; i++)
        check_role(draft->roles[i], d);
    if (whole)
        check_shadowed(draft, d);
    if (gateway == NULL)
        return;
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        const struct draft_role *role = draft->roles[i];
        if (role->spec.match.listener != NULL)
            check_reference(gateway, d, role->listener, role->spec.match.listener, NULL);
        if (role->spec.match.port != NULL)
            check_reference(gateway, d, role->port, NULL, role->spec.match.port);
        check_place(gateway, d, role);
    }
    for (uint32_t i = 0; i < draft->tests_n; i++) {
        if (draft->tests[i].listener != NULL)
            check_reference(gateway, d, draft->tests[i].origin, draft->tests[i].listener, NULL);
        if (draft->tests[i].port != NULL)
            check_reference(gateway, d, draft->tests[i].origin, NULL, draft->tests[i].port);
    }
    check_listeners_used(draft, gateway, d);
}
