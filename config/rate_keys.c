/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/rate_keys.h"

const char *const rate_over_words[] = {[POLICY_DELAY] = "delay",           [POLICY_DROP] = "drop",
                                       [POLICY_DISCONNECT] = "disconnect", [POLICY_QUOTA] = "quota",
                                       [POLICY_QUARANTINE] = "quarantine", NULL};
const char *const rate_quarantine_words[] = {"quarantine", NULL};
