/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of a mosquitto site, what is told, at which line, and what comes of it (H5). */
#include "tests/unit/import_rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- acl_file ------------------------------------------------------------------------------------------ */

/* What mosquitto 2.0.11 takes and refuses; tests/e2e/90-import asks it the same. */
static void acl_lines(void)
{
    static const struct {
        const char *text;
        const char *told; /* NULL: taken */
    } t[] = {
        {"topic read", NULL}, /* a topic called "read" */
        {"topic deny", NULL},
        {"  topic read x", NULL},
        {"topic read a b ", NULL},
        {"topic  read  x", NULL},
        {"topic write a//b", NULL},
        {"topic readwrite a", NULL},
        {"topic deny read x", NULL},
        {"pattern read %u", NULL},
        {"pattern x", NULL},
        {"user  bob", NULL},
        {"user a b ", NULL},
        {"# topic", NULL},
        {"   ", NULL},
        {"topic a b", "there is no access 'a'"},
        {"topic", "there is no topic"},
        {"user", "there is no name"},
        {"topic\tread x", "a line begins with"},
        {"\ttopic a", "a line begins with"},
        {"  # topic", "a line begins with"},
        {"TOPIC read x", "a line begins with"},
        {"\xEF\xBB\xBFtopic read x", "a line begins with"},
        {"topic read a/#/b", "stand for whole levels"},
        {"topic a#", "stand for whole levels"},
        {"topic read +a", "stand for whole levels"},
        /* Stricter than mosquitto: they would say something else here. */
        {"topic read \xFF", "not UTF-8"},
        {"topic read a\x01", "control characters"},
        {"topic read ${x}", "begins a variable"},
        {"user \xFF", "UTF-8"},
        {"user ${x}", "UTF-8"},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct import_rig rig;
        struct mosquitto_acl acl = {.file = NULL};
        char text[128];
        rig_open(&rig);
        snprintf(text, sizeof(text), "\n%s\n", t[i].text);
        bool good = mosquitto_acl_parse(&rig.run, text, "acl", &acl);
        if (good != (t[i].told == NULL) || (t[i].told != NULL && !rig_told(&rig, "acl", 2, t[i].told))) {
            printf("%s\n", t[i].text);
            rig_print(rig.run.d);
            CU_FAIL("another answer");
        }
        rig_close(&rig);
    }
}

static void acl_sections(void)
{
    struct import_rig rig;
    struct mosquitto_acl acl = {.file = NULL};
    char text[] = "topic read a\nuser bob\nuser ann\ntopic b c\r\ntopic write d e \nuser bob\ntopic read "
                  "f\r\nuser ann\n"
                  "pattern read x/%u\ntopic deny g";
    rig_open(&rig);
    CU_ASSERT_FALSE(mosquitto_acl_parse(&rig.run, text, "acl", &acl));
    CU_ASSERT_TRUE(rig_told(&rig, "acl", 4, "there is no access 'b'"));
    /* Sections come as their first topic does, and one name is one section. */
    CU_ASSERT_EQUAL_FATAL(acl.sections_n, 3);
    CU_ASSERT_PTR_NULL(acl.sections[0].user);
    CU_ASSERT_STRING_EQUAL(acl.sections[1].user, "ann");
    CU_ASSERT_EQUAL_FATAL(acl.sections[1].entries.n, 2);
    CU_ASSERT_STRING_EQUAL(acl.sections[1].entries.at[0].filter, "d e");
    CU_ASSERT_STRING_EQUAL(acl.sections[1].entries.at[0].origin, "acl:5");
    CU_ASSERT_FALSE(acl.sections[1].entries.at[1].allow);
    CU_ASSERT_STRING_EQUAL(acl.sections[2].user, "bob");
    CU_ASSERT_STRING_EQUAL(acl.sections[2].entries.at[0].filter, "f");
    CU_ASSERT_EQUAL(acl.patterns.n, 1);
    CU_ASSERT_STRING_EQUAL(acl.patterns.at[0].filter, "x/\x02");
    rig_close(&rig);
}

static void load_acl(struct import_rig *rig, const char *acl_text, bool anonymous)
{
    struct mosquitto_acl acl = {.file = NULL};
    struct import_summary summary;
    char text[2048];
    rig_open(rig);
    snprintf(text, sizeof(text), "%s", acl_text);
    CU_ASSERT_TRUE_FATAL(mosquitto_acl_parse(&rig->run, text, "acl", &acl));
    CU_ASSERT_TRUE_FATAL(mosquitto_site_acl_roles(&rig->run, &acl, NULL, anonymous, &rig->site));
    CU_ASSERT_TRUE_FATAL(mosquitto_site_finish(&rig->run, &rig->site));
    rig_load(rig, NULL, &summary);
}

