/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ChaCha20-Poly1305 (RFC 8439 section 2.8) by a multi-buffer manager of libipsec-mb, one record at a time.
 *
 * By its jobs, which for one record take half of what its direct calls take. A job is finished when it is
 * handed in; the manager's ring keeps pointers of the last ones, no key and no text. A manager serves one
 * thread at a time; its owner sees to that. Lengths of text from 1 on; `out` may be `in`, otherwise the two
 * do not overlap. Nothing is read or written outside of what is named, by a manager set up for AVX2 or
 * AVX-512. One set up for SSE (version 1.3) reads up to 14 bytes past the end of a text, so there is none.
 */
#ifndef DATAPLANE_SECURE_CHACHA_OFFLOAD_H
#define DATAPLANE_SECURE_CHACHA_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHACHA_KEY_BYTES 32
#define CHACHA_NONCE_BYTES 12
#define CHACHA_TAG_BYTES 16

struct IMB_MGR;

struct chacha_record {
    const uint8_t *key;   /* CHACHA_KEY_BYTES */
    const uint8_t *nonce; /* CHACHA_NONCE_BYTES */
    const uint8_t *aad;   /* not NULL */
    size_t aad_bytes;
    const uint8_t *in;
    uint8_t *out;
    size_t bytes;
};

/* False: it was not done, and `out` is void. Does not come about with a manager that was set up. */
bool chacha_offload_seal(struct IMB_MGR *manager, const struct chacha_record *record,
                         uint8_t tag[CHACHA_TAG_BYTES]);
/* False: the tag is not that of the record, and `out` is wiped. */
bool chacha_offload_open(struct IMB_MGR *manager, const struct chacha_record *record,
                         const uint8_t tag[CHACHA_TAG_BYTES]);

#endif
