/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients that an operator has shut out by command (C6): by the name of their identity or client id, with the
 * reason, who did it and when.
 *
 * A list is never changed: a command makes another one, publishes it to the workers as a reload publishes a
 * generation, and frees the old one when no worker can hold it. It is kept in a file of the state directory,
 * put in place by rename, so that it survives reload and restart; a file that cannot be read whole keeps the
 * gateway from starting, since nobody who was shut out may come in by a disk error. At most QUARANTINE_MAX
 * names. Making and writing: control thread; finding: any thread.
 */
#ifndef GATEWAY_QUARANTINE_H
#define GATEWAY_QUARANTINE_H

#include "policy/bytes.h"

#define QUARANTINE_MAX 65536U
#define QUARANTINE_TEXT_MAX 255 /* bytes of a name, a reason, a user */

struct quarantine_entry {
    const char *name;
    const char *reason;
    const char *by;
    uint64_t since_s; /* of CLOCK_REALTIME */
};

struct quarantine;

/* An empty list. NULL without memory, here and below. */
struct quarantine *quarantine_create(void);
/* The list with this entry instead of one of the same name; errno is E2BIG when it is full, EINVAL when a
 * text is too long or the name empty. */
struct quarantine *quarantine_with(const struct quarantine *old, const struct quarantine_entry *entry);
/* The list without this name; errno is ENOENT when it is not there. */
struct quarantine *quarantine_without(const struct quarantine *old, const char *name);
void quarantine_destroy(struct quarantine *quarantine);

/* Whether a client of this name is shut out: its entry, or NULL. `quarantine` may be NULL. */
const struct quarantine_entry *quarantine_find(const struct quarantine *quarantine, struct bytes name);
uint32_t quarantine_count(const struct quarantine *quarantine);
const struct quarantine_entry *quarantine_at(const struct quarantine *quarantine, uint32_t index);
/* Which list it is: every one that was made in this process has another number. 0 for NULL. */
uint64_t quarantine_number(const struct quarantine *quarantine);

/* What the file of a state directory says; an empty list when there is none. NULL with a sentence in `why`.
 */
struct quarantine *quarantine_read(const char *state, char *why, size_t why_bytes);
/* Puts the list in the place of the file, making the directory when it is not there. 0 or -errno. */
int quarantine_write(const struct quarantine *quarantine, const char *state);

#endif
