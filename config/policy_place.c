/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where clients come in, and what of a policy can never come about there (G1). */
#include "config/policy_draft.h"
#include "policy/access/name_index.h"

#include <string.h>

#define MQTT_ACTIONS ((1u << ACL_PUBLISH) | (1u << ACL_SUBSCRIBE))

/* What the listeners together tell of a client, and what can be done at them. */
struct place {
    uint32_t listeners_n;
    uint8_t auth;   /* CONFIG_AUTH_... of any */
    bool mqtt;      /* topics are judged: MQTT, or CoAP in front of a broker */
    bool coap;      /* paths are */
    bool maps;      /* CoAP in front of a broker */
    bool has_users; /* MQTT */
};

bool policy_may_come(const struct policy_match *match, const struct gateway_config *gateway,
                     const struct config_listener *listener)
{
    if (listener->name == NULL || listener->interface >= gateway->interfaces_n)
        return false;
    const struct config_interface *port = &gateway->interfaces[listener->interface];
    return port->name != NULL && (match->listener == NULL || strcmp(match->listener, listener->name) == 0) &&
           (match->port == NULL || strcmp(match->port, port->name) == 0) &&
           (match->vlan < 0 || match->vlan == port->vlan);
}

static struct place place_of(const struct gateway_config *gateway, const struct policy_match *match)
{
    struct place place = {.listeners_n = 0};
    for (uint32_t i = 0; i < gateway->listeners_n; i++) {
        const struct config_listener *listener = &gateway->listeners[i];
        if (!policy_may_come(match, gateway, listener) || listener->upstream >= gateway->upstreams_n)
            continue;
        bool coap = listener->protocol == CONFIG_COAP;
        bool broker = gateway->upstreams[listener->upstream].protocol == CONFIG_MQTT;
        place.listeners_n++;
        place.auth |= listener->auth;
        place.mqtt |= !coap || broker;
        place.coap |= coap;
        place.maps |= coap && broker;
        place.has_users |= !coap;
    }
    return place;
}

static const struct config_interface *find_interface(const struct gateway_config *gateway, const char *name)
{
    for (uint32_t i = 0; i < gateway->interfaces_n; i++)
        if (gateway->interfaces[i].name != NULL && strcmp(gateway->interfaces[i].name, name) == 0)
            return &gateway->interfaces[i];
    return NULL;
}

/* Listener, port and VLAN that never come together; true when that was told. */
static bool check_place(const struct gateway_config *gateway, struct diagnostics *d,
                        const struct draft_role *role)
{
    const struct policy_match *match = &role->spec.match;
    const struct config_interface *port = match->port == NULL ? NULL : find_interface(gateway, match->port);
    const struct config_interface *own = NULL;
    bool vlan = match->vlan < 0;
    for (uint32_t i = 0; i < gateway->listeners_n && match->listener != NULL; i++) {
        const struct config_listener *listener = &gateway->listeners[i];
        if (strcmp(listener->name, match->listener) == 0)
            own = &gateway->interfaces[listener->interface];
    }
    if (own != NULL && port != NULL && port != own) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, role->port.file, role->port.line,
                        "role '%s' can never match; listener '%s' is on port '%s', not '%s'; correct one",
                        role->spec.name, match->listener, own->name, match->port);
        return true;
    }
    port = own != NULL ? own : port;
    if (port != NULL && !vlan && match->vlan != port->vlan) {
        diagnostics_add(
            d, DIAGNOSTIC_ERROR, role->spec.file, role->spec.line,
            "role '%s' can never match; it asks for VLAN %d, but port '%s' has VLAN %u; correct one",
            role->spec.name, match->vlan, port->name, port->vlan);
        return true;
    }
    for (uint32_t i = 0; i < gateway->interfaces_n && !vlan; i++)
        vlan = gateway->interfaces[i].vlan == match->vlan;
    if (!vlan)
        diagnostics_add(d, DIAGNOSTIC_ERROR, role->spec.file, role->spec.line,
                        "role '%s' can never match; it asks for VLAN %d, which no port has; correct one",
                        role->spec.name, match->vlan);
    return !vlan;
}

/* What the role asks and none of its listeners tells of anybody. */
static void check_facts(const struct draft_role *role, const struct place *place, struct diagnostics *d)
{
    const struct policy_match *match = &role->spec.match;
    const struct {
        const char *name, *asked;
        bool told;
        const char *repair;
    } facts[] = {
        {"cert_cn", match->cert_cn, (place->auth & CONFIG_AUTH_CERT) != 0,
         "asks for certificates; write auth = \"cert\" there"},
        {"cert_ou", match->cert_ou, (place->auth & CONFIG_AUTH_CERT) != 0,
         "asks for certificates; write auth = \"cert\" there"},
        {"cert_san", match->cert_san, (place->auth & CONFIG_AUTH_CERT) != 0,
         "asks for certificates; write auth = \"cert\" there"},
        {"psk_id", match->psk_id, (place->auth & CONFIG_AUTH_PSK) != 0,
         "takes keys; write psk_file = \"FILE\" and auth = \"psk\" there"},
        {"user", match->user, place->has_users, "speaks MQTT; CoAP has no user names; remove it"},
    };
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        if (facts[i].asked != NULL && !facts[i].told) {
            diagnostics_add(d, DIAGNOSTIC_ERROR, role->spec.file, role->spec.line,
                            "role '%s' can never match; it asks for '%s', and none of its listeners %s",
                            role->spec.name, facts[i].name, facts[i].repair);
            return;
        }
}