static void acl_meaning(void)
{
    static const struct {
        const char *name, *acl, *client_id, *user;
        bool receive;
        const char *topic;
        bool allowed;
    } t[] = {
        {"a section's grant beats a pattern's denial",
         "user ann\ntopic a/#\npattern deny a/#\npattern b/%u\n", "c", "ann", false, "a/x", true},
        {"... which beats a pattern's grant", "user ann\ntopic x\npattern deny b/%u\npattern readwrite b/#\n",
         "c", "ann", false, "b/ann", false},
        {"a section's denial beats its grant, whatever their order", "user ann\ntopic a/#\ntopic deny a/b\n",
         "c", "ann", true, "a/b", false},
        {"anonymous lines are not for users", "topic read a\nuser ann\ntopic read b\n", "c", "ann", true, "a",
         false},
        {"... nor for unknown users", "topic read a\nuser ann\ntopic read b\n", "c", "eve", true, "a", false},
        {"... but for clients without a name", "topic read a\nuser ann\ntopic read b\n", "c", NULL, true, "a",
         true},
        {"read does not publish", "topic read a\n", "c", NULL, false, "a", false},
        {"write does not receive", "topic write a\n", "c", NULL, true, "a", false},
        {"'#' says nothing of $SYS", "topic #\n", "c", NULL, true, "$SYS/x", false},
        {"... which has to be named", "topic $SYS/#\n", "c", NULL, true, "$SYS/x", true},
        {"patterns add to a section", "user ann\ntopic a\npattern h/%u/%c\n", "c", "ann", false, "h/ann/c",
         true},
        {"... for others too", "user ann\ntopic a\npattern h/%u/%c\n", "c", "bob", false, "h/bob/c", true},
        {"%u says nothing of who has no name", "topic a\npattern h/%u\npattern k/%c\n", "c", NULL, false,
         "h/", false},
        {"%c does", "topic a\npattern h/%u\npattern k/%c\n", "c", NULL, false, "k/c", true},
        {"no pattern for a name with '/'", "pattern read #\n", "c", "a/b", true, "x", false},
        {"no pattern for a client identifier with '+'", "pattern read #\n", "c+", "ann", true, "x", false},
        {"nor with '#', without a name", "topic a\npattern read b\n", "c#", NULL, true, "b", false},
        {"%u in a topic line is text", "user ann\ntopic read h/%u\n", "c", "ann", true, "h/ann", false},
        {"... and means itself", "user ann\ntopic read h/%u\n", "c", "ann", true, "h/%u", true},
        {"a topic with blanks", "user ann\ntopic read my own topic  \n", "c", "ann", true, "my own topic",
         true},
        {"quotes and backslashes", "user a\"n\\n\ntopic read \"x\\y\n", "c", "a\"n\\n", true, "\"x\\y", true},
        {"a name that looks like a glob", "user a*\ntopic read a\n", "c", "ab", true, "a", false},
        {"... is that name", "user a*\ntopic read a\n", "c", "a*", true, "a", true},
        {"a user that may do nothing gets nothing of patterns it is denied",
         "user ann\ntopic deny h/#\npattern h/%u\n", "c", "ann", false, "h/ann", false},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct import_rig rig;
        load_acl(&rig, t[i].acl, true);
        if (rig_allows(&rig, t[i].client_id, t[i].user, NULL, "mqtt-1883", t[i].receive, t[i].topic) !=
            t[i].allowed) {
            printf("%s\n", t[i].name);
            CU_FAIL("not what mosquitto says");
        }
        rig_close(&rig);
    }
}

/* mosquitto grants every SUBSCRIBE and trims deliveries; so does the policy, where anything can be delivered.
 */
static void wide_filters(void)
{
    struct import_rig rig;
    load_acl(&rig, "user ann\ntopic read a/b\ntopic deny a/c\n", false);
    CU_ASSERT_TRUE(rig_subscribes(&rig, "c", "ann", "#"));
    CU_ASSERT_TRUE(rig_subscribes(&rig, "c", "ann", "a/#"));
    CU_ASSERT_TRUE(rig_subscribes(&rig, "c", "ann", "a/b"));
    CU_ASSERT_FALSE(rig_subscribes(&rig, "c", "ann", "a/c"));
    CU_ASSERT_FALSE(rig_subscribes(&rig, "c", "eve", "a/b"));
    rig_close(&rig);
}

/* A grant over a denial that it covers in part: less is allowed, and it is told where the grant stands. */
static void narrower_is_told(void)
{
    struct import_rig rig;
    load_acl(&rig, "user ann\ntopic readwrite a/+/x\n\npattern deny a/b/#\npattern readwrite a/#\n", false);
    CU_ASSERT_TRUE(rig_told(&rig, "acl", 2, "here a deny always wins"));
    CU_ASSERT_EQUAL(diagnostics_warnings(rig.run.d), 2); /* to publish, and to receive */
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", false, "a/b/x"));
    CU_ASSERT_TRUE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", false, "a/c/x"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", false, "a/b/y"));
    rig_close(&rig);
    /* Where nothing below the denial is left to deny, it goes, and all is as it was. */
    load_acl(&rig, "user ann\ntopic readwrite a/+/x\n\npattern deny a/b/#\npattern readwrite c/%u\n", false);
    CU_ASSERT_EQUAL(diagnostics_count(rig.run.d), 0);
    CU_ASSERT_TRUE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", false, "a/b/x"));
    rig_close(&rig);
}

/* ---- mosquitto.conf ------------------------------------------------------------------------------------ */

static bool parse_conf(struct import_rig *rig, const char *text, struct mosquitto_conf *conf)
{
    char copy[4096];
    snprintf(copy, sizeof(copy), "%s", text);
    return mosquitto_conf_parse(&rig->run, copy, "m.conf", &rig->site, conf);
}

