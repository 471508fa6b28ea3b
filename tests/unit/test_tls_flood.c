/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hostile peer sends in numbers or in sizes (B1, B6): alerts, KeyUpdates, tickets, empty records,
 * messages that claim megabytes, chains of a hundred certificates, handshakes in records of one byte, and
 * messages that have no place behind a handshake. Each ends in a counted outcome with a name, and takes
 * neither memory nor work that grows with it.
 */
#include "dataplane/secure/record_meter.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_forge.h"
#include "tests/unit/tls_server_lab.h"

#include <malloc.h>

#define MANY 300

static const char *side_of(bool listener)
{
    return listener ? "listener" : "upstream";
}

static uint64_t of(const struct lab *lab, enum tls_counter counter)
{
    return tls_worker_counter(lab->worker, counter);
}

/* What the peer was told last by a fatal alert; 0: nothing. */
static int alert_of(const struct lab *lab)
{
    WOLFSSL_ALERT_HISTORY history;
    return wolfSSL_get_alert_history(lab->server, &history) == WOLFSSL_SUCCESS &&
                   history.last_rx.level == alert_fatal
               ? history.last_rx.code
               : 0;
}

/* ---- behind the handshake ------------------------------------------------------------------------------ */

static const uint8_t warning_alert[] = {1, 90};
static const uint8_t half_alert[] = {1};
static const uint8_t update_message[] = {24, 0, 0, 1, 1};
static const uint8_t ticket[] = {4, 0, 0, 22, 0, 0, 14, 16, 0, 0, 0, 0, 1,
                                 1, 0, 8, 1,  2, 3, 4,  5,  6, 7, 8, 0, 0};
static const uint8_t request_message[] = {13, 0, 0, 11, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3};
static const uint8_t hello_message[] = {1, 0, 0, 2, 3, 3};
static const uint8_t claim_16m[] = {4, 0xff, 0xff, 0xff};
static const uint8_t bad_ticket[] = {4, 0, 0, 2, 0, 0};

struct flood {
    const char *what;
    uint8_t type; /* of the content: RFC 8446 section 5.1 */
    const uint8_t *bytes;
    size_t n;
    int times;
    bool one_by_one; /* a record for each byte */
    bool rekey;
    enum tls_counter counter; /* HANDSHAKES: it stays open */
    int alert;
    const char *reason;
};

#define ROW(type, bytes) type, bytes, sizeof(bytes)
#define SENDS_NOTHING "records without data"
static const struct flood floods[] = {
    {"user_canceled (6.1), a few", ROW(21, warning_alert), 3, false, false, TLS_HANDSHAKES, 0, NULL},
    {"user_canceled (6.1)", ROW(21, warning_alert), MANY, false, false, TLS_FAILED_FLOOD, 10,
     "sends too many alerts"},
    {"half an alert (6)", ROW(21, half_alert), 1, false, false, TLS_FAILED_PROTOCOL, 50, NULL},
    {"empty records (5.1)", 23, NULL, 0, MANY, false, false, TLS_FAILED_FLOOD, 10, SENDS_NOTHING},
    {"empty records (5.1), as many as may be", 23, NULL, 0, RECORD_METER_MOST - 4, false, false,
     TLS_HANDSHAKES, 0, NULL},
    {"KeyUpdates that want an answer (4.6.3)", ROW(22, update_message), MANY, false, true, TLS_FAILED_FLOOD,
     10, SENDS_NOTHING},
    {"a KeyUpdate (4.6.3)", ROW(22, update_message), 1, false, true, TLS_HANDSHAKES, 0, NULL},
    /* Which may be, but not with this library: behind the handshake it takes whole messages only. */
    {"a KeyUpdate in records of one byte (5.1)", ROW(22, update_message), 1, true, true, TLS_FAILED_PROTOCOL,
     50, "enough data"},
    {"CertificateRequest without an offer of it (4.6.2)", ROW(22, request_message), 1, false, false,
     TLS_FAILED_PROTOCOL, 10, NULL},
    {"ClientHello again (4.1.2): renegotiation", ROW(22, hello_message), 1, false, false, TLS_FAILED_PROTOCOL,
     10, NULL},
    {"a message that claims 16 MiB", ROW(22, claim_16m), 1, false, false, TLS_FAILED_PROTOCOL, 50,
     "enough data"},
    {"a type that is none (5)", ROW(99, update_message), 1, false, false, TLS_FAILED_PROTOCOL, 10, NULL},
    {"an empty handshake record (5.1)", 22, NULL, 0, 1, false, false, TLS_FAILED_PROTOCOL, 0, NULL},
};

