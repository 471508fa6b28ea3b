/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SUBSCRIBE and UNSUBSCRIBE packets whose acknowledgement is awaited, each with the codes that the gateway
 * has already decided, so that one acknowledgement carries all codes in the order of the filters
 * ([MQTT-3.8.4-6]; requirement D5). The gateway's own UNSUBSCRIBEs are among them. Where the upstream takes
 * few filters at a time (cloud.h), a SUBSCRIBE goes there in parts: the first is the request itself, the
 * others refer to it, and what the upstream grants is gathered there until all have answered. Memory comes
 * from the workspace.
 */
#ifndef POLICY_MQTT_REQUESTS_H
#define POLICY_MQTT_REQUESTS_H

#include "policy/mqtt/packet.h"
#include "policy/mqtt/workspace.h"

#define REQUESTS_MAX 32
#define REQUEST_ASKED 0xFF /* in codes[]: the upstream decides */

struct mqtt_request {
    struct mqtt_request *next;
    struct mqtt_request *whole; /* whose part it is; NULL: it stands for itself */
    uint16_t id;                /* the client's; 0: our own request, or a part */
    uint16_t wire;              /* the upstream's; 0: it has answered, other parts have not */
    uint16_t n;                 /* codes that the client expects */
    uint16_t sent;              /* codes that the upstream owes */
    uint16_t first;             /* of all that were passed on, where those of a part begin */
    uint16_t unanswered;        /* of a whole: its parts, itself included */
    uint8_t type;               /* MQTT_SUBSCRIBE or MQTT_UNSUBSCRIBE */
    uint8_t codes[];            /* of a whole in parts: n more, as the upstream answered those passed on */
};

struct requests {
    struct mqtt_request *first;
    uint16_t used;
    uint16_t own; /* of those, how many go by an identifier of ours: our own, and who met one */
};

void requests_fini(struct requests *requests, struct mqtt_workspace *memory);
/* A new one with room for n codes (all REQUEST_ASKED), or twice as many when it may go `in_parts`, not yet
 * among the requests; NULL when there is no memory. */
struct mqtt_request *requests_make(struct mqtt_workspace *memory, enum mqtt_type type, uint16_t n,
                                   bool in_parts);
void requests_add(struct requests *requests, struct mqtt_request *request);
struct mqtt_request *requests_find(const struct requests *requests, uint16_t id);
struct mqtt_request *requests_find_wire(const struct requests *requests, uint16_t wire);
/* Of a whole: has answered, and stays for its parts. */
void requests_unwire(struct requests *requests, struct mqtt_request *request);
void requests_remove(struct requests *requests, struct mqtt_request *request, struct mqtt_workspace *memory);

#endif
