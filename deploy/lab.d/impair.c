/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * impair A B LOSS REORDER SEED: a bad cable between interfaces A and B. Of the frames in each direction LOSS
 * per cent vanish and REORDER per cent are overtaken by the few that follow them. The same SEED gives the
 * same sequence of fates, which netem does not promise, and no kernel support is needed but packet sockets.
 *
 * Runs until SIGTERM, then prints what it did. Frames pass whole, 802.1Q tags included: a packet socket hands
 * the tag over beside the frame, so it is put back. Used by deploy/lab up --impair.
 */
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
    HOLD_MAX_MS = 5, /* a held frame that nothing follows goes on after this */
    BATCH = 64,
    SOCKET_BUFFER = 8 << 20,
};

struct frame {
    size_t length;
    unsigned overtakers_left;
    int64_t release_ms;
    unsigned char bytes[FRAME_MAX + TAG_LENGTH];
};

struct direction {
    const char *name;
    int from;
    int to;
    uint64_t random;
    unsigned held_n;
    struct frame held[HELD_MAX];
    unsigned long passed, lost, reordered, failed;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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

static void pass(struct direction *d, const struct frame *frame)
{
    if (send(d->to, frame->bytes, frame->length, 0) == (ssize_t)frame->length)
        d->passed++;
    else
        d->failed++;
}

/* Lets held frames go that enough others have overtaken, or that have waited long enough. */
static void release(struct direction *d, bool one_passed, int64_t now)
{
    for (unsigned i = 0; i < d->held_n;) {
        struct frame *frame = &d->held[i];
        if (one_passed && frame->overtakers_left > 0)
            frame->overtakers_left--;
        if (frame->overtakers_left > 0 && now < frame->release_ms) {
            i++;
            continue;
        }
        pass(d, frame);
        *frame = d->held[--d->held_n];
    }
}

static void carry(struct direction *d, double loss, double reorder)
{
    static struct frame frame;

    for (unsigned n = 0; n < BATCH && receive(d->from, &frame); n++) {
        int64_t now = now_ms();
        if (happens(d, loss)) {
            d->lost++;
            continue;
        }
        if (d->held_n < HELD_MAX && happens(d, reorder)) {
            frame.overtakers_left = 1 + next_random(d) % OVERTAKERS_MAX;
            frame.release_ms = now + HOLD_MAX_MS;
            d->held[d->held_n++] = frame;
            d->reordered++;
            continue;
        }
        pass(d, &frame);
        release(d, true, now);
    }
    release(d, false, now_ms());
}

static double percent_argument(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0 && value <= 100)) {
        fprintf(stderr, "impair: %s is no percentage\n", text);
        exit(64);
    }
    return value;
}

int main(int argc, char **argv)
{
    static struct direction directions[2];
    struct sigaction action = {.sa_handler = on_signal};
    struct pollfd polled[2];
    double loss, reorder;

    if (argc != 6) {
        fprintf(stderr, "usage: impair A B LOSS REORDER SEED\n");
        return 64;
    }
    loss = percent_argument(argv[3]);
    reorder = percent_argument(argv[4]);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    for (int i = 0; i < 2; i++) {
        directions[i].name = argv[1 + i];
        directions[i].from = open_interface(argv[1 + i]);
        directions[i].random = strtoull(argv[5], NULL, 10) * 2 + (i == 0 ? 1 : 2);
        polled[i] = (struct pollfd){.fd = directions[i].from, .events = POLLIN};
    }
    directions[0].to = directions[1].from;
    directions[1].to = directions[0].from;
    while (!stopping) {
        bool holding = directions[0].held_n > 0 || directions[1].held_n > 0;
        if (poll(polled, 2, holding ? 1 : -1) < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < 2; i++)
            carry(&directions[i], loss, reorder);
    }
    for (int i = 0; i < 2; i++)
        printf("impair: from %s: %lu passed, of these %lu reordered; %lu lost, %lu could not be sent\n",
               directions[i].name, directions[i].passed, directions[i].reordered, directions[i].lost,
               directions[i].failed);
    return 0;
}
