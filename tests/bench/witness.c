/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * witness: a subscriber that counts what load has numbered (--numbered 1), and misses nothing of it: one
 * plaintext MQTT 3.1.1 connection to a broker, at QoS 1.
 *
 *   witness ADDRESS:PORT FILTER CLIENTS
 *
 * It prints "ready" when it is subscribed. Each line on stdin is answered with one of "name value" pairs:
 * messages that came, clients they are of, numbers that were left out, numbers that came again or late,
 * messages that bear DUP, and what was not understood. The end of stdin ends it, and so does the broker,
 * with exit status 1. Of CLIENTS clients, by the five digits before the last level of the topic.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_BYTES (1U << 20)
#define INDEX_DIGITS 5U
#define NUMBER_DIGITS 10U

static int fd;
static uint32_t *next_number; /* of each client */
static uint32_t clients_n;
static struct {
    unsigned long long messages, clients, missing, again, flagged, strange;
} counts;

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void put(const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            die("send");
        bytes += sent;
        n -= (size_t)sent;
    }
}

/* `digits` decimal digits; false when they are none. */
static bool number(const uint8_t *at, uint32_t digits, uint64_t *value)
{
    *value = 0;
    for (uint32_t i = 0; i < digits; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        *value = *value * 10 + (uint64_t)(at[i] - '0');
    }
    return true;
}

static void note(uint64_t client, uint64_t value)
{
    uint32_t expected = next_number[client];
    counts.messages++;
    counts.clients += expected == 0;
    if (value < expected) {
        counts.again++;
        return;
    }
    counts.missing += value - expected;
    next_number[client] = (uint32_t)value + 1;
}

/* The body of a PUBLISH: topic, packet identifier, payload. */
static void on_publish(uint8_t first, const uint8_t *body, size_t n)
{
    uint64_t client, value;
    size_t topic_n = n < 2 ? 0 : (size_t)(body[0] << 8 | body[1]);
    size_t id_n = (first & 6) != 0 ? 2 : 0;
    const uint8_t *level = n < 2 || topic_n > n - 2 ? NULL : memrchr(body + 2, '/', topic_n);
    if (level == NULL || level < body + 2 + INDEX_DIGITS || n - 2 - topic_n < id_n + NUMBER_DIGITS ||
        !number(level - INDEX_DIGITS, INDEX_DIGITS, &client) || client >= clients_n ||
        !number(body + 2 + topic_n + id_n, NUMBER_DIGITS, &value)) {
        counts.strange++;
    } else {
        counts.flagged += (first & 8) != 0;
        note(client, value);
    }
    if (id_n != 0 && level != NULL && n - 2 - topic_n >= id_n)
        put((const uint8_t[]){0x40, 2, body[2 + topic_n], body[3 + topic_n]}, 4);
}

/* Takes the first packet of n bytes; answers its length, 0 when it is not whole. */
static size_t take(const uint8_t *at, size_t n)
{
    size_t len = 0, head = 1;
    for (uint32_t shift = 0;; shift += 7) {
        if (head >= n || shift > 21)
            return 0;
        len |= (size_t)(at[head] & 0x7f) << shift;
        if ((at[head++] & 0x80) == 0)
            break;
    }
    if (len > n - head)
        return 0;
    if (at[0] >> 4 == 3)
        on_publish(at[0], at + head, len);
    else if (at[0] == 0x90)
        puts("ready");
    else if (at[0] != 0x20 || at[head + 1] != 0)
        counts.strange++;
    return head + len;
}

static void on_readable(void)
{
    static uint8_t input[INPUT_BYTES];
    static size_t used;
    ssize_t got = recv(fd, input + used, sizeof(input) - used, 0);
    if (got <= 0) {
        fprintf(stderr, "witness: the broker has closed\n");
        exit(EXIT_FAILURE);
    }
    used += (size_t)got;
    size_t at = 0, n;
    while (at < used && (n = take(input + at, used - at)) > 0)
        at += n;
    memmove(input, input + at, used - at);
    used -= at;
    fflush(stdout);
}

static void open_broker(const char *where, const char *filter)
{
    char address[32];
    unsigned int port;
    struct sockaddr_in to = {.sin_family = AF_INET};
    int one = 1;
    size_t n = strlen(filter);
    if (sscanf(where, "%31[0-9.]:%u", address, &port) != 2 ||
        inet_pton(AF_INET, address, &to.sin_addr) != 1 || n == 0 || n > 100) {
        fprintf(stderr, "usage: witness ADDRESS:PORT FILTER CLIENTS\n");
        exit(64);
    }
    to.sin_port = htons((uint16_t)port);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    put((const uint8_t *)"\x10\x13\0\4MQTT\4\2\0\0\0\7witness", 21);
    uint8_t subscribe[128] = {0x82, (uint8_t)(5 + n), 0, 1, 0, (uint8_t)n};
    memcpy(subscribe + 6, filter, n);
    subscribe[6 + n] = 1;
    put(subscribe, 7 + n);
}

int main(int argc, char **argv)
{
    clients_n = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    next_number = clients_n == 0 ? NULL : calloc(clients_n, sizeof(*next_number));
    open_broker(next_number == NULL ? "" : argv[1], next_number == NULL ? "" : argv[2]);
    struct pollfd polled[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    for (;;) {
        char line[64];
        if (poll(polled, 2, -1) < 0)
            die("poll");
        if (polled[0].revents != 0)
            on_readable();
        if (polled[1].revents == 0)
            continue;
        if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
            return EXIT_SUCCESS;
        printf("messages %llu clients %llu missing %llu again %llu flagged %llu strange %llu\n",
               counts.messages, counts.clients, counts.missing, counts.again, counts.flagged, counts.strange);
        fflush(stdout);
    }
}
