/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AES-GCM of wolfCrypt done by libipsec-mb (B7, decision 5): a crypto callback device. Keys are expanded once
 * per direction into aligned memory that is wiped and freed with the wolfCrypt object. Requests it does not
 * serve go back to wolfCrypt.
 */
#ifndef DATAPLANE_SECURE_AES_OFFLOAD_H
#define DATAPLANE_SECURE_AES_OFFLOAD_H

#include <stdbool.h>

/* The wolfCrypt device id to give to wolfSSL_CTX_SetDevId. */
#define AES_OFFLOAD_DEVICE 0x53503031

/* 0, or -errno: then nothing is registered and records are done by wolfCrypt itself. Once per process. */
int aes_offload_init(void);
void aes_offload_fini(void);
/* Which implementation libipsec-mb chose: "vaes-avx512", "avx2", "sse", or "off". */
const char *aes_offload_name(void);

#endif
