/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network of the running configuration in a new one: interfaces are numbers to whoever runs (A1, G2). */
#include "config/gateway_config.h"

#include "config/gateway_draft.h"

#include <string.h>

static struct arena *arena_of(struct gateway_config *config)
{
    return ((struct gateway_owned *)(void *)config)->arena; /* its first member */
}

/* A copy of a text that may be NULL; the old one's memory goes with the old configuration. */
static const char *keep_text(struct gateway_config *next, const char *text)
{
    return text == NULL ? NULL : arena_text(arena_of(next), text, strlen(text));
}

/* Where the running configuration has the interface of this name; GATEWAY_INTERFACES_MAX: nowhere. */
static uint32_t find_interface(const struct gateway_config *running, const char *name)
{
    for (uint32_t i = 0; i < running->interfaces_n; i++)
        if (strcmp(running->interfaces[i].name, name) == 0)
            return i;
    return GATEWAY_INTERFACES_MAX;
}

static void keep_listener(const struct gateway_config *running, const struct gateway_config *next,
                          struct config_listener *listener, struct diagnostics *d)
{
    const char *name = next->interfaces[listener->interface].name;
    uint32_t interface = find_interface(running, name);
    if (interface == GATEWAY_INTERFACES_MAX)
        diagnostics_add(d, DIAGNOSTIC_ERROR, listener->origin.file, listener->origin.line,
                        "listener '%s': port '%s' is not open; restart to open it, or use one that is",
                        listener->name, name);
    listener->interface = (uint16_t)interface;
}

void gateway_config_keep(const struct gateway_config *running, struct gateway_config *next,
                         struct diagnostics *d)
{
    for (uint32_t i = 0; i < next->listeners_n; i++)
        keep_listener(running, next, &next->listeners[i], d);
    next->devices_n = running->devices_n;
    for (uint32_t i = 0; i < running->devices_n; i++)
        next->devices[i] = keep_text(next, running->devices[i]);
    next->interfaces_n = running->interfaces_n;
    for (uint32_t i = 0; i < running->interfaces_n; i++) {
        struct config_interface *own = &next->interfaces[i];
        *own = running->interfaces[i];
        own->origin = (struct config_origin){.file = next->file};
        own->name = keep_text(next, own->name);
        own->device = keep_text(next, own->device);
        if (own->name == NULL || own->device == NULL)
            diagnostics_add(d, DIAGNOSTIC_ERROR, next->file, 0, "out of memory");
    }
    next->routes_n = running->routes_n;
    for (uint32_t i = 0; i < running->routes_n; i++) {
        next->routes[i] = running->routes[i];
        next->routes[i].origin = (struct config_origin){.file = next->file};
    }
}
