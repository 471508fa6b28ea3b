/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains that are odd in one thing (B1, B4; RFC 5280, RFC 9525), as a client and as a listener see them:
 * names and what constrains them, what makes a CA, how long a path may be, usage, and time.
 */
#include "tests/unit/runner.h"
#include "tests/unit/tls_server_lab.h"

/* All with one key; each is one command. A chain file is leaf first. */
static const char script[] =
    "cd %s\n"
    "key one\n"
    "make() { n=$1; ca=$2; cn=$3; shift 3; args=(); for e in \"$@\"; do args+=(-addext \"$e\"); done\n"
    "  openssl req -x509 -new -config odd.cnf -key one.key -subj \"/CN=$cn\" -CA $ca.pem -CAkey $ca.key "
    "-days 30 "
    "\"${args[@]}\" -out $n.pem; cp one.key $n.key; }\n"
    "printf '[req]\\ndistinguished_name=dn\\nprompt=no\\n[dn]\\n' > odd.cnf\n"
    "C=basicConstraints=critical,CA:true; K=keyUsage=critical,keyCertSign\n"
    /* CAs below "ca", each with a key of its own. */
    "sub() { n=$1; ca=$2; shift 2; key $n; cp one.key one.kept; cp $n.key one.key; make $n $ca $n \"$@\"; "
    "cp one.kept one.key; }\n"
    "sub pdns ca $C $K 'nameConstraints=critical,permitted;DNS:cloud.example'\n"
    "sub xdns ca $C $K 'nameConstraints=critical,excluded;DNS:cloud.example'\n"
    "sub pip ca $C $K 'nameConstraints=critical,permitted;IP:10.30.0.0/255.255.0.0'\n"
    "sub xip ca $C $K 'nameConstraints=critical,excluded;IP:10.30.0.0/255.255.0.0'\n"
    "sub lax pdns $C $K\n" /* below one that is constrained, and free itself */
    "sub laxip xip $C $K\n"
    "sub nobasic ca $K; sub notca ca basicConstraints=critical,CA:false\n"
    "sub nosign ca $C keyUsage=critical,digitalSignature\n"
    "sub zero ca $C,pathlen:0 $K; sub under zero $C $K; sub oneca ca $C,pathlen:1 $K; sub under1 oneca $C "
    "$K\n"
    "key caold; csr caold /CN=caold; sign caold ca root -startdate 20200101000000Z -enddate 20210101000000Z\n"
    "key caearly; csr caearly /CN=caearly; sign caearly ca root -startdate 20400101000000Z -enddate "
    "20410101000000Z\n"
    "S=subjectAltName; B=DNS:broker.cloud.example\n"
    /* leaf NAME CA SAN EKU [more]: its chain is in NAME.pem */
    "leaf() { n=$1; ca=$2; san=$3; eku=$4; shift 4; make $n $ca ${CN:-x} ${san:+$S=$san} "
    "${eku:+extendedKeyUsage=$eku} \"$@\"; for c in $ca $UP; do [ $c = ca ] || cat $c.pem >> $n.pem; done; "
    "}\n"
    "for u in serverAuth clientAuth; do p=${u:0:1}\n"
    "  for s in pdns xdns pip xip nobasic notca nosign zero caold caearly; do leaf $p-$s $s $B,IP:10.30.0.2 "
    "$u; "
    "done\n"
    "  leaf $p-pdns-evil pdns DNS:broker.evilcloud.example $u; leaf $p-xdns-other xdns DNS:other.example $u\n"
    "  leaf $p-pip-far pip IP:10.31.0.2 $u; leaf $p-xip-far xip $B,IP:10.31.0.2 $u\n"
    "  UP=pdns leaf $p-lax lax DNS:other.example $u; UP=pdns leaf $p-lax-good lax $B $u\n"
    "  UP=xip leaf $p-laxip laxip $B,IP:10.30.0.2 $u\n"
    "  UP=zero leaf $p-under under $B $u; UP=oneca leaf $p-under1 under1 $B $u\n"
    "done\n"
    "leaf wild-mid ca 'DNS:broker.*.example' serverAuth; leaf wild-part ca 'DNS:b*.cloud.example' "
    "serverAuth\n"
    "leaf wild-top ca 'DNS:*.example' serverAuth; leaf wild-all ca 'DNS:*' serverAuth\n"
    "leaf wild-two ca 'DNS:*.*.example' serverAuth; leaf wild ca 'DNS:*.cloud.example' serverAuth\n"
    "leaf dnsip ca DNS:10.30.0.2 serverAuth; leaf onlyip ca IP:10.30.0.2 serverAuth\n"
    /* [2] "broker.cloud.example" NUL ".evil.example" */
    "leaf nul ca "
    "'DER:30:24:82:22:62:72:6f:6b:65:72:2e:63:6c:6f:75:64:2e:65:78:61:6d:70:6c:65:00:2e:65:76:69:6c:2e:65:"
    "78:61:6d:70:6c:65' serverAuth\n"
    "CN=broker.cloud.example leaf cnalone ca '' serverAuth; CN=broker.cloud.example leaf cnsan ca "
    "DNS:other.example "
    "serverAuth\n"
    "CN=broker.cloud.example leaf cnuri ca URI:urn:x serverAuth\n"
    "leaf anyeku ca $B anyExtendedKeyUsage; leaf code ca $B codeSigning; leaf both ca $B "
    "serverAuth,clientAuth\n"
    "leaf noeku ca $B ''; leaf critical ca $B serverAuth '1.2.3.4=critical,ASN1:UTF8:x'\n"
    "key ends; csr ends /CN=ends; sign ends ca server -startdate 20200101000000Z -enddate 99991231235959Z\n"
    "key turned; csr turned /CN=turned; sign turned ca server -startdate 20400101000000Z -enddate "
    "20300101000000Z\n";

