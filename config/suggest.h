/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean": the known word that is nearest to a mistyped one. Pure. */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include <stddef.h>

#define SUGGEST_WORD_MAX 64

struct suggest {
    const char *word;
    const char *best; /* NULL: nothing is near enough */
    size_t distance;
};

void suggest_init(struct suggest *s, const char *word);
/* Considers one more known word; it is borrowed. */
void suggest_offer(struct suggest *s, const char *known);

#endif
