/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret_file.h: passwords of the gateway's, which no message tells (C5). */
#include "gateway/secret_file.h"

#include "tests/unit/runner.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static struct secret_file *load(const char *text, size_t n, char told[512])
{
    struct diagnostics *d = diagnostics_create();
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fwrite(text, 1, n, file);
    fclose(file);
    struct secret_file *secrets = secret_file_load(path, d);
    CU_ASSERT_EQUAL(secrets == NULL, diagnostics_errors(d) != 0);
    size_t used = 0;
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        const struct diagnostic *one = diagnostics_at(d, i);
        used += (size_t)snprintf(told + used, 512 - used, "%s:%u: %s\n", one->file, one->line, one->text);
    }
    diagnostics_destroy(d);
    return secrets;
}

static struct bytes find(const struct secret_file *file, const char *identity)
{
    return secret_file_find(file, bytes_of_text(identity));
}

static void found(void)
{
    static const char text[] = "# a comment\n\nb:two:with:colons\na:one\r\nc:  three \nlast:no newline";
    char told[512] = "";
    struct secret_file *file = load(text, sizeof(text) - 1, told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_TRUE(bytes_equal(find(file, "a"), bytes_of_text("one")));
    CU_ASSERT_TRUE(bytes_equal(find(file, "b"), bytes_of_text("two:with:colons")));
    CU_ASSERT_TRUE(bytes_equal(find(file, "c"), bytes_of_text("  three ")));
    CU_ASSERT_TRUE(bytes_equal(find(file, "last"), bytes_of_text("no newline")));
    CU_ASSERT_PTR_NULL(find(file, "d").at);
    CU_ASSERT_PTR_NULL(find(file, "").at);
    CU_ASSERT_PTR_NULL(find(file, "A").at);
    secret_file_destroy(file);
    file = load("*:all\nx:own\n", 12, told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_TRUE(bytes_equal(find(file, "x"), bytes_of_text("own")));
    CU_ASSERT_TRUE(bytes_equal(find(file, "y"), bytes_of_text("all")));
    secret_file_destroy(file);
}

static void refused(void)
{
    static const struct {
        const char *text, *line;
    } t[] = {
        {"", ":"},       {"a:HUSH\nHUSH\n", ":2:"},         {":HUSH\n", ":1:"},
        {"a:\n", ":1:"}, {"a:HUSH\nb:x\na:HUSH2\n", ":3:"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char told[512] = "";
        CU_ASSERT_PTR_NULL(load(t[i].text, strlen(t[i].text), told));
        CU_ASSERT_PTR_NOT_NULL(strstr(told, t[i].line));
        CU_ASSERT_PTR_NULL(strstr(told, "HUSH")); /* nothing of it is told */
    }
    struct diagnostics *d = diagnostics_create();
    CU_ASSERT_PTR_NULL(secret_file_load("/nonexistent/file", d));
    CU_ASSERT_PTR_NULL(secret_file_load("/tmp", d));
    unlink(path);
    CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
    CU_ASSERT_PTR_NULL(secret_file_load(path, d)); /* and does not wait for a writer */
    unlink(path);
    CU_ASSERT_EQUAL(diagnostics_errors(d), 3);
    diagnostics_destroy(d);
}

static const struct unit_test tests[] = {
    {"found (C5)", found},
    {"refused, and nothing told (C5, G1)", refused},
};

int main(void)
{
    snprintf(path, sizeof(path), "/tmp/sallyport-secrets-%d", (int)getpid());
    int status = unit_run("secret_file", tests, sizeof(tests) / sizeof(tests[0]));
    unlink(path);
    return status;
}
