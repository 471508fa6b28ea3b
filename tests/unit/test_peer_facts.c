/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/peer_facts.h"
#include "tests/unit/runner.h"

#include <stdlib.h>

static bool is(struct bytes fact, const char *text)
{
    return text == NULL ? fact.at == NULL : fact.at != NULL && bytes_equal(fact, bytes_of_text(text));
}

/* B4, C1 */
static void certificate(void)
{
    static const char *const names[] = {"a.example", "bad\xC0\x80", "urn:x"};
    struct tls_peer peer = {.has_certificate = true,
                            .cn = "truck-001",
                            .ou = "fleet",
                            .serial = "c0ffee",
                            .san = names,
                            .sans_n = 3};
    struct client_facts facts = {.psk_id = bytes_of_text("stale")};
    peer_facts(&peer, &facts);
    CU_ASSERT_TRUE(is(facts.cert_cn, "truck-001"));
    CU_ASSERT_TRUE(is(facts.cert_ou, "fleet"));
    CU_ASSERT_TRUE(is(facts.psk_id, NULL));
    CU_ASSERT_EQUAL_FATAL(facts.cert_sans_n, 2); /* D3: what is not UTF-8 is not there */
    CU_ASSERT_TRUE(is(facts.cert_san[0], "a.example"));
    CU_ASSERT_TRUE(is(facts.cert_san[1], "urn:x"));
}

static void unusable(void)
{
    static const char *const names[] = {"\xC0\x80", "\xED\xA0\x80", "a\x01", "a\x7F", "\xF0\x9F"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tls_peer peer = {.has_certificate = true, .cn = names[i], .ou = names[i]};
        struct client_facts facts = {.cert_sans_n = 4};
        peer_facts(&peer, &facts);
        CU_ASSERT_TRUE(is(facts.cert_cn, NULL));
        CU_ASSERT_TRUE(is(facts.cert_ou, NULL));
        CU_ASSERT_EQUAL(facts.cert_sans_n, 0);
    }
}

static void nobody(void)
{
    struct client_facts facts = {.cert_cn = bytes_of_text("stale"), .cert_sans_n = 1};
    peer_facts(NULL, &facts);
    CU_ASSERT_TRUE(is(facts.cert_cn, NULL));
    CU_ASSERT_EQUAL(facts.cert_sans_n, 0);
    struct tls_peer psk = {.psk_id = "probe-7"};
    peer_facts(&psk, &facts);
    CU_ASSERT_TRUE(is(facts.psk_id, "probe-7"));
    CU_ASSERT_EQUAL(facts.cert_sans_n, 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"what a certificate tells (B4)", certificate},
        {"names that are not text (D3)", unusable},
        {"a PSK, and nothing at all", nobody},
    };
    return unit_run("peer_facts", tests, sizeof(tests) / sizeof(tests[0]));
}
