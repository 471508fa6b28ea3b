/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration text: whatever it is, reading ends, tells what is wrong at a line that exists, and answers
 * nothing when it told an error (G1). What is accepted is printed (`-T`), and the print is accepted too,
 * means the same policy, and prints as itself.
 *
 * Input: up to three files with a NUL between them: sallyport.conf, file.conf, which the others (and itself)
 * may include, and a file of policy.d, which is read unless sallyport.conf holds the policy.
 */
#include "config/policy_config.h"
#include "config/print.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char home[64];
static char config_path[96], printed_path[96], reprinted_path[96], policy_path[96], other_path[96],
    rules_path[112];

#define FILES 3
static const char *const names[FILES] = {"sallyport.conf", "file.conf", "policy.d/p.conf"};
static uint32_t lines_of[FILES];

static void remove_home(void)
{
    unlink(config_path);
    unlink(printed_path);
    unlink(reprinted_path);
    unlink(other_path);
    unlink(rules_path);
    rmdir(policy_path);
    rmdir(home);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(bytes, 1, n, file) != n || fclose(file) != 0)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    strcpy(home, "/tmp/sallyport-fuzz-XXXXXX");
    if (mkdtemp(home) == NULL)
        abort();
    snprintf(config_path, sizeof(config_path), "%s/sallyport.conf", home);
    snprintf(printed_path, sizeof(printed_path), "%s/printed.conf", home);
    snprintf(reprinted_path, sizeof(reprinted_path), "%s/reprinted.conf", home);
    snprintf(policy_path, sizeof(policy_path), "%s/policy.d", home);
    snprintf(other_path, sizeof(other_path), "%s/file.conf", home);
    snprintf(rules_path, sizeof(rules_path), "%s/p.conf", policy_path);
    if (mkdir(policy_path, 0700) != 0)
        abort();
    atexit(remove_home);
    return 0;
}

/* Every message has a text, and a line of its file. */
static void check_told(struct diagnostics *d)
{
    char line[2048];
    diagnostics_sort(d);
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        const struct diagnostic *entry = diagnostics_at(d, i);
        if (diagnostic_format(entry, line, sizeof(line)) >= (int)sizeof(line) || entry->text[0] == '\0' ||
            strchr(line, '\n') != NULL)
            abort();
        for (int k = 0; k < FILES; k++)
            if (strcmp(entry->file, names[k]) == 0 && entry->line > lines_of[k])
                abort();
    }
}

/* The fingerprint of what a file means; false when it is refused. */
static bool meaning(const char *path, char fingerprint[16])
{
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *config = gateway_config_read(path, d);
    bool gateway_good = diagnostics_errors(d) == 0;
    struct snapshot *policy = policy_config_load(policy_path, config, 1, d, NULL);
    bool good = diagnostics_errors(d) == 0;
    if ((policy != NULL && config == NULL) || (good && policy == NULL))
        abort();
    check_told(d);
    if (policy != NULL)
        snprintf(fingerprint, 16, "%s", snapshot_fingerprint(policy));
    if (policy != NULL)
        snapshot_destroy(policy);
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    d = diagnostics_create();
    config = gateway_config_load(path, d);
    if ((config != NULL) != gateway_good || gateway_good != (diagnostics_errors(d) == 0))
        abort();
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    return good;
}

static bool print(const char *from, const char *to)
{
    FILE *file = fopen(to, "w");
    if (file == NULL)
        abort();
    bool printed = config_print(from, policy_path, file);
    fclose(file);
    return printed;
}

/* Takes the comment off, which tells another place in each print. */
static char *strip(char *line)
{
    char *comment = strrchr(line, '#');
    size_t len = comment == NULL ? strlen(line) : (size_t)(comment - line);
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\n'))
        len--;
    line[len] = '\0';
    return line;
}

static void check_same(const char *path_a, const char *path_b)
{
    FILE *a = fopen(path_a, "r"), *b = fopen(path_b, "r");
    char *line_a = NULL, *line_b = NULL;
    size_t room_a = 0, room_b = 0;
    if (a == NULL || b == NULL)
        abort();
    while (getline(&line_a, &room_a, a) > 0)
        if (getline(&line_b, &room_b, b) <= 0 || strcmp(strip(line_a), strip(line_b)) != 0)
            abort();
    if (getline(&line_b, &room_b, b) > 0)
        abort();
    free(line_a);
    free(line_b);
    fclose(a);
    fclose(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char first[16] = "", second[16] = "";
    const char *const paths[FILES] = {config_path, other_path, rules_path};
    static const char other[] = "file = 1;";
    for (int k = 0; k < FILES; k++) {
        const uint8_t *end = k + 1 < FILES && size > 0 ? memchr(data, '\0', size) : NULL;
        size_t len = end == NULL ? size : (size_t)(end - data);
        lines_of[k] = 1;
        for (size_t i = 0; i < len; i++)
            lines_of[k] += data[i] == '\n';
        if (k == 1 && len == 0)
            write_file(paths[k], other, sizeof(other) - 1);
        else
            write_file(paths[k], data, len);
        size_t taken = end == NULL ? size : len + 1;
        data += taken;
        size -= taken;
    }
    if (!meaning(config_path, first))
        return 0;
    /* What was printed is one file. */
    if (!print(config_path, printed_path) || !meaning(printed_path, second) || strcmp(first, second) != 0)
        abort();
    if (!print(printed_path, reprinted_path))
        abort();
    check_same(printed_path, reprinted_path);
    return 0;
}