static const struct flood of_servers[] = {
    {"tickets (4.6.1), two", ROW(22, ticket), 2, false, false, TLS_HANDSHAKES, 0, NULL},
    {"tickets (4.6.1)", ROW(22, ticket), MANY, false, false, TLS_FAILED_FLOOD, 10, SENDS_NOTHING},
    {"a ticket that is cut (4.6.1)", ROW(22, bad_ticket), 1, false, false, TLS_FAILED_PROTOCOL, 50, NULL},
};

static struct lab *open_forged(bool listener, struct forge *forge, struct tls_context **context)
{
    static const struct lab_server server = {.certificate = "server", .suites = FORGE_SUITE};
    struct lab *lab = lab_create(NULL, NULL);
    if (listener) {
        struct tls_server_settings settings = lab_listener();
        struct lab_client client = {.certificate = "truck-001", .suites = FORGE_SUITE};
        settings.resumption = false;
        *context = lab_listener_context(&settings);
        lab_attach(lab, lab_client_ctx(&client));
        lab->peer_connects = true;
    } else {
        struct tls_settings settings = lab_settings();
        struct tls_error error;
        WOLFSSL_CTX *ctx = lab_server_ctx(&server);
        wolfSSL_CTX_no_ticket_TLSv13(ctx);
        settings.resumption = true;
        *context = tls_context_create(&settings, &error);
        lab_attach(lab, ctx);
    }
    forge_listen(forge, lab);
    if (listener)
        lab_accept(lab, *context);
    else
        lab_connect(lab, *context, NULL);
    lab_settle_listener(lab);
    CU_ASSERT_TRUE_FATAL(lab->opened == 1 && lab->server_open && forge->known);
    return lab;
}

static bool send_flood(const struct flood *flood, bool listener)
{
    struct forge forge;
    struct tls_context *context;
    struct lab *lab = open_forged(listener, &forge, &context);
    size_t sent_before = 0, heap_before = mallinfo2().uordblks;
    for (int i = 0; i < flood->times && lab->closed == 0; i++) {
        for (size_t at = 0; at < (flood->one_by_one ? flood->n : 1); at++)
            forge_send(&forge, lab, flood->type, flood->bytes == NULL ? NULL : flood->bytes + at,
                       flood->one_by_one ? 1 : flood->n);
        if (flood->rekey) {
            uint8_t next[32];
            forge_expand(&forge, "traffic upd", next, sizeof(next));
            memcpy(forge.secret, next, sizeof(next));
            forge.sequence = 0;
        }
        if (i % 4 == 3)
            lab_turn(lab);
        sent_before =
            sent_before > lab_pipe_bytes(&lab->to_server) ? sent_before : lab_pipe_bytes(&lab->to_server);
    }
    lab_turns(lab, 6);
    bool stays = flood->counter == TLS_HANDSHAKES;
    bool good =
        stays ? lab->closed == 0 : lab->closed == 1 && of(lab, flood->counter) == 1 && lab->reason[0] != 0;
    good = good && (flood->reason == NULL || strstr(lab->reason, flood->reason) != NULL) &&
           (flood->alert == 0 || stays || alert_of(lab) == flood->alert) && sent_before < 8192 &&
           mallinfo2().uordblks < heap_before + 65536;
    /* What is open goes on: data of both sides. */
    if (stays && good) {
        forge_send(&forge, lab, 23, (const uint8_t *)"hello", 5);
        lab_turns(lab, 3);
        good = lab_pipe_bytes(&lab->got) == 5;
    }
    if (!good)
        fprintf(stderr, "\n%s (%s): closed %d, counted %llu, alert %d, sent %zu, '%s'\n", flood->what,
                side_of(listener), lab->closed, (unsigned long long)of(lab, flood->counter), alert_of(lab),
                sent_before, lab->reason);
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static void test_behind(void)
{
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        CU_ASSERT_TRUE(send_flood(&floods[i], true));
        CU_ASSERT_TRUE(send_flood(&floods[i], false));
    }
    for (size_t i = 0; i < sizeof(of_servers) / sizeof(of_servers[0]); i++)
        CU_ASSERT_TRUE(send_flood(&of_servers[i], false));
    /* From a client it has no business. */
    static const struct flood from_client = {
        "a ticket of a client", ROW(22, ticket), 1, false, false, TLS_FAILED_PROTOCOL, 10, NULL};
    CU_ASSERT_TRUE(send_flood(&from_client, true));
}

