/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which names a certificate is for (RFC 9525), and which its issuer may certify (RFC 5280 section 4.2.1.10).
 *
 * The library looks at both, but with holes: it passes over constraints on IP addresses and URIs, and over
 * those of any CA but the one directly above; it takes an address that is written as a DNS name for an
 * address, and wildcards within a label. So both are looked at once more, here, for chains that it has
 * accepted. Borrowed bytes; nothing is allocated. Any thread.
 */
#ifndef DATAPLANE_SECURE_CERTIFICATE_NAME_H
#define DATAPLANE_SECURE_CERTIFICATE_NAME_H

#include "dataplane/secure/certificate.h"

/*
 * A server's certificate is for `name`: an IP address must be one of its addresses, another name one of its
 * DNS names, where "*" stands for one whole label, the first of at least three. The common name counts only
 * in a certificate without any alternative name.
 */
bool certificate_is_for(const struct certificate *leaf, const char *name);
/*
 * The certificate `of`, anywhere below `ca` in a chain, calls itself nothing that the constraints of `ca` do
 * not allow: DNS names, addresses, e-mail, hosts of URIs and directory names. Of a leaf without alternative
 * names the common name is taken for a DNS name, as certificate_is_for does. False too when the constraints
 * are malformed, or there is a name whose kind they restrict and which we cannot compare.
 */
bool certificate_name_allowed(const struct certificate *ca, const struct certificate *of, bool leaf);

#endif
