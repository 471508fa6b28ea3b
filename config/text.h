/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a configuration file without surprises: only regular files, never blocking on a FIFO or a device,
 * at most TEXT_BYTES_MAX, no NUL bytes, valid UTF-8. A leading byte order mark is taken off; CRLF is left to
 * the reader. Control thread.
 */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define TEXT_PROBLEM_MAX 160

struct text {
    char *at; /* `len` bytes and a NUL; text_free gives it back */
    size_t len;
};

struct text_problem {
    uint32_t line; /* 0: the file as a whole */
    char text[TEXT_PROBLEM_MAX];
};

/* 0, or -1 with `problem` filled in as "what; fix". */
int text_read(const char *path, struct text *out, struct text_problem *problem);
void text_free(struct text *text);
/* 0 when `path` is a regular file that this process may read; else -1 with `problem`. Reads nothing. */
int text_readable(const char *path, struct text_problem *problem);
/* Exactly `n` bytes of `fd` into `to`; false when there are fewer, or reading fails. */
bool text_fill(int fd, void *to, size_t n);

#endif