/* Data between them, or a minute, makes a flood of none. */
static void test_useful_between(void)
{
    struct forge forge;
    struct tls_context *context;
    struct lab *lab = open_forged(true, &forge, &context);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < RECORD_METER_MOST - 4; i++)
            forge_send(&forge, lab, 23, NULL, 0);
        if (round % 2 == 0)
            forge_send(&forge, lab, 23, (const uint8_t *)"x", 1);
        lab_turns(lab, 2);
        if (round % 2 != 0)
            lab->now_us += 2 * RECORD_METER_WINDOW_US;
    }
    CU_ASSERT_EQUAL(lab->closed, 0);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 10);
    lab_destroy(lab);
    tls_context_unref(context);
}

/* ---- in a handshake ------------------------------------------------------------------------------------ */

static void put(struct lab *lab, const void *p, size_t n)
{
    lab_pipe_add(&lab->to_client, p, n);
}

static void put_record(struct lab *lab, uint8_t type, const uint8_t *p, size_t n)
{
    uint8_t header[5] = {type, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};
    put(lab, header, 5);
    put(lab, p, n);
}

/* A Certificate message (RFC 5246 section 7.4.2) of n certificates, each of `bytes` bytes, in records. */
static void put_chain(struct lab *lab, uint32_t n, uint32_t bytes)
{
    uint32_t list = n * (3 + bytes), have = 0;
    size_t all = 7 + (size_t)list;
    uint8_t *message = calloc(1, all);
    message[0] = 11;
    message[1] = (uint8_t)((list + 3) >> 16);
    message[2] = (uint8_t)((list + 3) >> 8);
    message[3] = (uint8_t)(list + 3);
    message[4] = (uint8_t)(list >> 16);
    message[5] = (uint8_t)(list >> 8);
    message[6] = (uint8_t)list;
    for (uint32_t i = 0; i < n; i++, have += 3 + bytes) {
        uint8_t *at = message + 7 + have;
        at[0] = (uint8_t)(bytes >> 16);
        at[1] = (uint8_t)(bytes >> 8);
        at[2] = (uint8_t)bytes;
        at[3] = 0x30;
    }
    for (size_t at = 0; at < all && lab->closed == 0; at += 16384) {
        put_record(lab, 22, message + at, all - at < 16384 ? all - at : 16384);
        lab_deliver(lab);
        lab_turn(lab);
    }
    free(message);
}

static void script_claims(struct lab *lab)
{
    static const uint8_t claim[] = {11, 0xff, 0xff, 0xff};
    put_record(lab, 22, claim, sizeof(claim));
}

static void script_chain_100(struct lab *lab)
{
    put_chain(lab, 100, 400);
}

static void script_chain_10(struct lab *lab)
{
    put_chain(lab, 10, 100);
}

static void script_one_large(struct lab *lab)
{
    put_chain(lab, 1, 1 << 20);
}

static void script_warnings(struct lab *lab)
{
    static const uint8_t warning[] = {1, 90};
    for (int i = 0; i < MANY; i++)
        put_record(lab, 21, warning, sizeof(warning));
}

