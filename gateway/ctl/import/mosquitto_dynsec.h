/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The JSON of mosquitto's dynamic-security plugin, as version 2.0 reads and asks it (H5).
 *
 * For a client the plugin asks its roles by priority, then the roles of its groups, groups by priority; in a
 * role the entries of the kind by priority, literal ones of subscriptions before patterns; the first that
 * fits decides, and defaultACLAccess where none does. A delivery needs both a granted subscription and
 * publishClientReceive. Passwords are PBKDF2-SHA512 and are kept as lines of a users file. A client that is
 * disabled or has no password cannot log in and gets none. Nothing in topics is replaced in this version.
 * What unsubscribe... says has no use here: an UNSUBSCRIBE is never refused.
 */
#ifndef GATEWAY_CTL_IMPORT_MOSQUITTO_DYNSEC_H
#define GATEWAY_CTL_IMPORT_MOSQUITTO_DYNSEC_H

#include "gateway/ctl/import/import.h"

/* Adds roles (for `listener`, or all when NULL) and users. `anonymous` tells whether clients without a user
 * name are let in. False, told, when anything is wrong. */
bool mosquitto_dynsec_read(struct import_run *run, const char *text, size_t n, const char *file,
                           const char *listener, bool anonymous, struct import_site *site);

#endif
