/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/certificate_name.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define SAN_ID 17
#define CONSTRAINTS_ID 30
#define SAN_DIRECTORY 4

static bool same_text(const uint8_t *a, const uint8_t *b, size_t n)
{
    return strncasecmp((const char *)a, (const char *)b, n) == 0;
}

/* Without NUL, which would end it for others. */
static bool clean(const struct der *text)
{
    return text->left > 0 && memchr(text->at, 0, text->left) == NULL;
}

/* ---- which names it is for ----------------------------------------------------------------------------- */

/* RFC 9525 section 6.3. */
static bool dns_matches(const struct der *presented, const uint8_t *name, size_t n)
{
    if (!clean(presented))
        return false;
    if (presented->left == n && same_text(presented->at, name, n))
        return memchr(name, '*', n) == NULL;
    const uint8_t *dot = memchr(name, '.', n);
    size_t rest = dot == NULL ? 0 : n - (size_t)(dot - name);
    return presented->left > 2 && presented->at[0] == '*' && presented->left == rest + 1 && dot != name &&
           memchr(presented->at + 1, '*', presented->left - 1) == NULL &&
           memchr(dot + 1, '.', rest - 1) != NULL && same_text(presented->at + 1, dot, rest);
}

/* Next of the alternative names: its kind, or -1: none, or malformed. */
static int next_name(struct der *names, struct der *value)
{
    uint8_t tag = der_next(names);
    if ((tag & 0xC0) != 0x80 || !der_take(names, tag, value, NULL))
        return -1;
    return tag & 0x1F;
}

static bool all_names(const struct certificate *certificate, struct der *names)
{
    struct der value;
    return certificate_extension(certificate, SAN_ID, &value) && der_take(&value, DER_SEQUENCE, names, NULL);
}

bool certificate_is_for(const struct certificate *leaf, const char *name)
{
    uint8_t address[16];
    struct der names, value;
    size_t n = strlen(name), address_bytes = 0;
    if (inet_pton(AF_INET, name, address) == 1)
        address_bytes = 4;
    else if (inet_pton(AF_INET6, name, address) == 1)
        address_bytes = 16;
    if (!certificate_extension(leaf, SAN_ID, &value))
        return address_bytes == 0 && certificate_subject(leaf, CERTIFICATE_CN, &value) &&
               dns_matches(&value, (const uint8_t *)name, n);
    if (!der_take(&value, DER_SEQUENCE, &names, NULL))
        return false;
    for (int kind; (kind = next_name(&names, &value)) >= 0;)
        if (address_bytes > 0 ? kind == CERTIFICATE_SAN_IP && value.left == address_bytes &&
                                    memcmp(value.at, address, address_bytes) == 0
                              : kind == CERTIFICATE_SAN_DNS && dns_matches(&value, (const uint8_t *)name, n))
            return true;
    return false;
}

/* ---- which names may be certified ---------------------------------------------------------------------- */

/* Ends with `base`, as a whole or behind a dot. */
static bool within_domain(const struct der *name, const struct der *base)
{
    if (base->left == 0)
        return true;
    if (name->left < base->left || !same_text(name->at + name->left - base->left, base->at, base->left))
        return false;
    return name->left == base->left || base->at[0] == '.' || name->at[name->left - base->left - 1] == '.';
}

/* "*.x" lies within a domain when x does; and it reaches into every domain directly below x. */
static bool dns_within(const struct der *name, const struct der *base, bool reaches)
{
    struct der rest = *name;
    if (rest.left > 2 && rest.at[0] == '*' && rest.at[1] == '.') {
        rest = der_of(rest.at + 2, rest.left - 2);
        if (reaches && base->left > rest.left && within_domain(base, &rest))
            return true;
    }
    return within_domain(&rest, base);
}

static bool address_within(const struct der *name, const struct der *base)
{
    if (base->left != 2 * name->left)
        return false;
    for (size_t i = 0; i < name->left; i++)
        if (((name->at[i] ^ base->at[i]) & base->at[name->left + i]) != 0)
            return false;
    return true;
}

/* A host, or with a leading dot all below a domain. */
static bool host_within(const struct der *host, const struct der *base)
{
    if (base->left > 0 && base->at[0] == '.')
        return host->left > base->left && within_domain(host, base);
    return host->left == base->left && same_text(host->at, base->at, base->left);
}

static bool email_within(const struct der *name, const struct der *base)
{
    const uint8_t *at = memchr(name->at, '@', name->left);
    if (memchr(base->at, '@', base->left) != NULL) /* a mailbox: what is before the "@" has case */
        return name->left == base->left && at != NULL &&
               memcmp(name->at, base->at, (size_t)(at - name->at)) == 0 &&
               same_text(at, base->at + (at - name->at), name->left - (size_t)(at - name->at));
    if (at == NULL)
        return false;
    struct der host = der_of(at + 1, name->left - (size_t)(at + 1 - name->at));
    return host_within(&host, base);
}

