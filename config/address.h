/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses as operators write them: "10.20.0.1/22", "fd20::1", "[fd30::2]:8883", ":1883", "any:1883",
 * "00:1d:9c:00:00:01". Results are IPv4-mapped IPv6 in network order, prefix lengths of 128. Readers answer
 * NULL when the text is good, else a static sentence "what is wrong; what to write". Pure.
 */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_MAX 64
#define ADDRESS_ENDPOINT_MAX (ADDRESS_TEXT_MAX + 8)

struct config_address {
    uint8_t bytes[16];
    uint8_t bits; /* prefix length of 128; 128 for a single address */
};

struct address_endpoint {
    bool any;         /* "any:1883" */
    bool has_address; /* false: ":1883" */
    uint8_t address[16];
    uint16_t port;
};

/* A single address, without a prefix length. */
const char *address_parse(const char *text, uint8_t out[16]);
/* With a prefix length; without one it is taken as a single address when `single` allows it. */
const char *address_parse_prefix(const char *text, bool single, struct config_address *out);
/* With `listen`, ":port" and "any:port" are good too. */
const char *address_parse_endpoint(const char *text, bool listen, struct address_endpoint *out);
const char *address_parse_mac(const char *text, uint8_t mac[6]);
/* Whether a well-formed glob (glob.h) can fit the text of any MAC, "00:1d:9c:00:00:01". */
bool address_mac_glob(const char *glob);

bool address_is_v4(const uint8_t address[16]);
/* Bits behind the prefix length are set. */
bool address_has_host_bits(const struct config_address *a);
/* The same with these bits cleared. */
struct config_address address_network(const struct config_address *a);
bool address_contains(const struct config_address *prefix, const uint8_t address[16]);
bool address_overlaps(const struct config_address *a, const struct config_address *b);
/* A host may have it: not unspecified, loopback, multicast, nor (IPv4) the network's own or broadcast
 * address. NULL when so, else why not. */
const char *address_check_host(const struct config_address *a);
/* "10.20.0.0/22", "fd20::1"; the length is left out at 128. Answers `to`. */
const char *address_format(const struct config_address *a, char to[ADDRESS_TEXT_MAX]);
/* As address_parse_endpoint reads it: "any:1883", ":1883" (`address` NULL), "10.20.0.1:1883",
 * "[fd20::1]:1883". Answers `to`. */
const char *address_format_listen(bool any, const uint8_t *address, uint16_t port,
                                  char to[ADDRESS_ENDPOINT_MAX]);

#endif
