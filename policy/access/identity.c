/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/identity.h"

#include "policy/access/glob.h"
#include "policy/access/snapshot_layout.h"

#include <arpa/inet.h>
#include <stdio.h>

#define MAC_TEXT 18

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

/* Everything that is known of a client while it is being resolved. */
struct resolve {
    const struct client_facts *facts;
    struct identity *out;
    const struct role *role;
    const struct device *device;
    struct glob_captures captures[MATCH_GLOBS];
    struct bytes san; /* the one that is meant */
    char mac[MAC_TEXT];
    char source[INET6_ADDRSTRLEN];
};

static bool in_prefix(const struct policy_source *prefix, const uint8_t address[16])
{
    size_t whole = prefix->bits / 8, rest = prefix->bits % 8;
    if (memcmp(prefix->address, address, whole) != 0)
        return false;
    return rest == 0 || ((prefix->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

static bool in_any(const struct policy_source *prefixes, uint32_t n, const uint8_t address[16])
{
    for (uint32_t i = 0; i < n; i++)
        if (in_prefix(&prefixes[i], address))
            return true;
    return false;
}

/* Texts are written when they are first asked for. */
static struct bytes mac_text(struct resolve *r)
{
    static const char digit[] = "0123456789abcdef";
    if (!r->facts->has_mac)
        return bytes_of(NULL, 0);
    for (size_t i = 0; i < sizeof(r->facts->mac); i++) {
        r->mac[3 * i] = digit[r->facts->mac[i] >> 4];
        r->mac[3 * i + 1] = digit[r->facts->mac[i] & 15];
        r->mac[3 * i + 2] = ':';
    }
    return bytes_of(r->mac, sizeof(r->mac) - 1);
}

static struct bytes source_text(struct resolve *r)
{
    const uint8_t *source = r->facts->source;
    if (r->source[0] == 0 && memcmp(source, mapped_prefix, sizeof(mapped_prefix)) == 0)
        inet_ntop(AF_INET, source + sizeof(mapped_prefix), r->source, sizeof(r->source));
    else if (r->source[0] == 0)
        inet_ntop(AF_INET6, source, r->source, sizeof(r->source));
    return bytes_of_text(r->source);
}

/* The facts in the order of snapshot_globs. */
static void facts_by_glob(struct resolve *r, struct bytes facts[MATCH_GLOBS], bool with_mac)
{
    const struct client_facts *f = r->facts;
    const struct bytes mac = with_mac ? mac_text(r) : bytes_of(NULL, 0);
    const struct bytes all[MATCH_GLOBS] = {f->listener, f->port,    mac,    f->client_id, f->user,
                                           f->cert_cn,  f->cert_ou, r->san, f->psk_id,    f->client_id};
    memcpy(facts, all, sizeof(all));
}

/* The first alternative name that a glob takes; without a glob, or when none fits, the first of all. */
static struct bytes choose_san(const struct client_facts *f, const char *glob)
{
    for (uint32_t i = 0; glob != NULL && i < f->cert_sans_n; i++)
        if (glob_match(bytes_of_text(glob), f->cert_san[i], NULL))
            return f->cert_san[i];
    return f->cert_sans_n > 0 ? f->cert_san[0] : bytes_of(NULL, 0);
}

/* What of a role's match does not hold; place of its glob, or one of those below. */
#define UNMET_NONE UINT32_MAX
#define UNMET_VLAN (UINT32_MAX - 1)
#define UNMET_SOURCE (UINT32_MAX - 2)

/* The first condition of a role's `match` that does not hold; the captures of the globs that do. */
static uint32_t first_unmet(struct resolve *r, const struct role *role)
{
    const struct policy_match *match = &role->match;
    struct match_glob globs[MATCH_GLOBS];
    struct bytes facts[MATCH_GLOBS];
    memset(r->captures, 0, sizeof(r->captures));
    r->san = choose_san(r->facts, match->cert_san);
    if (match->any)
        return UNMET_NONE;
    if (match->vlan >= 0 && match->vlan != r->facts->vlan)
        return UNMET_VLAN;
    if (match->sources_n > 0 && !in_any(match->sources, match->sources_n, r->facts->source))
        return UNMET_SOURCE;
    snapshot_globs(match, NULL, globs);
    facts_by_glob(r, facts, match->mac != NULL);
    for (uint32_t i = 0; i < MATCH_GLOBS; i++)
        if (globs[i].glob != NULL && !glob_match(bytes_of_text(globs[i].glob), facts[i], &r->captures[i]))
            return i;
    return UNMET_NONE;
}

static bool role_matches(struct resolve *r, const struct role *role)
{
    return first_unmet(r, role) == UNMET_NONE;
}

static const struct role *find_role(struct resolve *r, const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->roles_n; i++)
        if (role_matches(r, &snapshot->roles[i]))
            return &snapshot->roles[i];
    return NULL;
}

static struct bytes capture_value(struct resolve *r, struct bytes name)
{
    for (size_t i = 0; i < MATCH_GLOBS; i++)
        for (uint32_t k = 0; k < r->captures[i].n; k++)
            if (bytes_equal(r->captures[i].capture[k].name, name))
                return r->captures[i].capture[k].value;
    return bytes_of(NULL, 0);
}

static struct bytes var_in(const struct policy_variable *vars, uint32_t n, struct bytes name)
{
    for (uint32_t i = 0; i < n; i++)
        if (bytes_equal(bytes_of_text(vars[i].name), name))
            return bytes_of_text(vars[i].value);
    return bytes_of(NULL, 0);
}

static struct bytes var_value(struct resolve *r, struct bytes name)
{
    struct bytes value = bytes_of(NULL, 0);
    if (r->device != NULL)
        value = var_in(r->device->vars, r->device->vars_n, name);
    return value.at != NULL ? value : var_in(r->role->vars, r->role->vars_n, name);
}

/* at == NULL: not known. */
static struct bytes value_of(struct resolve *r, enum variable_source source, struct bytes name)
{
    switch (source) {
    case VARIABLE_UNKNOWN:
        break;
    case VARIABLE_CLIENT_ID:
        return r->facts->client_id;
    case VARIABLE_USER:
        return r->facts->user;
    case VARIABLE_CERT_CN:
        return r->facts->cert_cn;
    case VARIABLE_CERT_OU:
        return r->facts->cert_ou;
    case VARIABLE_CERT_SAN:
        return r->san;
    case VARIABLE_PSK_ID:
        return r->facts->psk_id;
    case VARIABLE_ID:
        return bytes_of(r->out->name_len > 0 ? r->out->name : NULL, r->out->name_len);
    case VARIABLE_MAC:
        return mac_text(r);
    case VARIABLE_SOURCE:
        return source_text(r);
    case VARIABLE_LISTENER:
        return r->facts->listener;
    case VARIABLE_VAR:
        return var_value(r, name);
    case VARIABLE_CAPTURE:
        return capture_value(r, name);
    }
    return bytes_of(NULL, 0);
}

/* The value of a variable by the name that a template has for it. */
static struct bytes named_value(struct resolve *r, struct bytes name)
{
    enum variable_source source = snapshot_variable_source(name, &r->role->match, r->role->client_id);
    size_t prefix = source == VARIABLE_VAR ? strlen(VARIABLE_VAR_PREFIX) : 0;
    return value_of(r, source, bytes_of(name.at + prefix, name.len - prefix));
}

/* ---- the name -------------------------------------------------------------------------------------------
 */

/* A name stands in paths of certificate files: no '/', no control character, not "." or "..". */
static bool name_safe(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < 0x20 || name.at[i] == 0x7F || name.at[i] == '/')
            return false;
    return !bytes_equal(name, bytes_of_text(".")) && !bytes_equal(name, bytes_of_text(".."));
}

static bool name_append(struct identity *out, struct bytes piece)
{
    if (piece.len > (size_t)(IDENTITY_NAME_MAX - out->name_len))
        return false;
    if (piece.len > 0)
        memcpy(out->name + out->name_len, piece.at, piece.len);
    out->name_len = (uint16_t)(out->name_len + piece.len);
    out->name[out->name_len] = 0;
    return true;
}

static bool is_set(struct bytes value)
{
    return value.at != NULL && value.len > 0;
}

/* For a role without `id`. */
static struct bytes default_name(struct resolve *r)
{
    const struct client_facts *f = r->facts;
    if (f->client_id.at != NULL)
        return f->client_id;
    return is_set(f->psk_id) ? f->psk_id : is_set(f->cert_cn) ? f->cert_cn : source_text(r);
}

static bool make_name(struct resolve *r)
{
    struct identity *out = r->out;
    struct bytes piece;
    enum template_piece kind;
    if (r->role->id == NULL)
        return name_append(out, default_name(r)) && out->name_len > 0;
    struct cursor rest = cursor_of(bytes_of_text(r->role->id));
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        if (kind == TEMPLATE_VARIABLE) {
            piece = named_value(r, piece);
            if (!is_set(piece))
                return false;
        }
        if (!name_append(out, piece))
            return false;
    }
    return out->name_len > 0;
}

