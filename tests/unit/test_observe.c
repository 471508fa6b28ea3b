/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * G6, verdict by verdict: what goes on while a role or the whole gateway only observes, and what is refused
 * even so. There is a row for each verdict of policy/verdict.h: this does not compile when one has none. The
 * same table, in words, is in docs/operations.md ("Observing").
 */
#include "tests/unit/observe_case.h"
#include "tests/unit/relay_lab.h"
#include "tests/unit/runner.h"

struct row {
    const char *elsewhere; /* why nothing of it depends on the role, and where it is tested */
    bool (*probe)(struct observe_run *run);
    bool passes; /* goes on, told and not enforced, while the role observes */
    bool grants; /* no refusal: goes on in any case */
    bool quiet;  /* refused without an event */
};

#define ROW(name) static const struct row row_##name
#define OBSERVED(name, by) ROW(name) = {.probe = by, .passes = true}
#define HOLDS(name, by) ROW(name) = {.probe = by}
#define HOLDS_QUIETLY(name, by) ROW(name) = {.probe = by, .quiet = true}
#define ELSEWHERE(name, text) ROW(name) = {.elsewhere = text}

ELSEWHERE(UNDECIDED, "no code answers it: what would is a refusal");
ROW(ALLOWED) = {.probe = mqtt_allowed, .grants = true};
/* access */
OBSERVED(DEFAULT_DENY, mqtt_default_deny);
OBSERVED(RULE_DENY, mqtt_rule_deny);
HOLDS(NO_ROLE, mqtt_no_role);
HOLDS(NO_LISTENER, mqtt_no_listener);
HOLDS(QUARANTINED, mqtt_quarantined);
HOLDS(IDENTITY_MISMATCH, coap_identity_mismatch);
HOLDS(CLIENT_ID_MISMATCH, mqtt_client_id_mismatch);
HOLDS(BAD_CREDENTIALS, mqtt_bad_credentials);
OBSERVED(SESSION_TAKEN, mqtt_session_taken);
HOLDS(UNSAFE_VARIABLE, mqtt_unsafe_variable);
HOLDS(NO_PASSWORD, mqtt_no_password);
OBSERVED(CLOUD_TOPIC, mqtt_cloud_topic);
ELSEWHERE(OUTSIDE_MOUNT, "what comes from outside has no name to go on by; test_relay_shape");
OBSERVED(WILL_REQUIRED, mqtt_will_required);
HOLDS(RIGHTS_LOST, mqtt_rights_lost);
HOLDS(TAKEN_OVER, mqtt_taken_over);
HOLDS(ADMIN_KICK, mqtt_admin_kick);
/* limits */
OBSERVED(QOS_CAP, mqtt_qos_cap);
OBSERVED(RETAIN_DENIED, mqtt_retain_denied);
OBSERVED(INFLIGHT_CAP, mqtt_inflight_cap);
OBSERVED(RATE_CONNECTS, mqtt_rate_connects);
OBSERVED(RATE_PUBLISHES, mqtt_rate_publishes);
OBSERVED(RATE_BYTES, mqtt_rate_bytes);
OBSERVED(PACKET_TOO_LARGE, mqtt_packet_too_large);
OBSERVED(PAYLOAD_TOO_LARGE, mqtt_payload_too_large);
OBSERVED(QUERY_DENIED, coap_query_denied);
OBSERVED(FORMAT_DENIED, coap_format_denied);
OBSERVED(BLOCK_DENIED, coap_block_denied);
OBSERVED(SUBSCRIPTION_CAP, mqtt_subscription_cap);
OBSERVED(TOPIC_TOO_DEEP, mqtt_topic_too_deep);
OBSERVED(PROPERTY_CAP, mqtt_property_cap);
OBSERVED(KEEPALIVE_RANGE, mqtt_keepalive_range);
HOLDS(QUEUE_FULL, mqtt_queue_full);
ELSEWHERE(NO_RESOURCES, "a table of the gateway is full, whoever asks; test_mqtt_guard, test_source_table");
OBSERVED(FILTER_TOO_WIDE, mqtt_filter_too_wide);
OBSERVED(RATE_REQUESTS, coap_rate_requests);
OBSERVED(EXCHANGE_CAP, coap_exchange_cap);
OBSERVED(OBSERVATION_CAP, coap_observation_cap);
OBSERVED(RATE_SUBSCRIBES, mqtt_rate_subscribes);
OBSERVED(RATE_PINGS, mqtt_rate_pings);
OBSERVED(TRANSFER_CAP, coap_transfer_cap);
OBSERVED(TRANSFER_BROKEN, coap_transfer_broken);
HOLDS_QUIETLY(UNPROVED_ADDRESS, coap_unproved_address);
HOLDS(AUTH_BUSY, mqtt_auth_busy);
/* protocol law */
HOLDS(MALFORMED, mqtt_bytes);
HOLDS(MALFORMED_LENGTH, mqtt_bytes);
HOLDS(MALFORMED_FLAGS, mqtt_bytes);
HOLDS(MALFORMED_TYPE, mqtt_bytes);
HOLDS(MALFORMED_STRING, mqtt_bytes);
HOLDS(MALFORMED_PROPERTY, mqtt_bytes);
OBSERVED(MALFORMED_PAYLOAD, mqtt_malformed_payload);
HOLDS(PROTOCOL_ERROR, mqtt_bytes);
HOLDS(WRONG_DIRECTION, mqtt_bytes);
HOLDS(FIRST_NOT_CONNECT, mqtt_first_not_connect);
HOLDS(SECOND_CONNECT, mqtt_bytes);
HOLDS(BAD_PROTOCOL_VERSION, mqtt_bad_protocol_version);
HOLDS(BAD_CLIENT_ID, mqtt_bad_client_id);
HOLDS(BAD_TOPIC, mqtt_bytes);
HOLDS(BAD_FILTER, mqtt_bytes);
HOLDS(BAD_TOPIC_ALIAS, mqtt_bytes);
HOLDS(BAD_PACKET_ID, mqtt_bytes);
HOLDS_QUIETLY(UNKNOWN_PACKET_ID, mqtt_unknown_packet_id);
HOLDS(SHARED_NO_LOCAL, mqtt_bytes);
HOLDS(REDIRECT_STRIPPED, mqtt_redirect_stripped);
HOLDS(AUTH_METHOD, mqtt_bytes);
HOLDS(BAD_PROPERTY, mqtt_bytes);
HOLDS(BAD_REASON_CODE, mqtt_bytes);
HOLDS(BAD_OPTION, coap_bad_option);
HOLDS(BAD_METHOD, coap_bad_method);
HOLDS(NO_TOPIC, coap_no_topic);
HOLDS(BAD_PATH, coap_bad_path);
HOLDS(PROXY_REFUSED, coap_proxy_refused);
HOLDS(HOP_LIMIT, coap_hop_limit);
HOLDS(MULTICAST, coap_multicast);
/* time */
HOLDS(CONNECT_TIMEOUT, mqtt_connect_timeout);
HOLDS(PACKET_TIMEOUT, mqtt_packet_timeout);
HOLDS(RELEASE_TIMEOUT, mqtt_release_timeout);
HOLDS(KEEPALIVE_TIMEOUT, mqtt_keepalive_timeout);
HOLDS(IDLE_TIMEOUT, mqtt_idle_timeout);
HOLDS(WRITE_STALL, mqtt_write_stall);
/* ends of connections */
HOLDS(CLIENT_DISCONNECT, mqtt_client_lost);
HOLDS(CLIENT_LOST, mqtt_client_lost);
ELSEWHERE(CLIENT_TLS, "nobody is known yet; test_tls_server, test_dtls_server");
ELSEWHERE(HANDSHAKE_CAP, "nobody is known yet; test_fair_queue");
ELSEWHERE(PSK_UNKNOWN, "nobody is known yet; test_tls_psk");
ELSEWHERE(PSK_LOST, "whoever has no proof is nobody; test_tls_psk, e2e 69-tls-psk");
ELSEWHERE(CERTIFICATE_LOST, "whoever has no proof is nobody; test_revocation, e2e 65-shield");
HOLDS(UPSTREAM_REFUSED, mqtt_upstream_ends);
HOLDS(UPSTREAM_TLS, mqtt_upstream_ends);
HOLDS(UPSTREAM_TIMEOUT, mqtt_upstream_ends);
HOLDS(UPSTREAM_LOST, mqtt_upstream_ends);
HOLDS(UPSTREAM_PROTOCOL, mqtt_upstream_ends);
HOLDS_QUIETLY(SHUTTING_DOWN, mqtt_upstream_ends);

