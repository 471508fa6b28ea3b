/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_file.h: what is learned outlives the process; files that are not ours are told apart (G6). */
#include "dataplane/secure/digest.h"
#include "gateway/learn_file.h"
#include "tests/unit/learn_lab.h"
#include "tests/unit/runner.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PLACE 3

static char state[] = "/tmp/sallyport-learn-XXXXXX";
static char path[64], text[65536];

static const struct learn_file wanted = {.role = "truck",
                                         .by = "uid 7",
                                         .active = true,
                                         .started_us = 5,
                                         .until_us = 99,
                                         .kept_us = 8,
                                         .revision = 41,
                                         .fingerprint = "9f2c41d0",
                                         .key = {.k0 = 1, .k1 = 2},
                                         .evidence_n = 2};

static size_t write_one(void)
{
    struct evidence *e[2];
    for (uint32_t i = 0; i < 2; i++) {
        e[i] = learn_lab_create();
        learn_lab_see(e[i], learn_lab_client(e[i], "truck-1", i), 0, "trucks/1", 7 + i);
    }
    CU_ASSERT_EQUAL_FATAL(learn_file_write(state, PLACE, &wanted, (const struct evidence *const *)e), 0);
    free(e[0]);
    free(e[1]);
    int file = open(path, O_RDONLY);
    ssize_t n = read(file, text, sizeof(text));
    close(file);
    CU_ASSERT_TRUE_FATAL(n > 0 && n < (ssize_t)sizeof(text));
    return (size_t)n;
}

static void replace(const char *with, size_t n)
{
    int file = open(path, O_WRONLY | O_TRUNC);
    CU_ASSERT_TRUE_FATAL(file >= 0 && write(file, with, n) == (ssize_t)n);
    close(file);
}

static int opened(void)
{
    struct learn_reading reading;
    int result = learn_file_open(state, PLACE, &reading);
    if (result == 0)
        learn_file_close(&reading);
    return result;
}

static void as_it_was(void)
{
    struct learn_reading reading;
    struct stat status;
    CU_ASSERT_EQUAL(opened(), -ENOENT);
    write_one();
    CU_ASSERT_TRUE(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
    CU_ASSERT_EQUAL_FATAL(learn_file_open(state, PLACE, &reading), 0);
    const struct learn_file *head = &reading.head;
    CU_ASSERT_TRUE(strcmp(head->role, "truck") == 0 && strcmp(head->by, "uid_7") == 0 && head->active);
    CU_ASSERT_TRUE(head->started_us == 5 && head->stopped_us == 0 && head->until_us == 99 &&
                   head->kept_us == 8);
    CU_ASSERT_TRUE(head->revision == 41 && strcmp(head->fingerprint, "9f2c41d0") == 0);
    CU_ASSERT_TRUE(head->key.k0 == 1 && head->key.k1 == 2 && head->evidence_n == 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct evidence *e = learn_lab_create();
        CU_ASSERT_TRUE(learn_file_next(&reading, e));
        CU_ASSERT_TRUE(e->clients_n == 1 && e->topics_n == 1 && e->topic[0].last_us == 7 + i);
        free(e);
    }
    struct evidence *more = learn_lab_create();
    CU_ASSERT_FALSE(learn_file_next(&reading, more));
    free(more);
    learn_file_close(&reading);
    CU_ASSERT_TRUE(learn_file_remove(state, PLACE) == 0 && learn_file_remove(state, PLACE) == 0);
    CU_ASSERT_EQUAL(opened(), -ENOENT);
}

static void cut_or_changed(void)
{
    size_t n = write_one();
    for (size_t i = 0; i < n; i++) {
        replace(text, i);
        int result = opened();
        CU_ASSERT_TRUE(result == -EBADMSG || (result == -EPROTO && i < 18));
    }
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)(text[i] ^ 0x20);
        replace(text, n);
        CU_ASSERT_NOT_EQUAL(opened(), 0);
        text[i] = (char)(text[i] ^ 0x20);
    }
    replace(text, n);
    CU_ASSERT_EQUAL(opened(), 0);
}

static void strangers(void)
{
    size_t n = write_one();
    replace("", 0);
    CU_ASSERT_EQUAL(opened(), -EPROTO);
    replace("roles = ();", 11);
    CU_ASSERT_EQUAL(opened(), -EPROTO);
    text[18] = '2';
    replace(text, n);
    CU_ASSERT_EQUAL(opened(), -EPROTONOSUPPORT);
    CU_ASSERT_EQUAL(truncate(path, (off_t)LEARN_FILE_MAX + 1), 0);
    CU_ASSERT_EQUAL(opened(), -EFBIG);
    CU_ASSERT_TRUE(unlink(path) == 0 && symlink("/etc/passwd", path) == 0);
    CU_ASSERT_EQUAL(opened(), -ELOOP);
    CU_ASSERT_TRUE(unlink(path) == 0 && mkdir(path, 0700) == 0);
    CU_ASSERT_EQUAL(opened(), -EINVAL);
    CU_ASSERT_TRUE(rmdir(path) == 0 && mkfifo(path, 0600) == 0);
    CU_ASSERT_EQUAL(opened(), -EINVAL); /* and nobody waits for whoever writes to it */
    CU_ASSERT_EQUAL(unlink(path), 0);
}

/* With the right digest, and a head that lies. */
static void lies_in_the_head(void)
{
    static const struct {
        size_t at; /* in the body */
        uint8_t value;
        bool good;
    } cases[] = {
        {0, 5, true},    {0, 0, false},  {0, 64, false}, {1, ' ', false},   {2, 0x1B, false}, {3, 0, false},
        {6, 200, false}, {12, 2, false}, {49, 9, false}, {50, 0x80, false}, {74, 17, false},  {74, 1, true},
    };
    const size_t head = 20 + 65;
    size_t n = write_one();
    CU_ASSERT_TRUE_FATAL(text[head] == 5 && text[head + 6] == 5 && text[head + 12] == 1 &&
                         text[head + 49] == 8 && text[head + 74] == 2);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char digest[DIGEST_HEX], was = text[head + cases[i].at];
        text[head + cases[i].at] = (char)cases[i].value;
        digest_sha256(text + head, n - head, digest);
        memcpy(text + 20, digest, 64);
        replace(text, n);
        CU_ASSERT_EQUAL(opened(), cases[i].good ? 0 : -EBADMSG);
        text[head + cases[i].at] = was;
    }
}

static void full_disk(void)
{
    struct evidence *e = learn_lab_create();
    const struct evidence *one[] = {e, e};
    CU_ASSERT_TRUE(learn_file_write("/dev/null/state", PLACE, &wanted, one) < 0);
    CU_ASSERT_TRUE(learn_file_write("/proc/self", PLACE, &wanted, one) < 0);
    free(e);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"what was learned is there again (G6)", as_it_was},
        {"cut or changed it is not taken", cut_or_changed},
        {"strangers are told apart", strangers},
        {"lies in the head", lies_in_the_head},
        {"a disk that does not take it", full_disk},
    };
    char command[128];
    if (mkdtemp(state) == NULL)
        return EXIT_FAILURE;
    snprintf(path, sizeof(path), "%s/learned/%02u.evidence", state, PLACE);
    int result = unit_run("learn_file", tests, COUNT(tests));
    snprintf(command, sizeof(command), "rm -rf %s", state);
    return system(command) == 0 ? result : EXIT_FAILURE;
}
