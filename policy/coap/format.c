/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/format.h"

#include <stddef.h>

static const struct {
    uint16_t format;
    bool text;
    const char *type;
} formats[] = {
    {0, true, "text/plain;charset=utf-8"},
    {40, true, "application/link-format"},
    {41, false, "application/xml"}, /* says its encoding itself */
    {42, false, "application/octet-stream"},
    {47, false, "application/exi"},
    {50, true, "application/json"},
    {51, true, "application/json-patch+json"},
    {52, true, "application/merge-patch+json"},
    {60, false, "application/cbor"},
    {61, false, "application/cwt"},
    {63, false, "application/cbor-seq"},
    {110, true, "application/senml+json"},
    {112, false, "application/senml+cbor"},
    {11542, false, "application/vnd.oma.lwm2m+tlv"},
    {11543, true, "application/vnd.oma.lwm2m+json"},
    {11544, false, "application/vnd.oma.lwm2m+cbor"},
};

const char *coap_format_type(uint32_t format, bool *text)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].format == format) {
            *text = formats[i].text;
            return formats[i].type;
        }
    *text = false;
    return NULL;
}

/* Types, and the only parameter among them, are compared without case (RFC 9110 s.8.3.1); blanks are passed
 * over. */
static bool same(const char *own, struct bytes type)
{
    for (size_t i = 0; i < type.len; i++) {
        uint8_t c = type.at[i];
        if (c == ' ')
            continue;
        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c - 'A' + 'a');
        if (*own == '\0' || c != (uint8_t)*own)
            return false;
        own++;
    }
    return *own == '\0';
}

uint32_t coap_format_of(struct bytes type)
{
    if (same("text/plain", type))
        return 0;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (same(formats[i].type, type))
            return formats[i].format;
    return COAP_FORMAT_NONE;
}
