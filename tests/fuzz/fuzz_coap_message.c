/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any datagram, as a device's and as an upstream's: parsed, judged, rebuilt. What goes on must parse again,
 * to the same meaning, without anything that a guard refuses: judged once more it passes and is not changed.
 */
#include "policy/coap/guard.h"

#include <assert.h>

static struct acl *acl;

static void open_policy(void)
{
    static const struct acl_rule_spec rules[] = {{.id = "all",
                                                  .file = "f",
                                                  .line = 1,
                                                  .allow = true,
                                                  .actions = ((1 << ACL_ACTIONS) - 1) & ~3,
                                                  .topic = "#",
                                                  .retain = -1,
                                                  .will = -1},
                                                 {.id = "no",
                                                  .file = "f",
                                                  .line = 2,
                                                  .allow = false,
                                                  .actions = 1 << ACL_PUT,
                                                  .topic = "a/b",
                                                  .retain = -1,
                                                  .will = -1}};
    struct acl_problem problem;
    acl = acl_compile(rules, 2, NULL, 0, &problem);
    assert(acl != NULL);
}

static size_t judge(const struct coap_message *message, bool observed, struct coap_verdict *verdict,
                    uint8_t *to, size_t room)
{
    static const struct policy_limits limits = {
        .packet_bytes = 65536, .topic_levels = 16, .topic_bytes = 256};
    const struct policy_role role = {.name = "r", .acl = acl, .limits = limits};
    if (coap_kind_of(message->code) == COAP_KIND_REQUEST)
        coap_guard_request(&role, NULL, false, 5683, message, verdict);
    else
        coap_guard_response(message, observed, verdict);
    if (verdict->outcome != OUTCOME_ALLOWED)
        return 0;
    assert(verdict->path_len <= COAP_PATH_MAX);
    return coap_guard_rebuild(message, verdict, verdict->echo, (enum coap_type)message->type, message->mid,
                              message->token, message->token_len, to, room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct coap_message first, second;
    static struct coap_verdict verdict;
    static uint8_t once[COAP_MESSAGE_MAX], twice[COAP_MESSAGE_MAX];
    if (acl == NULL)
        open_policy();
    if (coap_parse(&first, bytes_of(data, size)) != COAP_PARSE_OK)
        return 0;
    enum coap_kind kind = coap_kind_of(first.code);
    if (kind != COAP_KIND_REQUEST && kind != COAP_KIND_RESPONSE)
        return 0;
    size_t n = judge(&first, true, &verdict, once, sizeof(once));
    if (n == 0)
        return 0;
    assert(n <= size); /* canonical is never longer */
    assert(coap_parse(&second, bytes_of(once, n)) == COAP_PARSE_OK);
    assert(second.code == first.code && second.mid == first.mid && second.payload.len == first.payload.len);
    for (uint32_t i = 0; i < second.options_n; i++)
        assert(second.options[i].number != COAP_PROXY_URI && second.options[i].number != COAP_PROXY_SCHEME &&
               second.options[i].number != COAP_URI_HOST && second.options[i].number != COAP_URI_PORT);
    if (verdict.hop_limit == 1)
        return 0; /* the next hop refuses it, as it must */
    size_t again = judge(&second, true, &verdict, twice, sizeof(twice));
    if (verdict.hop_limit < 0)
        assert(again == n && memcmp(once, twice, n) == 0);
    return 0;
}
