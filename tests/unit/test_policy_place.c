/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a policy can never come about where clients come in (G1). */
#include "config/policy_config.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#define P "policy.d/p.conf:"
#define RULES "rules = ( { id = \"r\"; allow = \"publish\"; topic = \"t\"; } );"

static const char box[] =
    "dataplane = { ports = ( { name = \"iot\"; device = \"af_xdp:eth1\"; vlan = 20; address = "
    "\"10.20.0.1/22\"; },\n"
    "{ name = \"wan\"; device = \"af_xdp:eth2\"; address = \"10.30.0.1/24\"; } ); };\n"
    "listeners = (\n"
    "{ name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = \"any:1883\"; "
    "upstream = \"broker\"; },\n"
    "{ name = \"mqtts\"; port = \"iot\"; protocol = \"mqtt\"; security = \"tls\"; listen = \":8883\"; auth = "
    "\"cert\"; "
    "certificate = \"c\"; key = \"k\"; client_ca = \"ca\"; upstream = \"broker\"; },\n"
    "{ name = \"coap\"; port = \"iot\"; protocol = \"coap\"; security = \"none\"; listen = \"any:5683\"; "
    "upstream = \"server\"; },\n"
    "{ name = \"coaps\"; port = \"iot\"; protocol = \"coap\"; security = \"dtls\"; listen = \":5684\"; auth "
    "= \"psk\"; "
    "psk_file = \"p\"; upstream = \"broker\"; } );\n"
    "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; servers = [ "
    "\"10.30.0.2:1883\" ]; },\n"
    "{ name = \"server\"; protocol = \"coap\"; security = \"none\"; servers = [ \"10.30.0.2:5683\" ]; } );\n";

#define ROLE(match, rest) "roles = ( { name = \"a\"; match = { " match " }; " rest " } );"
#define ALL                                                                                                  \
    "roles = ( { name = \"a\"; match = { any = true; }; rules = ( { id = \"r\"; allow = \"publish\"; topic " \
    "= "                                                                                                     \
    "\"t\"; } ); } );\n"

/* All that is told of a policy beside that box. */
static const char *told_of(const char *text)
{
    struct diagnostics *d = diagnostics_create();
    rig_begin();
    rig_directory("policy.d");
    rig_write("sallyport.conf", box);
    for (const char *file = "c\0k\0ca\0p\0"; *file != '\0'; file += strlen(file) + 1)
        rig_write(file, "");
    rig_write("policy.d/p.conf", text);
    struct gateway_config *gateway = gateway_config_read(rig_path("sallyport.conf"), d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(gateway);
    CU_ASSERT_EQUAL(diagnostics_errors(d), 0);
    struct snapshot *snapshot = policy_config_load(rig_path("policy.d"), gateway, 1, d, NULL);
    CU_ASSERT_EQUAL(snapshot == NULL, diagnostics_errors(d) != 0);
    const char *told = rig_told(d);
    if (snapshot != NULL)
        snapshot_destroy(snapshot);
    gateway_config_destroy(gateway);
    diagnostics_destroy(d);
    rig_end();
    return told;
}

struct row {
    const char *text;
    const char *told; /* is among what is told; NULL: no error is */
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *told = told_of(rows[i].text);
        bool same =
            rows[i].told == NULL ? strstr(told, ": error: ") == NULL : strstr(told, rows[i].told) != NULL;
        if (!same)
            fprintf(stderr, "\n--- %s: expected\n%s\n--- told\n%s", rows[i].text,
                    rows[i].told == NULL ? "no error" : rows[i].told, told);
        CU_ASSERT(same);
    }
}

