/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/types.h>

#include "dataplane/secure/tls_pin.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "sha256/"
#define BASE64_CHARACTERS 44 /* of 32 bytes */

static bool parse_one(uint8_t digest[TLS_PEER_DIGEST_BYTES], const char *text, size_t n)
{
    uint8_t bytes[TLS_PEER_DIGEST_BYTES + 3];
    word32 got = sizeof(bytes);
    size_t prefix = strlen(PREFIX);
    if (n != prefix + BASE64_CHARACTERS || memcmp(text, PREFIX, prefix) != 0 ||
        Base64_Decode((const byte *)text + prefix, BASE64_CHARACTERS, bytes, &got) != 0 ||
        got != TLS_PEER_DIGEST_BYTES)
        return false;
    memcpy(digest, bytes, TLS_PEER_DIGEST_BYTES);
    return true;
}

bool tls_pins_parse(struct tls_pins *pins, const char *text, struct tls_error *error)
{
    pins->n = 0;
    while (text != NULL && *text != 0) {
        size_t n = strcspn(text, ",");
        if (pins->n == TLS_PINS_MAX || !parse_one(pins->digest[pins->n], text, n)) {
            snprintf(error->text, sizeof(error->text),
                     "pin '%.*s' is not \"sha256/\" and 44 characters of base64, or there are more than 8",
                     n < 80 ? (int)n : 80, text);
            return false;
        }
        pins->n++;
        text += n + (text[n] == ',');
    }
    return true;
}

bool tls_pins_fit(const struct tls_pins *pins, const struct tls_peer *peer)
{
    for (uint32_t i = 0; i < pins->n; i++)
        if (peer->has_certificate && memcmp(pins->digest[i], peer->public_key, TLS_PEER_DIGEST_BYTES) == 0)
            return true;
    return pins->n == 0;
}
