/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/relay_lab.h"

#include <stdio.h>
#include <stdlib.h>

/* A test that cannot be set up has failed. */
static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "relay_lab: %s\n", what);
    abort();
}

/* ---- streams ------------------------------------------------------------------------------------------ */

static struct lab_stream *of(const struct stream *s)
{
    return (struct lab_stream *)(uintptr_t)s;
}

static size_t stream_room_(const struct stream *s)
{
    return of(s)->room;
}

static size_t stream_write_(struct stream *base, const uint8_t *p, size_t n)
{
    struct lab_stream *s = of(base);
    require(!s->gone && !s->finished, "write to a stream that is closed");
    size_t left = s->lab->out_bytes - s->out_n;
    size_t k = n < s->room ? n : s->room;
    if (k > left)
        k = left;
    if (k != 0)
        memcpy(s->out + s->out_n, p, k);
    s->out_n += k;
    s->room -= k;
    s->short_write |= k < n;
    return k;
}

static void stream_flush_(struct stream *base)
{
    require(!of(base)->gone, "flush of a stream that is gone");
    of(base)->flushes++;
}

static void offer(struct lab_stream *s)
{
    while (s->in_n != 0 && !s->gone) {
        require(!s->in_data, "data was called inside data");
        s->in_data = true;
        size_t n = s->in_n;
        /* A copy of just this size, so that reading past the slice is seen. */
        uint8_t *slice = malloc(n);
        require(slice != NULL, "memory");
        memcpy(slice, s->in, n);
        size_t k = s->base.handler->data(s->base.owner, slice, n);
        free(slice);
        s->in_data = false;
        require(k <= n, "more was taken than offered");
        memmove(s->in, s->in + k, s->in_n - k);
        s->in_n -= k;
        if (k < n)
            return;
    }
}

static void stream_resume_(struct stream *base)
{
    require(!of(base)->gone, "resume of a stream that is gone");
    offer(of(base));
}

static void stream_finish_(struct stream *base)
{
    require(!of(base)->gone && !of(base)->finished, "finish of a stream that is closed");
    of(base)->finished = true;
}

static void stream_abort_(struct stream *base)
{
    require(!of(base)->gone, "abort of a stream that is gone");
    of(base)->aborted = true;
    of(base)->gone = true;
}

static const char *stream_reason_(const struct stream *base)
{
    return of(base)->reason;
}

static uint64_t stream_own_us_(const struct stream *base, uint64_t now_us)
{
    (void)now_us;
    return of(base)->own_us;
}

static const struct stream_ops lab_ops = {.room = stream_room_,
                                          .write = stream_write_,
                                          .flush = stream_flush_,
                                          .resume = stream_resume_,
                                          .finish = stream_finish_,
                                          .abort = stream_abort_,
                                          .reason = stream_reason_,
                                          .own_us = stream_own_us_};

static struct lab_stream *stream_new(struct relay_lab *lab)
{
    struct lab_stream *s = lab->streams;
    while (s < lab->streams + LAB_STREAMS && s->used && !s->gone)
        s++;
    require(s < lab->streams + LAB_STREAMS, "no more streams");
    uint8_t *out = s->out, *in = s->in;
    size_t in_capacity = s->in_capacity;
    *s = (struct lab_stream){.base.ops = &lab_ops,
                             .lab = lab,
                             .used = true,
                             .room = LAB_OUT_BYTES,
                             .out = out,
                             .in = in,
                             .in_capacity = in_capacity};
    if (s->out == NULL)
        s->out = malloc(lab->out_bytes);
    require(s->out != NULL, "memory");
    return s;
}

void lab_feed(struct lab_stream *s, const uint8_t *p, size_t n)
{
    if (s->gone)
        return;
    if (s->in_n + n > s->in_capacity) {
        s->in_capacity = (s->in_n + n) * 2;
        s->in = realloc(s->in, s->in_capacity);
        require(s->in != NULL, "memory");
    }
    if (n > 0) /* nothing may come as a null pointer, to which nothing may be added */
        memcpy(s->in + s->in_n, p, n);
    s->in_n += n;
    offer(s);
}

void lab_drain(struct lab_stream *s, size_t room)
{
    s->room = room;
    if (s->short_write && !s->gone) {
        s->short_write = false;
        s->base.handler->writable(s->base.owner);
    }
}

