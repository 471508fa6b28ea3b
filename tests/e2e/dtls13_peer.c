/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A peer of DTLS 1.3 for the end-to-end tests, for no other program of Debian 12 speaks it: a CoAP client or
 * server with a pre-shared key, on the library's own API and the kernel's sockets, with no line of the
 * gateway.
 *
 *   dtls13_peer client FROM[,FROM...] ADDRESS PORT IDENTITY KEY PATH...
 *       asks for each PATH by GET; each from the next FROM, of which every one is a socket of its own: the
 *       session moves with its connection id. Prints "CODE PAYLOAD" for each, and "id N" first: its bytes.
 *   dtls13_peer server ADDRESS PORT IDENTITY KEY
 *       answers each request with its path and whom it came from; gives connection ids.
 *
 * Waits 5 s for an answer, 60 s for a request.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(WOLFSSL_DTLS13) && defined(WOLFSSL_DTLS_CID)

#define SESSIONS 16
#define ID_BYTES 6

struct session {
    WOLFSSL *ssl;
    struct sockaddr_in peer;
    uint8_t id[ID_BYTES];
    bool open;
    const uint8_t *wire;
    int wire_n;
};

static int descriptor;
static const char *own_identity;
static uint8_t key[64];
static unsigned int key_n;

static void die(const char *what)
{
    fprintf(stderr, "dtls13_peer: %s\n", what);
    exit(1);
}

static int on_receive(WOLFSSL *ssl, char *out, int room, void *owner)
{
    struct session *s = owner;
    (void)ssl;
    int n = s->wire_n;
    s->wire_n = 0;
    if (n <= 0 || n > room)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, s->wire, (size_t)n);
    return n;
}

static int on_send(WOLFSSL *ssl, char *at, int n, void *owner)
{
    struct session *s = owner;
    (void)ssl;
    sendto(descriptor, at, (size_t)n, 0, (const struct sockaddr *)&s->peer, sizeof(s->peer));
    return n;
}

static unsigned int client_psk(WOLFSSL *ssl, const char *hint, char *identity, unsigned int room,
                               unsigned char *out, unsigned int out_room, const char **suite)
{
    (void)ssl;
    (void)hint;
    (void)out_room;
    *suite = "TLS13-AES128-GCM-SHA256";
    snprintf(identity, room, "%s", own_identity);
    memcpy(out, key, key_n);
    return key_n;
}

static unsigned int server_psk(WOLFSSL *ssl, const char *identity, unsigned char *out, unsigned int out_room,
                               const char **suite)
{
    (void)ssl;
    (void)out_room;
    *suite = "TLS13-AES128-GCM-SHA256";
    memcpy(out, key, key_n);
    return strcmp(identity, own_identity) == 0 ? key_n : 0;
}

static WOLFSSL_CTX *make_ctx(bool server)
{
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(server ? wolfDTLSv1_3_server_method() : wolfDTLSv1_3_client_method());
    if (ctx == NULL || wolfSSL_CTX_set_cipher_list(ctx, "TLS13-AES128-GCM-SHA256") != WOLFSSL_SUCCESS)
        die("no context");
    if (server) {
        wolfSSL_CTX_set_psk_server_tls13_callback(ctx, server_psk);
        wolfSSL_CTX_no_ticket_TLSv13(ctx);
    } else {
        wolfSSL_CTX_set_psk_client_tls13_callback(ctx, client_psk);
    }
    return ctx;
}

static void set_up(struct session *s, WOLFSSL_CTX *ctx)
{
    static uint8_t secret[32] = {1, 2, 3};
    s->ssl = wolfSSL_new(ctx);
    if (s->ssl == NULL)
        die("no session");
    wolfSSL_SSLSetIORecv(s->ssl, on_receive);
    wolfSSL_SSLSetIOSend(s->ssl, on_send);
    wolfSSL_SetIOReadCtx(s->ssl, s);
    wolfSSL_SetIOWriteCtx(s->ssl, s);
    wolfSSL_dtls_set_using_nonblock(s->ssl, 1);
    wolfSSL_dtls_cid_use(s->ssl);
    if (wolfSSL_is_server(s->ssl)) {
        wolfSSL_dtls_set_peer(s->ssl, &s->peer, sizeof(s->peer));
        wolfSSL_send_hrr_cookie(s->ssl, secret, sizeof(secret));
        wolfSSL_dtls_cid_set(s->ssl, s->id, ID_BYTES);
    }
}