static void conf_lines(void)
{
    static const struct {
        const char *text;
        uint32_t line;
        const char *told;
        bool refused;
    } t[] = {
        {"listener 1883\nmax_conections 3\n", 2, "did you mean 'max_connections'", true},
        {"listener 1883\nzzz 3\n", 2, "has none of that name", true},
        {"listener\n", 1, "has no value", true},
        {"listener 99999\n", 1, "no number", true},
        {"listener 18x\n", 1, "no number", true},
        {"listener 1883\nallow_anonymous yes\n", 2, "write true or false", true},
        {"listener 1883\nplugin /usr/lib/other.so\n", 2, "decides by rules that cannot be read", true},
        {"listener 1883\nauth_plugin /usr/lib/other.so\n", 2, "decides by rules that cannot be read", true},
        {"listener 1883\nmount_point x/\n", 2, "changes the topics", true},
        {"listener 1883\nper_listener_settings true\n", 2, "move it up", true},
        {"acl_file /a\nacl_file /b\nlistener 1883\n", 2, "is there twice", true},
        {"include_dir /etc\n", 1, "stands in a file that is included itself", true},
        {"listener 8883\ncertfile /c.pem\n", 1, "but not both", true},
        {"listener 8883\nrequire_certificate true\n", 1, "has none of its own", true},
        {"bridge_cafile /x\nlistener 1\n", 1, "no 'connection' above", true},
        {"listener 1883\npersistent_client_expiration 3q\n", 2, "write a number and h", true},
        {"listener 1883\nmax_keepalive 10 s\n", 2, "no number", true},
        {"listener 1883\nallow_anonymous true\x01\n", 2, "control characters", true},
        {"allow_anonymous true\n", 0, "there is no listener", false},
        {"listener 1883\nprotocol websockets\n", 2, "speaks no WebSocket", false},
        {"listener 0 /run/m.sock\n", 1, "Unix socket", false},
        {"listener 1883 host.example\n", 1, "which is a name", false},
        {"listener 1883\nmax_connections 100\n", 2, "limits.sessions", false},
        {"listener 1883\nmemory_limit 5\nmax_queued_bytes 9\n", 3, "has no equal", false},
        {"listener 8883\ncertfile /c\nkeyfile /k\nuse_subject_as_username true\n", 4, "whole subject", false},
        {"listener 8883\ncertfile /c\nkeyfile /k\ntls_version tlsv1.1\n", 4, "TLS 1.2 and 1.3 only", false},
        {"listener 1883\nacl_file acl\n", 2, "relative name", false},
        {"listener 1883\nconnection up\naddress b.example:8883\ntopic # out\n", 2, "is a bridge", false},
        {"listener 1883\nconnection up\naddress b.example:8883\ntopic # out\n", 3, "as its upstream", false},
        {"listener 1883\nconnection up\nbridge_insecure true\n", 3, "always does", false},
        {"listener 1883\nconnection up\ntopic # out\n", 3, "every topic", false},
        {"listener 1883\npersistent_client_expiration 2w\n", 2, "session.expiry", false},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct import_rig rig;
        static struct mosquitto_conf conf;
        rig_open(&rig);
        bool good = parse_conf(&rig, t[i].text, &conf);
        if (good == t[i].refused || !rig_told(&rig, "m.conf", t[i].line, t[i].told)) {
            printf("%s", t[i].text);
            rig_print(rig.run.d);
            CU_FAIL("another answer");
        }
        rig_close(&rig);
    }
}

static void conf_values(void)
{
    struct import_rig rig;
    static struct mosquitto_conf conf;
    rig_open(&rig);
    CU_ASSERT_TRUE(parse_conf(
        &rig,
        "# all of it\r\nper_listener_settings true\nmax_inflight_messages 0\nmax_queued_messages 500\n"
        "max_keepalive 600\nmax_packet_size 2000\nmessage_size_limit 1000\npersistence true\n"
        "persistent_client_expiration 1d\nport 1884\nbind_address 10.0.0.1\nallow_anonymous true\n"
        "listener 8883 ::1\ncertfile /c\nkeyfile   /k \ncafile /ca\ncrlfile /crl\nrequire_certificate true\n"
        "use_identity_as_username true\ntls_version tlsv1.3\nmax_qos 1\nacl_file /acl\n"
        "listener 8883\nallow_anonymous false\npassword_file /pw\n",
        &conf));
    CU_ASSERT_EQUAL(diagnostics_errors(rig.run.d), 0);
    CU_ASSERT_TRUE(rig.site.unlimited_inflight);
    CU_ASSERT_EQUAL(rig.site.max_queued, 500);
    CU_ASSERT_EQUAL(rig.site.keepalive_max_s, 600);
    CU_ASSERT_EQUAL(rig.site.packet_bytes, 2000);
    CU_ASSERT_EQUAL(rig.site.payload_max, 1000);
    CU_ASSERT_EQUAL(rig.site.expiry_s, 86400);
    CU_ASSERT_EQUAL_FATAL(conf.listeners_n, 3);
    CU_ASSERT_EQUAL(conf.listeners[0].seen.port, 1884);
    CU_ASSERT_STRING_EQUAL(conf.listeners[0].seen.address, "10.0.0.1");
    CU_ASSERT_EQUAL(conf.listeners[0].security.anonymous, 1);
    const struct import_listener *tls = &conf.listeners[1].seen;
    CU_ASSERT_TRUE(tls->tls && tls->require_certificate && tls->certificate_is_user && tls->only_1_3);
    CU_ASSERT_STRING_EQUAL(tls->certificate, "/c");
    CU_ASSERT_STRING_EQUAL(tls->key, "/k");
    CU_ASSERT_STRING_EQUAL(tls->client_ca, "/ca");
    CU_ASSERT_STRING_EQUAL(tls->crl, "/crl");
    CU_ASSERT_EQUAL(tls->max_qos, 1);
    CU_ASSERT_STRING_EQUAL(conf.listeners[1].security.acl_file.text, "/acl");
    CU_ASSERT_PTR_NULL(conf.listeners[2].security.acl_file.text);
    CU_ASSERT_STRING_EQUAL(conf.listeners[2].seen.name, "mqtt-8883-2");
    CU_ASSERT_EQUAL(conf.listeners[2].security.anonymous, 0);
    rig_close(&rig);
}

