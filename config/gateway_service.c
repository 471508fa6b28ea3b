/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listeners and upstreams of sallyport.conf, seen together, and the files they name (A2, A5, B1, B3). */
#include "config/gateway_draft.h"
#include "config/gateway_shape.h"
#include "config/suggest.h"
#include "config/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Most entries of a directory of keys that a check looks at. */
#define SECRETS_MAX 100000

static struct config_origin at(const struct schema_read *read, const config_setting_t *setting,
                               const char *key)
{
    return schema_origin(read->load, setting, key);
}

static const char *shown(const struct schema_read *read, const char *path)
{
    size_t len = strlen(read->directory);
    return strncmp(path, read->directory, len) == 0 && path[len] == '/' ? path + len + 1 : path;
}

static const char *protocol_text(enum config_protocol protocol)
{
    return protocol == CONFIG_COAP ? "coap" : "mqtt";
}

static void missing_feature(struct schema_read *read, struct config_origin origin, const char *what,
                            const char *name, enum feature feature)
{
    if (!feature_present(feature))
        schema_error(read, origin, "%s '%s' is refused; %s is not in this version; remove it", what, name,
                     feature_text(feature));
}

/* ---- files --------------------------------------------------------------------------------------------- */

static bool is_pattern(const char *path)
{
    return strstr(path, "${") != NULL;
}

static void check_file(struct schema_read *read, struct config_origin origin, const char *key,
                       const char *path)
{
    struct text_problem problem;
    if (text_readable(path, &problem) != 0)
        schema_error(read, origin, "'%s' names %s; %s", key, shown(read, path), problem.text);
}

static void check_secret(struct schema_read *read, struct config_origin origin, const char *key,
                         const char *path)
{
    struct stat st;
    check_file(read, origin, key, path);
    if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
        diagnostics_add(read->d, DIAGNOSTIC_WARNING, origin.file, origin.line,
                        "'%s' names %s, which every user of this machine can reach; chmod o= it", key,
                        shown(read, path));
}

/* Among the files of the devices, those that anybody may read; `variable` is the pattern from its ${id} on.
 */
static void check_secrets(struct schema_read *read, struct config_origin origin, const char *key,
                          const char *directory, const char *variable)
{
    const char *suffix = variable + strlen("${id}");
    size_t suffix_len = strlen(suffix);
    DIR *dir = strchr(suffix, '/') != NULL ? NULL : opendir(directory);
    if (dir == NULL) /* deeper, or only to be entered: files are met as devices come */
        return;
    uint32_t open_to_all = 0, n = 0;
    char first[64] = "";
    for (struct dirent *entry; n < SECRETS_MAX && (entry = readdir(dir)) != NULL; n++) {
        size_t len = strlen(entry->d_name);
        struct stat st;
        if (len <= suffix_len || strcmp(entry->d_name + len - suffix_len, suffix) != 0 ||
            fstatat(dirfd(dir), entry->d_name, &st, 0) != 0 || !S_ISREG(st.st_mode) ||
            (st.st_mode & S_IROTH) == 0)
            continue;
        if (open_to_all++ == 0)
            snprintf(first, sizeof(first), "%s", entry->d_name);
    }
    closedir(dir);
    if (open_to_all != 0)
        diagnostics_add(
            read->d, DIAGNOSTIC_WARNING, origin.file, origin.line,
            "every user of this machine can read %u of the files of '%s' in %s, such as %s; chmod o= them",
            open_to_all, key, shown(read, directory), first);
}

/* "tls/devices/${id}.pem": the directory before the variable must be there; its files are read as devices
 * come.
 */
