/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates and keys of many devices in one file, encrypted keys, pinned keys (B1, B3). */
#include "dataplane/secure/tls_bundle.h"
#include "dataplane/secure/tls_pin.h"
#include "tests/unit/tls_case.h"

#include <wolfssl/wolfcrypt/coding.h>

#include <sys/stat.h>
#include <time.h>

static bool ran(const char *script)
{
    char command[4096];
    snprintf(command, sizeof(command), "cd %s && { %s; } 2>>shell.log", lab_dir, script);
    return system(command) == 0;
}

static void shell(const char *script)
{
    CU_ASSERT_TRUE_FATAL(ran(script));
}

static struct tls_bundle *open_bundle(const char *name, const char *password, struct tls_error *error)
{
    error->text[0] = 0;
    return tls_bundle_open(lab_path(name), password == NULL ? NULL : lab_path(password), error);
}

static void test_devices(void)
{
    struct tls_error error;
    shell("cat truck-001.pem truck-001.key truck-rsa.pem sub.pem truck-rsa.key truck-002.pem truck-002.key > "
          "three.pem");
    struct tls_bundle *bundle = open_bundle("three.pem", NULL, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bundle);
    CU_ASSERT_EQUAL(tls_bundle_devices(bundle), 3);
    static const char *const names[] = {"truck-001", "truck-002", "truck-rsa"};
    for (size_t i = 0; i < 3; i++) {
        struct tls_identity *identity = tls_bundle_identity(bundle, names[i], &error);
        CU_ASSERT_PTR_NOT_NULL(identity);
        tls_identity_unref(identity);
    }
    CU_ASSERT_PTR_NULL(tls_bundle_identity(bundle, "truck-003", &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no certificate for 'truck-003'"));
    /* Replaced in place by another order: no device gets another one's key. */
    shell("cat truck-002.pem truck-002.key truck-rsa.pem sub.pem truck-rsa.key truck-001.pem truck-001.key > "
          "three.pem");
    for (size_t i = 0; i < 3; i++) {
        struct tls_identity *identity = tls_bundle_identity(bundle, names[i], &error);
        if (i < 2) {
            CU_ASSERT_PTR_NULL(identity);
            CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "has changed since it was read"));
        }
        tls_identity_unref(identity);
    }
    shell(": > three.pem");
    CU_ASSERT_PTR_NULL(tls_bundle_identity(bundle, "truck-001", &error));
    tls_bundle_close(bundle);
}

static void test_refused(void)
{
    static const struct {
        const char *what, *make, *words;
    } cases[] = {
        {"nothing in it", "echo text > b.pem", "holds no device"},
        {"not there", "rm -f b.pem", "No such file"},
        {"a key first", "cat truck-001.key truck-001.pem > b.pem", "line 1: a private key comes without"},
        {"a certificate last", "cat truck-001.pem truck-001.key truck-002.pem > b.pem",
         "without its private key behind it"},
        {"somebody else's key", "cat truck-001.pem truck-002.key > b.pem", "does not belong"},
        {"a name twice", "cat truck-001.pem truck-001.key truck-001.pem truck-001.key > b.pem",
         "'truck-001' twice"},
        {"a block without an end", "head -3 truck-001.pem > b.pem", "line 1: the block does not end"},
        {"a certificate that is none",
         "printf -- '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n' > b.pem; cat "
         "truck-001.key >> b.pem",
         "line 1: a certificate"},
        {"a list among them", "cat truck-001.pem truck-001.key ca.crl > b.pem",
         "neither a certificate nor a private key"},
        {"an encrypted key without its passphrase", "cat truck-001.pem locked.key > b.pem", "not encrypted"},
        {"a name that is a path",
         "key slash; csr slash '/CN=a\\/b'; sign slash ca client; cat slash.pem slash.key > b.pem",
         "no CN that can name a device"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_error error;
        char script[1024];
        snprintf(script, sizeof(script), ". ./functions.sh; %s", cases[i].make);
        shell(script);
        struct tls_bundle *bundle = open_bundle("b.pem", NULL, &error);
        CU_ASSERT_PTR_NULL(bundle);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, cases[i].words));
        if (bundle != NULL || strstr(error.text, cases[i].words) == NULL)
            fprintf(stderr, "\n%s: %s\n", cases[i].what, error.text);
        tls_bundle_close(bundle);
    }
}

