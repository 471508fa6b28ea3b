/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#ifdef __SSSE3__
#include <tmmintrin.h>
#endif

/* ---- the reference: an automaton over byte classes ---------------------------------------------------- */

/* Every state but ACCEPT and REJECT says which continuation bytes may follow (RFC 3629 s.4). */
enum state {
    REJECT = 0,
    ACCEPT,
    TAIL_1,   /* one more of 80..BF */
    TAIL_2,   /* two more */
    TAIL_3,   /* three more */
    AFTER_E0, /* A0..BF, then one: no overlong form */
    AFTER_ED, /* 80..9F, then one: no surrogate */
    AFTER_F0, /* 90..BF, then two: no overlong form */
    AFTER_F4, /* 80..8F, then two: nothing above U+10FFFF */
};

static enum state reference_lead(uint8_t byte)
{
    if (byte <= 0x7F)
        return ACCEPT;
    if (byte < 0xC2)
        return REJECT;
    if (byte <= 0xDF)
        return TAIL_1;
    if (byte <= 0xEF)
        return byte == 0xE0 ? AFTER_E0 : byte == 0xED ? AFTER_ED : TAIL_2;
    if (byte <= 0xF4)
        return byte == 0xF0 ? AFTER_F0 : byte == 0xF4 ? AFTER_F4 : TAIL_3;
    return REJECT;
}

static enum state reference_step(enum state state, uint8_t byte)
{
    static const struct {
        uint8_t low, high, next;
    } tail[] = {
        [TAIL_1] = {0x80, 0xBF, ACCEPT},   [TAIL_2] = {0x80, 0xBF, TAIL_1},
        [TAIL_3] = {0x80, 0xBF, TAIL_2},   [AFTER_E0] = {0xA0, 0xBF, TAIL_1},
        [AFTER_ED] = {0x80, 0x9F, TAIL_1}, [AFTER_F0] = {0x90, 0xBF, TAIL_2},
        [AFTER_F4] = {0x80, 0x8F, TAIL_2},
    };
    if (state == ACCEPT)
        return reference_lead(byte);
    return byte >= tail[state].low && byte <= tail[state].high ? (enum state)tail[state].next : REJECT;
}

static bool character_allowed(uint32_t character, enum utf8_level level)
{
    if (level == UTF8_TEXT)
        return true;
    if (level == UTF8_SPEC)
        return character != 0;
    if (character <= 0x1F || (character >= 0x7F && character <= 0x9F))
        return false;
    return (character & 0xFFFE) != 0xFFFE && !(character >= 0xFDD0 && character <= 0xFDEF);
}

bool utf8_check_reference(struct bytes text, enum utf8_level level)
{
    static const uint8_t lead_bits[] = {
        [ACCEPT] = 0x7F,   [TAIL_1] = 0x1F,   [TAIL_2] = 0x0F,   [TAIL_3] = 0x07,
        [AFTER_E0] = 0x0F, [AFTER_ED] = 0x0F, [AFTER_F0] = 0x07, [AFTER_F4] = 0x07,
    };
    enum state state = ACCEPT;
    uint32_t character = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool lead = state == ACCEPT;
        state = reference_step(state, text.at[i]);
        if (state == REJECT)
            return false;
        character = lead ? text.at[i] & lead_bits[state] : (character << 6) | (text.at[i] & 0x3F);
        if (state == ACCEPT && !character_allowed(character, level))
            return false;
    }
    return state == ACCEPT;
}

/* ---- the fast one: blocks of ASCII, then of any text where it is long, else single characters --------- */

static bool ascii_allowed(uint8_t byte, enum utf8_level level)
{
    if (level == UTF8_STRICT)
        return byte >= 0x20 && byte <= 0x7E;
    return byte <= 0x7F && (byte != 0 || level == UTF8_TEXT);
}

#ifdef __SSE2__
#define BLOCK_BYTES ((size_t)16)

/* True when all 16 bytes are ASCII that `level` allows. Comparisons are signed: a byte above 7F is negative.
 */
