/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of policy.d/x.conf (operators' surface 2.3a to 2.5). */
#include "config/address.h"
#include "config/policy_draft.h"
#include "config/rate_keys.h"
#include "config/units.h"
#include "policy/access/glob.h"

#include <stdlib.h>
#include <string.h>

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define SECOND_US UINT64_C(1000000)

static bool good_prefix(struct schema_read *read, const struct schema_value *value,
                        struct config_address *out)
{
    const char *problem = address_parse_prefix(value->text, true, out);
    if (problem != NULL) {
        schema_refuse(read, value, problem);
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
    if (*n == POLICY_VARIABLES_MAX)
        schema_refuse(read, value, "there are more than 16 variables here; remove some");
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
        schema_refuse(read, value, problem);
    else
        memcpy((uint8_t *)into + value->key->at, &value->text, sizeof(value->text));
}

static void set_match_mac(struct schema_read *read, const struct schema_value *value, void *into)
{
    size_t len = strlen(value->text);
    char *lower = arena_text(read->arena, value->text, len);
    const char *problem = glob_check(bytes_of_text(value->text));
    if (problem == NULL &&
        (strspn(value->text, "0123456789abcdefABCDEF:*?[]!-") != len || !address_mac_glob(value->text)))
        problem = "write pairs of hexadecimal digits parted by ':', or a glob such as \"00:1d:9c:*\"";
    for (size_t i = 0; lower != NULL && i < len; i++)
        if (lower[i] >= 'A' && lower[i] <= 'F')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    if (problem != NULL)
        schema_refuse(read, value, problem);
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
        schema_refuse(read, value, "a role has at most 16 sources; write a wider prefix, or a second role");
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

static void note_match(struct schema_read *read, const config_setting_t *setting, void *into)
{
    (void)read;
    const config_setting_t *any = config_setting_get_member(setting, "any");
    int others = config_setting_length(setting) - (any != NULL ? 1 : 0);
    ((struct draft_role *)into)->match_empty = others == 0;
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
    {.name = "cert_san",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_CERTIFICATE_NAME,
     .max = GLOB_PATTERN_MAX,
     .example = "\"*.plant.example\"",
     .set = set_glob,
     MATCH(cert_san)},
    {.name = "psk_id",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_CERTIFICATE_NAME,
     .max = GLOB_PATTERN_MAX,
     .set = set_glob,
     MATCH(psk_id)},
};
static const struct schema_table match_table = {.what = "match", SCHEMA_KEYS(match_keys), .done = note_match};

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
        schema_refuse(read, value, problem);
        return;
    }
    limits->keepalive_min_s = (uint32_t)(least / SECOND_US);
    limits->keepalive_max_s = (uint32_t)(most / SECOND_US);
}

#define LIMIT(member) SCHEMA_INTO(struct policy_role_spec, limits.member)

static const struct schema_key limit_keys[] = {
    RATE_KEY_CONNECTS(struct policy_role_spec, limits.rates),
    RATE_KEYS_CLIENT(struct policy_role_spec, limits.rates),
    {.name = "requests",
     .type = SCHEMA_RATES,
     .feature = FEATURE_COAP,
     .fallback = "unlimited",
     .example = "\"2/s burst 10\"",
     LIMIT(rates.of[RATE_REQUESTS])},
    {.name = "exchanges",
     .type = SCHEMA_NUMBER,
     .feature = FEATURE_COAP,
     .min = 1,
     .max = 64,
     .fallback = "64",
     .example = "8",
     LIMIT(exchanges)},
    {.name = "observations",
     .type = SCHEMA_NUMBER,
     .feature = FEATURE_COAP,
     .min = 1,
     .max = 65535,
     .example = "4",
     LIMIT(observations)},
    {.name = "transfers",
     .type = SCHEMA_NUMBER,
     .feature = FEATURE_COAP,
     .min = 1,
     .max = 8,
     .fallback = "4",
     .example = "2",
     LIMIT(transfers)},
    {.name = "transfer_time",
     .type = SCHEMA_DURATION,
     .feature = FEATURE_COAP,
     .min = 10 * INT64_C(1000000),
     .max = 86400 * INT64_C(1000000),
     .fallback = "10m",
     .example = "\"10m\"",
     LIMIT(transfer_us)},
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
    RATE_KEYS_OVER(struct policy_role_spec, limits.rates),
};
static const struct schema_table limit_table = {.what = "limits", SCHEMA_KEYS(limit_keys)};

static const struct schema_key total_keys[] = {
    RATE_KEY_CONNECTS(struct policy_role_spec, total),
    RATE_KEYS_CLIENT(struct policy_role_spec, total),
    RATE_KEYS_OVER(struct policy_role_spec, total),
};
static const struct schema_table total_table = {.what = "total", SCHEMA_KEYS(total_keys)};

/* ---- roles --------------------------------------------------------------------------------------------- */

static void set_role_variable(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct draft_role *role = into;
    set_variable(read, value, role->variables, &role->variables_n);
}

static const char *const mode_words[] = {"enforce", "observe", NULL};
static const char *const subscribe_words[] = {"cover", "filter", "except", NULL};
static const char *const role_payload_words[] = {"any", "utf8", NULL};
static const char *const will_words[] = {"optional", "required", "forbidden", "supplied", NULL};
static const char *const refusal_words[] = {"acknowledge", "disconnect", NULL};

/* Words in the order of their enumerations, policy/access/mqtt_law.h. */
static const char *const strings_words[] = {"spec", "strict", NULL};
static const char *const redirection_words[] = {"strip", "pass", NULL};
static const char *const inflight_over_words[] = {"standard", "delay", "drop", "disconnect", NULL};
static const char *const response_words[] = {"subscribe", "publish", "both", "any", NULL};

static void set_release(struct schema_read *read, const struct schema_value *value, void *into)
{
    if ((uint64_t)value->number % SECOND_US != 0)
        schema_refuse(read, value, "it is of whole seconds; write for example \"1m\"");
    else
        role_of(into)->law.release_s = (uint32_t)((uint64_t)value->number / SECOND_US);
}

#define ROLE(member) SCHEMA_INTO(struct policy_role_spec, member)

static const char *const takeover_words[] = {"same-place", "refuse", "replace", NULL};

static void set_expiry(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    role_of(into)->session.expiry_max_s = (uint32_t)((uint64_t)value->number / SECOND_US);
    role_of(into)->session.caps_expiry = true;
}

static const struct schema_key session_keys[] = {
    {.name = "takeover",
     .type = SCHEMA_WORD,
     .words = takeover_words,
     .fallback = "same-place",
     .example = "\"refuse\"",
     ROLE(session.takeover)},
    {.name = "expiry",
     .type = SCHEMA_DURATION,
     .max = INT64_C(0xFFFFFFFE) * (int64_t)SECOND_US,
     .example = "\"1h\"",
     .set = set_expiry},
    {.name = "packet",
     .type = SCHEMA_SIZE,
     .min = 64,
     .max = 256 * MIB,
     .example = "\"16KiB\"",
     ROLE(session.packet_bytes)},
};
static const struct schema_table session_table = {.what = "session", SCHEMA_KEYS(session_keys)};

static void set_will_delay(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    role_of(into)->last_will.delay_s = (uint32_t)((uint64_t)value->number / SECOND_US);
}

static void note_last_will(struct schema_read *read, const config_setting_t *setting, void *into)
{
    role_of(into)->last_will.line = load_origin(read->load, setting).line;
}

static const struct schema_key last_will_keys[] = {
    {.name = "topic",
     .type = SCHEMA_TEXT,
     .required = true,
     .example = "\"trucks/${client_id}/status\"",
     ROLE(last_will.topic)},
    {.name = "payload", .type = SCHEMA_TEXT, .max = 1024, .example = "\"offline\"", ROLE(last_will.payload)},
    {.name = "qos", .type = SCHEMA_NUMBER, .min = 0, .max = 2, .example = "1", ROLE(last_will.qos)},
    {.name = "retain", .type = SCHEMA_FLAG, ROLE(last_will.retain)},
    {.name = "delay",
     .type = SCHEMA_DURATION,
     .max = 86400 * (int64_t)SECOND_US,
     .example = "\"30s\"",
     .set = set_will_delay},
};
static const struct schema_table last_will_table = {
    .what = "last_will", SCHEMA_KEYS(last_will_keys), .done = note_last_will};

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
     ROLE(subscribe_mode)},
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
    {.name = "last_will",
     .type = SCHEMA_GROUP,
     .example = "{ topic = \"...\"; }",
     .inside = &last_will_table},
    {.name = "session", .type = SCHEMA_GROUP, .inside = &session_table},
    {.name = "refusal",
     .type = SCHEMA_WORD,
     .words = refusal_words,
     .fallback = "acknowledge",
     .example = "\"disconnect\"",
     ROLE(refusal)},
    {.name = "strings",
     .type = SCHEMA_WORD,
     .words = strings_words,
     .fallback = "spec",
     .example = "\"strict\"",
     ROLE(law.strict_strings)},
    {.name = "redirection",
     .type = SCHEMA_WORD,
     .words = redirection_words,
     .fallback = "strip",
     .example = "\"pass\"",
     ROLE(law.pass_redirection)},
    {.name = "response_topic",
     .type = SCHEMA_WORD,
     .words = response_words,
     .fallback = "subscribe",
     .example = "\"publish\"",
     ROLE(law.response_topic)},
    {.name = "inflight_over",
     .type = SCHEMA_WORD,
     .words = inflight_over_words,
     .fallback = "standard",
     .example = "\"delay\"",
     ROLE(law.over)},
    {.name = "release_timeout",
     .type = SCHEMA_DURATION,
     .min = (int64_t)SECOND_US,
     .max = (int64_t)(24 * 3600 * SECOND_US),
     .fallback = "1m",
     .example = "\"1m\"",
     .set = set_release},
    {.name = "limits", .type = SCHEMA_GROUP, .inside = &limit_table},
    {.name = "total", .type = SCHEMA_GROUP, .inside = &total_table},
    {.name = "vars", .type = SCHEMA_FREE, .max = 255, .set = set_role_variable},
    {.name = "maps",
     .type = SCHEMA_LIST,
     .feature = FEATURE_COAP,
     .entry = policy_next_map,
     .inside = &policy_map_keys},
    {.name = "rules", .type = SCHEMA_LIST, .entry = policy_next_rule, .inside = &policy_rule_keys},
};
static const struct schema_table role_table = {.what = "role", .label = "name", SCHEMA_KEYS(role_keys)};

