/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes JSON into a fixed buffer: the daemon only ever writes it. Strings come from attackers: quotes,
 * backslashes and control characters are escaped, bytes that are not valid UTF-8 become "\u00XX" one by one,
 * so that every line is valid JSON and valid UTF-8. When the buffer is full the writer is `full` and the text
 * must not be used.
 */
#ifndef GATEWAY_JSON_H
#define GATEWAY_JSON_H

#include "policy/bytes.h"

struct json {
    char *at;
    size_t room;
    size_t used;
    bool comma; /* the next value needs one before it */
    bool full;
};

void json_init(struct json *j, char *buffer, size_t room);
void json_open(struct json *j, const char *key,
               char bracket);                  /* '{' or '['; key NULL inside lists and at the top */
void json_close(struct json *j, char bracket); /* '}' or ']' */
void json_text(struct json *j, const char *key, const char *value);
void json_bytes(struct json *j, const char *key, struct bytes value);
void json_number(struct json *j, const char *key, uint64_t value);
void json_boolean(struct json *j, const char *key, bool value);

#endif
