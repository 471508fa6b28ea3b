/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Storms of devices over TLS, each with a TLS connection upstream (B6): nobody fails, sources take turns, who
 * never finishes holds nothing for long. Every step in this thread and by a clock of ours: no timing decides.
 */
#include "tests/unit/runner.h"
#include "tests/unit/tls_server_lab.h"

#define FLIGHT_BYTES 8192
#define STORM 1000
#define AT_ONCE 16 /* steps that a worker without threads runs in a turn */
#define TIMEOUT_US UINT64_C(10000000)

/* One connection: the gateway's lower stream, and the wolfSSL peer at its other end. */
struct end {
    struct stream lower;
    WOLFSSL *peer;
    bool peer_connects, open, mute; /* mute: says its first flight, and never more */
    size_t to_peer_n, to_gateway_n;
    uint8_t to_peer[FLIGHT_BYTES], to_gateway[FLIGHT_BYTES];
};

struct device {
    struct end down, up;
    struct stream *client, *server;
    struct ip_address source;
    bool finished;
    int closed;
    enum stream_end why;
};

static struct device devices[STORM];
static struct tls_context *listener, *upstream;
static WOLFSSL_CTX *device_ctx, *cloud_ctx;
static struct chunk_pool *chunks;
static struct tls_worker *worker;
static uint64_t now_us;
static uint32_t order[STORM], finished, failed;

/* ---- the wire ------------------------------------------------------------------------------------------ */

static size_t take(uint8_t *from, size_t *have, uint8_t *to, size_t room)
{
    size_t n = *have < room ? *have : room;
    memcpy(to, from, n);
    *have -= n;
    memmove(from, from + n, *have);
    return n;
}

static size_t give(uint8_t *to, size_t *have, const uint8_t *from, size_t n)
{
    size_t room = FLIGHT_BYTES - *have;
    n = n < room ? n : room;
    memcpy(to + *have, from, n);
    *have += n;
    return n;
}

static struct end *end_of(const struct stream *lower)
{
    return (struct end *)(uintptr_t)lower;
}

static size_t end_room(const struct stream *s)
{
    return FLIGHT_BYTES - end_of(s)->to_peer_n;
}

static size_t end_write(struct stream *s, const uint8_t *p, size_t n)
{
    return give(end_of(s)->to_peer, &end_of(s)->to_peer_n, p, n);
}

static void end_nothing(struct stream *s)
{
    (void)s;
}

static const struct stream_ops end_ops = {.room = end_room,
                                          .write = end_write,
                                          .flush = end_nothing,
                                          .resume = end_nothing,
                                          .finish = end_nothing,
                                          .abort = end_nothing};

static int peer_receive(WOLFSSL *ssl, char *to, int room, void *context)
{
    struct end *end = context;
    (void)ssl;
    size_t n = take(end->to_peer, &end->to_peer_n, (uint8_t *)to, (size_t)room);
    return n == 0 ? WOLFSSL_CBIO_ERR_WANT_READ : (int)n;
}

static int peer_send(WOLFSSL *ssl, char *from, int n, void *context)
{
    struct end *end = context;
    (void)ssl;
    size_t sent = give(end->to_gateway, &end->to_gateway_n, (const uint8_t *)from, (size_t)n);
    return sent == 0 ? WOLFSSL_CBIO_ERR_WANT_WRITE : (int)sent;
}

static void end_init(struct end *end, WOLFSSL_CTX *ctx, bool peer_connects)
{
    end->lower.ops = &end_ops;
    end->peer_connects = peer_connects;
    end->peer = wolfSSL_new(ctx);
    CU_ASSERT_PTR_NOT_NULL_FATAL(end->peer);
    wolfSSL_SSLSetIORecv(end->peer, peer_receive);
    wolfSSL_SSLSetIOSend(end->peer, peer_send);
    wolfSSL_SetIOReadCtx(end->peer, end);
    wolfSSL_SetIOWriteCtx(end->peer, end);
}

