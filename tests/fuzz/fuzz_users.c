/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * users.h: any bytes as a file of mosquitto_passwd. Whatever is accepted can be found again by its name, and
 * says the same when it is read a second time.
 */
#include "policy/access/users.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void told(void *owner, const struct users_problem *problem)
{
    uint32_t *errors = owner;
    *errors += !problem->warning;
    if (memchr(problem->text, 0, sizeof(problem->text)) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t errors = 0;
    struct users *users = users_create(bytes_of(data, size), told, &errors);
    if ((users == NULL) != (errors > 0))
        abort();
    if (users == NULL)
        return 0;
    for (uint32_t i = 0; i < users_count(users); i++) {
        const struct user *user = users_decoy(users, i);
        if (users_find(users, bytes_of_text(user->name)) != user || user->salt_len == 0 ||
            user->rounds == 0 || user_digest(user) == 0)
            abort();
    }
    struct users *again = users_create(bytes_of(data, size), told, &errors);
    if (again == NULL || users_digest(again) != users_digest(users))
        abort();
    users_destroy(again);
    users_destroy(users);
    return 0;
}
