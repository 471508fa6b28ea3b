/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Hidden files are editors' and package managers'. */
static bool is_policy_name(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

static bool add_file(struct policy_files *files, const char *directory, const char *shown, const char *name)
{
    char *path = NULL, *label = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        path = NULL;
    if (asprintf(&label, "%s/%s", shown, name) < 0)
        label = NULL;
    if (path == NULL || label == NULL) {
        free(path);
        free(label);
        return false;
    }
    files->file[files->n].path = path;
    files->file[files->n].shown = label;
    files->n++;
    return true;
}

/* NULL, or what is wrong. */
static const char *list(DIR *dir, struct policy_files *files, const char *directory, const char *shown)
{
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0) {
        if (!is_policy_name(entry->d_name))
            continue;
        if (files->n == POLICY_FILES_MAX)
            return "there are more than 1024 files; join some";
        if (!add_file(files, directory, shown, entry->d_name))
            return "no memory to read it";
    }
    if (errno != 0)
        return strerror(errno);
    return files->n != 0
               ? NULL
               : "there is no file here that ends in .conf; without a policy nobody may connect; add one";
}

/* The file alone: NULL, or what is wrong. */
static const char *take_one(struct policy_files *files, const char *path, const char *shown)
{
    files->n = 1;
    files->file[0].path = strdup(path);
    files->file[0].shown = strdup(shown);
    return files->file[0].path != NULL && files->file[0].shown != NULL ? NULL : "no memory to read it";
}

struct policy_files *policy_files_list(const char *directory, const char *base, struct diagnostics *d)
{
    struct policy_files *files = calloc(1, sizeof(*files));
    char *real = base == NULL ? NULL : realpath(directory, NULL);
    const char *shown = directory;
    size_t len = base == NULL ? 0 : strlen(base);
    if (real != NULL && len > 1 && strncmp(real, base, len) == 0 && real[len] == '/')
        shown = real + len + 1;
    DIR *dir = files == NULL ? NULL : opendir(directory);
    const char *problem = NULL;
    bool one = files != NULL && dir == NULL && errno == ENOTDIR && is_policy_name(directory);
    if (files == NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0, "no memory to read it");
    else if (one)
        problem = take_one(files, directory, shown);
    else if (dir == NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0, "the policy directory cannot be read: %s; %s",
                        strerror(errno),
                        errno == EACCES                       ? "let this user read it"
                        : errno == ENOENT || errno == ENOTDIR ? "create it or correct its name"
                                                              : "try again");
    if (dir != NULL)
        problem = list(dir, files, directory, shown);
    if (files != NULL && problem == NULL && (files->shown = strdup(shown)) == NULL)
        problem = "no memory to read it";
    if (problem != NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0, "%s", problem);
    free(real);
    if (dir != NULL)
        closedir(dir);
    if ((dir == NULL && !one) || problem != NULL) {
        policy_files_free(files);
        return NULL;
    }
    qsort(files->file, files->n, sizeof(files->file[0]), compare_paths);
    return files;
}

void policy_files_free(struct policy_files *files)
{
    if (files == NULL)
        return;
    for (uint32_t i = 0; i < files->n; i++) {
        free(files->file[i].path);
        free(files->file[i].shown);
    }
    free(files->shown);
    free(files);
}
