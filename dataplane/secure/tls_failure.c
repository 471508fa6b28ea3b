/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "dataplane/secure/tls_failure.h"
#include "dataplane/secure/tls_trust.h"

#include <stddef.h>
#include <stdio.h>

struct phrase {
    int code;
    const char *text;
};

/* Reasons not to accept the server's certificate. */
static const struct phrase refusals[] = {
    {ASN_AFTER_DATE_E, "certificate has expired"},
    {ASN_BEFORE_DATE_E, "certificate is not yet valid"},
    {ASN_NO_SIGNER_E, "issuer is not trusted"},
    {TLS_NO_ISSUER, "issuer is not trusted"},
    {ASN_SELF_SIGNED_E, "certificate is self-signed and not trusted"},
    {ASN_SIG_CONFIRM_E, "certificate's signature is wrong"},
    {ASN_SIG_OID_E, "certificate's signature algorithm is not accepted"},
    {ASN_SIG_HASH_E, "certificate's signature algorithm is not accepted"},
    {ASN_SIG_KEY_E, "certificate's signature algorithm is not accepted"},
    {CRL_CERT_REVOKED, "certificate has been revoked"},
    {CRL_MISSING, "no revocation list covers the certificate"},
    {CRL_CERT_DATE_ERR, "revocation list is out of date"},
    {ASN_CRL_CONFIRM_E, "revocation list has a wrong signature"},
    {ASN_CRL_NO_SIGNER_E, "revocation list's issuer is not trusted"},
    {OCSP_CERT_REVOKED, "certificate has been revoked, says its stapled status"},
    {OCSP_CERT_UNKNOWN, "server stapled no status to its certificate, or one that does not know it"},
    {OCSP_LOOKUP_FAIL, "certificate's stapled status cannot be used"},
    {OCSP_INVALID_STATUS, "certificate's stapled status cannot be used"},
    {BAD_CERTIFICATE_STATUS_ERROR, "certificate's stapled status cannot be used"},
    {ASN_OCSP_CONFIRM_E, "certificate's stapled status has a wrong signature"},
    {KEYUSE_SIGNATURE_E, "certificate's key may not be used to sign"},
    {KEYUSE_ENCIPHER_E, "certificate's key may not be used for this cipher suite"},
    {ASN_NAME_INVALID_E, "certificate's name is outside of what its issuer may certify"},
    {ASN_PATHLEN_SIZE_E, "certificate chain is longer than its issuer allows"},
    {ASN_PATHLEN_INV_E, "certificate chain is longer than its issuer allows"},
    {MAX_CHAIN_ERROR, "certificate chain is too long"},
    {RSA_KEY_SIZE_E, "certificate's RSA key is shorter than 2048 bits"},
    {ECC_KEY_SIZE_E, "certificate's EC key is shorter than 256 bits"},
    {NO_PEER_KEY, "certificate holds no usable key"},
    {ASN_CRIT_EXT_E, "certificate has a critical extension that is not understood"},
    {PEER_KEY_ERROR, "certificate's key cannot be read"},
    {VERIFY_CERT_ERROR, "certificate is not accepted"},
};

/* RFC 8446 section 6.2, RFC 5246 section 7.2.2, RFC 7301. */
static const struct phrase alerts[] = {
    {0, "close notify"},
    {10, "unexpected message"},
    {20, "bad record MAC"},
    {22, "record overflow"},
    {40, "handshake failure"},
    {42, "bad certificate"},
    {43, "unsupported certificate"},
    {44, "certificate revoked"},
    {45, "certificate expired"},
    {46, "certificate unknown"},
    {47, "illegal parameter"},
    {48, "unknown CA"},
    {49, "access denied"},
    {50, "decode error"},
    {51, "decrypt error"},
    {70, "protocol version"},
    {71, "insufficient security"},
    {80, "internal error"},
    {86, "inappropriate fallback"},
    {90, "user canceled"},
    {109, "missing extension"},
    {110, "unsupported extension"},
    {112, "unrecognized name"},
    {113, "bad certificate status response"},
    {115, "unknown PSK identity"},
    {116, "certificate required"},
    {120, "no application protocol"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *find(const struct phrase *table, size_t n, int code)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].code == code)
            return table[i].text;
    return NULL;
}

