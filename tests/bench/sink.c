/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sink: the cloud's end of the lab bench. An MQTT server that acknowledges and counts, and keeps nothing:
 * plaintext on one port, TLS 1.3 with client certificates on another, one thread, epoll. The same one stands
 * behind every proxy that is compared, so it is made to cost little: one recv per event, one send per answer.
 *
 *   sink --plain PORT --tls PORT --ca FILE --cert FILE --key FILE
 *
 * It prints "ready". A line "stats" on stdin is answered with one line of "name value" pairs; the end of
 * stdin ends it.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "tests/bench/tls_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_BYTES (64u << 10)
#define ANSWER_BYTES (64u << 10)
#define FRAME_MOST (1u << 20)
#define EVENTS 256
#define BACKLOG 8192

enum packet {
    CONNECT = 1,
    PUBLISH = 3,
    SUBSCRIBE = 8,
    UNSUBSCRIBE = 10,
    PINGREQ = 12,
    DISCONNECT = 14,
};

struct peer {
    int fd;
    WOLFSSL *ssl; /* NULL: plaintext */
    bool secured;
    bool writable_wanted;
    uint8_t *rest; /* the beginning of a frame whose end has not come */
    size_t rest_n;
    uint8_t *late; /* answers that the socket did not take yet */
    size_t late_n;
};

static struct {
    uint64_t publishes;
    uint64_t bytes;
    uint64_t connects;
    uint64_t handshakes;
    uint64_t handshakes_failed;
    uint64_t bad_frames;
    int64_t peers;
} counts;

static int poll_fd;
static bool spin;
static WOLFSSL_CTX *tls;
static int listener[2]; /* plain, TLS: their addresses are what epoll carries for them */

/* What the peer at hand has said, and what is to be sent to it. */
static uint8_t plain[PLAIN_BYTES];
static uint8_t answer[ANSWER_BYTES];
static size_t answer_n;

static void die(const char *what)
{
    fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* ---- sockets ------------------------------------------------------------------------------------------- */

static void watch(struct peer *peer, bool writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0u), .data.ptr = peer};
    if (writable != peer->writable_wanted && epoll_ctl(poll_fd, EPOLL_CTL_MOD, peer->fd, &event) != 0)
        die("epoll_ctl");
    peer->writable_wanted = writable;
}

static void drop(struct peer *peer)
{
    if (peer->ssl != NULL) {
        if (peer->secured)
            wolfSSL_shutdown(peer->ssl);
        wolfSSL_free(peer->ssl);
    }
    close(peer->fd);
    free(peer->rest);
    free(peer->late);
    free(peer);
    counts.peers--;
}

/* One write; how much went, or -1 when the connection is gone. */
static ssize_t write_some(struct peer *peer, const uint8_t *from, size_t n)
{
    if (peer->ssl == NULL) {
        ssize_t sent = send(peer->fd, from, n, MSG_NOSIGNAL);
        return sent >= 0 ? sent : errno == EAGAIN ? 0 : -1;
    }
    int sent = wolfSSL_write(peer->ssl, from, (int)n);
    if (sent > 0)
        return sent;
    return wolfSSL_get_error(peer->ssl, sent) == WOLFSSL_ERROR_WANT_WRITE ? 0 : -1;
}

static bool send_late(struct peer *peer)
{
    while (peer->late_n > 0) {
        ssize_t n = write_some(peer, peer->late, peer->late_n);
        if (n < 0)
            return false;
        if (n == 0)
            break;
        peer->late_n -= (size_t)n;
        memmove(peer->late, peer->late + n, peer->late_n);
    }
    watch(peer, peer->late_n > 0);
    return true;
}

static bool send_answers(struct peer *peer)
{
    size_t n = answer_n;
    answer_n = 0;
    if (n == 0)
        return true;
    if (peer->late_n == 0) {
        ssize_t sent = write_some(peer, answer, n);
        if (sent == (ssize_t)n)
            return true;
        if (sent < 0)
            return false;
        n -= (size_t)sent;
        memmove(answer, answer + sent, n);
    }
    uint8_t *late = realloc(peer->late, peer->late_n + n);
    if (late == NULL)
        return false;
    memcpy(late + peer->late_n, answer, n);
    peer->late = late;
    peer->late_n += n;
    return send_late(peer);
}

/* ---- MQTT ---------------------------------------------------------------------------------------------- */

static bool reply(struct peer *peer, const uint8_t *bytes, size_t n)
{
    if (answer_n + n > sizeof(answer) && !send_answers(peer))
        return false;
    memcpy(answer + answer_n, bytes, n);
    answer_n += n;
    return true;
}

