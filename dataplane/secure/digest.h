/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 as text, by wolfCrypt: to tell operators that two things are the same. Any thread. */
#ifndef DATAPLANE_SECURE_DIGEST_H
#define DATAPLANE_SECURE_DIGEST_H

#include <stddef.h>

#define DIGEST_HEX 65

/* 64 hex digits and a NUL; empty when the library fails. */
void digest_sha256(const void *bytes, size_t n, char hex[DIGEST_HEX]);

#endif