/* What two filters have in common (MQTT 5.0 s.4.7): of that what the broker asks twice is made. */
static void meeting_filters(void)
{
    static const struct {
        const char *a, *b;
        bool meet;
    } t[] = {
        {"a", "a", true},         {"a", "b", false},
        {"a/#", "a", true},       {"a/#", "+", true},
        {"/b/+", "+/b/b", true},  {"/b/+", "b/b", false},
        {"#", "$SYS/x", false},   {"+/x", "$SYS/x", false},
        {"$SYS/#", "$SYS", true}, {"a/+", "a", false},
        {"a/+/c", "+/b/#", true}, {"a//c", "a/+/c", true},
        {"a/\x02", "a/b", true},  {"a/\x01/c", "a/b/d", false},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        CU_ASSERT_EQUAL(import_filters_meet(t[i].a, t[i].b), t[i].meet);
        CU_ASSERT_EQUAL(import_filters_meet(t[i].b, t[i].a), t[i].meet);
    }
}

/* An empty first level is a level: what is granted is what both say, "/b/b", and not "b/b". */
static void empty_first_level(void)
{
    static const char text[] =
        "{\"roles\":[{\"rolename\":\"r\",\"acls\":[{\"acltype\":\"subscribePattern\",\"topic\":\"/b/"
        "+\",\"allow\":true},"
        "{\"acltype\":\"publishClientReceive\",\"topic\":\"+/b/b\",\"allow\":true}]}],"
        "\"clients\":[{\"username\":\"u\",\"password\":\"cGFzcw==\",\"salt\":\"c2FsdA==\",\"iterations\":101,"
        "\"roles\":[{\"rolename\":\"r\"}]}]}";
    struct import_rig rig;
    rig_open(&rig);
    CU_ASSERT_TRUE(mosquitto_dynsec_read(&rig.run, text, strlen(text), "d.json", NULL, false, &rig.site));
    CU_ASSERT_TRUE_FATAL(mosquitto_site_finish(&rig.run, &rig.site));
    CU_ASSERT_EQUAL_FATAL(rig.site.roles[0].rules.n, 1);
    CU_ASSERT_STRING_EQUAL(rig.site.roles[0].rules.at[0].filter, "/b/b");
    rig_close(&rig);
}

/* ---- a site of files ----------------------------------------------------------------------------------- */

#define ANN                                                                                                  \
    "ann:$7$101$UwsyWu1GGgOzneYG$MqbzY6wM9zST8MtS0kCkhKMIlCQ5E9N6DcRSzSPFsgPy2dEJ/"                          \
    "iS3DuN5bjZhKcR0oSFUATgNM1P2/KWfcsBbrg==\n"
#define BOB                                                                                                  \
    "bob:$7$101$UwsyWu1GGgOzneYG$MqbzY6wM9zST8MtS0kCkhKMIlCQ5E9N6DcRSzSPFsgPy2dEJ/"                          \
    "iS3DuN5bjZhKcR0oSFUATgNM1P2/KWfcsBbrg==\n"
#define ANN_TOO                                                                                              \
    "ann:$7$102$UwsyWu1GGgOzneYG$MqbzY6wM9zST8MtS0kCkhKMIlCQ5E9N6DcRSzSPFsgPy2dEJ/"                          \
    "iS3DuN5bjZhKcR0oSFUATgNM1P2/KWfcsBbrg==\n"

static bool read_site(struct import_rig *rig, const char *conf, const char *acl, const char *pw,
                      const char *pw2)
{
    char text[1024], path[128];
    rig_open(rig);
    /* "@" stands for the directory. */
    size_t n = 0;
    for (const char *c = conf; *c != '\0'; c++)
        n += (size_t)(*c == '@' ? snprintf(text + n, sizeof(text) - n, "%s", rig->directory)
                                : snprintf(text + n, sizeof(text) - n, "%c", *c));
    rig_file(rig, "mosquitto.conf", text);
    if (acl != NULL)
        rig_file(rig, "acl", acl);
    if (pw != NULL)
        rig_file(rig, "pw", pw);
    if (pw2 != NULL)
        rig_file(rig, "pw2", pw2);
    rig_path(rig, "mosquitto.conf", path);
    return mosquitto_site_read(&rig->run, arena_format(rig->run.arena, "%s", path), &rig->site);
}

#define KEY "000102030405060708090a0b0c0d0e0f"

