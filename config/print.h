/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The effective configuration (`sallyport -T`): every setting in force, those that were not written with
 * their defaults, each with its origin in a comment. One libconfig text that loads again as a sallyport.conf
 * of its own, with the policy within; file names are absolute so that it may lie anywhere. No setting holds a
 * secret itself. Control thread.
 */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include <stdbool.h>
#include <stdio.h>

/* Both have passed a check. False when one cannot be read any more or `to` takes no more. */
bool config_print(const char *config_file, const char *policy_directory, FILE *to);

#endif
