/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The named outcomes of judging: one table, from which come the enum, the identifier used in events, metrics
 * and commands, the sentence a person reads, and the MQTT 5 reason code that a client is told. Value 0 is
 * "undecided", which is treated as a refusal everywhere (architecture, decision 8). New outcomes are added at
 * the end of their group.
 *
 * OUTCOME(name, id, text, mqtt5_reason_code)
 */
#ifndef POLICY_VERDICT_H
#define POLICY_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#define OUTCOME_TABLE(OUTCOME)                                                                               \
    OUTCOME(UNDECIDED, "undecided", "nothing decided this; dropped", 0x83)                                   \
    OUTCOME(ALLOWED, "allowed", "allowed by a rule", 0x00)                                                   \
    /* access (C, D4, D5, D7, E2) */                                                                         \
    OUTCOME(DEFAULT_DENY, "default-deny", "no rule of the role allows this", 0x87)                           \
    OUTCOME(RULE_DENY, "rule-deny", "a rule denies this", 0x87)                                              \
    OUTCOME(NO_ROLE, "no-role", "the client matches no role", 0x87)                                          \
    OUTCOME(NO_LISTENER, "no-listener", "the listener is not in the new configuration", 0x98)                \
    OUTCOME(QUARANTINED, "quarantined", "the client is quarantined", 0x8A)                                   \
    OUTCOME(IDENTITY_MISMATCH, "identity-mismatch", "what is known of the device does not fit", 0x87)        \
    OUTCOME(CLIENT_ID_MISMATCH, "client-id-mismatch", "the client identifier is not bound to this identity", \
            0x85)                                                                                            \
    OUTCOME(BAD_CREDENTIALS, "bad-credentials", "user name or password is wrong", 0x86)                      \
    OUTCOME(SESSION_TAKEN, "session-taken", "the identity already has its sessions", 0x87)                   \
    OUTCOME(UNSAFE_VARIABLE, "unsafe-variable", "an identity value holds '+', '#', '/' or NUL", 0x85)        \
    OUTCOME(NO_PASSWORD, "no-password", "the gateway has no password for this identity", 0x87)               \
    OUTCOME(CLOUD_TOPIC, "cloud-topic", "the cloud does not take this topic", 0x90)                          \
    OUTCOME(OUTSIDE_MOUNT, "outside-mount", "the topic is not below the client's mount point", 0x90)         \
    OUTCOME(WILL_REQUIRED, "will-required", "the role requires a Last Will", 0x83)                           \
    OUTCOME(RIGHTS_LOST, "rights-lost", "the new policy no longer allows this client", 0x98)                 \
    OUTCOME(TAKEN_OVER, "taken-over", "a new connection of the same client took over", 0x8E)                 \
    OUTCOME(ADMIN_KICK, "admin-kick", "ended by an administrator", 0x98)                                     \
    /* limits (D8, D9, F) */                                                                                 \
    OUTCOME(QOS_CAP, "qos-cap", "the QoS is above the cap of the role", 0x9B)                                \
    OUTCOME(RETAIN_DENIED, "retain-denied", "no rule allows this topic retained", 0x9A)                      \
    OUTCOME(INFLIGHT_CAP, "inflight-cap", "too many unacknowledged messages", 0x93)                          \
    OUTCOME(RATE_CONNECTS, "rate-connects", "too many connections", 0x9F)                                    \
    OUTCOME(RATE_PUBLISHES, "rate-publishes", "too many messages", 0x96)                                     \
    OUTCOME(RATE_BYTES, "rate-bytes", "too many bytes", 0x96)                                                \
    OUTCOME(PACKET_TOO_LARGE, "packet-too-large", "the packet is above the limit", 0x95)                     \
    OUTCOME(PAYLOAD_TOO_LARGE, "payload-too-large", "the payload is above the rule's limit", 0x97)           \
    OUTCOME(QUERY_DENIED, "query-denied", "no rule allows this query", 0x87)                                 \
    OUTCOME(FORMAT_DENIED, "format-denied", "no rule allows this content format", 0x99)                      \
    OUTCOME(BLOCK_DENIED, "block-denied", "no rule allows this block-wise", 0x87)                            \
    OUTCOME(SUBSCRIPTION_CAP, "subscription-cap", "too many subscriptions", 0x97)                            \
    OUTCOME(TOPIC_TOO_DEEP, "topic-too-deep", "the topic has too many levels or bytes", 0x90)                \
    OUTCOME(PROPERTY_CAP, "property-cap", "too many user properties", 0x97)                                  \
    OUTCOME(KEEPALIVE_RANGE, "keepalive-range", "the keep-alive is outside the role's range", 0x83)          \
    OUTCOME(QUEUE_FULL, "queue-full", "too much waits for this client", 0x97)                                \
    OUTCOME(NO_RESOURCES, "no-resources", "a table of the gateway is full", 0x97)                            \
    OUTCOME(FILTER_TOO_WIDE, "filter-too-wide", "the filter meets more rules than one decision looks at",    \
            0x97)                                                                                            \
    OUTCOME(RATE_REQUESTS, "rate-requests", "too many requests", 0x96)                                       \
    OUTCOME(EXCHANGE_CAP, "exchange-cap", "too many requests wait for an answer", 0x97)                      \
    OUTCOME(OBSERVATION_CAP, "observation-cap", "too many observations", 0x97)                               \
    OUTCOME(RATE_SUBSCRIBES, "rate-subscribes", "too many subscribe packets", 0x96)                          \
    OUTCOME(RATE_PINGS, "rate-pings", "too many pings", 0x96)                                                \
    OUTCOME(TRANSFER_CAP, "transfer-cap", "too many block-wise transfers at once", 0x97)                     \
    OUTCOME(TRANSFER_BROKEN, "transfer-broken", "a block is not the next one, or came too late", 0x82)       \
    OUTCOME(UNPROVED_ADDRESS, "unproved-address", "the address has not proved itself", 0x97)                 \
    OUTCOME(AUTH_BUSY, "auth-busy", "too many passwords wait to be checked", 0x89)                           \
    /* protocol law (D1, D2, D3, D6) */                                                                      \
    OUTCOME(MALFORMED, "malformed", "malformed packet", 0x81)                                                \
    OUTCOME(MALFORMED_LENGTH, "malformed-length", "Remaining Length is not valid", 0x81)                     \
    OUTCOME(MALFORMED_FLAGS, "malformed-flags", "reserved flags of the fixed header are set", 0x81)          \
    OUTCOME(MALFORMED_TYPE, "malformed-type", "reserved packet type", 0x81)                                  \
    OUTCOME(MALFORMED_STRING, "malformed-string", "a string is not valid UTF-8", 0x81)                       \
    OUTCOME(MALFORMED_PROPERTY, "malformed-property", "a property is malformed", 0x81)                       \
    OUTCOME(MALFORMED_PAYLOAD, "malformed-payload", "the payload is not what its rule or mark says", 0x99)   \
    OUTCOME(PROTOCOL_ERROR, "protocol-error", "the packet is not allowed now", 0x82)                         \
    OUTCOME(WRONG_DIRECTION, "wrong-direction", "this packet type is not sent by this side", 0x82)           \
    OUTCOME(FIRST_NOT_CONNECT, "first-not-connect", "the first packet is not CONNECT", 0x82)                 \
    OUTCOME(SECOND_CONNECT, "second-connect", "a second CONNECT", 0x82)                                      \
    OUTCOME(BAD_PROTOCOL_VERSION, "bad-protocol-version", "unknown protocol name or level", 0x84)            \
    OUTCOME(BAD_CLIENT_ID, "bad-client-id", "the client identifier is not valid", 0x85)                      \
    OUTCOME(BAD_TOPIC, "bad-topic", "the topic name is not valid", 0x90)                                     \
    OUTCOME(BAD_FILTER, "bad-filter", "the topic filter is not valid", 0x8F)                                 \
    OUTCOME(BAD_TOPIC_ALIAS, "bad-topic-alias", "the topic alias is 0, too high or was never set", 0x94)     \
    OUTCOME(BAD_PACKET_ID, "bad-packet-id", "the packet identifier is 0 or in use", 0x82)                    \
    OUTCOME(UNKNOWN_PACKET_ID, "unknown-packet-id", "the packet identifier is not known", 0x92)              \
    OUTCOME(SHARED_NO_LOCAL, "shared-no-local", "No Local on a shared subscription", 0x82)                   \
    OUTCOME(REDIRECT_STRIPPED, "redirect-stripped", "a server redirection was removed", 0x00)                \
    OUTCOME(AUTH_METHOD, "auth-method", "enhanced authentication is not possible here", 0x8C)                \
    OUTCOME(BAD_PROPERTY, "bad-property", "a property is repeated, or not allowed to this side or value",    \
            0x82)                                                                                            \
    OUTCOME(BAD_REASON_CODE, "bad-reason-code", "the reason code is not one of this packet type", 0x82)      \
    OUTCOME(BAD_OPTION, "bad-option", "an option is not known or not valid", 0x82)                           \
    OUTCOME(BAD_METHOD, "bad-method", "the method is not known", 0x82)                                       \
    OUTCOME(NO_TOPIC, "no-topic", "no map of the role leads from this path to a topic", 0x90)                \
    OUTCOME(BAD_PATH, "bad-path", "a segment of the path is not allowed", 0x90)                              \
    OUTCOME(PROXY_REFUSED, "proxy-refused", "the request asks for a proxy", 0x83)                            \
    OUTCOME(HOP_LIMIT, "hop-limit", "the request has passed too many proxies", 0x83)                         \
    OUTCOME(MULTICAST, "multicast", "the request was sent to a group", 0x83)                                 \
    /* time (D2) */                                                                                          \
    OUTCOME(CONNECT_TIMEOUT, "connect-timeout", "no CONNECT in time", 0x82)                                  \
    OUTCOME(PACKET_TIMEOUT, "packet-timeout", "a packet was begun and not completed in time", 0x82)          \
    OUTCOME(RELEASE_TIMEOUT, "release-timeout", "a QoS 2 message was not released in time", 0x97)            \
    OUTCOME(KEEPALIVE_TIMEOUT, "keepalive-timeout", "nothing was heard in 1.5 times the keep-alive", 0x8D)   \
    OUTCOME(IDLE_TIMEOUT, "idle-timeout", "idle longer than the gateway allows", 0x98)                       \
    OUTCOME(WRITE_STALL, "write-stall", "the peer did not read in time", 0x97)                               \
    /* ends of connections */                                                                                \
    OUTCOME(CLIENT_DISCONNECT, "client-disconnect", "the client disconnected", 0x00)                         \
    OUTCOME(CLIENT_LOST, "client-lost", "the client's connection ended without DISCONNECT", 0x00)            \
    OUTCOME(CLIENT_TLS, "client-tls", "the client's TLS or DTLS handshake failed", 0x87)                     \
    OUTCOME(HANDSHAKE_CAP, "handshake-cap", "too many handshakes are under way", 0x97)                       \
    OUTCOME(PSK_UNKNOWN, "psk-unknown", "there is no key for the client's PSK identity", 0x87)               \
    OUTCOME(CERTIFICATE_LOST, "certificate-lost", "the certificate is no longer accepted", 0x87)             \
    OUTCOME(PSK_LOST, "psk-lost", "the pre-shared key is no longer accepted", 0x87)                          \
    OUTCOME(UPSTREAM_REFUSED, "upstream-refused", "the upstream refused the connection", 0x88)               \
    OUTCOME(UPSTREAM_TLS, "upstream-tls", "the TLS handshake with the upstream failed", 0x88)                \
    OUTCOME(UPSTREAM_TIMEOUT, "upstream-timeout", "the upstream did not answer in time", 0x88)               \
    OUTCOME(UPSTREAM_LOST, "upstream-lost", "the upstream's connection ended", 0x88)                         \
    OUTCOME(UPSTREAM_PROTOCOL, "upstream-protocol", "the upstream broke the protocol", 0x82)                 \
    OUTCOME(SHUTTING_DOWN, "shutting-down", "the gateway is stopping", 0x8B)

