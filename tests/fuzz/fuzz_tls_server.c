/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TLS listener's stream between a real client and a scripted world (A5, B4). The first bytes of the input
 * are a program: what the client sends, how the wire cuts, alters, loses or holds it, how much either side
 * takes, who ends when; without a client the rest of the input is what comes instead of one. Nothing may
 * crash, leak, or lose chunks and sessions; what arrives upstairs must be what the client sent; and nobody is
 * let in without a certificate. Besides, the input is read as a certificate and as a revocation list.
 */
#include "dataplane/secure/revocation.h"
#include "tests/fuzz/tls_program.h"
#include "tests/unit/tls_server_lab.h"

#include <stdint.h>

static struct tls_context *context;
static WOLFSSL_CTX *clients[3];
static WOLFSSL_SESSION *kept[2];

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

static void check(struct program *p, unsigned int kind)
{
    const struct lab *lab = p->lab;
    program_check_got(p);
    if (lab->opened > 0 && kind > 1)
        abort();
    if (lab->client != NULL && lab->opened > 0 && tls_stream_peer(lab->client) == NULL)
        abort();
    program_check_nothing_left(p);
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
    struct lab *lab = lab_create(NULL, NULL);
    struct program program = {.lab = lab};
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
    program_run(&program, data, size, false);
    if (kind < 2 && lab->server_open && !lab->server_failed) {
        wolfSSL_SESSION_free(kept[kind]);
        kept[kind] = wolfSSL_get1_session(lab->server);
    }
    check(&program, kind);
    lab_destroy(lab);
    return 0;
}
