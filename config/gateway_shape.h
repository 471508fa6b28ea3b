/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of what an upstream changes of its sessions (C5), beside those of gateway_service.c. Private to
 * config/.
 */
#ifndef CONFIG_GATEWAY_SHAPE_H
#define CONFIG_GATEWAY_SHAPE_H

#include "config/gateway_draft.h"

/* `setting`: where the upstream is written. */
void gateway_check_shape(struct schema_read *read, const struct config_upstream *own,
                         const config_setting_t *setting);

#endif