static const struct {
    enum outcome outcome;
    const struct row *row;
} rows[] = {
#define OUTCOME_ROW(name, id, text, code) {OUTCOME_##name, &row_##name},
    OUTCOME_TABLE(OUTCOME_ROW)
#undef OUTCOME_ROW
};

static const char *const column_names[OBSERVE_COLUMNS] = {"enforces", "role observes", "gateway observes"};

static void check(bool good, enum outcome outcome, enum observe_column column, const char *what)
{
    if (!good)
        fprintf(stderr, "%s, %s: %s\n", outcome_id(outcome), column_names[column], what);
    CU_ASSERT_TRUE(good);
}

/* One probe in one column. What goes on is told as "only recorded" and never as enforced, and the reverse. */
static void run_probe(const struct row *row, enum outcome outcome, enum observe_column column)
{
    struct observe_run run = {.column = column, .outcome = outcome};
    bool expected = row->grants || (row->passes && column != ENFORCES);
    bool went_on = row->probe(&run);
    check(went_on == expected, outcome, column, expected ? "it does not go on" : "it goes on");
    if (row->grants)
        return;
    if (!row->quiet) {
        check(run.seen.enforced == !expected, outcome, column, "what the event says of being enforced");
        check(run.seen.recorded == expected, outcome, column, "what the event says of being recorded");
    }
    if (row->passes)
        check(run.seen.counted != 0, outcome, column, "it is not counted");
}

