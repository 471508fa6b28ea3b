/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a site that was read (import.h) down as Sallyport's own files (H5): the policy with its tests, and,
 * when asked, a sallyport.conf to begin with. What a test expects is what the broker's own lists say of that
 * topic, so that `sallyport -t` compares the policy with what it came from. Where the rules are knowingly
 * narrower the test says so; rules that were wider would be a fault of ours, and nothing is written then.
 */
#ifndef GATEWAY_CTL_IMPORT_IMPORT_WRITE_H
#define GATEWAY_CTL_IMPORT_IMPORT_WRITE_H

#include "gateway/ctl/import/import.h"

#include <stdio.h>

struct import_summary {
    uint32_t roles, rules, tests;
    uint32_t narrower; /* of the tests: the broker allows it */
};

/* `users_file` is what the policy names (NULL: none). False, told, when something could not be written. */
bool import_write_policy(struct import_run *run, const struct import_site *site, const char *from,
                         const char *users_file, FILE *to, struct import_summary *summary);
/* `upstream` is "ADDRESS:PORT" of the broker; NULL writes an example. */
bool import_write_gateway(struct import_run *run, const struct import_site *site, const char *from,
                          const char *upstream, FILE *to);

/* For import_test.c. */
void import_write_string(FILE *to, const char *text);
bool import_write_tests(struct import_run *run, const struct import_site *site, FILE *to,
                        struct import_summary *summary);

#endif
