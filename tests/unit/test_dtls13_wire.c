/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DTLS 1.3 as it lies on the wire: ClientHellos, the answer that keeps no state, datagrams (B2; RFC 9147, RFC
 * 8446). */
#include "dataplane/secure/dtls13_hello.h"
#include "dataplane/secure/dtls13_record.h"
#include "tests/unit/dtls_server_lab.h"

/* The hello of a client as it is, and cut or changed anywhere: nothing is read beyond it. */
static void test_hellos(void)
{
    struct dtls_hello hello;
    struct dtls13_offer offer;
    open_psk();
    dial(0, "probe-1");
    struct datagram d = lab_now.queue[lab_now.first];
    CU_ASSERT_EQUAL(dtls_hello_parse(d.at, d.n, &hello), DTLS_HELLO_WHOLE);
    CU_ASSERT_EQUAL(dtls13_hello_read(&hello, &offer), DTLS13_GOOD);
    CU_ASSERT_EQUAL(offer.suite, 0x1301);
    CU_ASSERT_EQUAL(offer.group, 0);
    CU_ASSERT_EQUAL(offer.cookie.n, 0);
    for (size_t at = 0; at < d.n; at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *copy = malloc(d.n);
            memcpy(copy, d.at, d.n);
            copy[at] ^= (uint8_t)(1 << bit);
            if (dtls_hello_parse(copy, d.n, &hello) == DTLS_HELLO_WHOLE)
                dtls13_hello_read(&hello, &offer);
            free(copy);
            if (bit == 0) {
                copy = malloc(at + 1);
                memcpy(copy, d.at, at + 1);
                CU_ASSERT_NOT_EQUAL(dtls_hello_parse(copy, at, &hello), DTLS_HELLO_WHOLE);
                free(copy);
            }
        }
    end_lab();
}

struct hello_row {
    const char *what;
    enum dtls13_form form;
    uint16_t suite, group;
    uint8_t suites[8], suites_n;
    uint8_t cookie_n, compression;
    uint8_t extensions[64], extensions_n;
};

#define VERSIONS 0, 43, 0, 3, 2, 0xfe, 0xfc
#define GROUPS_X_P 0, 10, 0, 6, 0, 4, 0, 29, 0, 23
#define SHARE_X 0, 51, 0, 7, 0, 5, 0, 29, 0, 1, 9
#define NO_SHARE 0, 51, 0, 2, 0, 0

