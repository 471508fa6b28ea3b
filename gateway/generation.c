/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/generation.h"

#include "dataplane/secure/crypto_offload.h"
#include "gateway/generation_check.h"
#include "gateway/listener_context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "${id}" in a path becomes "%s", which the TLS context replaces by the identity. False when it does not fit.
 */
static bool path_pattern(const char *path, char *out, size_t room)
{
    const char *variable = strstr(path, "${id}");
    int n = variable == NULL
                ? snprintf(out, room, "%s", path)
                : snprintf(out, room, "%.*s%%s%s", (int)(variable - path), path, variable + strlen("${id}"));
    return n > 0 && (size_t)n < room;
}

/* Certificate and key with "%s" where they have ${id}; NULL when there is none of them. */
struct pair_paths {
    char certificate[1024];
    char key[1024];
};

/* The settings of an upstream with certificates; they borrow from `paths`. False when told. */
static bool fill_settings(const struct config_upstream *upstream, struct pair_paths *paths,
                          struct tls_settings *settings, struct diagnostics *d)
{
    *settings = (struct tls_settings){.min_version = upstream->tls_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3,
                                      .ca_file = upstream->ca,
                                      .server_name = upstream->server_name,
                                      .alpn = upstream->alpn,
                                      .crl_file = upstream->crl,
                                      .pins = upstream->pins,
                                      .stapling = (enum tls_stapling)upstream->stapling,
                                      .bundle_file = upstream->bundle,
                                      .key_password_file = upstream->key_password,
                                      .resumption = upstream->resumption};
    if (upstream->certificate == NULL)
        return true;
    settings->certificate_file = paths->certificate;
    settings->key_file = paths->key;
    if (upstream->key != NULL &&
        path_pattern(upstream->certificate, paths->certificate, sizeof(paths->certificate)) &&
        path_pattern(upstream->key, paths->key, sizeof(paths->key)))
        return true;
    diagnostics_add(d, DIAGNOSTIC_ERROR, upstream->origin.file, upstream->origin.line,
                    "upstream '%s': certificate and key paths are incomplete or too long; give both",
                    upstream->name);
    return false;
}

/* The identity as psk_identity_fill takes it; false when it is none, with `error`. */
static bool psk_pattern(const struct config_upstream *upstream, char out[PSK_IDENTITY_MAX],
                        struct tls_error *error)
{
    return (upstream->psk_id != NULL && strchr(upstream->psk_id, '%') == NULL &&
            path_pattern(upstream->psk_id, out, PSK_IDENTITY_MAX)) ||
           tls_error_set(error, "psk_id is too long or holds '%%'; shorten it");
}

/* The keys of an upstream; false when told. */
static bool check_keys(const struct config_upstream *upstream, const char *pattern,
                       const struct psk_keys *keys, struct diagnostics *d)
{
    return keys == NULL || (generation_check_keys("upstream", upstream->name, &upstream->origin, keys, d) &&
                            generation_check_check_id(upstream, pattern, keys, d));
}

static struct tls_context *make_psk_context(const struct config_upstream *upstream, struct diagnostics *d)
{
    char psk_id[PSK_IDENTITY_MAX];
    struct tls_error error = {.text = ""};
    struct tls_settings settings = {.min_version = upstream->tls_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3,
                                    .server_name = upstream->server_name,
                                    .alpn = upstream->alpn,
                                    .psk_file = upstream->psk_file,
                                    .psk_id = psk_id};
    struct tls_context *context =
        psk_pattern(upstream, psk_id, &error) ? tls_context_create(&settings, &error) : NULL;
    if (context == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, upstream->origin.file, upstream->origin.line,
                        "upstream '%s': %s", upstream->name, error.text);
    } else if (!check_keys(upstream, psk_id, tls_context_keys(context), d)) {
        tls_context_unref(context);
        context = NULL;
    }
    return context;
}

static struct tls_context *make_context(const struct config_upstream *upstream, struct diagnostics *d)
{
    struct pair_paths paths;
    struct tls_settings settings;
    struct tls_error error = {.text = ""};
    struct ocsp_policy ocsp = listener_context_ocsp(&upstream->ocsp);
    if (upstream->psk_file != NULL)
        return make_psk_context(upstream, d);
    if (!fill_settings(upstream, &paths, &settings, d))
        return NULL;
    settings.ocsp = &ocsp;
    struct tls_context *context = tls_context_create(&settings, &error);
    if (context == NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, upstream->origin.file, upstream->origin.line,
                        "upstream '%s': %s", upstream->name, error.text);
    return context;
}

