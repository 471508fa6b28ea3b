/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/steer.h"

#include "dataplane/secure/dtls13_record.h"
#include "dataplane/secure/dtls_ids.h"
#include "gateway/upstream.h"

#include <netinet/in.h>
#include <rte_hash_crc.h>

#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_V4 0x0800
#define ETHERTYPE_V6 0x86DD
#define UDP_BYTES 8

struct headers {
    const uint8_t *source;
    const uint8_t *destination;
    size_t address_len;
    uint8_t protocol;
    bool fragment; /* the bytes at `transport` need not be a transport header */
    const uint8_t *transport;
    size_t transport_len;
};

static uint16_t be16_at(const uint8_t *at)
{
    return (uint16_t)((at[0] << 8) | at[1]);
}

/* IP header at `at`; extension headers are not walked: such packets go by source address. */
static bool read_ip(struct headers *h, const uint8_t *at, size_t len, bool v6)
{
    size_t header_len;
    if (v6) {
        header_len = 40;
        if (len < header_len)
            return false;
        *h = (struct headers){.source = at + 8, .destination = at + 24, .address_len = 16, .protocol = at[6]};
    } else {
        if (len < 20)
            return false;
        header_len = (size_t)(at[0] & 15) * 4;
        if (header_len < 20 || len < header_len)
            return false;
        *h = (struct headers){.source = at + 12, .destination = at + 16, .address_len = 4, .protocol = at[9]};
        h->fragment = (be16_at(at + 6) & 0x3fff) != 0;
    }
    h->transport = at + header_len;
    h->transport_len = len - header_len;
    return true;
}

static uint32_t by_address(const uint8_t *address, size_t len, uint32_t workers)
{
    uint64_t aligned[2] = {0}; /* packets are not, and the function reads words */
    memcpy(aligned, address, len);
    return rte_hash_crc(aligned, (uint32_t)len, 0x5a11) % workers;
}

static uint32_t by_port(uint16_t port, uint32_t workers)
{
    return port < UPSTREAM_PORT_FIRST ? 0 : (uint32_t)(port - UPSTREAM_PORT_FIRST) % workers;
}

/* An ICMP error quotes a packet that we sent: its source is ours, its destination the peer's. */
static uint32_t by_quote(const struct listener_table *listeners, uint32_t workers,
                         const struct headers *outer)
{
    bool v6 = outer->protocol == IPPROTO_ICMPV6;
    uint8_t type = outer->transport_len < 8 ? 0 : outer->transport[0];
    bool error = v6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
    struct headers quoted;
    if (!error || !read_ip(&quoted, outer->transport + 8, outer->transport_len - 8, v6) ||
        quoted.transport_len < 4)
        return 0;
    uint16_t local_port = be16_at(quoted.transport);
    if (listener_table_has_port(listeners, local_port))
        return by_address(quoted.destination, quoted.address_len, workers);
    return by_port(local_port, workers);
}

/* A record of DTLS 1.3 under a connection id says whose it is, wherever it comes from. Nothing else that a
 * listener takes over UDP begins so: CoAP has a version there that is none. */
static const uint8_t *connection_id(const struct headers *h)
{
    return h->protocol == IPPROTO_UDP && h->transport_len > UDP_BYTES
               ? dtls13_connection_id(h->transport + UDP_BYTES, h->transport_len - UDP_BYTES, DTLS_ID_BYTES)
               : NULL;
}

uint32_t steer_worker(const struct listener_table *listeners, uint32_t workers, const uint8_t *frame,
                      size_t len)
{
    if (workers == 1 || len < 18)
        return 0;
    size_t offset = 14;
    uint16_t ethertype = be16_at(frame + 12);
    if (ethertype == ETHERTYPE_VLAN) {
        ethertype = be16_at(frame + 16);
        offset = 18;
    }
    if (ethertype != ETHERTYPE_V4 && ethertype != ETHERTYPE_V6)
        return 0;
    struct headers h;
    if (!read_ip(&h, frame + offset, len - offset, ethertype == ETHERTYPE_V6))
        return 0;
    if (h.protocol == IPPROTO_ICMP || h.protocol == IPPROTO_ICMPV6)
        return by_quote(listeners, workers, &h);
    if (h.fragment || (h.protocol != IPPROTO_TCP && h.protocol != IPPROTO_UDP) || h.transport_len < 4)
        return by_address(h.source, h.address_len, workers);
    uint16_t port = be16_at(h.transport + 2);
    if (listener_table_has_port(listeners, port)) {
        const uint8_t *id = connection_id(&h);
        return id != NULL ? dtls_id_worker(id, workers) : by_address(h.source, h.address_len, workers);
    }
    return by_port(port, workers);
}
