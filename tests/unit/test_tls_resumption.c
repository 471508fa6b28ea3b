/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions that are resumed toward a server, and the ones that are not (B5, RFC 5077, RFC 7627, RFC 8446). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/tls_peer.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

#ifdef WOLFSSL_RESUMES_TLSV1_2
#define RESUMES_1_2 true
#else
#define RESUMES_1_2 false /* nor anything where 1.2 is allowed: deploy/wolfssl.d/tls12-resumption.patch */
#endif

#define EXTENDED_MASTER_SECRET 0x0017 /* extensions */
#define SUPPORTED_VERSIONS 0x002b

static struct tls_context *make(const struct tls_settings *settings)
{
    struct tls_error error;
    struct tls_context *context = tls_context_create(settings, &error);
    if (context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

static struct tls_context *make_for(enum tls_version min_version)
{
    struct tls_settings settings = lab_settings();
    settings.certificate_file = lab_path("%s.pem");
    settings.key_file = lab_path("%s.key");
    settings.resumption = true;
    settings.min_version = min_version;
    return make(&settings);
}

static struct lab *make_server(bool only_1_2)
{
    return lab_create(
        &(const struct lab_server){.certificate = "server", .ask_client = true, .only_1_2 = only_1_2}, NULL);
}

static void dial(struct lab *lab, struct tls_context *context, const char *identity)
{
    if (lab->lower.ops == NULL)
        lab_connect(lab, context, identity);
    else
        lab_reconnect(lab, context, identity);
}

static void hang_up(struct lab *lab)
{
    if (lab->client != NULL)
        stream_abort(lab->client);
    lab->client = NULL;
}

/* Connects, exchanges a message (so that tickets are read), closes; answers whether it was a resumption. */
static bool connect_once(struct lab *lab, struct tls_context *context, const char *identity)
{
    dial(lab, context, identity);
    lab_settle(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    lab->echo = true;
    stream_write(lab->client, (const uint8_t *)"ticket", 6);
    lab_turns(lab, 3);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 6);
    bool resumed = tls_stream_resumed(lab->client);
    CU_ASSERT_EQUAL(resumed, wolfSSL_session_reused(lab->server) != 0);
    hang_up(lab);
    return resumed;
}

static void test_resumption(void)
{
    for (int version = 0; version < 2; version++) {
        enum tls_version least = version == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
        bool kept = version == 0 || RESUMES_1_2;
        struct tls_context *context = make_for(least);
        struct lab *lab = make_server(version == 1);
        CU_ASSERT_FALSE(connect_once(lab, context, "truck-001"));
        CU_ASSERT_EQUAL(connect_once(lab, context, "truck-001"), kept);
        CU_ASSERT_FALSE(connect_once(lab, context, "truck-002")); /* not somebody else's ticket */
        CU_ASSERT_EQUAL(connect_once(lab, context, "truck-002"), kept);
        CU_ASSERT_EQUAL(connect_once(lab, context, "truck-001"), kept);
        CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_RESUMED), kept ? 3 : 0);
        CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_HANDSHAKES), 5);
        /* Tickets belong to the context, so a reload, with whatever lists, pins and names, forgets them. */
        struct tls_context *reloaded = make_for(least);
        CU_ASSERT_FALSE(connect_once(lab, reloaded, "truck-001"));
        lab_destroy(lab);
        tls_context_unref(context);
        tls_context_unref(reloaded);
    }
}

