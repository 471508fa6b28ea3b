/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory for the files of one test, and what a reading of them told, as one text. */
#ifndef TESTS_UNIT_CONFIG_RIG_H
#define TESTS_UNIT_CONFIG_RIG_H

#include "config/diagnostics.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char rig_home[64];
static char rig_said[1 << 16];

static inline void rig_begin(void)
{
    strcpy(rig_home, "/tmp/sallyport-test-XXXXXX");
    if (mkdtemp(rig_home) == NULL)
        abort();
}

static inline int rig_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void rig_end(void)
{
    nftw(rig_home, rig_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file of the test; valid until the third call after. */
static inline const char *rig_path(const char *name)
{
    static char path[4][256];
    static unsigned int turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof(path[0]), "%s/%s", rig_home, name);
    return to;
}

static inline void rig_directory(const char *name)
{
    if (mkdir(rig_path(name), 0700) != 0)
        abort();
}

static inline void rig_write_bytes(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(rig_path(name), "w");
    if (file == NULL || fwrite(bytes, 1, n, file) != n || fclose(file) != 0)
        abort();
}

static inline void rig_write(const char *name, const char *text)
{
    rig_write_bytes(name, text, strlen(text));
    if (chmod(rig_path(name), 0600) != 0)
        abort();
}

/* The path of a file of the source tree: this header's path is as the compiler was told it, from the build
 * directory, of which a test program knows that it lies two levels below. */
static inline const char *rig_source(const char *name)
{
    static char path[4096];
    static const char own[] = __FILE__;
    char program[2048];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[n > 0 ? n : 0] = '\0';
    for (int level = 0; level < 3 && strrchr(program, '/') != NULL; level++)
        *strrchr(program, '/') = '\0';
    int root = (int)(strlen(own) - strlen("tests/unit/config_rig.h"));
    snprintf(path, sizeof(path), "%s%s%.*s%s", own[0] == '/' ? "" : program, own[0] == '/' ? "" : "/", root,
             own, name);
    return path;
}

static inline void rig_copy(const char *source, const char *to)
{
    char text[1 << 14];
    FILE *file = fopen(rig_source(source), "r");
    if (file == NULL) {
        fprintf(stderr, "cannot read %s\n", rig_source(source));
        abort();
    }
    size_t n = fread(text, 1, sizeof(text), file);
    fclose(file);
    rig_write_bytes(to, text, n);
}

/* All that was told, sorted, a line each. */
static inline const char *rig_told(struct diagnostics *d)
{
    size_t used = 0;
    rig_said[0] = '\0';
    diagnostics_sort(d);
    for (size_t i = 0; i < diagnostics_count(d) && used < sizeof(rig_said) - 2048; i++) {
        used += (size_t)diagnostic_format(diagnostics_at(d, i), rig_said + used, 2048);
        used += (size_t)snprintf(rig_said + used, 2, "\n");
    }
    return rig_said;
}

/* Compares and, when different, shows both. */
static inline void rig_expect(const char *name, const char *said, const char *expected)
{
    bool same = strcmp(said, expected) == 0;
    if (!same)
        fprintf(stderr, "\n--- %s: expected\n%s--- told\n%s", name, expected, said);
    CU_ASSERT(same);
}

#endif
