/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/address.h"

#include "policy/hex.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {[10] = 0xFF, [11] = 0xFF};
static const char address_form[] = "it is not an address; write for example \"10.20.0.1\" or \"fd20::1\"";

bool address_is_v4(const uint8_t address[16])
{
    return memcmp(address, v4_prefix, sizeof(v4_prefix)) == 0;
}

/* Digits only, no sign, no leading zero: what atoi would forgive. */
static bool take_number(const char *text, uint32_t most, uint32_t *number)
{
    uint32_t sum = 0;
    if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        sum = sum * 10 + (uint32_t)(*text - '0');
        if (sum > most)
            return false;
    }
    *number = sum;
    return true;
}

const char *address_parse(const char *text, uint8_t out[16])
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, text, bytes + 12) == 1)
        memcpy(bytes, v4_prefix, sizeof(v4_prefix));
    else if (inet_pton(AF_INET6, text, bytes) != 1)
        return address_form;
    else if (address_is_v4(bytes))
        return "it is an IPv4 address in IPv6 form; write the IPv4 address";
    memcpy(out, bytes, 16);
    return NULL;
}

const char *address_parse_prefix(const char *text, bool single, struct config_address *out)
{
    struct config_address read = {.bits = 128};
    const char *slash = strchr(text, '/');
    char address[ADDRESS_TEXT_MAX];
    size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
    if (len >= sizeof(address))
        return address_form;
    memcpy(address, text, len);
    address[len] = '\0';
    const char *problem = address_parse(address, read.bytes);
    if (problem != NULL)
        return problem;
    if (slash == NULL && !single)
        return "its prefix length is missing; write for example \"10.20.0.1/22\"";
    if (slash != NULL) {
        uint32_t bits;
        bool v4 = address_is_v4(read.bytes);
        if (!take_number(slash + 1, v4 ? 32 : 128, &bits))
            return v4 ? "its prefix length is not a number from 0 to 32"
                      : "its prefix length is not a number from 0 to 128";
        read.bits = (uint8_t)(v4 ? bits + 96 : bits);
    }
    *out = read;
    return NULL;
}

const char *address_parse_endpoint(const char *text, bool listen, struct address_endpoint *out)
{
    const char *form =
        listen
            ? "it is not an address and a port; write for example \":1883\", \"any:1883\", "
              "\"10.20.0.1:1883\" or \"[fd20::1]:1883\""
            : "it is not an address and a port; write for example \"10.30.0.2:8883\" or \"[fd30::2]:8883\"";
    struct address_endpoint read = {.has_address = true};
    const char *colon = strrchr(text, ':');
    char address[ADDRESS_TEXT_MAX];
    uint32_t port;
    if (colon == NULL)
        return listen ? "its port is missing; write for example \":1883\" or \"any:1883\""
                      : "its port is missing; write for example \"10.30.0.2:8883\"";
    size_t len = (size_t)(colon - text);
    if (len >= sizeof(address))
        return form;
    memcpy(address, text, len);
    address[len] = '\0';
    if (listen && (len == 0 || strcmp(address, "any") == 0)) {
        read.has_address = false;
        read.any = len != 0;
    } else if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
        address[len - 1] = '\0';
        if (address_parse(address + 1, read.address) != NULL || address_is_v4(read.address))
            return form;
    } else if (address_parse(address, read.address) != NULL) {
        return form;
    } else if (!address_is_v4(read.address)) {
        return "an IPv6 address before a port stands in brackets; write for example \"[fd30::2]:8883\"";
    }
    if (!take_number(colon + 1, 65535, &port) || port == 0)
        return "its port is not a number from 1 to 65535";
    read.port = (uint16_t)port;
    *out = read;
    return NULL;
}

const char *address_parse_mac(const char *text, uint8_t mac[6])
{
    static const char form[] =
        "it is not six pairs of hexadecimal digits; write for example \"00:1d:9c:00:00:01\"";
    uint8_t read[6];
    if (strlen(text) != 17)
        return form;
    for (size_t i = 0; i < 6; i++) {
        int high = hex_digit((unsigned char)text[3 * i]), low = hex_digit((unsigned char)text[3 * i + 1]);
        char separator = text[3 * i + 2];
        if (high < 0 || low < 0 || (i < 5 && separator != ':' && separator != '-'))
            return form;
        read[i] = (uint8_t)(high * 16 + low);
    }
    if ((read[0] & 1) != 0)
        return "it is a group address, not a device's; correct its first pair";
    memcpy(mac, read, 6);
    return NULL;
}

#define MAC_TEXT_BYTES 17