static struct dtls_context *make_dtls_context(const struct config_upstream *upstream, struct diagnostics *d)
{
    char psk_id[PSK_IDENTITY_MAX];
    struct pair_paths paths;
    struct tls_settings certificates;
    struct tls_error error = {.text = ""};
    struct ocsp_policy ocsp = listener_context_ocsp(&upstream->ocsp);
    struct dtls_settings settings = {.psk_file = upstream->psk_file,
                                     .psk_id = psk_id,
                                     .version = upstream->dtls == CONFIG_DTLS_1_3 ? DTLS_1_3 : DTLS_1_2,
                                     .connection_ids = upstream->connection_ids};
    struct dtls_context *context = NULL;
    if (upstream->psk_file == NULL) {
        if (!fill_settings(upstream, &paths, &certificates, d))
            return NULL;
        certificates.ocsp = &ocsp;
        settings = (struct dtls_settings){.certificates = &certificates,
                                          .version = settings.version,
                                          .connection_ids = upstream->connection_ids};
        context = dtls_context_create(&settings, &error);
    } else if (psk_pattern(upstream, psk_id, &error)) {
        context = dtls_context_create(&settings, &error);
    }
    if (context == NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, upstream->origin.file, upstream->origin.line,
                        "upstream '%s': %s", upstream->name, error.text);
    return context;
}

static struct dtls_context *make_listener_dtls(const struct config_listener *listener, struct diagnostics *d)
{
    struct tls_error error = {.text = ""};
    bool certificates = (listener->auth & CONFIG_AUTH_CERT) != 0;
    struct ocsp_policy ocsp = listener_context_ocsp(&listener->ocsp);
    struct dtls_server_settings settings = {
        .psk_file = (listener->auth & CONFIG_AUTH_PSK) != 0 ? listener->psk_file : NULL,
        .certificate_file = certificates ? listener->certificate : NULL,
        .key_file = listener->key,
        .client_ca_file = listener->client_ca,
        .crl_file = listener->crl,
        .pins = listener->pins,
        .ocsp = &ocsp,
        .versions = listener->dtls == CONFIG_DTLS_1_2   ? DTLS_1_2
                    : listener->dtls == CONFIG_DTLS_1_3 ? DTLS_1_3
                                                        : DTLS_1_2 | DTLS_1_3,
        .connection_ids = listener->connection_ids};
    if (!generation_check_listener(listener, d))
        return NULL;
    struct dtls_context *context = dtls_server_context_create(&settings, &error);
    if (context == NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, listener->origin.file, listener->origin.line,
                        "listener '%s': %s", listener->name, error.text);
    return context;
}

static void make_contexts(struct generation *generation, struct diagnostics *d)
{
    for (uint32_t i = 0; i < generation->config->listeners_n; i++) {
        const struct config_listener *listener = &generation->config->listeners[i];
        if (listener->security != CONFIG_SECURITY_NONE)
            generation_check_authorities("listener", listener->name, &listener->origin, listener->client_ca,
                                         d);
        if (listener->security == CONFIG_SECURITY_DTLS)
            generation->listener_dtls[i] = make_listener_dtls(listener, d);
        else if (listener->security == CONFIG_SECURITY_TLS)
            generation->listener_tls[i] = listener_context_tls(listener, d);
    }
    for (uint32_t i = 0; i < generation->config->upstreams_n; i++) {
        const struct config_upstream *upstream = &generation->config->upstreams[i];
        if (!generation_check_complete(upstream))
            continue;
        if (upstream->password_file != NULL)
            generation->passwords[i] = secret_file_load(upstream->password_file, d);
        if (upstream->security == CONFIG_SECURITY_NONE)
            continue;
        if (!generation_check_pair(upstream, d))
            continue;
        generation_check_authorities("upstream", upstream->name, &upstream->origin, upstream->ca, d);
        generation_check_devices(upstream, d);
        if (upstream->security == CONFIG_SECURITY_DTLS)
            generation->upstream_dtls[i] = make_dtls_context(upstream, d);
        else
            generation->upstream_tls[i] = make_context(upstream, d);
    }
}

static bool make_cloud_roles(struct generation *generation)
{
    const struct gateway_config *config = generation->config;
    for (uint32_t i = 0; i < config->upstreams_n; i++) {
        if (config->upstreams[i].profile == CLOUD_PLAIN)
            continue;
        generation->cloud[i] = cloud_roles_create(generation->policy, config->upstreams[i].profile);
        if (generation->cloud[i] == NULL)
            return false;
    }
    return true;
}

