/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of TLS share: a PKI made by the openssl command in a temporary directory, a wolfSSL server,
 * and an in-memory lower stream between it and the client under test, with bounded room, any fragmentation,
 * and corruption on demand. Included by one program at a time, so everything is static.
 */
#ifndef TESTS_UNIT_TLS_LAB_H
#define TESTS_UNIT_TLS_LAB_H

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/handshake_pool.h"
#include "dataplane/secure/tls_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAB_NAME "broker.cloud.example"
#define LAB_BUFFER (1u << 20)
#define LAB_STEP_US 1000

/* ---- PKI ----------------------------------------------------------------------------------------------- */

static char lab_dir[] = "/tmp/sallyport-tls-XXXXXX";

static const char lab_script[] =
    "set -e; cd \"$0\"\n"
    "cat > ca.cnf <<'EOF'\n"
    "[ca]\ndefault_ca=here\n"
    "[here]\ndir=.\ndatabase=index\nserial=serial\nnew_certs_dir=.\nrand_serial=yes\nunique_subject=no\n"
    "policy=any\ndefault_md=sha256\ndefault_days=30\ndefault_crl_days=30\ncopy_extensions=none\n"
    "[any]\ncommonName=supplied\norganizationName=optional\n"
    "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n"
    "[root]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"
    "subjectKeyIdentifier=hash\n"
    "[limited]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"
    "subjectKeyIdentifier=hash\nnameConstraints=critical,permitted;DNS:other.example\n"
    "[server]\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n"
    "subjectAltName=DNS:broker.cloud.example,IP:10.30.0.2,IP:fd30::2\n"
    "[wrong]\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:other.example\n"
    "[wild]\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:*.cloud.example\n"
    "[purpose]\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\nsubjectAltName=DNS:broker.cloud."
    "example\n"
    "[client]\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid\n"
    "EOF\n"
    ": > index\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1.key; }\n"
    "csr() { openssl req -new -config ca.cnf -key $1.key -subj \"$2\" -out $1.csr; }\n"
    "sign() { n=$1; ca=$2; ext=$3; shift 3; openssl ca -batch -notext -config ca.cnf -cert $ca.pem\\\n"
    "  -keyfile $ca.key -in $n.csr -out $n.pem -extensions $ext \"$@\" 2>>ca.log; }\n"
    "for n in ca otherca; do key $n; openssl req -x509 -new -config ca.cnf -key $n.key -subj /CN=$n -days "
    "30\\\n"
    "  -extensions root -out $n.pem; done\n"
    "for n in sub limited shasub; do key $n; csr $n /CN=$n; done\n"
    "sign sub ca root; sign limited ca limited; sign shasub ca root -md sha1\n"
    "for n in server wrong wild expired early purpose stranger revoked shaleaf; do key $n; csr $n /CN=$n; "
    "done\n"
    "sign server ca server; sign wrong ca wrong; sign wild ca wild; sign purpose ca purpose\n"
    "sign expired ca server -startdate 20200101000000Z -enddate 20210101000000Z\n"
    "sign early ca server -startdate 20400101000000Z -enddate 20410101000000Z\n"
    "sign stranger otherca server; sign shaleaf ca server -md sha1\n"
    "sign revoked ca server; openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke revoked.pem "
    "2>>ca.log\n"
    "openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out ca.crl 2>>ca.log\n"
    "key self; openssl req -x509 -new -config ca.cnf -key self.key -subj /CN=broker.cloud.example -days "
    "30\\\n"
    "  -extensions server -out self.pem\n"
    "openssl genrsa -out rsa1024.key 1024 2>>ca.log; csr rsa1024 /CN=rsa1024; sign rsa1024 ca server\n"
    "openssl genrsa -out rsa2048.key 2048 2>>ca.log; csr rsa2048 /CN=rsa2048; sign rsa2048 ca server\n"
    "for i in sub limited shasub; do key via$i; csr via$i /CN=via$i; sign via$i $i server\n"
    "  cat $i.pem >> via$i.pem; done\n"
    "key truck-001; csr truck-001 /O=Fleet/CN=truck-001; sign truck-001 ca client\n"
    "key truck-002; csr truck-002 /O=Fleet/CN=truck-002; sign truck-002 ca client\n"
    "openssl genrsa -out truck-rsa.key 2048 2>>ca.log; csr truck-rsa /CN=truck-rsa; sign truck-rsa ca "
    "client\n"
    "cp truck-001.pem truck-mixed.pem; cp truck-002.key truck-mixed.key\n"
    "cp truck-001.pem truck-nokey.pem; cp truck-001.key truck-nocert.key; cp truck-001.key truck-bad.key\n"
    "echo nonsense > truck-bad.pem; : > empty.pem\n"
    "key old; csr old /CN=old; sign old ca client -startdate 20200101000000Z -enddate 20210101000000Z\n"
    "openssl pkcs8 -topk8 -in truck-001.key -passout pass:secret -out locked.key\n"
    /* A chain that does not fit one flight buffer of the handshake. */
    "cp truck-001.pem truck-long.pem; cp truck-001.key truck-long.key\n"
    "for i in 1 2 3 4 5 6 7 8; do cat rsa2048.pem rsa2048.pem >> truck-long.pem; done\n";

