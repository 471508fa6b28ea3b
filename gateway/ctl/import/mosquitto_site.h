/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mosquitto site as a whole (H5): mosquitto.conf, and per listener, or for all of them, who is let in and
 * by which rules. Roles come in the order in which a client has to be tried: users with lines of their own,
 * then other users, then clients without a user name.
 */
#ifndef GATEWAY_CTL_IMPORT_MOSQUITTO_SITE_H
#define GATEWAY_CTL_IMPORT_MOSQUITTO_SITE_H

#include "gateway/ctl/import/mosquitto_acl.h"
#include "gateway/ctl/import/mosquitto_conf.h"

/* Reads all, resolved and named. False, all of it told, when there is any error. */
bool mosquitto_site_read(struct import_run *run, const char *path, struct import_site *site);

/* The roles of one acl_file, for `listener` (NULL: all) and clients with and without a user name. */
bool mosquitto_site_acl_roles(struct import_run *run, const struct mosquitto_acl *acl, const char *listener,
                              bool anonymous, struct import_site *site);
/* Resolves and names all roles. */
bool mosquitto_site_finish(struct import_run *run, struct import_site *site);

#endif
