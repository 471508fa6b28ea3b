/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learned_policy.h: what is written is a policy that loads, says what was learned, and keeps the rest (G1,
 * G5, G6). */
#include "config/gateway_config.h"
#include "config/learned_policy.h"
#include "config/policy_config.h"
#include "tests/unit/learn_lab.h"
#include "tests/unit/runner.h"

#include "policy/access/acl.h"

#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char settings[] =
    "schema = 1;\n"
    "gateway = { name = \"gw\"; };\n"
    "dataplane = { ports = ( { name = \"iot\"; device = \"tap:a\"; address = \"10.0.0.1/24\"; },\n"
    "                        { name = \"wan\"; device = \"tap:b\"; address = \"10.1.0.1/24\"; } ); };\n"
    "listeners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
    "\":1883\"; "
    "upstream = \"b\"; },\n"
    "              { name = \"coap\"; port = \"iot\"; protocol = \"coap\"; security = \"none\"; listen = "
    "\":5683\"; "
    "upstream = \"c\"; } );\n"
    "upstreams = ( { name = \"b\"; protocol = \"mqtt\"; security = \"none\"; servers = \"10.1.0.2:1883\"; "
    "},\n"
    "              { name = \"c\"; protocol = \"coap\"; security = \"none\"; servers = \"10.1.0.2:5683\"; } "
    ");\n"
    "control = { socket = \"/run/x/control.sock\"; };\n";

static const char policy[] =
    "roles = ( { name = \"truck\"; match = { listener = \"mqtt\"; client_id = \"dev-*\"; };\n"
    "            rules = ( { id = \"truck.old\"; allow = \"publish\"; topic = \"old/#\"; },\n"
    "                      { id = \"truck.no\"; deny = \"publish\"; topic = \"never/#\"; enforce = true; } "
    "); },\n"
    "          { name = \"other\"; match = { listener = \"mqtt\"; client_id = \"app-*\"; };\n"
    "            rules = ( { id = \"other.all\"; allow = \"subscribe\"; topic = \"fleet/#\"; } ); },\n"
    "          { name = \"thing\"; match = { listener = \"coap\"; client_id = \"dev-*\"; };\n"
    "            rules = ( { id = \"thing.old\"; allow = \"GET\"; path = \"/old\"; } ); } );\n"
    "tests = ( { as = \"dev-1\"; publish = \"old/x\"; expect = \"allow\"; },\n"
    "          { as = \"dev-1\"; publish = \"never/x\"; expect = \"deny\"; },\n"
    "          { as = \"app-1\"; subscribe = \"fleet/x\"; expect = \"allow\"; } );\n";

static char file[] = "/tmp/sallyport-learned-XXXXXX";

static void put_file(const char *text, size_t len)
{
    FILE *to = fopen(file, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    CU_ASSERT_EQUAL_FATAL(fwrite(text, 1, len, to), len);
    CU_ASSERT_EQUAL_FATAL(fclose(to), 0);
}

static void tell_all(const struct diagnostics *d)
{
    char line[512];
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        diagnostic_format(diagnostics_at(d, i), line, sizeof(line));
        fprintf(stderr, "%s\n", line);
    }
}

