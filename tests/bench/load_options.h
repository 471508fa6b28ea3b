/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What load is asked to do; the head of load.c tells what each option means. */
#ifndef TESTS_BENCH_LOAD_OPTIONS_H
#define TESTS_BENCH_LOAD_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum load_mode {
    PUBLISHING = 0,
    CONNECTING,
    IDLING,
};

struct load_options {
    enum load_mode mode;
    struct sockaddr_in to;
    uint32_t source; /* host order; 0: any */
    uint32_t sources;
    uint32_t connections;
    const char *name;
    uint32_t qos;
    uint32_t payload;
    uint32_t batch;
    uint32_t rate;
    uint32_t inflight;
    uint32_t opening;
    uint32_t spin;
    uint32_t numbered;
    uint32_t tls;
    uint32_t resume;
    const char *certificate; /* NULL: none */
    const char *key;
};

/* False when they make no sense. */
bool load_options_parse(struct load_options *options, int argc, char **argv);

#endif
