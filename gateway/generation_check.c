/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/generation_check.h"

#include "dataplane/secure/tls_authorities.h"
#include "dataplane/secure/tls_context.h"
#include "policy/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "${id}"
#define TOLD_MAX 5 /* of one kind and upstream; the rest is counted */

static bool readable(const char *path)
{
    return path == NULL || strstr(path, VARIABLE) != NULL || access(path, R_OK) == 0;
}

bool generation_check_complete(const struct config_upstream *u)
{
    bool psk = u->psk_id != NULL || u->psk_file != NULL;
    if (u->security == CONFIG_SECURITY_NONE)
        return true;
    if ((u->certificate == NULL) != (u->key == NULL) || (u->psk_id == NULL) != (u->psk_file == NULL) ||
        (!psk && (u->ca == NULL || u->server_name == NULL)))
        return false;
    return readable(u->ca) && readable(u->certificate) && readable(u->key) && readable(u->key_password) &&
           readable(u->bundle) && readable(u->crl) && readable(u->psk_file);
}

/* `what` and `name`: whose pair it is. */
static bool check_pair(const char *what, const char *name, const struct config_origin *at,
                       const char *certificate, const char *key, const char *key_password,
                       struct diagnostics *d)
{
    struct tls_error error = {.text = ""};
    int days_left = 0;
    if (tls_check_pair_with(certificate, key, key_password, &days_left, &error) != 0) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line, "%s '%s': %s", what, name, error.text);
        return false;
    }
    if (days_left < GENERATION_EXPIRY_DAYS)
        diagnostics_add(d, DIAGNOSTIC_WARNING, at->file, at->line,
                        "%s '%s': certificate %s ends in %d days; renew it", what, name, certificate,
                        days_left);
    return true;
}

void generation_check_authorities(const char *what, const char *name, const struct config_origin *at,
                                  const char *file, struct diagnostics *d)
{
    uint32_t which = 0;
    int days_left = 0;
    if (file == NULL || !tls_authorities_end(file, &which, &days_left) || days_left >= GENERATION_EXPIRY_DAYS)
        return;
    if (days_left < 0)
        diagnostics_add(d, DIAGNOSTIC_WARNING, at->file, at->line,
                        "%s '%s': certificate %u of %s has ended; nothing that it signed is believed; "
                        "replace or remove it",
                        what, name, which, file);
    else
        diagnostics_add(d, DIAGNOSTIC_WARNING, at->file, at->line,
                        "%s '%s': certificate %u of %s ends in %d days; nothing that it signed is believed "
                        "then; renew it",
                        what, name, which, file, days_left);
}

static bool one_byte(const struct psk_key *key)
{
    uint8_t differs = 0;
    for (uint32_t i = 1; i < key->key_len; i++)
        differs |= key->key[i] ^ key->key[0];
    return differs == 0;
}

bool generation_check_keys(const char *what, const char *name, const struct config_origin *at,
                           const struct psk_keys *keys, struct diagnostics *d)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; keys != NULL && i < psk_keys_count(keys); i++) {
        const struct psk_key *key = psk_keys_at(keys, i);
        const char *problem = !utf8_check(bytes_of_text(key->identity), UTF8_STRICT)
                                  ? "the identity is not UTF-8 or holds control characters"
                              : one_byte(key) ? "the key is one byte over and over; make another"
                                              : NULL;
        if (problem != NULL && bad++ < TOLD_MAX)
            diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line, "%s '%s': line %u of its psk_file: %s",
                            what, name, key->line, problem);
    }
    if (bad > TOLD_MAX)
        diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line,
                        "%s '%s': %u more lines of its psk_file have such an error", what, name,
                        bad - TOLD_MAX);
    return bad == 0;
}

bool generation_check_check_id(const struct config_upstream *upstream, const char *pattern,
                               const struct psk_keys *keys, struct diagnostics *d)
{
    char identity[PSK_IDENTITY_MAX];
    const struct config_origin *at = &upstream->origin;
    bool asked = upstream->security == CONFIG_SECURITY_TLS &&
                 (upstream->check == CONFIG_CHECK_TLS || upstream->check == CONFIG_CHECK_MQTT_PING);
    if (!asked ||
        (psk_identity_fill(pattern, upstream->check_id, identity) && psk_keys_find(keys, identity) != NULL))
        return true;
    diagnostics_add(
        d, DIAGNOSTIC_ERROR, at->file, at->line,
        "upstream '%s': there is no key for its checks, whose 'check_id' is '%s'; add one to the psk_file, "
        "name another 'check_id', or write check = \"tcp\"",
        upstream->name, upstream->check_id == NULL ? "" : upstream->check_id);
    return false;
}

bool generation_check_pair(const struct config_upstream *upstream, struct diagnostics *d)
{
    return upstream->certificate == NULL || strstr(upstream->certificate, VARIABLE) != NULL ||
           check_pair("upstream", upstream->name, &upstream->origin, upstream->certificate, upstream->key,
                      upstream->key_password, d);
}

bool generation_check_listener(const struct config_listener *l, struct diagnostics *d)
{
    bool cert = (l->auth & CONFIG_AUTH_CERT) != 0, psk = (l->auth & CONFIG_AUTH_PSK) != 0;
    if ((!cert && !psk) || (psk && (l->psk_file == NULL || !readable(l->psk_file))))
        return false;
    if (!cert)
        return true;
    return l->certificate != NULL && l->key != NULL && l->client_ca != NULL && readable(l->certificate) &&
           readable(l->key) && readable(l->client_ca) && readable(l->crl) &&
           check_pair("listener", l->name, &l->origin, l->certificate, l->key, l->key_password, d);
}

