/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vlan_tag INTERFACE VLAN: makes INTERFACE behave like a VLAN sub-interface on a kernel without 802.1Q
 * devices.
 *
 * Two eBPF programs on the interface's clsact hooks: what leaves gets the tag, unless it carries one already
 * (tools that make their own frames); what comes in with this tag loses it, anything else is dropped, as a
 * sub-interface would not see it either. The interface must have a clsact qdisc; all goes away with it.
 * deploy/lab builds and runs this
 * only where "ip link add ... type vlan" fails; it needs nothing but gcc and libbpf, which DPDK brings.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VLAN_ID_MASK = 0xfff, VLAN_ID_MAX = 4094 };

#define SKB_FIELD(name) ((__s16)offsetof(struct __sk_buff, name))
#define MOV_REG(dst, src)                                                                                    \
    ((struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (dst), .src_reg = (src)})
#define MOV(dst, value)                                                                                      \
    ((struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (dst), .imm = (value)})
#define AND(dst, value)                                                                                      \
    ((struct bpf_insn){.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = (dst), .imm = (value)})
#define LOAD(dst, base, field)                                                                               \
    ((struct bpf_insn){                                                                                      \
        .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (dst), .src_reg = (base), .off = SKB_FIELD(field)})
#define SKIP_IF_EQ(reg, value, count)                                                                        \
    ((struct bpf_insn){.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = (reg), .imm = (value), .off = (count)})
#define SKIP_IF_NE(reg, value, count)                                                                        \
    ((struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (reg), .imm = (value), .off = (count)})
#define CALL(helper) ((struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = (helper)})
#define EXIT() ((struct bpf_insn){.code = BPF_JMP | BPF_EXIT})

static int attach(int if_index, enum bpf_tc_attach_point point, const char *name,
                  const struct bpf_insn *program, size_t length)
{
    static char verifier_log[65536];
    LIBBPF_OPTS(bpf_prog_load_opts, load, .log_buf = verifier_log, .log_size = sizeof(verifier_log));
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = if_index, .attach_point = point);
    LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 1, .priority = 1, .flags = BPF_TC_F_REPLACE);
    int error;

    filter.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name, "GPL", program, length, &load);
    if (filter.prog_fd < 0) {
        fprintf(stderr, "vlan_tag: the kernel refuses program %s: %s\n%s", name, strerror(errno),
                verifier_log);
        return -1;
    }
    error = bpf_tc_attach(&hook, &filter);
    if (error != 0) {
        fprintf(stderr, "vlan_tag: attach %s: %s\n", name, strerror(-error));
        return -1;
    }
    return 0;
}

static int tag_outgoing(int if_index, int vlan)
{
    const struct bpf_insn program[] = {
        MOV_REG(BPF_REG_6, BPF_REG_1),
        LOAD(BPF_REG_2, BPF_REG_6, vlan_present),
        SKIP_IF_NE(BPF_REG_2, 0, 7),
        LOAD(BPF_REG_2, BPF_REG_6, protocol),
        SKIP_IF_EQ(BPF_REG_2, htons(ETH_P_8021Q), 5),
        MOV_REG(BPF_REG_1, BPF_REG_6),
        MOV(BPF_REG_2, htons(ETH_P_8021Q)),
        MOV(BPF_REG_3, vlan),
        CALL(BPF_FUNC_skb_vlan_push),
        SKIP_IF_NE(BPF_REG_0, 0, 2),
        MOV(BPF_REG_0, TC_ACT_OK),
        EXIT(),
        MOV(BPF_REG_0, TC_ACT_SHOT),
        EXIT(),
    };

    return attach(if_index, BPF_TC_EGRESS, "tag_outgoing", program, sizeof(program) / sizeof(program[0]));
}

static int untag_incoming(int if_index, int vlan)
{
    const struct bpf_insn program[] = {
        MOV_REG(BPF_REG_6, BPF_REG_1),
        LOAD(BPF_REG_2, BPF_REG_6, vlan_present),
        SKIP_IF_EQ(BPF_REG_2, 0, 8),
        LOAD(BPF_REG_2, BPF_REG_6, vlan_tci),
        AND(BPF_REG_2, VLAN_ID_MASK),
        SKIP_IF_NE(BPF_REG_2, vlan, 5),
        MOV_REG(BPF_REG_1, BPF_REG_6),
        CALL(BPF_FUNC_skb_vlan_pop),
        SKIP_IF_NE(BPF_REG_0, 0, 2),
        MOV(BPF_REG_0, TC_ACT_OK),
        EXIT(),
        MOV(BPF_REG_0, TC_ACT_SHOT),
        EXIT(),
    };

    return attach(if_index, BPF_TC_INGRESS, "untag_incoming", program, sizeof(program) / sizeof(program[0]));
}

int main(int argc, char **argv)
{
    unsigned int if_index;
    long vlan;
    char *end;

    if (argc != 3) {
        fprintf(stderr, "usage: vlan_tag INTERFACE VLAN\n");
        return 64;
    }
    vlan = strtol(argv[2], &end, 10);
    if (*end != '\0' || vlan < 1 || vlan > VLAN_ID_MAX) {
        fprintf(stderr, "vlan_tag: %s is no VLAN number\n", argv[2]);
        return 64;
    }
    if_index = if_nametoindex(argv[1]);
    if (if_index == 0) {
        fprintf(stderr, "vlan_tag: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    if (tag_outgoing((int)if_index, (int)vlan) != 0 || untag_incoming((int)if_index, (int)vlan) != 0)
        return 1;
    return 0;
}
