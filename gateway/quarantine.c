/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/quarantine.h"

#include "policy/access/name_index.h"
#include "policy/access/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "quarantine"
#define HEAD "# sallyport quarantine: name, since, by, reason; written by sallyportctl\n"
#define FIELDS 4
#define FIELD_BYTES (3 * QUARANTINE_TEXT_MAX + 1) /* every byte escaped */
#define LINE_BYTES (FIELDS * (FIELD_BYTES + 1) + 2)

struct quarantine {
    uint64_t number;
    uint32_t n;
    struct quarantine_entry *entries;
    struct name_index by_name;
    struct store texts;
};

/* ---- lists ----------------------------------------------------------------------------------------------
 */

static struct quarantine *make(uint32_t room)
{
    static uint64_t number; /* control thread */
    struct quarantine *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->number = ++number;
    q->entries = calloc(room + 1U, sizeof(*q->entries));
    if (q->entries == NULL || !name_index_init(&q->by_name, room + 1U)) {
        quarantine_destroy(q);
        return NULL;
    }
    return q;
}

static bool add(struct quarantine *q, const struct quarantine_entry *entry)
{
    int failed = 0;
    q->entries[q->n] = (struct quarantine_entry){.name = store_text(&q->texts, entry->name, &failed),
                                                 .reason = store_text(&q->texts, entry->reason, &failed),
                                                 .by = store_text(&q->texts, entry->by, &failed),
                                                 .since_s = entry->since_s};
    if (failed)
        return false;
    name_index_add(&q->by_name, bytes_of_text(q->entries[q->n].name), q->n);
    q->n++;
    return true;
}

struct quarantine *quarantine_create(void)
{
    return make(0);
}

void quarantine_destroy(struct quarantine *q)
{
    if (q == NULL)
        return;
    name_index_fini(&q->by_name);
    store_free(&q->texts);
    free(q->entries);
    free(q);
}

/* A copy without `name`, with room for one more. */
static struct quarantine *copy_without(const struct quarantine *old, const char *name)
{
    struct quarantine *q = make(old->n + 1);
    for (uint32_t i = 0; q != NULL && i < old->n; i++)
        if (strcmp(old->entries[i].name, name) != 0 && !add(q, &old->entries[i])) {
            quarantine_destroy(q);
            errno = ENOMEM;
            return NULL;
        }
    return q;
}

static bool text_good(const char *text)
{
    return strlen(text) <= QUARANTINE_TEXT_MAX;
}

struct quarantine *quarantine_with(const struct quarantine *old, const struct quarantine_entry *entry)
{
    if (entry->name[0] == '\0' || !text_good(entry->name) || !text_good(entry->reason) ||
        !text_good(entry->by)) {
        errno = EINVAL;
        return NULL;
    }
    if (old->n >= QUARANTINE_MAX && quarantine_find(old, bytes_of_text(entry->name)) == NULL) {
        errno = E2BIG;
        return NULL;
    }
    struct quarantine *q = copy_without(old, entry->name);
    if (q != NULL && !add(q, entry)) {
        quarantine_destroy(q);
        errno = ENOMEM;
        return NULL;
    }
    return q;
}

struct quarantine *quarantine_without(const struct quarantine *old, const char *name)
{
    if (quarantine_find(old, bytes_of_text(name)) == NULL) {
        errno = ENOENT;
        return NULL;
    }
    return copy_without(old, name);
}

const struct quarantine_entry *quarantine_find(const struct quarantine *q, struct bytes name)
{
    if (q == NULL || q->n == 0 || name.len == 0)
        return NULL;
    uint32_t i = name_index_find(&q->by_name, name);
    return i == NAME_INDEX_NONE ? NULL : &q->entries[i];
}

uint32_t quarantine_count(const struct quarantine *q)
{
    return q == NULL ? 0 : q->n;
}

const struct quarantine_entry *quarantine_at(const struct quarantine *q, uint32_t index)
{
    return index < quarantine_count(q) ? &q->entries[index] : NULL;
}

uint64_t quarantine_number(const struct quarantine *q)
{
    return q == NULL ? 0 : q->number;
}

/* ---- a line: four fields, parted by tabs, with %XX for what could be taken for an end -------------------
 */

static void put_field(FILE *to, const char *text, char end)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == '%' || *c == 0x7F)
            fprintf(to, "%%%02X", *c);
        else
            fputc(*c, to);
    fputc(end, to);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Takes a field that ends with `end` off the line. */
static bool take_field(const char **line, char end, char out[QUARANTINE_TEXT_MAX + 1])
{
    size_t n = 0;
    for (const char *c = *line;; c++) {
        unsigned char byte = (unsigned char)*c;
        if (*c == end) {
            out[n] = '\0';
            *line = c + 1;
            return true;
        }
        if (byte < 0x20 || byte == 0x7F || n == QUARANTINE_TEXT_MAX)
            return false;
        if (*c == '%') {
            if (hex(c[1]) < 0 || hex(c[2]) < 0)
                return false;
            byte = (unsigned char)(hex(c[1]) << 4 | hex(c[2]));
            c += 2;
        }
        if (byte == 0)
            return false;
        out[n++] = (char)byte;
    }
}

