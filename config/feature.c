/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/feature.h"

static const struct {
    bool present;
    const char *text;
} features[FEATURE_COUNT] = {
    [FEATURE_ALWAYS] = {true, "this"},
    [FEATURE_COAP] = {true, "CoAP"},
    [FEATURE_LISTENER_TLS] = {true, "TLS toward devices"},
    [FEATURE_LISTENER_DTLS] = {true, "DTLS toward devices"},
    [FEATURE_UPSTREAM_CRL] = {true, "a revocation list for an upstream"},
    [FEATURE_CERTIFICATE_NAME] = {true, "telling clients by certificate or PSK"},
    [FEATURE_PASSWORDS] = {true, "checking passwords"},
    [FEATURE_METRICS] = {false, "the metrics listener"},
    [FEATURE_FAIL_OPEN] = {false, "passing traffic unjudged when stalled"},
    [FEATURE_EVENT_TOPICS] = {false, "leaving topics out of events"},
    [FEATURE_EVENT_QUIET] = {false, "leaving connections out of events"},
    [FEATURE_EVENT_ALL] = {false, "an event for each allowed message"},
};

bool feature_present(enum feature feature)
{
    return features[feature].present;
}

const char *feature_text(enum feature feature)
{
    return features[feature].text;
}
