/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/exposition.h"

#include "policy/utf8.h"

static void begin(struct exposition *e, const char *name, const char *type, const char *help)
{
    e->family = name;
    fprintf(e->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_counter(struct exposition *e, const char *name, const char *help)
{
    begin(e, name, "counter", help);
}

void exposition_gauge(struct exposition *e, const char *name, const char *help)
{
    begin(e, name, "gauge", help);
}

static void put_value(FILE *to, const char *text)
{
    struct bytes value = bytes_of_text(text);
    while (value.len != 0) {
        size_t n = utf8_character(value);
        if (n == 0)
            fputc('?', to);
        else if (value.at[0] == '\n')
            fputs("\\n", to);
        else if (value.at[0] == '"' || value.at[0] == '\\')
            fprintf(to, "\\%c", value.at[0]);
        else
            fwrite(value.at, 1, n, to);
        value = bytes_of(value.at + (n == 0 ? 1 : n), value.len - (n == 0 ? 1 : n));
    }
}

static void put_name(struct exposition *e, const struct exposition_label *labels)
{
    fputs(e->family, e->to);
    for (size_t i = 0; labels != NULL && i < EXPOSITION_LABELS && labels[i].name != NULL; i++) {
        fprintf(e->to, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
        put_value(e->to, labels[i].value);
        fputc('"', e->to);
    }
    fputs(labels != NULL && labels[0].name != NULL ? "} " : " ", e->to);
}

void exposition_count(struct exposition *e, const struct exposition_label *labels, uint64_t value)
{
    put_name(e, labels);
    fprintf(e->to, "%llu\n", (unsigned long long)value);
}

void exposition_real(struct exposition *e, const struct exposition_label *labels, double value)
{
    put_name(e, labels);
    fprintf(e->to, "%.9g\n", value);
}
