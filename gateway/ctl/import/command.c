/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/command.h"

#include "config/address.h"
#include "gateway/ctl/import/import_write.h"
#include "gateway/ctl/import/mosquitto_site.h"
#include "policy/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_NOT_WRITTEN 1
#define EXIT_USAGE 2
#define EXIT_REFUSED 78

static const char usage_text[] =
    "usage: sallyportctl import mosquitto FILE [-o POLICY] [--gateway CONF] [--users FILE] [--upstream "
    "ADDRESS:PORT]\n"
    "                    [--user-sample NAME]... [--force]\n"
    "  FILE           mosquitto.conf; what it names (acl_file, password_file, dynamic-security.json) is read "
    "too\n"
    "  -o             the policy, for policy.d; without it the policy goes to the standard output\n"
    "  --gateway      also a sallyport.conf to begin with, for the broker at --upstream, and beside it\n"
    "                 CONF.LISTENER.psk for each listener with a psk_file\n"
    "  --users        where a users file is written that has to be made; POLICY with .users by default\n"
    "  --user-sample  a user name that the policy's tests try, beside those with rules of their own\n"
    "  --force        replace files that are there\n"
    "exit: 0 written, 1 not written, 2 usage, 78 something is wrong with what was read\n";

struct wishes {
    const char *file, *policy, *gateway, *users, *upstream;
    bool force;
};

/* ---- arguments ----------------------------------------------------------------------------------------- */

static bool take_option(struct wishes *w, struct import_run *run, const char *name, char *value)
{
    static const char *const names[] = {"-o", "--gateway", "--users", "--upstream"};
    const char **to[] = {&w->policy, &w->gateway, &w->users, &w->upstream};
    struct address_endpoint endpoint;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0) {
            *to[i] = value;
            return strcmp(name, "--upstream") != 0 || address_parse_endpoint(value, false, &endpoint) == NULL;
        }
    if (strcmp(name, "--user-sample") != 0 || run->samples_n == IMPORT_SAMPLES_MAX || value[0] == '\0' ||
        strlen(value) > 200 || !utf8_check(bytes_of_text(value), UTF8_STRICT))
        return false;
    run->samples[run->samples_n++] = value;
    return true;
}

static bool take_arguments(struct wishes *w, struct import_run *run, int n, char **words)
{
    if (n < 2 || strcmp(words[0], "mosquitto") != 0)
        return false;
    for (int i = 1; i < n; i++) {
        if (strcmp(words[i], "--force") == 0)
            w->force = true;
        else if (words[i][0] == '-' && i + 1 < n && take_option(w, run, words[i], words[i + 1]))
            i++;
        else if (words[i][0] == '-' || w->file != NULL)
            return false;
        else
            w->file = words[i];
    }
    return w->file != NULL;
}

/* ---- files --------------------------------------------------------------------------------------------- */

/* A file beside the one that is meant, which it becomes when all has been written. */
struct draft_file {
    const char *path; /* NULL: the standard output */
    char *temporary;
    FILE *to;
};

static bool open_draft(struct import_run *run, struct draft_file *file, const char *path, mode_t mode,
                       bool force)
{
    *file = (struct draft_file){.path = path, .to = path == NULL ? stdout : NULL};
    if (path == NULL)
        return true;
    if (!force && access(path, F_OK) == 0) {
        fprintf(stderr, "sallyportctl: %s is there already; name another file, or say --force\n", path);
        return false;
    }
    file->temporary = arena_format(run->arena, "%s.new-%d", path, (int)getpid());
    int fd =
        file->temporary == NULL ? -1 : open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    file->to = fd < 0 ? NULL : fdopen(fd, "w");
    if (file->to == NULL) {
        fprintf(stderr, "sallyportctl: %s cannot be written: %s\n", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(file->temporary);
        }
        return false;
    }
    return true;
}

static bool close_draft(struct draft_file *file, bool good)
{
    bool written = file->to != NULL && fflush(file->to) == 0 && ferror(file->to) == 0;
    if (file->path == NULL || file->to == NULL)
        return good && written;
    written = written && (!good || fsync(fileno(file->to)) == 0);
    written = fclose(file->to) == 0 && written;
    if (good && written && rename(file->temporary, file->path) == 0)
        return true;
    if (good)
        fprintf(stderr, "sallyportctl: %s cannot be written: %s\n", file->path, strerror(errno));
    unlink(file->temporary);
    return false;
}

/* A name that means the same wherever the policy is put. */
static const char *absolute(struct import_run *run, const char *path)
{
    char directory[PATH_MAX];
    if (path[0] == '/' || getcwd(directory, sizeof(directory)) == NULL)
        return path;
    const char *whole = arena_format(run->arena, "%s/%s", directory, path);
    return whole != NULL ? whole : path;
}

static const char *users_path(struct import_run *run, const struct wishes *w, const struct import_site *site)
{
    if (site->users_n == 0)
        return site->users_file == NULL ? NULL : absolute(run, site->users_file);
    if (w->users != NULL)
        return absolute(run, w->users);
    size_t n = w->policy == NULL ? 0 : strlen(w->policy);
    if (n > 5 && strcmp(w->policy + n - 5, ".conf") == 0)
        n -= 5;
    return n == 0 ? NULL : absolute(run, arena_format(run->arena, "%.*s.users", (int)n, w->policy));
}

/* ---- the run ------------------------------------------------------------------------------------------- */