static void end_turn(struct end *end)
{
    if (end->peer == NULL)
        return;
    bool may = end->peer_connects ? !end->mute || end->to_gateway_n == 0 : end->to_peer_n > 0;
    if (!end->open && may)
        end->open =
            (end->peer_connects ? wolfSSL_connect(end->peer) : wolfSSL_accept(end->peer)) == WOLFSSL_SUCCESS;
    if (end->to_gateway_n == 0 || end->lower.handler == NULL)
        return;
    size_t n = end->lower.handler->data(end->lower.owner, end->to_gateway, end->to_gateway_n);
    end->to_gateway_n -= n;
    memmove(end->to_gateway, end->to_gateway + n, end->to_gateway_n);
    if (end->mute) { /* it has said what it had to say */
        wolfSSL_free(end->peer);
        end->peer = NULL;
    }
}

/* ---- devices: when TLS is open toward one, its connection upstream is made, as a relay does ---------------
 */

static void on_finished(void *owner)
{
    struct device *device = owner;
    device->finished = true;
    order[finished++] = (uint32_t)(device - devices);
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static size_t on_bytes(void *owner, const uint8_t *p, size_t n)
{
    (void)owner;
    (void)p;
    return n;
}

static void on_closed(void *owner, enum stream_end why)
{
    struct device *device = owner;
    device->closed++;
    device->why = why;
    failed++;
}

static const struct stream_handler up_handler = {on_finished, on_bytes, on_nothing, on_nothing, on_closed};

static void on_secured(void *owner)
{
    struct device *device = owner;
    end_init(&device->up, cloud_ctx, false);
    device->server = tls_connect(worker, upstream, "truck-001", &device->source, &device->up.lower,
                                 &up_handler, device, now_us);
    CU_ASSERT_PTR_NOT_NULL_FATAL(device->server);
    device->up.lower.handler->opened(device->up.lower.owner); /* TCP */
}

static const struct stream_handler down_handler = {on_secured, on_bytes, on_nothing, on_nothing, on_closed};

static bool arrive(struct device *device, uint32_t source, bool mute)
{
    *device = (struct device){.source = ip_address_v4(0x0a140000 + source)};
    end_init(&device->down, device_ctx, true);
    device->down.mute = mute;
    device->client =
        tls_accept(worker, listener, &device->source, &device->down.lower, &down_handler, device, now_us);
    if (device->client == NULL) {
        wolfSSL_free(device->down.peer);
        device->down.peer = NULL;
    }
    return device->client != NULL;
}

static void turn(uint32_t n, uint64_t step_us)
{
    now_us += step_us;
    for (uint32_t i = 0; i < n; i++) {
        end_turn(&devices[i].down);
        end_turn(&devices[i].up);
    }
    tls_worker_poll(worker, now_us);
}

static void open_site(uint32_t sessions)
{
    static const struct lab_client client = {.certificate = "truck-001"};
    static const struct lab_server server = {.certificate = "server", .ask_client = true};
    struct tls_server_settings in = lab_listener();
    struct tls_settings out = lab_settings();
    struct tls_error error;
    out.certificate_file = lab_path("%s.pem");
    out.key_file = lab_path("%s.key");
    out.identity_cache = 2;
    listener = lab_listener_context(&in);
    upstream = tls_context_create(&out, &error);
    device_ctx = lab_client_ctx(&client);
    cloud_ctx = lab_server_ctx(&server);
    chunks = chunk_pool_create(8 * STORM);
    struct tls_worker_config config = {
        .sessions = sessions, .chunks = chunks, .handshake_timeout_us = TIMEOUT_US};
    worker = tls_worker_create(&config);
    CU_ASSERT_TRUE_FATAL(upstream != NULL && device_ctx != NULL && cloud_ctx != NULL && worker != NULL);
    now_us = 1;
    finished = failed = 0;
    memset(devices, 0, sizeof(devices));
}

static void close_site(void)
{
    for (uint32_t i = 0; i < STORM; i++) {
        wolfSSL_free(devices[i].down.peer);
        wolfSSL_free(devices[i].up.peer);
    }
    tls_worker_destroy(worker);
    CU_ASSERT_EQUAL(chunk_pool_free(chunks), chunk_pool_capacity(chunks));
    chunk_pool_destroy(chunks);
    tls_context_unref(listener);
    tls_context_unref(upstream);
    wolfSSL_CTX_free(device_ctx);
    wolfSSL_CTX_free(cloud_ctx);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

/* It takes longer than a handshake may, since so many come at once: that is held against none of them. */
static void test_storm(void)
{
    uint32_t longest = 0;
    open_site(2 * STORM);
    for (uint32_t i = 0; i < STORM; i++)
        CU_ASSERT_TRUE_FATAL(arrive(&devices[i], 1 + i % 50, false));
    uint64_t began_us = now_us;
    for (int i = 0; i < 2000 && finished < STORM && failed == 0; i++) {
        turn(STORM, 60000);
        uint32_t waiting = tls_worker_waiting(worker);
        longest = waiting > longest ? waiting : longest;
        CU_ASSERT_TRUE(waiting <= tls_worker_sessions(worker));
    }
    CU_ASSERT_EQUAL(finished, STORM);
    CU_ASSERT_EQUAL(failed, 0);
    CU_ASSERT_TRUE(now_us - began_us > TIMEOUT_US); /* else this has shown nothing */
    CU_ASSERT_TRUE(longest >= STORM - 2 * AT_ONCE);
    CU_ASSERT_EQUAL(tls_worker_sessions(worker), 2 * STORM);
    CU_ASSERT_EQUAL(tls_worker_waiting(worker), 0);
    CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_HANDSHAKES), 2 * STORM);
    CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_TABLE_FULL), 0);
    CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_FAILED_CROWD), 0);
    close_site();
}

