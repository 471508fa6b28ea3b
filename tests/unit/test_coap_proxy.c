/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that ask for a proxy (RFC 7252 s.5.10.2, 6.4). */
#include "policy/coap/proxy.h"

#include "policy/coap/build.h"

#include "tests/unit/runner.h"

static const char *const hosts[] = {"coap.example", "[fd30::2]:61616", "10.30.0.2"};

struct vector {
    const char *name;
    const char *uri;
    const char *expected; /* "/a/b?c&d" as they came apart; NULL: it stays as it is */
};

static const struct vector vectors[] = {
    {"s.6.4: path and query", "coap://coap.example/a/b?c=1&d", "/a/b?c=1&d"},
    {"s.6.1: the scheme and host in any case", "COAP://CoAP.Example/A", "/A"},
    {"s.6.1: the default port", "coap://coap.example:5683/a", "/a"},
    {"s.6.2: that of coaps", "coaps://coap.example:5684/a", "/a"},
    {"s.6.2: not that of the other", "coaps://coap.example:5683/a", NULL},
    {"s.6.1: another port", "coap://coap.example:5685/a", NULL},
    {"a port that is listed", "coap://[fd30::2]:61616/a", "/a"},
    {"and its host without", "coap://[fd30::2]/a", NULL},
    {"s.6.4: no path", "coap://10.30.0.2", ""},
    {"s.6.4: the path '/'", "coap://10.30.0.2/", ""},
    {"s.6.4: a slash at the end", "coap://10.30.0.2/a/", "/a/"},
    {"s.6.4: empty segments", "coap://10.30.0.2//a", "//a"},
    {"s.6.4: a query alone", "coap://10.30.0.2?x", "?x"},
    {"s.6.4: percent-encoding", "coap://10.30.0.2/%61%2Fb/c%20d?e%26f", "/a/b/c d?e&f"},
    {"s.6.4: half an encoding", "coap://10.30.0.2/%6", NULL},
    {"s.6.4: no encoding", "coap://10.30.0.2/%zz", NULL},
    {"s.5.7.2: somebody else", "coap://other.example/a", NULL},
    {"a name that begins like ours", "coap://coap.example.evil/a", NULL},
    {"s.6.1: user information", "coap://x@coap.example/a", NULL},
    {"s.6.1: a fragment", "coap://coap.example/a#b", NULL},
    {"another scheme", "http://coap.example/a", NULL},
    {"no scheme", "coap.example/a", NULL},
    {"no authority", "coap:///a", NULL},
    {"a scheme alone", "coap", NULL},
    {"nothing", "", NULL},
};

static void join(const struct coap_message *message, char *to, size_t room)
{
    size_t n = 0;
    bool query = false;
    to[0] = '\0';
    for (uint32_t i = 0; i < message->options_n; i++) {
        const struct coap_option *option = &message->options[i];
        if (option->number == COAP_URI_PATH)
            n += (size_t)snprintf(to + n, room - n, "/%.*s", (int)option->value.len,
                                  (const char *)option->value.at);
        else if (option->number == COAP_URI_QUERY)
            n += (size_t)snprintf(to + n, room - n, "%s%.*s", query ? "&" : "?", (int)option->value.len,
                                  (const char *)option->value.at);
        query |= option->number == COAP_URI_QUERY;
    }
}

static bool parsed(struct coap_message *message, const uint8_t *bytes, const struct coap_writer *w)
{
    return coap_parse(message, bytes_of(bytes, coap_build_end(w))) == COAP_PARSE_OK;
}

static void test_uri(void)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const struct vector *v = &vectors[i];
        uint8_t bytes[256], text[COAP_PROXY_URI_MAX];
        struct coap_message message, out;
        struct coap_writer w;
        char got[256] = "";
        coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, (const uint8_t *)"t", 1);
        coap_build_option(&w, COAP_ETAG, bytes_of_text("e"));
        coap_build_uint(&w, COAP_ACCEPT, 60);
        coap_build_option(&w, COAP_PROXY_URI, bytes_of_text(v->uri));
        coap_build_uint(&w, COAP_SIZE1, 7);
        CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
        bool opened = coap_proxy_open(hosts, 3, &message, text, &out);
        if (opened)
            join(&out, got, sizeof(got));
        bool good = v->expected == NULL ? !opened : opened && strcmp(got, v->expected) == 0;
        if (!good)
            printf("\n%s: %d '%s'\n", v->name, opened, got);
        CU_ASSERT_TRUE(good);
        if (!opened)
            continue;
        CU_ASSERT_TRUE(!coap_proxy_asked(&out) && out.token_len == 1 && out.mid == 1);
        CU_ASSERT_TRUE(coap_option_find(&out, COAP_ETAG) != NULL &&
                       coap_option_find(&out, COAP_ACCEPT) != NULL &&
                       coap_option_find(&out, COAP_SIZE1) != NULL);
        for (uint32_t k = 1; k < out.options_n; k++)
            CU_ASSERT_TRUE(out.options[k - 1].number <= out.options[k].number);
    }
}