static void script_empty(struct lab *lab)
{
    for (int i = 0; i < MANY; i++)
        put_record(lab, 22, (const uint8_t *)"", 0);
}

static void script_ccs(struct lab *lab)
{
    for (int i = 0; i < 40000 && lab->closed == 0; i++) {
        put_record(lab, 20, (const uint8_t *)"\1", 1);
        if (i % 500 == 499)
            lab_turn(lab);
    }
}

/* The header of a message whole, the rest of it in records of one byte: 96 KiB on the wire. */
static void script_one_by_one(struct lab *lab)
{
    static const uint8_t header[] = {11, 0, 62, 128};
    put_record(lab, 22, header, sizeof(header));
    for (int i = 0; i < 16000 && lab->closed == 0; i++) {
        put_record(lab, 22, header + 1, 1);
        if (i % 500 == 499)
            lab_turn(lab);
    }
}

static void script_large_record(struct lab *lab)
{
    put(lab, "\x16\x03\x03\xff\xff", 5);
}

struct script {
    const char *what;
    void (*run)(struct lab *lab);
    bool only_1_2; /* messages of 1.3 are not read there without keys */
    enum tls_counter counter;
    int alert;
    const char *reason;
};

static const struct script scripts[] = {
    {"a message that claims 16 MiB", script_claims, true, TLS_FAILED_FLOOD, 50, "too large"},
    {"100 certificates", script_chain_100, true, TLS_FAILED_FLOOD, 50, "too large"},
    {"10 certificates", script_chain_10, true, TLS_FAILED_VERIFY, 42, "certificate chain is too long"},
    {"one certificate of 1 MiB", script_one_large, true, TLS_FAILED_FLOOD, 50, "too large"},
    {"alerts that warn", script_warnings, true, TLS_FAILED_FLOOD, 10, "sends too many alerts"},
    {"empty handshake records", script_empty, true, TLS_FAILED_PROTOCOL, 0, NULL},
    {"ChangeCipherSpec that means nothing (RFC 8446 5)", script_ccs, false, TLS_FAILED_PROTOCOL, 0, NULL},
    {"a chain in records of one byte", script_one_by_one, true, TLS_FAILED_FLOOD, 40,
     "sends a handshake that does not end"},
    {"a record of 65,535 bytes (5.1)", script_large_record, true, TLS_FAILED_PROTOCOL, 0, NULL},
};

/* A ServerHello of TLS 1.2 for ECDHE-ECDSA-AES128-GCM-SHA256. */
static void put_server_hello(struct lab *lab)
{
    uint8_t hello[4 + 2 + 32 + 1 + 2 + 1] = {2, 0, 0, 38, 3, 3};
    memset(hello + 6, 0x5a, 32);
    hello[39] = 0xc0;
    hello[40] = 0x2b;
    put_record(lab, 22, hello, sizeof(hello));
}

/* The last fatal alert on the wire, which nothing protects; 0: none. */
static int wire_alert(const struct lab *lab)
{
    const uint8_t *p = lab->to_server.bytes + lab->to_server.from;
    size_t n = lab_pipe_bytes(&lab->to_server);
    int found = 0;
    while (n >= 5) {
        size_t body = (size_t)(p[3] << 8 | p[4]);
        if (n < 5 + body)
            break;
        if (p[0] == 21 && body == 2 && p[5] == 2)
            found = p[6];
        p += 5 + body;
        n -= 5 + body;
    }
    return found;
}

