/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last policies that were in force, each as one file that loads by itself: STATE/policies/NNNNNNNN.conf,
 * the effective configuration (config/print.h) behind a line that tells when, by whom, and its digests.
 *
 * A file appears whole or not at all: it is written aside, brought to the disk (fsync), then renamed, and the
 * directory is brought to the disk too. STATE/policies/in-force, when it is there, names the one that is in
 * force instead of the operator's files: a start loads it (policy restored, or not confirmed).
 *
 * Control thread. Answers are 0 or -errno.
 */
#ifndef GATEWAY_HISTORY_H
#define GATEWAY_HISTORY_H

#include "config/print.h"

#include <limits.h>

#define HISTORY_MAX 10
#define HISTORY_USER_MAX 64

struct history_entry {
    uint32_t number;
    uint64_t time_us; /* CLOCK_REALTIME */
    uint32_t roles, rules, devices, tests;
    char fingerprint[9];
    char sha256[65];
    char user[HISTORY_USER_MAX];
};

/* Newest first; how many. 0 too when there is no such directory. Files that do not tell what they are are
 * passed over. */
uint32_t history_list(const char *state, struct history_entry entries[HISTORY_MAX]);
/* Adds an entry, making directories as needed, and removes the oldest ones above HISTORY_MAX but `spare`. */
int history_keep(const char *state, const struct history_entry *entry, const struct config_text *text,
                 uint32_t spare);
/* Takes an entry out. */
void history_remove(const char *state, uint32_t number);
/* The text of an entry without its first line; the caller frees it (config_text_fini). */
int history_read(const char *state, uint32_t number, struct config_text *text);
/* The path of an entry, whether or not it is there; false when it does not fit. */
bool history_path(const char *state, uint32_t number, char path[PATH_MAX]);

/* The entry that a start is to load instead of the files; 0: none. -EBADMSG when the note cannot be read. */
int history_in_force(const char *state, uint32_t *number);
/* Notes it, or, with 0, removes the note. */
int history_set_in_force(const char *state, uint32_t number);

#endif
