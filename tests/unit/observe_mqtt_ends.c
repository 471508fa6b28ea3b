/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts that time brings, and the ends of connections. */
#include "tests/unit/observe_mqtt.h"

OBSERVE_PROBE(mqtt_connect_timeout)
{
    struct policy_role_spec role = observe_role(run);
    open_observed(run, &role);
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_wait(&lab, 10 * SECOND);
    return close_observed(run, alive(device));
}

OBSERVE_PROBE(mqtt_packet_timeout)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    lab_feed(s.device, (const uint8_t *)"\x30\x20", 2);
    lab_wait(&lab, 40 * SECOND);
    return close_observed(run, alive(s.device));
}

OBSERVE_PROBE(mqtt_release_timeout)
{
    struct policy_role_spec role = observe_role(run);
    role.law.release_s = 40;
    struct lab_session s = observed_session(run, &role, MQTT_3_1_1);
    publish(&s, "own/a", 2, 1);
    ack(&s, s.upstream, MQTT_PUBREC, 1);
    lab_wait(&lab, 41 * SECOND);
    return close_observed(run, mqtt_relays_counters(lab.relays)->count[RELAY_RELEASES_FORGOTTEN] == 0);
}

OBSERVE_PROBE(mqtt_keepalive_timeout)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    lab_wait(&lab, 95 * SECOND);
    return close_observed(run, alive(s.device));
}

OBSERVE_PROBE(mqtt_idle_timeout)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "dev-1");
    role.limits.keepalive_max_s = 60;
    p.connect.keep_alive_s = 0;
    open_observed(run, &role);
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    lab_upstream_opens(lab.dialled);
    p = lab_connack(MQTT_3_1_1, 0);
    lab_send(lab.dialled, &p);
    for (int i = 0; i < 10; i++) { /* the upstream is well */
        p = lab_plain(MQTT_3_1_1, MQTT_PINGRESP);
        lab_wait(&lab, 10 * SECOND);
        lab_send(lab.dialled, &p);
    }
    return close_observed(run, alive(device));
}

OBSERVE_PROBE(mqtt_write_stall)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_3_1_1);
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "own/a", 0, 0);
    s.device->room = 0;
    lab_send(s.upstream, &p);
    for (int i = 0; i < 40; i++) {
        p = lab_plain(MQTT_3_1_1, MQTT_PINGREQ);
        lab_send(s.device, &p);
        lab_wait(&lab, SECOND);
    }
    return close_observed(run, alive(s.device));
}

OBSERVE_PROBE(mqtt_client_lost)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    if (run->outcome == OUTCOME_CLIENT_DISCONNECT) {
        struct mqtt_packet p = lab_plain(MQTT_5, MQTT_DISCONNECT);
        lab_send(s.device, &p);
    } else {
        lab_peer_closes(s.device, STREAM_END_RESET);
    }
    return close_observed(run, alive(s.device) && alive(s.upstream));
}

OBSERVE_PROBE(mqtt_upstream_ends)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    open_observed(run, &role);
    if (run->outcome == OUTCOME_UPSTREAM_PROTOCOL || run->outcome == OUTCOME_UPSTREAM_LOST ||
        run->outcome == OUTCOME_SHUTTING_DOWN) {
        struct lab_session s = lab_session(&lab, MQTT_5, "dev-1");
        if (run->outcome == OUTCOME_UPSTREAM_PROTOCOL)
            lab_feed(s.upstream, (const uint8_t *)"\xc0\x00", 2);
        else if (run->outcome == OUTCOME_UPSTREAM_LOST)
            lab_peer_closes(s.upstream, STREAM_END_RESET);
        else
            (void)mqtt_relays_drain(lab.relays, OUTCOME_SHUTTING_DOWN, 8);
        lab_flush(&lab);
        return close_observed(run, alive(s.device));
    }
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    lab_peer_closes(lab.dialled, run->outcome == OUTCOME_UPSTREAM_TLS       ? STREAM_END_TLS_VERIFY
                                 : run->outcome == OUTCOME_UPSTREAM_TIMEOUT ? STREAM_END_TIMEOUT
                                                                            : STREAM_END_REFUSED);
    return close_observed(run, alive(device));
}
