/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/requests.h"

void requests_fini(struct requests *requests, struct mqtt_workspace *memory)
{
    while (requests->first != NULL)
        requests_remove(requests, requests->first, memory);
}

struct mqtt_request *requests_make(struct mqtt_workspace *memory, enum mqtt_type type, uint16_t n,
                                   bool in_parts)
{
    uint32_t given, room = in_parts ? 2 * (uint32_t)n : n;
    struct mqtt_request *request = memory->get(memory, (uint32_t)sizeof(struct mqtt_request) + room, &given);
    if (request == NULL)
        return NULL;
    *request = (struct mqtt_request){.n = n, .sent = n, .unanswered = 1, .type = (uint8_t)type};
    memset(request->codes, REQUEST_ASKED, room);
    return request;
}

void requests_add(struct requests *requests, struct mqtt_request *request)
{
    request->next = requests->first;
    requests->first = request;
    requests->used++;
    if (request->id != request->wire)
        requests->own++;
}

struct mqtt_request *requests_find(const struct requests *requests, uint16_t id)
{
    struct mqtt_request *request = requests->first;
    while (request != NULL && (request->id != id || request->id == 0))
        request = request->next;
    return request;
}

struct mqtt_request *requests_find_wire(const struct requests *requests, uint16_t wire)
{
    struct mqtt_request *request = requests->first;
    while (request != NULL && request->wire != wire)
        request = request->next;
    return request;
}

void requests_unwire(struct requests *requests, struct mqtt_request *request)
{
    if (request->id == request->wire)
        requests->own++;
    request->wire = 0;
}

void requests_remove(struct requests *requests, struct mqtt_request *request, struct mqtt_workspace *memory)
{
    struct mqtt_request **link = &requests->first;
    while (*link != request)
        link = &(*link)->next;
    *link = request->next;
    requests->used--;
    if (request->id != request->wire)
        requests->own--;
    memory->put(memory, request);
}
