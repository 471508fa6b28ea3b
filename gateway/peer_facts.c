/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/peer_facts.h"

#include "policy/utf8.h"

static struct bytes fact(const char *text)
{
    struct bytes bytes = text == NULL ? bytes_of(NULL, 0) : bytes_of_text(text);
    return text != NULL && utf8_check(bytes, UTF8_STRICT) ? bytes : bytes_of(NULL, 0);
}

void peer_facts(const struct tls_peer *peer, struct client_facts *facts)
{
    facts->cert_cn = facts->cert_ou = facts->psk_id = bytes_of(NULL, 0);
    facts->cert_sans_n = 0;
    if (peer == NULL)
        return;
    facts->cert_cn = fact(peer->cn);
    facts->cert_ou = fact(peer->ou);
    facts->psk_id = fact(peer->psk_id);
    for (uint32_t i = 0; i < peer->sans_n && facts->cert_sans_n < CLIENT_SANS_MAX; i++) {
        struct bytes name = fact(peer->san[i]);
        if (name.at != NULL)
            facts->cert_san[facts->cert_sans_n++] = name;
    }
}