/* Runs once; false when the openssl command is not to be had or fails. */
static inline bool lab_pki(void)
{
    char command[sizeof(lab_dir) + 64];
    static bool made;
    if (made)
        return true;
    if (mkdtemp(lab_dir) == NULL)
        return false;
    snprintf(command, sizeof(command), "%s/make.sh", lab_dir);
    FILE *script = fopen(command, "w");
    if (script == NULL || fputs(lab_script, script) < 0 || fclose(script) != 0)
        return false;
    snprintf(command, sizeof(command), "sh -c '. %s/make.sh' %s", lab_dir, lab_dir);
    made = system(command) == 0;
    return made;
}

static inline void lab_remove(void)
{
    char command[sizeof(lab_dir) + 64];
    snprintf(command, sizeof(command), "rm -rf %s", lab_dir);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", lab_dir);
}

/* "NAME" under the PKI's directory; 64 at a time. */
static inline const char *lab_path(const char *name)
{
    static _Thread_local char paths[64][128];
    static _Thread_local unsigned int next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof(paths[0]), "%s/%s", lab_dir, name);
    return path;
}

/* ---- a pipe that can be throttled ---------------------------------------------------------------------- */

struct lab_pipe {
    uint8_t *bytes;
    size_t from;
    size_t to;
};

static inline size_t lab_pipe_bytes(const struct lab_pipe *pipe)
{
    return pipe->to - pipe->from;
}

static inline void lab_pipe_add(struct lab_pipe *pipe, const uint8_t *p, size_t n)
{
    if (pipe->from == pipe->to)
        pipe->from = pipe->to = 0;
    if (pipe->to + n > LAB_BUFFER) {
        memmove(pipe->bytes, pipe->bytes + pipe->from, lab_pipe_bytes(pipe));
        pipe->to -= pipe->from;
        pipe->from = 0;
    }
    if (pipe->to + n > LAB_BUFFER)
        abort();
    memcpy(pipe->bytes + pipe->to, p, n);
    pipe->to += n;
}

/* ---- both ends ----------------------------------------------------------------------------------------- */

struct lab {
    /* the client under test */
    struct tls_worker *worker;
    struct chunk_pool *chunks;
    struct stream *client;
    uint64_t now_us;
    /* the lower stream, as the client sees it */
    struct stream lower;
    size_t room_bytes;      /* most that the lower stream holds unsent */
    size_t fragment;        /* most that is offered to the client at once */
    struct lab_pipe unsent; /* written, not flushed or no room on the wire */
    struct lab_pipe to_server;
    struct lab_pipe to_client;
    bool lower_short;
    bool hold_wire; /* nothing leaves the lower stream */
    bool finished;  /* the client's FIN */
    bool aborted;
    bool server_fin;
    bool server_fin_told;
    bool no_delivery;
    /* the server */
    WOLFSSL_CTX *server_ctx;
    WOLFSSL *server;
    bool server_open;
    bool peer_connects; /* the other side is a client: see tls_server_lab.h */
    bool server_failed;
    int server_error;
    bool server_got_notify;
    bool echo;
    size_t server_reads; /* how much it reads at once, 0: nothing */
    struct lab_pipe server_got;
    /* what the upper side saw */
    int opened;
    int ended;
    int closed;
    int writable;
    enum stream_end why;
    char reason[256];
    struct lab_pipe got;
    size_t take_at_most; /* per call of data */
    size_t largest_offer;
    bool abort_in_data;
};

