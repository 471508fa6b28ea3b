/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/command_text.h"

#include "policy/utf8.h"

#include <time.h>

void command_put_duration(FILE *out, uint64_t seconds)
{
    unsigned long long s = seconds;
    if (s >= 86400)
        fprintf(out, "%llud %lluh", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        fprintf(out, "%lluh %llum", s / 3600, s / 60 % 60);
    else
        fprintf(out, "%llum %llus", s / 60, s % 60);
}

const char *command_time(uint64_t time_us, char to[COMMAND_TIME_BYTES])
{
    struct tm tm;
    time_t seconds = (time_t)(time_us / 1000000);
    if (gmtime_r(&seconds, &tm) == NULL || strftime(to, COMMAND_TIME_BYTES, "%Y-%m-%d %H:%M:%SZ", &tm) == 0)
        snprintf(to, COMMAND_TIME_BYTES, "-");
    return to;
}

void command_put_safe(FILE *out, struct bytes text)
{
    while (text.len != 0) {
        size_t n = utf8_character(text);
        bool safe = n != 0 && text.at[0] >= 0x20 && text.at[0] != 0x7F &&
                    !(text.at[0] == 0xC2 && text.at[1] < 0xA0); /* C1 controls */
        if (safe)
            fwrite(text.at, 1, n, out);
        for (size_t i = 0; !safe && i < (n == 0 ? 1 : n); i++)
            fprintf(out, "\\x%02x", text.at[i]);
        n = n == 0 ? 1 : n;
        text = bytes_of(text.at + n, text.len - n);
    }
}
