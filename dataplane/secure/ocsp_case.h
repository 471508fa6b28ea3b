/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of one certificate's status, shared by all who met it (B4).
 *
 * A case is made by the handshake thread that verified the chain, or found again in the registry when the
 * same certificate was met before under the same policy; a tls_peer holds a reference. Its verdict is one
 * word that the asker (ocsp_asker.h) writes and anybody reads without a lock. The registry keeps cases that
 * nobody holds, least recently met out first, up to its capacity; one that is held is not thrown out, so
 * there are at most as many as sessions and tickets, and that many more.
 */
#ifndef DATAPLANE_SECURE_OCSP_CASE_H
#define DATAPLANE_SECURE_OCSP_CASE_H

#include "dataplane/secure/certificate.h"
#include "dataplane/secure/ocsp_message.h"

#include <stdatomic.h>
#include <sys/queue.h>

#define OCSP_URI_MAX 255

enum ocsp_mode {
    OCSP_OFF = 0,
    OCSP_SOFT, /* no answer that counts: the peer passes, which is told */
    OCSP_HARD  /* no answer that counts: the peer is refused */
};

/* One context's policy. Strings are borrowed. */
struct ocsp_policy {
    enum ocsp_mode mode;
    bool leaf_only;        /* nobody is asked about the CAs between the peer's certificate and ours */
    const char *responder; /* http://HOST[:PORT][/PATH]; NULL: the one that the certificate names */
    uint32_t cache_s;      /* an answer is kept no longer than this; 0: an hour */
    uint32_t timeout_ms;   /* of one question; 0: 3000 */
};

struct ocsp_case {
    TAILQ_ENTRY(ocsp_case) by_age;  /* in the registry */
    LIST_ENTRY(ocsp_case) by_key;   /* likewise */
    TAILQ_ENTRY(ocsp_case) waiting; /* the asker's, as is: */
    struct ocsp_case *next_asked;
    atomic_uint refs;
    bool configured; /* the responder was named by us, not by the certificate */
    uint32_t cache_s;
    uint32_t timeout_ms;
    _Atomic uint64_t verdict;  /* until (UNIX seconds) << 3 | enum ocsp_status: the asker's to write */
    _Atomic int64_t due_s;     /* when it is to be asked again */
    _Atomic(const char *) why; /* static; of OCSP_FAILED */
    atomic_bool asked;         /* it is with the asker */
    uint8_t key[CERTIFICATE_DIGEST_BYTES];
    struct ocsp_subject subject; /* in `text` */
    const char *uri;             /* likewise; empty: nobody says where to ask */
    uint8_t text[];
};

struct ocsp_registry;

/* NULL without memory. */
struct ocsp_registry *ocsp_registry_create(uint32_t capacity);
/* NULL is ignored. Cases live on with whoever holds them. */
void ocsp_registry_destroy(struct ocsp_registry *registry);
/*
 * The case of a certificate whose issuer has been verified: a reference. `registry` NULL: one of its own.
 * NULL without memory. Takes a lock: handshake threads.
 */
struct ocsp_case *ocsp_case_of(struct ocsp_registry *registry, const struct certificate *leaf,
                               const struct certificate *issuer, const struct ocsp_policy *policy);
struct ocsp_case *ocsp_case_ref(struct ocsp_case *c);
/* NULL is ignored. */
void ocsp_case_unref(struct ocsp_case *c);

/* What is known now. OCSP_NONE: nothing, or no more. Any thread. */
static inline enum ocsp_status ocsp_case_status(const struct ocsp_case *c, int64_t now_s)
{
    uint64_t verdict = atomic_load_explicit(&c->verdict, memory_order_acquire);
    return (int64_t)(verdict >> 3) < now_s ? OCSP_NONE : (enum ocsp_status)(verdict & 7);
}

/* Writes a verdict: the asker, and tests. */
void ocsp_case_settle(struct ocsp_case *c, enum ocsp_status status, int64_t until_s, int64_t due_s,
                      const char *why);
/* What is wrong with a peer of that case in that mode, as a static sentence; NULL: nothing, or nothing is
 * known. */
const char *ocsp_case_refuses(const struct ocsp_case *c, enum ocsp_mode mode, int64_t now_s);
/* Whether http://HOST[:PORT][/PATH] can be asked: host at most 253 bytes, no user, printable. */
bool ocsp_uri_good(const char *uri);

#endif
