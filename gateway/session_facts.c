/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/session_facts.h"

static struct bytes copy(struct session_facts *out, struct bytes text)
{
    if (text.at == NULL)
        return text;
    if (text.len > SESSION_FACT_MAX || text.len > SESSION_FACTS_BYTES - out->used) {
        out->whole = false;
        return bytes_of(NULL, 0);
    }
    uint8_t *at = out->text + out->used;
    if (text.len != 0)
        memcpy(at, text.at, text.len);
    out->used += (uint32_t)text.len;
    return bytes_of(at, text.len);
}

void session_facts_take(struct session_facts *out, const struct client_facts *facts)
{
    out->found = true;
    out->whole = true;
    out->used = 0;
    out->facts = *facts;
    struct client_facts *f = &out->facts;
    f->listener = copy(out, facts->listener);
    f->port = copy(out, facts->port);
    f->client_id = copy(out, facts->client_id);
    f->user = copy(out, facts->user);
    f->cert_cn = copy(out, facts->cert_cn);
    f->cert_ou = copy(out, facts->cert_ou);
    f->psk_id = copy(out, facts->psk_id);
    f->cert_sans_n = 0;
    for (uint32_t i = 0; i < facts->cert_sans_n && i < CLIENT_SANS_MAX; i++) {
        struct bytes name = copy(out, facts->cert_san[i]);
        if (name.at != NULL)
            f->cert_san[f->cert_sans_n++] = name;
    }
}