/* ---- the client id --------------------------------------------------------------------------------------
 */

struct pattern {
    size_t n;
    uint8_t at[GLOB_PATTERN_MAX];
};

/* A value is literal text in a pattern, whatever it holds. */
static bool pattern_append(struct pattern *p, struct bytes piece, bool literal)
{
    for (size_t i = 0; i < piece.len; i++) {
        bool special = literal && memchr("*?[{}", piece.at[i], 5) != NULL;
        if (sizeof(p->at) - p->n < (special ? 3 : 1))
            return false;
        if (special)
            p->at[p->n++] = '[';
        p->at[p->n++] = piece.at[i];
        if (special)
            p->at[p->n++] = ']';
    }
    return true;
}

static bool client_id_fits(struct resolve *r)
{
    struct bytes text = bytes_of_text(r->role->client_id), piece;
    struct cursor rest = cursor_of(text);
    struct pattern pattern = {0};
    enum template_piece kind;
    /* Captures of a plain glob become variables. */
    if (!snapshot_is_template(r->role->client_id))
        return glob_match(text, r->facts->client_id, &r->captures[MATCH_GLOBS - 1]);
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        bool literal = kind == TEMPLATE_VARIABLE;
        if (literal)
            piece = named_value(r, piece);
        if ((literal && !is_set(piece)) || !pattern_append(&pattern, piece, literal))
            return false;
    }
    return glob_match(bytes_of(pattern.at, pattern.n), r->facts->client_id, NULL);
}

