/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AES-GCM of wolfCrypt done by libipsec-mb (B7, decision 5): a crypto callback device, which also answers
 * wolfCrypt's requests for random bytes.
 *
 * libipsec-mb wants keys expanded, a kilobyte each, and wolfCrypt (5.5) never says when a key goes away, so
 * nothing hangs on wolfCrypt's own objects. A worker has a cache of key pairs (seal and open) with a slot per
 * session, several sessions sharing one when there are more sessions than slots; before it calls wolfSSL it
 * names the session with aes_offload_use. A slot is good for exactly the raw key it was expanded from, which
 * is compared on every call, so a key that changed (KeyUpdate) or a slot that another session has taken is
 * expanded anew, in about 100 ns, and a stale key is never used. aes_offload_forget wipes a slot when its
 * session ends. Threads without a cache (handshakes) use a pair of their own.
 *
 * Random bytes come from getrandom(2), drawn 1 KiB at a time per thread and wiped as they are handed out;
 * the store is emptied in a forked child. That is the generator wolfCrypt itself seeds from, so nothing is
 * weaker than without. Requests that are not served (other algorithms, IVs that are not 12 bytes, tags that
 * are not 16) go back to wolfCrypt.
 *
 * SALLYPORT_AES in the environment chooses: "auto" (default), "avx512", "avx2", "sse", or "off", with which
 * wolfCrypt does everything itself.
 */
#ifndef DATAPLANE_SECURE_AES_OFFLOAD_H
#define DATAPLANE_SECURE_AES_OFFLOAD_H

#include <stddef.h>
#include <stdint.h>

/* The wolfCrypt device id to give to wolfSSL_CTX_SetDevId. */
#define AES_OFFLOAD_DEVICE 0x53503031

struct aes_offload_cache;

/* 0, or -errno: then nothing is registered and records are done by wolfCrypt itself. Once per process, after
 * wolfSSL_Init. */
int aes_offload_init(void);
void aes_offload_fini(void);
/* Which implementation libipsec-mb chose: "vaes-avx512", "avx512", "avx2", "sse", or "off". */
const char *aes_offload_name(void);
/* AES_OFFLOAD_DEVICE, or wolfCrypt's INVALID_DEVID when off. */
int aes_offload_device(void);

/* Slots for `sessions` sessions, up to 4,096 of them. NULL when memory is not to be had, and when off. */
struct aes_offload_cache *aes_offload_cache_create(uint32_t sessions);
/* What such a cache takes once all of its slots are in use. */
size_t aes_offload_cache_bytes(uint32_t sessions);
/* NULL is ignored. */
void aes_offload_cache_destroy(struct aes_offload_cache *cache);
/* The calling thread works on session `index` until it says otherwise. NULL cache: on nothing in particular.
 */
void aes_offload_use(struct aes_offload_cache *cache, uint32_t index);
/* Session `index` has ended: its keys are wiped. NULL cache is ignored. */
void aes_offload_forget(struct aes_offload_cache *cache, uint32_t index);
/* Wipes the keys and random bytes of the calling thread itself: before it ends or goes to sleep for long. */
void aes_offload_wipe_thread(void);
/* How often a key was expanded, all threads: for tests and benches. */
uint64_t aes_offload_expansions(void);

#endif
