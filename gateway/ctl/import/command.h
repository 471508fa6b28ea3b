/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "sallyportctl import mosquitto FILE ...": reads, writes, tells (H5). Needs no gateway and no privileges.
 * Nothing is written when anything is wrong, and no file is replaced unless --force says so.
 */
#ifndef GATEWAY_CTL_IMPORT_COMMAND_H
#define GATEWAY_CTL_IMPORT_COMMAND_H

/* `words` begin behind "import". Answers the exit status: 0 written, 1 not written, 2 usage, 78 refused. */
int import_command(int n, char **words);

#endif
