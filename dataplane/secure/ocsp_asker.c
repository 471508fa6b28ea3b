/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/ocsp_asker.h"

#include "dataplane/secure/ocsp_fetch.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define RESPONDERS 32
#define RESOLVED_S 300 /* how long an address holds */

struct responder {
    char host[OCSP_HOST_MAX + 1]; /* empty: a free place */
    uint16_t port;
    bool configured;
    bool found; /* the address is one */
    struct sockaddr_storage address;
    socklen_t address_len;
    int64_t resolve_ms; /* when to look the name up again; all of these on CLOCK_MONOTONIC */
    int64_t down_ms;    /* until then it is left alone */
    int64_t second_ms;  /* in which `asked` were */
    int64_t used_ms;
    uint32_t asked;
    uint32_t failures; /* in a row */
    uint32_t flights;
};

struct flight {
    struct ocsp_case *about; /* NULL: free */
    struct responder *responder;
    int64_t deadline_ms;
    uint8_t nonce[OCSP_NONCE_BYTES];
    struct ocsp_fetch fetch;
};

TAILQ_HEAD(case_queue, ocsp_case);

struct ocsp_asker {
    pthread_t thread;
    bool started;
    int wake; /* eventfd */
    atomic_bool stop;
    atomic_bool sleeping;
    _Atomic(struct ocsp_case *) pushed; /* last first */
    atomic_uint waiting_n;              /* pushed and in `waiting` */
    atomic_uint version;
    atomic_uint alarms;
    _Atomic uint64_t counters[OCSP_COUNTER_COUNT];
    struct ocsp_registry *registry;
    struct case_queue waiting;
    struct responder responders[RESPONDERS];
    struct flight flights[OCSP_FLIGHTS];
};

static struct ocsp_asker *shared;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void count(struct ocsp_asker *asker, enum ocsp_counter counter)
{
    atomic_fetch_add_explicit(&asker->counters[counter], 1, memory_order_relaxed);
}

/* ---- verdicts ------------------------------------------------------------------------------------------ */

static void settle(struct ocsp_asker *asker, struct ocsp_case *c, const struct ocsp_answer *answer)
{
    static const enum ocsp_counter counters[] = {
        [OCSP_GOOD] = OCSP_COUNT_GOOD,       [OCSP_REVOKED] = OCSP_COUNT_REVOKED,
        [OCSP_UNKNOWN] = OCSP_COUNT_UNKNOWN, [OCSP_FAILED] = OCSP_COUNT_FAILED,
        [OCSP_NONE] = OCSP_COUNT_FAILED,
    };
    int64_t now_s = (int64_t)time(NULL);
    int64_t retry_s = c->cache_s < OCSP_RETRY_S ? c->cache_s : OCSP_RETRY_S;
    enum ocsp_status before = ocsp_case_status(c, now_s);
    count(asker, counters[answer->status]);
    if (answer->status != OCSP_FAILED) {
        int64_t until_s =
            answer->next_update_s < now_s + c->cache_s ? answer->next_update_s : now_s + c->cache_s;
        ocsp_case_settle(c, answer->status, until_s, now_s + (until_s - now_s) * 3 / 4, NULL);
    } else if (before == OCSP_GOOD || before == OCSP_REVOKED) {
        atomic_store_explicit(&c->due_s, now_s + retry_s, memory_order_relaxed);
    } else {
        ocsp_case_settle(c, OCSP_FAILED, now_s + retry_s, now_s + retry_s, answer->why);
    }
    atomic_store_explicit(&c->asked, false, memory_order_release);
    if (answer->status != OCSP_GOOD && ocsp_case_status(c, now_s) != before)
        atomic_fetch_add_explicit(&asker->alarms, 1, memory_order_release);
    atomic_fetch_add_explicit(&asker->version, 1, memory_order_release);
    ocsp_case_unref(c);
}

static void give_up(struct ocsp_asker *asker, struct ocsp_case *c, const char *why)
{
    settle(asker, c, &(struct ocsp_answer){.status = OCSP_FAILED, .why = why});
}

/* ---- responders ---------------------------------------------------------------------------------------- */

