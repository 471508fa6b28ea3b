/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/sha.h>

#include "dataplane/secure/certificate.h"
#include "dataplane/secure/ocsp_message.h"
#include "dataplane/secure/signature.h"

#include <string.h>

#define SKEW_S 300          /* clocks differ */
#define STALE_S 3600        /* how old an answer may be that does not say until when it holds */
#define SERIAL_BYTES_MAX 20 /* RFC 5280 section 4.1.2.2 */
#define RESPONDERS_MAX 4    /* certificates beside an answer that are looked at */
#define HASH_BYTES WC_SHA_DIGEST_SIZE

/* AlgorithmIdentifier of SHA-1 with its NULL. */
static const uint8_t sha1_identifier[] = {0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A, 0x05, 0x00};
static const uint8_t sha1_oid[] = {0x2B, 0x0E, 0x03, 0x02, 0x1A};
static const uint8_t basic_oid[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};
static const uint8_t nonce_oid[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02};
static const uint8_t ocsp_signing_oid[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09};

static bool same(const struct der *a, const void *b, size_t n)
{
    return a->left == n && memcmp(a->at, b, n) == 0;
}

/* Over the bits of the key alone: without tag, length and the count of unused bits (section 4.1.1). */
static bool hash_key(const struct der *public_key, uint8_t hash[HASH_BYTES])
{
    struct der all = *public_key;
    struct der info, bits;
    return der_take(&all, DER_SEQUENCE, &info, NULL) && der_take(&info, DER_SEQUENCE, NULL, NULL) &&
           der_take(&info, DER_BIT_STRING, &bits, NULL) && bits.left > 1 &&
           wc_ShaHash(bits.at + 1, (word32)(bits.left - 1), hash) == 0;
}

/* ---- the question -------------------------------------------------------------------------------------- */

/* DER is written from its end, so that lengths are known. All of it is shorter than OCSP_REQUEST_MAX. */
struct writer {
    uint8_t *at;
};

static void put(struct writer *w, const void *p, size_t n)
{
    w->at -= n;
    memcpy(w->at, p, n);
}

/* Tag and length of what was written since `end`. */
static void wrap(struct writer *w, uint8_t tag, const uint8_t *end)
{
    size_t n = (size_t)(end - w->at);
    if (n >= 0x80) {
        put(w, &(uint8_t){(uint8_t)n}, 1);
        n = 0x81;
    }
    put(w, &(uint8_t){(uint8_t)n}, 1);
    put(w, &tag, 1);
}

static void put_octets(struct writer *w, const void *p, size_t n)
{
    const uint8_t *end = w->at;
    put(w, p, n);
    wrap(w, DER_OCTET_STRING, end);
}

static void put_nonce(struct writer *w, const uint8_t nonce[OCSP_NONCE_BYTES])
{
    const uint8_t *end = w->at;
    put_octets(w, nonce, OCSP_NONCE_BYTES);
    wrap(w, DER_OCTET_STRING, end);
    const uint8_t *oid = w->at;
    put(w, nonce_oid, sizeof(nonce_oid));
    wrap(w, DER_OID, oid);
    wrap(w, DER_SEQUENCE, end);
    wrap(w, DER_SEQUENCE, end);
    wrap(w, DER_CONSTRUCTED(2), end);
}

