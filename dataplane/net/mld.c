/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/mld.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/nd.h"

#define REPORT 143
#define MODE_IS_EXCLUDE 2
#define CHANGE_TO_EXCLUDE 4
#define ANSWER_INTERVAL_US 1000000u
#define RECORD_BYTES 20
#define OPTIONS_BYTES 8

/* Hop-by-hop header with the router alert that MLD asks for (RFC 2711), and padding. */
static const uint8_t router_alert[OPTIONS_BYTES] = {WIRE_PROTOCOL_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
static const struct ip_address all_mld_routers = {.bytes = {0xff, 0x02, [15] = 0x16}};
static const uint8_t all_mld_routers_mac[6] = {0x33, 0x33, 0, 0, 0, 0x16};

/* The groups of our addresses, each once. */
static uint32_t list_groups(const struct ip_interface *interface,
                            struct ip_address groups[IP_STACK_ADDRESSES + 1])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < interface->addresses_n; i++) {
        if (ip_address_is_v4(&interface->addresses[i]))
            continue;
        struct ip_address group = nd_solicited_node(&interface->addresses[i]);
        uint32_t known = 0;
        while (known < n && !ip_address_equal(&groups[known], &group))
            known++;
        if (known == n)
            groups[n++] = group;
    }
    return n;
}

static void send_report(struct ip_stack *stack, const struct ip_interface *interface, uint8_t record)
{
    struct ip_address groups[IP_STACK_ADDRESSES + 1];
    uint32_t n = list_groups(interface, groups);
    const struct ip_address *source = &interface->addresses[interface->addresses_n - 1];
    uint32_t len = WIRE_ICMP_BYTES + n * RECORD_BYTES;
    struct rte_mbuf *mbuf;
    uint8_t *at = ip_stack_frame(stack, interface, all_mld_routers_mac, WIRE_TYPE_IPV6,
                                 WIRE_IPV6_BYTES + OPTIONS_BYTES + len, &mbuf);
    if (at == NULL)
        return;
    ip_stack_write_ipv6(at, source, &all_mld_routers, WIRE_PROTOCOL_HOP_BY_HOP, OPTIONS_BYTES + len, 1);
    memcpy(at + WIRE_IPV6_BYTES, router_alert, sizeof(router_alert));
    struct wire_icmp *icmp = (void *)(at + WIRE_IPV6_BYTES + OPTIONS_BYTES);
    *icmp = (struct wire_icmp){.type = REPORT, .rest = be32_make(n)};
    uint8_t *records = (uint8_t *)(icmp + 1);
    for (uint32_t i = 0; i < n; i++, records += RECORD_BYTES) {
        memset(records, 0, RECORD_BYTES);
        records[0] = record;
        memcpy(records + 4, groups[i].bytes, 16);
    }
    uint64_t sum = checksum_pseudo(source, &all_mld_routers, WIRE_PROTOCOL_ICMPV6, len);
    sum = checksum_add(sum, (const uint8_t *)icmp, len);
    checksum_store(icmp->checksum, (uint16_t)~checksum_fold(sum));
    ip_stack_transmit(stack, interface, mbuf);
}

enum frame_outcome mld_query_in(struct ip_stack *stack, struct ip_interface *interface,
                                const struct frame *frame)
{
    /* RFC 3810 s.5.1.14: from a link-local address, over no router. */
    if (frame->ttl != 1 || frame->source.bytes[0] != 0xfe || (frame->source.bytes[1] & 0xc0) != 0x80)
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    if (interface->reported_us != 0 && stack->now_us - interface->reported_us < ANSWER_INTERVAL_US)
        return FRAME_ICMP_RATE;
    interface->reported_us = stack->now_us;
    send_report(stack, interface, MODE_IS_EXCLUDE);
    return FRAME_OK;
}

void mld_announce(struct ip_stack *stack, const struct ip_interface *interface)
{
    send_report(stack, interface, CHANGE_TO_EXCLUDE);
}
