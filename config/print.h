/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The effective configuration: every setting in force, those that were not written with their defaults. One
 * libconfig text that loads again as a sallyport.conf of its own, with the policy within; file names are
 * absolute so that it may lie anywhere.
 *
 * Shown (`sallyport -T`), each setting has its origin in a comment. Kept (the history of policies), it says
 * only what is meant: equal texts, equal settings, wherever they were written. No setting holds a secret
 * itself: keys and passwords are in files that settings name (C5). Control thread.
 */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include "config/gateway_config.h"

#include <stdio.h>

enum config_print_style {
    CONFIG_PRINT_NONE = 0,
    CONFIG_PRINT_SHOWN,
    CONFIG_PRINT_KEPT,
};

struct config_text {
    char *at; /* NULL: none; config_text_fini gives it back */
    size_t len;
    size_t policy_at; /* where the policy begins, which is all that boxes of one site have in common */
};

struct load;

/*
 * Prints what was loaded; the policy's files are `loads`, none when `config` holds the policy itself. False
 * without memory.
 */
bool config_text_print(const struct gateway_config *config, struct load *const *loads, uint32_t n,
                       enum config_print_style style, struct config_text *out);
void config_text_fini(struct config_text *text);

/* Loads and shows. Both have passed a check. False when one cannot be read any more or `to` takes no more. */
bool config_print(const char *config_file, const char *policy_directory, FILE *to);

#endif
