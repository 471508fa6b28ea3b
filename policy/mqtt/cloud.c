/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/cloud.h"

#define KIB (UINT32_C(1) << 10)
#define NAME_BYTES 512 /* of a name, as far as it is compared */

static const struct cloud_limits limits[CLOUD_PROFILES] = {
    [CLOUD_PLAIN] = {.name = "a plain broker", .max_qos = 2},
    [CLOUD_AWS] = {.name = "AWS IoT Core",
                   .max_qos = 1,
                   .no_reserved_retained = true,
                   .inflight = 100,
                   .keepalive_max_s = 1200,
                   .client_id_bytes = 128,
                   .topic_slashes = 7,
                   .topic_bytes = 256,
                   .payload_bytes = 128 * KIB,
                   .filters = 8,
                   .subscriptions = 50,
                   .rates.of[RATE_PUBLISHES][0] = {.amount = 100, .period_us = 1000000, .burst = 100}},
    [CLOUD_AZURE] = {.name = "Azure IoT Hub",
                     .max_qos = 1,
                     .hub_topics = true,
                     .keepalive_max_s = 1177,
                     .client_id_bytes = 128,
                     .payload_bytes = 256 * KIB},
};

const struct cloud_limits *cloud_limits(enum cloud_profile profile)
{
    return &limits[profile < CLOUD_PROFILES ? profile : CLOUD_PLAIN];
}

/* ---- names as the cloud sees them --------------------------------------------------------------------- */

/* The beginning of a name: what is compared fits, or the name is none of the cloud's. */
struct name {
    size_t len; /* whole */
    size_t slashes;
    size_t kept;
    uint8_t at[NAME_BYTES];
};

static void append(struct name *name, struct bytes piece)
{
    size_t room = sizeof(name->at) - name->kept;
    size_t n = piece.len < room ? piece.len : room;
    if (n != 0)
        memcpy(name->at + name->kept, piece.at, n);
    name->kept += n;
    name->len += piece.len;
    for (size_t i = 0; i < piece.len; i++)
        name->slashes += piece.at[i] == '/';
}

static void see(const struct cloud_session *session, struct bytes topic, struct name *name)
{
    name->len = name->slashes = name->kept = 0;
    if (topic.len == 0 || topic.at[0] != '$')
        append(name, session->mount);
    append(name, topic);
}

/* What is left of the name behind a beginning; at == NULL when it has another. */
static struct bytes behind(struct bytes name, struct bytes beginning)
{
    if (name.at == NULL || name.len < beginning.len || memcmp(name.at, beginning.at, beginning.len) != 0)
        return bytes_of(NULL, 0);
    return bytes_of(name.at + beginning.len, name.len - beginning.len);
}

static bool begins(struct bytes name, const char *beginning)
{
    return behind(name, bytes_of_text(beginning)).at != NULL;
}

/* Behind "devices/ID/", or "devices/ID/modules/MODULE/" for a client "ID/MODULE". */
static struct bytes behind_device(struct bytes name, struct bytes client_id)
{
    const uint8_t *slash = client_id.len == 0 ? NULL : memchr(client_id.at, '/', client_id.len);
    struct bytes device = client_id, rest = behind(name, bytes_of_text("devices/"));
    if (slash != NULL)
        device = bytes_of(client_id.at, (size_t)(slash - client_id.at));
    rest = behind(rest, device);
    if (slash != NULL) {
        rest = behind(rest, bytes_of_text("/modules/"));
        rest = behind(rest, bytes_of(slash + 1, (size_t)(client_id.at + client_id.len - slash - 1)));
    }
    return behind(rest, bytes_of_text("/messages/"));
}

/* ---- Azure IoT Hub ------------------------------------------------------------------------------------ */

static bool hub_takes(const struct cloud_session *session, struct bytes name, bool will)
{
    if (begins(behind_device(name, session->client_id), "events/"))
        return true;
    return !will &&
           (begins(name, "$iothub/twin/GET/") || begins(name, "$iothub/twin/PATCH/properties/reported/") ||
            begins(name, "$iothub/methods/res/"));
}

static bool hub_sends(const struct cloud_session *session, struct bytes name)
{
    static const char *const filters[] = {"$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
                                          "$iothub/methods/POST/#"};
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        if (bytes_equal(name, bytes_of_text(filters[i])))
            return true;
    return bytes_equal(behind_device(name, session->client_id), bytes_of_text("devicebound/#"));
}

/* ---- judging ------------------------------------------------------------------------------------------ */

static enum outcome judge_shape(const struct cloud_limits *own, const struct name *name)
{
    bool deep = own->topic_slashes != 0 && name->slashes > own->topic_slashes;
    bool lengthy = own->topic_bytes != 0 && name->len > own->topic_bytes;
    return deep || lengthy ? OUTCOME_TOPIC_TOO_DEEP : OUTCOME_ALLOWED;
}

enum outcome cloud_judge_publish(const struct cloud_session *session, struct bytes topic, bool retain,
                                 bool will, uint32_t payload_bytes)
{
    const struct cloud_limits *own = cloud_limits(session->profile);
    struct name name;
    see(session, topic, &name);
    if (own->hub_topics && !hub_takes(session, bytes_of(name.at, name.kept), will))
        return OUTCOME_CLOUD_TOPIC;
    if (own->no_reserved_retained && retain && name.kept != 0 && name.at[0] == '$')
        return OUTCOME_RETAIN_DENIED;
    if (own->payload_bytes != 0 && payload_bytes > own->payload_bytes)
        return OUTCOME_PAYLOAD_TOO_LARGE;
    return judge_shape(own, &name);
}

enum outcome cloud_judge_filter(const struct cloud_session *session, struct bytes filter)
{
    const struct cloud_limits *own = cloud_limits(session->profile);
    struct name name;
    see(session, filter, &name);
    if (own->hub_topics && !hub_sends(session, bytes_of(name.at, name.kept)))
        return OUTCOME_CLOUD_TOPIC;
    return judge_shape(own, &name);
}
