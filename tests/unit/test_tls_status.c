/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a peer whose issuers are asked about it and about themselves (B4; RFC 6960), over TLS and
 * DTLS and on both sides: what is known is written by the test, in a responder's place.
 */
#include "dataplane/secure/dtls_record.h"
#include "dataplane/secure/dtls_server.h"
#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/secure/tls_peer.h"
#include "dataplane/secure/tls_trust.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_server_lab.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>

#define S UINT64_C(1000000)

/* Takes questions and answers none: everything stays unknown until the test says what is known. */
static int mute = -1;
static char mute_uri[64];
static struct ocsp_asker *asker;

static bool open_mute(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (mute < 0 || bind(mute, (struct sockaddr *)&at, n) != 0 || listen(mute, 64) != 0 ||
        getsockname(mute, (struct sockaddr *)&at, &n) != 0)
        return false;
    snprintf(mute_uri, sizeof(mute_uri), "http://127.0.0.1:%u/", ntohs(at.sin_port));
    return true;
}

static struct ocsp_policy policy_of(enum ocsp_mode mode)
{
    return (struct ocsp_policy){.mode = mode, .responder = mute_uri, .cache_s = 600, .timeout_ms = 9000};
}

/* A new registry for each test: nothing is known. */
static void forget_all(void)
{
    ocsp_asker_share(NULL);
    ocsp_asker_destroy(asker);
    asker = ocsp_asker_create(64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(asker);
    ocsp_asker_share(asker);
}

/* A certificate of the PKI, read once. */
static void parse(const char *name, struct certificate *out)
{
    static struct {
        char name[32];
        uint8_t der[4096];
        size_t n;
    } known[8];
    size_t i = 0;
    while (known[i].n > 0 && strcmp(known[i].name, name) != 0)
        i++;
    if (known[i].n == 0) {
        char command[256];
        snprintf(command, sizeof(command), "openssl x509 -in %s.pem -outform DER", lab_path(name));
        snprintf(known[i].name, sizeof(known[i].name), "%s", name);
        FILE *out_of = popen(command, "r");
        CU_ASSERT_PTR_NOT_NULL_FATAL(out_of);
        known[i].n = fread(known[i].der, 1, sizeof(known[i].der), out_of);
        pclose(out_of);
    }
    CU_ASSERT_TRUE_FATAL(certificate_parse(known[i].der, known[i].n, out));
}

/* Writes what the issuer of `name` says of it. */
static void say(const char *name, const char *issuer, const struct ocsp_policy *policy,
                enum ocsp_status status)
{
    struct certificate of, by;
    parse(name, &of);
    parse(issuer, &by);
    struct ocsp_case *c = ocsp_case_of(ocsp_asker_registry(asker), &of, &by, policy);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    int64_t until_s = (int64_t)time(NULL) + 600;
    ocsp_case_settle(c, status, until_s, until_s, status == OCSP_FAILED ? "it is mute" : NULL);
    ocsp_case_unref(c);
}

/* What the other side of a TLS lab was told last; -1: nothing. */
static int alert_of(const struct lab *lab)
{
    WOLFSSL_ALERT_HISTORY history;
    return wolfSSL_get_alert_history(lab->server, &history) == WOLFSSL_SUCCESS &&
                   history.last_rx.level == alert_fatal
               ? history.last_rx.code
               : -1;
}

/* ---- TLS ----------------------------------------------------------------------------------------------- */

static struct lab *dial_tls(bool listener, const struct ocsp_policy *policy, struct tls_context **context)
{
    struct tls_error error;
    struct lab *lab;
    if (listener) {
        struct tls_server_settings settings = lab_listener();
        struct lab_client client = {.certificate = "cviasub"};
        settings.ocsp = policy;
        *context = lab_listener_context(&settings);
        lab = lab_create(NULL, NULL);
        lab_attach(lab, lab_client_ctx(&client));
    } else {
        static const struct lab_server server = {.certificate = "viasub"};
        struct tls_settings settings = lab_settings();
        settings.ocsp = policy;
        *context = tls_context_create(&settings, &error);
        lab = lab_create(&server, NULL);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(*context);
    tls_worker_destroy(lab->worker);
    struct tls_worker_config config = {
        .sessions = 16, .chunks = lab->chunks, .handshake_timeout_us = 5000000, .asker = asker};
    lab->worker = tls_worker_create(&config);
    if (listener)
        lab_accept(lab, *context);
    else
        lab_connect(lab, *context, NULL);
    return lab;
}

struct row {
    const char *what;
    enum ocsp_mode mode;
    bool leaf_only;
    enum ocsp_status leaf, sub; /* what is known before; OCSP_NONE: it has to be asked for */
    enum ocsp_status later;     /* what the intermediate's issuer says while the session waits */
    bool in;
    const char *reason; /* how it ends; of one that is let in, what is told of it */
    int alert;          /* RFC 8446 section 6.2 */
};

static const struct row rows[] = {
    {"both good", OCSP_HARD, false, OCSP_GOOD, OCSP_GOOD, OCSP_NONE, true, NULL, -1},
    {"leaf revoked", OCSP_SOFT, false, OCSP_REVOKED, OCSP_GOOD, OCSP_NONE, false,
     "certificate has been revoked, says its OCSP responder", 44},
    {"intermediate revoked", OCSP_SOFT, false, OCSP_GOOD, OCSP_REVOKED, OCSP_NONE, false,
     "certificate's issuer has been revoked, says its OCSP responder", 44},
    {"intermediate revoked, leaf not known yet", OCSP_SOFT, false, OCSP_NONE, OCSP_REVOKED, OCSP_NONE, false,
     "certificate's issuer has been revoked, says its OCSP responder", 44},
    {"intermediate unknown to its responder, hard", OCSP_HARD, false, OCSP_GOOD, OCSP_UNKNOWN, OCSP_NONE,
     false, "certificate's issuer is unknown to its OCSP responder", 46},
    {"intermediate unknown to its responder, soft", OCSP_SOFT, false, OCSP_GOOD, OCSP_UNKNOWN, OCSP_NONE,
     true, "the responder does not know the certificate", -1},
    {"no answer about the intermediate, hard", OCSP_HARD, false, OCSP_GOOD, OCSP_FAILED, OCSP_NONE, false,
     "status of the certificate's issuer is not known", 46},
    {"no answer about the intermediate, soft", OCSP_SOFT, false, OCSP_GOOD, OCSP_FAILED, OCSP_NONE, true,
     "it is mute", -1},
    {"intermediate revoked, but only the leaf counts", OCSP_HARD, true, OCSP_GOOD, OCSP_REVOKED, OCSP_NONE,
     true, NULL, -1},
    {"the answer about the intermediate comes later: good", OCSP_HARD, false, OCSP_GOOD, OCSP_NONE, OCSP_GOOD,
     true, NULL, -1},
    {"the answer about the intermediate comes later: revoked", OCSP_SOFT, false, OCSP_GOOD, OCSP_NONE,
     OCSP_REVOKED, false, "issuer has been revoked, says its OCSP responder", 44},
    {"the answer about the intermediate comes later: none, hard", OCSP_HARD, false, OCSP_GOOD, OCSP_NONE,
     OCSP_FAILED, false, "status of the certificate's issuer is not known: it is mute", 46},
    {"it never comes, hard", OCSP_HARD, false, OCSP_GOOD, OCSP_NONE, OCSP_NONE, false,
     "certificate's status could not be had in time", 46},
    {"it never comes, soft", OCSP_SOFT, false, OCSP_NONE, OCSP_GOOD, OCSP_NONE, true,
     "the certificate's status could not be had in time", -1},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct ocsp_policy begin_row(const struct row *row, bool listener)
{
    struct ocsp_policy policy = policy_of(row->mode);
    policy.leaf_only = row->leaf_only;
    forget_all();
    if (row->leaf != OCSP_NONE)
        say(listener ? "cviasub" : "viasub", "sub", &policy, row->leaf);
    if (row->sub != OCSP_NONE)
        say("sub", "ca", &policy, row->sub);
    return policy;
}

static bool judge_tls(const struct row *row, bool listener)
{
    struct tls_context *context;
    struct ocsp_policy policy = begin_row(row, listener);
    struct lab *lab = dial_tls(listener, &policy, &context);
    lab_turns(lab, 40);
    bool waits = row->leaf == OCSP_NONE || row->sub == OCSP_NONE;
    waits = waits && row->sub != OCSP_REVOKED && !row->leaf_only;
    bool good = !waits || (lab->opened == 0 && lab->closed == 0);
    if (row->later != OCSP_NONE)
        say("sub", "ca", &policy, row->later);
    lab->now_us += row->later != OCSP_NONE ? 300000 : 6000000;
    lab_turns(lab, 10);
    const char *told = row->in && lab->client != NULL ? tls_stream_unchecked(lab->client) : lab->reason;
    good = good && lab->opened == (row->in ? 1 : 0) && lab->closed == (row->in ? 0 : 1) &&
           alert_of(lab) == row->alert &&
           (row->reason == NULL ? told == NULL : told != NULL && strstr(told, row->reason) != NULL);
    if (!good)
        fprintf(stderr, "\n%s (%s, TLS): opened %d closed %d alert %d '%s'\n", row->what,
                listener ? "listener" : "upstream", lab->opened, lab->closed, alert_of(lab),
                told == NULL ? "" : told);
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static void test_tls(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        CU_ASSERT_TRUE(judge_tls(&rows[i], true));
        CU_ASSERT_TRUE(judge_tls(&rows[i], false));
    }
}

/* A CA that names no responder is not asked about where none is set; the leaf is, and that is told. */
static void test_named_by_nobody(void)
{
    struct tls_context *context;
    struct ocsp_policy policy = {.mode = OCSP_SOFT};
    forget_all();
    struct lab *lab = dial_tls(true, &policy, &context);
    for (int i = 0; i < 100000 && lab->opened == 0 && lab->closed == 0; i++) {
        lab_turn(lab);
        usleep(100); /* the asker is a thread, which refuses at once */
    }
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_EQUAL(tls_stream_peer(lab->client)->status.n, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tls_stream_unchecked(lab->client));
    CU_ASSERT_PTR_NOT_NULL(strstr(tls_stream_unchecked(lab->client), "names no responder"));
    lab_destroy(lab);
    tls_context_unref(context);
}

/*
 * A client whose intermediate has been revoked leaves it away. The library takes the chain all the same once
 * another client has shown it, for it keeps every CA that it has verified.
 */
static void test_left_away(void)
{
    struct ocsp_policy policy = policy_of(OCSP_SOFT);
    struct tls_context *context;
    forget_all();
    say("cviasub", "sub", &policy, OCSP_GOOD);
    say("sub", "ca", &policy, OCSP_GOOD);
    struct lab *lab = dial_tls(true, &policy, &context);
    lab_turns(lab, 40);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    lab_destroy(lab);
    say("sub", "ca", &policy, OCSP_REVOKED);
    char command[256];
    snprintf(command, sizeof(command),
             "cd %s && openssl x509 -in cviasub.pem -out leafonly.pem && cp cviasub.key leafonly.key",
             lab_dir);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    struct lab_client client = {.certificate = "leafonly"};
    lab = lab_create_listener(context, &client, NULL);
    lab_settle_listener(lab);
    CU_ASSERT_EQUAL(lab->opened, 0);
    CU_ASSERT_STRING_EQUAL(lab->reason, "certificate's issuer was not shown");
    CU_ASSERT_EQUAL(alert_of(lab), 48);
    lab_destroy(lab);
    tls_context_unref(context);
}

/* B4: an answer that comes when the session lives. */
static void test_tls_lives(void)
{
    for (int listener = 0; listener < 2; listener++) {
        struct ocsp_policy policy = policy_of(OCSP_SOFT);
        struct tls_context *context;
        forget_all();
        say(listener ? "cviasub" : "viasub", "sub", &policy, OCSP_GOOD);
        say("sub", "ca", &policy, OCSP_GOOD);
        struct lab *lab = dial_tls(listener != 0, &policy, &context);
        lab_turns(lab, 40);
        CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
        const struct tls_peer *peer = tls_stream_peer(lab->client);
        CU_ASSERT_EQUAL(peer->status.n, 2);
        CU_ASSERT_PTR_NULL(tls_context_refuses(context, peer));
        say("sub", "ca", &policy, OCSP_REVOKED);
        const char *why = tls_context_refuses(context, peer);
        CU_ASSERT_TRUE(why != NULL && strstr(why, "issuer has been revoked") != NULL);
        lab_destroy(lab);
        tls_context_unref(context);
    }
}

/* ---- DTLS ---------------------------------------------------------------------------------------------- */

struct side {
    int opened, closed, received;
    int alert; /* that was seen on the wire, unprotected; -1: none */
    char reason[200];
};

static struct pair {
    uint64_t now_us;
    struct timer_wheel *timers;
    struct dtls_worker *worker, *client_worker;
    struct dtls_context *context, *client_context;
    struct dtls_server *server;
    struct dtls_endpoint *endpoint;
    struct dtls_session *client;
    struct side us, them; /* the listener; the client */
    struct {
        bool up;
        size_t n;
        uint8_t at[2048];
    } wire[64];
    uint32_t first, n;
} pair;

static struct flow_key pair_key(void)
{
    struct flow_key key = {.local_port = 5684, .remote_port = 40000, .protocol = 17};
    key.local = ip_address_v4(0x0a140001);
    key.remote = ip_address_v4(0x0a140011);
    return key;
}

static void put(bool up, const uint8_t *at, size_t n)
{
    uint32_t i = (pair.first + pair.n++) % 64;
    CU_ASSERT_TRUE_FATAL(pair.n <= 64 && n <= sizeof(pair.wire[0].at));
    pair.wire[i].up = up;
    pair.wire[i].n = n;
    memcpy(pair.wire[i].at, at, n);
}

static void us_send(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *at, size_t n)
{
    (void)owner;
    (void)path;
    (void)key;
    put(false, at, n);
}

static bool us_admit(void *owner, const struct flow_key *key, uint32_t listener)
{
    (void)owner;
    (void)key;
    (void)listener;
    return true;
}

static void us_opened(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    const char *unchecked = dtls_endpoint_unchecked(endpoint);
    pair.us.opened++;
    pair.endpoint = endpoint;
    snprintf(pair.us.reason, sizeof(pair.us.reason), "%s", unchecked == NULL ? "" : unchecked);
}

static void us_received(void *owner, struct dtls_endpoint *endpoint, const uint8_t *message, size_t n)
{
    (void)owner;
    pair.us.received++;
    CU_ASSERT_TRUE(dtls_endpoint_write(endpoint, message, n));
}

static void us_closed(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    (void)endpoint;
    pair.us.closed++;
}

static void us_lost(void *owner, const struct dtls_endpoint *endpoint, const char *why)
{
    (void)owner;
    (void)endpoint;
    snprintf(pair.us.reason, sizeof(pair.us.reason), "%s", why);
}

static void us_failed(void *owner, const struct dtls_endpoint *endpoint, enum dtls_end why,
                      const char *reason)
{
    (void)owner;
    (void)endpoint;
    (void)why;
    pair.us.closed++;
    snprintf(pair.us.reason, sizeof(pair.us.reason), "%s", reason);
}

static void us_capped(void *owner, const struct flow_key *key, uint32_t listener,
                      enum dtls_server_limit limit)
{
    (void)owner;
    (void)key;
    (void)listener;
    (void)limit;
}

static const struct dtls_server_handler us = {.send = us_send,
                                              .admit = us_admit,
                                              .opened = us_opened,
                                              .received = us_received,
                                              .closed = us_closed,
                                              .lost = us_lost,
                                              .failed = us_failed,
                                              .capped = us_capped};

static void them_send(void *owner, const uint8_t *at, size_t n)
{
    (void)owner;
    put(true, at, n);
}

static void them_opened(void *owner)
{
    (void)owner;
    const char *unchecked = dtls_session_unchecked(pair.client);
    pair.them.opened++;
    snprintf(pair.them.reason, sizeof(pair.them.reason), "%s", unchecked == NULL ? "" : unchecked);
}

static void them_received(void *owner, const uint8_t *message, size_t n)
{
    (void)owner;
    (void)message;
    (void)n;
    pair.them.received++;
}

static void them_closed(void *owner, enum dtls_end why, const char *reason)
{
    (void)owner;
    (void)why;
    pair.them.closed++;
    snprintf(pair.them.reason, sizeof(pair.them.reason), "%s", reason);
    dtls_session_close(pair.client);
    pair.client = NULL;
}

static const struct dtls_handler them = {
    .send = them_send, .opened = them_opened, .received = them_received, .closed = them_closed};

static void run_pair(uint64_t us_more)
{
    pair.now_us += us_more;
    dtls_worker_poll(pair.worker, pair.now_us);
    dtls_worker_poll(pair.client_worker, pair.now_us);
    timer_wheel_advance(pair.timers, pair.now_us, 1000);
    if (pair.client != NULL)
        dtls_session_fire(pair.client, pair.now_us);
    for (int i = 0; i < 200 && pair.n > 0; i++) {
        uint32_t at = pair.first;
        pair.first = (pair.first + 1) % 64;
        pair.n--;
        if (pair.wire[at].up) {
            struct dtls_arrival arrival = {
                .key = pair_key(), .datagram_max = 1200, .datagram = pair.wire[at].at, .n = pair.wire[at].n};
            dtls_server_input(pair.server, pair.context, &arrival);
        } else if (pair.client != NULL) {
            dtls_session_input(pair.client, pair.wire[at].at, pair.wire[at].n, pair.now_us);
        }
    }
}

/* Who shows what to whom. */
struct ends {
    const char *server, *client; /* NAME.pem and NAME.key; client NULL: none */
    const char *client_crl;      /* of the listener */
    const struct ocsp_policy *server_asks, *client_asks;
    const char *pins; /* of the listener: of clients' keys */
};

static void open_ends(const struct ends *ends)
{
    struct tls_error error = {.text = ""};
    char files[4][160];
    for (int i = 0; i < 4; i++)
        snprintf(files[i], sizeof(files[i]), "%s/%s.%s", lab_dir,
                 i < 2                  ? ends->server
                 : ends->client == NULL ? "truck-001"
                                        : ends->client,
                 i % 2 == 0 ? "pem" : "key");
    struct dtls_server_settings server = {
        .certificate_file = files[0],
        .key_file = files[1],
        .client_ca_file = lab_path(ends->client_crl == NULL ? "ca.pem" : "both.pem"),
        .crl_file = ends->client_crl == NULL ? NULL : lab_path(ends->client_crl),
        .pins = ends->pins,
        .ocsp = ends->server_asks};
    struct tls_settings tls = {.ca_file = lab_path("ca.pem"),
                               .server_name = LAB_NAME,
                               .certificate_file = ends->client == NULL ? NULL : files[2],
                               .key_file = ends->client == NULL ? NULL : files[3],
                               .ocsp = ends->client_asks};
    struct dtls_settings client = {.certificates = &tls};
    memset(&pair, 0, sizeof(pair));
    pair.now_us = 1000 * S;
    pair.timers = timer_wheel_create(pair.now_us);
    pair.worker = dtls_worker_create(16, NULL);
    pair.client_worker = dtls_worker_create(16, NULL);
    pair.context = dtls_server_context_create(&server, &error);
    if (pair.context == NULL)
        fprintf(stderr, "%s\n", error.text);
    pair.client_context = dtls_context_create(&client, &error);
    if (pair.context == NULL || pair.client_context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_TRUE_FATAL(pair.context != NULL && pair.client_context != NULL);
    struct dtls_server_config config = {
        .endpoints = 4, .worker = pair.worker, .timers = pair.timers, .now_us = &pair.now_us, .handler = &us};
    pair.server = dtls_server_create(&config);
    pair.client = dtls_connect(pair.client_worker, pair.client_context, "truck-001", NULL, 1200, &them, &pair,
                               pair.now_us, &error);
    CU_ASSERT_TRUE_FATAL(pair.server != NULL && pair.client != NULL);
    run_pair(1000);
}

/* `listener`: the listener asks about its client; else the client about its server. */
static void open_pair(bool listener, const struct ocsp_policy *policy)
{
    struct ends ends = {.server = listener ? "server" : "viasub",
                        .client = listener ? "cviasub" : "truck-001",
                        .server_asks = listener ? policy : NULL,
                        .client_asks = listener ? NULL : policy};
    open_ends(&ends);
}

static void close_pair(void)
{
    if (pair.client != NULL)
        dtls_session_drop(pair.client);
    dtls_server_destroy(pair.server);
    dtls_worker_destroy(pair.worker);
    dtls_worker_destroy(pair.client_worker);
    dtls_context_unref(pair.context);
    dtls_context_unref(pair.client_context);
    timer_wheel_destroy(pair.timers);
}

static bool judge_dtls(const struct row *row, bool listener)
{
    struct ocsp_policy policy = begin_row(row, listener);
    open_pair(listener, &policy);
    struct side *own = listener ? &pair.us : &pair.them;
    bool waits = row->leaf == OCSP_NONE || row->sub == OCSP_NONE;
    waits = waits && row->sub != OCSP_REVOKED && !row->leaf_only;
    bool good = !waits || (own->opened == 0 && own->closed == 0);
    /* The other side takes it for open; what it sends waits. */
    if (waits && listener)
        good = good && pair.them.opened == 1 &&
               dtls_session_write(pair.client, (const uint8_t *)"early", 5) && pair.us.received == 0;
    if (row->later != OCSP_NONE)
        say("sub", "ca", &policy, row->later);
    run_pair(1000);
    for (int i = 0; i < 12; i++)
        run_pair(row->later != OCSP_NONE ? 100000 : S);
    good = good && own->opened == (row->in ? 1 : 0) && own->closed == (row->in ? 0 : 1) &&
           (row->reason == NULL ? own->reason[0] == 0 : strstr(own->reason, row->reason) != NULL);
    if (waits && listener && row->in)
        good = good && pair.us.received == 1 && pair.them.received == 1;
    char told[64];
    snprintf(told, sizeof(told), "alert %d", row->alert);
    if (row->alert > 0 && listener)
        good = good && pair.them.closed == 1 && strstr(pair.them.reason, told) != NULL;
    if (!good)
        fprintf(stderr, "\n%s (%s, DTLS): opened %d closed %d received %d '%s', the other: '%s'\n", row->what,
                listener ? "listener" : "upstream", own->opened, own->closed, own->received, own->reason,
                pair.them.reason);
    close_pair();
    return good;
}

static void test_dtls(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        CU_ASSERT_TRUE(judge_dtls(&rows[i], true));
        CU_ASSERT_TRUE(judge_dtls(&rows[i], false));
    }
}

static struct dtls_context *same_context(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    (void)endpoint;
    return pair.context;
}

/* B4: an answer that comes when the session lives ends it at the next sweep, which the answer brings about.
 */
static void test_dtls_lives(void)
{
    struct ocsp_policy policy = policy_of(OCSP_SOFT);
    forget_all();
    say("cviasub", "sub", &policy, OCSP_GOOD);
    say("sub", "ca", &policy, OCSP_GOOD);
    open_pair(true, &policy);
    CU_ASSERT_TRUE_FATAL(pair.us.opened == 1 && pair.them.opened == 1);
    CU_ASSERT_TRUE(dtls_server_sweep(pair.server, 10, same_context));
    CU_ASSERT_EQUAL(pair.us.closed, 0);
    say("sub", "ca", &policy, OCSP_REVOKED);
    CU_ASSERT_TRUE(dtls_server_sweep(pair.server, 10, same_context));
    CU_ASSERT_EQUAL(pair.us.closed, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(pair.us.reason, "issuer has been revoked"));
    run_pair(1000);
    CU_ASSERT_EQUAL(pair.them.closed, 1);
    close_pair();

    forget_all();
    say("viasub", "sub", &policy, OCSP_GOOD);
    say("sub", "ca", &policy, OCSP_GOOD);
    open_pair(false, &policy);
    CU_ASSERT_TRUE_FATAL(pair.them.opened == 1);
    CU_ASSERT_PTR_NULL(dtls_session_refused(pair.client, pair.client_context, "truck-001"));
    say("viasub", "sub", &policy, OCSP_REVOKED);
    const char *why = dtls_session_refused(pair.client, pair.client_context, "truck-001");
    CU_ASSERT_TRUE(why != NULL && strstr(why, "revoked, says its OCSP responder") != NULL);
    close_pair();
}

/* RFC 6347 section 4.1.2.7 leaves alerts as they are: what a refused peer is told is what TLS tells it. */
static void test_dtls_alerts(void)
{
    static const struct {
        const char *what;
        struct ends ends;
        bool by_client;
        int alert;
        const char *reason;
    } cases[] = {
        {"unknown CA", {.server = "stranger", .client = "truck-001"}, true, 48, "issuer is not trusted"},
        {"self-signed", {.server = "self", .client = "truck-001"}, true, 48, ""},
        {"expired", {.server = "expired", .client = "truck-001"}, true, 45, "has expired"},
        {"not yet valid", {.server = "early", .client = "truck-001"}, true, 45, "not yet valid"},
        {"wrong name", {.server = "wrong", .client = "truck-001"}, true, 42, "is not for"},
        {"wrong usage", {.server = "purpose", .client = "truck-001"}, true, 43, "for a server"},
        {"SHA-1", {.server = "shaleaf", .client = "truck-001"}, true, 42, "SHA-1"},
        {"name constraints", {.server = "vialimited", .client = "truck-001"}, true, 42, "may certify"},
        {"unknown CA", {.server = "server", .client = "cstranger"}, false, 48, "issuer is not trusted"},
        {"self-signed", {.server = "server", .client = "cself"}, false, 48, ""},
        {"expired", {.server = "server", .client = "cold"}, false, 45, "has expired"},
        {"not yet valid", {.server = "server", .client = "cearly"}, false, 45, "not yet valid"},
        {"wrong usage", {.server = "server", .client = "server"}, false, 43, "for a client"},
        {"SHA-1", {.server = "server", .client = "csha"}, false, 42, "SHA-1"},
        {"name constraints", {.server = "server", .client = "cvialimited"}, false, 42, "may certify"},
        {"may not sign", {.server = "server", .client = "notsign"}, false, 43, "may not be used to sign"},
        {"revoked",
         {.server = "server", .client = "crevoked", .client_crl = "clients.crl"},
         false,
         44,
         "has been revoked"},
        {"its CA is revoked",
         {.server = "server", .client = "cviasub", .client_crl = "latest.crl"},
         false,
         44,
         "has been revoked"},
        {"no list", {.server = "server", .client = "cviasub", .client_crl = "later.crl"}, false, 46, "list"},
        {"another key than the pinned one",
         {.server = "server",
          .client = "truck-001",
          .pins = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
         false,
         46,
         "pinned"},
        {"no certificate", {.server = "server"}, false, 40, "sent no certificate"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char told[32];
        open_ends(&cases[i].ends);
        run_pair(1000);
        struct side *own = cases[i].by_client ? &pair.them : &pair.us;
        struct side *other = cases[i].by_client ? &pair.us : &pair.them;
        snprintf(told, sizeof(told), "alert %d", cases[i].alert);
        bool good = own->opened == 0 && own->closed == 1 && strstr(own->reason, cases[i].reason) != NULL &&
                    other->closed == 1 && strstr(other->reason, told) != NULL;
        if (!good)
            fprintf(stderr, "\n%s (%s): opened %d closed %d '%s'; the other: %d '%s'\n", cases[i].what,
                    cases[i].by_client ? "server" : "client", own->opened, own->closed, own->reason,
                    other->closed, other->reason);
        CU_ASSERT_TRUE(good);
        close_pair();
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B4: chains over TLS, both sides", test_tls},
        {"B4: a CA that names no responder", test_named_by_nobody},
        {"B4: an intermediate that is left away", test_left_away},
        {"B4: an answer for a live TLS session", test_tls_lives},
        {"B4: chains over DTLS, both sides", test_dtls},
        {"B4: an answer for a live DTLS session", test_dtls_lives},
        {"B2, B4: what bad peers are told over DTLS", test_dtls_alerts},
    };
    if (tls_library_init() != 0 || !lab_clients_pki() || !open_mute())
        return EXIT_FAILURE;
    int result = unit_run("tls_status", tests, sizeof(tests) / sizeof(tests[0]));
    ocsp_asker_share(NULL);
    ocsp_asker_destroy(asker);
    close(mute);
    lab_remove();
    tls_library_fini();
    return result;
}
