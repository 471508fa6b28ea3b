/* SPDX-License-Identifier: GPL-2.0-or-later */
/* certificate_name.h: which names a certificate is for (RFC 9525), and which its issuer may certify (RFC 5280
 * section 4.2.1.10). Certificates here are what is looked at of one: a subject and extensions. */
#include "dataplane/secure/certificate_name.h"
#include "tests/unit/runner.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- DER ----------------------------------------------------------------------------------------------- */

struct blob {
    uint8_t at[1024];
    size_t n;
};

static void put(struct blob *to, uint8_t tag, const void *p, size_t n)
{
    to->at[to->n++] = tag;
    if (n >= 128)
        to->at[to->n++] = 0x81 + (n > 255);
    if (n > 255)
        to->at[to->n++] = (uint8_t)(n >> 8);
    to->at[to->n++] = (uint8_t)n;
    memcpy(to->at + to->n, p, n);
    to->n += n;
}

static void put_name(struct blob *to, const char *cn)
{
    static const uint8_t oid[] = {0x55, 4, 3};
    struct blob attribute = {.n = 0}, pair = {.n = 0}, set = {.n = 0};
    put(&attribute, DER_OID, oid, 3);
    put(&attribute, DER_UTF8_STRING, cn, strlen(cn));
    put(&pair, DER_SEQUENCE, attribute.at, attribute.n);
    put(&set, DER_SET, pair.at, pair.n);
    put(to, DER_SEQUENCE, set.at, *cn == 0 ? 0 : set.n);
}

/* "ip:10.0.0.0/255.0.0.0" and the like; "|" is a NUL. */
static void put_general(struct blob *to, const char *text)
{
    uint8_t value[256];
    char copy[256];
    size_t n = 0;
    const char *colon = strchr(text, ':');
    snprintf(copy, sizeof(copy), "%s", colon + 1);
    if (strncmp(text, "ip:", 3) == 0) {
        for (char *part = strtok(copy, "/"); part != NULL; part = strtok(NULL, "/")) {
            bool six = strchr(part, ':') != NULL;
            if (inet_pton(six ? AF_INET6 : AF_INET, part, value + n) != 1)
                abort();
            n += six ? 16 : 4;
        }
        put(to, DER_CONTEXT(7), value, n);
        return;
    }
    if (strncmp(text, "dir:", 4) == 0) {
        struct blob name = {.n = 0};
        put_name(&name, copy);
        put(to, DER_CONSTRUCTED(4), name.at, name.n);
        return;
    }
    for (n = 0; copy[n] != 0; n++)
        value[n] = copy[n] == '|' ? 0 : (uint8_t)copy[n];
    put(to, DER_CONTEXT(text[0] == 'd' ? 2 : text[0] == 'e' ? 1 : text[0] == 'u' ? 6 : 8), value, n);
}

static void put_extension(struct blob *to, uint8_t id, const struct blob *content)
{
    const uint8_t oid[] = {0x55, 0x1D, id};
    struct blob sequence = {.n = 0}, extension = {.n = 0};
    put(&sequence, DER_SEQUENCE, content->at, content->n);
    put(&extension, DER_OID, oid, 3);
    put(&extension, DER_OCTET_STRING, sequence.at, sequence.n);
    put(to, DER_SEQUENCE, extension.at, extension.n);
}

struct made {
    struct blob subject, extensions;
    struct certificate certificate;
};

static const struct certificate *finish(struct made *made, const char *cn)
{
    put_name(&made->subject, cn);
    made->certificate = (struct certificate){.subject = der_of(made->subject.at, made->subject.n),
                                             .extensions = der_of(made->extensions.at, made->extensions.n)};
    return &made->certificate;
}

