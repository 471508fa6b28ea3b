/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Neighbours: what teaches the table and what does not, ageing, caps. The host is a notebook, packets are
 * numbers. */
#include "dataplane/net/neighbor.h"
#include "tests/unit/runner.h"

#define SECOND 1000000u

static const uint8_t secret[16] = "0123456789abcde";
static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t mac_b[6] = {2, 0, 0, 0, 0, 2};

static struct {
    uint32_t asked_all;
    uint32_t asked_one;
    uint32_t resolved;
    uint32_t failed;
    struct rte_mbuf *last;
} seen;

static void on_solicit(void *host, const struct neighbor *n, bool unicast)
{
    (void)host;
    (void)n;
    seen.asked_all += !unicast;
    seen.asked_one += unicast;
}

static void on_resolved(void *host, const struct neighbor *n, struct rte_mbuf **waiting, uint32_t count)
{
    (void)host;
    (void)n;
    seen.resolved += count;
    seen.last = waiting[count - 1];
}

static void on_failed(void *host, const struct neighbor *n, struct rte_mbuf **waiting, uint32_t count)
{
    (void)host;
    (void)n;
    (void)waiting;
    seen.failed += count;
}

static const struct neighbor_host host = {
    .solicit = on_solicit, .resolved = on_resolved, .failed = on_failed};

static struct neighbor_table *start(uint32_t capacity)
{
    memset(&seen, 0, sizeof(seen));
    struct neighbor_table *table = neighbor_table_create(capacity, secret, &host, NULL);
    if (table == NULL)
        abort();
    return table;
}

/* A packet that is only ever passed around. */
static struct rte_mbuf *packet(uintptr_t number)
{
    return (struct rte_mbuf *)(number << 6); /* NOLINT: never followed */
}

static struct ip_address address(uint32_t i)
{
    return ip_address_v4(0x0a140000 + i);
}

static void an_answer_resolves(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_want(table, 0, &a, 1000);
    CU_ASSERT_FATAL(n != NULL && !neighbor_has_mac(n));
    CU_ASSERT(seen.asked_all == 1 && seen.asked_one == 0);
    CU_ASSERT(neighbor_hold(table, n, packet(1), 1000) == NULL);
    CU_ASSERT(neighbor_want(table, 0, &a, 2000) == n && seen.asked_all == 1);
    CU_ASSERT(!neighbor_answered(table, 1, &a, mac_a, 3000)); /* on another interface */
    CU_ASSERT(neighbor_answered(table, 0, &a, mac_a, 3000));
    CU_ASSERT(neighbor_has_mac(n) && memcmp(n->mac, mac_a, 6) == 0);
    CU_ASSERT(seen.resolved == 1 && seen.last == packet(1));
    CU_ASSERT(neighbor_find(table, 0, &a) == n && neighbor_find(table, 1, &a) == NULL);
    CU_ASSERT(neighbor_at(table, neighbor_index(table, n)) == n && neighbor_at(table, 99) == NULL);
    neighbor_table_destroy(table);
}

/* Nobody asked: nothing is learned, nothing is replaced. */
static void unsolicited_answers_are_ignored(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    CU_ASSERT(!neighbor_answered(table, 0, &a, mac_b, 1000));
    neighbor_announced(table, 0, &a, mac_b, 1000);
    CU_ASSERT(neighbor_table_used(table) == 0);
    struct neighbor *n = neighbor_want(table, 0, &a, 1000);
    CU_ASSERT(neighbor_answered(table, 0, &a, mac_a, 1000));
    CU_ASSERT(!neighbor_answered(table, 0, &a, mac_b, 2000));
    CU_ASSERT(memcmp(n->mac, mac_a, 6) == 0);
    neighbor_table_destroy(table);
}

