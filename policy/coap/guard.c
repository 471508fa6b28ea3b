/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/guard.h"

#include "policy/coap/build.h"
#include "policy/json_syntax.h"
#include "policy/utf8.h"

#define PATH_SEPARATOR '/'

static bool refuse(struct coap_verdict *v, enum outcome outcome, uint8_t code)
{
    v->outcome = outcome;
    v->enforced = true;
    v->code = code;
    return false;
}

static void verdict_init(struct coap_verdict *v)
{
    v->outcome = OUTCOME_UNDECIDED;
    v->enforced = true;
    v->code = COAP_FORBIDDEN;
    v->rule = ACL_RULE_NONE;
    v->passes = 0;
    v->hop_limit = -1;
    v->observe = v->observe_ends = v->observe_denied = false;
    v->no_response = 0;
    v->sequence = 0;
    v->renumbered = false;
    v->etag_len = 0;
    v->echo = bytes_of(NULL, 0);
    v->path_len = 0;
}

/* ---- options ---------------------------------------------------------------------------------------------
 */

enum option_state {
    OPTION_UNKNOWN = 0,
    OPTION_INVALID, /* known, and treated as one that is not */
    OPTION_BAD_TEXT,
    OPTION_GOOD,
};

static enum option_state option_state(const struct coap_message *message, uint32_t i, uint8_t where)
{
    const struct coap_option *option = &message->options[i];
    const struct coap_option_rule *rule = coap_option_rule(option->number);
    if (rule == NULL || (rule->where & where) == 0)
        return OPTION_UNKNOWN;
    if (option->value.len < rule->min_bytes || option->value.len > rule->max_bytes)
        return OPTION_INVALID;
    bool repeatable = rule->repeatable && !(where == COAP_IN_RESPONSE && option->number == COAP_ETAG);
    if (!repeatable && i > 0 && message->options[i - 1].number == option->number)
        return OPTION_INVALID; /* s.5.4.5: supernumerary ones are as if unknown */
    if (rule->format == COAP_FORMAT_STRING && !utf8_check(option->value, UTF8_SPEC))
        return OPTION_BAD_TEXT;
    return OPTION_GOOD;
}

static void pass(struct coap_verdict *v, uint32_t i)
{
    v->passes |= UINT64_C(1) << i;
}

/* An option that is not known, or not good: false when the message cannot go on without it. */
static bool judge_odd(struct coap_verdict *v, const struct coap_option *option, enum option_state state,
                      uint32_t i)
{
    if (coap_option_critical(option->number) ||
        (state == OPTION_UNKNOWN && coap_option_unsafe(option->number)))
        return false;
    if (state == OPTION_UNKNOWN)
        pass(v, i);
    return true;
}

/* ---- the path --------------------------------------------------------------------------------------------
 */

static bool segment_good(struct bytes segment)
{
    if (segment.len != 0 && memchr(segment.at, PATH_SEPARATOR, segment.len) != NULL)
        return false;
    return !bytes_equal(segment, bytes_of_text(".")) && !bytes_equal(segment, bytes_of_text(".."));
}

static bool join_path(const struct coap_message *message, uint32_t *levels, struct coap_verdict *v)
{
    uint32_t from = 0, segments = 0;
    const struct coap_option *option;
    while ((option = coap_option_next(message, COAP_URI_PATH, &from)) != NULL) {
        size_t separator = segments > 0 ? 1 : 0;
        if (!segment_good(option->value))
            return refuse(v, OUTCOME_BAD_PATH, COAP_BAD_REQUEST);
        segments++;
        if (option->value.len + separator > COAP_PATH_MAX - v->path_len)
            return refuse(v, OUTCOME_TOPIC_TOO_DEEP, COAP_BAD_REQUEST);
        if (separator != 0)
            v->path[v->path_len++] = PATH_SEPARATOR;
        if (option->value.len != 0)
            memcpy(v->path + v->path_len, option->value.at, option->value.len);
        v->path_len += (uint32_t)option->value.len;
    }
    *levels = segments;
    /* One empty segment would look like none at all. */
    return segments != 1 || v->path_len != 0 || refuse(v, OUTCOME_BAD_PATH, COAP_BAD_REQUEST);
}

/* ---- requests --------------------------------------------------------------------------------------------
 */

/* A name or an address as it stands in a URI, without a character that could begin anything else. */
static bool host_plain(struct bytes host)
{
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.at[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                     c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
        if (!plain)
            return false;
    }
    return true;
}

