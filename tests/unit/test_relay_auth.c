/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A listener that asks for passwords (C1, C2, G3): relay_mqtt_auth.c. */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/users_case.h"

#include <sched.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct relay_lab lab;
static struct password_pool *pool;
static struct authenticator *authenticator;

/* user "alice" gets the role by her name; ${user} is what she proved. */
static struct policy_role_spec alice_role(void)
{
    static const struct acl_rule_spec rules[] = {RULE("own", PUBLISH_BIT, "users/${user}/#")};
    return (struct policy_role_spec){.name = "user",
                                     .file = "t.conf",
                                     .line = 1,
                                     .match = {.user = "*", .vlan = -1},
                                     .id = "${user}",
                                     .max_qos = 2,
                                     .rules = rules,
                                     .rules_n = COUNT(rules)};
}

static void open_lab(const char *users, uint32_t jobs)
{
    struct policy_role_spec role = alice_role();
    pool = password_pool_create(1, 1, jobs);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    authenticator = authenticator_create(pool, 0, 1024);
    CU_ASSERT_PTR_NOT_NULL_FATAL(authenticator);
    lab_open_with(&lab, &role, 1, authenticator, users == NULL ? NULL : users_of(users));
    lab.config->listeners[0].auth = CONFIG_AUTH_PASSWORD;
}

static void close_lab(void)
{
    lab_close(&lab);
    authenticator_destroy(authenticator);
    password_pool_destroy(pool);
}

static void reload(const char *users)
{
    struct policy_role_spec role = alice_role();
    lab.users = users_of(users);
    lab_policy(&lab, &role, 1);
    lab_flush(&lab);
}

static struct mqtt_packet connect_as(enum mqtt_version version, const char *user, const char *password)
{
    struct mqtt_packet p = lab_connect(version, "dev-1");
    p.connect.has_user_name = user != NULL;
    p.connect.user_name = user == NULL ? bytes_of(NULL, 0) : bytes_of_text(user);
    p.connect.has_password = password != NULL;
    p.connect.password = password == NULL ? bytes_of(NULL, 0) : bytes_of_text(password);
    return p;
}

static struct lab_stream *send_connect(const char *user, const char *password)
{
    struct mqtt_packet p = connect_as(MQTT_5, user, password);
    struct lab_stream *s = lab_accept(&lab, 17);
    lab_send(s, &p);
    return s;
}

/* Until the pool's thread has answered `n`. */
static void poll(uint32_t n)
{
    while (n > 0) {
        uint32_t k = mqtt_relays_poll(lab.relays);
        n -= k;
        if (k == 0)
            sched_yield();
    }
    lab_flush(&lab);
}

static bool refused_with(struct lab_stream *s, enum mqtt_version version, uint8_t code)
{
    struct mqtt_packet p;
    return lab_next(s, MQTT_FROM_SERVER, version, &p) && p.type == MQTT_CONNACK && p.reason_code == code &&
           s->finished;
}

/* The dialled upstream gets the CONNECT as it was. */
static bool passed_on(const char *user, const char *password)
{
    struct mqtt_packet p;
    lab_upstream_opens(lab.dialled);
    return lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p) && p.type == MQTT_CONNECT &&
           bytes_equal(p.connect.user_name, bytes_of_text(user)) &&
           bytes_equal(p.connect.password, bytes_of_text(password)) &&
           bytes_equal(p.connect.client_id, bytes_of_text("dev-1"));
}

static void right_password(void)
{
    struct mqtt_packet p;
    open_lab(USER_ALICE USER_BOB, 8);
    struct lab_stream *device = send_connect("alice", "secret");
    CU_ASSERT_EQUAL(lab.dials, 0); /* nothing is done for it before it is known */
    /* What comes behind CONNECT waits. */
    struct mqtt_packet publish = lab_publish(MQTT_5, "users/alice/x", 0, 0);
    lab_send(device, &publish);
    CU_ASSERT_EQUAL(lab.dials, 0);
    poll(1);
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_STRING_EQUAL(lab.identity, "alice");
    CU_ASSERT_TRUE(passed_on("alice", "secret"));
    p = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_CONNACK &&
                   p.reason_code == 0);
    CU_ASSERT_TRUE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_PUBLISH);
    /* It comes again, and nobody computes. */
    lab_peer_closes(device, STREAM_END_DONE);
    device = send_connect("alice", "secret");
    CU_ASSERT_EQUAL(lab.dials, 2);
    CU_ASSERT_TRUE(passed_on("alice", "secret"));
    CU_ASSERT_EQUAL(authenticator_counters(authenticator)->computed, 1);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->from_device[OUTCOME_BAD_CREDENTIALS], 0);
    close_lab();
}

