/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/subscriptions.h"

#define NOWHERE UINT32_MAX

/* Before each filter; not aligned. */
struct head {
    uint16_t len;
    uint16_t request; /* 0: settled */
    uint16_t ordinal;
    uint8_t qos;
    uint8_t granted;
};

static struct head head_at(const struct subscriptions *list, uint32_t at)
{
    struct head head;
    memcpy(&head, list->at + at, sizeof(head));
    return head;
}

static void write_head(struct subscriptions *list, uint32_t at, const struct head *head)
{
    memcpy(list->at + at, head, sizeof(*head));
}

static uint32_t after(uint32_t at, const struct head *head)
{
    return at + (uint32_t)sizeof(*head) + head->len;
}

static struct bytes filter_at(const struct subscriptions *list, uint32_t at, const struct head *head)
{
    return bytes_of(list->at + at + sizeof(*head), head->len);
}

static uint32_t find(const struct subscriptions *list, struct bytes filter)
{
    uint32_t at = 0;
    while (at < list->used) {
        struct head head = head_at(list, at);
        if (bytes_equal(filter_at(list, at, &head), filter))
            return at;
        at = after(at, &head);
    }
    return NOWHERE;
}

void subscriptions_fini(struct subscriptions *list, struct mqtt_workspace *memory)
{
    if (list->at != NULL)
        memory->put(memory, list->at);
    *list = (struct subscriptions){0};
}

bool subscriptions_has(const struct subscriptions *list, struct bytes filter)
{
    return find(list, filter) != NOWHERE;
}

bool subscriptions_reserve(struct subscriptions *list, uint32_t n, uint32_t bytes,
                           struct mqtt_workspace *memory)
{
    if (n > UINT16_MAX || bytes > SUBSCRIPTIONS_BYTES_MAX)
        return false;
    uint64_t need = (uint64_t)list->used + n * sizeof(struct head) + bytes;
    if (need <= list->capacity)
        return true;
    if (need > SUBSCRIPTIONS_BYTES_MAX || list->n + n > UINT16_MAX)
        return false;
    uint32_t given;
    uint8_t *at = memory->get(memory, (uint32_t)need, &given);
    if (at == NULL)
        return false;
    if (list->at != NULL) {
        memcpy(at, list->at, list->used);
        memory->put(memory, list->at);
    }
    list->at = at;
    list->capacity = given;
    return true;
}

void subscriptions_add(struct subscriptions *list, struct bytes filter, uint8_t qos, uint16_t request,
                       uint16_t ordinal)
{
    uint32_t at = find(list, filter);
    struct head head = {.len = (uint16_t)filter.len};
    if (at == NOWHERE) {
        at = list->used;
        memcpy(list->at + at + sizeof(head), filter.at, filter.len);
        list->used = after(at, &head);
        list->n++;
    } else {
        head = head_at(list, at);
    }
    head.qos = qos;
    head.request = request;
    head.ordinal = ordinal;
    write_head(list, at, &head);
}

static void remove_at(struct subscriptions *list, uint32_t at)
{
    struct head head = head_at(list, at);
    uint32_t next = after(at, &head);
    memmove(list->at + at, list->at + next, list->used - next);
    list->used -= next - at;
    list->n--;
}

void subscriptions_settle(struct subscriptions *list, uint16_t request, uint16_t ordinal, bool granted)
{
    for (uint32_t at = 0; at < list->used;) {
        struct head head = head_at(list, at);
        if (head.request == request && head.ordinal == ordinal) {
            head.request = 0;
            head.granted |= granted;
            if (head.granted)
                write_head(list, at, &head);
            else
                remove_at(list, at);
            return;
        }
        at = after(at, &head);
    }
}

void subscriptions_remove(struct subscriptions *list, struct bytes filter)
{
    uint32_t at = find(list, filter);
    if (at != NOWHERE)
        remove_at(list, at);
}

bool subscriptions_next(const struct subscriptions *list, uint32_t *position, struct subscription *out)
{
    if (*position >= list->used)
        return false;
    struct head head = head_at(list, *position);
    *out = (struct subscription){.filter = filter_at(list, *position, &head), .qos = head.qos};
    *position = after(*position, &head);
    return true;
}
