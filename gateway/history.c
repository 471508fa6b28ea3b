/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/history.h"

#include "gateway/state_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "policies"
#define NOTE "in-force"
#define HEAD_BYTES 512
/* More names than this in the folder are not ours. */
#define LISTED_MAX 1024

static const char head_format[] =
    "# sallyport policy rev %" SCNu32 " time %" SCNu64 " user %63s fingerprint %8s sha256 %64s roles %" SCNu32
    " rules %" SCNu32 " devices %" SCNu32 " tests %" SCNu32;

bool history_path(const char *state, uint32_t number, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/" FOLDER "/%08" PRIu32 ".conf", state, number);
    return n > 0 && n < PATH_MAX;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static bool parse_head(const char *text, struct history_entry *entry)
{
    *entry = (struct history_entry){.number = 0};
    return sscanf(text, head_format, &entry->number, &entry->time_us, entry->user, entry->fingerprint,
                  entry->sha256, &entry->roles, &entry->rules, &entry->devices, &entry->tests) == 9 &&
           entry->number != 0;
}

/* "00000041.conf": 41; 0: no name of ours. */
static uint32_t number_of(const char *name)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    return isdigit((unsigned char)name[0]) && end >= name + 8 && strcmp(end, ".conf") == 0 &&
                   number <= UINT32_MAX
               ? (uint32_t)number
               : 0;
}

static int newest_first(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x < *y) - (*x > *y);
}

/* Numbers of all entries of the folder, newest first. */
static uint32_t list_numbers(int folder, uint32_t numbers[LISTED_MAX])
{
    uint32_t n = 0;
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (dir == NULL) {
        if (again >= 0)
            close(again);
        return 0;
    }
    for (struct dirent *entry; n < LISTED_MAX && (entry = readdir(dir)) != NULL;)
        if (number_of(entry->d_name) != 0)
            numbers[n++] = number_of(entry->d_name);
    closedir(dir);
    qsort(numbers, n, sizeof(numbers[0]), newest_first);
    return n;
}

uint32_t history_list(const char *state, struct history_entry entries[HISTORY_MAX])
{
    uint32_t numbers[LISTED_MAX];
    int folder = state_folder(state, FOLDER, false);
    if (folder < 0)
        return 0;
    uint32_t listed = list_numbers(folder, numbers), n = 0;
    for (uint32_t i = 0; i < listed && n < HISTORY_MAX; i++) {
        char name[16], *head = NULL;
        size_t len = 0;
        snprintf(name, sizeof(name), "%08" PRIu32 ".conf", numbers[i]);
        if (state_file_read(folder, name, HEAD_BYTES, &head, &len) != 0)
            continue;
        if (parse_head(head, &entries[n]) && entries[n].number == numbers[i])
            n++;
        free(head);
    }
    close(folder);
    return n;
}

int history_read(const char *state, uint32_t number, struct config_text *text)
{
    char name[16];
    *text = (struct config_text){.at = NULL};
    int folder = state_folder(state, FOLDER, false);
    if (folder < 0)
        return folder;
    snprintf(name, sizeof(name), "%08" PRIu32 ".conf", number);
    int result = state_file_read(folder, name, SIZE_MAX - 1, &text->at, &text->len);
    close(folder);
    if (result != 0)
        return result;
    char *end = memchr(text->at, '\n', text->len);
    size_t head = end == NULL ? text->len : (size_t)(end + 1 - text->at);
    memmove(text->at, text->at + head, text->len - head + 1);
    text->len -= head;
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

/* A user's name as one word. */
static void one_word(const char *user, char to[HISTORY_USER_MAX])
{
    size_t n = 0;
    for (; user[n] != '\0' && n < HISTORY_USER_MAX - 1; n++)
        to[n] = user[n] > ' ' && user[n] < 0x7f ? user[n] : '_';
    if (n == 0)
        to[n++] = '-';
    to[n] = '\0';
}

static void remove_oldest(int folder, uint32_t spare)
{
    uint32_t numbers[LISTED_MAX];
    uint32_t n = list_numbers(folder, numbers);
    for (uint32_t i = HISTORY_MAX; i < n; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%08" PRIu32 ".conf", numbers[i]);
        if (numbers[i] != spare)
            (void)unlinkat(folder, name, 0);
    }
}

int history_keep(const char *state, const struct history_entry *entry, const struct config_text *text,
                 uint32_t spare)
{
    char head[HEAD_BYTES], user[HISTORY_USER_MAX], name[16];
    int folder = state_folder(state, FOLDER, true);
    if (folder < 0)
        return folder;
    one_word(entry->user, user);
    snprintf(head, sizeof(head),
             "# sallyport policy rev %" PRIu32 " time %" PRIu64
             " user %s fingerprint %s sha256 %s roles %" PRIu32 " rules %" PRIu32 " devices %" PRIu32
             " tests %" PRIu32 "\n",
             entry->number, entry->time_us, user, entry->fingerprint, entry->sha256, entry->roles,
             entry->rules, entry->devices, entry->tests);
    snprintf(name, sizeof(name), "%08" PRIu32 ".conf", entry->number);
    int result = state_file_put(folder, name, bytes_of_text(head), bytes_of(text->at, text->len));
    if (result == 0)
        remove_oldest(folder, spare);
    close(folder);
    return result;
}

void history_remove(const char *state, uint32_t number)
{
    char path[PATH_MAX];
    if (history_path(state, number, path))
        (void)unlink(path);
}

/* ---- which one is in force ----------------------------------------------------------------------------- */

int history_in_force(const char *state, uint32_t *number)
{
    char *text = NULL, *end;
    size_t len = 0;
    *number = 0;
    int folder = state_folder(state, FOLDER, false);
    if (folder < 0)
        return folder == -ENOENT ? 0 : folder;
    int result = state_file_read(folder, NOTE, HEAD_BYTES, &text, &len);
    close(folder);
    if (result != 0)
        return result == -ENOENT ? 0 : result;
    unsigned long value = strtoul(text, &end, 10);
    bool good = end != text && *end == '\n' && value != 0 && value <= UINT32_MAX;
    free(text);
    if (!good)
        return -EBADMSG;
    *number = (uint32_t)value;
    return 0;
}

int history_set_in_force(const char *state, uint32_t number)
{
    char text[16];
    int folder = state_folder(state, FOLDER, number != 0);
    if (folder < 0)
        return folder == -ENOENT && number == 0 ? 0 : folder;
    int result = 0;
    if (number != 0) {
        snprintf(text, sizeof(text), "%" PRIu32 "\n", number);
        result = state_file_put(folder, NOTE, bytes_of(NULL, 0), bytes_of_text(text));
    } else if (unlinkat(folder, NOTE, 0) != 0) {
        result = errno == ENOENT ? 0 : -errno;
    } else if (fsync(folder) != 0) {
        result = -errno;
    }
    close(folder);
    return result;
}