static void roles_that_never_match(void)
{
    static const struct row rows[] = {
        {ROLE("listener = \"mqtt\"; cert_cn = \"x\";", RULES),
         P "1: error: role 'a' can never match; it asks for 'cert_cn', and none of its listeners asks for "
           "certificates; write auth = \"cert\" there\n"},
        {ROLE("listener = \"mqtts\"; cert_cn = \"x\"; cert_ou = \"y\"; cert_san = \"z\";", RULES), NULL},
        {ROLE("listener = \"coap\"; cert_san = \"x\";", RULES),
         P "1: error: role 'a' can never match; it asks for 'cert_san'"},
        {ROLE("listener = \"mqtts\"; psk_id = \"x\";", RULES),
         P "1: error: role 'a' can never match; it asks for 'psk_id', and none of its listeners takes keys; "
           "write psk_file = \"FILE\" and auth = \"psk\" there\n"},
        {ROLE("listener = \"coaps\"; psk_id = \"x\";", RULES), NULL},
        {ROLE("psk_id = \"x\";", RULES), NULL}, /* at one of them */
        {ROLE("cert_ou = \"x\";", RULES), NULL},
        {ROLE("listener = \"coap\"; user = \"x\";",
              "rules = ( { id = \"r\"; allow = \"GET\"; path = \"/t\"; } );"),
         P "1: error: role 'a' can never match; it asks for 'user', and none of its listeners speaks MQTT; "
           "CoAP "
           "has no user names; remove it\n"},
        {ROLE("vlan = 21;", RULES),
         P "1: error: role 'a' can never match; it asks for VLAN 21, which no port has; correct one\n"},
        {ROLE("vlan = 20;", RULES), NULL},
        {ROLE("port = \"wan\"; cert_cn = \"x\";", RULES),
         NULL}, /* of a port without listeners nothing is said */
    };
    check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void rules_that_never_decide(void)
{
    static const struct row rows[] = {
        {ROLE("listener = \"mqtt\";", "rules = ( { id = \"r\"; allow = \"GET\"; path = \"/t\"; } );"),
         P "1: error: rule 'r' can never decide; listener 'mqtt' speaks MQTT; delete the rule\n"},
        {ROLE("listener = \"coap\";", RULES), P "1: error: rule 'r' can never decide; listener 'coap' speaks "
                                                "CoAP, to an upstream of CoAP; delete the "
                                                "rule\n"},
        {ROLE("listener = \"coaps\";", RULES), NULL}, /* in front of a broker both are judged (E8) */
        {ROLE("listener = \"coaps\";", "rules = ( { id = \"r\"; allow = \"GET\"; path = \"/t\"; } );"), NULL},
        {ROLE("listener = \"coap\";", "rules = ( { id = \"r\"; allow = \"GET\"; path = \"/t\"; } );\n"
                                      "maps = ( { path = \"/t\"; topic = \"t\"; } );"),
         P "2: error: the map of '/t' can never be asked; maps are for CoAP with an upstream of MQTT, which "
           "listener 'coap' is not; delete it\n"},
        {ROLE("listener = \"coaps\";", RULES " maps = ( { path = \"/t\"; topic = \"t\"; } );"), NULL},
        /* A role that names no listener may be meant for one that is still to come. */
        {ROLE("client_id = \"x\";",
              "rules = ( { id = \"r\"; allow = \"GET\"; path = \"/t\"; }, { id = \"s\"; allow = "
              "\"publish\"; topic = \"t\"; } );"),
         NULL},
    };
    check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* What CoAP without DTLS goes by is told twice: one of them could never be met (C4). */
static void devices_that_are_taken_for_each_other(void)
{
#define M1 "mac = \"00:1d:9c:00:00:01\"; "
#define M2 "mac = \"00:1d:9c:00:00:02\"; "
#define A1 "address = \"10.20.0.9\"; "
#define A2 "address = \"10.20.0.8\"; "
#define TWO(one, two) ALL "devices = ( { id = \"d1\"; " one "},\n{ id = \"d2\"; " two "} );"
    static const char mac[] =
        P "3: warning: device 'd2' has the MAC of device 'd1' (line 2), by which CoAP without "
          "DTLS tells devices apart; give each entry both MAC and address\n";
    static const char address[] =
        P "3: warning: device 'd2' has the address of device 'd1' (line 2), by which CoAP "
          "without DTLS tells devices apart; give each entry both MAC and address\n";
    static const struct {
        const char *text, *told;
    } rows[] = {
        {TWO(M1, M1), mac},
        {TWO(A1, A1), address},
        {TWO(M1 A1, M1), mac},
        {TWO(M1, M1 A1), ""},
        {TWO(M1 A1, M1 A2), ""},
        {TWO(M1 A1, M2 A1), address},
        {TWO(A1, M1 A1), ""},
        {TWO(M1 A1, A1), address},
        {TWO(M1, M2), ""},
        {TWO(A1, A2), ""},
        {TWO(A1, "address = \"10.20.0.0/24\"; "), ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        rig_expect(rows[i].text, told_of(rows[i].text), rows[i].told);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"roles that ask for what nobody tells (G1, C1)", roles_that_never_match},
        {"rules for another protocol (G1)", rules_that_never_decide},
        {"devices that are taken for each other (G1, C4)", devices_that_are_taken_for_each_other},
    };
    return unit_run("policy_place", tests, sizeof(tests) / sizeof(tests[0]));
}