/* "tls/devices/${id}.pem": its directory, and what stands before and behind the variable in the name. */
struct pattern {
    char directory[PATH_MAX];
    char before[NAME_MAX + 1];
    const char *behind;
};

static bool take_pattern(const char *path, struct pattern *out)
{
    const char *variable = strstr(path, VARIABLE);
    const char *slash = variable;
    while (slash > path && *slash != '/')
        slash--;
    out->behind = variable + strlen(VARIABLE);
    size_t before = (size_t)(variable - slash - (*slash == '/'));
    if (strchr(out->behind, '/') != NULL || strstr(out->behind, VARIABLE) != NULL || before > NAME_MAX)
        return false; /* a directory for each device: its files are met as devices come */
    int n = snprintf(out->directory, sizeof(out->directory), "%.*s", (int)(slash - path + 1), path);
    memcpy(out->before, variable - before, before);
    out->before[before] = '\0';
    return n > 0 && (size_t)n < sizeof(out->directory);
}

/* The id in a file's name; false when it does not fit the pattern. */
static bool take_id(const struct pattern *pattern, const char *name, char id[NAME_MAX + 1])
{
    size_t len = strlen(name), before = strlen(pattern->before), behind = strlen(pattern->behind);
    if (len <= before + behind || strncmp(name, pattern->before, before) != 0 ||
        strcmp(name + len - behind, pattern->behind) != 0)
        return false;
    memcpy(id, name + before, len - before - behind);
    id[len - before - behind] = '\0';
    return id[0] != '.';
}

static bool path_of(const char *pattern, const char *id, char path[PATH_MAX])
{
    const char *variable = strstr(pattern, VARIABLE);
    int n = snprintf(path, PATH_MAX, "%.*s%s%s", (int)(variable - pattern), pattern, id,
                     variable + strlen(VARIABLE));
    return n > 0 && n < PATH_MAX;
}

struct devices {
    const struct config_upstream *upstream;
    struct diagnostics *d;
    uint32_t n, bad, ending;
};

/* Private keys cost; whether a file is there and may be read costs nearly nothing. */
static void see_device(struct devices *devices, const char *id, const char *certificate, const char *key)
{
    const struct config_origin *at = &devices->upstream->origin;
    const char *file = access(certificate, R_OK) != 0 ? certificate : key;
    if (access(file, R_OK) != 0 && devices->bad++ < TOLD_MAX)
        diagnostics_add(devices->d, DIAGNOSTIC_ERROR, at->file, at->line,
                        "upstream '%s': device '%s' cannot connect; %s cannot be read: %s",
                        devices->upstream->name, id, file, strerror(errno));
}

static void check_device(struct devices *devices, const char *id)
{
    char certificate[PATH_MAX], key[PATH_MAX];
    const struct config_upstream *upstream = devices->upstream;
    const struct config_origin *at = &upstream->origin;
    struct tls_error error = {.text = ""};
    int days_left = 0;
    if (!path_of(upstream->certificate, id, certificate) || !path_of(upstream->key, id, key))
        return;
    devices->n++;
    if (devices->n > GENERATION_PAIRS_MAX) {
        if (devices->n <= GENERATION_PAIRS_SEEN_MAX)
            see_device(devices, id, certificate, key);
        return;
    }
    if (tls_check_pair_with(certificate, key, upstream->key_password, &days_left, &error) != 0) {
        if (devices->bad++ < TOLD_MAX)
            diagnostics_add(devices->d, DIAGNOSTIC_ERROR, at->file, at->line,
                            "upstream '%s': device '%s' cannot connect; %s", upstream->name, id, error.text);
    } else if (days_left < GENERATION_EXPIRY_DAYS && devices->ending++ < TOLD_MAX) {
        diagnostics_add(devices->d, DIAGNOSTIC_WARNING, at->file, at->line,
                        "upstream '%s': certificate of device '%s' ends in %d days; renew it", upstream->name,
                        id, days_left);
    }
}

void generation_check_devices(const struct config_upstream *upstream, struct diagnostics *d)
{
    struct pattern pattern;
    struct devices devices = {.upstream = upstream, .d = d};
    char id[NAME_MAX + 1];
    if (upstream->certificate == NULL || strstr(upstream->certificate, VARIABLE) == NULL ||
        strstr(upstream->key, VARIABLE) == NULL || !take_pattern(upstream->certificate, &pattern))
        return;
    DIR *dir = opendir(pattern.directory);
    if (dir == NULL) /* only to be entered: files are met as devices come */
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (take_id(&pattern, entry->d_name, id))
            check_device(&devices, id);
    closedir(dir);
    const struct config_origin *at = &upstream->origin;
    if (devices.n > GENERATION_PAIRS_MAX)
        diagnostics_add(
            d, DIAGNOSTIC_WARNING, at->file, at->line,
            "upstream '%s': %u of %u pairs of devices were read; of %u more it was seen that their files are "
            "there; a key that does not fit, or an end that is near, shows when the device comes",
            upstream->name, GENERATION_PAIRS_MAX, devices.n,
            (devices.n < GENERATION_PAIRS_SEEN_MAX ? devices.n : GENERATION_PAIRS_SEEN_MAX) -
                GENERATION_PAIRS_MAX);
    if (devices.bad > TOLD_MAX)
        diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line,
                        "upstream '%s': %u more devices cannot connect for such a reason", upstream->name,
                        devices.bad - TOLD_MAX);
    if (devices.ending > TOLD_MAX)
        diagnostics_add(d, DIAGNOSTIC_WARNING, at->file, at->line,
                        "upstream '%s': %u more certificates of devices end within %d days", upstream->name,
                        devices.ending - TOLD_MAX, GENERATION_EXPIRY_DAYS);
}
