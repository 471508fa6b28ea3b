/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UTF-8 validity as MQTT and CoAP ask for it (MQTT 5.0 s.1.5.4, 3.1.1 s.1.5.3, RFC 3629; requirement D3).
 *
 * Every level refuses overlong forms (C0 80), surrogates (ED A0..BF), values above U+10FFFF, truncated
 * sequences and, but in payloads, U+0000. UTF8_STRICT refuses besides, as the specifications allow,
 * U+0001..U+001F, U+007F..U+009F and the non-characters. A leading U+FEFF is an ordinary character and is
 * kept. utf8_check uses SIMD where it pays: for ASCII always, for other text of 64 bytes and more but at
 * UTF8_STRICT; utf8_check_reference is the plain DFA that it is tested against. Pure, any thread.
 */
#ifndef POLICY_UTF8_H
#define POLICY_UTF8_H

#include "policy/bytes.h"

enum utf8_level {
    UTF8_SPEC = 0, /* what a MQTT string must fulfil */
    UTF8_STRICT,   /* besides: no control characters, no non-characters */
    UTF8_TEXT,     /* a payload: well formed, U+0000 and controls allowed */
};

/* True when all of `text` is valid at `level`. */
bool utf8_check(struct bytes text, enum utf8_level level);
bool utf8_check_reference(struct bytes text, enum utf8_level level);
/* Bytes of the character that `text` begins with, at UTF8_TEXT; 0 when it is none, or empty. */
size_t utf8_character(struct bytes text);

#endif
