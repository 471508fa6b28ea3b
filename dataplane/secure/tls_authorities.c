/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>

#include "dataplane/secure/certificate.h"
#include "dataplane/secure/tls_authorities.h"
#include "dataplane/secure/tls_identity.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define BEGIN "-----BEGIN CERTIFICATE-----"

static bool end_of(const char *pem, size_t n, int64_t *end_s)
{
    DerBuffer *der = NULL;
    struct certificate certificate;
    if (wc_PemToDer((const uint8_t *)pem, (long)n, CERT_TYPE, &der, NULL, NULL, NULL) != 0)
        return false;
    bool good = certificate_parse(der->buffer, der->length, &certificate);
    *end_s = good ? certificate.not_after_s : 0;
    wc_FreeDer(&der);
    return good;
}

bool tls_authorities_end(const char *file, uint32_t *which, int *days_left)
{
    struct tls_error error;
    size_t n = 0;
    char *text = (char *)tls_read_file(file, TLS_AUTHORITIES_BYTES_MAX, &n, &error);
    int64_t first_s = INT64_MAX, end_s;
    uint32_t number = 0;
    for (const char *at = text; at != NULL && (at = strstr(at, BEGIN)) != NULL; at += strlen(BEGIN)) {
        number++;
        if (end_of(at, n - (size_t)(at - text), &end_s) && end_s < first_s) {
            first_s = end_s;
            *which = number;
        }
    }
    free(text);
    if (first_s == INT64_MAX)
        return false;
    int64_t left = first_s - (int64_t)time(NULL);
    int64_t days = left / DAY_S - (left < 0 ? 1 : 0);
    *days_left = days > 100000 ? 100000 : days < -100000 ? -100000 : (int)days;
    return true;
}
