/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-shared keys in TLS (B1, C1; RFC 8446 section 4.2.11): hellos with any identity, mode, suite and binder
 * to listeners with keys alone and beside certificates; answers of any server to a client with a key; and
 * clients of the library's whose hellos the wire alters. The first byte says which, the rest is what is said.
 *
 * Nothing may crash, leak, or lose chunks and sessions. Whoever cannot finish a handshake, because nobody
 * knows his secrets, is let in by nobody; who is let in is the one whose key he has, and never through a
 * ServerHello without a key share.
 */
#include "tests/unit/psk_hello.h"
#include "tests/unit/tls_server_lab.h"

#include <stdint.h>

#define IDENTITY "truck-001"

static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static struct tls_context *listeners[4]; /* keys alone and beside certificates, 1.3 and 1.2 too */
static struct tls_context *toward[2];    /* 1.3 and 1.2 too */
static WOLFSSL_CTX *clients[2];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int on_key(WOLFSSL *ssl, const char *hint, char *identity, unsigned int room,
                           unsigned char *out, unsigned int key_room)
{
    (void)ssl;
    (void)hint;
    if (room <= sizeof(IDENTITY) || key_room < sizeof(key))
        return 0;
    memcpy(identity, IDENTITY, sizeof(IDENTITY));
    memcpy(out, key, sizeof(key));
    return sizeof(key);
}

