/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OCSP (B4; RFC 6960): what answers are worth, what HTTP is taken, which responders are asked, and what is
 * remembered. */
#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/secure/ocsp_fetch.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <time.h>

#define FILE_MAX 8192

static const char script[] =
    "cd %s && serial=$(openssl x509 -in server.pem -noout -serial | cut -d= -f2) && "
    "printf 'V\\t401231235959Z\\t\\t%%s\\tunknown\\t/CN=s\\n' $serial > ok.index && "
    "printf 'R\\t401231235959Z\\t260101000000Z\\t%%s\\tunknown\\t/CN=s\\n' $serial > bad.index && : > "
    "no.index && "
    "key helper && csr helper /CN=helper && "
    "printf '[h]\\nkeyUsage=digitalSignature\\nextendedKeyUsage=OCSPSigning\\n' > h.cnf && "
    "openssl x509 -req -in helper.csr -CA ca.pem -CAkey ca.key -days 9 -extfile h.cnf -extensions h -out "
    "helper.pem && "
    "openssl x509 -req -in helper.csr -CA otherca.pem -CAkey otherca.key -days 9 -extfile h.cnf -extensions "
    "h -out thief.pem && "
    "for i in ok bad no; do openssl ocsp -index $i.index -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer "
    "ca.pem -cert server.pem -no_nonce -ndays 2 "
    "-respout $i.der -noverify; done && "
    "answer() { openssl ocsp -index ok.index -CA ca.pem -issuer ca.pem -cert server.pem -noverify -respout "
    "$1.der -rsigner $2.pem -rkey $3.key \"${@:4}\"; } && "
    "answer helper helper helper -ndays 2 -no_nonce && answer thief thief helper -ndays 2 -no_nonce && "
    "answer usage truck-001 truck-001 -ndays 2 -no_nonce && "
    "answer bykey ca ca -ndays 2 -resp_key_id -no_nonce && answer nonce ca ca -ndays 2 && answer endless ca "
    "ca -no_nonce && "
    "answer sha1 ca ca -ndays 2 -no_nonce -rmd sha1 && "
    "for f in ca server truck-001; do openssl x509 -in $f.pem -outform DER -out $f.crt; done";

static struct ocsp_subject subject, other;
static struct certificate leaf, issuer, truck;

static size_t read_file(const char *name, uint8_t *out)
{
    FILE *file = fopen(lab_path(name), "rb");
    size_t n = file == NULL ? 0 : fread(out, 1, FILE_MAX, file);
    if (file != NULL)
        fclose(file);
    return n;
}

