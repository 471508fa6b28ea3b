/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This box: sallyport.conf as checked settings (operators' surface 2.3, 2.3a). All strings and arrays live in
 * the object and as long as it. Immutable once loaded. Addresses are IPv4-mapped IPv6 in network order; paths
 * have been made absolute relative to the directory of the file.
 */
#ifndef CONFIG_GATEWAY_CONFIG_H
#define CONFIG_GATEWAY_CONFIG_H

#include "config/address.h"
#include "config/diagnostics.h"
#include "policy/access/rates.h"
#include "policy/mqtt/cloud.h"

#define GATEWAY_PORTS_MAX 8
#define GATEWAY_INTERFACES_MAX 16
#define GATEWAY_LISTENERS_MAX 64
#define GATEWAY_UPSTREAMS_MAX 32
#define GATEWAY_SERVERS_MAX 8
#define GATEWAY_ADDRESSES_MAX 8
#define GATEWAY_ROUTES_MAX 256
#define GATEWAY_PROXY_HOSTS_MAX 8
#define GATEWAY_PATHS_MAX 1024

/*
 * One entry of `ports`. Two entries with the same device and different VLANs are two interfaces of one port;
 * `vlan` may be absent (untagged).
 */
struct config_interface {
    struct config_origin origin;
    const char *name;
    const char *device; /* "af_xdp:eth1" */
    uint32_t port;      /* index of the device among the distinct devices, see gateway_config.devices */
    uint16_t vlan;
    uint16_t mtu; /* 0: the device's */
    uint32_t addresses_n;
    struct config_address addresses[GATEWAY_ADDRESSES_MAX];
    bool has_next_hop;
    uint8_t next_hop[16]; /* default route of this interface's family */
    bool has_next_hop6;
    uint8_t next_hop6[16];
};

struct config_route { /* routes = ( { to = "10.40.0.0/16"; via = "10.30.0.254"; port = "wan"; } ) */
    struct config_origin origin;
    struct config_address to;
    uint8_t via[16];
    uint16_t interface;
};

enum config_protocol {
    CONFIG_MQTT = 0,
    CONFIG_COAP,
};

enum config_security {
    CONFIG_SECURITY_NONE = 0,
    CONFIG_SECURITY_TLS,
    CONFIG_SECURITY_DTLS,
};

/* How clients of a listener prove who they are: bits; any one of those that are set is enough. */
#define CONFIG_AUTH_CERT 1U
#define CONFIG_AUTH_PSK 2U
#define CONFIG_AUTH_PASSWORD 4U
#define CONFIG_AUTH_ANONYMOUS 8U /* who gives no user name needs no password */

/* What all devices of one prefix may do together (E3). */
struct config_prefix {
    struct rates rates;    /* requests and bytes */
    uint32_t exchanges;    /* under way, observations apart; 0: unlimited */
    uint32_t observations; /* 0: unlimited */
    uint8_t v4_bits;
    uint8_t v6_bits;
};

/* ocsp_ask = { ... }: what is asked of the responder of a peer's issuer (B4). */
struct config_ocsp {
    uint8_t mode;          /* enum ocsp_mode of dataplane/secure: 0: nothing is asked, 1: soft, 2: hard */
    uint8_t leaf_only;     /* certificates = "leaf", "chain" */
    const char *responder; /* http://...; NULL: the one that the certificate names */
    uint64_t cache_us;     /* an answer is kept no longer */
    uint64_t timeout_us;   /* of one question */
};

enum config_dtls { CONFIG_DTLS_1_2 = 0, CONFIG_DTLS_1_3, CONFIG_DTLS_BOTH };

struct config_listener {
    struct config_origin origin;
    const char *name;
    uint16_t interface;
    enum config_protocol protocol;
    enum config_security security;
    uint8_t auth;     /* CONFIG_AUTH_...; 0: not asked */
    bool any;         /* "any:1883": every destination that is not ours, and ours */
    bool has_address; /* "10.20.0.1:1883"; else ":1883", all addresses of the interface */
    uint8_t address[16];
    uint16_t port;
    uint32_t upstream;
    const char *certificate; /* with security: the listener's own chain; NULL: none */
    const char *key;
    const char *key_password; /* file with the passphrase; NULL: the key is not encrypted */
    const char *client_ca;    /* whoever shows a certificate must have it from there */
    const char *crl;          /* of clients' certificates */
    const char *pins;         /* of clients' keys, over DTLS: comma-separated; NULL: any */
    const char *psk_file;
    struct config_ocsp ocsp;     /* of clients' certificates */
    struct rates per_source;     /* F1: connects 10/s */
    struct rates total;          /* of all its clients together */
    struct config_prefix prefix; /* CoAP */
    uint32_t proxy_n;            /* CoAP: whose proxy it is, else nobody's */
    const char *proxy[GATEWAY_PROXY_HOSTS_MAX];
    bool multicast;                 /* CoAP: requests to groups are answered (E6) */
    uint32_t sessions_per_source;   /* 0: unlimited */
    bool tls_1_2;                   /* min_version = "1.2" */
    bool min_version_set;           /* here, not in `tls` */
    enum config_dtls dtls;          /* versions of DTLS */
    bool connection_ids;            /* of DTLS 1.3 */
    bool resumption;                /* tickets are given */
    uint32_t handshakes_per_source; /* TLS handshakes under way at once */
};

/* tls = { ... }: what TLS listeners take that do not say it themselves. Used up when a file is checked. */
struct config_tls {
    const char *certificate;
    const char *key;
    const char *client_ca;
    const char *crl;
    bool tls_1_2;
};

enum config_balance {
    CONFIG_ORDER = 0, /* the first that is up */
    CONFIG_ROUND_ROBIN,
};

enum config_check { /* of an upstream's servers */
                    CONFIG_CHECK_NONE = 0,
                    CONFIG_CHECK_TCP,
                    CONFIG_CHECK_TLS,
                    CONFIG_CHECK_MQTT_PING,
};

struct config_server {
    uint8_t address[16];
    uint16_t port;
};

struct config_upstream {
    struct config_origin origin;
    const char *name;
    enum config_protocol protocol;
    enum config_security security;
    uint32_t servers_n;
    struct config_server servers[GATEWAY_SERVERS_MAX];
    const char *server_name;
    const char *alpn; /* or NULL */
    const char *ca;
    const char *certificate; /* may hold ${id}; NULL: none */
    const char *key;
    const char *bundle;       /* all devices' certificates and keys in one file, instead of the two */
    const char *key_password; /* file with the passphrase of encrypted keys; NULL: none are */
    const char *pins;         /* comma-separated; NULL: any key */
    const char *crl;
    uint8_t stapling; /* ocsp = "none", "stapled", "required" */
    struct config_ocsp ocsp;
    bool tls_1_2;          /* min_version = "1.2" */
    enum config_dtls dtls; /* not CONFIG_DTLS_BOTH */
    bool connection_ids;   /* of DTLS 1.3 */
    bool resumption;
    uint64_t connect_timeout_us;
    uint32_t dials; /* MQTT: being opened at once, each worker; 0: any number */
    enum cloud_profile profile;
    const char *user_name;     /* template; NULL: as the device says */
    const char *password_file; /* see gateway/secret_file.h; NULL: none */
    const char *client_id;     /* template; NULL: the device's */
    const char *mount;         /* template, see policy/mqtt/mount.h; NULL: none */
    enum config_balance balance;
    enum config_check check;
    uint64_t check_interval_us;
    uint32_t check_fall, check_rise; /* checks in a row */
    const char *check_id;            /* whose certificate is shown, and the MQTT client identifier */
    const char *psk_id;              /* instead of all certificates; may hold ${id}; NULL: none */
    const char *psk_file;
    uint64_t cache_bytes; /* CoAP: what a worker keeps of its responses; 0: nothing (E5) */
    uint32_t nstart;      /* CoAP: outstanding requests of an identity (RFC 7252 s.4.7) */
    struct rate probing;  /* CoAP: bytes toward a server that does not answer */
};

struct config_events {
    const char *file;     /* or NULL: none */
    bool topics_full;     /* topics = "full" | "none" */
    bool allowed_connect; /* allowed = "connect" (default), "none", "all" */
    bool allowed_all;
    struct rate will_storm; /* more ungraceful ends than that are an alert; "100/min" */
};

struct gateway_config {
    const char *file;
    const char *directory; /* of `file`, absolute */
    const char *name;
    bool observe;     /* mode = "observe" for the whole gateway */
    uint32_t workers; /* 0: auto */
    uint64_t memory_bytes;
    int8_t hugepages;     /* -1 auto, 0 no, 1 yes */
    bool idle_adaptive;   /* idle = "adaptive" (default) or "poll" */
    uint32_t connections; /* capacity of one worker: limits = { connections = ... }; default 20,000 */
    uint32_t
        dtls_handshakes; /* of clients, under way at once in one worker; 0: the default of dtls_server.h */
    uint32_t dtls_handshakes_per_source;
    uint64_t dtls_idle_us; /* after which a silent session of a client is closed */
    uint8_t record_crypto; /* enum crypto_engine of dataplane/secure: 0 auto, 1 ipsec-mb, 2 wolfcrypt */
    struct config_origin record_crypto_origin; /* where it is written */
    uint32_t handshake_threads;
    uint32_t password_threads;
    const char *eal;    /* extra EAL arguments, one string, or NULL */
    uint32_t devices_n; /* distinct devices */
    const char *devices[GATEWAY_PORTS_MAX];
    uint32_t interfaces_n;
    struct config_interface interfaces[GATEWAY_INTERFACES_MAX];
    uint32_t routes_n;
    struct config_route routes[GATEWAY_ROUTES_MAX];
    struct config_tls tls;
    uint32_t listeners_n;
    struct config_listener listeners[GATEWAY_LISTENERS_MAX];
    uint32_t upstreams_n;
    struct config_upstream upstreams[GATEWAY_UPSTREAMS_MAX];
    const char *control_socket;
    const char *state; /* directory: policies that were in force */
    struct config_events events;
    bool confined; /* confinement = "full" */
    uint32_t paths_n;
    const char *paths[GATEWAY_PATHS_MAX]; /* every file name of the settings */
};

/* Reads and checks FILE. NULL when there are errors (all of them are in `d`). Warnings alone do not refuse.
 */
struct gateway_config *gateway_config_load(const char *file, struct diagnostics *d);
/*
 * The same, but answers what could be read even when there are errors, so that a policy can be checked
 * against its names and everything is told at once. Never to be run with unless `d` has no errors. NULL only
 * when the file cannot be read or parsed.
 */
struct gateway_config *gateway_config_read(const char *file, struct diagnostics *d);
void gateway_config_destroy(struct gateway_config *config);
/* Whether the file holds a policy too (a small site, or what `sallyport -T` printed), so that the policy
 * directory is not read. */
bool gateway_config_holds_policy(const struct gateway_config *config);

/*
 * Whether `next` may replace `running` without a restart: names each setting that needs one
 * ("dataplane.workers") as a warning in `d`, at its place. The settings that can change (listeners' limits,
 * upstreams, events, policy) are applied by reload.
 */
void gateway_config_compare(const struct gateway_config *running, const struct gateway_config *next,
                            struct diagnostics *d);
/*
 * Puts the devices, interfaces and routes of `running` in the place of those of `next` and numbers its
 * listeners by them: whoever runs knows interfaces by number. A listener on a port that is not open is an
 * error in `d`; then `next` is of no use.
 */
void gateway_config_keep(const struct gateway_config *running, struct gateway_config *next,
                         struct diagnostics *d);

#endif
