/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines, names and files of mosquitto.conf. */
#include "config/suggest.h"
#include "gateway/ctl/import/mosquitto_conf_private.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ----------------------------------------------------------------------------------------- */

static void keep_silent(struct conf_reader *r, char *value)
{
    (void)r;
    (void)value;
}

static void tell_none(struct conf_reader *r, char *value)
{
    conf_warn(r, "'%s' (%.64s) has no equal here; see the gateway's own limits in docs/operations.md", value);
}

static void set_include(struct conf_reader *r, char *value);

static const struct conf_key {
    const char *name;
    void (*set)(struct conf_reader *r, char *value);
} conf_keys[] = {
    {"acl_file", conf_set_security_file},
    {"allow_anonymous", conf_set_anonymous},
    {"allow_duplicate_messages", keep_silent},
    {"allow_zero_length_clientid", keep_silent},
    {"auth_plugin", conf_set_plugin},
    {"auth_plugin_deny_special_chars", keep_silent},
    {"auto_id_prefix", keep_silent},
    {"autosave_interval", keep_silent},
    {"autosave_on_changes", keep_silent},
    {"bind_address", conf_set_bind},
    {"bind_interface", tell_none},
    {"cafile", conf_set_file},
    {"capath", tell_none},
    {"certfile", conf_set_file},
    {"check_retain_source", tell_none},
    {"ciphers", tell_none},
    {"ciphers_tls1.3", tell_none},
    {"connection", conf_set_connection},
    {"connection_messages", keep_silent},
    {"crlfile", conf_set_file},
    {"dhparamfile", keep_silent},
    {"http_dir", keep_silent},
    {"include_dir", set_include},
    {"keyfile", conf_set_file},
    {"listener", conf_set_listener},
    {"log_dest", keep_silent},
    {"log_facility", keep_silent},
    {"log_timestamp", keep_silent},
    {"log_timestamp_format", keep_silent},
    {"log_type", keep_silent},
    {"max_connections", conf_set_connections},
    {"max_inflight_bytes", tell_none},
    {"max_inflight_messages", conf_set_limit},
    {"max_keepalive", conf_set_limit},
    {"max_packet_size", conf_set_limit},
    {"max_qos", conf_set_max_qos},
    {"max_queued_bytes", tell_none},
    {"max_queued_messages", conf_set_limit},
    {"max_topic_alias", keep_silent},
    {"memory_limit", keep_silent},
    {"message_size_limit", conf_set_limit},
    {"mount_point", conf_set_mount},
    {"password_file", conf_set_security_file},
    {"per_listener_settings", conf_set_per_listener},
    {"persistence", keep_silent},
    {"persistence_file", keep_silent},
    {"persistence_location", keep_silent},
    {"persistent_client_expiration", conf_set_expiration},
    {"pid_file", keep_silent},
    {"plugin", conf_set_plugin},
    {"port", conf_set_port},
    {"protocol", conf_set_protocol},
    {"psk_file", conf_set_security_file},
    {"psk_hint", conf_set_psk_hint},
    {"queue_qos0_messages", keep_silent},
    {"require_certificate", conf_set_listener_flag},
    {"retain_available", keep_silent},
    {"retry_interval", keep_silent},
    {"set_tcp_nodelay", keep_silent},
    {"socket_domain", keep_silent},
    {"store_clean_interval", keep_silent},
    {"sys_interval", keep_silent},
    {"tls_engine", tell_none},
    {"tls_engine_kpass_sha1", tell_none},
    {"tls_keyform", tell_none},
    {"tls_version", conf_set_tls_version},
    {"upgrade_outgoing_qos", keep_silent},
    {"use_identity_as_username", conf_set_listener_flag},
    {"use_subject_as_username", conf_set_listener_flag},
    {"use_username_as_clientid", tell_none},
    {"user", keep_silent},
    {"websockets_headers_size", keep_silent},
    {"websockets_log_level", keep_silent},
    /* Of a bridge, besides bridge_...: */
    {"address", conf_set_bridge},
    {"addresses", conf_set_bridge},
    {"cleansession", conf_set_bridge},
    {"clientid", conf_set_bridge},
    {"idle_timeout", conf_set_bridge},
    {"keepalive_interval", conf_set_bridge},
    {"local_cleansession", conf_set_bridge},
    {"local_clientid", conf_set_bridge},
    {"local_password", conf_set_bridge},
    {"local_username", conf_set_bridge},
    {"notification_topic", conf_set_bridge},
    {"notifications", conf_set_bridge},
    {"notifications_local_only", conf_set_bridge},
    {"password", conf_set_bridge},
    {"remote_clientid", conf_set_bridge},
    {"remote_password", conf_set_bridge},
    {"remote_username", conf_set_bridge},
    {"restart_timeout", conf_set_bridge},
    {"round_robin", conf_set_bridge},
    {"start_type", conf_set_bridge},
    {"threshold", conf_set_bridge},
    {"topic", conf_set_bridge},
    {"try_private", conf_set_bridge},
    {"username", conf_set_bridge},
};
#define CONF_KEYS (sizeof(conf_keys) / sizeof(conf_keys[0]))