static bool on_publish(struct peer *peer, uint8_t first, const uint8_t *body, size_t n)
{
    size_t topic = n < 2 ? n : 2 + ((size_t)body[0] << 8 | body[1]);
    bool acknowledged = (first & 0x06) != 0;
    if (topic + (acknowledged ? 2 : 0) > n)
        return false;
    counts.publishes++;
    counts.bytes += n;
    if (!acknowledged)
        return true;
    uint8_t ack[4] = {0x40, 2, body[topic], body[topic + 1]};
    return reply(peer, ack, sizeof(ack));
}

/* Grants every filter of a SUBSCRIBE at QoS 0, whatever it is: nothing is ever delivered. */
static bool on_subscribe(struct peer *peer, const uint8_t *body, size_t n)
{
    uint8_t ack[64] = {0x90, 2, body[0], body[1]};
    size_t at = 2;
    while (at + 3 <= n && ack[1] < 60) {
        at += 3 + ((size_t)body[at] << 8 | body[at + 1]);
        ack[2 + ack[1]++] = 0;
    }
    return at == n && reply(peer, ack, (size_t)ack[1] + 2);
}

static bool on_frame(struct peer *peer, uint8_t first, const uint8_t *body, size_t n)
{
    static const uint8_t connack[] = {0x20, 2, 0, 0};
    static const uint8_t connack5[] = {0x20, 3, 0, 0, 0};
    static const uint8_t pong[] = {0xd0, 0};
    uint8_t unsuback[] = {0xb0, 2, 0, 0};
    switch ((enum packet)(first >> 4)) {
    case PUBLISH:
        return on_publish(peer, first, body, n);
    case CONNECT:
        if (n < 10)
            return false;
        counts.connects++;
        return body[6] == 5 ? reply(peer, connack5, sizeof(connack5)) : reply(peer, connack, sizeof(connack));
    case PINGREQ:
        return reply(peer, pong, sizeof(pong));
    case SUBSCRIBE:
        return n >= 5 && on_subscribe(peer, body, n);
    case UNSUBSCRIBE:
        if (n < 5)
            return false;
        memcpy(unsuback + 2, body, 2);
        return reply(peer, unsuback, sizeof(unsuback));
    case DISCONNECT:
        send_answers(peer);
        return false;
    default:
        counts.bad_frames++;
        return false;
    }
}

/* How long the frame's header is and, in *body, its body; 0: not all there, or too long (then *body is so).
 */
static size_t header(const uint8_t *p, size_t n, size_t *body)
{
    *body = 0;
    for (size_t i = 1; i < n && i < 5; i++) {
        *body |= (size_t)(p[i] & 0x7f) << (7 * (i - 1));
        if (p[i] < 0x80)
            return *body > FRAME_MOST ? 0 : i + 1;
    }
    return 0;
}

/* Handles the whole frames at p; how many bytes they were, or -1. */
static ssize_t take_frames(struct peer *peer, const uint8_t *p, size_t n)
{
    size_t at = 0;
    while (n - at >= 2) {
        size_t body;
        size_t head = header(p + at, n - at, &body);
        if (body > FRAME_MOST) {
            counts.bad_frames++;
            return -1;
        }
        if (head == 0 || n - at - head < body)
            break;
        if (!on_frame(peer, p[at], p + at + head, body))
            return -1;
        at += head + body;
    }
    return (ssize_t)at;
}

static bool keep_rest(struct peer *peer, const uint8_t *p, size_t n)
{
    if (n == 0 && peer->rest_n == 0)
        return true;
    uint8_t *rest = realloc(peer->rest, peer->rest_n + n + 1);
    if (rest == NULL)
        return false;
    memcpy(rest + peer->rest_n, p, n);
    peer->rest = rest;
    peer->rest_n += n;
    return true;
}

static bool on_bytes(struct peer *peer, const uint8_t *p, size_t n)
{
    ssize_t taken;
    if (peer->rest_n == 0) {
        taken = take_frames(peer, p, n);
        return taken >= 0 && keep_rest(peer, p + taken, n - (size_t)taken);
    }
    if (!keep_rest(peer, p, n))
        return false;
    taken = take_frames(peer, peer->rest, peer->rest_n);
    if (taken < 0)
        return false;
    peer->rest_n -= (size_t)taken;
    memmove(peer->rest, peer->rest + taken, peer->rest_n);
    return true;
}

/* ---- events -------------------------------------------------------------------------------------------- */

static bool wants(WOLFSSL *ssl, int result)
{
    int error = wolfSSL_get_error(ssl, result);
    return error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE;
}

static bool secure(struct peer *peer)
{
    int result = wolfSSL_accept(peer->ssl);
    if (result != WOLFSSL_SUCCESS) {
        if (wants(peer->ssl, result))
            return true;
        counts.handshakes_failed++;
        return false;
    }
    peer->secured = true;
    counts.handshakes++;
    return true;
}

