/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection from beginning to end, as the tests of TLS streams begin and end it. */
#ifndef TESTS_UNIT_TLS_CASE_H
#define TESTS_UNIT_TLS_CASE_H

#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

static const struct lab_server plain_server = {.certificate = "server"};
static const struct lab_server old_server = {
    .certificate = "server", .only_1_2 = true, .suites = "ECDHE-ECDSA-AES128-GCM-SHA256"};

static inline struct tls_context *make_context(enum tls_version version)
{
    struct tls_settings settings = lab_settings();
    struct tls_error error;
    settings.min_version = version;
    struct tls_context *context = tls_context_create(&settings, &error);
    if (context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

/* A lab with its connection open. */
static inline struct lab *open_lab(const struct lab_server *server)
{
    struct tls_context *context = make_context(server->only_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3);
    struct lab *lab = lab_create(server, NULL);
    lab_connect(lab, context, NULL);
    tls_context_unref(context); /* the session has its own reference */
    lab_settle(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_TRUE_FATAL(lab->server_open);
    return lab;
}

/* Nothing is left of it: no chunk, no session. */
static inline void close_lab(struct lab *lab)
{
    if (lab->client != NULL) {
        stream_abort(lab->client);
        lab->client = NULL;
        CU_ASSERT_TRUE(lab->aborted);
    }
    lab->now_us += 60000000;
    tls_worker_poll(lab->worker, lab->now_us);
    CU_ASSERT_EQUAL(chunk_pool_free(lab->chunks), chunk_pool_capacity(lab->chunks));
    CU_ASSERT_EQUAL(tls_worker_sessions(lab->worker), 0);
    lab_destroy(lab);
}

static inline uint64_t count(const struct lab *lab, enum tls_counter counter)
{
    return tls_worker_counter(lab->worker, counter);
}

static inline bool pipe_holds(const struct lab_pipe *pipe, const char *text)
{
    return lab_pipe_bytes(pipe) == strlen(text) && memcmp(pipe->bytes + pipe->from, text, strlen(text)) == 0;
}

static inline size_t write_text(struct lab *lab, const char *text)
{
    return stream_write(lab->client, (const uint8_t *)text, strlen(text));
}

#endif