static bool set_up(void)
{
    static char text[sizeof(script) + 256], command[256];
    if (!lab_clients_pki())
        return false;
    int n = snprintf(text, sizeof(text), "set -e\n. %s/functions.sh\n", lab_dir);
    snprintf(text + n, sizeof(text) - (size_t)n, script, lab_dir);
    FILE *file = fopen(lab_path("odd.sh"), "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        return false;
    snprintf(command, sizeof(command), "bash %s >%s 2>&1", lab_path("odd.sh"), lab_path("odd.log"));
    if (system(command) == 0)
        return true;
    fprintf(stderr, "%s failed\n", lab_path("odd.sh"));
    return false;
}

struct row {
    const char *what;
    const char *certificate; /* of both sides: with "s-" and "c-" before it */
    const char *server_name; /* NULL: LAB_NAME */
    bool good;
    int alert;
    const char *reason;
};

#define OUTSIDE "certificate's name is outside of what its issuer may certify"
#define NOT_FOR "certificate is not for"

static const struct row both[] = {
    {"permitted DNS subtree (RFC 5280 4.2.1.10)", "pdns", NULL, true, 0, NULL},
    {"outside of it, not at a label", "pdns-evil", "broker.evilcloud.example", false, 42, OUTSIDE},
    {"excluded DNS subtree", "xdns", NULL, false, 42, OUTSIDE},
    {"outside of the excluded one", "xdns-other", "other.example", true, 0, NULL},
    {"permitted addresses", "pip", "10.30.0.2", true, 0, NULL},
    {"not among them", "pip-far", "10.31.0.2", false, 42, OUTSIDE},
    {"excluded addresses", "xip", "10.30.0.2", false, 42, OUTSIDE},
    {"not among the excluded ones", "xip-far", "10.31.0.2", true, 0, NULL},
    {"constrained by a CA two above", "lax", "other.example", false, 42, OUTSIDE},
    {"within what a CA two above permits", "lax-good", NULL, true, 0, NULL},
    {"addresses excluded by a CA two above", "laxip", NULL, false, 42, OUTSIDE},
    {"issued by a certificate without basicConstraints (4.2.1.9)", "nobasic", NULL, false, 48, NULL},
    {"issued by one that is no CA", "notca", NULL, false, 48, NULL},
    {"issued by one that may not sign certificates (4.2.1.3)", "nosign", NULL, false, 0, NULL},
    {"pathlen 0, a leaf below", "zero", NULL, true, 0, NULL},
    {"pathlen 0, a CA below", "under", NULL, false, 0, NULL},
    {"pathlen 1, a CA below", "under1", NULL, true, 0, NULL},
    {"the CA above has expired", "caold", NULL, false, 45, "certificate has expired"},
    {"the CA above is not yet valid", "caearly", NULL, false, 45, "certificate is not yet valid"},
};

static const struct row of_servers[] = {
    {"wildcard (RFC 9525 6.3)", "wild", NULL, true, 0, NULL},
    {"wildcard in the middle", "wild-mid", NULL, false, 42, NOT_FOR},
    {"wildcard within a label", "wild-part", NULL, false, 42, NOT_FOR},
    {"wildcard for a top domain", "wild-top", "cloud.example", false, 42, NOT_FOR},
    {"wildcard alone", "wild-all", "broker", false, 42, NOT_FOR},
    {"two wildcards", "wild-two", NULL, false, 42, NOT_FOR},
    {"an address written as a name (6.5)", "dnsip", "10.30.0.2", false, 42, NOT_FOR},
    {"an address", "onlyip", "10.30.0.2", true, 0, NULL},
    {"an address, and another name wanted", "onlyip", NULL, false, 42, NOT_FOR},
    {"a NUL in a name", "nul", NULL, false, 42, NOT_FOR},
    {"a common name alone", "cnalone", NULL, true, 0, NULL},
    {"a common name beside another name", "cnsan", NULL, false, 42, NOT_FOR},
    {"a common name beside a URI", "cnuri", NULL, false, 42, NULL},
    {"any usage (RFC 5280 4.2.1.12)", "anyeku", NULL, true, 0, NULL},
    {"both usages", "both", NULL, true, 0, NULL},
    {"no usage said", "noeku", NULL, true, 0, NULL},
    {"made for signing code", "code", NULL, false, 43, "certificate may not be used for a server"},
    {"a critical extension that nobody knows (4.2)", "critical", NULL, false, 43, "critical extension"},
    {"no end (4.1.2.5): the year 9999", "ends", NULL, true, 0, NULL},
    {"ends before it begins", "turned", NULL, false, 45, NULL},
};

static bool check(const struct row *row, struct lab *lab, const char *side)
{
    WOLFSSL_ALERT_HISTORY history = {.last_rx = {0}};
    wolfSSL_get_alert_history(lab->server, &history);
    int alert = history.last_rx.level == alert_fatal ? history.last_rx.code : 0;
    bool good = row->good ? lab->opened == 1 && lab->closed == 0
                          : lab->opened == 0 && lab->closed == 1 && lab->why == STREAM_END_TLS_VERIFY &&
                                alert != 0 && (row->alert == 0 || alert == row->alert) &&
                                tls_worker_counter(lab->worker, TLS_FAILED_VERIFY) == 1 &&
                                (row->reason == NULL || strstr(lab->reason, row->reason) != NULL);
    if (!good)
        fprintf(stderr, "\n%s (%s): opened %d closed %d alert %d '%s'\n", row->what, side, lab->opened,
                lab->closed, alert, lab->reason);
    return good;
}

static bool by_client(const struct row *row, const char *prefix, bool only_1_2)
{
    char name[48];
    snprintf(name, sizeof(name), "%s%s", prefix, row->certificate);
    struct tls_settings settings = lab_settings();
    struct lab_server server = {.certificate = name, .only_1_2 = only_1_2};
    struct tls_error error;
    settings.server_name = row->server_name == NULL ? LAB_NAME : row->server_name;
    settings.min_version = only_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
    struct tls_context *context = tls_context_create(&settings, &error);
    struct lab *lab = lab_create(&server, NULL);
    lab_connect(lab, context, NULL);
    lab_settle(lab);
    bool good = check(row, lab, only_1_2 ? "client, 1.2" : "client, 1.3");
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static bool by_listener(const struct row *row)
{
    char name[48];
    snprintf(name, sizeof(name), "c-%s", row->certificate);
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = name};
    struct tls_context *context = lab_listener_context(&settings);
    struct lab *lab = lab_create_listener(context, &client, NULL);
    lab_settle_listener(lab);
    bool good = check(row, lab, "listener");
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static void test_servers(void)
{
    for (int old = 0; old < 2; old++) {
        for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
            CU_ASSERT_TRUE(by_client(&both[i], "s-", old != 0));
        for (size_t i = 0; i < sizeof(of_servers) / sizeof(of_servers[0]); i++)
            CU_ASSERT_TRUE(by_client(&of_servers[i], "", old != 0));
    }
}

static void test_clients(void)
{
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
        CU_ASSERT_TRUE(by_listener(&both[i]));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B1: odd servers", test_servers},
        {"B4: odd clients", test_clients},
    };
    if (tls_library_init() != 0 || !set_up())
        return EXIT_FAILURE;
    int result = unit_run("tls_names", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
