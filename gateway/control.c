/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/control.h"

#include "gateway/command.h"
#include "gateway/command_line.h"
#include "gateway/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#define CLIENTS_MAX 16
#define READERS_MAX                                                                                          \
    12 /* of these, who may not act: whoever may is heard while they fill all they can have                  \
        */
#define LINE_BYTES 4096
#define CLIENT_US 10000000
#define TICK_US 50000
#define SIGNALS_AT_ONCE 8
#define DRAIN_US 5000000

struct client {
    int fd; /* -1: free */
    uint64_t until_us;
    size_t line_used;
    bool waits;      /* until its reload is obeyed by all */
    uint64_t reload; /* which one that is; see gateway_reload.published */
    bool acts;       /* may do more than read */
    char *answer;
    size_t answer_len;
    size_t answer_sent;
    char line[LINE_BYTES];
};

struct control {
    struct gateway *gateway;
    int epoll_fd;
    int signal_fd;
    int timer_fd;
    int listen_fd;
    int spare_fd; /* given up so that an operator is heard when descriptors have run out */
    gid_t admin_group;
    bool has_admin_group;
    uint64_t drain_until_us; /* 0: not draining */
    char path[108];
    struct client clients[CLIENTS_MAX];
};

/* ---- clients of the socket
 * ---------------------------------------------------------------------------------- */

static void client_close(struct client *client)
{
    close(client->fd);
    free(client->answer);
    *client = (struct client){.fd = -1};
}

/* Root, our own user, or a member of the admin group. */
static bool may_act(const struct control *control, int fd, char *user, size_t room, struct command *command)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    snprintf(user, room, "unknown");
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    command->has_uid = true;
    command->uid = peer.uid;
    const struct passwd *entry = getpwuid(peer.uid);
    if (entry != NULL)
        snprintf(user, room, "%s", entry->pw_name);
    else
        snprintf(user, room, "uid %u", peer.uid);
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    gid_t groups[64];
    len = sizeof(groups);
    if (!control->has_admin_group || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
        return false;
    for (size_t i = 0; i < len / sizeof(groups[0]); i++)
        if (groups[i] == control->admin_group)
            return true;
    return peer.gid == control->admin_group;
}

/* False when there are more words than any command has: part of one is not what was meant. */
static bool take_words(struct command *command, char *line)
{
    const char *words[COMMAND_WORDS + 1];
    uint32_t n = command_line_split(line, words, COMMAND_WORDS + 1);
    for (uint32_t i = 0; i < n && i <= COMMAND_WORDS; i++) {
        if (strcmp(words[i], "--json") == 0)
            command->json = true;
        else if (command->words_n < COMMAND_WORDS)
            command->words[command->words_n++] = words[i];
    }
    return n - (command->json ? 1 : 0) <= COMMAND_WORDS;
}

/* Runs the line and keeps the answer to be sent. */
static void client_run(struct control *control, struct client *client)
{
    char user[64];
    char *body = NULL;
    size_t body_len = 0;
    struct command command = {.gateway = control->gateway, .user = user};
    command.may_act = may_act(control, client->fd, user, sizeof(user), &command);
    command.out = open_memstream(&body, &body_len);
    if (command.out == NULL) {
        client_close(client);
        return;
    }
    int status = 2;
    if (take_words(&command, client->line))
        status = command_run(&command);
    else
        fprintf(command.out, "a command has at most %d words; put what belongs together in quotes\n",
                COMMAND_WORDS);
    fclose(command.out);
    client->answer = body == NULL ? NULL : malloc(body_len + 8);
    if (client->answer != NULL) {
        int n = snprintf(client->answer, 8, "%d\n", status);
        memcpy(client->answer + n, body, body_len);
        client->answer_len = (size_t)n + body_len;
        client->waits = command.wait && status == 0;
        client->reload = control->gateway->reload.published;
    }
    free(body);
    if (client->answer == NULL)
        client_close(client);
}

static void client_send(struct client *client)
{
    while (client->answer_sent < client->answer_len) {
        ssize_t n = send(client->fd, client->answer + client->answer_sent,
                         client->answer_len - client->answer_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return; /* again at the next tick or when it is writable */
        if (n < 0)
            break;
        client->answer_sent += (size_t)n;
    }
    client_close(client);
}

/* Behind what was said of a reload: what became of the sessions. */
static void client_append(struct control *control, struct client *client)
{
    char *more = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&more, &len);
    if (out == NULL)
        return;
    reload_print_settled(control->gateway, out);
    fclose(out);
    char *longer = more == NULL ? NULL : realloc(client->answer, client->answer_len + len);
    if (longer != NULL) {
        memcpy(longer + client->answer_len, more, len);
        client->answer = longer;
        client->answer_len += len;
    }
    free(more);
}

