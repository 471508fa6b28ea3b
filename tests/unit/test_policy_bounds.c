/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of which caps leave nothing, names that are refused whatever comes (G1, C1, D4):
 * config/policy_bounds.c, and what the keys themselves refuse. */
#include "config/gateway_config.h"
#include "config/policy_config.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#define BOX(protocol, security, upstream)                                                                    \
    "gateway = { name = \"gw\"; };\n"                                                                        \
    "dataplane = { ports = ( { name = \"iot\"; device = \"tap:a\"; address = \"10.20.0.1/22\"; },\n"         \
    "  { name = \"wan\"; device = \"tap:b\"; address = \"10.30.0.1/24\"; } ); };\n"                          \
    "listeners = ( { name = \"in\"; port = \"iot\"; protocol = \"" protocol "\"; " security                  \
    " listen = \":1883\"; upstream = \"out\"; } );\n"                                                        \
    "upstreams = ( { name = \"out\"; protocol = \"" upstream "\"; security = \"none\"; servers = "           \
    "\"10.30.0.2:1883\"; } );\n"
#define PLAIN "security = \"none\";"
#define MQTT BOX("mqtt", PLAIN, "mqtt")
#define COAP BOX("coap", PLAIN, "coap")
#define MAPPED BOX("coap", PLAIN, "mqtt")

#define ROLE(match, more, rules)                                                                             \
    "roles = ( { name = \"a\"; match = { " match " }; " more "\n  rules = ( " rules " ); } );\n"
#define HERE "listener = \"in\"; "
#define TOPIC "{ id = \"r\"; allow = \"publish\"; topic = \"t\"; }"
#define PATH "{ id = \"r\"; allow = \"PUT\"; path = \"/t\"; }"
#define P "policy.d/10.conf:"

static const char *told(const char *box, const char *policy)
{
    struct diagnostics *d = diagnostics_create();
    rig_write("sallyport.conf", box);
    rig_write("policy.d/10.conf", policy);
    struct gateway_config *config = gateway_config_load(rig_path("sallyport.conf"), d);
    struct snapshot *snapshot =
        config == NULL ? NULL : policy_config_load(rig_path("policy.d"), config, 1, d, NULL);
    bool refused = diagnostics_errors(d) != 0;
    CU_ASSERT((snapshot != NULL) == !refused);
    snapshot_destroy(snapshot);
    gateway_config_destroy(config);
    rig_told(d);
    diagnostics_destroy(d);
    return rig_said;
}

struct bound_case {
    const char *name;
    const char *box;
    const char *policy;
    const char *expected;
};

static void run(const struct bound_case *cases, size_t n)
{
    rig_begin();
    rig_directory("policy.d");
    for (size_t i = 0; i < n; i++)
        rig_expect(cases[i].name, told(cases[i].box, cases[i].policy), cases[i].expected);
    rig_end();
}

static void roles(void)
{
    static const struct bound_case cases[] = {
        {"a MAC that is too long", MQTT, ROLE("mac = \"00:1d:9c:00:00:01:02\";", "", TOPIC),
         P "1: error: 'mac' is \"00:1d:9c:00:00:01:02\"; write pairs of hexadecimal digits parted by ':', or "
           "a glob such as "
           "\"00:1d:9c:*\"\n"},
        {"... too short", MQTT, ROLE("mac = \"00:1d:9c\";", "", TOPIC),
         P "1: error: 'mac' is \"00:1d:9c\"; write pairs of hexadecimal digits parted by ':', or a glob such "
           "as \"00:1d:9c:*\"\n"},
        {"... a colon where a digit stands", MQTT, ROLE("mac = \"0:*\";", "", TOPIC),
         P "1: error: 'mac' is \"0:*\"; write pairs of hexadecimal digits parted by ':', or a glob such as "
           "\"00:1d:9c:*\"\n"},
        {"MACs that can be", MQTT, ROLE("mac = \"*:[0-3][!4]\";", "", TOPIC), ""},
        {"... all of them", MQTT, ROLE("mac = \"??:??:*:??\";", "", TOPIC), ""},
        {"a name with '/'", MQTT, ROLE(HERE, "id = \"x/${client_id}\";", TOPIC),
         P "1: error: 'id' of role 'a' is \"x/${client_id}\"; names stand in paths of files and may not hold "
           "'/'; write '-' instead\n"},
    };
    run(cases, sizeof(cases) / sizeof(cases[0]));
}