static bool parse_line(const char *line, struct quarantine_entry *entry,
                       char text[FIELDS][QUARANTINE_TEXT_MAX + 1])
{
    char *end;
    for (int i = 0; i < FIELDS; i++)
        if (!take_field(&line, i < FIELDS - 1 ? '\t' : '\n', text[i]))
            return false;
    errno = 0;
    entry->since_s = strtoull(text[1], &end, 10);
    *entry = (struct quarantine_entry){
        .name = text[0], .by = text[2], .reason = text[3], .since_s = entry->since_s};
    return text[0][0] != '\0' && text[1][0] >= '0' && text[1][0] <= '9' && *end == '\0' && errno == 0;
}

/* ---- the file -------------------------------------------------------------------------------------------
 */

static bool path_of(const char *state, const char *suffix, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/" FILE_NAME "%s", state, suffix);
    return n > 0 && n < PATH_MAX;
}

static uint32_t count_lines(FILE *from)
{
    uint32_t n = 0;
    for (int c = fgetc(from); c != EOF; c = fgetc(from))
        n += c == '\n';
    rewind(from);
    return n > QUARANTINE_MAX + 1 ? QUARANTINE_MAX + 1 : n;
}

static struct quarantine *read_lines(FILE *from, const char *path, char *why, size_t why_bytes)
{
    static char line[LINE_BYTES]; /* control thread */
    char text[FIELDS][QUARANTINE_TEXT_MAX + 1];
    struct quarantine *q = make(count_lines(from));
    struct quarantine_entry entry;
    const char *wrong = q == NULL ? "no memory for it" : NULL;
    uint32_t number = 0;
    while (wrong == NULL && fgets(line, sizeof(line), from) != NULL) {
        number++;
        if (number == 1 && strcmp(line, HEAD) != 0)
            wrong = "not a file of quarantined clients";
        else if (number == 1)
            continue;
        else if (q->n == QUARANTINE_MAX)
            wrong = "more names than the gateway keeps";
        else if (!parse_line(line, &entry, text))
            wrong = "a line that sallyportctl did not write; delete it, or move the file away";
        else if (quarantine_find(q, bytes_of_text(entry.name)) != NULL)
            wrong = "a name that is there already; delete the line";
        else if (!add(q, &entry))
            wrong = "no memory for it";
    }
    if (wrong == NULL && (ferror(from) != 0 || number == 0))
        wrong = "it cannot be read whole; move it away if nobody is to be shut out";
    if (wrong == NULL)
        return q;
    snprintf(why, why_bytes, "%s:%u: %s", path, number, wrong);
    quarantine_destroy(q);
    return NULL;
}

struct quarantine *quarantine_read(const char *state, char *why, size_t why_bytes)
{
    char path[PATH_MAX];
    snprintf(why, why_bytes, "out of memory");
    if (!path_of(state, "", path)) {
        snprintf(why, why_bytes, "%.200s...: the path is too long", state);
        return NULL;
    }
    FILE *from = fopen(path, "re");
    if (from == NULL && (errno == ENOENT || errno == ENOTDIR))
        return quarantine_create();
    if (from == NULL) {
        snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
        return NULL;
    }
    struct quarantine *q = read_lines(from, path, why, why_bytes);
    fclose(from);
    return q;
}

static bool write_lines(const struct quarantine *q, FILE *to)
{
    fputs(HEAD, to);
    for (uint32_t i = 0; i < q->n; i++) {
        const struct quarantine_entry *entry = &q->entries[i];
        put_field(to, entry->name, '\t');
        fprintf(to, "%" PRIu64 "\t", entry->since_s);
        put_field(to, entry->by, '\t');
        put_field(to, entry->reason, '\n');
    }
    return fflush(to) == 0 && ferror(to) == 0 && fsync(fileno(to)) == 0;
}

int quarantine_write(const struct quarantine *q, const char *state)
{
    char path[PATH_MAX], aside[PATH_MAX];
    if (!path_of(state, "", path) || !path_of(state, ".new", aside))
        return -ENAMETOOLONG;
    if (mkdir(state, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
    if (to == NULL) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return -error;
    }
    errno = EIO;
    int error = write_lines(q, to) ? 0 : errno;
    if (fclose(to) != 0 && error == 0)
        error = errno;
    if (error == 0 && rename(aside, path) != 0)
        error = errno;
    if (error != 0) {
        unlink(aside);
        return -error;
    }
    int directory = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        (void)fsync(directory); /* the new list is in force either way */
        close(directory);
    }
    return 0;
}
