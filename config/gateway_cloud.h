/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of what a cloud demands of an upstream's own settings. Private to config/. */
#ifndef CONFIG_GATEWAY_CLOUD_H
#define CONFIG_GATEWAY_CLOUD_H

#include "config/gateway_draft.h"

void gateway_check_cloud(struct schema_read *read, const struct config_upstream *own,
                         const config_setting_t *setting);

#endif
