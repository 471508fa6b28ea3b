/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab of tls_lab.h turned round: the stream under test is a listener's, and a wolfSSL client stands on
 * the other side of the wire ("server" in struct lab). With the certificates of good and bad clients.
 */
#ifndef TESTS_UNIT_TLS_SERVER_LAB_H
#define TESTS_UNIT_TLS_SERVER_LAB_H

#include "tests/unit/tls_lab.h"

/* After lab_script, with its functions: clients of all kinds, and lists. */
static const char lab_clients_script[] =
    "cd \"$0\"\n"
    "cat >> ca.cnf <<'EOF'\n"
    "[named]\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid\n"
    "subjectAltName=DNS:truck-001.fleet.example,URI:spiffe://fleet/truck-1\n"
    "[anyuse]\nkeyUsage=digitalSignature\nauthorityKeyIdentifier=keyid\n"
    "[notsign]\nkeyUsage=keyEncipherment\nextendedKeyUsage=clientAuth\n"
    "[otherdns]\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\nsubjectAltName=DNS:truck.cloud."
    "example\n"
    "EOF\n"
    "sed -i 's/^organizationName=optional/organizationName=optional\\norganizationalUnitName=optional/' "
    "ca.cnf\n"
    "for n in named anyuse notsign cold cearly cstranger crevoked csha clater; do key $n; done\n"
    "csr named /O=Fleet/OU=trucks/CN=truck-001; sign named ca named\n"
    "csr anyuse /CN=anyuse; sign anyuse ca anyuse\n"
    "csr notsign /CN=notsign; sign notsign ca notsign\n"
    "csr cold /CN=cold; sign cold ca client -startdate 20200101000000Z -enddate 20210101000000Z\n"
    "csr cearly /CN=cearly; sign cearly ca client -startdate 20400101000000Z -enddate 20410101000000Z\n"
    "csr cstranger /CN=cstranger; sign cstranger otherca client\n"
    "csr csha /CN=csha; sign csha ca client -md sha1\n"
    "csr clater /CN=clater; sign clater ca client\n"
    "openssl req -x509 -new -config ca.cnf -key self.key -subj /CN=truck-001 -days 30 -extensions client "
    "-out cself.pem\n"
    "cp self.key cself.key\n"
    "openssl genrsa -out crsa1024.key 1024 2>>ca.log; csr crsa1024 /CN=crsa1024; sign crsa1024 ca client\n"
    "openssl genrsa -out crsa2048.key 2048 2>>ca.log; csr crsa2048 /CN=crsa2048; sign crsa2048 ca client\n"
    "for i in sub limited shasub; do key cvia$i; csr cvia$i /CN=cvia$i; done\n"
    "sign cviasub sub client; sign cvialimited limited otherdns; sign cviashasub shasub client\n"
    "for i in sub limited shasub; do cat $i.pem >> cvia$i.pem; done\n"
    "csr crevoked /CN=crevoked; sign crevoked ca client\n"
    "list() { openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out $1 2>>ca.log; }\n"
    "openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke crevoked.pem 2>>ca.log; list "
    "clients.crl\n"
    "openssl ca -config ca.cnf -cert sub.pem -keyfile sub.key -gencrl -out sub.crl 2>>ca.log\n"
    "cat sub.crl >> clients.crl; cat ca.pem sub.pem > both.pem\n"
    "openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke clater.pem 2>>ca.log; list later.crl\n"
    "openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke sub.pem 2>>ca.log; list latest.crl\n"
    "openssl ca -config ca.cnf -cert otherca.pem -keyfile otherca.key -gencrl -out foreign.crl 2>>ca.log\n"
    "openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -crl_lastupdate 20200101000000Z"
    " -crl_nextupdate 20210101000000Z -out stale.crl 2>>ca.log\n";

