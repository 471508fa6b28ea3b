/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/acl_options.h"

#include "policy/access/glob.h"

static const struct acl_asked nothing_asked = {.format = ACL_FORMAT_NONE};

static bool query_fits(const struct acl_options *options, struct bytes query)
{
    if (query.at == NULL)
        query = bytes_of("", 0);
    for (uint32_t i = 0; i < options->queries_n; i++)
        if (glob_match(bytes_of_text(options->queries[i]), query, NULL))
            return true;
    return false;
}

static bool queries_hold(const struct acl_options *options, bool allow, const struct acl_asked *asked)
{
    if (options->queries_n == 0)
        return true;
    for (uint32_t i = 0; i < asked->queries_n; i++)
        if (query_fits(options, asked->queries[i]) != allow)
            return !allow;
    return allow;
}

static bool format_holds(const struct acl_options *options, bool allow, const struct acl_asked *asked)
{
    if (options->formats_n == 0)
        return true;
    for (uint32_t i = 0; i < options->formats_n; i++)
        if (options->formats[i] == asked->format)
            return true;
    return allow && !asked->carries && asked->format == ACL_FORMAT_NONE;
}

unsigned int acl_options_fail(const struct acl_options *options, bool allow, const struct acl_asked *asked)
{
    unsigned int fails = 0;
    if (asked == NULL)
        asked = &nothing_asked;
    if (!queries_hold(options, allow, asked))
        fails |= ACL_FAILS_QUERY;
    if (!format_holds(options, allow, asked))
        fails |= ACL_FAILS_FORMAT;
    if (options->block != ACL_BLOCK_ANY && (options->block == ACL_BLOCK_ONLY) != asked->block)
        fails |= ACL_FAILS_BLOCK;
    return fails;
}

const char *acl_options_check(const struct acl_options *options)
{
    if (options->queries_n > ACL_QUERIES_MAX || options->formats_n > ACL_FORMATS_MAX)
        return "a rule has at most 8 queries and 8 formats%.*s";
    for (uint32_t i = 0; i < options->queries_n; i++)
        if (glob_check(bytes_of_text(options->queries[i])) != NULL)
            return "a query is not a glob%.*s";
    return NULL;
}
