/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "dataplane/secure/certificate.h"

#include <string.h>
#include <time.h>

/* ---- the certificate ----------------------------------------------------------------------------------- */

static bool two_digits(const uint8_t *p, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

/* RFC 5280 section 4.1.2.5: seconds are there, the zone is Z. */
bool certificate_time(struct der *from, int64_t *seconds)
{
    struct der text;
    int pair[7] = {0};
    uint8_t tag = der_next(from);
    size_t pairs = tag == DER_UTC_TIME ? 6 : 7;
    if ((tag != DER_UTC_TIME && tag != DER_GENERALIZED_TIME) || !der_take(from, tag, &text, NULL) ||
        text.left != 2 * pairs + 1 || text.at[text.left - 1] != 'Z')
        return false;
    for (size_t i = 0; i < pairs; i++)
        if (!two_digits(text.at + 2 * i, &pair[7 - pairs + i]))
            return false;
    if (tag == DER_UTC_TIME)
        pair[0] = pair[1] < 50 ? 20 : 19;
    struct tm when = {.tm_year = pair[0] * 100 + pair[1] - 1900,
                      .tm_mon = pair[2] - 1,
                      .tm_mday = pair[3],
                      .tm_hour = pair[4],
                      .tm_min = pair[5],
                      .tm_sec = pair[6]};
    if (pair[2] < 1 || pair[2] > 12 || pair[3] < 1 || pair[3] > 31 || pair[4] > 23 || pair[5] > 59 ||
        pair[6] > 60)
        return false;
    *seconds = (int64_t)timegm(&when);
    return true;
}

static struct der without_zeros(struct der number)
{
    while (number.left > 1 && number.at[0] == 0) {
        number.at++;
        number.left--;
    }
    return number;
}

bool certificate_parse(const uint8_t *bytes, size_t n, struct certificate *out)
{
    struct der all = der_of(bytes, n);
    struct der body, tbs, validity, extensions;
    *out = (struct certificate){.whole = all};
    if (!der_take(&all, DER_SEQUENCE, &body, NULL) || all.left != 0 ||
        !der_take(&body, DER_SEQUENCE, &tbs, NULL) || !der_skip(&tbs, DER_CONSTRUCTED(0)) ||
        !der_take(&tbs, DER_INTEGER, &out->serial, NULL) || !der_take(&tbs, DER_SEQUENCE, NULL, NULL) ||
        !der_take(&tbs, DER_SEQUENCE, NULL, &out->issuer) || !der_take(&tbs, DER_SEQUENCE, &validity, NULL) ||
        !certificate_time(&validity, &out->not_before_s) || !certificate_time(&validity, &out->not_after_s) ||
        !der_take(&tbs, DER_SEQUENCE, NULL, &out->subject) ||
        !der_take(&tbs, DER_SEQUENCE, NULL, &out->public_key) || !der_skip(&tbs, DER_CONTEXT(1)) ||
        !der_skip(&tbs, DER_CONTEXT(2)))
        return false;
    out->serial = without_zeros(out->serial);
    if (tbs.left == 0)
        return true;
    return der_take(&tbs, DER_CONSTRUCTED(3), &extensions, NULL) && tbs.left == 0 &&
           der_take(&extensions, DER_SEQUENCE, &out->extensions, NULL) && extensions.left == 0;
}

/* ---- names --------------------------------------------------------------------------------------------- */

/* One AttributeTypeAndValue; false when it is malformed. `text` is set when it is the one that is wanted. */
static bool read_attribute(struct der *set, uint8_t type, uint32_t *found, struct der *text, bool *usable)
{
    struct der attribute, oid;
    if (!der_take(set, DER_SEQUENCE, &attribute, NULL) || !der_take(&attribute, DER_OID, &oid, NULL))
        return false;
    if (oid.left != 3 || oid.at[0] != 0x55 || oid.at[1] != 0x04 || oid.at[2] != type)
        return true;
    uint8_t tag = der_next(&attribute);
    (*found)++;
    *usable = tag == DER_UTF8_STRING || tag == DER_PRINTABLE_STRING || tag == DER_IA5_STRING;
    return der_take(&attribute, tag, text, NULL);
}

bool certificate_subject(const struct certificate *certificate, uint8_t type, struct der *text)
{
    struct der subject = certificate->subject;
    struct der names, set;
    uint32_t found = 0;
    bool usable = false;
    if (!der_take(&subject, DER_SEQUENCE, &names, NULL))
        return false;
    while (names.left > 0) {
        if (!der_take(&names, DER_SET, &set, NULL))
            return false;
        while (set.left > 0)
            if (!read_attribute(&set, type, &found, text, &usable))
                return false;
    }
    return found == 1 && usable && text->left > 0;
}

/* The OCTET STRING's content of the extension of that name. */
static bool find_extension(const struct certificate *certificate, const uint8_t *name, size_t n,
                           struct der *value)
{
    struct der extensions = certificate->extensions;
    struct der extension, oid;
    while (der_take(&extensions, DER_SEQUENCE, &extension, NULL)) {
        if (!der_take(&extension, DER_OID, &oid, NULL) || !der_skip(&extension, 0x01))
            return false;
        if (oid.left == n && memcmp(oid.at, name, n) == 0)
            return der_take(&extension, DER_OCTET_STRING, value, NULL);
    }
    return false;
}

bool certificate_extension(const struct certificate *certificate, uint8_t id, struct der *value)
{
    const uint8_t name[] = {0x55, 0x1D, id};
    return find_extension(certificate, name, sizeof(name), value);
}

bool certificate_responder(const struct certificate *certificate, struct der *uri)
{
    static const uint8_t access[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01};
    static const uint8_t ocsp[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01};
    static const char scheme[] = "http://";
    struct der value, list, entry, method;
    if (!find_extension(certificate, access, sizeof(access), &value) ||
        !der_take(&value, DER_SEQUENCE, &list, NULL))
        return false;
    while (der_take(&list, DER_SEQUENCE, &entry, NULL))
        if (der_take(&entry, DER_OID, &method, NULL) && method.left == sizeof(ocsp) &&
            memcmp(method.at, ocsp, sizeof(ocsp)) == 0 &&
            der_take(&entry, DER_CONTEXT(CERTIFICATE_SAN_URI), uri, NULL) && uri->left > sizeof(scheme) - 1 &&
            memcmp(uri->at, scheme, sizeof(scheme) - 1) == 0)
            return true;
    return false;
}

uint32_t certificate_sans(const struct certificate *certificate, struct certificate_san *sans, uint32_t room)
{
    struct der value, names;
    uint32_t n = 0;
    if (!certificate_extension(certificate, 17, &value) || !der_take(&value, DER_SEQUENCE, &names, NULL))
        return 0;
    while (names.left > 0 && n < room) {
        uint8_t tag = der_next(&names);
        struct der name;
        if (!der_take(&names, tag, &name, NULL))
            return 0;
        uint8_t kind = tag & 0x1F;
        bool text =
            kind == CERTIFICATE_SAN_EMAIL || kind == CERTIFICATE_SAN_DNS || kind == CERTIFICATE_SAN_URI;
        bool address = kind == CERTIFICATE_SAN_IP && (name.left == 4 || name.left == 16);
        if ((tag & 0xE0) == 0x80 && name.left > 0 && (text || address))
            sans[n++] = (struct certificate_san){.kind = kind, .value = name};
    }
    return n;
}

bool certificate_may_sign(const struct certificate *certificate)
{
    struct der value, bits;
    if (!certificate_extension(certificate, 15, &value))
        return true;
    /* BIT STRING: unused bits, then digitalSignature is the first bit. */
    return der_take(&value, DER_BIT_STRING, &bits, NULL) && bits.left >= 2 && (bits.at[1] & 0x80) != 0;
}

/* ---- digests ------------------------------------------------------------------------------------------- */

void certificate_key(const struct der *issuer, const struct der *serial, uint8_t key[CERTIFICATE_KEY_BYTES])
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE] = {0};
    struct der number = without_zeros(*serial);
    wc_Sha256 sha;
    /* SHA-256 of memory does not fail. */
    if (wc_InitSha256(&sha) == 0) {
        wc_Sha256Update(&sha, issuer->at, (word32)issuer->left);
        wc_Sha256Update(&sha, number.at, (word32)number.left);
        wc_Sha256Final(&sha, digest);
        wc_Sha256Free(&sha);
    }
    memcpy(key, digest, CERTIFICATE_KEY_BYTES);
}

void certificate_digest(const struct der *bytes, uint8_t digest[CERTIFICATE_DIGEST_BYTES])
{
    memset(digest, 0, CERTIFICATE_DIGEST_BYTES);
    wc_Sha256Hash(bytes->at, (word32)bytes->left, digest);
}