static void rules(void)
{
    static const struct bound_case cases[] = {
        {"CoAP before a broker, without maps", MAPPED, ROLE(HERE, "", PATH),
         P "1: warning: no rule of role 'a' ever decides; its clients speak CoAP to a broker, and no path "
           "leads to a topic; "
           "add maps = ( { path = \"/t/{kind}\"; topic = \"t/${id}/${kind}\"; } );\n"},
        {"... with them", MAPPED,
         ROLE(HERE, "maps = ( { path = \"/t\"; topic = \"t\"; } );",
              PATH ", { id = \"s\"; allow = \"publish\"; topic = \"t\"; }"),
         ""},
        {"QoS above the cap", MQTT,
         ROLE(HERE, "max_qos = 1;", "{ id = \"r\"; allow = \"publish\"; topic = \"t\"; qos = [ 2 ]; }"),
         P "2: error: rule 'r' can never decide; its 'qos' is above max_qos 1 of role 'a'; correct one of "
           "them\n"},
        {"... partly", MQTT,
         ROLE(HERE, "max_qos = 1;", "{ id = \"r\"; allow = \"publish\"; topic = \"t\"; qos = [ 1, 2 ]; }"),
         ""},
        {"a payload that no packet holds", MQTT,
         ROLE(HERE, "limits = { packet = \"1KiB\"; };",
              "{ id = \"r\"; allow = \"publish\"; topic = \"t\"; payload_max = \"1KiB\"; }"),
         P "2: warning: 'payload_max' of rule 'r' refuses nothing; packets of role 'a' end at 1024 bytes; "
           "lower it or remove it\n"},
        {"a path with '..'", COAP, ROLE(HERE, "", "{ id = \"r\"; allow = \"GET\"; path = \"/t/../x\"; }"),
         P "2: error: 'path' is \"/t/../x\"; no request has a segment '.' or '..', which are refused; write "
           "the path itself\n"},
        {"... that ends in '.'", COAP, ROLE(HERE, "", "{ id = \"r\"; allow = \"GET\"; path = \"/.\"; }"),
         P "2: error: 'path' is \"/.\"; no request has a segment '.' or '..', which are refused; write the "
           "path itself\n"},
        {"dots that are none", COAP,
         ROLE(HERE, "", "{ id = \"r\"; allow = \"GET\"; path = \"/.well-known/...\"; }"), ""},
    };
    run(cases, sizeof(cases) / sizeof(cases[0]));
}

static void devices(void)
{
    static const struct bound_case cases[] = {
        {"a device that cannot come", MQTT, ROLE(HERE, "", TOPIC) "devices = ( { id = \"x/y\"; } );\n",
         P "3: error: device 'x/y' can never come; names stand in paths of files and may not hold '/'; "
           "correct it\n"},
        {"a value that no level may be", MQTT,
         ROLE(HERE, "", TOPIC) "devices = ( { id = \"x\"; vars = { v = \"a/b\"; }; } );\n",
         P "3: warning: variable 'v' of device 'x' is \"a/b\"; a client whose rules use it is refused, since "
           "no value may begin with "
           "'$' or hold '+', '#' or '/'; write one level\n"},
        {"... of a role", MQTT, ROLE(HERE, "vars = { v = \"$a\"; };", TOPIC),
         P "1: warning: variable 'v' of role 'a' is \"$a\"; a client whose rules use it is refused, since no "
           "value may begin with '$' "
           "or hold '+', '#' or '/'; write one level\n"},
    };
    run(cases, sizeof(cases) / sizeof(cases[0]));
}

static void places(void)
{
    static const struct bound_case cases[] = {
        {"events into a directory", MQTT "events = { file = \".\"; };\n", ROLE(HERE, "", TOPIC),
         "sallyport.conf:6: error: 'file' is "},
        {"a socket that is a directory", MQTT "control = { socket = \"policy.d\"; };\n",
         ROLE(HERE, "", TOPIC), "sallyport.conf:6: error: 'socket' is "},
    };
    rig_begin();
    rig_directory("policy.d");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *said = told(cases[i].box, cases[i].policy);
        CU_ASSERT(strncmp(said, cases[i].expected, strlen(cases[i].expected)) == 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(said, "; it is a directory; name a file in it\n"));
    }
    rig_end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"roles that can never match (G1, C1)", roles},
        {"rules that can never decide (G1, D4, E2)", rules},
        {"devices and values (G1, C1)", devices},
        {"files that are directories (G1)", places},
    };
    return unit_run("policy_bounds", tests, sizeof(tests) / sizeof(tests[0]));
}
