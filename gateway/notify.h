/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service manager's notification socket (sd_notify(3)): one datagram, nothing when there is none. Control
 * thread. */
#ifndef GATEWAY_NOTIFY_H
#define GATEWAY_NOTIFY_H

void notify_state(const char *state);

#endif
