/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * impair A B [loss=P] [dup=P] [reorder=P] [delay=MS] [jitter=MS] [seed=N]: a bad cable between two
 * interfaces.
 *
 * Frames that arrive on one leave on the other, after `delay` plus up to `jitter` milliseconds; each is lost,
 * doubled or held back by some further milliseconds (so that later ones overtake it) with the given
 * probability in percent. For kernels without netem, and the same on all. Frames that are held are bounded;
 * SIGTERM ends it and prints what it did.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES 2048
#define HELD_MAX 8192
#define HOLD_BACK_US 3000

struct held {
    uint64_t due_us;
    uint64_t order; /* equal times leave in the order of arrival */
    uint32_t len;
    int to;
    uint8_t bytes[FRAME_BYTES];
};

struct settings {
    double loss, dup, reorder, delay_ms, jitter_ms;
    unsigned long seed;
};

static struct held held[HELD_MAX];
static struct held *heap[HELD_MAX];
static struct held *unused[HELD_MAX];
static size_t heap_n, unused_n;
static uint64_t random_state = 88172645463325252u;
static uint64_t passed, lost, doubled, reordered, overflowed;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double random_unit(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static bool before(const struct held *a, const struct held *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void heap_push(struct held *frame)
{
    size_t i = heap_n++;
    while (i > 0 && before(frame, heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = frame;
}

static struct held *heap_pop(void)
{
    struct held *first = heap[0];
    struct held *last = heap[--heap_n];
    size_t i = 0;
    for (size_t child = 1; child < heap_n; child = 2 * i + 1) {
        if (child + 1 < heap_n && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

static int open_interface(const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int on = 1;
    int buffer = 8 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
    address.sll_ifindex = (int)if_nametoindex(name);
    struct packet_mreq promiscuous = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    if (fd < 0 || address.sll_ifindex == 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        fprintf(stderr, "impair: %s: %s\n", name, strerror(errno));
        exit(1);
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    return fd;
}

/* One frame with the VLAN tag that the kernel took off put back; 0 when there is none. */
static uint32_t receive(int fd, uint8_t *to)
{
    union {
        struct cmsghdr header;
        uint8_t room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
    struct iovec part = {.iov_base = to, .iov_len = FRAME_BYTES - 4};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &message, 0);
    if (n < 14)
        return 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        struct tpacket_auxdata aux;
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        memcpy(&aux, CMSG_DATA(c), sizeof(aux));
        if ((aux.tp_status & TP_STATUS_VLAN_VALID) == 0)
            continue;
        memmove(to + 16, to + 12, (size_t)n - 12);
        uint16_t tag[2] = {htons(0x8100), htons(aux.tp_vlan_tci)};
        memcpy(to + 12, tag, sizeof(tag));
        n += 4;
    }
    return (uint32_t)n;
}

static void keep(const uint8_t *bytes, uint32_t len, int to, uint64_t due_us)
{
    static uint64_t order;
    if (unused_n == 0) {
        overflowed++;
        return;
    }
    struct held *frame = unused[--unused_n];
    *frame = (struct held){.due_us = due_us, .order = order++, .len = len, .to = to};
    memcpy(frame->bytes, bytes, len);
    heap_push(frame);
}

static void take(const struct settings *s, int from, int to)
{
    uint8_t bytes[FRAME_BYTES];
    uint32_t len;
    for (int i = 0; i < 64 && (len = receive(from, bytes)) > 0; i++) {
        if (random_unit() * 100 < s->loss) {
            lost++;
            continue;
        }
        uint64_t due_us = now_us() + (uint64_t)((s->delay_ms + random_unit() * s->jitter_ms) * 1000);
        if (random_unit() * 100 < s->reorder) {
            due_us += HOLD_BACK_US;
            reordered++;
        }
        keep(bytes, len, to, due_us);
        if (random_unit() * 100 < s->dup) {
            keep(bytes, len, to, due_us);
            doubled++;
        }
    }
}

static void send_due(void)
{
    while (heap_n > 0 && heap[0]->due_us <= now_us()) {
        struct held *frame = heap_pop();
        if (send(frame->to, frame->bytes, frame->len, 0) == (ssize_t)frame->len)
            passed++;
        else
            overflowed++;
        unused[unused_n++] = frame;
    }
}

static void read_setting(struct settings *s, const char *text)
{
    const char *value = strchr(text, '=');
    const struct {
        const char *name;
        double *to;
    } names[] = {{"loss=", &s->loss},
                 {"dup=", &s->dup},
                 {"reorder=", &s->reorder},
                 {"delay=", &s->delay_ms},
                 {"jitter=", &s->jitter_ms}};
    for (size_t i = 0; value != NULL && i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(text, names[i].name, strlen(names[i].name)) == 0) {
            *names[i].to = strtod(value + 1, NULL);
            return;
        }
    if (strncmp(text, "seed=", 5) == 0) {
        random_state ^= strtoul(text + 5, NULL, 10) * 0x9e3779b97f4a7c15u;
        return;
    }
    fprintf(stderr, "impair: unknown setting '%s'\n", text);
    exit(64);
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: impair A B [loss=P] [dup=P] [reorder=P] [delay=MS] [jitter=MS] [seed=N]\n");
        return 64;
    }
    for (int i = 3; i < argc; i++)
        read_setting(&settings, argv[i]);
    for (size_t i = 0; i < HELD_MAX; i++)
        unused[unused_n++] = &held[i];
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    struct pollfd ends[2] = {{.fd = open_interface(argv[1]), .events = POLLIN},
                             {.fd = open_interface(argv[2]), .events = POLLIN}};
    fprintf(stderr, "impair: ready\n");
    while (!stop) {
        struct timespec wait = {.tv_nsec = 200000000};
        uint64_t now = now_us();
        if (heap_n > 0)
            wait.tv_nsec = heap[0]->due_us <= now ? 0 : (long)(heap[0]->due_us - now) * 1000 % 1000000000;
        if (ppoll(ends, 2, &wait, NULL) > 0)
            for (int i = 0; i < 2; i++)
                if (ends[i].revents != 0)
                    take(&settings, ends[i].fd, ends[1 - i].fd);
        send_due();
    }
    fprintf(stderr, "impair: passed %llu lost %llu doubled %llu reordered %llu overflowed %llu\n",
            (unsigned long long)passed, (unsigned long long)lost, (unsigned long long)doubled,
            (unsigned long long)reordered, (unsigned long long)overflowed);
    return 0;
}
