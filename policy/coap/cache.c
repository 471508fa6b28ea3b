/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/cache.h"

#include "policy/coap/build.h"

/* Whether a response may depend on it, for a cache that knows what the others mean. */
static bool in_key(uint16_t number)
{
    switch (number) {
    case COAP_ETAG:
    case COAP_OBSERVE:
    case COAP_HOP_LIMIT:
    case COAP_NO_RESPONSE:
        return false;
    default:
        return !coap_option_no_cache_key(number);
    }
}

static bool put(uint8_t *to, size_t *n, const struct coap_option *option)
{
    if (option->value.len > COAP_CACHE_KEY_MAX || COAP_CACHE_KEY_MAX - *n < 4 + option->value.len)
        return false;
    to[(*n)++] = (uint8_t)(option->number >> 8);
    to[(*n)++] = (uint8_t)option->number;
    to[(*n)++] = (uint8_t)(option->value.len >> 8);
    to[(*n)++] = (uint8_t)option->value.len;
    if (option->value.len != 0)
        memcpy(to + *n, option->value.at, option->value.len);
    *n += option->value.len;
    return true;
}

size_t coap_cache_resource(const struct coap_message *request, uint8_t to[COAP_CACHE_KEY_MAX])
{
    size_t n = 0;
    to[n++] = COAP_GET;
    for (uint32_t i = 0; i < request->options_n; i++)
        if (request->options[i].number == COAP_URI_PATH && !put(to, &n, &request->options[i]))
            return 0;
    return n;
}

size_t coap_cache_key(const struct coap_message *request, uint8_t to[COAP_CACHE_KEY_MAX], size_t *resource)
{
    size_t n = coap_cache_resource(request, to);
    *resource = n;
    bool fetches = request->code == COAP_FETCH;
    if (!coap_cache_method(request->code) || n == 0 || (!fetches && request->payload.len != 0))
        return 0;
    for (uint32_t i = 0; i < request->options_n; i++) {
        const struct coap_option *option = &request->options[i];
        if (fetches && (option->number == COAP_BLOCK1 || option->number == COAP_BLOCK2))
            return 0;
        if (option->number != COAP_URI_PATH && in_key(option->number) && !put(to, &n, option))
            return 0;
    }
    /* The last byte cannot begin an option, so no GET has such a key. */
    const struct coap_option body = {.number = UINT16_MAX, .value = request->payload};
    if (fetches && (!put(to, &n, &body) || n == COAP_CACHE_KEY_MAX))
        return 0;
    if (fetches)
        to[n++] = COAP_FETCH;
    return n;
}

struct coap_freshness coap_cache_freshness(const struct coap_message *response)
{
    struct coap_freshness f = {.keeps = response->code == COAP_CONTENT, .max_age_s = COAP_MAX_AGE_DEFAULT_S};
    const struct coap_option *age = coap_option_find(response, COAP_MAX_AGE);
    const struct coap_option *etag = coap_option_find(response, COAP_ETAG);
    if (age != NULL && age->value.len <= 4)
        f.max_age_s = coap_uint(age->value);
    if (etag != NULL && etag->value.len >= 1 && etag->value.len <= COAP_ETAG_MAX) {
        f.etag_len = (uint8_t)etag->value.len;
        memcpy(f.etag, etag->value.at, etag->value.len);
    }
    if (f.max_age_s == 0 && f.etag_len == 0)
        f.keeps = false; /* of no use to anybody */
    return f;
}

bool coap_cache_changes(uint8_t method, uint8_t code)
{
    return method != COAP_GET && method != COAP_FETCH && COAP_CODE_CLASS(code) == 2;
}

size_t coap_cache_keep(const struct coap_message *response, const struct coap_verdict *verdict, uint8_t *to,
                       size_t room)
{
    struct coap_writer w;
    coap_build_start(&w, to, room, COAP_NON, response->code, 0, NULL, 0);
    for (uint32_t i = 0; i < response->options_n; i++) {
        const struct coap_option *option = &response->options[i];
        bool own =
            option->number == COAP_MAX_AGE || option->number == COAP_OBSERVE || option->number == COAP_ECHO;
        if (!own && ((verdict->passes >> i) & 1) != 0)
            coap_build_option(&w, option->number, option->value);
    }
    coap_build_payload(&w, response->payload);
    return coap_build_end(&w);
}

bool coap_cache_has_etag(const struct coap_message *request, const uint8_t *etag, uint8_t len)
{
    uint32_t from = 0;
    const struct coap_option *option;
    while ((option = coap_option_next(request, COAP_ETAG, &from)) != NULL)
        if (len != 0 && bytes_equal(option->value, bytes_of(etag, len)))
            return true;
    return false;
}

size_t coap_cache_serve(const struct coap_message *kept, struct bytes token, bool valid, int64_t observe,
                        uint32_t max_age_s, enum coap_type type, uint16_t mid, uint8_t *to, size_t room)
{
    struct coap_writer w;
    bool observed = observe < 0, aged = false;
    coap_build_start(&w, to, room, type, valid ? COAP_VALID : kept->code, mid, token.at, (uint16_t)token.len);
    for (uint32_t i = 0; i <= kept->options_n; i++) {
        uint32_t number = i < kept->options_n ? kept->options[i].number : UINT32_MAX;
        if (!observed && number > COAP_OBSERVE) {
            coap_build_uint(&w, COAP_OBSERVE, (uint32_t)observe & 0xFFFFFFU);
            observed = true;
        }
        if (!aged && number > COAP_MAX_AGE) {
            coap_build_uint(&w, COAP_MAX_AGE, max_age_s);
            aged = true;
        }
        if (i < kept->options_n && (!valid || number == COAP_ETAG))
            coap_build_option(&w, (uint16_t)number, kept->options[i].value);
    }
    if (!valid)
        coap_build_payload(&w, kept->payload);
    return coap_build_end(&w);
}
