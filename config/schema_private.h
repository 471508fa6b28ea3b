/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What schema.c (groups, lists, messages) and schema_value.c (one value) know of each other. Private to them.
 */
#ifndef CONFIG_SCHEMA_PRIVATE_H
#define CONFIG_SCHEMA_PRIVATE_H

#include "config/schema.h"

#define SCHEMA_PLACE_MAX 200

/* " in 'limits' of role 'truck'", "" for the file itself. */
const char *schema_describe(const struct schema_place *place, char to[SCHEMA_PLACE_MAX]);
/* How a value of the key is written. */
const char *schema_example(const struct schema_key *key);
void schema_wrong_type(struct schema_read *read, const struct schema_key *key,
                       const config_setting_t *setting);
void schema_bad_value(struct schema_read *read, const struct schema_value *value, const char *text,
                      const char *problem);

bool schema_is_rates(enum schema_type type);
/* A scalar setting, or an element of an array. */
void schema_take_scalar(struct schema_read *read, const struct schema_key *key,
                        const config_setting_t *setting, const char *name, void *into);
/* The default, as if it had been written. */
void schema_take_fallback(struct schema_read *read, const struct schema_key *key, void *into);

#endif