static void wrong_password(void)
{
    static const struct {
        const char *user, *password;
        bool computed;
    } t[] = {
        {"alice", "wrong", true}, {"nobody", "secret", true}, {"alice", NULL, false},
        {NULL, "secret", false},  {NULL, NULL, false},        {"alice", "", false},
    };
    open_lab(USER_ALICE, 8);
    for (size_t i = 0; i < COUNT(t); i++) {
        struct lab_stream *device = send_connect(t[i].user, t[i].password);
        if (t[i].computed)
            poll(1);
        CU_ASSERT_TRUE(refused_with(device, MQTT_5, 0x86));
        const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_EQUAL(event->outcome, OUTCOME_BAD_CREDENTIALS);
        CU_ASSERT_STRING_EQUAL(event->user, t[i].user == NULL ? "" : t[i].user);
        CU_ASSERT_STRING_EQUAL(event->client_id, "dev-1");
    }
    CU_ASSERT_EQUAL(lab.dials, 0);
    struct mqtt_packet p = connect_as(MQTT_3_1_1, "alice", "wrong");
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    poll(1);
    CU_ASSERT_TRUE(refused_with(device, MQTT_3_1_1, 4));
    close_lab();
}

/* auth = [ "password", "anonymous" ]: who gives no user name is judged without one, by a role that asks for
 * none; who gives one has to prove it, the empty one too. */
static void anonymous_beside_passwords(void)
{
    static const struct acl_rule_spec rules[] = {RULE("open", PUBLISH_BIT, "open/#")};
    struct policy_role_spec roles[2] = {alice_role(),
                                        {.name = "anonymous",
                                         .file = "t.conf",
                                         .line = 9,
                                         .match = {.any = true, .vlan = -1},
                                         .max_qos = 2,
                                         .rules = rules,
                                         .rules_n = COUNT(rules)}};
    open_lab(USER_ALICE, 8);
    lab.users = users_of(USER_ALICE);
    lab_policy(&lab, roles, 2);
    lab.config->listeners[0].auth = CONFIG_AUTH_PASSWORD | CONFIG_AUTH_ANONYMOUS;
    struct lab_stream *device = send_connect(NULL, NULL);
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_STRING_EQUAL(lab.identity, "dev-1");
    CU_ASSERT_FALSE(device->finished);
    CU_ASSERT_TRUE(refused_with(send_connect("alice", NULL), MQTT_5, 0x86));
    CU_ASSERT_TRUE(refused_with(send_connect("", NULL), MQTT_5, 0x86));
    struct lab_stream *wrong = send_connect("alice", "wrong");
    poll(1);
    CU_ASSERT_TRUE(refused_with(wrong, MQTT_5, 0x86));
    CU_ASSERT_EQUAL(lab.dials, 1);
    /* A listener that no longer lets them in ends them. */
    lab.config->listeners[0].auth = CONFIG_AUTH_PASSWORD;
    lab.users = users_of(USER_ALICE);
    lab_policy(&lab, roles, 2);
    CU_ASSERT_TRUE(device->finished);
    close_lab();
}

/* Whoever has not proved to be a client does not take its session over. */
static void no_takeover(void)
{
    struct mqtt_packet p;
    open_lab(USER_ALICE, 8);
    struct lab_stream *device = send_connect("alice", "secret");
    poll(1);
    CU_ASSERT_TRUE(passed_on("alice", "secret"));
    p = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &p);
    struct lab_stream *thief = send_connect("alice", "guess");
    poll(1);
    CU_ASSERT_TRUE(refused_with(thief, MQTT_5, 0x86));
    CU_ASSERT_FALSE(device->finished);
    struct mqtt_packet publish = lab_publish(MQTT_5, "users/alice/x", 0, 0);
    lab_send(device, &publish);
    CU_ASSERT_TRUE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_PUBLISH);
    close_lab();
}

