/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sallyportctl: one line to the gateway's control socket, its answer to stdout, its status as ours (H1). */
#include "gateway/command_line.h"
#include "gateway/ctl/import/command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/sallyport/control.sock"
#define EXIT_USAGE 2
#define EXIT_UNREACHABLE 3
#define LINE_BYTES 4096

static const char usage_text[] =
    "usage: sallyportctl [-s SOCKET] [--json] [-q] COMMAND [ARGUMENTS]\n"
    "  status, health, clients [PATTERN], show CLIENT, ports, upstreams, rules, counters, where,\n"
    "  metrics [-o FILE]: for Prometheus,\n"
    "  explain CLIENT connect|publish|subscribe|GET|... [TOPIC or PATH] [--qos N] [--retain] [--why-not] "
    "...,\n"
    "  explain --event SEQUENCE|last [--why-not],\n"
    "  policy log | diff [REV [REV]] | show REV | restore REV, check [FILE], test,\n"
    "  candidate load [PATH] [--sample N%] | status | report | promote [--accept] | drop,\n"
    "  learn start ROLE|--all [--for TIME] [--resume] | status | report [ROLE] | write [-o FILE] [ROLE] |\n"
    "    keep [ROLE] | stop [ROLE] | forget ROLE,\n"
    "  reload [--wait] [--confirm TIME], confirm, drain,\n"
    "  kick CLIENT, quarantine [CLIENT [--reason WHY]], release CLIENT\n"
    "  import mosquitto FILE [-o POLICY] ...: a policy from a broker's own rules; needs no gateway\n"
    "exit: 0 yes, 1 no, 2 usage, 3 gateway unreachable, 4 not permitted, 78 policy refused\n";

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* False, told, when the words cannot be said. */
static bool make_line(char *line, size_t room, bool json, char **words, int n)
{
    size_t used = (size_t)snprintf(line, room, "%s", json ? "--json" : "");
    if (n == 0)
        fputs(usage_text, stderr);
    for (int i = 0; i < n; i++)
        if (!command_line_add(line, room - 1, &used, words[i])) {
            fprintf(stderr, "sallyportctl: word %d is %s\n", i + 1,
                    words[i][0] == '\0' ? "empty" : "too much for one command");
            return false;
        }
    line[used] = '\n';
    line[used + 1] = '\0';
    return n > 0;
}

/* The first line is the status, the rest is for the reader. */
static int copy_answer(int fd, FILE *to, FILE *to_else)
{
    FILE *in = fdopen(fd, "r");
    char buffer[LINE_BYTES];
    if (in == NULL)
        return EXIT_UNREACHABLE;
    int status = EXIT_UNREACHABLE;
    if (fgets(buffer, sizeof(buffer), in) != NULL)
        status = atoi(buffer);
    if (status != 0)
        to = to_else;
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
        if (to != NULL)
            fwrite(buffer, 1, n, to);
    fclose(in);
    return status;
}

/* `learn write -o FILE`, `metrics -o FILE`: the words without the option. */
static const char *take_output(char **words, int *n)
{
    const char *file = NULL;
    int kept = 0;
    bool learned = *n >= 2 && strcmp(words[0], "learn") == 0 && strcmp(words[1], "write") == 0;
    if (!learned && (*n < 1 || strcmp(words[0], "metrics") != 0))
        return NULL;
    for (int i = 0; i < *n; i++)
        if (strcmp(words[i], "-o") == 0 && i + 1 < *n && file == NULL)
            file = words[++i];
        else
            words[kept++] = words[i];
    *n = kept;
    return file;
}

/* The answer as a file, which appears whole or not at all; what is not an answer goes to stderr. `said` about
 * it afterwards, or NULL. */
static int file_answer(int fd, const char *file, const char *said)
{
    char aside[4096];
    if ((size_t)snprintf(aside, sizeof(aside), "%s.XXXXXX", file) >= sizeof(aside)) {
        fprintf(stderr, "sallyportctl: %s: its name is too long\n", file);
        return EXIT_USAGE;
    }
    int to_fd = mkstemp(aside);
    FILE *to = to_fd < 0 ? NULL : fdopen(to_fd, "w");
    if (to == NULL) {
        fprintf(stderr, "sallyportctl: %s: %s\n", aside, strerror(errno));
        return EXIT_USAGE;
    }
    mode_t mask = umask(0);
    umask(mask);
    int status = copy_answer(fd, to, stderr);
    (void)fchmod(to_fd, 0666 & ~mask); /* no secret is in it, and the gateway is somebody else */
    bool good = status == 0 && fflush(to) == 0 && fsync(to_fd) == 0;
    good = fclose(to) == 0 && good && rename(aside, file) == 0;
    if (!good)
        unlink(aside);
    if (status == 0 && !good) {
        fprintf(stderr, "sallyportctl: %s: %s\n", file, strerror(errno));
        return EXIT_USAGE;
    }
    if (good && said != NULL)
        printf("wrote %s; %s\n", file, said);
    return status;
}

int main(int argc, char **argv)
{
    const char *path = DEFAULT_SOCKET;
    bool json = false;
    bool quiet = false;
    int option;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        option = argv[at][1];
        if (strcmp(argv[at], "--json") == 0) {
            json = true;
        } else if (option == 's' && argv[at][2] == '\0' && at + 1 < argc) {
            path = argv[++at];
        } else if (option == 'q' && argv[at][2] == '\0') {
            quiet = true;
        } else {
            bool help = strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0;
            fputs(usage_text, help ? stdout : stderr);
            return help ? 0 : EXIT_USAGE;
        }
    }
    /* `health -q` is how scripts write it. */
    if (argc - at == 2 && strcmp(argv[argc - 1], "-q") == 0) {
        quiet = true;
        argc--;
    }
    if (argc - at >= 1 && strcmp(argv[at], "import") == 0)
        return import_command(argc - at - 1, argv + at + 1);
    char line[LINE_BYTES];
    int words_n = argc - at;
    const char *file = take_output(argv + at, &words_n);
    if (!make_line(line, sizeof(line), json, argv + at, words_n))
        return EXIT_USAGE;
    int fd = connect_to(path);
    if (fd < 0) {
        fprintf(stderr, "sallyportctl: %s: %s; is sallyport running?\n", path, strerror(errno));
        return EXIT_UNREACHABLE;
    }
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        perror("sallyportctl");
        return EXIT_UNREACHABLE;
    }
    if (file != NULL)
        return file_answer(
            fd, file,
            strcmp(argv[at], "learn") == 0 && !quiet
                ? "look at it, then: sallyport -t -p DIRECTORY, sallyportctl candidate load DIRECTORY"
                : NULL); /* a timer writes metrics */
    return copy_answer(fd, quiet ? NULL : stdout, quiet ? NULL : stdout);
}
