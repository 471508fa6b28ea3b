/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/isn.h"

#define ISN_TICK_US 4u /* RFC 9293 s.3.4.1 */

static struct siphash_key derive(const uint8_t secret[32], uint64_t label)
{
    struct siphash_key low = siphash_key_of(secret), high = siphash_key_of(secret + 16);
    uint64_t even = 2 * label, odd = even + 1;
    return (struct siphash_key){
        .k0 = siphash_2_4(low, &even, sizeof(even)) ^ siphash_2_4(high, &even, sizeof(even)),
        .k1 = siphash_2_4(low, &odd, sizeof(odd)) ^ siphash_2_4(high, &odd, sizeof(odd))};
}

void tcp_isn_init(struct tcp_endpoint *tcp, const uint8_t secret[32])
{
    tcp->isn_key = derive(secret, 1);
    tcp->timestamp_key = derive(secret, 2);
    tcp->cookie_key = derive(secret, 3);
    tcp->noise_key = derive(secret, 4);
}

uint32_t tcp_isn(const struct tcp_endpoint *tcp, const struct flow_key *key)
{
    return (uint32_t)siphash_2_4(tcp->isn_key, key, sizeof(*key)) + (uint32_t)(tcp->now_us / ISN_TICK_US);
}

uint32_t tcp_isn_timestamp_offset(const struct tcp_endpoint *tcp, const struct flow_key *key)
{
    return (uint32_t)siphash_2_4(tcp->timestamp_key, key, sizeof(*key));
}

uint32_t tcp_isn_noise(struct tcp_endpoint *tcp)
{
    tcp->noise++;
    return (uint32_t)siphash_2_4(tcp->noise_key, &tcp->noise, sizeof(tcp->noise));
}