/* As the history keeps it. */
static struct config_text kept(void)
{
    struct config_text text = {.at = NULL};
    struct policy_summary summary;
    char all[sizeof(settings) + sizeof(policy)];
    snprintf(all, sizeof(all), "%s%s", settings, policy);
    put_file(all, strlen(all));
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *config = gateway_config_load(file, d);
    const struct policy_wishes wishes = {.style = CONFIG_PRINT_KEPT, .text = &text};
    struct snapshot *snapshot =
        config == NULL ? NULL : policy_config_load_with(NULL, config, 1, d, &summary, &wishes);
    if (snapshot == NULL)
        tell_all(d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    snapshot_destroy(snapshot);
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    return text;
}

/* Makes it, and drops tests until it loads, as the command does. */
static bool make(const struct config_text *text, struct learned_role *roles, uint32_t n,
                 struct learned_policy *out)
{
    bool good = learned_policy_make(text->at, text->len, roles, n, out);
    CU_ASSERT_TRUE_FATAL(good);
    for (int i = 0; i < 8; i++) {
        uint32_t dropped;
        struct diagnostics *d = diagnostics_create();
        put_file(out->at, out->len);
        good = learned_policy_check(out, file, d, &dropped);
        if (!good && dropped == 0)
            tell_all(d);
        diagnostics_destroy(d);
        if (good || dropped == 0)
            return good;
        CU_ASSERT_TRUE_FATAL(learned_policy_rewrite(text->at, text->len, roles, n, out));
    }
    return false;
}

static void publish(struct evidence *e, uint32_t client, uint8_t action, const char *topic, uint8_t qos,
                    bool retain, bool will)
{
    char name[32];
    snprintf(name, sizeof(name), "dev-%u", client);
    uint16_t place = learn_lab_client(e, name, client);
    struct evidence_act act = {.action = action,
                               .qos = qos,
                               .retain = retain,
                               .will = will,
                               .payload_bytes = 100,
                               .topic = bytes_of_text(topic)};
    evidence_see(e, place, &act);
}

static struct evidence *trucks(void)
{
    struct evidence *e = learn_lab_create();
    char topic[64];
    for (uint32_t i = 1; i <= 10; i++) {
        snprintf(topic, sizeof(topic), "fleet/dev-%u/gps", i);
        publish(e, i, ACL_PUBLISH, topic, 1, false, false);
        snprintf(topic, sizeof(topic), "fleet/dev-%u/status", i);
        publish(e, i, ACL_PUBLISH, topic, 1, true, true);
        snprintf(topic, sizeof(topic), "fleet/dev-%u/cmd/#", i);
        publish(e, i, ACL_SUBSCRIBE, topic, 2, false, false);
        publish(e, i, ACL_PUBLISH, "say/\"quoted\\\"", 0, false, false);
    }
    publish(e, 3, ACL_PUBLISH, "fleet/dev-4/gps", 1, false, false);
    publish(e, 3, ACL_PUBLISH, "odd\n# roles = ( );", 1, false, false);
    return e;
}

static bool has(const struct learned_policy *p, const char *text)
{
    return strstr(p->at, text) != NULL;
}

static void written(void)
{
    static const char *const wanted[] = {
        "topic = \"fleet/${client_id}/gps\";",
        "topic = \"fleet/${client_id}/status\";",
        "will = true;",
        "topic = \"fleet/${client_id}/cmd/#\";",
        "topic = \"say/\\\"quoted\\\\\\\"\";",
        "id = \"truck.no\";",
        "id = \"other.all\";",
        "id = \"thing.old\";",
        "publish = \"never/x\";",
        "mode = \"observe\";",
        "#     publish = \"old/x\";",
        "another client's topic: publish fleet/dev-4/gps by dev-3",
        "payload_max = \"256B\";",
    };
    static const char *const unwanted[] = {"\"old/#\"", "\n# roles", "topic = \"odd"};
    struct config_text text = kept();
    struct evidence *e = trucks();
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, 20);
    struct learned_role role = {.name = "truck", .mined = mined, .since_us = 1, .until_us = 2};
    struct learned_policy out;
    bool good = make(&text, &role, 1, &out);
    CU_ASSERT_TRUE(good && role.found);
    for (size_t i = 0; i < COUNT(wanted); i++)
        if (!has(&out, wanted[i])) {
            fprintf(stderr, "lacks %s\n", wanted[i]);
            CU_FAIL("a line is missing");
        }
    for (size_t i = 0; i < COUNT(unwanted); i++)
        CU_ASSERT_FALSE(has(&out, unwanted[i]));
    CU_ASSERT_EQUAL(out.rules, 4);
    CU_ASSERT_EQUAL(out.tests_dropped, 1);
    CU_ASSERT_TRUE(out.tests_positive >= 7 && out.tests_negative >= 4);
    CU_ASSERT_TRUE(strncmp(out.at + out.policy_at, "roles = (", 9) == 0);
    learned_policy_fini(&out);
    mined_destroy(mined);
    free(e);
    config_text_fini(&text);
}

