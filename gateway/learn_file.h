/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was learned of a role, as a file of the state directory: STATE/learned/NN.evidence, NN being its
 * place.
 *
 * A line that says what it is and in which version, the SHA-256 of the rest as a line, then the role, since
 * when, under which policy, the key of its hashes, and the evidence of each worker (evidence_store.h). It
 * tells what devices do and is of mode 0600. At most LEARN_FILE_MAX bytes; a file that is longer, cut,
 * changed, of another version or of somebody else is told apart and not taken. Blocks on the disk; no
 * worker's.
 */
#ifndef GATEWAY_LEARN_FILE_H
#define GATEWAY_LEARN_FILE_H

#include "dataplane/siphash.h"
#include "gateway/event.h"
#include "policy/learn/evidence_store.h"

#include <errno.h>

#define LEARN_FILE_EVIDENCE 16 /* of workers */
#define LEARN_FILE_MAX (1024U + LEARN_FILE_EVIDENCE * (4U + EVIDENCE_STORE_MAX))

struct learn_file {
    char role[EVENT_NAME_MAX], by[EVENT_NAME_MAX];
    bool active;
    uint64_t started_us, stopped_us; /* CLOCK_REALTIME; stopped_us 0: never */
    uint64_t until_us;               /* likewise; 0: until it is stopped */
    uint64_t kept_us;                /* when it was written */
    uint32_t revision;               /* of the policy under which it was begun, */
    char fingerprint[9];             /* and which that is */
    struct siphash_key key;
    uint32_t evidence_n;
};

/* 0 or -errno. Forgets a file that was there before. */
int learn_file_write(const char *state, uint32_t place, const struct learn_file *head,
                     const struct evidence *const *evidence);

/* A file that is being read. */
struct learn_reading {
    struct learn_file head;
    char *text; /* owned */
    struct cursor rest;
};

/* What is in a file: as learn_file_open, of which it is a part; `text` is borrowed. */
int learn_file_parse(struct bytes text, struct learn_reading *reading);
/* 0; -ENOENT: there is none; -EBADMSG: damaged; -EPROTO: not such a file; -EPROTONOSUPPORT: of another
 * version; -EFBIG: longer than any of ours; or another -errno. With 0 learn_file_close comes at the end. */
int learn_file_open(const char *state, uint32_t place, struct learn_reading *reading);
/* The next of head.evidence_n, into evidence that is fresh; false when it lies. */
bool learn_file_next(struct learn_reading *reading, struct evidence *fresh);
void learn_file_close(struct learn_reading *reading);
/* 0 or -errno; one that is not there is no failure. */
int learn_file_remove(const char *state, uint32_t place);
/* In words, of what learn_file_open answers. */
const char *learn_file_problem(int result);

#endif
