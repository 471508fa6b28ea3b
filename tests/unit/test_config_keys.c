/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every setting that the tables know, tried one at a time in a small configuration (G1): one that is taken is
 * printed by -T, and what is printed loads again, means the same, and prints as itself; a value that
 * overflows is an error whatever the setting. New settings are covered by being in the tables.
 */
#include "config/gateway_draft.h"
#include "config/policy_draft.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#define TEXT_BYTES 16384
#define PATH_BYTES 128

/* A comment names the group in which it stands, where a setting may be put in. */
#define BOX(protocol, upstream)                                                                              \
    "/*file*/\n"                                                                                             \
    "gateway = { /*gateway*/ };\n"                                                                           \
    "dataplane = { /*dataplane*/ limits = { /*dataplane.limits*/ };\n"                                       \
    "  ports = ( { /*dataplane.ports*/ name = \"iot\"; device = \"tap:a\"; address = \"10.20.0.1/22\"; },\n" \
    "            { name = \"wan\"; device = \"tap:b\"; address = \"10.30.0.1/24\"; } );\n"                   \
    "  routes = ( { /*dataplane.routes*/ to = \"10.40.0.0/16\"; via = \"10.30.0.254\"; port = \"wan\"; } "   \
    "); };\n"                                                                                                \
    "listeners = ( { /*listeners*/ name = \"in\"; port = \"iot\"; protocol = \"" protocol "\";\n"            \
    "  security = \"none\"; listen = \":1883\"; upstream = \"out\"; limits = { /*listeners.limits*/ }; } "   \
    ");\n"                                                                                                   \
    "upstreams = ( { /*upstreams*/ name = \"out\"; protocol = \"" protocol "\"; " upstream " } );\n"         \
    "control = { /*control*/ }; events = { /*events*/ };\n"
#define ROLE(match, rule)                                                                                    \
    "roles = ( { /*roles*/ name = \"a\"; match = { /*roles.match*/ " match " };\n"                           \
    "  limits = { /*roles.limits*/ };\n"                                                                     \
    "  rules = ( { /*roles.rules*/ id = \"a.r\"; " rule " } ); } );\n"                                       \
    "devices = ( { /*devices*/ id = \"a-2\"; } );\n"
#define TLS "security = \"tls\"; servers = \"10.30.0.2:8883\"; server_name = \"b.example\"; ca = \"ca.pem\";"
#define TOPIC "allow = \"publish\"; topic = \"t/${client_id}/x\";"
#define EXPECT "tests = ( { /*tests*/ as = \"a-1\"; "

/* A setting is tried in each, since some do not go with others. */
static const char *const bases[] = {
    BOX("mqtt", TLS) ROLE("listener = \"in\";", TOPIC) EXPECT
    "publish = \"t/a-1/x\"; expect = \"allow\"; } );\n",
    BOX("mqtt", TLS) ROLE("", TOPIC) EXPECT "expect = \"deny\"; } );\n",
    BOX("mqtt", TLS) ROLE("", TOPIC),
    BOX("coap", "security = \"none\"; servers = \"10.30.0.2:5683\";")
        ROLE("port = \"iot\";", "allow = \"GET\"; path = \"/t\";") EXPECT
    "POST = \"/t\"; expect = \"deny\"; } );\n",
    BOX("coap", "security = \"dtls\"; servers = \"10.30.0.2:5684\"; psk_file = \"ca.pem\";")
        ROLE("any = true;", "allow = \"GET\"; ") EXPECT "expect = \"deny\"; } );\n",
};
#define BASES (sizeof(bases) / sizeof(bases[0]))

/* The base with `setting` put in at `path`; false when no place has that name, or the setting is there. */
static bool with(const char *base, const char *path, const char *name, const char *value,
                 char text[TEXT_BYTES])
{
    char mark[PATH_BYTES + 8];
    snprintf(mark, sizeof(mark), "/*%s*/", path);
    const char *at = strstr(base, mark);
    if (at == NULL)
        return false;
    snprintf(text, TEXT_BYTES, "%.*s%s = %s;%s", (int)(at - base), base, name, value, at);
    return true;
}

