/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/users.h"

#include "policy/access/hash.h"
#include "policy/access/name_index.h"
#include "policy/access/store.h"
#include "policy/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct users {
    uint32_t n;
    uint32_t room;
    uint64_t digest;
    struct user *list;
    struct name_index by_name;
    struct store names;
};

struct reading {
    struct users *users;
    void (*told)(void *owner, const struct users_problem *problem);
    void *owner;
    uint32_t line;
    uint32_t errors;
    uint32_t weak, weak_line;
};

static void tell(struct reading *r, bool warning, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void tell(struct reading *r, bool warning, uint32_t line, const char *format, ...)
{
    struct users_problem problem = {.line = line, .warning = warning};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem.text, sizeof(problem.text), format, arguments);
    va_end(arguments);
    r->errors += !warning;
    r->told(r->owner, &problem);
}

/* ---- base64 (RFC 4648 s.4) ------------------------------------------------------------------------------
 */

static int sextet(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many bytes; 0 when it is not well formed, empty, or more than `room`. */
static size_t decode(struct bytes text, uint8_t *out, size_t room)
{
    size_t n = text.len, used = 0;
    uint32_t bits = 0, held = 0;
    if (n == 0 || n % 4 != 0)
        return 0;
    for (int i = 0; i < 2 && text.at[n - 1] == '='; i++)
        n--;
    for (size_t i = 0; i < n; i++) {
        int value = sextet(text.at[i]);
        if (value < 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8)
            continue;
        if (used == room)
            return 0;
        held -= 8;
        out[used++] = (uint8_t)(bits >> held);
        bits &= (1U << held) - 1;
    }
    return bits == 0 ? used : 0; /* what is left over is zero in the one canonical form */
}

/* ---- a line ---------------------------------------------------------------------------------------------
 */

/* Takes what comes before `end` off the rest; false when there is no `end`. */
static bool take_until(struct bytes *rest, uint8_t end, struct bytes *out)
{
    const uint8_t *at = rest->len == 0 ? NULL : memchr(rest->at, end, rest->len);
    if (at == NULL)
        return false;
    *out = bytes_of(rest->at, (size_t)(at - rest->at));
    *rest = bytes_of(at + 1, rest->len - out->len - 1);
    return true;
}

static bool parse_rounds(struct bytes text, uint32_t *rounds)
{
    uint32_t value = 0;
    if (text.len == 0 || text.len > 8 || text.at[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.at[i] - '0');
    }
    *rounds = value;
    return value <= USER_ROUNDS_MAX;
}

/* What follows the name. NULL when it is good. */
static const char *parse_hash(struct bytes rest, struct user *user)
{
    struct bytes piece, salt;
    if (!take_until(&rest, '$', &piece) || piece.len != 0 || !take_until(&rest, '$', &piece))
        return "there is no hash after the name, perhaps a plain password; hash the file with "
               "mosquitto_passwd -U";
    if (bytes_equal(piece, bytes_of_text("7")))
        user->scheme = USER_PBKDF2_SHA512;
    else if (bytes_equal(piece, bytes_of_text("6")))
        user->scheme = USER_SHA512;
    else
        return "the hash is neither $7$ nor $6$; make it with mosquitto_passwd";
    user->rounds = 1;
    if (user->scheme == USER_PBKDF2_SHA512 &&
        (!take_until(&rest, '$', &piece) || !parse_rounds(piece, &user->rounds)))
        return "the number of rounds is not one from 1 to 10000000";
    if (!take_until(&rest, '$', &salt))
        return "the hash is incomplete; make it anew with mosquitto_passwd";
    user->salt_len = (uint8_t)decode(salt, user->salt, sizeof(user->salt));
    if (user->salt_len == 0)
        return "the salt is not base64 of 1 to 64 bytes";
    return decode(rest, user->hash, sizeof(user->hash)) == sizeof(user->hash)
               ? NULL
               : "the hash is not base64 of 64 bytes";
}

static bool name_good(struct bytes name)
{
    return name.len > 0 && name.len <= USER_NAME_MAX && utf8_check(name, UTF8_SPEC);
}

static struct user *grow(struct reading *r)
{
    struct users *users = r->users;
    if (users->n == USERS_MAX) {
        tell(r, false, r->line, "there are more than %u users", USERS_MAX);
        return NULL;
    }
    if (users->n == users->room) {
        uint32_t room = users->room == 0 ? 64 : users->room * 2;
        struct user *list = calloc(room, sizeof(*list));
        if (list == NULL) {
            tell(r, false, 0, "out of memory");
            return NULL;
        }
        if (users->n > 0)
            memcpy(list, users->list, users->n * sizeof(*list));
        if (users->list != NULL)
            explicit_bzero(users->list, users->n * sizeof(*list));
        free(users->list);
        users->list = list;
        users->room = room;
    }
    return &users->list[users->n];
}

static void take_line(struct reading *r, struct bytes line)
{
    struct bytes rest = line, name;
    char text[USER_NAME_MAX + 1];
    int failed = 0;
    if (line.len == 0 || line.at[0] == '#')
        return;
    if (!take_until(&rest, ':', &name) || !name_good(name)) {
        tell(r, false, r->line, "the line is not NAME:HASH with a name of 1 to 255 bytes of UTF-8");
        return;
    }
    struct user *user = grow(r);
    if (user == NULL)
        return;
    *user = (struct user){.line = r->line};
    const char *wrong = parse_hash(rest, user);
    if (wrong != NULL) {
        tell(r, false, r->line, "user '%.*s': %s", name.len > 40 ? 40 : (int)name.len, (const char *)name.at,
             wrong);
        return;
    }
    memcpy(text, name.at, name.len);
    text[name.len] = 0;
    user->name = store_text(&r->users->names, text, &failed);
    if (failed) {
        tell(r, false, 0, "out of memory");
        return;
    }
    r->users->n++;
    if (user->scheme == USER_SHA512 || user->rounds < USER_ROUNDS_FEW) {
        if (r->weak++ == 0)
            r->weak_line = r->line;
    }
}

/* ---- the file
 * ----------------------------------------------------------------------------------------------
 */

static void take_file(struct reading *r, struct bytes text)
{
    struct bytes line;
    r->line = 1;
    if (text.len >= 3 && memcmp(text.at, "\xEF\xBB\xBF", 3) == 0) {
        tell(r, false, 1, "the file begins with a byte order mark; save it as plain UTF-8");
        return;
    }
    if (text.len > 0 && memchr(text.at, '\r', text.len) != NULL) {
        tell(r, false, 1, "lines end in CR; save the file with LF alone");
        return;
    }
    for (; take_until(&text, '\n', &line); r->line++)
        take_line(r, line);
    if (text.len > 0)
        tell(r, false, r->line, "the last line has no end; the file may have been cut short");
    else if (r->users->n == 0 && r->errors == 0)
        tell(r, false, 0, "there is no user in it; add one with mosquitto_passwd");
    if (r->weak > 0)
        tell(r, true, r->weak_line,
             "%u user%s weak hashes ($6$, or fewer than %u rounds); give them long random passwords, or hash "
             "them anew",
             r->weak, r->weak == 1 ? " has" : "s have", USER_ROUNDS_FEW);
}

static void index_names(struct reading *r)
{
    struct users *users = r->users;
    if (!name_index_init(&users->by_name, users->n)) {
        tell(r, false, 0, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < users->n; i++) {
        const struct user *user = &users->list[i];
        uint32_t twin = name_index_add(&users->by_name, bytes_of_text(user->name), i);
        users->digest +=
            user_digest(user) ^ hash_bytes((const uint8_t *)user->name, strlen(user->name), HASH_ODD_2);
        if (twin == NAME_INDEX_NONE)
            continue;
        tell(r, false, user->line, "user '%.40s' is there already (line %u); delete one", user->name,
             users->list[twin].line);
    }
}

struct users *users_create(struct bytes text,
                           void (*problem)(void *owner, const struct users_problem *problem), void *owner)
{
    struct reading r = {.users = calloc(1, sizeof(*r.users)), .told = problem, .owner = owner};
    if (r.users == NULL) {
        tell(&r, false, 0, "out of memory");
        return NULL;
    }
    take_file(&r, text);
    index_names(&r);
    if (r.errors == 0)
        return r.users;
    users_destroy(r.users);
    return NULL;
}

void users_destroy(struct users *users)
{
    if (users == NULL)
        return;
    if (users->list != NULL)
        explicit_bzero(users->list, users->room * sizeof(*users->list));
    free(users->list);
    name_index_fini(&users->by_name);
    store_free(&users->names);
    free(users);
}

/* ---- asking ---------------------------------------------------------------------------------------------
 */

uint32_t users_count(const struct users *users)
{
    return users == NULL ? 0 : users->n;
}

const struct user *users_find(const struct users *users, struct bytes name)
{
    if (users == NULL || name.at == NULL)
        return NULL;
    uint32_t i = name_index_find(&users->by_name, name);
    return i == NAME_INDEX_NONE ? NULL : &users->list[i];
}

const struct user *users_decoy(const struct users *users, uint64_t random)
{
    return users_count(users) == 0 ? NULL : &users->list[random % users->n];
}

uint64_t user_digest(const struct user *user)
{
    uint64_t digest = hash_bytes(user->salt, sizeof(user->salt), HASH_ODD_1) +
                      hash_bytes(user->hash, sizeof(user->hash), HASH_ODD_2);
    digest = hash_fold(digest ^ HASH_ODD_1, ((uint64_t)user->rounds << 8 | user->scheme) + HASH_ODD_2);
    return digest == 0 ? 1 : digest;
}

uint64_t users_digest(const struct users *users)
{
    return users == NULL ? 0 : users->digest;
}

size_t users_memory_bytes(const struct users *users)
{
    if (users == NULL)
        return 0;
    return sizeof(*users) + users->room * sizeof(*users->list) + users->by_name.bytes + users->names.bytes;
}
