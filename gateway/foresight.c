/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/foresight.h"

/* Static: a worker that answers late still finds its own, and the generation that it looks at. */
static struct worker_request requests[WORKERS_MAX];
static struct generation *left[WORKERS_MAX]; /* by the worker that has not answered */

static bool ask(struct gateway *gateway, uint32_t worker, const struct generation *next,
                struct relay_foresight *sum)
{
    struct worker_request *request = &requests[worker];
    request->kind = WORKER_FORESEE;
    request->next = next;
    request->position = 0;
    request->foresight = *sum;
    do {
        if (!worker_ask(gateway->workers[worker], request))
            return false;
    } while (request->more);
    *sum = request->foresight;
    return true;
}

void foresight_print(struct gateway *gateway, struct generation *next, FILE *to)
{
    struct relay_foresight sum = {.sessions = 0};
    foresight_tick();
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        bool asked = left[i] == NULL && worker_listens(gateway->workers[i]);
        if (asked && ask(gateway, i, next, &sum))
            continue;
        fprintf(to, "worker %u does not answer; what would become of its sessions is not known\n", i);
        if (asked) {
            left[i] = next; /* it may yet look at it */
            return;
        }
    }
    fprintf(to,
            "of %u live sessions %u would end%s%s, %u would get another role; %u subscriptions would be "
            "taken back\n",
            sum.sessions, sum.closed, sum.closed != 0 ? ", such as " : "", sum.first, sum.other_role,
            sum.taken_back);
    generation_destroy(next);
}

void foresight_tick(void)
{
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        if (left[i] != NULL && atomic_load_explicit(&requests[i].done, memory_order_acquire)) {
            generation_destroy(left[i]);
            left[i] = NULL;
        }
}
