/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Users as mosquitto_passwd 2.0.11 wrote them, and as Python's hashlib.pbkdf2_hmac computes them, with their
 * passwords. */
#ifndef TESTS_UNIT_USERS_CASE_H
#define TESTS_UNIT_USERS_CASE_H

#include "policy/access/users.h"
#include "tests/unit/runner.h"

#define USER_ALICE /* secret */                                                                              \
    "alice:$7$101$UwsyWu1GGgOzneYG$MqbzY6wM9zST8MtS0kCkhKMIlCQ5E9N6DcRSzSPFsgPy2dEJ/"                        \
    "iS3DuN5bjZhKcR0oSFUATgNM1P2/KWfcsBbrg==\n"
#define USER_BOB /* p@ss w0rd */                                                                             \
    "bob smith:$7$101$gHf2LHn0SRr3PgTi$EqefZ3oZzJPlQge0ish2AUxTob+3apeH0aHd1s+"                              \
    "mcNlwxwIyYLauQnvBx3sGQUtJFBHnr9qMzVebvJjW7C67TA==\n"
#define USER_CAROL /* old; one SHA-512 */                                                                    \
    "carol:$6$4bV+ZMbA3rHYNWPI$AcZsf8LYQAjN9+KFbIZJZkBjD/"                                                   \
    "6bkLF77Fy63DlJ7c4uyWLQZ4LupX/Atx5Km6S/a0MN9gaYzhKNvJA3Kqg5zw==\n"
#define USER_ONE /* password; 1 round, salt "salt" */                                                        \
    "u1:$7$1$c2FsdA==$hn9wzxreAs/zdSWZo6U9xK80x6ZpgVrl1RNVThyM8lLALUcKKFoFAbrZmb/"                           \
    "pQ8CPBQI119aLHaVeY/c7YKV/zg==\n"
#define USER_STRONG /* password; 12000 rounds, a salt of 64 bytes */                                         \
    "u2:$7$12000$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg=="   \
    "$Ezvdy+36e/72ObWQah+i6P3KhK3D94e+yr4BvCZcj5Oittr85f2+XsF9sCmh8o5kUpkrUZ1S7iClQYw0SxQgyQ==\n"
#define USER_BINARY /* 00 FF " bin"; 3 rounds, salt "x" */                                                   \
    "u3:$7$3$eA==$SkR/SIsVLm3r138VmE0DW6nvjxjY5Rey9SkISjNJNB4kuY/"                                           \
    "0XT1NBOkhH0W7419i6L0XDxJhcIkPQKXl4PkqHg==\n"

struct users_told {
    uint32_t errors, warnings;
    struct users_problem first; /* error, else warning */
};

static inline void users_tell(void *owner, const struct users_problem *problem)
{
    struct users_told *told = owner;
    if (told->errors + told->warnings == 0 || (!problem->warning && told->errors == 0))
        told->first = *problem;
    told->errors += !problem->warning;
    told->warnings += problem->warning;
}

static inline struct users *users_of(const char *text)
{
    struct users_told told = {0};
    struct users *users = users_create(bytes_of_text(text), users_tell, &told);
    if (users == NULL)
        fprintf(stderr, "line %u: %s\n", told.first.line, told.first.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(users);
    return users;
}

#endif