void lab_upstream_opens(struct lab_stream *s)
{
    s->base.handler->opened(s->base.owner);
    lab_flush(s->lab);
}

void lab_peer_ends(struct lab_stream *s)
{
    if (!s->gone)
        s->base.handler->ended(s->base.owner);
    lab_flush(s->lab);
}

void lab_peer_closes(struct lab_stream *s, enum stream_end why)
{
    if (!s->gone) {
        s->base.handler->closed(s->base.owner, why);
        s->gone = true;
    }
    lab_flush(s->lab);
}

/* ---- the worker's part -------------------------------------------------------------------------------- */

static struct stream *on_dial(void *worker, uint32_t upstream, const char *identity,
                              const struct flow_key *device, const struct stream_handler *handler,
                              void *owner, uint8_t *tried, uint8_t *server, enum outcome *why)
{
    struct relay_lab *lab = worker;
    (void)device;
    require(upstream == 0, "there is one upstream");
    snprintf(lab->identity, sizeof(lab->identity), "%s", identity);
    uint8_t pick = 0;
    while (pick < lab->servers && (*tried >> pick & 1) != 0)
        pick++;
    *why = OUTCOME_UPSTREAM_REFUSED;
    if (pick == lab->servers)
        return NULL;
    lab->dials++;
    *tried = (uint8_t)(*tried | 1u << pick);
    *server = pick;
    *why = lab->dial_fails;
    if (lab->dial_fails != OUTCOME_ALLOWED)
        return NULL;
    lab->dialled = stream_new(lab);
    lab->dialled->base.handler = handler;
    lab->dialled->base.owner = owner;
    return &lab->dialled->base;
}

static void on_dialled(void *worker, uint32_t upstream, uint8_t server, bool good)
{
    struct relay_lab *lab = worker;
    (void)upstream;
    lab->dial_server = server;
    lab->dial_good = good;
    lab->dial_results++;
}

static void on_gone(void *worker, const struct relay_origin *origin)
{
    struct relay_lab *lab = worker;
    (void)origin;
    lab->gone++;
}

static void on_problem(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    fprintf(stderr, "relay_lab: policy: %s\n", problem->text);
}

static void publish_policy(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n,
                           bool totals)
{
    struct generation *next = &lab->generations[lab->number % 2];
    const struct generation *old = lab->generation;
    struct policy_spec spec = {.roles = roles, .roles_n = roles_n, .users = lab->users};
    *next = (struct generation){.number = ++lab->number, .config = lab->config};
    next->policy = snapshot_create(&spec, next->number, on_problem, NULL);
    require(next->policy != NULL, "the policy does not compile");
    if (totals) {
        next->totals = rate_totals_create(next->policy, lab->config, old != NULL ? old->totals : NULL);
        require(next->totals != NULL, "memory");
    }
    lab->users = NULL;
    lab->generation = next;
    if (old != NULL) {
        while (!mqtt_relays_sweep(lab->relays, 16))
            continue;
        mqtt_relays_flush(lab->relays);
        snapshot_destroy((struct snapshot *)(uintptr_t)old->policy);
        rate_totals_destroy(old->totals);
    }
}

void lab_policy(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n)
{
    publish_policy(lab, roles, roles_n, false);
}

void lab_totals(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n)
{
    publish_policy(lab, roles, roles_n, true);
}

static struct gateway_config *make_config(void)
{
    struct gateway_config *config = calloc(1, sizeof(*config));
    require(config != NULL, "memory");
    config->name = "lab";
    config->interfaces_n = 1;
    config->interfaces[0].name = "iot";
    config->interfaces[0].vlan = 20;
    config->listeners_n = 1;
    config->listeners[0].name = "mqtt";
    config->upstreams_n = 1;
    config->upstreams[0].name = "broker";
    config->upstreams[0].connect_timeout_us = 5000000;
    return config;
}

void lab_open(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n)
{
    lab_open_with(lab, roles, roles_n, NULL, NULL);
}

struct client_shares *lab_shares;

void lab_open_with(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n,
                   struct authenticator *authenticator, struct users *users)
{
    lab_open_for(lab, roles, roles_n, authenticator, users, 32);
}