static void full_queue(void)
{
    open_lab(USER_ALICE, 1);
    struct lab_stream *first = send_connect("alice", "one"), *second = send_connect("alice", "two");
    CU_ASSERT_TRUE(refused_with(second, MQTT_5, 0x89));
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_AUTH_BUSY);
    poll(1);
    CU_ASSERT_TRUE(refused_with(first, MQTT_5, 0x86));
    close_lab();
    /* Without a pool nobody is right; without users nobody is there (CVE-2026-95848). */
    struct policy_role_spec role = alice_role();
    lab_open_with(&lab, &role, 1, NULL, users_of(USER_ALICE));
    lab.config->listeners[0].auth = CONFIG_AUTH_PASSWORD;
    CU_ASSERT_TRUE(refused_with(send_connect("alice", "secret"), MQTT_5, 0x89));
    lab_close(&lab);
    open_lab(NULL, 1);
    CU_ASSERT_TRUE(refused_with(send_connect("alice", "secret"), MQTT_5, 0x86));
    close_lab();
}

/* The device goes away, or time does, before the verdict comes; the verdict finds nobody. */
static void not_waited_for(void)
{
    open_lab(USER_ALICE, 8);
    struct lab_stream *gone = send_connect("alice", "secret");
    lab_peer_closes(gone, STREAM_END_RESET);
    poll(1);
    CU_ASSERT_EQUAL(lab.dials, 0);
    struct lab_stream *ended = send_connect("alice", "other");
    lab_peer_ends(ended);
    poll(1);
    CU_ASSERT_EQUAL(lab.dials, 0);
    struct lab_stream *late = send_connect("alice", "third");
    lab_wait(&lab, UINT64_C(9999000));
    CU_ASSERT_FALSE(late->finished);
    lab_wait(&lab, 2000);
    CU_ASSERT_TRUE(refused_with(late, MQTT_5, 0x89));
    poll(1);
    CU_ASSERT_EQUAL(lab.dials, 0);
    close_lab();
}

/* A reload between CONNECT and verdict: the entry that holds now decides. */
static void reload_while_waiting(void)
{
    open_lab(USER_ALICE, 8);
    struct lab_stream *device = send_connect("alice", "secret");
    reload(USER_BOB); /* alice is gone */
    poll(2);          /* the old verdict, and the one that was asked for anew */
    CU_ASSERT_TRUE(refused_with(device, MQTT_5, 0x86));
    device = send_connect("alice", "secret"); /* not there: wrong so far */
    reload(USER_ALICE);
    poll(1); /* known from the first time */
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_FALSE(device->finished);
    close_lab();
}

/* G3: a session lives as long as the entry that it was let in by, and no longer. */
static void reload_while_running(void)
{
    struct mqtt_packet p;
    open_lab(USER_ALICE, 8);
    struct lab_stream *device = send_connect("alice", "secret");
    poll(1);
    CU_ASSERT_TRUE(passed_on("alice", "secret"));
    p = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    reload(USER_BOB USER_ALICE);
    CU_ASSERT_FALSE(device->finished);
    reload(USER_BOB);
    CU_ASSERT_TRUE(device->finished);
    CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_DISCONNECT &&
                   p.reason_code == 0x98);
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_END);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_BAD_CREDENTIALS);
    close_lab();
    /* A listener that begins to ask ends those who never proved anything. */
    open_lab(USER_ALICE, 8);
    lab.config->listeners[0].auth = 0;
    device = send_connect("alice", "secret");
    CU_ASSERT_EQUAL(lab.dials, 1);
    lab.config->listeners[0].auth = CONFIG_AUTH_PASSWORD;
    reload(USER_ALICE);
    CU_ASSERT_TRUE(device->finished);
    close_lab();
}

/* CVE-2026-33215: a session is its owner's, not of whoever knows its client id and has some password of his
 * own: where a role ties the client id to the user, it is refused while the session lives and after. */
