/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/gateway_config.h"

#include "config/gateway_draft.h"
#include "config/policy_draft.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gateway_owned *owned_of(struct gateway_config *config)
{
    return (struct gateway_owned *)(void *)config; /* its first member */
}

/* Splits FILE into the absolute directory, and the name that messages use. */
static bool take_place(struct gateway_owned *owned, const char *file, struct diagnostics *d)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash == NULL ? file : slash + 1;
    char *before = slash == NULL ? arena_text(owned->arena, ".", 1)
                                 : arena_text(owned->arena, file, slash == file ? 1 : (size_t)(slash - file));
    char *directory = before == NULL ? NULL : realpath(before, NULL);
    if (directory == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, file, 0, "its directory cannot be entered: %s; correct the path",
                        strerror(errno));
        return false;
    }
    owned->config.directory = arena_text(owned->arena, directory, strlen(directory));
    owned->config.file = arena_text(owned->arena, name, strlen(name));
    free(directory);
    return owned->config.directory != NULL && owned->config.file != NULL;
}

/* More names than there is room for cannot be: keys with a file name, times entries. */
static void note_path(struct schema_read *read, const char *path)
{
    struct gateway_config *config = ((struct gateway_draft *)read->owner)->config;
    if (config->paths_n < GATEWAY_PATHS_MAX)
        config->paths[config->paths_n++] = path;
}

static void check_all(struct gateway_owned *owned, struct diagnostics *d)
{
    struct gateway_config *config = &owned->config;
    struct gateway_draft *draft = calloc(1, sizeof(*draft));
    struct schema_read read = {.load = owned->load,
                               .d = d,
                               .arena = owned->arena,
                               .directory = config->directory,
                               .owner = draft,
                               .beside = &policy_keys,
                               .named = note_path};
    if (draft == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, config->file, 0, "no memory to read it");
        return;
    }
    draft->config = config;
    schema_take(&read, &gateway_keys, draft);
    gateway_check_network(&read, draft);
    gateway_check_services(&read, draft);
    free(draft);
    if (config->name == NULL) {
        char *host = arena_take(owned->arena, HOST_NAME_MAX + 1);
        config->name = host != NULL && gethostname(host, HOST_NAME_MAX) == 0 ? host : "sallyport";
    }
}

struct gateway_config *gateway_config_read(const char *file, struct diagnostics *d)
{
    struct gateway_owned *owned = calloc(1, sizeof(*owned));
    if (owned != NULL)
        owned->arena = arena_create();
    if (owned == NULL || owned->arena == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, file, 0, "no memory to read it");
        free(owned);
        return NULL;
    }
    if (take_place(owned, file, d))
        owned->load = load_file(file, owned->config.file, owned->config.directory, d);
    if (owned->load == NULL) {
        gateway_config_destroy(&owned->config);
        return NULL;
    }
    check_all(owned, d);
    return &owned->config;
}

struct gateway_config *gateway_config_load(const char *file, struct diagnostics *d)
{
    uint32_t errors = diagnostics_errors(d);
    struct gateway_config *config = gateway_config_read(file, d);
    if (diagnostics_errors(d) == errors)
        return config;
    gateway_config_destroy(config);
    return NULL;
}

void gateway_config_destroy(struct gateway_config *config)
{
    if (config == NULL)
        return;
    struct gateway_owned *owned = owned_of(config);
    load_destroy(owned->load);
    arena_destroy(owned->arena);
    free(owned);
}

bool gateway_config_holds_policy(const struct gateway_config *config)
{
    const struct load *load = ((const struct gateway_owned *)(const void *)config)->load;
    for (size_t i = 0; i < policy_keys.keys_n; i++)
        if (config_setting_get_member(load_root(load), policy_keys.keys[i].name) != NULL)
            return true;
    return false;
}

/* ---- what a reload cannot change ----------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_interface(const struct config_interface *a, const struct config_interface *b)
{
    return same_text(a->name, b->name) && same_text(a->device, b->device) && a->vlan == b->vlan &&
           a->mtu == b->mtu && a->addresses_n == b->addresses_n &&
           memcmp(a->addresses, b->addresses, sizeof(a->addresses)) == 0 &&
           a->has_next_hop == b->has_next_hop && memcmp(a->next_hop, b->next_hop, 16) == 0 &&
           a->has_next_hop6 == b->has_next_hop6 && memcmp(a->next_hop6, b->next_hop6, 16) == 0;
}

static bool same_ports(const struct gateway_config *a, const struct gateway_config *b)
{
    bool same = a->interfaces_n == b->interfaces_n;
    for (uint32_t i = 0; same && i < a->interfaces_n; i++)
        same = same_interface(&a->interfaces[i], &b->interfaces[i]);
    return same;
}

static bool same_routes(const struct gateway_config *a, const struct gateway_config *b)
{
    bool same = a->routes_n == b->routes_n;
    for (uint32_t i = 0; same && i < a->routes_n; i++)
        same = a->routes[i].interface == b->routes[i].interface &&
               memcmp(&a->routes[i].to, &b->routes[i].to, sizeof(a->routes[i].to)) == 0 &&
               memcmp(a->routes[i].via, b->routes[i].via, 16) == 0;
    return same;
}

/* Where a setting of `next` is written: the inner one, else the group that would hold it, else the file. */
static struct config_origin place_of(const struct gateway_config *next, const char *group, const char *key)
{
    const struct load *load = ((const struct gateway_owned *)(const void *)next)->load;
    const config_setting_t *outer = config_setting_get_member(load_root(load), group);
    if (outer == NULL)
        return load_origin(load, load_root(load));
    return schema_origin(load, outer, key);
}

void gateway_config_compare(const struct gateway_config *running, const struct gateway_config *next,
                            struct diagnostics *d)
{
    const struct {
        const char *group;
        const char *key;
        bool same;
    } settings[] = {
        {"dataplane", "workers", running->workers == next->workers},
        {"dataplane", "memory", running->memory_bytes == next->memory_bytes},
        {"dataplane", "hugepages", running->hugepages == next->hugepages},
        {"dataplane", "idle", running->idle_adaptive == next->idle_adaptive},
        {"dataplane", "limits",
         running->connections == next->connections && running->dtls_handshakes == next->dtls_handshakes &&
             running->dtls_handshakes_per_source == next->dtls_handshakes_per_source &&
             running->dtls_idle_us == next->dtls_idle_us},
        {"dataplane", "record_crypto", running->record_crypto == next->record_crypto},
        {"dataplane", "handshake_threads", running->handshake_threads == next->handshake_threads},
        {"dataplane", "password_threads", running->password_threads == next->password_threads},
        {"dataplane", "eal", same_text(running->eal, next->eal)},
        {"dataplane", "ports", same_ports(running, next)},
        {"dataplane", "routes", same_routes(running, next)},
        {"gateway", "confinement", running->confined == next->confined},
        {"control", "socket", same_text(running->control_socket, next->control_socket)},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (settings[i].same)
            continue;
        struct config_origin origin = place_of(next, settings[i].group, settings[i].key);
        diagnostics_add(d, DIAGNOSTIC_WARNING, origin.file, origin.line,
                        "a new '%s.%s' needs a restart; until then the old one stays in force",
                        settings[i].group, settings[i].key);
    }
}
