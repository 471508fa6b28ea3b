/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's configuration while it is read: the settings, and what is needed only until names have been
 * resolved and everything has been checked. Private to config/gateway_*.c and print.c.
 */
#ifndef CONFIG_GATEWAY_DRAFT_H
#define CONFIG_GATEWAY_DRAFT_H

#include "config/gateway_config.h"
#include "config/schema.h"

struct gateway_owned {
    struct gateway_config config;
    struct arena *arena;
    struct load *load; /* strings of the configuration point into it */
};

struct draft_interface {
    const config_setting_t *setting;
};

struct draft_route {
    const config_setting_t *setting;
    const char *port;
};

struct draft_listener {
    const config_setting_t *setting;
    const char *port;
    const char *upstream;
};

struct draft_upstream {
    const config_setting_t *setting;
};

struct gateway_draft {
    struct gateway_config *config;
    struct draft_interface interfaces[GATEWAY_INTERFACES_MAX];
    struct draft_route routes[GATEWAY_ROUTES_MAX];
    struct draft_listener listeners[GATEWAY_LISTENERS_MAX];
    struct draft_upstream upstreams[GATEWAY_UPSTREAMS_MAX];
};

/* The table of sallyport.conf; objects are read into a struct gateway_draft. */
extern const struct schema_table gateway_keys;
/* Entries of `listeners` and `upstreams`. */
extern const struct schema_table gateway_listener_keys;
extern const struct schema_table gateway_ocsp_keys; /* of struct config_ocsp */
extern const struct schema_table gateway_upstream_keys;
void *gateway_next_listener(struct schema_read *read, const config_setting_t *setting, void *into);
void *gateway_next_upstream(struct schema_read *read, const config_setting_t *setting, void *into);
/* Whether there is room for one more; told when not. */
bool gateway_keys_room(struct schema_read *read, const config_setting_t *setting, uint32_t n, uint32_t max,
                       const char *what);

/*
 * Resolve names and check what no single setting can tell: first the network (devices, addresses, next hops,
 * routes), then the services on it (listeners, upstreams and their files).
 */
void gateway_check_network(struct schema_read *read, struct gateway_draft *draft);
void gateway_check_services(struct schema_read *read, struct gateway_draft *draft);

/* The listener's settings of TLS, completed by those of `tls`, and the files that it names. */
void gateway_check_listener_tls(struct schema_read *read, const struct gateway_draft *draft,
                                struct config_listener *own, const config_setting_t *setting);

/* Whether some interface, route or next hop leads there. */
bool gateway_network_reaches(const struct gateway_config *config, const uint8_t address[16]);
/* Index of the port of that name, or UINT32_MAX with an error that suggests another. */
uint32_t gateway_network_find(struct schema_read *read, const struct gateway_draft *draft, const char *name,
                              const config_setting_t *setting);

#endif