static bool judge_request_option(const struct coap_message *message, uint32_t i, uint16_t port,
                                 struct coap_verdict *v)
{
    const struct coap_option *option = &message->options[i];
    struct coap_block block;
    switch (option->number) {
    case COAP_PROXY_URI:
    case COAP_PROXY_SCHEME:
        return refuse(v, OUTCOME_PROXY_REFUSED, COAP_PROXYING_NOT_SUPPORTED);
    case COAP_URI_HOST:
        return host_plain(option->value) || refuse(v, OUTCOME_PROXY_REFUSED, COAP_PROXYING_NOT_SUPPORTED);
    case COAP_URI_PORT:
        return coap_uint(option->value) == port ||
               refuse(v, OUTCOME_PROXY_REFUSED, COAP_PROXYING_NOT_SUPPORTED);
    case COAP_OBSERVE:
        v->observe = coap_uint(option->value) == 0;
        v->observe_ends = coap_uint(option->value) == 1;
        return true;
    case COAP_HOP_LIMIT:
        v->hop_limit = option->value.at[0];
        return true;
    case COAP_NO_RESPONSE:
        v->no_response = (uint8_t)coap_uint(option->value);
        return true;
    case COAP_ECHO:
        v->echo = option->value;
        return true;
    case COAP_BLOCK1:
    case COAP_BLOCK2:
        if (!coap_block_parse(option->value, &block))
            return refuse(v, OUTCOME_BAD_OPTION, COAP_BAD_REQUEST);
        pass(v, i);
        return true;
    default:
        pass(v, i);
        return true;
    }
}

static bool judge_request_options(const struct coap_message *message, uint16_t port, struct coap_verdict *v)
{
    for (uint32_t i = 0; i < message->options_n; i++) {
        const struct coap_option *option = &message->options[i];
        enum option_state state = option_state(message, i, COAP_IN_REQUEST);
        if (state == OPTION_BAD_TEXT)
            return refuse(v, OUTCOME_MALFORMED_STRING, COAP_BAD_REQUEST);
        if (state == OPTION_GOOD) {
            if (!judge_request_option(message, i, port, v))
                return false;
        } else if (option->number == COAP_PROXY_URI || option->number == COAP_PROXY_SCHEME) {
            return refuse(v, OUTCOME_PROXY_REFUSED, COAP_PROXYING_NOT_SUPPORTED);
        } else if (!judge_odd(v, option, state, i)) {
            return refuse(v, OUTCOME_BAD_OPTION, COAP_BAD_OPTION);
        }
    }
    /* RFC 8768: 0 is not valid, and what arrives with 1 goes no further. */
    if (v->hop_limit == 0)
        return refuse(v, OUTCOME_HOP_LIMIT, COAP_BAD_REQUEST);
    if (v->hop_limit == 1)
        return refuse(v, OUTCOME_HOP_LIMIT, COAP_HOP_LIMIT_REACHED);
    if (v->hop_limit > 0)
        v->hop_limit--;
    return true;
}

/* The bytes of the body up to the end of this block, or of the part that is asked for. */
static bool measure(const struct coap_message *message, uint64_t *body_bytes, struct coap_verdict *v)
{
    const struct coap_option *block1 = coap_option_find(message, COAP_BLOCK1);
    const struct coap_option *size1 = coap_option_find(message, COAP_SIZE1);
    struct coap_block block = {0};
    uint64_t body = message->payload.len;
    if (block1 != NULL && coap_block_parse(block1->value, &block)) {
        if (block.more && message->payload.len != block.bytes)
            return refuse(v, OUTCOME_BAD_OPTION, COAP_BAD_REQUEST);
        body += (uint64_t)block.number * block.bytes;
    }
    if (size1 != NULL && coap_uint(size1->value) > body)
        body = coap_uint(size1->value);
    *body_bytes = body;
    return true;
}

bool coap_action_of(uint8_t code, enum acl_action *action)
{
    static const enum acl_action actions[] = {
        [COAP_GET] = ACL_GET,       [COAP_POST] = ACL_POST,   [COAP_PUT] = ACL_PUT,
        [COAP_DELETE] = ACL_DELETE, [COAP_FETCH] = ACL_FETCH, [COAP_PATCH] = ACL_PATCH,
        [COAP_IPATCH] = ACL_IPATCH};
    if (code < COAP_GET || code > COAP_IPATCH)
        return false;
    *action = actions[code];
    return true;
}

bool coap_payload_good(const struct coap_message *message, enum acl_payload wanted)
{
    switch (wanted) {
    case ACL_PAYLOAD_ANY:
        return true;
    case ACL_PAYLOAD_UTF8:
        return utf8_check(message->payload, UTF8_TEXT);
    case ACL_PAYLOAD_JSON:
        return json_syntax_check(message->payload);
    }
    return false;
}

