/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SUBSCRIBE and UNSUBSCRIBE packets whose acknowledgement is awaited, each with the codes that the gateway
 * has already decided, so that one acknowledgement carries all codes in the order of the filters
 * ([MQTT-3.8.4-6]; requirement D5). The gateway's own UNSUBSCRIBEs are among them. Memory comes from the
 * workspace.
 */
#ifndef POLICY_MQTT_REQUESTS_H
#define POLICY_MQTT_REQUESTS_H

#include "policy/mqtt/packet.h"
#include "policy/mqtt/workspace.h"

#define REQUESTS_MAX 32
#define REQUEST_ASKED 0xFF /* in codes[]: the upstream decides */

struct mqtt_request {
    struct mqtt_request *next;
    uint16_t id;   /* the client's; 0: our own request */
    uint16_t wire; /* the upstream's */
    uint16_t n;    /* codes that the client expects */
    uint16_t sent; /* codes that the upstream owes */
    uint8_t type;  /* MQTT_SUBSCRIBE or MQTT_UNSUBSCRIBE */
    uint8_t codes[];
};

struct requests {
    struct mqtt_request *first;
    uint16_t used;
    uint16_t own; /* of those, how many go by an identifier of ours: our own, and who met one */
};

void requests_fini(struct requests *requests, struct mqtt_workspace *memory);
/* A new one with room for n codes (all REQUEST_ASKED), not yet among the requests; NULL when there is no
 * memory. */
struct mqtt_request *requests_make(struct mqtt_workspace *memory, enum mqtt_type type, uint16_t n);
void requests_add(struct requests *requests, struct mqtt_request *request);
struct mqtt_request *requests_find(const struct requests *requests, uint16_t id);
struct mqtt_request *requests_find_wire(const struct requests *requests, uint16_t wire);
void requests_remove(struct requests *requests, struct mqtt_request *request, struct mqtt_workspace *memory);

#endif
