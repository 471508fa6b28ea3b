/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DTLS server with clients of our own, for its tests: datagrams are handed over by the test, lost and
 * changed where it says. */
#ifndef TESTS_UNIT_DTLS_SERVER_LAB_H
#define TESTS_UNIT_DTLS_SERVER_LAB_H

#include "dataplane/secure/dtls_server.h"

#include "dataplane/secure/dtls_record.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

#define S UINT64_C(1000000)
#define CLIENTS 40
#define QUEUE 256
#define DATAGRAM 2048
#define KEYS "probe-1:30313233343536373839616263646566\nprobe-2:00112233445566778899aabbccddeeff\n"

struct datagram {
    bool up;
    uint32_t client;
    size_t n;
    uint8_t at[DATAGRAM];
};

struct client {
    struct dtls_session *session;
    bool opened, closed;
    enum dtls_end why;
    char reason[200];
    uint32_t messages;
};

static struct lab_state {
    uint64_t now_us;
    struct timer_wheel *timers;
    struct dtls_worker *worker, *client_worker;
    struct dtls_context *context, *client_context, *next_context;
    struct dtls_server *server;
    struct client clients[CLIENTS];
    struct datagram queue[QUEUE];
    uint32_t first, n;
    bool fragment_hellos;
    uint32_t lose_one_in, chance;
    uint32_t drop_down; /* so many datagrams of the server */
    size_t hello_bytes, verify_bytes;
    uint32_t opened, closed, failed, capped, received, admitted;
    bool refuse;
    char cn[64], psk_id[64];
    struct dtls_endpoint *endpoint;
    char reason[200];
    char keys[128];
    const char *pins;
    bool ids;                /* connection ids, of both */
    uint32_t shift[CLIENTS]; /* a client's address is another */
    uint32_t moved;
    unsigned versions;                 /* of the server; 0: its default */
    enum dtls_versions client_version; /* 0: likewise */
    size_t longest;                    /* datagram of anybody */
    uint16_t datagram_max;             /* 0: 1,200 */
    struct dtls_context *current;      /* what is in force when a handshake is done; NULL: as `context` */
} lab_now;

static inline void fail(const char *text)
{
    fprintf(stderr, "\n    %s", text);
    CU_FAIL("see above");
}

static inline uint16_t most(void)
{
    return lab_now.datagram_max == 0 ? 1200 : lab_now.datagram_max;
}

static inline struct flow_key key_of(uint32_t client)
{
    struct flow_key key = {.local_port = 5684, .remote_port = (uint16_t)(40000 + client), .protocol = 17};
    key.local = ip_address_v4(0x0a140001);
    key.remote = ip_address_v4(0x0a140011 + lab_now.shift[client]);
    return key;
}

static inline void push(bool up, uint32_t client, const uint8_t *at, size_t n)
{
    if (lab_now.lose_one_in != 0 &&
        (lab_now.chance = lab_now.chance * 1103515245 + 12345) >> 16 % lab_now.lose_one_in == 0)
        return;
    CU_ASSERT_TRUE_FATAL(lab_now.n < QUEUE && n <= DATAGRAM);
    lab_now.longest = n > lab_now.longest ? n : lab_now.longest;
    struct datagram *d = &lab_now.queue[(lab_now.first + lab_now.n++) % QUEUE];
    d->up = up;
    d->client = client;
    d->n = n;
    memcpy(d->at, at, n);
}

static inline bool is_hello(const uint8_t *at, size_t n)
{
    struct dtls_hello hello;
    return dtls_hello_parse(at, n, &hello) == DTLS_HELLO_WHOLE;
}