/* H5, C1: what a listener with keys becomes, and its users. */
static void sites_with_keys(void)
{
    struct import_rig rig;
    bool good = read_site(&rig,
                          "per_listener_settings true\nlistener 8883\npsk_hint h\npsk_file @/pw\n"
                          "use_identity_as_username true\nacl_file @/acl\ntls_version tlsv1.3\n"
                          "listener 1883\nallow_anonymous true\npsk_file @/pw\n",
                          "topic read public/#\nuser ann\ntopic write in/%u/x\npattern read out/%u/#\n",
                          "# keys\nzoe:" KEY "ff\nann:" KEY "\nodd:" KEY "0\nweak:1234\n", NULL);
    CU_ASSERT_TRUE_FATAL(good);
    CU_ASSERT_EQUAL_FATAL(rig.site.listeners_n, 2);
    const struct import_listener *keyed = &rig.site.listeners[0], *plain = &rig.site.listeners[1];
    CU_ASSERT_TRUE(keyed->keys && keyed->key_is_user && keyed->tls && keyed->only_1_3 &&
                   !keyed->certificate_is_user);
    CU_ASSERT_FALSE(plain->keys || plain->tls);
    CU_ASSERT_EQUAL_FATAL(keyed->psk_n, 2); /* in order of identities; the others are told */
    CU_ASSERT_STRING_EQUAL(keyed->psk[0], "ann:" KEY);
    CU_ASSERT_STRING_EQUAL(keyed->psk[1], "zoe:" KEY "ff");
    CU_ASSERT_TRUE(rig_told(&rig, "pw", 4, "odd number of digits"));
    CU_ASSERT_TRUE(rig_told(&rig, "pw", 5, "shorter than 16 bytes"));
    CU_ASSERT_TRUE(rig_told(&rig, "mosquitto.conf", 10, "no psk_hint"));
    CU_ASSERT_TRUE(rig_told(&rig, "mosquitto.conf", 2, "without ECDHE"));
    for (size_t i = 0; i < diagnostics_count(rig.run.d); i++)
        CU_ASSERT_PTR_NULL(strstr(diagnostics_at(rig.run.d, i)->text, "0102030405")); /* C5 */
    bool named = false, others = false, anonymous = false;
    for (uint32_t i = 0; i < rig.site.roles_n; i++) {
        const struct import_role *role = &rig.site.roles[i];
        if (role->listener == NULL || strcmp(role->listener, keyed->name) != 0)
            continue;
        CU_ASSERT_TRUE(role->by_psk);
        named = named || role->who == IMPORT_NAMED;
        others = others || role->who == IMPORT_OTHERS;
        anonymous = anonymous || role->who == IMPORT_ANONYMOUS;
    }
    CU_ASSERT_TRUE(named && others && !anonymous);
    rig_close(&rig);
}

static void sites_refused(void)
{
    static const struct {
        const char *name, *conf, *acl, *pw, *file;
        uint32_t line;
        const char *told;
    } t[] = {
        {"a file that is not there", "listener 1883\nallow_anonymous true\nacl_file @/acl\n", NULL, NULL,
         "mosquitto.conf", 3, "cannot be read"},
        {"nobody can log in", "listener 1883\n", NULL, NULL, "mosquitto.conf", 0, "nobody can log in"},
        {"a broken line", "listener 1883\nallow_anonymous true\nacl_file @/acl\n", "topic a\ntopik b\n", NULL,
         "acl", 2, "a line begins with"},
        {"a broken password file", "listener 1883\npassword_file @/pw\n", NULL, "ann:secret\n", "pw", 1, ""},
        {"keys that nobody has", "listener 8883\npsk_hint h\nallow_anonymous true\n", NULL, NULL,
         "mosquitto.conf", 1, "no psk_file: nobody can connect"},
        {"keys and a certificate",
         "listener 8883\npsk_hint h\ncertfile @/c\nkeyfile @/k\nallow_anonymous true\n"
         "psk_file @/pw\n",
         NULL, "x:" KEY "\n", "mosquitto.conf", 1, "keep one"},
        {"a line without a key", "listener 8883\npsk_hint h\nallow_anonymous true\npsk_file @/pw\n", NULL,
         "x:" KEY "\ny:\n", "pw", 2, "is not 'identity:key in hex'"},
        {"what is not hex", "listener 8883\npsk_hint h\nallow_anonymous true\npsk_file @/pw\n", NULL,
         "x:" KEY "g\n", "pw", 1, "is not 'identity:key in hex'"},
        {"two keys of one", "listener 8883\npsk_hint h\nallow_anonymous true\npsk_file @/pw\n", NULL,
         "x:" KEY "\nx:" KEY "00\n", "pw", 0, "identity 'x' has two keys"},
        {"weak keys alone", "listener 8883\npsk_hint h\nallow_anonymous true\npsk_file @/pw\n", NULL,
         "x:1234\n", "pw", 0, "no key is left"},
        {"only WebSockets", "listener 1883\nprotocol websockets\nallow_anonymous true\n", NULL, NULL,
         "mosquitto.conf", 0, "no listener is left"},
        {"the plugin beside an acl_file",
         "listener 1883\nplugin /x/mosquitto_dynamic_security.so\nplugin_opt_config_file @/acl\nacl_file "
         "@/acl\n",
         "{}", NULL, "mosquitto.conf", 2, "it is not known who decides"},
        {"the plugin without its file", "listener 1883\nplugin /x/mosquitto_dynamic_security.so\n", NULL,
         NULL, "mosquitto.conf", 2, "needs plugin_opt_config_file"},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct import_rig rig;
        bool good = read_site(&rig, t[i].conf, t[i].acl, t[i].pw, NULL);
        if (good || !rig_told(&rig, t[i].file, t[i].line, t[i].told)) {
            printf("%s\n", t[i].name);
            rig_print(rig.run.d);
            CU_FAIL("another answer");
        }
        rig_close(&rig);
    }
}

