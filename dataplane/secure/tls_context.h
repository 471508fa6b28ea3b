/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What TLS sessions are made from: trust, versions, names, and a certificate and key per device (B1, B3, B7).
 *
 * A `struct tls_context` is one upstream's or one listener's immutable set of parameters. It is
 * created by the control thread when a configuration is checked or loaded, shared by all workers and
 * handshake threads, and reference-counted: a reload drops its reference, live sessions keep theirs.
 * Verification of chain, name and usage cannot be turned off.
 *
 * A `struct tls_identity` is a certificate chain with its key. Identities named by a pattern
 * ("tls/devices/${id}.pem") are read when the device first connects, by a handshake thread, never by a packet
 * worker, and cached in a bounded table of the context; a reload starts with an empty one. Keys are in memory
 * that is locked, left out of core dumps and wiped when freed.
 */
#ifndef DATAPLANE_SECURE_TLS_CONTEXT_H
#define DATAPLANE_SECURE_TLS_CONTEXT_H

#include "dataplane/secure/ocsp_case.h"
#include "dataplane/secure/tls_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_version {
    TLS_VERSION_1_3 = 0, /* and nothing older */
    TLS_VERSION_1_2,     /* 1.2 or 1.3 */
};

/* What a client asks of the status (OCSP, RFC 6960) that a server staples to its certificate (RFC 8446
 * section 4.4.2.1). One that says "revoked", is out of date or not the issuer's refuses the server in either
 * case. */
enum tls_stapling {
    TLS_STAPLING_NONE = 0, /* not asked for */
    TLS_STAPLING_SOFT,     /* asked for; a server without one will do */
    TLS_STAPLING_HARD,     /* a server without one is refused */
};

/* All strings are copied. Paths are absolute or relative to the working directory; the caller has resolved
 * them. */
struct tls_settings {
    enum tls_version min_version;
    const char *ca_file;     /* PEM bundle; needed, unless there is a psk_file */
    const char *server_name; /* SNI and the name that the certificate must carry; likewise */
    const char *alpn;        /* comma-separated, or NULL */
    const char
        *certificate_file; /* may hold "%s", which the identity name replaces; NULL: no client certificate */
    const char *key_file;  /* likewise */
    const char *key_password_file; /* opens encrypted keys; or NULL */
    const char *bundle_file;       /* instead of both: all devices in one file, see tls_bundle.h; or NULL */
    const char *crl_file;          /* or NULL */
    const char *psk_file; /* instead of all certificates, the server's too: keys, see psk_keys.h; or NULL */
    const char *psk_id;   /* with it: the identity; may hold "%s" */
    const char *pins;     /* "sha256/BASE64" of SubjectPublicKeyInfo, comma-separated; NULL: any key */
    uint32_t identity_cache; /* entries; 0: 1024 */
    enum tls_stapling stapling;
    const struct ocsp_policy *ocsp; /* what is asked of the issuer's responder; NULL: nothing */
    bool resumption;                /* keep session tickets per identity; not where TLS 1.2 is allowed */
    bool datagrams;                 /* DTLS: 1.2, or with min_version 1.3 that alone, never resumed */
};

/*
 * A listener's. Strings are copied where they are kept. A client that shows a certificate is verified like a
 * server is: chain, usage (clientAuth), validity, revocation; what it is called is not compared with anything
 * here, but told (tls_stream_peer).
 */
struct tls_server_settings {
    enum tls_version min_version;
    const char *certificate_file;  /* the listener's own chain; needed, unless there is a psk_file */
    const char *key_file;          /* likewise */
    const char *key_password_file; /* or NULL */
    const char *client_ca_file;    /* PEM bundle; NULL: clients are not asked for a certificate */
    const char *crl_file;          /* of client certificates; or NULL */
    const char *psk_file;          /* keys of clients, see psk_keys.h; or NULL */
    const struct ocsp_policy
        *ocsp;              /* of client certificates: asked of the issuer's responder; NULL: nothing */
    bool needs_certificate; /* a client without one is refused; not one with a key */
    bool resumption;        /* give session tickets; never early data; not where there are keys */
    uint32_t ticket_peers;  /* clients whose certificate is remembered for their tickets; 0: 4096 */
};

struct tls_context;

/* Once per process, before anything else here: initialises wolfSSL, registers crypto_offload. 0 or -errno. */
int tls_library_init(void);
void tls_library_fini(void);
/* Facts for -V: "wolfSSL 5.5.4 (built 5.5.4), TLS 1.3 yes, DTLS 1.3 no, ...". */
const char *tls_library_facts(void);
/* Whether it has the suites with a key and nothing else that CoAP devices speak (RFC 7252 s.9.1.3.1):
 * Debian's binary has not. */
bool tls_library_has_psk(void);
/* Whether it has DTLS 1.3, and its connection ids, of which it must tell when a client may have moved:
 * deploy/wolfssl.d/dtls13-newest.patch. */
bool tls_library_has_dtls13(void);
bool tls_library_has_connection_ids(void);
/* Whether it takes a PSK of TLS 1.3 with a key share only, and says what was proved (tls_psk.h): ours does.
 */
bool tls_library_has_tls_psk(void);

/* A client context. NULL with `error` when a file cannot be read or does not hold what it should. */
struct tls_context *tls_context_create(const struct tls_settings *settings, struct tls_error *error);
/* A listener's context; otherwise the same. */
struct tls_context *tls_server_context_create(const struct tls_server_settings *settings,
                                              struct tls_error *error);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);

struct psk_keys;
struct tls_peer;
/*
 * Whether a peer that was verified before, perhaps by an older context, is good for this one: its chain is
 * not revoked here, its key is one that is pinned, and nothing that is known of its status speaks against it;
 * its PSK is the one that is known here. `peer` may be NULL: one that has shown nothing.
 * NULL when it is, or a static sentence. Any thread, packet workers too: neither locks nor allocates.
 */
const char *tls_context_refuses(const struct tls_context *context, const struct tls_peer *peer);
/* What is asked of responders about its peers. */
enum ocsp_mode tls_context_ocsp(const struct tls_context *context);
/* NULL: none. */
const struct psk_keys *tls_context_keys(const struct tls_context *context);

/*
 * Checks certificate and key files for use with this configuration: both readable, the key belongs to the
 * certificate. 0, or -1 with error. For sallyport -t. `days_left` (may be NULL) is what remains until the
 * leaf certificate expires.
 */
int tls_check_pair(const char *certificate_file, const char *key_file, int *days_left,
                   struct tls_error *error);
/* The same with a key that may be encrypted. */
int tls_check_pair_with(const char *certificate_file, const char *key_file, const char *key_password_file,
                        int *days_left, struct tls_error *error);

#endif