static void test_hello_rows(void)
{
    static const struct hello_row rows[] = {
        {"all there", DTLS13_GOOD, 0x1301, 0, {0x13, 1}, 2, 0, 0, {VERSIONS, GROUPS_X_P, SHARE_X}, 28},
        {"no share", DTLS13_GOOD, 0x1301, 29, {0x13, 1}, 2, 0, 0, {VERSIONS, GROUPS_X_P, NO_SHARE}, 23},
        {"no key_share at all", DTLS13_BROKEN, 0, 0, {0x13, 1}, 2, 0, 0, {VERSIONS, GROUPS_X_P}, 17},
        {"no groups", DTLS13_BROKEN, 0, 0, {0x13, 1}, 2, 0, 0, {VERSIONS, SHARE_X}, 18},
        {"no group of ours",
         DTLS13_NOTHING,
         0,
         0,
         {0x13, 1},
         2,
         0,
         0,
         {VERSIONS, 0, 10, 0, 4, 0, 2, 0, 25, NO_SHARE},
         21},
        {"by our preference",
         DTLS13_GOOD,
         0x1303,
         0,
         {0x13, 2, 0x13, 4, 0x13, 3},
         6,
         0,
         0,
         {VERSIONS, GROUPS_X_P, SHARE_X},
         28},
        {"SHA-384", DTLS13_GOOD, 0x1302, 0, {0x13, 2}, 2, 0, 0, {VERSIONS, GROUPS_X_P, SHARE_X}, 28},
        {"CCM with a short tag",
         DTLS13_NOTHING,
         0,
         0,
         {0x13, 5},
         2,
         0,
         0,
         {VERSIONS, GROUPS_X_P, SHARE_X},
         28},
        {"1.2 alone",
         DTLS13_NONE,
         0,
         0,
         {0x13, 1},
         2,
         0,
         0,
         {0, 43, 0, 3, 2, 0xfe, 0xfd, GROUPS_X_P, SHARE_X},
         28},
        {"no versions", DTLS13_NONE, 0, 0, {0xc0, 0xa8}, 2, 0, 0, {GROUPS_X_P, SHARE_X}, 21},
        {"no extension", DTLS13_NONE, 0, 0, {0xc0, 0xa8}, 2, 0, 0, {0}, 0},
        {"a legacy cookie", DTLS13_BROKEN, 0, 0, {0x13, 1}, 2, 1, 0, {VERSIONS, GROUPS_X_P, SHARE_X}, 28},
        {"compression", DTLS13_BROKEN, 0, 0, {0x13, 1}, 2, 0, 1, {VERSIONS, GROUPS_X_P, SHARE_X}, 28},
        {"versions twice",
         DTLS13_BROKEN,
         0,
         0,
         {0x13, 1},
         2,
         0,
         0,
         {VERSIONS, VERSIONS, GROUPS_X_P, SHARE_X},
         35},
        {"an odd list",
         DTLS13_BROKEN,
         0,
         0,
         {0x13, 1},
         2,
         0,
         0,
         {0, 43, 0, 4, 3, 0xfe, 0xfc, 1, GROUPS_X_P},
         18},
        {"an extension beyond", DTLS13_BROKEN, 0, 0, {0x13, 1}, 2, 0, 0, {VERSIONS, 0, 10, 0, 60, 0}, 12},
        {"a share beyond",
         DTLS13_BROKEN,
         0,
         0,
         {0x13, 1},
         2,
         0,
         0,
         {VERSIONS, GROUPS_X_P, 0, 51, 0, 7, 0, 5, 0, 29, 0, 9, 9},
         28},
        {"an empty share",
         DTLS13_BROKEN,
         0,
         0,
         {0x13, 1},
         2,
         0,
         0,
         {VERSIONS, GROUPS_X_P, 0, 51, 0, 6, 0, 4, 0, 29, 0, 0},
         27},
        {"half a cookie",
         DTLS13_BROKEN,
         0,
         0,
         {0x13, 1},
         2,
         0,
         0,
         {VERSIONS, GROUPS_X_P, SHARE_X, 0, 44, 0, 3, 0, 4, 1},
         35},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct hello_row *row = &rows[i];
        struct dtls13_offer offer;
        struct dtls_hello hello = {.cookie = {row->suites, row->cookie_n},
                                   .suites = {row->suites, row->suites_n},
                                   .compression = {&row->compression, 1},
                                   .extensions = {row->extensions, row->extensions_n}};
        enum dtls13_form form = dtls13_hello_read(&hello, &offer);
        if (form != row->form)
            fail(row->what);
        if (form == DTLS13_GOOD && (offer.suite != row->suite || offer.group != row->group))
            fail(row->what);
    }
}

/* RFC 8446 s.4.1.4, RFC 9147 s.5.1: byte by byte. */
static void test_the_retry(void)
{
    static const uint8_t front[] = {
        22,   0xfe, 0xfd, 0,    0,    0,    0,    0,    0,    0,    7,    0,    139,  2,    0,    0,    127,
        0,    0,    0,    0,    0,    0,    0,    127,  0xfe, 0xfd, 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61,
        0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
        0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c, 0,    0x13, 0x01, 0,    0,    87};
    static const uint8_t back[] = {0, 51, 0, 2, 0, 23, 0, 43, 0, 2, 0xfe, 0xfc, 0, 44, 0, 71, 0, 69, 32};
    static const uint8_t record[] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0};
    struct dtls_cookies cookies;
    uint8_t out[DTLS13_RETRY_MAX], secret[DTLS_SECRET_BYTES] = {3};
    struct flow_key key = key_of(1), other = key_of(2);
    dtls_cookies_init(&cookies, secret, 5 * S);
    struct dtls_hello hello = {.record = record, .body = {front, 40}};
    struct dtls13_offer offer = {.suite = 0x1301, .group = 23};
    size_t n = dtls13_retry(&cookies, &key, &hello, &offer, 5 * S, out);
    CU_ASSERT_EQUAL(n, 13 + 139);
    CU_ASSERT_EQUAL(memcmp(out, front, sizeof(front)), 0);
    CU_ASSERT_EQUAL(memcmp(out + sizeof(front), back, sizeof(back)), 0);
    offer.cookie = (struct dtls_slice){.at = out + n - 69, .n = 69};
    CU_ASSERT_PTR_NOT_NULL(dtls13_cookie_check(&cookies, &key, &offer, 5 * S));
    CU_ASSERT_PTR_NULL(dtls13_cookie_check(&cookies, &other, &offer, 5 * S));
    CU_ASSERT_PTR_NULL(dtls13_cookie_check(&cookies, &key, &offer, 305 * S));
    CU_ASSERT_PTR_NOT_NULL(dtls13_cookie_check(&cookies, &key, &offer, 60 * S));
    offer.suite = 0x1303; /* not the one that it was asked with */
    CU_ASSERT_PTR_NULL(dtls13_cookie_check(&cookies, &key, &offer, 5 * S));
    offer.suite = 0x1302;
    CU_ASSERT_PTR_NULL(dtls13_cookie_check(&cookies, &key, &offer, 5 * S));
}

