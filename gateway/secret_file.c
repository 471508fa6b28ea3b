/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/secret_file.h"

#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_error.h"

#include <stdlib.h>
#include <string.h>

struct secret {
    uint32_t line;
    struct bytes identity;
    struct bytes password;
};

struct secret_file {
    uint8_t *text;
    size_t room;
    uint32_t n;
    struct secret *secrets; /* sorted by identity */
};

static int order(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int d = n == 0 ? 0 : memcmp(a.at, b.at, n);
    return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

static int by_identity(const void *a, const void *b)
{
    const struct secret *x = a, *y = b;
    int d = order(x->identity, y->identity);
    return d != 0 ? d : (x->line > y->line) - (x->line < y->line);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static bool take_line(struct secret_file *file, struct bytes line, uint32_t number, const char **problem)
{
    if (line.len != 0 && line.at[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0 || line.at[0] == '#')
        return true;
    const uint8_t *colon = memchr(line.at, ':', line.len);
    if (colon == NULL || colon == line.at) {
        *problem = "is not of the form identity:password; write it so";
        return false;
    }
    struct secret *secret = &file->secrets[file->n++];
    secret->line = number;
    secret->identity = bytes_of(line.at, (size_t)(colon - line.at));
    secret->password = bytes_of(colon + 1, (size_t)(line.at + line.len - colon - 1));
    if (secret->password.len == 0 || secret->password.len > UINT16_MAX)
        *problem = "has a password of no byte or of more than 65535; correct it";
    return *problem == NULL;
}

static uint32_t count_lines(const uint8_t *at, size_t bytes)
{
    uint32_t n = 1;
    for (size_t i = 0; i < bytes; i++)
        n += at[i] == '\n';
    return n;
}

/* Messages tell lines, never what is in them. */
static bool take_lines(struct secret_file *file, const char *path, size_t bytes, struct diagnostics *d)
{
    const uint8_t *at = file->text, *end = at + bytes;
    uint32_t number = 0;
    bool good = true;
    file->secrets = calloc(count_lines(at, bytes), sizeof(*file->secrets));
    if (file->secrets == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, "no memory to read it");
        return false;
    }
    while (at < end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        const uint8_t *stop = newline != NULL ? newline : end;
        const char *problem = NULL;
        if (!take_line(file, bytes_of(at, (size_t)(stop - at)), ++number, &problem)) {
            diagnostics_add(d, DIAGNOSTIC_ERROR, path, number, "the line %s", problem);
            good = false;
        }
        at = newline != NULL ? newline + 1 : end;
    }
    qsort(file->secrets, file->n, sizeof(*file->secrets), by_identity);
    for (uint32_t i = 1; i < file->n; i++)
        if (order(file->secrets[i].identity, file->secrets[i - 1].identity) == 0) {
            diagnostics_add(d, DIAGNOSTIC_ERROR, path, file->secrets[i].line,
                            "the line is of the same identity as line %u; remove one",
                            file->secrets[i - 1].line);
            good = false;
        }
    return good;
}

struct secret_file *secret_file_load(const char *path, struct diagnostics *d)
{
    struct secret_file *file = calloc(1, sizeof(*file));
    struct tls_error error = {.text = "no memory"};
    size_t bytes = 0;
    if (file != NULL)
        file->text = secret_memory_read(path, SECRET_FILE_BYTES_MAX, &bytes, &file->room, &error);
    if (file == NULL || file->text == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, "the passwords cannot be read: %s", error.text);
        secret_file_destroy(file);
        return NULL;
    }
    if (take_lines(file, path, bytes, d))
        return file;
    secret_file_destroy(file);
    return NULL;
}

void secret_file_destroy(struct secret_file *file)
{
    if (file == NULL)
        return;
    secret_memory_free(file->text, file->room);
    free(file->secrets);
    free(file);
}

/* ---- looking up --------------------------------------------------------------------------------------- */

static const struct secret *find(const struct secret_file *file, struct bytes identity)
{
    uint32_t low = 0, high = file->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int d = order(identity, file->secrets[middle].identity);
        if (d == 0)
            return &file->secrets[middle];
        if (d < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

struct bytes secret_file_find(const struct secret_file *file, struct bytes identity)
{
    const struct secret *secret = find(file, identity);
    if (secret == NULL)
        secret = find(file, bytes_of("*", 1));
    return secret != NULL ? secret->password : bytes_of(NULL, 0);
}