static void *next_role(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct policy_draft *draft = into;
    void *roles =
        schema_grow(read, setting, draft->roles, draft->roles_n, &draft->roles_room, sizeof(*draft->roles));
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
        schema_refuse(read, value, problem);
    device->has_mac = problem == NULL;
}

static void set_device_address(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_device_spec *device = into;
    struct config_address prefix;
    if (!good_prefix(read, value, &prefix))
        return;
    if (device->addresses_n == sizeof(device->addresses) / sizeof(device->addresses[0])) {
        schema_refuse(read, value, "a device has at most 4 addresses; write a prefix");
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
        schema_refuse(read, value, "no memory for it");
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
    {.name = "vlan",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 4094,
     .example = "20",
     SCHEMA_INTO(struct policy_device_spec, vlan)},
    {.name = "client_id",
     .type = SCHEMA_TEXT,
     .max = GLOB_PATTERN_MAX,
     .example = "\"panel-1\"",
     .set = set_glob,
     SCHEMA_INTO(struct policy_device_spec, client_id)},
    {.name = "user",
     .type = SCHEMA_TEXT,
     .max = GLOB_PATTERN_MAX,
     .example = "\"hmi\"",
     .set = set_glob,
     SCHEMA_INTO(struct policy_device_spec, user)},
    {.name = "quarantine",
     .type = SCHEMA_TEXT,
     .max = 200,
     .example = "\"why\"",
     SCHEMA_INTO(struct policy_device_spec, quarantine)},
    {.name = "vars", .type = SCHEMA_FREE, .max = 255, .set = set_device_variable},
};
static const struct schema_table device_table = {.what = "device", .label = "id", SCHEMA_KEYS(device_keys)};

static void *next_device(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct policy_draft *draft = into;
    void *devices = schema_grow(read, setting, draft->devices, draft->devices_n, &draft->devices_room,
                                sizeof(*draft->devices));
    if (devices == NULL)
        return NULL;
    draft->devices = devices;
    struct draft_device *device = &draft->devices[draft->devices_n++];
    struct config_origin origin = load_origin(read->load, setting);
    device->spec.file = origin.file;
    device->spec.line = origin.line;
    return device;
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static void set_users_file(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct policy_draft *draft = into;
    if (draft->users_file != NULL) {
        schema_error(read, value->origin, "there is a users_file already (%s:%u); join the two files",
                     draft->users_file_origin.file, draft->users_file_origin.line);
        return;
    }
    draft->users_file = value->text;
    draft->users_file_origin = value->origin;
}

static const struct schema_key root_keys[] = {
    {.name = "users_file",
     .type = SCHEMA_PATH,
     .feature = FEATURE_PASSWORDS,
     .example = "\"users.passwd\"",
     .set = set_users_file},
    {.name = "roles", .type = SCHEMA_LIST, .entry = next_role, .inside = &role_table},
    {.name = "devices", .type = SCHEMA_LIST, .entry = next_device, .inside = &device_table},
    {.name = "tests", .type = SCHEMA_LIST, .entry = policy_next_test, .inside = &policy_test_keys},
};
const struct schema_table policy_keys = {SCHEMA_KEYS(root_keys)};