/* Written, loaded, printed as kept, and written again of the same evidence: no test is there twice. */
static void again(void)
{
    struct config_text text = kept();
    struct evidence *e = trucks();
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, 20);
    struct learned_role role = {.name = "truck", .mined = mined};
    struct learned_policy first, second;
    struct config_text printed = {.at = NULL};
    struct policy_summary summary;
    CU_ASSERT_TRUE_FATAL(make(&text, &role, 1, &first));
    put_file(first.at, first.len);
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *config = gateway_config_load(file, d);
    const struct policy_wishes wishes = {.style = CONFIG_PRINT_KEPT, .text = &printed};
    struct snapshot *snapshot = policy_config_load_with(NULL, config, 1, d, &summary, &wishes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    CU_ASSERT_TRUE(make(&printed, &role, 1, &second));
    CU_ASSERT_EQUAL(second.tests_dropped, 0);
    CU_ASSERT_EQUAL(second.rules, first.rules);
    CU_ASSERT_TRUE(second.tests_n <= first.tests_n);
    snapshot_destroy(snapshot);
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    config_text_fini(&printed);
    learned_policy_fini(&first);
    learned_policy_fini(&second);
    mined_destroy(mined);
    free(e);
    config_text_fini(&text);
}

/* CoAP: methods of one path are one rule, to observe is to GET too (RFC 7641). */
static void coap(void)
{
    struct config_text text = kept();
    struct evidence *e = learn_lab_create();
    char topic[64];
    for (uint32_t i = 1; i <= 10; i++) {
        snprintf(topic, sizeof(topic), "t/dev-%u", i);
        publish(e, i, ACL_PUT, topic, 0, false, false);
        publish(e, i, ACL_POST, topic, 0, false, false);
        publish(e, i, ACL_OBSERVE, "time", 0, false, false);
    }
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, 20);
    struct learned_role role = {.name = "thing", .mined = mined};
    struct learned_policy out;
    CU_ASSERT_TRUE(make(&text, &role, 1, &out));
    CU_ASSERT_EQUAL(out.rules, 2);
    CU_ASSERT_TRUE(has(&out, "allow = [ \"POST\", \"PUT\" ];\n        path = \"/t/${client_id}\";"));
    CU_ASSERT_TRUE(has(&out, "allow = [ \"GET\", \"OBSERVE\" ];\n        path = \"/time\";"));
    CU_ASSERT_TRUE(has(&out, "id = \"truck.old\";"));
    learned_policy_fini(&out);
    mined_destroy(mined);
    free(e);
    config_text_fini(&text);
}

/* A role that is not there any more is left out, and a text that print.h did not write is refused. */
static void not_there(void)
{
    struct config_text text = kept();
    struct evidence *e = trucks();
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, 20);
    struct learned_role role = {.name = "nobody", .mined = mined};
    struct learned_policy out;
    CU_ASSERT_TRUE(make(&text, &role, 1, &out));
    CU_ASSERT_TRUE(!role.found && out.rules == 0);
    learned_policy_fini(&out);
    role.name = "truck";
    for (size_t cut = 0; cut < text.len; cut += 7) {
        (void)learned_policy_make(text.at, cut, &role, 1,
                                  &out); /* whatever it answers: nothing is read beyond */
        learned_policy_fini(&out);
    }
    CU_ASSERT_FALSE(learned_policy_make("x = 1;\n", 7, &role, 1, &out));
    learned_policy_fini(&out);
    mined_destroy(mined);
    free(e);
    config_text_fini(&text);
}

