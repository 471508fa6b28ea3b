/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the authorities of a file of PEM certificates last (G1): when one ends, all it has signed stops to
 * verify at once, so that it is worth a warning long before. Whether they are good for anything else is told
 * when a context is made of them. Reads the file; control thread.
 */
#ifndef DATAPLANE_SECURE_TLS_AUTHORITIES_H
#define DATAPLANE_SECURE_TLS_AUTHORITIES_H

#include <stdbool.h>
#include <stdint.h>

#define TLS_AUTHORITIES_BYTES_MAX                                                                            \
    (1u << 20) /* of a file that is looked through; beyond that only its beginning */

/* Of the certificate that ends first: which one of the file it is, from 1, and the whole days it has left,
 * negative when it has ended. False when the file holds none that can be read. */
bool tls_authorities_end(const char *file, uint32_t *which, int *days_left);

#endif
