/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all files of a policy say together, as far as the compiler (policy/access/snapshot.h) cannot tell it:
 * references to the gateway, roles that never match, what is allowed too widely.
 */
#include "config/policy_users.h"
#include "config/suggest.h"

#include <string.h>

static void tell(struct diagnostics *d, enum diagnostic_level level, struct config_origin at,
                 const char *text, const char *name)
{
    diagnostics_add(d, level, at.file, at.line, text, name);
}

static struct config_origin origin_of_role(const struct draft_role *role)
{
    return (struct config_origin){.file = role->spec.file, .line = role->spec.line};
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
           same(earlier->cert_ou, later->cert_ou) && same(earlier->cert_san, later->cert_san) &&
           same(earlier->psk_id, later->psk_id);
}

static void check_shadowed(const struct policy_draft *draft, struct diagnostics *d)
{
    for (uint32_t i = 0; i < draft->roles_n; i++)
        for (uint32_t k = 0; k < i; k++) {
            const struct policy_role_spec *own = &draft->roles[i]->spec, *earlier = &draft->roles[k]->spec;
            /* Of a role for everybody the compiler tells. */
            if (earlier->match.any || !shadows(&earlier->match, &own->match))
                continue;
            bool here = strcmp(own->file, earlier->file) == 0;
            diagnostics_add(
                d, DIAGNOSTIC_ERROR, own->file, own->line,
                "role '%s' can never match; role '%s' (line %u%s%s) takes its clients first; move it up",
                own->name, earlier->name, earlier->line, here ? "" : " of ", here ? "" : earlier->file);
            break;
        }
}

static void check_role(const struct draft_role *role, bool whole, struct diagnostics *d)
{
    if (role->rules_n == 0 && whole)
        tell(d, DIAGNOSTIC_WARNING, origin_of_role(role),
             "role '%s' has no rules; its clients connect and may do nothing else", role->spec.name);
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

void policy_check(const struct policy_draft *draft, const struct gateway_config *gateway, bool whole,
                  struct diagnostics *d)
{
    uint32_t errors = diagnostics_errors(d);
    if (draft->roles_n > POLICY_ROLES_MAX) {
        diagnostics_add(
            d, DIAGNOSTIC_ERROR, draft->roles[POLICY_ROLES_MAX]->spec.file,
            draft->roles[POLICY_ROLES_MAX]->spec.line,
            "there are more than %d roles; let one role serve many devices, with captures such as "
            "\"truck-{serial}\"",
            POLICY_ROLES_MAX);
        return;
    }
    for (uint32_t i = 0; i < draft->roles_n; i++)
        check_role(draft->roles[i], whole, d);
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
    }
    for (uint32_t i = 0; i < draft->tests_n; i++) {
        if (draft->tests[i].listener != NULL)
            check_reference(gateway, d, draft->tests[i].origin, draft->tests[i].listener, NULL);
        if (draft->tests[i].port != NULL)
            check_reference(gateway, d, draft->tests[i].origin, NULL, draft->tests[i].port);
    }
    policy_users_check(draft, gateway, d);
    policy_check_places(draft, gateway, whole && diagnostics_errors(d) == errors, d);
    if (whole && diagnostics_errors(d) == errors) {
        policy_check_bounds(draft, gateway, d);
        policy_check_clouds(draft, gateway, d);
    }
}