static void print_told(struct diagnostics *d)
{
    char line[1024];
    diagnostics_sort(d);
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        diagnostic_format(diagnostics_at(d, i), line, sizeof(line));
        fprintf(stderr, "%s\n", line);
    }
}

static void write_users(const struct import_site *site, FILE *to)
{
    for (uint32_t i = 0; i < site->users_n; i++)
        fprintf(to, "%s\n", site->users[i]);
}

/* Beside CONF, for each listener that has keys. */
static const char *keys_path(struct import_run *run, const struct wishes *w,
                             const struct import_listener *listener)
{
    size_t n = strlen(w->gateway);
    if (n > 5 && strcmp(w->gateway + n - 5, ".conf") == 0)
        n -= 5;
    const char *path = arena_format(run->arena, "%.*s.%s.psk", (int)n, w->gateway, listener->name);
    return path == NULL ? NULL : absolute(run, path);
}

static bool open_keys(struct import_run *run, const struct wishes *w, struct import_site *site,
                      struct draft_file files[IMPORT_LISTENERS_MAX])
{
    for (uint32_t i = 0; i < site->listeners_n; i++) {
        struct import_listener *listener = &site->listeners[i];
        if (!listener->keys)
            continue;
        listener->psk_file = keys_path(run, w, listener);
        if (listener->psk_file == NULL || !open_draft(run, &files[i], listener->psk_file, 0600, w->force))
            return false;
    }
    return true;
}

/* What is in memory of the keys is not needed any more. */
static void write_keys(const struct import_listener *listener, FILE *to)
{
    for (uint32_t i = 0; i < listener->psk_n; i++) {
        char *line = (char *)(uintptr_t)listener->psk[i];
        if (to != NULL)
            fprintf(to, "%s\n", line);
        explicit_bzero(line, strlen(line));
    }
}

/* Those that are open are closed and, when all is good, in their places. */
static bool close_keys(const struct import_site *site, struct draft_file files[IMPORT_LISTENERS_MAX],
                       bool good)
{
    for (uint32_t i = 0; i < site->listeners_n; i++) {
        write_keys(&site->listeners[i], good ? files[i].to : NULL);
        if (files[i].path != NULL)
            good = close_draft(&files[i], good);
    }
    return good;
}

static int write_all(struct import_run *run, const struct wishes *w, struct import_site *site)
{
    struct draft_file keys[IMPORT_LISTENERS_MAX] = {{.path = NULL}};
    struct draft_file policy = {.path = NULL}, gateway = {.path = NULL}, users = {.path = NULL};
    struct import_summary summary;
    const char *users_file = users_path(run, w, site);
    if (site->users_n != 0 && users_file == NULL) {
        fputs("sallyportctl: a users file has to be written; say where with --users FILE, or give -o\n",
              stderr);
        return EXIT_USAGE;
    }
    bool open = open_draft(run, &policy, w->policy, 0640, w->force) &&
                (w->gateway == NULL ||
                 (open_draft(run, &gateway, w->gateway, 0640, w->force) && open_keys(run, w, site, keys))) &&
                (site->users_n == 0 || open_draft(run, &users, users_file, 0600, w->force));
    bool good = open && import_write_policy(run, site, w->file, users_file, policy.to, &summary);
    if (good && w->gateway != NULL)
        good = import_write_gateway(run, site, w->file, w->upstream, gateway.to);
    if (good && site->users_n != 0)
        write_users(site, users.to);
    good = close_keys(site, keys, good && diagnostics_errors(run->d) == 0);
    if (users.path != NULL)
        good = close_draft(&users, good);
    if (gateway.path != NULL)
        good = close_draft(&gateway, good);
    good = close_draft(&policy, good);
    print_told(run->d);
    if (!good)
        return diagnostics_errors(run->d) != 0 ? EXIT_REFUSED : EXIT_NOT_WRITTEN;
    fprintf(stderr, "imported: %u roles, %u rules, %u tests (%u narrower than it was), %u warnings\n",
            summary.roles, summary.rules, summary.tests, summary.narrower, diagnostics_warnings(run->d));
    return 0;
}

int import_command(int n, char **words)
{
    struct import_run run = {.arena = arena_create(), .d = diagnostics_create()};
    struct import_site site = {.listeners_n = 0};
    struct wishes w = {.force = false};
    int status = EXIT_NOT_WRITTEN;
    if (run.arena == NULL || run.d == NULL) {
        fputs("sallyportctl: no memory\n", stderr);
    } else if (!take_arguments(&w, &run, n, words)) {
        bool help = n == 1 && (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0);
        fputs(usage_text, help ? stdout : stderr);
        status = help ? 0 : EXIT_USAGE;
    } else if (!mosquitto_site_read(&run, w.file, &site) || diagnostics_errors(run.d) != 0) {
        if (diagnostics_errors(run.d) == 0)
            import_tell(&run, DIAGNOSTIC_ERROR, w.file, 0, "no memory for it; give it more");
        print_told(run.d);
        fprintf(stderr, "refused: %u errors, %u warnings; nothing was written\n", diagnostics_errors(run.d),
                diagnostics_warnings(run.d));
        status = EXIT_REFUSED;
    } else {
        status = write_all(&run, &w, &site);
    }
    if (run.d != NULL)
        diagnostics_destroy(run.d);
    if (run.arena != NULL)
        arena_destroy(run.arena);
    return status;
}