/* A source that sends hellos and nothing more does not stop another, which comes later, and holds its places
 * for the time that a handshake has, and no longer. */
static void test_flood(void)
{
    enum { FLOOD = 400, OTHERS = 10, ALL = FLOOD + OTHERS };
    open_site(FLOOD + 2 * OTHERS);
    for (uint32_t i = 0; i < FLOOD; i++)
        CU_ASSERT_TRUE_FATAL(arrive(&devices[i], 1, true));
    turn(FLOOD, 1000);
    CU_ASSERT_EQUAL(tls_worker_waiting(worker), FLOOD - 2 * AT_ONCE);
    for (uint32_t i = FLOOD; i < ALL; i++)
        CU_ASSERT_TRUE_FATAL(arrive(&devices[i], 2, false));
    for (int i = 0; i < 100 && finished < OTHERS; i++)
        turn(ALL, 1000);
    CU_ASSERT_EQUAL(finished, OTHERS);
    CU_ASSERT_TRUE(tls_worker_waiting(worker) > FLOOD / 2); /* most of the flood still waits */
    CU_ASSERT_EQUAL(failed, 0);
    /* The table is full of those that never finish; when their time is over there is room again. */
    CU_ASSERT_EQUAL(tls_worker_sessions(worker), FLOOD + 2 * OTHERS);
    CU_ASSERT_FALSE(arrive(&devices[ALL], 3, false));
    CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_TABLE_FULL), 1);
    for (int i = 0; i < 100; i++)
        turn(ALL, 1000);
    CU_ASSERT_EQUAL(tls_worker_waiting(worker), 0);
    CU_ASSERT_EQUAL(failed, 0);
    for (int i = 0; i < 4; i++)
        turn(ALL, TIMEOUT_US / 2);
    CU_ASSERT_EQUAL(failed, FLOOD);
    CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_FAILED_TIMEOUT), FLOOD);
    CU_ASSERT_EQUAL(tls_worker_sessions(worker), 2 * OTHERS);
    for (uint32_t i = 0; i < FLOOD; i++)
        CU_ASSERT_TRUE(devices[i].closed == 1 && devices[i].why == STREAM_END_TIMEOUT);
    for (uint32_t i = 0; i < OTHERS; i++)
        CU_ASSERT_TRUE(order[i] >= FLOOD);
    CU_ASSERT_TRUE(arrive(&devices[ALL], 3, false));
    for (int i = 0; i < 20; i++)
        turn(ALL + 1, 1000);
    CU_ASSERT_TRUE(devices[ALL].finished);
    close_site();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B6: nobody fails in a storm", test_storm},
        {"B6: a flood of hellos", test_flood},
    };
    if (tls_library_init() != 0 || !lab_clients_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_storm", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