static inline bool block_plain(const uint8_t *at, enum utf8_level level)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i above = _mm_set1_epi8(level == UTF8_STRICT ? 0x1F : level == UTF8_SPEC ? 0x00 : -1);
    __m128i good = _mm_cmpgt_epi8(block, above);
    if (level == UTF8_STRICT)
        good = _mm_andnot_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8(0x7F)), good);
    return _mm_movemask_epi8(good) == 0xFFFF;
}
#else
#define BLOCK_BYTES ((size_t)8)

static inline bool block_plain(const uint8_t *at, enum utf8_level level)
{
    bool plain = true;
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        plain &= ascii_allowed(at[i], level);
    return plain;
}
#endif

static inline bool is_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The bytes of the multi-byte character that `at` starts with, 0 when it is not valid. */
static size_t character_bytes(const uint8_t *at, size_t left, enum utf8_level level)
{
    uint32_t character;
    size_t bytes;
    if (at[0] < 0xE0) {
        if (at[0] < 0xC2 || left < 2 || !is_tail(at[1]))
            return 0;
        character = (uint32_t)(at[0] & 0x1F) << 6 | (at[1] & 0x3F);
        bytes = 2;
    } else if (at[0] < 0xF0) {
        if (left < 3 || !is_tail(at[1]) || !is_tail(at[2]))
            return 0;
        character = (uint32_t)(at[0] & 0x0F) << 12 | (uint32_t)(at[1] & 0x3F) << 6 | (at[2] & 0x3F);
        if (character < 0x800 || (character >= 0xD800 && character <= 0xDFFF))
            return 0;
        bytes = 3;
    } else {
        if (at[0] > 0xF4 || left < 4 || !is_tail(at[1]) || !is_tail(at[2]) || !is_tail(at[3]))
            return 0;
        character = (uint32_t)(at[0] & 0x07) << 18 | (uint32_t)(at[1] & 0x3F) << 12 |
                    (uint32_t)(at[2] & 0x3F) << 6 | (at[3] & 0x3F);
        if (character < 0x10000 || character > 0x10FFFF)
            return 0;
        bytes = 4;
    }
    return character_allowed(character, level) ? bytes : 0;
}

#ifdef __SSSE3__
/*
 * Text with many characters beyond ASCII, 16 bytes at a time (Keiser and Lemire, "Validating UTF-8 in less
 * than one instruction per byte"): each byte with the one before it is looked up by three nibbles, and a bit
 * that all three have in common is a fault. A third bit pattern, "two continuations", is one only where no
 * lead byte two or three places before asks for it.
 */
enum {
    TOO_SHORT = 1 << 0,  /* a lead byte, and no continuation after it */
    TOO_LONG = 1 << 1,   /* ASCII, and a continuation */
    OVERLONG_3 = 1 << 2, /* E0 80..9F */
    TOO_LARGE = 1 << 3,  /* F4 90.., F5.. */
    SURROGATE = 1 << 4,  /* ED A0.. */
    OVERLONG_2 = 1 << 5, /* C0, C1 */
    TOO_LARGE_1000 = 1 << 6,
    OVERLONG_4 = 1 << 6, /* F0 80..8F */
    TWO_CONTINUATIONS = 1 << 7,
    ANY_LOW = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS, /* does not depend on the low nibble */
};

#define SIMD_BYTES_MIN ((size_t)64)
#define BYTE(bits) ((char)(unsigned char)(bits))

static inline __m128i nibble_high(__m128i bytes)
{
    return _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0F));
}