static void judge_payload(const struct policy_role *role, const struct coap_message *message,
                          enum acl_payload wanted, struct coap_verdict *v)
{
    if (wanted == ACL_PAYLOAD_ANY && role->payload_utf8)
        wanted = ACL_PAYLOAD_UTF8;
    bool carries = message->code != COAP_GET && message->code != COAP_DELETE;
    if (wanted == ACL_PAYLOAD_ANY || !carries)
        return;
    const struct coap_option *block1 = coap_option_find(message, COAP_BLOCK1);
    struct coap_block block = {0};
    if (block1 != NULL && coap_block_parse(block1->value, &block) && (block.more || block.number > 0))
        refuse(v, OUTCOME_MALFORMED_PAYLOAD, COAP_TOO_LARGE);
    else if (!coap_payload_good(message, wanted))
        refuse(v, OUTCOME_MALFORMED_PAYLOAD, COAP_BAD_REQUEST);
}

/* What rules look at beside method and path. Block-wise is what does not fit in one message: a request for
 * the first block, which only says how large blocks should be, is not. */
static void ask(const struct coap_message *message, struct acl_asked *asked)
{
    struct coap_block block;
    asked->format = ACL_FORMAT_NONE;
    asked->carries = message->payload.len != 0;
    asked->block = false;
    asked->queries_n = 0;
    for (uint32_t i = 0; i < message->options_n; i++) {
        const struct coap_option *option = &message->options[i];
        if (option->number == COAP_URI_QUERY)
            asked->queries[asked->queries_n++] = option->value;
        else if (option->number == COAP_CONTENT_FORMAT && option->value.len <= 2)
            asked->format = (int32_t)coap_uint(option->value);
        else if (option->number == COAP_BLOCK1 && coap_block_parse(option->value, &block))
            asked->block |= block.more || block.number > 0;
        else if (option->number == COAP_BLOCK2 && coap_block_parse(option->value, &block))
            asked->block |= block.number > 0;
    }
}

uint8_t coap_refusal_code(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_PAYLOAD_TOO_LARGE:
        return COAP_TOO_LARGE;
    case OUTCOME_FORMAT_DENIED:
        return COAP_UNSUPPORTED_FORMAT;
    default:
        return COAP_FORBIDDEN;
    }
}

/* Whether rules decide; whether that counts is said by `mode`. */
static void judge_access(const struct policy_role *role, const struct acl_values *values, bool observing,
                         const struct coap_message *message, struct coap_verdict *v)
{
    struct acl_request request = {.topic = bytes_of(v->path, v->path_len),
                                  .payload_bytes = (uint32_t)message->payload.len};
    if (!coap_action_of(message->code, &request.action)) {
        refuse(v, OUTCOME_BAD_METHOD, COAP_METHOD_NOT_ALLOWED);
        return;
    }
    struct acl_asked asked;
    if (acl_reads_options(role->acl)) {
        ask(message, &asked);
        request.asked = &asked;
    }
    struct acl_decision method = acl_decide(role->acl, values, &request);
    struct acl_decision decision = method;
    bool observe_enforced = false; /* a rule against observing holds even where the role only observes (G6) */
    if (v->observe || v->observe_ends) {
        request.action = ACL_OBSERVE;
        struct acl_decision observe = acl_decide(role->acl, values, &request);
        bool may = observe.outcome == OUTCOME_ALLOWED && method.outcome != OUTCOME_RULE_DENY;
        if (may)
            decision = observe;
        v->observe_denied = v->observe && !may;
        observe_enforced =
            !may && observe.rule != ACL_RULE_NONE && acl_rule_at(role->acl, observe.rule)->enforce;
    }
    v->outcome = decision.outcome;
    v->rule = decision.rule;
    v->code = coap_refusal_code(decision.outcome);
    const struct acl_rule *rule =
        decision.rule == ACL_RULE_NONE ? NULL : acl_rule_at(role->acl, decision.rule);
    v->enforced = !(observing || role->mode == POLICY_OBSERVE) || (rule != NULL && rule->enforce);
    if (v->observe_denied && (v->enforced || observe_enforced))
        v->observe = false;
    bool enforced = v->enforced;
    if (decision.outcome == OUTCOME_ALLOWED)
        judge_payload(role, message, decision.payload, v);
    v->enforced = enforced;
}

void coap_guard_request(const struct policy_role *role, const struct acl_values *values, bool observing,
                        uint16_t port, const struct coap_message *message, struct coap_verdict *v)
{
    const struct policy_limits *limits = &role->limits;
    uint32_t levels;
    uint64_t body_bytes;
    verdict_init(v);
    if (!judge_request_options(message, port, v) || !join_path(message, &levels, v) ||
        !measure(message, &body_bytes, v))
        return;
    bool deep = levels > limits->topic_levels || v->path_len > limits->topic_bytes;
    bool over = deep || body_bytes > limits->packet_bytes;
    if (!over || observing || role->mode == POLICY_OBSERVE) {
        if (message->code != COAP_GET && message->code != COAP_FETCH)
            v->observe = v->observe_ends = false;
        judge_access(role, values, observing, message, v);
        if (!over || !coap_verdict_passes(v)) /* a rule that holds even so is not hidden by a cap */
            return;
    }
    if (deep)
        refuse(v, OUTCOME_TOPIC_TOO_DEEP, COAP_BAD_REQUEST);
    else
        refuse(v, OUTCOME_PACKET_TOO_LARGE, COAP_TOO_LARGE);
    v->rule = ACL_RULE_NONE;
    v->enforced = !(observing || role->mode == POLICY_OBSERVE);
}

