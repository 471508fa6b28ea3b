/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/learn/shape.h"

#include "policy/access/topic.h"

/* Which variables have this value. */
static uint16_t variables_of(struct bytes level, const struct bytes *values, uint32_t n)
{
    uint16_t bits = 0;
    for (uint32_t i = 0; i < n && i < SHAPE_VARIABLES_MAX; i++)
        if (values[i].len == level.len && level.len != 0 && values[i].at[0] == level.at[0] &&
            memcmp(values[i].at, level.at, level.len) == 0)
            bits = (uint16_t)(bits | 1u << i);
    return bits;
}

bool shape_make(struct shape *shape, uint8_t action, struct bytes topic, const struct bytes *values,
                uint32_t values_n)
{
    struct cursor rest = cursor_of(topic);
    struct bytes level;
    bool at_end = false;
    uint32_t levels = 0;
    size_t used = 0;
    shape->len = 0;
    shape->at[used++] = action;
    while (topic_next_level(&rest, &at_end, &level)) {
        uint16_t bits = variables_of(level, values, values_n);
        size_t want = bits != 0 ? 3 : 2 + level.len;
        if (++levels > SHAPE_LEVELS_MAX || want > SHAPE_BYTES_MAX - used)
            return false;
        if (bits != 0) {
            shape->at[used++] = SHAPE_VARIABLE;
            shape->at[used++] = (uint8_t)(bits >> 8);
            shape->at[used++] = (uint8_t)bits;
            continue;
        }
        shape->at[used++] = SHAPE_TEXT;
        shape->at[used++] = (uint8_t)level.len;
        if (level.len != 0)
            memcpy(shape->at + used, level.at, level.len);
        used += level.len;
    }
    shape->len = (uint8_t)used;
    return true;
}

uint8_t shape_action(const struct shape *shape)
{
    return shape->at[0];
}

struct shape_level shape_next(const struct shape *shape, uint32_t *position)
{
    struct shape_level level = {.kind = SHAPE_END};
    uint32_t at = *position == 0 ? 1 : *position;
    if (shape->len > SHAPE_BYTES_MAX || at >= shape->len || shape->len - at < 2)
        return level;
    const uint8_t *p = shape->at + at;
    if (p[0] == SHAPE_VARIABLE && shape->len - at >= 3) {
        level.kind = SHAPE_VARIABLE;
        level.variables = (uint16_t)(p[1] << 8 | p[2]);
        *position = at + 3;
    } else if (p[0] == SHAPE_TEXT && p[1] <= shape->len - at - 2) {
        level.kind = SHAPE_TEXT;
        level.text = bytes_of(p + 2, p[1]);
        *position = at + 2 + p[1];
    }
    return level;
}
