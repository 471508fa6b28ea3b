/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules and tests say of CoAP options: query, content format, block-wise (E2). */
#include "config/policy_option_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Content-Formats by name (RFC 7252 s.12.3, 8428, 8132); any other is written as its number. */
static const struct {
    const char *name;
    uint16_t number;
} formats[] = {
    {"text", 0},         {"link-format", 40},  {"xml", 41},         {"octet-stream", 42}, {"exi", 47},
    {"json", 50},        {"json-patch", 51},   {"merge-patch", 52}, {"cbor", 60},         {"cwt", 61},
    {"senml+json", 110}, {"sensml+json", 111}, {"senml+cbor", 112}, {"sensml+cbor", 113}, {"senml-exi", 114},
};

bool policy_format_parse(const char *text, uint16_t *number)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, text) == 0) {
            *number = formats[i].number;
            return true;
        }
    }
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > UINT16_MAX)
        return false;
    *number = (uint16_t)value;
    return true;
}

static struct acl_options *options_of(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_rule_spec *rule = into;
    if (rule->options == NULL)
        rule->options = arena_take(read->arena, sizeof(struct acl_options));
    if (rule->options == NULL)
        schema_refuse(read, value, "no memory for it");
    return (struct acl_options *)(uintptr_t)rule->options;
}

void policy_set_query(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_options *options = options_of(read, value, into);
    const char *problem = glob_check(bytes_of_text(value->text));
    if (problem == NULL && strchr(value->text, '{') != NULL)
        problem = "a query is a glob without captures and variables; write for example \"from=*\"";
    if (problem == NULL && options != NULL && options->queries_n == ACL_QUERIES_MAX)
        problem = "a rule has at most 8 queries; write wider globs, or a second rule";
    if (problem != NULL)
        schema_refuse(read, value, problem);
    else if (options != NULL)
        options->queries[options->queries_n++] = value->text;
}

void policy_set_format(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_options *options = options_of(read, value, into);
    uint16_t number;
    if (options == NULL)
        return;
    if (!policy_format_parse(value->text, &number))
        schema_refuse(read, value,
                      "it is \"text\", \"json\", \"cbor\", \"senml+json\", \"senml+cbor\", \"link-format\", "
                      "\"octet-stream\", or the number of a format, such as \"112\"");
    else if (options->formats_n == ACL_FORMATS_MAX)
        schema_refuse(read, value, "a rule has at most 8 formats; make two rules of it");
    else
        options->formats[options->formats_n++] = number;
}

void policy_set_block(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_options *options = options_of(read, value, into);
    if (options != NULL)
        options->block = value->number != 0 ? ACL_BLOCK_ONLY : ACL_BLOCK_NO;
}

void policy_set_test_query(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    if (test->queries_n == ACL_QUERIES_MAX)
        schema_refuse(read, value, "a test has at most 8 queries; remove some");
    else
        test->queries[test->queries_n++] = value->text;
}

void policy_set_test_format(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    uint16_t number;
    if (policy_format_parse(value->text, &number))
        test->format = number;
    else
        schema_refuse(read, value, "it is the name of a format, such as \"senml+cbor\", or its number");
}

void policy_test_ask(const struct policy_test *test, struct acl_asked *asked)
{
    asked->format = test->format;
    asked->carries = test->payload_bytes != 0 || test->format != ACL_FORMAT_NONE;
    asked->block = test->block;
    asked->queries_n = test->queries_n;
    for (uint32_t i = 0; i < test->queries_n; i++)
        asked->queries[i] = bytes_of_text(test->queries[i]);
}
