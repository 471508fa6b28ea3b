/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AES-GCM through libipsec-mb against wolfCrypt's own, bit for bit (B7), and the life of expanded keys. */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>

#include "dataplane/secure/crypto_offload.h"
#include "tests/unit/runner.h"
#include "tests/unit/shuffled.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST 16640

struct message {
    uint8_t key[32];
    uint8_t iv[12];
    uint8_t aad[32];
    uint8_t text[LONGEST];
    word32 key_bytes;
    word32 aad_bytes;
    word32 bytes;
};

static void set_key(Aes *aes, const struct message *m, int device)
{
    CU_ASSERT_EQUAL_FATAL(wc_AesInit(aes, NULL, device), 0);
    CU_ASSERT_EQUAL_FATAL(wc_AesGcmSetKey(aes, m->key, m->key_bytes), 0);
}

static int seal(Aes *aes, const struct message *m, uint8_t *out, uint8_t tag[16])
{
    return wc_AesGcmEncrypt(aes, out, m->text, m->bytes, m->iv, sizeof(m->iv), tag, 16,
                            m->aad_bytes == 0 ? NULL : m->aad, m->aad_bytes);
}

static int open_sealed(Aes *aes, const struct message *m, uint8_t *out, const uint8_t *in,
                       const uint8_t tag[16])
{
    return wc_AesGcmDecrypt(aes, out, in, m->bytes, m->iv, sizeof(m->iv), tag, 16,
                            m->aad_bytes == 0 ? NULL : m->aad, m->aad_bytes);
}

static void random_message(struct message *m)
{
    static const word32 key_sizes[] = {16, 24, 32};
    fill(m->key, sizeof(m->key));
    fill(m->iv, sizeof(m->iv));
    fill(m->aad, sizeof(m->aad));
    m->key_bytes = key_sizes[next_random() % 3];
    m->aad_bytes = next_random() % (sizeof(m->aad) + 1);
    m->bytes = next_random() % 4 == 0 ? next_random() % LONGEST : next_random() % 300;
    fill(m->text, m->bytes);
}

