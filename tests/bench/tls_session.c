/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a TLS session costs (goals K1, K3): memory when idle, time of a full and of a resumed handshake, time
 * per record in each direction, with AES-GCM by libipsec-mb and by wolfCrypt itself.
 *
 * Memory is told for both kinds of session of the gateway's: toward an upstream and of a listener. One
 * thread, both ends in memory; only the client's side is timed, around the calls that a worker or a handshake
 * thread would make, in processor time. Medians of five rounds; use the ratios, the machine may be shared.
 *
 *   tls_session [SESSIONS]      default 1000
 */
#include "dataplane/secure/crypto_offload.h"
#include "tests/unit/tls_server_lab.h"

#include <malloc.h>
#include <stdint.h>
#include <time.h>

#define ROUNDS 5
#define HANDSHAKES 200
#define RECORDS 2000
#define WIRE_BYTES (32u << 20)

struct peer {
    struct stream lower; /* first */
    struct stream *client;
    int opened;
    int closed;
    size_t got;
    WOLFSSL *server;
};

/* The wire in each direction, one connection at a time. */
static struct lab_wire {
    uint8_t *bytes;
    size_t from;
    size_t to;
} to_server, to_client;

static uint64_t client_ns;
static bool discard;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the lower stream and the server ------------------------------------------------------------------- */

static size_t sink_room(const struct stream *s)
{
    (void)s;
    return 1u << 20;
}

static size_t sink_write(struct stream *s, const uint8_t *p, size_t n)
{
    (void)s;
    if (discard)
        return n;
    memcpy(to_server.bytes + to_server.to, p, n);
    to_server.to += n;
    return n;
}

static void sink_nothing(struct stream *s)
{
    (void)s;
}

static const struct stream_ops sink_ops = {sink_room,    sink_write,   sink_nothing, sink_nothing,
                                           sink_nothing, sink_nothing, NULL,         NULL};

static int server_receive(WOLFSSL *ssl, char *out, int n, void *context)
{
    (void)ssl;
    (void)context;
    size_t have = to_server.to - to_server.from;
    size_t take = have < (size_t)n ? have : (size_t)n;
    if (take == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, to_server.bytes + to_server.from, take);
    to_server.from += take;
    return (int)take;
}

static int server_send(WOLFSSL *ssl, char *p, int n, void *context)
{
    (void)ssl;
    (void)context;
    memcpy(to_client.bytes + to_client.to, p, (size_t)n);
    to_client.to += (size_t)n;
    return n;
}