/* A reload that not every worker obeys in time is answered with 1. */
static void client_give_up(struct client *client)
{
    client->waits = false;
    client->answer[0] = '1';
    client_send(client);
}

static void client_read(struct control *control, struct client *client)
{
    ssize_t n =
        recv(client->fd, client->line + client->line_used, LINE_BYTES - 1 - client->line_used, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_close(client);
        return;
    }
    client->line_used += (size_t)n;
    char *end = memchr(client->line, '\n', client->line_used);
    if (end == NULL) {
        if (client->line_used == LINE_BYTES - 1)
            client_close(client);
        return;
    }
    *end = '\0';
    client_run(control, client);
    if (client->answer != NULL && !client->waits)
        client_send(client);
}

static void client_event(struct control *control, struct client *client)
{
    if (client->fd < 0)
        return;
    if (client->answer == NULL)
        client_read(control, client);
    else if (!client->waits)
        client_send(client);
}

static void hold_spare(struct control *control)
{
    if (control->spare_fd < 0)
        control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool peer_acts(const struct control *control, int fd)
{
    char user[64];
    struct command nothing = {.out = NULL};
    return may_act(control, fd, user, sizeof(user), &nothing);
}

static uint32_t readers(const struct control *control)
{
    uint32_t n = 0;
    for (int i = 0; i < CLIENTS_MAX; i++)
        n += control->clients[i].fd >= 0 && !control->clients[i].acts;
    return n;
}

static void accept_client(struct control *control)
{
    int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && control->spare_fd >= 0) {
        close(control->spare_fd);
        control->spare_fd = -1;
        fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    if (fd < 0)
        return;
    bool acts = peer_acts(control, fd);
    if (!acts && readers(control) >= READERS_MAX) {
        close(fd);
        return;
    }
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &control->clients[i];
        if (client->fd >= 0)
            continue;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
        if (epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
            break;
        client->fd = fd;
        client->acts = acts;
        client->until_us = gateway_monotonic_us() + CLIENT_US;
        return;
    }
    close(fd);
}

static void tick_clients(struct control *control)
{
    uint64_t now_us = gateway_monotonic_us();
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &control->clients[i];
        if (client->fd < 0)
            continue;
        if (client->waits && control->gateway->reload.obeyed >= client->reload) {
            client->waits = false;
            client_append(control, client);
            client_send(client);
            continue;
        }
        if (client->until_us >= now_us)
            continue;
        if (client->waits)
            client_give_up(client);
        else
            client_close(client);
    }
}

/* ---- signals
 * -------------------------------------------------------------------------------------------------- */

static void reload_by_signal(struct gateway *gateway)
{
    char *report = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&report, &len);
    if (out == NULL)
        return;
    reload_run(gateway, &(struct reload_request){.user = "SIGHUP"}, out);
    fclose(out);
    gateway_say(gateway, 1, "%s", report);
    if (!gateway->last_reload_good && gateway->options->foreground)
        fputs(report, stderr);
    free(report);
}

/* Signals that have come are taken together and acted on once, and then others have their turn: whoever sends
 * one after the other keeps nobody waiting. */
static void on_signal(struct control *control)
{
    struct gateway *gateway = control->gateway;
    struct signalfd_siginfo info;
    bool reload = false;
    for (int i = 0;
         i < SIGNALS_AT_ONCE && read(control->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info); i++) {
        switch (info.ssi_signo) {
        case SIGHUP:
            reload = true;
            break;
        case SIGUSR1:
            gateway_open_log(gateway);
            break;
        case SIGTERM:
        case SIGINT:
            if (gateway->draining)
                gateway->stop = true;
            gateway->draining = true;
            break;
        default:
            break;
        }
    }
    if (reload && !gateway->stop)
        reload_by_signal(gateway);
}