/* ---- the device and its variables -----------------------------------------------------------------------
 */

/* The part of the device's entry that does not hold. A fact that is asked for and not known is as wrong as a
 * wrong one. */
static enum identity_part unfit_part(const struct resolve *r)
{
    const struct device *device = r->device;
    const struct client_facts *f = r->facts;
    if (device->seen.has_mac &&
        (!f->has_mac || memcmp(device->seen.mac, f->mac, sizeof(device->seen.mac)) != 0))
        return IDENTITY_PART_MAC;
    if (device->seen.vlan != 0 && device->seen.vlan != f->vlan)
        return IDENTITY_PART_VLAN;
    if (device->addresses_n > 0 && !in_any(device->addresses, device->addresses_n, f->source))
        return IDENTITY_PART_ADDRESS;
    if (device->seen.client_id != NULL &&
        !glob_match(bytes_of_text(device->seen.client_id), f->client_id, NULL))
        return IDENTITY_PART_CLIENT_ID;
    if (device->seen.user != NULL && !glob_match(bytes_of_text(device->seen.user), f->user, NULL))
        return IDENTITY_PART_USER;
    return IDENTITY_PART_NONE;
}

/* What the client comes from and another device's entry has for its own. */
static enum identity_part foreign_part(const struct resolve *r, const struct snapshot *snapshot)
{
    const struct client_facts *f = r->facts;
    uint32_t own = (uint32_t)(r->device - snapshot->devices);
    uint32_t by_mac = f->has_mac && !r->device->seen.has_mac
                          ? name_index_find(&snapshot->device_by_mac, bytes_of(f->mac, sizeof(f->mac)))
                          : NAME_INDEX_NONE;
    if (by_mac != NAME_INDEX_NONE && by_mac != own)
        return IDENTITY_PART_MAC_OF_ANOTHER;
    uint32_t by_address =
        r->device->addresses_n == 0
            ? name_index_find(&snapshot->device_by_address, bytes_of(f->source, sizeof(f->source)))
            : NAME_INDEX_NONE;
    if (by_address != NAME_INDEX_NONE && by_address != own)
        return IDENTITY_PART_ADDRESS_OF_ANOTHER;
    return IDENTITY_PART_NONE;
}