/* Once, before there are workers: what they do records with cannot change under them. */
static void choose_crypto(const struct generation *generation, struct diagnostics *d)
{
    const struct gateway_config *config = generation->config;
    int bad = crypto_offload_choose((enum crypto_engine)config->record_crypto, NULL);
    if (bad == -ENOTSUP)
        diagnostics_add(d, DIAGNOSTIC_ERROR, config->record_crypto_origin.file,
                        config->record_crypto_origin.line,
                        "'record_crypto' is \"ipsec-mb\", which needs AES-NI, and this processor has none; "
                        "write \"auto\"");
    else if (bad != 0)
        diagnostics_add(d, DIAGNOSTIC_ERROR, config->record_crypto_origin.file, 0, "out of memory");
}

struct generation *generation_load_with(const char *config_file, const char *policy_directory,
                                        uint32_t number, const struct generation *running,
                                        struct diagnostics *d, const struct policy_wishes *wishes)
{
    struct config_text *text = wishes->text;
    struct generation *generation = calloc(1, sizeof(*generation));
    if (generation == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, config_file, 0, "out of memory");
        return NULL;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    generation->number = number;
    generation->loaded_at_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    /* With errors too, what could be read serves to check the policy, so that one run tells everything (G1).
     */
    generation->config = gateway_config_read(config_file, d);
    if (generation->config != NULL) {
        bool good = diagnostics_errors(d) == 0;
        if (running == NULL)
            choose_crypto(generation, d);
        make_contexts(generation, d);
        generation->policy = policy_config_load_with(policy_directory, generation->config, number, d,
                                                     &generation->summary, wishes);
        if (wishes->style == CONFIG_PRINT_KEPT && text->at != NULL)
            digest_sha256(text->at + text->policy_at, text->len - text->policy_at, generation->sha256);
        if (good && running != NULL) {
            gateway_config_compare(running->config, generation->config, d);
            gateway_config_keep(running->config, (struct gateway_config *)(uintptr_t)generation->config, d);
        }
    }
    if (diagnostics_errors(d) == 0 && generation->config != NULL && generation->policy != NULL) {
        generation->totals = rate_totals_create(generation->policy, generation->config,
                                                running != NULL ? running->totals : NULL);
        generation->hits = rule_hits_create(generation->policy, generation->loaded_at_us);
        if (generation->totals == NULL || generation->hits == NULL || !make_cloud_roles(generation))
            diagnostics_add(d, DIAGNOSTIC_ERROR, config_file, 0, "out of memory");
    }
    diagnostics_sort(d);
    if (diagnostics_errors(d) == 0 && generation->config != NULL && generation->policy != NULL)
        return generation;
    if (wishes->style != CONFIG_PRINT_NONE)
        config_text_fini(text);
    generation_destroy(generation);
    return NULL;
}

struct generation *generation_load(const char *config_file, const char *policy_directory, uint32_t number,
                                   const struct generation *running, struct diagnostics *d)
{
    static const struct policy_wishes none = {.style = CONFIG_PRINT_NONE};
    return generation_load_with(config_file, policy_directory, number, running, d, &none);
}

void generation_renumber(struct generation *generation, uint32_t number)
{
    generation->number = number;
    snapshot_renumber((struct snapshot *)(uintptr_t)generation->policy, number);
}

void generation_destroy(struct generation *generation)
{
    if (generation == NULL)
        return;
    for (uint32_t i = 0; i < GATEWAY_UPSTREAMS_MAX; i++) {
        if (generation->upstream_tls[i] != NULL)
            tls_context_unref(generation->upstream_tls[i]);
        dtls_context_unref(generation->upstream_dtls[i]);
        secret_file_destroy(generation->passwords[i]);
        cloud_roles_destroy(generation->cloud[i]);
    }
    rate_totals_destroy(generation->totals);
    for (uint32_t i = 0; i < GATEWAY_LISTENERS_MAX; i++) {
        dtls_context_unref(generation->listener_dtls[i]);
        tls_context_unref(generation->listener_tls[i]);
    }
    rule_hits_destroy(generation->hits);
    if (generation->policy != NULL)
        snapshot_destroy((struct snapshot *)(uintptr_t)generation->policy);
    if (generation->config != NULL)
        gateway_config_destroy((struct gateway_config *)(uintptr_t)generation->config);
    free(generation);
}
