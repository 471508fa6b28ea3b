/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/ocsp_fetch.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- addresses ----------------------------------------------------------------------------------------- */

static bool printable(const char *text)
{
    for (; *text != 0; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool take_port(const char *text, struct ocsp_uri *parts)
{
    char *end;
    parts->port = 80;
    if (*text == ':') {
        unsigned long port = strtoul(text + 1, &end, 10);
        if (text[1] < '0' || text[1] > '9' || port == 0 || port > 65535)
            return false;
        parts->port = (uint16_t)port;
        text = end;
    }
    parts->path = text;
    return *text == 0 || *text == '/';
}

bool ocsp_uri_parse(const char *uri, struct ocsp_uri *parts)
{
    static const char scheme[] = "http://";
    if (strncasecmp(uri, scheme, sizeof(scheme) - 1) != 0 || !printable(uri) || strlen(uri) > 255)
        return false;
    const char *host = uri + sizeof(scheme) - 1;
    const char *end;
    if (*host == '[') {
        end = strchr(++host, ']');
        if (end == NULL)
            return false;
        parts->host_len = (size_t)(end - host);
        end++;
    } else {
        parts->host_len = strcspn(host, ":/");
        end = host + parts->host_len;
    }
    parts->host = host;
    return parts->host_len > 0 && parts->host_len <= OCSP_HOST_MAX &&
           memchr(host, '@', parts->host_len) == NULL && memchr(host, '%', parts->host_len) == NULL &&
           take_port(end, parts);
}

static bool v4_is_inside(uint32_t address)
{
    return address >> 24 == 127 || address >> 24 == 0 || address >> 16 == 0xA9FE || address >> 28 >= 0xE;
}

bool ocsp_address_is_inside(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return v4_is_inside(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family != AF_INET6)
        return true;
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof(in6));
    const struct in6_addr *a = &in6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a)) {
        uint32_t v4;
        memcpy(&v4, a->s6_addr + 12, sizeof(v4));
        return v4_is_inside(ntohl(v4));
    }
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MULTICAST(a) ||
           IN6_IS_ADDR_UNSPECIFIED(a);
}

/* ---- the exchange -------------------------------------------------------------------------------------- */

static bool fail(struct ocsp_fetch *fetch, const char *why)
{
    fetch->why = why;
    return false;
}

static bool fill(struct ocsp_fetch *fetch, const struct ocsp_uri *uri, const uint8_t *request, size_t n)
{
    bool v6 = memchr(uri->host, ':', uri->host_len) != NULL;
    int head = snprintf((char *)fetch->out, sizeof(fetch->out),
                        "POST %s HTTP/1.0\r\nHost: %s%.*s%s:%u\r\nContent-Type: application/ocsp-request\r\n"
                        "Accept: application/ocsp-response\r\nContent-Length: %zu\r\n\r\n",
                        uri->path[0] == 0 ? "/" : uri->path, v6 ? "[" : "", (int)uri->host_len, uri->host,
                        v6 ? "]" : "", uri->port, n);
    if (head < 0 || (size_t)head + n > sizeof(fetch->out))
        return fail(fetch, "the responder's address is too long");
    memcpy(fetch->out + head, request, n);
    fetch->out_n = (size_t)head + n;
    return true;
}

bool ocsp_fetch_start(struct ocsp_fetch *fetch, const struct sockaddr *address, socklen_t address_len,
                      const struct ocsp_uri *uri, const uint8_t *request, size_t request_n)
{
    fetch->fd = -1;
    fetch->connected = false;
    fetch->why = NULL;
    fetch->out_at = fetch->in_n = fetch->head = fetch->body = 0;
    if (!fill(fetch, uri, request, request_n))
        return false;
    fetch->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fetch->fd < 0)
        return fail(fetch, "no socket to be had");
    fetch->events = POLLOUT;
    if (connect(fetch->fd, address, address_len) == 0 || errno == EINPROGRESS)
        return true;
    ocsp_fetch_close(fetch);
    return fail(fetch, "the responder cannot be reached");
}

void ocsp_fetch_close(struct ocsp_fetch *fetch)
{
    if (fetch->fd >= 0)
        close(fetch->fd);
    fetch->fd = -1;
}

