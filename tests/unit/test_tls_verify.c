/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which servers a client accepts (B1): a matrix of good and bad peers, each with its outcome and its words.
 */
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

#include <stddef.h>

struct peer {
    const char *what;
    const char *certificate; /* the server's */
    const char *ca_file;
    const char *server_name;
    const char *crl_file;
    enum stream_end why; /* UNKNOWN: accepted */
    const char *reason;
    int alert; /* that the server is told: RFC 8446 section 6.2 */
    const char *pins;
};

#define NOT_FOR(name) "certificate is not for '" name "'"

static const struct peer peers[] = {
    {"right name, right CA", "server", "ca.pem", LAB_NAME, NULL, STREAM_END_UNKNOWN, ""},
    {"RSA-2048 key", "rsa2048", "ca.pem", LAB_NAME, NULL, STREAM_END_UNKNOWN, ""},
    {"through an intermediate CA that the server sends", "viasub", "ca.pem", LAB_NAME, NULL,
     STREAM_END_UNKNOWN, ""},
    {"wildcard name (RFC 6125 6.4.3)", "wild", "ca.pem", LAB_NAME, NULL, STREAM_END_UNKNOWN, ""},
    {"name in other letters (RFC 6125 6.4.1)", "server", "ca.pem", "BROKER.Cloud.example", NULL,
     STREAM_END_UNKNOWN, ""},
    {"IPv4 address in SAN", "server", "ca.pem", "10.30.0.2", NULL, STREAM_END_UNKNOWN, ""},
    {"IPv6 address in SAN", "server", "ca.pem", "fd30::2", NULL, STREAM_END_UNKNOWN, ""},
    {"good, with a revocation list", "server", "ca.pem", LAB_NAME, "ca.crl", STREAM_END_UNKNOWN, ""},
    {"wrong name", "wrong", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY, NOT_FOR(LAB_NAME), 42},
    {"wrong IPv4 address", "server", "ca.pem", "10.30.0.3", NULL, STREAM_END_TLS_VERIFY, NOT_FOR("10.30.0.3"),
     42},
    {"wrong IPv6 address", "server", "ca.pem", "fd30::3", NULL, STREAM_END_TLS_VERIFY, NOT_FOR("fd30::3"),
     42},
    {"a wildcard covers one label only", "wild", "ca.pem", "a.broker.cloud.example", NULL,
     STREAM_END_TLS_VERIFY, NOT_FOR("a.broker.cloud.example"), 42},
    {"the common name does not count beside a SAN", "server", "ca.pem", "server", NULL, STREAM_END_TLS_VERIFY,
     NOT_FOR("server"), 42},
    {"prefix of the name", "server", "ca.pem", "broker.cloud.exampl", NULL, STREAM_END_TLS_VERIFY,
     NOT_FOR("broker.cloud.exampl"), 42},
    {"unknown CA", "stranger", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY, "issuer is not trusted", 48},
    {"our server, somebody else's trust", "server", "otherca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY,
     "issuer is not trusted", 48},
    {"self-signed", "self", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY, NULL, 48},
    {"expired", "expired", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY, "certificate has expired", 45},
    {"not yet valid", "early", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY,
     "certificate is not yet valid", 45},
    {"made for a client only", "purpose", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY,
     "certificate may not be used for a server", 43},
    {"RSA-1024 key", "rsa1024", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY,
     "certificate's RSA key is shorter than 2048 bits", 42},
    {"signed with SHA-1", "shaleaf", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY,
     "certificate is signed with SHA-1 or older", 42},
    {"intermediate signed with SHA-1", "viashasub", "ca.pem", LAB_NAME, NULL, STREAM_END_TLS_VERIFY,
     "certificate is signed with SHA-1 or older", 42},
    {"name constraint of the intermediate (RFC 5280 4.2.1.10)", "vialimited", "ca.pem", LAB_NAME, NULL,
     STREAM_END_TLS_VERIFY, NULL, 42},
    {"revoked", "revoked", "ca.pem", LAB_NAME, "ca.crl", STREAM_END_TLS_VERIFY,
     "certificate has been revoked", 44},
    {"intermediate whose revocation list is missing", "viasub", "ca.pem", LAB_NAME, "ca.crl",
     STREAM_END_TLS_VERIFY, "no revocation list covers the certificate", 46},
    {"another key than the pinned one (RFC 7469 2.6)", "server", "ca.pem", LAB_NAME, NULL,
     STREAM_END_TLS_VERIFY, "certificate's key is not the one that is pinned", 46,
     "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
};

/* What the server was told last by a fatal alert; 0: nothing. */
static int alert_of(const struct lab *lab)
{
    WOLFSSL_ALERT_HISTORY history;
    return wolfSSL_get_alert_history(lab->server, &history) == WOLFSSL_SUCCESS &&
                   history.last_rx.level == alert_fatal
               ? history.last_rx.code
               : 0;
}

static bool judge(const struct peer *peer, bool only_1_2)
{
    struct tls_settings settings = {.ca_file = lab_path(peer->ca_file),
                                    .server_name = peer->server_name,
                                    .min_version = only_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3,
                                    .crl_file = peer->crl_file == NULL ? NULL : lab_path(peer->crl_file),
                                    .pins = peer->pins};
    struct lab_server server = {.certificate = peer->certificate, .only_1_2 = only_1_2};
    struct tls_error error;
    struct tls_context *context = tls_context_create(&settings, &error);
    if (context == NULL) {
        fprintf(stderr, "%s: %s\n", peer->what, error.text);
        return false;
    }
    struct lab *lab = lab_create(&server, NULL);
    lab_connect(lab, context, NULL);
    lab_settle(lab);
    bool good = peer->why == STREAM_END_UNKNOWN
                    ? lab->opened == 1 && lab->closed == 0
                    : lab->opened == 0 && lab->closed == 1 && lab->why == peer->why;
    good = good && (peer->reason == NULL ? lab->reason[0] != 0 : strcmp(lab->reason, peer->reason) == 0);
    /* The server is told by an alert, and the failure is counted where it belongs. */
    if (peer->why != STREAM_END_UNKNOWN)
        good = good && lab->server_failed && tls_worker_counter(lab->worker, TLS_FAILED_VERIFY) == 1;
    good = good && alert_of(lab) == peer->alert;
    if (!good)
        fprintf(stderr, "\n%s (%s): opened %d closed %d why %d alert %d reason '%s'\n", peer->what,
                only_1_2 ? "TLS 1.2" : "TLS 1.3", lab->opened, lab->closed, (int)lab->why, alert_of(lab),
                lab->reason);
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static void test_1_3(void)
{
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
        CU_ASSERT_TRUE(judge(&peers[i], false));
}

static void test_1_2(void)
{
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
        CU_ASSERT_TRUE(judge(&peers[i], true));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"good and bad servers, TLS 1.3", test_1_3},
        {"good and bad servers, TLS 1.2", test_1_2},
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_verify", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
