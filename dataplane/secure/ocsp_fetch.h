/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One question to one OCSP responder over HTTP (RFC 6960 appendix A.1), by a kernel socket that never blocks.
 *
 * POST in HTTP/1.0, so that the answer is neither chunked nor kept open; the answer must say 200 and
 * application/ocsp-response, and be at most OCSP_ANSWER_MAX long; redirections are not followed. Whoever owns
 * it polls `fd` for `events` and calls ocsp_fetch_go. The asker's thread.
 */
#ifndef DATAPLANE_SECURE_OCSP_FETCH_H
#define DATAPLANE_SECURE_OCSP_FETCH_H

#include "dataplane/secure/ocsp_message.h"

#include <sys/socket.h>

#define OCSP_HOST_MAX 253
#define OCSP_HEAD_MAX 4096

/* http://HOST[:PORT][/PATH], borrowed. */
struct ocsp_uri {
    const char *host; /* without the brackets of IPv6 */
    size_t host_len;
    uint16_t port;
    const char *path; /* begins with '/', or is empty */
};
/* False when it is another scheme, holds a user, or bytes that are not printable. */
bool ocsp_uri_parse(const char *uri, struct ocsp_uri *parts);
/* Loopback, link-local, multicast and unspecified addresses: not asked when a certificate names them. */
bool ocsp_address_is_inside(const struct sockaddr *address);

enum ocsp_step {
    OCSP_STEP_FAILED = 0, /* `why` */
    OCSP_STEP_WAIT,
    OCSP_STEP_DONE /* the answer is `body` bytes at `in + head` */
};

struct ocsp_fetch {
    int fd; /* -1: none */
    short events;
    bool connected;
    const char *why;
    size_t out_n, out_at;
    size_t in_n, head, body;
    uint8_t out[OCSP_REQUEST_MAX + 1024];
    uint8_t in[OCSP_HEAD_MAX + OCSP_ANSWER_MAX + 1];
};

/* Begins it. False with `why`. */
bool ocsp_fetch_start(struct ocsp_fetch *fetch, const struct sockaddr *address, socklen_t address_len,
                      const struct ocsp_uri *uri, const uint8_t *request, size_t request_n);
/* Goes on as far as it does. */
enum ocsp_step ocsp_fetch_go(struct ocsp_fetch *fetch);
void ocsp_fetch_close(struct ocsp_fetch *fetch);
/* What arrived so far, `ended` when there is no more; for the fetch itself, and tests. */
enum ocsp_step ocsp_fetch_read(struct ocsp_fetch *fetch, bool ended);

#endif