/* B4: the certificate is not shown again; whose session it is, is known all the same, and judged. */
static void test_peer_of_resumed(void)
{
    static const uint8_t none[TLS_PEER_DIGEST_BYTES];
    for (int version = 0; version < 2; version++) {
        struct tls_context *context = make_for(version == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2);
        struct lab *lab = make_server(version == 1);
        uint8_t fingerprint[2][TLS_PEER_DIGEST_BYTES];
        for (int i = 0; i < 2; i++) {
            dial(lab, context, "truck-001");
            lab_settle(lab);
            stream_write(lab->client, (const uint8_t *)"x", 1);
            lab_turns(lab, 3);
            const struct tls_peer *peer = tls_stream_peer(lab->client);
            CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
            memcpy(fingerprint[i], peer->fingerprint, sizeof(fingerprint[i]));
            struct tls_settings stricter = lab_settings();
            stricter.crl_file = lab_path("ca.crl");
            struct tls_context *next = make(&stricter);
            CU_ASSERT_PTR_NULL(tls_context_refuses(next, peer));
            tls_context_unref(next);
            stricter.crl_file = NULL;
            stricter.pins = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            next = make(&stricter);
            CU_ASSERT_PTR_NOT_NULL(tls_context_refuses(next, peer));
            tls_context_unref(next);
            hang_up(lab);
        }
        CU_ASSERT_NOT_EQUAL(memcmp(fingerprint[0], none, sizeof(none)), 0);
        CU_ASSERT_EQUAL(memcmp(fingerprint[0], fingerprint[1], sizeof(none)), 0);
        lab_destroy(lab);
        tls_context_unref(context);
    }
}

static void test_no_resumption(void)
{
    struct tls_settings settings = lab_settings();
    struct tls_context *context = make(&settings);
    struct lab *lab = lab_create(&(const struct lab_server){.certificate = "server"}, NULL);
    CU_ASSERT_FALSE(connect_once(lab, context, NULL));
    CU_ASSERT_FALSE(connect_once(lab, context, NULL));
    lab_destroy(lab);
    tls_context_unref(context);
}

/* A server that does not know the ticket any more: a full handshake, not a failure (RFC 5077 section 3.4). */
static void test_forgotten(void)
{
    for (int old = 0; old < 2; old++) {
        struct tls_context *context = make_for(old == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2);
        for (int i = 0; i < 6; i++) {
            /* With ticket keys of its own, and where 1.2 is allowed of either version after the other. */
            struct lab *lab = make_server(old == 1 && (i == 1 || i == 2 || i == 4));
            CU_ASSERT_FALSE(connect_once(lab, context, "truck-001"));
            lab_destroy(lab);
        }
        tls_context_unref(context);
    }
}

/* The server has learnt TLS 1.3, and speaks nothing else any more: it is offered beside the session. */
static void test_learnt_1_3(void)
{
    struct tls_context *context = make_for(TLS_VERSION_1_2);
    struct lab *old = make_server(true);
    CU_ASSERT_FALSE(connect_once(old, context, "truck-001"));
    struct lab *new = make_server(false);
    wolfSSL_CTX_SetMinVersion(new->server_ctx, WOLFSSL_TLSV1_3);
    CU_ASSERT_FALSE(connect_once(new, context, "truck-001"));
    CU_ASSERT_EQUAL(connect_once(new, context, "truck-001"), RESUMES_1_2);
    lab_destroy(old);
    lab_destroy(new);
    tls_context_unref(context);
}

/* RFC 5246 section 7.4.1.3: a server that gives no tickets knows sessions by their numbers. */
static void test_numbers(void)
{
    struct tls_context *context = make_for(TLS_VERSION_1_2);
    struct lab *lab = make_server(true);
    wolfSSL_CTX_NoTicketTLSv12(lab->server_ctx);
    for (int i = 0; i < 4; i++) /* this server does not keep a client's first, which has named none */
        CU_ASSERT_EQUAL(connect_once(lab, context, "truck-001"), RESUMES_1_2 && i >= 2);
    CU_ASSERT_FALSE(connect_once(lab, context, "truck-002"));
    lab_destroy(lab);
    tls_context_unref(context);
}

/* A server that sends no ticket on a resumed connection, or one that ends before it comes: what is kept must
 * not be the old ticket with the new secret, which no server accepts. */
static void test_ticket_that_does_not_come(void)
{
    struct tls_context *context = make_for(TLS_VERSION_1_3);
    struct lab *lab = make_server(false);
    CU_ASSERT_FALSE(connect_once(lab, context, "truck-001"));
    wolfSSL_CTX_no_ticket_TLSv13(lab->server_ctx);
    CU_ASSERT_TRUE(connect_once(lab, context, "truck-001"));
    CU_ASSERT_FALSE(connect_once(lab, context, "truck-001"));
    lab_destroy(lab);
    tls_context_unref(context);
}

