/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an upstream changes of its sessions: templates, mount point, passwords (C5). */
#include "config/gateway_shape.h"

#include "config/gateway_cloud.h"
#include "config/suggest.h"
#include "policy/access/template.h"
#include "policy/mqtt/mount.h"

static const char *const variables[] = {"id", "client_id"};

static struct config_origin at(const struct schema_read *read, const config_setting_t *setting,
                               const char *key)
{
    return schema_origin(read->load, setting, key);
}

static bool known(struct bytes name)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (bytes_equal(name, bytes_of_text(variables[i])))
            return true;
    return false;
}

static void check_template(struct schema_read *read, const struct config_upstream *own,
                           struct config_origin origin, const char *key, const char *text)
{
    struct cursor rest = cursor_of(bytes_of_text(text));
    struct bytes piece;
    enum template_piece kind;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        char name[TEMPLATE_NAME_MAX + 1];
        struct suggest near;
        if (kind != TEMPLATE_VARIABLE || known(piece))
            continue;
        memcpy(name, piece.at, piece.len);
        name[piece.len] = 0;
        suggest_init(&near, name);
        for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
            suggest_offer(&near, variables[i]);
        schema_error(read, origin, "unknown variable '${%s}' in '%s' of upstream '%s'; %s%s%s", name, key,
                     own->name, near.best != NULL ? "did you mean '${" : "there are ${id} and ${client_id}",
                     near.best != NULL ? near.best : "", near.best != NULL ? "}'?" : "");
    }
    if (kind == TEMPLATE_MALFORMED)
        schema_error(read, origin, "'%s' of upstream '%s' has '${' without a name and '}'; complete it", key,
                     own->name);
}

static struct bytes any_value(void *owner, struct bytes name)
{
    (void)owner;
    (void)name;
    return bytes_of("x", 1);
}

static void check_mount(struct schema_read *read, const struct config_upstream *own,
                        const config_setting_t *setting)
{
    uint8_t text[1024];
    size_t n;
    check_template(read, own, at(read, setting, "mount"), "mount", own->mount);
    if (!template_expand(bytes_of_text(own->mount), any_value, NULL, text, sizeof(text), &n))
        return;
    const char *problem = mqtt_mount_check(bytes_of(text, n));
    if (problem != NULL)
        schema_error(read, at(read, setting, "mount"), "'mount' of upstream '%s' is \"%s\"; %s", own->name,
                     own->mount, problem);
}

void gateway_check_shape(struct schema_read *read, const struct config_upstream *own,
                         const config_setting_t *setting)
{
    if (own->user_name != NULL)
        check_template(read, own, at(read, setting, "user_name"), "user_name", own->user_name);
    if (own->client_id != NULL)
        check_template(read, own, at(read, setting, "client_id"), "client_id", own->client_id);
    if (own->mount != NULL)
        check_mount(read, own, setting);
    gateway_check_cloud(read, own, setting);
    if (own->password_file != NULL && own->user_name == NULL && own->profile != CLOUD_AZURE)
        schema_error(read, at(read, setting, "password_file"),
                     "upstream '%s' has a password and no user name, which MQTT 3.1.1 does not know; add "
                     "user_name = \"${id}\";",
                     own->name);
}
