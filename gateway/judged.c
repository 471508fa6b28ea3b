/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/judged.h"

const struct judged_observers judged_nobody = {.n = 0};
