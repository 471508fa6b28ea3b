/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/text.h"

#include "policy/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct text_problem *problem, uint32_t line, const char *what)
{
    problem->line = line;
    snprintf(problem->text, sizeof(problem->text), "%s", what);
    return -1;
}

static int fail_errno(struct text_problem *problem, int error)
{
    const char *fix = error == ENOENT   ? "; create it or correct its name"
                      : error == EACCES ? "; let this user read it"
                                        : "";
    problem->line = 0;
    snprintf(problem->text, sizeof(problem->text), "it cannot be read: %s%s", strerror(error), fix);
    return -1;
}

static int fail_kind(struct text_problem *problem, mode_t mode)
{
    const char *kind = S_ISDIR(mode)                    ? "a directory"
                       : S_ISFIFO(mode)                 ? "a FIFO"
                       : S_ISSOCK(mode)                 ? "a socket"
                       : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
                                                        : "not a file";
    problem->line = 0;
    snprintf(problem->text, sizeof(problem->text), "it is %s; a regular file is needed here", kind);
    return -1;
}

/* Opening a device or a FIFO can have effects or wait, so its kind is asked first, and again once open. */
static int open_regular(const char *path, struct stat *st, struct text_problem *problem)
{
    if (stat(path, st) != 0)
        return fail_errno(problem, errno);
    if (!S_ISREG(st->st_mode))
        return fail_kind(problem, st->st_mode);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(problem, errno);
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) {
        close(fd);
        return fail_kind(problem, st->st_mode);
    }
    return fd;
}

int text_readable(const char *path, struct text_problem *problem)
{
    struct stat st;
    int fd = open_regular(path, &st, problem);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int read_all(int fd, size_t expected, struct text *out, struct text_problem *problem)
{
    size_t room = expected + 1;
    char *at = malloc(room + 1);
    size_t len = 0;
    while (at != NULL) {
        ssize_t n = read(fd, at + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;
            free(at);
            return fail_errno(problem, error);
        }
        len += (size_t)n;
        if (n == 0 || len > TEXT_BYTES_MAX)
            break;
        if (len == room) {
            room *= 2;
            char *larger = realloc(at, room + 1);
            if (larger == NULL)
                free(at);
            at = larger;
        }
    }
    if (at == NULL)
        return fail_errno(problem, ENOMEM);
    at[len] = '\0';
    *out = (struct text){.at = at, .len = len};
    return 0;
}

static uint32_t line_at(const struct text *text, size_t offset)
{
    uint32_t line = 1;
    for (size_t i = 0; i < offset; i++)
        if (text->at[i] == '\n')
            line++;
    return line;
}

/* The first line that is not valid UTF-8; lines are checked one by one, as none can end inside a character.
 */
static uint32_t bad_utf8_line(const struct text *text)
{
    if (utf8_check(bytes_of(text->at, text->len), UTF8_TEXT))
        return 0;
    uint32_t line = 1;
    for (size_t start = 0; start < text->len; line++) {
        const char *end = memchr(text->at + start, '\n', text->len - start);
        size_t len = end == NULL ? text->len - start : (size_t)(end - (text->at + start));
        if (!utf8_check(bytes_of(text->at + start, len), UTF8_TEXT))
            break;
        start += len + 1;
    }
    return line;
}

static int check_content(struct text *text, struct text_problem *problem)
{
    static const char bom[] = "\xEF\xBB\xBF";
    if (text->len > TEXT_BYTES_MAX)
        return fail(problem, 0, "it is larger than 64 MiB; split it into several files");
    if (text->len >= 3 && memcmp(text->at, bom, 3) == 0) {
        text->len -= 3;
        memmove(text->at, text->at + 3, text->len + 1);
    }
    if (text->len == 0)
        return fail(problem, 0, "it is empty; was it cut short when it was written? restore or remove it");
    const char *nul = memchr(text->at, '\0', text->len);
    if (nul != NULL)
        return fail(problem, line_at(text, (size_t)(nul - text->at)),
                    "NUL byte; the file is not text, or is UTF-16; save it as UTF-8");
    uint32_t line = bad_utf8_line(text);
    if (line != 0)
        return fail(problem, line, "the bytes here are not UTF-8; save the file as UTF-8");
    return 0;
}

int text_read(const char *path, struct text *out, struct text_problem *problem)
{
    struct stat st;
    int fd = open_regular(path, &st, problem);
    if (fd < 0)
        return -1;
    int done = 0;
    struct text read = {.at = NULL};
    if (st.st_size > (off_t)TEXT_BYTES_MAX)
        done = fail(problem, 0, "it is larger than 64 MiB; split it into several files");
    else
        done = read_all(fd, (size_t)st.st_size, &read, problem);
    close(fd);
    if (done == 0)
        done = check_content(&read, problem);
    if (done == 0)
        *out = read;
    else
        text_free(&read);
    return done;
}

void text_free(struct text *text)
{
    free(text->at);
    *text = (struct text){.at = NULL};
}

bool text_fill(int fd, void *to, size_t n)
{
    uint8_t *at = to;
    while (n > 0) {
        ssize_t got = read(fd, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}