/* What the file means and how it prints; false when it is refused. */
static bool load(const char *file, char fingerprint[16], struct config_text *text)
{
    struct diagnostics *d = diagnostics_create();
    const struct policy_wishes wishes = {.style = CONFIG_PRINT_KEPT, .text = text};
    *text = (struct config_text){.at = NULL};
    struct gateway_config *config = gateway_config_load(rig_path(file), d);
    struct snapshot *policy =
        config == NULL ? NULL : policy_config_load_with(NULL, config, 1, d, NULL, &wishes);
    rig_told(d);
    if (policy != NULL)
        snprintf(fingerprint, 16, "%s", snapshot_fingerprint(policy));
    if (policy != NULL)
        snapshot_destroy(policy);
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    return policy != NULL;
}

static const char *value_of(const struct schema_key *key, char value[256])
{
    static const char *const forms[] = {
        [SCHEMA_TEXT] = "\"a-1\"",    [SCHEMA_NAME] = "\"a\"",       [SCHEMA_PATH] = "\"ca.pem\"",
        [SCHEMA_NUMBER] = "1",        [SCHEMA_FLAG] = "true",        [SCHEMA_SIZE] = "\"4KiB\"",
        [SCHEMA_DURATION] = "\"5s\"", [SCHEMA_RATE] = "\"5/s\"",     [SCHEMA_BYTE_RATE] = "\"5KiB/s\"",
        [SCHEMA_TEXTS] = "\"a-1\"",   [SCHEMA_NUMBERS] = "[ 0, 1 ]", [SCHEMA_FREE] = "{ channel = \"x\"; }",
        [SCHEMA_LIST] = "( )",        [SCHEMA_GROUP] = "{ }",        [SCHEMA_WORD] = "\"none\"",
    };
    bool bare = key->type == SCHEMA_NUMBER || key->type == SCHEMA_NUMBERS || key->type == SCHEMA_FLAG;
    if (key->example != NULL)
        snprintf(value, 256, "%s", key->example);
    else if (key->fallback != NULL)
        snprintf(value, 256, bare ? "%s" : "\"%s\"", key->fallback);
    else
        snprintf(value, 256, "%s", forms[key->type] != NULL ? forms[key->type] : "\"x\"");
    return value;
}

struct walk {
    void (*each)(struct walk *walk, const char *path, const struct schema_key *key);
    uint32_t tried, taken, overflowed;
};

static void walk_table(struct walk *walk, const struct schema_table *table, const char *path)
{
    for (size_t i = 0; i < table->keys_n; i++) {
        const struct schema_key *key = &table->keys[i];
        char inner[PATH_BYTES];
        walk->each(walk, path, key);
        if (key->inside == NULL)
            continue;
        snprintf(inner, sizeof(inner), "%s%s%s", strcmp(path, "file") == 0 ? "" : path,
                 strcmp(path, "file") == 0 ? "" : ".", key->name);
        if (strlen(inner) < 64)
            walk_table(walk, key->inside, inner);
    }
}

static void walk_all(struct walk *walk)
{
    rig_begin();
    rig_directory("elsewhere");
    rig_write("ca.pem", "x");
    walk_table(walk, &gateway_keys, "file");
    walk_table(walk, &policy_keys, "file");
    rig_end();
}

/* ---- -T ------------------------------------------------------------------------------------------------ */