static struct responder *find_responder(struct ocsp_asker *asker, const struct ocsp_case *c,
                                        const struct ocsp_uri *uri)
{
    struct responder *oldest = NULL;
    for (int i = 0; i < RESPONDERS; i++) {
        struct responder *r = &asker->responders[i];
        if (r->port == uri->port && r->configured == c->configured && strlen(r->host) == uri->host_len &&
            strncasecmp(r->host, uri->host, uri->host_len) == 0)
            return r;
        /* One that is left alone keeps its place before those that are not. */
        if (r->flights == 0 && (oldest == NULL || r->used_ms < oldest->used_ms))
            oldest = r;
    }
    if (oldest == NULL)
        return NULL;
    *oldest = (struct responder){.port = uri->port, .configured = c->configured};
    memcpy(oldest->host, uri->host, uri->host_len);
    return oldest;
}

/* Names are looked up here, in the asker's own time: a second for each server of names, once. */
static bool resolve(struct responder *r, int64_t now)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    char port[8];
    if (now < r->resolve_ms)
        return r->found;
    snprintf(port, sizeof(port), "%u", r->port);
    if (strspn(r->host, "0123456789.") == strlen(r->host) || strchr(r->host, ':') != NULL)
        hints.ai_flags = AI_NUMERICHOST;
    r->found = false;
    if (getaddrinfo(r->host, port, &hints, &found) == 0)
        for (const struct addrinfo *a = found; a != NULL && !r->found; a = a->ai_next) {
            if (a->ai_addrlen > sizeof(r->address) || (!r->configured && ocsp_address_is_inside(a->ai_addr)))
                continue;
            memcpy(&r->address, a->ai_addr, a->ai_addrlen);
            r->address_len = a->ai_addrlen;
            r->found = true;
        }
    if (found != NULL)
        freeaddrinfo(found);
    r->resolve_ms = now + (r->found ? RESOLVED_S : OCSP_RETRY_S) * INT64_C(1000);
    return r->found;
}

static bool has_turn(struct responder *r, int64_t now)
{
    if (now - r->second_ms >= 1000) {
        r->second_ms = now;
        r->asked = 0;
    }
    return r->flights < OCSP_FLIGHTS_EACH && r->asked < OCSP_PER_S;
}

static void note_result(struct responder *r, bool good, int64_t now)
{
    r->failures = good ? 0 : r->failures + 1;
    if (r->failures < OCSP_FAILURES)
        return;
    r->failures = 0;
    r->down_ms = now + OCSP_RETRY_S * INT64_C(1000);
}

/* ---- questions ----------------------------------------------------------------------------------------- */

static void land(struct ocsp_asker *asker, struct flight *flight, const struct ocsp_answer *answer,
                 bool answered)
{
    struct ocsp_case *c = flight->about;
    ocsp_fetch_close(&flight->fetch);
    flight->about = NULL;
    flight->responder->flights--;
    note_result(flight->responder, answered, now_ms());
    settle(asker, c, answer);
}

static void land_failed(struct ocsp_asker *asker, struct flight *flight, const char *why)
{
    land(asker, flight, &(struct ocsp_answer){.status = OCSP_FAILED, .why = why}, false);
}

static struct flight *free_flight(struct ocsp_asker *asker)
{
    for (int i = 0; i < OCSP_FLIGHTS; i++)
        if (asker->flights[i].about == NULL)
            return &asker->flights[i];
    return NULL;
}

/* Takes off, or fails at once; false: it has to wait for its turn. */
static bool begin(struct ocsp_asker *asker, struct ocsp_case *c, int64_t now)
{
    uint8_t request[OCSP_REQUEST_MAX];
    struct ocsp_uri uri;
    const char *why = NULL;
    struct responder *r = NULL;
    if (!ocsp_uri_parse(c->uri, &uri))
        why = "the certificate names no responder that can be asked";
    else if ((r = find_responder(asker, c, &uri)) == NULL)
        why = "too many responders are being asked";
    else if (now < r->down_ms)
        why = "the responder did not answer lately";
    if (why == NULL && !has_turn(r, now))
        return false;
    struct flight *flight = why == NULL ? free_flight(asker) : NULL;
    if (why == NULL && flight == NULL)
        return false;
    if (why == NULL && !resolve(r, now))
        why = r->configured ? "the responder's name has no address"
                            : "the responder's name has no address that may be asked";
    size_t n = 0;
    if (why == NULL &&
        (getrandom(flight->nonce, sizeof(flight->nonce), 0) != (ssize_t)sizeof(flight->nonce) ||
         (n = ocsp_request_build(&c->subject, flight->nonce, request)) == 0))
        why = "the question cannot be written";
    if (why != NULL) {
        give_up(asker, c, why);
        return true;
    }
    count(asker, OCSP_COUNT_ASKED);
    r->asked++;
    r->flights++;
    r->used_ms = now;
    flight->about = c;
    flight->responder = r;
    flight->deadline_ms = now + c->timeout_ms;
    if (!ocsp_fetch_start(&flight->fetch, (const struct sockaddr *)&r->address, r->address_len, &uri, request,
                          n))
        land_failed(asker, flight, flight->fetch.why);
    return true;
}