/* The host of scheme://[user@]host[:port][/...]; false when there is none. */
static bool uri_host(const struct der *uri, struct der *host)
{
    const uint8_t *end = uri->at + uri->left;
    const uint8_t *at = memmem(uri->at, uri->left, "://", 3);
    if (at == NULL)
        return false;
    at += 3;
    size_t n = 0;
    while (at + n < end && memchr("/?#", at[n], 3) == NULL)
        n++;
    const uint8_t *user = memrchr(at, '@', n);
    if (user != NULL) {
        n -= (size_t)(user + 1 - at);
        at = user + 1;
    }
    const uint8_t *port = memchr(at, ':', n);
    *host = der_of(at, port == NULL ? n : (size_t)(port - at));
    return host->left > 0 && at[0] != '[';
}

/* The parts of `base` are the first of those of `name`: both the content of a Name. */
static bool directory_within(struct der name, struct der base)
{
    struct der one, other;
    while (base.left > 0)
        if (!der_take(&base, DER_SET, NULL, &one) || !der_take(&name, DER_SET, NULL, &other) ||
            one.left != other.left || memcmp(one.at, other.at, one.left) != 0)
            return false;
    return true;
}

/* Of that kind, and not to be compared: 1 is not within, and nothing is settled by -1. */
static int compare(int kind, const struct der *name, struct der base, bool reaches)
{
    struct der host;
    switch (kind) {
    case CERTIFICATE_SAN_DNS:
        return clean(name) ? dns_within(name, &base, reaches) : -1;
    case CERTIFICATE_SAN_EMAIL:
        return clean(name) ? email_within(name, &base) : -1;
    case CERTIFICATE_SAN_URI:
        return clean(name) && uri_host(name, &host) ? host_within(&host, &base) : -1;
    case CERTIFICATE_SAN_IP:
        return (name->left == 4 || name->left == 16) && (base.left == 8 || base.left == 32)
                   ? address_within(name, &base)
                   : -1;
    case SAN_DIRECTORY: {
        struct der whole = *name, content, base_content;
        return der_take(&base, DER_SEQUENCE, &base_content, NULL) &&
                       der_take(&whole, DER_SEQUENCE, &content, NULL)
                   ? directory_within(content, base_content)
                   : -1;
    }
    default:
        return -1;
    }
}

/* How many subtrees are of the name's kind, and of how many it is part; -1: malformed, or not to be compared.
 */
static int count_subtrees(struct der subtrees, int kind, const struct der *name, bool reaches, int *parts)
{
    struct der subtree, base;
    int of_kind = 0;
    *parts = 0;
    while (subtrees.left > 0) {
        /* RFC 5280: minimum is zero, and so not written; there is no maximum. */
        if (!der_take(&subtrees, DER_SEQUENCE, &subtree, NULL))
            return -1;
        int base_kind = next_name(&subtree, &base);
        if (base_kind < 0 || subtree.left != 0)
            return -1;
        if (base_kind != kind)
            continue;
        int within = compare(kind, name, base, reaches);
        if (within < 0)
            return -1;
        of_kind++;
        *parts += within;
    }
    return of_kind;
}

struct constraints {
    struct der permitted, excluded;
};

static bool allowed(const struct constraints *constraints, int kind, const struct der *name)
{
    int parts;
    int of_kind = count_subtrees(constraints->permitted, kind, name, false, &parts);
    if (of_kind < 0 || (of_kind > 0 && parts == 0))
        return false;
    return count_subtrees(constraints->excluded, kind, name, true, &parts) >= 0 && parts == 0;
}

static bool read_constraints(struct der value, struct constraints *constraints)
{
    struct der list;
    *constraints = (struct constraints){.permitted = {.left = 0}};
    if (!der_take(&value, DER_SEQUENCE, &list, NULL) || value.left != 0 || list.left == 0)
        return false;
    if (der_next(&list) == DER_CONSTRUCTED(0) &&
        !der_take(&list, DER_CONSTRUCTED(0), &constraints->permitted, NULL))
        return false;
    if (der_next(&list) == DER_CONSTRUCTED(1) &&
        !der_take(&list, DER_CONSTRUCTED(1), &constraints->excluded, NULL))
        return false;
    return list.left == 0;
}

bool certificate_name_allowed(const struct certificate *ca, const struct certificate *of, bool leaf)
{
    struct constraints constraints;
    struct der value, names, subject = of->subject, parts;
    if (!certificate_extension(ca, CONSTRAINTS_ID, &value))
        return true;
    if (!read_constraints(value, &constraints) || !der_take(&subject, DER_SEQUENCE, &parts, NULL))
        return false;
    if (parts.left > 0 && !allowed(&constraints, SAN_DIRECTORY, &of->subject))
        return false;
    if (!certificate_extension(of, SAN_ID, &value))
        return !leaf || !certificate_subject(of, CERTIFICATE_CN, &value) ||
               allowed(&constraints, CERTIFICATE_SAN_DNS, &value);
    if (!all_names(of, &names))
        return false;
    while (names.left > 0) {
        int kind = next_name(&names, &value);
        if (kind < 0 || !allowed(&constraints, kind, &value))
            return false;
    }
    return true;
}