struct scheme {
    const char *name;
    const char *scheme;
    const char *host;
    uint32_t port;
    bool opened;
};

static void test_scheme(void)
{
    static const struct scheme all[] = {{"s.5.10.2", "coap", "coap.example", 0, true},
                                        {"its port", "coap", "coap.example", 5683, true},
                                        {"another port", "coap", "coap.example", 80, false},
                                        {"another host", "coap", "other", 0, false},
                                        {"no host", "coap", NULL, 0, false},
                                        {"another scheme", "http", "coap.example", 0, false}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        uint8_t bytes[256], text[COAP_PROXY_URI_MAX];
        struct coap_message message, out;
        struct coap_writer w;
        coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, NULL, 0);
        if (all[i].host != NULL)
            coap_build_option(&w, COAP_URI_HOST, bytes_of_text(all[i].host));
        if (all[i].port != 0)
            coap_build_uint(&w, COAP_URI_PORT, all[i].port);
        coap_build_option(&w, COAP_URI_PATH, bytes_of_text("a"));
        coap_build_option(&w, COAP_PROXY_SCHEME, bytes_of_text(all[i].scheme));
        CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
        bool opened = coap_proxy_open(hosts, 3, &message, text, &out);
        if (opened != all[i].opened)
            printf("\n%s\n", all[i].name);
        CU_ASSERT_EQUAL(opened, all[i].opened);
        CU_ASSERT_TRUE(!opened || (out.options_n == 1 && out.options[0].number == COAP_URI_PATH));
    }
}

/* s.5.10.2: a Proxy-Uri goes with no Uri-* and no second one; more segments than options are looked at do not
 * fit. */
static void test_mixed(void)
{
    uint8_t bytes[COAP_MESSAGE_MAX], text[COAP_PROXY_URI_MAX];
    char long_uri[300] = "coap://10.30.0.2";
    struct coap_message message, out;
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, NULL, 0);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("a"));
    coap_build_option(&w, COAP_PROXY_URI, bytes_of_text("coap://10.30.0.2/b"));
    CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
    CU_ASSERT_FALSE(coap_proxy_open(hosts, 3, &message, text, &out));
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, NULL, 0);
    coap_build_option(&w, COAP_PROXY_URI, bytes_of_text("coap://10.30.0.2/b"));
    coap_build_option(&w, COAP_PROXY_URI, bytes_of_text("coap://10.30.0.2/c"));
    CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
    CU_ASSERT_FALSE(coap_proxy_open(hosts, 3, &message, text, &out));
    for (int i = 0; i < 65; i++)
        strcat(long_uri, "/x");
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, NULL, 0);
    coap_build_option(&w, COAP_PROXY_URI, bytes_of_text(long_uri));
    CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
    CU_ASSERT_FALSE(coap_proxy_open(hosts, 3, &message, text, &out));
    CU_ASSERT_FALSE(coap_proxy_open(NULL, 0, &message, text, &out));
}

/* libcoap CVE-2025-34468 (a host above 255 bytes), CVE-2023-30362 (what a proxy sends on): a Proxy-Uri of
 * 1,034 bytes is read to its end, wherever its parts end; a longer one, and a host or segment above 255, is
 * not taken apart. */
static void test_lengths(void)
{
    static char uri[1100];
    uint8_t bytes[COAP_MESSAGE_MAX], text[COAP_PROXY_URI_MAX];
    struct coap_message message, out;
    struct coap_writer w;
    for (size_t n = 16; n <= 1040; n++) {
        memset(uri, 'x', n);
        memcpy(uri, "coap://10.30.0.2", 16);
        for (size_t i = 16; i < n; i += 200)
            uri[i] = '/';
        coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, NULL, 0);
        coap_build_option(&w, COAP_PROXY_URI, bytes_of(uri, n));
        CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
        CU_ASSERT_EQUAL(coap_proxy_open(hosts, 3, &message, text, &out), n <= COAP_PROXY_URI_MAX);
    }
    for (size_t n = 250; n < 300; n++) {
        memset(uri, 'x', sizeof(uri));
        memcpy(uri, "coap://", 7);
        coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, NULL, 0);
        coap_build_option(&w, COAP_PROXY_URI, bytes_of(uri, 7 + n)); /* nothing but a host */
        CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
        CU_ASSERT_FALSE(coap_proxy_open(hosts, 3, &message, text, &out));
        memcpy(uri, "coap://10.30.0.2/", 17);
        coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, NULL, 0);
        coap_build_option(&w, COAP_PROXY_URI, bytes_of(uri, 17 + n)); /* one segment */
        CU_ASSERT_TRUE_FATAL(parsed(&message, bytes, &w));
        CU_ASSERT_EQUAL(coap_proxy_open(hosts, 3, &message, text, &out), n <= 255);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {{"Proxy-Uri", test_uri},
                                             {"Proxy-Scheme", test_scheme},
                                             {"mixed", test_mixed},
                                             {"lengths (CVE-2025-34468)", test_lengths}};
    return unit_run("coap_proxy", tests, sizeof(tests) / sizeof(tests[0]));
}
