/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a listener's settings to what its TLS sessions are made from (A5, B4). Control thread. */
#ifndef GATEWAY_LISTENER_CONTEXT_H
#define GATEWAY_LISTENER_CONTEXT_H

#include "config/gateway_config.h"
#include "dataplane/secure/tls_context.h"

/* NULL when its settings are incomplete, which has been told, or with what is wrong in `d`: files that cannot
 * be used, a key of another certificate, an empty list. */
struct tls_context *listener_context_tls(const struct config_listener *listener, struct diagnostics *d);

/* How a context asks about its peers. */
struct ocsp_policy listener_context_ocsp(const struct config_ocsp *ocsp);

#endif
