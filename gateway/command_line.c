/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/command_line.h"

#include <string.h>

#define ESCAPE_LENGTH 4 /* \xHH */

static const char digits[] = "0123456789abcdef";

static bool is_plain(unsigned char c)
{
    return c > 0x20 && c != 0x7f && c != '\\';
}

bool command_line_add(char *line, size_t room, size_t *used, const char *word)
{
    size_t at = *used;
    if (*word == '\0')
        return false;
    if (at > 0 && at < room)
        line[at++] = ' ';
    for (; *word != '\0'; word++) {
        unsigned char c = (unsigned char)*word;
        if (at >= room || room - at <= ESCAPE_LENGTH) {
            line[*used] = '\0';
            return false;
        }
        if (is_plain(c)) {
            line[at++] = (char)c;
            continue;
        }
        line[at++] = '\\';
        line[at++] = 'x';
        line[at++] = digits[c >> 4];
        line[at++] = digits[c & 15];
    }
    line[at] = '\0';
    *used = at;
    return true;
}

static int digit_value(char c)
{
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* The character that an escape stands for; -1 when it is none. The cut at the end of a word is seen as NUL.
 */
static int escaped(const char *from)
{
    if (from[0] != '\\' || from[1] != 'x' || digit_value(from[2]) < 0 || digit_value(from[3]) < 0)
        return -1;
    int value = digit_value(from[2]) << 4 | digit_value(from[3]);
    return value == 0 ? -1 : value;
}

static void put_back(char *word)
{
    char *to = word;
    for (const char *from = word; *from != '\0';) {
        int value = escaped(from);
        *to++ = value < 0 ? *from : (char)value;
        from += value < 0 ? 1 : ESCAPE_LENGTH;
    }
    *to = '\0';
}

uint32_t command_line_split(char *line, const char **words, uint32_t room)
{
    uint32_t n = 0;
    char *rest = line, *word;
    while ((word = strsep(&rest, " \t\r")) != NULL) {
        if (*word == '\0')
            continue;
        put_back(word);
        if (n < room)
            words[n] = word;
        n++;
    }
    return n;
}
