/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of TLS and DTLS sealed and opened by libipsec-mb in wolfCrypt's place (B7, decision 5): a crypto
 * callback device, which also answers wolfCrypt's requests for random bytes.
 *
 * For AES-GCM libipsec-mb wants keys expanded, a kilobyte each, and wolfCrypt (5.5) never says when a key
 * goes away, so nothing hangs on wolfCrypt's own objects. A worker has a cache of key pairs (seal and open)
 * with a slot per session, several sessions sharing one when there are more sessions than slots; before it
 * calls wolfSSL it names the session with crypto_offload_use. A slot is good for exactly the raw key it was
 * expanded from, which is compared on every call, so a key that changed (KeyUpdate) or a slot that another
 * session has taken is expanded anew, in about 100 ns, and a stale key is never used. crypto_offload_forget
 * wipes a slot when its session ends. Threads without a cache (handshakes) use a pair of their own.
 *
 * ChaCha20-Poly1305 has no expanded key. It takes jobs of a multi-buffer manager, which serves one thread, so
 * it is done where there is a cache, which has one; and only with a wolfSSL that asks for it
 * (deploy/wolfssl.d/chachapoly-device.patch).
 *
 * Random bytes come from getrandom(2), drawn 1 KiB at a time per thread and wiped as they are handed out; the
 * store is emptied in a forked child. That is the generator wolfCrypt itself seeds from, so nothing is weaker
 * than without. They are served whichever engine does the records. Requests that are not served (other
 * algorithms, IVs that are not 12 bytes, tags that are not 16, no text) go back to wolfCrypt.
 */
#ifndef DATAPLANE_SECURE_CRYPTO_OFFLOAD_H
#define DATAPLANE_SECURE_CRYPTO_OFFLOAD_H

#include <stddef.h>
#include <stdint.h>

/* The wolfCrypt device id to give to wolfSSL_CTX_SetDevId. */
#define CRYPTO_OFFLOAD_DEVICE 0x53503031

struct crypto_offload_cache;

/* Who seals and opens records. */
enum crypto_engine {
    /* Whichever was measured to be quicker: libipsec-mb where the processor has AES-NI, but without AVX-512
     * wolfCrypt for ChaCha20-Poly1305 of more than a few hundred bytes; otherwise wolfCrypt. */
    CRYPTO_ENGINE_AUTO = 0,
    CRYPTO_ENGINE_IPSEC_MB, /* whatever it can do */
    CRYPTO_ENGINE_WOLFCRYPT
};

/* Registers the device, with CRYPTO_ENGINE_AUTO. 0 or -errno. Once per process, after wolfSSL_Init. */
int crypto_offload_init(void);
void crypto_offload_fini(void);
/*
 * Changes the engine: before there is a cache or a second thread. `instructions` is NULL for the best that
 * the processor has, or one of "avx512", "avx2", "sse", or "none", which no processor has: for tests and
 * benches. -ENOTSUP when the processor has not what libipsec-mb needs: then wolfCrypt it is.
 */
int crypto_offload_choose(enum crypto_engine engine, const char *instructions);
/* Which instructions libipsec-mb uses: "vaes-avx512", "avx512", "avx2", "sse"; "off": wolfCrypt does all. */
const char *crypto_offload_name(void);
/* What does records, for people: "libipsec-mb (avx2), ChaCha20-Poly1305 of more than 768 bytes wolfCrypt". */
const char *crypto_offload_text(void);
/* CRYPTO_OFFLOAD_DEVICE, or wolfCrypt's INVALID_DEVID before crypto_offload_init. */
int crypto_offload_device(void);

/* Slots for `sessions` sessions, up to 1,024 of them. NULL when memory is not to be had. */
struct crypto_offload_cache *crypto_offload_cache_create(uint32_t sessions);
/* What such a cache takes once all of its slots are in use. */
size_t crypto_offload_cache_bytes(uint32_t sessions);
/* NULL is ignored. */
void crypto_offload_cache_destroy(struct crypto_offload_cache *cache);
/* The calling thread works on session `index` until it says otherwise. NULL cache: on nothing in particular.
 */
void crypto_offload_use(struct crypto_offload_cache *cache, uint32_t index);
/* Session `index` has ended: its keys are wiped. NULL cache is ignored. */
void crypto_offload_forget(struct crypto_offload_cache *cache, uint32_t index);
/* Wipes the keys and random bytes of the calling thread itself: before it ends or goes to sleep for long. */
void crypto_offload_wipe_thread(void);
/* How often a key was expanded, all threads, and how many ChaCha20-Poly1305 records this thread has given to
 * libipsec-mb: for tests and benches. */
uint64_t crypto_offload_expansions(void);
uint64_t crypto_offload_chacha_records(void);

#endif