static bool run_script(const struct script *script, bool listener)
{
    struct tls_context *context;
    struct lab *lab = lab_create(NULL, NULL);
    struct tls_error error;
    if (listener) {
        struct tls_server_settings settings = lab_listener();
        struct lab_client client = {.certificate = "truck-001", .only_1_2 = script->only_1_2};
        context = lab_listener_context(&settings);
        lab_attach(lab, lab_client_ctx(&client));
        lab_accept(lab, context);
        lab_server_run(lab); /* its ClientHello */
        lab->server_failed = true;
        lab_turns(lab, 3);
    } else {
        struct tls_settings settings = lab_settings();
        settings.min_version = script->only_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
        context = tls_context_create(&settings, &error);
        lab_connect(lab, context, NULL);
        lab_turns(lab, 2);
        if (script->only_1_2)
            put_server_hello(lab);
        lab_turns(lab, 2);
    }
    bool good = lab->closed == 0;
    size_t heap_before = mallinfo2().uordblks;
    script->run(lab);
    lab_turns(lab, 6);
    good = good && lab->closed == 1 && lab->opened == 0 && of(lab, script->counter) == 1 &&
           lab->reason[0] != 0 && (script->reason == NULL || strstr(lab->reason, script->reason) != NULL) &&
           (script->alert == 0 || wire_alert(lab) == script->alert) &&
           mallinfo2().uordblks < heap_before + 65536;
    if (!good)
        fprintf(stderr, "\n%s (%s): opened %d closed %d, counted %llu, alert %d, '%s'\n", script->what,
                side_of(listener), lab->opened, lab->closed, (unsigned long long)of(lab, script->counter),
                wire_alert(lab), lab->reason);
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static void test_handshake(void)
{
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        CU_ASSERT_TRUE(run_script(&scripts[i], true));
        CU_ASSERT_TRUE(run_script(&scripts[i], false));
    }
}

/* What the peer sends in the clear: the header of each record's first message whole, which the library wants,
 * the rest in records of one byte each (RFC 8446 section 5.1). */
static void cut_up(struct lab *lab)
{
    size_t n = lab_pipe_bytes(&lab->to_client), at = 0;
    uint8_t *all = malloc(n + 1);
    memcpy(all, lab->to_client.bytes + lab->to_client.from, n);
    lab->to_client.from = lab->to_client.to = 0;
    while (at + 5 <= n) {
        size_t body = (size_t)(all[at + 3] << 8 | all[at + 4]);
        for (size_t i = 0; i < body && all[at] == 22; i += i == 0 ? 4 : 1)
            put_record(lab, 22, all + at + 5 + i, i == 0 ? 4 : 1);
        if (all[at] != 22)
            put(lab, all + at, 5 + body);
        at += 5 + body;
    }
    free(all);
}

static void test_one_by_one(void)
{
    for (int old = 0; old < 2; old++) {
        struct tls_server_settings settings = lab_listener();
        struct lab_client client = {.certificate = "truck-001", .only_1_2 = old != 0};
        struct tls_context *context = lab_listener_context(&settings);
        struct lab *lab = lab_create(NULL, NULL);
        lab_attach(lab, lab_client_ctx(&client));
        lab_accept(lab, context);
        lab_server_run(lab);
        cut_up(lab);
        lab_settle_listener(lab);
        if (lab->opened != 1)
            fprintf(stderr, "\n%s: %s", old ? "1.2" : "1.3", lab->reason);
        CU_ASSERT_EQUAL(lab->opened, 1);
        lab_destroy(lab);
        tls_context_unref(context);
    }
}

static void test_meter(void)
{
    uint8_t wire[3 * (5 + 300)];
    for (size_t i = 0; i < 3; i++) {
        memset(wire + i * 305, 7, 305);
        wire[i * 305 + 3] = 1;
        wire[i * 305 + 4] = 44;
    }
    for (size_t piece = 1; piece <= sizeof(wire); piece++) {
        struct record_meter meter = {.left = 0};
        for (size_t at = 0; at < sizeof(wire); at += piece)
            record_meter_take(&meter, wire + at, sizeof(wire) - at < piece ? sizeof(wire) - at : piece, 1);
        CU_ASSERT_TRUE_FATAL(meter.in_a_row == 3 && meter.left == 0 && meter.have == 0);
        record_meter_useful(&meter);
        CU_ASSERT_EQUAL_FATAL(meter.in_a_row, 0);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"records are counted however they come", test_meter},
        {"floods and sizes behind the handshake, both sides", test_behind},
        {"data or time between them", test_useful_between},
        {"floods and sizes in a handshake, both sides", test_handshake},
        {"a handshake in records of one byte", test_one_by_one},
    };
    if (tls_library_init() != 0 || !lab_clients_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_flood", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