/* A different MAC only makes us ask the old one; while that answers, it stays. */
static void a_claim_is_verified_with_the_holder(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_want(table, 0, &a, SECOND);
    neighbor_answered(table, 0, &a, mac_a, SECOND);
    for (uint32_t way = 0; way < 2; way++) {
        uint64_t now = (10 + 10 * way) * SECOND;
        seen.asked_one = 0;
        if (way == 0)
            neighbor_announced(table, 0, &a, mac_b, now);
        else
            CU_ASSERT(neighbor_heard(table, 0, &a, mac_b, now) == n);
        CU_ASSERT(seen.asked_one == 1 && memcmp(n->mac, mac_a, 6) == 0);
        CU_ASSERT(!neighbor_answered(table, 0, &a, mac_b, now + 1)); /* the claimant answers first */
        CU_ASSERT(neighbor_answered(table, 0, &a, mac_a, now + 2));
        CU_ASSERT(memcmp(n->mac, mac_a, 6) == 0 && n->state == NEIGHBOR_REACHABLE);
        /* ... and a flood of claims does not make a flood of questions. */
        for (uint64_t i = 0; i < 1000; i++)
            neighbor_announced(table, 0, &a, mac_b, now + 3 + i);
        CU_ASSERT(seen.asked_one == 1);
    }
    neighbor_table_destroy(table);
}

/* A device whose card was replaced is found again within seconds. */
static void a_silent_holder_is_replaced(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_want(table, 0, &a, SECOND);
    neighbor_answered(table, 0, &a, mac_a, SECOND);
    uint64_t now = 10 * SECOND;
    neighbor_announced(table, 0, &a, mac_b, now);
    seen.asked_all = 0;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(memcmp(n->mac, mac_a, 6) == 0 && neighbor_has_mac(n));
        now += SECOND;
        neighbor_advance(table, now);
    }
    CU_ASSERT(seen.asked_one == 3 && seen.asked_all == 1 && !neighbor_has_mac(n));
    CU_ASSERT(neighbor_answered(table, 0, &a, mac_b, now));
    CU_ASSERT(memcmp(n->mac, mac_b, 6) == 0);
    neighbor_table_destroy(table);
}

/* A battery-driven sensor sleeps through our questions, then speaks: what waited leaves at once. */
static void who_wakes_up_is_known_again(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_want(table, 0, &a, SECOND);
    neighbor_answered(table, 0, &a, mac_a, SECOND);
    neighbor_use(table, n, 40 * SECOND);
    for (uint32_t i = 45; i <= 48; i++)
        neighbor_advance(table, i * SECOND);
    CU_ASSERT(n->state == NEIGHBOR_INCOMPLETE);
    neighbor_hold(table, n, packet(1), 48 * SECOND);
    neighbor_heard(table, 0, &a, mac_b, 48 * SECOND); /* somebody else's word does not count */
    CU_ASSERT(n->state == NEIGHBOR_INCOMPLETE && seen.resolved == 0);
    neighbor_heard(table, 0, &a, mac_a, 48 * SECOND);
    CU_ASSERT(n->state == NEIGHBOR_REACHABLE && seen.resolved == 1);
    neighbor_table_destroy(table);
}

static void silence_fails_and_is_forgotten(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_want(table, 0, &a, SECOND);
    for (uintptr_t i = 1; i <= 3; i++)
        CU_ASSERT(neighbor_hold(table, n, packet(i), SECOND) == NULL);
    CU_ASSERT(neighbor_hold(table, n, packet(4), SECOND) == packet(1)); /* RFC 4861 7.2.2: the oldest goes */
    for (uint32_t i = 2; i <= 4; i++)
        neighbor_advance(table, i * SECOND);
    CU_ASSERT(seen.asked_all == 3 && seen.failed == 3 && n->state == NEIGHBOR_FAILED);
    CU_ASSERT(neighbor_hold(table, n, packet(5), 4 * SECOND + 1) == packet(5)); /* the pause */
    neighbor_advance(table, 6 * SECOND);
    CU_ASSERT(neighbor_table_used(table) == 0 && neighbor_find(table, 0, &a) == NULL);
    neighbor_table_destroy(table);
}

