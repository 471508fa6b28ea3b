/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passwords (C2): before anything else is decided about a client of a listener that asks for them, so that
 * who cannot prove who he is learns nothing and takes over nothing. While the answer is computed elsewhere
 * the CONNECT waits in the upstream's box, which is wiped.
 */
#include "dataplane/secure/tls_stream.h"
#include "gateway/relay_mqtt_private.h"

#define POLL_MAX 32 /* verdicts in one turn: each may begin a connection to an upstream */

static const struct users *users_of(const struct relay *r)
{
    return snapshot_users(relay_generation(r)->policy);
}

/* Where a certificate or a key is enough it proves who the client is, but not a user name that is given
 * beside it. */
static bool proved_by_tls(const struct relay *r, const struct config_listener *listener)
{
    const struct tls_peer *peer =
        r->origin.tls && r->device.stream != NULL ? tls_stream_peer(r->device.stream) : NULL;
    if (peer == NULL || relay_user(r).at != NULL)
        return false;
    return peer->psk_id != NULL ? (listener->auth & CONFIG_AUTH_PSK) != 0
                                : (listener->auth & CONFIG_AUTH_CERT) != 0 && peer->has_certificate;
}

/* Clients without a user name are let in where the listener says so, and are judged by a role that asks for
 * none. */
static bool asked(const struct relay *r)
{
    const struct config_listener *listener = &relay_generation(r)->config->listeners[r->origin.listener];
    if ((listener->auth & CONFIG_AUTH_ANONYMOUS) != 0 && relay_user(r).at == NULL)
        return false;
    return (listener->auth & CONFIG_AUTH_PASSWORD) != 0 && !proved_by_tls(r, listener);
}

static uint64_t current_digest(const struct relay *r, struct bytes user)
{
    const struct user *entry = users_find(users_of(r), user);
    return entry == NULL ? 0 : user_digest(entry);
}

bool relay_credential_holds(const struct relay *r)
{
    return !asked(r) || (r->credential != 0 && r->credential == current_digest(r, relay_user(r)));
}

static uint64_t tag_of(const struct relay *r)
{
    struct slab_handle handle = slab_handle_of(r->all->slab, r);
    return (uint64_t)handle.generation << 32 | handle.index;
}

static struct relay *relay_of(const struct mqtt_relays *all, uint64_t tag)
{
    return slab_resolve(all->slab,
                        (struct slab_handle){.index = (uint32_t)tag, .generation = (uint32_t)(tag >> 32)});
}

enum outcome relay_authenticate(struct relay *r, const struct mqtt_packet *packet)
{
    const struct mqtt_connect *c = &packet->connect;
    struct authenticator *authenticator = r->all->config.authenticator;
    if (!asked(r))
        return OUTCOME_ALLOWED;
    if (!c->has_user_name || !c->has_password)
        return OUTCOME_BAD_CREDENTIALS;
    if (r->credential != 0 && r->credential == current_digest(r, c->user_name))
        return OUTCOME_ALLOWED;
    r->credential = 0;
    if (authenticator == NULL)
        return OUTCOME_AUTH_BUSY;
    switch (authenticator_ask(authenticator, &r->origin.key.remote, users_of(r), c->user_name, c->password,
                              tag_of(r), &r->credential)) {
    case AUTH_REFUSED:
        break;
    case AUTH_GOOD:
        return OUTCOME_ALLOWED;
    case AUTH_WAITS:
        if (!relay_queue_connect(r, packet))
            return OUTCOME_NO_RESOURCES;
        relay_set_state(r, RELAY_AUTH);
        return OUTCOME_ALLOWED;
    case AUTH_BUSY:
        return OUTCOME_AUTH_BUSY;
    }
    return OUTCOME_BAD_CREDENTIALS;
}

/* The CONNECT that waited, out of its box. */
static bool parse_waiting(const struct relay_box *box, struct mqtt_packet *packet)
{
    struct mqtt_framer framer;
    struct cursor in = {.at = box->data + box->start, .end = box->data + box->end};
    mqtt_framer_init(&framer, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, RELAY_SCRATCH_BYTES,
                     RELAY_SCRATCH_BYTES);
    packet->version = MQTT_VERSION_UNKNOWN;
    return mqtt_framer_next(&framer, &in, packet) == MQTT_STEP_PACKET;
}

static void decide(struct relay *r, const struct auth_verdict *verdict)
{
    struct mqtt_packet packet;
    struct relay_box *box = r->upstream.out;
    r->upstream.out = NULL;
    relay_set_state(r, RELAY_CONNECT);
    if (box == NULL || !parse_waiting(box, &packet)) {
        relay_end(r, OUTCOME_NO_RESOURCES);
    } else if (!verdict->good && verdict->digest == current_digest(r, packet.connect.user_name)) {
        relay_refuse_connect(r, OUTCOME_BAD_CREDENTIALS, &packet);
    } else {
        /* What was found good, or wrong, of an entry that is another one by now is asked anew. */
        r->credential = verdict->good ? verdict->digest : 0;
        (void)relay_connect(r, &packet);
    }
    relay_drop_box(r, &box);
}

uint32_t mqtt_relays_poll(struct mqtt_relays *all)
{
    struct auth_verdict verdict;
    uint32_t n = 0;
    while (all->config.authenticator != NULL && n < POLL_MAX &&
           authenticator_collect(all->config.authenticator, &verdict)) {
        struct relay *r = relay_of(all, verdict.tag);
        n++;
        if (r == NULL)
            continue; /* it did not wait for it */
        relay_make_current(r);
        if (r->state == RELAY_AUTH)
            decide(r, &verdict);
    }
    return n;
}