/* Places of a MAC's text at which a character may stand, as bits; ']' stands for a set of any digits. */
static uint32_t mac_places(char c)
{
    uint32_t colons = 0;
    for (int i = 2; i < MAC_TEXT_BYTES; i += 3)
        colons |= 1U << i;
    uint32_t all = (1U << MAC_TEXT_BYTES) - 1;
    return c == '?' ? all : c == ':' ? colons : all & ~colons;
}

bool address_mac_glob(const char *glob)
{
    uint32_t at = 1; /* bit n: what was read so far may be the first n characters */
    for (const char *c = glob; *c != '\0'; c++) {
        if (*c == '*') {
            at |= ~(at - 1) & ((2U << MAC_TEXT_BYTES) - 1) & (0U - (at & (0U - at)));
            continue;
        }
        if (*c == '[') {
            const char *end = strchr(c + 1, ']');
            if (end == NULL)
                return false;
            c = end;
        }
        at = (at & mac_places(*c)) << 1;
    }
    return (at >> MAC_TEXT_BYTES & 1) != 0;
}

struct config_address address_network(const struct config_address *a)
{
    struct config_address network = *a;
    for (unsigned int i = 0; i < 16; i++) {
        unsigned int kept = a->bits > 8 * i ? a->bits - 8 * i : 0;
        if (kept < 8)
            network.bytes[i] = (uint8_t)(a->bytes[i] & (0xFF00u >> kept));
    }
    return network;
}

bool address_has_host_bits(const struct config_address *a)
{
    struct config_address network = address_network(a);
    return memcmp(network.bytes, a->bytes, 16) != 0;
}

bool address_contains(const struct config_address *prefix, const uint8_t address[16])
{
    struct config_address other = {.bits = prefix->bits};
    memcpy(other.bytes, address, 16);
    other = address_network(&other);
    struct config_address own = address_network(prefix);
    return memcmp(own.bytes, other.bytes, 16) == 0;
}

bool address_overlaps(const struct config_address *a, const struct config_address *b)
{
    return a->bits <= b->bits ? address_contains(a, b->bytes) : address_contains(b, a->bytes);
}

static bool all_bytes(const uint8_t *at, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] != value)
            return false;
    return true;
}

static const char *check_host_v4(const struct config_address *a)
{
    const uint8_t *v4 = a->bytes + 12;
    if (v4[0] == 0)
        return "addresses of 0.0.0.0/8 belong to no host";
    if (v4[0] == 127)
        return "a loopback address is not reachable through a port";
    if (v4[0] >= 224)
        return "a multicast or reserved address belongs to no host";
    if (a->bits >= 127)
        return NULL;
    struct config_address network = address_network(a);
    if (memcmp(network.bytes, a->bytes, 16) == 0)
        return "it is the address of the network itself";
    uint32_t host = ((uint32_t)v4[0] << 24) | ((uint32_t)v4[1] << 16) | ((uint32_t)v4[2] << 8) | v4[3];
    uint32_t mask = UINT32_MAX >> (a->bits - 96);
    return (host & mask) == mask ? "it is the broadcast address of its network" : NULL;
}

const char *address_check_host(const struct config_address *a)
{
    if (address_is_v4(a->bytes))
        return check_host_v4(a);
    if (a->bytes[0] == 0xFF)
        return "a multicast address belongs to no host";
    if (all_bytes(a->bytes, 15, 0) && a->bytes[15] <= 1)
        return a->bytes[15] == 0 ? "the unspecified address belongs to no host"
                                 : "a loopback address is not reachable through a port";
    if (a->bits < 127 && !address_has_host_bits(a))
        return "it is the anycast address of the network's routers";
    return NULL;
}

const char *address_format(const struct config_address *a, char to[ADDRESS_TEXT_MAX])
{
    bool v4 = address_is_v4(a->bytes);
    to[0] = '\0';
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->bytes + 12 : a->bytes, to, ADDRESS_TEXT_MAX);
    if (a->bits != 128) {
        size_t len = strlen(to);
        snprintf(to + len, ADDRESS_TEXT_MAX - len, "/%d", v4 ? a->bits - 96 : a->bits);
    }
    return to;
}

const char *address_format_listen(bool any, const uint8_t *address, uint16_t port,
                                  char to[ADDRESS_ENDPOINT_MAX])
{
    struct config_address host = {.bits = 128};
    char text[ADDRESS_TEXT_MAX] = "";
    if (address != NULL)
        memcpy(host.bytes, address, sizeof(host.bytes));
    if (any)
        snprintf(text, sizeof(text), "any");
    else if (address != NULL)
        address_format(&host, text);
    bool brackets = strchr(text, ':') != NULL;
    snprintf(to, ADDRESS_ENDPOINT_MAX, "%s%s%s:%u", brackets ? "[" : "", text, brackets ? "]" : "", port);
    return to;
}