/* Alternative names, blanks between them; NULL: no extension. */
static const struct certificate *with_names(struct made *made, const char *cn, const char *names)
{
    char copy[512];
    struct blob all = {.n = 0};
    *made = (struct made){.subject = {.n = 0}};
    snprintf(copy, sizeof(copy), "%s", names == NULL ? "" : names);
    for (char *save, *name = strtok_r(copy, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save))
        put_general(&all, name);
    if (names != NULL)
        put_extension(&made->extensions, 17, &all);
    return finish(made, cn);
}

/* "+" permitted, "-" excluded. */
static const struct certificate *with_constraints(struct made *made, const char *text)
{
    char copy[512];
    struct blob trees[2] = {{.n = 0}, {.n = 0}}, all = {.n = 0};
    *made = (struct made){.subject = {.n = 0}};
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *save, *one = strtok_r(copy, " ", &save); one != NULL; one = strtok_r(NULL, " ", &save)) {
        struct blob base = {.n = 0};
        put_general(&base, one + 1);
        put(&trees[one[0] == '-'], DER_SEQUENCE, base.at, base.n);
    }
    if (trees[0].n > 0)
        put(&all, DER_CONSTRUCTED(0), trees[0].at, trees[0].n);
    if (trees[1].n > 0)
        put(&all, DER_CONSTRUCTED(1), trees[1].at, trees[1].n);
    put_extension(&made->extensions, 30, &all);
    return finish(made, "a CA");
}

/* ---- for whom ------------------------------------------------------------------------------------------ */

static void test_for(void)
{
    static const struct {
        const char *cn, *names, *wanted;
        bool good;
    } rows[] = {
        {"x", "dns:broker.cloud.example", "broker.cloud.example", true},
        {"x", "dns:BROKER.cloud.Example", "broker.cloud.example", true},
        {"x", "dns:other.example dns:broker.cloud.example", "broker.cloud.example", true},
        {"x", "dns:broker.cloud.exampl", "broker.cloud.example", false},
        {"x", "dns:broker.cloud.example.", "broker.cloud.example", false},
        {"x", "dns:.cloud.example", "broker.cloud.example", false},
        {"x", "dns:*.cloud.example", "broker.cloud.example", true}, /* RFC 9525 section 6.3 */
        {"x", "dns:*.cloud.example", "a.broker.cloud.example", false},
        {"x", "dns:*.cloud.example", "cloud.example", false},
        {"x", "dns:*.cloud.example", ".cloud.example", false},
        {"x", "dns:*.example", "cloud.example", false}, /* would be all of a registry's */
        {"x", "dns:*", "broker", false},
        {"x", "dns:*.*.example", "broker.cloud.example", false},
        {"x", "dns:broker.*.example", "broker.cloud.example", false},
        {"x", "dns:b*.cloud.example", "broker.cloud.example", false},
        {"x", "dns:*r.cloud.example", "broker.cloud.example", false},
        {"x", "dns:**.cloud.example", "broker.cloud.example", false},
        {"x", "dns:broker.cloud.*", "broker.cloud.example", false},
        {"x", "dns:broker.cloud.example|.evil.example", "broker.cloud.example", false}, /* CVE-2009-2408 */
        {"x", "dns:broker.cloud.example|", "broker.cloud.example", false},
        {"x", "email:broker.cloud.example", "broker.cloud.example", false},
        {"x", "uri:https://broker.cloud.example/", "broker.cloud.example", false},
        {"x", "ip:10.30.0.2", "10.30.0.2", true},
        {"x", "ip:10.30.0.3", "10.30.0.2", false},
        {"x", "ip:fd30::2", "fd30::2", true},
        {"x", "ip:fd30::2", "fd30:0:0::2", true},
        {"x", "ip:fd30::3", "fd30::2", false},
        {"x", "dns:10.30.0.2", "10.30.0.2", false}, /* RFC 9525 section 6.5: an address is no name */
        {"x", "dns:*.30.0.2", "10.30.0.2", false},
        {"10.30.0.2", NULL, "10.30.0.2", false},
        {"broker.cloud.example", NULL, "broker.cloud.example", true},
        {"*.cloud.example", NULL, "broker.cloud.example", true},
        {"broker.cloud.example", "dns:other.example", "broker.cloud.example", false},
        {"broker.cloud.example", "ip:10.30.0.2", "broker.cloud.example", false},
        {"broker.cloud.example", "uri:urn:x", "broker.cloud.example", false},
        {"broker.cloud.example", "", "broker.cloud.example", false}, /* an empty list is one */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct made made;
        bool good = certificate_is_for(with_names(&made, rows[i].cn, rows[i].names), rows[i].wanted);
        if (good != rows[i].good)
            fprintf(stderr, "\n%s, CN %s, for %s", rows[i].names == NULL ? "no names" : rows[i].names,
                    rows[i].cn, rows[i].wanted);
        CU_ASSERT_EQUAL(good, rows[i].good);
    }
}

