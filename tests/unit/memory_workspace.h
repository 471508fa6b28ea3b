/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A workspace for guards whose memory comes from malloc, is counted, and can run out. */
#ifndef TESTS_UNIT_MEMORY_WORKSPACE_H
#define TESTS_UNIT_MEMORY_WORKSPACE_H

#include "policy/mqtt/workspace.h"

#include <stdlib.h>

struct memory_workspace {
    struct mqtt_workspace base;
    unsigned int out;   /* blocks that were not put back */
    unsigned int grant; /* how many more may be got; counts down */
    uint8_t entries[4096];
    uint8_t codes[1024];
};

static void *memory_get(struct mqtt_workspace *base, uint32_t bytes, uint32_t *capacity)
{
    struct memory_workspace *w = (struct memory_workspace *)(void *)base;
    if (w->grant == 0)
        return NULL;
    w->grant--;
    w->out++;
    *capacity = bytes;
    return malloc(bytes);
}

static void memory_put(struct mqtt_workspace *base, void *at)
{
    struct memory_workspace *w = (struct memory_workspace *)(void *)base;
    w->out--;
    free(at);
}

static inline void memory_workspace_init(struct memory_workspace *w)
{
    memset(w, 0, sizeof(*w));
    w->base.held_bytes_max = 1U << 20;
    w->base.get = memory_get;
    w->base.put = memory_put;
    w->base.entries = w->entries;
    w->base.entries_room = sizeof(w->entries);
    w->base.codes = w->codes;
    w->base.codes_room = sizeof(w->codes);
    w->grant = UINT32_MAX;
}

#endif
