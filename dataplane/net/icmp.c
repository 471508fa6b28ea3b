/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/icmp.h"

#include "dataplane/net/checksum.h"

#define IPV4_MTU_MIN 552 /* less than that is a lie to make us slow (RFC 1191 s.3 has 68) */
#define CODE_FRAGMENTATION_NEEDED 4
#define QUOTED_TRANSPORT_MIN 8

/* Room for the quote: RFC 1812 s.4.3.2.3 (576 bytes in all), RFC 4443 s.3.1 (1,280). */
#define ERROR_V4_MAX 576
#define ERROR_V6_MAX 1280

bool icmp_is_error(const struct frame *frame)
{
    uint8_t type = frame->transport[0];
    if (frame->protocol == WIRE_PROTOCOL_ICMPV6)
        return type < 128; /* RFC 4443 s.2.1 */
    return type == WIRE_ICMP_UNREACHABLE || type == WIRE_ICMP_TIME_EXCEEDED ||
           type == WIRE_ICMP_PARAMETER_PROBLEM || type == 4 || type == 5;
}

static enum frame_outcome echo_in(struct ip_stack *stack, const struct ip_interface *interface,
                                  const struct frame *frame, uint32_t path)
{
    if (!ip_stack_owns(interface, &frame->destination) || frame->multicast_mac)
        return FRAME_NOT_FOR_US;
    if (!ip_stack_rate_take(&stack->echo_rate, stack->now_us))
        return FRAME_ICMP_RATE;
    bool v4 = frame->protocol == WIRE_PROTOCOL_ICMP;
    struct wire_icmp head;
    memcpy(&head, frame->transport, sizeof(head));
    head.type = v4 ? WIRE_ICMP_ECHO_REPLY : WIRE_ICMPV6_ECHO_REPLY;
    head.code = 0;
    checksum_store(head.checksum, 0);
    const uint8_t *body = frame->transport + sizeof(head);
    size_t body_len = frame->transport_len - sizeof(head);
    uint64_t sum =
        v4 ? 0 : checksum_pseudo(&frame->destination, &frame->source, frame->protocol, frame->transport_len);
    sum = checksum_add(sum, (const uint8_t *)&head, sizeof(head));
    sum = checksum_add(sum, body, body_len);
    checksum_store(head.checksum, (uint16_t)~checksum_fold(sum));
    struct ip_datagram reply = {.source = &frame->destination,
                                .destination = &frame->source,
                                .protocol = frame->protocol,
                                .head = (const uint8_t *)&head,
                                .head_len = sizeof(head),
                                .body = body,
                                .body_len = body_len};
    if (ip_stack_send_datagram(stack, &path, &reply) == 0)
        stack->counters.echo_answered++;
    return FRAME_OK;
}

/* What an error quotes: the start of a packet that we may have sent. */
struct quote {
    struct flow_key key;
    const uint8_t *transport;
    size_t transport_len;
};

static bool parse_quote_v4(struct quote *out, const uint8_t *at, size_t n)
{
    if (n < WIRE_IPV4_BYTES)
        return false;
    const struct wire_ipv4 *ip = (const void *)at;
    size_t header = (size_t)(ip->version_words & 15) * 4;
    if (ip->version_words >> 4 != 4 || header < WIRE_IPV4_BYTES || n < header + QUOTED_TRANSPORT_MIN)
        return false;
    if ((be16_get(ip->fragment) & WIRE_IPV4_OFFSET_MASK) != 0)
        return false;
    out->key.local = ip_address_v4(be32_get(ip->source));
    out->key.remote = ip_address_v4(be32_get(ip->destination));
    out->key.protocol = ip->protocol;
    out->transport = at + header;
    out->transport_len = n - header;
    return true;
}

static bool parse_quote_v6(struct quote *out, const uint8_t *at, size_t n)
{
    if (n < WIRE_IPV6_BYTES + QUOTED_TRANSPORT_MIN)
        return false;
    const struct wire_ipv6 *ip = (const void *)at;
    if (be32_get(ip->version_class_flow) >> 28 != 6)
        return false;
    memcpy(out->key.local.bytes, ip->source, 16);
    memcpy(out->key.remote.bytes, ip->destination, 16);
    out->key.protocol = ip->next_header;
    out->transport = at + WIRE_IPV6_BYTES;
    out->transport_len = n - WIRE_IPV6_BYTES;
    if (ip->next_header == WIRE_PROTOCOL_FRAGMENT) { /* of a datagram that we had to fragment */
        const struct wire_ipv6_fragment *fragment = (const void *)out->transport;
        if (out->transport_len < sizeof(*fragment) + QUOTED_TRANSPORT_MIN ||
            (be16_get(fragment->offset) & WIRE_IPV6_OFFSET_MASK) != 0)
            return false;
        out->key.protocol = fragment->next_header;
        out->transport += sizeof(*fragment);
        out->transport_len -= sizeof(*fragment);
    }
    return true;
}