/* Users of one listener are not those of another, though a policy has one users_file. */
static void listeners_apart(void)
{
    struct import_rig rig;
    struct import_summary summary;
    CU_ASSERT_TRUE_FATAL(
        read_site(&rig,
                  "per_listener_settings true\nlistener 1883\npassword_file @/pw\nacl_file @/acl\n"
                  "listener 1884\npassword_file @/pw2\nallow_anonymous true\nacl_file @/acl\n",
                  "topic read open\nuser ann\ntopic read a\npattern read h/%u\n", ANN, BOB));
    CU_ASSERT_EQUAL(rig.site.users_n, 2);
    CU_ASSERT_STRING_EQUAL(rig.site.listeners[0].name, "mqtt-1883");
    CU_ASSERT_TRUE(rig.site.listeners[1].anonymous && rig.site.listeners[1].passwords);
    char path[128];
    rig_path(&rig, "pw2", path);
    rig_file(&rig, "pw2", ANN BOB);
    chmod(path, 0600);
    rig_load(&rig, path, &summary);
    CU_ASSERT_TRUE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", true, "a"));
    CU_ASSERT_TRUE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", true, "h/ann"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "bob", NULL, "mqtt-1883", true, "h/bob"));
    CU_ASSERT_TRUE(rig_allows(&rig, "c", "bob", NULL, "mqtt-1884", true, "h/bob"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1884", true, "a"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1884", true, "open"));
    CU_ASSERT_TRUE(rig_allows(&rig, "c", NULL, NULL, "mqtt-1884", true, "open"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", NULL, NULL, "mqtt-1883", true, "open"));
    rig_close(&rig);
    CU_ASSERT_FALSE(read_site(
        &rig,
        "per_listener_settings true\nlistener 1883\npassword_file @/pw\nlistener 1884\npassword_file @/pw2\n",
        NULL, ANN, ANN_TOO));
    CU_ASSERT_TRUE(rig_told(&rig, "mosquitto.conf", 0, "'ann' has different passwords"));
    rig_close(&rig);
}

static void no_acl_file(void)
{
    struct import_rig rig;
    struct import_summary summary;
    CU_ASSERT_TRUE_FATAL(read_site(&rig, "listener 1883\nallow_anonymous true\n", NULL, NULL, NULL));
    CU_ASSERT_TRUE(rig_told(&rig, "mosquitto.conf", 0, "may publish and read everything"));
    rig_load(&rig, NULL, &summary);
    CU_ASSERT_TRUE(rig_allows(&rig, "c", NULL, NULL, "mqtt-1883", false, "x/y"));
    CU_ASSERT_TRUE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", true, "$SYS/x"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", false, "$CONTROL/x"));
    rig_close(&rig);
}

static void included_files(void)
{
    struct import_rig rig;
    char path[128];
    CU_ASSERT_FALSE(read_site(&rig, "include_dir @/conf.d\n", NULL, NULL, NULL));
    CU_ASSERT_TRUE(rig_told(&rig, "mosquitto.conf", 1, "cannot be read"));
    rig_path(&rig, "conf.d", path);
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    rig_file(&rig, "conf.d/b.conf", "allow_anonymous treu\n");
    rig_file(&rig, "conf.d/a.conf", "listener 1883\n");
    rig_path(&rig, "mosquitto.conf", path);
    rig.site = (struct import_site){.listeners_n = 0};
    CU_ASSERT_FALSE(mosquitto_site_read(&rig.run, path, &rig.site));
    CU_ASSERT_TRUE(rig_told(&rig, "conf.d/b.conf", 1, "write true or false"));
    rig_file(&rig, "conf.d/b.conf", "allow_anonymous true\n");
    rig.site = (struct import_site){.listeners_n = 0};
    CU_ASSERT_TRUE(mosquitto_site_read(&rig.run, path, &rig.site));
    CU_ASSERT_EQUAL(rig.site.listeners_n, 1);
    rig_close(&rig);
}

/* ---- the plugin ---------------------------------------------------------------------------------------- */

#define PASSWORD "\"password\":\"cGFzcw==\",\"salt\":\"c2FsdA==\",\"iterations\":101"

static void plugin_refused(void)
{
    static const struct {
        const char *text, *told;
        uint32_t line;
    } t[] = {
        {"{\n\"roles\": [\n", "no JSON", 3},
        {"[]", "it is no object", 0},
        {"{\"roles\":1}", "is a list", 0},
        {"{\"roles\":[{}]}", "no good 'rolename'", 0},
        {"{\"roles\":[{\"rolename\":\"a\"},{\"rolename\":\"a\"}]}", "there twice", 0},
        {"{\"roles\":[{\"rolename\":\"a\",\"acls\":[{\"acltype\":\"x\",\"topic\":\"t\"}]}]}", "good acltype",
         0},
        {"{\"roles\":[{\"rolename\":\"a\",\"acls\":[{\"acltype\":\"publishClientSend\",\"topic\":\"a/#/"
         "b\"}]}]}",
         "cannot be carried over", 0},
        {"{\"roles\":[{\"rolename\":\"a\",\"acls\":[{\"acltype\":\"publishClientSend\"}]}]}",
         "no good 'topic'", 0},
        {"{\"roles\":[{\"rolename\":\"a\",\"acls\":[{\"acltype\":\"publishClientSend\",\"topic\":\"a\","
         "\"allow\":1}]}]}",
         "true or false", 0},
        {"{\"roles\":[{\"rolename\":\"a\",\"acls\":[{\"acltype\":\"publishClientSend\",\"topic\":\"a\","
         "\"priority\":\"1\"}]}]}",
         "no number", 0},
        {"{\"clients\":[{\"username\":\"u\"," PASSWORD ",\"roles\":[{\"rolename\":\"a\"}]}]}", "is not there",
         0},
        {"{\"clients\":[{\"username\":\"u\",\"password\":\"x\"}]}", "no good password", 0},
        {"{\"clients\":[{\"username\":\"u\\u0001\"}]}", "no good 'username'", 0},
        {"{\"clients\":[{\"username\":\"u\"},{\"username\":\"u\"}]}", "there twice", 0},
        {"{\"a\":1,\"a\":2}", "no JSON", 1},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct import_rig rig;
        rig_open(&rig);
        bool good =
            mosquitto_dynsec_read(&rig.run, t[i].text, strlen(t[i].text), "d.json", NULL, true, &rig.site);
        if (good || !rig_told(&rig, "d.json", t[i].line, t[i].told)) {
            printf("%s\n", t[i].text);
            rig_print(rig.run.d);
            CU_FAIL("another answer");
        }
        rig_close(&rig);
    }
}

