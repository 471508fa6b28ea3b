/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes metrics in Prometheus' text exposition format 0.0.4 (H3): families with HELP and TYPE, then their
 * samples. Label values may be anything: '\', '"' and line feeds are escaped, what is not valid UTF-8
 * becomes '?', so that a name out of a policy file cannot forge a sample. The caller opens a family once and
 * writes all its samples before the next.
 */
#ifndef GATEWAY_EXPOSITION_H
#define GATEWAY_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

/* Up to EXPOSITION_LABELS; the first without a name ends them. */
#define EXPOSITION_LABELS 4

struct exposition_label {
    const char *name; /* [a-z_]+, a constant of the program */
    const char *value;
};

struct exposition {
    FILE *to;
    const char *family; /* that is open */
};

/* `name` and `help` are constants of the program and live as long as the family is open. A counter's name
 * ends in "_total". */
void exposition_counter(struct exposition *e, const char *name, const char *help);
void exposition_gauge(struct exposition *e, const char *name, const char *help);
/* A sample of the open family; `labels` may be NULL. */
void exposition_count(struct exposition *e, const struct exposition_label *labels, uint64_t value);
void exposition_real(struct exposition *e, const struct exposition_label *labels, double value);

#endif