static void take_pushed(struct ocsp_asker *asker)
{
    struct ocsp_case *list = atomic_exchange(&asker->pushed, NULL), *turned = NULL;
    while (list != NULL) {
        struct ocsp_case *next = list->next_asked;
        list->next_asked = turned;
        turned = list;
        list = next;
    }
    for (; turned != NULL; turned = turned->next_asked)
        TAILQ_INSERT_TAIL(&asker->waiting, turned, waiting);
}

/* All that have their turn. Answers when to look again for those that have not: milliseconds, -1: none waits.
 */
static int begin_waiting(struct ocsp_asker *asker)
{
    struct ocsp_case *c, *next;
    int64_t now = now_ms();
    for (c = TAILQ_FIRST(&asker->waiting); c != NULL; c = next) {
        next = TAILQ_NEXT(c, waiting);
        TAILQ_REMOVE(&asker->waiting, c, waiting);
        if (begin(asker, c, now)) {
            atomic_fetch_sub_explicit(&asker->waiting_n, 1, memory_order_relaxed);
            continue;
        }
        if (next == NULL)
            TAILQ_INSERT_TAIL(&asker->waiting, c, waiting);
        else
            TAILQ_INSERT_BEFORE(next, c, waiting);
    }
    return TAILQ_EMPTY(&asker->waiting) ? -1 : 50;
}

static void go_on(struct ocsp_asker *asker, struct flight *flight, bool ready, int64_t now)
{
    struct ocsp_answer answer;
    switch (ready ? ocsp_fetch_go(&flight->fetch) : OCSP_STEP_WAIT) {
    case OCSP_STEP_FAILED:
        land_failed(asker, flight, flight->fetch.why);
        return;
    case OCSP_STEP_DONE:
        ocsp_answer_read(flight->fetch.in + flight->fetch.head, flight->fetch.body, &flight->about->subject,
                         flight->nonce, (int64_t)time(NULL), &answer);
        land(asker, flight, &answer, answer.status != OCSP_FAILED);
        return;
    case OCSP_STEP_WAIT:
        if (now >= flight->deadline_ms)
            land_failed(asker, flight, "the responder did not answer in time");
        return;
    }
}

/* Sleeps until something happens; answers which flights may go on. */
static void wait_and_go(struct ocsp_asker *asker, int timeout_ms)
{
    struct pollfd fds[1 + OCSP_FLIGHTS];
    struct flight *of[1 + OCSP_FLIGHTS];
    int64_t now = now_ms();
    nfds_t n = 1;
    fds[0] = (struct pollfd){.fd = asker->wake, .events = POLLIN};
    for (int i = 0; i < OCSP_FLIGHTS; i++) {
        struct flight *flight = &asker->flights[i];
        if (flight->about == NULL)
            continue;
        int left = flight->deadline_ms <= now ? 0 : (int)(flight->deadline_ms - now);
        if (timeout_ms < 0 || left < timeout_ms)
            timeout_ms = left;
        fds[n] = (struct pollfd){.fd = flight->fetch.fd, .events = flight->fetch.events};
        of[n++] = flight;
    }
    /* Pairs with ocsp_ask: either it sees that we sleep, or we see what it pushed. */
    atomic_store(&asker->sleeping, true);
    if (atomic_load(&asker->pushed) != NULL || atomic_load(&asker->stop))
        timeout_ms = 0;
    int ready = poll(fds, n, timeout_ms);
    atomic_store(&asker->sleeping, false);
    if (ready > 0 && (fds[0].revents & POLLIN) != 0) {
        uint64_t value;
        if (read(asker->wake, &value, sizeof(value)) < 0)
            return;
    }
    now = now_ms();
    for (nfds_t i = 1; i < n; i++)
        go_on(asker, of[i], ready > 0 && fds[i].revents != 0, now);
}

