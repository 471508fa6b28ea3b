/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the CoAP relays tell the event ring. Anybody can send datagrams in any address's name, so the number
 * of events is bounded for the worker as a whole; what is not told is counted in the next one (H2).
 */
#include "gateway/relay_coap_private.h"

#define TOLD_EVERY_US 20000
#define TOLD_BURST 20 /* this many may come at once */

static struct event *begin(struct coap_relays *r, const struct coap_report *report)
{
    uint64_t now_us = coap_now(r);
    if (report->outcome != OUTCOME_ALLOWED && r->told_us > now_us + (TOLD_BURST - 1) * TOLD_EVERY_US) {
        r->untold++;
        return NULL;
    }
    struct event *event = event_ring_begin(r->config.events);
    if (event == NULL)
        return NULL;
    event->kind = report->kind;
    event->outcome = report->outcome;
    event->enforced = report->enforced;
    event->time_us = event_time_us(r->config.wall_offset_us, now_us);
    event->ruleset = coap_generation(r)->number;
    event->coap = true;
    event->coap_code = report->method;
    event->told = report->code != 0;
    event->reason_code = report->code;
    event->payload_bytes = report->payload_bytes;
    event_set_topic(event, report->path);
    if (report->rule != NULL)
        event_set_name(event->rule, sizeof(event->rule), bytes_of_text(report->rule));
    event->rule_place = report->rule_place;
    if (report->detail != NULL)
        event_set_name(event->detail, sizeof(event->detail), bytes_of_text(report->detail));
    event->repeats = r->untold;
    r->untold = 0;
    r->told_us = (r->told_us > now_us ? r->told_us : now_us) + TOLD_EVERY_US;
    return event;
}

static void fill_place(struct coap_relays *r, struct event *event, const struct flow_key *key,
                       uint16_t listener, const uint8_t *mac)
{
    const struct gateway_config *config = coap_generation(r)->config;
    event->source = key->remote;
    event->source_port = key->remote_port;
    event->destination = key->local;
    event->destination_port = key->local_port;
    event->has_mac = mac != NULL;
    if (mac != NULL)
        memcpy(event->mac, mac, sizeof(event->mac));
    if (listener < config->listeners_n)
        event_set_name(event->listener, sizeof(event->listener),
                       bytes_of_text(config->listeners[listener].name));
}

void coap_tell(struct coap_relays *r, const struct coap_client *client, const struct coap_report *report)
{
    struct event *event = begin(r, report);
    if (event == NULL)
        return;
    fill_place(r, event, &client->key, client->listener, client->has_mac ? client->mac : NULL);
    event_set_name(event->identity, sizeof(event->identity),
                   bytes_of(client->identity.name, client->identity.name_len));
    if (client->generation == coap_generation(r)->number && client->identity.role != NULL) {
        event_set_name(event->role, sizeof(event->role), bytes_of_text(client->identity.role->name));
        event->role_place = client->identity.role->index + 1;
    }
    event_ring_commit(r->config.events);
}

void coap_tell_arrival(struct coap_relays *r, const struct coap_arrival *arrival,
                       const struct coap_report *report)
{
    struct event *event = begin(r, report);
    if (event == NULL)
        return;
    fill_place(r, event, &arrival->key, arrival->listener, arrival->has_mac ? arrival->mac : NULL);
    event_ring_commit(r->config.events);
}