static void make_contexts(const char *keys)
{
    struct tls_error error;
    for (int i = 0; i < 4; i++) {
        enum tls_version version = (i & 1) != 0 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
        struct tls_server_settings settings = {.min_version = version, .psk_file = keys};
        if (i >= 2)
            settings = (struct tls_server_settings){.min_version = version,
                                                    .psk_file = keys,
                                                    .certificate_file = lab_path("server.pem"),
                                                    .key_file = lab_path("server.key"),
                                                    .client_ca_file = lab_path("ca.pem"),
                                                    .needs_certificate = true};
        listeners[i] = lab_listener_context(&settings);
    }
    for (int i = 0; i < 2; i++) {
        struct tls_settings settings = {
            .min_version = i != 0 ? TLS_VERSION_1_2 : TLS_VERSION_1_3, .psk_file = keys, .psk_id = "%s"};
        toward[i] = tls_context_create(&settings, &error);
        clients[i] = wolfSSL_CTX_new(i != 0 ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method());
        if (toward[i] == NULL || clients[i] == NULL)
            abort();
        wolfSSL_CTX_SetIORecv(clients[i], lab_server_receive);
        wolfSSL_CTX_SetIOSend(clients[i], lab_server_send);
        wolfSSL_CTX_set_psk_client_callback(clients[i], on_key);
        wolfSSL_CTX_set_verify(clients[i], WOLFSSL_VERIFY_NONE, NULL);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (tls_library_init() != 0 || !lab_pki())
        abort();
    const char *path = lab_path("keys.psk");
    FILE *file = fopen(path, "w");
    if (file == NULL || fprintf(file, "%s:000102030405060708090a0b0c0d0e0f\n", IDENTITY) < 0 ||
        fclose(file) != 0)
        abort();
    make_contexts(path);
    lab_remove();
    return 0;
}

static void end(struct lab *lab)
{
    if (lab->client != NULL)
        stream_abort(lab->client);
    lab->client = NULL;
    tls_worker_poll(lab->worker, lab->now_us + 60000000);
    if (tls_worker_sessions(lab->worker) != 0 ||
        chunk_pool_free(lab->chunks) != chunk_pool_capacity(lab->chunks))
        abort();
    lab_destroy(lab);
}

/* A hello whose parts are the input's; with a correct binder, when it says so. */
static void raw_client(const uint8_t *data, size_t size)
{
    static struct hello_out out;
    static const uint16_t suites[] = {0x1301, 0x1302, 0x1303, 0xD001};
    bool own = (data[1] & 1) != 0;
    struct client_hello hello = {.identity = own ? (const void *)IDENTITY : data + 4,
                                 .identity_n = own ? strlen(IDENTITY) : size - 4,
                                 .key = key,
                                 .key_n = (data[1] & 2) != 0 ? sizeof(key) : 1,
                                 .modes = data[1] >> 2 & 3,
                                 .no_share = (data[1] & 16) != 0,
                                 .early_data = (data[1] & 32) != 0,
                                 .certificates = (data[1] & 64) != 0,
                                 .suite = suites[data[2] & 3],
                                 .age = data[3],
                                 .before = (data[1] & 128) != 0 ? "x" : NULL};
    struct lab *lab = lab_create(NULL, NULL);
    hello_of_client(&hello, &out);
    if ((data[2] & 4) != 0)
        out.at[data[3] * (out.n - 1) / 255] ^= (uint8_t)(1 + data[2] / 8);
    lab->fragment = 1 + data[3] * 8u;
    lab_accept(lab, listeners[data[0] / 4 % 4]);
    lab_pipe_add(&lab->to_client, out.at, out.n);
    lab_turns(lab, 6);
    lab_pipe_add(&lab->to_client, data + 4, size - 4);
    lab_turns(lab, 6);
    if (lab->opened != 0)
        abort();
    end(lab);
}

/* What a server says that has not the key: a hello of ours in front, perhaps. */
static void raw_server(const uint8_t *data, size_t size)
{
    static struct hello_out out;
    struct server_hello hello = {.retry = (data[1] & 2) != 0, .with_psk = (data[1] & 4) != 0};
    struct lab *lab = lab_create(NULL, NULL);
    lab_connect(lab, toward[data[0] / 4 % 2], IDENTITY);
    lab_turns(lab, 3);
    if ((data[1] & 1) != 0) {
        hello_of_server(&hello, &out);
        lab_pipe_add(&lab->to_client, out.at, out.n);
        lab_turns(lab, 3);
        if (!hello.retry && lab->closed == 0)
            abort();
    }
    lab->fragment = 1 + data[2] * 8u;
    if (!lab->aborted && lab->closed == 0)
        lab_pipe_add(&lab->to_client, data + 3, size - 3);
    lab_turns(lab, 6);
    if (lab->opened != 0)
        abort();
    end(lab);
}

/* A client of the library's with the key; each further pair of bytes alters one byte of what comes next. */
static void real_client(const uint8_t *data, size_t size)
{
    struct lab *lab = lab_create(NULL, NULL);
    WOLFSSL_CTX *ctx = clients[data[0] / 16 % 2];
    wolfSSL_CTX_up_ref(ctx);
    lab_attach(lab, ctx);
    lab->fragment = 1 + data[1] * 8u;
    lab_accept(lab, listeners[data[0] / 4 % 4]);
    for (size_t i = 2; i + 1 < size && i < 18; i += 2) {
        lab_server_run(lab);
        size_t n = lab_pipe_bytes(&lab->to_client);
        if (n != 0 && data[i + 1] != 0)
            lab->to_client.bytes[lab->to_client.from + data[i] * (n - 1) / 255] ^= data[i + 1];
        lab_turns(lab, 1);
    }
    lab_turns(lab, 12);
    const struct tls_peer *peer =
        lab->client == NULL || lab->opened == 0 ? NULL : tls_stream_peer(lab->client);
    if (lab->client != NULL && lab->opened != 0 &&
        (peer == NULL || peer->psk_id == NULL || strcmp(peer->psk_id, IDENTITY) != 0))
        abort();
    end(lab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > 60000)
        return 0;
    switch (data[0] % 4) {
    case 0:
    case 1:
        raw_client(data, size);
        break;
    case 2:
        raw_server(data, size);
        break;
    default:
        real_client(data, size);
        break;
    }
    return 0;
}
