/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What learned_policy.h writes of one role: its rules, and the tests of them. Private to config/learned_*.c.
 */
#ifndef CONFIG_LEARNED_RULES_H
#define CONFIG_LEARNED_RULES_H

#include "config/learned_policy.h"

#include <stdio.h>

/* Rules as entries of a list at four blanks; *written counts entries before, of which the last lacks its
 * comma. */
void learned_rules_write(const struct learned_role *role, FILE *to, uint32_t *written);
/* What is not proposed, as comments. */
void learned_findings_write(const struct learned_role *role, FILE *to);
/* Each test as an entry's text, without a comma. False when `each` is. */
bool learned_tests_each(const struct learned_role *role,
                        bool (*each)(void *owner, const char *text, bool positive), void *owner);

#endif
