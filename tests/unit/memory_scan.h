/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks for secrets in this process's own memory: in what would be in a core dump or on a swap device, and in
 * what would not. What is looked for lies in secret memory, where it is not found by mistake.
 */
#ifndef TESTS_UNIT_MEMORY_SCAN_H
#define TESTS_UNIT_MEMORY_SCAN_H

#include "dataplane/secure/secret_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCAN_REGIONS 4096
#define SCAN_NEEDLES 16
#define SCAN_LARGEST (256u << 20) /* a sanitizer's own shadows are larger */

struct scan_region {
    uintptr_t from, to;
    bool dumped;
};

struct scan_needle {
    const char *what;
    size_t n;
    uint8_t at[64];
};

struct scan_needles {
    uint32_t n;
    struct scan_needle of[SCAN_NEEDLES];
};

static inline struct scan_needles *scan_needles_create(void)
{
    return secret_memory_alloc(sizeof(struct scan_needles));
}

static inline void scan_needles_destroy(struct scan_needles *needles)
{
    secret_memory_free(needles, sizeof(*needles));
}

/* As it is, and as the limbs of a number lie in memory. */
static inline void scan_needles_add(struct scan_needles *needles, const char *what, const uint8_t *at,
                                    size_t n)
{
    for (int reversed = 0; reversed < 2; reversed++) {
        struct scan_needle *needle = &needles->of[needles->n++];
        if (needles->n > SCAN_NEEDLES || n > sizeof(needle->at))
            abort();
        needle->what = what;
        needle->n = n;
        for (size_t i = 0; i < n; i++)
            needle->at[i] = at[reversed != 0 ? n - 1 - i : i];
    }
}

static inline uint32_t scan_regions(struct scan_region regions[SCAN_REGIONS])
{
    char line[512], perms[8];
    unsigned long from, to;
    uint32_t n = 0;
    bool readable = false;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    while (smaps != NULL && n < SCAN_REGIONS && fgets(line, sizeof(line), smaps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3) {
            readable = perms[0] == 'r' && perms[1] == 'w' && strstr(line, "[v") == NULL;
            regions[n].from = from;
            regions[n].to = to;
        } else if (readable && strncmp(line, "VmFlags:", 8) == 0) {
            regions[n++].dumped = strstr(line, " dd") == NULL;
        }
    }
    if (smaps != NULL)
        fclose(smaps);
    return n;
}

/* How often any of them is found in memory that would be dumped, or in that which would not. */
__attribute__((no_sanitize("address"))) static inline uint32_t scan_memory(const struct scan_needles *needles,
                                                                           bool dumped)
{
    static struct scan_region regions[SCAN_REGIONS];
    uint32_t regions_n = scan_regions(regions), found = 0;
    for (uint32_t r = 0; r < regions_n; r++) {
        uintptr_t own = (uintptr_t)needles;
        if (regions[r].dumped != dumped || regions[r].to - regions[r].from > SCAN_LARGEST)
            continue;
        for (uint32_t i = 0; i < needles->n; i++) {
            const struct scan_needle *needle = &needles->of[i];
            const uint8_t *at = (const uint8_t *)regions[r].from, *end = (const uint8_t *)regions[r].to;
            for (; (size_t)(end - at) >= needle->n; at++) {
                /* No library function: a sanitizer would look at what is read. */
                if (*at != needle->at[0] || ((uintptr_t)at >= own && (uintptr_t)at < own + sizeof(*needles)))
                    continue;
                size_t same = 1;
                while (same < needle->n && at[same] == needle->at[same])
                    same++;
                if (same < needle->n)
                    continue;
                found++;
                if (dumped)
                    fprintf(stderr, "\n%s%s at %p", needle->what, i % 2 != 0 ? ", as limbs," : "",
                            (const void *)at);
            }
        }
    }
    return found;
}

#endif