void lab_open_for(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n,
                  struct authenticator *authenticator, struct users *users, uint32_t sessions)
{
    memset(lab, 0, sizeof(*lab));
    lab->users = users;
    lab->now_us = 10000000;
    lab->dial_fails = OUTCOME_ALLOWED;
    lab->servers = 1;
    lab->out_bytes = LAB_OUT_BYTES;
    lab->config = make_config();
    lab->timers = timer_wheel_create(lab->now_us);
    lab->events = event_ring_create(sessions <= 32 ? 256 : 4096);
    lab_policy(lab, roles, roles_n);
    static const uint8_t secret[16];
    lab->claims = session_claims_create(2 * sessions, secret);
    struct mqtt_relays_config config = {.claims = lab->claims,
                                        .shares = lab_shares,
                                        .judged = &lab->judged,
                                        .sessions = sessions,
                                        .buffer_bytes = UINT64_C(4) << 20,
                                        .timers = lab->timers,
                                        .events = lab->events,
                                        .authenticator = authenticator,
                                        .quarantine = &lab->quarantine,
                                        .generation = &lab->generation,
                                        .now_us = &lab->now_us,
                                        .dial = on_dial,
                                        .dialled = on_dialled,
                                        .gone = on_gone,
                                        .worker = lab,
                                        .session_seed = 1};
    lab->relays = mqtt_relays_create(&config);
    require(lab->timers != NULL && lab->events != NULL && lab->claims != NULL && lab->relays != NULL,
            "memory");
}

void lab_close(struct relay_lab *lab)
{
    lab_flush(lab);
    for (int i = 0; i < LAB_STREAMS; i++)
        if (lab->streams[i].used && !lab->streams[i].gone)
            lab_peer_closes(&lab->streams[i], STREAM_END_DONE);
    lab_flush(lab);
    require(mqtt_relays_sessions(lab->relays) == 0, "sessions are left");
    require(mqtt_relays_buffers_used(lab->relays) == 0, "buffers are left");
    require(timer_wheel_next_us(lab->timers) == UINT64_MAX, "timers are left");
    mqtt_relays_destroy(lab->relays);
    session_claims_destroy(lab->claims);
    timer_wheel_destroy(lab->timers);
    event_ring_destroy(lab->events);
    snapshot_destroy((struct snapshot *)(uintptr_t)lab->generation->policy);
    rate_totals_destroy(lab->generation->totals);
    for (int i = 0; i < LAB_STREAMS; i++) {
        free(lab->streams[i].out);
        free(lab->streams[i].in);
    }
    free(lab->config);
}

struct lab_stream *lab_accept(struct relay_lab *lab, uint8_t host)
{
    struct lab_stream *s = stream_new(lab);
    struct relay_origin origin = {.listener = 0,
                                  .interface = 0,
                                  .has_mac = true,
                                  .mac = {0x02, 0, 0, 0, 0, host},
                                  .key = {.local = ip_address_v4(0xC6336407),
                                          .remote = ip_address_v4(0x0A140000u + host),
                                          .local_port = 1883,
                                          .remote_port = 40000,
                                          .protocol = 6}};
    mqtt_relays_accept(lab->relays, &s->base, &origin);
    return s;
}

uint32_t lab_kick(struct relay_lab *lab, const char *name)
{
    struct relay_kick kick = {.name = bytes_of_text(name), .why = OUTCOME_ADMIN_KICK};
    while (!mqtt_relays_kick(lab->relays, &kick, 1))
        continue;
    return kick.n;
}

void lab_flush(struct relay_lab *lab)
{
    mqtt_relays_flush(lab->relays);
}

void lab_wait(struct relay_lab *lab, uint64_t us)
{
    /* In steps, as a worker would see it. */
    uint64_t until_us = lab->now_us + us;
    while (lab->now_us < until_us) {
        uint64_t next_us = timer_wheel_next_us(lab->timers);
        lab->now_us = next_us > lab->now_us ? next_us : lab->now_us + 1000;
        if (lab->now_us > until_us)
            lab->now_us = until_us;
        timer_wheel_advance(lab->timers, lab->now_us, 1000);
        lab_flush(lab);
    }
}

/* ---- packets ------------------------------------------------------------------------------------------ */

bool lab_next(struct lab_stream *s, enum mqtt_sender sender, enum mqtt_version version,
              struct mqtt_packet *out)
{
    struct mqtt_framer framer;
    struct cursor in = {.at = s->out + s->out_read, .end = s->out + s->out_n};
    if (in.at == in.end)
        return false;
    mqtt_framer_init(&framer, sender, version, UINT32_MAX, UINT32_MAX);
    if (mqtt_framer_next(&framer, &in, out) != MQTT_STEP_PACKET)
        return false;
    s->out_read = (size_t)(in.at - s->out);
    return true;
}