static void test_same_bits(void)
{
    static struct message m;
    static uint8_t ours[LONGEST], theirs[LONGEST], back[LONGEST];
    uint8_t our_tag[16], their_tag[16];
    int bad = 0;
    uint64_t before = crypto_offload_expansions();
    for (int i = 0; i < 3000; i++) {
        Aes offloaded, plain;
        random_message(&m);
        set_key(&offloaded, &m, CRYPTO_OFFLOAD_DEVICE);
        set_key(&plain, &m, INVALID_DEVID);
        bad += seal(&offloaded, &m, ours, our_tag) != 0 || seal(&plain, &m, theirs, their_tag) != 0;
        bad += memcmp(ours, theirs, m.bytes) != 0 || memcmp(our_tag, their_tag, 16) != 0;
        bad +=
            open_sealed(&offloaded, &m, back, theirs, their_tag) != 0 || memcmp(back, m.text, m.bytes) != 0;
        /* In place, as records are opened. */
        bad += open_sealed(&offloaded, &m, ours, ours, our_tag) != 0 || memcmp(ours, m.text, m.bytes) != 0;
        wc_AesFree(&offloaded);
        wc_AesFree(&plain);
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT(crypto_offload_expansions() > before); /* it was libipsec-mb, not wolfCrypt against itself */
}

static void test_forgery(void)
{
    static struct message m;
    static uint8_t sealed[LONGEST], out[LONGEST];
    uint8_t tag[16];
    int accepted = 0;
    int leaked = 0;
    for (int i = 0; i < 2000; i++) {
        Aes aes;
        random_message(&m);
        m.bytes = 16 + m.bytes % 200;
        set_key(&aes, &m, CRYPTO_OFFLOAD_DEVICE);
        CU_ASSERT_EQUAL_FATAL(seal(&aes, &m, sealed, tag), 0);
        uint32_t at = next_random() % (m.bytes + 16);
        uint8_t flip = (uint8_t)(1u << (next_random() % 8));
        if (at < m.bytes)
            sealed[at] ^= flip;
        else
            tag[at - m.bytes] ^= flip;
        memset(out, 0x5a, sizeof(out));
        accepted += open_sealed(&aes, &m, out, sealed, tag) != AES_GCM_AUTH_E;
        leaked += memcmp(out, m.text, m.bytes) == 0;
        wc_AesFree(&aes);
    }
    CU_ASSERT_EQUAL(accepted, 0);
    CU_ASSERT_EQUAL(leaked, 0);
}

/* Many keys over one slot, one object re-keyed without wc_AesInit, and objects that died: never a stale key.
 */
static void test_keys_change(void)
{
    static struct message m[64];
    static uint8_t ours[LONGEST], theirs[LONGEST];
    uint8_t our_tag[16], their_tag[16];
    Aes aes[64];
    Aes moving;
    int bad = 0;
    for (int i = 0; i < 64; i++) {
        random_message(&m[i]);
        m[i].bytes = 40;
        set_key(&aes[i], &m[i], CRYPTO_OFFLOAD_DEVICE);
    }
    CU_ASSERT_EQUAL_FATAL(wc_AesInit(&moving, NULL, CRYPTO_OFFLOAD_DEVICE), 0);
    for (int round = 0; round < 4000; round++) {
        const struct message *one = &m[next_random() % 64];
        Aes plain;
        set_key(&plain, one, INVALID_DEVID);
        bad += seal(&plain, one, theirs, their_tag) != 0;
        bad += seal(&aes[one - m], one, ours, our_tag) != 0;
        bad += memcmp(ours, theirs, 40) != 0 || memcmp(our_tag, their_tag, 16) != 0;
        CU_ASSERT_EQUAL_FATAL(wc_AesGcmSetKey(&moving, one->key, one->key_bytes), 0);
        bad += seal(&moving, one, ours, our_tag) != 0;
        bad += memcmp(ours, theirs, 40) != 0 || memcmp(our_tag, their_tag, 16) != 0;
        wc_AesFree(&plain);
    }
    /* Two keys that agree in their first 16 bytes and differ in length. */
    static struct message twin;
    for (word32 size = 16; size <= 32; size += 8) {
        Aes plain, offloaded;
        random_message(&twin);
        memset(twin.key, 7, sizeof(twin.key));
        twin.key_bytes = size;
        twin.bytes = 40;
        set_key(&plain, &twin, INVALID_DEVID);
        set_key(&offloaded, &twin, CRYPTO_OFFLOAD_DEVICE);
        bad += seal(&plain, &twin, theirs, their_tag) != 0 || seal(&offloaded, &twin, ours, our_tag) != 0;
        bad += memcmp(ours, theirs, 40) != 0 || memcmp(our_tag, their_tag, 16) != 0;
        wc_AesFree(&plain);
        wc_AesFree(&offloaded);
    }
    CU_ASSERT_EQUAL(bad, 0);
    for (int i = 0; i < 64; i++)
        wc_AesFree(&aes[i]);
    wc_AesFree(&moving);
}

/* A key is expanded once per session and direction, and again after the slot was forgotten or shared. */
static void test_cache(void)
{
    static struct message m;
    static uint8_t out[LONGEST];
    uint8_t tag[16];
    Aes aes;
    struct crypto_offload_cache *cache = crypto_offload_cache_create(8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cache);
    random_message(&m);
    m.bytes = 128;
    set_key(&aes, &m, CRYPTO_OFFLOAD_DEVICE);
    crypto_offload_use(cache, 3);
    uint64_t before = crypto_offload_expansions();
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(seal(&aes, &m, out, tag), 0);
    CU_ASSERT_EQUAL(crypto_offload_expansions() - before, 1);
    CU_ASSERT_EQUAL(open_sealed(&aes, &m, out, out, tag), 0); /* the other direction has its own */
    CU_ASSERT_EQUAL(crypto_offload_expansions() - before, 2);
    crypto_offload_forget(cache, 3);
    CU_ASSERT_EQUAL(seal(&aes, &m, out, tag), 0);
    CU_ASSERT_EQUAL(crypto_offload_expansions() - before, 3);
    crypto_offload_use(cache, 3 + 8); /* more sessions than slots: the same slot, the same key */
    CU_ASSERT_EQUAL(seal(&aes, &m, out, tag), 0);
    CU_ASSERT_EQUAL(crypto_offload_expansions() - before, 3);
    crypto_offload_use(NULL, 0);
    crypto_offload_cache_destroy(cache);
    crypto_offload_cache_destroy(NULL);
    crypto_offload_forget(NULL, 1);
    wc_AesFree(&aes);
}

/* What the device leaves to wolfCrypt comes out right too. */
static void test_left_alone(void)
{
    static struct message m;
    uint8_t iv[16], ours[64], theirs[64], our_tag[16], their_tag[16];
    Aes offloaded, plain;
    random_message(&m);
    fill(iv, sizeof(iv));
    set_key(&offloaded, &m, CRYPTO_OFFLOAD_DEVICE);
    set_key(&plain, &m, INVALID_DEVID);
    uint64_t before = crypto_offload_expansions();
    CU_ASSERT_EQUAL(wc_AesGcmEncrypt(&offloaded, ours, m.text, 40, iv, 16, our_tag, 16, m.aad, 5), 0);
    CU_ASSERT_EQUAL(wc_AesGcmEncrypt(&plain, theirs, m.text, 40, iv, 16, their_tag, 16, m.aad, 5), 0);
    CU_ASSERT_EQUAL(memcmp(ours, theirs, 40), 0);
    CU_ASSERT_EQUAL(memcmp(our_tag, their_tag, 16), 0);
    CU_ASSERT_EQUAL(wc_AesGcmEncrypt(&offloaded, ours, m.text, 40, iv, 12, our_tag, 12, m.aad, 5), 0);
    CU_ASSERT_EQUAL(wc_AesGcmDecrypt(&plain, theirs, ours, 40, iv, 12, our_tag, 12, m.aad, 5), 0);
    CU_ASSERT_EQUAL(wc_AesGcmEncrypt(&offloaded, NULL, NULL, 0, iv, 12, our_tag, 16, m.aad, 5), 0);
    CU_ASSERT_EQUAL(wc_AesGcmDecrypt(&plain, NULL, NULL, 0, iv, 12, our_tag, 16, m.aad, 5), 0);
    CU_ASSERT_EQUAL(crypto_offload_expansions(), before);
    wc_AesFree(&offloaded);
    wc_AesFree(&plain);
}

static void draw(WC_RNG *rng, uint8_t *out, word32 n)
{
    CU_ASSERT_EQUAL(wc_RNG_GenerateBlock(rng, out, n), 0);
}

/* Random bytes: no block twice, all bit positions used, none shared between threads or with a forked child.
 */
static void *draw_in_thread(void *out)
{
    WC_RNG rng;
    if (wc_InitRng_ex(&rng, NULL, CRYPTO_OFFLOAD_DEVICE) == 0) {
        wc_RNG_GenerateBlock(&rng, out, 32);
        wc_FreeRng(&rng);
    }
    crypto_offload_wipe_thread();
    return NULL;
}

static void test_random(void)
{
    enum { BLOCKS = 4000 };
    static uint8_t blocks[BLOCKS][8];
    WC_RNG rng;
    uint8_t seen_one = 0, seen_zero = 0, big[5000], other[32], mine[32] = {0};
    CU_ASSERT_EQUAL_FATAL(wc_InitRng_ex(&rng, NULL, CRYPTO_OFFLOAD_DEVICE), 0);
    int same = 0;
    for (int i = 0; i < BLOCKS; i++) {
        draw(&rng, blocks[i], 8);
        seen_one |= blocks[i][3];
        seen_zero |= (uint8_t)~blocks[i][3];
        for (int j = 0; j < i && j < 200; j++)
            same += memcmp(blocks[i], blocks[j], 8) == 0;
    }
    CU_ASSERT_EQUAL(same, 0);
    CU_ASSERT_EQUAL(seen_one, 0xff);
    CU_ASSERT_EQUAL(seen_zero, 0xff);
    draw(&rng, big, sizeof(big));
    pthread_t thread;
    memset(other, 0, sizeof(other));
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, draw_in_thread, other), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_NOT_EQUAL(memcmp(other, mine, 32), 0);
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        wc_RNG_GenerateBlock(&rng, other, 32);
        _exit(write(ends[1], other, 32) == 32 ? 0 : 1);
    }
    draw(&rng, mine, 32);
    CU_ASSERT_EQUAL(read(ends[0], other, 32), 32);
    CU_ASSERT_NOT_EQUAL(memcmp(mine, other, 32), 0);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    wc_FreeRng(&rng);
}

