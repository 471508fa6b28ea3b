/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A psk_file of mosquitto: lines "identity:key in hex", comments with '#' in the first column (H5).
 *
 * mosquitto takes keys of any length; the gateway wants 16 bytes at least and knows identities of 127 bytes
 * of UTF-8 at most. What does not fit is told at its line and left out, so that its client stays outside;
 * what mosquitto itself could read in two ways is an error. Keys are never told.
 */
#ifndef GATEWAY_CTL_IMPORT_MOSQUITTO_PSK_H
#define GATEWAY_CTL_IMPORT_MOSQUITTO_PSK_H

#include "gateway/ctl/import/mosquitto_conf.h"

/* Adds the lines to the listener. False, told, when the file cannot be used at all. */
bool mosquitto_psk_read(struct import_run *run, const struct mosquitto_path *path,
                        struct import_listener *listener);
/* The same of a text, which is cut up and has to live as long as the run. */
bool mosquitto_psk_parse(struct import_run *run, char *text, const char *file,
                         struct import_listener *listener);

#endif
