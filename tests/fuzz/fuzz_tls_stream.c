/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TLS client stream between a real server and a scripted world. The first bytes of the input are a program:
 * what the server sends, how the wire cuts, alters, loses or holds it, how much either side takes, who ends
 * when. Without a server the rest of the input is what comes instead of one. Nothing may crash, leak, or lose
 * chunks and sessions, and what arrives upstairs must be what the server sent.
 */
#include "tests/unit/tls_lab.h"

#include <stdint.h>

static struct tls_context *context;
static WOLFSSL_CTX *servers[2];
static struct lab *lab;
static size_t sent;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct tls_error error;
    if (tls_library_init() != 0 || !lab_pki())
        abort();
    struct tls_settings settings = lab_settings();
    settings.min_version = TLS_VERSION_1_2;
    settings.resumption = true;
    context = tls_context_create(&settings, &error);
    servers[0] = lab_server_ctx(&(const struct lab_server){.certificate = "server"});
    servers[1] = lab_server_ctx(&(const struct lab_server){.certificate = "server", .only_1_2 = true});
    lab_remove();
    if (context == NULL || servers[0] == NULL || servers[1] == NULL)
        abort();
    return 0;
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 8) * 13);
}

static void server_sends(size_t n)
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

static void client_sends(size_t n)
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

static void client_acts(uint8_t operation, uint8_t argument)
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

static void server_acts(uint8_t argument)
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
    switch (operation % 12) {
    case 0:
        server_sends(amount + 1);
        break;
    case 1:
        client_sends(amount);
        break;
    case 2:
        server_acts(argument);
        break;
    case 3:
        client_acts(operation / 12, argument);
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
        lab->server_reads = amount;
        break;
    case 10:
        lab->server_fin = argument % 4 == 0;
        break;
    default:
        lab->now_us += (uint64_t)argument * 100000;
        break;
    }
    lab_turn(lab);
}

/* Whatever was altered on the way: what comes out is what went in, as far as it comes. */
static void check_got(void)
{
    for (size_t i = 0; i < lab_pipe_bytes(&lab->got); i++)
        if (i >= sent || lab->got.bytes[lab->got.from + i] != pattern(i))
            abort();
}

static void check_nothing_left(void)
{
    if (lab->client != NULL) {
        stream_abort(lab->client);
        lab->client = NULL;
    }
    tls_worker_poll(lab->worker, lab->now_us + 60000000);
    if (tls_worker_sessions(lab->worker) != 0 ||
        chunk_pool_free(lab->chunks) != chunk_pool_capacity(lab->chunks))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned int kind = data[0] % 3;
    sent = 0;
    lab = lab_create(NULL, NULL);
    if (kind < 2) {
        wolfSSL_CTX_up_ref(servers[kind]);
        lab_attach(lab, servers[kind]);
    }
    lab->fragment = data[1] + 1u;
    lab_connect(lab, context, NULL);
    if (kind == 2) {
        lab_turns(lab, 2);
        lab_pipe_add(&lab->to_client, data + 2, size - 2 < 4096 ? size - 2 : 4096);
        lab_turns(lab, 6);
        if (lab->opened != 0)
            abort();
    }
    for (size_t i = 2; i + 1 < size && i < 130; i += 2)
        step(data[i], data[i + 1]);
    check_got();
    check_nothing_left();
    lab_destroy(lab);
    return 0;
}