/* The text ends where memory does: libipsec-mb's code for long registers reads no further. */
static void test_bounds(void)
{
    enum { PAGE = 4096 };
    static struct message m;
    static uint8_t theirs[LONGEST];
    uint8_t our_tag[16], their_tag[16];
    uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(page != MAP_FAILED && mprotect(page + PAGE, PAGE, PROT_NONE) == 0);
    int bad = 0;
    for (word32 n = 1; n <= 600; n++) {
        Aes offloaded, plain;
        random_message(&m);
        m.bytes = n;
        fill(m.text, n);
        set_key(&offloaded, &m, CRYPTO_OFFLOAD_DEVICE);
        set_key(&plain, &m, INVALID_DEVID);
        uint8_t *at = page + PAGE - n;
        bad += seal(&plain, &m, theirs, their_tag) != 0 || seal(&offloaded, &m, at, our_tag) != 0;
        bad += memcmp(at, theirs, n) != 0 || memcmp(our_tag, their_tag, 16) != 0;
        bad += open_sealed(&offloaded, &m, at, at, our_tag) != 0 || memcmp(at, m.text, n) != 0;
        wc_AesFree(&offloaded);
        wc_AesFree(&plain);
    }
    CU_ASSERT_EQUAL(bad, 0);
    munmap(page, 2 * PAGE);
}

