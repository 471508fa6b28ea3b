/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TLS client stream between a real server and a scripted world. The first bytes of the input are a program:
 * what the server sends, how the wire cuts, alters, loses or holds it, how much either side takes, who ends
 * when. Without a server the rest of the input is what comes instead of one. Nothing may crash, leak, or lose
 * chunks and sessions, and what arrives upstairs must be what the server sent.
 */
#include "tests/fuzz/tls_program.h"

static struct tls_context *context;
static WOLFSSL_CTX *servers[2];

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned int kind = data[0] % 3;
    struct lab *lab = lab_create(NULL, NULL);
    struct program program = {.lab = lab};
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
    program_run(&program, data, size, true);
    program_check_got(&program);
    program_check_nothing_left(&program);
    lab_destroy(lab);
    return 0;
}
