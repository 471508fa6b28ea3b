/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/learn_file.h"

#include "dataplane/secure/digest.h"
#include "gateway/state_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDER "learned"
#define KIND "sallyport learned "
#define VERSION "1\n"
#define HEAD_BYTES (sizeof(KIND VERSION) - 1 + DIGEST_HEX) /* the digest's NUL is its line feed */
#define NAME_BYTES 16

static void name_of(uint32_t place, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%02u.evidence", place);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
    return at + bytes;
}

/* As one word of plain letters, which is all that take_name takes. */
static uint8_t *put_name(uint8_t *at, const char *name)
{
    size_t n = strlen(name);
    at = put(at, n, 1);
    for (size_t i = 0; i < n; i++)
        *at++ = name[i] > ' ' && name[i] < 0x7F ? (uint8_t)name[i] : '_';
    return at;
}

static uint8_t *put_head(uint8_t *at, const struct learn_file *head)
{
    at = put_name(at, head->role);
    at = put_name(at, head->by);
    at = put(at, head->active, 1);
    at = put(at, head->started_us, 8);
    at = put(at, head->stopped_us, 8);
    at = put(at, head->until_us, 8);
    at = put(at, head->kept_us, 8);
    at = put(at, head->revision, 4);
    at = put_name(at, head->fingerprint);
    at = put(at, head->key.k0, 8);
    at = put(at, head->key.k1, 8);
    return put(at, head->evidence_n, 1);
}

static int put_file(const char *state, uint32_t place, struct bytes body)
{
    char head[HEAD_BYTES + 1], digest[DIGEST_HEX], name[NAME_BYTES];
    digest_sha256(body.at, body.len, digest);
    if (digest[0] == '\0')
        return -ENOMEM;
    int folder = state_folder(state, FOLDER, true);
    if (folder < 0)
        return folder;
    snprintf(head, sizeof(head), KIND VERSION "%s\n", digest);
    name_of(place, name);
    int result = state_file_put(folder, name, bytes_of_text(head), body);
    close(folder);
    return result;
}

int learn_file_write(const char *state, uint32_t place, const struct learn_file *head,
                     const struct evidence *const *evidence)
{
    size_t room = 1024 + (size_t)head->evidence_n * (4 + EVIDENCE_STORE_MAX);
    uint8_t *body = head->evidence_n > LEARN_FILE_EVIDENCE ? NULL : malloc(room);
    if (body == NULL)
        return -ENOMEM;
    uint8_t *at = put_head(body, head);
    for (uint32_t i = 0; i < head->evidence_n; i++) {
        size_t n = evidence_store(evidence[i], at + 4, EVIDENCE_STORE_MAX);
        put(at, n, 4);
        at += 4 + n;
    }
    int result = put_file(state, place, bytes_of(body, (size_t)(at - body)));
    explicit_bzero(body, 1024); /* the key is in it */
    free(body);
    return result;
}

int learn_file_remove(const char *state, uint32_t place)
{
    char name[NAME_BYTES];
    int folder = state_folder(state, FOLDER, false);
    if (folder < 0)
        return folder == -ENOENT ? 0 : folder;
    name_of(place, name);
    int result = unlinkat(folder, name, 0) != 0 && errno != ENOENT ? -errno : 0;
    if (result == 0 && fsync(folder) != 0)
        result = -errno;
    close(folder);
    return result;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static bool take(struct cursor *c, uint64_t *value, size_t bytes)
{
    struct bytes text;
    if (cursor_bytes(c, bytes, &text) != READ_OK)
        return false;
    *value = 0;
    for (size_t i = 0; i < bytes; i++)
        *value = *value << 8 | text.at[i];
    return true;
}

/* A name of a policy or user, or empty: it goes to terminals and logs. */
static bool take_name(struct cursor *c, char *to, size_t room)
{
    uint64_t n;
    struct bytes text;
    if (!take(c, &n, 1) || n >= room || cursor_bytes(c, n, &text) != READ_OK)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 0x7F)
            return false;
    if (n != 0)
        memcpy(to, text.at, n);
    to[n] = '\0';
    return true;
}

static bool take_head(struct cursor *c, struct learn_file *head)
{
    uint64_t active, revision, n;
    if (!take_name(c, head->role, sizeof(head->role)) || head->role[0] == '\0' ||
        !take_name(c, head->by, sizeof(head->by)) || !take(c, &active, 1) || active > 1 ||
        !take(c, &head->started_us, 8) || !take(c, &head->stopped_us, 8) || !take(c, &head->until_us, 8) ||
        !take(c, &head->kept_us, 8) || !take(c, &revision, 4) ||
        !take_name(c, head->fingerprint, sizeof(head->fingerprint)) || !take(c, &head->key.k0, 8) ||
        !take(c, &head->key.k1, 8) || !take(c, &n, 1) || n > LEARN_FILE_EVIDENCE)
        return false;
    head->active = active == 1;
    head->revision = (uint32_t)revision;
    head->evidence_n = (uint32_t)n;
    return true;
}

/* What the first two lines say of the rest. */
static int check(const char *text, size_t len)
{
    char digest[DIGEST_HEX];
    if (len < sizeof(KIND) - 1 || memcmp(text, KIND, sizeof(KIND) - 1) != 0)
        return -EPROTO;
    if (len < HEAD_BYTES)
        return -EBADMSG;
    if (memcmp(text + sizeof(KIND) - 1, VERSION, sizeof(VERSION) - 1) != 0)
        return -EPROTONOSUPPORT;
    digest_sha256(text + HEAD_BYTES, len - HEAD_BYTES, digest);
    return digest[0] != '\0' && memcmp(text + HEAD_BYTES - DIGEST_HEX, digest, DIGEST_HEX - 1) == 0 &&
                   text[HEAD_BYTES - 1] == '\n'
               ? 0
               : -EBADMSG;
}

int learn_file_parse(struct bytes text, struct learn_reading *reading)
{
    int result = text.len > LEARN_FILE_MAX ? -EFBIG : check((const char *)text.at, text.len);
    if (result != 0)
        return result;
    reading->rest = cursor_of(bytes_of(text.at + HEAD_BYTES, text.len - HEAD_BYTES));
    return take_head(&reading->rest, &reading->head) ? 0 : -EBADMSG;
}

int learn_file_open(const char *state, uint32_t place, struct learn_reading *reading)
{
    char name[NAME_BYTES];
    size_t len = 0;
    memset(reading, 0, sizeof(*reading));
    int folder = state_folder(state, FOLDER, false);
    if (folder < 0)
        return folder;
    name_of(place, name);
    int result = state_file_read(folder, name, LEARN_FILE_MAX + 1, &reading->text, &len);
    close(folder);
    if (result == 0)
        result = learn_file_parse(bytes_of(reading->text, len), reading);
    if (result != 0)
        learn_file_close(reading);
    return result;
}

bool learn_file_next(struct learn_reading *reading, struct evidence *fresh)
{
    uint64_t n;
    struct bytes text;
    return take(&reading->rest, &n, 4) && cursor_bytes(&reading->rest, n, &text) == READ_OK &&
           evidence_take(fresh, text);
}

void learn_file_close(struct learn_reading *reading)
{
    free(reading->text);
    reading->text = NULL;
}

const char *learn_file_problem(int result)
{
    switch (result) {
    case -EBADMSG:
        return "it is damaged";
    case -EPROTO:
        return "it is no such file";
    case -EPROTONOSUPPORT:
        return "it is of another version";
    case -EFBIG:
        return "it is longer than any of ours";
    case -EEXIST:
        return "its role is in another one too";
    default:
        return strerror(-result);
    }
}