static void *run(void *argument)
{
    struct ocsp_asker *asker = argument;
    if (res_init() == 0) {
        _res.retrans = 1;
        _res.retry = 1;
    }
    while (!atomic_load(&asker->stop)) {
        take_pushed(asker);
        wait_and_go(asker, begin_waiting(asker));
    }
    return NULL;
}

/* ---- for others ---------------------------------------------------------------------------------------- */

bool ocsp_ask(struct ocsp_asker *asker, struct ocsp_case *c)
{
    if (atomic_exchange_explicit(&c->asked, true, memory_order_acq_rel))
        return true;
    if (atomic_fetch_add_explicit(&asker->waiting_n, 1, memory_order_relaxed) >= OCSP_ASKED_MAX) {
        atomic_fetch_sub_explicit(&asker->waiting_n, 1, memory_order_relaxed);
        atomic_store_explicit(&c->asked, false, memory_order_release);
        count(asker, OCSP_COUNT_FULL);
        return false;
    }
    ocsp_case_ref(c);
    c->next_asked = atomic_load(&asker->pushed);
    while (!atomic_compare_exchange_weak(&asker->pushed, &c->next_asked, c))
        continue;
    if (atomic_exchange(&asker->sleeping, false)) {
        uint64_t one = 1;
        ssize_t written = write(asker->wake, &one, sizeof(one));
        (void)written; /* the counter is far from full */
    }
    return true;
}

struct ocsp_asker *ocsp_asker_create(uint32_t cases)
{
    struct ocsp_asker *asker = calloc(1, sizeof(*asker));
    if (asker == NULL)
        return NULL;
    TAILQ_INIT(&asker->waiting);
    asker->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    asker->registry = ocsp_registry_create(cases);
    asker->started =
        asker->wake >= 0 && asker->registry != NULL && pthread_create(&asker->thread, NULL, run, asker) == 0;
    if (!asker->started) {
        ocsp_asker_destroy(asker);
        return NULL;
    }
    pthread_setname_np(asker->thread, "sp-ocsp");
    return asker;
}

void ocsp_asker_destroy(struct ocsp_asker *asker)
{
    struct ocsp_case *c;
    if (asker == NULL)
        return;
    atomic_store(&asker->stop, true);
    if (asker->started) {
        uint64_t one = 1;
        ssize_t written = write(asker->wake, &one, sizeof(one));
        (void)written;
        pthread_join(asker->thread, NULL);
    }
    take_pushed(asker);
    while ((c = TAILQ_FIRST(&asker->waiting)) != NULL) {
        TAILQ_REMOVE(&asker->waiting, c, waiting);
        ocsp_case_unref(c);
    }
    for (int i = 0; i < OCSP_FLIGHTS; i++) {
        if (asker->flights[i].about == NULL)
            continue;
        ocsp_fetch_close(&asker->flights[i].fetch);
        ocsp_case_unref(asker->flights[i].about);
    }
    if (asker->wake >= 0)
        close(asker->wake);
    ocsp_registry_destroy(asker->registry);
    free(asker);
}

void ocsp_asker_share(struct ocsp_asker *asker)
{
    shared = asker;
}

struct ocsp_asker *ocsp_asker_shared(void)
{
    return shared;
}

struct ocsp_registry *ocsp_asker_registry(struct ocsp_asker *asker)
{
    return asker == NULL ? NULL : asker->registry;
}

uint32_t ocsp_asker_version(const struct ocsp_asker *asker)
{
    return atomic_load_explicit(&asker->version, memory_order_acquire);
}

uint32_t ocsp_asker_alarms(const struct ocsp_asker *asker)
{
    return atomic_load_explicit(&asker->alarms, memory_order_acquire);
}

uint64_t ocsp_asker_counter(const struct ocsp_asker *asker, enum ocsp_counter counter)
{
    return atomic_load_explicit(&asker->counters[counter], memory_order_relaxed);
}

const char *ocsp_counter_id(enum ocsp_counter counter)
{
#define OCSP_COUNTER_ID(name, id) id,
    static const char *const ids[OCSP_COUNTER_COUNT] = {OCSP_COUNTER_TABLE(OCSP_COUNTER_ID)};
#undef OCSP_COUNTER_ID
    return ids[counter];
}
