/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/tcp_script_segment.h"

#include <stdlib.h>
#include <string.h>

static uint8_t flags_of(const char *word)
{
    uint8_t flags = 0;
    for (; *word != 0; word++) {
        static const char letters[] = "FSRP.UEC";
        const char *at = strchr(letters, *word);
        if (at != NULL)
            flags |= (uint8_t)(1u << (at - letters));
    }
    return flags;
}

static void parse_options(char *text, struct tcp_script_segment *t)
{
    char *save = NULL;
    for (char *o = strtok_r(text, ",", &save); o != NULL; o = strtok_r(NULL, ",", &save)) {
        char *at = o;
        if (strncmp(o, "mss ", 4) == 0) {
            t->has_mss = true;
            t->mss = (uint32_t)strtoul(o + 4, NULL, 10);
        } else if (strcmp(o, "sackOK") == 0) {
            t->has_sack_ok = true;
        } else if (strcmp(o, "nosack") == 0) {
            t->no_sack = true;
        } else if (strcmp(o, "none") == 0) {
            t->no_options = true;
        } else if (strncmp(o, "wscale ", 7) == 0) {
            t->has_scale = true;
            t->scale = (uint32_t)strtoul(o + 7, NULL, 10);
        } else if (strncmp(o, "ts ", 3) == 0) {
            t->has_ts = true;
            t->any_ts = o[3] == '*';
            t->ts_value = t->any_ts ? 0 : (uint32_t)strtol(o + 3, &at, 10);
            t->ts_echo = (uint32_t)strtol(t->any_ts ? o + 4 : at, NULL, 10);
        } else if (strncmp(o, "sack ", 5) == 0) {
            for (at = o + 5; *at != 0 && t->sack_n < TCP_SACK_BLOCKS; at += *at == ' ') {
                t->sack[t->sack_n].start = (uint32_t)strtol(at, &at, 10);
                t->sack[t->sack_n++].end = (uint32_t)strtol(at + 1, &at, 10);
            }
        }
    }
}

bool tcp_script_segment_parse(char *text, struct tcp_script_segment *t)
{
    char *open = strchr(text, '<'), *save = NULL;

    memset(t, 0, sizeof(*t));
    if (open != NULL) {
        char *close = strchr(open, '>');
        if (close == NULL)
            return false;
        if (strstr(close, "bad") != NULL)
            t->bad = true;
        *open = 0;
        *close = 0;
        parse_options(open + 1, t);
    }
    char *word = strtok_r(text, " ", &save);
    if (word == NULL)
        return false;
    t->flags = flags_of(word);
    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        if (strcmp(word, "ack") == 0) {
            t->has_ack = true;
            t->ack = (uint32_t)strtol(strtok_r(NULL, " ", &save), NULL, 10);
        } else if (strcmp(word, "win") == 0) {
            t->has_window = true;
            t->window = (uint32_t)strtoul(strtok_r(NULL, " ", &save), NULL, 10);
        } else if (strcmp(word, "bad") == 0) {
            t->bad = true;
        } else {
            char *colon = NULL;
            t->has_range = true;
            t->from = (uint32_t)strtol(word, &colon, 10);
            t->to = *colon == ':' ? (uint32_t)strtol(colon + 1, NULL, 10) : t->from;
        }
    }
    return true;
}
