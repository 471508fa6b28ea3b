/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/version.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha512.h>

#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/tls_context.h"
#include "dataplane/secure/verified_signatures.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_OCSP
#define HAS_OCSP "yes"
#else
#define HAS_OCSP "no"
#endif
#ifdef HAVE_CRL
#define HAS_CRL "yes"
#else
#define HAS_CRL "no"
#endif
#ifdef HAVE_SECRET_CALLBACK
#define HAS_KEY_LOG "yes"
#else
#define HAS_KEY_LOG "no"
#endif

/* wolfCrypt looks at the processor when an algorithm is first used, without a lock: here, while there is one
 * thread. */
static bool choose_code(void)
{
    static const uint8_t key[32];
    WC_RNG rng;
    wc_Sha512 sha512;
    wc_Sha384 sha384;
    Aes aes;
    if (wc_InitRng(&rng) != 0) /* SHA-256 */
        return false;
    wc_FreeRng(&rng);
    if (wc_InitSha512(&sha512) != 0 || wc_InitSha384(&sha384) != 0 ||
        wc_AesInit(&aes, NULL, INVALID_DEVID) != 0)
        return false;
    bool good = wc_AesGcmSetKey(&aes, key, sizeof(key)) == 0;
    wc_AesFree(&aes);
    wc_Sha384Free(&sha384);
    wc_Sha512Free(&sha512);
    return good;
}

int tls_library_init(void)
{
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        return -ENOMEM;
    int bad = choose_code() ? crypto_offload_init() : -ENOMEM;
    if (bad == 0 && (bad = verified_signatures_init()) != 0)
        crypto_offload_fini();
    if (bad != 0)
        wolfSSL_Cleanup();
    return bad;
}

void tls_library_fini(void)
{
    verified_signatures_fini();
    crypto_offload_fini();
    wolfSSL_Cleanup();
}

/* As the library tells, not as its headers do. */
bool tls_library_has_psk(void)
{
    char suites[8192];
    return wolfSSL_get_ciphers(suites, sizeof(suites)) == WOLFSSL_SUCCESS &&
           strstr(suites, ":PSK-AES128-CCM-8") != NULL;
}

bool tls_library_has_dtls13(void)
{
#if defined(WOLFSSL_DTLS13) && defined(WOLFSSL_SEND_HRR_COOKIE)
    return true;
#else
    return false;
#endif
}

bool tls_library_has_connection_ids(void)
{
#if defined(WOLFSSL_DTLS13) && defined(WOLFSSL_DTLS_CID) && defined(WOLFSSL_DTLS13_ADVANCES)
    return true;
#else
    return false;
#endif
}

bool tls_library_has_tls_psk(void)
{
#ifdef WOLFSSL_PSK_DHE_ONLY
    return true;
#else
    return false;
#endif
}

const char *tls_library_facts(void)
{
    static char facts[400];
    snprintf(facts, sizeof(facts),
             "wolfSSL %s (built with %s), TLS 1.3 yes, DTLS 1.3 %s, connection ids %s, DTLS 1.2 with PSK %s, "
             "TLS with PSK %s, "
             "TLS 1.3 key log %s, CRL %s, OCSP %s, records by %s",
             wolfSSL_lib_version(), LIBWOLFSSL_VERSION_STRING, tls_library_has_dtls13() ? "yes" : "no",
             tls_library_has_connection_ids() ? "yes" : "no", tls_library_has_psk() ? "yes" : "no",
             tls_library_has_tls_psk() ? "yes" : "no", HAS_KEY_LOG, HAS_CRL, HAS_OCSP, crypto_offload_text());
    return facts;
}
