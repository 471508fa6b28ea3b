/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway/ctl/import: any bytes as an acl_file, as mosquitto.conf, as a psk_file, or as the plugin's JSON
 * (the first byte says which). What is taken is resolved and written down; rules that allow more than the
 * lists they come from would stop the writer, and this. Text that is written never ends its line or string
 * early: each rule is one line.
 */
#include "gateway/ctl/import/import_resolve.h"
#include "gateway/ctl/import/import_write.h"
#include "gateway/ctl/import/mosquitto_dynsec.h"
#include "gateway/ctl/import/mosquitto_psk.h"
#include "gateway/ctl/import/mosquitto_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_down(struct import_run *run, const struct import_site *site)
{
    struct import_summary summary;
    char *text = NULL;
    size_t n = 0;
    uint32_t errors = diagnostics_errors(run->d);
    FILE *to = open_memstream(&text, &n);
    if (to == NULL)
        return;
    bool good = import_write_policy(run, site, "m.conf", NULL, to, &summary);
    good = import_write_gateway(run, site, "m.conf", NULL, to) && good;
    fclose(to);
    if (good != (diagnostics_errors(run->d) == errors))
        abort();
    for (size_t i = 0; i < diagnostics_count(run->d); i++)
        if (strstr(diagnostics_at(run->d, i)->text, "a fault of the import") != NULL)
            abort();
    uint32_t rules = 0;
    for (const char *at = text; good && (at = strstr(at, "\n      { id = \"")) != NULL; at++)
        rules++;
    if (good && rules < summary.rules)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import_run run = {
        .arena = arena_create(), .d = diagnostics_create(), .samples_n = 1, .samples = {"bob"}};
    struct import_site site = {.listeners_n = 0};
    struct mosquitto_acl acl = {.file = NULL};
    static struct mosquitto_conf conf;
    char *text = size == 0 ? NULL : malloc(size);
    if (text == NULL || run.arena == NULL || run.d == NULL)
        goto out;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    bool good = false;
    switch (data[0] % 3) {
    case 0:
        good = mosquitto_acl_parse(&run, text, "acl", &acl) &&
               mosquitto_site_acl_roles(&run, &acl, NULL, (data[0] & 4) != 0, &site);
        break;
    case 1:
        if ((data[0] & 4) != 0) {
            struct import_listener listener = {.keys = true};
            if (mosquitto_psk_parse(&run, text, "keys", &listener) != (diagnostics_errors(run.d) == 0))
                abort();
            break;
        }
        if (mosquitto_conf_parse(&run, text, "m.conf", &site, &conf) != (diagnostics_errors(run.d) == 0))
            abort();
        break;
    default:
        good = mosquitto_dynsec_read(&run, text, size - 1, "d.json", NULL, (data[0] & 4) != 0, &site);
        break;
    }
    if (good && mosquitto_site_finish(&run, &site))
        write_down(&run, &site);
    else if (data[0] % 3 != 1 && diagnostics_errors(run.d) == 0)
        abort(); /* refused, and nobody knows why */
out:
    free(text);
    diagnostics_destroy(run.d);
    arena_destroy(run.arena);
    return 0;
}
