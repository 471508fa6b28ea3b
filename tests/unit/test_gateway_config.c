/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/feature.h"
#include "config/gateway_config.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#define DATAPLANE                                                                                            \
    "dataplane = { ports = ( { name = \"iot\"; device = \"af_xdp:eth1\"; vlan = 20; address = [ "            \
    "\"10.20.0.1/22\", "                                                                                     \
    "\"fd20::1/64\" ]; },\n"                                                                                 \
    "{ name = \"wan\"; device = \"af_xdp:eth2\"; address = \"10.30.0.1/24\"; next_hop = \"10.30.0.254\"; } " \
    "); };\n"
#define LISTENERS                                                                                            \
    "listeners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "   \
    "\"any:1883\"; "                                                                                         \
    "upstream = \"broker\"; } );\n"
#define UPSTREAMS                                                                                            \
    "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"tls\"; servers = [ "               \
    "\"10.30.0.2:8883\" ]; "                                                                                 \
    "server_name = \"broker.example\"; ca = \"tls/ca.pem\"; } );\n"

static void files(void)
{
    rig_begin();
    rig_directory("tls");
    rig_directory("tls/devices");
    rig_write("tls/ca.pem", "x");
    rig_write("tls/gw.pem", "x");
    rig_write("tls/gw.key", "x");
    rig_write("tls/open.key", "x");
    if (chmod(rig_path("tls/open.key"), 0644) != 0)
        abort();
}

static const char *told_of(const char *text)
{
    struct diagnostics *d = diagnostics_create();
    rig_write("sallyport.conf", text);
    struct gateway_config *config = gateway_config_load(rig_path("sallyport.conf"), d);
    CU_ASSERT_EQUAL(config == NULL, diagnostics_errors(d) != 0);
    const char *told = rig_told(d);
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    return told;
}

