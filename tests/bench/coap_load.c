/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * coap_load: the devices of tests/bench/coap_lab. Many plaintext CoAP clients in one thread, each of which
 * asks for the same resource again as soon as it has been answered, or when its turn comes.
 *
 *   coap_load --to ADDRESS:PORT --source ADDRESS --clients N --path SEGMENT [--rate N] [--proxied URI]
 *
 *   --source    client i binds to the i-th address from this one on
 *   --rate N    requests per second of all together; 0 is as fast as they are answered
 *   --proxied   asks a forward proxy: this is the Proxy-Uri of each request, and the path is not told (RFC
 * 7252 s.5.10.2)
 *
 * It prints "ready" when each client has been answered once, and then obeys stdin: "begin" zeroes what is
 * counted, "end" prints it as one line of "name value" pairs, the end of stdin ends it. Requests are CON; one
 * that is not answered within a second is counted as lost, and the next one follows. Never sleeps: nobody
 * pays for waking us.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64
#define LOST_NS UINT64_C(1000000000)
#define REQUEST_BYTES 128
#define CON_GET 0x44 /* version 1, CON, a token of four bytes */
#define CON 0
#define ACK 2
#define CODE_CONTENT 0x45
#define URI_PATH 11
#define PROXY_URI 35

struct client {
    int fd;
    uint16_t mid;
    bool waiting;
    bool greeted;
    uint64_t sent_ns;
};

static struct {
    struct sockaddr_in to;
    uint32_t source; /* host order */
    uint32_t clients;
    uint32_t rate;
    const char *path;
    const char *proxied;
} o;

static struct client *clients;
static uint64_t requests, answers, others, lost, begun_ns;
static uint32_t greeted;
static uint8_t options[REQUEST_BYTES];
static size_t options_n;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "coap_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void add_option(uint32_t *last, uint32_t number, const char *text)
{
    size_t n = strlen(text);
    uint32_t delta = number - *last;
    if (n > 12 + 255 || options_n + n + 4 > sizeof(options)) {
        errno = EMSGSIZE;
        die(text);
    }
    options[options_n++] = (uint8_t)((delta > 12 ? 13 : delta) << 4 | (n > 12 ? 13 : n));
    if (delta > 12)
        options[options_n++] = (uint8_t)(delta - 13);
    if (n > 12)
        options[options_n++] = (uint8_t)(n - 13);
    memcpy(options + options_n, text, n);
    options_n += n;
    *last = number;
}

