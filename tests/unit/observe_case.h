/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes of test_observe.c: each brings about one verdict, in a gateway that enforces, in one whose role only
 * observes, and in one that only observes as a whole, and answers whether what was judged went on.
 */
#ifndef TESTS_UNIT_OBSERVE_CASE_H
#define TESTS_UNIT_OBSERVE_CASE_H

#include "policy/access/snapshot.h"

enum observe_column { ENFORCES = 0, ROLE_OBSERVES, GATEWAY_OBSERVES, OBSERVE_COLUMNS };

/* What the operator sees of the verdict that a probe is about. */
struct observed {
    uint64_t counted;
    bool enforced; /* there was an event that says so */
    bool recorded; /* and one that says "only recorded" */
};

/* One probe in one column. */
struct observe_run {
    enum observe_column column;
    enum outcome outcome;
    struct observed seen; /* filled in when the probe has closed what it opened */
};

static inline enum policy_mode observe_mode(const struct observe_run *run)
{
    return run->column == ROLE_OBSERVES ? POLICY_OBSERVE : POLICY_ENFORCE;
}

#define OBSERVE_PROBE(name) bool name(struct observe_run *run)

/* observe_mqtt.c */
OBSERVE_PROBE(mqtt_allowed);
OBSERVE_PROBE(mqtt_default_deny);
OBSERVE_PROBE(mqtt_rule_deny);
OBSERVE_PROBE(mqtt_no_role);
OBSERVE_PROBE(mqtt_no_listener);
OBSERVE_PROBE(mqtt_quarantined);
OBSERVE_PROBE(mqtt_client_id_mismatch);
OBSERVE_PROBE(mqtt_bad_credentials);
OBSERVE_PROBE(mqtt_auth_busy);
OBSERVE_PROBE(mqtt_session_taken);
OBSERVE_PROBE(mqtt_unsafe_variable);
OBSERVE_PROBE(mqtt_no_password);
OBSERVE_PROBE(mqtt_cloud_topic);
OBSERVE_PROBE(mqtt_will_required);
OBSERVE_PROBE(mqtt_rights_lost);
OBSERVE_PROBE(mqtt_taken_over);
OBSERVE_PROBE(mqtt_admin_kick);
OBSERVE_PROBE(mqtt_qos_cap);
OBSERVE_PROBE(mqtt_retain_denied);
OBSERVE_PROBE(mqtt_inflight_cap);
OBSERVE_PROBE(mqtt_rate_connects);
OBSERVE_PROBE(mqtt_rate_publishes);
OBSERVE_PROBE(mqtt_rate_bytes);
OBSERVE_PROBE(mqtt_rate_subscribes);
OBSERVE_PROBE(mqtt_rate_pings);
OBSERVE_PROBE(mqtt_packet_too_large);
OBSERVE_PROBE(mqtt_payload_too_large);
OBSERVE_PROBE(mqtt_subscription_cap);
OBSERVE_PROBE(mqtt_topic_too_deep);
OBSERVE_PROBE(mqtt_property_cap);
OBSERVE_PROBE(mqtt_keepalive_range);
OBSERVE_PROBE(mqtt_queue_full);
OBSERVE_PROBE(mqtt_filter_too_wide);
OBSERVE_PROBE(mqtt_malformed_payload);
OBSERVE_PROBE(mqtt_bytes); /* what a table says for the outcome */
OBSERVE_PROBE(mqtt_first_not_connect);
OBSERVE_PROBE(mqtt_bad_protocol_version);
OBSERVE_PROBE(mqtt_bad_client_id);
OBSERVE_PROBE(mqtt_unknown_packet_id);
OBSERVE_PROBE(mqtt_redirect_stripped);
OBSERVE_PROBE(mqtt_connect_timeout);
OBSERVE_PROBE(mqtt_packet_timeout);
OBSERVE_PROBE(mqtt_release_timeout);
OBSERVE_PROBE(mqtt_keepalive_timeout);
OBSERVE_PROBE(mqtt_idle_timeout);
OBSERVE_PROBE(mqtt_write_stall);
OBSERVE_PROBE(mqtt_client_lost);
OBSERVE_PROBE(mqtt_upstream_ends); /* as the outcome says */

/* observe_mqtt_more.c: the same verdicts by other ways. */
OBSERVE_PROBE(mqtt_denied_subscribe);
OBSERVE_PROBE(mqtt_denied_delivery);
OBSERVE_PROBE(mqtt_denied_will);
OBSERVE_PROBE(mqtt_will_qos);
OBSERVE_PROBE(mqtt_will_retained);
OBSERVE_PROBE(mqtt_will_payload);
OBSERVE_PROBE(mqtt_response_topic);
OBSERVE_PROBE(mqtt_strict_publish);
OBSERVE_PROBE(mqtt_strict_subscribe);
OBSERVE_PROBE(mqtt_strict_connect);
OBSERVE_PROBE(mqtt_large_subscribe);
OBSERVE_PROBE(mqtt_publish_properties);
OBSERVE_PROBE(mqtt_second_session);
OBSERVE_PROBE(mqtt_flood_disconnects);
OBSERVE_PROBE(mqtt_flood_quarantines);
/* A deny with `enforce`, beside something that is only recorded. */
OBSERVE_PROBE(mqtt_hidden_by_nothing);
OBSERVE_PROBE(mqtt_hidden_by_qos);
OBSERVE_PROBE(mqtt_hidden_by_rate);
OBSERVE_PROBE(mqtt_hidden_by_depth);
OBSERVE_PROBE(mqtt_hidden_by_properties);
OBSERVE_PROBE(mqtt_hidden_by_size);
OBSERVE_PROBE(mqtt_hidden_will);
OBSERVE_PROBE(mqtt_hidden_subscription);
OBSERVE_PROBE(mqtt_hidden_by_subscribe_rate);

/* observe_coap.c */
OBSERVE_PROBE(coap_hidden_by_nothing);
OBSERVE_PROBE(coap_hidden_by_depth);
OBSERVE_PROBE(coap_hidden_by_size);
OBSERVE_PROBE(coap_hidden_by_rate);
OBSERVE_PROBE(coap_default_deny);
OBSERVE_PROBE(coap_rule_deny);
OBSERVE_PROBE(coap_identity_mismatch);
OBSERVE_PROBE(coap_query_denied);
OBSERVE_PROBE(coap_format_denied);
OBSERVE_PROBE(coap_block_denied);
OBSERVE_PROBE(coap_rate_requests);
OBSERVE_PROBE(coap_rate_bytes);
OBSERVE_PROBE(coap_exchange_cap);
OBSERVE_PROBE(coap_exchange_bound);
OBSERVE_PROBE(coap_observation_cap);
OBSERVE_PROBE(coap_transfer_cap);
OBSERVE_PROBE(coap_transfer_broken);
OBSERVE_PROBE(coap_unproved_address);
OBSERVE_PROBE(coap_packet_too_large);
OBSERVE_PROBE(coap_payload_too_large);
OBSERVE_PROBE(coap_topic_too_deep);
OBSERVE_PROBE(coap_bad_option);
OBSERVE_PROBE(coap_bad_method);
OBSERVE_PROBE(coap_no_topic);
OBSERVE_PROBE(coap_bad_path);
OBSERVE_PROBE(coap_proxy_refused);
OBSERVE_PROBE(coap_hop_limit);
OBSERVE_PROBE(coap_multicast);
OBSERVE_PROBE(coap_malformed_string);
OBSERVE_PROBE(coap_malformed_payload);

#endif