static void test_passphrase(void)
{
    static const struct {
        const char *make;
        const char *words; /* NULL: good */
    } cases[] = {
        {"echo secret > pass", NULL},
        {"printf secret > pass", NULL},
        {"printf 'secret\\r\\nmore\\n' > pass", NULL},
        {"echo wrong > pass", "that the passphrase opens"},
        {": > pass", "empty"},
        {"echo > pass", "does not begin with a line"},
        {"rm -f pass", "No such file"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_error error = {""};
        int days = 0;
        shell(cases[i].make);
        int result = tls_check_pair_with(lab_path("truck-001.pem"), lab_path("locked.key"), lab_path("pass"),
                                         &days, &error);
        CU_ASSERT_EQUAL(result, cases[i].words == NULL ? 0 : -1);
        if (cases[i].words != NULL)
            CU_ASSERT_PTR_NOT_NULL(strstr(error.text, cases[i].words));
        if ((result == 0) != (cases[i].words == NULL))
            fprintf(stderr, "\n%s: %s\n", cases[i].make, error.text);
    }
    shell("echo secret > pass");
    struct tls_error error;
    /* A key that is not encrypted needs no passphrase, and is none the worse for one. */
    CU_ASSERT_EQUAL(tls_check_pair_with(lab_path("truck-001.pem"), lab_path("truck-001.key"),
                                        lab_path("pass"), NULL, &error),
                    0);
    shell("cat truck-001.pem locked.key truck-002.pem truck-002.key > b.pem");
    struct tls_bundle *bundle = open_bundle("b.pem", "pass", &error);
    CU_ASSERT_PTR_NOT_NULL(bundle);
    tls_bundle_close(bundle);
}

/* A device of a bundle shows its certificate; a device that is not in it is refused before a byte is sent. */
static void test_connect(void)
{
    static const struct lab_server asking = {.certificate = "server", .ask_client = true};
    struct tls_settings settings = lab_settings();
    struct tls_error error;
    shell("cat truck-001.pem truck-001.key truck-002.pem truck-002.key > b.pem");
    settings.bundle_file = lab_path("b.pem");
    struct tls_context *context = tls_context_create(&settings, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    static const char *const names[] = {"truck-001", "truck-002", "truck-009"};
    for (size_t i = 0; i < 3; i++) {
        struct lab *lab = lab_create(&asking, NULL);
        lab_connect(lab, context, names[i]);
        lab_settle(lab);
        CU_ASSERT_EQUAL(lab->opened, i < 2 ? 1 : 0);
        if (i == 2)
            CU_ASSERT_PTR_NOT_NULL(strstr(lab->reason, "no certificate for 'truck-009'"));
        close_lab(lab);
    }
    tls_context_unref(context);
}

/* B1: the server's own key is one of those that are pinned, whatever its chain says. */
static void test_pins(void)
{
    static const char right[] =
        "openssl x509 -in server.pem -noout -pubkey | openssl pkey -pubin -outform DER |"
        " openssl dgst -sha256 -binary | openssl base64 -A > pin";
    char digest[128] = "", pin[256], two[512];
    struct tls_error error;
    shell(right);
    FILE *file = fopen(lab_path("pin"), "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL(fgets(digest, sizeof(digest), file));
    fclose(file);
    snprintf(pin, sizeof(pin), "sha256/%s", digest);
#define OTHER "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    snprintf(two, sizeof(two), OTHER ",%s", pin);
    const struct {
        const char *pins;
        bool good;
    } cases[] = {{pin, true}, {two, true}, {OTHER, false}};
    for (int version = 0; version < 2; version++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct tls_settings settings = lab_settings();
            settings.min_version = version == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
            settings.pins = cases[i].pins;
            struct tls_context *context = tls_context_create(&settings, &error);
            CU_ASSERT_PTR_NOT_NULL_FATAL(context);
            struct lab *lab = lab_create(version == 0 ? &plain_server : &old_server, NULL);
            lab_connect(lab, context, NULL);
            tls_context_unref(context);
            lab_settle(lab);
            CU_ASSERT_EQUAL(lab->opened, cases[i].good ? 1 : 0);
            if (!cases[i].good)
                CU_ASSERT_STRING_EQUAL(lab->reason, "certificate's key is not the one that is pinned");
            close_lab(lab);
        }
    static const char *const bad[] = {"sha256/short", "sha1/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                      OTHER "," OTHER "," OTHER "," OTHER "," OTHER "," OTHER "," OTHER
                                            "," OTHER "," OTHER};
    for (size_t i = 0; i < 3; i++) {
        struct tls_pins pins;
        CU_ASSERT_FALSE(tls_pins_parse(&pins, bad[i], &error));
    }
}

/* ---- how large ----------------------------------------------------------------------------------------- */

/* n devices out of one pair and certificates that differ in their names: their signatures are wrong, which is
 * for the server to find out. */
static void write_many(uint32_t n)
{
    static uint8_t der[4096];
    char pem[8192], key[4096];
    DerBuffer *leaf = NULL;
    FILE *file = fopen(lab_path("truck-001.pem"), "r");
    size_t bytes = fread(pem, 1, sizeof(pem) - 1, file);
    fclose(file);
    file = fopen(lab_path("truck-001.key"), "r");
    size_t key_bytes = fread(key, 1, sizeof(key), file);
    fclose(file);
    CU_ASSERT_EQUAL_FATAL(wc_PemToDer((const uint8_t *)pem, (long)bytes, CERT_TYPE, &leaf, NULL, NULL, NULL),
                          0);
    memcpy(der, leaf->buffer, leaf->length);
    uint8_t *name = memmem(der, leaf->length, "truck-001", 9);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    file = fopen(lab_path("many.pem"), "w");
    for (uint32_t i = 0; i < n; i++) {
        char text[16];
        snprintf(text, sizeof(text), "t%08u", i);
        memcpy(name, text, 9);
        word32 got = sizeof(pem);
        CU_ASSERT_EQUAL_FATAL(Base64_Encode(der, leaf->length, (byte *)pem, &got), 0);
        fprintf(file, "-----BEGIN CERTIFICATE-----\n%.*s-----END CERTIFICATE-----\n", (int)got, pem);
        fwrite(key, 1, key_bytes, file);
    }
    fclose(file);
    wc_FreeDer(&leaf);
}

static double ms_since(const struct timespec *begun)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) * 1e3 + (double)(now.tv_nsec - begun->tv_nsec) / 1e6;
}

static void test_many(void)
{
    static const uint32_t sizes[] = {200, 20000};
    for (size_t i = 0; i < 2; i++) {
        struct tls_error error;
        struct timespec begun;
        struct stat facts;
        char name[16];
        write_many(sizes[i]);
        clock_gettime(CLOCK_MONOTONIC, &begun);
        struct tls_bundle *bundle = open_bundle("many.pem", NULL, &error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(bundle);
        double opened_ms = ms_since(&begun);
        CU_ASSERT_EQUAL(tls_bundle_devices(bundle), sizes[i]);
        CU_ASSERT_TRUE(tls_bundle_memory_bytes(bundle) < (size_t)sizes[i] * 64 + 16384);
        snprintf(name, sizeof(name), "t%08u", sizes[i] - 1);
        clock_gettime(CLOCK_MONOTONIC, &begun);
        struct tls_identity *identity = tls_bundle_identity(bundle, name, &error);
        CU_ASSERT_PTR_NOT_NULL(identity);
        stat(lab_path("many.pem"), &facts);
        printf("\n    %u devices: file %lld KiB, index %zu KiB, opened and checked in %.0f ms, one read in "
               "%.2f ms ",
               sizes[i], (long long)facts.st_size / 1024, tls_bundle_memory_bytes(bundle) / 1024, opened_ms,
               ms_since(&begun));
        tls_identity_unref(identity);
        tls_bundle_close(bundle);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"devices of a bundle (B3)", test_devices},
        {"bundles that are refused (G1)", test_refused},
        {"encrypted keys (B3)", test_passphrase},
        {"a device of a bundle connects (B3)", test_connect},
        {"pinned keys (B1)", test_pins},
        {"200 and 20,000 devices (B3)", test_many},
    };
    if (tls_library_init() != 0 || !lab_pki() ||
        !ran("grep -E -A1 '^(key|csr|sign)\\(\\)' make.sh | grep -v '^--' > functions.sh"))
        return EXIT_FAILURE;
    int result = unit_run("tls_bundle", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