/* Two servers in turn, one of which gives no tickets: the other's ticket is not kept with its secret. */
static void test_two_servers(void)
{
    for (int version = 0; version < 2; version++) {
        struct tls_context *context = make_for(version == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2);
        struct lab *giver = make_server(version == 1);
        struct lab *other = make_server(version == 1);
        wolfSSL_CTX_NoTicketTLSv12(other->server_ctx);
        wolfSSL_CTX_no_ticket_TLSv13(other->server_ctx);
        for (int i = 0; i < 2; i++) {
            CU_ASSERT_FALSE(connect_once(giver, context, "truck-001"));
            CU_ASSERT_FALSE(connect_once(other, context, "truck-001"));
        }
        lab_destroy(giver);
        lab_destroy(other);
        tls_context_unref(context);
    }
}

/* ---- what somebody on the wire tries ------------------------------------------------------------------- */

static size_t number_at(const uint8_t *at)
{
    return (size_t)(at[0] << 8 | at[1]);
}

/* An extension of the hello in `pipe` becomes one that nobody knows. */
static void hide_extension(struct lab_pipe *pipe, size_t extension)
{
    uint8_t *hello = pipe->bytes + pipe->from;
    size_t n = lab_pipe_bytes(pipe);
    CU_ASSERT_FATAL(n > 44 && hello[0] == 22);
    size_t at = 44u + hello[43];
    if (hello[5] == 1) { /* a client's: lists of suites and compression */
        at += 2 + number_at(hello + at);
        at += 1u + hello[at];
    } else {
        at += 3;
    }
    size_t end = at + 2 + number_at(hello + at);
    CU_ASSERT_FATAL(end <= n);
    for (at += 2; at + 4 <= end; at += 4 + number_at(hello + at + 2))
        if (number_at(hello + at) == extension) {
            memset(hello + at, 0x7a, 2); /* reserved: RFC 8701 */
            return;
        }
    CU_FAIL("there is no such extension");
}

/* RFC 8446 section 4.1.3: both ends speak 1.3, and somebody sees to it that they talk 1.2. */
static void test_downgrade(void)
{
    for (int with_session = 0; with_session < 2; with_session++) {
        struct tls_context *context = make_for(TLS_VERSION_1_2);
        struct lab *old = make_server(true);
        if (with_session != 0)
            CU_ASSERT_FALSE(connect_once(old, context, "truck-001"));
        struct lab *lab = make_server(false);
        dial(lab, context, "truck-001");
        tls_worker_poll(lab->worker, lab->now_us);
        lab_flush(&lab->lower);
        hide_extension(&lab->to_server, SUPPORTED_VERSIONS);
        lab_settle(lab);
        CU_ASSERT_EQUAL(lab->opened, 0);
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(lab->reason, "version"));
        lab_destroy(lab);
        lab_destroy(old);
        tls_context_unref(context);
    }
}

/* RFC 7627 section 5.3: a session with the extended master secret is not resumed without. */
static void test_extended_master_secret(void)
{
    struct tls_context *context = make_for(TLS_VERSION_1_2);
    struct lab *lab = make_server(true);
    CU_ASSERT_FALSE(connect_once(lab, context, "truck-001"));
    dial(lab, context, "truck-001");
    tls_worker_poll(lab->worker, lab->now_us);
    lab_flush(&lab->lower);
    lab_server_run(lab);
    hide_extension(&lab->to_client, EXTENDED_MASTER_SECRET);
    lab_settle(lab);
    CU_ASSERT_EQUAL(lab->opened, 0);
    if (RESUMES_1_2) {
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(lab->reason, "Extended Master Secret"));
    }
    lab_destroy(lab);
    tls_context_unref(context);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"per identity (B5)", test_resumption},
        {"whose session a resumed one is (B4)", test_peer_of_resumed},
        {"none", test_no_resumption},
        {"a server that has forgotten (RFC 5077 s.3.4)", test_forgotten},
        {"a server that has learnt TLS 1.3", test_learnt_1_3},
        {"by number (RFC 5246 s.7.4.1.3)", test_numbers},
        {"ticket that does not come (B5)", test_ticket_that_does_not_come},
        {"two servers in turn", test_two_servers},
        {"downgrade, with and without a session (RFC 8446 s.4.1.3)", test_downgrade},
        {"extended master secret taken away (RFC 7627 s.5.3)", test_extended_master_secret},
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_resumption", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
