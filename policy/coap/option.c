/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/option.h"

#include <stddef.h>

#define REQUEST COAP_IN_REQUEST
#define RESPONSE COAP_IN_RESPONSE
#define BOTH (COAP_IN_REQUEST | COAP_IN_RESPONSE)

/* In ascending order of numbers. */
static const struct coap_option_rule rules[] = {
    {COAP_IF_MATCH, 0, 8, COAP_FORMAT_OPAQUE, REQUEST, true},
    {COAP_URI_HOST, 1, 255, COAP_FORMAT_STRING, REQUEST, false},
    {COAP_ETAG, 1, 8, COAP_FORMAT_OPAQUE, BOTH, true}, /* a response has one: see coap_guard_response */
    {COAP_IF_NONE_MATCH, 0, 0, COAP_FORMAT_EMPTY, REQUEST, false},
    {COAP_OBSERVE, 0, 3, COAP_FORMAT_UINT, BOTH, false},
    {COAP_URI_PORT, 0, 2, COAP_FORMAT_UINT, REQUEST, false},
    {COAP_LOCATION_PATH, 0, 255, COAP_FORMAT_STRING, RESPONSE, true},
    {COAP_URI_PATH, 0, 255, COAP_FORMAT_STRING, REQUEST, true},
    {COAP_CONTENT_FORMAT, 0, 2, COAP_FORMAT_UINT, BOTH, false},
    {COAP_MAX_AGE, 0, 4, COAP_FORMAT_UINT, RESPONSE, false},
    {COAP_URI_QUERY, 0, 255, COAP_FORMAT_STRING, REQUEST, true},
    {COAP_HOP_LIMIT, 1, 1, COAP_FORMAT_UINT, REQUEST, false},
    {COAP_ACCEPT, 0, 2, COAP_FORMAT_UINT, REQUEST, false},
    {COAP_LOCATION_QUERY, 0, 255, COAP_FORMAT_STRING, RESPONSE, true},
    {COAP_BLOCK2, 0, 3, COAP_FORMAT_UINT, BOTH, false},
    {COAP_BLOCK1, 0, 3, COAP_FORMAT_UINT, BOTH, false},
    {COAP_SIZE2, 0, 4, COAP_FORMAT_UINT, BOTH, false},
    {COAP_PROXY_URI, 1, 1034, COAP_FORMAT_STRING, REQUEST, false},
    {COAP_PROXY_SCHEME, 1, 255, COAP_FORMAT_STRING, REQUEST, false},
    {COAP_SIZE1, 0, 4, COAP_FORMAT_UINT, BOTH, false},
    {COAP_ECHO, 1, 40, COAP_FORMAT_OPAQUE, BOTH, false},
    {COAP_NO_RESPONSE, 0, 1, COAP_FORMAT_UINT, REQUEST, false},
    {COAP_REQUEST_TAG, 0, 8, COAP_FORMAT_OPAQUE, REQUEST, true},
};

const struct coap_option_rule *coap_option_rule(uint16_t number)
{
    size_t low = 0, high = sizeof(rules) / sizeof(rules[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rules[middle].number == number)
            return &rules[middle];
        if (rules[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
