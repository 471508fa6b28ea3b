/* SPDX-License-Identifier: GPL-2.0-or-later */
/* users.h: files of mosquitto_passwd, read strictly (C2; traps 1.6: nothing that is wrong opens anything). */
#include "tests/unit/users_case.h"

#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GOOD "MqbzY6wM9zST8MtS0kCkhKMIlCQ5E9N6DcRSzSPFsgPy2dEJ/iS3DuN5bjZhKcR0oSFUATgNM1P2/KWfcsBbrg=="

static void what_mosquitto_writes(void)
{
    struct users_told told = {0};
    struct users *users = users_create(
        bytes_of_text("# made by hand\n\n" USER_ALICE USER_BOB USER_CAROL USER_STRONG), users_tell, &told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(users);
    CU_ASSERT_EQUAL(users_count(users), 4);
    const struct user *alice = users_find(users, bytes_of_text("alice"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(alice);
    CU_ASSERT_EQUAL(alice->scheme, USER_PBKDF2_SHA512);
    CU_ASSERT_EQUAL(alice->rounds, 101);
    CU_ASSERT_EQUAL(alice->salt_len, 12);
    CU_ASSERT_EQUAL(alice->line, 3);
    CU_ASSERT_EQUAL(alice->hash[0], 0x32);
    CU_ASSERT_EQUAL(alice->hash[63], 0xAE);
    const struct user *carol = users_find(users, bytes_of_text("carol"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(carol);
    CU_ASSERT_EQUAL(carol->scheme, USER_SHA512);
    const struct user *strong = users_find(users, bytes_of_text("u2"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(strong);
    CU_ASSERT_EQUAL(strong->rounds, 12000);
    CU_ASSERT_EQUAL(strong->salt_len, 64);
    CU_ASSERT_PTR_NOT_NULL(users_find(users, bytes_of_text("bob smith")));
    static const char *const nobody[] = {"", "ALICE", "alice ", "alic", "bob", "# made by hand"};
    for (size_t i = 0; i < COUNT(nobody); i++)
        CU_ASSERT_PTR_NULL(users_find(users, bytes_of_text(nobody[i])));
    CU_ASSERT_PTR_NULL(users_find(users, bytes_of(NULL, 0)));
    /* Three of four are weak, and that is said once, where the first one is. */
    CU_ASSERT_EQUAL(told.errors, 0);
    CU_ASSERT_EQUAL(told.warnings, 1);
    CU_ASSERT_EQUAL(told.first.line, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(told.first.text, "3 users have weak hashes"));
    users_destroy(users);
}

static void what_is_refused(void)
{
    static const struct {
        const char *name, *text;
        uint32_t line;
    } t[] = {
        {"nothing", "", 0},
        {"comments alone", "# alice\n\n", 0},
        {"a last line without its end", USER_ALICE "bob:$7$101$UwsyWu1GGgOzneYG$" GOOD, 2},
        {"cut in the hash", "bob:$7$101$UwsyWu1GGgOzneYG$MqbzY6wM9zST8MtS0kCk\n", 1},
        {"CR LF", "alice:$7$101$UwsyWu1GGgOzneYG$" GOOD "\r\n", 1},
        {"byte order mark", "\xEF\xBB\xBF" USER_ALICE, 1},
        {"twice", USER_ALICE USER_BOB USER_ALICE, 3},
        {"no name", ":$7$101$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"no colon", "alice\n", 1},
        {"plain password", "alice:secret\n", 1},
        {"empty password", "alice:\n", 1},
        {"another scheme", "alice:$5$101$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"crypt", "alice:$2b$12$abcdefgh\n", 1},
        {"no rounds", "alice:$7$$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"rounds of 0", "alice:$7$0$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"rounds with a leading zero", "alice:$7$0101$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"negative rounds", "alice:$7$-1$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"rounds without end", "alice:$7$99999999999999999999$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"too many rounds", "alice:$7$10000001$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
        {"no salt", "alice:$7$101$$" GOOD "\n", 1},
        {"a salt that is no base64", "alice:$7$101$Uwsy*u1GGgOzneYG$" GOOD "\n", 1},
        {"a salt without its padding", "alice:$7$101$eA=$" GOOD "\n", 1},
        {"a salt that is not canonical", "alice:$7$101$eB==$" GOOD "\n", 1},
        {"a salt of 65 bytes",
         "alice:$7$101$"
         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZmc=$" GOOD
         "\n",
         1},
        {"a hash of 63 bytes",
         "alice:$7$101$eA==$qbzY6wM9zST8MtS0kCkhKMIlCQ5E9N6DcRSzSPFsgPy2dEJ/iS3DuN5bjZhKcR0oSFUATgNM1P2/"
         "KWfcsBbr\n",
         1},
        {"more behind the hash", "alice:$7$101$UwsyWu1GGgOzneYG$" GOOD "$x\n", 1},
        {"a name that is no UTF-8", "al\xC0\x80:$7$101$UwsyWu1GGgOzneYG$" GOOD "\n", 1},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct users_told told = {0};
        struct users *users = users_create(bytes_of_text(t[i].text), users_tell, &told);
        if (users != NULL || told.errors != 1 || told.first.line != t[i].line)
            fprintf(stderr, "%s: %u errors, line %u: %s\n", t[i].name, told.errors, told.first.line,
                    told.first.text);
        CU_ASSERT_PTR_NULL(users);
        CU_ASSERT_EQUAL(told.errors, 1);
        CU_ASSERT_EQUAL(told.first.line, t[i].line);
        users_destroy(users);
    }
    struct users_told told = {0};
    CU_ASSERT_PTR_NULL(users_create(bytes_of("a\0b:$7$", 7), users_tell, &told));
}

/* A file that is cut anywhere is refused, or holds only whole lines of the real one. */
static void cut_anywhere(void)
{
    static const char whole[] = USER_ALICE USER_CAROL USER_STRONG;
    uint32_t good = 0;
    for (size_t n = 0; n < sizeof(whole); n++) {
        struct users_told told = {0};
        uint8_t *copy = malloc(n + 1); /* of just this size, so that reading past it is seen */
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        memcpy(copy, whole, n);
        struct users *users = users_create(bytes_of(copy, n), users_tell, &told);
        free(copy);
        good += users != NULL;
        CU_ASSERT_EQUAL(users != NULL, n > 0 && whole[n - 1] == '\n');
        users_destroy(users);
    }
    CU_ASSERT_EQUAL(good, 3);
}

static void names_of_every_length(void)
{
    char text[USER_NAME_MAX + 200];
    for (size_t n = USER_NAME_MAX - 1; n <= USER_NAME_MAX + 1; n++) {
        struct users_told told = {0};
        memset(text, 'n', n);
        snprintf(text + n, sizeof(text) - n, ":$7$101$UwsyWu1GGgOzneYG$" GOOD "\n");
        struct users *users = users_create(bytes_of_text(text), users_tell, &told);
        CU_ASSERT_EQUAL(users != NULL, n <= USER_NAME_MAX);
        users_destroy(users);
    }
}

static void digests(void)
{
    struct users *one = users_of(USER_ALICE USER_BOB), *other = users_of(USER_BOB USER_ALICE);
    struct users *less = users_of(USER_ALICE);
    CU_ASSERT_EQUAL(users_digest(one), users_digest(other)); /* order means nothing */
    CU_ASSERT_NOT_EQUAL(users_digest(one), users_digest(less));
    CU_ASSERT_EQUAL(users_digest(NULL), 0);
    const struct user *alice = users_find(one, bytes_of_text("alice"));
    CU_ASSERT_EQUAL(user_digest(alice), user_digest(users_find(less, bytes_of_text("alice"))));
    struct user changed = *alice;
    changed.rounds++;
    CU_ASSERT_NOT_EQUAL(user_digest(alice), user_digest(&changed));
    changed = *alice;
    changed.hash[63] ^= 1;
    CU_ASSERT_NOT_EQUAL(user_digest(alice), user_digest(&changed));
    changed = *alice;
    changed.salt[0] ^= 1;
    CU_ASSERT_NOT_EQUAL(user_digest(alice), user_digest(&changed));
    CU_ASSERT_PTR_NULL(users_decoy(NULL, 7));
    CU_ASSERT_PTR_EQUAL(users_decoy(less, UINT64_MAX), users_find(less, bytes_of_text("alice")));
    users_destroy(one);
    users_destroy(other);
    users_destroy(less);
    users_destroy(NULL);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"what mosquitto_passwd writes (C2)", what_mosquitto_writes},
        {"what is refused (CVE-2018-12550, CVE-2018-12551)", what_is_refused},
        {"cut anywhere", cut_anywhere},
        {"names of every length", names_of_every_length},
        {"digests", digests},
    };
    return unit_run("users", tests, COUNT(tests));
}
