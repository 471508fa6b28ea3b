/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE ".new"

int state_folder(const char *state, const char *name, bool make)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", state, name);
    if (n < 0 || n >= (int)sizeof(path))
        return -ENAMETOOLONG;
    if (make && mkdir(state, 0700) != 0 && errno != EEXIST)
        return -errno;
    if (make && mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? -errno : folder;
}

int state_file_read(int folder, const char *name, size_t most, char **out, size_t *len)
{
    struct stat st;
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return -errno;
    int result = fstat(file, &st) != 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
    size_t size = result == 0 ? (size_t)st.st_size : 0;
    if (size > most)
        size = most;
    char *text = result == 0 ? malloc(size + 1) : NULL;
    size_t n = 0;
    if (result == 0 && text == NULL)
        result = -ENOMEM;
    while (result == 0 && n < size) {
        ssize_t got = read(file, text + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = -errno;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(file);
    if (result != 0) {
        free(text);
        return result;
    }
    text[n] = '\0';
    *out = text;
    *len = n;
    return 0;
}

static int write_all(int file, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t done = write(file, bytes.at, bytes.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        bytes = bytes_of(bytes.at + done, bytes.len - (size_t)done);
    }
    return 0;
}

int state_file_put(int folder, const char *name, struct bytes head, struct bytes body)
{
    (void)unlinkat(folder, ASIDE, 0);
    int file = openat(folder, ASIDE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return -errno;
    int result = write_all(file, head);
    if (result == 0)
        result = write_all(file, body);
    if (result == 0 && fsync(file) != 0)
        result = -errno;
    if (close(file) != 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(folder, ASIDE, folder, name) != 0)
        result = -errno;
    if (result == 0 && fsync(folder) != 0)
        result = -errno;
    if (result != 0)
        (void)unlinkat(folder, ASIDE, 0);
    return result;
}
