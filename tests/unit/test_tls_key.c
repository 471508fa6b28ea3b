/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private keys that stay in secret memory (B3, B7, C5): they sign, and are found nowhere else. */
#include "dataplane/secure/tls_key.h"

#include "dataplane/secure/tls_identity.h"
#include "tests/unit/memory_scan.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_server_lab.h"

#include <sys/resource.h>
#include <sys/wait.h>

static const char script[] =
    "cd %s && . ./functions.sh && "
    "ec() { openssl ecparam -name $2 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1.key; csr $1 "
    "/CN=$1; } && "
    "rsa() { openssl genrsa -out $1.key $2; csr $1 /CN=$1; } && "
    "ec k256 prime256v1 && ec k384 secp384r1 && ec k521 secp521r1 && rsa k2048 2048 && rsa k3072 3072 && "
    "rsa k4096 4096 && for i in k256 k384 k521 k2048 k3072 k4096; do sign $i ca server; cp $i.pem c$i.pem; "
    "cp $i.key c$i.key; cp $i.csr c$i.csr; sign c$i ca client; done && "
    /* As older tools write it, and encrypted. */
    "openssl ec -in k256.key -out sec1.key && cp k256.pem sec1.pem && "
    "openssl rand -hex 15 > locked2.pass && openssl pkcs8 -topk8 -in k256.key -out locked2.key "
    "-passout file:locked2.pass && cp k256.pem locked2.pem";

