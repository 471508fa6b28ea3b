/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line that goes over the control socket: words parted by blanks. Client identifiers and topics may hold
 * any character, so of a word each blank, control character and backslash is written \xHH; all else stands as
 * it is, so that a line can also be written by hand. Nothing is allocated.
 */
#ifndef GATEWAY_COMMAND_LINE_H
#define GATEWAY_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds a word behind the `*used` bytes of a line, which stays NUL-terminated. False, and nothing is added,
 * when the word is empty or there is no room. */
bool command_line_add(char *line, size_t room, size_t *used, const char *word);

/* Parts the line in place and puts what was written as \xHH back (all but \x00, which no word can hold). How
 * many words there are, also when that is more than the `room` of them that were stored. */
uint32_t command_line_split(char *line, const char **words, uint32_t room);

#endif
