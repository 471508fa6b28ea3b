/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_users.h"

#include "config/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (INT64_C(512) << 20)

/* ---- files ----------------------------------------------------------------------------------------------
 */

struct told {
    const char *path;
    struct diagnostics *d;
};

static void tell_problem(void *owner, const struct users_problem *problem)
{
    const struct told *told = owner;
    diagnostics_add(told->d, problem->warning ? DIAGNOSTIC_WARNING : DIAGNOSTIC_ERROR, told->path,
                    problem->line, "%s", problem->text);
}

/* What is in the file, to be wiped and freed; at == NULL, told, when it cannot be read. */
static struct bytes read_file(const struct policy_draft *draft, struct diagnostics *d)
{
    const char *path = draft->users_file;
    const struct config_origin *at = &draft->users_file_origin;
    struct stat there;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO would not return */
    uint8_t *text = NULL;
    size_t n = 0;
    if (fd < 0 || fstat(fd, &there) != 0) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line,
                        "users_file %s cannot be read: %s; correct the name or its rights", path,
                        strerror(errno));
    } else if (!S_ISREG(there.st_mode) || there.st_size > FILE_BYTES_MAX) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line,
                        "users_file %s is no file of at most 512 MiB; name one that mosquitto_passwd wrote",
                        path);
    } else {
        n = (size_t)there.st_size;
        text = malloc(n + 1);
        if (text == NULL || !text_fill(fd, text, n)) {
            diagnostics_add(d, DIAGNOSTIC_ERROR, at->file, at->line,
                            "users_file %s cannot be read whole; it may be changing, try again", path);
            free(text);
            text = NULL;
        } else if ((there.st_mode & (S_IROTH | S_IWOTH)) != 0) {
            diagnostics_add(d, DIAGNOSTIC_WARNING, at->file, at->line,
                            "users_file %s can be read or written by everybody; chmod o-rw %s", path, path);
        }
    }
    if (fd >= 0)
        close(fd);
    return bytes_of(text, text == NULL ? 0 : n);
}

struct users *policy_users_read(const struct policy_draft *draft, struct diagnostics *d)
{
    if (draft->users_file == NULL)
        return NULL;
    if (strlen(draft->users_file) >= POLICY_PATH_MAX) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, draft->users_file_origin.file, draft->users_file_origin.line,
                        "the path of users_file is longer than %d bytes; move the file", POLICY_PATH_MAX - 1);
        return NULL;
    }
    struct told told = {.path = draft->users_file, .d = d};
    struct bytes text = read_file(draft, d);
    struct users *users = NULL;
    if (text.at != NULL) {
        void *owned = (void *)(uintptr_t)text.at;
        users = users_create(text, tell_problem, &told);
        explicit_bzero(owned, text.len);
        free(owned);
    }
    return users;
}

/* ---- listeners and roles --------------------------------------------------------------------------------
 */

static bool asks_password(const struct config_listener *listener)
{
    return (listener->auth & CONFIG_AUTH_PASSWORD) != 0;
}

/* A listener whose clients the role may take and that believes whatever user name they give. */
static const struct config_listener *believing(const struct gateway_config *gateway,
                                               const struct policy_match *match)
{
    for (uint32_t i = 0; i < gateway->listeners_n; i++) {
        const struct config_listener *listener = &gateway->listeners[i];
        if (listener->protocol == CONFIG_MQTT && !asks_password(listener) &&
            policy_may_come(match, gateway, listener))
            return listener;
    }
    return NULL;
}

void policy_users_check(const struct policy_draft *draft, const struct gateway_config *gateway,
                        struct diagnostics *d)
{
    bool asked = false;
    for (uint32_t i = 0; i < gateway->listeners_n; i++) {
        const struct config_listener *listener = &gateway->listeners[i];
        if (!asks_password(listener))
            continue;
        asked = true;
        if (draft->users_file == NULL)
            diagnostics_add(d, DIAGNOSTIC_ERROR, listener->origin.file, listener->origin.line,
                            "listener '%s' asks for passwords, but the policy has no users_file; write one "
                            "there, made with mosquitto_passwd",
                            listener->name != NULL ? listener->name : "?");
    }
    if (!asked && draft->users_file != NULL)
        diagnostics_add(d, DIAGNOSTIC_WARNING, draft->users_file_origin.file, draft->users_file_origin.line,
                        "users_file is read for nobody; write auth = \"password\" at a listener");
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        const struct policy_role_spec *role = &draft->roles[i]->spec;
        const struct config_listener *listener =
            role->match.user == NULL ? NULL : believing(gateway, &role->match);
        if (listener != NULL)
            diagnostics_add(d, DIAGNOSTIC_WARNING, role->file, role->line,
                            "role '%s' believes a user name that listener '%s' does not check; write auth = "
                            "\"password\" there, or let the upstream check it",
                            role->name, listener->name);
    }
}
