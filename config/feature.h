/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the syntax knows and this version can or cannot do. A setting whose feature is not there is refused:
 * no line of a security policy is silently ignored. This table is the one place where that is lifted.
 */
#ifndef CONFIG_FEATURE_H
#define CONFIG_FEATURE_H

#include <stdbool.h>

enum feature {
    FEATURE_ALWAYS = 0,
    FEATURE_COAP,             /* CoAP listeners, upstreams and rules (E) */
    FEATURE_LISTENER_TLS,     /* shield mode over TCP (A5) */
    FEATURE_LISTENER_DTLS,    /* shield mode over UDP (A5) */
    FEATURE_UPSTREAM_CRL,     /* crl of an upstream */
    FEATURE_CERTIFICATE_NAME, /* roles by certificate (C1) */
    FEATURE_PASSWORDS,        /* users_file, auth = "password" (C2) */
    FEATURE_METRICS,          /* metrics = { ... } (H3) */
    FEATURE_FAIL_OPEN,        /* on_stall = "open" */
    FEATURE_EVENT_TOPICS,     /* events = { topics = "none"; } (H2) */
    FEATURE_EVENT_QUIET,      /* events = { allowed = "none"; } for MQTT too */
    FEATURE_EVENT_ALL,        /* events = { allowed = "all"; } for MQTT too */
    FEATURE_COUNT,
};

bool feature_present(enum feature feature);
/* What it is, for "... is not in this version": "CoAP". */
const char *feature_text(enum feature feature);

#endif
