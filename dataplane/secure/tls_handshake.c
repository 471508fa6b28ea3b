/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/tls_handshake.h"
#include "dataplane/secure/tls_psk.h"

#include <stdio.h>
#include <string.h>

static int on_receive(WOLFSSL *ssl, char *out, int n, void *context)
{
    struct tls_job *job = context;
    (void)ssl;
    uint32_t left = job->in_bytes - job->in_at;
    uint32_t take = left < (uint32_t)n ? left : (uint32_t)n;
    if (take == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, job->in + job->in_at, take);
    job->in_at += take;
    return (int)take;
}

static int on_send(WOLFSSL *ssl, char *p, int n, void *context)
{
    struct tls_job *job = context;
    (void)ssl;
    uint32_t room = TLS_JOB_OUT_BYTES - job->out_bytes;
    uint32_t take = room < (uint32_t)n ? room : (uint32_t)n;
    if (take == 0)
        return WOLFSSL_CBIO_ERR_WANT_WRITE;
    memcpy(job->out + job->out_bytes, p, take);
    job->out_bytes += take;
    return (int)take;
}

/*
 * Whose session it is: of a PSK's holder when that was proved (tls_psk.h); of a ticket's holder when the
 * ticket was accepted, which takes the secret that belongs to it; else of whom the chain names. A ticket that
 * was merely shown says nothing: tickets are seen by anybody on the wire.
 */
static bool settle_peer(struct tls_job *job)
{
    struct tls_verification *verification = &job->verification;
    if (tls_psk_settle(job))
        return true;
    if (wolfSSL_session_reused(job->ssl)) {
        tls_peer_unref(verification->peer);
        verification->peer = verification->resumed_peer;
    } else {
        tls_peer_unref(verification->resumed_peer);
    }
    verification->resumed_peer = NULL;
    const char *refusal = verification->peer == NULL ? tls_context_refuses(job->context, NULL) : NULL;
    if (refusal == NULL)
        return true;
    job->failure = (struct tls_failure){.why = STREAM_END_TLS_VERIFY, .counter = TLS_FAILED_VERIFY};
    snprintf(job->failure.reason, sizeof(job->failure.reason), "%s", refusal);
    tls_alert_send(job->ssl, tls_alert_of(job->ssl, NO_PEER_CERT));
    return false;
}

/* A chain that breaks high up is told by what is wrong there, not by what follows from it below. */
static int cause_of(const struct tls_job *job, int error)
{
    const struct tls_verification *verification = &job->verification;
    bool no_signer = error == ASN_NO_SIGNER_E || error == TLS_NO_ISSUER;
    return verification->error != 0 && no_signer ? verification->error : error;
}

void tls_job_run(struct tls_job *job)
{
    job->result = TLS_STEP_FAILED;
    job->verification.note = TLS_VERIFY_NOTE_NONE;
    job->verification.refusal = (struct tls_refusal){.why = NULL};
    job->verification.error = 0;
    job->verification.trust = tls_context_trust(job->context);
    if (job->ssl == NULL)
        job->ssl = tls_context_session(job->context, job->has_identity ? job->identity : NULL,
                                       &job->verification, &job->failure);
    if (job->ssl == NULL)
        return;
    wolfSSL_SSLSetIORecv(job->ssl, on_receive);
    wolfSSL_SSLSetIOSend(job->ssl, on_send);
    wolfSSL_SetIOReadCtx(job->ssl, job);
    wolfSSL_SetIOWriteCtx(job->ssl, job);
    wolfSSL_SetCertCbCtx(job->ssl, &job->verification);
    wolfSSL_set_ex_data(job->ssl, TLS_VERIFICATION_INDEX, &job->verification);
    tls_psk_begin_step(job);
    int result = tls_context_is_server(job->context) ? wolfSSL_accept(job->ssl) : wolfSSL_connect(job->ssl);
    int error = wolfSSL_get_error(job->ssl, result);
    if (result == WOLFSSL_SUCCESS)
        job->result = settle_peer(job) ? TLS_STEP_DONE : TLS_STEP_FAILED;
    else if (error == WOLFSSL_ERROR_WANT_READ)
        job->result = TLS_STEP_WANT_INPUT;
    else if (error == WOLFSSL_ERROR_WANT_WRITE)
        job->result = TLS_STEP_WANT_OUTPUT;
    else {
        tls_failure_from(&job->failure, job->ssl, cause_of(job, error), &job->verification,
                         tls_context_server_name(job->context));
        tls_psk_explain(job, error);
    }
    tls_psk_end_step(job);
    if (job->result == TLS_STEP_DONE || job->result == TLS_STEP_FAILED)
        tls_verification_done(&job->verification);
    wolfSSL_SetCertCbCtx(job->ssl, NULL);
    wolfSSL_set_ex_data(job->ssl, TLS_VERIFICATION_INDEX, NULL);
    if (job->result == TLS_STEP_FAILED) {
        wolfSSL_free(job->ssl);
        job->ssl = NULL;
    }
}
