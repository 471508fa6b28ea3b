/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sentence about what is wrong with settings or files of TLS and DTLS, for whoever wrote them. Any thread.
 */
#ifndef DATAPLANE_SECURE_TLS_ERROR_H
#define DATAPLANE_SECURE_TLS_ERROR_H

#include <stdbool.h>

struct tls_error {
    char text[256]; /* "cannot read tls/ca.pem: No such file or directory" */
};

/* Writes it, cut to its room. Always false, so that a function can fail in one statement. */
bool tls_error_set(struct tls_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
