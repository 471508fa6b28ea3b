/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * impair A B LOSS REORDER SEED [DELAY [DUPLICATE]]: a bad cable between interfaces A and B. Of the frames in
 * each direction LOSS per cent vanish, REORDER per cent are overtaken by the few that follow them, DUPLICATE
 * per cent arrive twice, and all take DELAY milliseconds. The same SEED gives the same sequence of fates,
 * which netem does not promise, and no kernel support is needed but packet sockets.
 *
 * A long cable is a queue in order of arrival: what is held for others to overtake it enters late, but what
 * has entered leaves in turn. It holds QUEUE_MAX frames; what finds it full is lost and counted apart.
 *
 * Runs until SIGTERM, then prints what it did. Frames pass whole, 802.1Q tags included: a packet socket hands
 * the tag over beside the frame, so it is put back. Used by deploy/lab up --impair.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_MAX = 16384,
    ADDRESSES_LENGTH = 12, /* destination and source; the tag goes behind them */
    TAG_LENGTH = 4,
    HELD_MAX = 16,
    OVERTAKERS_MAX = 4,
    BATCH = 64,
    QUEUE_MAX = 16384,
    SLOT_BYTES = 2048, /* a queued frame that is longer has memory of its own */
    SOCKET_BUFFER = 8 << 20,
};

#define HOLD_MAX_NS INT64_C(5000000) /* a held frame that nothing follows goes on after this */

struct frame {
    size_t length;
    unsigned overtakers_left;
    int64_t release_ns;
    unsigned char bytes[FRAME_MAX + TAG_LENGTH];
};

/* A frame on its way along the cable. */
struct slot {
    int64_t arrives_ns;
    size_t length;
    unsigned char *large; /* NULL when it fits */
    unsigned char bytes[SLOT_BYTES];
};

struct settings {
    double loss, reorder, duplicate;
    int64_t delay_ns;
};

struct direction {
    const char *name;
    int from;
    int to;
    uint64_t random;
    unsigned held_n;
    struct frame held[HELD_MAX];
    struct slot *queue; /* a ring, in order of arrival; NULL without delay */
    unsigned first, queued;
    unsigned long passed, lost, reordered, repeated, overflowed, failed;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* xorshift64* */
static uint32_t next_random(struct direction *d)
{
    d->random ^= d->random >> 12;
    d->random ^= d->random << 25;
    d->random ^= d->random >> 27;
    return (uint32_t)((d->random * 2685821657736338717ULL) >> 32);
}

static bool happens(struct direction *d, double percent)
{
    return next_random(d) < percent / 100 * UINT32_MAX;
}

static int open_interface(const char *name)
{
    static const int on = 1;
    static const int room = SOCKET_BUFFER;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);

    address.sll_ifindex = (int)if_nametoindex(name);
    if (fd < 0 || address.sll_ifindex == 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fprintf(stderr, "impair: %s: %s\n", name, strerror(errno));
        exit(1);
    }
    return fd;
}

static void restore_tag(struct frame *frame, const struct tpacket_auxdata *beside)
{
    uint16_t tag[2] = {htons(ETH_P_8021Q), htons(beside->tp_vlan_tci)};

    if (beside->tp_status & TP_STATUS_VLAN_TPID_VALID)
        tag[0] = htons(beside->tp_vlan_tpid);
    memmove(frame->bytes + ADDRESSES_LENGTH + TAG_LENGTH, frame->bytes + ADDRESSES_LENGTH,
            frame->length - ADDRESSES_LENGTH);
    memcpy(frame->bytes + ADDRESSES_LENGTH, tag, TAG_LENGTH);
    frame->length += TAG_LENGTH;
}

static bool receive(int fd, struct frame *frame)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
    struct iovec part = {.iov_base = frame->bytes, .iov_len = FRAME_MAX};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(fd, &message, 0);

    if (length < ETH_HLEN)
        return false;
    frame->length = (size_t)length;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        struct tpacket_auxdata beside;
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        memcpy(&beside, CMSG_DATA(c), sizeof(beside));
        if (beside.tp_status & TP_STATUS_VLAN_VALID)
            restore_tag(frame, &beside);
    }
    return true;
}

static void put(struct direction *d, const unsigned char *bytes, size_t length)
{
    if (send(d->to, bytes, length, 0) == (ssize_t)length)
        d->passed++;
    else
        d->failed++;
}

static void enter(struct direction *d, const struct frame *frame, int64_t arrives_ns)
{
    if (d->queued == QUEUE_MAX) {
        d->overflowed++;
        return;
    }
    struct slot *slot = &d->queue[(d->first + d->queued) % QUEUE_MAX];
    slot->large = frame->length > SLOT_BYTES ? malloc(frame->length) : NULL;
    if (frame->length > SLOT_BYTES && slot->large == NULL) {
        d->overflowed++;
        return;
    }
    slot->arrives_ns = arrives_ns;
    slot->length = frame->length;
    memcpy(slot->large != NULL ? slot->large : slot->bytes, frame->bytes, frame->length);
    d->queued++;
}