static int bind_to(const char *address, int port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || inet_pton(AF_INET, address, &own.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0)
        die("cannot bind");
    return fd;
}

/* A datagram within `ms`; 0: none. */
static int wait_for(uint8_t *at, size_t room, struct sockaddr_in *from, int ms)
{
    struct pollfd poll_one = {.fd = descriptor, .events = POLLIN};
    socklen_t n = sizeof(*from);
    if (poll(&poll_one, 1, ms) <= 0)
        return 0;
    ssize_t got = recvfrom(descriptor, at, room, 0, (struct sockaddr *)from, &n);
    return got < 0 ? 0 : (int)got;
}

/* ---- client ----------------------------------------------------------------------------------------------
 */

static size_t build_get(uint8_t *out, uint16_t mid, const char *path)
{
    uint8_t *p = out;
    *p++ = 0x41;
    *p++ = 1;
    *p++ = (uint8_t)(mid >> 8);
    *p++ = (uint8_t)mid;
    *p++ = 0x77;
    size_t n = strlen(path);
    if (n == 0 || n > 12)
        die("a path of 1 to 12 bytes");
    *p++ = (uint8_t)(0xb0 | n);
    memcpy(p, path, n);
    return (size_t)(p - out) + n;
}

static void print_answer(const uint8_t *message, int n)
{
    int at = 4 + (message[0] & 15);
    unsigned int number = 0;
    while (at < n && message[at] != 0xff) { /* options of short form are all that is met here */
        number += message[at] >> 4;
        at += 1 + (message[at] & 15);
    }
    (void)number;
    at = at < n ? at + 1 : n;
    printf("%d.%02d %.*s\n", message[1] >> 5, message[1] & 31, n - at, (const char *)message + at);
}

static bool answer_of(struct session *s, uint16_t mid)
{
    uint8_t wire[2048], message[2048];
    struct sockaddr_in from;
    for (int i = 0; i < 50; i++) {
        s->wire = wire;
        s->wire_n = wait_for(wire, sizeof(wire), &from, 100);
        int n = wolfSSL_read(s->ssl, message, sizeof(message));
        if (n >= 4 && message[2] == (uint8_t)(mid >> 8) && message[3] == (uint8_t)mid && message[1] != 0) {
            print_answer(message, n);
            return true;
        }
    }
    return false;
}

static int run_client(char **arguments, int n)
{
    struct session s = {.peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2]))}};
    uint8_t wire[2048], message[128];
    struct sockaddr_in from;
    char *rest = NULL, *address = strtok_r(arguments[0], ",", &rest);
    unsigned int id_bytes = 0;
    if (inet_pton(AF_INET, arguments[1], &s.peer.sin_addr) != 1)
        die("bad address");
    descriptor = bind_to(address, 0);
    WOLFSSL_CTX *ctx = make_ctx(false);
    set_up(&s, ctx);
    for (int i = 0; i < 60 && wolfSSL_connect(s.ssl) != WOLFSSL_SUCCESS; i++) {
        int error = wolfSSL_get_error(s.ssl, 0);
        if (error != WOLFSSL_ERROR_WANT_READ)
            die("the handshake failed");
        s.wire = wire;
        s.wire_n = wait_for(wire, sizeof(wire), &from, 100);
        if (s.wire_n == 0 && i % 10 == 9)
            wolfSSL_dtls_got_timeout(s.ssl);
    }
    if (!wolfSSL_is_init_finished(s.ssl))
        die("no handshake");
    if (wolfSSL_dtls_cid_is_enabled(s.ssl))
        wolfSSL_dtls_cid_get_tx_size(s.ssl, &id_bytes);
    printf("%s id %u\n", wolfSSL_get_version(s.ssl), id_bytes);
    for (int i = 5; i < n; i++) {
        size_t bytes = build_get(message, (uint16_t)(1000 + i), arguments[i]);
        wolfSSL_write(s.ssl, message, (int)bytes);
        if (!answer_of(&s, (uint16_t)(1000 + i)))
            die("no answer");
        fflush(stdout);
        char *next = strtok_r(NULL, ",", &rest);
        if (next == NULL)
            continue;
        if (strcmp(next, "-") == 0) /* another port of the same */
            next = address;
        address = next;
        close(descriptor);
        descriptor = bind_to(address, 0);
        usleep(1200000); /* the gateway lets a session move once a second */
    }
    wolfSSL_shutdown(s.ssl);
    wolfSSL_free(s.ssl);
    wolfSSL_CTX_free(ctx);
    return 0;
}

