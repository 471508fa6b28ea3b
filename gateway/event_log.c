/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDS 64
#define FOLD_US 1000000
#define LINE_MAX_BYTES 8192
#define BUFFER_BYTES (LINE_MAX_BYTES * 16)

struct fold {
    struct event event;
    uint64_t until_us; /* 0: free */
    uint32_t repeats;
};

struct event_log {
    struct event_log_config config;
    char file[1024];
    char observer[128];
    int fd;
    int error;
    uint32_t rulesets_next;
    struct event_ruleset rulesets[EVENT_RULESETS];
    void (*wrote)(void *owner, const struct event *event, uint64_t sequence); /* NULL: nobody is told */
    void *owner;
    uint64_t sequence;
    uint64_t lost;
    size_t used;
    struct fold folds[FOLDS];
    char buffer[BUFFER_BYTES];
};

static void open_file(struct event_log *log)
{
    int fd = log->config.file == NULL
                 ? -1
                 : open(log->config.file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                        0640);
    log->error = log->config.file != NULL && fd < 0 ? errno : 0;
    if (log->fd >= 0 && log->error != 0)
        return;
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
}

static void set_config(struct event_log *log, const struct event_log_config *config)
{
    log->config = *config;
    snprintf(log->observer, sizeof(log->observer), "%s", config->observer);
    log->config.observer = log->observer;
    log->config.rulesets = log->rulesets;
    if (config->file != NULL) {
        snprintf(log->file, sizeof(log->file), "%s", config->file);
        log->config.file = log->file;
    }
}

struct event_log *event_log_create(const struct event_log_config *config)
{
    struct event_log *log = calloc(1, sizeof(*log));
    if (log == NULL)
        return NULL;
    log->fd = -1;
    set_config(log, config);
    open_file(log);
    return log;
}

/* What the file does not take at once is lost: the control thread must not wait for a disk. A line is written
 * whole or the rest of it is made up for by a newline, so that the next one starts clean. */
static void flush_buffer(struct event_log *log)
{
    if (log->used == 0)
        return;
    size_t done = 0;
    while (log->fd >= 0 && done < log->used) {
        ssize_t n = write(log->fd, log->buffer + done, log->used - done);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        log->error = n < 0 ? errno : EIO;
        break;
    }
    for (size_t i = done; i < log->used; i++)
        if (log->buffer[i] == '\n')
            log->lost++;
    if (done == log->used)
        log->error = 0;
    else if (done > 0 && log->buffer[done - 1] != '\n' && write(log->fd, "\n", 1) != 1)
        log->lost++;
    log->used = 0;
}

static void write_line(struct event_log *log, const struct event *event)
{
    if (log->config.file == NULL)
        return;
    if (BUFFER_BYTES - log->used < LINE_MAX_BYTES)
        flush_buffer(log);
    char *line = log->buffer + log->used;
    if (!event_format(event, &log->config, log->sequence + 1, line, LINE_MAX_BYTES - 1)) {
        log->lost++;
        return;
    }
    log->sequence++;
    if (log->wrote != NULL)
        log->wrote(log->owner, event, log->sequence);
    size_t n = strlen(line);
    line[n] = '\n';
    log->used += n + 1;
}

static bool same(const struct event *a, const struct event *b)
{
    return a->kind == b->kind && a->outcome == b->outcome && a->session == b->session &&
           a->topic_len == b->topic_len && ip_address_equal(&a->source, &b->source) &&
           memcmp(a->topic, b->topic, a->topic_len) == 0 && strcmp(a->rule, b->rule) == 0 &&
           strcmp(a->client_id, b->client_id) == 0 && strcmp(a->detail, b->detail) == 0;
}

static void end_fold(struct event_log *log, struct fold *fold)
{
    if (fold->repeats > 0) {
        fold->event.repeats = fold->repeats;
        write_line(log, &fold->event);
    }
    *fold = (struct fold){.until_us = 0};
}

/* Session starts and ends, reloads and the like are told one by one; what an attacker can cause at will is
 * folded. */
static bool folds(const struct event *event)
{
    switch (event->kind) {
    case EVENT_CONNECTION_REFUSED:
    case EVENT_MQTT_PUBLISH_DENIED:
    case EVENT_MQTT_SUBSCRIBE_DENIED:
    case EVENT_MQTT_DELIVERY_DENIED:
    case EVENT_MQTT_PUBLISH_ALLOWED:
    case EVENT_MQTT_CONNECT_REFUSED:
    case EVENT_LIMIT_EXCEEDED:
    case EVENT_PROTOCOL_ERROR:
    case EVENT_TLS_FAILED:
    case EVENT_UPSTREAM_FAILED:
    case EVENT_COAP_REQUEST_DENIED:
    case EVENT_COAP_ALLOWED:
        return true;
    default:
        return false;
    }
}

/* True when the event was counted into a fold and must not be written now. */
static bool fold(struct event_log *log, const struct event *event, uint64_t now_us)
{
    struct fold *oldest = &log->folds[0];
    for (int i = 0; i < FOLDS; i++) {
        struct fold *f = &log->folds[i];
        if (f->until_us != 0 && same(&f->event, event)) {
            f->repeats += 1 + event->repeats;
            f->event.time_us = event->time_us;
            return true;
        }
        if (f->until_us < oldest->until_us)
            oldest = f;
    }
    end_fold(log, oldest);
    *oldest = (struct fold){.event = *event, .until_us = now_us + FOLD_US};
    return false;
}

void event_log_write(struct event_log *log, const struct event *event)
{
    write_line(log, event);
}

void event_log_drain(struct event_log *log, struct event_ring *ring, uint64_t now_us)
{
    const struct event *event;
    while ((event = event_ring_peek(ring)) != NULL) {
        if (!folds(event) || !fold(log, event, now_us))
            write_line(log, event);
        event_ring_pop(ring);
    }
}

void event_log_tick(struct event_log *log, uint64_t now_us)
{
    for (int i = 0; i < FOLDS; i++)
        if (log->folds[i].until_us != 0 && log->folds[i].until_us <= now_us)
            end_fold(log, &log->folds[i]);
    flush_buffer(log);
}

void event_log_reopen(struct event_log *log, const struct event_log_config *config)
{
    flush_buffer(log);
    set_config(log, config);
    open_file(log);
}

void event_log_watch(struct event_log *log,
                     void (*wrote)(void *owner, const struct event *event, uint64_t sequence), void *owner)
{
    log->wrote = wrote;
    log->owner = owner;
}

void event_log_ruleset(struct event_log *log, uint32_t number, const char *fingerprint)
{
    struct event_ruleset *ruleset = &log->rulesets[log->rulesets_next++ % EVENT_RULESETS];
    ruleset->number = number;
    snprintf(ruleset->fingerprint, sizeof(ruleset->fingerprint), "%s", fingerprint);
}

void event_log_destroy(struct event_log *log)
{
    if (log == NULL)
        return;
    for (int i = 0; i < FOLDS; i++)
        if (log->folds[i].until_us != 0)
            end_fold(log, &log->folds[i]);
    flush_buffer(log);
    if (log->fd >= 0)
        close(log->fd);
    free(log);
}

int event_log_error(const struct event_log *log)
{
    return log->error;
}

uint64_t event_log_lost(const struct event_log *log)
{
    return log->lost;
}

uint64_t event_log_written(const struct event_log *log)
{
    return log->sequence;
}