/* Nothing was seen, or nothing that can be proposed: the role allows nothing, and the file loads. */
static void nothing_learned(void)
{
    struct config_text text = kept();
    struct evidence *e = learn_lab_create();
    for (int round = 0; round < 2; round++) {
        struct mined *mined = mine((const struct evidence *const[]){e}, 1, 20);
        struct learned_role roles[] = {{.name = "truck", .mined = mined}, {.name = "thing", .mined = mined}};
        struct learned_policy out;
        CU_ASSERT_TRUE(make(&text, roles, 2, &out));
        CU_ASSERT_EQUAL(out.rules, 0);
        CU_ASSERT_TRUE(roles[0].found && roles[1].found);
        CU_ASSERT_TRUE(has(&out, "id = \"truck.no\";"));
        /* Without any evidence a role is as it was, old rules and all; then it observes. */
        CU_ASSERT_TRUE(roles[0].left == (round == 0) && roles[1].left == (round == 0));
        CU_ASSERT_TRUE(has(&out, "thing.old") == (round == 0) && has(&out, "truck.old") == (round == 0));
        CU_ASSERT_TRUE(has(&out, "    mode = \"observe\";") == (round != 0));
        learned_policy_fini(&out);
        mined_destroy(mined);
        publish(e, 1, ACL_SUBSCRIBE, "#", 0, false, false);
    }
    free(e);
    config_text_fini(&text);
}

/* Odd topics that all use: what is proposed loads. */
static void odd_topics(void)
{
    static const char *const topics[] = {"/",
                                         "//",
                                         "a/",
                                         " ",
                                         "$x",
                                         "$",
                                         "${",
                                         "{}",
                                         "a/$b",
                                         "\xC3\xA9\xF0\x9F\x9A\x9B",
                                         "\\",
                                         "\"",
                                         "a;b",
                                         "# c",
                                         "/* d */",
                                         "// e",
                                         "@include \"x\"",
                                         "..",
                                         "%s%n"};
    static const uint8_t actions[] = {ACL_PUBLISH, ACL_SUBSCRIBE};
    struct config_text text = kept();
    struct evidence *e = learn_lab_create();
    for (size_t i = 0; i < COUNT(topics); i++)
        for (uint32_t client = 1; client <= 5; client++)
            for (size_t k = 0; k < COUNT(actions); k++)
                publish(e, client, actions[k], topics[i], 0, false, false);
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, 20);
    struct learned_role role = {.name = "truck", .mined = mined};
    struct learned_policy out;
    CU_ASSERT_TRUE(make(&text, &role, 1, &out));
    CU_ASSERT_EQUAL(out.rules, 2 * (COUNT(topics) - 2)); /* but "${" and what holds a '#' */
    CU_ASSERT_EQUAL(out.tests_dropped, 1);
    learned_policy_fini(&out);
    mined_destroy(mined);
    free(e);
    e = learn_lab_create();
    for (size_t i = 0; i < COUNT(topics); i++)
        for (uint32_t client = 1; client <= 5; client++)
            if (strcmp(topics[i], "..") != 0) /* a request with it is refused, and never learned from */
                publish(e, client, ACL_GET, topics[i], 0, false, false);
    mined = mine((const struct evidence *const[]){e}, 1, 20);
    role = (struct learned_role){.name = "thing", .mined = mined};
    CU_ASSERT_TRUE(make(&text, &role, 1, &out));
    learned_policy_fini(&out);
    mined_destroy(mined);
    free(e);
    config_text_fini(&text);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"nothing was learned", nothing_learned},
        {"odd topics", odd_topics},
        {"what was learned is written, and loads", written},
        {"written again, nothing is there twice", again},
        {"CoAP", coap},
        {"a role that is not there, a text that is cut", not_there},
    };
    int fd = mkstemp(file);
    if (fd < 0)
        return EXIT_FAILURE;
    close(fd);
    int status = unit_run("learned_policy", tests, COUNT(tests));
    unlink(file);
    return status;
}
