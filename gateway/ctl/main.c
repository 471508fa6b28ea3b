/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sallyportctl: one line to the gateway's control socket, its answer to stdout, its status as ours (H1). */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/sallyport/control.sock"
#define EXIT_USAGE 2
#define EXIT_UNREACHABLE 3
#define LINE_BYTES 4096

static const char usage_text[] =
    "usage: sallyportctl [-s SOCKET] [--json] [-q] COMMAND [ARGUMENTS]\n"
    "  status, health, clients [PATTERN], show CLIENT, ports, upstreams, rules, counters, where,\n"
    "  explain CLIENT publish|subscribe TOPIC [--qos N] [--retain], explain CLIENT connect,\n"
    "  policy log | diff [REV [REV]] | show REV | restore REV, check [FILE], test,\n"
    "  candidate load [PATH] [--sample N%] | status | report | promote [--accept] | drop,\n"
    "  reload [--wait] [--confirm TIME], confirm, kick CLIENT, drain\n"
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

/* Words are joined by blanks; a word with blank or newline in it cannot be said. */
static bool make_line(char *line, size_t room, bool json, char **words, int n)
{
    size_t used = (size_t)snprintf(line, room, "%s", json ? "--json " : "");
    for (int i = 0; i < n; i++) {
        size_t length = strlen(words[i]);
        if (length == 0 || strpbrk(words[i], " \t\r\n") != NULL || length + 2 > room - used)
            return false;
        memcpy(line + used, words[i], length);
        used += length;
        line[used++] = i + 1 == n ? '\n' : ' ';
    }
    line[used] = '\0';
    return n > 0;
}

/* The first line is the status, the rest is for the reader. */
static int copy_answer(int fd, bool quiet)
{
    FILE *in = fdopen(fd, "r");
    char buffer[LINE_BYTES];
    if (in == NULL)
        return EXIT_UNREACHABLE;
    int status = EXIT_UNREACHABLE;
    if (fgets(buffer, sizeof(buffer), in) != NULL)
        status = atoi(buffer);
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
        if (!quiet)
            fwrite(buffer, 1, n, stdout);
    fclose(in);
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
    char line[LINE_BYTES];
    if (!make_line(line, sizeof(line), json, argv + at, argc - at)) {
        fputs(usage_text, stderr);
        return EXIT_USAGE;
    }
    int fd = connect_to(path);
    if (fd < 0) {
        fprintf(stderr, "sallyportctl: %s: %s; is sallyport running?\n", path, strerror(errno));
        return EXIT_UNREACHABLE;
    }
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        perror("sallyportctl");
        return EXIT_UNREACHABLE;
    }
    return copy_answer(fd, quiet);
}
