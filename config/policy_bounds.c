/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the role's own caps, the form of names and missing maps leave nothing of (G1): rules that can never
 * decide, names and values that are refused whatever a client does.
 */
#include "config/policy_draft.h"
#include "policy/access/template.h"

#include <string.h>

#define PACKET_BYTES_UNSAID (256u << 10)

/* Clients of the role come over CoAP, to a broker, and no other way. */
static bool only_mapped(const struct policy_match *match, const struct gateway_config *gateway)
{
    bool mapped = false;
    for (uint32_t i = 0; i < gateway->listeners_n; i++) {
        const struct config_listener *listener = &gateway->listeners[i];
        if (!policy_may_come(match, gateway, listener) || listener->upstream >= gateway->upstreams_n)
            continue;
        if (listener->protocol != CONFIG_COAP ||
            gateway->upstreams[listener->upstream].protocol != CONFIG_MQTT)
            return false;
        mapped = true;
    }
    return mapped;
}

static void check_maps(const struct draft_role *role, const struct gateway_config *gateway,
                       struct diagnostics *d)
{
    if (role->maps_n == 0 && role->rules_n != 0 && only_mapped(&role->spec.match, gateway))
        diagnostics_add(
            d, DIAGNOSTIC_WARNING, role->spec.file, role->spec.line,
            "no rule of role '%s' ever decides; its clients speak CoAP to a broker, and no path leads to a "
            "topic; add maps = ( { path = \"/t/{kind}\"; topic = \"t/${id}/${kind}\"; } );",
            role->spec.name);
}

/* What the role's own caps leave of a rule. */
static void check_caps(const struct draft_role *role, struct diagnostics *d)
{
    uint32_t packet =
        role->spec.limits.packet_bytes != 0 ? role->spec.limits.packet_bytes : PACKET_BYTES_UNSAID;
    uint32_t possible = (2u << role->spec.max_qos) - 1;
    for (uint32_t i = 0; i < role->rules_n; i++) {
        const struct acl_rule_spec *rule = &role->rules[i];
        if (rule->allow && rule->qos_mask != 0 && (rule->qos_mask & possible) == 0)
            diagnostics_add(d, DIAGNOSTIC_ERROR, rule->file, rule->line,
                            "rule '%s' can never decide; its 'qos' is above max_qos %u of role '%s'; correct "
                            "one of them",
                            rule->id, role->spec.max_qos, role->spec.name);
        if (rule->payload_max >= packet)
            diagnostics_add(d, DIAGNOSTIC_WARNING, rule->file, rule->line,
                            "'payload_max' of rule '%s' refuses nothing; packets of role '%s' end at %u "
                            "bytes; lower it or remove it",
                            rule->id, role->spec.name, packet);
    }
}

/* ---- names ----------------------------------------------------------------------------------------------
 */

/* Text of a template that stands for itself. */
static bool spells(const char *text, char what)
{
    struct cursor rest = cursor_of(bytes_of_text(text));
    struct bytes piece;
    enum template_piece kind;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT)
        if (kind == TEMPLATE_TEXT && memchr(piece.at, what, piece.len) != NULL)
            return true;
    return false;
}

static void check_variables(const struct policy_variable *variables, uint32_t n, const char *what,
                            const char *name, struct config_origin at, struct diagnostics *d)
{
    for (uint32_t i = 0; i < n; i++)
        if (!template_value_safe(bytes_of_text(variables[i].value)))
            diagnostics_add(
                d, DIAGNOSTIC_WARNING, at.file, at.line,
                "variable '%s' of %s '%s' is \"%s\"; a client whose rules use it is refused, since no "
                "value may begin with '$' or hold '+', '#' or '/'; write one level",
                variables[i].name, what, name, variables[i].value);
}

/* What identity.h refuses whatever the client does. */
static void check_names(const struct policy_draft *draft, struct diagnostics *d)
{
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        const struct policy_role_spec *role = &draft->roles[i]->spec;
        if (role->id != NULL && spells(role->id, '/'))
            diagnostics_add(
                d, DIAGNOSTIC_ERROR, role->file, role->line,
                "'id' of role '%s' is \"%s\"; names stand in paths of files and may not hold '/'; "
                "write '-' instead",
                role->name, role->id);
        check_variables(draft->roles[i]->variables, draft->roles[i]->variables_n, "role", role->name,
                        (struct config_origin){.file = role->file, .line = role->line}, d);
    }
    for (uint32_t i = 0; i < draft->devices_n; i++) {
        const struct policy_device_spec *device = &draft->devices[i].spec;
        if (strchr(device->id, '/') != NULL)
            diagnostics_add(d, DIAGNOSTIC_ERROR, device->file, device->line,
                            "device '%s' can never come; names stand in paths of files and may not hold '/'; "
                            "correct it",
                            device->id);
        check_variables(draft->devices[i].variables, device->variables_n, "device", device->id,
                        (struct config_origin){.file = device->file, .line = device->line}, d);
    }
}

void policy_check_bounds(const struct policy_draft *draft, const struct gateway_config *gateway,
                         struct diagnostics *d)
{
    check_names(draft, d);
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        check_caps(draft->roles[i], d);
        check_maps(draft->roles[i], gateway, d);
    }
}
