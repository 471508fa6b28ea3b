/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `sallyport -T`: what is printed loads again and means the same. */
#include "config/policy_config.h"
#include "config/print.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

static const char box[] = "# the box\n"
                          "gateway = { name = \"gw\"; };\n"
                          "dataplane = { workers = 2; limits = { connections = 50; };\n"
                          "  ports = ( { name = \"iot\"; device = \"af_xdp:eth1\"; vlan = 20; address = [ "
                          "\"10.20.0.1/22\", \"fd20::1/64\" ]; },\n"
                          "            { name = \"wan\"; device = \"tap:w\"; address = \"10.30.0.1/24\"; "
                          "next_hop = \"10.30.0.254\"; } ); };\n"
                          "@include \"services.conf\"\n";
static const char services[] =
    "listeners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
    "\"any:1883\"; upstream = "
    "\"broker\"; },\n"
    "  { name = \"old\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = \":1884\"; "
    "upstream = \"plain\"; limits = "
    "{ sessions = 4; }; } );\n"
    "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"tls\"; servers = [ "
    "\"10.30.0.2:8883\" ]; server_name = "
    "\"b\\\"\\\\x\"; ca = \"ca.pem\"; alpn = [ \"mqtt\", \"x\" ]; },\n"
    "  { name = \"keyed\"; protocol = \"mqtt\"; security = \"tls\"; servers = \"10.30.0.4:8883\"; psk_id = "
    "\"${id}\"; psk_file = \"ca.pem\"; },\n"
    "  { name = \"plain\"; protocol = \"mqtt\"; security = \"none\"; servers = \"10.30.0.3:1883\"; } );\n";
static const char first[] =
    "roles = ( { name = \"truck\"; match = { listener = \"mqtt\"; client_id = \"truck-{n:[0-9]}\"; };\n"
    "  vars = { channel = \"stable\"; }; limits = { publishes = \"5/s burst 20\"; };\n"
    "  rules = ( { id = \"t.a\"; allow = [ \"publish\", \"subscribe\" ]; topic = "
    "\"t/${n}/${var.channel}/#\"; qos = [ 0, 1 ]; retain "
    "= false; },\n"
    "    { id = \"t.b\"; deny = \"publish\"; topic = \"t/+/x\"; } ); } );\n"
    "devices = ( { id = \"truck-1\"; mac = \"00:1d:9c:00:00:01\"; } );\n";
static const char second[] =
    "roles = ( { name = \"other\"; match = { any = true; }; mode = \"observe\"; rules = ( { id = \"o.a\"; "
    "allow = \"publish\"; topic = "
    "\"o\"; } ); } );\n"
    "tests = ( { as = \"truck-1\"; publish = \"t/1/stable/y\"; expect = \"allow\"; } );\n"
    "devices = ( { id = \"truck-2\"; quarantine = \"stolen\"; } );\n";

static void begin(void)
{
    rig_begin();
    rig_directory("policy.d");
    rig_directory("elsewhere");
    rig_write("ca.pem", "x");
    rig_write("sallyport.conf", box);
    rig_write("services.conf", services);
    rig_write("policy.d/10.conf", first);
    rig_write("policy.d/20.conf", second);
}

