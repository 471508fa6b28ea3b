/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of policy.d/x.conf (operators' surface 2.3a to 2.5). */
#include "config/address.h"
#include "config/policy_draft.h"
#include "config/units.h"
#include "policy/access/glob.h"

#include <stdlib.h>
#include <string.h>

#define KEYS(table) .keys = table, .keys_n = sizeof(table) / sizeof(table[0])
#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define SECOND_US UINT64_C(1000000)

static void told(struct schema_read *read, const struct schema_value *value, const char *problem)
{
    schema_error(read, value->origin, "'%s' is \"%.64s\"; %s", value->name, value->text, problem);
}

/* Room for one more entry, zeroed; NULL when there is no memory. */
static void *grow(struct schema_read *read, const config_setting_t *setting, void *array, uint32_t n,
                  uint32_t *room, size_t bytes)
{
    void *larger = array;
    if (n == *room) {
        uint32_t wanted = *room == 0 ? 8 : *room * 2;
        larger = wanted < *room ? NULL : realloc(array, wanted * bytes);
        if (larger == NULL) {
            schema_error(read, load_origin(read->load, setting), "no memory for more entries");
            return NULL;
        }
        *room = wanted;
    }
    memset((uint8_t *)larger + n * bytes, 0, bytes);
    return larger;
}

static bool good_prefix(struct schema_read *read, const struct schema_value *value,
                        struct config_address *out)
{
    const char *problem = address_parse_prefix(value->text, true, out);
    if (problem != NULL) {
        told(read, value, problem);
        return false;
    }
    if (address_has_host_bits(out)) {
        char text[ADDRESS_TEXT_MAX];
        struct config_address network = address_network(out);
        schema_error(read, value->origin,
                     "'%s' is \"%s\", which has bits set behind its prefix; write \"%s\"", value->name,
                     value->text, address_format(&network, text));
        return false;
    }
    return true;
}

static void set_variable(struct schema_read *read, const struct schema_value *value,
                         struct policy_variable *variables, uint32_t *n)
{
    if (strpbrk(value->text, "+#/") != NULL)
        told(read, value, "a variable that stands in topics holds no '+', '#' or '/'");
    else if (*n == POLICY_VARIABLES_MAX)
        told(read, value, "there are more than 16 variables here; remove some");
    else
        variables[(*n)++] = (struct policy_variable){.name = value->name, .value = value->text};
}

/* ---- match --------------------------------------------------------------------------------------------- */

static struct policy_role_spec *role_of(void *into)
{
    return &((struct draft_role *)into)->spec;
}

static void set_glob(struct schema_read *read, const struct schema_value *value, void *into)
{
    const char *problem = glob_check(bytes_of_text(value->text));
    if (problem != NULL)
        told(read, value, problem);
    else
        memcpy((uint8_t *)into + value->key->at, &value->text, sizeof(value->text));
}

static void set_match_mac(struct schema_read *read, const struct schema_value *value, void *into)
{
    size_t len = strlen(value->text);
    char *lower = arena_text(read->arena, value->text, len);
    const char *problem = glob_check(bytes_of_text(value->text));
    if (problem == NULL && strspn(value->text, "0123456789abcdefABCDEF:*?[]-") != len)
        problem = "write pairs of hexadecimal digits parted by ':', or a glob such as \"00:1d:9c:*\"";
    for (size_t i = 0; lower != NULL && i < len; i++)
        if (lower[i] >= 'A' && lower[i] <= 'F')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    if (problem != NULL)
        told(read, value, problem);
    else
        role_of(into)->match.mac = lower;
}

static void set_match_source(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_match *match = &role_of(into)->match;
    struct config_address prefix;
    if (!good_prefix(read, value, &prefix))
        return;
    if (match->sources_n == POLICY_SOURCES_MAX) {
        told(read, value, "a role has at most 16 sources; write a wider prefix, or a second role");
        return;
    }
    struct policy_source *source = &match->sources[match->sources_n++];
    memcpy(source->address, prefix.bytes, 16);
    source->bits = prefix.bits;
}

static void set_match_listener(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    role_of(into)->match.listener = value->text;
    ((struct draft_role *)into)->listener = value->origin;
}

static void set_match_port(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    role_of(into)->match.port = value->text;
    ((struct draft_role *)into)->port = value->origin;
}

static void check_match(struct schema_read *read, const config_setting_t *setting, void *into)
{
    (void)into;
    const config_setting_t *any = config_setting_get_member(setting, "any");
    bool alone = config_setting_length(setting) == 1;
    if (config_setting_length(setting) == 0)
        schema_error(read, load_origin(read->load, setting),
                     "'match' names no condition; write at least one, or any = true; for every client");
    else if (any != NULL && config_setting_type(any) == CONFIG_TYPE_BOOL && alone &&
             config_setting_get_bool(any) == CONFIG_FALSE)
        schema_error(read, load_origin(read->load, any), "'match' names no condition; write one");
}

#define MATCH(member) SCHEMA_INTO(struct policy_role_spec, match.member)

static const struct schema_key match_keys[] = {
    {.name = "any", .type = SCHEMA_FLAG, MATCH(any)},
    {.name = "listener", .type = SCHEMA_NAME, .example = "\"mqtt\"", .set = set_match_listener},
    {.name = "port", .type = SCHEMA_NAME, .example = "\"iot\"", .set = set_match_port},
    {.name = "vlan", .type = SCHEMA_NUMBER, .min = 1, .max = 4094, .example = "20", MATCH(vlan)},
    {.name = "source",
     .type = SCHEMA_TEXTS,
     .max = 63,
     .example = "[ \"10.20.0.0/22\" ]",
     .set = set_match_source},
    {.name = "mac", .type = SCHEMA_TEXT, .max = 63, .example = "\"00:1d:9c:*\"", .set = set_match_mac},
    {.name = "client_id",
     .type = SCHEMA_TEXT,
     .max = GLOB_PATTERN_MAX,
     .example = "\"truck-*\"",
     .set = set_glob,
     MATCH(client_id)},
    {.name = "user",
     .type = SCHEMA_TEXT,
     .max = GLOB_PATTERN_MAX,
     .example = "\"hmi-*\"",
     .set = set_glob,
     MATCH(user)},
    {.name = "cert_cn",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_CERTIFICATE_NAME,
     .max = GLOB_PATTERN_MAX,
     .set = set_glob,
     MATCH(cert_cn)},
    {.name = "cert_ou",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_CERTIFICATE_NAME,
     .max = GLOB_PATTERN_MAX,
     .set = set_glob,
     MATCH(cert_ou)},
    {.name = "psk_id",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_CERTIFICATE_NAME,
     .max = GLOB_PATTERN_MAX,
     .set = set_glob,
     MATCH(psk_id)},
};
static const struct schema_table match_table = {.what = "match", KEYS(match_keys), .done = check_match};

/* ---- limits -------------------------------------------------------------------------------------------- */

static void set_keepalive(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_limits *limits = &role_of(into)->limits;
    uint64_t least, most;
    const char *problem = units_range(value->text, &least, &most);
    if (problem == NULL && (least % SECOND_US != 0 || most % SECOND_US != 0))
        problem = "a keep-alive is of whole seconds; write for example \"30s-10m\"";
    if (problem == NULL && (most == 0 || most > 65535 * SECOND_US))
        problem = "a keep-alive ends at 65535s; write a most from 1s to 18h";
    if (problem != NULL) {
        told(read, value, problem);
        return;
    }
    limits->keepalive_min_s = (uint32_t)(least / SECOND_US);
    limits->keepalive_max_s = (uint32_t)(most / SECOND_US);
}

#define LIMIT(member) SCHEMA_INTO(struct policy_role_spec, limits.member)

static const char *const over_words[] = {"delay", "drop", "disconnect", NULL};

static const struct schema_key limit_keys[] = {
    {.name = "connects",
     .type = SCHEMA_RATE,
     .fallback = "unlimited",
     .example = "\"6/min\"",
     LIMIT(connects)},
    {.name = "publishes", .type = SCHEMA_RATE, .fallback = "unlimited", LIMIT(publishes)},
    {.name = "bytes", .type = SCHEMA_BYTE_RATE, .fallback = "unlimited", LIMIT(bytes)},
    {.name = "requests",
     .type = SCHEMA_RATE,
     .feature = FEATURE_COAP,
     .example = "\"2/s burst 10\"",
     LIMIT(requests)},
    {.name = "packet",
     .type = SCHEMA_SIZE,
     .min = 64,
     .max = 256 * MIB,
     .fallback = "256KiB",
     .example = "\"16KiB\"",
     LIMIT(packet_bytes)},
    {.name = "subscriptions",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 65535,
     .fallback = "64",
     .example = "8",
     LIMIT(subscriptions)},
    {.name = "sessions", .type = SCHEMA_NUMBER, .min = 1, .max = 65535, .fallback = "1", LIMIT(sessions)},
    {.name = "topic_levels",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 64,
     .fallback = "32",
     .example = "16",
     LIMIT(topic_levels)},
    {.name = "topic_length",
     .type = SCHEMA_SIZE,
     .min = 1,
     .max = 65535,
     .fallback = "1KiB",
     .example = "\"256B\"",
     LIMIT(topic_bytes)},
    {.name = "user_properties",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 1024,
     .fallback = "16",
     .example = "8",
     LIMIT(user_properties)},
    {.name = "keepalive",
     .type = SCHEMA_TEXT,
     .max = 63,
     .fallback = "0s-1h",
     .example = "\"30s-10m\"",
     .set = set_keepalive},
    {.name = "over",
     .type = SCHEMA_WORD,
     .words = over_words,
     .fallback = "delay",
     .example = "\"drop\"",
     LIMIT(over)},
};
static const struct schema_table limit_table = {.what = "limits", KEYS(limit_keys)};

/* ---- rules --------------------------------------------------------------------------------------------- */

static const char *const action_words[ACL_ACTIONS] = {
    [ACL_PUBLISH] = "publish", [ACL_SUBSCRIBE] = "subscribe", [ACL_GET] = "GET",     [ACL_POST] = "POST",
    [ACL_PUT] = "PUT",         [ACL_DELETE] = "DELETE",       [ACL_FETCH] = "FETCH", [ACL_PATCH] = "PATCH",
    [ACL_IPATCH] = "IPATCH",   [ACL_OBSERVE] = "OBSERVE",
};
#define MQTT_ACTIONS ((1u << ACL_PUBLISH) | (1u << ACL_SUBSCRIBE))

static void set_actions(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_rule_spec *rule = into;
    rule->allow = strcmp(value->key->name, "allow") == 0;
    for (unsigned int i = 0; i < ACL_ACTIONS; i++) {
        if (strcmp(action_words[i], value->text) != 0)
            continue;
        if ((rule->actions & (1u << i)) != 0)
            told(read, value, "it is there twice; remove one");
        rule->actions = (uint16_t)(rule->actions | (1u << i));
        return;
    }
    told(read, value,
         "it is \"publish\", \"subscribe\", or a CoAP method in capitals (\"GET\", \"PUT\", \"OBSERVE\")");
}

static void set_path(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_rule_spec *rule = into;
    if (value->text[0] != '/' || value->text[1] == '\0')
        told(read, value,
             "a path begins with '/' and names at least one segment; write for example \"/t/${id}\"");
    else
        rule->topic = value->text + 1;
}

static void set_qos(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    struct acl_rule_spec *rule = into;
    rule->qos_mask = (uint8_t)(rule->qos_mask | (1u << value->number));
}

static void set_will(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    ((struct acl_rule_spec *)into)->will = value->number != 0 ? 1 : -1;
}

static const char *const payload_words[] = {"any", "utf8", "json", NULL};

#define RULE(member) SCHEMA_INTO(struct acl_rule_spec, member)

static const struct schema_key rule_keys[] = {
    {.name = "id", .type = SCHEMA_NAME, .required = true, .example = "\"truck.status\"", RULE(id)},
    {.name = "allow", .type = SCHEMA_TEXTS, .example = "\"publish\"", .set = set_actions},
    {.name = "deny", .type = SCHEMA_TEXTS, .example = "\"publish\"", .set = set_actions},
    {.name = "topic", .type = SCHEMA_TEXT, .example = "\"fleet/${client_id}/#\"", RULE(topic)},
    {.name = "path",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_COAP,
     .example = "\"/t/${id}\"",
     .set = set_path},
    {.name = "qos", .type = SCHEMA_NUMBERS, .min = 0, .max = 2, .set = set_qos},
    {.name = "retain", .type = SCHEMA_FLAG, RULE(retain)},
    {.name = "will", .type = SCHEMA_FLAG, .set = set_will},
    {.name = "payload", .type = SCHEMA_WORD, .words = payload_words, .example = "\"json\"", RULE(payload)},
    {.name = "payload_max",
     .type = SCHEMA_SIZE,
     .min = 1,
     .max = 256 * MIB,
     .example = "\"4KiB\"",
     RULE(payload_max)},
    {.name = "format", .type = SCHEMA_TEXT, .feature = FEATURE_PAYLOAD_FORMAT, .example = "\"senml+cbor\""},
    {.name = "enforce", .type = SCHEMA_FLAG, RULE(enforce)},
};

static const char *rule_problem(const struct acl_rule_spec *rule, bool allow, bool deny, bool topic,
                                bool path)
{
    if (allow == deny)
        return allow ? "has both 'allow' and 'deny'; make two rules of it"
                     : "has neither 'allow' nor 'deny'; add one";
    if (topic && path)
        return "has both 'topic' and 'path'; make two rules of it";
    bool mqtt = (rule->actions & MQTT_ACTIONS) != 0, coap = (rule->actions & ~MQTT_ACTIONS) != 0;
    if (mqtt && coap)
        return "mixes MQTT actions and CoAP methods; make two rules of it";
    if (!topic && !path)
        return coap ? "has no 'path'; add path = \"/...\";" : "has no 'topic'; add topic = \"...\";";
    if (rule->actions != 0 && (topic ? coap : mqtt))
        return topic ? "has CoAP methods on a 'topic'; write path = \"/...\";"
                     : "has MQTT actions on a 'path'; write topic = \"...\";";
    bool publishes = (rule->actions & (1u << ACL_PUBLISH)) != 0;
    if (mqtt && !publishes && (rule->retain != -1 || rule->will != -1))
        return "sets 'retain' or 'will', which have no use without \"publish\"; remove them";
    return NULL;
}

static void check_rule(struct schema_read *read, const config_setting_t *setting, void *into)
{
    const struct acl_rule_spec *rule = into;
    const char *problem = rule_problem(rule, config_setting_get_member(setting, "allow") != NULL,
                                       config_setting_get_member(setting, "deny") != NULL,
                                       config_setting_get_member(setting, "topic") != NULL,
                                       config_setting_get_member(setting, "path") != NULL);
    if (problem != NULL)
        schema_error(read, load_origin(read->load, setting), "rule '%.64s' %s",
                     rule->id != NULL ? rule->id : "?", problem);
}

static const struct schema_table rule_table = {
    .what = "rule", .label = "id", KEYS(rule_keys), .done = check_rule};

static void *next_rule(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct draft_role *role = into;
    void *rules = grow(read, setting, role->rules, role->rules_n, &role->rules_room, sizeof(*role->rules));
    if (rules == NULL)
        return NULL;
    role->rules = rules;
    struct acl_rule_spec *rule = &role->rules[role->rules_n++];
    struct config_origin origin = load_origin(read->load, setting);
    rule->file = origin.file;
    rule->line = origin.line;
    rule->retain = -1;
    rule->will = -1;
    return rule;
}

/* ---- roles --------------------------------------------------------------------------------------------- */

static void set_role_variable(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct draft_role *role = into;
    set_variable(read, value, role->variables, &role->variables_n);
}

static const char *const mode_words[] = {"enforce", "observe", NULL};
static const char *const subscribe_words[] = {"cover", "filter", NULL};
static const char *const role_payload_words[] = {"any", "utf8", NULL};
static const char *const will_words[] = {"optional", "required", "forbidden", NULL};
static const char *const refusal_words[] = {"acknowledge", "disconnect", NULL};

#define ROLE(member) SCHEMA_INTO(struct policy_role_spec, member)

static const struct schema_key role_keys[] = {
    {.name = "name", .type = SCHEMA_NAME, .required = true, .example = "\"truck\"", ROLE(name)},
    {.name = "match",
     .type = SCHEMA_GROUP,
     .required = true,
     .example = "{ client_id = \"truck-*\"; }",
     .inside = &match_table},
    {.name = "id",
     .type = SCHEMA_TEXT,
     .max = 255,
     .fallback = "${client_id}",
     .example = "\"${client_id}\"",
     ROLE(id)},
    {.name = "client_id", .type = SCHEMA_TEXT, .max = 255, .example = "\"${user}\"", ROLE(client_id)},
    {.name = "mode",
     .type = SCHEMA_WORD,
     .words = mode_words,
     .fallback = "enforce",
     .example = "\"observe\"",
     ROLE(mode)},
    {.name = "subscribe_mode",
     .type = SCHEMA_WORD,
     .words = subscribe_words,
     .fallback = "cover",
     .example = "\"filter\"",
     ROLE(subscribe_trim)},
    {.name = "payload",
     .type = SCHEMA_WORD,
     .words = role_payload_words,
     .fallback = "any",
     .example = "\"utf8\"",
     ROLE(payload_utf8)},
    {.name = "max_qos", .type = SCHEMA_NUMBER, .min = 0, .max = 2, .fallback = "2", ROLE(max_qos)},
    {.name = "inflight",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 65535,
     .fallback = "20",
     .example = "20",
     ROLE(inflight)},
    {.name = "queue",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 65535,
     .fallback = "100",
     .example = "100",
     ROLE(queue)},
    {.name = "will",
     .type = SCHEMA_WORD,
     .words = will_words,
     .fallback = "optional",
     .example = "\"required\"",
     ROLE(will)},
    {.name = "refusal",
     .type = SCHEMA_WORD,
     .words = refusal_words,
     .fallback = "acknowledge",
     .example = "\"disconnect\"",
     ROLE(refusal)},
    {.name = "limits", .type = SCHEMA_GROUP, .inside = &limit_table},
    {.name = "vars", .type = SCHEMA_FREE, .max = 255, .set = set_role_variable},
    {.name = "rules", .type = SCHEMA_LIST, .entry = next_rule, .inside = &rule_table},
};
static const struct schema_table role_table = {.what = "role", .label = "name", KEYS(role_keys)};

static void *next_role(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct policy_draft *draft = into;
    void *roles =
        grow(read, setting, draft->roles, draft->roles_n, &draft->roles_room, sizeof(*draft->roles));
    struct draft_role *role = roles == NULL ? NULL : calloc(1, sizeof(*role));
    if (roles != NULL)
        draft->roles = roles;
    if (role == NULL)
        return NULL;
    draft->roles[draft->roles_n++] = role;
    struct config_origin origin = load_origin(read->load, setting);
    role->spec.file = origin.file;
    role->spec.line = origin.line;
    role->spec.match.vlan = -1;
    return role;
}

/* ---- devices ------------------------------------------------------------------------------------------- */

static void set_device_mac(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_device_spec *device = into;
    const char *problem = address_parse_mac(value->text, device->mac);
    if (problem != NULL)
        told(read, value, problem);
    device->has_mac = problem == NULL;
}

static void set_device_address(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_device_spec *device = into;
    struct config_address prefix;
    if (!good_prefix(read, value, &prefix))
        return;
    if (device->addresses_n == sizeof(device->addresses) / sizeof(device->addresses[0])) {
        told(read, value, "a device has at most 4 addresses; write a prefix");
        return;
    }
    struct policy_source *address = &device->addresses[device->addresses_n++];
    memcpy(address->address, prefix.bytes, 16);
    address->bits = prefix.bits;
}

static void set_device_variable(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct draft_device *device = into;
    if (device->variables == NULL)
        device->variables = arena_take(read->arena, POLICY_VARIABLES_MAX * sizeof(*device->variables));
    if (device->variables == NULL)
        told(read, value, "no memory for it");
    else
        set_variable(read, value, device->variables, &device->spec.variables_n);
}

static const struct schema_key device_keys[] = {
    {.name = "id",
     .type = SCHEMA_TEXT,
     .required = true,
     .max = 127,
     .example = "\"truck-001\"",
     SCHEMA_INTO(struct policy_device_spec, id)},
    {.name = "mac",
     .type = SCHEMA_TEXT,
     .max = 63,
     .example = "\"00:1d:9c:00:00:01\"",
     .set = set_device_mac},
    {.name = "address",
     .type = SCHEMA_TEXTS,
     .max = 63,
     .example = "\"10.20.0.17\"",
     .set = set_device_address},
    {.name = "quarantine",
     .type = SCHEMA_TEXT,
     .max = 200,
     .example = "\"why\"",
     SCHEMA_INTO(struct policy_device_spec, quarantine)},
    {.name = "vars", .type = SCHEMA_FREE, .max = 255, .set = set_device_variable},
};
static const struct schema_table device_table = {.what = "device", .label = "id", KEYS(device_keys)};

static void *next_device(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct policy_draft *draft = into;
    void *devices =
        grow(read, setting, draft->devices, draft->devices_n, &draft->devices_room, sizeof(*draft->devices));
    if (devices == NULL)
        return NULL;
    draft->devices = devices;
    struct draft_device *device = &draft->devices[draft->devices_n++];
    struct config_origin origin = load_origin(read->load, setting);
    device->spec.file = origin.file;
    device->spec.line = origin.line;
    return device;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void set_test_action(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    test->actions++;
    if (strcmp(value->key->name, "connect") == 0) {
        test->connect = true;
        if (value->number == 0)
            schema_error(read, value->origin, "'connect' is true or is not there; remove it, or write true");
        return;
    }
    for (unsigned int i = 0; i < ACL_ACTIONS; i++)
        if (strcmp(action_words[i], value->key->name) == 0)
            test->action = (enum acl_action)i;
    bool path = test->action != ACL_PUBLISH && test->action != ACL_SUBSCRIBE;
    test->topic = path && value->text[0] == '/' ? value->text + 1 : value->text;
}

static void set_expect(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    ((struct policy_test *)into)->expect_allow = value->number == 1;
}

static void set_test_source(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    const char *problem = address_parse(value->text, test->source);
    if (problem != NULL)
        told(read, value, problem);
    test->has_source = problem == NULL;
}

static void set_test_mac(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_test *test = into;
    const char *problem = address_parse_mac(value->text, test->mac);
    if (problem != NULL)
        told(read, value, problem);
    test->has_mac = problem == NULL;
}

static void check_test(struct schema_read *read, const config_setting_t *setting, void *into)
{
    const struct policy_test *test = into;
    if (test->actions != 1)
        schema_error(read, load_origin(read->load, setting),
                     "test of '%.64s' has %s; write one of publish, subscribe or connect = true;",
                     test->as != NULL ? test->as : "?",
                     test->actions == 0 ? "nothing to try" : "more than one thing to try");
}

static const char *const expect_words[] = {"deny", "allow", NULL};

#define TEST(member) SCHEMA_INTO(struct policy_test, member)
#define METHOD(method)                                                                                       \
    {                                                                                                        \
        .name = method, .type = SCHEMA_TEXT, .feature = FEATURE_COAP, .set = set_test_action                 \
    }

static const struct schema_key test_keys[] = {
    {.name = "as", .type = SCHEMA_TEXT, .required = true, .max = 127, .example = "\"truck-017\"", TEST(as)},
    {.name = "publish", .type = SCHEMA_TEXT, .set = set_test_action},
    {.name = "subscribe", .type = SCHEMA_TEXT, .set = set_test_action},
    {.name = "connect", .type = SCHEMA_FLAG, .set = set_test_action},
    METHOD("GET"),
    METHOD("POST"),
    METHOD("PUT"),
    METHOD("DELETE"),
    METHOD("FETCH"),
    METHOD("PATCH"),
    METHOD("IPATCH"),
    METHOD("OBSERVE"),
    {.name = "expect",
     .type = SCHEMA_WORD,
     .required = true,
     .words = expect_words,
     .example = "\"deny\"",
     .set = set_expect},
    {.name = "qos", .type = SCHEMA_NUMBER, .min = 0, .max = 2, TEST(qos)},
    {.name = "retain", .type = SCHEMA_FLAG, TEST(retain)},
    {.name = "will", .type = SCHEMA_FLAG, TEST(will)},
    {.name = "payload", .type = SCHEMA_SIZE, .min = 0, .max = 256 * MIB, TEST(payload_bytes)},
    {.name = "source", .type = SCHEMA_TEXT, .max = 63, .example = "\"10.20.0.17\"", .set = set_test_source},
    {.name = "mac", .type = SCHEMA_TEXT, .max = 63, .example = "\"00:1d:9c:00:00:01\"", .set = set_test_mac},
    {.name = "vlan", .type = SCHEMA_NUMBER, .min = 1, .max = 4094, .example = "20", TEST(vlan)},
    {.name = "listener", .type = SCHEMA_NAME, .example = "\"mqtt\"", TEST(listener)},
    {.name = "port", .type = SCHEMA_NAME, .example = "\"iot\"", TEST(port)},
    {.name = "user", .type = SCHEMA_TEXT, .max = 255, TEST(user)},
    {.name = "cert_cn", .type = SCHEMA_TEXT, .feature = FEATURE_CERTIFICATE_NAME, .max = 255, TEST(cert_cn)},
    {.name = "cert_ou", .type = SCHEMA_TEXT, .feature = FEATURE_CERTIFICATE_NAME, .max = 255, TEST(cert_ou)},
    {.name = "psk_id", .type = SCHEMA_TEXT, .feature = FEATURE_CERTIFICATE_NAME, .max = 255, TEST(psk_id)},
};
static const struct schema_table test_table = {.what = "test", KEYS(test_keys), .done = check_test};

static void *next_test(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct policy_draft *draft = into;
    void *tests =
        grow(read, setting, draft->tests, draft->tests_n, &draft->tests_room, sizeof(*draft->tests));
    if (tests == NULL)
        return NULL;
    draft->tests = tests;
    struct policy_test *test = &draft->tests[draft->tests_n++];
    test->origin = load_origin(read->load, setting);
    test->vlan = -1;
    return test;
}

static const struct schema_key root_keys[] = {
    {.name = "users_file", .type = SCHEMA_PATH, .feature = FEATURE_PASSWORDS},
    {.name = "roles", .type = SCHEMA_LIST, .entry = next_role, .inside = &role_table},
    {.name = "devices", .type = SCHEMA_LIST, .entry = next_device, .inside = &device_table},
    {.name = "tests", .type = SCHEMA_LIST, .entry = next_test, .inside = &test_table},
};
const struct schema_table policy_keys = {KEYS(root_keys)};
