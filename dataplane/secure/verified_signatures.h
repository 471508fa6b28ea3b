/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signatures of certificates that were found good before (B4, K3): a crypto callback device for wolfCrypt,
 * which is asked for the signatures of certificates and no others
 * (deploy/wolfssl.d/certificate-device.patch).
 *
 * That a signature is good by one key over one hash does not change, so it is computed once: the server's
 * certificate once for all devices, a device's once for all of its connections. A third of the arithmetic of
 * a handshake with P-256 on both sides. Everything else of a certificate is looked at each time: dates,
 * names, usage, revocation, the kind of its signature. Remembered is the SHA-256 of curve, public key, hash
 * and signature, 16,384 of them (half a megabyte, touched as it fills), the last ones of each 4 that meet;
 * only good ones, so that nothing is to be had by showing bad ones. RSA is not remembered: verifying is cheap
 * there.
 *
 * For any thread but a worker's packet path: it takes a lock, for some 30 ns.
 */
#ifndef DATAPLANE_SECURE_VERIFIED_SIGNATURES_H
#define DATAPLANE_SECURE_VERIFIED_SIGNATURES_H

#include <stdint.h>

#define VERIFIED_SIGNATURES_DEVICE 0x53503032

/* Once per process, after wolfSSL_Init. 0 or -errno. With a wolfSSL that does not ask, nothing is remembered.
 */
int verified_signatures_init(void);
/* Forgets all. */
void verified_signatures_fini(void);
/* How often one was known, and how often one was found good and remembered: for tests and benches. */
uint64_t verified_signatures_known(void);
uint64_t verified_signatures_added(void);

#endif
