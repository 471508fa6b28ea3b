/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quarantine.h: lists of who is shut out, and the file that they are kept in (C6). */
#include "gateway/quarantine.h"

#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct quarantine *with(struct quarantine *old, const char *name, const char *reason)
{
    struct quarantine_entry entry = {.name = name, .reason = reason, .by = "root", .since_s = 1764211200};
    struct quarantine *q = quarantine_with(old, &entry);
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT_NOT_EQUAL(quarantine_number(q), quarantine_number(old));
    quarantine_destroy(old);
    return q;
}

static bool holds(const struct quarantine *q, const char *name, const char *reason)
{
    const struct quarantine_entry *entry = quarantine_find(q, bytes_of_text(name));
    return entry != NULL && strcmp(entry->name, name) == 0 && strcmp(entry->reason, reason) == 0;
}

static void lists(void)
{
    struct quarantine *q = quarantine_create();
    CU_ASSERT_EQUAL(quarantine_count(q), 0);
    CU_ASSERT_PTR_NULL(quarantine_find(q, bytes_of_text("a")));
    CU_ASSERT_PTR_NULL(quarantine_find(NULL, bytes_of_text("a")));
    CU_ASSERT_EQUAL(quarantine_number(NULL), 0);
    q = with(q, "a", "stolen");
    q = with(q, "b", "");
    CU_ASSERT_TRUE(holds(q, "a", "stolen") && holds(q, "b", ""));
    CU_ASSERT_PTR_NULL(quarantine_find(q, bytes_of_text("")));
    CU_ASSERT_PTR_NULL(quarantine_find(q, bytes_of(NULL, 0)));
    CU_ASSERT_PTR_NULL(quarantine_find(q, bytes_of_text("ab")));
    q = with(q, "a", "INC-4411");
    CU_ASSERT_EQUAL(quarantine_count(q), 2);
    CU_ASSERT_TRUE(holds(q, "a", "INC-4411"));
    CU_ASSERT_PTR_NULL(quarantine_without(q, "c"));
    CU_ASSERT_EQUAL(errno, ENOENT);
    struct quarantine *less = quarantine_without(q, "a");
    CU_ASSERT_PTR_NULL(quarantine_find(less, bytes_of_text("a")));
    CU_ASSERT_TRUE(holds(less, "b", ""));
    CU_ASSERT_TRUE(holds(q, "a", "INC-4411")); /* the old one is as it was */
    quarantine_destroy(less);
    char longest[QUARANTINE_TEXT_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[QUARANTINE_TEXT_MAX + 1] = '\0';
    struct quarantine_entry entry = {.name = longest, .reason = "", .by = ""};
    CU_ASSERT_PTR_NULL(quarantine_with(q, &entry));
    CU_ASSERT_EQUAL(errno, EINVAL);
    entry.name = "";
    CU_ASSERT_PTR_NULL(quarantine_with(q, &entry));
    longest[QUARANTINE_TEXT_MAX] = '\0';
    q = with(q, longest, longest);
    CU_ASSERT_TRUE(holds(q, longest, longest));
    quarantine_destroy(q);
    quarantine_destroy(NULL);
}

static struct quarantine *read_back(char why[512])
{
    return quarantine_read(rig_path("state"), why, 512);
}

static void kept(void)
{
    static const char *const names[] = {"truck-017", "with space", "tab\there", "line\nfeed",
                                        "100%",      "%41",        "h\xC3\xA9", "\x01\x7F"};
    char why[512];
    rig_begin();
    struct quarantine *q = read_back(why); /* no directory yet: nobody */
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT_EQUAL(quarantine_count(q), 0);
    for (size_t i = 0; i < COUNT(names); i++)
        q = with(q, names[i], names[COUNT(names) - 1 - i]);
    CU_ASSERT_EQUAL(quarantine_write(q, rig_path("state")), 0);
    struct quarantine *again = read_back(why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_EQUAL(quarantine_count(again), COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        CU_ASSERT_TRUE(holds(again, names[i], names[COUNT(names) - 1 - i]));
        CU_ASSERT_EQUAL(quarantine_at(again, (uint32_t)i)->since_s, 1764211200);
        CU_ASSERT_STRING_EQUAL(quarantine_at(again, (uint32_t)i)->by, "root");
    }
    CU_ASSERT_PTR_NULL(quarantine_at(again, COUNT(names)));
    /* What cannot be written leaves what was there. */
    rig_directory("state/quarantine.new");
    CU_ASSERT_TRUE(quarantine_write(again, rig_path("state")) < 0);
    quarantine_destroy(again);
    again = read_back(why);
    CU_ASSERT_EQUAL(quarantine_count(again), COUNT(names));
    quarantine_destroy(again);
    quarantine_destroy(q);
    rig_end();
}

#define HEAD "# sallyport quarantine: name, since, by, reason; written by sallyportctl\n"

/* A file that is not whole shuts nobody's door: it is an error, with its place (traps 1.6). */
static void broken(void)
{
    static const struct {
        const char *text;
        unsigned int line;
    } t[] = {
        {"", 0},
        {"a\t1\troot\tx\n", 1},
        {HEAD "a\t1\troot\tx", 2},
        {HEAD "a\t1\troot\n", 2},
        {HEAD "a\t1\troot\tx\ty\n", 2},
        {HEAD "\t1\troot\tx\n", 2},
        {HEAD "a\tsoon\troot\tx\n", 2},
        {HEAD "a\t\troot\tx\n", 2},
        {HEAD "a\t-1\troot\tx\n", 2},
        {HEAD "a\t99999999999999999999\troot\tx\n", 2},
        {HEAD "a\t1\troot\t%4\n", 2},
        {HEAD "a\t1\troot\t%4g\n", 2},
        {HEAD "a\t1\troot\t%00\n", 2},
        {HEAD "a\t1\troot\tx\r\n", 2},
        {HEAD "a\t1\troot\tx\nb\t1\troot\tx\na\t1\troot\ty\n", 4},
    };
    rig_begin();
    rig_directory("state");
    for (size_t i = 0; i < COUNT(t); i++) {
        char why[512], place[300];
        rig_write("state/quarantine", t[i].text);
        snprintf(place, sizeof(place), "%s:%u: ", rig_path("state/quarantine"), t[i].line);
        struct quarantine *q = read_back(why);
        CU_ASSERT_PTR_NULL(q);
        CU_ASSERT_EQUAL(strncmp(why, place, strlen(place)), 0);
        quarantine_destroy(q);
    }
    rig_end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"lists (C6)", lists},
        {"kept in a file (C6)", kept},
        {"a file that is not whole", broken},
    };
    return unit_run("quarantine", tests, COUNT(tests));
}