static void on_opened(void *owner)
{
    ((struct peer *)owner)->opened++;
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    (void)p;
    ((struct peer *)owner)->got += n;
    return n;
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_closed(void *owner, enum stream_end why)
{
    struct peer *peer = owner;
    const char *reason = stream_reason(peer->client);
    fprintf(stderr, "closed: %d %s\n", (int)why, reason == NULL ? "" : reason);
    peer->closed++;
}

static const struct stream_handler upper = {on_opened, on_data, on_nothing, on_nothing, on_closed};

/* ---- one connection ------------------------------------------------------------------------------------ */

static void deliver(struct peer *peer)
{
    size_t n = to_client.to - to_client.from;
    if (n == 0)
        return;
    uint64_t start = now_ns();
    size_t taken = peer->lower.handler->data(peer->lower.owner, to_client.bytes + to_client.from, n);
    client_ns += now_ns() - start;
    to_client.from += taken;
}

static void connect_peer(struct peer *peer, struct tls_worker *worker, struct tls_context *context,
                         WOLFSSL_CTX *server_ctx)
{
    to_server.from = to_server.to = to_client.from = to_client.to = 0;
    *peer = (struct peer){.lower = {.ops = &sink_ops}, .server = wolfSSL_new(server_ctx)};
    uint64_t start = now_ns();
    peer->client = tls_connect(worker, context, "truck-001", NULL, &peer->lower, &upper, peer, 1);
    client_ns += now_ns() - start;
    bool accepted = false;
    for (int i = 0; i < 20 && peer->closed == 0 && !(peer->opened > 0 && accepted); i++) {
        start = now_ns();
        tls_worker_poll(worker, 1);
        client_ns += now_ns() - start;
        accepted = accepted || wolfSSL_accept(peer->server) == WOLFSSL_SUCCESS;
        deliver(peer);
    }
    deliver(peer); /* tickets */
    if (peer->opened != 1 || !accepted) {
        fprintf(stderr, "handshake failed\n");
        exit(EXIT_FAILURE);
    }
}

/* The gateway is the server; its peer, a wolfSSL client, comes from `client_ctx`. */
static void accept_peer(struct peer *peer, struct tls_worker *worker, struct tls_context *context,
                        WOLFSSL_CTX *client_ctx)
{
    to_server.from = to_server.to = to_client.from = to_client.to = 0;
    *peer = (struct peer){.lower = {.ops = &sink_ops}, .server = wolfSSL_new(client_ctx)};
    uint64_t start = now_ns();
    peer->client = tls_accept(worker, context, NULL, &peer->lower, &upper, peer, 1);
    client_ns += now_ns() - start;
    bool connected = false;
    for (int i = 0; i < 20 && peer->closed == 0 && !(peer->opened > 0 && connected); i++) {
        connected = connected || wolfSSL_connect(peer->server) == WOLFSSL_SUCCESS;
        deliver(peer);
        start = now_ns();
        tls_worker_poll(worker, 1);
        client_ns += now_ns() - start;
    }
    if (peer->opened != 1 || !connected) {
        fprintf(stderr, "handshake failed\n");
        exit(EXIT_FAILURE);
    }
}

static void end_server(struct peer *peer)
{
    wolfSSL_free(peer->server);
    peer->server = NULL;
}

/* ---- set-up -------------------------------------------------------------------------------------------- */

static struct tls_context *make_context(bool resumption)
{
    struct tls_settings settings = lab_settings();
    struct tls_error error;
    settings.certificate_file = lab_path("%s.pem");
    settings.key_file = lab_path("%s.key");
    settings.resumption = resumption;
    struct tls_context *context = tls_context_create(&settings, &error);
    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        exit(EXIT_FAILURE);
    }
    return context;
}

static WOLFSSL_CTX *make_server(const char *suite)
{
    struct lab_server server = {.certificate = "server", .ask_client = true, .suites = suite};
    WOLFSSL_CTX *ctx = lab_server_ctx(&server);
    wolfSSL_CTX_SetIORecv(ctx, server_receive);
    wolfSSL_CTX_SetIOSend(ctx, server_send);
    return ctx;
}

static struct tls_worker *make_worker(uint32_t sessions, struct chunk_pool *chunks)
{
    struct tls_worker_config config = {
        .sessions = sessions, .chunks = chunks, .handshake_timeout_us = 60000000};
    struct tls_worker *worker = tls_worker_create(&config);
    if (worker == NULL)
        exit(EXIT_FAILURE);
    return worker;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), by_value);
    return values[ROUNDS / 2];
}

/* ---- measurements -------------------------------------------------------------------------------------- */

static struct tls_context *make_listener(void)
{
    struct tls_server_settings settings = lab_listener();
    return lab_listener_context(&settings);
}

static WOLFSSL_CTX *make_client(void)
{
    struct lab_client client = {.certificate = "truck-001"};
    WOLFSSL_CTX *ctx = lab_client_ctx(&client);
    wolfSSL_CTX_SetIORecv(ctx, server_receive);
    wolfSSL_CTX_SetIOSend(ctx, server_send);
    return ctx;
}