/* ---- responses -------------------------------------------------------------------------------------------
 */

static bool judge_response_option(const struct coap_message *message, uint32_t i, bool observed,
                                  struct coap_verdict *v)
{
    const struct coap_option *option = &message->options[i];
    struct coap_block block;
    switch (option->number) {
    case COAP_OBSERVE:
        if (observed && COAP_CODE_CLASS(message->code) == 2) {
            v->observe = true;
            v->sequence = coap_uint(option->value);
            pass(v, i);
        }
        return true;
    case COAP_LOCATION_PATH:
        if (segment_good(option->value))
            pass(v, i);
        return true;
    case COAP_BLOCK1:
    case COAP_BLOCK2:
        if (!coap_block_parse(option->value, &block))
            return false;
        pass(v, i);
        return true;
    default:
        pass(v, i);
        return true;
    }
}

void coap_guard_response(const struct coap_message *message, bool observed, struct coap_verdict *v)
{
    verdict_init(v);
    refuse(v, OUTCOME_UPSTREAM_PROTOCOL, COAP_BAD_GATEWAY);
    for (uint32_t i = 0; i < message->options_n; i++) {
        enum option_state state = option_state(message, i, COAP_IN_RESPONSE);
        if (state == OPTION_GOOD ? !judge_response_option(message, i, observed, v)
                                 : !judge_odd(v, &message->options[i], state, i))
            return;
    }
    /* s.5.5.2: what an error carries is a text for people. */
    bool error = COAP_CODE_CLASS(message->code) > 2;
    bool formatted = false;
    for (uint32_t i = 0; i < message->options_n; i++)
        formatted |= message->options[i].number == COAP_CONTENT_FORMAT && ((v->passes >> i) & 1) != 0;
    if (error && !formatted && !utf8_check(message->payload, UTF8_TEXT))
        return;
    v->outcome = OUTCOME_ALLOWED;
}

/* ---- what goes on ----------------------------------------------------------------------------------------
 */

size_t coap_guard_rebuild(const struct coap_message *message, const struct coap_verdict *verdict,
                          struct bytes echo, enum coap_type type, uint16_t mid, const uint8_t *token,
                          uint16_t token_len, uint8_t *to, size_t room)
{
    struct coap_writer w;
    bool request = coap_kind_of(message->code) == COAP_KIND_REQUEST;
    bool etag = !request || verdict->etag_len == 0;
    bool hops = !request || verdict->hop_limit <= 0 || coap_option_find(message, COAP_HOP_LIMIT) != NULL;
    coap_build_start(&w, to, room, type, message->code, mid, token, token_len);
    for (uint32_t i = 0; i < message->options_n; i++) {
        const struct coap_option *option = &message->options[i];
        bool again = i > 0 && message->options[i - 1].number == option->number;
        if (!etag && option->number > COAP_ETAG) {
            coap_build_option(&w, COAP_ETAG, bytes_of(verdict->etag, verdict->etag_len));
            etag = true;
        }
        if (!hops && option->number > COAP_HOP_LIMIT) { /* RFC 8768 s.3: it had none yet */
            coap_build_uint(&w, COAP_HOP_LIMIT, (uint32_t)verdict->hop_limit);
            hops = true;
        }
        if (!request && option->number == COAP_OBSERVE && verdict->renumbered)
            coap_build_uint(&w, COAP_OBSERVE, verdict->sequence);
        else if (((verdict->passes >> i) & 1) != 0)
            coap_build_option(&w, option->number, option->value);
        else if (!request || again)
            continue;
        else if (option->number == COAP_OBSERVE && (verdict->observe || verdict->observe_ends))
            coap_build_uint(&w, COAP_OBSERVE, verdict->observe ? 0 : 1);
        else if (option->number == COAP_HOP_LIMIT && verdict->hop_limit > 0)
            coap_build_uint(&w, COAP_HOP_LIMIT, (uint32_t)verdict->hop_limit);
        else if (option->number == COAP_ECHO && echo.at != NULL)
            coap_build_option(&w, COAP_ECHO, echo);
    }
    if (!etag)
        coap_build_option(&w, COAP_ETAG, bytes_of(verdict->etag, verdict->etag_len));
    if (!hops)
        coap_build_uint(&w, COAP_HOP_LIMIT, (uint32_t)verdict->hop_limit);
    coap_build_payload(&w, message->payload);
    return coap_build_end(&w);
}
