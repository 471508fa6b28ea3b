/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CoAP clients over DTLS 1.3 whose address changes in the middle of a session (B2, E4, C4; RFC 9146 s.6). */
#include "dataplane/secure/dtls_stream.h"
#include "tests/unit/coap_rig.h"

#include <unistd.h>

#define PORT 40000

static struct device {
    struct dtls_worker *worker;
    struct dtls_context *context;
    struct dtls_session *session;
    struct ip_address address;
    uint16_t port;
    bool opened, closed;
    uint32_t messages;
    uint32_t seen; /* of rig.sent */
    size_t n;
    uint8_t message[COAP_MESSAGE_MAX]; /* the last */
} device;

static void device_out(void *owner, const uint8_t *datagram, size_t n)
{
    (void)owner;
    struct coap_arrival arrival = {.key = {.local = ip_address_v4(MEANT_IP),
                                           .remote = device.address,
                                           .local_port = 5683,
                                           .remote_port = device.port,
                                           .protocol = 17},
                                   .has_mac = true,
                                   .mac = {2, 0, 0, 0, 0, 1},
                                   .payload = bytes_of(datagram, n)};
    coap_relays_from_device(rig.relays, &arrival);
}

static void device_opened(void *owner)
{
    (void)owner;
    device.opened = true;
}

static void device_received(void *owner, const uint8_t *message, size_t n)
{
    (void)owner;
    device.messages++;
    device.n = n;
    memcpy(device.message, message, n);
}

static void device_closed(void *owner, enum dtls_end why, const char *reason)
{
    (void)owner;
    (void)why;
    (void)reason;
    device.closed = true;
}

static const struct dtls_handler device_handler = {
    .send = device_out, .opened = device_opened, .received = device_received, .closed = device_closed};

/* Hands the device what was sent to where it is. */
static void deliver(void)
{
    while (device.seen < rig.sent_n) {
        struct sent sent = rig.sent[device.seen++];
        if (sent.key.remote_port == device.port &&
            memcmp(&sent.key.remote, &device.address, sizeof(device.address)) == 0)
            dtls_session_input(device.session, sent.bytes, sent.n, rig.now_us);
    }
    if (rig.sent_n > SENT_MAX / 2)
        rig.sent_n = device.seen = 0;
}

static void open_device(const char *identity)
{
    char folder[] = "/tmp/coap-moves-XXXXXX", file[64];
    struct tls_error error = {.text = ""};
    open_rig();
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/psk", folder);
    FILE *out = fopen(file, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    fputs("probe-1:30313233343536373839616263646566\nwalker:00112233445566778899aabbccddeeff\n", out);
    fclose(out);
    struct dtls_server_settings server = {.psk_file = file, .versions = DTLS_1_3, .connection_ids = true};
    rig.generation.listener_dtls[0] = dtls_server_context_create(&server, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.generation.listener_dtls[0]);
    rig.config.listeners[0].security = CONFIG_SECURITY_DTLS;
    struct dtls_settings client = {
        .psk_file = file, .psk_id = "%s", .version = DTLS_1_3, .connection_ids = true};
    device = (struct device){.address = ip_address_v4(DEVICE_IP), .port = PORT};
    device.context = dtls_context_create(&client, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(device.context);
    unlink(file);
    rmdir(folder);
    device.worker = dtls_worker_create(4, NULL);
    device.session = dtls_connect(device.worker, device.context, identity, NULL, 1200, &device_handler, NULL,
                                  rig.now_us, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(device.session);
    for (int i = 0; i < 8; i++)
        deliver();
    CU_ASSERT_TRUE_FATAL(device.opened);
}

static void close_device(void)
{
    dtls_session_drop(device.session);
    struct dtls_context *listener = rig.generation.listener_dtls[0];
    close_rig();
    dtls_worker_destroy(device.worker);
    dtls_context_unref(device.context);
    dtls_context_unref(listener);
}

static void ask(const struct request *q)
{
    uint8_t bytes[256];
    size_t n = request_build(q, bytes, sizeof(bytes));
    CU_ASSERT_TRUE(dtls_session_write(device.session, bytes, n));
}

static struct coap_message told(void)
{
    struct coap_message message;
    memset(&message, 0, sizeof(message));
    deliver();
    CU_ASSERT_TRUE_FATAL(device.n > 0);
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(device.message, device.n)), COAP_PARSE_OK);
    return message;
}

static bool event_seen(enum event_kind kind, enum outcome outcome)
{
    const struct event *event;
    bool seen = false;
    while ((event = event_ring_peek(rig.events)) != NULL) {
        seen = seen || (event->kind == kind && event->outcome == outcome);
        event_ring_pop(rig.events);
    }
    return seen;
}

static uint64_t secure_counted(enum dtls_server_counter counter)
{
    return coap_relays_counters(rig.relays)->secure[counter];
}

/* A NAT has given it another port: its session and its observation go on, and it is told. */
static void test_another_port(void)
{
    struct request observe = {.type = COAP_CON, .code = COAP_GET, .mid = 1, .id = "probe-1", .observe = 0};
    struct request put = {.type = COAP_CON, .code = COAP_PUT, .mid = 2, .id = "probe-1", .observe = -1};
    open_device("probe-1");
    ask(&observe);
    struct coap_message up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, 1, 20);
    struct coap_message first = told();
    CU_ASSERT_TRUE(first.code == COAP_CONTENT && first.payload.len == 20);
    device.port = PORT + 77;
    ask(&put);
    struct coap_message second = sent(0);
    CU_ASSERT_EQUAL(second.code, COAP_PUT);
    server_answers(&second, COAP_ACK, second.mid, COAP_CHANGED, -1, 0);
    CU_ASSERT_EQUAL(told().code, COAP_CHANGED);
    CU_ASSERT_EQUAL(secure_counted(DTLS_SERVER_MOVED), 1);
    CU_ASSERT_TRUE(event_seen(EVENT_ADDRESS_CHANGED, OUTCOME_ALLOWED));
    uint32_t before = device.messages;
    server_answers(&up, COAP_NON, 9, COAP_CONTENT, 2, 24); /* a notification goes to where it is now */
    CU_ASSERT_EQUAL(told().payload.len, 24);
    CU_ASSERT_EQUAL(device.messages, before + 1);
    CU_ASSERT_FALSE(device.closed);
    close_device();
}