/* The MTU that a "too big" asks for, within reason; 0 for other errors. */
static uint16_t next_mtu_of(const struct frame *frame)
{
    const struct wire_icmp *icmp = (const void *)frame->transport;
    uint32_t mtu = be32_get(icmp->rest);
    if (frame->protocol == WIRE_PROTOCOL_ICMPV6) {
        if (icmp->type != WIRE_ICMPV6_TOO_BIG)
            return 0;
        if (mtu > WIRE_MTU_MAX)
            return WIRE_MTU_MAX;
        return (uint16_t)(mtu < WIRE_IPV6_MTU_MIN ? WIRE_IPV6_MTU_MIN : mtu);
    }
    if (icmp->type != WIRE_ICMP_UNREACHABLE || icmp->code != CODE_FRAGMENTATION_NEEDED)
        return 0;
    mtu &= 0xffff;
    if (mtu > WIRE_MTU_MAX)
        return WIRE_MTU_MAX;
    return (uint16_t)(mtu < IPV4_MTU_MIN ? IPV4_MTU_MIN : mtu);
}

static enum frame_outcome error_in(struct ip_stack *stack, const struct ip_interface *interface,
                                   const struct frame *frame)
{
    const uint8_t *at = frame->transport + sizeof(struct wire_icmp);
    size_t n = frame->transport_len - sizeof(struct wire_icmp);
    struct quote quote = {.key.interface = interface->index};
    bool good =
        frame->protocol == WIRE_PROTOCOL_ICMP ? parse_quote_v4(&quote, at, n) : parse_quote_v6(&quote, at, n);
    /* It has to come back to where the packet was said to be from. */
    if (!good || !ip_address_equal(&quote.key.local, &frame->destination))
        return FRAME_BAD_ICMP;
    if (quote.key.protocol != WIRE_PROTOCOL_TCP && quote.key.protocol != WIRE_PROTOCOL_UDP)
        return FRAME_NOT_FOR_US;
    const struct wire_udp *ports = (const void *)quote.transport;
    quote.key.local_port = be16_get(ports->source_port);
    quote.key.remote_port = be16_get(ports->destination_port);
    uint16_t next_mtu = next_mtu_of(frame);
    if (next_mtu != 0 && quote.key.protocol == WIRE_PROTOCOL_UDP)
        path_mtu_set(&stack->path_mtu, &quote.key.remote, next_mtu, stack->now_us);
    if (stack->handler->unreachable != NULL)
        stack->handler->unreachable(stack->owner, &quote.key, quote.transport, quote.transport_len, next_mtu,
                                    stack->now_us);
    return FRAME_OK;
}

enum frame_outcome icmp_input(struct ip_stack *stack, const struct ip_interface *interface,
                              const struct frame *frame, uint32_t path)
{
    uint8_t type = frame->transport[0];
    bool v4 = frame->protocol == WIRE_PROTOCOL_ICMP;
    if (type == (v4 ? WIRE_ICMP_ECHO : WIRE_ICMPV6_ECHO))
        return echo_in(stack, interface, frame, path);
    bool passed_up = v4 ? type == WIRE_ICMP_UNREACHABLE || type == WIRE_ICMP_TIME_EXCEEDED
                        : type == WIRE_ICMPV6_UNREACHABLE || type == WIRE_ICMPV6_TOO_BIG ||
                              type == WIRE_ICMPV6_TIME_EXCEEDED;
    return passed_up ? error_in(stack, interface, frame) : FRAME_NOT_FOR_US;
}

void icmp_send_error(struct ip_stack *stack, const struct ip_packet *packet, enum ip_stack_refusal why)
{
    const struct frame *frame = &packet->frame;
    const struct ip_interface *interface = &stack->interfaces[packet->interface];
    bool v4 = ip_address_is_v4(&frame->source);
    if (frame->multicast_mac || !ip_stack_rate_take(&stack->error_rate, stack->now_us))
        return;
    const struct ip_address *source = ip_stack_owns(interface, &frame->destination)
                                          ? &frame->destination
                                          : ip_stack_own_for(interface, &frame->source);
    if (source == NULL)
        return;
    struct wire_icmp head = {.type = v4 ? WIRE_ICMP_UNREACHABLE : WIRE_ICMPV6_UNREACHABLE};
    if (why == IP_STACK_REFUSE_PORT)
        head.code = v4 ? 3 : 4;
    else
        head.code = v4 ? 13 : 1; /* administratively prohibited */
    uint32_t room = v4 ? ERROR_V4_MAX - WIRE_IPV4_BYTES : ERROR_V6_MAX - WIRE_IPV6_BYTES;
    uint32_t quote_len = RTE_MIN(frame->network_len, room - WIRE_ICMP_BYTES);
    uint8_t protocol = v4 ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6;
    uint64_t sum = v4 ? 0 : checksum_pseudo(source, &frame->source, protocol, WIRE_ICMP_BYTES + quote_len);
    sum = checksum_add(sum, (const uint8_t *)&head, sizeof(head));
    checksum_store(head.checksum, (uint16_t)~checksum_fold(checksum_add(sum, frame->network, quote_len)));
    struct ip_datagram error = {.source = source,
                                .destination = &frame->source,
                                .protocol = protocol,
                                .head = (const uint8_t *)&head,
                                .head_len = sizeof(head),
                                .body = frame->network,
                                .body_len = quote_len};
    uint32_t path =
        packet->path != IP_STACK_PATH_NONE ? packet->path : IP_STACK_PATH_OUT_OF(packet->interface);
    if (ip_stack_send_datagram(stack, &path, &error) == 0)
        stack->counters.errors_sent++;
}
