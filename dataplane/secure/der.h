/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of DER (X.690 section 10): one element after the other, nested ones by reading into a content.
 *
 * Borrowed bytes only. Lengths are definite, in the fewest octets and compared with what is left; tags above
 * 30 do not occur in what we read and are refused. A failed read leaves the reader untouched. Any thread.
 */
#ifndef DATAPLANE_SECURE_DER_H
#define DATAPLANE_SECURE_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DER_INTEGER 0x02
#define DER_BIT_STRING 0x03
#define DER_OCTET_STRING 0x04
#define DER_OID 0x06
#define DER_ENUMERATED 0x0A
#define DER_UTF8_STRING 0x0C
#define DER_PRINTABLE_STRING 0x13
#define DER_IA5_STRING 0x16
#define DER_UTC_TIME 0x17
#define DER_GENERALIZED_TIME 0x18
#define DER_SEQUENCE 0x30
#define DER_SET 0x31
#define DER_CONTEXT(n) (0x80 | (n))     /* [n] IMPLICIT of a primitive type */
#define DER_CONSTRUCTED(n) (0xA0 | (n)) /* [n] EXPLICIT, or IMPLICIT of a constructed type */

struct der {
    const uint8_t *at;
    size_t left;
};

static inline struct der der_of(const uint8_t *at, size_t n)
{
    return (struct der){.at = at, .left = n};
}

/* The tag that comes next; 0: nothing is left. */
static inline uint8_t der_next(const struct der *from)
{
    return from->left == 0 ? 0 : from->at[0];
}

/* Octets of tag and length of the element that comes next, with the length of its content; 0: malformed. */
static inline size_t der_header(const struct der *from, size_t *content)
{
    if (from->left < 2 || (from->at[0] & 0x1F) == 0x1F)
        return 0;
    size_t n = from->at[1];
    size_t header = 2;
    if (n >= 0x80) {
        size_t octets = n & 0x7F;
        if (octets == 0 || octets > 4 || octets > from->left - 2 || from->at[2] == 0)
            return 0;
        n = 0;
        for (size_t i = 0; i < octets; i++)
            n = n << 8 | from->at[2 + i];
        if (n < 0x80)
            return 0;
        header += octets;
    }
    if (n > from->left - header)
        return 0;
    *content = n;
    return header;
}

/* Takes the next element, which must have that tag. `content` and `whole` may be NULL. */
static inline bool der_take(struct der *from, uint8_t tag, struct der *content, struct der *whole)
{
    size_t n;
    size_t header = der_header(from, &n);
    if (header == 0 || from->at[0] != tag)
        return false;
    if (content != NULL)
        *content = der_of(from->at + header, n);
    if (whole != NULL)
        *whole = der_of(from->at, header + n);
    from->at += header + n;
    from->left -= header + n;
    return true;
}

/* Passes over the next element if it has that tag; false only when it is malformed. */
static inline bool der_skip(struct der *from, uint8_t tag)
{
    return der_next(from) != tag || der_take(from, tag, NULL, NULL);
}

#endif
