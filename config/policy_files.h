/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of the policy directory: every name that ends in ".conf", in byte order. Control thread. */
#ifndef CONFIG_POLICY_FILES_H
#define CONFIG_POLICY_FILES_H

#include "config/diagnostics.h"

#define POLICY_FILES_MAX 1024

struct policy_files {
    char *shown; /* the directory, as below */
    uint32_t n;
    struct {
        char *path;
        char *shown; /* as the operator would type it from the directory of sallyport.conf */
    } file[POLICY_FILES_MAX];
};

/*
 * Lists `directory`, which may also be one such file alone; names are shown relative to `base` (absolute, or
 * NULL) when it is below it. NULL with the reason in `d` when it cannot be listed or holds no policy.
 */
struct policy_files *policy_files_list(const char *directory, const char *base, struct diagnostics *d);
void policy_files_free(struct policy_files *files);

#endif