size_t ocsp_request_build(const struct ocsp_subject *subject, const uint8_t nonce[OCSP_NONCE_BYTES],
                          uint8_t out[OCSP_REQUEST_MAX])
{
    uint8_t whole[OCSP_REQUEST_MAX], name[HASH_BYTES], key[HASH_BYTES];
    struct writer w = {.at = whole + sizeof(whole)};
    const uint8_t *end = w.at;
    if (subject->serial.left == 0 || subject->serial.left > SERIAL_BYTES_MAX ||
        !hash_key(&subject->issuer_key, key) ||
        wc_ShaHash(subject->issuer.at, (word32)subject->issuer.left, name) != 0)
        return 0;
    put_nonce(&w, nonce);
    const uint8_t *list = w.at;
    put(&w, subject->serial.at, subject->serial.left);
    if (subject->serial.at[0] >= 0x80) /* it is a positive number */
        put(&w, &(uint8_t){0}, 1);
    wrap(&w, DER_INTEGER, list);
    put_octets(&w, key, sizeof(key));
    put_octets(&w, name, sizeof(name));
    put(&w, sha1_identifier, sizeof(sha1_identifier));
    wrap(&w, DER_SEQUENCE, list); /* CertID */
    wrap(&w, DER_SEQUENCE, list); /* Request */
    wrap(&w, DER_SEQUENCE, list); /* requestList */
    wrap(&w, DER_SEQUENCE, end);  /* TBSRequest */
    wrap(&w, DER_SEQUENCE, end);
    memcpy(out, w.at, (size_t)(end - w.at));
    return (size_t)(end - w.at);
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

/* What is in a BasicOCSPResponse (section 4.2.1). */
struct basic {
    struct der whole;  /* of the SEQUENCE's content: signed part, algorithm, signature, certificates */
    struct der id;     /* responderID: its content */
    bool id_is_key;    /* by key hash, otherwise by name */
    struct der single; /* SingleResponses */
    struct der extensions;
};

static const char *status_text(uint8_t status)
{
    switch (status) {
    case 1:
        return "the responder calls the question malformed";
    case 2:
        return "the responder has an internal error";
    case 3:
        return "the responder says: try later";
    case 5:
        return "the responder wants the question signed";
    case 6:
        return "the responder is not authorized to answer";
    default:
        return "the responder answers with a status that is not known";
    }
}

/* The BasicOCSPResponse's content; NULL, or what is wrong. */
static const char *open_response(struct der all, struct der *basic)
{
    static const char malformed[] = "the answer is malformed";
    struct der response, status, tagged, bytes, oid, octets;
    if (!der_take(&all, DER_SEQUENCE, &response, NULL) || all.left != 0 ||
        !der_take(&response, DER_ENUMERATED, &status, NULL) || status.left != 1)
        return malformed;
    if (status.at[0] != 0)
        return status_text(status.at[0]);
    if (!der_take(&response, DER_CONSTRUCTED(0), &tagged, NULL) || response.left != 0 ||
        !der_take(&tagged, DER_SEQUENCE, &bytes, NULL) || tagged.left != 0 ||
        !der_take(&bytes, DER_OID, &oid, NULL) || !der_take(&bytes, DER_OCTET_STRING, &octets, NULL) ||
        bytes.left != 0)
        return malformed;
    if (!same(&oid, basic_oid, sizeof(basic_oid)))
        return "the answer is of a type that is not known";
    return der_take(&octets, DER_SEQUENCE, basic, NULL) && octets.left == 0 ? NULL : malformed;
}

static bool open_data(struct basic *basic)
{
    struct der body = basic->whole;
    struct der data, tagged;
    int64_t produced_s;
    basic->extensions = der_of(NULL, 0);
    if (!der_take(&body, DER_SEQUENCE, &data, NULL) || !der_skip(&data, DER_CONSTRUCTED(0)))
        return false;
    basic->id_is_key = der_next(&data) == DER_CONSTRUCTED(2);
    if (!der_take(&data, basic->id_is_key ? DER_CONSTRUCTED(2) : DER_CONSTRUCTED(1), &tagged, NULL))
        return false;
    if (basic->id_is_key ? !der_take(&tagged, DER_OCTET_STRING, &basic->id, NULL)
                         : !der_take(&tagged, DER_SEQUENCE, NULL, &basic->id))
        return false;
    if (tagged.left != 0 || !certificate_time(&data, &produced_s) ||
        !der_take(&data, DER_SEQUENCE, &basic->single, NULL))
        return false;
    if (data.left == 0)
        return true;
    return der_take(&data, DER_CONSTRUCTED(1), &tagged, NULL) && data.left == 0 &&
           der_take(&tagged, DER_SEQUENCE, &basic->extensions, NULL) && tagged.left == 0;
}

/* The nonce that it holds is ours; no nonce is good too. Whatever is critical is not understood. */
static bool extensions_good(struct der extensions, const uint8_t *nonce)
{
    while (extensions.left > 0) {
        struct der extension, oid, flag, value, inner;
        bool critical = false;
        if (!der_take(&extensions, DER_SEQUENCE, &extension, NULL) ||
            !der_take(&extension, DER_OID, &oid, NULL))
            return false;
        if (der_next(&extension) == 0x01) {
            if (!der_take(&extension, 0x01, &flag, NULL) || flag.left != 1)
                return false;
            critical = flag.at[0] != 0;
        }
        if (!der_take(&extension, DER_OCTET_STRING, &value, NULL) || extension.left != 0)
            return false;
        if (same(&oid, nonce_oid, sizeof(nonce_oid))) {
            if (nonce == NULL || !der_take(&value, DER_OCTET_STRING, &inner, NULL) || value.left != 0 ||
                !same(&inner, nonce, OCSP_NONCE_BYTES))
                return false;
        } else if (critical) {
            return false;
        }
    }
    return true;
}

/* ---- who signed it ------------------------------------------------------------------------------------- */

static bool names(const struct basic *basic, const struct der *name, const struct der *public_key)
{
    uint8_t hash[HASH_BYTES];
    if (!basic->id_is_key)
        return same(&basic->id, name->at, name->left);
    return hash_key(public_key, hash) && same(&basic->id, hash, sizeof(hash));
}

/* id-kp-OCSPSigning is among its extended usages (section 4.2.2.2). */
static bool may_answer(const struct certificate *certificate)
{
    struct der value, usages, usage;
    if (!certificate_extension(certificate, 37, &value) || !der_take(&value, DER_SEQUENCE, &usages, NULL))
        return false;
    while (der_take(&usages, DER_OID, &usage, NULL))
        if (same(&usage, ocsp_signing_oid, sizeof(ocsp_signing_oid)))
            return true;
    return false;
}

static bool appointed(const struct der *der, const struct ocsp_subject *subject, const struct basic *basic,
                      int64_t now_s, struct certificate *responder)
{
    return certificate_parse(der->at, der->left, responder) &&
           names(basic, &responder->subject, &responder->public_key) &&
           same(&responder->issuer, subject->issuer.at, subject->issuer.left) &&
           responder->not_before_s <= now_s + SKEW_S && responder->not_after_s >= now_s &&
           may_answer(responder) && certificate_may_sign(responder) &&
           signature_of_certificate(der, &subject->issuer_key);
}

/* The certificates that come with the answer, behind its signature. */
static bool certificates_of(const struct basic *basic, struct der *certificates)
{
    struct der body = basic->whole;
    struct der tagged;
    *certificates = der_of(NULL, 0);
    if (!der_take(&body, DER_SEQUENCE, NULL, NULL) || !der_take(&body, DER_SEQUENCE, NULL, NULL) ||
        !der_take(&body, DER_BIT_STRING, NULL, NULL))
        return false;
    if (body.left == 0)
        return true;
    return der_take(&body, DER_CONSTRUCTED(0), &tagged, NULL) && body.left == 0 &&
           der_take(&tagged, DER_SEQUENCE, certificates, NULL) && tagged.left == 0;
}

static bool signed_well(const struct basic *basic, const struct ocsp_subject *subject, int64_t now_s)
{
    struct der certificates, der, body = basic->whole;
    struct certificate responder;
    if (names(basic, &subject->issuer, &subject->issuer_key) && signature_good(&body, &subject->issuer_key))
        return true;
    if (!certificates_of(basic, &certificates))
        return false;
    for (int i = 0; i < RESPONDERS_MAX && der_take(&certificates, DER_SEQUENCE, NULL, &der); i++) {
        body = basic->whole;
        if (appointed(&der, subject, basic, now_s, &responder) &&
            signature_good(&body, &responder.public_key))
            return true;
    }
    return false;
}

/* ---- what it says -------------------------------------------------------------------------------------- */

static bool is_about(struct der *single, const struct ocsp_subject *subject)
{
    uint8_t name[HASH_BYTES], key[HASH_BYTES];
    struct der id, algorithm, oid, name_hash, key_hash, serial;
    if (!der_take(single, DER_SEQUENCE, &id, NULL) || !der_take(&id, DER_SEQUENCE, &algorithm, NULL) ||
        !der_take(&algorithm, DER_OID, &oid, NULL) || !der_take(&id, DER_OCTET_STRING, &name_hash, NULL) ||
        !der_take(&id, DER_OCTET_STRING, &key_hash, NULL) || !der_take(&id, DER_INTEGER, &serial, NULL))
        return false;
    while (serial.left > 1 && serial.at[0] == 0)
        serial = der_of(serial.at + 1, serial.left - 1);
    return same(&oid, sha1_oid, sizeof(sha1_oid)) && hash_key(&subject->issuer_key, key) &&
           wc_ShaHash(subject->issuer.at, (word32)subject->issuer.left, name) == 0 &&
           same(&name_hash, name, sizeof(name)) && same(&key_hash, key, sizeof(key)) &&
           same(&serial, subject->serial.at, subject->serial.left);
}

/* certStatus, thisUpdate, nextUpdate; NULL, or what is wrong. */
static const char *read_single(struct der single, int64_t now_s, struct ocsp_answer *answer)
{
    struct der tagged;
    int64_t this_update_s;
    uint8_t tag = der_next(&single);
    enum ocsp_status status = tag == DER_CONTEXT(0)       ? OCSP_GOOD
                              : tag == DER_CONSTRUCTED(1) ? OCSP_REVOKED
                              : tag == DER_CONTEXT(2)     ? OCSP_UNKNOWN
                                                          : OCSP_FAILED;
    if (status == OCSP_FAILED || !der_take(&single, tag, NULL, NULL) ||
        !certificate_time(&single, &this_update_s))
        return "the answer is malformed";
    answer->next_update_s = INT64_MAX;
    if (der_next(&single) == DER_CONSTRUCTED(0) &&
        (!der_take(&single, DER_CONSTRUCTED(0), &tagged, NULL) ||
         !certificate_time(&tagged, &answer->next_update_s) || tagged.left != 0))
        return "the answer is malformed";
    if (this_update_s > now_s + SKEW_S)
        return "the answer is from the future; compare clocks";
    if (answer->next_update_s < now_s ||
        (answer->next_update_s == INT64_MAX && this_update_s < now_s - STALE_S))
        return "the answer is out of date";
    answer->status = status;
    return NULL;
}

static const char *judge(struct der all, const struct ocsp_subject *subject, const uint8_t *nonce,
                         int64_t now_s, struct ocsp_answer *answer)
{
    struct basic basic;
    const char *wrong = open_response(all, &basic.whole);
    if (wrong != NULL)
        return wrong;
    if (!open_data(&basic))
        return "the answer is malformed";
    if (!signed_well(&basic, subject, now_s))
        return "the answer is not signed by the issuer or a responder it has appointed";
    if (!extensions_good(basic.extensions, nonce))
        return "the answer is to another question (nonce)";
    while (basic.single.left > 0) {
        struct der single;
        if (!der_take(&basic.single, DER_SEQUENCE, &single, NULL))
            return "the answer is malformed";
        if (is_about(&single, subject))
            return read_single(single, now_s, answer);
    }
    return "the answer is about another certificate";
}

void ocsp_answer_read(const uint8_t *p, size_t n, const struct ocsp_subject *subject,
                      const uint8_t nonce[OCSP_NONCE_BYTES], int64_t now_s, struct ocsp_answer *answer)
{
    *answer = (struct ocsp_answer){.status = OCSP_FAILED, .next_update_s = INT64_MAX};
    answer->why =
        n > OCSP_ANSWER_MAX ? "the answer is too long" : judge(der_of(p, n), subject, nonce, now_s, answer);
    if (answer->why != NULL)
        answer->status = OCSP_FAILED;
}