static void unknown_setting(struct conf_reader *r)
{
    struct suggest near;
    suggest_init(&near, r->word);
    for (size_t i = 0; i < CONF_KEYS; i++)
        suggest_offer(&near, conf_keys[i].name);
    r->failed = true;
    import_tell(r->run, DIAGNOSTIC_ERROR, r->file, r->line, "unknown setting '%.64s'; %s%s%s", r->word,
                near.best != NULL ? "did you mean '" : "mosquitto 2.0 has none of that name; remove the line",
                near.best != NULL ? near.best : "", near.best != NULL ? "'?" : "");
}

static void read_setting(struct conf_reader *r, char *line)
{
    char *value = line + strcspn(line, " ");
    r->word = line;
    if (*value != '\0')
        *value++ = '\0';
    while (isspace((unsigned char)*value))
        value++;
    for (size_t i = 0; i < CONF_KEYS; i++) {
        if (strcmp(conf_keys[i].name, r->word) != 0)
            continue;
        if (*value == '\0')
            conf_refuse(r, "'%s' has no value%s; write one behind it", "");
        else
            conf_keys[i].set(r, value);
        return;
    }
    bool plugin = strncmp(r->word, "plugin_opt_", 11) == 0 || strncmp(r->word, "auth_opt_", 9) == 0;
    if (plugin)
        conf_set_plugin_option(r, value);
    else if (strncmp(r->word, "bridge_", 7) == 0)
        conf_set_bridge(r, value);
    else
        unknown_setting(r);
}

static void read_text(struct conf_reader *r, char *text)
{
    struct import_lines lines = {.at = text};
    size_t n;
    for (char *line; (line = import_next_line(&lines, &n)) != NULL;) {
        r->line = lines.line;
        r->word = "?";
        while (n > 0 && isspace((unsigned char)line[n - 1]))
            line[--n] = '\0';
        while (*line == ' ' && line[strspn(line, " ")] != '#')
            line++;
        if (*line == '\0' || *line == '#')
            continue;
        bool control = false;
        for (const char *c = line; *c != '\0'; c++)
            control = control || (iscntrl((unsigned char)*c) && *c != '\t');
        if (n > IMPORT_LINE_BYTES_MAX || control)
            conf_refuse(r, "the line%.0s is longer than 8192 bytes or holds control characters%s; mend it",
                        "");
        else
            read_setting(r, line);
    }
}

/* ---- includes ------------------------------------------------------------------------------------------ */