/* `expected` is NULL where it depends on the processor. */
static void with_choice(enum crypto_engine engine, const char *instructions, const char *expected)
{
    if (crypto_offload_choose(engine, instructions) == -ENOTSUP) {
        CU_ASSERT_PTR_NULL(expected);
        CU_ASSERT_STRING_EQUAL(crypto_offload_text(), "wolfCrypt"); /* and nothing is broken */
        return;
    }
    CU_ASSERT(expected == NULL || strcmp(crypto_offload_text(), expected) == 0);
    test_same_bits();
    test_forgery();
    test_bounds();
}

#ifdef WC_CRYPTOCB_CHACHAPOLY
#define SSE_TEXT "libipsec-mb (sse), ChaCha20-Poly1305 wolfCrypt"
#define AVX2_TEXT "libipsec-mb (avx2)"
#define AUTO_AVX2_TEXT "libipsec-mb (avx2), ChaCha20-Poly1305 of more than 768 bytes wolfCrypt"
#else
#define SSE_TEXT "libipsec-mb (sse), ChaCha20-Poly1305 wolfCrypt"
#define AVX2_TEXT "libipsec-mb (avx2), ChaCha20-Poly1305 wolfCrypt"
#define AUTO_AVX2_TEXT AVX2_TEXT
#endif

static void test_choices(void)
{
    with_choice(CRYPTO_ENGINE_AUTO, "sse", SSE_TEXT);
    with_choice(CRYPTO_ENGINE_IPSEC_MB, "sse", SSE_TEXT);
    with_choice(CRYPTO_ENGINE_AUTO, "avx2", AUTO_AVX2_TEXT);
    with_choice(CRYPTO_ENGINE_IPSEC_MB, "avx2", AVX2_TEXT);
    with_choice(CRYPTO_ENGINE_IPSEC_MB, "avx512", NULL);
    /* Without AES-NI: refused when it is demanded, left when it is not. Random bytes are served even so. */
    CU_ASSERT_EQUAL(crypto_offload_choose(CRYPTO_ENGINE_IPSEC_MB, "none"), -ENOTSUP);
    CU_ASSERT_STRING_EQUAL(crypto_offload_name(), "off");
    CU_ASSERT_EQUAL(crypto_offload_choose(CRYPTO_ENGINE_AUTO, "none"), 0);
    CU_ASSERT_STRING_EQUAL(crypto_offload_name(), "off");
    CU_ASSERT_EQUAL(crypto_offload_choose(CRYPTO_ENGINE_WOLFCRYPT, NULL), 0);
    CU_ASSERT_STRING_EQUAL(crypto_offload_text(), "wolfCrypt");
    uint64_t before = crypto_offload_expansions();
    struct crypto_offload_cache *cache = crypto_offload_cache_create(8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cache);
    crypto_offload_use(cache, 1);
    static struct message m;
    static uint8_t out[LONGEST];
    uint8_t tag[16];
    Aes aes;
    random_message(&m);
    set_key(&aes, &m, crypto_offload_device());
    CU_ASSERT_EQUAL(seal(&aes, &m, out, tag), 0);
    wc_AesFree(&aes);
    crypto_offload_cache_destroy(cache);
    CU_ASSERT_EQUAL(crypto_offload_expansions(), before);
    test_random();
    CU_ASSERT_EQUAL(crypto_offload_choose(CRYPTO_ENGINE_AUTO, NULL), 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"same bits as wolfCrypt (SP 800-38D)", test_same_bits},
        {"forgeries are refused and nothing is let out", test_forgery},
        {"keys that change, come back, differ in length", test_keys_change},
        {"expanded keys are cached per session and wiped", test_cache},
        {"other requests go to wolfCrypt", test_left_alone},
        {"nothing is read past the end of a text", test_bounds},
        {"random bytes", test_random},
        {"each engine and its instructions, and none", test_choices},
    };
    if (wolfSSL_Init() != WOLFSSL_SUCCESS || crypto_offload_init() != 0)
        return EXIT_FAILURE;
    int result = unit_run("crypto_offload", tests, sizeof(tests) / sizeof(tests[0]));
    crypto_offload_fini();
    wolfSSL_Cleanup();
    return result;
}