/* ---- constraints --------------------------------------------------------------------------------------- */

static void test_constraints(void)
{
    static const struct {
        const char *constraints, *names;
        bool good;
    } rows[] = {
        {"+dns:cloud.example", "dns:broker.cloud.example", true},
        {"+dns:cloud.example", "dns:cloud.example", true},
        {"+dns:cloud.example", "dns:BROKER.CLOUD.EXAMPLE", true},
        {"+dns:cloud.example", "dns:evilcloud.example", false}, /* not at a label */
        {"+dns:cloud.example", "dns:cloud.example.evil.example", false},
        {"+dns:cloud.example", "dns:broker.cloud.example dns:evil.example", false}, /* each of them */
        {"+dns:cloud.example", "dns:broker.cloud.example|.evil.example", false},
        {"+dns:cloud.example", "dns:evil.example|.cloud.example", false},
        {"+dns:.cloud.example", "dns:broker.cloud.example", true},
        {"+dns:.cloud.example", "dns:cloud.example", false},
        {"+dns:", "dns:any.example", true},
        {"+dns:cloud.example", "dns:*.cloud.example", true},
        {"+dns:a.cloud.example", "dns:*.cloud.example", false},
        {"+dns:cloud.example +dns:site.example", "dns:gw.site.example", true},
        {"-dns:cloud.example", "dns:broker.cloud.example", false},
        {"-dns:cloud.example", "dns:broker.site.example", true},
        {"-dns:a.cloud.example", "dns:*.cloud.example", false}, /* it reaches there */
        {"-dns:a.b.cloud.example", "dns:b.cloud.example", true},
        {"+dns:cloud.example -dns:bad.cloud.example", "dns:x.bad.cloud.example", false},
        {"+dns:cloud.example -dns:bad.cloud.example", "dns:good.cloud.example", true},
        {"+dns:cloud.example", "ip:10.30.0.2", true}, /* restricts DNS names only */
        {"+dns:cloud.example", "email:a@evil.example", true},
        {"+ip:10.30.0.0/255.255.0.0", "ip:10.30.0.2", true},
        {"+ip:10.30.0.0/255.255.0.0", "ip:10.31.0.2", false},
        {"+ip:10.30.0.0/255.255.0.0", "ip:fd30::2", false},
        {"+ip:10.30.0.0/255.255.0.0", "ip:10.30.0.2 ip:10.31.0.2", false},
        {"+ip:10.30.0.0/255.255.0.0 +ip:fd30::/ffff::", "ip:fd30::2", true},
        {"-ip:10.30.0.0/255.255.0.0", "ip:10.30.0.2", false},
        {"-ip:10.30.0.0/255.255.0.0", "ip:10.31.0.2", true},
        {"-ip:0.0.0.0/0.0.0.0", "ip:192.0.2.1", false},
        {"-ip:fd30::/ffff::", "ip:fd30::2", false},
        {"+ip:10.30.0.2", "ip:10.30.0.2", false}, /* without a mask it is malformed */
        {"+email:site.example", "email:a@site.example", true},
        {"+email:site.example", "email:a@x.site.example", false}, /* a host, not a domain */
        {"+email:.site.example", "email:a@x.site.example", true},
        {"+email:a@site.example", "email:a@SITE.example", true},
        {"+email:a@site.example", "email:A@site.example", false},
        {"-email:site.example", "email:a@site.example", false},
        {"+uri:fleet", "uri:spiffe://fleet/truck-1", true},
        {"+uri:fleet", "uri:spiffe://other/truck-1", false},
        {"+uri:fleet", "uri:spiffe://fleet@other/truck-1", false},
        {"+uri:fleet", "uri:urn:fleet", false}, /* without a host: refused */
        {"+uri:.site.example", "uri:https://a.site.example:8443/x", true},
        {"-uri:.site.example", "uri:https://a.site.example?x", false},
        {"+dir:Fleet", "dir:Fleet", false}, /* the subject, "truck", is a name too */
        {"+dir:truck", "dns:any.example", true},
        {"-dir:truck", "dns:any.example", false},
        {"-dir:other", "dir:other", false},
        {"-dir:other", "dir:another", true},
        {"-x:other", "x:any", false}, /* a kind that we cannot compare */
        {"-x:other", "dns:any.example", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct made ca, leaf;
        bool good = certificate_name_allowed(with_constraints(&ca, rows[i].constraints),
                                             with_names(&leaf, "truck", rows[i].names), true);
        if (good != rows[i].good)
            fprintf(stderr, "\n%s for %s", rows[i].constraints, rows[i].names);
        CU_ASSERT_EQUAL(good, rows[i].good);
    }
}

static void test_common_name(void)
{
    struct made ca, leaf;
    const struct certificate *by = with_constraints(&ca, "+dns:cloud.example");
    CU_ASSERT_TRUE(certificate_name_allowed(by, with_names(&leaf, "broker.cloud.example", NULL), true));
    CU_ASSERT_FALSE(certificate_name_allowed(by, with_names(&leaf, "evil.example", NULL), true));
    CU_ASSERT_TRUE(certificate_name_allowed(by, with_names(&leaf, "a CA below", NULL), false));
    CU_ASSERT_TRUE(certificate_name_allowed(by, with_names(&leaf, "evil.example", "ip:10.0.0.1"), true));
}

/* Cut anywhere, or with a byte changed, constraints never allow what they did not. */
static void test_malformed(void)
{
    struct made ca, leaf;
    const struct certificate *of = with_names(&leaf, "truck", "dns:evil.example");
    with_constraints(&ca, "+dns:cloud.example -ip:10.30.0.0/255.255.0.0");
    size_t value = 9; /* behind the headers of extension, name and value */
    for (size_t cut = value; cut < ca.extensions.n; cut++) {
        struct made broken = ca;
        struct blob shorter = {.n = 0};
        const uint8_t oid[] = {0x55, 0x1D, 30};
        struct blob extension = {.n = 0};
        put(&extension, DER_OID, oid, 3);
        put(&extension, DER_OCTET_STRING, ca.extensions.at + value, cut - value);
        put(&shorter, DER_SEQUENCE, extension.at, extension.n);
        broken.extensions = shorter;
        broken.certificate.extensions = der_of(broken.extensions.at, broken.extensions.n);
        broken.certificate.subject = der_of(broken.subject.at, broken.subject.n);
        CU_ASSERT_FALSE(certificate_name_allowed(&broken.certificate, of, true));
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 9525: for whom a certificate is", test_for},
        {"RFC 5280 4.2.1.10: subtrees of all kinds", test_constraints},
        {"RFC 5280 4.2.1.10: a common name", test_common_name},
        {"constraints that are malformed", test_malformed},
    };
    return unit_run("certificate_name", tests, sizeof(tests) / sizeof(tests[0]));
}
