/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conditions of a rule on what a CoAP request says beside method and path (E2): its query, the format of what
 * it carries, and whether it is part of a block-wise transfer (RFC 7959).
 *
 * They are conditions like any other of a rule (acl.h): an allow holds only when all of them do, a deny
 * denies only what they describe. So a query has to fit one of an allow's globs in each of its Uri-Query
 * options, and meets a deny when one of them fits. Pure.
 */
#ifndef POLICY_ACCESS_ACL_OPTIONS_H
#define POLICY_ACCESS_ACL_OPTIONS_H

#include "policy/bytes.h"

#define ACL_QUERIES_MAX 8
#define ACL_FORMATS_MAX 8
/* As many as a request may hold options. */
#define ACL_QUERIES_ASKED_MAX 64
#define ACL_FORMAT_NONE (-1)

enum acl_block {
    ACL_BLOCK_ANY = 0,
    ACL_BLOCK_NO,   /* only what is no part of a block-wise transfer */
    ACL_BLOCK_ONLY, /* only what is */
};

/* What a rule asks; all zero: nothing. */
struct acl_options {
    uint8_t queries_n; /* 0: any query, or none */
    uint8_t formats_n; /* 0: any format */
    uint8_t block;     /* enum acl_block */
    uint16_t formats[ACL_FORMATS_MAX];
    const char *queries[ACL_QUERIES_MAX]; /* globs (glob.h) */
};

/* What a request says. */
struct acl_asked {
    int32_t format; /* Content-Format, or ACL_FORMAT_NONE */
    bool carries;   /* has a payload: an allow with formats then wants one of them */
    bool block;     /* is part of a block-wise transfer */
    uint32_t queries_n;
    struct bytes queries[ACL_QUERIES_ASKED_MAX]; /* borrowed */
};

enum acl_option_failure {
    ACL_FAILS_QUERY = 16, /* beside those of enum acl_failure */
    ACL_FAILS_FORMAT = 32,
    ACL_FAILS_BLOCK = 64,
};

/* The conditions that do not hold, as bits of enum acl_option_failure. `asked` NULL: a request that says
 * nothing of all this. */
unsigned int acl_options_fail(const struct acl_options *options, bool allow, const struct acl_asked *asked);
/* NULL, or a sentence about what is wrong. */
const char *acl_options_check(const struct acl_options *options);

#endif
