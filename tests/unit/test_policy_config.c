/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/feature.h"
#include "config/policy_config.h"
#include "policy/access/identity.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#include <sys/resource.h>

static const char box[] = "dataplane = { ports = ( { name = \"iot\"; device = \"af_xdp:eth1\"; vlan = 20; "
                          "address = \"10.20.0.1/22\"; },\n"
                          "{ name = \"wan\"; device = \"af_xdp:eth2\"; address = \"10.30.0.1/24\"; } ); };\n"
                          "listeners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = "
                          "\"none\"; listen = \"any:1883\"; "
                          "upstream = \"broker\"; } );\n"
                          "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; "
                          "servers = [ \"10.30.0.2:1883\" ]; } );\n";

static void begin(void)
{
    rig_begin();
    rig_directory("policy.d");
    rig_write("sallyport.conf", box);
}

static struct snapshot *load(struct diagnostics *d, struct policy_summary *summary)
{
    struct gateway_config *gateway = gateway_config_load(rig_path("sallyport.conf"), d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(gateway);
    uint32_t before = diagnostics_errors(d);
    struct snapshot *snapshot = policy_config_load(rig_path("policy.d"), gateway, 7, d, summary);
    CU_ASSERT_EQUAL(snapshot == NULL, diagnostics_errors(d) != before);
    gateway_config_destroy(gateway);
    return snapshot;
}

static const char *told_of(const char *text)
{
    struct diagnostics *d = diagnostics_create();
    rig_write("policy.d/p.conf", text);
    struct snapshot *snapshot = load(d, NULL);
    const char *told = rig_told(d);
    if (snapshot != NULL)
        snapshot_destroy(snapshot);
    diagnostics_destroy(d);
    return told;
}

static struct snapshot *load_good(const char *text)
{
    struct diagnostics *d = diagnostics_create();
    rig_write("policy.d/p.conf", text);
    struct snapshot *snapshot = load(d, NULL);
    rig_expect("loads", rig_told(d), "");
    diagnostics_destroy(d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    return snapshot;
}

/* Every setting of a role, at the place it goes to. */
static void everything(void)
{
    begin();
    struct snapshot *s = load_good(
        "roles = ( { name = \"truck\"; match = { listener = \"mqtt\"; port = \"iot\"; vlan = 20; source = [ "
        "\"10.20.0.0/22\", "
        "\"fd20::/64\" ]; mac = \"00:1D:9C:*\"; client_id = \"truck-{serial:[0-9][0-9][0-9]}\"; };\n"
        "  id = \"t-${client_id}\"; client_id = \"truck-*\"; mode = \"observe\"; subscribe_mode = "
        "\"filter\"; payload = "
        "\"utf8\";\n"
        "  max_qos = 0; inflight = 5; queue = 6; will = \"required\"; refusal = \"disconnect\"; strings = "
        "\"strict\"; redirection = \"pass\"; response_topic = \"both\"; inflight_over = \"drop\"; "
        "release_timeout = \"90s\"; vars = { "
        "channel = "
        "\"stable\"; };\n"
        "  limits = { connects = \"6/min\"; publishes = \"20/s burst 60\"; bytes = \"64KiB/s\"; packet = "
        "\"16KiB\"; subscriptions "
        "= 8; sessions = 2; topic_levels = 9; topic_length = \"100B\"; user_properties = 3; keepalive = "
        "\"30s-10m\"; over = "
        "\"drop\"; };\n"
        "  rules = ( { id = \"truck.all\"; allow = [ \"publish\", \"subscribe\" ]; topic = "
        "\"f/${serial}/#\"; qos = [ 0, 1 ]; "
        "retain = false; will = true; payload = \"json\"; payload_max = \"4KiB\"; },\n"
        "   { id = \"truck.no\"; deny = \"publish\"; topic = \"f/${var.channel}/x\"; qos = 2; enforce = "
        "true; } ); } );\n"
        "devices = ( { id = \"t-truck-001\"; mac = \"00-1d-9c-00-00-01\"; address = [ \"10.20.0.17\", "
        "\"10.20.1.0/24\" ]; vars = { "
        "channel = \"canary\"; }; },\n"
        "  { id = \"t-truck-002\"; quarantine = \"stolen, INC-4411\"; } );\n");
    CU_ASSERT_EQUAL(snapshot_generation(s), 7);
    CU_ASSERT_EQUAL_FATAL(snapshot_roles(s), 1);
    const struct policy_role *r = snapshot_role(s, 0);
    CU_ASSERT_STRING_EQUAL(r->name, "truck");
    CU_ASSERT_STRING_EQUAL(r->file, "policy.d/p.conf");
    CU_ASSERT_EQUAL(r->line, 1);
    CU_ASSERT_EQUAL(r->mode, POLICY_OBSERVE);
    CU_ASSERT(r->subscribe_mode == ACL_FILTER_TRIM && r->payload_utf8);
    CU_ASSERT_EQUAL(r->max_qos, 0);
    CU_ASSERT_EQUAL(r->inflight, 5);
    CU_ASSERT_EQUAL(r->queue, 6);
    CU_ASSERT_EQUAL(r->will, POLICY_WILL_REQUIRED);
    CU_ASSERT_EQUAL(r->refusal, POLICY_REFUSE_DISCONNECT);
    CU_ASSERT(r->law.strict_strings && r->law.pass_redirection);
    CU_ASSERT_EQUAL(r->law.response_topic, POLICY_RESPONSE_BOTH);
    CU_ASSERT_EQUAL(r->law.over, POLICY_OVERRUN_DROP);
    CU_ASSERT_EQUAL(r->law.release_s, 90);
    const struct policy_limits *l = &r->limits;
    CU_ASSERT(l->rates.of[RATE_CONNECTS][0].amount == 6 &&
              l->rates.of[RATE_CONNECTS][0].period_us == 60000000 &&
              l->rates.of[RATE_CONNECTS][0].burst == 6);
    CU_ASSERT(l->rates.of[RATE_PUBLISHES][0].amount == 20 &&
              l->rates.of[RATE_PUBLISHES][0].period_us == 1000000 &&
              l->rates.of[RATE_PUBLISHES][0].burst == 60);
    CU_ASSERT(l->rates.of[RATE_BYTES][0].amount == 65536 && l->rates.of[RATE_BYTES][0].period_us == 1000000);
    CU_ASSERT_EQUAL(l->packet_bytes, 16384);
    CU_ASSERT_EQUAL(l->subscriptions, 8);
    CU_ASSERT_EQUAL(l->sessions, 2);
    CU_ASSERT_EQUAL(l->topic_levels, 9);
    CU_ASSERT_EQUAL(l->topic_bytes, 100);
    CU_ASSERT_EQUAL(l->user_properties, 3);
    CU_ASSERT_EQUAL(l->keepalive_min_s, 30);
    CU_ASSERT_EQUAL(l->keepalive_max_s, 600);
    CU_ASSERT_EQUAL(l->rates.over, POLICY_DROP);
    CU_ASSERT_EQUAL_FATAL(acl_rules(r->acl), 2);
    const struct acl_rule *rule = acl_rule_at(r->acl, 0);
    CU_ASSERT_STRING_EQUAL(rule->id, "truck.all");
    CU_ASSERT_STRING_EQUAL(rule->file, "policy.d/p.conf");
    CU_ASSERT_EQUAL(rule->line, 5);
    CU_ASSERT_EQUAL(rule->actions, (1 << ACL_PUBLISH) | (1 << ACL_SUBSCRIBE));
    CU_ASSERT_EQUAL(rule->qos_mask, 3);
    CU_ASSERT_EQUAL(rule->retain, 0);
    CU_ASSERT_EQUAL(rule->will, 1);
    CU_ASSERT_EQUAL(rule->payload, ACL_PAYLOAD_JSON);
    CU_ASSERT_EQUAL(rule->payload_max, 4096);
    CU_ASSERT(rule->allow && !rule->enforce);
    rule = acl_rule_at(r->acl, 1);
    CU_ASSERT(!rule->allow && rule->enforce);
    CU_ASSERT_EQUAL(rule->qos_mask, 4);
    CU_ASSERT_EQUAL(rule->retain, -1);
    CU_ASSERT_EQUAL(rule->will, -1);
    CU_ASSERT_EQUAL(snapshot_devices(s), 2);
    const struct policy_device *device = snapshot_device(s, bytes_of_text("t-truck-001"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(device);
    CU_ASSERT(device->has_mac && device->mac[1] == 0x1d && device->mac[5] == 1);
    CU_ASSERT_STRING_EQUAL(snapshot_device(s, bytes_of_text("t-truck-002"))->quarantine, "stolen, INC-4411");

    struct client_facts facts = {.listener = bytes_of_text("mqtt"),
                                 .port = bytes_of_text("iot"),
                                 .vlan = 20,
                                 .has_mac = true,
                                 .mac = {0x00, 0x1d, 0x9c, 0, 0, 1},
                                 .source = {[10] = 0xFF, [11] = 0xFF, [12] = 10, [13] = 20, [15] = 17},
                                 .client_id = bytes_of_text("truck-001")};
    struct identity who;
    CU_ASSERT_EQUAL(identity_resolve(s, &facts, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, "t-truck-001");
    facts.mac[0] = 2; /* mac = "00:1D:9C:*" was made lower case */
    CU_ASSERT_EQUAL(identity_resolve(s, &facts, &who), OUTCOME_NO_ROLE);
    facts.mac[0] = 0;
    facts.source[14] = 9; /* of no address of the device */
    CU_ASSERT_EQUAL(identity_resolve(s, &facts, &who), OUTCOME_NO_ROLE);
    snapshot_destroy(s);
    rig_end();
}

/* What is not written means the same as the defaults that -T prints. */
static void defaults(void)
{
    begin();
    struct snapshot *bare =
        load_good("roles = ( { name = \"a\"; match = { any = true; }; rules = ( { id = \"r\"; allow = "
                  "\"publish\"; topic = \"t\"; } ); } );");
    const struct policy_role *r = snapshot_role(bare, 0);
    CU_ASSERT_EQUAL(r->mode, POLICY_ENFORCE);
    CU_ASSERT(r->subscribe_mode == ACL_FILTER_COVER && !r->payload_utf8);
    CU_ASSERT_EQUAL(r->max_qos, 2);
    CU_ASSERT_EQUAL(r->inflight, 20);
    CU_ASSERT_EQUAL(r->queue, 100);
    CU_ASSERT_EQUAL(r->will, POLICY_WILL_OPTIONAL);
    CU_ASSERT_EQUAL(r->refusal, POLICY_REFUSE_ACKNOWLEDGE);
    CU_ASSERT(!r->law.strict_strings && !r->law.pass_redirection);
    CU_ASSERT_EQUAL(r->law.response_topic, POLICY_RESPONSE_SUBSCRIBE);
    CU_ASSERT_EQUAL(r->law.over, POLICY_OVERRUN_STANDARD);
    CU_ASSERT_EQUAL(r->law.release_s, 60);
    CU_ASSERT_EQUAL(r->limits.rates.of[RATE_CONNECTS][0].amount, 0); /* unlimited */
    CU_ASSERT_EQUAL(r->limits.packet_bytes, 262144);
    CU_ASSERT_EQUAL(r->limits.subscriptions, 64);
    CU_ASSERT_EQUAL(r->limits.sessions, 1);
    CU_ASSERT_EQUAL(r->limits.topic_levels, 32);
    CU_ASSERT_EQUAL(r->limits.topic_bytes, 1024);
    CU_ASSERT_EQUAL(r->limits.user_properties, 16);
    CU_ASSERT_EQUAL(r->limits.keepalive_min_s, 0);
    CU_ASSERT_EQUAL(r->limits.keepalive_max_s, 3600);
    CU_ASSERT_EQUAL(r->limits.rates.over, POLICY_DELAY);
    snapshot_destroy(bare);
    rig_end();
}

struct mistake {
    const char *text;
    const char *told;
};

static void try_all(const struct mistake *cases, size_t n)
{
    begin();
    for (size_t i = 0; i < n; i++)
        rig_expect(cases[i].text, told_of(cases[i].text), cases[i].told);
    rig_end();
}
#define TRY(cases) try_all(cases, sizeof(cases) / sizeof(cases[0]))

#define P "policy.d/p.conf:"
#define ROLE(text) "roles = ( { name = \"a\"; match = { any = true; };\n" text " } );"
#define RULE(text) ROLE("rules = ( { id = \"r\"; " text " } );")
#define OK_RULES "rules = ( { id = \"r\"; allow = \"publish\"; topic = \"t\"; } );"

/* C5, D10 */
static void last_will(void)
{
    static const struct mistake cases[] = {
        {ROLE("will = \"supplied\";" OK_RULES), P "1: error: role 'a' supplies a Will and does not say "
                                                  "which; add last_will = { topic = \"...\"; payload = "
                                                  "\"...\"; };\n"},
        {ROLE("will = \"required\"; last_will = { topic = \"t\"; };" OK_RULES),
         P "2: error: 'last_will' of role 'a' is never used; write will = \"supplied\"; or remove it\n"},
        {ROLE("last_will = { topic = \"t\"; };" OK_RULES),
         P "2: error: 'last_will' of role 'a' is never used; write will = \"supplied\"; or remove it\n"},
        {ROLE("will = \"supplied\";\nlast_will = { payload = \"x\"; };" OK_RULES),
         P "3: error: 'topic' is missing in 'last_will' of role 'a'; add topic = "
           "\"trucks/${client_id}/status\";\n"},
        {ROLE("will = \"supplied\";\nlast_will = { topic = \"t/#\"; };" OK_RULES),
         P "3: error: the topic of 'last_will' of role 'a' is \"t/#\"; a topic is not empty and holds no '+' "
           "or "
           "'#'\n"},
        {ROLE("will = \"supplied\"; max_qos = 0;\nlast_will = { topic = \"t\"; qos = 1; };" OK_RULES),
         P "3: error: 'last_will' of role 'a' has QoS 1, above its max_qos 0; lower it\n"},
        {ROLE("will = \"supplied\";\nlast_will = { topic = \"t/${clientid}\"; };" OK_RULES),
         P "3: error: unknown variable '${clientid}' in 'last_will'; did you mean '${client_id}'?\n"},
        {ROLE("will = \"supplied\";\nlast_will = { topic = \"t\"; payload = \"${\"; };" OK_RULES),
         P "3: error: '${' without a name and '}' in 'last_will' of role 'a'; write it as in ${client_id}\n"},
        {ROLE("will = \"suplied\";" OK_RULES),
         P "2: error: 'will' in role 'a' is \"suplied\", which it cannot be; did you mean \"supplied\"?\n"},
    };
    TRY(cases);
    begin();
    struct snapshot *s =
        load_good(ROLE("will = \"supplied\"; last_will = { topic = \"t/${id}\"; payload = \"x\"; "
                       "qos = 1; retain = true; delay = \"5s\"; };" OK_RULES));
    const struct policy_role *r = snapshot_role(s, 0);
    CU_ASSERT_EQUAL(r->will, POLICY_WILL_SUPPLIED);
    CU_ASSERT_STRING_EQUAL(r->last_will.topic, "t/${id}");
    CU_ASSERT_STRING_EQUAL(r->last_will.payload, "x");
    CU_ASSERT(r->last_will.qos == 1 && r->last_will.retain && r->last_will.delay_s == 5);
    CU_ASSERT_EQUAL_FATAL(r->variables_n, 1);
    CU_ASSERT_STRING_EQUAL(r->variables[0], "id");
    snapshot_destroy(s);
    rig_end();
}

/* J, traps part 3: what a cloud does not take is told where it is allowed. */
static void clouds(void)
{
    static const struct {
        const char *profile, *text, *told;
    } cases[] = {
        {"aws",
         ROLE("max_qos = 2; limits = { subscriptions = 50; keepalive = \"30s-1177s\"; }; rules = ( { id = "
              "\"r\"; allow = \"publish\"; topic = \"t\"; } );"),
         P "1: warning: role 'a' allows QoS 2; AWS IoT Core (upstream 'broker') takes 1, and the role is "
           "held to it; "
           "write max_qos = 1;\n"},
        {"aws",
         ROLE("max_qos = 1; limits = { subscriptions = 50; keepalive = \"30s-1177s\"; }; rules = ( { id = "
              "\"r\"; allow = \"publish\"; topic = \"a/b/c/d/e/f/g/h/i\"; } );"),
         P "2: warning: rule 'r' has a topic of 8 slashes at upstream 'broker'; AWS IoT Core takes 7, so it "
           "is refused; "
           "shorten it\n"},
        {"aws",
         ROLE("max_qos = 1; inflight = 200; limits = { publishes = \"200/s\"; subscriptions = 50; keepalive "
              "= \"30s-20m\"; };\nrules = ( { id = \"r\"; "
              "allow = "
              "\"publish\"; topic = \"$aws/x\"; qos = [ 1, 2 ]; retain = true; payload_max = \"1MiB\"; } );"),
         P
         "1: warning: role 'a' allows 200 messages in flight; AWS IoT Core (upstream 'broker') takes 100, "
         "and the role "
         "is held to it\n" P "1: warning: role 'a' allows more than the 100 messages a second that AWS IoT "
         "Core (upstream 'broker') takes of "
         "one connection; what is more waits\n" P
         "3: warning: 'payload_max' of rule 'r' refuses nothing; packets of "
         "role 'a' end at 262144 bytes; lower it or remove it\n" P
         "3: warning: rule 'r' allows QoS 2, which AWS IoT Core "
         "(upstream 'broker') does not know; write qos = [ 0, 1 "
         "];\n" P
         "3: warning: rule 'r' allows a reserved topic retained, which AWS IoT Core (upstream 'broker') does "
         "not take; remove 'retain'\n" P "3: warning: rule 'r' allows payloads of 1048576 bytes; AWS IoT "
         "Core (upstream 'broker') takes 131072, so "
         "larger ones are refused\n"},
        {"aws",
         ROLE("max_qos = 1; limits = { subscriptions = 60; keepalive = \"30s-1h\"; };\nrules = ( { id = "
              "\"r\"; allow = \"publish\"; topic = \"t\"; } );"),
         P
         "1: warning: role 'a' allows 60 subscriptions; AWS IoT Core (upstream 'broker') takes 50, and the "
         "role is held to it; write limits = { subscriptions = 50; };\n" P
         "1: warning: role 'a' allows a keep-alive of 3600 s; AWS IoT Core (upstream 'broker') takes 1200 s "
         "at most, which holds; end 'keepalive' in its limits there\n"},
        {"azure",
         ROLE("max_qos = 1; limits = { subscriptions = 50; keepalive = \"30s-1177s\"; }; rules = ( { id = "
              "\"r\"; allow = \"publish\"; topic = \"trucks/x\"; } );"),
         P "2: warning: rule 'r' has a topic that Azure IoT Hub (upstream 'broker') does not know, so it is "
           "refused; its "
           "topics begin with devices/ or $iothub/\n"},
        {"azure",
         ROLE("max_qos = 1; limits = { subscriptions = 50; keepalive = \"30s-1177s\"; }; rules = ( { id = "
              "\"r\"; allow = \"publish\"; topic = "
              "\"devices/${id}/messages/events/\"; "
              "} );"),
         ""},
        {"plain", ROLE("rules = ( { id = \"r\"; allow = \"publish\"; topic = \"a/b/c/d/e/f/g/h/i\"; } );"),
         ""},
    };
    begin();
    rig_directory("tls");
    rig_write("tls/ca.pem", "x");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[2048];
        const char *plain = "security = \"none\"; servers = [ \"10.30.0.2:1883\" ]";
        const char *at = strstr(box, plain);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        snprintf(text, sizeof(text),
                 "%.*ssecurity = \"tls\"; servers = [ \"10.30.0.2:8883\" ]; server_name = \"b\"; ca = "
                 "\"tls/ca.pem\"; "
                 "certificate = \"tls/${id}.pem\"; key = \"tls/${id}.key\"; profile = \"%s\"%s",
                 (int)(at - box), box, cases[i].profile, at + strlen(plain));
        rig_write("sallyport.conf", text);
        rig_expect(cases[i].text, told_of(cases[i].text), cases[i].told);
    }
    rig_end();
}

/* F2 */
static void rates(void)
{
    static const struct mistake cases[] = {
        {ROLE("limits = { publishes = [ \"5/s\", \"unlimited\" ]; };" OK_RULES),
         P "2: error: 'publishes' in 'limits' of role 'a' has \"unlimited\" beside other windows, which says "
           "nothing; "
           "remove it\n"},
        {ROLE("limits = { pings = [ \"5/s\", \"6/s\", \"7/s\",\n\"8/s\" ]; };" OK_RULES), P
         "3: error: 'pings' in 'limits' of role 'a' is \"8/s\"; a rate has at most 3 windows; remove one\n"},
        {ROLE("total = { subscribe = \"5/s\"; };" OK_RULES),
         P "2: error: unknown setting 'subscribe' in 'total' of role 'a'; did you mean 'subscribes'?\n"},
        {ROLE("limits = { over = \"drop\"; quarantine = \"5m\"; };" OK_RULES),
         P "2: error: 'quarantine' in 'limits' of role 'a' has no use with over = \"drop\"; remove it or "
           "change "
           "'over'\n"},
        {ROLE("limits = { quarantine = \"5m\"; };" OK_RULES),
         P "2: error: 'quarantine' in 'limits' of role 'a' has no use with over = \"delay\"; remove it or "
           "change "
           "'over'\n"},
    };
    TRY(cases);
    begin();
    struct snapshot *s = load_good(
        ROLE("limits = { publishes = [ \"20/s burst 60\", \"1000/h\" ]; subscribes = \"1/s\"; "
             "pings = \"2/s\"; over = \"quarantine\"; };\n"
             "total = { bytes = [ \"1MiB/s\" ]; connects = \"9/s\"; over = \"quota\"; };" OK_RULES));
    const struct policy_role *r = snapshot_role(s, 0);
    const struct rates *own = &r->limits.rates;
    CU_ASSERT(own->of[RATE_PUBLISHES][0].amount == 20 && own->of[RATE_PUBLISHES][0].burst == 60);
    CU_ASSERT(own->of[RATE_PUBLISHES][1].amount == 1000 &&
              own->of[RATE_PUBLISHES][1].period_us == 3600000000);
    CU_ASSERT_EQUAL(own->of[RATE_PUBLISHES][2].amount, 0);
    CU_ASSERT(own->of[RATE_SUBSCRIBES][0].amount == 1 && own->of[RATE_PINGS][0].amount == 2);
    CU_ASSERT(own->over == POLICY_QUARANTINE && own->quarantine_us == 3600000000);
    CU_ASSERT(r->total.of[RATE_BYTES][0].amount == 1048576 && r->total.of[RATE_CONNECTS][0].amount == 9);
    CU_ASSERT_EQUAL(r->total.over, POLICY_QUOTA);
    snapshot_destroy(s);
    rig_end();
}

static void rules(void)
{
    static const struct mistake cases[] = {
        {RULE("allow = \"publish\"; topics = \"t\";"), /* operators' surface 2.6 */
         P "2: error: unknown setting 'topics' in rule 'r'; did you mean 'topic'?\n"},
        {RULE("topic = \"t\";"), P "2: error: rule 'r' has neither 'allow' nor 'deny'; add one\n"},
        {RULE("allow = \"publish\"; deny = \"subscribe\"; topic = \"t\";"),
         P "2: error: rule 'r' has both 'allow' and 'deny'; make two rules of it\n"},
        {RULE("allow = \"publish\";"), P "2: error: rule 'r' has no 'topic'; add topic = \"...\";\n"},
        {RULE("allow = [];\ntopic = \"t\";"),
         P "2: error: 'allow' in rule 'r' is empty; write allow = \"publish\"; or remove "
           "it\n"},
        {RULE("allow = \"publsh\"; topic = \"t\";"),
         P "2: error: 'allow' is \"publsh\"; it is \"publish\", \"subscribe\", or a "
           "CoAP method in capitals (\"GET\", \"PUT\", \"OBSERVE\")\n"},
        {RULE("allow = \"get\"; topic = \"t\";"),
         P "2: error: 'allow' is \"get\"; it is \"publish\", \"subscribe\", or a CoAP "
           "method in capitals (\"GET\", \"PUT\", \"OBSERVE\")\n"},
        {RULE("allow = [ \"publish\", \"publish\" ]; topic = \"t\";"),
         P "2: error: 'allow' is \"publish\"; it is there twice; remove one\n"},
        {RULE("allow = 1; topic = 2; qos = \"1\"; retain = \"yes\"; payload_max = 4096;"),
         P "2: error: 'allow' in rule 'r' is a number; it must be text in quotes or an array of it; write "
           "allow = "
           "\"publish\";\n" P
           "2: error: 'payload_max' in rule 'r' is a number; it must be a size with its unit in quotes; "
           "write payload_max = \"4KiB\";\n" P
           "2: error: 'qos' in rule 'r' is text in quotes; it must be a whole number or "
           "an array of them; write qos = [ 0, 1 ];\n" P
           "2: error: 'retain' in rule 'r' is text in quotes; it must be true "
           "or false; write retain = true;\n" P
           "2: error: 'topic' in rule 'r' is a number; it must be text in quotes; write topic = "
           "\"fleet/${client_id}/#\";\n"},
        {RULE("allow = \"publish\"; topic = \"t\"; qos = [ 0, 3 ];"),
         P "2: error: 'qos' in rule 'r' is 3; it must be from 0 to 2\n"},
        {RULE("allow = \"publish\"; topic = \"t\"; qos = [ 0, -1 ]; payload = \"xml\"; payload_max = "
              "\"300MiB\";"),
         P "2: error: 'payload' in rule 'r' is \"xml\", which it cannot be; write one of \"any\", \"utf8\", "
           "\"json\"\n" P
           "2: error: 'payload_max' in rule 'r' is \"300MiB\"; it must be from 1B to 256MiB\n" P
           "2: error: 'qos' in rule 'r' is -1; it must be from 0 to 2\n"},
        {RULE("allow = \"subscribe\"; topic = \"t\"; retain = true;"), P
         "2: error: rule 'r' sets 'retain' or 'will', which have no use without \"publish\"; remove them\n"},
        {RULE("allow = \"publish\"; topic = \"a/#/b\";"),
         P "2: error: rule 'r': 'a/#/b' goes on behind '#', which is the last level; write '+' for one "
           "level, or "
           "end there\n"},
        {RULE("allow = \"publish\"; topic = \"a/b+\";"), P
         "2: error: rule 'r': 'a/b+' has '+' beside other characters of a level; it stands for a whole one; "
         "part them by '/'\n"},
        {RULE("allow = \"publish\"; topic = \"a/\\xC0\\x80\";"),
         P "2: error: 'topic' in rule 'r' holds control characters or is not UTF-8; remove them\n"},
        {RULE("allow = \"publish\"; topic = \"a/${cleint_id}\";"),
         P "2: error: unknown variable '${cleint_id}' in rule 'r'; did you mean '${client_id}'?\n"},
        {RULE("allow = \"publish\"; topic = \"\";"),
         P "2: error: 'topic' in rule 'r' is empty; write topic = \"fleet/${client_id}/#\"; or remove it\n"},
        {ROLE("rules = ( { id = \"r\"; allow = \"publish\"; topic = \"t\"; },\n{ id = \"r\"; allow = "
              "\"publish\"; topic = \"u\"; } "
              ");"),
         P "3: error: rule 'r' is there already (line 2); rename one\n"},
        {ROLE("rules = ( { allow = \"publish\"; topic = \"t\"; },\n{ id = \"a/b\"; allow = \"publish\"; "
              "topic = \"u\"; } );"),
         P "2: error: 'id' is missing in rule 1 of role 'a'; add id = \"truck.status\";\n" P
           "3: error: 'id' in rule 'a/b' is \"a/b\"; a name is 1 to 63 letters, digits, '.', '_' and '-'\n"},
        {RULE("allow = \"GET\"; topic = \"t\"; format = \"senml+cbor\";"),
         P "2: error: rule 'r' has CoAP methods on a 'topic'; write path = \"/...\";\n"},
        {RULE("allow = \"PUT\"; path = \"/t\"; shared = true;"),
         P "2: error: rule 'r' is 'shared', which has no use without an allow of \"GET\" or \"OBSERVE\"; "
           "remove "
           "it\n"},
        {RULE("allow = \"publish\"; topic = \"t\"; block = true;"),
         P "2: error: rule 'r' sets 'query', 'format' or 'block', which have no use without a 'path'; remove "
           "them\n"},
        {RULE("allow = \"GET\"; path = \"/t\"; query = [ \"a=*\", \"[a\", \"x=${id}\" ]; format = [ "
              "\"senml+cbor\", \"60\", \"cbr\", \"65536\" ];"),
         P "2: error: 'format' is \"65536\"; it is \"text\", \"json\", \"cbor\", \"senml+json\", "
           "\"senml+cbor\", \"link-format\", \"octet-stream\", or the number of a format, such as \"112\"\n" P
           "2: error: 'format' is \"cbr\"; it is \"text\", \"json\", \"cbor\", \"senml+json\", "
           "\"senml+cbor\", \"link-format\", \"octet-stream\", or the number of a format, such as \"112\"\n" P
           "2: error: 'query' is \"[a\"; a set is opened with '[' and not closed\n" P
           "2: error: 'query' is \"x=${id}\"; a query is a glob without captures and variables; "
           "write for example \"from=*\"\n"},
        {RULE("allow = \"PUT\"; path = \"/t\"; query = [ \"a=*\", \"b\" ]; format = \"senml+cbor\"; block = "
              "false;") "\ntests = ( { as = \"x\"; PUT = \"/t\"; query = [ \"a=1\", \"b\" ]; format = "
                        "\"112\"; expect = "
                        "\"allow\"; },\n{ as = \"x\"; PUT = \"/t\"; query = \"c\"; expect = \"deny\"; },\n"
                        "{ as = \"x\"; PUT = \"/t\"; format = \"json\"; expect = \"deny\"; },\n"
                        "{ as = \"x\"; PUT = \"/t\"; block = true; expect = \"allow\"; } );",
         P "6: error: test failed: x PUT t expected allow, got deny by r (line 2): no rule allows this "
           "block-wise\n"},
        {ROLE("rules = ( { id = \"r\"; allow = \"PUT\"; path = \"/t/+\"; } );\n"
              "maps = ( { path = \"t\"; topic = \"x\"; },\n{ path = \"/t/{a}\"; topic = \"x/${a}/${id}\"; "
              "retain "
              "= true; },\n{ path = \"/u/{a}\"; topic = \"x/${unset_one}\"; },\n{ path = \"/v\"; topic = "
              "\"x/+\"; },\n"
              "{ path = \"/w\"; } );"),
         P "3: error: 'path' is \"t\"; a path begins with '/' and names at least one segment; write for "
           "example "
           "\"/t/{kind}\"\n" P
           "5: error: unknown variable '${unset_one}' in the map of '/u/{a}'; nothing sets it: "
           "capture it in 'match', or "
           "write it under 'vars'\n" P
           "6: error: map of '/v' in role 'a': the topic is one to publish to, without '+', '#' or a leading "
           "'/'\n" P
           "7: error: 'topic' is missing in map 5 of role 'a'; add topic = \"fleet/${id}/${kind}\";\n"},
        {RULE("allow = [ \"GET\", \"publish\" ]; topic = \"t\";"),
         P "2: error: rule 'r' mixes MQTT actions and CoAP methods; make two rules of it\n"},
        {RULE("allow = \"publish\"; topic = \"#\";"),
         P "2: warning: rule 'r' allows every topic ('#'); name the topics that role 'a' needs\n"},
        {RULE("allow = \"subscribe\"; topic = \"+/#\";"),
         P "2: warning: rule 'r' allows every topic ('+/#'); name the topics that role 'a' needs\n"},
    };
    TRY(cases);
}

static void roles(void)
{
    static const struct mistake cases[] = {
        {"roles = ( { name = \"a\"; " OK_RULES " } );",
         P "1: error: 'match' is missing in role 'a'; add match = { client_id = \"truck-*\"; };\n"},
        {"roles = ( { match = { any = true; }; " OK_RULES " } );",
         P "1: error: 'name' is missing in role 1; add name = \"truck\";\n"},
        {"roles = ( { name = \"a\"; match = { }; " OK_RULES " } );",
         P "1: error: role 'a' asks nothing in 'match', so that nobody gets it; write match = { any = true; "
           "} if everybody "
           "is meant\n"},
        {"roles = ( { name = \"a\"; match = { any = true; vlan = 20; }; " OK_RULES " } );",
         P "1: error: role 'a' has 'any' beside other conditions in 'match'; remove one or the other\n"},
        {"roles = ( { name = \"a\"; match = { listner = \"mqtt\"; }; " OK_RULES " } );",
         P "1: error: unknown setting 'listner' in 'match' of role 'a'; did you mean 'listener'?\n"},
        {"roles = ( { name = \"a\"; match = { client_id = \"a[\";\nmac = \"zz\";\nsource = [ "
         "\"10.20.0.1/22\", \"x\" ];\nvlan = 4095; "
         "}; " OK_RULES " } );",
         P "1: error: 'client_id' is \"a[\"; a set is opened with '[' and not closed\n" P
           "2: error: 'mac' is \"zz\"; write pairs of hexadecimal digits parted by ':', or a glob such as "
           "\"00:1d:9c:*\"\n" P "3: error: 'source' is \"10.20.0.1/22\", which has bits set behind its "
           "prefix; write \"10.20.0.0/22\"\n" P
           "3: error: 'source' is \"x\"; it is not an address; write for example \"10.20.0.1\" or "
           "\"fd20::1\"\n" P "4: error: 'vlan' in 'match' of role 'a' is 4095; it must be from 1 to 4094\n"},
        {"roles = ( { name = \"a\"; match = { listener = \"mqt\"; }; " OK_RULES
         " },\n{ name = \"b\"; match = { port = \"iott\"; "
         "}; } );",
         P "1: error: there is no listener 'mqt' in sallyport.conf; did you mean 'mqtt'?\n" P
           "2: warning: role 'b' has no rules; its clients connect and may do nothing else\n" P
           "2: error: there is no port 'iott' in sallyport.conf; did you mean 'iot'?\n"},
        {"roles = ( { name = \"a\"; match = { listener = \"mqtt\";\nport = \"wan\"; }; " OK_RULES " } );",
         P "2: error: role 'a' can never match; listener 'mqtt' is on port 'iot', not 'wan'; correct one\n"},
        {"roles = ( { name = \"a\"; match = { listener = \"mqtt\"; vlan = 30; }; " OK_RULES " } );",
         P "1: error: role 'a' can never match; it asks for VLAN 30, but port 'iot' has VLAN 20; correct "
           "one\n"},
        {"roles = ( { name = \"a\"; match = { any = true; }; " OK_RULES
         " },\n{ name = \"b\"; match = { vlan = 20; }; rules = ( { id "
         "= \"s\"; allow = \"publish\"; topic = \"t\"; } ); } );",
         P "2: error: role 'b' can never be given: 'a' (line 1) comes first and takes everybody; put it "
           "last\n"},
        {"roles = ( { name = \"a\"; match = { source = \"10.20.0.0/22\"; client_id = \"x-*\"; }; " OK_RULES
         " },\n"
         "{ name = \"b\"; match = { source = [ \"10.20.1.0/24\", \"10.20.2.7\" ]; client_id = \"x-*\"; vlan "
         "= 20; }; rules = ( { id "
         "= \"s\"; allow = \"publish\"; topic = \"t\"; } ); },\n"
         "{ name = \"c\"; match = { source = [ \"10.20.1.0/24\", \"10.21.2.7\" ]; client_id = \"x-*\"; }; "
         "rules = ( { id = \"u\"; "
         "allow = \"publish\"; topic = \"t\"; } ); } );",
         P "2: error: role 'b' can never match; role 'a' (line 1) takes its clients first; move it up\n"},
        {"roles = ( { name = \"a\"; match = { user = \"hmi-*\"; }; " OK_RULES " } );",
         P "1: warning: role 'a' believes a user name that listener 'mqtt' does not check; write auth = "
           "\"password\" there, or let the upstream check it\n"},
        {ROLE("max_qos = 3; inflight = 0; queue = 70000; will = \"yes\"; mode = \"monitor\"; subscribe_mode "
              "= \"trim\"; payload = "
              "\"json\"; refusal = \"drop\"; id = \"\"; " OK_RULES),
         P
         "2: error: 'id' in role 'a' is empty; write id = \"${client_id}\"; or remove it\n" P
         "2: error: 'inflight' in role 'a' is 0; it must be from 1 to 65535\n" P
         "2: error: 'max_qos' in role 'a' is 3; it must be from 0 to 2\n" P
         "2: error: 'mode' in role 'a' is \"monitor\", which it cannot be; write one of \"enforce\", "
         "\"observe\"\n" P
         "2: error: 'payload' in role 'a' is \"json\", which it cannot be; write one of \"any\", \"utf8\"\n" P
         "2: error: 'queue' in role 'a' is 70000; it must be from 1 to 65535\n" P
         "2: error: 'refusal' in role 'a' is \"drop\", which it cannot be; write one of \"acknowledge\", "
         "\"disconnect\"\n" P "2: error: 'subscribe_mode' in role 'a' is \"trim\", which it cannot be; write "
         "one of \"cover\", \"filter\", \"except\"\n" P
         "2: error: 'will' in role 'a' is \"yes\", which it cannot be; write one of \"optional\", "
         "\"required\", "
         "\"forbidden\", \"supplied\"\n"},
        {ROLE("strings = \"utf8\"; redirection = \"allow\"; response_topic = \"read\"; inflight_over = "
              "\"ignore\"; "
              "release_timeout = \"1500ms\"; " OK_RULES),
         P "2: error: 'inflight_over' in role 'a' is \"ignore\", which it cannot be; write one of "
           "\"standard\", "
           "\"delay\", \"drop\", \"disconnect\"\n" P
           "2: error: 'redirection' in role 'a' is \"allow\", which it cannot be; write one of \"strip\", "
           "\"pass\"\n" P
           "2: error: 'release_timeout' is \"1500ms\"; it is of whole seconds; write for example "
           "\"1m\"\n" P "2: error: 'response_topic' in role 'a' is \"read\", which it cannot be; write one "
           "of \"subscribe\", "
           "\"publish\", \"both\", \"any\"\n" P "2: error: 'strings' in role 'a' is \"utf8\", which it "
           "cannot be; write one of \"spec\", \"strict\"\n"},
        {ROLE("limits = { connects = \"6\"; bytes = \"5/s\"; packet = \"1B\"; subscriptions = 0;\nkeepalive "
              "= \"10m-30s\"; over = "
              "\"dealy\"; publishes = 5; };\n" OK_RULES),
         P "2: error: 'bytes' in 'limits' of role 'a' is \"5/s\"; it is a size per s, min, h or d, and a "
           "burst if wanted; "
           "write for example \"64KiB/s burst 256KiB\"\n" P
           "2: error: 'connects' in 'limits' of role 'a' is \"6\"; it is a number per s, min, h or d, and a "
           "burst if wanted; "
           "write for example \"20/s burst 60\"\n" P
           "2: error: 'packet' in 'limits' of role 'a' is \"1B\"; it must be from 64B to 256MiB\n" P
           "2: error: 'subscriptions' in 'limits' of role 'a' is 0; it must be from 1 to 65535\n" P
           "3: error: 'keepalive' is \"10m-30s\"; the least is above the most; swap them\n" P
           "3: error: 'over' in 'limits' of role 'a' is \"dealy\", which it cannot be; did you mean "
           "\"delay\"?\n" P "3: error: 'publishes' in 'limits' of role 'a' is a number; it must be a rate in "
           "quotes, or an array of rates; write publishes = "
           "\"20/s burst 60\";\n"},
        {ROLE("limits = { keepalive = \"500ms-1h\"; }; " OK_RULES),
         P "2: error: 'keepalive' is \"500ms-1h\"; a keep-alive is of whole seconds; write for example "
           "\"30s-10m\"\n"},
        {ROLE("limits = { keepalive = \"1s-19h\"; }; " OK_RULES),
         P "2: error: 'keepalive' is \"1s-19h\"; a keep-alive ends at 65535s; write a most from 1s to 18h\n"},
        {ROLE("vars = { a = 1; b = \"x\\ny\"; c = { }; }; " OK_RULES),
         P "2: error: 'a' in role 'a' is a number; it must be text in quotes; write a = \"...\";\n" P
           "2: error: 'b' in role 'a' holds control characters or is not UTF-8; remove them\n" P
           "2: error: 'c' in role 'a' is a group { }; it must be text in quotes; write c = \"...\";\n"},
        {"roles = ( { name = \"a\"; match = { vlan = 20; }; " OK_RULES
         " },\n{ name = \"a\"; match = { port = \"iot\"; }; rules = ( { id = "
         "\"s\"; allow = \"publish\"; topic = \"t\"; } ); } );",
         P "2: error: role 'a' is there already (policy.d/p.conf:1); rename one\n"},
        {"roles = ( { name = \"a\"; match = { port = \"wan\"; }; " OK_RULES " } );",
         "sallyport.conf:3: warning: no role matches clients of listener 'mqtt', so all are refused; add a "
         "role or remove "
         "the listener\n"},
        {"rols = ( );", P "1: error: unknown setting 'rols'; did you mean 'roles'?\n"},
        {"devices = ( );", "policy.d: error: there is no role, so nobody may connect; add 'roles'\n"},
        {"roles = ( \"a\" ); tests = [ 1 ];",
         P "1: error: 'tests' is an array [ ]; it must be a list of groups; write tests = ( { ... }, { ... } "
           ");\n" P "1: error: role 1 of 'roles' is text in quotes; it must be a group { }\n"},
    };
    TRY(cases);
}

#define DEVICES(text) ROLE(OK_RULES) "\ndevices = ( " text " );"

static void devices(void)
{
    static const struct mistake cases[] = {
        {DEVICES("{ id = \"d\"; mac = \"00:11\"; },\n{ id = \"e\"; mac = \"01:00:5e:00:00:01\"; }"),
         P "3: error: 'mac' is \"00:11\"; it is not six pairs of hexadecimal digits; write for example "
           "\"00:1d:9c:00:00:01\"\n" P "4: error: 'mac' is \"01:00:5e:00:00:01\"; it is a group address, not "
           "a device's; correct its first pair\n"},
        {DEVICES("{ mac = \"00:1d:9c:00:00:01\"; }"),
         P "3: error: 'id' is missing in device 1; add id = \"truck-001\";\n"},
        {DEVICES("{ id = \"d\"; },\n{ id = \"d\"; }"),
         P "4: error: device 'd' is there already (line 3); merge them\n"},
        {DEVICES("{ id = \"d\"; address = [ \"10.0.0.1/8\", \"::1\" ]; }"),
         P "3: error: 'address' is \"10.0.0.1/8\", which has bits set behind its prefix; write "
           "\"10.0.0.0/8\"\n"},
        {DEVICES("{ id = \"d\"; address = [ \"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\", \"10.0.0.4\", "
                 "\"10.0.0.5\" ]; }"),
         P "3: error: 'address' is \"10.0.0.5\"; a device has at most 4 addresses; write a prefix\n"},
        {DEVICES("{ id = \"d\"; quarantine = true; quarrantine = \"x\"; }"),
         P "3: error: 'quarantine' in device 'd' is true or false; it must be text in quotes; write "
           "quarantine = \"why\";\n" P
           "3: error: unknown setting 'quarrantine' in device 'd'; did you mean 'quarantine'?\n"},
        {DEVICES("{ id = \"d\"; vars = 1; }"),
         P "3: error: 'vars' in device 'd' is a number; it must be a group of names with "
           "text; write vars = { name = \"text\"; };\n"},
    };
    TRY(cases);
}

#define FLEET                                                                                                \
    "roles = ( { name = \"truck\"; match = { listener = \"mqtt\"; client_id = "                              \
    "\"truck-{serial:[0-9][0-9][0-9]}\"; source = [ "                                                        \
    "\"10.20.0.0/22\" ]; mac = \"00:1d:9c:*\"; }; max_qos = 1;\n"                                            \
    "rules = ( { id = \"truck.loc\"; allow = \"publish\"; topic = \"t/${serial}/loc\"; },\n"                 \
    "{ id = \"truck.st\"; allow = \"publish\"; topic = \"t/${serial}/st\"; retain = false; payload_max = "   \
    "\"16B\"; },\n"                                                                                          \
    "{ id = \"truck.no\"; deny = \"publish\"; topic = \"t/+/st\"; qos = 1; },\n"                             \
    "{ id = \"truck.cmd\"; allow = \"subscribe\"; topic = \"t/${serial}/cmd/+\"; } ); },\n"                  \
    "{ name = \"boss\"; match = { user = \"boss\"; vlan = 20; }; rules = ( { id = \"boss.all\"; allow = "    \
    "\"subscribe\"; topic = "                                                                                \
    "\"t/#\"; } ); } );\n"                                                                                   \
    "devices = ( { id = \"truck-009\"; quarantine = \"stolen\"; }, { id = \"truck-010\"; mac = "             \
    "\"00:1d:9c:00:00:10\"; address = "                                                                      \
    "\"10.20.1.10\"; } );\n"
#define BELIEVES                                                                                             \
    P "6: warning: role 'boss' believes a user name that listener 'mqtt' does not check; write auth = "      \
      "\"password\" there, or let the upstream check it\n"

/* G5: the verdicts are those of the compiled policy, and each message says who, what, and why. */
static void tests_block(void)
{
    static const struct {
        const char *test;
        const char *opposite; /* what is told when the other verdict is expected */
        bool allow;
    } cases[] = {
        {"as = \"truck-017\"; publish = \"t/017/loc\"",
         "truck-017 publish t/017/loc expected deny, got allow by truck.loc (line 2)", true},
        {"as = \"truck-017\"; publish = \"t/018/loc\"",
         "truck-017 publish t/018/loc expected allow, got deny: no rule of the role allows this", false},
        {"as = \"truck-017\"; publish = \"t/017/st\"; qos = 1",
         "truck-017 publish t/017/st expected allow, got deny by truck.no (line 4)", false},
        {"as = \"truck-017\"; publish = \"t/017/st\"",
         "truck-017 publish t/017/st expected deny, got allow by truck.st (line 3)", true},
        {"as = \"truck-017\"; publish = \"t/017/st\"; retain = true",
         "truck-017 publish t/017/st expected allow, got deny by truck.st (line 3): no rule allows this "
         "topic retained",
         false},
        {"as = \"truck-017\"; publish = \"t/017/st\"; payload = \"17B\"",
         "truck-017 publish t/017/st expected allow, got deny by truck.st (line 3): the payload is above the "
         "rule's limit",
         false},
        {"as = \"truck-017\"; publish = \"t/017/loc\"; qos = 2",
         "truck-017 publish t/017/loc expected allow, got deny: the QoS is above the cap of the role", false},
        {"as = \"truck-017\"; subscribe = \"t/017/cmd/+\"",
         "truck-017 subscribe t/017/cmd/+ expected deny, got allow by truck.cmd (line 5)", true},
        {"as = \"truck-017\"; subscribe = \"$share/g/t/017/cmd/x\"",
         "truck-017 subscribe $share/g/t/017/cmd/x expected deny, got allow by truck.cmd (line 5)", true},
        {"as = \"truck-017\"; subscribe = \"#\"",
         "truck-017 subscribe # expected allow, got deny: no rule of the role allows this", false},
        {"as = \"truck-017\"; subscribe = \"a/#/b\"",
         "truck-017 subscribe a/#/b expected allow, got deny: the topic filter is not valid", false},
        {"as = \"truck-017\"; publish = \"t/+/loc\"",
         "truck-017 publish t/+/loc expected allow, got deny: the topic name is not valid", false},
        {"as = \"truck-017\"; connect = true", "truck-017 connect expected deny, got allow as truck", true},
        {"as = \"truck-009\"; connect = true",
         "truck-009 connect expected allow, got deny: the client is quarantined", false},
        {"as = \"truck-10\"; connect = true",
         "truck-10 connect expected allow, got deny: the client matches no role", false},
        {"as = \"truck-017\"; source = \"10.21.0.1\"; connect = true",
         "truck-017 connect expected allow, got deny: the client matches no role", false},
        {"as = \"truck-017\"; mac = \"00:1e:9c:00:00:01\"; connect = true",
         "truck-017 connect expected allow, got deny: the client matches no role", false},
        {"as = \"truck-010\"; connect = true", "truck-010 connect expected deny, got allow as truck", true},
        {"as = \"truck-010\"; mac = \"00:1d:9c:00:00:11\"; connect = true",
         "truck-010 connect expected allow, got deny: what is known of the device does not fit", false},
        {"as = \"x\"; user = \"boss\"; subscribe = \"t/#\"",
         "x subscribe t/# expected deny, got allow by boss.all (line 6)", true},
        {"as = \"x\"; user = \"boss\"; vlan = 21; subscribe = \"t/#\"",
         "x subscribe t/# expected allow, got deny: the client matches no role", false},
        {"as = \"x\"; subscribe = \"t/#\"",
         "x subscribe t/# expected allow, got deny: the client matches no role", false},
        {"as = \"a+b\"; user = \"boss\"; subscribe = \"t/#\"",
         "a+b subscribe t/# expected deny, got allow by boss.all (line 6)", true},
    };
    begin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[4096], told[1024];
        snprintf(text, sizeof(text), FLEET "tests = ( { %s; expect = \"%s\"; } );", cases[i].test,
                 cases[i].allow ? "allow" : "deny");
        rig_expect(cases[i].test, told_of(text), BELIEVES);
        snprintf(text, sizeof(text), FLEET "tests = ( { %s; expect = \"%s\"; } );", cases[i].test,
                 cases[i].allow ? "deny" : "allow");
        snprintf(told, sizeof(told), BELIEVES P "8: error: test failed: %s\n", cases[i].opposite);
        rig_expect(cases[i].test, told_of(text), told);
    }
    rig_end();
}

static void test_mistakes(void)
{
    static const struct mistake cases[] = {
        {ROLE(OK_RULES) "tests = ( { as = \"x\"; expect = \"allow\"; },\n{ as = \"x\"; publish = \"a\"; "
                        "connect = true; expect = "
                        "\"deny\"; },\n{ publish = \"a\"; },\n{ as = \"x\"; connect = false; expect = "
                        "\"deny\"; },\n{ as = \"x\"; "
                        "publish = \"a\"; expect = \"deny\"; listener = \"mqt\"; qos = 3; source = "
                        "\"10.0.0.0/8\"; expct = 1; } );",
         P "2: error: test of 'x' has nothing to try; write one of publish, subscribe or connect = true;\n" P
           "3: error: test of 'x' has more than one thing to try; write one of publish, subscribe or connect "
           "= true;\n" P "4: error: 'as' is missing in test 3; add as = \"truck-017\";\n" P
           "4: error: 'expect' is missing in test 3; add expect = \"deny\";\n" P
           "5: error: 'connect' is true or is not there; remove it, or write true\n" P
           "6: error: 'qos' in test 5 is 3; it must be from 0 to 2\n" P
           "6: error: 'source' is \"10.0.0.0/8\"; it is not an address; write for example \"10.20.0.1\" or "
           "\"fd20::1\"\n" P
           "6: error: there is no listener 'mqt' in sallyport.conf; did you mean 'mqtt'?\n" P
           "6: error: unknown setting 'expct' in test 5; did you mean 'expect'?\n"},
    };
    TRY(cases);
}

/* E2: rules of methods and paths; refused in one place (config/feature.c) where the relay is not there. */
static void coap(void)
{
    static const char good[] =
        ROLE("limits = { requests = \"2/s burst 10\"; };\nrules = (\n{ id = \"r\"; allow = [ \"GET\", "
             "\"OBSERVE\" ]; path = "
             "\"/conf/${client_id}\"; } );") "tests = (\n{ as = \"x\"; GET = \"/conf/x\"; expect = "
                                             "\"allow\"; },\n{ as = "
                                             "\"x\"; PUT = \"/conf/x\"; expect = \"deny\"; },\n{ as = \"x\"; "
                                             "OBSERVE = "
                                             "\"/conf/y\"; expect = \"deny\"; } );";
    static const struct mistake bad[] = {
        {RULE("allow = \"PUT\"; path = \"t\";"),
         P "2: error: 'path' is \"t\"; a path begins with '/' and names at least one "
           "segment; write for example \"/t/${id}\"\n"},
        {RULE("allow = \"PUT\"; path = \"/\";"),
         P "2: error: 'path' is \"/\"; a path begins with '/' and names at least one "
           "segment; write for example \"/t/${id}\"\n"},
        {RULE("allow = \"PUT\"; path = \"/t\"; topic = \"t\";"),
         P "2: error: rule 'r' has both 'topic' and 'path'; make two rules of it\n"},
        {RULE("allow = \"publish\"; path = \"/t\";"),
         P "2: error: rule 'r' has MQTT actions on a 'path'; write topic = \"...\";\n"},
        {RULE("allow = \"PUT\";"), P "2: error: rule 'r' has no 'path'; add path = \"/...\";\n"},
    };
    begin();
    if (feature_present(FEATURE_COAP)) {
        rig_expect(good, told_of(good), "");
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
            rig_expect(bad[i].text, told_of(bad[i].text), bad[i].told);
    } else {
        const char *refused = told_of(good);
        CU_ASSERT(strstr(refused,
                         P "2: error: 'requests' in 'limits' of role 'a' is refused; CoAP is not in this "
                           "version, and no line is silently ignored; remove it\n") != NULL);
        CU_ASSERT(strstr(refused,
                         P "4: error: 'path' in rule 'r' is refused; CoAP is not in this version, ") != NULL);
        CU_ASSERT(strstr(refused, P "5: error: 'GET' in test 1 is refused; CoAP is not in this version, ") !=
                  NULL);
    }
    rig_end();
}

/* All files count, in byte order; what is not a policy file does not. */
static void directory(void)
{
    struct policy_summary sum;
    begin();
    struct diagnostics *d = diagnostics_create();
    CU_ASSERT_PTR_NULL(load(d, &sum));
    rig_expect("no file", rig_told(d),
               "policy.d: error: there is no file here that ends in .conf; without a policy nobody may "
               "connect; add one\n");
    diagnostics_destroy(d);

    rig_write("policy.d/20-b.conf",
              "roles = ( { name = \"b\"; match = { any = true; }; rules = ( { id = \"b.r\"; allow = "
              "\"publish\"; topic = \"b\"; } ); } );\ntests = ( { as = \"x\"; publish = \"b\"; expect = "
              "\"allow\"; } );");
    rig_write(
        "policy.d/10-a.conf",
        "@include \"shared.conf\"\nroles = ( { name = \"a\"; match = { client_id = \"a-*\"; }; rules = ( "
        "{ id = \"a.r\"; allow = \"publish\"; topic = \"a\"; } ); } );");
    rig_write("shared.conf", "tests = ( { as = \"a-1\"; publish = \"a\"; expect = \"allow\"; } );");
    rig_write("policy.d/.hidden.conf", "not libconfig");
    rig_write("policy.d/30-c.conf~", "not libconfig");
    rig_write("policy.d/README", "not libconfig");
    d = diagnostics_create();
    struct snapshot *s = load(d, &sum);
    rig_expect("three files, two of them policies", rig_told(d), "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_STRING_EQUAL(snapshot_role(s, 0)->name, "a");
    CU_ASSERT_STRING_EQUAL(snapshot_role(s, 1)->name, "b");
    CU_ASSERT(sum.files == 2 && sum.roles == 2 && sum.rules == 2 && sum.devices == 0 && sum.tests == 2 &&
              sum.tests_passed == 2);
    snapshot_destroy(s);
    diagnostics_destroy(d);

    CU_ASSERT_EQUAL_FATAL(mkfifo(rig_path("policy.d/40-f.conf"), 0600), 0);
    rig_write("policy.d/50-e.conf", "");
    rig_write("policy.d/60-s.conf", "roles = ( );;");
    rig_write("shared.conf", "tests = ( { as = \"a-1\"; publish = \"a\"; expct = \"allow\"; } );");
    d = diagnostics_create();
    CU_ASSERT_PTR_NULL(load(d, &sum));
    rig_expect(
        "every file is told of", rig_told(d),
        "policy.d/40-f.conf: error: it is a FIFO; a regular file is needed here\n"
        "policy.d/50-e.conf: error: it is empty; was it cut short when it was written? restore or remove it\n"
        "policy.d/60-s.conf:1: error: syntax error; a ';' or ',' stands where no setting ends; remove it\n"
        "shared.conf:1: error: unknown setting 'expct' in test 1; did you mean 'expect'?\n");
    diagnostics_destroy(d);

    d = diagnostics_create();
    struct gateway_config *gateway = gateway_config_load(rig_path("sallyport.conf"), d);
    CU_ASSERT_PTR_NULL(policy_config_load("/nonexistent/policy.d", gateway, 1, d, NULL));
    rig_write("notes.txt", "roles = ( );");
    CU_ASSERT_PTR_NULL(policy_config_load(rig_path("notes.txt"), gateway, 1, d, NULL));
    CU_ASSERT_PTR_NULL(policy_config_load(rig_path("shared.conf"), gateway, 1, d, NULL)); /* a file alone */
    rig_expect(
        "no directory", rig_told(d),
        "/nonexistent/policy.d: error: the policy directory cannot be read: No such file or directory; "
        "create it or "
        "correct its name\n"
        "notes.txt: error: the policy directory cannot be read: Not a directory; create it or correct its "
        "name\n"
        "shared.conf:1: error: unknown setting 'expct' in test 1; did you mean 'expect'?\n");
    gateway_config_destroy(gateway);
    diagnostics_destroy(d);
    rig_end();
}

/* Both files have mistakes: all are told at once; without the gateway's names nothing is made up about them.
 */
static void with_a_bad_gateway(void)
{
    begin();
    rig_write(
        "sallyport.conf",
        "dataplane = { ports = ( { name = \"iot\"; device = \"tap:a\"; address = \"10.20.0.1/22\"; vlna = "
        "20; } "
        "); };\nlisteners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; "
        "listen = \":1883\"; upstream = \"u\"; } );\nupstreams = ( { name = \"u\"; protocol = \"mqtt\"; "
        "security "
        "= \"none\"; servers = \"10.20.0.9:1883\"; } );");
    rig_write("policy.d/p.conf",
              "roles = ( { name = \"a\"; match = { listener = \"mqt\"; }; rulez = ( ); } );");
    struct diagnostics *d = diagnostics_create();
    CU_ASSERT_PTR_NULL(gateway_config_load(rig_path("sallyport.conf"), d));
    diagnostics_destroy(d);
    d = diagnostics_create();
    struct gateway_config *gateway = gateway_config_read(rig_path("sallyport.conf"), d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(gateway);
    CU_ASSERT_PTR_NULL(policy_config_load(rig_path("policy.d"), gateway, 1, d, NULL));
    rig_expect("both", rig_told(d),
               P "1: error: there is no listener 'mqt' in sallyport.conf; did you mean 'mqtt'?\n" P
                 "1: error: unknown setting 'rulez' in role 'a'; did you mean 'rules'?\n"
                 "sallyport.conf:1: error: unknown setting 'vlna' in port 'iot'; did you mean 'vlan'?\n");
    diagnostics_destroy(d);
    gateway_config_destroy(gateway);

    d = diagnostics_create();
    rig_write("policy.d/p.conf",
              "roles = ( { name = \"a\"; match = { listener = \"mqt\"; }; " OK_RULES " } );");
    CU_ASSERT_PTR_NULL(policy_config_load(rig_path("policy.d"), NULL, 1, d, NULL));
    CU_ASSERT_EQUAL(diagnostics_errors(d), 0);
    diagnostics_destroy(d);
    rig_end();
}

/* One file for a small site. */
static void policy_within(void)
{
    char text[4096];
    struct policy_summary sum;
    begin();
    snprintf(text, sizeof(text), "%s%s", box, FLEET);
    rig_write("sallyport.conf", text);
    rig_write("policy.d/p.conf", "not libconfig");
    struct diagnostics *d = diagnostics_create();
    struct snapshot *s = load(d, &sum);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(sum.files == 1 && sum.roles == 2 && sum.devices == 2);
    CU_ASSERT_STRING_EQUAL(snapshot_role(s, 0)->file, "sallyport.conf");
    CU_ASSERT(strstr(rig_told(d), "sallyport.conf: warning: the policy is in this file; ") == rig_said);
    CU_ASSERT(strstr(rig_said, "/policy.d is not read\n") != NULL);
    snapshot_destroy(s);
    diagnostics_destroy(d);
    rig_end();
}

/* A sample that operators copy loads without a word, and passes the tests it carries. */
static void sample(const char *name, const char *const files[4], uint32_t roles, uint32_t tests)
{
    static const char *const named[] = {"tls/cloud-ca.pem", "tls/site-ca.pem", "tls/fleet-ca.pem",
                                        "tls/fleet.crl",    "tls/gw.pem",      "tls/gw.key",
                                        "tls/devices.psk"};
    struct policy_summary sum;
    char path[256];
    uint32_t copied = 0;
    begin();
    rig_directory("tls");
    rig_directory("tls/devices");
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        rig_write(named[i], "x");
    for (; copied < 4 && files[copied] != NULL; copied++) {
        snprintf(path, sizeof(path), "deploy/examples/%s/%s", name, files[copied]);
        rig_copy(path, files[copied]);
    }
    struct diagnostics *d = diagnostics_create();
    struct snapshot *s = load(d, &sum);
    rig_expect(name, rig_told(d), "");
    CU_ASSERT(sum.files == copied - 1); /* all but sallyport.conf */
    CU_ASSERT(sum.roles == roles && sum.tests == tests && sum.tests_passed == tests);
    if (s != NULL)
        snapshot_destroy(s);
    diagnostics_destroy(d);
    rig_end();
}

static void examples(void)
{
    sample("fleet",
           (const char *const[4]){"sallyport.conf", "policy.d/10-fleet.conf", "policy.d/20-devices.conf",
                                  "policy.d/90-tests.conf"},
           2, 14);
    sample("retrofit", (const char *const[4]){"sallyport.conf", "policy.d/10-retrofit.conf"}, 3, 7);
    sample("shield", (const char *const[4]){"sallyport.conf", "policy.d/10-shield.conf"}, 3, 6);
    sample("wells", (const char *const[4]){"sallyport.conf", "policy.d/10-wells.conf"}, 2, 11);
}

/* Those of the stories I1 and I3. */
static void examples_of_stories(void)
{
    sample("trucks", (const char *const[4]){"sallyport.conf", "policy.d/10-trucks.conf"}, 2, 10);
    sample("office",
           (const char *const[4]){"sallyport.conf", "policy.d/10-office.conf", "policy.d/20-devices.conf"}, 5,
           10);
}

#define USERS_ALICE                                                                                          \
    "alice:$7$101$UwsyWu1GGgOzneYG$MqbzY6wM9zST8MtS0kCkhKMIlCQ5E9N6DcRSzSPFsgPy2dEJ/"                        \
    "iS3DuN5bjZhKcR0oSFUATgNM1P2/KWfcsBbrg==\n"
#define ROLES                                                                                                \
    "roles = ( { name = \"a\"; match = { user = \"*\"; }; rules = ( { id = \"a.x\"; allow = \"publish\"; "   \
    "topic = \"x\"; } ); } );\n"

/* The listener `asks`; p.conf holds `text`; what is told. */
static const char *told_with(bool asks, const char *text)
{
    char changed[sizeof(box) + 64];
    const char *at = strstr(box, "upstream = \"broker\"; } );");
    snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - box), box, asks ? "auth = \"password\"; " : "",
             at);
    rig_write("sallyport.conf", changed);
    return told_of(text);
}

/* C2: a users file and the listeners that ask for it belong together; what is weak or open is warned of. */
static void users(void)
{
    begin();
    rig_write("users.passwd", USERS_ALICE);
    char expected[1024];
    snprintf(expected, sizeof(expected),
             "%s:1: warning: 1 user has weak hashes ($6$, or fewer than 10000 rounds); give them long random "
             "passwords, or hash them anew\n",
             rig_path("users.passwd"));
    rig_expect("good", told_with(true, "users_file = \"users.passwd\";\n" ROLES), expected);
    rig_expect("no file", told_with(true, ROLES),
               "sallyport.conf:3: error: listener 'mqtt' asks for passwords, but the policy has no "
               "users_file; write "
               "one there, made with mosquitto_passwd\n");
    rig_write("users.passwd", "");
    snprintf(expected, sizeof(expected), "%s: error: there is no user in it; add one with mosquitto_passwd\n",
             rig_path("users.passwd"));
    rig_expect("empty", told_with(true, "users_file = \"users.passwd\";\n" ROLES), expected);
    snprintf(expected, sizeof(expected),
             "policy.d/p.conf:1: error: users_file %s cannot be read: No such file or directory; correct the "
             "name or "
             "its rights\n",
             rig_path("users.passwdd"));
    rig_expect("missing", told_with(true, "users_file = \"users.passwdd\";\n" ROLES), expected);
    snprintf(expected, sizeof(expected),
             "policy.d/p.conf:1: error: users_file %s is no file of at most 512 MiB; name one that "
             "mosquitto_passwd "
             "wrote\n",
             rig_path("policy.d"));
    rig_expect("a directory", told_with(true, "users_file = \"policy.d\";\n" ROLES), expected);
    CU_ASSERT_EQUAL_FATAL(mkfifo(rig_path("pipe"), 0600), 0);
    snprintf(expected, sizeof(expected),
             "policy.d/p.conf:1: error: users_file %s is no file of at most 512 MiB; name one that "
             "mosquitto_passwd wrote\n",
             rig_path("pipe"));
    rig_expect("a FIFO, which nobody writes to", told_with(true, "users_file = \"pipe\";\n" ROLES), expected);
    rig_write("users.passwd", USERS_ALICE);
    chmod(rig_path("users.passwd"), 0644);
    CU_ASSERT_PTR_NOT_NULL(strstr(told_with(true, "users_file = \"users.passwd\";\n" ROLES),
                                  "can be read or written by everybody; chmod o-rw"));
    chmod(rig_path("users.passwd"), 0600);
    CU_ASSERT_PTR_NOT_NULL(strstr(told_with(false, "users_file = \"users.passwd\";\n" ROLES),
                                  "policy.d/p.conf:1: warning: users_file is read for nobody; write auth = "
                                  "\"password\" at a listener\n"));
    rig_write("policy.d/q.conf", "users_file = \"other.passwd\";\n");
    CU_ASSERT_PTR_NOT_NULL(
        strstr(told_with(true, "users_file = \"users.passwd\";\n" ROLES),
               "policy.d/q.conf:1: error: there is a users_file already (policy.d/p.conf:1); "
               "join the two files\n"));
    rig_end();
}

/* CVE-2017-7652: a reload that cannot open its files (every descriptor is taken) is refused, whichever file
 * it is that fails; none is left out, and no setting falls back to its default. */
static void without_descriptors(void)
{
    struct rlimit old, less;
    unsigned int loaded = 0, refused = 0;
    begin();
    rig_write("users.passwd", USERS_ALICE);
    (void)told_with(true, "users_file = \"users.passwd\";\n" ROLES);
    rig_write("policy.d/a.conf", "roles = ( { name = \"b\"; match = { user = \"b\"; }; " OK_RULES " } );");
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    int first = dup(0); /* the lowest that is free */
    CU_ASSERT_TRUE_FATAL(first >= 0);
    close(first);
    for (unsigned int spare = 0; spare <= 8; spare++) {
        struct diagnostics *d = diagnostics_create();
        struct gateway_config *gateway = gateway_config_load(rig_path("sallyport.conf"), d);
        CU_ASSERT_PTR_NOT_NULL_FATAL(gateway);
        uint32_t before = diagnostics_errors(d);
        less = old;
        less.rlim_cur = (rlim_t)first + spare;
        CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &less), 0);
        struct snapshot *s = policy_config_load(rig_path("policy.d"), gateway, 7, d, NULL);
        struct diagnostics *of_gateway = diagnostics_create();
        struct gateway_config *again = gateway_config_load(rig_path("sallyport.conf"), of_gateway);
        CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &old), 0);
        CU_ASSERT_EQUAL(s == NULL, diagnostics_errors(d) != before);
        CU_ASSERT_EQUAL(again == NULL, diagnostics_errors(of_gateway) != 0);
        CU_ASSERT_EQUAL(again == NULL, spare == 0);
        gateway_config_destroy(again);
        diagnostics_destroy(of_gateway);
        if (s != NULL) {
            CU_ASSERT_EQUAL(snapshot_roles(s), 2);
            loaded++;
            snapshot_destroy(s);
        } else {
            CU_ASSERT_EQUAL(loaded, 0);
            refused++;
        }
        diagnostics_destroy(d);
        gateway_config_destroy(gateway);
    }
    CU_ASSERT_TRUE(loaded > 0 && refused > 0);
    rig_end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"everything (C1, D4, D8, D9, F2)", everything},
        {"defaults", defaults},
        {"last_will (G1, C5, D10)", last_will},
        {"clouds (G1, J)", clouds},
        {"rates (G1, F2)", rates},
        {"rules (G1, D4)", rules},
        {"roles (G1, C1)", roles},
        {"devices (G1, C4, C6)", devices},
        {"tests of the policy (G5)", tests_block},
        {"mistakes in tests (G1)", test_mistakes},
        {"users and passwords (G1, C2)", users},
        {"without descriptors (G1, CVE-2017-7652)", without_descriptors},
        {"CoAP (E2)", coap},
        {"directory (G1)", directory},
        {"with a bad gateway (G1)", with_a_bad_gateway},
        {"policy within sallyport.conf", policy_within},
        {"examples", examples},
        {"examples of the stories (I1, I3)", examples_of_stories},
    };
    return unit_run("config/policy_config", tests, sizeof(tests) / sizeof(tests[0]));
}
