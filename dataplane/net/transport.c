/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/transport.h"

#include "dataplane/net/wire.h"

#define CHECKSUM_OFFSET 16

uint64_t transport_sender(const struct ip_packet *packet)
{
    const uint8_t *mac = packet->frame.ethernet + 6; /* behind the destination */
    uint64_t sender = TRANSPORT_SENDER;
    for (int i = 0; i < 6; i++)
        sender |= (uint64_t)mac[i] << (40 - 8 * i);
    return sender;
}

static void fill_segment(struct tcp_segment_in *segment, const struct ip_packet *packet)
{
    const struct frame *frame = &packet->frame;
    const struct wire_tcp *tcp = (const void *)frame->transport;
    uint32_t header = (uint32_t)(tcp->offset >> 4) * 4;
    segment->key.local = frame->destination;
    segment->key.remote = frame->source;
    segment->key.local_port = be16_get(tcp->destination_port);
    segment->key.remote_port = be16_get(tcp->source_port);
    segment->key.interface = packet->interface;
    segment->key.protocol = WIRE_PROTOCOL_TCP;
    segment->seq = be32_get(tcp->seq);
    segment->ack = be32_get(tcp->ack);
    segment->window = be16_get(tcp->window);
    segment->flags = tcp->flags;
    segment->options = frame->transport + WIRE_TCP_BYTES;
    segment->options_len = (uint8_t)(header - WIRE_TCP_BYTES);
    segment->payload = frame->transport + header;
    segment->payload_len = frame->transport_len - header;
    segment->path = packet->path;
    segment->sender = transport_sender(packet);
}

/* A segment that no state can make sense of: no port, or flags that exclude each other. */
static bool header_sane(const struct ip_packet *packet)
{
    const struct wire_tcp *tcp = (const void *)packet->frame.transport;
    uint8_t flags = tcp->flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK);
    if (be16_get(tcp->source_port) == 0 || be16_get(tcp->destination_port) == 0 || flags == 0)
        return false;
    return (flags & TCP_SYN) == 0 || (flags & (TCP_FIN | TCP_RST)) == 0;
}

void transport_tcp_input(struct tcp_endpoint *tcp, const struct ip_packet *packets, uint32_t n,
                         uint64_t now_us, uint64_t *bad_headers)
{
    struct tcp_segment_in segments[PORT_BURST];
    for (uint32_t done = 0; done < n;) {
        uint32_t count = 0;
        for (; done < n && count < PORT_BURST; done++) {
            if (!header_sane(&packets[done])) {
                (*bad_headers)++;
                continue;
            }
            struct tcp_segment_in *segment = &segments[count++];
            fill_segment(segment, &packets[done]);
            segment->hash = tcp_hash(tcp, &segment->key);
            tcp_prefetch(tcp, segment->hash);
        }
        /* Each pass needs what the one before has fetched. */
        for (uint32_t i = 0; i < count; i++)
            tcp_prefetch_key(tcp, segments[i].hash);
        for (uint32_t i = 0; i < count; i++)
            tcp_prefetch_connection(tcp, &segments[i].key, segments[i].hash);
        for (uint32_t i = 0; i < count; i++)
            tcp_input(tcp, &segments[i], now_us);
    }
}

void transport_tcp_emit(struct ip_stack *stack, const struct tcp_segment_out *segment, uint64_t now_us)
{
    const struct flow_key *key = segment->key;
    uint32_t reply_path = segment->reply_path;
    uint32_t *path = segment->path != NULL ? segment->path : &reply_path;
    uint32_t header = WIRE_TCP_BYTES + segment->options_len;
    struct rte_mbuf *mbuf;
    uint8_t *at = ip_stack_begin(stack, path, &key->local, &key->remote, WIRE_PROTOCOL_TCP,
                                 header + segment->payload_len, &mbuf);
    if (at == NULL)
        return;
    struct wire_tcp *tcp = (void *)at;
    tcp->source_port = be16_make(key->local_port);
    tcp->destination_port = be16_make(key->remote_port);
    tcp->seq = be32_make(segment->seq);
    tcp->ack = be32_make(segment->ack);
    tcp->offset = (uint8_t)(header / 4 << 4);
    tcp->flags = segment->flags;
    tcp->window = be16_make(segment->window);
    tcp->urgent = be16_make(0);
    memcpy(at + WIRE_TCP_BYTES, segment->options, segment->options_len);
    at += header;
    for (uint32_t i = 0; i < segment->pieces_n; i++) {
        memcpy(at, segment->pieces[i].at, segment->pieces[i].len);
        at += segment->pieces[i].len;
    }
    ip_stack_send(stack, *path, mbuf, CHECKSUM_OFFSET, now_us);
}

uint16_t transport_tcp_mss(const struct ip_stack *stack, const struct flow_key *key, uint32_t path)
{
    uint32_t header = ip_address_is_v4(&key->remote) ? WIRE_IPV4_BYTES : WIRE_IPV6_BYTES;
    return (uint16_t)(ip_stack_path_mtu(stack, path) - header - WIRE_TCP_BYTES);
}

void transport_tcp_unreachable(struct tcp_endpoint *tcp, const struct flow_key *key, const uint8_t *quoted,
                               size_t quoted_len, uint16_t next_mtu, uint64_t now_us)
{
    struct be32 seq;
    if (quoted_len < 8)
        return;
    memcpy(&seq, quoted + 4, sizeof(seq));
    tcp_unreachable(tcp, key, be32_get(seq), next_mtu, now_us);
}
