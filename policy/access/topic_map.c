/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/topic_map.h"

#include "policy/access/template.h"
#include "policy/access/topic.h"

struct captures {
    uint32_t n;
    struct bytes name[TOPIC_MAP_CAPTURES_MAX];
    struct bytes value[TOPIC_MAP_CAPTURES_MAX];
};

/* "{name}" and nothing else. */
static bool capture_name(struct bytes segment, struct bytes *name)
{
    if (segment.len < 3 || segment.at[0] != '{' || segment.at[segment.len - 1] != '}')
        return false;
    *name = bytes_of(segment.at + 1, segment.len - 2);
    return true;
}

static bool holds(struct bytes text, uint8_t byte)
{
    return text.len != 0 && memchr(text.at, byte, text.len) != NULL;
}

static struct bytes value_of(const struct captures *captures, struct bytes name)
{
    for (uint32_t i = 0; i < captures->n; i++)
        if (bytes_equal(captures->name[i], name))
            return captures->value[i];
    return bytes_of(NULL, 0);
}

/* ---- what a map must be ----------------------------------------------------------------------------------
 */

static bool name_good(struct bytes name)
{
    if (name.len > TEMPLATE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-' || c == '.';
        if (!good)
            return false;
    }
    return true;
}

static const char *check_path(struct bytes path)
{
    struct cursor rest = cursor_of(path);
    struct captures seen = {.n = 0};
    struct bytes segment, name;
    bool end = false;
    while (topic_next_level(&rest, &end, &segment)) {
        if (!capture_name(segment, &name)) {
            if (holds(segment, '{') || holds(segment, '}'))
                return "a segment of the path is literal or all of it is '{name}'";
            continue;
        }
        if (!name_good(name))
            return "a capture of the path is named by letters, digits, '_', '-' and '.'";
        if (value_of(&seen, name).at != NULL)
            return "the path captures one name twice";
        if (seen.n == TOPIC_MAP_CAPTURES_MAX)
            return "the path has more than 8 captures";
        seen.name[seen.n] = name;
        seen.value[seen.n++] = name;
    }
    return NULL;
}

static const char *check_topic(struct bytes topic)
{
    struct cursor rest = cursor_of(topic);
    struct bytes piece;
    enum template_piece kind;
    if (topic.len == 0 || topic.len > TOPIC_MAP_BYTES_MAX)
        return "the topic is empty or longer than 1024 bytes";
    if (holds(topic, '+') || holds(topic, '#') || topic.at[0] == '/')
        return "the topic is one to publish to, without '+', '#' or a leading '/'";
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT)
        for (size_t i = 0; i < piece.len; i++)
            if (piece.at[i] < 0x20 || piece.at[i] == 0x7F)
                return "the topic has a control character";
    return kind == TEMPLATE_END ? NULL : "the topic has a '${' without a name and '}'";
}

const char *topic_map_check(const struct topic_map *map)
{
    if (map->path == NULL || map->topic == NULL)
        return "a map needs a path and a topic";
    const char *wrong = check_path(bytes_of_text(map->path));
    return wrong != NULL ? wrong : check_topic(bytes_of_text(map->topic));
}

bool topic_map_captures(const struct topic_map *map, struct bytes name)
{
    struct cursor rest = cursor_of(bytes_of_text(map->path));
    struct bytes segment, captured;
    bool end = false;
    while (topic_next_level(&rest, &end, &segment))
        if (capture_name(segment, &captured) && bytes_equal(captured, name))
            return true;
    return false;
}

/* ---- applying --------------------------------------------------------------------------------------------
 */

static bool path_fits(const struct topic_map *map, struct bytes path, struct captures *captures)
{
    struct cursor wanted = cursor_of(bytes_of_text(map->path)), given = cursor_of(path);
    struct bytes segment, value, name;
    bool wanted_end = false, given_end = false;
    captures->n = 0;
    for (;;) {
        bool more = topic_next_level(&wanted, &wanted_end, &segment);
        if (topic_next_level(&given, &given_end, &value) != more)
            return false;
        if (!more)
            return true;
        if (!capture_name(segment, &name)) {
            if (!bytes_equal(segment, value))
                return false;
            continue;
        }
        if (!template_value_safe(value) || captures->n == TOPIC_MAP_CAPTURES_MAX)
            return false;
        captures->name[captures->n] = name;
        captures->value[captures->n++] = value;
    }
}

static size_t expand(const struct topic_map *map, const struct acl *acl, const struct acl_values *values,
                     const struct captures *captures, uint8_t *to)
{
    struct cursor rest = cursor_of(bytes_of_text(map->topic));
    struct bytes piece;
    enum template_piece kind;
    size_t len = 0;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        if (kind == TEMPLATE_VARIABLE) {
            struct bytes value = value_of(captures, piece);
            piece = value.at != NULL ? value : acl_value(acl, values, piece);
            if (!template_value_safe(piece))
                return 0;
        }
        if (piece.len > TOPIC_MAP_BYTES_MAX - len)
            return 0;
        memcpy(to + len, piece.at, piece.len);
        len += piece.len;
    }
    return kind == TEMPLATE_END ? len : 0;
}

size_t topic_map_apply(const struct topic_map *maps, uint32_t n, const struct acl *acl,
                       const struct acl_values *values, struct bytes path, uint8_t *to,
                       const struct topic_map **which)
{
    struct captures captures;
    for (uint32_t i = 0; i < n; i++) {
        if (!path_fits(&maps[i], path, &captures))
            continue;
        *which = &maps[i];
        return expand(&maps[i], acl, values, &captures, to);
    }
    return 0;
}
