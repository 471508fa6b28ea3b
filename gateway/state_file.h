/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of the gateway's own in the state directory: in folders of mode 0700, themselves 0600. A file appears
 * whole or not at all: it is written aside, brought to the disk (fsync), then renamed, and the folder is
 * brought to the disk too. One writer a folder. Answers are 0 (or a descriptor) or -errno. Blocks on the
 * disk; never on a worker.
 */
#ifndef GATEWAY_STATE_FILE_H
#define GATEWAY_STATE_FILE_H

#include "policy/bytes.h"

/* STATE/NAME, open; both are made when `make`. The caller closes it. */
int state_folder(const char *state, const char *name, bool make);
/* What a regular file of the folder begins with, `most` bytes or all, with a NUL behind it; the caller frees
 * it. */
int state_file_read(int folder, const char *name, size_t most, char **out, size_t *len);
/* The file is head and body, or stays as it was. */
int state_file_put(int folder, const char *name, struct bytes head, struct bytes body);

#endif