static inline bool lab_clients_pki(void)
{
    char command[2 * sizeof(lab_dir) + 128];
    if (!lab_pki())
        return false;
    /* Only the functions of the first script. */
    snprintf(command, sizeof(command), "%s/clients.sh", lab_dir);
    FILE *script = fopen(command, "w");
    if (script == NULL)
        return false;
    snprintf(command, sizeof(command),
             "cd %s && grep -E -A1 '^(key|csr|sign)\\(\\)' make.sh | grep -v '^--' > functions.sh", lab_dir);
    bool good = fputs(lab_clients_script, script) >= 0;
    good = fclose(script) == 0 && good && system(command) == 0;
    snprintf(command, sizeof(command), "bash -c 'set -e; . %s/functions.sh; . %s/clients.sh' %s", lab_dir,
             lab_dir, lab_dir);
    return good && system(command) == 0;
}

struct lab_client {
    const char *certificate; /* NAME.pem and NAME.key; NULL: none */
    const char *suites;
    bool only_1_2;
    const char *ca; /* NULL: ca.pem */
};

static inline WOLFSSL_CTX *lab_client_ctx(const struct lab_client *client)
{
    char name[64];
    WOLFSSL_CTX *ctx =
        wolfSSL_CTX_new(client->only_1_2 ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method());
    wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 1024);
    wolfSSL_CTX_SetIORecv(ctx, lab_server_receive);
    wolfSSL_CTX_SetIOSend(ctx, lab_server_send);
    wolfSSL_CTX_load_verify_locations(ctx, lab_path(client->ca == NULL ? "ca.pem" : client->ca), NULL);
    wolfSSL_CTX_UseSessionTicket(ctx);
    if (client->suites != NULL && wolfSSL_CTX_set_cipher_list(ctx, client->suites) != WOLFSSL_SUCCESS)
        return NULL;
    if (client->certificate == NULL)
        return ctx;
    snprintf(name, sizeof(name), "%s.pem", client->certificate);
    if (wolfSSL_CTX_use_certificate_chain_file(ctx, lab_path(name)) != WOLFSSL_SUCCESS)
        return NULL;
    snprintf(name, sizeof(name), "%s.key", client->certificate);
    return wolfSSL_CTX_use_PrivateKey_file(ctx, lab_path(name), WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS
               ? ctx
               : NULL;
}

/* A listener's settings: everybody needs a certificate. */
static inline struct tls_server_settings lab_listener(void)
{
    struct tls_server_settings settings = {.min_version = TLS_VERSION_1_2,
                                           .certificate_file = lab_path("server.pem"),
                                           .key_file = lab_path("server.key"),
                                           .client_ca_file = lab_path("ca.pem"),
                                           .needs_certificate = true,
                                           .resumption = true};
    return settings;
}

static inline struct tls_context *lab_listener_context(const struct tls_server_settings *settings)
{
    struct tls_error error;
    struct tls_context *context = tls_server_context_create(settings, &error);
    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return context;
}

/* The listener's stream is lab->client, as everywhere in the lab what is under test. */
static inline void lab_accept(struct lab *lab, struct tls_context *context)
{
    lab->lower.ops = &lab_lower_ops;
    lab->lower.owner = lab;
    lab->peer_connects = true;
    lab->client = tls_accept(lab->worker, context, NULL, &lab->lower, &lab_upper, lab, lab->now_us);
}

static inline struct lab *lab_create_listener(struct tls_context *context, const struct lab_client *client,
                                              struct handshake_pool *pool)
{
    struct lab *lab = lab_create(NULL, pool);
    if (client != NULL)
        lab_attach(lab, lab_client_ctx(client));
    lab_accept(lab, context);
    return lab;
}

/* Until both sides are open, or one has failed and the other has heard of it. */
static inline void lab_settle_listener(struct lab *lab)
{
    for (int i = 0; i < 400 && lab->closed == 0 && !(lab->opened > 0 && lab->server_open); i++)
        lab_turn(lab);
    lab_turns(lab, 6);
}

#endif