static void print_to(const char *config, const char *to)
{
    FILE *file = fopen(rig_path(to), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT(config_print(rig_path(config), rig_path("policy.d"), file));
    fclose(file);
}

static char *read_back(const char *name)
{
    static char text[2][1 << 16];
    static unsigned int turn;
    char *to = text[turn++ % 2];
    FILE *file = fopen(rig_path(name), "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t n = fread(to, 1, sizeof(text[0]) - 1, file);
    to[n] = '\0';
    fclose(file);
    return to;
}

static struct snapshot *load_all(const char *config, struct gateway_config **gateway,
                                 struct policy_summary *sum)
{
    struct diagnostics *d = diagnostics_create();
    *gateway = gateway_config_load(rig_path(config), d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(*gateway);
    struct snapshot *s = policy_config_load(rig_path("policy.d"), *gateway, 1, d, sum);
    if (s == NULL)
        fputs(rig_told(d), stderr);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    diagnostics_destroy(d);
    return s;
}

/* The effective configuration, moved to another directory, is the same gateway with the same policy. */
static void means_the_same(void)
{
    struct gateway_config *a, *b;
    struct policy_summary sum_a, sum_b;
    begin();
    print_to("sallyport.conf", "elsewhere/effective.conf");
    struct snapshot *policy_a = load_all("sallyport.conf", &a, &sum_a);
    struct snapshot *policy_b = load_all("elsewhere/effective.conf", &b, &sum_b);
    CU_ASSERT_STRING_EQUAL(snapshot_fingerprint(policy_a), snapshot_fingerprint(policy_b));
    CU_ASSERT(sum_a.roles == 2 && sum_a.devices == 2 && sum_a.tests == 1);
    CU_ASSERT(sum_b.roles == 2 && sum_b.rules == sum_a.rules && sum_b.devices == 2 &&
              sum_b.tests_passed == 1);
    struct diagnostics *d = diagnostics_create();
    gateway_config_compare(a, b, d);
    rig_expect("needs no restart", rig_told(d), "");
    diagnostics_destroy(d);
    CU_ASSERT_EQUAL(a->workers, b->workers);
    CU_ASSERT_EQUAL(a->connections, b->connections);
    CU_ASSERT_EQUAL(a->listeners_n, b->listeners_n);
    CU_ASSERT_EQUAL(b->listeners[1].sessions_per_source, 4);
    CU_ASSERT_EQUAL(b->listeners[1].per_source.of[RATE_CONNECTS][0].amount, 10);
    CU_ASSERT_STRING_EQUAL(b->upstreams[0].server_name, "b\"\\x");
    CU_ASSERT_STRING_EQUAL(b->upstreams[0].ca, a->upstreams[0].ca);
    CU_ASSERT_STRING_EQUAL(b->upstreams[0].alpn, "mqtt,x");
    snapshot_destroy(policy_a);
    snapshot_destroy(policy_b);
    gateway_config_destroy(a);
    gateway_config_destroy(b);
    rig_end();
}

static void strip_comments(char *text)
{
    char *to = text;
    for (const char *c = text; *c != '\0';) {
        if (c[0] == ' ' && c[1] == '#')
            c += strcspn(c, "\n");
        else
            *to++ = *c++;
    }
    *to = '\0';
}

static void printed_twice(void)
{
    begin();
    print_to("sallyport.conf", "elsewhere/one.conf");
    print_to("elsewhere/one.conf", "elsewhere/two.conf");
    char *one = read_back("elsewhere/one.conf"), *two = read_back("elsewhere/two.conf");
    CU_ASSERT(strstr(two, " # default\n") == NULL); /* nothing is left to fill in */
    strip_comments(one);
    strip_comments(two);
    CU_ASSERT_STRING_EQUAL(one, two);
    rig_end();
}

/* Every setting carries where it was written, includes and second files too. */
static void origins(void)
{
    static const char *const lines[] = {
        "schema = 1; # default\n",
        "  name = \"gw\"; # sallyport.conf:2\n",
        "  mode = \"enforce\"; # default\n",
        "    connections = 50; # sallyport.conf:3\n",
        "      address = [ \"10.20.0.1/22\", \"fd20::1/64\" ]; # sallyport.conf:4\n",
        "    upstream = \"broker\"; # services.conf:1\n",
        "      connects = \"10/s\"; # default\n",
        "      sessions = 4; # services.conf:2\n",
        "    server_name = \"b\\\"\\\\x\"; # services.conf:3\n",
        "    min_version = \"1.3\"; # default\n",
        "  { # policy.d/10.conf:1\n",
        "      channel = \"stable\"; # policy.d/10.conf:2\n",
        "      publishes = \"5/s burst 20\"; # policy.d/10.conf:2\n",
        "      packet = \"256KiB\"; # default\n",
        "        qos = [ 0, 1 ]; # policy.d/10.conf:3\n",
        "        retain = false; # policy.d/10.conf:3\n",
        "  { # policy.d/20.conf:1\n",
        "    quarantine = \"stolen\"; # policy.d/20.conf:3\n",
    };
    begin();
    print_to("sallyport.conf", "out.conf");
    const char *text = read_back("out.conf");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (strstr(text, lines[i]) == NULL)
            fprintf(stderr, "  missing: %s", lines[i]);
        CU_ASSERT(strstr(text, lines[i]) != NULL);
    }
    char ca[128];
    snprintf(ca, sizeof(ca), "    ca = \"%s/ca.pem\"; # services.conf:3\n", rig_home);
    CU_ASSERT(strstr(text, ca) != NULL);
    /* An upstream without security has no TLS settings, not even by default. */
    const char *plain = strstr(text, "name = \"plain\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(plain);
    CU_ASSERT(strstr(plain, "min_version") == NULL);
    /* Nothing is resumed with keys: the default, which is not in force, would be warned about when it is
     * read. */
    const char *keyed = strstr(text, "name = \"keyed\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(keyed);
    const char *resumption = strstr(keyed, "resumption"), *version = strstr(keyed, "min_version");
    CU_ASSERT((resumption == NULL || resumption > plain) && version != NULL && version < plain);
    CU_ASSERT(strstr(text, "    resumption = true; # default\n") != NULL);
    rig_end();
}

static void cannot_print(void)
{
    begin();
    FILE *full = fopen("/dev/full", "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(full);
    CU_ASSERT(!config_print(rig_path("sallyport.conf"), rig_path("policy.d"), full));
    fclose(full);
    FILE *nowhere = fopen("/dev/null", "w");
    CU_ASSERT(config_print(rig_path("sallyport.conf"), rig_path("policy.d"), nowhere));
    CU_ASSERT(!config_print(rig_path("none.conf"), rig_path("policy.d"), nowhere));
    CU_ASSERT(!config_print(rig_path("sallyport.conf"), rig_path("none.d"), nowhere));
    rig_write("policy.d/10.conf", "roles = ");
    CU_ASSERT(!config_print(rig_path("sallyport.conf"), rig_path("policy.d"), nowhere));
    fclose(nowhere);
    rig_end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"means the same", means_the_same},
        {"printed twice", printed_twice},
        {"origins", origins},
        {"cannot print", cannot_print},
    };
    return unit_run("config/print", tests, sizeof(tests) / sizeof(tests[0]));
}