static void check_printed(const char *path, const struct schema_key *key, const char *first,
                          struct config_text *one)
{
    char second[16], said[64];
    struct config_text two;
    rig_write_bytes("elsewhere/printed.conf", one->at, one->len);
    bool good = load("elsewhere/printed.conf", second, &two);
    snprintf(said, sizeof(said), "%s = ", key->name);
    bool printed = strstr(one->at, said) != NULL || key->type == SCHEMA_GROUP || key->type == SCHEMA_LIST;
    bool same = good && strcmp(first, second) == 0 && strcmp(one->at, two.at) == 0;
    if (!printed || !same)
        fprintf(stderr, "  %s.%s: %s\n%s", path, key->name,
                !printed ? "not printed"
                : good   ? "prints as something else"
                         : "does not load again",
                rig_said);
    CU_ASSERT(printed && same);
    config_text_fini(&two);
}

static void try_print(struct walk *walk, const char *path, const struct schema_key *key)
{
    static char text[TEXT_BYTES];
    char value[256], first[16];
    struct config_text one;
    bool tried = false, taken = false;
    for (size_t i = 0; i < BASES; i++) {
        if (!with(bases[i], path, key->name, value_of(key, value), text))
            continue;
        tried = true;
        rig_write("sallyport.conf", text);
        if (!load("sallyport.conf", first, &one))
            continue; /* it needs others beside it, is there already, or is not in this version */
        taken = true;
        check_printed(path, key, first, &one);
        config_text_fini(&one);
    }
    walk->tried += tried;
    walk->taken += taken;
}

static void printed_settings(void)
{
    struct walk walk = {.each = try_print};
    walk_all(&walk);
    /* Most settings can stand alone; were this lower, the base would have ceased to load. */
    CU_ASSERT(walk.tried > 150 && walk.taken > walk.tried / 2);
    if (walk.taken <= walk.tried / 2)
        fprintf(stderr, "  %u of %u settings were taken\n%s", walk.taken, walk.tried, rig_said);
}

/* ---- overflow ------------------------------------------------------------------------------------------ */

static void try_overflow(struct walk *walk, const char *path, const struct schema_key *key)
{
    static const char *const values[][4] = {
        [SCHEMA_NUMBER] = {"4294967297", "9223372036854775808", "-4294967295", "99999999999999999999"},
        [SCHEMA_NUMBER_OR_WORD] = {"4294967297", "9223372036854775808", "-4294967295"},
        [SCHEMA_NUMBERS] = {"4294967296", "[ 4294967296 ]", "[ 9223372036854775808 ]"},
        [SCHEMA_SIZE] = {"\"18446744073709551617B\"", "\"17179869184GiB\"", "\"99999999999999999999MiB\"",
                         "\"-1B\""},
        [SCHEMA_DURATION] = {"\"18446744073709551617ms\"", "\"213503982334602d\"",
                             "\"99999999999999999999s\"", "\"-1s\""},
        [SCHEMA_RATE] = {"\"18446744073709551617/s\"", "\"1/s burst 18446744073709551617\"",
                         "\"99999999999999999999/min\"", "\"-1/s\""},
        [SCHEMA_BYTE_RATE] = {"\"17179869184GiB/s\"", "\"1B/s burst 17179869184GiB\"",
                              "\"18446744073709551617B/s\"", "\"-1B/s\""},
    };
    static char text[TEXT_BYTES];
    char fingerprint[16];
    struct config_text printed;
    if ((size_t)key->type >= sizeof(values) / sizeof(values[0]))
        return;
    for (size_t i = 0; i < 4 && values[key->type][i] != NULL; i++) {
        if (!with(bases[0], path, key->name, values[key->type][i], text))
            continue;
        rig_write("sallyport.conf", text);
        walk->overflowed++;
        bool taken = load("sallyport.conf", fingerprint, &printed);
        if (taken)
            fprintf(stderr, "  %s.%s = %s is taken\n", path, key->name, values[key->type][i]);
        CU_ASSERT_FALSE(taken);
        CU_ASSERT_PTR_NOT_NULL(strstr(rig_said, "sallyport.conf:"));
        config_text_fini(&printed);
    }
}

static void overflow_of_every_unit(void)
{
    struct walk walk = {.each = try_overflow};
    walk_all(&walk);
    CU_ASSERT(walk.overflowed > 80);
}