/* Heap of one session, by what malloc has given out. */
static double session_heap(uint32_t sessions, bool listener, uint32_t *chunks_held)
{
    struct chunk_pool *chunks = chunk_pool_create(64);
    struct tls_context *context = listener ? make_listener() : make_context(true);
    WOLFSSL_CTX *other = listener ? make_client() : make_server("TLS13-AES128-GCM-SHA256");
    struct tls_worker *worker = make_worker(sessions + 1, chunks);
    struct peer *peers = calloc(sessions + 1, sizeof(*peers));
    size_t before = 0;
    if (peers == NULL)
        exit(EXIT_FAILURE);
    for (uint32_t i = 0; i <= sessions; i++) {
        if (listener)
            accept_peer(&peers[i], worker, context, other);
        else
            connect_peer(&peers[i], worker, context, other);
        end_server(&peers[i]);
        if (i == 0) /* what is allocated once is there */
            before = mallinfo2().uordblks;
    }
    double each = (double)(mallinfo2().uordblks - before) / sessions;
    *chunks_held += chunk_pool_capacity(chunks) - chunk_pool_free(chunks);
    free(peers);
    tls_worker_destroy(worker);
    wolfSSL_CTX_free(other);
    tls_context_unref(context);
    chunk_pool_destroy(chunks);
    return each;
}

static void measure_memory(uint32_t sessions)
{
    uint32_t chunks = 0;
    double upstream = session_heap(sessions, false, &chunks);
    double listener = session_heap(sessions, true, &chunks);
    double own = (double)tls_session_bytes();
    double keys = (double)crypto_offload_cache_bytes(sessions) / sessions;
    printf("memory of an idle session, %u of them, TLS_AES_128_GCM_SHA256, mutual authentication\n"
           "                                 toward an upstream   of a listener\n"
           "  heap, mostly wolfSSL            %8.0f B       %8.0f B\n"
           "  our own object                  %8.0f B       %8.0f B\n"
           "  together                        %8.0f B       %8.0f B\n"
           "  TLS on both sides of a relay    %8.0f B\n"
           "  expanded AES keys               %8.0f B each  (2,176 for each of 1,024 sessions a worker at "
           "most)\n"
           "  chunks held                     %8u\n",
           sessions, upstream, listener, own, own, upstream + own, listener + own,
           upstream + listener + 2 * own, keys, chunks);
}

/* Microseconds of the gateway's time for one handshake, as the client or as a listener. */
static double time_handshakes(bool resumed, bool listener, double *both)
{
    struct chunk_pool *chunks = chunk_pool_create(64);
    struct tls_context *context = listener ? make_listener() : make_context(resumed);
    WOLFSSL_CTX *other = listener ? make_client() : make_server("TLS13-AES128-GCM-SHA256");
    struct tls_worker *worker = make_worker(4, chunks);
    struct peer peer;
    double own[ROUNDS];
    double all[ROUNDS];
    for (int round = -1; round < ROUNDS; round++) {
        uint64_t start = now_ns();
        client_ns = 0;
        for (int i = 0; i < HANDSHAKES; i++) {
            if (listener)
                accept_peer(&peer, worker, context, other);
            else
                connect_peer(&peer, worker, context, other);
            end_server(&peer);
            stream_abort(peer.client);
        }
        if (round >= 0) {
            own[round] = (double)client_ns / HANDSHAKES / 1000;
            all[round] = (double)(now_ns() - start) / HANDSHAKES / 1000;
        }
    }
    if (resumed && tls_worker_counter(worker, TLS_RESUMED) + 1 != tls_worker_counter(worker, TLS_HANDSHAKES))
        fprintf(stderr, "not all were resumed\n");
    tls_worker_destroy(worker);
    wolfSSL_CTX_free(other);
    tls_context_unref(context);
    chunk_pool_destroy(chunks);
    *both = median(all);
    return median(own);
}

struct record_times {
    double seal_ns;
    double open_ns;
};