/* A whole ClientHello as records with a fragment of 40 bytes each. */
static inline void push_in_fragments(uint32_t client, const uint8_t *at, size_t n)
{
    const size_t head = DTLS_RECORD_HEADER_BYTES + DTLS_HANDSHAKE_HEADER_BYTES;
    for (size_t offset = 0; offset < n - head; offset += 40) {
        uint8_t part[256];
        size_t take = n - head - offset < 40 ? n - head - offset : 40;
        memcpy(part, at, head);
        part[12] = (uint8_t)(DTLS_HANDSHAKE_HEADER_BYTES + take);
        part[11] = 0;
        part[20] = (uint8_t)(offset >> 8);
        part[21] = (uint8_t)offset;
        part[23] = 0;
        part[24] = (uint8_t)take;
        memcpy(part + head, at + head + offset, take);
        push(true, client, part, head + take);
    }
}

static inline uint32_t number_of(void *owner)
{
    return (uint32_t)((struct client *)owner - lab_now.clients);
}

static inline void client_sends(void *owner, const uint8_t *at, size_t n)
{
    if (is_hello(at, n)) {
        lab_now.hello_bytes = n;
        if (lab_now.fragment_hellos) {
            push_in_fragments(number_of(owner), at, n);
            return;
        }
    }
    push(true, number_of(owner), at, n);
}

static inline void client_opened(void *owner)
{
    ((struct client *)owner)->opened = true;
}

static inline void client_received(void *owner, const uint8_t *message, size_t n)
{
    (void)message;
    (void)n;
    ((struct client *)owner)->messages++;
}

static inline void client_closed(void *owner, enum dtls_end why, const char *reason)
{
    struct client *client = owner;
    client->closed = true;
    client->why = why;
    snprintf(client->reason, sizeof(client->reason), "%s", reason);
    dtls_session_close(client->session);
    client->session = NULL;
}

static const struct dtls_handler client_handler = {
    .send = client_sends, .opened = client_opened, .received = client_received, .closed = client_closed};

static inline void server_moved(void *owner, struct dtls_endpoint *endpoint, const struct flow_key *old)
{
    (void)owner;
    CU_ASSERT_NOT_EQUAL(memcmp(dtls_endpoint_key(endpoint), old, sizeof(*old)), 0);
    lab_now.moved++;
}

static inline void server_sends(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *at,
                                size_t n)
{
    (void)owner;
    CU_ASSERT_EQUAL(*path, 7);
    if (at[13] == DTLS_HELLO_VERIFY && at[0] == DTLS_CONTENT_HANDSHAKE)
        lab_now.verify_bytes = n;
    if (lab_now.drop_down > 0)
        lab_now.drop_down--;
    else
        push(false, key->remote_port - 40000u, at, n);
}

static inline bool server_admits(void *owner, const struct flow_key *key, uint32_t listener)
{
    (void)owner;
    (void)key;
    CU_ASSERT_EQUAL(listener, 3);
    lab_now.admitted++;
    return !lab_now.refuse;
}

static inline void server_opened(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    lab_now.opened++;
    lab_now.endpoint = endpoint;
    const struct tls_peer *peer = dtls_endpoint_peer(endpoint);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    snprintf(lab_now.cn, sizeof(lab_now.cn), "%s", peer->cn == NULL ? "" : peer->cn);
    snprintf(lab_now.psk_id, sizeof(lab_now.psk_id), "%s", peer->psk_id == NULL ? "" : peer->psk_id);
}

static inline void server_received(void *owner, struct dtls_endpoint *endpoint, const uint8_t *message,
                                   size_t n)
{
    (void)owner;
    lab_now.received++;
    CU_ASSERT_TRUE(dtls_endpoint_write(endpoint, message, n)); /* it echoes */
}

static inline void server_closed(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    (void)endpoint;
    lab_now.closed++;
}

static inline void server_failed(void *owner, const struct dtls_endpoint *endpoint, enum dtls_end why,
                                 const char *reason)
{
    (void)owner;
    (void)why;
    CU_ASSERT_EQUAL(dtls_endpoint_listener(endpoint), 3);
    lab_now.failed++;
    snprintf(lab_now.reason, sizeof(lab_now.reason), "%s", reason);
}

static inline void server_capped(void *owner, const struct flow_key *key, uint32_t listener,
                                 enum dtls_server_limit limit)
{
    (void)owner;
    (void)key;
    (void)listener;
    (void)limit;
    lab_now.capped++;
}