/* RFC 4861 s.7.3.3: a used entry that was not confirmed lately is verified; an unused one is not. */
static void used_entries_are_verified(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_want(table, 0, &a, SECOND);
    neighbor_answered(table, 0, &a, mac_a, SECOND);
    neighbor_use(table, n, 20 * SECOND);
    CU_ASSERT(n->state == NEIGHBOR_REACHABLE);
    neighbor_advance(table, 40 * SECOND);
    CU_ASSERT(seen.asked_one == 0);
    neighbor_use(table, n, 40 * SECOND);
    CU_ASSERT(n->state == NEIGHBOR_DELAY && neighbor_has_mac(n));
    neighbor_advance(table, 44 * SECOND);
    CU_ASSERT(seen.asked_one == 0);
    neighbor_heard_from(table, n, mac_a, 44 * SECOND); /* shows itself: no question needed */
    neighbor_advance(table, 60 * SECOND);
    CU_ASSERT(seen.asked_one == 0 && n->state == NEIGHBOR_REACHABLE);
    neighbor_use(table, n, 80 * SECOND);
    neighbor_advance(table, 85 * SECOND);
    CU_ASSERT(seen.asked_one == 1 && n->state == NEIGHBOR_PROBE && neighbor_has_mac(n));
    CU_ASSERT(neighbor_answered(table, 0, &a, mac_a, 85 * SECOND) && n->state == NEIGHBOR_REACHABLE);
    neighbor_table_destroy(table);
}

/* One that only spoke to us has proved nothing: asked at once when used, and hints do not help it. */
static void heard_entries_are_unconfirmed(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_heard(table, 0, &a, mac_a, SECOND);
    CU_ASSERT_FATAL(n != NULL && neighbor_has_mac(n) && !n->confirmed);
    neighbor_heard(table, 0, &a, mac_a, SECOND + 1);
    CU_ASSERT(n->state == NEIGHBOR_STALE);
    neighbor_use(table, n, SECOND + 2);
    neighbor_heard(table, 0, &a, mac_a, SECOND + 3);
    neighbor_advance(table, SECOND + 4);
    CU_ASSERT(seen.asked_one == 1);
    CU_ASSERT(neighbor_answered(table, 0, &a, mac_a, SECOND + 5) && n->confirmed);
    neighbor_table_destroy(table);
}

/* Forged sources must not make us ask everybody: one that answers no question is forgotten. */
static void heard_entries_that_stay_silent_are_forgotten(void)
{
    struct neighbor_table *table = start(16);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_heard(table, 0, &a, mac_a, SECOND);
    neighbor_use(table, n, SECOND);
    for (uint32_t i = 1; i < 10; i++)
        neighbor_advance(table, i * SECOND);
    CU_ASSERT(seen.asked_one == 3 && seen.asked_all == 0);
    CU_ASSERT(neighbor_table_used(table) == 0);
    neighbor_table_destroy(table);
}

/* A flood of sources on the wire cannot push out who has answered, nor a next hop. */
static void floods_evict_the_unconfirmed(void)
{
    enum { CAPACITY = 64 };
    struct neighbor_table *table = start(CAPACITY);
    struct ip_address router = address(1);
    struct ip_address a = address(5);
    struct neighbor *pinned = neighbor_pin(table, 0, &router);
    struct neighbor *known = neighbor_want(table, 0, &a, SECOND);
    neighbor_answered(table, 0, &a, mac_a, SECOND);
    CU_ASSERT(seen.asked_all == 1); /* a next hop is not asked for before it is used */
    for (uint32_t i = 0; i < 100000; i++) {
        struct ip_address b = address(1000 + i);
        neighbor_heard(table, 0, &b, mac_b, SECOND + i * 100);
    }
    CU_ASSERT(neighbor_table_used(table) <= CAPACITY);
    CU_ASSERT(neighbor_find(table, 0, &router) == pinned && pinned->permanent);
    CU_ASSERT(neighbor_find(table, 0, &a) == known && known->confirmed);
    neighbor_table_destroy(table);
}

/* Within a second nothing young is evicted: the table says full. */
static void a_full_table_refuses(void)
{
    struct neighbor_table *table = start(8);
    for (uint32_t i = 0; i < 8; i++) {
        struct ip_address b = address(i);
        CU_ASSERT(neighbor_heard(table, 0, &b, mac_b, SECOND) != NULL);
    }
    struct ip_address b = address(99);
    CU_ASSERT(neighbor_heard(table, 0, &b, mac_b, SECOND) == NULL);
    CU_ASSERT(neighbor_want(table, 0, &b, SECOND) == NULL);
    CU_ASSERT(neighbor_want(table, 0, &b, 3 * SECOND) != NULL);
    neighbor_table_destroy(table);
}