/* Of a role that names its listener; another may be meant for one that is still to come. */
static void check_rules(const struct draft_role *role, const struct place *place, struct diagnostics *d)
{
    for (uint32_t i = 0; i < role->rules_n; i++) {
        const struct acl_rule_spec *rule = &role->rules[i];
        bool topic = (rule->actions & MQTT_ACTIONS) != 0;
        if (!(topic ? place->mqtt : place->coap))
            diagnostics_add(d, DIAGNOSTIC_ERROR, rule->file, rule->line,
                            "rule '%s' can never decide; listener '%s' speaks %s; delete the rule", rule->id,
                            role->spec.match.listener, topic ? "CoAP, to an upstream of CoAP" : "MQTT");
    }
    for (uint32_t i = 0; i < role->maps_n && !place->maps; i++)
        diagnostics_add(d, DIAGNOSTIC_ERROR, role->maps[i].file, role->maps[i].line,
                        "the map of '/%s' can never be asked; maps are for CoAP with an upstream of MQTT, "
                        "which listener '%s' is not; delete it",
                        role->maps[i].path, role->spec.match.listener);
}

static void check_listeners_used(const struct policy_draft *draft, const struct gateway_config *gateway,
                                 struct diagnostics *d)
{
    for (uint32_t i = 0; i < gateway->listeners_n; i++) {
        const struct config_listener *listener = &gateway->listeners[i];
        bool used = listener->name == NULL || listener->interface >= gateway->interfaces_n;
        for (uint32_t k = 0; k < draft->roles_n && !used; k++)
            used = policy_may_come(&draft->roles[k]->spec.match, gateway, listener);
        if (!used)
            diagnostics_add(d, DIAGNOSTIC_WARNING, listener->origin.file, listener->origin.line,
                            "no role matches clients of listener '%s', so all are refused; add a role or "
                            "remove the listener",
                            listener->name);
    }
}

/* ---- devices -------------------------------------------------------------------------------------------
 */

static void tell_twin(const struct policy_device_spec *device, const struct policy_device_spec *first,
                      const char *what, struct diagnostics *d)
{
    bool here = strcmp(device->file, first->file) == 0;
    diagnostics_add(d, DIAGNOSTIC_WARNING, device->file, device->line,
                    "device '%s' has the %s of device '%s' (line %u%s%s), by which CoAP without DTLS tells "
                    "devices apart; give each entry both MAC and address",
                    device->id, what, first->id, first->line, here ? "" : " of ", here ? "" : first->file);
}

static bool is_whole(const struct policy_source *address)
{
    return address->bits == 128;
}

static const struct policy_device_spec *first_with(struct name_index *index, const struct policy_draft *draft,
                                                   const void *name, size_t n, uint32_t number)
{
    uint32_t first = name_index_add(index, bytes_of(name, n), number);
    return first == NAME_INDEX_NONE || first == number ? NULL : &draft->devices[first].spec;
}

/* One entry of several is the one that is taken (snapshot.h): the others can never be met. */
static void check_twins(const struct policy_draft *draft, struct diagnostics *d)
{
    struct name_index macs = {.slots = NULL}, addresses = {.slots = NULL};
    uint32_t whole = 0;
    for (uint32_t i = 0; i < draft->devices_n; i++)
        for (uint32_t k = 0; k < draft->devices[i].spec.addresses_n; k++)
            whole += is_whole(&draft->devices[i].spec.addresses[k]);
    bool room = name_index_init(&macs, draft->devices_n) && name_index_init(&addresses, whole);
    for (uint32_t i = 0; i < draft->devices_n && room; i++) {
        const struct policy_device_spec *device = &draft->devices[i].spec, *first = NULL;
        if (device->has_mac)
            first = first_with(&macs, draft, device->mac, sizeof(device->mac), i);
        if (first != NULL && device->addresses_n == 0)
            tell_twin(device, first, "MAC", d);
        for (uint32_t k = 0; k < device->addresses_n; k++) {
            if (!is_whole(&device->addresses[k]))
                continue;
            first = first_with(&addresses, draft, device->addresses[k].address, 16, i);
            if (first != NULL && (first->has_mac || !device->has_mac))
                tell_twin(device, first, "address", d);
        }
    }
    name_index_fini(&macs);
    name_index_fini(&addresses);
}

static bool has_plain_coap(const struct gateway_config *gateway)
{
    for (uint32_t i = 0; i < gateway->listeners_n; i++)
        if (gateway->listeners[i].protocol == CONFIG_COAP &&
            gateway->listeners[i].security == CONFIG_SECURITY_NONE)
            return true;
    return false;
}

void policy_check_places(const struct policy_draft *draft, const struct gateway_config *gateway, bool good,
                         struct diagnostics *d)
{
    for (uint32_t i = 0; i < gateway->listeners_n; i++)
        if (gateway->listeners[i].name == NULL || gateway->listeners[i].interface >= gateway->interfaces_n)
            return; /* told, and what follows from it would be noise */
    uint32_t errors = diagnostics_errors(d);
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        const struct draft_role *role = draft->roles[i];
        struct place place = place_of(gateway, &role->spec.match);
        if (check_place(gateway, d, role) || place.listeners_n == 0 || !good)
            continue;
        check_facts(role, &place, d);
        if (role->spec.match.listener != NULL)
            check_rules(role, &place, d);
    }
    if (!good || diagnostics_errors(d) != errors)
        return;
    check_listeners_used(draft, gateway, d);
    if (has_plain_coap(gateway))
        check_twins(draft, d);
}