/* s.4: what of a datagram is whole records, for whom, and when. */
static void test_datagrams(void)
{
    static const struct {
        const char *what;
        struct dtls13_view view;
        bool good;
        uint32_t records;
        size_t n;
        uint8_t at[80];
    } rows[] = {
        {"short number, no length", {.open = true}, true, 1, 18, {0x23}},
        {"too short for its mask", {.open = true}, false, 0, 17, {0x23}},
        {"long number, length", {.open = true}, true, 1, 21, {0x2f, 0, 0, 0, 16}},
        {"a length beyond", {.open = true}, false, 0, 21, {0x2f, 0, 0, 0, 17}},
        {"a length below", {.open = true}, false, 0, 21, {0x2f, 0, 0, 0, 15}},
        {"two", {.open = true}, true, 2, 39, {0x2f, 0, 0, 0, 16, [21] = 0x23}},
        {"one and rubbish", {.open = true}, false, 0, 23, {0x2f, 0, 0, 0, 16, [21] = 0x23}},
        {"an id where none was agreed on", {.open = true}, false, 0, 40, {0x3f, 0, 0, 0, 16}},
        {"an id", {.open = true, .id_bytes = 8}, true, 1, 29, {0x3f, [11] = 0, 16}},
        {"no id where one was agreed on", {.open = true, .id_bytes = 8}, false, 0, 21, {0x2f, 0, 0, 0, 16}},
        {"half an id", {.open = true, .id_bytes = 8}, false, 0, 5, {0x3f}},
        {"nothing", {.open = true}, false, 0, 0, {0}},
        {"an alert for a client", {.open = false}, true, 1, 15, {21, 0xfe, 0xfd, [12] = 2}},
        {"a long alert", {.open = false}, false, 0, 16, {21, 0xfe, 0xfd, [12] = 3}},
        {"an alert for a server", {.server = true}, false, 0, 15, {21, 0xfe, 0xfd, [12] = 2}},
        {"an alert that is late", {.open = true}, false, 0, 15, {21, 0xfe, 0xfd, [12] = 2}},
        {"a ServerHello", {.open = false}, true, 1, 29, {22, 0xfe, 0xfd, [12] = 16, 2, 0, 0, 4, [24] = 4}},
        {"part of one", {.open = false}, false, 0, 28, {22, 0xfe, 0xfd, [12] = 15, 2, 0, 0, 4, [24] = 3}},
        {"a Finished in plaintext",
         {.open = false},
         false,
         0,
         29,
         {22, 0xfe, 0xfd, [12] = 16, 20, 0, 0, 4, [24] = 4}},
        {"another epoch",
         {.open = false},
         false,
         0,
         29,
         {22, 0xfe, 0xfd, 0, 1, [12] = 16, 2, 0, 0, 4, [24] = 4}},
        {"an ACK", {.open = false}, false, 0, 15, {26, 0xfe, 0xfd, [12] = 2}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t records = 0;
        uint8_t *copy = malloc(rows[i].n + 1); /* exact, for the sanitizer */
        memcpy(copy, rows[i].at, rows[i].n);
        bool good = dtls13_datagram_good(copy, rows[i].n, &rows[i].view, &records);
        if (good != rows[i].good || (good && records != rows[i].records))
            fail(rows[i].what);
        free(copy);
    }
}

int main(void)
{
    static const struct unit_test without[] = {
        {"B2 RFC 9147 s.5.3 ClientHellos, row by row", test_hello_rows},
        {"B2 RFC 8446 s.4.1.4 the retry", test_the_retry},
        {"B2 RFC 9147 s.4 datagrams", test_datagrams}};
    static const struct unit_test tests[] = {{"B2 ClientHellos, cut and changed", test_hellos},
                                             {"B2 RFC 9147 s.5.3 ClientHellos, row by row", test_hello_rows},
                                             {"B2 RFC 8446 s.4.1.4 the retry", test_the_retry},
                                             {"B2 RFC 9147 s.4 datagrams", test_datagrams}};
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    lab_now.versions = lab_now.client_version = DTLS_1_3;
    int result = tls_library_has_dtls13()
                     ? unit_run("dtls13_wire", tests, sizeof(tests) / sizeof(tests[0]))
                     : unit_skipped(unit_run("dtls13_wire", without, sizeof(without) / sizeof(without[0])),
                                    "DTLS 1.3", "this wolfSSL has none");
    tls_library_fini();
    lab_remove();
    return result;
}
