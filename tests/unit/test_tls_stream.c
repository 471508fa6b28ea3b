/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS client streams (B1, B3, B5, B7): records in both directions, back pressure, the ways to end. */
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

static const struct lab_server plain_server = {.certificate = "server"};

static struct tls_context *context_of(const struct tls_settings *settings)
{
    struct tls_error error;
    struct tls_context *context = tls_context_create(settings, &error);
    if (context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

static struct tls_context *default_context(void)
{
    struct tls_settings settings = lab_settings();
    return context_of(&settings);
}

static void test_open(void)
{
    struct tls_context *context = default_context();
    struct lab *lab = lab_create(&plain_server, NULL);
    lab_connect(lab, context, NULL);
    CU_ASSERT_EQUAL(stream_room(lab->client), 0);
    lab_settle(lab);
    CU_ASSERT_EQUAL(lab->opened, 1);
    CU_ASSERT_EQUAL(lab->closed, 0);
    CU_ASSERT_STRING_EQUAL(lab->reason, "");
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_STRING_EQUAL(tls_stream_version(lab->client), "1.3");
    CU_ASSERT_STRING_EQUAL(tls_stream_cipher(lab->client), "TLS_AES_128_GCM_SHA256");
    lab->echo = true;
    CU_ASSERT_EQUAL(stream_write(lab->client, (const uint8_t *)"hello", 5), 5);
    lab_turns(lab, 3);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 5);
    CU_ASSERT_EQUAL(memcmp(lab->got.bytes, "hello", 5), 0);
    lab_destroy(lab);
    tls_context_unref(context);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"opens and carries data (RFC 8446)", test_open},
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_stream", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
