/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of CoAP options: their numbers, lengths and formats, whether they may repeat, and on which
 * side they make sense (RFC 7252 s.5.10, 7641, 7959, 8768, 7967, 9175). Whether an option is critical, unsafe
 * to forward or part of the cache key is written in its number (RFC 7252 s.5.4.6). Pure.
 */
#ifndef POLICY_COAP_OPTION_H
#define POLICY_COAP_OPTION_H

#include <stdbool.h>
#include <stdint.h>

enum coap_option_number {
    COAP_IF_MATCH = 1,
    COAP_URI_HOST = 3,
    COAP_ETAG = 4,
    COAP_IF_NONE_MATCH = 5,
    COAP_OBSERVE = 6,
    COAP_URI_PORT = 7,
    COAP_LOCATION_PATH = 8,
    COAP_OSCORE = 9,
    COAP_URI_PATH = 11,
    COAP_CONTENT_FORMAT = 12,
    COAP_MAX_AGE = 14,
    COAP_URI_QUERY = 15,
    COAP_HOP_LIMIT = 16,
    COAP_ACCEPT = 17,
    COAP_LOCATION_QUERY = 20,
    COAP_BLOCK2 = 23,
    COAP_BLOCK1 = 27,
    COAP_SIZE2 = 28,
    COAP_PROXY_URI = 35,
    COAP_PROXY_SCHEME = 39,
    COAP_SIZE1 = 60,
    COAP_ECHO = 252,
    COAP_NO_RESPONSE = 258,
    COAP_REQUEST_TAG = 292,
};

enum coap_option_format {
    COAP_FORMAT_EMPTY = 0,
    COAP_FORMAT_OPAQUE,
    COAP_FORMAT_UINT,
    COAP_FORMAT_STRING,
};

/* Where an option means something; elsewhere it is one that is not recognised. */
#define COAP_IN_REQUEST 1
#define COAP_IN_RESPONSE 2

struct coap_option_rule {
    uint16_t number;
    uint16_t min_bytes;
    uint16_t max_bytes;
    uint8_t format; /* enum coap_option_format */
    uint8_t where;
    bool repeatable;
};

/* NULL when the option is not known. */
const struct coap_option_rule *coap_option_rule(uint16_t number);

static inline bool coap_option_critical(uint16_t number)
{
    return (number & 1) != 0;
}

static inline bool coap_option_unsafe(uint16_t number)
{
    return (number & 2) != 0;
}

/* Safe to forward, and two requests that differ in it may share a cached response. */
static inline bool coap_option_no_cache_key(uint16_t number)
{
    return (number & 0x1E) == 0x1C;
}

#endif
