/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that ask for a proxy (RFC 7252 s.5.7.2, 5.10.2, 6.4), for listeners that say whose proxy they are.
 *
 * A Proxy-Uri, or a Proxy-Scheme with Uri-Host, whose scheme is coap or coaps and whose authority is one of
 * the listener's, is taken apart into the request that it stands for: its path and query, percent-decoded, as
 * Uri-Path and Uri-Query. That is then judged like any other and goes where the listener's upstream is; the
 * authority chooses nothing. Anything else stays as it is, and the guard refuses it (5.05). Pure.
 */
#ifndef POLICY_COAP_PROXY_H
#define POLICY_COAP_PROXY_H

#include "policy/coap/message.h"

/* Proxy-Uri is at most that long (s.5.10). */
#define COAP_PROXY_URI_MAX 1034

/* Whether the request asks for a proxy at all. */
bool coap_proxy_asked(const struct coap_message *message);
/*
 * Takes it apart. `hosts`: "coap.example" (with the default port of the scheme, or none) or
 * "coap.example:61616". False when it is to stay as it is. `out` borrows from `message` and from `text`.
 */
bool coap_proxy_open(const char *const *hosts, uint32_t hosts_n, const struct coap_message *message,
                     uint8_t text[COAP_PROXY_URI_MAX], struct coap_message *out);

#endif
