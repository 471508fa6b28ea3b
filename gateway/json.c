/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/json.h"

#include "policy/utf8.h"

#include <stdio.h>

void json_init(struct json *j, char *buffer, size_t room)
{
    *j = (struct json){.at = buffer, .room = room, .full = room == 0};
    if (room > 0)
        buffer[0] = '\0';
}

static void put(struct json *j, const char *text, size_t n)
{
    if (j->full || j->room - j->used <= n) {
        j->full = true;
        return;
    }
    memcpy(j->at + j->used, text, n);
    j->used += n;
    j->at[j->used] = '\0';
}

static void put_string(struct json *j, struct bytes value)
{
    put(j, "\"", 1);
    while (value.len > 0 && !j->full) {
        size_t n = utf8_character(value);
        uint8_t c = value.at[0];
        char escape[8];
        if (n == 0 || c < 0x20 || c == 0x7f) {
            put(j, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
            n = 1;
        } else {
            if (c == '"' || c == '\\')
                put(j, "\\", 1);
            put(j, (const char *)value.at, n);
        }
        value = bytes_of(value.at + n, value.len - n);
    }
    put(j, "\"", 1);
}

static void put_key(struct json *j, const char *key)
{
    if (j->comma)
        put(j, ",", 1);
    j->comma = true;
    if (key == NULL)
        return;
    put_string(j, bytes_of_text(key));
    put(j, ":", 1);
}

void json_open(struct json *j, const char *key, char bracket)
{
    put_key(j, key);
    put(j, &bracket, 1);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    put(j, &bracket, 1);
    j->comma = true;
}

void json_bytes(struct json *j, const char *key, struct bytes value)
{
    put_key(j, key);
    put_string(j, value);
}

void json_text(struct json *j, const char *key, const char *value)
{
    json_bytes(j, key, bytes_of_text(value));
}

void json_number(struct json *j, const char *key, uint64_t value)
{
    char text[24];
    put_key(j, key);
    put(j, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)value));
}

void json_boolean(struct json *j, const char *key, bool value)
{
    put_key(j, key);
    if (value)
        put(j, "true", 4);
    else
        put(j, "false", 5);
}