static inline struct lab *lab_of(struct stream *s)
{
    return (struct lab *)((char *)s - offsetof(struct lab, lower));
}

static inline size_t lab_room(const struct stream *s)
{
    const struct lab *lab = (const struct lab *)((const char *)s - offsetof(struct lab, lower));
    size_t used = lab_pipe_bytes(&lab->unsent);
    return used >= lab->room_bytes ? 0 : lab->room_bytes - used;
}

static inline size_t lab_write(struct stream *s, const uint8_t *p, size_t n)
{
    struct lab *lab = lab_of(s);
    size_t room = lab_room(s);
    size_t take = n < room ? n : room;
    if (lab->finished || lab->aborted)
        abort(); /* nobody may write behind his own FIN */
    lab_pipe_add(&lab->unsent, p, take);
    if (take < n)
        lab->lower_short = true;
    return take;
}

static inline void lab_flush(struct stream *s)
{
    struct lab *lab = lab_of(s);
    if (lab->hold_wire)
        return;
    lab_pipe_add(&lab->to_server, lab->unsent.bytes + lab->unsent.from, lab_pipe_bytes(&lab->unsent));
    lab->unsent.from = lab->unsent.to = 0;
}

static inline void lab_deliver(struct lab *lab)
{
    while (lab_pipe_bytes(&lab->to_client) > 0 && !lab->aborted && !lab->no_delivery) {
        size_t n = lab_pipe_bytes(&lab->to_client);
        n = n < lab->fragment ? n : lab->fragment;
        /* From memory of exactly that size, so that a sanitizer sees every read past it. */
        uint8_t *piece = malloc(n);
        if (piece == NULL)
            abort();
        memcpy(piece, lab->to_client.bytes + lab->to_client.from, n);
        size_t taken = lab->lower.handler->data(lab->lower.owner, piece, n);
        free(piece);
        if (taken > n)
            abort();
        lab->to_client.from += taken;
        if (taken < n)
            return;
    }
    if (lab_pipe_bytes(&lab->to_client) == 0 && lab->server_fin && !lab->server_fin_told && !lab->aborted) {
        lab->server_fin_told = true;
        lab->lower.handler->ended(lab->lower.owner);
    }
}

static inline void lab_resume(struct stream *s)
{
    lab_deliver(lab_of(s));
}

static inline void lab_finish(struct stream *s)
{
    struct lab *lab = lab_of(s);
    lab->finished = true;
}

static inline void lab_abort(struct stream *s)
{
    lab_of(s)->aborted = true;
}

static const struct stream_ops lab_lower_ops = {lab_room,   lab_write, lab_flush, lab_resume,
                                                lab_finish, lab_abort, NULL,      NULL};

/* ---- the upper side ------------------------------------------------------------------------------------ */

static inline void lab_on_opened(void *owner)
{
    ((struct lab *)owner)->opened++;
}

static inline size_t lab_on_data(void *owner, const uint8_t *p, size_t n)
{
    struct lab *lab = owner;
    if (lab->abort_in_data) {
        stream_abort(lab->client);
        lab->client = NULL;
        return 0;
    }
    lab->largest_offer = n > lab->largest_offer ? n : lab->largest_offer;
    size_t take = n < lab->take_at_most ? n : lab->take_at_most;
    lab_pipe_add(&lab->got, p, take);
    return take;
}

static inline void lab_on_writable(void *owner)
{
    ((struct lab *)owner)->writable++;
}

static inline void lab_on_ended(void *owner)
{
    ((struct lab *)owner)->ended++;
}

static inline void lab_on_closed(void *owner, enum stream_end why)
{
    struct lab *lab = owner;
    const char *reason = stream_reason(lab->client);
    lab->closed++;
    lab->why = why;
    snprintf(lab->reason, sizeof(lab->reason), "%s", reason == NULL ? "" : reason);
    lab->client = NULL;
}

static const struct stream_handler lab_upper = {lab_on_opened, lab_on_data, lab_on_writable, lab_on_ended,
                                                lab_on_closed};

/* ---- the server ---------------------------------------------------------------------------------------- */

static inline int lab_server_receive(WOLFSSL *ssl, char *out, int n, void *context)
{
    struct lab *lab = context;
    (void)ssl;
    size_t have = lab_pipe_bytes(&lab->to_server);
    size_t take = have < (size_t)n ? have : (size_t)n;
    if (take == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, lab->to_server.bytes + lab->to_server.from, take);
    lab->to_server.from += take;
    return (int)take;
}

