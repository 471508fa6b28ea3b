/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variables of a role: which its rules use, and where each comes from. */
#include "policy/access/snapshot_layout.h"

#include <stdio.h>

#define NEAR_DISTANCE 2

static const struct {
    const char *name;
    enum variable_source source;
} builtin[] = {
    {"client_id", VARIABLE_CLIENT_ID},
    {"user", VARIABLE_USER},
    {"cert.cn", VARIABLE_CERT_CN},
    {"cert.ou", VARIABLE_CERT_OU},
    {"cert.san", VARIABLE_CERT_SAN},
    {"psk.id", VARIABLE_PSK_ID},
    {"id", VARIABLE_ID},
    {"mac", VARIABLE_MAC},
    {"source", VARIABLE_SOURCE},
    {"listener", VARIABLE_LISTENER},
};
#define BUILTINS (sizeof(builtin) / sizeof(builtin[0]))

bool snapshot_is_template(const char *text)
{
    return strstr(text, "${") != NULL;
}

void snapshot_globs(const struct policy_match *match, const char *client_id,
                    struct match_glob globs[MATCH_GLOBS])
{
    const struct match_glob all[MATCH_GLOBS] = {
        {"match.listener", match->listener},
        {"match.port", match->port},
        {"match.mac", match->mac},
        {"match.client_id", match->client_id},
        {"match.user", match->user},
        {"match.cert_cn", match->cert_cn},
        {"match.cert_ou", match->cert_ou},
        {"match.cert_san", match->cert_san},
        {"match.psk_id", match->psk_id},
        {"client_id", client_id != NULL && !snapshot_is_template(client_id) ? client_id : NULL},
    };
    memcpy(globs, all, sizeof(all));
}

uint32_t snapshot_captures(const struct policy_match *match, const char *client_id,
                           struct bytes names[SNAPSHOT_CAPTURES_MAX])
{
    struct match_glob globs[MATCH_GLOBS];
    uint32_t n = 0;
    snapshot_globs(match, client_id, globs);
    for (size_t i = 0; i < MATCH_GLOBS; i++)
        if (globs[i].glob != NULL)
            n += glob_capture_names(bytes_of_text(globs[i].glob), names + n);
    return n;
}

bool snapshot_var_name(struct bytes name, struct bytes *var)
{
    size_t n = strlen(VARIABLE_VAR_PREFIX);
    if (name.len <= n || memcmp(name.at, VARIABLE_VAR_PREFIX, n) != 0)
        return false;
    *var = bytes_of(name.at + n, name.len - n);
    return true;
}

enum variable_source snapshot_variable_source(struct bytes name, const struct policy_match *match,
                                              const char *client_id)
{
    struct bytes captures[SNAPSHOT_CAPTURES_MAX], var;
    for (size_t i = 0; i < BUILTINS; i++)
        if (bytes_equal(name, bytes_of_text(builtin[i].name)))
            return builtin[i].source;
    if (snapshot_var_name(name, &var))
        return VARIABLE_VAR;
    uint32_t n = snapshot_captures(match, client_id, captures);
    for (uint32_t i = 0; i < n; i++)
        if (bytes_equal(name, captures[i]))
            return VARIABLE_CAPTURE;
    return VARIABLE_UNKNOWN;
}

static void note_name(struct variable_names *names, struct bytes name)
{
    for (uint32_t i = 0; i < names->n; i++)
        if (bytes_equal(bytes_of_text(names->name[i]), name))
            return;
    if (names->n == ACL_VARIABLES_MAX) {
        names->too_many = true;
        return;
    }
    memcpy(names->name[names->n], name.at, name.len);
    names->name[names->n][name.len] = 0;
    names->list[names->n] = names->name[names->n];
    names->n++;
}

static void note_names(struct variable_names *names, const char *text)
{
    struct cursor rest = cursor_of(bytes_of_text(text != NULL ? text : ""));
    struct bytes piece;
    enum template_piece kind;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT)
        if (kind == TEMPLATE_VARIABLE)
            note_name(names, piece);
}

/* Those of maps that are not captured from the path. */
static void note_maps(const struct policy_role_spec *spec, struct variable_names *names)
{
    for (uint32_t i = 0; i < spec->maps_n; i++) {
        if (topic_map_check(&spec->maps[i]) != NULL)
            continue;
        struct cursor rest = cursor_of(bytes_of_text(spec->maps[i].topic));
        struct bytes piece;
        enum template_piece kind;
        while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT)
            if (kind == TEMPLATE_VARIABLE && !topic_map_captures(&spec->maps[i], piece))
                note_name(names, piece);
    }
}

void snapshot_variables(const struct policy_role_spec *spec, struct variable_names *names)
{
    names->n = 0;
    names->too_many = false;
    for (uint32_t i = 0; i < spec->rules_n; i++)
        note_names(names, spec->rules[i].topic);
    note_names(names, spec->last_will.topic);
    note_names(names, spec->last_will.payload);
    note_maps(spec, names);
}

/* ---- what may have been meant ---------------------------------------------------------------------------
 */

/* Edits between two names, as far as they are few. */
static unsigned int edits(struct bytes a, struct bytes b)
{
    unsigned int row[TEMPLATE_NAME_MAX + 2];
    if (a.len > TEMPLATE_NAME_MAX || b.len > TEMPLATE_NAME_MAX)
        return NEAR_DISTANCE + 1;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned int)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned int diagonal = row[0];
        row[0] = (unsigned int)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned int least = diagonal + (a.at[i - 1] != b.at[j - 1]);
            least = row[j] + 1 < least ? row[j] + 1 : least;
            least = row[j - 1] + 1 < least ? row[j - 1] + 1 : least;
            diagonal = row[j];
            row[j] = least;
        }
    }
    return row[b.len];
}

struct suggestion {
    struct bytes wanted;
    struct bytes best;
    bool is_var; /* of ${var.NAME} */
    unsigned int distance;
};

static void suggest(struct suggestion *s, struct bytes name, bool var)
{
    struct bytes wanted = s->wanted;
    if (var)
        (void)snapshot_var_name(s->wanted, &wanted);
    unsigned int distance = edits(wanted, name);
    if (distance < s->distance) {
        s->best = name;
        s->is_var = var;
        s->distance = distance;
    }
}

const char *snapshot_suggest(struct bytes name, const struct policy_role_spec *role,
                             char text[TEMPLATE_NAME_MAX + 1])
{
    struct suggestion s = {.wanted = name, .distance = NEAR_DISTANCE + 1};
    struct bytes captures[SNAPSHOT_CAPTURES_MAX];
    uint32_t n = snapshot_captures(&role->match, role->client_id, captures);
    for (size_t i = 0; i < BUILTINS; i++)
        suggest(&s, bytes_of_text(builtin[i].name), false);
    for (uint32_t i = 0; i < n; i++)
        suggest(&s, captures[i], false);
    for (uint32_t i = 0; i < role->variables_n; i++)
        suggest(&s, bytes_of_text(role->variables[i].name), true);
    if (s.distance > NEAR_DISTANCE)
        return NULL;
    snprintf(text, TEMPLATE_NAME_MAX + 1, "%s%.*s", s.is_var ? VARIABLE_VAR_PREFIX : "", (int)s.best.len,
             (const char *)s.best.at);
    return text;
}