static struct record_times time_records(const char *suite, size_t bytes)
{
    static uint8_t text[16384];
    struct chunk_pool *chunks = chunk_pool_create(64);
    struct tls_context *context = make_context(false);
    WOLFSSL_CTX *server_ctx = make_server(suite);
    struct tls_worker *worker = make_worker(4, chunks);
    struct peer peer;
    double seal[ROUNDS];
    double open[ROUNDS];
    size_t records = bytes > 4096 ? 200 : RECORDS;
    connect_peer(&peer, worker, context, server_ctx);
    for (int round = -1; round < ROUNDS; round++) {
        int at = round < 0 ? 0 : round;
        to_client.from = to_client.to = 0;
        for (size_t i = 0; i < records; i++)
            wolfSSL_write(peer.server, text, (int)bytes);
        /* As segments bring them: one record at a time. */
        size_t one = (to_client.to - to_client.from) / records;
        uint64_t start = now_ns();
        for (size_t i = 0; i < records; i++)
            peer.lower.handler->data(peer.lower.owner, to_client.bytes + i * one, one);
        open[at] = (double)(now_ns() - start) / (double)records;
        discard = true;
        start = now_ns();
        for (size_t i = 0; i < records; i++) {
            stream_write(peer.client, text, bytes);
            stream_flush(peer.client);
        }
        seal[at] = (double)(now_ns() - start) / (double)records;
        discard = false;
    }
    if (peer.closed != 0 || peer.got != (size_t)(ROUNDS + 1) * records * bytes)
        exit(EXIT_FAILURE);
    end_server(&peer);
    tls_worker_destroy(worker);
    wolfSSL_CTX_free(server_ctx);
    tls_context_unref(context);
    chunk_pool_destroy(chunks);
    return (struct record_times){median(seal), median(open)};
}

static void choose(enum crypto_engine engine)
{
    if (crypto_offload_choose(engine, NULL) != 0)
        exit(EXIT_FAILURE);
}

static void measure_records(void)
{
    static const char *const suites[] = {"TLS13-AES128-GCM-SHA256", "TLS13-AES256-GCM-SHA384",
                                         "TLS13-CHACHA20-POLY1305-SHA256"};
    static const size_t sizes[] = {64, 256, 1024, 16384};
    printf("\nTLS 1.3 records, ns each (seal: write and flush; open: data), one record at a time\n");
    printf("  %-30s %6s %18s %18s %7s\n", "", "bytes", "libipsec-mb", "wolfCrypt", "ratio");
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            choose(CRYPTO_ENGINE_AUTO);
            struct record_times ours = time_records(suites[i], sizes[j]);
            choose(CRYPTO_ENGINE_WOLFCRYPT);
            struct record_times theirs = time_records(suites[i], sizes[j]);
            printf("  %-30s %6zu %8.0f %9.0f %8.0f %9.0f %7.2f\n", suites[i], sizes[j], ours.seal_ns,
                   ours.open_ns, theirs.seal_ns, theirs.open_ns,
                   (theirs.seal_ns + theirs.open_ns) / (ours.seal_ns + ours.open_ns));
        }
    }
    choose(CRYPTO_ENGINE_AUTO);
}

int main(int argc, char **argv)
{
    uint32_t sessions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000;
    to_server.bytes = malloc(WIRE_BYTES);
    to_client.bytes = malloc(WIRE_BYTES + (64u << 20));
    if (to_server.bytes == NULL || to_client.bytes == NULL || sessions == 0 || tls_library_init() != 0 ||
        !lab_clients_pki())
        return EXIT_FAILURE;
    printf("%s\n\n", tls_library_facts());
    measure_memory(sessions);
    double full_both;
    double resumed_both;
    double listener_both;
    double full = time_handshakes(false, false, &full_both);
    double listener = time_handshakes(false, true, &listener_both);
    double resumed = time_handshakes(true, false, &resumed_both);
    printf("\nTLS 1.3 handshakes, P-256 certificates on both sides, X25519, one core\n");
    printf("  full      client %6.0f us, %6.0f/s; both ends %6.0f us\n", full, 1e6 / full, full_both);
    printf(
        "  full      listener %4.0f us, %6.0f/s; both ends %6.0f us; with one toward an upstream %6.0f/s\n",
        listener, 1e6 / listener, listener_both, 1e6 / (listener + full));
    printf("  resumed   client %6.0f us, %6.0f/s; both ends %6.0f us\n", resumed, 1e6 / resumed,
           resumed_both);
    measure_records();
    lab_remove();
    tls_library_fini();
    return EXIT_SUCCESS;
}
