/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/foresight.h"

#include "gateway/errand.h"
#include "policy/access/snapshot_publishers.h"

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

struct publishers {
    const struct snapshot *before, *after;
    struct new_publishers found;
    bool known;
};

static void find_publishers(void *of)
{
    struct publishers *p = of;
    p->known = snapshot_new_publishers(p->before, p->after, &p->found);
}

static void print_rule(const struct policy_role *role, const struct acl_rule *rule, FILE *to)
{
    if (rule == NULL)
        fprintf(to, "role %s (%s:%u), which only observes", role->name, role->file, role->line);
    else
        fprintf(to, "role %s, rule %s (%s:%u)", role->name, rule->id, rule->file, rule->line);
}

static void print_publisher(const struct new_publisher *p, FILE *to)
{
    static const char *const why[] = {
        [NEW_PUBLISHER_RULE] = "clients of",
        [NEW_PUBLISHER_ROLE] = "clients of a new",
        [NEW_PUBLISHER_CLIENTS] = "other clients than before are in",
    };
    fprintf(to, "newly allowed to publish what others may subscribe to: %s ", why[p->why]);
    print_rule(p->role, p->rule, to);
    if (p->subscriber == NULL) {
        fprintf(to, "; perhaps: rules are too many to know by whom\n");
        return;
    }
    fprintf(to, "; subscribed to by ");
    print_rule(p->subscriber, p->subscription, to);
    fprintf(to, "\n");
}

void foresight_print_publishers(struct gateway *gateway, const struct generation *next, FILE *to)
{
    struct publishers p = {.before = gateway->generation->policy, .after = next->policy};
    errand_run(find_publishers, &p, gateway_drain_events, gateway);
    if (!p.known) {
        fprintf(to, "who would newly be allowed to publish is not known: no memory\n");
        return;
    }
    for (uint32_t i = 0; i < p.found.n && i < NEW_PUBLISHERS_KEPT; i++)
        print_publisher(&p.found.first[i], to);
    if (p.found.n > NEW_PUBLISHERS_KEPT)
        fprintf(to, "and %u more%s\n", p.found.n - NEW_PUBLISHERS_KEPT,
                p.found.stopped ? ", or yet more: looking ended there" : "");
}