/* ---- values of every kind -------------------------------------------------------------------------------
 */

/* "file:line: error: what; why or fix", and nothing that only libconfig could have said. */
static bool well_told(const char *line, size_t len)
{
    char text[2048];
    snprintf(text, sizeof(text), "%.*s", (int)len, line);
    const char *level = strstr(text, ": error: ");
    if (level == NULL)
        level = strstr(text, ": warning: ");
    bool in_file = strncmp(text, "sallyport.conf:", 15) == 0 && text[15] >= '1' && text[15] <= '9';
    bool whole = level != NULL && (strstr(level, "; ") != NULL || strstr(level, "test failed: ") != NULL);
    return in_file && whole && strstr(text, "libconfig") == NULL && strstr(text, "(null)") == NULL;
}

static void try_kinds(struct walk *walk, const char *path, const struct schema_key *key)
{
    static const char *const values[] = {
        "\"\"",    "7",         "-1",      "1e3",       "1.5",      "true",          "{ }",        "( )",
        "[ ]",     "\"\\x01\"", "\"x y\"", "[ 7 ]",     "[ \"\" ]", "( { } )",       "{ a = 7; }", "( 7 )",
        "\" 5s\"", "\"5/\"",    "\"${\"",  "\"${no}\"", "\"#/x\"",  "\"../../etc\"",
    };
    static char text[TEXT_BYTES];
    char fingerprint[16];
    struct config_text printed;
    for (size_t base = 0; base < BASES; base += 3)
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            if (!with(bases[base], path, key->name, values[i], text))
                continue;
            rig_write("sallyport.conf", text);
            walk->tried++;
            bool taken = load("sallyport.conf", fingerprint, &printed);
            walk->taken += taken;
            CU_ASSERT(taken || strstr(rig_said, ": error: ") != NULL);
            for (const char *line = rig_said; *line != '\0'; line = strchr(line, '\n') + 1)
                if (!well_told(line, strcspn(line, "\n"))) {
                    fprintf(stderr, "  %s.%s = %s: %.*s\n", path, key->name, values[i],
                            (int)strcspn(line, "\n"), line);
                    CU_FAIL("not file:line: error: what; why; fix");
                }
            config_text_fini(&printed);
        }
}

static void every_setting_of_every_kind(void)
{
    struct walk walk = {.each = try_kinds};
    walk_all(&walk);
    CU_ASSERT(walk.tried > 4000 && walk.taken < walk.tried / 2);
}

/* ---- secrets ------------------------------------------------------------------------------------------- */

static void try_secret(struct walk *walk, const char *path, const struct schema_key *key)
{
    static const char *const words[] = {"password", "secret", "token", "passphrase", "credential"};
    bool text = key->type == SCHEMA_TEXT || key->type == SCHEMA_TEXTS || key->type == SCHEMA_FREE;
    walk->tried++;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (text && strstr(key->name, words[i]) != NULL) {
            fprintf(stderr, "  %s.%s would hold a secret\n", path, key->name);
            CU_FAIL("secrets are in files that settings name, of type SCHEMA_PATH");
        }
    if (text && (strcmp(key->name, "key") == 0 || strcmp(key->name, "psk") == 0))
        CU_FAIL("a key is in a file that a setting names, of type SCHEMA_PATH");
}

/* -T, the history of policies and messages show every setting: none may hold a secret itself (C5). */
static void secrets_are_in_files(void)
{
    struct walk walk = {.each = try_secret};
    walk_all(&walk);
    CU_ASSERT(walk.tried > 150);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"-T of every setting (G1)", printed_settings},
        {"overflow of every unit (G1)", overflow_of_every_unit},
        {"every setting with values of every kind (G1)", every_setting_of_every_kind},
        {"secrets are in files (C5)", secrets_are_in_files},
    };
    return unit_run("settings", tests, sizeof(tests) / sizeof(tests[0]));
}
