/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One configuration file as libconfig's tree of settings, each of which knows where it was written. Only here
 * is libconfig asked to parse. Control thread.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/diagnostics.h"

#include <libconfig.h>

struct load;

/*
 * Reads `path`, which messages call `shown`; @include is relative to `directory`. NULL when it cannot be read
 * or parsed; all reasons are in `d`.
 */
struct load *load_file(const char *path, const char *shown, const char *directory, struct diagnostics *d);
void load_destroy(struct load *load);

const config_setting_t *load_root(const struct load *load);
/* The name lives as long as the load. */
struct config_origin load_origin(const struct load *load, const config_setting_t *setting);

#endif