static void each_verdict(void)
{
    uint32_t probed = 0;
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        CU_ASSERT_EQUAL(rows[i].outcome, i);
        CU_ASSERT_TRUE((rows[i].row->probe == NULL) == (rows[i].row->elsewhere != NULL));
        for (int column = 0; rows[i].row->probe != NULL && column < OBSERVE_COLUMNS; column++, probed++)
            run_probe(rows[i].row, rows[i].outcome, (enum observe_column)column);
    }
    CU_ASSERT_EQUAL(probed, OBSERVE_COLUMNS * (OUTCOME_COUNT - 8)); /* the rows of ELSEWHERE */
}

/* The same verdicts, come about in other ways. */
static void other_ways(void)
{
    static const struct {
        enum outcome outcome;
        struct row row;
    } ways[] = {
#define WAY(name, by)                                                                                        \
    {                                                                                                        \
        OUTCOME_##name,                                                                                      \
        {                                                                                                    \
            .probe = by, .passes = true                                                                      \
        }                                                                                                    \
    }
#define WAY_HOLDS(name, by)                                                                                  \
    {                                                                                                        \
        OUTCOME_##name,                                                                                      \
        {                                                                                                    \
            .probe = by                                                                                      \
        }                                                                                                    \
    }
        WAY(DEFAULT_DENY, coap_default_deny),
        WAY(RULE_DENY, coap_rule_deny),
        WAY(DEFAULT_DENY, mqtt_denied_subscribe),
        WAY(DEFAULT_DENY, mqtt_denied_delivery),
        WAY(DEFAULT_DENY, mqtt_denied_will),
        WAY(DEFAULT_DENY, mqtt_response_topic),
        WAY(QOS_CAP, mqtt_will_qos),
        WAY(RETAIN_DENIED, mqtt_will_retained),
        WAY(MALFORMED_PAYLOAD, mqtt_will_payload),
        WAY(MALFORMED_PAYLOAD, coap_malformed_payload),
        WAY(MALFORMED_STRING, mqtt_strict_publish), /* by `strings = "strict"`, not by the specification */
        WAY(MALFORMED_STRING, mqtt_strict_subscribe),
        WAY(MALFORMED_STRING, mqtt_strict_connect),
        WAY_HOLDS(MALFORMED_STRING, coap_malformed_string),
        WAY(PACKET_TOO_LARGE, mqtt_large_subscribe),
        WAY(PACKET_TOO_LARGE, coap_packet_too_large),
        WAY(PAYLOAD_TOO_LARGE, coap_payload_too_large),
        WAY(TOPIC_TOO_DEEP, coap_topic_too_deep),
        WAY(PROPERTY_CAP, mqtt_publish_properties),
        WAY(SESSION_TAKEN, mqtt_second_session),
        WAY(RATE_PUBLISHES, mqtt_flood_disconnects),
        WAY(RATE_PUBLISHES, mqtt_flood_quarantines),
        WAY(RATE_BYTES, coap_rate_bytes),
        WAY_HOLDS(EXCHANGE_CAP, coap_exchange_bound), /* the gateway's own bound */
#undef WAY
#undef WAY_HOLDS
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (int column = 0; column < OBSERVE_COLUMNS; column++)
            run_probe(&ways[i].row, ways[i].outcome, (enum observe_column)column);
}

/* `enforce = true`: a deny that holds though the role observes, and though something else that is only
 * recorded would have refused the same before. */
static void what_holds_is_not_hidden(void)
{
    static bool (*const probes[])(struct observe_run *) = {
        mqtt_hidden_by_nothing,        mqtt_hidden_by_qos,     mqtt_hidden_by_rate,  mqtt_hidden_by_depth,
        mqtt_hidden_by_properties,     mqtt_hidden_by_size,    mqtt_hidden_will,     mqtt_hidden_subscription,
        mqtt_hidden_by_subscribe_rate, coap_hidden_by_nothing, coap_hidden_by_depth, coap_hidden_by_size,
        coap_hidden_by_rate,
    };
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
        for (int column = ROLE_OBSERVES; column < OBSERVE_COLUMNS; column++) {
            struct observe_run run = {.column = (enum observe_column)column, .outcome = OUTCOME_RULE_DENY};
            bool held = !probes[i](&run) && run.seen.enforced && !run.seen.recorded && run.seen.counted != 0;
            if (!held)
                fprintf(stderr, "probe %zu, %s\n", i, column_names[column]);
            CU_ASSERT_TRUE(held);
        }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"G6: each verdict, enforced and observed", each_verdict},
        {"G6: the same by other ways", other_ways},
        {"G6: a deny that holds even so is hidden by nothing", what_holds_is_not_hidden},
    };
    return unit_run("observe", tests, sizeof(tests) / sizeof(tests[0]));
}