/* The faults of a block, given the one before it: zero where there is none. */
static inline __m128i block_faults(__m128i block, __m128i before)
{
    const __m128i first_high =
        _mm_setr_epi8(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
                      BYTE(TWO_CONTINUATIONS), BYTE(TWO_CONTINUATIONS), BYTE(TWO_CONTINUATIONS),
                      BYTE(TWO_CONTINUATIONS), TOO_SHORT | OVERLONG_2, TOO_SHORT,
                      TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | TOO_LARGE_1000);
    const char above = BYTE(ANY_LOW | TOO_LARGE | TOO_LARGE_1000);
    const __m128i first_low =
        _mm_setr_epi8(BYTE(ANY_LOW | OVERLONG_3 | OVERLONG_2 | OVERLONG_4), BYTE(ANY_LOW | OVERLONG_2),
                      BYTE(ANY_LOW), BYTE(ANY_LOW), BYTE(ANY_LOW | TOO_LARGE), above, above, above, above,
                      above, above, above, above, BYTE(above | SURROGATE), above, above);
    const unsigned int tail = TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS;
    const __m128i second_high =
        _mm_setr_epi8(TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
                      BYTE(tail | OVERLONG_3 | TOO_LARGE_1000), BYTE(tail | OVERLONG_3 | TOO_LARGE),
                      BYTE(tail | SURROGATE | TOO_LARGE), BYTE(tail | SURROGATE | TOO_LARGE), TOO_SHORT,
                      TOO_SHORT, TOO_SHORT, TOO_SHORT);
    __m128i one_before = _mm_alignr_epi8(block, before, 15);
    __m128i common = _mm_and_si128(
        _mm_and_si128(_mm_shuffle_epi8(first_high, nibble_high(one_before)),
                      _mm_shuffle_epi8(first_low, _mm_and_si128(one_before, _mm_set1_epi8(0x0F)))),
        _mm_shuffle_epi8(second_high, nibble_high(block)));
    /* The high bit where a lead byte of three or four wants a continuation here. */
    __m128i wanted =
        _mm_or_si128(_mm_subs_epu8(_mm_alignr_epi8(block, before, 14), _mm_set1_epi8(0xE0 - 0x80)),
                     _mm_subs_epu8(_mm_alignr_epi8(block, before, 13), _mm_set1_epi8(0xF0 - 0x80)));
    return _mm_xor_si128(_mm_and_si128(wanted, _mm_set1_epi8(BYTE(0x80))), common);
}

static inline bool is_ascii(__m128i block)
{
    return _mm_movemask_epi8(block) == 0;
}

/* All of it at UTF8_SPEC or UTF8_TEXT. */
static bool check_blocks(const uint8_t *at, size_t left, enum utf8_level level)
{
    __m128i before = _mm_setzero_si128(), faults = _mm_setzero_si128();
    uint8_t last[16];
    for (;; at += 16, left -= 16) {
        bool whole = left >= 16;
        if (!whole) { /* blanks after the end: a character that is cut is one that is too short */
            memset(last, ' ', sizeof(last));
            if (left != 0)
                memcpy(last, at, left);
        }
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(whole ? at : last));
        if (!is_ascii(block) || !is_ascii(before))
            faults = _mm_or_si128(faults, block_faults(block, before));
        if (level == UTF8_SPEC)
            faults = _mm_or_si128(faults, _mm_cmpeq_epi8(block, _mm_setzero_si128()));
        before = block;
        if (!whole)
            return _mm_movemask_epi8(_mm_cmpeq_epi8(faults, _mm_setzero_si128())) == 0xFFFF;
    }
}
#endif

bool utf8_check(struct bytes text, enum utf8_level level)
{
    const uint8_t *at = text.at;
    size_t left = text.len;
    while (left != 0) {
        if (left >= BLOCK_BYTES && block_plain(at, level)) {
            at += BLOCK_BYTES;
            left -= BLOCK_BYTES;
            continue;
        }
#ifdef __SSSE3__
        if (left >= SIMD_BYTES_MIN && level != UTF8_STRICT)
            return check_blocks(at, left, level);
#endif
        /* One character at a time up to the end of this block: then blocks are worth a try again. */
        size_t stop = left > BLOCK_BYTES ? left - BLOCK_BYTES : 0;
        while (left > stop) {
            size_t n = *at < 0x80 ? (size_t)ascii_allowed(*at, level) : character_bytes(at, left, level);
            if (n == 0)
                return false;
            at += n;
            left -= n;
        }
    }
    return true;
}

size_t utf8_character(struct bytes text)
{
    if (text.len == 0)
        return 0;
    return text.at[0] < 0x80 ? 1 : character_bytes(text.at, text.len, UTF8_TEXT);
}
