/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices, VLANs, addresses, next hops and routes of sallyport.conf, seen together (A1, A6). */
#include "config/gateway_draft.h"
#include "config/suggest.h"

#include <stdio.h>
#include <string.h>

static struct config_origin at(const struct schema_read *read, const config_setting_t *setting,
                               const char *key)
{
    return schema_origin(read->load, setting, key);
}

/* ---- devices ------------------------------------------------------------------------------------------- */

static bool all_of(const char *text, const char *set)
{
    return *text != '\0' && text[strspn(text, set)] == '\0';
}

static bool is_pci_address(const char *text)
{
    /* [domain:]bus:device.function */
    static const char *const shapes[] = {"hhhh:hh:hh.o", "hh:hh.o"};
    for (size_t s = 0; s < 2; s++) {
        const char *shape = shapes[s], *c = text;
        for (; *shape != '\0' && *c != '\0'; shape++, c++) {
            bool hex = strchr("0123456789abcdefABCDEF", *c) != NULL;
            bool octal = *c >= '0' && *c <= '7';
            if (*shape == 'h' ? !hex : *shape == 'o' ? !octal : *shape != *c)
                break;
        }
        if (*shape == '\0' && *c == '\0')
            return true;
    }
    return false;
}

static bool is_interface_name(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len <= 15 && strpbrk(text, "/ ,:\t") == NULL && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

/* NULL when the device string has a shape that dataplane/net/port.h knows. */
static const char *check_device(const char *device)
{
    static const char name_set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    static const char *const by_interface[] = {"af_packet:", "af_xdp:", "tap:"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(by_interface[i]);
        if (strncmp(device, by_interface[i], len) == 0)
            return is_interface_name(device + len)
                       ? NULL
                       : "an interface has 1 to 15 characters behind ':'; write for example \"af_xdp:eth1\"";
    }
    if (strncmp(device, "pci:", 4) == 0)
        return is_pci_address(device + 4) ? NULL
                                          : "a PCI address is written for example \"pci:0000:3b:00.0\"";
    if (strncmp(device, "ring:", 5) == 0)
        return all_of(device + 5, name_set) ? NULL : "a ring is written for example \"ring:a\"";
    if (strncmp(device, "memif:", 6) == 0)
        return device[6] != '\0' && strpbrk(device, " \t") == NULL
                   ? NULL
                   : "a memif is written for example \"memif:id=0,role=server\"";
    if (strncmp(device, "pcap:", 5) == 0)
        return device[5] != '\0' && strpbrk(device, " \t") == NULL
                   ? NULL
                   : "pcap files are written for example \"pcap:in.pcap,out.pcap\"";
    return "write pci:, af_xdp:, af_packet:, tap:, memif:, ring: or pcap: before its name, for example "
           "\"af_xdp:eth1\"";
}

/* Distinct devices get an index; a second interface on one needs another VLAN. */
static void check_devices(struct schema_read *read, struct gateway_draft *draft)
{
    struct gateway_config *config = draft->config;
    for (uint32_t i = 0; i < config->interfaces_n; i++) {
        struct config_interface *own = &config->interfaces[i];
        const config_setting_t *setting = draft->interfaces[i].setting;
        const char *problem = own->device == NULL ? NULL : check_device(own->device);
        if (problem != NULL)
            schema_error(read, at(read, setting, "device"), "'device' of port '%s' is \"%.64s\"; %s",
                         own->name, own->device, problem);
        if (own->device == NULL || problem != NULL)
            continue;
        uint32_t port = 0;
        while (port < config->devices_n && strcmp(config->devices[port], own->device) != 0)
            port++;
        own->port = port;
        if (port == GATEWAY_PORTS_MAX) {
            schema_error(read, at(read, setting, "device"), "there are more than %d devices; remove some",
                         GATEWAY_PORTS_MAX);
            return;
        }
        if (port == config->devices_n)
            config->devices[config->devices_n++] = own->device;
        for (uint32_t j = 0; j < i; j++) {
            const struct config_interface *other = &config->interfaces[j];
            if (other->device == NULL || other->port != port || other->vlan != own->vlan ||
                strcmp(other->device, own->device) != 0)
                continue;
            schema_error(read, at(read, setting, own->vlan != 0 ? "vlan" : "device"),
                         "port '%s' has the device and VLAN of port '%s' (line %u); give it another 'vlan'",
                         own->name, other->name, other->origin.line);
        }
    }
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

static bool on_link(const struct config_interface *interface, const uint8_t address[16])
{
    for (uint32_t i = 0; i < interface->addresses_n; i++)
        if (address_is_v4(interface->addresses[i].bytes) == address_is_v4(address) &&
            address_contains(&interface->addresses[i], address))
            return true;
    return false;
}

static bool is_own(const struct config_interface *interface, const uint8_t address[16])
{
    for (uint32_t i = 0; i < interface->addresses_n; i++)
        if (memcmp(interface->addresses[i].bytes, address, 16) == 0)
            return true;
    return false;
}

static void check_overlap(struct schema_read *read, const struct gateway_draft *draft, uint32_t i, uint32_t j)
{
    const struct config_interface *own = &draft->config->interfaces[i],
                                  *other = &draft->config->interfaces[j];
    for (uint32_t a = 0; a < own->addresses_n; a++)
        for (uint32_t b = 0; b < (i == j ? a : other->addresses_n); b++) {
            const struct config_address *x = &own->addresses[a], *y = &other->addresses[b];
            bool clash = i == j ? memcmp(x->bytes, y->bytes, 16) == 0 : address_overlaps(x, y);
            if (address_is_v4(x->bytes) != address_is_v4(y->bytes) || !clash)
                continue;
            char one[ADDRESS_TEXT_MAX], two[ADDRESS_TEXT_MAX];
            schema_error(
                read, at(read, draft->interfaces[i].setting, "address"),
                "%s of port '%s' overlaps %s of port '%s'; it would not be clear where to send; correct "
                "one",
                address_format(x, one), own->name, address_format(y, two), other->name);
        }
}

static void check_next_hop(struct schema_read *read, const config_setting_t *setting,
                           const struct config_interface *own, const uint8_t address[16], const char *key,
                           const char *what)
{
    struct config_address hop = {.bits = 128};
    char text[ADDRESS_TEXT_MAX], prefix[ADDRESS_TEXT_MAX] = "its addresses";
    memcpy(hop.bytes, address, 16);
    address_format(&hop, text);
    if (is_own(own, address)) {
        schema_error(read, at(read, setting, key),
                     "'%s' of %s '%s' is its own address %s; write the router's", key, what, own->name, text);
    } else if (!on_link(own, address)) {
        if (own->addresses_n == 1)
            address_format(&own->addresses[0], prefix);
        schema_error(read, at(read, setting, key),
                     "'%s' of %s '%s' is %s, which is not on the link (%s); write the router's address there",
                     key, what, own->name, text, prefix);
    }
}

static void check_interfaces(struct schema_read *read, const struct gateway_draft *draft)
{
    const struct gateway_config *config = draft->config;
    uint32_t defaults4 = 0, defaults6 = 0;
    for (uint32_t i = 0; i < config->interfaces_n; i++) {
        const struct config_interface *own = &config->interfaces[i];
        const config_setting_t *setting = draft->interfaces[i].setting;
        for (uint32_t j = 0; j <= i; j++)
            check_overlap(read, draft, i, j);
        for (uint32_t j = 0; j < i; j++)
            if (own->name != NULL && config->interfaces[j].name != NULL &&
                strcmp(own->name, config->interfaces[j].name) == 0)
                schema_error(read, at(read, setting, "name"),
                             "there are two ports '%s'; the first is on line %u; "
                             "give one another name",
                             own->name, config->interfaces[j].origin.line);
        if (own->addresses_n == 0 || own->name == NULL)
            continue;
        if (own->has_next_hop)
            check_next_hop(read, setting, own, own->next_hop, "next_hop", "port");
        if (own->has_next_hop6)
            check_next_hop(read, setting, own, own->next_hop6, "next_hop", "port");
        defaults4 += own->has_next_hop;
        defaults6 += own->has_next_hop6;
        if ((own->has_next_hop && defaults4 == 2) || (own->has_next_hop6 && defaults6 == 2))
            schema_error(
                read, at(read, setting, "next_hop"),
                "'next_hop' of port '%s' is a second default route; keep one, and write the other in "
                "'routes'",
                own->name);
    }
}

/* ---- routes -------------------------------------------------------------------------------------------- */

uint32_t gateway_network_find(struct schema_read *read, const struct gateway_draft *draft, const char *name,
                              const config_setting_t *setting)
{
    const struct gateway_config *config = draft->config;
    struct suggest near;
    if (name == NULL)
        return UINT32_MAX;
    suggest_init(&near, name);
    for (uint32_t i = 0; i < config->interfaces_n; i++) {
        const char *known = config->interfaces[i].name;
        if (known != NULL && strcmp(known, name) == 0)
            return i;
        if (known != NULL)
            suggest_offer(&near, known);
    }
    schema_error(read, at(read, setting, "port"), "there is no port '%s'; %s%s%s", name,
                 near.best != NULL ? "did you mean '" : "the ports are in 'dataplane'",
                 near.best != NULL ? near.best : "", near.best != NULL ? "'?" : "");
    return UINT32_MAX;
}

static void check_routes(struct schema_read *read, struct gateway_draft *draft)
{
    struct gateway_config *config = draft->config;
    for (uint32_t i = 0; i < config->routes_n; i++) {
        struct config_route *route = &config->routes[i];
        const config_setting_t *setting = draft->routes[i].setting;
        char text[ADDRESS_TEXT_MAX], network[ADDRESS_TEXT_MAX];
        uint32_t interface = gateway_network_find(read, draft, draft->routes[i].port, setting);
        if (route->to.bits == 0 && route->to.bytes[0] == 0 &&
            config_setting_get_member(setting, "to") == NULL)
            continue;
        struct config_address cleared = address_network(&route->to);
        if (address_has_host_bits(&route->to))
            schema_error(read, at(read, setting, "to"),
                         "'to' is %s, which has bits set behind its prefix; write \"%s\"",
                         address_format(&route->to, text), address_format(&cleared, network));
        for (uint32_t j = 0; j < i; j++)
            if (config->routes[j].to.bits == route->to.bits &&
                memcmp(config->routes[j].to.bytes, route->to.bytes, 16) == 0)
                schema_error(read, at(read, setting, "to"),
                             "there are two routes to %s; the first is on line %u; "
                             "remove one",
                             address_format(&route->to, text), config->routes[j].origin.line);
        if (interface == UINT32_MAX)
            continue;
        route->interface = (uint16_t)interface;
        if (address_is_v4(route->to.bytes) != address_is_v4(route->via))
            schema_error(read, at(read, setting, "via"),
                         "'via' is not of the address family of 'to'; correct one");
        else if (config->interfaces[interface].addresses_n != 0)
            check_next_hop(read, setting, &config->interfaces[interface], route->via, "via",
                           "a route over port");
    }
}

bool gateway_network_reaches(const struct gateway_config *config, const uint8_t address[16])
{
    bool v4 = address_is_v4(address);
    for (uint32_t i = 0; i < config->interfaces_n; i++) {
        const struct config_interface *interface = &config->interfaces[i];
        if (on_link(interface, address) || (v4 ? interface->has_next_hop : interface->has_next_hop6))
            return true;
    }
    for (uint32_t i = 0; i < config->routes_n; i++)
        if (address_is_v4(config->routes[i].via) == v4 && address_contains(&config->routes[i].to, address))
            return true;
    return false;
}

void gateway_check_network(struct schema_read *read, struct gateway_draft *draft)
{
    if (draft->config->interfaces_n == 0)
        return;
    check_devices(read, draft);
    check_interfaces(read, draft);
    check_routes(read, draft);
}
