/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules and tests say of CoAP options (E2). Private to config/policy_*.c. */
#ifndef CONFIG_POLICY_OPTION_KEYS_H
#define CONFIG_POLICY_OPTION_KEYS_H

#include "config/policy_draft.h"

#include "policy/access/glob.h"

/* "senml+cbor" or "112". */
bool policy_format_parse(const char *text, uint16_t *number);
/* Setters of a rule's `query`, `format` and `block` (into a struct acl_rule_spec). */
void policy_set_query(struct schema_read *read, const struct schema_value *value, void *into);
void policy_set_format(struct schema_read *read, const struct schema_value *value, void *into);
void policy_set_block(struct schema_read *read, const struct schema_value *value, void *into);
/* Of a test's `query` and `format`, and what it then asks. */
void policy_set_test_query(struct schema_read *read, const struct schema_value *value, void *into);
void policy_set_test_format(struct schema_read *read, const struct schema_value *value, void *into);
void policy_test_ask(const struct policy_test *test, struct acl_asked *asked);

#endif