static bool read_secured(struct peer *peer)
{
    if (!peer->secured && !secure(peer))
        return false;
    while (peer->secured) {
        int n = wolfSSL_read(peer->ssl, plain, sizeof(plain));
        if (n <= 0)
            return wants(peer->ssl, n);
        if (!on_bytes(peer, plain, (size_t)n))
            return false;
    }
    return true;
}

static bool on_readable(struct peer *peer)
{
    ssize_t got = tls_wire_receive(peer->fd);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    size_t n;
    const uint8_t *wire = tls_wire_bytes(&n);
    bool good = peer->ssl == NULL ? on_bytes(peer, wire, n) : read_secured(peer);
    return good && send_answers(peer);
}

static void on_connection(bool secured)
{
    int one = 1;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener[secured], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct peer *peer = calloc(1, sizeof(*peer));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        if (peer == NULL || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
            die("connection");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        peer->fd = fd;
        counts.peers++;
        if (!secured)
            continue;
        peer->ssl = wolfSSL_new(tls);
        if (peer->ssl == NULL)
            die("wolfSSL_new");
        tls_wire_attach(peer->ssl, &peer->fd);
    }
}

static void print_stats(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("publishes %llu bytes %llu connects %llu handshakes %llu failed %llu bad %llu peers %lld cpu_ns "
           "%llu\n",
           (unsigned long long)counts.publishes, (unsigned long long)counts.bytes,
           (unsigned long long)counts.connects, (unsigned long long)counts.handshakes,
           (unsigned long long)counts.handshakes_failed, (unsigned long long)counts.bad_frames,
           (long long)counts.peers,
           (unsigned long long)cpu.tv_sec * 1000000000u + (unsigned long long)cpu.tv_nsec);
    fflush(stdout);
}

/* False when stdin has ended. */
static bool on_stdin(void)
{
    char text[256];
    ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    for (char *word = strtok(text, "\n"); word != NULL; word = strtok(NULL, "\n")) {
        spin = strcmp(word, "spin") == 0 || (spin && strcmp(word, "sleep") != 0);
        print_stats();
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* ---- birth --------------------------------------------------------------------------------------------- */

static int listen_on(const char *port)
{
    int one = 1, off = 0;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0)
        die(port);
    return fd;
}

static void create_tls(const char *ca, const char *certificate, const char *key)
{
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1};
    wolfSSL_Init();
    tls = wolfSSL_CTX_new(wolfTLSv1_3_server_method());
    if (tls == NULL || wolfSSL_CTX_load_verify_locations(tls, ca, NULL) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_certificate_chain_file(tls, certificate) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_PrivateKey_file(tls, key, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_cipher_list(tls, "TLS13-AES128-GCM-SHA256") != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(tls, groups, 2) != WOLFSSL_SUCCESS) {
        fprintf(stderr, "sink: certificates or TLS settings refused\n");
        exit(EXIT_FAILURE);
    }
    wolfSSL_CTX_set_verify(tls, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    wolfSSL_CTX_no_ticket_TLSv13(tls); /* every handshake is a full one */
    wolfSSL_CTX_set_session_cache_mode(tls, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_set_group_messages(tls);
    tls_wire_use(tls);
}

static void watch_fd(int fd, void *as)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = as};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

static void on_event(const struct epoll_event *event)
{
    struct peer *peer = event->data.ptr;
    if (event->data.ptr == &listener[0] || event->data.ptr == &listener[1]) {
        on_connection(event->data.ptr == &listener[1]);
        return;
    }
    bool good = true;
    if ((event->events & EPOLLOUT) != 0)
        good = send_late(peer);
    if (good && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        good = on_readable(peer);
    if (!good) {
        answer_n = 0;
        drop(peer);
    }
}

int main(int argc, char **argv)
{
    const char *option[5] = {NULL};
    static const char *const names[] = {"--plain", "--tls", "--ca", "--cert", "--key"};
    for (int i = 1; i + 1 < argc; i += 2)
        for (int k = 0; k < 5; k++)
            if (strcmp(argv[i], names[k]) == 0)
                option[k] = argv[i + 1];
    for (int k = 0; k < 5; k++)
        if (option[k] == NULL) {
            fprintf(stderr, "usage: sink --plain PORT --tls PORT --ca FILE --cert FILE --key FILE\n");
            return 64;
        }
    signal(SIGPIPE, SIG_IGN);
    create_tls(option[2], option[3], option[4]);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener[0] = listen_on(option[0]);
    listener[1] = listen_on(option[1]);
    watch_fd(listener[0], &listener[0]);
    watch_fd(listener[1], &listener[1]);
    watch_fd(STDIN_FILENO, &poll_fd);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(poll_fd, events, EVENTS, spin ? 0 : -1);
        if (n == 0)
            sched_yield();
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != &poll_fd)
                on_event(&events[i]);
            else if (!on_stdin())
                return EXIT_SUCCESS;
        }
    }
}