static bool set_up(void)
{
    static char text[sizeof(script) + 512], command[256];
    if (!lab_clients_pki())
        return false;
    snprintf(text, sizeof(text), script, lab_dir);
    FILE *file = fopen(lab_path("keys.sh"), "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        return false;
    snprintf(command, sizeof(command), "bash -e %s >/dev/null 2>&1", lab_path("keys.sh"));
    return system(command) == 0;
}

/* ---- signatures of all kinds --------------------------------------------------------------------------- */

static const char *const kinds[] = {"k256", "k384", "k521", "k2048", "k3072", "k4096", "sec1"};

static void path_of(char out[128], const char *name, const char *ending)
{
    snprintf(out, 128, "%s/%s.%s", lab_dir, name, ending);
}

static bool serve(const char *name, bool only_1_2)
{
    char certificate[128], key[128];
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "truck-002", .only_1_2 = only_1_2};
    path_of(certificate, name, "pem");
    path_of(key, name, "key");
    settings.certificate_file = certificate;
    settings.key_file = key;
    struct tls_context *context = lab_listener_context(&settings);
    struct lab *lab = lab_create_listener(context, &client, NULL);
    lab_settle_listener(lab);
    bool good = lab->opened == 1 && lab->server_open;
    if (!good)
        fprintf(stderr, "\nlistener with %s (%s): %s\n", name, only_1_2 ? "1.2" : "1.3", lab->reason);
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static bool call(const char *name, bool only_1_2)
{
    char certificate[128], key[128], client[32];
    struct tls_settings settings = lab_settings();
    struct lab_server server = {.certificate = "server", .ask_client = true, .only_1_2 = only_1_2};
    struct tls_error error;
    snprintf(client, sizeof(client), "c%s", name);
    path_of(certificate, client, "pem");
    path_of(key, client, "key");
    settings.certificate_file = certificate;
    settings.key_file = key;
    settings.min_version = only_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
    struct tls_context *context = tls_context_create(&settings, &error);
    if (context == NULL) {
        fprintf(stderr, "\n%s\n", error.text);
        return false;
    }
    struct lab *lab = lab_create(&server, NULL);
    lab_connect(lab, context, NULL);
    lab_settle(lab);
    bool good = lab->opened == 1 && lab->server_open;
    if (!good)
        fprintf(stderr, "\nclient with %s (%s): %s\n", name, only_1_2 ? "1.2" : "1.3", lab->reason);
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static void test_kinds(void)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (int old = 0; old < 2; old++) {
            CU_ASSERT_TRUE(serve(kinds[i], old != 0));
            CU_ASSERT_TRUE(strcmp(kinds[i], "sec1") == 0 || call(kinds[i], old != 0));
        }
}

/* ---- nowhere else -------------------------------------------------------------------------------------- */

/* The private number of an EC key, or the first prime of an RSA key, as openssl prints them. */
static void add_key(struct scan_needles *needles, const char *name)
{
    /* Read by the call itself: a stream would have a buffer of its own. */
    size_t room = 8192, have = 0;
    char command[256];
    snprintf(command, sizeof(command), "openssl pkey -in %s.key -noout -text 2>/dev/null", lab_path(name));
    char *text = secret_memory_alloc(room);
    FILE *out = popen(command, "r");
    CU_ASSERT_TRUE_FATAL(text != NULL && out != NULL);
    for (ssize_t got; (got = read(fileno(out), text + have, room - 1 - have)) > 0;)
        have += (size_t)got;
    pclose(out);
    const char *at = strstr(text, "prime1:");
    at = at == NULL ? strstr(text, "priv:") : at;
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    uint8_t *bytes = secret_memory_alloc(64);
    size_t n = 0;
    for (at = strchr(at, ':') + 1; n < 32; at++) {
        unsigned int byte;
        if (*at == ' ' || *at == '\n' || *at == ':')
            continue;
        if (sscanf(at, "%2x", &byte) != 1)
            break;
        if (n > 0 || byte != 0)
            bytes[n++] = (uint8_t)byte;
        at++;
    }
    CU_ASSERT_TRUE_FATAL(n >= 31);
    scan_needles_add(needles, name, bytes, n);
    secret_memory_free(bytes, 64);
    secret_memory_free(text, room);
}

/* What is there is found, and what is in secret memory is not taken for it. */
static void test_scan(void)
{
    static const uint8_t mark[33] = "\x83\x21\xa7\x5c\x0e\x99\x42\x6d\xf1\x38\xbb\x10\x27\xd5\x64\x8a"
                                    "\x5d\xc3\x1f\xe6\x70\x49\xb2\x06\xda\x8c\x33\x97\x4e\x61\xf8\x2b";
    struct scan_needles *needles = scan_needles_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(needles);
    scan_needles_add(needles, "a mark that the test has left", mark, 32);
    CU_ASSERT_EQUAL(scan_memory(needles, true), 0);
    uint8_t *heap = malloc(32), *secret = secret_memory_alloc(32);
    for (size_t i = 0; i < 32; i++) {
        heap[i] = mark[31 - i];
        secret[i] = mark[i];
    }
    CU_ASSERT_EQUAL(scan_memory(needles, true), 1);
    CU_ASSERT_EQUAL(scan_memory(needles, false), 1);
    explicit_bzero(heap, 32);
    free(heap);
    secret_memory_free(secret, 32);
    CU_ASSERT_EQUAL(scan_memory(needles, true) + scan_memory(needles, false), 0);
    scan_needles_destroy(needles);
}

/* B3, B7: after handshakes of both sides with it no key is in a context, a session, on the heap or a stack;
 * and nowhere at all when its context is gone. */
static void test_nowhere_else(void)
{
    static const char *const names[] = {"k256", "k384", "k2048"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct scan_needles *needles = scan_needles_create();
        CU_ASSERT_PTR_NOT_NULL_FATAL(needles);
        add_key(needles, names[i]);
        char certificate[128], key[128];
        path_of(certificate, names[i], "pem");
        path_of(key, names[i], "key");
        struct tls_server_settings settings = lab_listener();
        struct lab_client client = {.certificate = "truck-002"};
        settings.certificate_file = certificate;
        settings.key_file = key;
        struct tls_context *context = lab_listener_context(&settings);
        CU_ASSERT_EQUAL(scan_memory(needles, true), 0);
        CU_ASSERT_TRUE(scan_memory(needles, false) > 0);
        struct lab *lab = lab_create_listener(context, &client, NULL);
        lab_settle_listener(lab);
        CU_ASSERT_EQUAL(lab->opened, 1);
        CU_ASSERT_EQUAL(scan_memory(needles, true), 0);
        lab_destroy(lab);
        tls_context_unref(context);
        CU_ASSERT_EQUAL(scan_memory(needles, true), 0);
        CU_ASSERT_EQUAL(scan_memory(needles, false), 0);
        scan_needles_destroy(needles);
    }
}

static void test_passphrase(void)
{
    struct scan_needles *needles = scan_needles_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(needles);
    size_t n, room;
    struct tls_error error;
    uint8_t *text = secret_memory_read(lab_path("locked2.pass"), 1024, &n, &room, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    scan_needles_add(needles, "passphrase", text, n - 1);
    secret_memory_free(text, room);
    add_key(needles, "k256");
    struct tls_identity *identity = tls_identity_load_with(lab_path("locked2.pem"), lab_path("locked2.key"),
                                                           lab_path("locked2.pass"), &error);
    if (identity == NULL)
        fprintf(stderr, "\n%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(identity);
    CU_ASSERT_EQUAL(scan_memory(needles, true), 0);
    CU_ASSERT_TRUE(scan_memory(needles, false) > 0);
    tls_identity_unref(identity);
    CU_ASSERT_EQUAL(scan_memory(needles, false), 0);
    scan_needles_destroy(needles);
}

/* ---- lifetime ------------------------------------------------------------------------------------------ */

/* A device's key that the cache has thrown out while its handshake is under way signs all the same. */
static void test_thrown_out(void)
{
    char certificate[128], key[128];
    snprintf(certificate, sizeof(certificate), "%s/%%s.pem", lab_dir);
    snprintf(key, sizeof(key), "%s/%%s.key", lab_dir);
    struct tls_settings settings = lab_settings();
    struct lab_server server = {.certificate = "server", .ask_client = true};
    struct tls_error error;
    settings.certificate_file = certificate;
    settings.key_file = key;
    settings.identity_cache = 1;
    struct tls_context *context = tls_context_create(&settings, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    struct lab *first = lab_create(&server, NULL), *second = lab_create(&server, NULL);
    lab_connect(first, context, "truck-001");
    first->no_delivery = true;
    lab_turns(first, 5);
    lab_connect(second, context, "truck-002");
    lab_settle(second);
    CU_ASSERT_EQUAL(second->opened, 1);
    first->no_delivery = false;
    lab_settle(first);
    CU_ASSERT_EQUAL(first->opened, 1);
    CU_ASSERT_TRUE(first->server_open);
    lab_destroy(first);
    lab_destroy(second);
    tls_context_unref(context);
}

static void test_pieces(void)
{
    static const size_t sizes[] = {1, 63, 64, 65, 200, 4096, 5000, 16384, 16385, 100000};
    uint8_t *pieces[10][8];
    for (size_t i = 0; i < 10; i++)
        for (size_t k = 0; k < 8; k++) {
            uint8_t *p = pieces[i][k] = secret_memory_alloc(sizes[i]);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            CU_ASSERT_EQUAL((uintptr_t)p % 64, 0);
            for (size_t b = 0; b < sizes[i]; b++)
                CU_ASSERT_TRUE_FATAL(p[b] == 0);
            memset(p, (int)(16 * i + k + 1), sizes[i]);
        }
    for (size_t i = 0; i < 10; i++)
        for (size_t k = 0; k < 8; k++) {
            for (size_t b = 0; b < sizes[i]; b++)
                CU_ASSERT_TRUE_FATAL(pieces[i][k][b] == (uint8_t)(16 * i + k + 1)); /* nobody else has it */
            secret_memory_free(pieces[i][k], sizes[i]);
        }
    uint8_t *again = secret_memory_alloc(200);
    for (size_t b = 0; b < 200; b++)
        CU_ASSERT_TRUE(again[b] == 0);
    secret_memory_free(again, 200);
    CU_ASSERT_PTR_NULL(secret_memory_alloc(0));
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_LOCKS 1 /* mlock does nothing */
#endif
#endif
#ifndef NO_LOCKS
#define NO_LOCKS 0
#endif

/* Where nothing may be locked, a key is still had, and that is known. In a child, who loses the right to
 * lock. */
static void test_unlocked(void)
{
    CU_ASSERT_TRUE(NO_LOCKS || secret_memory_all_locked());
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        bool dropped = setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() != 0 || setuid(65534) == 0);
        uint8_t *p = secret_memory_alloc(100);
        _exit(dropped && p != NULL && secret_memory_all_locked() == NO_LOCKS ? 0 : 1);
    }
    int status = 1;
    CU_ASSERT_TRUE(child > 0 && waitpid(child, &status, 0) == child);
    CU_ASSERT_EQUAL(status, 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B1: keys of all kinds sign, on both sides", test_kinds},
        {"memory is searched", test_scan},
        {"B3, B7: a key is nowhere else, and then nowhere", test_nowhere_else},
        {"B3: an encrypted key", test_passphrase},
        {"B3: a key that the cache has thrown out", test_thrown_out},
        {"pieces of secret memory", test_pieces},
        {"memory that may not be locked", test_unlocked},
    };
    if (tls_library_init() != 0 || !set_up())
        return EXIT_FAILURE;
    int result = unit_run("tls_key", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