void lab_send(struct lab_stream *s, const struct mqtt_packet *packet)
{
    uint8_t bytes[8192];
    size_t n = mqtt_build(bytes, sizeof(bytes), packet, packet->version);
    require(n != 0, "a packet that cannot be built");
    if (packet->type == MQTT_PUBLISH) {
        require(n + packet->publish.payload.len <= sizeof(bytes), "payload");
        if (packet->publish.payload.len != 0)
            memcpy(bytes + n, packet->publish.payload.at, packet->publish.payload.len);
        n += packet->publish.payload.len;
    }
    lab_feed(s, bytes, n);
    lab_flush(s->lab);
}

struct mqtt_packet lab_plain(enum mqtt_version version, enum mqtt_type type)
{
    struct mqtt_packet p;
    memset(&p, 0, sizeof(p));
    p.type = type;
    p.version = version;
    return p;
}

struct mqtt_packet lab_connect(enum mqtt_version version, const char *client_id)
{
    struct mqtt_packet p = lab_plain(version, MQTT_CONNECT);
    p.connect.version = version;
    p.connect.clean_start = true;
    p.connect.keep_alive_s = 60;
    p.connect.client_id = bytes_of_text(client_id);
    return p;
}

struct mqtt_packet lab_connack(enum mqtt_version version, uint8_t code)
{
    struct mqtt_packet p = lab_plain(version, MQTT_CONNACK);
    p.reason_code = code;
    return p;
}

struct mqtt_packet lab_publish(enum mqtt_version version, const char *topic, uint8_t qos, uint16_t id)
{
    struct mqtt_packet p = lab_plain(version, MQTT_PUBLISH);
    p.packet_id = id;
    p.publish.qos = qos;
    p.publish.topic = bytes_of_text(topic);
    p.publish.payload = bytes_of_text("payload");
    p.publish.payload_bytes = 7;
    return p;
}

struct mqtt_packet lab_ack(enum mqtt_version version, enum mqtt_type type, uint16_t id, uint8_t code)
{
    struct mqtt_packet p = lab_plain(version, type);
    p.packet_id = id;
    p.reason_code = code;
    return p;
}

struct mqtt_packet lab_subscribe(enum mqtt_version version, enum mqtt_type type, uint16_t id, uint8_t qos,
                                 const char *const *filters)
{
    static uint8_t entries[2048];
    struct mqtt_packet p = lab_plain(version, type);
    size_t used = 0;
    p.packet_id = id;
    for (; *filters != NULL; filters++) {
        struct mqtt_filter entry = {.filter = bytes_of_text(*filters), .qos = qos};
        used += mqtt_build_filter(entries + used, sizeof(entries) - used, type, version, &entry);
        p.list_count++;
    }
    p.list = bytes_of(entries, used);
    return p;
}

struct mqtt_packet lab_suback(enum mqtt_version version, enum mqtt_type type, uint16_t id,
                              const uint8_t *codes, size_t n)
{
    struct mqtt_packet p = lab_plain(version, type);
    p.packet_id = id;
    p.list = bytes_of(codes, n);
    p.list_count = (uint16_t)n;
    return p;
}

struct lab_session lab_session(struct relay_lab *lab, enum mqtt_version version, const char *client_id)
{
    struct mqtt_packet p = lab_connect(version, client_id);
    struct lab_session session = {.version = version, .device = lab_accept(lab, 17)};
    lab_send(session.device, &p);
    session.upstream = lab->dialled;
    require(session.upstream != NULL, "nothing was dialled");
    lab_upstream_opens(session.upstream);
    p = lab_connack(version, 0);
    lab_send(session.upstream, &p);
    session.device->out_read = session.device->out_n;
    session.upstream->out_read = session.upstream->out_n;
    return session;
}

const struct event *lab_event(struct relay_lab *lab)
{
    static struct event event;
    const struct event *next = event_ring_peek(lab->events);
    if (next == NULL)
        return NULL;
    event = *next;
    event_ring_pop(lab->events);
    return &event;
}

const struct event *lab_event_of(struct relay_lab *lab, enum event_kind kind)
{
    const struct event *event;
    do
        event = lab_event(lab);
    while (event != NULL && event->kind != kind);
    return event;
}