static enum outcome check_device(struct resolve *r, const struct snapshot *snapshot)
{
    if (r->device == NULL)
        return OUTCOME_ALLOWED;
    if (r->device->seen.quarantine != NULL)
        return OUTCOME_QUARANTINED;
    r->out->mismatch = unfit_part(r);
    if (r->out->mismatch == IDENTITY_PART_NONE)
        r->out->mismatch = foreign_part(r, snapshot);
    return r->out->mismatch == IDENTITY_PART_NONE ? OUTCOME_ALLOWED : OUTCOME_IDENTITY_MISMATCH;
}

static enum outcome set_values(struct resolve *r)
{
    struct identity *out = r->out;
    for (uint32_t i = 0; i < r->role->variables_n; i++) {
        const struct role_variable *variable = &r->role->variables[i];
        struct bytes value = value_of(r, variable->source, bytes_of_text(variable->name));
        if (!is_set(value))
            continue; /* matches nothing */
        if (!template_value_safe(value))
            return OUTCOME_UNSAFE_VARIABLE;
        if (value.len > (size_t)(IDENTITY_TEXT_BYTES - out->text_used))
            return OUTCOME_BAD_CLIENT_ID;
        memcpy(out->text + out->text_used, value.at, value.len);
        out->values.value[i] = bytes_of(out->text + out->text_used, value.len);
        out->text_used = (uint16_t)(out->text_used + value.len);
    }
    return OUTCOME_ALLOWED;
}

static void clear(struct identity *out, const struct snapshot *snapshot)
{
    out->role = NULL;
    out->device = NULL;
    out->generation = snapshot->generation;
    out->mismatch = IDENTITY_PART_NONE;
    out->name_len = 0;
    out->name[0] = 0;
    out->text_used = 0;
    memset(&out->values, 0, sizeof(out->values));
}

enum outcome identity_resolve(const struct snapshot *snapshot, const struct client_facts *facts,
                              struct identity *out)
{
    struct resolve r = {.facts = facts, .out = out};
    clear(out, snapshot);
    r.role = find_role(&r, snapshot);
    if (r.role == NULL)
        return OUTCOME_NO_ROLE;
    out->role = &r.role->seen;
    /* Captures of the role's own client_id may stand in its id. */
    if (r.role->client_id != NULL && !snapshot_is_template(r.role->client_id) && !client_id_fits(&r))
        return OUTCOME_CLIENT_ID_MISMATCH;
    if (!make_name(&r))
        return OUTCOME_BAD_CLIENT_ID;
    if (!name_safe(bytes_of(out->name, out->name_len)))
        return OUTCOME_UNSAFE_VARIABLE;
    if (r.role->client_id != NULL && snapshot_is_template(r.role->client_id) && !client_id_fits(&r))
        return OUTCOME_CLIENT_ID_MISMATCH;
    r.device = (const struct device *)snapshot_device(snapshot, bytes_of(out->name, out->name_len));
    out->device = r.device != NULL ? &r.device->seen : NULL;
    enum outcome outcome = check_device(&r, snapshot);
    return outcome == OUTCOME_ALLOWED ? set_values(&r) : outcome;
}

/* ---- all that could be a variable ------------------------------------------------------------------------
 */

struct each {
    void (*call)(void *owner, struct bytes name, struct bytes value);
    void *owner;
};

static void tell_set(const struct each *each, struct bytes name, struct bytes value)
{
    if (is_set(value))
        each->call(each->owner, name, value);
}