/* Ends sessions, a bounded number at a time, until none is left or time is up. */
static void drain(struct control *control)
{
    static struct worker_request
        requests[WORKERS_MAX]; /* static: a worker that answers late still finds its own */
    struct gateway *gateway = control->gateway;
    bool all = true;
    if (control->drain_until_us == 0) {
        control->drain_until_us = gateway_monotonic_us() + DRAIN_US;
        gateway_say(gateway, 0, "stopping: draining sessions");
    }
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_request *request = &requests[i];
        if (!worker_listens(gateway->workers[i])) {
            all = false;
            continue;
        }
        request->kind = WORKER_DRAIN;
        request->why = OUTCOME_SHUTTING_DOWN;
        request->drained = false;
        if (!worker_ask(gateway->workers[i], request) || !request->drained)
            all = false;
    }
    if (all || gateway_monotonic_us() > control->drain_until_us)
        gateway->stop = true;
}

/* ---- the loop
 * --------------------------------------------------------------------------------------------------- */

static void on_tick(struct control *control)
{
    uint64_t expirations;
    while (read(control->timer_fd, &expirations, sizeof(expirations)) > 0)
        ;
    gateway_tick(control->gateway);
    tick_clients(control);
    hold_spare(control);
    if (control->gateway->draining && !control->gateway->stop)
        drain(control);
}

/* While one thing was done, such as loading a policy, nobody else could be served: that time is nobody's. */
static void forgive(struct control *control, uint64_t since_us)
{
    uint64_t spent_us = gateway_monotonic_us() - since_us;
    for (int i = 0; i < CLIENTS_MAX; i++)
        control->clients[i].until_us += spent_us;
}

int control_run(struct control *control)
{
    struct epoll_event events[CLIENTS_MAX + 3];
    while (!control->gateway->stop) {
        int n = epoll_wait(control->epoll_fd, events, CLIENTS_MAX + 3, -1);
        if (n < 0 && errno != EINTR)
            return GATEWAY_EXIT_FAULT;
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            uint64_t begun_us = gateway_monotonic_us();
            if (what == &control->timer_fd)
                on_tick(control);
            else if (what == &control->signal_fd)
                on_signal(control);
            else if (what == &control->listen_fd)
                accept_client(control);
            else
                client_event(control, what);
            forgive(control, begun_us);
        }
    }
    return GATEWAY_EXIT_OK;
}

/* ---- birth and death
 * --------------------------------------------------------------------------------------------- */

static int open_socket(struct control *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = control->gateway->generation->config->control_socket;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->listen_fd < 0)
        return -errno;
    /* A socket that answers belongs to a running gateway; one that does not is left over from a crash. */
    if (connect(control->listen_fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return -EADDRINUSE;
    close(control->listen_fd);
    struct stat there;
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(path);
    control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0117);
    int result =
        bind(control->listen_fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
    umask(mask);
    if (result == 0 && listen(control->listen_fd, CLIENTS_MAX) != 0)
        result = -errno;
    if (result == 0)
        strcpy(control->path, path);
    return result;
}

static bool watch(struct control *control, int *fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = fd};
    return *fd >= 0 && epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, *fd, &event) == 0;
}

static bool open_sources(struct control *control)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    control->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    control->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec period = {.it_interval.tv_nsec = TICK_US * 1000, .it_value.tv_nsec = TICK_US * 1000};
    return control->epoll_fd >= 0 && control->timer_fd >= 0 &&
           timerfd_settime(control->timer_fd, 0, &period, NULL) == 0 &&
           watch(control, &control->signal_fd, EPOLLIN) && watch(control, &control->timer_fd, EPOLLIN) &&
           watch(control, &control->listen_fd, EPOLLIN);
}

struct control *control_create(struct gateway *gateway)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL)
        return NULL;
    control->gateway = gateway;
    control->epoll_fd = control->signal_fd = control->timer_fd = control->listen_fd = control->spare_fd = -1;
    for (int i = 0; i < CLIENTS_MAX; i++)
        control->clients[i].fd = -1;
    const struct group *admin = getgrnam("sallyport-admin");
    if (admin != NULL) {
        control->has_admin_group = true;
        control->admin_group = admin->gr_gid;
    }
    int result = open_socket(control);
    if (result != 0 || !open_sources(control)) {
        gateway_say(gateway, -1, "control socket %s: %s", gateway->generation->config->control_socket,
                    strerror(result != 0 ? -result : errno));
        control_destroy(control);
        return NULL;
    }
    hold_spare(control);
    return control;
}

void control_destroy(struct control *control)
{
    if (control == NULL)
        return;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i].fd >= 0)
            client_close(&control->clients[i]);
    int fds[] = {control->epoll_fd, control->signal_fd, control->timer_fd, control->listen_fd,
                 control->spare_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (control->path[0] != '\0')
        unlink(control->path);
    free(control);
}