static int only_conf(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void set_include(struct conf_reader *r, char *value)
{
    struct dirent **names = NULL;
    const char *directory = r->may_include ? conf_path_of(r, value) : NULL;
    if (!r->may_include) {
        conf_refuse(
            r, "'%s %.128s' stands in a file that is included itself, which mosquitto refuses too; move it",
            value);
        return;
    }
    int n = directory == NULL ? -1 : scandir(directory, &names, only_conf, by_bytes);
    if (n < 0) {
        conf_refuse(r, "'%s': %.128s cannot be read; correct the name or its rights", value);
        return;
    }
    struct config_origin at = {.file = r->file, .line = r->line};
    for (int i = 0; i < n; i++) {
        size_t bytes;
        char *path = arena_format(r->run->arena, "%s/%s", directory, names[i]->d_name);
        if (r->includes++ >= IMPORT_INCLUDES_MAX)
            conf_refuse(r, "'%s': there are more than 64 files in %.128s; join some", value);
        char *text =
            r->includes > IMPORT_INCLUDES_MAX || path == NULL ? NULL : import_read(r->run, path, at, &bytes);
        r->failed = r->failed || text == NULL;
        if (text != NULL) {
            r->may_include = false;
            r->file = path;
            read_text(r, text);
            r->may_include = true;
            r->file = at.file;
            r->line = at.line;
            r->word = "include_dir";
        }
        free(names[i]);
        if (r->includes > IMPORT_INCLUDES_MAX) {
            while (++i < n)
                free(names[i]);
            break;
        }
    }
    free(names);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

/* psk_hint is what makes mosquitto ask for keys; of the hint itself clients make nothing. */
static void check_keys(struct conf_reader *r, struct import_listener *seen)
{
    if (seen->certificate != NULL || seen->require_certificate) {
        r->failed = true;
        import_tell(
            r->run, DIAGNOSTIC_ERROR, seen->file, seen->line,
            "the listener has psk_hint beside certfile or require_certificate, of which mosquitto heeds one; "
            "keep one");
    }
    seen->tls = true;
    seen->key_is_user = seen->certificate_is_user;
    seen->certificate_is_user = false;
    seen->client_ca = seen->crl = seen->key = NULL;
    import_tell(
        r->run, DIAGNOSTIC_WARNING, seen->file, seen->line,
        "keys are taken in TLS 1.3, and in TLS 1.2 with ECDHE-PSK and ChaCha20-Poly1305 or AES-GCM; clients "
        "that know only a PSK without ECDHE, or CBC, are refused");
}

static void check_listener(struct conf_reader *r, struct mosquitto_listener *listener)
{
    struct import_listener *seen = &listener->seen;
    if (!listener->imported)
        return;
    if (seen->keys) {
        check_keys(r, seen);
        return;
    }
    if ((seen->certificate == NULL) != (seen->key == NULL)) {
        r->failed = true;
        import_tell(r->run, DIAGNOSTIC_ERROR, seen->file, seen->line,
                    "the listener has a certfile or a keyfile, but not both; add the other one");
    }
    if (!seen->tls && (seen->require_certificate || seen->certificate_is_user)) {
        r->failed = true;
        import_tell(r->run, DIAGNOSTIC_ERROR, seen->file, seen->line,
                    "the listener asks for certificates but has none of its own; add certfile and keyfile");
    }
    if (!seen->require_certificate && seen->certificate_is_user) {
        seen->certificate_is_user = false;
        import_tell(
            r->run, DIAGNOSTIC_WARNING, seen->file, seen->line,
            "use_identity_as_username has no use without require_certificate true; it is passed over");
    }
    if (!seen->require_certificate)
        seen->client_ca = seen->crl = NULL;
}

static bool finish(struct conf_reader *r)
{
    struct mosquitto_conf *conf = r->conf;
    r->file = conf->file;
    r->line = 0;
    r->word = "listener";
    if (!conf->any_listener_line) {
        struct mosquitto_listener *listener = conf_default_listener(r);
        if (listener != NULL)
            listener->seen.line = 0;
        if (conf->security.anonymous < 0)
            conf->security.anonymous = 1;
        import_tell(r->run, DIAGNOSTIC_WARNING, conf->file, 0,
                    "there is no listener: mosquitto then serves only its own machine, on port 1883, and "
                    "lets anonymous "
                    "clients in; the gateway's listener is on a network, so see whom its roles let in");
    }
    for (uint32_t i = 0; i < conf->listeners_n; i++)
        check_listener(r, &conf->listeners[i]);
    return !r->failed;
}

static struct conf_reader begin(struct import_run *run, const char *file, struct import_site *site,
                                struct mosquitto_conf *conf)
{
    memset(conf, 0, sizeof(*conf));
    conf->file = file;
    conf->site = site;
    conf->security.anonymous = -1;
    return (struct conf_reader){.run = run, .conf = conf, .file = file, .word = "?"};
}

bool mosquitto_conf_parse(struct import_run *run, char *text, const char *file, struct import_site *site,
                          struct mosquitto_conf *conf)
{
    struct conf_reader r = begin(run, file, site, conf);
    read_text(&r, text);
    return finish(&r);
}

bool mosquitto_conf_read(struct import_run *run, const char *path, struct import_site *site,
                         struct mosquitto_conf *conf)
{
    size_t n;
    char *text = import_read(run, path, (struct config_origin){.file = path}, &n);
    struct conf_reader r = begin(run, path, site, conf);
    if (text == NULL)
        return false;
    r.may_include = true;
    read_text(&r, text);
    return finish(&r);
}