static inline int lab_server_send(WOLFSSL *ssl, char *p, int n, void *context)
{
    struct lab *lab = context;
    (void)ssl;
    lab_pipe_add(&lab->to_client, (const uint8_t *)p, (size_t)n);
    return n;
}

struct lab_server {
    const char *certificate; /* NAME.pem and NAME.key */
    const char *suites;      /* NULL: wolfSSL's own */
    bool only_1_2;
    bool ask_client; /* mutual authentication */
    const char *alpn;
    int group; /* the only one it has; 0: all */
};

static inline WOLFSSL_CTX *lab_server_ctx(const struct lab_server *server)
{
    char name[64];
    WOLFSSL_CTX *ctx =
        wolfSSL_CTX_new(server->only_1_2 ? wolfTLSv1_2_server_method() : wolfSSLv23_server_method());
    wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2);
    wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 1024);
    wolfSSL_CTX_SetIORecv(ctx, lab_server_receive);
    wolfSSL_CTX_SetIOSend(ctx, lab_server_send);
    snprintf(name, sizeof(name), "%s.pem", server->certificate);
    if (wolfSSL_CTX_use_certificate_chain_file(ctx, lab_path(name)) != WOLFSSL_SUCCESS)
        return NULL;
    snprintf(name, sizeof(name), "%s.key", server->certificate);
    if (wolfSSL_CTX_use_PrivateKey_file(ctx, lab_path(name), WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
        return NULL;
    if (server->suites != NULL && wolfSSL_CTX_set_cipher_list(ctx, server->suites) != WOLFSSL_SUCCESS)
        return NULL;
    if (server->group != 0) {
        int group = server->group;
        wolfSSL_CTX_set_groups(ctx, &group, 1);
    }
    if (server->ask_client) {
        wolfSSL_CTX_load_verify_locations(ctx, lab_path("ca.pem"), NULL);
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    } else {
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
    }
    return ctx;
}

static inline void lab_server_read(struct lab *lab)
{
    static _Thread_local uint8_t piece[16384];
    while (lab->server_reads > 0) {
        size_t most = lab->server_reads < sizeof(piece) ? lab->server_reads : sizeof(piece);
        int n = wolfSSL_read(lab->server, piece, (int)most);
        if (n <= 0) {
            int error = wolfSSL_get_error(lab->server, n);
            if (error == WOLFSSL_ERROR_ZERO_RETURN)
                lab->server_got_notify = true;
            else if (error != WOLFSSL_ERROR_WANT_READ)
                lab->server_failed = true;
            if (error != WOLFSSL_ERROR_WANT_READ)
                lab->server_error = error;
            return;
        }
        lab_pipe_add(&lab->server_got, piece, (size_t)n);
        if (lab->echo)
            wolfSSL_write(lab->server, piece, n);
    }
}

static inline void lab_server_run(struct lab *lab)
{
    if (lab->server == NULL || lab->server_failed)
        return;
    if (!lab->server_open) {
        int result = lab->peer_connects ? wolfSSL_connect(lab->server) : wolfSSL_accept(lab->server);
        int error = wolfSSL_get_error(lab->server, result);
        if (result == WOLFSSL_SUCCESS)
            lab->server_open = true;
        else if (error != WOLFSSL_ERROR_WANT_READ) {
            lab->server_failed = true;
            lab->server_error = error;
        }
    }
    if (lab->server_open)
        lab_server_read(lab);
}

/* ---- a connection -------------------------------------------------------------------------------------- */

/* One turn of everything: the worker's loop, the wire, the server. */
static inline void lab_turn(struct lab *lab)
{
    lab->now_us += LAB_STEP_US;
    tls_worker_poll(lab->worker, lab->now_us);
    if (lab->client != NULL)
        stream_flush(lab->client);
    if (!lab->aborted) {
        lab_flush(&lab->lower);
        if (lab->lower_short && lab_room(&lab->lower) > 0) {
            lab->lower_short = false;
            lab->lower.handler->writable(lab->lower.owner);
            lab_flush(&lab->lower);
        }
    }
    lab_server_run(lab);
    if (!lab->aborted && lab->lower.handler != NULL)
        lab_deliver(lab);
}

static inline void lab_turns(struct lab *lab, int n)
{
    for (int i = 0; i < n; i++)
        lab_turn(lab);
}

/* Until the handshake is over, on the client's side and the server's. */
static inline void lab_settle(struct lab *lab)
{
    for (int i = 0;
         i < 400 && lab->closed == 0 && !(lab->opened > 0 && (lab->server_open || lab->server_failed)); i++)
        lab_turn(lab);
    lab_turns(lab, 4);
}

static inline void lab_buffer(struct lab_pipe *pipe)
{
    pipe->bytes = malloc(LAB_BUFFER);
    if (pipe->bytes == NULL)
        abort();
}

/* Gives it a server of that context, which the lab owns from now on. */
static inline void lab_attach(struct lab *lab, WOLFSSL_CTX *ctx)
{
    lab->server_ctx = ctx;
    lab->server = ctx == NULL ? NULL : wolfSSL_new(ctx);
    if (lab->server == NULL)
        abort();
    wolfSSL_SetIOReadCtx(lab->server, lab);
    wolfSSL_SetIOWriteCtx(lab->server, lab);
}

static inline struct lab *lab_create(const struct lab_server *server, struct handshake_pool *pool)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    if (lab == NULL)
        abort();
    lab_buffer(&lab->unsent);
    lab_buffer(&lab->to_server);
    lab_buffer(&lab->to_client);
    lab_buffer(&lab->server_got);
    lab_buffer(&lab->got);
    lab->room_bytes = 65536;
    lab->fragment = 65536;
    lab->take_at_most = SIZE_MAX;
    lab->server_reads = 65536;
    lab->chunks = chunk_pool_create(256);
    struct tls_worker_config config = {
        .sessions = 16, .chunks = lab->chunks, .pool = pool, .handshake_timeout_us = 5000000};
    lab->worker = tls_worker_create(&config);
    if (lab->worker == NULL)
        abort();
    if (server != NULL) {
        lab_attach(lab, lab_server_ctx(server));
        if (server->alpn != NULL)
            wolfSSL_UseALPN(lab->server, (char *)(uintptr_t)server->alpn, (unsigned int)strlen(server->alpn),
                            WOLFSSL_ALPN_FAILED_ON_MISMATCH);
    }
    return lab;
}

