/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/listener_context.h"

#include "gateway/generation_check.h"

#include <unistd.h>

/* An expiry nearer than this is worth a warning. */
#define EXPIRY_WARNING_DAYS 30

static bool readable(const char *path)
{
    return path == NULL || access(path, R_OK) == 0;
}

/* What is not there has been told where the settings were read. */
static bool complete(const struct config_listener *l)
{
    bool asks = (l->auth & CONFIG_AUTH_CERT) != 0, psk = (l->auth & CONFIG_AUTH_PSK) != 0;
    if (psk && (l->psk_file == NULL || !readable(l->psk_file)))
        return false;
    if (psk && !asks && l->certificate == NULL && l->key == NULL)
        return true;
    return l->certificate != NULL && l->key != NULL && asks == (l->client_ca != NULL) &&
           readable(l->certificate) && readable(l->key) && readable(l->key_password) &&
           readable(l->client_ca) && readable(l->crl);
}

struct ocsp_policy listener_context_ocsp(const struct config_ocsp *ocsp)
{
    return (struct ocsp_policy){.mode = (enum ocsp_mode)ocsp->mode,
                                .leaf_only = ocsp->leaf_only,
                                .responder = ocsp->responder,
                                .cache_s = (uint32_t)(ocsp->cache_us / 1000000),
                                .timeout_ms = (uint32_t)(ocsp->timeout_us / 1000)};
}

struct tls_context *listener_context_tls(const struct config_listener *listener, struct diagnostics *d)
{
    if (!complete(listener))
        return NULL;
    bool asks = listener->client_ca != NULL;
    struct ocsp_policy ocsp = listener_context_ocsp(&listener->ocsp);
    /* Where another proof would do as well, a client without a certificate is not turned away yet. */
    struct tls_server_settings settings = {
        .min_version = listener->tls_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3,
        .certificate_file = listener->certificate,
        .key_file = listener->key,
        .key_password_file = listener->key_password,
        .client_ca_file = listener->client_ca,
        .crl_file = asks ? listener->crl : NULL,
        .ocsp = asks ? &ocsp : NULL,
        .psk_file = (listener->auth & CONFIG_AUTH_PSK) != 0 ? listener->psk_file : NULL,
        .needs_certificate = asks && (listener->auth & ~(CONFIG_AUTH_CERT | CONFIG_AUTH_PSK)) == 0,
        .resumption = listener->resumption,
        .ticket_peers = 0};
    const struct config_origin *at = &listener->origin;
    struct tls_error error = {.text = ""};
    int days_left = 0;
    struct tls_context *context = tls_server_context_create(&settings, &error);
    if (context == NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line, "listener '%s': %s", listener->name,
                        error.text);
    else if (!generation_check_keys("listener", listener->name, at, tls_context_keys(context), d)) {
        tls_context_unref(context);
        return NULL;
    } else if (listener->certificate != NULL &&
               tls_check_pair_with(listener->certificate, listener->key, listener->key_password, &days_left,
                                   &error) == 0 &&
               days_left < EXPIRY_WARNING_DAYS)
        diagnostics_add(d, DIAGNOSTIC_WARNING, at->file, at->line,
                        "listener '%s': certificate %s ends in %d days; renew it", listener->name,
                        listener->certificate, days_left);
    return context;
}
