/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an OCSP responder sends (B4): the input is the length of a CA's certificate in two octets, that
 * certificate, and behind it an answer; the same bytes again as HTTP, cut in two anywhere, and as a
 * certificate that names a responder. Nothing may be read outside the input, and nothing is believed that the
 * CA has not signed.
 */
#include "dataplane/secure/certificate.h"
#include "dataplane/secure/ocsp_fetch.h"
#include "dataplane/secure/ocsp_message.h"
#include "dataplane/secure/tls_context.h"

#include <stdlib.h>
#include <string.h>

#define NOW_S INT64_C(1800000000)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (tls_library_init() != 0)
        abort();
    return 0;
}

static void read_answer(const uint8_t *data, size_t size)
{
    uint8_t request[OCSP_REQUEST_MAX];
    uint8_t nonce[OCSP_NONCE_BYTES] = {0};
    struct certificate ca;
    struct ocsp_answer answer;
    struct der uri;
    if (size < 2)
        return;
    size_t n = (size_t)data[0] << 8 | data[1];
    if (n > size - 2 || !certificate_parse(data + 2, n, &ca))
        return;
    (void)certificate_responder(&ca, &uri);
    struct ocsp_subject subject = {ca.subject, ca.public_key, ca.serial};
    ocsp_answer_read(data + 2 + n, size - 2 - n, &subject, nonce, NOW_S, &answer);
    if ((answer.status == OCSP_FAILED) != (answer.why != NULL) || answer.status == OCSP_NONE)
        abort();
    if (ocsp_request_build(&subject, nonce, request) > sizeof(request))
        abort();
}

static void read_http(const uint8_t *data, size_t size)
{
    static struct ocsp_fetch fetch;
    fetch = (struct ocsp_fetch){.fd = -1};
    size_t n = size < sizeof(fetch.in) - 1 ? size : sizeof(fetch.in) - 1;
    size_t cut = n == 0 ? 0 : data[0] % n;
    memcpy(fetch.in, data, n);
    fetch.in_n = cut;
    enum ocsp_step step = ocsp_fetch_read(&fetch, false);
    if (step == OCSP_STEP_WAIT) {
        fetch.in_n = n;
        step = ocsp_fetch_read(&fetch, true);
    }
    if (step == OCSP_STEP_WAIT || (step == OCSP_STEP_FAILED) != (fetch.why != NULL))
        abort();
    if (step == OCSP_STEP_DONE && (fetch.body > OCSP_ANSWER_MAX || fetch.head + fetch.body > n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char uri[257];
    struct ocsp_uri parts;
    read_answer(data, size);
    read_http(data, size);
    size_t n = size < sizeof(uri) - 1 ? size : sizeof(uri) - 1;
    memcpy(uri, data, n);
    uri[n] = 0;
    if (ocsp_uri_parse(uri, &parts) && (parts.host_len > OCSP_HOST_MAX || parts.port == 0))
        abort();
    return 0;
}