/* E4: where it has not shown itself to be it is sent three times what it said, until it returns an Echo. */
static void test_another_address(void)
{
    struct request q = {.type = COAP_CON, .code = COAP_GET, .mid = 1, .id = "walker", .observe = -1};
    open_device("walker");
    ask(&q);
    struct coap_message up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 900); /* at its own address anything */
    CU_ASSERT_EQUAL(told().payload.len, 900);
    device.address = ip_address_v4(DEVICE_IP + 50);
    q.mid = 2;
    ask(&q);
    up = sent(0);
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 900);
    struct coap_message challenge = told();
    CU_ASSERT_EQUAL(challenge.code, COAP_UNAUTHORIZED);
    CU_ASSERT_TRUE(device.n < 120);
    const struct coap_option *option = coap_option_find(&challenge, COAP_ECHO);
    CU_ASSERT_TRUE_FATAL(option != NULL && option->value.len == COAP_ECHO_BYTES);
    uint8_t echo[COAP_ECHO_BYTES];
    memcpy(echo, option->value.at, sizeof(echo));
    q.mid = 3;
    q.echo = bytes_of(echo, sizeof(echo));
    uint32_t before = rig.sent_n;
    ask(&q);
    if (rig.sent_n > before && rig.sent[rig.sent_n - 1].key.remote_port == 5683) {
        up = sent(0);
        server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, -1, 900);
    }
    CU_ASSERT_EQUAL(told().payload.len, 900);
    close_device();
}

/* C4: whose entry says where it is stays there: elsewhere it is refused, and told. */
static void test_a_bound_device_does_not_wander(void)
{
    struct request q = {.type = COAP_CON, .code = COAP_GET, .mid = 1, .id = "probe-1", .observe = -1};
    open_device("probe-1");
    ask(&q);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_FORWARDED), 1);
    device.address = ip_address_v4(DEVICE_IP + 50);
    q.mid = 2;
    ask(&q);
    CU_ASSERT_EQUAL(counted(COAP_COUNT_FORWARDED), 1);
    CU_ASSERT_TRUE(event_seen(EVENT_IDENTITY_VIOLATION, OUTCOME_IDENTITY_MISMATCH));
    close_device();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B2 RFC 9146 s.6 another port", test_another_port},
        {"E4 another address", test_another_address},
        {"C4 a bound device does not wander", test_a_bound_device_does_not_wander}};
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    int result = tls_library_has_connection_ids()
                     ? unit_run("relay_coap_moves", tests, sizeof(tests) / sizeof(tests[0]))
                     : unit_skipped(EXIT_SUCCESS, "connection ids", "this wolfSSL has none");
    tls_library_fini();
    return result;
}
