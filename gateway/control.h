/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control thread: signals, the control socket, and the clock that drains events (H1; signals as in the
 * operators' surface 2.1).
 *
 * A client sends one line, "[--json] COMMAND ARGUMENTS", and gets "STATUS\n" (the exit status of
 * sallyportctl) and text; then the connection is closed. Everything is non-blocking and bounded: 16 clients,
 * 12 of them such as may only read, 4 KiB a line, 10 s each, so that nobody on the socket can stop the thread
 * or keep an administrator out. Who may act is decided by the
 * peer's credentials: root, our own user and the group sallyport-admin act; others who can open the socket
 * read.
 */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include "gateway/gateway.h"

struct control;

/* Opens the socket (replacing a stale one) and blocks the signals. NULL with a message said. */
struct control *control_create(struct gateway *gateway);
void control_destroy(struct control *control);
/* Runs until a signal or command ends the gateway; answers the exit status. */
int control_run(struct control *control);

#endif
