/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Will that a role supplies for a client that has none (C5, D10). What it says is the policy's own word:
 * it is not judged by the rules. */
#include "policy/access/template.h"
#include "policy/mqtt/guard_private.h"

static struct bytes value_of(void *owner, struct bytes name)
{
    const struct mqtt_guard *g = owner;
    for (uint32_t i = 0; i < g->role->variables_n; i++)
        if (bytes_equal(bytes_of_text(g->role->variables[i]), name))
            return g->values->value[i];
    return bytes_of(NULL, 0);
}

/* A value in a template may make it what no topic is. */
static bool is_topic(struct bytes topic)
{
    if (topic.len == 0 || topic.len > UINT16_MAX || !utf8_check(topic, UTF8_SPEC))
        return false;
    return memchr(topic.at, '+', topic.len) == NULL && memchr(topic.at, '#', topic.len) == NULL;
}

bool guard_supply_will(const struct mqtt_guard *g, struct mqtt_packet *p)
{
    const struct policy_last_will *supplied = &g->role->last_will;
    struct mqtt_will *will = &p->connect.will;
    uint8_t *to = g->workspace->entries;
    size_t room = g->workspace->entries_room, n;
    void *owner = (void *)(uintptr_t)g;
    *will = (struct mqtt_will){.qos = supplied->qos, .retain = supplied->retain};
    if (supplied->topic == NULL ||
        !template_expand(bytes_of_text(supplied->topic), value_of, owner, to, room, &n))
        return false;
    will->topic = bytes_of(to, n);
    if (!is_topic(will->topic))
        return false;
    to += n;
    room -= n;
    if (!template_expand(bytes_of_text(supplied->payload != NULL ? supplied->payload : ""), value_of, owner,
                         to, room, &n) ||
        n > UINT16_MAX)
        return false;
    will->payload = bytes_of(to, n);
    if (p->connect.version == MQTT_5 && supplied->delay_s != 0) {
        will->properties.will_delay_s = supplied->delay_s;
        guard_set(&will->properties, MQTT_PROP_WILL_DELAY);
    }
    /* Toward a cloud the role may be held to less than it says. */
    will->qos = will->qos > g->role->max_qos ? g->role->max_qos : will->qos;
    if (g->cloud != NULL && cloud_judge_publish(g->cloud, will->topic, will->retain, true,
                                                (uint32_t)will->payload.len) != OUTCOME_ALLOWED)
        return false;
    will->present = true;
    return true;
}
