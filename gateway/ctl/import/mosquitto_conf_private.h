/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What mosquitto_conf.c, which knows the lines and the names of settings, and mosquitto_conf_set.c, which
 * knows what each of them means, share. A setter is given the value, which is not empty, and may cut it up.
 */
#ifndef GATEWAY_CTL_IMPORT_MOSQUITTO_CONF_PRIVATE_H
#define GATEWAY_CTL_IMPORT_MOSQUITTO_CONF_PRIVATE_H

#include "gateway/ctl/import/mosquitto_conf.h"

struct conf_reader {
    struct import_run *run;
    struct mosquitto_conf *conf;
    struct mosquitto_listener *listener; /* the current one, or NULL */
    const char *file;
    uint32_t line;
    const char *word;   /* the setting */
    const char *bridge; /* name of the connection that lines belong to, or NULL */
    uint32_t includes;
    bool may_include;
    bool failed;
};

/* Tell of the setting at hand; the format takes its name and the value, in this order. */
void conf_refuse(struct conf_reader *r, const char *format, const char *value);
void conf_warn(struct conf_reader *r, const char *format, const char *value);
/* A file name made whole; NULL without memory. */
const char *conf_path_of(struct conf_reader *r, const char *value);
/* The listener that has no line of its own: `port` and `bind_address`. NULL, told, when there are too many.
 */
struct mosquitto_listener *conf_default_listener(struct conf_reader *r);

void conf_set_security_file(struct conf_reader *r, char *value);
void conf_set_anonymous(struct conf_reader *r, char *value);
void conf_set_plugin(struct conf_reader *r, char *value);
void conf_set_bind(struct conf_reader *r, char *value);
void conf_set_file(struct conf_reader *r, char *value);
void conf_set_connection(struct conf_reader *r, char *value);
void conf_set_listener(struct conf_reader *r, char *value);
void conf_set_connections(struct conf_reader *r, char *value);
void conf_set_limit(struct conf_reader *r, char *value);
void conf_set_max_qos(struct conf_reader *r, char *value);
void conf_set_mount(struct conf_reader *r, char *value);
void conf_set_per_listener(struct conf_reader *r, char *value);
void conf_set_expiration(struct conf_reader *r, char *value);
void conf_set_port(struct conf_reader *r, char *value);
void conf_set_protocol(struct conf_reader *r, char *value);
void conf_set_listener_flag(struct conf_reader *r, char *value);
void conf_set_psk_hint(struct conf_reader *r, char *value);
void conf_set_tls_version(struct conf_reader *r, char *value);
void conf_set_bridge(struct conf_reader *r, char *value);
void conf_set_plugin_option(struct conf_reader *r, char *value);

#endif