static inline struct dtls_context *server_current(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    CU_ASSERT_EQUAL(dtls_endpoint_listener(endpoint), 3);
    return lab_now.current == NULL ? lab_now.context : lab_now.current;
}

static const struct dtls_server_handler server_handler = {.send = server_sends,
                                                          .admit = server_admits,
                                                          .opened = server_opened,
                                                          .received = server_received,
                                                          .moved = server_moved,
                                                          .closed = server_closed,
                                                          .failed = server_failed,
                                                          .capped = server_capped,
                                                          .current = server_current};

static inline struct dtls_context *server_context(bool keys, bool certificates, const char *crl)
{
    struct tls_error error = {.text = ""};
    struct dtls_server_settings settings = {.psk_file = keys && tls_library_has_psk() ? lab_now.keys : NULL,
                                            .versions = lab_now.versions,
                                            .connection_ids = lab_now.ids};
    if (certificates) {
        settings.certificate_file = lab_path("server.pem");
        settings.key_file = lab_path("server.key");
        settings.client_ca_file = lab_path("ca.pem");
        settings.crl_file = crl == NULL ? NULL : lab_path(crl);
        settings.pins = lab_now.pins;
    }
    struct dtls_context *context = dtls_server_context_create(&settings, &error);
    if (context == NULL)
        fail(error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

static inline void write_keys(const char *text)
{
    snprintf(lab_now.keys, sizeof(lab_now.keys), "%s", lab_path("server.psk"));
    FILE *file = fopen(lab_now.keys, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static inline void open_server(struct handshake_pool *pool, struct dtls_context *context, uint32_t endpoints)
{
    struct dtls_server_config config = {.endpoints = endpoints,
                                        .handshakes = 20,
                                        .handshakes_per_source = 8,
                                        .timers = lab_now.timers,
                                        .now_us = &lab_now.now_us,
                                        .handler = &server_handler,
                                        .owner = &lab_now};
    memset(config.secret, 0x5a, sizeof(config.secret));
    lab_now.worker = config.worker = dtls_worker_create(16, pool);
    lab_now.client_worker = dtls_worker_create(16, NULL);
    lab_now.context = context;
    lab_now.server = dtls_server_create(&config);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lab_now.server);
}

static inline void begin_lab(void)
{
    unsigned versions = lab_now.versions;
    enum dtls_versions client_version = lab_now.client_version;
    bool ids = lab_now.ids;
    memset(&lab_now, 0, sizeof(lab_now));
    lab_now.ids = ids;
    lab_now.versions = versions;
    lab_now.client_version = client_version;
    CU_ASSERT_TRUE_FATAL(lab_pki());
    lab_now.now_us = 1000 * S;
    lab_now.timers = timer_wheel_create(lab_now.now_us);
    write_keys(KEYS);
}

static inline void open_psk(void)
{
    struct tls_error error;
    begin_lab();
    open_server(NULL, server_context(true, false, NULL), 32);
    struct dtls_settings settings = {.psk_file = lab_now.keys,
                                     .psk_id = "%s",
                                     .version = lab_now.client_version,
                                     .connection_ids = lab_now.ids};
    lab_now.client_context = dtls_context_create(&settings, &error);
}

static inline void client_certificates(const char *name)
{
    struct tls_error error;
    char certificate[128], key[128];
    snprintf(certificate, sizeof(certificate), "%s/%s.pem", lab_dir, name == NULL ? "%s" : name);
    snprintf(key, sizeof(key), "%s/%s.key", lab_dir, name == NULL ? "%s" : name);
    struct tls_settings tls = {.ca_file = lab_path("ca.pem"),
                               .server_name = LAB_NAME,
                               .certificate_file = certificate,
                               .key_file = key,
                               .resumption = true};
    struct dtls_settings settings = {
        .certificates = &tls, .version = lab_now.client_version, .connection_ids = lab_now.ids};
    dtls_context_unref(lab_now.client_context);
    lab_now.client_context = dtls_context_create(&settings, &error);
    if (lab_now.client_context == NULL)
        fail(error.text);
}

static inline void end_lab(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (lab_now.clients[i].session != NULL)
            dtls_session_drop(lab_now.clients[i].session);
    dtls_server_destroy(lab_now.server);
    dtls_worker_destroy(lab_now.worker);
    dtls_worker_destroy(lab_now.client_worker);
    dtls_context_unref(lab_now.context);
    dtls_context_unref(lab_now.next_context);
    dtls_context_unref(lab_now.client_context);
    timer_wheel_destroy(lab_now.timers);
}

static inline void dial(uint32_t i, const char *identity)
{
    struct tls_error error = {.text = ""};
    struct client *client = &lab_now.clients[i];
    *client = (struct client){.session = NULL};
    client->session = dtls_connect(lab_now.client_worker, lab_now.client_context, identity, NULL, most(),
                                   &client_handler, client, lab_now.now_us, &error);
    if (client->session == NULL)
        fail(error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(client->session);
}

static inline void arrive(uint32_t client, const uint8_t *at, size_t n)
{
    struct dtls_arrival arrival = {
        .key = key_of(client), .path = 7, .listener = 3, .datagram_max = most(), .datagram = at, .n = n};
    dtls_server_input(lab_now.server, lab_now.context, &arrival);
}

static inline bool step(void)
{
    if (lab_now.n == 0)
        return false;
    struct datagram *d = &lab_now.queue[lab_now.first];
    struct datagram copy = *d;
    lab_now.first = (lab_now.first + 1) % QUEUE;
    lab_now.n--;
    if (copy.up)
        arrive(copy.client, copy.at, copy.n);
    else if (lab_now.clients[copy.client].session != NULL)
        dtls_session_input(lab_now.clients[copy.client].session, copy.at, copy.n, lab_now.now_us);
    return true;
}

static inline void exchange(void)
{
    for (int i = 0; i < 1000 && step(); i++) {
    }
}

/* Lets time pass, second by second, with every timer. */
static inline void pass(uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds; i++) {
        lab_now.now_us += S;
        timer_wheel_advance(lab_now.timers, lab_now.now_us, 10000);
        for (uint32_t c = 0; c < CLIENTS; c++)
            if (lab_now.clients[c].session != NULL)
                dtls_session_fire(lab_now.clients[c].session, lab_now.now_us);
        exchange();
    }
}

static inline uint64_t counter(enum dtls_server_counter which)
{
    return dtls_server_counter(lab_now.server, which);
}

static inline void say(uint32_t client)
{
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[client].session, (const uint8_t *)"hello", 5));
    exchange();
}

/* ---- what every version does alike --------------------------------------------------------------------- */

/* The ClientHello with its cookie, seen to be good for the address that it was made for, and not for ever.
 * The secret of the minute before is in force at the end. Answers its bytes. */
static inline size_t hello_of_one_address(uint8_t hello[DATAGRAM])
{
    open_psk();
    dial(0, "probe-1");
    step();
    step(); /* the client has its cookie, and has sent it */
    struct datagram *d = &lab_now.queue[lab_now.first];
    size_t n = d->n;
    memcpy(hello, d->at, n);
    lab_now.n = 0;
    arrive(1, hello, n); /* from another port */
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 0);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_COOKIES), 2);
    lab_now.now_us += 3 * 60 * S;
    arrive(0, hello, n);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 0);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    lab_now.now_us -= 2 * 60 * S;
    return n;
}

/* A session whose ClientHellos come in fragments, open. */
static inline void open_by_fragments(void)
{
    open_psk();
    lab_now.fragment_hellos = true;
    dial(0, "probe-1");
    CU_ASSERT_TRUE(lab_now.n > 1);
    exchange();
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_COOKIES), 1);
    CU_ASSERT_TRUE(counter(DTLS_SERVER_FRAGMENTS) > 3);
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
}

#endif
