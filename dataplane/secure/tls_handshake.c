/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/tls_handshake.h"

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

void tls_job_run(struct tls_job *job)
{
    job->result = TLS_STEP_FAILED;
    job->verification.note = TLS_VERIFY_NOTE_NONE;
    if (job->ssl == NULL)
        job->ssl = tls_context_session(job->context, job->has_identity ? job->identity : NULL, &job->failure);
    if (job->ssl == NULL)
        return;
    wolfSSL_SSLSetIORecv(job->ssl, on_receive);
    wolfSSL_SSLSetIOSend(job->ssl, on_send);
    wolfSSL_SetIOReadCtx(job->ssl, job);
    wolfSSL_SetIOWriteCtx(job->ssl, job);
    wolfSSL_SetCertCbCtx(job->ssl, &job->verification);
    int result = wolfSSL_connect(job->ssl);
    int error = wolfSSL_get_error(job->ssl, result);
    if (result == WOLFSSL_SUCCESS)
        job->result = TLS_STEP_DONE;
    else if (error == WOLFSSL_ERROR_WANT_READ)
        job->result = TLS_STEP_WANT_INPUT;
    else if (error == WOLFSSL_ERROR_WANT_WRITE)
        job->result = TLS_STEP_WANT_OUTPUT;
    else
        tls_failure_from(&job->failure, job->ssl, error, job->verification.note,
                         tls_context_server_name(job->context));
    wolfSSL_SetCertCbCtx(job->ssl, NULL);
    if (job->result == TLS_STEP_FAILED) {
        wolfSSL_free(job->ssl);
        job->ssl = NULL;
    }
}