#define OUTCOME_ENUM(name, id, text, code) OUTCOME_##name,
enum outcome { OUTCOME_TABLE(OUTCOME_ENUM) OUTCOME_COUNT };
#undef OUTCOME_ENUM

/* The groups of the table, told apart by the first of each. */
enum outcome_group {
    OUTCOME_OF_ACCESS = 0,
    OUTCOME_OF_LIMIT,
    OUTCOME_OF_PROTOCOL,
    OUTCOME_OF_TIME,
    OUTCOME_OF_END
};
static inline enum outcome_group outcome_group(enum outcome outcome)
{
    return outcome < OUTCOME_QOS_CAP             ? OUTCOME_OF_ACCESS
           : outcome < OUTCOME_MALFORMED         ? OUTCOME_OF_LIMIT
           : outcome < OUTCOME_CONNECT_TIMEOUT   ? OUTCOME_OF_PROTOCOL
           : outcome < OUTCOME_CLIENT_DISCONNECT ? OUTCOME_OF_TIME
                                                 : OUTCOME_OF_END;
}

/* The stable identifier ("default-deny"), the sentence, and the MQTT 5 reason code. Any value is safe to
 * pass. */
const char *outcome_id(enum outcome outcome);
const char *outcome_text(enum outcome outcome);
uint8_t outcome_mqtt5_code(enum outcome outcome);
/* CONNACK return code of MQTT 3.1 and 3.1.1 (s.3.2.2.3) that is nearest. */
uint8_t outcome_connack3_code(enum outcome outcome);

#endif