static void tell_vars(const struct each *each, struct resolve *r, const struct policy_variable *vars,
                      uint32_t n)
{
    char name[sizeof(VARIABLE_VAR_PREFIX) + TEMPLATE_NAME_MAX];
    for (uint32_t i = 0; i < n; i++) {
        int len = snprintf(name, sizeof(name), VARIABLE_VAR_PREFIX "%s", vars[i].name);
        if (len > 0 && (size_t)len < sizeof(name))
            tell_set(each, bytes_of(name, (size_t)len), var_value(r, bytes_of_text(vars[i].name)));
    }
}

void identity_variables(const struct snapshot *snapshot, const struct client_facts *facts,
                        const struct identity *identity,
                        void (*call)(void *owner, struct bytes name, struct bytes value), void *owner)
{
    static const char *const names[] = {"client_id", "user", "cert.cn", "cert.ou",  "cert.san",
                                        "psk.id",    "id",   "mac",     "listener", "source"};
    struct identity own = *identity; /* value_of looks for its name */
    struct resolve r = {.facts = facts, .out = &own, .role = &snapshot->roles[identity->role->index]};
    struct each each = {.call = call, .owner = owner};
    r.device = (const struct device *)identity->device;
    (void)first_unmet(&r, r.role);
    if (r.role->client_id != NULL && !snapshot_is_template(r.role->client_id))
        (void)client_id_fits(&r);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        tell_set(&each, bytes_of_text(names[i]), named_value(&r, bytes_of_text(names[i])));
    for (size_t i = 0; i < MATCH_GLOBS; i++)
        for (uint32_t k = 0; k < r.captures[i].n; k++)
            tell_set(&each, r.captures[i].capture[k].name, r.captures[i].capture[k].value);
    tell_vars(&each, &r, r.role->vars, r.role->vars_n);
    if (r.device != NULL)
        tell_vars(&each, &r, r.device->vars, r.device->vars_n);
}

const char *identity_part_text(enum identity_part part)
{
    static const char *const text[IDENTITY_PARTS] = {
        [IDENTITY_PART_NONE] = "",
        [IDENTITY_PART_MAC] = "the MAC is not the one of the device table",
        [IDENTITY_PART_VLAN] = "the VLAN is not the one of the device table",
        [IDENTITY_PART_ADDRESS] = "the address is none of the device table",
        [IDENTITY_PART_CLIENT_ID] = "the client identifier is not the one of the device table",
        [IDENTITY_PART_USER] = "the user is not the one of the device table",
        [IDENTITY_PART_MAC_OF_ANOTHER] = "the MAC is another device's in the device table",
        [IDENTITY_PART_ADDRESS_OF_ANOTHER] = "the address is another device's in the device table",
    };
    return part < IDENTITY_PARTS ? text[part] : "";
}

static void copy_text(char *to, size_t room, struct bytes from)
{
    size_t n = from.len < room ? from.len : room - 1;
    if (n > 0)
        memcpy(to, from.at, n);
    to[n] = 0;
}

bool identity_unmet(const struct snapshot *snapshot, uint32_t index, const struct client_facts *facts,
                    struct identity_unmet *out)
{
    struct resolve r = {.facts = facts};
    const struct role *role = &snapshot->roles[index];
    struct match_glob globs[MATCH_GLOBS];
    struct bytes all[MATCH_GLOBS];
    uint32_t unmet = first_unmet(&r, role);
    *out = (struct identity_unmet){.what = ""};
    if (unmet == UNMET_NONE)
        return false;
    if (unmet == UNMET_VLAN) {
        out->what = "match.vlan";
        snprintf(out->asked, sizeof(out->asked), "%d", (int)role->match.vlan);
        snprintf(out->is, sizeof(out->is), "%u", (unsigned int)facts->vlan);
        return true;
    }
    if (unmet == UNMET_SOURCE) {
        out->what = "match.source";
        copy_text(out->is, sizeof(out->is), source_text(&r));
        return true;
    }
    snapshot_globs(&role->match, NULL, globs);
    facts_by_glob(&r, all, true);
    out->what = globs[unmet].what;
    copy_text(out->asked, sizeof(out->asked), bytes_of_text(globs[unmet].glob));
    copy_text(out->is, sizeof(out->is), all[unmet]);
    return true;
}
