/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Session tickets of a listener (B5): keys that rotate, peers that are kept, revocation after the fact. */
#include "dataplane/secure/tls_peer.h"
#include "dataplane/secure/tls_ticket.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_server_lab.h"

#define STATE_BYTES 96

struct ticket {
    uint8_t name[TLS_TICKET_NAME_BYTES];
    uint8_t iv[TLS_TICKET_IV_BYTES];
    uint8_t mac[TLS_TICKET_MAC_BYTES];
    uint8_t state[STATE_BYTES + TLS_TICKET_EXTRA_BYTES];
};

static struct ticket seal(struct tls_tickets *tickets, struct tls_peer *peer, int64_t now_s)
{
    struct ticket ticket;
    memset(&ticket, 7, sizeof(ticket));
    CU_ASSERT_TRUE_FATAL(tls_tickets_seal(tickets, peer, now_s, ticket.name, ticket.iv, ticket.mac,
                                          ticket.state, STATE_BYTES));
    return ticket;
}

static bool opens(struct tls_tickets *tickets, struct ticket ticket, int64_t now_s, struct tls_peer **peer)
{
    *peer = NULL;
    bool good = tls_tickets_open(tickets, now_s, ticket.name, ticket.iv, ticket.mac, ticket.state,
                                 sizeof(ticket.state), peer);
    for (size_t i = 0; good && i < STATE_BYTES; i++)
        good = ticket.state[i] == 7;
    return good;
}

static void test_rotation(void)
{
    struct tls_tickets *tickets = tls_tickets_create(4);
    struct tls_peer *peer;
    struct ticket first = seal(tickets, NULL, 1000);
    static const struct {
        int64_t after_s;
        bool good;
    } cases[] = {{0, true},
                 {TLS_TICKET_ROTATE_S - 1, true},
                 {TLS_TICKET_ROTATE_S, true},
                 {2 * TLS_TICKET_ROTATE_S - 1, true},
                 {2 * TLS_TICKET_ROTATE_S, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CU_ASSERT_EQUAL(opens(tickets, first, 1000 + cases[i].after_s, &peer), cases[i].good);
    tls_tickets_destroy(tickets);
    /* A key that has been silent for long is not taken up again as the one before. */
    tickets = tls_tickets_create(4);
    first = seal(tickets, NULL, 0);
    CU_ASSERT_FALSE(opens(tickets, first, 5 * TLS_TICKET_ROTATE_S, &peer));
    struct ticket second = seal(tickets, NULL, 5 * TLS_TICKET_ROTATE_S);
    CU_ASSERT_NOT_EQUAL(memcmp(first.name, second.name, sizeof(first.name)), 0);
    tls_tickets_destroy(tickets);
}

/* Any bit that is changed, any other listener: no. */
static void test_forged(void)
{
    struct tls_tickets *tickets = tls_tickets_create(4);
    struct tls_tickets *other = tls_tickets_create(4);
    struct tls_peer *peer;
    struct ticket good = seal(tickets, NULL, 0);
    CU_ASSERT_FALSE(opens(other, good, 0, &peer));
    for (size_t at = 0; at < sizeof(good); at++) {
        struct ticket bad = good;
        ((uint8_t *)&bad)[at] ^= 1;
        bool filler = at >= offsetof(struct ticket, mac) + 16 && at < offsetof(struct ticket, state);
        CU_ASSERT_EQUAL(opens(tickets, bad, 0, &peer), filler);
    }
    tls_tickets_destroy(tickets);
    tls_tickets_destroy(other);
}

/* The table of peers is bounded; whose place was taken handshakes in full. */
static void test_peers(void)
{
    struct tls_tickets *tickets = tls_tickets_create(2);
    struct ticket ticket[3];
    struct tls_peer *peer;
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof(name), "p%d", i);
        struct tls_peer *own = tls_peer_of_psk(name);
        own->fingerprint[0] = (uint8_t)(i + 1);
        ticket[i] = seal(tickets, own, 0);
        tls_peer_unref(own);
    }
    CU_ASSERT_FALSE(opens(tickets, ticket[0], 0, &peer));
    CU_ASSERT_PTR_NULL(peer);
    CU_ASSERT_TRUE(opens(tickets, ticket[2], 0, &peer));
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    CU_ASSERT_STRING_EQUAL(peer->psk_id, "p2");
    tls_peer_unref(peer);
    tls_tickets_destroy(tickets);
}