/* Depth without end is jansson's to refuse; nothing is lost by it. */
static void plugin_depth(void)
{
    struct import_rig rig;
    static char deep[100000];
    memset(deep, '[', sizeof(deep) - 1);
    rig_open(&rig);
    CU_ASSERT_FALSE(mosquitto_dynsec_read(&rig.run, deep, sizeof(deep) - 1, "d.json", NULL, true, &rig.site));
    CU_ASSERT_TRUE(rig_told(&rig, "d.json", 1, "no JSON"));
    rig_close(&rig);
}

static const char plugin_site[] =
    "{\"defaultACLAccess\":{\"publishClientSend\":false,\"publishClientReceive\":true,\"subscribe\":false,"
    "\"unsubscribe\":true},"
    "\"roles\":[{\"rolename\":\"sensor\",\"acls\":["
    "{\"acltype\":\"publishClientSend\",\"topic\":\"s/#\",\"allow\":true},"
    "{\"acltype\":\"publishClientSend\",\"topic\":\"s/secret/#\",\"priority\":5,\"allow\":false},"
    "{\"acltype\":\"subscribeLiteral\",\"topic\":\"cmd/all\",\"allow\":true},"
    "{\"acltype\":\"unsubscribePattern\",\"topic\":\"#\",\"allow\":true}]},"
    "{\"rolename\":\"reader\",\"acls\":[{\"acltype\":\"subscribePattern\",\"topic\":\"s/#\",\"allow\":true},"
    "{\"acltype\":\"publishClientReceive\",\"topic\":\"s/private/#\",\"allow\":false}]},"
    "{\"rolename\":\"admin\",\"acls\":[{\"acltype\":\"publishClientSend\",\"topic\":\"$CONTROL/"
    "dynamic-security/#\",\"allow\":true}]},"
    "{\"rolename\":\"guest\",\"acls\":[{\"acltype\":\"subscribePattern\",\"topic\":\"open/"
    "+\",\"allow\":true}]}],"
    "\"groups\":[{\"groupname\":\"readers\",\"roles\":[{\"rolename\":\"reader\"}],\"clients\":[{\"username\":"
    "\"desk\"}]},"
    "{\"groupname\":\"guests\",\"roles\":[{\"rolename\":\"guest\"}],\"clients\":[]}],\"anonymousGroup\":"
    "\"guests\","
    "\"clients\":[{\"username\":\"s1\",\"clientid\":\"dev-1\",\"roles\":[{\"rolename\":\"sensor\"},{"
    "\"rolename\":\"admin\"}]," PASSWORD "},"
    "{\"username\":\"desk\",\"roles\":[]," PASSWORD "},"
    "{\"username\":\"gone\",\"disabled\":true,\"roles\":[{\"rolename\":\"sensor\"}]," PASSWORD "},"
    "{\"username\":\"bare\",\"roles\":[{\"rolename\":\"sensor\"}]}]}";

static void plugin_meaning(void)
{
    static const struct {
        const char *client_id, *user;
        bool receive;
        const char *topic;
        bool allowed;
    } t[] = {
        {"dev-1", "s1", false, "s/1/t", true},  {"dev-1", "s1", false, "s/secret/t", false},
        {"dev-2", "s1", false, "s/1/t", false}, {"dev-1", "s1", true, "cmd/all", true},
        {"dev-1", "s1", true, "cmd/x", false},  {"dev-1", "s1", false, "$CONTROL/dynamic-security/v1", false},
        {"c", "desk", true, "s/1/t", true},     {"c", "desk", true, "s/private/x", false},
        {"c", "desk", false, "s/1/t", false},   {"c", "gone", false, "s/1/t", false},
        {"c", "bare", false, "s/1/t", false},   {"c", NULL, true, "open/x", true},
        {"c", NULL, true, "s/1/t", false},      {"c", "eve", true, "open/x", false},
    };
    struct import_rig rig;
    struct import_summary summary;
    rig_open(&rig);
    bool good =
        mosquitto_dynsec_read(&rig.run, plugin_site, strlen(plugin_site), "d.json", NULL, true, &rig.site) &&
        mosquitto_site_finish(&rig.run, &rig.site);
    rig_print(rig.run.d);
    CU_ASSERT_TRUE_FATAL(good);
    CU_ASSERT_TRUE(rig_told(&rig, "d.json", 0, "topics of $CONTROL are granted to nobody"));
    CU_ASSERT_TRUE(rig_told(&rig, "d.json", 0, "'gone' is disabled"));
    CU_ASSERT_TRUE(rig_told(&rig, "d.json", 0, "'bare' has no password"));
    CU_ASSERT_EQUAL_FATAL(rig.site.users_n, 2);
    CU_ASSERT_STRING_EQUAL(rig.site.users[0], "s1:$7$101$c2FsdA==$cGFzcw==");
    rig_load(&rig, NULL, &summary);
    for (size_t i = 0; i < COUNT(t); i++)
        if (rig_allows(&rig, t[i].client_id, t[i].user, NULL, "mqtt-1883", t[i].receive, t[i].topic) !=
            t[i].allowed) {
            printf("%s %s %s\n", t[i].client_id, t[i].user != NULL ? t[i].user : "-", t[i].topic);
            CU_FAIL("not what the plugin says");
        }
    CU_ASSERT_TRUE(rig_subscribes(&rig, "c", "desk", "s/#")); /* of which a part may not be received */
    CU_ASSERT_FALSE(rig_subscribes(&rig, "c", "desk", "s/private/#")); /* nothing could come by it */
    CU_ASSERT_FALSE(
        rig_subscribes(&rig, "c", "desk", "#")); /* the plugin refuses it, and trims nothing out of it */
    CU_ASSERT_FALSE(rig_subscribes(&rig, "c", NULL, "#"));
    rig_close(&rig);
}

