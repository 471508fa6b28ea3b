/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TLS listener's stream between a real client and a scripted world (A5, B4). The first bytes of the input
 * are a program: what the client sends, how the wire cuts, alters, loses or holds it, how much either side
 * takes, who ends when; without a client the rest of the input is what comes instead of one. Nothing may
 * crash, leak, or lose chunks and sessions; what arrives upstairs must be what the client sent; and nobody is
 * let in without a certificate. Besides, the input is read as a certificate and as a revocation list.
 */
#include "dataplane/secure/revocation.h"
#include "tests/unit/tls_server_lab.h"

#include <stdint.h>

static struct tls_context *context;
static WOLFSSL_CTX *clients[3];
static WOLFSSL_SESSION *kept[2];
static struct lab *lab;
static size_t sent;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (tls_library_init() != 0 || !lab_clients_pki())
        abort();
    struct tls_server_settings settings = lab_listener();
    settings.client_ca_file = lab_path("both.pem");
    settings.crl_file = lab_path("clients.crl");
    context = lab_listener_context(&settings);
    clients[0] = lab_client_ctx(&(const struct lab_client){.certificate = "truck-001"});
    clients[1] = lab_client_ctx(&(const struct lab_client){.certificate = "named", .only_1_2 = true});
    clients[2] = lab_client_ctx(&(const struct lab_client){.certificate = NULL});
    lab_remove();
    if (clients[0] == NULL || clients[1] == NULL || clients[2] == NULL)
        abort();
    return 0;
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 8) * 13);
}

static void client_sends(size_t n)
{
    static uint8_t text[16384];
    if (lab->server == NULL || !lab->server_open || lab->server_failed ||
        lab_pipe_bytes(&lab->to_client) > LAB_BUFFER / 2)
        return;
    for (size_t i = 0; i < n; i++)
        text[i] = pattern(sent + i);
    if (wolfSSL_write(lab->server, text, (int)n) == (int)n)
        sent += n;
}

static void listener_sends(size_t n)
{
    static const uint8_t text[16384];
    if (lab->client != NULL && lab_pipe_bytes(&lab->to_server) < LAB_BUFFER / 2)
        stream_write(lab->client, text, n);
}

static void alter(uint8_t argument)
{
    size_t n = lab_pipe_bytes(&lab->to_client);
    if (n > 0)
        lab->to_client.bytes[lab->to_client.from + argument * (n - 1) / 255] ^= (uint8_t)(1 + argument % 255);
}

static void listener_acts(uint8_t operation, uint8_t argument)
{
    if (lab->client == NULL)
        return;
    if (operation % 4 == 0)
        stream_resume(lab->client);
    else if (operation % 4 == 1)
        stream_finish(lab->client);
    else if (operation % 4 == 2)
        stream_flush(lab->client);
    else if (argument > 200) {
        stream_abort(lab->client);
        lab->client = NULL;
    }
}

static void client_acts(uint8_t argument)
{
    if (lab->server == NULL || !lab->server_open)
        return;
    if (argument % 4 == 0)
        wolfSSL_shutdown(lab->server);
    else
        wolfSSL_update_keys(lab->server);
}

static void step(uint8_t operation, uint8_t argument)
{
    size_t amount = (size_t)argument * argument / 4;
    switch (operation % 11) {
    case 0:
        client_sends(amount + 1);
        break;
    case 1:
        listener_sends(amount);
        break;
    case 2:
        client_acts(argument);
        break;
    case 3:
        listener_acts(operation / 11, argument);
        break;
    case 4:
        alter(argument);
        break;
    case 5:
        lab->fragment = amount + 1;
        break;
    case 6:
        lab->room_bytes = amount;
        break;
    case 7:
        lab->take_at_most = amount;
        break;
    case 8:
        lab->hold_wire = argument % 2 == 0;
        break;
    case 9:
        lab->server_fin = argument % 4 == 0;
        break;
    default:
        lab->now_us += (uint64_t)argument * 100000;
        break;
    }
    lab_turn(lab);
}

static void check(unsigned int kind)
{
    for (size_t i = 0; i < lab_pipe_bytes(&lab->got); i++)
        if (i >= sent || lab->got.bytes[lab->got.from + i] != pattern(i))
            abort();
    if (lab->opened > 0 && kind > 1)
        abort();
    if (lab->client != NULL && lab->opened > 0 && tls_stream_peer(lab->client) == NULL)
        abort();
    if (lab->client != NULL) {
        stream_abort(lab->client);
        lab->client = NULL;
    }
    tls_worker_poll(lab->worker, lab->now_us + 60000000);
    if (tls_worker_sessions(lab->worker) != 0 ||
        chunk_pool_free(lab->chunks) != chunk_pool_capacity(lab->chunks))
        abort();
}

static void read_der(const uint8_t *data, size_t size)
{
    const uint8_t *chain[] = {data};
    struct tls_error error;
    struct revocations *set = revocations_create();
    if (set == NULL)
        abort();
    tls_peer_unref(tls_peer_of_chain(chain, &size, 1));
    revocations_add(set, data, size, &error);
    revocations_destroy(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned int kind = data[0] % 4; /* 0, 1: clients with a certificate; 2: one without; 3: nobody */
    read_der(data + 1, size - 1);
    sent = 0;
    lab = lab_create(NULL, NULL);
    if (kind < 3) {
        wolfSSL_CTX_up_ref(clients[kind]);
        lab_attach(lab, clients[kind]);
        if (kind < 2 && kept[kind] != NULL && data[0] >= 128)
            wolfSSL_set_session(lab->server, kept[kind]);
    }
    lab->fragment = data[1] + 1u;
    lab_accept(lab, context);
    if (kind == 3) {
        lab_pipe_add(&lab->to_client, data + 2, size - 2 < 4096 ? size - 2 : 4096);
        lab_turns(lab, 6);
    }
    for (size_t i = 2; i + 1 < size && i < 130; i += 2)
        step(data[i], data[i + 1]);
    if (kind < 2 && lab->server_open && !lab->server_failed) {
        wolfSSL_SESSION_free(kept[kind]);
        kept[kind] = wolfSSL_get1_session(lab->server);
    }
    check(kind);
    lab_destroy(lab);
    return 0;
}
