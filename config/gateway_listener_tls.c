/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a TLS listener needs, from its own settings or those of `tls` for all of them (A5, B4, C1). */
#include "config/gateway_draft.h"
#include "config/text.h"

#include <string.h>
#include <sys/stat.h>

/* Where a file was named: the listener's own setting, or the one of `tls`. */
static struct config_origin origin_of(struct schema_read *read, const config_setting_t *own, const char *key)
{
    const config_setting_t *root = own;
    while (!config_setting_is_root(root))
        root = config_setting_parent(root);
    const config_setting_t *all = config_setting_get_member(root, "tls");
    if (config_setting_get_member(own, key) != NULL || all == NULL ||
        config_setting_get_member(all, key) == NULL)
        return schema_origin(read->load, own, key);
    return schema_origin(read->load, all, key);
}

static const char *shown(const struct schema_read *read, const char *path)
{
    size_t len = strlen(read->directory);
    return strncmp(path, read->directory, len) == 0 && path[len] == '/' ? path + len + 1 : path;
}

static void check_one(struct schema_read *read, const struct config_listener *own,
                      const config_setting_t *setting, const char *key, const char *path, bool secret)
{
    struct config_origin origin = origin_of(read, setting, key);
    struct text_problem problem;
    struct stat st;
    if (path == NULL)
        return;
    if (strstr(path, "${") != NULL)
        schema_error(read, origin, "'%s' of listener '%s' holds a variable; write one file", key, own->name);
    else if (text_readable(path, &problem) != 0)
        schema_error(read, origin, "'%s' names %s; %s", key, shown(read, path), problem.text);
    else if (secret && stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
        diagnostics_add(read->d, DIAGNOSTIC_WARNING, origin.file, origin.line,
                        "'%s' names %s, which every user of this machine can reach; chmod o= it", key,
                        shown(read, path));
}

static void missing(struct schema_read *read, const struct config_listener *own,
                    const config_setting_t *setting, const char *key, const char *why)
{
    schema_error(read, schema_origin(read->load, setting, NULL),
                 "'%s' is missing in listener '%s'; %s; add %s = \"FILE\"; there or in 'tls'", key, own->name,
                 why, key);
}

/* Certificate and key come together from one place; a list belongs to the CAs beside it. */
static void take_defaults(struct config_listener *own, const struct config_tls *all, bool keys)
{
    if (own->certificate == NULL && own->key == NULL && !keys) {
        own->certificate = all->certificate;
        own->key = all->key;
    }
    if ((own->auth & CONFIG_AUTH_CERT) != 0 && own->client_ca == NULL) {
        own->client_ca = all->client_ca;
        if (own->crl == NULL)
            own->crl = all->crl;
    }
    if (!own->min_version_set)
        own->tls_1_2 = all->tls_1_2;
}

/* Clients are told by their keys alone: then there are no certificates, and nothing of `tls` but the version.
 */
static bool keys_only(const struct config_listener *own)
{
    return (own->auth & CONFIG_AUTH_PSK) != 0 && (own->auth & CONFIG_AUTH_CERT) == 0 &&
           own->certificate == NULL && own->key == NULL;
}

static void check_keys(struct schema_read *read, const struct config_listener *own,
                       const config_setting_t *setting)
{
    bool psk = (own->auth & CONFIG_AUTH_PSK) != 0;
    if (!psk && own->psk_file != NULL)
        schema_error(
            read, schema_origin(read->load, setting, "psk_file"),
            "'psk_file' in listener '%s' is of no use with its 'auth'; remove it, or add \"psk\" there",
            own->name);
    if (!psk)
        return;
    if (own->psk_file == NULL)
        schema_error(
            read, schema_origin(read->load, setting, NULL),
            "'psk_file' is missing in listener '%s'; it holds the clients' keys; add psk_file = \"FILE\";",
            own->name);
    if (own->auth == CONFIG_AUTH_PSK && !keys_only(own))
        schema_error(
            read, schema_origin(read->load, setting, own->certificate != NULL ? "certificate" : "key"),
            "listener '%s' has a certificate, but its 'auth' tells clients by their keys alone; remove it, "
            "or add \"cert\" or \"password\" there",
            own->name);
    check_one(read, own, setting, "psk_file", own->psk_file, true);
}

void gateway_check_listener_tls(struct schema_read *read, const struct gateway_draft *draft,
                                struct config_listener *own, const config_setting_t *setting)
{
    if (own->auth == 0)
        own->auth = (uint8_t)((own->client_ca != NULL ? CONFIG_AUTH_CERT : 0) |
                              (own->psk_file != NULL ? CONFIG_AUTH_PSK : 0));
    bool cert = (own->auth & CONFIG_AUTH_CERT) != 0, keys = keys_only(own);
    check_keys(read, own, setting);
    take_defaults(own, &draft->config->tls, keys);
    if (own->certificate == NULL && !keys)
        missing(read, own, setting, "certificate", "clients verify the gateway by it");
    if (own->key == NULL && !keys)
        missing(read, own, setting, "key", "a certificate is of no use without its key");
    if (cert && own->client_ca == NULL)
        missing(read, own, setting, "client_ca", "clients are verified by it");
    if (!cert && (own->client_ca != NULL || own->crl != NULL))
        schema_error(read, schema_origin(read->load, setting, own->client_ca != NULL ? "client_ca" : "crl"),
                     "'%s' in listener '%s' is of no use with its 'auth'; remove it, or add \"cert\" there",
                     own->client_ca != NULL ? "client_ca" : "crl", own->name);
    if (own->ocsp.mode != 0 && !cert)
        schema_error(read, schema_origin(read->load, setting, "ocsp_ask"),
                     "'ocsp_ask' in listener '%s' is of no use with its 'auth': clients show no certificate; "
                     "remove it, or add \"cert\" there",
                     own->name);
    check_one(read, own, setting, "certificate", own->certificate, false);
    check_one(read, own, setting, "key", own->key, true);
    check_one(read, own, setting, "key_password", own->key_password, true);
    check_one(read, own, setting, "client_ca", own->client_ca, false);
    check_one(read, own, setting, "crl", own->crl, false);
}