/* ---- what is written ----------------------------------------------------------------------------------- */

/* A certificate's name is the user: it is matched, and stands in patterns. */
static void certificates(void)
{
    struct import_rig rig;
    struct mosquitto_acl acl = {.file = NULL};
    struct import_summary summary;
    char text[] = "user ann\ntopic read a\npattern write d/%u\n";
    struct import_listener listener = {.name = "mqtt-1883",
                                       .file = "mosquitto.conf",
                                       .port = 1883,
                                       .tls = true,
                                       .require_certificate = true,
                                       .certificate_is_user = true,
                                       .certificate = "/c",
                                       .key = "/k",
                                       .client_ca = "/ca"};
    rig_open(&rig);
    rig.site.listeners = &listener;
    rig.site.listeners_n = 1;
    CU_ASSERT_TRUE(mosquitto_acl_parse(&rig.run, text, "acl", &acl));
    CU_ASSERT_TRUE(mosquitto_site_acl_roles(&rig.run, &acl, NULL, false, &rig.site));
    for (uint32_t i = 0; i < rig.site.roles_n; i++)
        rig.site.roles[i].by_certificate = rig.site.roles[i].needs_certificate = true;
    CU_ASSERT_TRUE(mosquitto_site_finish(&rig.run, &rig.site));
    rig_load(&rig, NULL, &summary);
    CU_ASSERT_TRUE(rig_allows(&rig, "c", NULL, "ann", "mqtt-1883", true, "a"));
    CU_ASSERT_TRUE(rig_allows(&rig, "c", "eve", "bob", "mqtt-1883", false, "d/bob"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "ann", "bob", "mqtt-1883", true, "a"));
    CU_ASSERT_FALSE(rig_allows(&rig, "c", "ann", NULL, "mqtt-1883", true, "a"));
    rig_close(&rig);
}

static void one_line(struct import_rig *rig, const struct import_site *site, const char *wanted)
{
    char *text = NULL;
    size_t n = 0;
    struct import_summary summary;
    FILE *to = open_memstream(&text, &n);
    CU_ASSERT_TRUE(import_write_policy(&rig->run, site, "m.conf\nroles = ( );", NULL, to, &summary));
    fclose(to);
    if (strstr(text, wanted) == NULL) {
        printf("%s\nnot in\n%s", wanted, text);
        CU_FAIL("not written");
    }
    CU_ASSERT_PTR_NULL(strstr(text, "\nroles = ( );"));
    free(text);
}

static void written_lines(void)
{
    struct import_rig rig;
    load_acl(&rig, "user ann\n\ntopic write a/%u\npattern read h/%c-%u\n", false);
    rig.site.payload_max = 100;
    rig.site.max_inflight = 7;
    rig.site.max_queued = 9;
    rig.site.packet_bytes = 1000;
    rig.site.keepalive_max_s = 60;
    rig.site.expiry_s = 5;
    one_line(&rig, &rig.site, "topic = \"a/%u\"; will = true; payload_max = \"100B\"; },   # acl:3\n");
    one_line(&rig, &rig.site, "topic = \"h/${client_id}-ann\"; }   # acl:4\n");
    one_line(&rig, &rig.site, "topic = \"h/${client_id}-${user}\"; }   # acl:4\n");
    one_line(&rig, &rig.site,
             "    subscribe_mode = \"filter\";\n    inflight = 7;\n    queue = 9;\n    session = { expiry = "
             "\"5s\"; };\n"
             "    limits = { packet = \"1000B\"; keepalive = \"0s-60s\"; };\n");
    one_line(&rig, &rig.site, "  # acl:1 user ann\n  { name = \"r1-ann\"; match = { user = \"ann\"; };\n");
    rig_close(&rig);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"acl_file: lines that are taken and refused (H5)", acl_lines},
        {"acl_file: sections (H5)", acl_sections},
        {"acl_file: what it means (H5)", acl_meaning},
        {"acl_file: every SUBSCRIBE is granted (D5, H5)", wide_filters},
        {"what comes out narrower is told (H5)", narrower_is_told},
        {"mosquitto.conf: what is told, at its line (H5)", conf_lines},
        {"mosquitto.conf: what is kept (H5)", conf_values},
        {"what two filters have in common", meeting_filters},
        {"an empty first level stays", empty_first_level},
        {"sites with keys (H5, C1)", sites_with_keys},
        {"sites that are refused (H5)", sites_refused},
        {"listeners with files of their own (H5)", listeners_apart},
        {"no acl_file (H5)", no_acl_file},
        {"include_dir (H5)", included_files},
        {"dynamic security: what is refused (H5)", plugin_refused},
        {"dynamic security: depth (H5)", plugin_depth},
        {"dynamic security: what it means (H5)", plugin_meaning},
        {"the certificate is the user (B4, H5)", certificates},
        {"the policy as written (H5)", written_lines},
    };
    return unit_run("import", tests, sizeof(tests) / sizeof(tests[0]));
}