/* ---- with a client ------------------------------------------------------------------------------------- */

/* A client that comes twice. */
struct twice {
    struct tls_context *context;
    WOLFSSL_CTX *client;
    WOLFSSL_SESSION *session; /* of the first time */
};

static struct lab *come(struct twice *twice, const char *suites)
{
    struct lab *lab = lab_create(NULL, NULL);
    wolfSSL_CTX_up_ref(twice->client);
    lab_attach(lab, twice->client);
    if (suites != NULL)
        wolfSSL_set_cipher_list(lab->server, suites);
    if (twice->session != NULL)
        wolfSSL_set_session(lab->server, twice->session);
    lab_accept(lab, twice->context);
    lab_settle_listener(lab);
    lab_turns(lab, 10);
    return lab;
}

static void leave(struct twice *twice, struct lab *lab)
{
    wolfSSL_SESSION_free(twice->session);
    twice->session = wolfSSL_get1_session(lab->server);
    lab_destroy(lab);
}

static void end(struct twice *twice)
{
    wolfSSL_SESSION_free(twice->session);
    wolfSSL_CTX_free(twice->client);
    tls_context_unref(twice->context);
}

static struct twice begin(const struct tls_server_settings *settings, const struct lab_client *client)
{
    return (struct twice){.context = lab_listener_context(settings), .client = lab_client_ctx(client)};
}

static void resume(bool only_1_2)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "named", .only_1_2 = only_1_2};
    struct twice twice = begin(&settings, &client);
    leave(&twice, come(&twice, NULL));
    for (int again = 0; again < 3; again++) {
        struct lab *lab = come(&twice, NULL);
        CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
        CU_ASSERT_TRUE(tls_stream_resumed(lab->client));
        const struct tls_peer *peer = tls_stream_peer(lab->client);
        CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
        CU_ASSERT_STRING_EQUAL(peer->cn, "truck-001");
        CU_ASSERT_EQUAL(peer->sans_n, 2);
        leave(&twice, lab);
    }
    end(&twice);
}

static void test_resumed(void)
{
    resume(false);
    resume(true);
}

static void test_no_resumption(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "named"};
    settings.resumption = false;
    struct twice twice = begin(&settings, &client);
    leave(&twice, come(&twice, NULL));
    struct lab *lab = come(&twice, NULL);
    CU_ASSERT_EQUAL(lab->opened, 1);
    CU_ASSERT_FALSE(tls_stream_resumed(lab->client));
    leave(&twice, lab);
    end(&twice);
}

/* A reload: tickets of the old context are not known to the new one; the certificate counts again. */
static void test_reload(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "clater"};
    struct twice twice = begin(&settings, &client);
    leave(&twice, come(&twice, NULL));
    tls_context_unref(twice.context);
    settings.crl_file = lab_path("later.crl");
    twice.context = lab_listener_context(&settings);
    struct lab *lab = come(&twice, NULL);
    CU_ASSERT_EQUAL(lab->opened, 0);
    CU_ASSERT_STRING_EQUAL(lab->reason, "certificate has been revoked");
    lab_destroy(lab);
    end(&twice);
}

/* Somebody shows a ticket that he saw on the wire, with a suite it was not made for, and no certificate: he
 * is nobody, where nobody is let in, and not the ticket's holder. */
static void test_stolen(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client victim = {.certificate = "named", .suites = "TLS13-CHACHA20-POLY1305-SHA256"};
    struct lab_client thief = {.certificate = NULL};
    settings.needs_certificate = false;
    struct twice twice = begin(&settings, &victim);
    leave(&twice, come(&twice, NULL));
    wolfSSL_CTX_free(twice.client);
    twice.client = lab_client_ctx(&thief);
    struct lab *lab = come(&twice, "TLS13-AES128-GCM-SHA256:TLS13-CHACHA20-POLY1305-SHA256");
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_FALSE(tls_stream_resumed(lab->client));
    CU_ASSERT_PTR_NULL(tls_stream_peer(lab->client));
    lab_destroy(lab);
    end(&twice);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"keys rotate (B5)", test_rotation},
        {"changed and foreign tickets", test_forged},
        {"a bounded table of peers", test_peers},
        {"a resumed session has its peer (B5)", test_resumed},
        {"without resumption", test_no_resumption},
        {"revoked between two sessions (B4)", test_reload},
        {"a ticket that was seen on the wire", test_stolen},
    };
    if (tls_library_init() != 0 || !lab_clients_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_ticket", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
