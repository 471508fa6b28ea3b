/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/load.h"

#include "config/source.h"

#include <stdlib.h>
#include <string.h>

struct load {
    struct source *source;
    config_t config;
};

struct load *load_file(const char *path, const char *shown, const char *directory, struct diagnostics *d)
{
    struct source *source = source_read(path, shown, directory, d);
    if (source == NULL)
        return NULL;
    struct load *load = calloc(1, sizeof(*load));
    if (load == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0, "no memory to read it");
        source_destroy(source);
        return NULL;
    }
    load->source = source;
    config_init(&load->config);
    if (config_read_string(&load->config, source_text(source)) == CONFIG_FALSE) {
        int line = config_error_line(&load->config);
        struct config_origin at = source_origin(source, line > 0 ? (uint32_t)line : 1);
        const char *text = config_error_text(&load->config);
        bool kinds = text != NULL && strstr(text, "mismatched element type") != NULL;
        if (kinds)
            diagnostics_add(d, DIAGNOSTIC_ERROR, at.file, at.line,
                            "an array [ ] holds values of different kinds; all are text in quotes, or all "
                            "numbers; write them alike");
        else
            diagnostics_add(d, DIAGNOSTIC_ERROR, at.file, at.line, "%s; libconfig does not accept this line",
                            text != NULL ? text : "syntax error");
        load_destroy(load);
        return NULL;
    }
    return load;
}

void load_destroy(struct load *load)
{
    if (load == NULL)
        return;
    config_destroy(&load->config);
    source_destroy(load->source);
    free(load);
}

const config_setting_t *load_root(const struct load *load)
{
    return config_root_setting(&load->config);
}

struct config_origin load_origin(const struct load *load, const config_setting_t *setting)
{
    return source_origin(load->source, config_setting_source_line(setting));
}
