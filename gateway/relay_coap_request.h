/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request of a device while it is judged: what relay_coap_device.c and relay_coap_limits.c share. */
#ifndef GATEWAY_RELAY_COAP_REQUEST_H
#define GATEWAY_RELAY_COAP_REQUEST_H

#include "gateway/coap_mqtt.h"

/* Nothing is said of when to come again. */
#define COAP_NO_AGE UINT32_MAX

struct coap_request {
    const struct coap_arrival *arrival;
    const struct coap_message *message;
    struct coap_client *client;
    struct coap_leg *leg;
    struct coap_prefix *prefix; /* NULL: nothing is limited by prefix */
    struct coap_verdict verdict;
    struct bytes echo; /* the client's, for the upstream */
    uint64_t transfer; /* it is a block of this; 0: of none */
    bool uploads;
    bool shared; /* its answer is everybody's */
    bool broker; /* the upstream is one: */
    struct coap_topic topic;
    struct bytes body;    /* what the broker gets: the payload, or what several blocks added up to */
    enum outcome limited; /* by a rate; ALLOWED: not */
    bool limit_holds;     /* and not only told */
    bool proved;
    bool proxied; /* it came with a Proxy-Uri or Proxy-Scheme that we took */
};

/* relay_coap_device.c */
void coap_request_tell(struct coap_relays *r, const struct coap_request *q, enum event_kind kind,
                       enum outcome outcome, bool enforced, uint8_t code);
/* Counts, tells and answers a refusal; code 0: it is not answered. */
void coap_request_refuse(struct coap_relays *r, const struct coap_request *q, enum outcome outcome,
                         uint8_t code, uint32_t max_age_s);

/* relay_coap_judged.c: makes the verdict known to judged.h; when judged_wanted. */
void coap_judged(struct coap_relays *r, const struct coap_request *q);

/* relay_coap_limits.c: each answers false when the request has been refused */
bool coap_limits_rates(struct coap_relays *r, struct coap_request *q);
/* Exchanges and observations; an observation too many goes on as a plain request (RFC 7641 s.4.1). */
bool coap_limits_caps(struct coap_relays *r, struct coap_request *q);
bool coap_limits_transfers(struct coap_relays *r, struct coap_request *q);
/* A block came from the cache: nothing of its transfer is under way. */
void coap_limits_served(struct coap_relays *r, struct coap_request *q);

#endif
