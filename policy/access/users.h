/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users and what their passwords are held against: a file as mosquitto_passwd writes it (C2).
 *
 * A line is NAME:$7$ROUNDS$SALT$HASH (PBKDF2 with HMAC-SHA-512) or NAME:$6$SALT$HASH (one SHA-512 of password
 * and salt, weak), salt and hash in base64. Empty lines and lines that begin with '#' are passed over. All
 * else is an error, so that a file that was cut short or edited by the wrong program never opens anything: a
 * name twice, no user at all, a last line without its end, CR, a byte order mark. Whether a password fits is
 * asked elsewhere; nothing here knows an algorithm.
 *
 * Immutable once made; any thread may read. What it held is wiped.
 */
#ifndef POLICY_ACCESS_USERS_H
#define POLICY_ACCESS_USERS_H

#include "policy/bytes.h"

#define USER_NAME_MAX 255
#define USER_SALT_MAX 64
#define USER_HASH_BYTES 64
#define USERS_MAX (1U << 20)
#define USER_ROUNDS_MAX 10000000U
#define USER_ROUNDS_FEW 10000U /* below: weak */

enum user_scheme {
    USER_SCHEME_NONE = 0,
    USER_SHA512,
    USER_PBKDF2_SHA512,
};

struct user {
    const char *name;
    uint32_t line;
    uint32_t rounds;
    uint8_t scheme; /* enum user_scheme */
    uint8_t salt_len;
    uint8_t salt[USER_SALT_MAX];
    uint8_t hash[USER_HASH_BYTES];
};

struct users_problem {
    uint32_t line; /* 0: of the file as a whole */
    bool warning;  /* hashes that are weak: told once */
    char text[160];
};

struct users;

/* From the text of a file, which is borrowed. NULL when something is wrong, lack of memory among it, with all
 * of it told. */
struct users *users_create(struct bytes text,
                           void (*problem)(void *owner, const struct users_problem *problem), void *owner);
/* NULL is ignored. */
void users_destroy(struct users *users);
uint32_t users_count(const struct users *users);
/* NULL when there is none of that name, or `users` is NULL. */
const struct user *users_find(const struct users *users, struct bytes name);
/* Entry number `random` modulo how many there are: one to spend time on for a name that is not there. */
const struct user *users_decoy(const struct users *users, uint64_t random);
/* What a user's entry says, in 64 bits, never 0: another password or another salt is another value. */
uint64_t user_digest(const struct user *user);
/* Over all entries, in whatever order; 0 for NULL. */
uint64_t users_digest(const struct users *users);
size_t users_memory_bytes(const struct users *users);

#endif