static inline void lab_connect(struct lab *lab, struct tls_context *context, const char *identity)
{
    lab->lower.ops = &lab_lower_ops;
    lab->lower.owner = lab;
    lab->client =
        tls_connect(lab->worker, context, identity, NULL, &lab->lower, &lab_upper, lab, lab->now_us);
}

/* A new connection of the same client to the same server: what the first one left behind stays. */
static inline void lab_reconnect(struct lab *lab, struct tls_context *context, const char *identity)
{
    struct lab_pipe *pipes[] = {&lab->unsent, &lab->to_server, &lab->to_client, &lab->server_got, &lab->got};
    for (size_t i = 0; i < sizeof(pipes) / sizeof(pipes[0]); i++)
        pipes[i]->from = pipes[i]->to = 0;
    wolfSSL_free(lab->server);
    lab->server = wolfSSL_new(lab->server_ctx);
    wolfSSL_SetIOReadCtx(lab->server, lab);
    wolfSSL_SetIOWriteCtx(lab->server, lab);
    lab->server_open = lab->server_failed = lab->server_got_notify = false;
    lab->lower_short = lab->finished = lab->aborted = lab->server_fin = lab->server_fin_told = false;
    lab->opened = lab->ended = lab->closed = lab->writable = 0;
    lab->reason[0] = 0;
    lab_connect(lab, context, identity);
}

static inline void lab_destroy(struct lab *lab)
{
    if (lab->client != NULL)
        stream_abort(lab->client);
    tls_worker_destroy(lab->worker);
    chunk_pool_destroy(lab->chunks);
    wolfSSL_free(lab->server);
    wolfSSL_CTX_free(lab->server_ctx);
    free(lab->unsent.bytes);
    free(lab->to_server.bytes);
    free(lab->to_client.bytes);
    free(lab->server_got.bytes);
    free(lab->got.bytes);
    free(lab);
}

/* Settings for a client that trusts the lab's CA. */
static inline struct tls_settings lab_settings(void)
{
    struct tls_settings settings = {.ca_file = lab_path("ca.pem"), .server_name = LAB_NAME};
    return settings;
}

#endif