static void ask(struct client *c, uint64_t now)
{
    uint8_t request[8 + REQUEST_BYTES] = {CON_GET, 1};
    c->mid++;
    request[2] = (uint8_t)(c->mid >> 8);
    request[3] = (uint8_t)c->mid;
    memcpy(request + 4, request + 2, 2); /* the token says as much */
    memcpy(request + 8, options, options_n);
    if (send(c->fd, request, 8 + options_n, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
        die("send");
    c->waiting = true;
    c->sent_ns = now;
    requests++;
}

/* Whether it answers the request that waits; a separate response (RFC 7252 s.5.2.2) is acknowledged. */
static bool is_answer(struct client *c, const uint8_t *answer, ssize_t n)
{
    uint8_t mid[2] = {(uint8_t)(c->mid >> 8), (uint8_t)c->mid};
    if (n < 8 || answer[1] == 0 || memcmp(answer + 4, mid, 2) != 0)
        return false;
    if ((answer[0] >> 4 & 3) == CON) {
        uint8_t empty[4] = {0x40 | ACK << 4, 0, answer[2], answer[3]};
        (void)send(c->fd, empty, sizeof(empty), 0);
    }
    return c->waiting;
}

static void hear(struct client *c)
{
    uint8_t answer[2048];
    ssize_t n;
    while ((n = recv(c->fd, answer, sizeof(answer), 0)) > 0) {
        if (!is_answer(c, answer, n))
            continue;
        c->waiting = false;
        if (answer[1] == CODE_CONTENT)
            answers++;
        else
            others++;
        if (!c->greeted) {
            c->greeted = true;
            if (++greeted == o.clients) {
                puts("ready");
                fflush(stdout);
            }
        }
    }
}

static void open_clients(int poll_fd)
{
    clients = calloc(o.clients, sizeof(*clients));
    if (clients == NULL)
        die("clients");
    for (uint32_t i = 0; i < o.clients; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(o.source + i)};
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        clients[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (clients[i].fd < 0 || bind(clients[i].fd, (struct sockaddr *)&own, sizeof(own)) != 0 ||
            connect(clients[i].fd, (struct sockaddr *)&o.to, sizeof(o.to)) != 0 ||
            epoll_ctl(poll_fd, EPOLL_CTL_ADD, clients[i].fd, &event) != 0)
            die("socket");
    }
}

/* Who may ask now does: all at once, or as many as the rate has room for. */
static void take_turns(uint64_t now)
{
    static uint32_t next;
    static uint64_t last_ns;
    static double room;
    room += o.rate == 0 ? o.clients : (double)(now - last_ns) * o.rate / 1e9;
    last_ns = now;
    if (room > o.clients)
        room = o.clients;
    for (uint32_t looked = 0; looked < o.clients && room >= 1; looked++) {
        struct client *c = &clients[next];
        next = (next + 1) % o.clients;
        if (c->waiting && now - c->sent_ns < LOST_NS)
            continue;
        lost += c->waiting;
        ask(c, now);
        room -= 1;
    }
}

static bool obey(void)
{
    char line[64];
    ssize_t n = read(0, line, sizeof(line) - 1);
    if (n == 0)
        return false;
    if (n < 0)
        return true;
    line[n] = '\0';
    if (strncmp(line, "begin", 5) == 0) {
        requests = answers = others = lost = 0;
        begun_ns = now_ns();
    } else if (strncmp(line, "end", 3) == 0) {
        printf("seconds %f requests %llu answers %llu others %llu lost %llu\n",
               (double)(now_ns() - begun_ns) / 1e9, (unsigned long long)requests, (unsigned long long)answers,
               (unsigned long long)others, (unsigned long long)lost);
        fflush(stdout);
    }
    return true;
}

static bool parse(int argc, char **argv)
{
    o.to.sin_family = AF_INET;
    for (int i = 1; i + 1 < argc; i += 2) {
        char *value = argv[i + 1];
        struct in_addr address;
        if (strcmp(argv[i], "--to") == 0) {
            char *colon = strchr(value, ':');
            if (colon == NULL)
                return false;
            *colon = '\0';
            o.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
            if (inet_pton(AF_INET, value, &o.to.sin_addr) != 1)
                return false;
        } else if (strcmp(argv[i], "--source") == 0) {
            if (inet_pton(AF_INET, value, &address) != 1)
                return false;
            o.source = ntohl(address.s_addr);
        } else if (strcmp(argv[i], "--clients") == 0) {
            o.clients = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--rate") == 0) {
            o.rate = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--path") == 0) {
            o.path = value;
        } else if (strcmp(argv[i], "--proxied") == 0) {
            o.proxied = value;
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && o.to.sin_port != 0 && o.clients > 0 && o.clients <= 1000 && o.path != NULL;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    uint32_t last = 0;
    int poll_fd = epoll_create1(0);
    if (!parse(argc, argv)) {
        fputs("usage: see the head of tests/bench/coap_load.c\n", stderr);
        return 64;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (poll_fd < 0 || fcntl(0, F_SETFL, O_NONBLOCK) != 0)
        die("epoll");
    if (o.proxied != NULL)
        add_option(&last, PROXY_URI, o.proxied);
    else
        add_option(&last, URI_PATH, o.path);
    open_clients(poll_fd);
    begun_ns = now_ns();
    for (uint32_t turn = 0;; turn++) {
        int n = epoll_wait(poll_fd, events, EVENTS, 0);
        for (int i = 0; i < n; i++)
            hear(&clients[events[i].data.u32]);
        take_turns(now_ns());
        if (n == 0)
            sched_yield();
        if (turn % 256 == 0 && !obey())
            return 0;
    }
}