/* Behind the status line: Content-Type and Content-Length; -1: it does not say. */
static bool read_head(struct ocsp_fetch *fetch, const char *line, long *length)
{
    bool typed = false;
    *length = -1;
    while ((line = strstr(line, "\r\n")) != NULL && strncmp(line += 2, "\r\n", 2) != 0) {
        const char *value = strchr(line, ':');
        if (value == NULL || value[1] == 0)
            return fail(fetch, "the responder does not speak HTTP");
        value += 1 + strspn(value + 1, " \t");
        if (strncasecmp(line, "Content-Type:", 13) == 0)
            typed = strncasecmp(value, "application/ocsp-response", 25) == 0;
        else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0)
            return fail(fetch, "the responder sends its answer in pieces");
        else if (strncasecmp(line, "Content-Length:", 15) == 0)
            *length = strtol(value, NULL, 10);
    }
    if (!typed)
        return fail(fetch, "what the responder sends is no OCSP answer");
    return *length <= (long)OCSP_ANSWER_MAX ? true : fail(fetch, "the answer is too long");
}

enum ocsp_step ocsp_fetch_read(struct ocsp_fetch *fetch, bool ended)
{
    long length;
    fetch->in[fetch->in_n] = 0;
    char *head = (char *)fetch->in;
    char *end = strstr(head, "\r\n\r\n");
    if (end == NULL) {
        if (!ended && fetch->in_n < OCSP_HEAD_MAX)
            return OCSP_STEP_WAIT;
        fail(fetch, "the responder does not speak HTTP");
        return OCSP_STEP_FAILED;
    }
    fetch->head = (size_t)(end - head) + 4;
    if (strncmp(head, "HTTP/1.", 7) != 0 || fetch->head < 15 || strncmp(head + 8, " 200", 4) != 0) {
        fail(fetch, strncmp(head, "HTTP/", 5) == 0 ? "the responder answers with an HTTP error"
                                                   : "the responder does not speak HTTP");
        return OCSP_STEP_FAILED;
    }
    /* Headers end where the body begins, whatever is in that. */
    uint8_t first = fetch->in[fetch->head];
    fetch->in[fetch->head] = 0;
    bool good = read_head(fetch, head, &length);
    fetch->in[fetch->head] = first;
    if (!good)
        return OCSP_STEP_FAILED;
    size_t have = fetch->in_n - fetch->head;
    if (have > OCSP_ANSWER_MAX) {
        fail(fetch, "the answer is too long");
        return OCSP_STEP_FAILED;
    }
    if (length >= 0 && have >= (size_t)length) {
        fetch->body = (size_t)length;
        return OCSP_STEP_DONE;
    }
    if (!ended)
        return OCSP_STEP_WAIT;
    fetch->body = have;
    if (length < 0)
        return OCSP_STEP_DONE;
    fail(fetch, "the answer is cut short");
    return OCSP_STEP_FAILED;
}

static enum ocsp_step send_some(struct ocsp_fetch *fetch)
{
    int error = 0;
    socklen_t n = sizeof(error);
    if (!fetch->connected) {
        if (getsockopt(fetch->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
            fail(fetch, "the responder cannot be reached");
            return OCSP_STEP_FAILED;
        }
        fetch->connected = true;
    }
    ssize_t sent = send(fetch->fd, fetch->out + fetch->out_at, fetch->out_n - fetch->out_at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        fail(fetch,
             errno == ENOTCONN ? "the responder cannot be reached" : "the responder closed the connection");
        return OCSP_STEP_FAILED;
    }
    fetch->out_at += sent > 0 ? (size_t)sent : 0;
    if (fetch->out_at == fetch->out_n)
        fetch->events = POLLIN;
    return OCSP_STEP_WAIT;
}

enum ocsp_step ocsp_fetch_go(struct ocsp_fetch *fetch)
{
    if (fetch->out_at < fetch->out_n)
        return send_some(fetch);
    size_t room = sizeof(fetch->in) - 1 - fetch->in_n;
    ssize_t got = room == 0 ? 0 : recv(fetch->fd, fetch->in + fetch->in_n, room, 0);
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return OCSP_STEP_WAIT;
        fail(fetch, "the responder closed the connection");
        return OCSP_STEP_FAILED;
    }
    fetch->in_n += (size_t)got;
    return ocsp_fetch_read(fetch, got == 0);
}
