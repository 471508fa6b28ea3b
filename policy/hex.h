/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hexadecimal digits, of either case. */
#ifndef POLICY_HEX_H
#define POLICY_HEX_H

/* 0 to 15, or -1: it is none. */
static inline int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
