/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/topic_name.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool byte_plain(uint8_t byte)
{
    return byte >= 0x20 && byte <= 0x7E && byte != '+' && byte != '#';
}

#ifdef __SSE2__
static inline __m128i block_plain(const uint8_t *at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i wrong = _mm_or_si128(
        _mm_cmpeq_epi8(block, _mm_set1_epi8('+')),
        _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('#')), _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7F))));
    return _mm_andnot_si128(wrong, _mm_cmpgt_epi8(block, _mm_set1_epi8(0x1F)));
}

/* True when every byte is printable ASCII and no wildcard: the common name, valid at every level. */
static bool name_plain(struct bytes name)
{
    size_t i = 0;
    if (name.len >= 16) {
        /* The last block overlaps the one before it, so that no byte is left over. */
        __m128i good = block_plain(name.at + name.len - 16);
        for (; i + 16 <= name.len; i += 16)
            good = _mm_and_si128(good, block_plain(name.at + i));
        return _mm_movemask_epi8(good) == 0xFFFF;
    }
    for (; i < name.len; i++)
        if (!byte_plain(name.at[i]))
            return false;
    return true;
}
#else
static bool name_plain(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!byte_plain(name.at[i]))
            return false;
    return true;
}
#endif

static bool has_byte(struct bytes text, int byte)
{
    return text.len != 0 && memchr(text.at, byte, text.len) != NULL;
}

enum outcome mqtt_topic_name_check(struct bytes name, enum utf8_level level)
{
    if (name.len == 0)
        return OUTCOME_BAD_TOPIC;
    if (name_plain(name))
        return OUTCOME_ALLOWED;
    if (!utf8_check(name, level))
        return OUTCOME_MALFORMED_STRING;
    return has_byte(name, '+') || has_byte(name, '#') ? OUTCOME_BAD_TOPIC : OUTCOME_ALLOWED;
}

static bool starts_with_share(struct bytes text)
{
    static const char share[] = "$share/";
    return text.len >= sizeof(share) - 1 && memcmp(text.at, share, sizeof(share) - 1) == 0;
}

/* Cuts "$share/group/" off; false when the group is not one. */
static bool cut_share(struct bytes *filter)
{
    size_t start = sizeof("$share/") - 1, i = start;
    while (i < filter->len && filter->at[i] != '/') {
        if (filter->at[i] == '+' || filter->at[i] == '#')
            return false;
        i++;
    }
    if (i == start || i == filter->len)
        return false;
    *filter = bytes_of(filter->at + i + 1, filter->len - i - 1);
    return !starts_with_share(*filter);
}

static bool wildcards_well_placed(struct bytes filter)
{
    for (size_t i = 0; i < filter.len; i++) {
        if (filter.at[i] != '+' && filter.at[i] != '#')
            continue;
        bool last = i + 1 == filter.len;
        if (i != 0 && filter.at[i - 1] != '/')
            return false;
        if (!last && (filter.at[i] == '#' || filter.at[i + 1] != '/'))
            return false;
    }
    return true;
}

enum outcome mqtt_topic_filter_check(struct bytes filter, enum utf8_level level, bool *shared)
{
    if (!name_plain(filter) && !utf8_check(filter, level))
        return OUTCOME_MALFORMED_STRING;
    *shared = starts_with_share(filter);
    if (*shared && !cut_share(&filter))
        return OUTCOME_BAD_FILTER;
    if (filter.len == 0 || !wildcards_well_placed(filter))
        return OUTCOME_BAD_FILTER;
    return OUTCOME_ALLOWED;
}