static bool set_up(void)
{
    static uint8_t der[3][FILE_MAX];
    static char text[sizeof(script) + 4096], command[sizeof(script) + 4096 + 64];
    if (!lab_pki())
        return false;
    snprintf(text, sizeof(text), script, lab_dir);
    FILE *file = fopen(lab_path("ocsp.sh"), "w");
    if (file == NULL)
        return false;
    fprintf(file,
            "key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "
            "$1.key; }\n"
            "csr() { openssl req -new -config ca.cnf -key $1.key -subj \"$2\" -out $1.csr; }\n%s\n",
            text);
    fclose(file);
    snprintf(command, sizeof(command), "bash %s >/dev/null 2>&1", lab_path("ocsp.sh"));
    if (system(command) != 0)
        return false;
    if (!certificate_parse(der[0], read_file("server.crt", der[0]), &leaf) ||
        !certificate_parse(der[1], read_file("ca.crt", der[1]), &issuer) ||
        !certificate_parse(der[2], read_file("truck-001.crt", der[2]), &truck))
        return false;
    subject = (struct ocsp_subject){leaf.issuer, issuer.public_key, leaf.serial};
    other = (struct ocsp_subject){truck.issuer, issuer.public_key, truck.serial};
    return true;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static void test_answers(void)
{
    static const uint8_t nonce[OCSP_NONCE_BYTES] = {1};
    static const struct {
        const char *name, *file;
        const struct ocsp_subject *about;
        int64_t later_s;
        enum ocsp_status status;
        const char *why;
    } rows[] = {
        {"2.2 good", "ok.der", &subject, 0, OCSP_GOOD, NULL},
        {"2.2 revoked", "bad.der", &subject, 0, OCSP_REVOKED, NULL},
        {"2.2 unknown", "no.der", &subject, 0, OCSP_UNKNOWN, NULL},
        {"4.2.2.3 responder by key", "bykey.der", &subject, 0, OCSP_GOOD, NULL},
        {"4.2.2.2 appointed by the issuer", "helper.der", &subject, 0, OCSP_GOOD, NULL},
        {"4.2.2.2 appointed by another CA", "thief.der", &subject, 0, OCSP_FAILED, "signed"},
        {"4.2.2.2 without id-kp-OCSPSigning", "usage.der", &subject, 0, OCSP_FAILED, "signed"},
        {"SHA-1", "sha1.der", &subject, 0, OCSP_FAILED, "signed"},
        {"4.4.1 another nonce", "nonce.der", &subject, 0, OCSP_FAILED, "nonce"},
        {"3.2 about another certificate", "ok.der", &other, 0, OCSP_FAILED, "another certificate"},
        {"4.2.2.1 past nextUpdate", "ok.der", &subject, 3 * 86400, OCSP_FAILED, "out of date"},
        {"4.2.2.1 from the future", "ok.der", &subject, -86400, OCSP_FAILED, "future"},
        {"no nextUpdate, fresh", "endless.der", &subject, 0, OCSP_GOOD, NULL},
        {"no nextUpdate, old", "endless.der", &subject, 7200, OCSP_FAILED, "out of date"},
    };
    uint8_t der[FILE_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ocsp_answer answer;
        size_t n = read_file(rows[i].file, der);
        ocsp_answer_read(der, n, rows[i].about, nonce, (int64_t)time(NULL) + rows[i].later_s, &answer);
        bool good = answer.status == rows[i].status && (rows[i].why == NULL) == (answer.why == NULL) &&
                    (rows[i].why == NULL || strstr(answer.why, rows[i].why) != NULL);
        if (!good)
            fprintf(stderr, "%s: %d %s\n", rows[i].name, (int)answer.status,
                    answer.why == NULL ? "" : answer.why);
        CU_ASSERT(good);
    }
}

/* Nothing that is cut or changed counts: it is all signed, or what it is opened by. */
static void test_damage(void)
{
    uint8_t der[FILE_MAX];
    struct ocsp_answer answer;
    size_t n = read_file("bad.der", der);
    uint8_t *cut;
    CU_ASSERT_FATAL(n > 100);
    for (size_t i = 0; i < n; i++) {
        cut = malloc(i + 1); /* exact, for the sanitizer */
        memcpy(cut, der, i);
        ocsp_answer_read(cut, i, &subject, NULL, (int64_t)time(NULL), &answer);
        CU_ASSERT(answer.status == OCSP_FAILED && answer.why != NULL);
        free(cut);
    }
    /* The first bytes, where the meaning is. */
    size_t look = n < 220 ? n : 220;
    for (size_t i = 0; i < look; i++) {
        der[i] ^= 0x5A;
        ocsp_answer_read(der, n, &subject, NULL, (int64_t)time(NULL), &answer);
        CU_ASSERT(answer.status == OCSP_FAILED || answer.status == OCSP_REVOKED);
        der[i] ^= 0x5A;
    }
}

static void test_request(void)
{
    static const uint8_t nonce[OCSP_NONCE_BYTES] = {0xA5};
    char command[512];
    uint8_t der[OCSP_REQUEST_MAX];
    size_t n = ocsp_request_build(&subject, nonce, der);
    CU_ASSERT_FATAL(n > 0);
    FILE *file = fopen(lab_path("request.der"), "wb");
    CU_ASSERT_FATAL(file != NULL);
    fwrite(der, 1, n, file);
    fclose(file);
    /* What openssl reads in it, answers to it, and what we make of that: the nonce comes back. */
    snprintf(command, sizeof(command),
             "cd %s && openssl ocsp -index ok.index -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin "
             "request.der -ndays 1 -respout request.out >/dev/null 2>&1",
             lab_dir);
    CU_ASSERT_FATAL(system(command) == 0);
    uint8_t out[FILE_MAX];
    struct ocsp_answer answer;
    ocsp_answer_read(out, read_file("request.out", out), &subject, nonce, (int64_t)time(NULL), &answer);
    CU_ASSERT_EQUAL(answer.status, OCSP_GOOD);
    ocsp_answer_read(out, read_file("request.out", out), &subject, NULL, (int64_t)time(NULL), &answer);
    CU_ASSERT_EQUAL(answer.status, OCSP_FAILED);
}

/* ---- HTTP ---------------------------------------------------------------------------------------------- */

static void test_http(void)
{
#define TYPE "Content-Type: application/ocsp-response\r\n"
    static const struct {
        const char *name, *text;
        const char *body; /* NULL: refused */
    } rows[] = {
        {"with a length", "HTTP/1.0 200 OK\r\n" TYPE "Content-Length: 3\r\n\r\nabc", "abc"},
        {"until the end", "HTTP/1.1 200 OK\r\n" TYPE "\r\nabc", "abc"},
        {"more than it said", "HTTP/1.0 200 OK\r\n" TYPE "Content-Length: 2\r\n\r\nabc", "ab"},
        {"less than it said", "HTTP/1.0 200 OK\r\n" TYPE "Content-Length: 9\r\n\r\nabc", NULL},
        {"an error", "HTTP/1.0 500 No\r\n" TYPE "\r\nabc", NULL},
        {"a redirection", "HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1/\r\n" TYPE "\r\n", NULL},
        {"another type", "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nabc", NULL},
        {"no type", "HTTP/1.0 200 OK\r\n\r\nabc", NULL},
        {"a type in the body", "HTTP/1.0 200 OK\r\n\r\n" TYPE "\r\nabc", NULL},
        {"chunks", "HTTP/1.1 200 OK\r\n" TYPE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         NULL},
        {"too long a length", "HTTP/1.0 200 OK\r\n" TYPE "Content-Length: 99999\r\n\r\nabc", NULL},
        {"no HTTP", "SSH-2.0-x\r\n\r\n", NULL},
        {"no colon", "HTTP/1.0 200 OK\r\nnonsense\r\n\r\n", NULL},
        {"nothing", "", NULL},
    };
#undef TYPE
    static struct ocsp_fetch fetch;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = strlen(rows[i].text);
        enum ocsp_step step = OCSP_STEP_WAIT;
        fetch = (struct ocsp_fetch){.fd = -1};
        for (size_t at = 0; at < n && step == OCSP_STEP_WAIT; at++) { /* one byte at a time */
            fetch.in[fetch.in_n++] = (uint8_t)rows[i].text[at];
            step = ocsp_fetch_read(&fetch, false);
        }
        if (step == OCSP_STEP_WAIT)
            step = ocsp_fetch_read(&fetch, true);
        bool good = rows[i].body == NULL ? step == OCSP_STEP_FAILED && fetch.why != NULL
                                         : step == OCSP_STEP_DONE && fetch.body == strlen(rows[i].body) &&
                                               memcmp(fetch.in + fetch.head, rows[i].body, fetch.body) == 0;
        if (!good)
            fprintf(stderr, "HTTP, %s: %d %s\n", rows[i].name, (int)step, fetch.why == NULL ? "" : fetch.why);
        CU_ASSERT(good);
    }
}

