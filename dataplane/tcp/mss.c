/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/mss.h"

#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/recovery.h"

#define HEADERS_V4 40u
#define HEADERS_V6 60u
#define MTU_MIN_V4 552u  /* below it a path is either long gone or an attack */
#define MTU_MIN_V6 1280u /* RFC 8200 s.5 */
#define MSS_DEFAULT_V4 536u
#define MSS_DEFAULT_V6 1220u

uint16_t tcp_mss_for(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t path,
                     uint16_t announced)
{
    uint32_t mss = announced;
    if (mss == 0)
        mss = ip_address_is_v4(&key->remote) ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;
    mss = tcp_min(mss, tcp->host.mss(tcp->host_data, key, path));
    return (uint16_t)tcp_max(mss, TCP_MSS_FLOOR);
}

void tcp_mss_shrink(struct tcp_connection *c, uint16_t mtu)
{
    bool v4 = ip_address_is_v4(&c->key->remote);
    if (mtu < (v4 ? MTU_MIN_V4 : MTU_MIN_V6))
        return;
    uint16_t mss = (uint16_t)(mtu - (v4 ? HEADERS_V4 : HEADERS_V6));
    if (mss >= c->snd_mss)
        return;
    if (tcp_synchronized(c)) {
        tcp_recovery_resize(c, mss);
        tcp_endpoint_dirty(c);
    } else {
        c->snd_mss = mss;
    }
}