/* ---- server ----------------------------------------------------------------------------------------------
 */

static struct session *session_of(struct session *all, const uint8_t *wire, int n,
                                  const struct sockaddr_in *from)
{
    bool by_id = n > ID_BYTES && (wire[0] & 0xf0) == 0x30;
    for (int i = 0; i < SESSIONS; i++)
        if (all[i].ssl != NULL && (by_id ? memcmp(all[i].id, wire + 1, ID_BYTES) == 0
                                         : memcmp(&all[i].peer, from, sizeof(*from)) == 0))
            return &all[i];
    return NULL;
}

static struct session *new_session(struct session *all, WOLFSSL_CTX *ctx, const struct sockaddr_in *from)
{
    static uint8_t count;
    struct session *s = &all[count % SESSIONS];
    wolfSSL_free(s->ssl);
    *s = (struct session){.peer = *from, .id = {0xa5, ++count}};
    set_up(s, ctx);
    return s;
}

static void answer(struct session *s, const uint8_t *message, int n)
{
    uint8_t out[256];
    char text[128], address[INET_ADDRSTRLEN];
    int token = message[0] & 15;
    if (n < 4 + token || message[1] == 0 || message[1] >= 32)
        return;
    inet_ntop(AF_INET, &s->peer.sin_addr, address, sizeof(address));
    unsigned int id_bytes = 0;
    wolfSSL_dtls_cid_get_rx_size(s->ssl, &id_bytes);
    int bytes = snprintf(text, sizeof(text), "%s over %s with an id of %u", own_identity,
                         wolfSSL_get_version(s->ssl), wolfSSL_dtls_cid_is_enabled(s->ssl) ? id_bytes : 0);
    memcpy(out, message, (size_t)(4 + token));
    out[0] = (uint8_t)((out[0] & 0xcf) | 0x20);
    out[1] = 69;
    out[4 + token] = 0xff;
    memcpy(out + 5 + token, text, (size_t)bytes);
    wolfSSL_write(s->ssl, out, 5 + token + bytes);
    printf("from %s port %u\n", address, ntohs(s->peer.sin_port));
    fflush(stdout);
}

static int run_server(char **arguments)
{
    static struct session all[SESSIONS];
    uint8_t wire[2048], message[2048];
    struct sockaddr_in from;
    descriptor = bind_to(arguments[0], atoi(arguments[1]));
    WOLFSSL_CTX *ctx = make_ctx(true);
    for (;;) {
        memset(&from, 0, sizeof(from));
        int n = wait_for(wire, sizeof(wire), &from, 60000);
        if (n <= 0)
            return 0;
        struct session *s = session_of(all, wire, n, &from);
        if (s == NULL && wire[0] == 22)
            s = new_session(all, ctx, &from);
        if (s == NULL)
            continue;
        s->peer = from; /* of a test, where nobody lies */
        s->wire = wire;
        s->wire_n = n;
        if (!s->open)
            s->open = wolfSSL_accept(s->ssl) == WOLFSSL_SUCCESS;
        int got = s->open ? wolfSSL_read(s->ssl, message, sizeof(message)) : 0;
        if (got > 0)
            answer(s, message, got);
    }
}

static void read_key(const char *text)
{
    for (key_n = 0; key_n < sizeof(key) && strlen(text) >= 2 * (key_n + 1); key_n++) {
        char two[3] = {text[2 * key_n], text[2 * key_n + 1], 0};
        key[key_n] = (uint8_t)strtoul(two, NULL, 16);
    }
}

int main(int n, char **arguments)
{
    bool client = n > 7 && strcmp(arguments[1], "client") == 0;
    if (!client && (n != 6 || strcmp(arguments[1], "server") != 0))
        die("usage: see the head of dtls13_peer.c");
    own_identity = arguments[client ? 5 : 4];
    read_key(arguments[client ? 6 : 5]);
    wolfSSL_Init();
    int result = client ? run_client(arguments + 2, n - 2) : run_server(arguments + 2);
    wolfSSL_Cleanup();
    return result;
}

#else

int main(void)
{
    fprintf(stderr, "dtls13_peer: this wolfSSL has no DTLS 1.3 with connection ids\n");
    return 77;
}

#endif