static void session_of_another(void)
{
    struct policy_role_spec role = alice_role();
    struct mqtt_packet p = connect_as(MQTT_5, "alice", "secret"), publish;
    role.client_id = "${user}";
    open_lab(USER_ALICE USER_BOB, 8);
    lab.users = users_of(USER_ALICE USER_BOB);
    lab_policy(&lab, &role, 1);
    p.connect.client_id = bytes_of_text("alice");
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    poll(1);
    CU_ASSERT_EQUAL_FATAL(lab.dials, 1);
    struct lab_stream *upstream = lab.dialled;
    lab_upstream_opens(upstream);
    p = lab_connack(MQTT_5, 0);
    lab_send(upstream, &p);
    for (int after = 0; after < 2; after++) {
        struct lab_stream *thief = lab_accept(&lab, 18);
        p = connect_as(MQTT_5, "bob smith", "p@ss w0rd");
        p.connect.client_id = bytes_of_text("alice");
        p.connect.clean_start = false;
        lab_send(thief, &p);
        if (after == 0)
            poll(1); /* known from then on */
        CU_ASSERT_TRUE(lab_next(thief, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_CONNACK &&
                       p.reason_code >= 0x80 && thief->finished);
        CU_ASSERT_EQUAL(lab.dials, 1);
        if (after != 0)
            continue;
        CU_ASSERT_FALSE(device->finished || upstream->finished);
        upstream->out_read = upstream->out_n;
        publish = lab_publish(MQTT_5, "users/alice/x", 0, 0);
        lab_send(device, &publish);
        CU_ASSERT_TRUE(upstream->out_n > upstream->out_read);
        lab_peer_closes(device, STREAM_END_RESET);
    }
    p = connect_as(MQTT_5, "bob smith", "p@ss w0rd"); /* whose own name does */
    p.connect.client_id = bytes_of_text("bob smith");
    lab_send(lab_accept(&lab, 18), &p);
    CU_ASSERT_EQUAL(lab.dials, 2);
    close_lab();
}

/* CVE-2026-95848: without the part that knows the users, a listener that asks for passwords lets nobody in.
 */
static void nobody_to_ask(void)
{
    static const struct acl_rule_spec rules[] = {RULE("open", PUBLISH_BIT, "open/#")};
    const struct policy_role_spec anybody = {.name = "anybody", /* no role stands in the way */
                                             .file = "t.conf",
                                             .line = 9,
                                             .match = {.any = true, .vlan = -1},
                                             .rules = rules,
                                             .rules_n = COUNT(rules)};
    for (int without = 0; without < 2; without++) { /* no authenticator; no users */
        open_lab(without == 0 ? USER_ALICE : NULL, 8);
        if (without == 0) {
            lab_close(&lab);
            lab_open_with(&lab, &anybody, 1, NULL, users_of(USER_ALICE));
        } else {
            lab_policy(&lab, &anybody, 1);
        }
        lab.config->listeners[0].auth = CONFIG_AUTH_PASSWORD;
        struct lab_stream *named = send_connect("alice", "secret");
        struct lab_stream *nameless = send_connect(NULL, NULL);
        lab_flush(&lab);
        CU_ASSERT_TRUE(named->finished && nameless->finished);
        CU_ASSERT_EQUAL(lab.dials, 0);
        lab.config->listeners[0].auth = CONFIG_AUTH_ANONYMOUS; /* which is all that was missing */
        (void)send_connect(NULL, NULL);
        CU_ASSERT_EQUAL(lab.dials, 1);
        close_lab();
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"the right password, and again (C2)", right_password},
        {"the wrong one, and none (C1, C2)", wrong_password},
        {"clients without a name beside passwords (C1, H5)", anonymous_beside_passwords},
        {"nobody is taken over by a guess (C3)", no_takeover},
        {"the session of another (C3, CVE-2026-33215)", session_of_another},
        {"nobody to ask (C1, CVE-2026-95848)", nobody_to_ask},
        {"a full queue (C2)", full_queue},
        {"verdicts that nobody waits for", not_waited_for},
        {"a reload before the verdict (G3)", reload_while_waiting},
        {"a reload that takes the user away (G3)", reload_while_running},
    };
    return unit_run("relay_auth", tests, COUNT(tests));
}
