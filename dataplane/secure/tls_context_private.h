/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of tls_context.h, for tls_context.c (clients) and tls_server.c (listeners) only. */
#ifndef DATAPLANE_SECURE_TLS_CONTEXT_PRIVATE_H
#define DATAPLANE_SECURE_TLS_CONTEXT_PRIVATE_H

#include "dataplane/secure/tls_bundle.h"
#include "dataplane/secure/tls_identity.h"
#include "dataplane/secure/tls_session_setup.h"
#include "dataplane/secure/tls_ticket.h"

#include <stdatomic.h>

#define TLS_SUITES_1_3 "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256"
#define TLS_SUITES_1_2                                                                                       \
    ":ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"               \
    ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

struct WOLFSSL_CTX;

struct tls_context {
    atomic_uint refs;
    struct WOLFSSL_CTX *ctx;
    bool server;
    bool datagrams;                       /* DTLS 1.2 */
    struct tls_identity *shared_identity; /* a listener's; a client's, when the files are not a pattern */
    struct tls_trust trust;
    struct tls_psk *psk; /* NULL: no pre-shared keys */
    /* a client */
    char *server_name;
    char *checked_name; /* as wolfSSL writes it: IPv6 addresses are spelled out */
    char *alpn;
    bool stapling;
    char *certificate_file; /* NULL: no client certificate */
    char *key_file;
    char *key_password_file;
    struct tls_bundle *bundle;     /* instead of the two */
    struct name_cache *identities; /* when the files are a pattern */
    struct name_cache *tickets;    /* NULL: no resumption */
    /* a server */
    bool wants_certificate;    /* asks the client for one */
    bool needs_certificate;    /* and does not go on without, unless with a key */
    struct tls_tickets *given; /* NULL: no resumption */
};

/* Versions, suites, groups, key sizes and the crypto device: what both sides have in common. */
bool tls_context_set_protocol(struct tls_context *context, bool only_1_3, struct tls_error *error);
/* The lists of a file: for handshakes, and for asking later. */
bool tls_context_load_crl(struct tls_context *context, const char *path, struct tls_error *error);

#endif
