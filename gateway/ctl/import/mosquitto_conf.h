/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mosquitto.conf, as version 2.0 reads it, with include_dir (H5).
 *
 * A line is a word, blanks and a value, or a comment that begins with '#' in the first column. Settings of a
 * listener follow its line; with per_listener_settings true those of security do so too. What stays with the
 * broker behind the gateway (persistence, logs) is passed over; what has an equal is kept here; what has none
 * is told at its line; what would change decisions unseen (plugins, mount points) is an error. Nothing but
 * the files it names is read.
 */
#ifndef GATEWAY_CTL_IMPORT_MOSQUITTO_CONF_H
#define GATEWAY_CTL_IMPORT_MOSQUITTO_CONF_H

#include "gateway/ctl/import/import.h"

struct mosquitto_path { /* of a file that a setting names; text NULL: not said */
    const char *text;
    struct config_origin at;
};

struct mosquitto_security {
    int8_t anonymous; /* -1: not said */
    struct mosquitto_path acl_file, password_file, psk_file, plugin, plugin_config;
    struct config_origin plugin_at;
};

struct mosquitto_listener {
    struct import_listener seen;
    struct mosquitto_security security; /* with per_listener_settings */
    bool imported;                      /* false: a kind that has no equal, which was told */
    struct config_origin tls_at;
};

struct mosquitto_conf {
    const char *file;
    bool per_listener;
    bool any_listener_line;
    struct mosquitto_security security;
    uint32_t listeners_n;
    struct mosquitto_listener listeners[IMPORT_LISTENERS_MAX];
    struct import_site *site; /* limits go straight there */
};

/* Reads `path` and what it includes. All that is wrong is told; false when anything was an error. */
bool mosquitto_conf_read(struct import_run *run, const char *path, struct import_site *site,
                         struct mosquitto_conf *conf);
/* The same from a text, which is cut up; include_dir is refused. For tests. */
bool mosquitto_conf_parse(struct import_run *run, char *text, const char *file, struct import_site *site,
                          struct mosquitto_conf *conf);

#endif
