/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What answers for people are made of. Control thread. */
#ifndef GATEWAY_COMMAND_TEXT_H
#define GATEWAY_COMMAND_TEXT_H

#include "policy/bytes.h"

#include <stdio.h>

/* "12d 4h", "3h 7m", "5m 2s". */
void command_put_duration(FILE *out, uint64_t seconds);
/* "2026-11-27 10:04:16Z" of CLOCK_REALTIME; answers `to`. */
#define COMMAND_TIME_BYTES 32
const char *command_time(uint64_t time_us, char to[COMMAND_TIME_BYTES]);
/* What a client wrote, for a terminal: nothing that moves its cursor; what is not UTF-8 or moves it as
 * "\\x9b". */
void command_put_safe(FILE *out, struct bytes text);

#endif
