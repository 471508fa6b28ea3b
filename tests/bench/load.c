/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * load: the devices of the lab bench and of the test of idle connections. Many MQTT 3.1.1 clients in one
 * thread, plaintext or over TLS 1.3 (load_tls.h).
 *
 *   load publish OPTIONS    connects all, then publishes
 *   load connect OPTIONS    connects, waits for CONNACK, disconnects, over and over, --connections at a time
 *   load idle OPTIONS       connects all and holds them
 *
 *   --to ADDRESS:PORT       --sources ADDRESS/N: bind to N addresses in turn, from this one on
 *   --connections N         --name PREFIX: client ids are PREFIX00000 and on, topics bench/ID/up
 *   --qos 0|1               --payload BYTES
 *   --batch N               messages in one write
 *   --rate N                messages per second of all together, connect: connections; 0 is as fast as they
 * are taken
 *   --inflight N            unacknowledged messages of a connection at QoS 1
 *   --opening N             connections that open at the same time (publish, idle)
 *   --spin 1                never sleep, only yield: nobody pays for waking us
 *   --tls 1                 over TLS; --cert FILE --key FILE: with a certificate, the same for all
 *   --resume 1              with the ticket of the client's last connection, once it has one
 *   --numbered 1            at QoS 1: each payload begins with ten digits, counting the messages of its
 * client from 0
 *
 * It prints "ready" when all are connected (connect: at once), "up N of M" when some failed, and then obeys
 * stdin: "again" (idle) disconnects all, has them connect once more and prints the same, "begin" zeroes what
 * is counted but failures, "end" prints it as one line of "name value" pairs, "ping" sends PINGREQ on all
 * connections and tells how many answered within ten seconds, "stop" ends the publishing and tells once the
 * sockets have taken all, "finish" likewise once all is acknowledged, or 20 seconds later, the end of stdin
 * disconnects all and ends it. Latency is from just before the write to PUBACK, or from connect() to CONNACK;
 * opening_s is from the first connect() to the last CONNACK or failure. A connection that fails does so at
 * TCP, in TLS, or waiting for CONNACK.
 */
#include "tests/bench/histogram.h"
#include "tests/bench/load_options.h"
#include "tests/bench/load_packet.h"
#include "tests/bench/load_tls.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define EVENTS 256
#define INPUT_BYTES 65536
#define PARTIAL_BYTES 8
#define PING_NS UINT64_C(10000000000)
#define FINISH_NS UINT64_C(20000000000)
#define CATCH_UP 512

enum state {
    CLOSED = 0,
    OPENING,  /* connect() has been called */
    SECURING, /* TLS is being opened */
    GREETED,  /* CONNECT has been sent */
    UP,
};

struct client {
    int fd;
    struct load_tls *tls; /* NULL: plaintext */
    uint32_t index;
    enum state state;
    bool blocked; /* the socket took less than was offered */
    bool answered;
    uint16_t next_id;
    uint16_t oldest_id;
    uint32_t unacknowledged;
    uint32_t number; /* of the next message */
    uint64_t began_ns;
    uint64_t *sent_ns; /* of unacknowledged messages, a ring by packet id */
    uint8_t *out;      /* a batch */
    uint32_t out_n;
    uint32_t out_at;
    uint8_t partial[PARTIAL_BYTES]; /* the beginning of a packet from the server */
    uint32_t partial_n;
};

static struct load_options o;
static struct client *clients;
static int poll_fd;
static uint32_t opened_next, opening, up, done_opening;
static bool ready_told;
static bool stopping;
static uint64_t finish_until_ns;            /* 0: not asked to finish */
static uint64_t all_sent, all_acknowledged; /* also before "begin" and after "end" */
static struct histogram latency;
static uint64_t opening_ns, opened_ns; /* from the first connect() to the last that came of one */
static struct {
    uint64_t sent, acknowledged, connects, resumed, failed, failed_at[UP], lost, wakeups, begin_ns;
} counts;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- connections --------------------------------------------------------------------------------------- */

static uint16_t after(uint16_t id)
{
    return id == 0xffff ? 1 : (uint16_t)(id + 1);
}

