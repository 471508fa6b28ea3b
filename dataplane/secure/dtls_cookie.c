/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/hmac.h>

#include "dataplane/secure/dtls_cookie.h"

#include "dataplane/secure/tag.h"

#include <string.h>

static bool hmac(const uint8_t secret[DTLS_SECRET_BYTES], const struct dtls_slice *parts, size_t n,
                 uint8_t out[DTLS_COOKIE_BYTES])
{
    Hmac state;
    if (wc_HmacInit(&state, NULL, INVALID_DEVID) != 0)
        return false;
    bool good = wc_HmacSetKey(&state, WC_SHA256, secret, DTLS_SECRET_BYTES) == 0;
    for (size_t i = 0; good && i < n; i++)
        good = wc_HmacUpdate(&state, parts[i].at, (word32)parts[i].n) == 0;
    good = good && wc_HmacFinal(&state, out) == 0;
    wc_HmacFree(&state);
    return good;
}

static void make_secret(struct dtls_cookies *cookies, int which, uint64_t period)
{
    static const uint8_t label[] = "DTLS 1.3";
    struct dtls_slice parts[] = {{.at = (const uint8_t *)&period, .n = sizeof(period)},
                                 {.at = label, .n = sizeof(label)}};
    if (!hmac(cookies->master, parts, 1, cookies->secret[which]))
        memset(cookies->secret[which], 0, DTLS_SECRET_BYTES);
    if (!hmac(cookies->master, parts, 2, cookies->secret_1_3[which]))
        memset(cookies->secret_1_3[which], 0, DTLS_SECRET_BYTES);
}

static void turn(struct dtls_cookies *cookies, uint64_t now_us)
{
    uint64_t period = now_us / DTLS_COOKIE_PERIOD_US;
    if (period == cookies->period)
        return;
    cookies->period = period;
    make_secret(cookies, 0, period);
    make_secret(cookies, 1, period - 1);
}

void dtls_cookies_init(struct dtls_cookies *cookies, const uint8_t secret[DTLS_SECRET_BYTES], uint64_t now_us)
{
    memcpy(cookies->master, secret, DTLS_SECRET_BYTES);
    cookies->period = UINT64_MAX;
    turn(cookies, now_us);
}

void dtls_peer_bytes(const struct flow_key *key, uint8_t out[DTLS_PEER_BYTES])
{
    const uint16_t rest[3] = {key->remote_port, key->local_port, key->interface};
    memcpy(out, key->remote.bytes, 16);
    memcpy(out + 16, key->local.bytes, 16);
    memcpy(out + 32, rest, sizeof(rest));
}

static bool cookie_of(const uint8_t secret[DTLS_SECRET_BYTES], const struct flow_key *key,
                      const struct dtls_hello *hello, uint8_t out[DTLS_COOKIE_BYTES])
{
    uint8_t peer[DTLS_PEER_BYTES];
    dtls_peer_bytes(key, peer);
    const struct dtls_slice parts[] = {
        {peer, sizeof(peer)}, {hello->version, 2}, {hello->random, DTLS_RANDOM_BYTES},
        hello->session_id,    hello->suites,       hello->compression};
    return hmac(secret, parts, sizeof(parts) / sizeof(parts[0]), out);
}

bool dtls_cookie_make(struct dtls_cookies *cookies, const struct flow_key *key,
                      const struct dtls_hello *hello, uint64_t now_us, uint8_t out[DTLS_COOKIE_BYTES])
{
    turn(cookies, now_us);
    return cookie_of(cookies->secret[0], key, hello, out);
}

const uint8_t *dtls_cookie_check(struct dtls_cookies *cookies, const struct flow_key *key,
                                 const struct dtls_hello *hello, uint64_t now_us)
{
    uint8_t cookie[DTLS_COOKIE_BYTES];
    if (hello->cookie.n != DTLS_COOKIE_BYTES)
        return NULL;
    turn(cookies, now_us);
    for (int i = 0; i < 2; i++)
        if (cookie_of(cookies->secret[i], key, hello, cookie) &&
            !tag_differs(cookie, hello->cookie.at, DTLS_COOKIE_BYTES))
            return cookies->secret[i];
    return NULL;
}

static bool mac_of(const uint8_t secret[DTLS_SECRET_BYTES], const struct flow_key *key, const uint8_t *at,
                   size_t n, uint8_t out[DTLS_COOKIE_BYTES])
{
    uint8_t peer[DTLS_PEER_BYTES];
    dtls_peer_bytes(key, peer);
    const struct dtls_slice parts[] = {{at, n}, {peer, sizeof(peer)}};
    return hmac(secret, parts, 2, out);
}

bool dtls_cookie_mac(struct dtls_cookies *cookies, const struct flow_key *key, const uint8_t *at, size_t n,
                     uint64_t now_us, uint8_t out[DTLS_COOKIE_BYTES])
{
    turn(cookies, now_us);
    return mac_of(cookies->secret_1_3[0], key, at, n, out);
}

const uint8_t *dtls_cookie_mac_check(struct dtls_cookies *cookies, const struct flow_key *key,
                                     const uint8_t *at, size_t n, uint64_t now_us)
{
    uint8_t mac[DTLS_COOKIE_BYTES];
    turn(cookies, now_us);
    for (int i = 0; i < 2; i++)
        if (mac_of(cookies->secret_1_3[i], key, at, n, mac) && !tag_differs(mac, at + n, DTLS_COOKIE_BYTES))
            return cookies->secret_1_3[i];
    return NULL;
}
