/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passwords that the gateway gives to an upstream for its devices (C5): a file with a line
 * `identity:password` for each, and `*:password` for whoever has none of its own. Empty lines and lines that
 * begin with '#' are passed over; the identity ends at the first ':', everything behind it is the password.
 *
 * Read by the control thread when a generation is made; workers only look up. The text lies in pages of its
 * own that are kept out of core dumps and of swap where the system allows it, and is wiped before they are
 * given back. Nothing of it is ever told.
 */
#ifndef GATEWAY_SECRET_FILE_H
#define GATEWAY_SECRET_FILE_H

#include "config/diagnostics.h"
#include "policy/bytes.h"

#define SECRET_FILE_BYTES_MAX (UINT32_C(64) << 20)

struct secret_file;

/* NULL when it cannot be read or a line is malformed or there twice, which is told in `d`. */
struct secret_file *secret_file_load(const char *path, struct diagnostics *d);
void secret_file_destroy(struct secret_file *file);
/* The password of an identity, or that of '*'; at == NULL when there is neither. Borrowed from the file. */
struct bytes secret_file_find(const struct secret_file *file, struct bytes identity);

#endif
