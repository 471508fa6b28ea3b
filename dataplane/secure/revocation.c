/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/revocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 1000000u
#define REASON_REMOVE_FROM_CRL 8 /* RFC 5280 section 5.3.1 */

struct revocations {
    uint8_t (*keys)[CERTIFICATE_KEY_BYTES];
    uint32_t n;
    uint32_t room;
    int64_t next_update_s;
};

static bool fail(struct tls_error *error, const char *what)
{
    snprintf(error->text, sizeof(error->text), "revocation list %s", what);
    return false;
}

struct revocations *revocations_create(void)
{
    struct revocations *set = calloc(1, sizeof(*set));
    if (set != NULL)
        set->next_update_s = INT64_MAX;
    return set;
}

void revocations_destroy(struct revocations *set)
{
    if (set == NULL)
        return;
    free(set->keys);
    free(set);
}

static bool add_key(struct revocations *set, const struct der *issuer, const struct der *serial)
{
    if (set->n == set->room) {
        uint32_t room = set->room == 0 ? 64 : set->room * 2;
        void *keys = set->n >= ENTRIES_MAX ? NULL : realloc(set->keys, (size_t)room * CERTIFICATE_KEY_BYTES);
        if (keys == NULL)
            return false;
        set->keys = keys;
        set->room = room;
    }
    certificate_key(issuer, serial, set->keys[set->n++]);
    return true;
}

/* ---- extensions ---------------------------------------------------------------------------------------- */

/* One Extension; `id` is the last octet of 2.5.29.id, 0: another. */
static bool take_extension(struct der *from, uint8_t *id, bool *critical, struct der *value)
{
    struct der extension, oid, flag;
    *critical = false;
    if (!der_take(from, DER_SEQUENCE, &extension, NULL) || !der_take(&extension, DER_OID, &oid, NULL))
        return false;
    if (der_next(&extension) == 0x01) {
        if (!der_take(&extension, 0x01, &flag, NULL) || flag.left != 1)
            return false;
        *critical = flag.at[0] != 0;
    }
    *id = oid.left == 3 && oid.at[0] == 0x55 && oid.at[1] == 0x1D ? oid.at[2] : 0;
    return der_take(&extension, DER_OCTET_STRING, value, NULL) && extension.left == 0;
}

/* crlExtensions: what is critical changes the meaning of the list (deltaCRLIndicator, issuing distribution
 * point), and none of that is understood here. */
static bool list_extensions_good(struct der *tbs)
{
    struct der tagged, extensions, value;
    uint8_t id;
    bool critical;
    if (tbs->left == 0)
        return true;
    if (!der_take(tbs, DER_CONSTRUCTED(0), &tagged, NULL) || tbs->left != 0 ||
        !der_take(&tagged, DER_SEQUENCE, &extensions, NULL))
        return false;
    while (extensions.left > 0)
        if (!take_extension(&extensions, &id, &critical, &value) || critical)
            return false;
    return true;
}

/* crlEntryExtensions. `removed`: the entry says that the certificate is good again. */
static bool entry_extensions_good(struct der *entry, bool *removed)
{
    struct der extensions, value, reason;
    uint8_t id;
    bool critical;
    if (entry->left == 0)
        return true;
    if (!der_take(entry, DER_SEQUENCE, &extensions, NULL) || entry->left != 0)
        return false;
    while (extensions.left > 0) {
        if (!take_extension(&extensions, &id, &critical, &value) || critical) /* certificateIssuer is */
            return false;
        if (id == 21 && der_take(&value, DER_ENUMERATED, &reason, NULL) && reason.left == 1)
            *removed = reason.at[0] == REASON_REMOVE_FROM_CRL;
    }
    return true;
}

/* ---- lists --------------------------------------------------------------------------------------------- */

static bool add_entries(struct revocations *set, const struct der *issuer, struct der entries,
                        struct tls_error *error)
{
    while (entries.left > 0) {
        struct der entry, serial;
        int64_t when;
        bool removed = false;
        if (!der_take(&entries, DER_SEQUENCE, &entry, NULL) ||
            !der_take(&entry, DER_INTEGER, &serial, NULL) || !certificate_time(&entry, &when))
            return fail(error, "is malformed");
        if (!entry_extensions_good(&entry, &removed))
            return fail(error, "holds an entry with an extension that is not understood");
        if (!removed && !add_key(set, issuer, &serial))
            return fail(error, "is too large");
    }
    return true;
}

bool revocations_add(struct revocations *set, const uint8_t *der, size_t n, struct tls_error *error)
{
    struct der all = der_of(der, n);
    struct der body, tbs, issuer;
    struct der entries = {NULL, 0};
    int64_t this_update, next_update = INT64_MAX;
    if (!der_take(&all, DER_SEQUENCE, &body, NULL) || all.left != 0 ||
        !der_take(&body, DER_SEQUENCE, &tbs, NULL) || !der_skip(&tbs, DER_INTEGER) ||
        !der_take(&tbs, DER_SEQUENCE, NULL, NULL) || !der_take(&tbs, DER_SEQUENCE, NULL, &issuer) ||
        !certificate_time(&tbs, &this_update))
        return fail(error, "is malformed");
    uint8_t next = der_next(&tbs);
    if ((next == DER_UTC_TIME || next == DER_GENERALIZED_TIME) && !certificate_time(&tbs, &next_update))
        return fail(error, "is malformed");
    if (der_next(&tbs) == DER_SEQUENCE && !der_take(&tbs, DER_SEQUENCE, &entries, NULL))
        return fail(error, "is malformed");
    if (!list_extensions_good(&tbs))
        return fail(error, "is a delta or indirect list, or has an extension that is not understood");
    if (next_update < set->next_update_s)
        set->next_update_s = next_update;
    return add_entries(set, &issuer, entries, error);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, CERTIFICATE_KEY_BYTES);
}

void revocations_seal(struct revocations *set)
{
    if (set->n > 1)
        qsort(set->keys, set->n, CERTIFICATE_KEY_BYTES, compare);
}

bool revocations_hold(const struct revocations *set, const struct tls_peer *peer)
{
    if (set == NULL || set->n == 0)
        return false;
    for (uint32_t i = 0; i < peer->chain_n; i++)
        if (bsearch(peer->chain[i], set->keys, set->n, CERTIFICATE_KEY_BYTES, compare) != NULL)
            return true;
    return false;
}

uint32_t revocations_count(const struct revocations *set)
{
    return set == NULL ? 0 : set->n;
}

int64_t revocations_next_update_s(const struct revocations *set)
{
    return set == NULL ? INT64_MAX : set->next_update_s;
}