static void check_pattern(struct schema_read *read, struct config_origin origin, const char *key,
                          const char *path, bool secret)
{
    const char *rest = path;
    for (const char *c; (c = strstr(rest, "${")) != NULL; rest = c + 2)
        if (strncmp(c, "${id}", 5) != 0) {
            schema_error(read, origin, "'%s' is \"%s\"; the only variable here is ${id}", key,
                         shown(read, path));
            return;
        }
    if (strchr(path, '%') != NULL) {
        schema_error(read, origin, "'%s' is \"%s\"; a file name with a variable holds no '%%'; rename it",
                     key, shown(read, path));
        return;
    }
    const char *variable = strstr(path, "${");
    size_t len = (size_t)(variable - path);
    while (len > 1 && path[len - 1] != '/')
        len--;
    char *directory = arena_text(read->arena, path, len);
    struct stat st;
    if (directory == NULL)
        return;
    if (stat(directory, &st) != 0)
        schema_error(read, origin, "'%s' needs the directory %s; %s; create it with a file for each device",
                     key, shown(read, directory), strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        schema_error(read, origin, "'%s' needs the directory %s, which is a file; correct the path", key,
                     shown(read, directory));
    else if (access(directory, X_OK) != 0)
        schema_error(read, origin, "'%s' needs the directory %s; %s; let this user enter it", key,
                     shown(read, directory), strerror(errno));
    else if (secret && (st.st_mode & S_IXOTH) != 0)
        check_secrets(read, origin, key, directory, variable);
}

/* ---- upstreams ----------------------------------------------------------------------------------------- */

static void check_identity(struct schema_read *read, const struct config_upstream *own,
                           const config_setting_t *setting)
{
    if (own->key_password != NULL)
        check_secret(read, at(read, setting, "key_password"), "key_password", own->key_password);
    if (own->key_password != NULL && own->key == NULL && own->bundle == NULL)
        schema_error(read, at(read, setting, "key_password"),
                     "'key_password' in upstream '%s' opens nothing; add 'key' or 'bundle', or remove it",
                     own->name);
    if (own->bundle != NULL && (own->certificate != NULL || own->key != NULL)) {
        schema_error(read, at(read, setting, "bundle"),
                     "upstream '%s' has 'bundle' beside 'certificate' and 'key'; keep one or the other",
                     own->name);
        return;
    }
    if (own->bundle != NULL) {
        check_secret(read, at(read, setting, "bundle"), "bundle", own->bundle);
        return;
    }
    if ((own->certificate == NULL) != (own->key == NULL)) {
        const char *there = own->certificate != NULL ? "certificate" : "key";
        schema_error(read, at(read, setting, there), "upstream '%s' has '%s' but no '%s'; add it", own->name,
                     there, own->certificate != NULL ? "key" : "certificate");
        return;
    }
    if (own->certificate == NULL)
        return;
    if (is_pattern(own->certificate) != is_pattern(own->key)) {
        schema_error(read, at(read, setting, "key"),
                     "of 'certificate' and 'key' in upstream '%s' only one holds ${id}; a key belongs to one "
                     "certificate; write ${id} in both",
                     own->name);
        return;
    }
    if (is_pattern(own->certificate)) {
        check_pattern(read, at(read, setting, "certificate"), "certificate", own->certificate, false);
        check_pattern(read, at(read, setting, "key"), "key", own->key, true);
        return;
    }
    check_file(read, at(read, setting, "certificate"), "certificate", own->certificate);
    check_secret(read, at(read, setting, "key"), "key", own->key);
    struct config_origin origin = at(read, setting, "certificate");
    diagnostics_add(
        read->d, DIAGNOSTIC_WARNING, origin.file, origin.line,
        "upstream '%s' shows one certificate for all devices; none can be revoked alone; write ${id} in "
        "'certificate' and 'key'",
        own->name);
}

static void check_tls(struct schema_read *read, const struct config_upstream *own,
                      const config_setting_t *setting)
{
    if (own->ca == NULL)
        schema_error(read, at(read, setting, NULL),
                     "'ca' is missing in upstream '%s'; the server could not be verified; add ca = \"FILE\";",
                     own->name);
    else if (is_pattern(own->ca))
        schema_error(read, at(read, setting, "ca"), "'ca' in upstream '%s' holds a variable; write one file",
                     own->name);
    else
        check_file(read, at(read, setting, "ca"), "ca", own->ca);
    if (own->server_name == NULL)
        schema_error(
            read, at(read, setting, NULL),
            "'server_name' is missing in upstream '%s'; the server's certificate could not be compared "
            "with a name; add server_name = \"NAME\";",
            own->name);
    if (own->crl != NULL)
        check_file(read, at(read, setting, "crl"), "crl", own->crl);
    check_identity(read, own, setting);
}

/* RFC 9147 s.9: this library has them in 1.3 alone. */
static void check_connection_ids(struct schema_read *read, const config_setting_t *setting, const char *what,
                                 const char *name, bool wanted, enum config_dtls dtls)
{
    if (wanted && dtls == CONFIG_DTLS_1_2)
        schema_error(read, at(read, setting, "connection_ids"),
                     "'connection_ids' in %s '%s' is of DTLS 1.3; write dtls = \"1.3\", or remove it", what,
                     name);
}

/* What belongs to certificates, beside a PSK; NULL: nothing. */
static const char *beside_psk(const struct config_upstream *own)
{
    return own->ca != NULL            ? "ca"
           : own->certificate != NULL ? "certificate"
           : own->key != NULL         ? "key"
           : own->bundle != NULL      ? "bundle"
           : own->crl != NULL         ? "crl"
           : own->stapling != 0       ? "ocsp"
           : own->ocsp.mode != 0      ? "ocsp_ask"
                                      : NULL;
}

static void check_psk_id(struct schema_read *read, const struct config_upstream *own,
                         const config_setting_t *setting)
{
    struct config_origin origin = at(read, setting, "psk_id");
    const char *variable = strstr(own->psk_id, "${");
    if (variable == NULL)
        diagnostics_add(
            read->d, DIAGNOSTIC_WARNING, origin.file, origin.line,
            "upstream '%s' shows one PSK for all devices; none can be revoked alone; write ${id} in "
            "'psk_id'",
            own->name);
    else if (strncmp(variable, "${id}", 5) != 0 || strstr(variable + 1, "${") != NULL)
        schema_error(read, origin, "'psk_id' is \"%s\"; the only variable here is ${id}, once", own->psk_id);
}

static bool has_psk(const struct config_upstream *own)
{
    return own->psk_id != NULL || own->psk_file != NULL;
}

static void check_psk(struct schema_read *read, const struct config_upstream *own,
                      const config_setting_t *setting)
{
    const char *beside = beside_psk(own);
    if (own->psk_id == NULL || own->psk_file == NULL)
        schema_error(read, at(read, setting, NULL),
                     "'%s' is missing in upstream '%s'; a PSK needs both 'psk_id' and "
                     "'psk_file'",
                     own->psk_id == NULL ? "psk_id" : "psk_file", own->name);
    if (own->psk_id != NULL)
        check_psk_id(read, own, setting);
    if (beside != NULL)
        schema_error(read, at(read, setting, beside), "upstream '%s' has a PSK and certificates; keep one",
                     own->name);
    if (own->psk_file != NULL)
        check_secret(read, at(read, setting, "psk_file"), "psk_file", own->psk_file);
    if (own->pins != NULL)
        schema_error(read, at(read, setting, "pin"),
                     "upstream '%s' has a PSK, and no certificate to pin; remove 'pin'", own->name);
}

static void check_servers(struct schema_read *read, const struct gateway_draft *draft,
                          const struct config_upstream *own, const config_setting_t *setting)
{
    for (uint32_t i = 0; i < own->servers_n; i++) {
        const struct config_server *server = &own->servers[i];
        struct config_address address = {.bits = 128};
        char text[ADDRESS_TEXT_MAX];
        memcpy(address.bytes, server->address, 16);
        address_format(&address, text);
        for (uint32_t j = 0; j < i; j++)
            if (own->servers[j].port == server->port &&
                memcmp(own->servers[j].address, server->address, 16) == 0)
                schema_error(read, at(read, setting, "servers"),
                             "server %s port %u is twice in upstream '%s'; remove "
                             "one",
                             text, server->port, own->name);
        bool ours = false;
        for (uint32_t k = 0; k < draft->config->interfaces_n; k++)
            for (uint32_t a = 0; a < draft->config->interfaces[k].addresses_n; a++)
                ours |= memcmp(draft->config->interfaces[k].addresses[a].bytes, server->address, 16) == 0;
        if (ours)
            schema_error(read, at(read, setting, "servers"),
                         "server %s of upstream '%s' is the gateway itself; write "
                         "the server's address",
                         text, own->name);
        else if (draft->config->interfaces_n != 0 && !gateway_network_reaches(draft->config, server->address))
            schema_error(
                read, at(read, setting, "servers"),
                "no port leads to server %s of upstream '%s'; add a 'next_hop' to a port, or a route", text,
                own->name);
    }
}

/* The certificate that active checks show must be there, or they would call every server sick. */
static void check_check_file(struct schema_read *read, const struct config_upstream *own,
                             const config_setting_t *setting, const char *key, const char *pattern)
{
    const char *variable = pattern == NULL ? NULL : strstr(pattern, "${id}");
    if (variable == NULL)
        return;
    char *path = arena_format(read->arena, "%.*s%s%s", (int)(variable - pattern), pattern, own->check_id,
                              variable + strlen("${id}"));
    if (path != NULL && access(path, R_OK) != 0)
        schema_error(read, at(read, setting, "check"),
                     "the %s for checks of upstream '%s' cannot be read: %s: %s; issue one, name another "
                     "'check_id', or write check = \"tcp\"",
                     key, own->name, shown(read, path), strerror(errno));
}

static void check_checks(struct schema_read *read, const struct config_upstream *own,
                         const config_setting_t *setting)
{
    if (own->check == CONFIG_CHECK_NONE)
        return;
    if (own->protocol == CONFIG_COAP)
        schema_error(read, at(read, setting, "check"),
                     "upstream '%s' speaks CoAP, whose servers are not checked in this version; remove it",
                     own->name);
    else if (own->check == CONFIG_CHECK_TLS && own->security != CONFIG_SECURITY_TLS)
        schema_error(read, at(read, setting, "check"),
                     "upstream '%s' has no TLS to check; write check = \"tcp\" or \"mqtt-ping\"", own->name);
    else if (own->check != CONFIG_CHECK_TCP && own->security == CONFIG_SECURITY_TLS) {
        check_check_file(read, own, setting, "certificate", own->certificate);
        check_check_file(read, own, setting, "key", own->key);
    }
    if (own->check_id != NULL && strchr(own->check_id, '/') != NULL)
        schema_error(read, at(read, setting, "check_id"),
                     "'check_id' of upstream '%s' holds a '/', which no name of a device does; remove it",
                     own->name);
}

static void check_upstream(struct schema_read *read, struct gateway_draft *draft, uint32_t index)
{
    const struct config_upstream *own = &draft->config->upstreams[index];
    const config_setting_t *setting = draft->upstreams[index].setting;
    if (own->protocol == CONFIG_COAP)
        missing_feature(read, at(read, setting, "protocol"), "upstream", own->name, FEATURE_COAP);
    bool wrong = own->security == (own->protocol == CONFIG_COAP ? CONFIG_SECURITY_TLS : CONFIG_SECURITY_DTLS);
    if (wrong)
        schema_error(read, at(read, setting, "security"),
                     "upstream '%s' speaks %s, which is secured by %s; write "
                     "security = \"%s\"",
                     own->name, protocol_text(own->protocol), own->protocol == CONFIG_COAP ? "DTLS" : "TLS",
                     own->protocol == CONFIG_COAP ? "dtls" : "tls");
    if (!wrong && own->security != CONFIG_SECURITY_NONE && has_psk(own))
        check_psk(read, own, setting);
    else if (!wrong && own->security != CONFIG_SECURITY_NONE)
        check_tls(read, own, setting);
    if (!wrong && own->security == CONFIG_SECURITY_DTLS)
        check_connection_ids(read, setting, "upstream", own->name, own->connection_ids, own->dtls);
    check_checks(read, own, setting);
    check_servers(read, draft, own, setting);
    if (own->password_file != NULL)
        check_secret(read, at(read, setting, "password_file"), "password_file", own->password_file);
    gateway_check_shape(read, own, setting);
}

/* ---- listeners ----------------------------------------------------------------------------------------- */

static uint32_t find_upstream(struct schema_read *read, const struct gateway_draft *draft, const char *name,
                              const config_setting_t *setting)
{
    struct suggest near;
    if (name == NULL)
        return UINT32_MAX;
    suggest_init(&near, name);
    for (uint32_t i = 0; i < draft->config->upstreams_n; i++) {
        const char *known = draft->config->upstreams[i].name;
        if (known != NULL && strcmp(known, name) == 0)
            return i;
        if (known != NULL)
            suggest_offer(&near, known);
    }
    schema_error(read, at(read, setting, "upstream"), "there is no upstream '%s'; %s%s%s", name,
                 near.best != NULL ? "did you mean '" : "add it to 'upstreams'",
                 near.best != NULL ? near.best : "", near.best != NULL ? "'?" : "");
    return UINT32_MAX;
}

/*
 * Two listeners for the same packets. A fixed address goes before all addresses of the port, and these before
 * "any", so that only equals clash.
 */
static bool clashes(const struct config_listener *a, const struct config_listener *b)
{
    if (a->interface != b->interface || a->protocol != b->protocol || a->port != b->port || a->port == 0)
        return false;
    return a->any == b->any && a->has_address == b->has_address &&
           (!a->has_address || memcmp(a->address, b->address, 16) == 0);
}

/* A file of a listener: it is there, one for all clients, and wanted by what clients are told by. */
static void check_listener_file(struct schema_read *read, const struct config_listener *own,
                                const config_setting_t *setting, const char *key, const char *path,
                                bool wanted, bool secret)
{
    struct config_origin origin = at(read, setting, key);
    if (path == NULL)
        return;
    if (is_pattern(path))
        schema_error(read, origin, "'%s' in listener '%s' holds a variable; write one file", key, own->name);
    else if (!wanted)
        schema_error(read, origin, "'%s' in listener '%s' is of no use with its 'auth'; remove it", key,
                     own->name);
    else if (secret)
        check_secret(read, origin, key, path);
    else
        check_file(read, origin, key, path);
}

static void needs_file(struct schema_read *read, const struct config_listener *own,
                       const config_setting_t *setting, const char *key, const char *path, const char *why)
{
    if (path == NULL)
        schema_error(read, at(read, setting, NULL),
                     "'%s' is missing in listener '%s'; %s; add %s = \"FILE\";", key, own->name, why, key);
}

/* What clients of a DTLS listener are told by: as written, or by the files that are there. */
static void check_listener_dtls(struct schema_read *read, struct config_listener *own,
                                const config_setting_t *setting)
{
    if (own->auth == 0)
        own->auth = (uint8_t)((own->client_ca != NULL || own->certificate != NULL ? CONFIG_AUTH_CERT : 0) |
                              (own->psk_file != NULL ? CONFIG_AUTH_PSK : 0));
    bool cert = (own->auth & CONFIG_AUTH_CERT) != 0, psk = (own->auth & CONFIG_AUTH_PSK) != 0;
    if (!cert && !psk) {
        schema_error(
            read, at(read, setting, NULL),
            "listener '%s' could tell no client by anything; add 'psk_file', or 'certificate', 'key' "
            "and 'client_ca'",
            own->name);
        return;
    }
    if (cert) {
        needs_file(read, own, setting, "certificate", own->certificate, "clients verify the gateway by it");
        needs_file(read, own, setting, "key", own->key, "a certificate is of no use without its key");
        needs_file(read, own, setting, "client_ca", own->client_ca, "clients are verified by it");
    }
    if (psk)
        needs_file(read, own, setting, "psk_file", own->psk_file, "it holds the clients' keys");
    check_listener_file(read, own, setting, "certificate", own->certificate, cert, false);
    check_listener_file(read, own, setting, "key", own->key, cert, true);
    check_listener_file(read, own, setting, "client_ca", own->client_ca, cert, false);
    check_listener_file(read, own, setting, "crl", own->crl, cert, false);
    if (own->pins != NULL && !cert)
        schema_error(read, at(read, setting, "pin"),
                     "'pin' in listener '%s' is of no use with its 'auth'; remove it, or add \"cert\" there",
                     own->name);
    if (own->ocsp.mode != 0 && !cert)
        schema_error(read, at(read, setting, "ocsp_ask"),
                     "'ocsp_ask' in listener '%s' is of no use with its 'auth': clients show no certificate; "
                     "remove it, or add \"cert\" there",
                     own->name);
    check_listener_file(read, own, setting, "psk_file", own->psk_file, psk, true);
    check_connection_ids(read, setting, "listener", own->name, own->connection_ids, own->dtls);
}

static void check_listener_security(struct schema_read *read, struct config_listener *own,
                                    const config_setting_t *setting)
{
    bool coap = own->protocol == CONFIG_COAP;
    if (coap)
        missing_feature(read, at(read, setting, "protocol"), "listener", own->name, FEATURE_COAP);
    if (own->security == (coap ? CONFIG_SECURITY_TLS : CONFIG_SECURITY_DTLS))
        schema_error(read, at(read, setting, "security"),
                     "listener '%s' speaks %s, which is secured by %s; write "
                     "security = \"%s\"",
                     own->name, protocol_text(own->protocol), coap ? "DTLS" : "TLS", coap ? "dtls" : "tls");
    if (coap && (own->auth & CONFIG_AUTH_PASSWORD) != 0)
        schema_error(read, at(read, setting, "auth"),
                     "listener '%s' speaks CoAP, which has no passwords; remove \"password\"", own->name);
    if ((own->auth & CONFIG_AUTH_ANONYMOUS) != 0 && (own->auth & CONFIG_AUTH_PASSWORD) == 0)
        schema_error(
            read, at(read, setting, "auth"),
            "listener '%s' lets clients without a user name in, but asks nobody for a password; write "
            "auth = [ \"password\", \"anonymous\" ], or remove \"anonymous\"",
            own->name);
    if (own->security == (coap ? CONFIG_SECURITY_DTLS : CONFIG_SECURITY_TLS))
        missing_feature(read, at(read, setting, "security"), "listener", own->name,
                        coap ? FEATURE_LISTENER_DTLS : FEATURE_LISTENER_TLS);
    if (coap && own->security == CONFIG_SECURITY_DTLS)
        check_listener_dtls(read, own, setting);
}

static void check_listener(struct schema_read *read, struct gateway_draft *draft, uint32_t index,
                           bool used[GATEWAY_UPSTREAMS_MAX])
{
    struct gateway_config *config = draft->config;
    struct config_listener *own = &config->listeners[index];
    const struct draft_listener *names = &draft->listeners[index];
    uint32_t interface = gateway_network_find(read, draft, names->port, names->setting);
    uint32_t upstream = find_upstream(read, draft, names->upstream, names->setting);
    own->interface = interface == UINT32_MAX ? UINT16_MAX : (uint16_t)interface;
    check_listener_security(read, own, names->setting);
    if (own->protocol == CONFIG_MQTT && own->security == CONFIG_SECURITY_TLS)
        gateway_check_listener_tls(read, draft, own, names->setting);
    else if (own->protocol == CONFIG_MQTT && (own->auth & (CONFIG_AUTH_CERT | CONFIG_AUTH_PSK)) != 0)
        schema_error(
            read, at(read, names->setting, "auth"),
            "listener '%s' has no TLS, so that nobody can show a certificate; write security = \"tls\"",
            own->name);
    if (upstream != UINT32_MAX) {
        own->upstream = upstream;
        used[upstream] = true;
        /* CoAP devices may be served from a broker (E8); the other way round there is nothing to say. */
        bool to_broker = own->protocol == CONFIG_COAP && config->upstreams[upstream].protocol == CONFIG_MQTT;
        if (config->upstreams[upstream].protocol != own->protocol && !to_broker)
            schema_error(read, at(read, names->setting, "upstream"),
                         "listener '%s' speaks %s, but upstream '%s' speaks %s; name another upstream",
                         own->name, protocol_text(own->protocol), names->upstream,
                         protocol_text(config->upstreams[upstream].protocol));
    }
    struct config_address host = {.bits = 128};
    memcpy(host.bytes, own->address, 16);
    const char *problem = own->has_address ? address_check_host(&host) : NULL;
    if (problem != NULL)
        schema_error(read, at(read, names->setting, "listen"), "'listen' of listener '%s': %s; correct it",
                     own->name, problem);
    for (uint32_t i = 0; interface != UINT32_MAX && i < index; i++)
        if (clashes(own, &config->listeners[i]))
            schema_error(
                read, at(read, names->setting, "listen"),
                "listener '%s' and listener '%s' (line %u) both take port %u of '%s'; give one another "
                "port or an address of its own",
                own->name, config->listeners[i].name, config->listeners[i].origin.line, own->port,
                names->port);
}

static void check_names(struct schema_read *read, const struct gateway_draft *draft)
{
    const struct gateway_config *config = draft->config;
    for (uint32_t i = 0; i < config->listeners_n; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(config->listeners[i].name, config->listeners[j].name) == 0)
                schema_error(read, at(read, draft->listeners[i].setting, "name"),
                             "there are two listeners '%s'; the first is on line %u; give one another name",
                             config->listeners[i].name, config->listeners[j].origin.line);
    for (uint32_t i = 0; i < config->upstreams_n; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(config->upstreams[i].name, config->upstreams[j].name) == 0)
                schema_error(read, at(read, draft->upstreams[i].setting, "name"),
                             "there are two upstreams '%s'; the first is on line %u; give one another name",
                             config->upstreams[i].name, config->upstreams[j].origin.line);
}

void gateway_check_services(struct schema_read *read, struct gateway_draft *draft)
{
    struct gateway_config *config = draft->config;
    bool used[GATEWAY_UPSTREAMS_MAX] = {false};
    /* What has no name has been told; it needs one in messages. */
    for (uint32_t i = 0; i < config->upstreams_n; i++)
        if (config->upstreams[i].name == NULL)
            config->upstreams[i].name = "?";
    for (uint32_t i = 0; i < config->listeners_n; i++)
        if (config->listeners[i].name == NULL)
            config->listeners[i].name = "?";
    check_names(read, draft);
    for (uint32_t i = 0; i < config->listeners_n; i++)
        check_listener(read, draft, i, used);
    for (uint32_t i = 0; i < config->upstreams_n; i++) {
        const struct config_upstream *own = &config->upstreams[i];
        check_upstream(read, draft, i);
        if (!used[i])
            diagnostics_add(read->d, DIAGNOSTIC_WARNING, own->origin.file, own->origin.line,
                            "upstream '%s' is named by no listener; remove it", own->name);
    }
}
