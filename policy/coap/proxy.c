/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/proxy.h"

#include "policy/hex.h"

#include <strings.h>

#define SEGMENT_MAX 255

/* What a URI is put together from, borrowed from it. */
struct uri {
    bool secure;
    struct bytes authority;
    struct bytes path;
    struct bytes query;
};

bool coap_proxy_asked(const struct coap_message *message)
{
    return coap_option_find(message, COAP_PROXY_URI) != NULL ||
           coap_option_find(message, COAP_PROXY_SCHEME) != NULL;
}

static bool same_text(struct bytes a, const char *b)
{
    return a.len == strlen(b) && strncasecmp((const char *)a.at, b, a.len) == 0;
}

static bool scheme_good(struct bytes scheme, bool *secure)
{
    *secure = same_text(scheme, "coaps");
    return *secure || same_text(scheme, "coap");
}

/* The part up to the first of two bytes, or all; what is left behind stays in *rest, that byte in front. */
static struct bytes up_to(struct bytes *rest, uint8_t a, uint8_t b)
{
    size_t n = 0;
    while (n < rest->len && rest->at[n] != a && rest->at[n] != b)
        n++;
    struct bytes part = bytes_of(rest->at, n);
    *rest = bytes_of(rest->at + n, rest->len - n);
    return part;
}

static bool holds(struct bytes text, uint8_t byte)
{
    return text.len != 0 && memchr(text.at, byte, text.len) != NULL;
}

static bool uri_parse(struct bytes text, struct uri *uri)
{
    static const char parting[] = "://";
    struct bytes scheme = up_to(&text, ':', '/');
    if (!scheme_good(scheme, &uri->secure) || text.len < 3 || memcmp(text.at, parting, 3) != 0)
        return false;
    text = bytes_of(text.at + 3, text.len - 3);
    uri->authority = up_to(&text, '/', '?');
    uri->path = up_to(&text, '?', '?');
    uri->query = text;
    return !holds(uri->authority, '@') && !holds(uri->path, '#') && !holds(uri->query, '#') &&
           !holds(uri->authority, '#');
}

/* An entry without a port stands for the default one of the scheme (s.6.1, 6.2). */
static bool authority_is(struct bytes authority, const char *host, bool secure)
{
    const char *port = secure ? ":5684" : ":5683";
    size_t n = strlen(host), m = strlen(port);
    if (same_text(authority, host))
        return true;
    return authority.len == n + m && strncasecmp((const char *)authority.at, host, n) == 0 &&
           memcmp(authority.at + n, port, m) == 0;
}

static bool ours(const char *const *hosts, uint32_t hosts_n, struct bytes authority, bool secure)
{
    for (uint32_t i = 0; i < hosts_n; i++)
        if (authority.len != 0 && authority_is(authority, hosts[i], secure))
            return true;
    return false;
}

/* Decodes into *to, which is moved on; it never takes more room than it had. */
static bool decode(struct bytes from, uint8_t **to, struct bytes *out)
{
    uint8_t *begin = *to;
    for (size_t i = 0; i < from.len; i++) {
        uint8_t c = from.at[i];
        if (c == '%') {
            if (from.len - i < 3 || hex_digit(from.at[i + 1]) < 0 || hex_digit(from.at[i + 2]) < 0)
                return false;
            c = (uint8_t)(hex_digit(from.at[i + 1]) << 4 | hex_digit(from.at[i + 2]));
            i += 2;
        }
        *(*to)++ = c;
    }
    *out = bytes_of(begin, (size_t)(*to - begin));
    return out->len <= SEGMENT_MAX;
}

static bool add(struct coap_message *out, uint16_t number, struct bytes value)
{
    if (out->options_n == COAP_OPTIONS_MAX)
        return false;
    out->options[out->options_n++] = (struct coap_option){.number = number, .value = value};
    return true;
}

/* s.6.4: each piece behind a separator is an option; a path of "/" alone is none. */
static bool add_pieces(struct coap_message *out, uint16_t number, struct bytes text, uint8_t separator,
                       uint8_t **to)
{
    if (text.len == 0 || (number == COAP_URI_PATH && text.len == 1))
        return true;
    struct bytes value;
    while (text.len != 0) {
        struct bytes rest = bytes_of(text.at + 1, text.len - 1); /* without what parts it from the last */
        struct bytes piece = up_to(&rest, separator, separator);
        if (!decode(piece, to, &value) || !add(out, number, value))
            return false;
        text = rest;
    }
    return true;
}

static bool is_uri(uint16_t number)
{
    return number == COAP_URI_HOST || number == COAP_URI_PORT || number == COAP_URI_PATH ||
           number == COAP_URI_QUERY;
}

static bool open_uri(const char *const *hosts, uint32_t hosts_n, const struct coap_message *message,
                     struct bytes text, uint8_t *decoded, struct coap_message *out)
{
    struct uri uri;
    bool path = false, query = false;
    if (text.len > COAP_PROXY_URI_MAX || !uri_parse(text, &uri) ||
        !ours(hosts, hosts_n, uri.authority, uri.secure))
        return false;
    for (uint32_t i = 0; i <= message->options_n; i++) {
        uint32_t number = i < message->options_n ? message->options[i].number : UINT32_MAX;
        if (!path && number >= COAP_URI_PATH) {
            path = true;
            if (!add_pieces(out, COAP_URI_PATH, uri.path, '/', &decoded))
                return false;
        }
        if (!query && number >= COAP_URI_QUERY) {
            query = true;
            if (!add_pieces(out, COAP_URI_QUERY, uri.query, '&', &decoded))
                return false;
        }
        if (i == message->options_n)
            break;
        if (is_uri((uint16_t)number) || number == COAP_PROXY_SCHEME)
            return false; /* s.5.10.2: they do not go together */
        if (number != COAP_PROXY_URI && !add(out, (uint16_t)number, message->options[i].value))
            return false;
    }
    return true;
}

static bool open_scheme(const char *const *hosts, uint32_t hosts_n, const struct coap_message *message,
                        struct coap_message *out)
{
    const struct coap_option *scheme = coap_option_find(message, COAP_PROXY_SCHEME);
    const struct coap_option *host = coap_option_find(message, COAP_URI_HOST);
    const struct coap_option *port = coap_option_find(message, COAP_URI_PORT);
    bool secure;
    if (scheme == NULL || host == NULL || !scheme_good(scheme->value, &secure) ||
        !ours(hosts, hosts_n, host->value, secure) ||
        (port != NULL && coap_uint(port->value) != (secure ? 5684U : 5683U)))
        return false;
    for (uint32_t i = 0; i < message->options_n; i++) {
        uint16_t number = message->options[i].number;
        if (number != COAP_PROXY_SCHEME && number != COAP_URI_HOST && number != COAP_URI_PORT)
            (void)add(out, number, message->options[i].value); /* there are fewer than before */
    }
    return true;
}

bool coap_proxy_open(const char *const *hosts, uint32_t hosts_n, const struct coap_message *message,
                     uint8_t text[COAP_PROXY_URI_MAX], struct coap_message *out)
{
    uint32_t from = 0;
    const struct coap_option *uri = coap_option_next(message, COAP_PROXY_URI, &from);
    *out = *message;
    out->options_n = 0;
    if (uri == NULL)
        return open_scheme(hosts, hosts_n, message, out);
    if (coap_option_next(message, COAP_PROXY_URI, &from) != NULL)
        return false;
    return open_uri(hosts, hosts_n, message, uri->value, text, out);
}