static void waiting_packets_are_capped_in_all(void)
{
    struct neighbor_table *table = start(1024);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        struct ip_address b = address(i);
        struct neighbor *n = neighbor_want(table, 0, &b, SECOND);
        kept += neighbor_hold(table, n, packet(i + 1), SECOND) == NULL;
    }
    CU_ASSERT(kept == NEIGHBOR_WAITING_ALL);
    for (uint32_t i = 2; i < 10; i++) /* all fail; the queues are empty again */
        neighbor_advance(table, i * SECOND);
    CU_ASSERT(seen.failed == NEIGHBOR_WAITING_ALL && neighbor_table_used(table) == 0);
    neighbor_table_destroy(table);
}

/* More questions open than one advance looks at: each gets its turn. */
static void many_open_questions_all_end(void)
{
    enum { OPEN = 5000 };
    struct neighbor_table *table = start(OPEN);
    for (uint32_t i = 0; i < OPEN; i++) {
        struct ip_address b = address(i);
        neighbor_want(table, 0, &b, SECOND);
    }
    for (uint64_t now = SECOND; now < 7 * SECOND; now += 10000)
        neighbor_advance(table, now);
    CU_ASSERT(seen.asked_all == 3 * OPEN && neighbor_table_used(table) == 0);
    neighbor_table_destroy(table);
}

static void idle_entries_are_forgotten(void)
{
    struct neighbor_table *table = start(64);
    struct ip_address router = address(1);
    struct ip_address a = address(5);
    neighbor_pin(table, 0, &router);
    neighbor_want(table, 0, &a, SECOND);
    neighbor_answered(table, 0, &a, mac_a, SECOND);
    for (int i = 0; i < 8; i++)
        neighbor_advance(table, 590 * SECOND);
    CU_ASSERT(neighbor_table_used(table) == 2);
    for (int i = 0; i < 8; i++)
        neighbor_advance(table, 700 * SECOND);
    CU_ASSERT(neighbor_table_used(table) == 1 && neighbor_find(table, 0, &router) != NULL);
    neighbor_table_destroy(table);
}

/* The fake clock may stand at zero. */
static void time_zero_works(void)
{
    struct neighbor_table *table = start(4);
    struct ip_address a = address(5);
    struct neighbor *n = neighbor_heard(table, 0, &a, mac_a, 0);
    neighbor_use(table, n, 0);
    neighbor_advance(table, 1);
    CU_ASSERT(seen.asked_one == 1 && n->state == NEIGHBOR_PROBE);
    neighbor_table_destroy(table);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 4861 7.2: an answer resolves and lets packets go", an_answer_resolves},
        {"unsolicited answers are ignored", unsolicited_answers_are_ignored},
        {"a claim is verified with the holder, who wins", a_claim_is_verified_with_the_holder},
        {"a silent holder is replaced", a_silent_holder_is_replaced},
        {"who wakes up is known again", who_wakes_up_is_known_again},
        {"RFC 4861 7.2.2: silence fails, the queue is short", silence_fails_and_is_forgotten},
        {"RFC 4861 7.3: stale, delay, probe", used_entries_are_verified},
        {"heard entries are unconfirmed", heard_entries_are_unconfirmed},
        {"heard entries that stay silent are forgotten", heard_entries_that_stay_silent_are_forgotten},
        {"floods evict only the unconfirmed", floods_evict_the_unconfirmed},
        {"a full table refuses", a_full_table_refuses},
        {"waiting packets are capped in all", waiting_packets_are_capped_in_all},
        {"many open questions all end", many_open_questions_all_end},
        {"idle entries are forgotten, next hops are not", idle_entries_are_forgotten},
        {"time zero", time_zero_works},
    };
    return unit_run("net/neighbor", tests, sizeof(tests) / sizeof(tests[0]));
}
