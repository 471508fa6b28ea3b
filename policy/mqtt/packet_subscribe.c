/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SUBSCRIBE, UNSUBSCRIBE and their acknowledgements (MQTT 5.0 and 3.1.1 s.3.8 to 3.11). */
#include "policy/mqtt/packet_parse.h"
#include "policy/mqtt/property.h"
#include "policy/mqtt/reason.h"
#include "policy/mqtt/topic_name.h"

enum {
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_RETAIN_AS_PUBLISHED = 0x08,
    OPTION_RETAIN_HANDLING = 0x30,
    OPTION_RESERVED = 0xC0,
};

bool mqtt_filter_next(struct cursor *list, enum mqtt_type type, struct mqtt_filter *out)
{
    uint8_t options = 0;
    if (cursor_block16(list, &out->filter) != READ_OK)
        return false;
    if (type == MQTT_SUBSCRIBE && cursor_u8(list, &options) != READ_OK)
        return false;
    out->qos = options & OPTION_QOS;
    out->no_local = (options & OPTION_NO_LOCAL) != 0;
    out->retain_as_published = (options & OPTION_RETAIN_AS_PUBLISHED) != 0;
    out->retain_handling = (uint8_t)((options & OPTION_RETAIN_HANDLING) >> 4);
    return true;
}

/* [3.8.3-4, -5]; [3.1.1: 3.8.3-4] */
static enum outcome check_options(uint8_t options, enum mqtt_version version, bool shared)
{
    unsigned int legal = version == MQTT_5 ? 0xFFu & ~(unsigned int)OPTION_RESERVED : OPTION_QOS;
    if ((options & ~legal) != 0 || (options & OPTION_QOS) == 3 ||
        (options & OPTION_RETAIN_HANDLING) == OPTION_RETAIN_HANDLING)
        return OUTCOME_MALFORMED;
    return shared && (options & OPTION_NO_LOCAL) != 0 ? OUTCOME_SHARED_NO_LOCAL : OUTCOME_ALLOWED;
}

static enum outcome parse_entry(enum mqtt_type type, struct mqtt_parse *p)
{
    struct bytes filter;
    uint8_t options = 0;
    bool shared = false;
    if (cursor_block16(&p->at, &filter) != READ_OK)
        return OUTCOME_MALFORMED;
    if (type == MQTT_SUBSCRIBE && cursor_u8(&p->at, &options) != READ_OK)
        return OUTCOME_MALFORMED;
    enum outcome outcome = mqtt_topic_filter_check(filter, p->level, &shared);
    return outcome == OUTCOME_ALLOWED ? check_options(options, p->version, shared) : outcome;
}

static enum outcome parse_id_and_properties(struct mqtt_packet *out, struct mqtt_parse *p)
{
    enum outcome outcome = mqtt_parse_packet_id(p, &out->packet_id);
    if (outcome != OUTCOME_ALLOWED || p->version != MQTT_5)
        return outcome;
    return mqtt_properties_take(&out->properties, &p->at, out->type, p->sender, p->level);
}

enum outcome mqtt_subscribe_parse(struct mqtt_packet *out, struct mqtt_parse *p)
{
    enum outcome outcome = parse_id_and_properties(out, p);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    out->list = bytes_of(p->at.at, cursor_left(&p->at));
    if (out->list.len == 0) /* [3.8.3-2, 3.10.3-2] */
        return OUTCOME_PROTOCOL_ERROR;
    while (cursor_left(&p->at) != 0) {
        outcome = parse_entry(out->type, p);
        if (outcome != OUTCOME_ALLOWED)
            return outcome;
        if (out->list_count == UINT16_MAX)
            return OUTCOME_SUBSCRIPTION_CAP;
        out->list_count++;
    }
    return OUTCOME_ALLOWED;
}

/* UNSUBACK has codes in MQTT 5 only (3.1.1 s.3.11). */
enum outcome mqtt_suback_parse(struct mqtt_packet *out, struct mqtt_parse *p)
{
    enum outcome outcome = parse_id_and_properties(out, p);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    if (out->type == MQTT_UNSUBACK && p->version != MQTT_5)
        return mqtt_parse_end(p);
    out->list = bytes_of(p->at.at, cursor_left(&p->at));
    if (out->list.len == 0 || out->list.len > UINT16_MAX) /* one code per filter, and there was a filter */
        return OUTCOME_PROTOCOL_ERROR;
    for (size_t i = 0; i < out->list.len; i++)
        if (!mqtt_reason_allowed(out->type, p->sender, p->version, out->list.at[i]))
            return OUTCOME_BAD_REASON_CODE;
    out->list_count = (uint16_t)out->list.len;
    return OUTCOME_ALLOWED;
}
