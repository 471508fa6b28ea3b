/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams for a DTLS server and for a client of ours, before, in and after a handshake. Input: a stream of
 * { what, length, bytes }: raw to the server, to the client, with a good cookie put into a ClientHello, or an
 * own datagram of the real handshake changed at places. What an open session delivers must be what was sent.
 * Where the first byte is FF all of it is DTLS 1.3 with connection ids, and the client may be at another port
 * when it writes.
 */
#include "dataplane/secure/dtls13_hello.h"
#include "dataplane/secure/dtls_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE "a message of the real client"
#define DATAGRAM_MAX 1500
#define QUEUE 64

struct datagram {
    size_t n;
    uint8_t at[DATAGRAM_MAX];
};

struct queue {
    uint32_t first, n;
    struct datagram all[QUEUE];
};

static struct {
    struct dtls_context *client_context, *server_context; /* in force */
    struct dtls_context *clients[2], *servers[2];         /* of 1.2 and 1.3; NULL: not there */
    uint16_t port;                                        /* of the real client */
    struct dtls_worker *worker;
    struct timer_wheel *timers;
    struct dtls_server *server;
    struct dtls_session *client;
    struct dtls_endpoint *endpoint;
    struct queue up, down;
    uint64_t now_us;
    uint8_t secret[48];
} lab;

static void push(struct queue *q, const uint8_t *at, size_t n)
{
    if (q->n == QUEUE || n > DATAGRAM_MAX)
        return;
    struct datagram *d = &q->all[(q->first + q->n++) % QUEUE];
    d->n = n;
    memcpy(d->at, at, n);
}

static void client_sends(void *owner, const uint8_t *at, size_t n)
{
    (void)owner;
    push(&lab.up, at, n);
}

static void client_opened(void *owner)
{
    (void)owner;
}

static void must_be_ours(const uint8_t *message, size_t n)
{
    if (n != strlen(MESSAGE) || memcmp(message, MESSAGE, n) != 0)
        abort();
}

static void client_received(void *owner, const uint8_t *message, size_t n)
{
    (void)owner;
    must_be_ours(message, n);
}

static void client_closed(void *owner, enum dtls_end why, const char *reason)
{
    (void)owner;
    (void)why;
    (void)reason;
    dtls_session_close(lab.client);
    lab.client = NULL;
}

static const struct dtls_handler client_handler = {
    .send = client_sends, .opened = client_opened, .received = client_received, .closed = client_closed};

static void server_sends(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *at, size_t n)
{
    (void)owner;
    (void)path;
    if (key->remote_port == lab.port)
        push(&lab.down, at, n);
}

static bool server_admits(void *owner, const struct flow_key *key, uint32_t listener)
{
    (void)owner;
    (void)key;
    (void)listener;
    return true;
}

static void server_opened(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    if (dtls_endpoint_key(endpoint)->remote_port != lab.port && dtls_endpoint_key(endpoint)->remote_port != 1)
        abort(); /* nobody else has the key */
    lab.endpoint = endpoint;
}

static void server_received(void *owner, struct dtls_endpoint *endpoint, const uint8_t *message, size_t n)
{
    (void)owner;
    must_be_ours(message, n);
    dtls_endpoint_write(endpoint, message, n);
}

static void server_closed(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    (void)endpoint;
    lab.endpoint = NULL;
}

static void server_failed(void *owner, const struct dtls_endpoint *endpoint, enum dtls_end why,
                          const char *reason)
{
    (void)owner;
    (void)endpoint;
    (void)why;
    if (strlen(reason) == 0)
        abort();
}

static void server_capped(void *owner, const struct flow_key *key, uint32_t listener,
                          enum dtls_server_limit limit)
{
    (void)owner;
    (void)key;
    (void)listener;
    (void)limit;
}

static const struct dtls_server_handler server_handler = {.send = server_sends,
                                                          .admit = server_admits,
                                                          .opened = server_opened,
                                                          .received = server_received,
                                                          .closed = server_closed,
                                                          .failed = server_failed,
                                                          .capped = server_capped};

static void arrive(uint16_t port, const uint8_t *at, size_t n)
{
    struct dtls_arrival arrival = {
        .key = {.remote_port = port, .local_port = 5684, .protocol = 17}, .datagram_max = 1200, .n = n};
    uint8_t *copy = malloc(n == 0 ? 1 : n); /* so that reading past it is seen */
    memcpy(copy, at, n);
    arrival.datagram = copy;
    dtls_server_input(lab.server, lab.server_context, &arrival);
    free(copy);
}

static void to_client(const uint8_t *at, size_t n)
{
    uint8_t *copy = malloc(n == 0 ? 1 : n);
    memcpy(copy, at, n);
    if (lab.client != NULL)
        dtls_session_input(lab.client, copy, n, lab.now_us);
    free(copy);
}

/* One datagram of the real handshake goes on; where `change` says so it is changed first. */
static void pump(const uint8_t *change, size_t n)
{
    struct queue *q = lab.up.n > 0 ? &lab.up : &lab.down;
    if (q->n == 0)
        return;
    struct datagram d = q->all[q->first];
    q->first = (q->first + 1) % QUEUE;
    q->n--;
    for (size_t i = 0; i + 1 < n; i += 2)
        d.at[change[i] % d.n] ^= change[i + 1];
    if (q == &lab.up)
        arrive(lab.port, d.at, d.n);
    else
        to_client(d.at, d.n);
}

