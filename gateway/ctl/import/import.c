/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/import.h"

#include "config/text.h"
#include "policy/access/topic.h"
#include "policy/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES 600

void import_tell(struct import_run *run, enum diagnostic_level level, const char *file, uint32_t line,
                 const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = *c == IMPORT_CLIENT_ID || *c == IMPORT_USER ? '%' : '?';
    diagnostics_add(run->d, level, file, line, "%s", text);
}

/* Room for one more; the arena gives nothing back, so it doubles. */
static void *grown(struct import_run *run, void *at, uint32_t n, uint32_t *room, uint32_t max, size_t size)
{
    if (n < *room)
        return at;
    uint32_t wanted = *room == 0 ? 8 : *room * 2;
    void *more = n >= max ? NULL : arena_take(run->arena, wanted * size);
    if (more == NULL) {
        import_tell(run, DIAGNOSTIC_ERROR, "import", 0,
                    n >= max
                        ? "there are more than %u of one kind; split the site, or let one pattern serve many"
                        : "no memory for more than %u of one kind; give it more",
                    n);
        return NULL;
    }
    if (n != 0)
        memcpy(more, at, n * size);
    *room = wanted;
    return more;
}

bool import_add(struct import_run *run, struct import_entries *to, const struct import_entry *entry)
{
    void *at = grown(run, to->at, to->n, &to->room, IMPORT_ENTRIES_MAX, sizeof(*to->at));
    if (at == NULL)
        return false;
    to->at = at;
    to->at[to->n++] = *entry;
    return true;
}

struct import_role *import_add_role(struct import_run *run, struct import_site *site)
{
    void *at =
        grown(run, site->roles, site->roles_n, &site->roles_room, IMPORT_ROLES_MAX, sizeof(*site->roles));
    if (at == NULL)
        return NULL;
    site->roles = at;
    struct import_role *role = &site->roles[site->roles_n++];
    memset(role, 0, sizeof(*role));
    return role;
}

bool import_add_user(struct import_run *run, struct import_site *site, const char *line)
{
    void *at =
        grown(run, site->users, site->users_n, &site->users_room, IMPORT_ENTRIES_MAX, sizeof(*site->users));
    if (at == NULL)
        return false;
    site->users = at;
    site->users[site->users_n++] = line;
    return true;
}

char *import_read(struct import_run *run, const char *path, struct config_origin from, size_t *n)
{
    struct stat there;
    char *text = NULL;
    const char *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &there) != 0)
        why = strerror(errno);
    else if (!S_ISREG(there.st_mode))
        why = "it is no regular file";
    else if (there.st_size > (off_t)IMPORT_FILE_BYTES_MAX)
        why = "it is larger than 16 MiB";
    else if ((text = arena_take(run->arena, (size_t)there.st_size + 1)) == NULL)
        why = "no memory for it";
    else if (!text_fill(fd, text, (size_t)there.st_size))
        why = "it changed while it was read";
    else if (memchr(text, 0, (size_t)there.st_size) != NULL)
        why = "it holds NUL bytes";
    if (fd >= 0)
        close(fd);
    if (why != NULL) {
        import_tell(run, DIAGNOSTIC_ERROR, from.file, from.line,
                    "%s cannot be read: %s; correct the name or the file", path, why);
        return NULL;
    }
    *n = (size_t)there.st_size;
    return text;
}

char *import_next_line(struct import_lines *lines, size_t *length)
{
    char *line = lines->at;
    if (line == NULL || *line == '\0')
        return NULL;
    size_t n = strcspn(line, "\n");
    lines->at = line[n] == '\0' ? NULL : line + n + 1;
    lines->line++;
    line[n] = '\0';
    while (n > 0 && line[n - 1] == '\r')
        line[--n] = '\0';
    *length = n;
    return line;
}

const char *import_filter_problem(const char *filter)
{
    struct bytes bytes = bytes_of_text(filter);
    if (bytes.len > 1000)
        return "it is longer than 1000 bytes";
    if (!topic_filter_valid(bytes))
        return "'+' and '#' stand for whole levels, '#' for the last ones";
    if (topic_levels(bytes) > TOPIC_LEVELS_MAX)
        return "it has more than 64 levels";
    if (strstr(filter, "${") != NULL)
        return "\"${\" begins a variable in a policy and cannot be written otherwise";
    return utf8_check(bytes, UTF8_SPEC) ? NULL : "it is not UTF-8";
}
