/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The history of policies: whole entries or none, the newest ten, the note of what is in force (G2). */
#include "gateway/history.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

static const char *state(void)
{
    return rig_path("state");
}

static int keep(uint32_t number, const char *body, uint32_t spare)
{
    struct history_entry entry = {.number = number,
                                  .time_us = 1000000 * (uint64_t)number,
                                  .roles = 1,
                                  .rules = 2,
                                  .devices = 3,
                                  .tests = 4,
                                  .fingerprint = "0123abcd",
                                  .user = "an operator\n"};
    memset(entry.sha256, 'e', 64);
    struct config_text text = {.at = (char *)(uintptr_t)body, .len = strlen(body)};
    return history_keep(state(), &entry, &text, spare);
}

static bool reads_as(uint32_t number, const char *body)
{
    struct config_text text;
    if (history_read(state(), number, &text) != 0)
        return false;
    bool same = text.len == strlen(body) && memcmp(text.at, body, text.len) == 0;
    config_text_fini(&text);
    return same;
}

static void kept_and_read(void)
{
    struct history_entry entries[HISTORY_MAX];
    rig_begin();
    CU_ASSERT_EQUAL(history_list(state(), entries), 0);
    struct config_text none;
    CU_ASSERT_EQUAL(history_read(state(), 1, &none), -ENOENT);
    CU_ASSERT_EQUAL(keep(7, "a = 1;\nb = 2;\n", 0), 0);
    CU_ASSERT_EQUAL(keep(8, "", 0), 0);
    CU_ASSERT_EQUAL_FATAL(history_list(state(), entries), 2);
    CU_ASSERT(entries[0].number == 8 && entries[1].number == 7 && entries[1].time_us == 7000000);
    CU_ASSERT(entries[1].roles == 1 && entries[1].rules == 2 && entries[1].devices == 3 &&
              entries[1].tests == 4);
    CU_ASSERT_STRING_EQUAL(entries[1].fingerprint, "0123abcd");
    CU_ASSERT_STRING_EQUAL(entries[1].user, "an_operator_");
    CU_ASSERT_EQUAL(strlen(entries[1].sha256), 64);
    CU_ASSERT(reads_as(7, "a = 1;\nb = 2;\n"));
    CU_ASSERT(reads_as(8, ""));
    struct stat st;
    char path[PATH_MAX];
    CU_ASSERT(history_path(state(), 7, path) && stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    history_remove(state(), 7);
    CU_ASSERT_EQUAL(history_list(state(), entries), 1);
    rig_end();
}

static void the_newest_ten(void)
{
    struct history_entry entries[HISTORY_MAX];
    rig_begin();
    for (uint32_t number = 1; number <= 25; number++)
        CU_ASSERT_EQUAL(keep(number, "x\n", 3), 0);
    CU_ASSERT_EQUAL_FATAL(history_list(state(), entries), HISTORY_MAX);
    for (uint32_t i = 0; i < HISTORY_MAX; i++)
        CU_ASSERT_EQUAL(entries[i].number, 25 - i);
    CU_ASSERT(reads_as(3, "x\n")); /* spared: it may have to come back */
    CU_ASSERT_FALSE(reads_as(4, "x\n"));
    CU_ASSERT_FALSE(reads_as(15, "x\n"));
    rig_end();
}

/* What others left in the folder is neither listed nor followed. */
static void strangers(void)
{
    struct history_entry entries[HISTORY_MAX];
    struct config_text text;
    rig_begin();
    CU_ASSERT_EQUAL(keep(5, "x\n", 0), 0);
    rig_write("state/policies/00000006.conf", "");
    rig_write("state/policies/00000007.conf", "# sallyport policy rev 9 time 1 user a fingerprint 0 sha256 0 "
                                              "roles 0 rules 0 devices 0 tests 0\n");
    rig_write("state/policies/00000008.conf", "# sallyport policy rev 8 time 1 user a fingerprint 01234567");
    rig_write("state/policies/99999999999.conf", "# x\n");
    rig_write("state/policies/readme.conf", "# x\n");
    rig_write("state/policies/00000010", "# x\n");
    rig_write("secret", "s\n");
    CU_ASSERT_EQUAL(symlink(rig_path("secret"), rig_path("state/policies/00000011.conf")), 0);
    CU_ASSERT_EQUAL(mkfifo(rig_path("state/policies/00000012.conf"), 0600), 0);
    CU_ASSERT_EQUAL_FATAL(history_list(state(), entries), 1);
    CU_ASSERT_EQUAL(entries[0].number, 5);
    CU_ASSERT_EQUAL(history_read(state(), 11, &text), -ELOOP);
    CU_ASSERT_EQUAL(history_read(state(), 12, &text), -EINVAL);
    CU_ASSERT_EQUAL(history_read(state(), 6, &text), 0);
    CU_ASSERT_EQUAL(text.len, 0);
    config_text_fini(&text);
    rig_end();
}

/* A disk that takes only part of it: nothing half is left, and what was there stays. */
static void a_full_disk(void)
{
    static char big[1 << 16];
    struct history_entry entries[HISTORY_MAX];
    struct rlimit before, small;
    rig_begin();
    memset(big, 'x', sizeof(big) - 1);
    CU_ASSERT_EQUAL(keep(1, "x\n", 0), 0);
    CU_ASSERT_EQUAL(history_set_in_force(state(), 1), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &small);
    CU_ASSERT_EQUAL(keep(2, big, 0), -EFBIG);
    CU_ASSERT_EQUAL(keep(1, big, 0), -EFBIG);
    small.rlim_cur = 0;
    setrlimit(RLIMIT_FSIZE, &small);
    CU_ASSERT_EQUAL(history_set_in_force(state(), 2), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CU_ASSERT_EQUAL(history_list(state(), entries), 1);
    CU_ASSERT(reads_as(1, "x\n"));
    CU_ASSERT_NOT_EQUAL(access(rig_path("state/policies/.new"), F_OK), 0);
    uint32_t number;
    CU_ASSERT(history_in_force(state(), &number) == 0 && number == 1);
    rig_end();
}

static void the_note(void)
{
    static const char *const bad[] = {"", "x\n", "0\n", "12", "12 \n", "99999999999\n", "-\n"};
    uint32_t number = 9;
    rig_begin();
    CU_ASSERT(history_in_force(state(), &number) == 0 && number == 0);
    CU_ASSERT_EQUAL(history_set_in_force(state(), 0), 0);
    CU_ASSERT_EQUAL(history_set_in_force(state(), 41), 0);
    CU_ASSERT(history_in_force(state(), &number) == 0 && number == 41);
    CU_ASSERT_EQUAL(history_set_in_force(state(), 42), 0);
    CU_ASSERT(history_in_force(state(), &number) == 0 && number == 42);
    CU_ASSERT_EQUAL(history_set_in_force(state(), 0), 0);
    CU_ASSERT(history_in_force(state(), &number) == 0 && number == 0);
    /* One that cannot be read never means "the files": that might be the policy that was gone back from. */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rig_write("state/policies/in-force", bad[i]);
        CU_ASSERT_EQUAL(history_in_force(state(), &number), -EBADMSG);
        CU_ASSERT_EQUAL(number, 0);
    }
    rig_end();
}

static void no_such_place(void)
{
    char path[PATH_MAX], long_name[PATH_MAX + 8];
    struct history_entry entries[HISTORY_MAX];
    uint32_t number;
    rig_begin();
    rig_write("state", "a file");
    CU_ASSERT_EQUAL(keep(1, "x\n", 0), -ENOTDIR);
    CU_ASSERT_EQUAL(history_list(state(), entries), 0);
    CU_ASSERT_EQUAL(history_in_force(state(), &number), -ENOTDIR);
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[0] = '/';
    long_name[sizeof(long_name) - 1] = '\0';
    CU_ASSERT_FALSE(history_path(long_name, 1, path));
    CU_ASSERT_EQUAL(history_set_in_force(long_name, 1), -ENAMETOOLONG);
    rig_end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"kept and read", kept_and_read}, {"the newest ten", the_newest_ten},
        {"strangers", strangers},         {"a full disk (G2)", a_full_disk},
        {"what is in force", the_note},   {"no such place", no_such_place},
    };
    return unit_run("history of policies", tests, sizeof(tests) / sizeof(tests[0]));
}