/* The bytes as a ClientHello, with the cookie that it should have had. */
static void hello_with_cookie(const uint8_t *at, size_t n)
{
    struct dtls_hello hello;
    struct dtls_cookies cookies;
    struct flow_key key = {.remote_port = 2, .local_port = 5684, .protocol = 17};
    uint8_t copy[DATAGRAM_MAX];
    if (n > sizeof(copy))
        return;
    memcpy(copy, at, n);
    dtls_cookies_init(&cookies, lab.secret, lab.now_us);
    if (dtls_hello_parse(copy, n, &hello) == DTLS_HELLO_WHOLE && hello.cookie.n == DTLS_COOKIE_BYTES) {
        if (!dtls_cookie_make(&cookies, &key, &hello, lab.now_us, copy + (hello.cookie.at - copy)))
            abort();
    }
    struct dtls13_offer offer;
    if (dtls_hello_parse(copy, n, &hello) == DTLS_HELLO_WHOLE &&
        dtls13_hello_read(&hello, &offer) == DTLS13_GOOD && offer.cookie.n > DTLS_COOKIE_BYTES) {
        size_t front = offer.cookie.n - DTLS_COOKIE_BYTES;
        uint8_t *mac = copy + (offer.cookie.at - copy) + front;
        if (!dtls_cookie_mac(&cookies, &key, offer.cookie.at, front, lab.now_us, mac))
            abort();
    }
    arrive(2, copy, n);
}

static void begin(bool version_1_3)
{
    struct tls_error error;
    lab.client_context = lab.clients[version_1_3];
    lab.server_context = lab.servers[version_1_3];
    lab.port = 1;
    struct dtls_server_config config = {.endpoints = 8,
                                        .handshakes = 4,
                                        .worker = lab.worker,
                                        .timers = lab.timers,
                                        .now_us = &lab.now_us,
                                        .handler = &server_handler};
    memcpy(config.secret, lab.secret, sizeof(config.secret));
    lab.server = dtls_server_create(&config);
    lab.up.n = lab.down.n = 0;
    lab.client = dtls_connect(lab.worker, lab.client_context, "probe", NULL, 1200, &client_handler, NULL,
                              lab.now_us, &error);
    if (lab.server == NULL || lab.client == NULL)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[] = "/tmp/fuzz-dtls-XXXXXX";
    static const char keys[] = "probe:30313233343536373839616263646566\n";
    struct tls_error error = {.text = ""};
    (void)argc;
    (void)argv;
    int fd = mkstemp(path);
    if (tls_library_init() != 0 || fd < 0 || write(fd, keys, strlen(keys)) != (ssize_t)strlen(keys))
        abort();
    close(fd);
    struct dtls_settings client = {.psk_file = path, .psk_id = "%s"};
    struct dtls_server_settings server = {.psk_file = path};
    lab.clients[0] = dtls_context_create(&client, &error);
    lab.servers[0] = dtls_server_context_create(&server, &error);
    client.version = DTLS_1_3;
    server.versions = DTLS_1_3 | DTLS_1_2;
    client.connection_ids = server.connection_ids = true;
    if (tls_library_has_connection_ids()) {
        lab.clients[1] = dtls_context_create(&client, &error);
        lab.servers[1] = dtls_server_context_create(&server, &error);
    }
    unlink(path);
    lab.now_us = UINT64_C(1000000000);
    lab.worker = dtls_worker_create(16, NULL);
    lab.timers = timer_wheel_create(lab.now_us);
    memset(lab.secret, 9, sizeof(lab.secret));
    if (lab.clients[0] == NULL || lab.servers[0] == NULL ||
        (tls_library_has_connection_ids() && (lab.clients[1] == NULL || lab.servers[1] == NULL)))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool version_1_3 = size > 0 && data[0] == 0xff && lab.clients[1] != NULL;
    begin(version_1_3);
    data += version_1_3;
    size -= version_1_3;
    while (size >= 2) {
        uint8_t what = data[0];
        size_t n = data[1];
        data += 2;
        size -= 2;
        if (n > size)
            n = size;
        switch (what % 8) {
        case 0:
            arrive(1, data, n);
            break;
        case 1:
            to_client(data, n);
            break;
        case 2:
            hello_with_cookie(data, n);
            break;
        case 3:
            pump(data, n);
            break;
        case 4:
            pump(NULL, 0);
            n = 0;
            break;
        case 5:
            if (version_1_3 && what >= 128)
                lab.port = (uint16_t)(100 + what);
            if (lab.client != NULL)
                dtls_session_write(lab.client, (const uint8_t *)MESSAGE, strlen(MESSAGE));
            n = 0;
            break;
        case 6:
            lab.now_us += 1000000;
            timer_wheel_advance(lab.timers, lab.now_us, 1000);
            if (lab.client != NULL)
                dtls_session_fire(lab.client, lab.now_us);
            n = 0;
            break;
        case 7:
            arrive((uint16_t)(3 + what / 8), data, n);
            break;
        }
        data += n;
        size -= n;
    }
    if (dtls_server_endpoints(lab.server) > 8 || dtls_server_handshakes(lab.server) > 4)
        abort();
    if (lab.client != NULL)
        dtls_session_close(lab.client);
    lab.client = NULL;
    dtls_server_destroy(lab.server);
    return 0;
}
