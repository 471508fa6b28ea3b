/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/tls_peer.h"

#include "dataplane/secure/certificate.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SERIAL_BYTES_MAX 20 /* RFC 5280 section 4.1.2.2 */
#define TEXT_BYTES (TLS_PEER_TEXT_MAX + 1)

/* What it points to lies behind it, in one piece of memory: names, keys of the chain, texts. */
struct held_peer {
    struct tls_peer peer; /* first: what everybody sees */
    atomic_uint refs;
    const char **san;
    uint8_t (*chain)[TLS_PEER_KEY_BYTES];
    char *text;
    const char *room[];
};

/* Texts while their room is being counted: then they are copied once. */
struct texts {
    size_t used;
    char text[(3 + TLS_PEER_SANS_MAX) * TEXT_BYTES];
};

/* Answers where it lies in `texts` plus one; 0: it is not told. */
static size_t add_text(struct texts *texts, const uint8_t *at, size_t n)
{
    size_t place = texts->used;
    if (n == 0 || n > TLS_PEER_TEXT_MAX || memchr(at, 0, n) != NULL)
        return 0;
    memcpy(texts->text + place, at, n);
    texts->text[place + n] = 0;
    texts->used += n + 1;
    return place + 1;
}

static size_t add_subject(struct texts *texts, const struct certificate *leaf, uint8_t type)
{
    struct der text;
    return certificate_subject(leaf, type, &text) ? add_text(texts, text.at, text.left) : 0;
}

static size_t add_serial(struct texts *texts, const struct certificate *leaf)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t text[2 * SERIAL_BYTES_MAX];
    size_t n = leaf->serial.left;
    if (n > SERIAL_BYTES_MAX)
        return 0;
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = (uint8_t)digits[leaf->serial.at[i] >> 4];
        text[2 * i + 1] = (uint8_t)digits[leaf->serial.at[i] & 15];
    }
    return add_text(texts, text, 2 * n);
}

static size_t add_san(struct texts *texts, const struct certificate_san *san)
{
    char address[INET6_ADDRSTRLEN];
    if (san->kind != CERTIFICATE_SAN_IP)
        return add_text(texts, san->value.at, san->value.left);
    inet_ntop(san->value.left == 4 ? AF_INET : AF_INET6, san->value.at, address, sizeof(address));
    return add_text(texts, (const uint8_t *)address, strlen(address));
}

static struct held_peer *hold(const struct texts *texts, uint32_t sans, uint32_t chain)
{
    struct held_peer *held =
        calloc(1, sizeof(*held) + sans * sizeof(held->san[0]) + chain * sizeof(held->chain[0]) + texts->used);
    if (held == NULL)
        return NULL;
    atomic_init(&held->refs, 1);
    held->san = held->room;
    held->chain = (uint8_t(*)[TLS_PEER_KEY_BYTES])(void *)(held->san + sans);
    held->text = (char *)(held->chain + chain);
    memcpy(held->text, texts->text, texts->used);
    held->peer.san = held->san;
    held->peer.chain = (const uint8_t(*)[TLS_PEER_KEY_BYTES])held->chain;
    return held;
}

static const char *placed(const struct held_peer *held, size_t place)
{
    return place == 0 ? NULL : held->text + place - 1;
}

struct tls_peer *tls_peer_of_chain(const uint8_t *const der[], const size_t bytes[], uint32_t n)
{
    struct certificate chain[TLS_PEER_CHAIN_MAX];
    struct certificate_san sans[CERTIFICATE_SANS_MAX];
    struct texts texts = {.used = 0};
    if (n == 0 || n > TLS_PEER_CHAIN_MAX)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (!certificate_parse(der[i], bytes[i], &chain[i]))
            return NULL;
    size_t cn = add_subject(&texts, &chain[0], CERTIFICATE_CN);
    size_t ou = add_subject(&texts, &chain[0], CERTIFICATE_OU);
    size_t serial = add_serial(&texts, &chain[0]);
    size_t san[TLS_PEER_SANS_MAX];
    uint32_t sans_n = certificate_sans(&chain[0], sans, TLS_PEER_SANS_MAX);
    for (uint32_t i = 0; i < sans_n; i++)
        san[i] = add_san(&texts, &sans[i]);
    struct held_peer *held = hold(&texts, sans_n, n);
    if (held == NULL)
        return NULL;
    struct tls_peer *peer = &held->peer;
    peer->has_certificate = true;
    peer->may_sign = certificate_may_sign(&chain[0]);
    peer->cn = placed(held, cn);
    peer->ou = placed(held, ou);
    peer->serial = placed(held, serial);
    for (uint32_t i = 0; i < sans_n; i++)
        if (san[i] != 0)
            held->san[peer->sans_n++] = placed(held, san[i]);
    certificate_digest(&chain[0].whole, peer->fingerprint);
    certificate_digest(&chain[0].public_key, peer->public_key);
    peer->not_after_s = chain[0].not_after_s;
    for (uint32_t i = 0; i < n; i++) {
        certificate_key(&chain[i].issuer, &chain[i].serial, held->chain[i]);
        if (chain[i].not_after_s < peer->not_after_s)
            peer->not_after_s = chain[i].not_after_s;
    }
    peer->chain_n = n;
    return peer;
}

struct tls_peer *tls_peer_of_psk(const char *psk_id)
{
    struct texts texts = {.used = 0};
    size_t place = add_text(&texts, (const uint8_t *)psk_id, strlen(psk_id));
    struct held_peer *held = place == 0 ? NULL : hold(&texts, 0, 0);
    if (held == NULL)
        return NULL;
    held->peer.psk_id = placed(held, place);
    held->peer.not_after_s = INT64_MAX;
    return &held->peer;
}

static struct held_peer *held_of(struct tls_peer *peer)
{
    return (struct held_peer *)(void *)peer;
}

static bool same_status(const struct ocsp_chain *a, const struct ocsp_chain *b)
{
    bool same = a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++)
        same = a->of[i] == b->of[i];
    return same;
}

bool tls_peer_same(const struct tls_peer *a, const struct tls_peer *b)
{
    return a->has_certificate && b->has_certificate && a->may_sign == b->may_sign &&
           memcmp(a->fingerprint, b->fingerprint, sizeof(a->fingerprint)) == 0 &&
           a->not_after_s == b->not_after_s && a->chain_n == b->chain_n &&
           memcmp(a->chain, b->chain, a->chain_n * sizeof(a->chain[0])) == 0 &&
           same_status(&a->status, &b->status);
}

struct tls_peer *tls_peer_ref(struct tls_peer *peer)
{
    atomic_fetch_add_explicit(&held_of(peer)->refs, 1, memory_order_relaxed);
    return peer;
}

void tls_peer_unref(struct tls_peer *peer)
{
    if (peer != NULL && atomic_fetch_sub_explicit(&held_of(peer)->refs, 1, memory_order_acq_rel) == 1) {
        ocsp_chain_clear(&peer->status);
        free(held_of(peer));
    }
}