static void from_alert(struct tls_failure *failure, WOLFSSL *ssl, const char *peer)
{
    WOLFSSL_ALERT_HISTORY history;
    int code = -1;
    if (wolfSSL_get_alert_history(ssl, &history) == WOLFSSL_SUCCESS)
        code = history.last_rx.code;
    const char *text = find(alerts, COUNT(alerts), code);
    failure->why = STREAM_END_TLS_ALERT;
    failure->counter = TLS_FAILED_ALERT;
    if (text != NULL)
        snprintf(failure->reason, sizeof(failure->reason), "%s sent alert '%s'", peer, text);
    else
        snprintf(failure->reason, sizeof(failure->reason), "%s sent alert %d", peer, code);
}

/* Sentences that differ with who the other side is. */
static const char *refusal_of(int error, bool server)
{
    if (error == EXTKEYUSE_AUTH_E)
        return server ? "certificate may not be used for a client"
                      : "certificate may not be used for a server";
    if (error == NO_PEER_CERT)
        return server ? "client sent no certificate" : "server sent no certificate";
    return find(refusals, COUNT(refusals), error);
}

/* A certificate that is not accepted. */
static bool describe_refusal(struct tls_failure *failure, int error, bool server, const char *server_name,
                             const struct tls_verification *verification)
{
    enum tls_verify_note note = verification == NULL ? TLS_VERIFY_NOTE_NONE : verification->note;
    const char *refusal = refusal_of(error, server);
    if (error == DOMAIN_NAME_MISMATCH || error == IPADDR_MISMATCH ||
        (refusal != NULL && note == TLS_VERIFY_NOTE_WRONG_NAME)) {
        snprintf(failure->reason, sizeof(failure->reason), "certificate is not for '%.128s'", server_name);
    } else if (refusal != NULL && note == TLS_VERIFY_NOTE_WEAK_SIGNATURE) {
        /* An intermediate that we refuse makes wolfSSL miss the leaf's issuer. */
        snprintf(failure->reason, sizeof(failure->reason), "certificate is signed with SHA-1 or older");
        failure->alert = TLS_ALERT_BAD_CERTIFICATE;
    } else if (refusal != NULL && note == TLS_VERIFY_NOTE_REFUSED) {
        snprintf(failure->reason, sizeof(failure->reason), "%s", verification->refusal.why);
        failure->alert = (enum tls_alert)verification->refusal.alert;
    } else if (refusal != NULL) {
        snprintf(failure->reason, sizeof(failure->reason), "%s", refusal);
    } else if (error <= ASN_PARSE_E && error >= ASN_ECC_KEY_E) {
        snprintf(failure->reason, sizeof(failure->reason), "certificate cannot be read: %.128s",
                 wc_GetErrorString(error));
    } else {
        return false;
    }
    failure->why = STREAM_END_TLS_VERIFY;
    failure->counter = TLS_FAILED_VERIFY;
    return true;
}

void tls_failure_from(struct tls_failure *failure, WOLFSSL *ssl, int error,
                      const struct tls_verification *verification, const char *server_name)
{
    bool server = wolfSSL_is_server(ssl) == 1;
    failure->alert = TLS_ALERT_NONE;
    if (error == FATAL_ERROR) {
        from_alert(failure, ssl, server ? "client" : "server");
        return;
    }
    failure->alert = tls_alert_of(ssl, error);
    if (error == ALERT_COUNT_E || error == HANDSHAKE_SIZE_ERROR) {
        failure->why = STREAM_END_TLS_PROTOCOL;
        failure->counter = TLS_FAILED_FLOOD;
        snprintf(failure->reason, sizeof(failure->reason), "%s sends %s", server ? "client" : "server",
                 error == ALERT_COUNT_E ? "too many alerts" : "a handshake message that is too large");
    } else if (!describe_refusal(failure, error, server, server_name, verification)) {
        failure->why = STREAM_END_TLS_PROTOCOL;
        failure->counter = TLS_FAILED_PROTOCOL;
        snprintf(failure->reason, sizeof(failure->reason), "TLS failed: %.128s",
                 wolfSSL_ERR_reason_error_string((unsigned long)error));
    }
    tls_alert_send(ssl, failure->alert);
}