static void pass(struct direction *d, const struct settings *set, const struct frame *frame, int64_t now)
{
    bool twice =
        set->duplicate > 0 && happens(d, set->duplicate); /* a seed without repeats keeps its fates */

    d->repeated += twice;
    for (int i = 0; i <= twice; i++) {
        if (d->queue == NULL)
            put(d, frame->bytes, frame->length);
        else
            enter(d, frame, now + set->delay_ns);
    }
}

/* What has come to the end of the cable. */
static void arrive(struct direction *d, int64_t now)
{
    while (d->queued > 0 && d->queue[d->first].arrives_ns <= now) {
        struct slot *slot = &d->queue[d->first];
        put(d, slot->large != NULL ? slot->large : slot->bytes, slot->length);
        free(slot->large);
        d->first = (d->first + 1) % QUEUE_MAX;
        d->queued--;
    }
}

/* Lets held frames go that enough others have overtaken, or that have waited long enough. */
static void release(struct direction *d, const struct settings *set, bool one_passed, int64_t now)
{
    for (unsigned i = 0; i < d->held_n;) {
        struct frame *frame = &d->held[i];
        if (one_passed && frame->overtakers_left > 0)
            frame->overtakers_left--;
        if (frame->overtakers_left > 0 && now < frame->release_ns) {
            i++;
            continue;
        }
        pass(d, set, frame, now);
        *frame = d->held[--d->held_n];
    }
}

static void carry(struct direction *d, const struct settings *set)
{
    static struct frame frame;

    for (unsigned n = 0; n < BATCH && receive(d->from, &frame); n++) {
        int64_t now = now_ns();
        if (happens(d, set->loss)) {
            d->lost++;
            continue;
        }
        if (d->held_n < HELD_MAX && happens(d, set->reorder)) {
            frame.overtakers_left = 1 + next_random(d) % OVERTAKERS_MAX;
            frame.release_ns = now + HOLD_MAX_NS;
            d->held[d->held_n++] = frame;
            d->reordered++;
            continue;
        }
        pass(d, set, &frame, now);
        release(d, set, true, now);
    }
    release(d, set, false, now_ns());
    arrive(d, now_ns());
}

/* When something of a direction is due, or `due` when nothing is earlier. */
static int64_t next_due(const struct direction *d, int64_t due)
{
    for (unsigned i = 0; i < d->held_n; i++)
        if (d->held[i].release_ns < due)
            due = d->held[i].release_ns;
    if (d->queued > 0 && d->queue[d->first].arrives_ns < due)
        due = d->queue[d->first].arrives_ns;
    return due;
}

static void wait_for(struct pollfd polled[2], const struct direction directions[2])
{
    int64_t due = next_due(&directions[1], next_due(&directions[0], INT64_MAX));
    struct timespec left = {0};

    if (due != INT64_MAX) {
        int64_t ns = due - now_ns();
        if (ns > 0)
            left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    }
    if (ppoll(polled, 2, due == INT64_MAX ? NULL : &left, NULL) < 0 && errno != EINTR) {
        fprintf(stderr, "impair: %s\n", strerror(errno));
        exit(1);
    }
}

static double number_argument(const char *text, const char *what, double most)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0 && value <= most)) {
        fprintf(stderr, "impair: %s is no %s\n", text, what);
        exit(64);
    }
    return value;
}

static void open_direction(struct direction *d, const char *name, uint64_t random, const struct settings *set)
{
    d->name = name;
    d->from = open_interface(name);
    d->random = random;
    if (set->delay_ns > 0) {
        d->queue = calloc(QUEUE_MAX, sizeof(*d->queue));
        if (d->queue == NULL) {
            fprintf(stderr, "impair: no memory\n");
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    static struct direction directions[2];
    struct sigaction action = {.sa_handler = on_signal};
    struct pollfd polled[2];
    struct settings set = {0};

    if (argc < 6 || argc > 8) {
        fprintf(stderr, "usage: impair A B LOSS REORDER SEED [DELAY [DUPLICATE]]\n");
        return 64;
    }
    set.loss = number_argument(argv[3], "percentage", 100);
    set.reorder = number_argument(argv[4], "percentage", 100);
    set.delay_ns = argc > 6 ? (int64_t)(number_argument(argv[6], "delay in ms", 10000) * 1e6) : 0;
    set.duplicate = argc > 7 ? number_argument(argv[7], "percentage", 100) : 0;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    for (int i = 0; i < 2; i++) {
        open_direction(&directions[i], argv[1 + i], strtoull(argv[5], NULL, 10) * 2 + (i == 0 ? 1 : 2), &set);
        polled[i] = (struct pollfd){.fd = directions[i].from, .events = POLLIN};
    }
    directions[0].to = directions[1].from;
    directions[1].to = directions[0].from;
    while (!stopping) {
        wait_for(polled, directions);
        for (int i = 0; i < 2; i++)
            carry(&directions[i], &set);
    }
    for (int i = 0; i < 2; i++)
        printf("impair: from %s: %lu passed, of these %lu reordered, %lu twice; %lu lost, %lu found the "
               "queue full, "
               "%lu could not be sent\n",
               directions[i].name, directions[i].passed, directions[i].reordered, directions[i].repeated,
               directions[i].lost, directions[i].overflowed, directions[i].failed);
    return 0;
}