static void test_uris(void)
{
    static const struct {
        const char *uri, *host;
        uint16_t port;
    } rows[] = {
        {"http://ocsp.example", "ocsp.example", 80},
        {"http://ocsp.example:8080/a", "ocsp.example", 8080},
        {"HTTP://[2001:db8::1]:99/", "2001:db8::1", 99},
        {"http://10.0.0.1/x?y", "10.0.0.1", 80},
        {"https://ocsp.example/", NULL, 0},
        {"ldap://x", NULL, 0},
        {"http://", NULL, 0},
        {"http:///x", NULL, 0},
        {"http://user@host/", NULL, 0},
        {"http://h:0/", NULL, 0},
        {"http://h:65536/", NULL, 0},
        {"http://h:1x/", NULL, 0},
        {"http://h/a b", NULL, 0},
        {"http://h/a\r\nHost: x", NULL, 0},
        {"http://[::1", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ocsp_uri parts;
        bool good = ocsp_uri_parse(rows[i].uri, &parts);
        CU_ASSERT_EQUAL(good, rows[i].host != NULL);
        if (good && rows[i].host != NULL)
            CU_ASSERT(parts.host_len == strlen(rows[i].host) &&
                      memcmp(parts.host, rows[i].host, parts.host_len) == 0 && parts.port == rows[i].port);
    }
}

static void test_addresses(void)
{
    static const struct {
        const char *text;
        bool inside;
    } rows[] = {{"127.0.0.1", true},
                {"169.254.169.254", true},
                {"0.0.0.0", true},
                {"224.0.0.1", true},
                {"255.255.255.255", true},
                {"10.0.0.1", false},
                {"::1", true},
                {"fe80::1", true},
                {"::", true},
                {"::ffff:127.0.0.1", true},
                {"ff02::1", true},
                {"2001:db8::1", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        bool v4 = inet_pton(AF_INET, rows[i].text, &in.sin_addr) == 1;
        CU_ASSERT_FATAL(v4 || inet_pton(AF_INET6, rows[i].text, &in6.sin6_addr) == 1);
        const void *address = v4 ? (const void *)&in : (const void *)&in6;
        CU_ASSERT_EQUAL(ocsp_address_is_inside(address), rows[i].inside);
    }
}

/* ---- cases --------------------------------------------------------------------------------------------- */

static void test_cases(void)
{
    struct ocsp_policy policy = {.mode = OCSP_HARD, .responder = "http://a.example/"};
    struct ocsp_policy elsewhere = {.mode = OCSP_HARD, .responder = "http://b.example/"};
    struct ocsp_registry *registry = ocsp_registry_create(1);
    CU_ASSERT_FATAL(registry != NULL);
    struct ocsp_case *first = ocsp_case_of(registry, &leaf, &issuer, &policy);
    struct ocsp_case *same = ocsp_case_of(registry, &leaf, &issuer, &policy);
    struct ocsp_case *another = ocsp_case_of(registry, &leaf, &issuer, &elsewhere);
    CU_ASSERT_FATAL(first != NULL && another != NULL);
    CU_ASSERT_PTR_EQUAL(first, same);
    CU_ASSERT_PTR_NOT_EQUAL(first, another);
    ocsp_case_settle(first, OCSP_REVOKED, 100, 75, NULL);
    ocsp_case_unref(same);
    ocsp_case_unref(first);
    ocsp_case_unref(another);
    /* There is room for one that nobody holds. */
    another = ocsp_case_of(registry, &truck, &issuer, &policy);
    first = ocsp_case_of(registry, &leaf, &issuer, &policy);
    CU_ASSERT_EQUAL(ocsp_case_status(first, 50), OCSP_NONE);
    /* No responder in the certificate, none in the policy. */
    struct ocsp_policy nobody = {.mode = OCSP_SOFT};
    struct ocsp_case *lonely = ocsp_case_of(NULL, &leaf, &issuer, &nobody);
    CU_ASSERT(lonely != NULL && lonely->uri[0] == 0);
    ocsp_case_unref(lonely);
    ocsp_case_unref(first);
    ocsp_case_unref(another);
    ocsp_registry_destroy(registry);
}

static void test_verdicts(void)
{
    static const struct {
        enum ocsp_status status;
        enum ocsp_mode mode;
        bool refused;
    } rows[] = {
        {OCSP_GOOD, OCSP_HARD, false},   {OCSP_REVOKED, OCSP_HARD, true}, {OCSP_REVOKED, OCSP_SOFT, true},
        {OCSP_REVOKED, OCSP_OFF, false}, {OCSP_UNKNOWN, OCSP_HARD, true}, {OCSP_UNKNOWN, OCSP_SOFT, false},
        {OCSP_FAILED, OCSP_HARD, true},  {OCSP_FAILED, OCSP_SOFT, false}, {OCSP_NONE, OCSP_HARD, false}};
    struct ocsp_policy policy = {.mode = OCSP_HARD, .responder = "http://a.example/"};
    struct ocsp_case *c = ocsp_case_of(NULL, &leaf, &issuer, &policy);
    CU_ASSERT_FATAL(c != NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ocsp_case_settle(c, rows[i].status, 1000, 500, "why");
        CU_ASSERT_EQUAL(ocsp_case_refuses(c, rows[i].mode, 1000) != NULL, rows[i].refused);
        CU_ASSERT_PTR_NULL(ocsp_case_refuses(c, rows[i].mode, 1001)); /* out of date: nothing is known */
    }
    ocsp_case_unref(c);
}

/* More questions than may wait are refused, and every one that was taken is settled once. */
static void test_many(void)
{
    enum { MANY = OCSP_ASKED_MAX + 64 };
    static struct ocsp_case *cases[MANY];
    struct ocsp_asker *asker = ocsp_asker_create(16);
    struct ocsp_policy policy = {.mode = OCSP_HARD, .timeout_ms = 100};
    uint32_t taken = 0;
    CU_ASSERT_FATAL(asker != NULL);
    for (uint32_t i = 0; i < MANY; i++) {
        cases[i] = ocsp_case_of(NULL, &leaf, &issuer, &policy); /* nobody says where to ask: fails at once */
        CU_ASSERT_FATAL(cases[i] != NULL);
    }
    for (uint32_t i = 0; i < MANY; i++)
        taken += ocsp_ask(asker, cases[i]);
    while (ocsp_asker_version(asker) < taken)
        sched_yield(); /* to its thread */
    CU_ASSERT_EQUAL(ocsp_asker_version(asker), taken);
    CU_ASSERT_EQUAL(ocsp_asker_counter(asker, OCSP_COUNT_FAILED), taken);
    CU_ASSERT_EQUAL(ocsp_asker_counter(asker, OCSP_COUNT_FULL), MANY - taken);
    CU_ASSERT_EQUAL(ocsp_asker_counter(asker, OCSP_COUNT_ASKED), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        enum ocsp_status status = ocsp_case_status(cases[i], (int64_t)time(NULL));
        CU_ASSERT(status == OCSP_FAILED || status == OCSP_NONE);
        ocsp_case_unref(cases[i]);
    }
    ocsp_asker_destroy(asker);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"answers, RFC 6960", test_answers},
        {"cut and changed answers", test_damage},
        {"questions", test_request},
        {"HTTP", test_http},
        {"addresses of responders", test_uris},
        {"addresses that certificates may not name", test_addresses},
        {"cases are shared, and forgotten", test_cases},
        {"soft and hard", test_verdicts},
        {"more questions than may wait", test_many},
    };
    if (tls_library_init() != 0 || !set_up())
        return EXIT_FAILURE;
    int result = unit_run("ocsp", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