static void watch(struct client *c, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poll_fd, operation, c->fd, &event) != 0)
        die("epoll_ctl");
}

static void close_client(struct client *c, bool orderly)
{
    if (c->state != CLOSED && c->state != UP)
        opening--;
    if (c->state == UP)
        up--;
    if (c->tls != NULL)
        load_tls_end(c->tls, orderly);
    close(c->fd);
    c->state = CLOSED;
}

static void fail_client(struct client *c)
{
    if (c->state == UP && o.mode != CONNECTING)
        counts.lost++;
    else
        counts.failed++;
    if (c->state != UP) {
        done_opening++;
        counts.failed_at[c->state]++;
        opened_ns = now_ns();
    }
    close_client(c, false);
}

static ssize_t send_some(struct client *c, const void *from, size_t n)
{
    return c->tls != NULL ? load_tls_send(c->tls, from, n) : send(c->fd, from, n, MSG_NOSIGNAL);
}

static ssize_t receive_some(struct client *c, void *to, size_t room, bool fresh)
{
    if (c->tls != NULL)
        return load_tls_recv(c->tls, to, room, fresh);
    if (fresh)
        return recv(c->fd, to, room, 0);
    errno = EAGAIN;
    return -1;
}

static void open_client(struct client *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    struct sockaddr_in from = {.sin_family = AF_INET};
    static uint32_t turn;
    from.sin_addr.s_addr = htonl(o.source + turn++ % o.sources);
    if (o.source != 0 && bind(c->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        die("bind");
    c->state = OPENING;
    c->began_ns = now_ns();
    if (opening_ns == 0)
        opening_ns = c->began_ns;
    c->partial_n = 0;
    opening++;
    if (connect(c->fd, (struct sockaddr *)&o.to, sizeof(o.to)) != 0 && errno != EINPROGRESS) {
        fail_client(c);
        return;
    }
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void open_more(void)
{
    if (o.mode == CONNECTING) {
        for (uint32_t i = 0; o.rate == 0 && i < o.connections; i++)
            if (clients[i].state == CLOSED)
                open_client(&clients[i]);
        return;
    }
    while (opened_next < o.connections && opening < o.opening)
        open_client(&clients[opened_next++]);
}

/* Opens connections at the rate, as far as there are clients that have none; answers how long to wait, in ns.
 */
static uint64_t open_due(void)
{
    static uint64_t due_ns;
    static uint32_t turn;
    uint64_t now = now_ns();
    uint64_t step_ns = UINT64_C(1000000000) / o.rate;
    if (due_ns == 0 || due_ns + step_ns * CATCH_UP < now)
        due_ns = now;
    for (; due_ns <= now; due_ns += step_ns) {
        struct client *c = &clients[turn++ % o.connections];
        if (c->state == CLOSED)
            open_client(c);
    }
    now = now_ns();
    return due_ns > now ? due_ns - now : 0;
}

static void greet(struct client *c)
{
    uint8_t packet[LOAD_CONNECT_MOST];
    uint32_t n = load_packet_connect(&o, c->index, packet);
    if (send_some(c, packet, n) != (ssize_t)n) {
        fail_client(c);
        return;
    }
    c->state = GREETED;
}

/* After a step of its handshake. */
static void secure(struct client *c, enum load_tls_step step)
{
    if (step == LOAD_TLS_FAILED) {
        fail_client(c);
    } else if (step == LOAD_TLS_OPEN) {
        counts.resumed += load_tls_resumed(c->tls);
        greet(c);
    }
}

/* TCP is open, or not. */
static void on_connected(struct client *c)
{
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        fail_client(c);
        return;
    }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    if (c->tls == NULL) {
        greet(c);
        return;
    }
    c->state = SECURING;
    secure(c, load_tls_begin(c->tls, c->fd));
}

static void say_goodbye(struct client *c)
{
    static const uint8_t disconnect[] = {0xe0, 0};
    if (send_some(c, disconnect, sizeof(disconnect)) < 0)
        counts.failed++;
    close_client(c, true);
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static bool may_send(const struct client *c)
{
    return c->state == UP && !c->blocked && (o.qos == 0 || c->unacknowledged + o.batch <= o.inflight);
}

static void write_out(struct client *c)
{
    ssize_t n = send_some(c, c->out + c->out_at, c->out_n - c->out_at);
    if (n < 0 && errno != EAGAIN) {
        fail_client(c);
        return;
    }
    c->out_at += n > 0 ? (uint32_t)n : 0;
    bool blocked = c->out_at < c->out_n;
    if (blocked != c->blocked)
        watch(c, EPOLLIN | (blocked ? EPOLLOUT : 0u), EPOLL_CTL_MOD);
    c->blocked = blocked;
}

static void send_batch(struct client *c)
{
    if (o.qos > 0 || c->out_n == 0) { /* at QoS 0 all batches of a client are the same bytes */
        uint64_t now = o.qos > 0 ? now_ns() : 0;
        c->out_n = 0;
        for (uint32_t i = 0; i < o.batch; i++) {
            c->out_n += load_packet_publish(&o, c->index, c->next_id, c->number++, c->out + c->out_n);
            if (o.qos == 0)
                continue;
            c->sent_ns[c->next_id % o.inflight] = now;
            c->next_id = after(c->next_id);
            c->unacknowledged++;
        }
    }
    c->out_at = 0;
    counts.sent += o.batch;
    all_sent += o.batch;
    write_out(c);
}

/* The next client in turn that may send, or NULL. */
static struct client *next_sender(void)
{
    static uint32_t turn;
    for (uint32_t i = 0; i < o.connections; i++) {
        struct client *c = &clients[turn++ % o.connections];
        if (may_send(c))
            return c;
    }
    return NULL;
}

/* Sends what is due; answers how long to wait for the next, in ns; UINT64_MAX: until something happens. */
static uint64_t publish_due(void)
{
    static uint64_t due_ns;
    uint64_t now = now_ns();
    if (o.rate == 0) {
        struct client *c = NULL;
        for (int i = 0; i < 64 && (c = next_sender()) != NULL; i++)
            send_batch(c);
        return c != NULL ? 0 : UINT64_MAX;
    }
    uint64_t step_ns = UINT64_C(1000000000) * o.batch / o.rate;
    if (due_ns == 0 || due_ns + step_ns * CATCH_UP < now)
        due_ns = now;
    for (; due_ns <= now; due_ns += step_ns) {
        struct client *c = next_sender();
        if (c == NULL)
            return UINT64_MAX;
        send_batch(c);
    }
    now = now_ns();
    return due_ns > now ? due_ns - now : 0;
}

static void on_puback(struct client *c, uint16_t id)
{
    if (c->unacknowledged == 0 || id != c->oldest_id) {
        counts.failed++;
        return;
    }
    histogram_add(&latency, now_ns() - c->sent_ns[id % o.inflight]);
    c->oldest_id = after(id);
    c->unacknowledged--;
    counts.acknowledged++;
    all_acknowledged++;
}

static void on_connack(struct client *c, uint8_t code)
{
    if (code != 0 || c->state != GREETED) {
        fail_client(c);
        return;
    }
    c->state = UP;
    opening--;
    up++;
    done_opening++;
    counts.connects++;
    opened_ns = now_ns();
    if (o.mode != PUBLISHING)
        histogram_add(&latency, opened_ns - c->began_ns);
    if (o.mode == CONNECTING)
        say_goodbye(c);
}

/* All that a server of ours sends is of two or four bytes. */
static void on_packet(struct client *c, const uint8_t *p)
{
    if (p[0] == 0x20)
        on_connack(c, p[3]);
    else if (p[0] == 0x40)
        on_puback(c, (uint16_t)(p[2] << 8 | p[3]));
    else if (p[0] == 0xd0)
        c->answered = true;
    else
        counts.failed++;
}

/* One receive; false when there is no more now, or the client is closed. */
static bool read_once(struct client *c, bool fresh)
{
    static uint8_t input[PARTIAL_BYTES + INPUT_BYTES];
    memcpy(input, c->partial, c->partial_n);
    ssize_t got = receive_some(c, input + c->partial_n, INPUT_BYTES, fresh);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            fail_client(c);
        return false;
    }
    uint32_t n = c->partial_n + (uint32_t)got, at = 0;
    while (n - at >= 2 && n - at >= 2u + input[at + 1]) {
        on_packet(c, input + at);
        at += 2u + input[at + 1];
        if (c->state == CLOSED)
            return false;
    }
    c->partial_n = n - at;
    if (c->partial_n > PARTIAL_BYTES) {
        fail_client(c);
        return false;
    }
    memcpy(c->partial, input + at, c->partial_n);
    return true;
}

static void on_readable(struct client *c)
{
    bool fresh = true;
    if (c->state == SECURING) {
        secure(c, load_tls_go_on(c->tls));
        fresh = false;
        if (c->state != GREETED)
            return;
    }
    while (read_once(c, fresh) && c->tls != NULL)
        fresh = false;
}

static void on_client(struct client *c, uint32_t events)
{
    if (c->state == OPENING) {
        on_connected(c);
        return;
    }
    if ((events & EPOLLOUT) != 0 && c->blocked)
        write_out(c);
    if (c->state != CLOSED && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        on_readable(c);
}

/* ---- commands ------------------------------------------------------------------------------------------ */

static uint64_t ping_until_ns;

static void begin(void)
{
    memset(&latency, 0, sizeof(latency)); /* what failed or was lost may not go unseen */
    counts.sent = counts.acknowledged = counts.connects = counts.resumed = counts.wakeups = 0;
    counts.begin_ns = now_ns();
}

static void end(void)
{
    printf("seconds %.6f sent %llu acknowledged %llu connects %llu resumed %llu failed %llu lost %llu up %u "
           "failed_tcp %llu failed_tls %llu failed_mqtt %llu opening_s %.6f wakeups %llu "
           "p50_ns %llu p99_ns %llu p999_ns %llu max_ns %llu\n",
           (double)(now_ns() - counts.begin_ns) / 1e9, (unsigned long long)counts.sent,
           (unsigned long long)counts.acknowledged, (unsigned long long)counts.connects,
           (unsigned long long)counts.resumed, (unsigned long long)counts.failed,
           (unsigned long long)counts.lost, up, (unsigned long long)counts.failed_at[OPENING],
           (unsigned long long)counts.failed_at[SECURING], (unsigned long long)counts.failed_at[GREETED],
           (double)(opened_ns - opening_ns) / 1e9, (unsigned long long)counts.wakeups,
           (unsigned long long)histogram_at(&latency, 0.5), (unsigned long long)histogram_at(&latency, 0.99),
           (unsigned long long)histogram_at(&latency, 0.999), (unsigned long long)histogram_at(&latency, 1));
    fflush(stdout);
}

static void ping_all(void)
{
    static const uint8_t pingreq[] = {0xc0, 0};
    for (uint32_t i = 0; i < o.connections; i++) {
        clients[i].answered = false;
        if (clients[i].state == UP && send_some(&clients[i], pingreq, sizeof(pingreq)) < 0)
            fail_client(&clients[i]);
    }
    ping_until_ns = now_ns() + PING_NS;
}

/* What was counted of the first time counts no more. */
static void connect_again(void)
{
    for (uint32_t i = 0; i < o.connections; i++)
        if (clients[i].state != CLOSED)
            say_goodbye(&clients[i]);
    memset(&counts, 0, sizeof(counts));
    begin();
    opened_next = done_opening = 0;
    opening_ns = 0;
    ready_told = false;
}

static void tell_pings(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o.connections; i++)
        n += clients[i].state == UP && clients[i].answered;
    if (n < up && now_ns() < ping_until_ns)
        return;
    ping_until_ns = 0;
    printf("alive %u up %u\n", n, up);
    fflush(stdout);
}

/* Once the sockets have taken all that was begun. */
static void tell_stopped(void)
{
    for (uint32_t i = 0; i < o.connections; i++)
        if (clients[i].state == UP && clients[i].blocked)
            return;
    stopping = false;
    o.mode = IDLING;
    printf("all_sent %llu\n", (unsigned long long)all_sent);
    fflush(stdout);
}

/* Once nothing is unacknowledged, or time is up: what was sent and acknowledged since the beginning. */
static void tell_finished(void)
{
    uint64_t waiting = 0;
    for (uint32_t i = 0; i < o.connections; i++)
        waiting += clients[i].state == UP ? clients[i].unacknowledged : 0;
    if (waiting != 0 && now_ns() < finish_until_ns)
        return;
    finish_until_ns = 0;
    o.mode = IDLING;
    printf("all_sent %llu all_acknowledged %llu up %u failed %llu lost %llu\n", (unsigned long long)all_sent,
           (unsigned long long)all_acknowledged, up, (unsigned long long)counts.failed,
           (unsigned long long)counts.lost);
    fflush(stdout);
}

/* False when stdin has ended. */
static bool on_stdin(void)
{
    char text[64];
    ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    for (char *word = strtok(text, "\n"); word != NULL; word = strtok(NULL, "\n")) {
        if (strcmp(word, "begin") == 0)
            begin();
        else if (strcmp(word, "again") == 0 && o.mode == IDLING && ready_told)
            connect_again();
        else if (strcmp(word, "end") == 0)
            end();
        else if (strcmp(word, "ping") == 0)
            ping_all();
        else if (strcmp(word, "stop") == 0)
            stopping = true;
        else if (strcmp(word, "finish") == 0)
            finish_until_ns = now_ns() + FINISH_NS;
    }
    return true;
}

/* ---- loop --------------------------------------------------------------------------------------------- */

static void create_clients(void)
{
    clients = calloc(o.connections, sizeof(*clients));
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || poll_fd < 0)
        die("no memory");
    for (uint32_t i = 0; i < o.connections; i++) {
        clients[i] = (struct client){.index = i, .next_id = 1, .oldest_id = 1};
        if (o.tls != 0 && (clients[i].tls = load_tls_create()) == NULL)
            die("no memory");
        if (o.mode != PUBLISHING)
            continue;
        clients[i].out = malloc((size_t)o.batch * (o.payload + LOAD_PUBLISH_HEAD_MOST));
        clients[i].sent_ns = calloc(o.inflight, sizeof(uint64_t));
        if (clients[i].out == NULL || clients[i].sent_ns == NULL)
            die("no memory");
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
        die("stdin");
}

static uint64_t step(void)
{
    open_more();
    bool all = o.mode == CONNECTING || done_opening == o.connections;
    if (all && !ready_told) {
        ready_told = true;
        if (o.mode == CONNECTING || up == o.connections)
            puts("ready");
        else
            printf("up %u of %u\n", up, o.connections);
        fflush(stdout);
        if (o.mode == PUBLISHING)
            begin();
    }
    if (ping_until_ns != 0)
        tell_pings();
    if (finish_until_ns != 0)
        tell_finished();
    if (stopping)
        tell_stopped();
    else if (finish_until_ns == 0 && all && o.mode == PUBLISHING)
        return publish_due();
    else if (o.mode == CONNECTING && o.rate > 0)
        return open_due();
    return ping_until_ns != 0 || finish_until_ns != 0 ? 10000000 : UINT64_MAX;
}

int main(int argc, char **argv)
{
    if (!load_options_parse(&o, argc, argv)) {
        fprintf(stderr, "load: bad options; see the head of load.c\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    if (o.tls != 0)
        load_tls_init(&o);
    prctl(PR_SET_TIMERSLACK, 1UL);
    create_clients();
    begin();
    for (bool running = true; running;) {
        struct epoll_event events[EVENTS];
        uint64_t wait_ns = step();
        if (o.spin != 0 && ready_told) /* until then whoever shares the core has handshakes to do */
            wait_ns = 0;
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                .tv_nsec = (long)(wait_ns % 1000000000u)};
        int n = epoll_pwait2(poll_fd, events, EVENTS, wait_ns == UINT64_MAX ? NULL : &wait, NULL);
        counts.wakeups++;
        if (n == 0 && o.spin != 0)
            sched_yield();
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL)
                on_client(events[i].data.ptr, events[i].events);
            else
                running = on_stdin();
        }
    }
    for (uint32_t i = 0; i < o.connections; i++)
        if (clients[i].state == UP)
            say_goodbye(&clients[i]);
    return EXIT_SUCCESS;
}