static struct gateway_config *load_good(const char *text)
{
    struct diagnostics *d = diagnostics_create();
    rig_write("sallyport.conf", text);
    struct gateway_config *config = gateway_config_load(rig_path("sallyport.conf"), d);
    rig_expect("loads", rig_told(d), "");
    diagnostics_destroy(d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    return config;
}

static bool is_address(const uint8_t address[16], const char *text)
{
    uint8_t expected[16];
    return address_parse(text, expected) == NULL && memcmp(address, expected, 16) == 0;
}

/* Operators' surface 2.3a, all values. */
static void everything(void)
{
    files();
    struct gateway_config *c = load_good(
        "schema = 1;\n"
        "gateway = { name = \"gw-yard-01\"; mode = \"observe\"; on_stall = \"closed\"; };\n"
        "dataplane = { workers = 2; memory = \"512MiB\"; hugepages = \"no\"; idle = \"poll\"; "
        "handshake_threads = 3; record_crypto = \"wolfcrypt\";\n"
        "  limits = { connections = 5000; dtls_handshakes = 50; dtls_handshakes_per_source = 4; dtls_idle = "
        "\"10min\"; }; eal = \"--log-level=8\";\n"
        "  ports = ( { name = \"iot\"; device = \"pci:0000:3b:00.0\"; vlan = 20; mtu = 1400; address = [ "
        "\"10.20.0.1/22\", "
        "\"fd20::1/64\" ]; },\n"
        "            { name = \"lab\"; device = \"pci:0000:3b:00.0\"; vlan = 30; address = \"10.21.0.1/24\"; "
        "},\n"
        "            { name = \"wan\"; device = \"tap:sp0\"; address = [ \"10.30.0.1/24\", \"fd30::1/64\" ]; "
        "next_hop = [ "
        "\"10.30.0.254\", \"fd30::ff\" ]; } );\n"
        "  routes = ( { to = \"10.40.0.0/16\"; via = \"10.30.0.9\"; port = \"wan\"; } ); };\n"
        "listeners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
        "\"any:1883\"; "
        "upstream = \"broker\"; },\n"
        "  { name = \"own\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = \":1883\"; "
        "upstream = "
        "\"plain\"; },\n"
        "  { name = \"fixed\"; port = \"lab\"; protocol = \"mqtt\"; security = \"none\"; listen = "
        "\"198.51.100.7:1883\"; "
        "upstream = \"broker\"; limits = { connects = \"5/s burst 9\"; sessions = 7; }; } );\n"
        "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"tls\"; servers = [ "
        "\"10.30.0.2:8883\", "
        "\"[fd30::2]:8884\" ]; server_name = \"broker.cloud.example\"; ca = \"tls/ca.pem\"; certificate = "
        "\"tls/devices/${id}.pem\"; key = \"tls/devices/${id}.key\"; alpn = [ \"mqtt\", \"x\" ]; min_version "
        "= \"1.2\"; "
        "resumption = false; connect_timeout = \"2500ms\"; dials = 90; },\n"
        "  { name = \"plain\"; protocol = \"mqtt\"; security = \"none\"; servers = \"10.40.0.7:1883\"; } );\n"
        "control = { socket = \"control.sock\"; };\n"
        "events = { file = \"/var/log/e.json\"; allowed = \"connect\"; topics = \"full\"; payload = "
        "\"never\"; "
        "};\n");
    char text[256];
    CU_ASSERT_STRING_EQUAL(c->file, "sallyport.conf");
    CU_ASSERT_STRING_EQUAL(c->directory, rig_home);
    CU_ASSERT_STRING_EQUAL(c->name, "gw-yard-01");
    CU_ASSERT(c->observe);
    CU_ASSERT_EQUAL(c->workers, 2);
    CU_ASSERT_EQUAL(c->memory_bytes, UINT64_C(512) << 20);
    CU_ASSERT_EQUAL(c->hugepages, 0);
    CU_ASSERT(!c->idle_adaptive);
    CU_ASSERT_EQUAL(c->handshake_threads, 3);
    CU_ASSERT_EQUAL(c->record_crypto, 2);
    CU_ASSERT_EQUAL(c->record_crypto_origin.line, 3);
    CU_ASSERT_EQUAL(c->connections, 5000);
    CU_ASSERT_TRUE(c->dtls_handshakes == 50 && c->dtls_handshakes_per_source == 4 &&
                   c->dtls_idle_us == UINT64_C(600000000));
    CU_ASSERT_STRING_EQUAL(c->eal, "--log-level=8");
    CU_ASSERT_EQUAL(c->devices_n, 2); /* two VLANs of one device are one port */
    CU_ASSERT_STRING_EQUAL(c->devices[0], "pci:0000:3b:00.0");
    CU_ASSERT_EQUAL_FATAL(c->interfaces_n, 3);
    CU_ASSERT_STRING_EQUAL(c->interfaces[0].name, "iot");
    CU_ASSERT_EQUAL(c->interfaces[0].vlan, 20);
    CU_ASSERT_EQUAL(c->interfaces[0].mtu, 1400);
    CU_ASSERT_EQUAL(c->interfaces[0].port, 0);
    CU_ASSERT_EQUAL(c->interfaces[0].addresses_n, 2);
    CU_ASSERT_STRING_EQUAL(address_format(&c->interfaces[0].addresses[1], text), "fd20::1/64");
    CU_ASSERT(!c->interfaces[0].has_next_hop && !c->interfaces[0].has_next_hop6);
    CU_ASSERT_EQUAL(c->interfaces[1].port, 0);
    CU_ASSERT_EQUAL(c->interfaces[2].port, 1);
    CU_ASSERT_EQUAL(c->interfaces[2].vlan, 0);
    CU_ASSERT_EQUAL(c->interfaces[2].mtu, 0);
    CU_ASSERT(c->interfaces[2].has_next_hop && is_address(c->interfaces[2].next_hop, "10.30.0.254"));
    CU_ASSERT(c->interfaces[2].has_next_hop6 && is_address(c->interfaces[2].next_hop6, "fd30::ff"));
    CU_ASSERT_EQUAL_FATAL(c->routes_n, 1);
    CU_ASSERT_STRING_EQUAL(address_format(&c->routes[0].to, text), "10.40.0.0/16");
    CU_ASSERT(is_address(c->routes[0].via, "10.30.0.9"));
    CU_ASSERT_EQUAL(c->routes[0].interface, 2);
    CU_ASSERT_EQUAL_FATAL(c->listeners_n, 3);
    CU_ASSERT(c->listeners[0].any && !c->listeners[0].has_address);
    CU_ASSERT_EQUAL(c->listeners[0].port, 1883);
    CU_ASSERT_EQUAL(c->listeners[0].interface, 0);
    CU_ASSERT_EQUAL(c->listeners[0].upstream, 0);
    CU_ASSERT_EQUAL(c->listeners[0].per_source.of[RATE_CONNECTS][0].amount, 10); /* F1 */
    CU_ASSERT_EQUAL(c->listeners[0].per_source.of[RATE_CONNECTS][0].period_us, 1000000);
    CU_ASSERT_EQUAL(c->listeners[0].sessions_per_source, 0);
    CU_ASSERT(!c->listeners[1].any && !c->listeners[1].has_address);
    CU_ASSERT_EQUAL(c->listeners[1].upstream, 1);
    CU_ASSERT(c->listeners[2].has_address && is_address(c->listeners[2].address, "198.51.100.7"));
    CU_ASSERT_EQUAL(c->listeners[2].interface, 1);
    CU_ASSERT_EQUAL(c->listeners[2].per_source.of[RATE_CONNECTS][0].burst, 9);
    CU_ASSERT_EQUAL(c->listeners[2].sessions_per_source, 7);
    CU_ASSERT_EQUAL(c->listeners[2].origin.line, 11);
    CU_ASSERT_EQUAL_FATAL(c->upstreams_n, 2);
    const struct config_upstream *u = &c->upstreams[0];
    CU_ASSERT_EQUAL(u->security, CONFIG_SECURITY_TLS);
    CU_ASSERT_EQUAL(u->servers_n, 2);
    CU_ASSERT(is_address(u->servers[1].address, "fd30::2"));
    CU_ASSERT_EQUAL(u->servers[1].port, 8884);
    CU_ASSERT_STRING_EQUAL(u->server_name, "broker.cloud.example");
    CU_ASSERT_STRING_EQUAL(u->ca, rig_path("tls/ca.pem"));
    CU_ASSERT_STRING_EQUAL(u->certificate, rig_path("tls/devices/${id}.pem"));
    CU_ASSERT_STRING_EQUAL(u->key, rig_path("tls/devices/${id}.key"));
    CU_ASSERT_STRING_EQUAL(u->alpn, "mqtt,x");
    CU_ASSERT(u->tls_1_2 && !u->resumption);
    CU_ASSERT_EQUAL(u->connect_timeout_us, 2500000);
    CU_ASSERT_EQUAL(u->dials, 90);
    CU_ASSERT_EQUAL(c->upstreams[1].security, CONFIG_SECURITY_NONE);
    CU_ASSERT_PTR_NULL(c->upstreams[1].ca);
    CU_ASSERT_STRING_EQUAL(c->control_socket, rig_path("control.sock"));
    CU_ASSERT_STRING_EQUAL(c->events.file, "/var/log/e.json");
    gateway_config_destroy(c);
    rig_end();
}

static void defaults(void)
{
    files();
    struct gateway_config *c = load_good(DATAPLANE LISTENERS UPSTREAMS);
    CU_ASSERT(!c->observe);
    CU_ASSERT_PTR_NOT_NULL(c->name); /* the host's */
    CU_ASSERT_EQUAL(c->workers, 0);
    CU_ASSERT_EQUAL(c->memory_bytes, UINT64_C(256) << 20);
    CU_ASSERT_EQUAL(c->hugepages, -1);
    CU_ASSERT(c->idle_adaptive);
    CU_ASSERT_EQUAL(c->connections, 20000);
    CU_ASSERT_TRUE(c->dtls_handshakes == 1024 && c->dtls_handshakes_per_source == 16 &&
                   c->dtls_idle_us == UINT64_C(3600000000));
    CU_ASSERT_EQUAL(c->handshake_threads, 1);
    CU_ASSERT_EQUAL(c->record_crypto, 0);
    CU_ASSERT_PTR_NULL(c->eal);
    CU_ASSERT(!c->upstreams[0].tls_1_2 && c->upstreams[0].resumption); /* B1, B5 */
    CU_ASSERT_PTR_NULL(c->upstreams[0].alpn);
    CU_ASSERT_EQUAL(c->upstreams[0].connect_timeout_us, 5000000);
    CU_ASSERT_EQUAL(c->upstreams[0].dials, 64);
    CU_ASSERT(c->upstreams[0].balance == CONFIG_ORDER && c->upstreams[0].check == CONFIG_CHECK_NONE);
    CU_ASSERT(c->upstreams[0].check_fall == 2 && c->upstreams[0].check_rise == 2);
    CU_ASSERT_EQUAL(c->upstreams[0].check_interval_us, 10000000);
    CU_ASSERT_STRING_EQUAL(c->upstreams[0].check_id, "sallyport-check");
    CU_ASSERT(c->confined);
    CU_ASSERT_STRING_EQUAL(c->control_socket, "/run/sallyport/control.sock");
    CU_ASSERT_PTR_NULL(c->events.file);
    CU_ASSERT(c->events.allowed_connect && !c->events.allowed_all && c->events.topics_full);
    gateway_config_destroy(c);
    rig_end();
}

struct mistake {
    const char *text;
    const char *told;
};

static void try_all(const struct mistake *cases, size_t n)
{
    files();
    for (size_t i = 0; i < n; i++)
        rig_expect(cases[i].text, told_of(cases[i].text), cases[i].told);
    rig_end();
}
#define TRY(cases) try_all(cases, sizeof(cases) / sizeof(cases[0]))

static void keys_and_types(void)
{
    static const struct mistake cases[] = {
        {"gatway = { };" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: unknown setting 'gatway'; did you mean 'gateway'?\n"},
        {"zzz = 1;" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: unknown setting 'zzz'; remove it\n"},
        {"# nothing",
         "sallyport.conf: error: 'dataplane' is missing; add dataplane = { ports = ( ... ); };\n"
         "sallyport.conf: error: 'listeners' is missing; add listeners = ( { ... }, { ... } );\n"
         "sallyport.conf: error: 'upstreams' is missing; add upstreams = ( { ... }, { ... } );\n"},
        {"gateway = 1;" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: 'gateway' is a number; it must be a group; write gateway = { ... };\n"},
        {"gateway = { mode = true; };" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: 'mode' in 'gateway' is true or false; it must be a word in quotes; write "
         "mode = "
         "\"enforce\";\n"},
        {"gateway = { mode = \"observ\"; name = \"a b\"; on_stall = \"open\"; };" DATAPLANE LISTENERS
             UPSTREAMS,
         "sallyport.conf:1: error: 'mode' in 'gateway' is \"observ\", which it cannot be; did you mean "
         "\"observe\"?\n"
         "sallyport.conf:1: error: 'name' in 'gateway' is \"a b\"; a name is 1 to 63 letters, digits, '.', "
         "'_' and '-'\n"
         "sallyport.conf:1: error: 'on_stall' is \"open\"; passing traffic unjudged when stalled is not in "
         "this "
         "version; write \"closed\"\n"},
        {"schema = 2;" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: 'schema' is 2; it must be from 1 to 1\n"},
        {"events = { file = \"\"; allowed = \"some\"; payload = \"always\"; };" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: 'allowed' in 'events' is \"some\", which it cannot be; write one of "
         "\"connect\", "
         "\"none\", \"all\"\n"
         "sallyport.conf:1: error: 'file' in 'events' is empty; write file = "
         "\"/var/log/sallyport/events.json\"; or "
         "remove it\n"
         "sallyport.conf:1: error: 'payload' in 'events' is \"always\", which it cannot be; write one of "
         "\"never\"\n"},
        {"control = { socket = \"a\\nb\"; };" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: 'socket' in 'control' holds control characters or is not UTF-8; remove "
         "them\n"},
        {"control = { socket = \"/\\xC0\\x80\"; };" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: 'socket' in 'control' holds control characters or is not UTF-8; remove "
         "them\n"},
        {"metrics = { listen = \"127.0.0.1:9465\"; };" DATAPLANE LISTENERS UPSTREAMS,
         "sallyport.conf:1: error: 'metrics' is refused; the metrics listener is not in this version, and no "
         "line is "
         "silently ignored; remove it\n"},
        {LISTENERS UPSTREAMS "dataplane = { workers = \"all\"; memory = 256; hugepages = true; idle = "
                             "\"lazy\"; handshake_threads = 0; record_crypto = \"openssl\";\n"
                             "limits = { connections = 0; conections = 1; };\neal = 7;\nports = ( 7,\n{ name "
                             "= \"a\"; device = \"af_xdp:e\"; "
                             "adress = \"10.30.0.1/24\"; },\n{ name = \"b\"; device = \"af_xdp:f\"; vlan = "
                             "4095; mtu = 100; address = []; } "
                             "); };",
         "sallyport.conf:1: error: there is no port 'iot'; the ports are in 'dataplane'\n"
         "sallyport.conf:2: error: no port leads to server 10.30.0.2 of upstream 'broker'; add a 'next_hop' "
         "to a port, or "
         "a route\n"
         "sallyport.conf:3: error: 'handshake_threads' in 'dataplane' is 0; it must be from 1 to 64\n"
         "sallyport.conf:3: error: 'hugepages' in 'dataplane' is true or false; it must be a word in quotes; "
         "write "
         "hugepages = \"auto\";\n"
         "sallyport.conf:3: error: 'idle' in 'dataplane' is \"lazy\", which it cannot be; write one of "
         "\"adaptive\", "
         "\"poll\"\n"
         "sallyport.conf:3: error: 'memory' in 'dataplane' is a number; it must be a size with its unit in "
         "quotes; write "
         "memory = \"256MiB\";\n"
         "sallyport.conf:3: error: 'record_crypto' in 'dataplane' is \"openssl\", which it cannot be; write "
         "one "
         "of \"auto\", "
         "\"ipsec-mb\", \"wolfcrypt\"\n"
         "sallyport.conf:3: error: 'workers' in 'dataplane' is \"all\", which it cannot be; write one of "
         "\"auto\"\n"
         "sallyport.conf:4: error: 'connections' in 'limits' of 'dataplane' is 0; it must be from 1 to "
         "1000000\n"
         "sallyport.conf:4: error: unknown setting 'conections' in 'limits' of 'dataplane'; did you mean "
         "'connections'?\n"
         "sallyport.conf:5: error: 'eal' in 'dataplane' is a number; it must be text in quotes; write eal = "
         "\"--log-level=6\";\n"
         "sallyport.conf:6: error: port 1 of 'ports' is a number; it must be a group { }\n"
         "sallyport.conf:7: error: unknown setting 'adress' in port 'a'; did you mean 'address'?\n"
         "sallyport.conf:8: error: 'address' in port 'b' is empty; write address = [ \"10.20.0.1/22\" ]; or "
         "remove it\n"
         "sallyport.conf:8: error: 'mtu' in port 'b' is 100; it must be from 1280 to 1500\n"
         "sallyport.conf:8: error: 'vlan' in port 'b' is 4095; it must be from 1 to 4094\n"},
        {LISTENERS UPSTREAMS "dataplane = { memory = \"1MiB\"; workers = 65; ports = { }; };",
         "sallyport.conf:1: error: there is no port 'iot'; the ports are in 'dataplane'\n"
         "sallyport.conf:3: error: 'memory' in 'dataplane' is \"1MiB\"; it must be from 64MiB to 1TiB\n"
         "sallyport.conf:3: error: 'ports' in 'dataplane' is a group { }; it must be a list of groups; write "
         "ports = ( { "
         "... }, { ... } );\n"
         "sallyport.conf:3: error: 'workers' in 'dataplane' is 65; it must be from 1 to 64\n"},
        {LISTENERS UPSTREAMS "dataplane = { memory = \"99999999999999999999GiB\"; ports = ( ); };",
         "sallyport.conf:1: error: there is no port 'iot'; the ports are in 'dataplane'\n"
         "sallyport.conf:3: error: 'memory' in 'dataplane' is \"99999999999999999999GiB\"; the number is too "
         "large; write "
         "a smaller one\n"},
    };
    TRY(cases);
}

#define PORT(rest) "{ name = \"p\"; device = \"af_xdp:e0\"; address = \"192.0.2.1/24\"; " rest " }"
#define NETWORK(text)                                                                                        \
    LISTENERS UPSTREAMS "dataplane = { ports = ( { name = \"iot\"; device = \"af_xdp:eth1\"; vlan = 20; "    \
                        "address = \"10.20.0.1/22\"; }, { "                                                  \
                        "name = \"wan\"; device = \"af_xdp:eth2\"; address = \"10.30.0.1/24\"; },\n" text    \
                        ";};"

static void network(void)
{
    static const struct mistake cases[] = {
        {NETWORK(PORT("next_hop = \"192.0.3.1\";") ")"),
         "sallyport.conf:4: error: 'next_hop' of port 'p' is 192.0.3.1, which is not on the link "
         "(192.0.2.1/24); write the "
         "router's address there\n"},
        {NETWORK(PORT("next_hop = \"192.0.2.1\";") ")"), "sallyport.conf:4: error: 'next_hop' of port 'p' is "
                                                         "its own address 192.0.2.1; write the router's\n"},
        {NETWORK(PORT("next_hop = \"fd00::1\";") ")"),
         "sallyport.conf:4: error: 'next_hop' of port 'p' is fd00::1, which is not on the link "
         "(192.0.2.1/24); write the "
         "router's address there\n"},
        {NETWORK(PORT("next_hop = [ \"192.0.2.2\", \"192.0.2.3\" ];") ")"),
         "sallyport.conf:4: error: 'next_hop' is \"192.0.2.3\"; a port has one next hop for IPv4 and one for "
         "IPv6; remove "
         "one\n"},
        {NETWORK(PORT("next_hop = \"router\";") ")"),
         "sallyport.conf:4: error: 'next_hop' is \"router\"; it is not an "
         "address; write for example \"10.20.0.1\" or \"fd20::1\"\n"},
        {NETWORK("{ name = \"a\"; device = \"af_xdp:e0\"; address = \"192.0.2.1/24\"; next_hop = "
                 "\"192.0.2.2\"; },\n"
                 "{ name = \"b\"; device = \"af_xdp:e1\"; address = \"192.0.3.1/24\"; next_hop = "
                 "\"192.0.3.2\"; } )"),
         "sallyport.conf:5: error: 'next_hop' of port 'b' is a second default route; keep one, and write the "
         "other in "
         "'routes'\n"},
        {NETWORK("{ name = \"iot\"; device = \"af_xdp:e0\"; address = \"192.0.2.1/24\"; } )"),
         "sallyport.conf:4: error: there are two ports 'iot'; the first is on line 3; give one another "
         "name\n"},
        {NETWORK("{ name = \"p\"; device = \"af_xdp:eth1\"; vlan = 20; address = \"192.0.2.1/24\"; } )"),
         "sallyport.conf:4: error: port 'p' has the device and VLAN of port 'iot' (line 3); give it another "
         "'vlan'\n"},
        {NETWORK("{ name = \"p\"; device = \"af_xdp:eth2\"; address = \"192.0.2.1/24\"; } )"),
         "sallyport.conf:4: error: port 'p' has the device and VLAN of port 'wan' (line 3); give it another "
         "'vlan'\n"},
        {NETWORK("{ name = \"p\"; device = \"af_xdp:e0\"; address = [ \"10.20.1.1/24\", \"192.0.2.1/24\", "
                 "\"192.0.2.1/24\" ]; } "
                 ")"),
         "sallyport.conf:4: error: 10.20.1.1/24 of port 'p' overlaps 10.20.0.1/22 of port 'iot'; it would "
         "not be clear "
         "where to send; correct one\n"
         "sallyport.conf:4: error: 192.0.2.1/24 of port 'p' overlaps 192.0.2.1/24 of port 'p'; it would not "
         "be clear where "
         "to send; correct one\n"},
        {NETWORK("{ name = \"p\"; device = \"af_xdp:e0\"; address = [ \"192.0.2.0/24\", \"127.0.0.1/8\", "
                 "\"1.2.3.4\", "
                 "\"ff02::1/64\" ]; } )"),
         "sallyport.conf:4: error: 'address' is \"1.2.3.4\"; its prefix length is missing; write for example "
         "\"10.20.0.1/22\"\n"
         "sallyport.conf:4: error: 'address' is \"127.0.0.1/8\"; a loopback address is not reachable through "
         "a port\n"
         "sallyport.conf:4: error: 'address' is \"192.0.2.0/24\"; it is the address of the network itself\n"
         "sallyport.conf:4: error: 'address' is \"ff02::1/64\"; a multicast address belongs to no host\n"},
        {NETWORK(PORT("") "); routes = ( { to = \"10.40.0.1/16\"; via = \"192.0.2.9\"; port = \"p\"; },\n"
                          "{ to = \"10.41.0.0/16\"; via = \"192.0.3.9\"; port = \"p\"; },\n"
                          "{ to = \"fd40::/64\"; via = \"192.0.2.9\"; port = \"p\"; },\n"
                          "{ to = \"10.41.0.0/16\"; via = \"192.0.2.9\"; port = \"wann\"; },\n"
                          "{ to = \"10.42.0.0/16\"; via = \"x\"; }\n)"),
         "sallyport.conf:4: error: 'to' is 10.40.0.1/16, which has bits set behind its prefix; write "
         "\"10.40.0.0/16\"\n"
         "sallyport.conf:5: error: 'via' of a route over port 'p' is 192.0.3.9, which is not on the link "
         "(192.0.2.1/24); "
         "write the router's address there\n"
         "sallyport.conf:6: error: 'via' is not of the address family of 'to'; correct one\n"
         "sallyport.conf:7: error: there are two routes to 10.41.0.0/16; the first is on line 5; remove one\n"
         "sallyport.conf:7: error: there is no port 'wann'; did you mean 'wan'?\n"
         "sallyport.conf:8: error: 'port' is missing in route '10.42.0.0/16'; add port = \"wan\";\n"
         "sallyport.conf:8: error: 'via' is \"x\"; it is not an address; write for example \"10.20.0.1\" or "
         "\"fd20::1\"\n"},
    };
    TRY(cases);
}

static void devices(void)
{
    static const struct {
        const char *device;
        bool good;
    } cases[] = {
        {"pci:0000:3b:00.0", true},
        {"pci:3b:00.7", true},
        {"af_packet:eth1", true},
        {"af_xdp:sp-gw-iot", true},
        {"tap:sp0", true},
        {"ring:a_b.c-1", true},
        {"memif:id=0", true},
        {"pcap:in.pcap,out.pcap", true},
        {"eth1", false},
        {"pci:", false},
        {"pci:00:3b:00.1", false},
        {"pci:0000:3b:00.8", false},
        {"pci:0000:3b:00", false},
        {"pci:0000:3b:00.0,x=1", false},
        {"af_xdp:", false},
        {"af_xdp:averylongname_16", false},
        {"af_packet:a/b", false},
        {"af_packet:..", false},
        {"tap:a b", false},
        {"tap:a,b", false},
        {"ring:", false},
        {"ring:a,b", false},
        {"memif:", false},
        {"pcap:a b", false},
        {"PCI:0000:3b:00.0", false},
        {"vhost:x", false},
    };
    files();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[2048];
        snprintf(text, sizeof(text),
                 LISTENERS UPSTREAMS
                 "dataplane = { ports = ( { name = \"iot\"; device = \"%s\"; address = \"10.20.0.1/22\"; }, "
                 "{ name = \"wan\"; device = \"tap:w\"; address = \"10.30.0.1/24\"; } ); };",
                 cases[i].device);
        const char *told = told_of(text);
        if ((told[0] == '\0') != cases[i].good)
            fprintf(stderr, "  %s: %s", cases[i].device, told);
        CU_ASSERT_EQUAL(told[0] == '\0', cases[i].good);
        CU_ASSERT(cases[i].good ||
                  strncmp(told, "sallyport.conf:3: error: 'device' of port 'iot' is ", 50) == 0);
    }
    rig_end();
}

#define LISTENER(name, listen, rest)                                                                         \
    "{ name = \"" name "\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = \"" listen    \
    "\"; upstream = \"broker\"; " rest "}"

static void listeners(void)
{
    static const struct mistake cases[] = {
        {DATAPLANE UPSTREAMS
         "listeners = (" LISTENER("a", "any:1883", "") ",\n" LISTENER("a", ":1884", "") ");",
         "sallyport.conf:5: error: there are two listeners 'a'; the first is on line 4; give one another "
         "name\n"},
        {DATAPLANE UPSTREAMS
         "listeners = (" LISTENER("a", "any:1883", "") ",\n" LISTENER("b", "any:1883", "") ",\n" LISTENER(
             "c", ":1883", "") ",\n" LISTENER("d", ":1883",
                                              "") ",\n" LISTENER("e", "10.20.0.1:1883",
                                                                 "") ",\n" LISTENER("f", "10.20.0.1:1883",
                                                                                    "") ");",
         "sallyport.conf:5: error: listener 'b' and listener 'a' (line 4) both take port 1883 of 'iot'; give "
         "one another "
         "port or an address of its own\n"
         "sallyport.conf:7: error: listener 'd' and listener 'c' (line 6) both take port 1883 of 'iot'; give "
         "one another "
         "port or an address of its own\n"
         "sallyport.conf:9: error: listener 'f' and listener 'e' (line 8) both take port 1883 of 'iot'; give "
         "one another "
         "port or an address of its own\n"},
        {DATAPLANE UPSTREAMS
         "listeners = (" LISTENER("a", "1883", "") ",\n" LISTENER("b", "224.0.0.1:1883", "") ");",
         "sallyport.conf:4: error: 'listen' is \"1883\"; its port is missing; write for example \":1883\" or "
         "\"any:1883\"\n"
         "sallyport.conf:5: error: 'listen' of listener 'b': a multicast or reserved address belongs to no "
         "host; correct "
         "it\n"},
        {DATAPLANE UPSTREAMS
         "listeners = (" LISTENER("a", ":1883", "limits = { connects = \"0/s\"; sessions = -1; }; ") ");",
         "sallyport.conf:4: error: 'connects' in 'limits' of listener 'a' is \"0/s\"; nothing would ever "
         "pass; write a "
         "number above 0, or \"unlimited\"\n"
         "sallyport.conf:4: error: 'sessions' in 'limits' of listener 'a' is -1; it must be from 0 to "
         "1000000\n"},
        {DATAPLANE UPSTREAMS
         "listeners = ( { name = \"a\"; port = \"iott\"; protocol = \"mqtt\"; security = \"tls\"; listen = "
         "\":8883\"; auth = \"cert\"; upstream = \"brokr\"; } );",
         "sallyport.conf:3: warning: upstream 'broker' is named by no listener; remove it\n"
         "sallyport.conf:4: error: 'certificate' is missing in listener 'a'; clients verify the gateway by "
         "it; add "
         "certificate = \"FILE\"; there or in 'tls'\n"
         "sallyport.conf:4: error: 'client_ca' is missing in listener 'a'; clients are verified by it; add "
         "client_ca = \"FILE\"; there or in 'tls'\n"
         "sallyport.conf:4: error: 'key' is missing in listener 'a'; a certificate is of no use without its "
         "key; add "
         "key = \"FILE\"; there or in 'tls'\n"
         "sallyport.conf:4: error: there is no port 'iott'; did you mean 'iot'?\n"
         "sallyport.conf:4: error: there is no upstream 'brokr'; did you mean 'broker'?\n"},
        {DATAPLANE UPSTREAMS
         "listeners = ( { name = \"a\"; port = \"iot\"; protocol = \"mqtt\"; security = \"dtls\"; listen = "
         "\":8883\"; upstream = \"broker\"; } );",
         "sallyport.conf:4: error: listener 'a' speaks mqtt, which is secured by TLS; write security = "
         "\"tls\"\n"},
    };
    TRY(cases);
}

#define UPSTREAM(rest)                                                                                       \
    DATAPLANE LISTENERS                                                                                      \
        "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; servers = [ \"10.30.0.2:8883\" ]; " rest    \
        " } );"
#define TLS "security = \"tls\"; server_name = \"b\"; ca = \"tls/ca.pem\"; "

/* C5 */
static void shapes(void)
{
    static const struct mistake cases[] = {
        {UPSTREAM("security = \"none\";\nuser_name = \"${clientid}\";"),
         "sallyport.conf:5: error: unknown variable '${clientid}' in 'user_name' of upstream 'broker'; did "
         "you "
         "mean "
         "'${client_id}'?\n"},
        {UPSTREAM("security = \"none\";\nclient_id = \"${serial}\";"),
         "sallyport.conf:5: error: unknown variable '${serial}' in 'client_id' of upstream 'broker'; there "
         "are ${id} "
         "and ${client_id}\n"},
        {UPSTREAM("security = \"none\";\nclient_id = \"${id\";"),
         "sallyport.conf:5: error: 'client_id' of upstream 'broker' has '${' without a name and '}'; "
         "complete it\n"},
        {UPSTREAM("security = \"none\";\nmount = \"sites/7\";"),
         "sallyport.conf:5: error: 'mount' of upstream 'broker' is \"sites/7\"; a mount point ends with '/'; "
         "add it\n"},
        {UPSTREAM("security = \"none\";\nmount = \"$sites/\";"),
         "sallyport.conf:5: error: 'mount' of upstream 'broker' is \"$sites/\"; a mount point does not begin "
         "with "
         "'$'; choose another name\n"},
        {UPSTREAM("security = \"none\";\nmount = \"+/${id}/\";"),
         "sallyport.conf:5: error: 'mount' of upstream 'broker' is \"+/${id}/\"; a mount point holds no '+' "
         "or '#'; "
         "remove them\n"},
        {UPSTREAM("security = \"none\";\npassword_file = \"tls/gw.key\";"),
         "sallyport.conf:5: error: upstream 'broker' has a password and no user name, which MQTT 3.1.1 does "
         "not know; "
         "add user_name = \"${id}\";\n"},
        {UPSTREAM("security = \"none\";\nuser_name = \"x\"; password_file = \"tls/none\";"),
         "sallyport.conf:5: error: 'password_file' names tls/none; it cannot be read: No such file or "
         "directory; create "
         "it or correct its name\n"},
        {UPSTREAM("security = \"none\";\nmout = \"sites/7/\";"),
         "sallyport.conf:5: error: unknown setting 'mout' in upstream 'broker'; did you mean 'mount'?\n"},
    };
    TRY(cases);
}

/* J, traps part 3 */
static void clouds(void)
{
    static const struct mistake cases[] = {
        {UPSTREAM("security = \"none\";\nprofile = \"aws\";"),
         "sallyport.conf:4: error: upstream 'broker' is AWS IoT Core, which takes TLS only; write security = "
         "\"tls\";\n"},
        {UPSTREAM("security = \"none\";\nprofile = \"asure\";"),
         "sallyport.conf:5: error: 'profile' in upstream 'broker' is \"asure\", which it cannot be; did you "
         "mean "
         "\"azure\"?\n"},
        {UPSTREAM(TLS "\nprofile = \"aws\";"), "sallyport.conf:5: error: upstream 'broker' shows AWS IoT "
                                               "Core neither a certificate nor a user name; add "
                                               "'certificate' and 'key'\n"},
        {UPSTREAM(TLS "\nprofile = \"azure\";"), "sallyport.conf:5: error: upstream 'broker' shows Azure IoT "
                                                 "Hub neither a certificate nor a SAS token; add "
                                                 "'certificate' and 'key', or 'password_file'\n"},
        {UPSTREAM(TLS "certificate = \"tls/devices/${id}.pem\"; key = \"tls/devices/${id}.key\";\nprofile = "
                      "\"azure\"; "
                      "user_name = \"${id}\";"),
         "sallyport.conf:5: error: 'user_name' of upstream 'broker' is not "
         "HUB/DEVICE/?api-version=2021-04-12, which "
         "Azure IoT Hub wants; remove it, it is made so by itself\n"},
        {UPSTREAM(TLS "certificate = \"tls/devices/${id}.pem\"; key = \"tls/devices/${id}.key\";\nprofile = "
                      "\"azure\"; "
                      "mount = \"sites/\";"),
         "sallyport.conf:5: error: 'mount' of upstream 'broker' is \"sites/\"; Azure IoT Hub takes topics "
         "below "
         "devices/ only; write mount = \"devices/${id}/messages/events/\"; or remove it\n"},
    };
    TRY(cases);
}

static void upstreams(void)
{
    static const struct mistake cases[] = {
        {UPSTREAM("security = \"tls\";"), "sallyport.conf:4: error: 'ca' is missing in upstream 'broker'; "
                                          "the server could not be verified; add ca = "
                                          "\"FILE\";\n"
                                          "sallyport.conf:4: error: 'server_name' is missing in upstream "
                                          "'broker'; the server's certificate could not be "
                                          "compared with a name; add server_name = \"NAME\";\n"},
        {UPSTREAM("security = \"tls\"; server_name = \"b\"; ca = \"tls/none.pem\";"),
         "sallyport.conf:4: error: 'ca' names tls/none.pem; it cannot be read: No such file or directory; "
         "create it or "
         "correct its name\n"},
        {UPSTREAM("security = \"tls\"; server_name = \"b\"; ca = \"tls\";"),
         "sallyport.conf:4: error: 'ca' names tls; it is a directory; a regular file is needed here\n"},
        {UPSTREAM("security = \"none\"; ca = \"tls/ca.pem\";\nmin_version = \"1.2\"; psk_id = \"x\";"),
         "sallyport.conf:4: error: 'ca' in upstream 'broker' has no use with security = \"none\"; remove it "
         "or change "
         "'security'\n"
         "sallyport.conf:5: error: 'min_version' in upstream 'broker' has no use with security = \"none\"; "
         "remove it or "
         "change 'security'\n"
         "sallyport.conf:5: error: 'psk_id' in upstream 'broker' has no use with security = \"none\"; remove "
         "it or change "
         "'security'\n"},
        {UPSTREAM(TLS "certificate = \"tls/gw.pem\";"),
         "sallyport.conf:4: error: upstream 'broker' has 'certificate' but no 'key'; add it\n"},
        {UPSTREAM(TLS "certificate = \"tls/gw.pem\"; key = \"tls/gw.key\";"), /* B3 */
         "sallyport.conf:4: warning: upstream 'broker' shows one certificate for all devices; none can be "
         "revoked alone; "
         "write ${id} in 'certificate' and 'key'\n"},
        {UPSTREAM(TLS "certificate = \"tls/gw.pem\"; key = \"tls/open.key\";"), /* C5 */
         "sallyport.conf:4: warning: 'key' names tls/open.key, which every user of this machine can reach; "
         "chmod o= it\n"
         "sallyport.conf:4: warning: upstream 'broker' shows one certificate for all devices; none can be "
         "revoked alone; "
         "write ${id} in 'certificate' and 'key'\n"},
        {UPSTREAM(TLS "certificate = \"tls/devices/${id}.pem\";\nkey = \"tls/gw.key\";"),
         "sallyport.conf:5: error: of 'certificate' and 'key' in upstream 'broker' only one holds ${id}; a "
         "key belongs to "
         "one certificate; write ${id} in both\n"},
        {UPSTREAM(TLS "certificate = \"tls/dev/${id}.pem\";\nkey = \"tls/ca.pem/${id}.key\";"),
         "sallyport.conf:4: error: 'certificate' needs the directory tls/dev/; No such file or directory; "
         "create it with a "
         "file for each device\n"
         "sallyport.conf:5: error: 'key' needs the directory tls/ca.pem/; Not a directory; create it with a "
         "file for each "
         "device\n"},
        {UPSTREAM(TLS "certificate = \"tls/devices/${user}.pem\";\nkey = \"tls/devices/%s/${id}\";"),
         "sallyport.conf:4: error: 'certificate' is \"tls/devices/${user}.pem\"; the only variable here is "
         "${id}\n"
         "sallyport.conf:5: error: 'key' is \"tls/devices/%s/${id}\"; a file name with a variable holds no "
         "'%'; rename "
         "it\n"},
        {UPSTREAM(TLS
                  "min_version = \"1.1\"; alpn = \"a,b\"; connect_timeout = \"10ms\"; resumption = \"yes\";"),
         "sallyport.conf:4: error: 'alpn' is \"a,b\"; a protocol name holds no ','; write [ \"one\", "
         "\"other\" ]\n"
         "sallyport.conf:4: error: 'connect_timeout' in upstream 'broker' is \"10ms\"; it must be from 100ms "
         "to 5m\n"
         "sallyport.conf:4: error: 'min_version' in upstream 'broker' is \"1.1\", which it cannot be; did "
         "you mean "
         "\"1.3\"?\n"
         "sallyport.conf:4: error: 'resumption' in upstream 'broker' is text in quotes; it must be true or "
         "false; write "
         "resumption = true;\n"},
        {UPSTREAM("security = \"dtls\";"), "sallyport.conf:4: error: upstream 'broker' speaks mqtt, which is "
                                           "secured by TLS; write security = \"tls\"\n"},
        {UPSTREAM(TLS "check = \"mqtt-ping\"; certificate = \"tls/devices/${id}.pem\";\n"
                      "key = \"tls/devices/${id}.key\";"),
         "sallyport.conf:4: error: the certificate for checks of upstream 'broker' cannot be read: "
         "tls/devices/sallyport-check.pem: No such file or directory; issue one, name another "
         "'check_id', or write check = \"tcp\"\n"
         "sallyport.conf:4: error: the key for checks of upstream 'broker' cannot be read: "
         "tls/devices/sallyport-check.key: No such file or directory; issue one, name another "
         "'check_id', or write check = \"tcp\"\n"},
        {UPSTREAM("security = \"none\"; check = \"tls\"; check_id = \"a/b\"; balance = \"robin\";"),
         "sallyport.conf:4: error: 'balance' in upstream 'broker' is \"robin\", which it cannot be; write "
         "one "
         "of \"order\", \"round-robin\"\n"
         "sallyport.conf:4: error: 'check_id' of upstream 'broker' holds a '/', which no name of a device "
         "does; remove it\n"
         "sallyport.conf:4: error: upstream 'broker' has no TLS to check; write check = \"tcp\" or "
         "\"mqtt-ping\"\n"},
        {UPSTREAM("security = \"none\"; dials = 70000;"),
         "sallyport.conf:4: error: 'dials' in upstream 'broker' is 70000; it must be from 0 to 65535\n"},
        {UPSTREAM("security = \"none\"; check = \"none\"; check_fall = 3; check_interval = \"100ms\";"),
         "sallyport.conf:4: error: 'check_fall' in upstream 'broker' has no use with check = \"none\"; "
         "remove "
         "it or change 'check'\n"
         "sallyport.conf:4: error: 'check_interval' in upstream 'broker' has no use with check = \"none\"; "
         "remove it or change 'check'\n"
         "sallyport.conf:4: error: 'check_interval' in upstream 'broker' is \"100ms\"; it must be from 500ms "
         "to 1h\n"},
        {UPSTREAM("security = \"none\"; check = \"coap-ping\";"),
         "sallyport.conf:4: error: 'check' is \"coap-ping\"; servers of CoAP are not "
         "checked in this version; write \"none\"\n"},
        {DATAPLANE LISTENERS
         "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; servers = [ "
         "\"10.30.0.2:1883\", \"10.30.0.2:1883\", \"broker:1883\", \"[fd99::1]:1883\", \"10.20.0.1:1\" ]; "
         "},\n{ name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; servers = [ \"10.30.0.3\" ]; } "
         ");",
         "sallyport.conf:4: error: 'servers' is \"broker:1883\"; it is not an address and a port; write for "
         "example "
         "\"10.30.0.2:8883\" or \"[fd30::2]:8883\"\n"
         "sallyport.conf:4: error: no port leads to server fd99::1 of upstream 'broker'; add a 'next_hop' to "
         "a port, or a "
         "route\n"
         "sallyport.conf:4: error: server 10.20.0.1 of upstream 'broker' is the gateway itself; write the "
         "server's "
         "address\n"
         "sallyport.conf:4: error: server 10.30.0.2 port 1883 is twice in upstream 'broker'; remove one\n"
         "sallyport.conf:5: error: 'servers' is \"10.30.0.3\"; its port is missing; write for example "
         "\"10.30.0.2:8883\"\n"
         "sallyport.conf:5: error: there are two upstreams 'broker'; the first is on line 4; give one "
         "another name\n"
         "sallyport.conf:5: warning: upstream 'broker' is named by no listener; remove it\n"},
    };
    TRY(cases);
}

/* C5: keys of devices that anybody may read, unless nobody gets into their directory. */
static void keys_of_devices(void)
{
    static const char text[] =
        UPSTREAM(TLS "certificate = \"tls/devices/${id}.pem\"; key = \"tls/devices/${id}.key\";");
    files();
    rig_write("tls/devices/a.pem", "x");
    rig_write("tls/devices/a.key", "x");
    rig_write("tls/devices/b.key", "x");
    rig_write("tls/devices/.key", "x");
    rig_directory("tls/devices/d.key");
    CU_ASSERT_EQUAL_FATAL(chmod(rig_path("tls/devices"), 0755), 0);
    CU_ASSERT_EQUAL_FATAL(chmod(rig_path("tls/devices/a.pem"), 0644), 0);
    CU_ASSERT_EQUAL_FATAL(chmod(rig_path("tls/devices/.key"), 0644), 0);
    rig_expect("closed", told_of(text), "");
    CU_ASSERT_EQUAL_FATAL(chmod(rig_path("tls/devices/b.key"), 0644), 0);
    rig_expect("one open", told_of(text),
               "sallyport.conf:4: warning: every user of this machine can read 1 of the files of 'key' in "
               "tls/devices/, such "
               "as b.key; chmod o= them\n");
    CU_ASSERT_EQUAL_FATAL(chmod(rig_path("tls/devices"), 0700), 0);
    rig_expect("nobody gets there", told_of(text), "");
    rig_end();
}

#define UPSTREAMS_COAP(rest)                                                                                 \
    "upstreams = ( { name = \"broker\"; protocol = \"coap\"; servers = [ \"10.30.0.2:5684\" ]; " rest " } "  \
    ");"

#define LISTENER_COAP(rest)                                                                                  \
    "listeners = ( { name = \"coap\"; port = \"iot\"; protocol = \"coap\"; security = \"none\"; listen = "   \
    "\":5683\"; upstream = \"up\"; " rest " } );\n"
#define UPSTREAM_COAP(rest)                                                                                  \
    "upstreams = ( { name = \"up\"; protocol = \"coap\"; security = \"none\"; servers = [ "                  \
    "\"10.30.0.2:5683\" ]; " rest " } );\n"

/* What only CoAP has: prefixes, groups, proxies, the cache, NSTART and PROBING_RATE (E1, E3, E5, E6). */
static void coap_settings(void)
{
    files();
    rig_write(
        "sallyport.conf",
        DATAPLANE LISTENER_COAP("multicast = \"answer\"; proxy = [ \"coap.example\", \"[fd30::2]:61616\" ]; "
                                "prefix = { v4 = 25; requests = \"5/s\"; exchanges = 7; observations = 8; "
                                "over = \"drop\"; };")
            UPSTREAM_COAP("cache = \"1MiB\"; nstart = 4; probing = \"2B/s burst 3KiB\";"));
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *c = gateway_config_read(rig_path("sallyport.conf"), d);
    rig_expect("coap settings", rig_told(d), "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    const struct config_listener *l = &c->listeners[0];
    CU_ASSERT_TRUE(l->multicast && l->proxy_n == 2);
    CU_ASSERT_STRING_EQUAL(l->proxy[1], "[fd30::2]:61616");
    CU_ASSERT_TRUE(l->prefix.v4_bits == 25 && l->prefix.v6_bits == 64 && l->prefix.exchanges == 7 &&
                   l->prefix.observations == 8 && l->prefix.rates.over == POLICY_DROP);
    CU_ASSERT_EQUAL(l->prefix.rates.of[RATE_REQUESTS][0].amount, 5);
    CU_ASSERT_FALSE(rates_limit(&l->prefix.rates, RATE_BYTES));
    const struct config_upstream *u = &c->upstreams[0];
    CU_ASSERT_TRUE(u->cache_bytes == 1 << 20 && u->nstart == 4);
    CU_ASSERT_TRUE(u->probing.amount == 2 && u->probing.burst == 3072);
    gateway_config_destroy(c);
    diagnostics_destroy(d);
    CU_ASSERT(strstr(told_of(DATAPLANE LISTENER_COAP("limits = { connects = \"1/s\"; };") UPSTREAM_COAP("")),
                     "'limits' in listener 'coap' has no use with protocol = \"coap\"") != NULL);
    CU_ASSERT(strstr(told_of(DATAPLANE LISTENER_COAP("proxy = \"coap://x/\"; multicast = \"no\";")
                                 UPSTREAM_COAP("nstart = 0; cache = \"64MiB\";")),
                     "'proxy' is \"coap://x/\"; write a host, or a host and a port; for example "
                     "\"coap.example:5683\"\n") != NULL);
}

/* CoAP reads into the structures, and is refused in one place until its relay is there. */
static void coap(void)
{
    files();
    rig_write("tls/devices.psk", "x");
    rig_write(
        "sallyport.conf", DATAPLANE
        "listeners = ( { name = \"coap\"; port = \"iot\"; protocol = \"coap\"; security = \"none\"; listen = "
        "\"any:5683\"; upstream = \"coap\"; } );\n"
        "upstreams = ( { name = \"coap\"; protocol = \"coap\"; security = \"dtls\"; servers = [ "
        "\"10.30.0.2:5684\" ]; psk_id = \"${id}\"; psk_file = \"tls/devices.psk\"; } );");
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *c = gateway_config_read(rig_path("sallyport.conf"), d);
    rig_expect(
        "coap", rig_told(d),
        feature_present(FEATURE_COAP)
            ? ""
            : "sallyport.conf:3: error: listener 'coap' is refused; CoAP is not in this version; remove it\n"
              "sallyport.conf:4: error: upstream 'coap' is refused; CoAP is not in this version; remove "
              "it\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(c->listeners[0].protocol, CONFIG_COAP);
    CU_ASSERT_EQUAL(c->upstreams[0].security, CONFIG_SECURITY_DTLS);
    CU_ASSERT_STRING_EQUAL(c->upstreams[0].psk_id, "${id}");
    CU_ASSERT_STRING_EQUAL(c->upstreams[0].psk_file, rig_path("tls/devices.psk"));
    gateway_config_destroy(c);
    diagnostics_destroy(d);
    /* E8: CoAP devices may be served from a broker; MQTT devices from nothing else. */
    CU_ASSERT(strstr(told_of(DATAPLANE UPSTREAMS
                             "listeners = ( { name = \"a\"; port = \"iot\"; protocol = \"coap\"; security = "
                             "\"none\"; listen = \":5683\"; upstream = \"broker\"; } );"),
                     "upstream") == NULL);
    CU_ASSERT(
        strstr(told_of(DATAPLANE LISTENERS UPSTREAMS_COAP("security = \"none\";")),
               "listener 'mqtt' speaks mqtt, but upstream 'broker' speaks coap; name another upstream\n") !=
        NULL);
    CU_ASSERT(
        strstr(told_of(DATAPLANE LISTENERS UPSTREAMS_COAP("security = \"dtls\"; psk_id = \"x\";")),
               "'psk_file' is missing in upstream 'broker'; a PSK needs both 'psk_id' and 'psk_file'\n") !=
        NULL);
    CU_ASSERT(
        strstr(told_of(DATAPLANE LISTENERS UPSTREAMS_COAP("security = \"tls\";")),
               "upstream 'broker' speaks coap, which is secured by DTLS; write security = \"dtls\"\n") !=
        NULL);
    CU_ASSERT(
        strstr(
            told_of(DATAPLANE LISTENERS UPSTREAMS_COAP(
                "security = \"dtls\"; psk_id = \"x\"; psk_file = \"tls/devices.psk\"; ca = \"tls/ca.pem\";")),
            "upstream 'broker' has a PSK and certificates; keep one\n") != NULL);
    rig_end();
}

/* B3: toward brokers too, a key for each device. */
static void psk_upstream(void)
{
    static const char one[] =
        "sallyport.conf:4: warning: upstream 'broker' shows one PSK for all devices; none can "
        "be revoked alone; write ${id} in 'psk_id'\n";
    static const struct mistake cases[] = {
        {UPSTREAM("security = \"tls\"; psk_id = \"${id}\"; psk_file = \"tls/gw.key\";"), ""},
        {UPSTREAM(
             "security = \"tls\"; psk_id = \"gw-${id}\"; psk_file = \"tls/gw.key\"; min_version = \"1.2\"; "
             "server_name = \"b\"; resumption = false;"),
         ""},
        {UPSTREAM("security = \"tls\"; psk_id = \"${id}\"; psk_file = \"tls/gw.key\"; resumption = true;"),
         "sallyport.conf:4: warning: 'resumption' in upstream 'broker' has no effect beside 'psk_file'; "
         "remove "
         "it\n"},
        {UPSTREAM("security = \"tls\"; psk_id = \"gw\"; psk_file = \"tls/gw.key\";"), one},
        {UPSTREAM("security = \"tls\"; psk_id = \"${user}\"; psk_file = \"tls/gw.key\";"),
         "sallyport.conf:4: error: 'psk_id' is \"${user}\"; the only variable here is ${id}, once\n"},
        {UPSTREAM("security = \"tls\"; psk_id = \"${id}${id}\"; psk_file = \"tls/gw.key\";"),
         "sallyport.conf:4: error: 'psk_id' is \"${id}${id}\"; the only variable here is ${id}, once\n"},
        {UPSTREAM("security = \"tls\"; psk_id = \"${id}\";"),
         "sallyport.conf:4: error: 'psk_file' is missing in upstream 'broker'; a PSK needs both 'psk_id' and "
         "'psk_file'\n"},
        {UPSTREAM("security = \"tls\"; psk_id = \"${id}\"; psk_file = \"tls/gw.key\"; crl = \"tls/ca.pem\";"),
         "sallyport.conf:4: error: upstream 'broker' has a PSK and certificates; keep one\n"},
        {UPSTREAM("security = \"tls\"; psk_id = \"${id}\"; psk_file = \"tls/gw.key\"; ocsp = \"required\";"),
         "sallyport.conf:4: error: upstream 'broker' has a PSK and certificates; keep one\n"},
    };
    TRY(cases);
}

#define COAPS(rest)                                                                                          \
    DATAPLANE "listeners = ( { name = \"coaps\"; port = \"iot\"; protocol = \"coap\"; security = \"dtls\"; " \
              "listen = \":5684\"; upstream = \"broker\"; " rest " } );\n" UPSTREAMS_COAP("security = "      \
                                                                                          "\"none\";")
#define SOME_PIN "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* B2, B4, C1: what clients of a DTLS listener are told by. */
static void dtls_listeners(void)
{
    static const struct {
        const char *text;
        const char *told;
    } rows[] = {
        {COAPS(""), "listener 'coaps' could tell no client by anything; add 'psk_file', or 'certificate', "
                    "'key' and 'client_ca'\n"},
        {COAPS("auth = \"psk\";"), "'psk_file' is missing in listener 'coaps'; it holds the clients' keys"},
        {COAPS("auth = \"cert\"; psk_file = \"tls/probes.psk\";"),
         "'psk_file' in listener 'coaps' is of no use with its 'auth'; remove it\n"},
        {COAPS("psk_file = \"tls/probes.psk\"; client_ca = \"tls/ca.pem\";"),
         "'certificate' is missing in listener 'coaps'; clients verify the gateway by it"},
        {COAPS("certificate = \"tls/ca.pem\"; key = \"tls/ca.pem\";"),
         "'client_ca' is missing in listener 'coaps'; clients are verified by it"},
        {COAPS("psk_file = \"tls/nothing.psk\";"), "'psk_file' names tls/nothing.psk; "},
        {COAPS("psk_file = \"tls/${id}.psk\";"), "'psk_file' in listener 'coaps' holds a variable"},
        {COAPS("psk_file = \"tls/probes.psk\"; pin = \"" SOME_PIN "\";"),
         "'pin' in listener 'coaps' is of no use with its 'auth'; remove it, or add \"cert\" there\n"},
        {COAPS("psk_file = \"tls/probes.psk\"; pin = \"sha1/x\";"), "'pin' is \"sha1/x\"; a pin is "},
        {DATAPLANE LISTENERS UPSTREAMS_COAP(
             "security = \"dtls\"; psk_id = \"x\"; psk_file = \"tls/probes.psk\"; pin = \"" SOME_PIN "\";"),
         "upstream 'broker' has a PSK, and no certificate to pin; remove 'pin'\n"},
        {COAPS("psk_file = \"tls/probes.psk\"; dtls = \"1.1\";"),
         "'dtls' in listener 'coaps' is \"1.1\", which it cannot be; did you mean \"1.2\"?"},
        {DATAPLANE LISTENERS UPSTREAMS_COAP(
             "security = \"dtls\"; psk_id = \"x\"; psk_file = \"tls/probes.psk\"; dtls = \"1.2-1.3\";"),
         "'dtls' in upstream 'broker' is \"1.2-1.3\", which it cannot be; "},
        {COAPS("psk_file = \"tls/probes.psk\"; connection_ids = true;"),
         "'connection_ids' in listener 'coaps' is of DTLS 1.3; write dtls = \"1.3\", or remove it\n"},
        {DATAPLANE LISTENERS UPSTREAMS_COAP(
             "security = \"dtls\"; psk_id = \"x\"; psk_file = \"tls/probes.psk\"; connection_ids = true;"),
         "'connection_ids' in upstream 'broker' is of DTLS 1.3; "},
        {DATAPLANE LISTENERS UPSTREAMS_COAP("security = \"none\"; dtls = \"1.3\";"),
         "'dtls' in upstream 'broker' has no use with security = \"none\"; remove "},
        {COAPS("psk_file = \"tls/probes.psk\"; auth = \"pks\";"),
         "write \"cert\", \"psk\", \"password\" or \"anonymous\""},
    };
    files();
    rig_write("tls/probes.psk", "x");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strstr(told_of(rows[i].text), rows[i].told) == NULL)
            rig_expect(rows[i].text, told_of(rows[i].text), rows[i].told);
    rig_write(
        "sallyport.conf",
        COAPS("psk_file = \"tls/probes.psk\"; certificate = \"tls/ca.pem\"; "
              "key = \"tls/ca.pem\"; client_ca = \"tls/ca.pem\"; crl = \"tls/ca.pem\"; pin = [ \"" SOME_PIN
              "\", \"" SOME_PIN "\" ]; dtls = \"1.2-1.3\"; connection_ids = true;"));
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *c = gateway_config_load(rig_path("sallyport.conf"), d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_EQUAL(c->listeners[0].auth, CONFIG_AUTH_CERT | CONFIG_AUTH_PSK);
    CU_ASSERT_STRING_EQUAL(c->listeners[0].psk_file, rig_path("tls/probes.psk"));
    CU_ASSERT_STRING_EQUAL(c->listeners[0].client_ca, rig_path("tls/ca.pem"));
    CU_ASSERT_STRING_EQUAL(c->listeners[0].pins, SOME_PIN "," SOME_PIN);
    CU_ASSERT_EQUAL(c->listeners[0].dtls, CONFIG_DTLS_BOTH);
    CU_ASSERT_TRUE(c->listeners[0].connection_ids);
    CU_ASSERT_EQUAL(c->upstreams[0].dtls, CONFIG_DTLS_1_2);
    CU_ASSERT_FALSE(c->upstreams[0].connection_ids);
    gateway_config_destroy(c);
    diagnostics_destroy(d);
    rig_end();
}

static void capacities(void)
{
    static char text[64 * 1024];
    size_t used = 0;
    files();
    used += (size_t)sprintf(text, LISTENERS UPSTREAMS "dataplane = { ports = ( ");
    for (unsigned int i = 0; i <= GATEWAY_INTERFACES_MAX; i++)
        used += (size_t)sprintf(
            text + used,
            "%s{ name = \"%s%u\"; device = \"tap:t0\"; vlan = %u; address = \"10.%u.0.1/24\"; }\n",
            i == 0 ? "" : ", ", i == 0 ? "iot" : "p", i, i + 1, i + 20);
    sprintf(text + used, "); };");
    CU_ASSERT(strstr(told_of(text),
                     "sallyport.conf:19: error: there are more than 16 ports; remove some\n") != NULL);
    used = (size_t)sprintf(text, LISTENERS UPSTREAMS "dataplane = { ports = ( ");
    for (unsigned int i = 0; i <= GATEWAY_PORTS_MAX; i++)
        used += (size_t)sprintf(text + used,
                                "%s{ name = \"p%u\"; device = \"tap:t%u\"; address = \"10.%u.0.1/24\"; }\n",
                                i == 0 ? "" : ", ", i, i, i + 20);
    sprintf(text + used, "); };");
    CU_ASSERT(strstr(told_of(text),
                     "sallyport.conf:11: error: there are more than 8 devices; remove some\n") != NULL);
    used = (size_t)sprintf(text, DATAPLANE UPSTREAMS "listeners = ( ");
    for (unsigned int i = 0; i <= GATEWAY_LISTENERS_MAX; i++)
        used += (size_t)sprintf(
            text + used,
            "%s{ name = \"l%u\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = \":%u\"; "
            "upstream = \"broker\"; }\n",
            i == 0 ? "" : ", ", i, i + 1);
    sprintf(text + used, ");");
    rig_expect("listeners", told_of(text),
               "sallyport.conf:68: error: there are more than 64 listeners; remove some\n");
    used = (size_t)sprintf(text, DATAPLANE LISTENERS
                           "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = "
                           "\"none\"; servers = [ ");
    for (unsigned int i = 0; i <= GATEWAY_SERVERS_MAX; i++)
        used += (size_t)sprintf(text + used, "%s\"10.30.0.%u:1\"", i == 0 ? "" : ", ", i + 2);
    sprintf(text + used, " ]; } );");
    rig_expect("servers", told_of(text),
               "sallyport.conf:4: error: 'servers' is \"10.30.0.10:1\"; an upstream has at most 8 servers; "
               "remove some\n");
    rig_end();
}

/* What the event log cannot do yet is not silently ignored. */
static void events(void)
{
    static const struct {
        const char *text;
        enum feature feature;
        const char *told;
        bool connect, all, topics;
    } cases[] = {
        {"events = { allowed = \"none\"; };\n", FEATURE_EVENT_QUIET,
         "sallyport.conf:1: warning: 'allowed' is \"none\"; leaving connections out of events is not in this "
         "version for MQTT, which acts as with \"connect\"\n",
         false, false, true},
        {"events = { allowed = \"all\"; };\n", FEATURE_EVENT_ALL,
         "sallyport.conf:1: warning: 'allowed' is \"all\"; an event for each allowed message is not in this "
         "version for MQTT, which acts as with \"connect\"\n",
         true, true, true},
        {"events = { topics = \"none\"; };\n", FEATURE_EVENT_TOPICS,
         "sallyport.conf:1: error: 'topics' is \"none\"; leaving topics out of events is not in this "
         "version; write "
         "\"full\"\n",
         true, false, false},
    };
    files();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[2048];
        snprintf(text, sizeof(text), "%s" DATAPLANE LISTENERS UPSTREAMS, cases[i].text);
        rig_write("sallyport.conf", text);
        struct diagnostics *d = diagnostics_create();
        struct gateway_config *c = gateway_config_read(rig_path("sallyport.conf"), d);
        rig_expect(cases[i].text, rig_told(d), feature_present(cases[i].feature) ? "" : cases[i].told);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        CU_ASSERT_EQUAL(c->events.allowed_connect, cases[i].connect);
        CU_ASSERT_EQUAL(c->events.allowed_all, cases[i].all);
        CU_ASSERT_EQUAL(c->events.topics_full, cases[i].topics);
        gateway_config_destroy(c);
        diagnostics_destroy(d);
    }
    rig_end();
}

/* G2: what a reload cannot change is named, each at its place; the rest says nothing. */
static void restart_only(void)
{
    static const char base[] = DATAPLANE LISTENERS UPSTREAMS;
    static const struct mistake cases[] = {
        {DATAPLANE LISTENERS UPSTREAMS, ""},
        {"events = { file = \"/tmp/x\"; }; gateway = { mode = \"observe\"; };\n" DATAPLANE LISTENERS
         "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; servers = [ "
         "\"10.30.0.3:1883\" ]; } );",
         ""},
        {"control = { socket = \"/x\"; };\n" LISTENERS UPSTREAMS
         "dataplane = { workers = 2;\nmemory = \"512MiB\";\nhugepages = \"no\";\nidle = \"poll\";\nlimits = "
         "{ connections = 5; "
         "};\nhandshake_threads = 2; record_crypto = \"ipsec-mb\";\neal = \"-v\";\nports = ( { name = "
         "\"iot\"; device = \"tap:a\"; address "
         "= \"10.30.0.1/22\"; } "
         ");\nroutes = ( { to = \"10.40.0.0/16\"; via = \"10.30.0.7\"; port = \"iot\"; } ); };",
         "sallyport.conf:1: warning: a new 'control.socket' needs a restart; until then the old one stays in "
         "force\n"
         "sallyport.conf:4: warning: a new 'dataplane.workers' needs a restart; until then the old one stays "
         "in force\n"
         "sallyport.conf:5: warning: a new 'dataplane.memory' needs a restart; until then the old one stays "
         "in force\n"
         "sallyport.conf:6: warning: a new 'dataplane.hugepages' needs a restart; until then the old one "
         "stays in force\n"
         "sallyport.conf:7: warning: a new 'dataplane.idle' needs a restart; until then the old one stays in "
         "force\n"
         "sallyport.conf:8: warning: a new 'dataplane.limits' needs a restart; until then the old one stays "
         "in force\n"
         "sallyport.conf:9: warning: a new 'dataplane.handshake_threads' needs a restart; until then the old "
         "one stays in "
         "force\n"
         "sallyport.conf:9: warning: a new 'dataplane.record_crypto' needs a restart; until then the old one "
         "stays in "
         "force\n"
         "sallyport.conf:10: warning: a new 'dataplane.eal' needs a restart; until then the old one stays in "
         "force\n"
         "sallyport.conf:11: warning: a new 'dataplane.ports' needs a restart; until then the old one stays "
         "in force\n"
         "sallyport.conf:12: warning: a new 'dataplane.routes' needs a restart; until then the old one stays "
         "in force\n"},
    };
    files();
    struct gateway_config *running = load_good(base);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gateway_config *next = load_good(cases[i].text);
        struct diagnostics *d = diagnostics_create();
        gateway_config_compare(running, next, d);
        rig_expect(cases[i].text, rig_told(d), cases[i].told);
        diagnostics_destroy(d);
        gateway_config_destroy(next);
    }
    gateway_config_destroy(running);
    rig_end();
}

/* A2, G2: interfaces are numbers to whoever runs: a listener stays on the port it names, wherever a new file
 * lists that port, and what needs a restart is as it was. */
static void ports_in_another_order(void)
{
#define IOT "{ name = \"iot\"; device = \"tap:a\"; address = \"10.20.0.1/22\"; }"
#define WAN "{ name = \"wan\"; device = \"tap:b\"; address = \"10.30.0.1/22\"; }"
#define NEW "{ name = \"new\"; device = \"tap:c\"; address = \"10.40.0.1/22\"; }"
#define SITE(ports, port)                                                                                    \
    "dataplane = { ports = ( " ports " ); };\n"                                                              \
    "listeners = ( { name = \"mqtt\"; port = \"" port                                                        \
    "\"; protocol = \"mqtt\"; security = \"none\"; listen = "                                                \
    "\"any:1883\"; upstream = \"broker\"; } );\n"                                                            \
    "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; servers = [ "              \
    "\"10.30.0.3:1883\" ]; } );\n"
    static const struct {
        const char *next, *told;
    } cases[] = {
        {SITE(IOT ", " WAN, "iot"), ""},
        {SITE(WAN ", " IOT, "iot"), ""},
        {SITE(NEW ", " WAN ", " IOT, "iot"), ""},
        {SITE(WAN ", " IOT, "wan"), "wan"},
        {SITE(NEW ", " WAN, "new"),
         "sallyport.conf:2: error: listener 'mqtt': port 'new' is not open; restart to open it, or use one "
         "that is\n"},
    };
    files();
    struct gateway_config *running = load_good(SITE(IOT ", " WAN, "iot"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gateway_config *next = load_good(cases[i].next);
        struct diagnostics *d = diagnostics_create();
        gateway_config_keep(running, next, d);
        CU_ASSERT_EQUAL(next->interfaces_n, 2);
        CU_ASSERT_EQUAL(next->devices_n, 2);
        for (uint32_t k = 0; k < 2; k++) {
            CU_ASSERT_STRING_EQUAL(next->interfaces[k].name, running->interfaces[k].name);
            CU_ASSERT_STRING_EQUAL(next->devices[k], running->devices[k]);
            CU_ASSERT_EQUAL(memcmp(next->interfaces[k].addresses, running->interfaces[k].addresses,
                                   sizeof(next->interfaces[k].addresses)),
                            0);
        }
        bool wan = strcmp(cases[i].told, "wan") == 0;
        if (wan || cases[i].told[0] == '\0')
            CU_ASSERT_EQUAL(next->listeners[0].interface, wan ? 1 : 0);
        rig_expect(cases[i].next, rig_told(d), wan ? "" : cases[i].told);
        diagnostics_destroy(d);
        gateway_config_destroy(next);
    }
    gateway_config_destroy(running);
    rig_end();
}

static void no_such_place(void)
{
    struct diagnostics *d = diagnostics_create();
    CU_ASSERT_PTR_NULL(gateway_config_load("/nonexistent/dir/sallyport.conf", d));
    CU_ASSERT_PTR_NULL(gateway_config_load("/nonexistent.conf", d));
    CU_ASSERT_PTR_NULL(gateway_config_load("", d));
    CU_ASSERT_PTR_NULL(gateway_config_load("/", d));
    CU_ASSERT_EQUAL(diagnostics_errors(d), 4);
    diagnostics_destroy(d);
}

#define TOWARD(rest)                                                                                         \
    DATAPLANE LISTENERS                                                                                      \
        "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; servers = [ \"10.30.0.2:8883\" ]; "         \
        "security = \"tls\"; ca = \"tls/ca.pem\"; server_name = \"x\"; " rest " } );"

/* B1, B3, B4: where keys come from, pinned keys, stapled status. */
static void identities(void)
{
    static const struct mistake cases[] = {
        {TOWARD(
             "bundle = \"tls/gw.key\"; key_password = \"tls/gw.key\"; ocsp = \"required\"; pin = \"" SOME_PIN
             "\";"),
         ""},
        {TOWARD("bundle = \"tls/gw.key\"; certificate = \"tls/gw.pem\"; key = \"tls/gw.key\";"),
         "sallyport.conf:4: error: upstream 'broker' has 'bundle' beside 'certificate' and 'key'; keep one "
         "or the "
         "other\n"},
        {TOWARD("key_password = \"tls/gw.key\";"), "sallyport.conf:4: error: 'key_password' in upstream "
                                                   "'broker' opens nothing; add 'key' or 'bundle', or remove "
                                                   "it\n"},
        {TOWARD("bundle = \"tls/open.key\";"), "sallyport.conf:4: warning: 'bundle' names tls/open.key, "
                                               "which every user of this machine can reach; chmod o= "
                                               "it\n"},
        {TOWARD("pin = \"sha256/AAAA\";"), "sallyport.conf:4: error: 'pin' is \"sha256/AAAA\"; a pin is "
                                           "\"sha256/\" and the base64 of a public key's "
                                           "SHA-256, 44 characters\n"},
        {TOWARD("ocsp_ask = { mode = \"hard\"; responder = \"https://ocsp.example/\"; };"),
         "sallyport.conf:4: error: 'responder' is \"https://ocsp.example/\"; a responder is "
         "http://HOST[:PORT][/PATH]; OCSP answers are signed, not encrypted\n"},
        {TOWARD("ocsp_ask = { mode = \"hard\"; responder = \"http://u@ocsp.example/\"; };"),
         "sallyport.conf:4: error: 'responder' is \"http://u@ocsp.example/\"; a responder is "
         "http://HOST[:PORT][/PATH]; OCSP answers are signed, not encrypted\n"},
        {TOWARD("ocsp = \"ask\";"),
         "sallyport.conf:4: error: 'ocsp' in upstream 'broker' is \"ask\", which it cannot be; "
         "write one of \"none\", \"stapled\", \"required\"\n"},
    };
    TRY(cases);
    files();
    struct gateway_config *config = load_good(
        TOWARD("pin = [ \"" SOME_PIN "\", \"" SOME_PIN "\" ]; ocsp = \"stapled\"; bundle = \"tls/gw.key\";"));
    CU_ASSERT_STRING_EQUAL(config->upstreams[0].pins, SOME_PIN "," SOME_PIN);
    CU_ASSERT_STRING_EQUAL(config->upstreams[0].bundle, rig_path("tls/gw.key"));
    CU_ASSERT_EQUAL(config->upstreams[0].stapling, 1);
    gateway_config_destroy(config);
    rig_end();
}

#define SECURE(rest)                                                                                         \
    DATAPLANE UPSTREAMS                                                                                      \
        "listeners = ( { name = \"a\"; port = \"iot\"; protocol = \"mqtt\"; security = \"tls\"; listen "     \
        "= \":8883\"; upstream = \"broker\"; " rest " } );"
#define OWN_PAIR "certificate = \"tls/gw.pem\"; key = \"tls/gw.key\"; "

/* A5, B4: what a TLS listener needs, its own or everybody's. */
static void secure_listeners(void)
{
    static const struct mistake cases[] = {
        {SECURE(OWN_PAIR), ""},
        {SECURE(
             OWN_PAIR
             "client_ca = \"tls/ca.pem\"; crl = \"tls/ca.pem\"; min_version = \"1.2\"; resumption = false;"),
         ""},
        {SECURE("") "\ntls = { " OWN_PAIR "};", ""},
        {SECURE("auth = \"cert\";") "\ntls = { " OWN_PAIR "client_ca = \"tls/ca.pem\"; };", ""},
        {SECURE("auth = \"cert\";") "\ntls = { " OWN_PAIR "client_ca = \"tls/absent.pem\"; };",
         "sallyport.conf:5: error: 'client_ca' names tls/absent.pem; it cannot be read: No such file or "
         "directory; "
         "create it or correct its name\n"},
        {SECURE("key = \"tls/gw.key\";") "\ntls = { " OWN_PAIR "};",
         "sallyport.conf:4: error: 'certificate' is missing in listener 'a'; clients verify the gateway by "
         "it; add "
         "certificate = \"FILE\"; there or in 'tls'\n"},
        /* C1: keys alone, beside certificates, and what makes no sense with them. */
        {SECURE("psk_file = \"tls/gw.key\";") "\ntls = { " OWN_PAIR "};", ""},
        {SECURE("auth = \"psk\"; psk_file = \"tls/gw.key\"; min_version = \"1.2\";"), ""},
        {SECURE("psk_file = \"tls/gw.key\"; client_ca = \"tls/ca.pem\";") "\ntls = { " OWN_PAIR "};", ""},
        {SECURE("auth = [ \"psk\", \"password\" ]; psk_file = \"tls/gw.key\";"), ""},
        {SECURE(OWN_PAIR "auth = [ \"psk\", \"password\" ]; psk_file = \"tls/gw.key\";"), ""},
        {SECURE("auth = \"psk\";"),
         "sallyport.conf:4: error: 'psk_file' is missing in listener 'a'; it holds "
         "the clients' keys; add psk_file = \"FILE\";\n"},
        {SECURE(OWN_PAIR "auth = \"psk\"; psk_file = \"tls/gw.key\";"),
         "sallyport.conf:4: error: listener 'a' has a certificate, but its 'auth' tells clients by their "
         "keys "
         "alone; remove it, or add \"cert\" or \"password\" there\n"},
        {SECURE(OWN_PAIR "auth = \"password\"; psk_file = \"tls/gw.key\";"),
         "sallyport.conf:4: error: 'psk_file' in listener 'a' is of no use with its 'auth'; remove it, or "
         "add "
         "\"psk\" there\n"},
        {SECURE("psk_file = \"tls/open.key\";"), "sallyport.conf:4: warning: 'psk_file' names tls/open.key, "
                                                 "which every user of this machine can reach; "
                                                 "chmod o= it\n"},
        {SECURE("psk_file = \"tls/absent.psk\";"),
         "sallyport.conf:4: error: 'psk_file' names tls/absent.psk; it cannot be read: No such file or "
         "directory; "
         "create it or correct its name\n"},
        {SECURE("certificate = \"tls/${id}.pem\"; key = \"tls/open.key\";"),
         "sallyport.conf:4: error: 'certificate' of listener 'a' holds a variable; write one file\n"
         "sallyport.conf:4: warning: 'key' names tls/open.key, which every user of this machine can reach; "
         "chmod o= "
         "it\n"},
        {SECURE(OWN_PAIR "crl = \"tls/ca.pem\";"), "sallyport.conf:4: error: 'crl' in listener 'a' is of no "
                                                   "use with its 'auth'; remove it, or add \"cert\" "
                                                   "there\n"},
        {DATAPLANE UPSTREAMS
         "listeners = ( { name = \"a\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
         "\":1883\"; upstream = \"broker\"; auth = \"cert\"; } );",
         "sallyport.conf:4: error: listener 'a' has no TLS, so that nobody can show a certificate; write "
         "security = "
         "\"tls\"\n"},
        {DATAPLANE UPSTREAMS
         "listeners = ( { name = \"a\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
         "\":1883\"; upstream = \"broker\"; auth = \"anonymous\"; } );",
         "sallyport.conf:4: error: listener 'a' lets clients without a user name in, but asks nobody for a "
         "password; write auth = [ \"password\", \"anonymous\" ], or remove \"anonymous\"\n"},
        {DATAPLANE UPSTREAMS
         "listeners = ( { name = \"a\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
         "\":1883\"; upstream = \"broker\"; auth = [ \"password\", \"anonymous\" ]; } );",
         ""},
    };
    TRY(cases);
    files();
    struct gateway_config *config = load_good(SECURE(
        "auth = \"cert\";") "\ntls = { " OWN_PAIR
                            "client_ca = \"tls/ca.pem\"; crl = \"tls/ca.pem\"; min_version = \"1.2\"; };");
    const struct config_listener *own = &config->listeners[0];
    CU_ASSERT_STRING_EQUAL(own->client_ca, rig_path("tls/ca.pem"));
    CU_ASSERT_STRING_EQUAL(own->crl, rig_path("tls/ca.pem"));
    CU_ASSERT_STRING_EQUAL(own->key, rig_path("tls/gw.key"));
    CU_ASSERT_TRUE(own->tls_1_2);
    CU_ASSERT_TRUE(own->resumption);
    CU_ASSERT_EQUAL(own->auth, CONFIG_AUTH_CERT);
    CU_ASSERT_EQUAL(own->handshakes_per_source, 64);
    gateway_config_destroy(config);
    /* Who is not asked is not asked because another listener is. */
    config = load_good(SECURE("") "\ntls = { " OWN_PAIR "client_ca = \"tls/ca.pem\"; };");
    CU_ASSERT_PTR_NULL(config->listeners[0].client_ca);
    CU_ASSERT_FALSE(config->listeners[0].tls_1_2);
    gateway_config_destroy(config);
    rig_end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"everything (A1, A2, A5, B1)", everything},
        {"defaults", defaults},
        {"keys and types (G1)", keys_and_types},
        {"network (A1, A6)", network},
        {"devices (A6)", devices},
        {"listeners (A2)", listeners},
        {"shapes (G1, C5)", shapes},
        {"clouds (G1, J)", clouds},
        {"upstreams (B1, B3)", upstreams},
        {"listeners with TLS (A5, B4)", secure_listeners},
        {"keys, pins and status of upstreams (B1, B3, B4)", identities},
        {"keys of devices (C5)", keys_of_devices},
        {"CoAP", coap},
        {"keys toward brokers (B1, B3)", psk_upstream},
        {"CoAP settings (E)", coap_settings},
        {"events (H2)", events},
        {"DTLS listeners (B2, B4)", dtls_listeners},
        {"capacities", capacities},
        {"restart only (G2)", restart_only},
        {"A2, G2: ports in another order", ports_in_another_order},
        {"no such place", no_such_place},
    };
    return unit_run("config/gateway_config", tests, sizeof(tests) / sizeof(tests[0]));
}
