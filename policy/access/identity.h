/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who a client is (C1, C3): from the facts of a connection to a role, an identity name, and the values of the
 * role's variables.
 *
 * The first role whose conditions all hold wins. Captures of the globs that matched become variables, beside
 * ${client_id}, ${user}, ${cert.cn}, ${cert.ou}, ${cert.san}, ${psk.id}, ${id}, ${mac}, ${source},
 * ${listener} and ${var.NAME} (of the device, else of the role). Of a certificate's alternative names any may
 * fit match.cert_san; ${cert.san} is the one that did, else the first. A fact that is absent (at == NULL)
 * fits no glob, not even
 * '*'; a variable without a value matches nothing. A value that is put into a topic and holds '+', '#', '/'
 * or a control character, or begins with '$', is refused (UNSAFE_VARIABLE); so is a name with '/' or a
 * control character, since names stand in paths of files.
 *
 * A device of the table is bound to what its entry tells: MAC, VLAN, addresses, client id, user. What does
 * not fit is IDENTITY_MISMATCH, with the part that does not fit; so is a listed device that comes from a MAC
 * or address of another listed one (unless both entries tell it). The identity copies what it needs, so it
 * outlives the packet; on a new policy generation it is made anew from the same facts. Any thread; nothing is
 * allocated.
 */
#ifndef POLICY_ACCESS_IDENTITY_H
#define POLICY_ACCESS_IDENTITY_H

#include "policy/access/glob.h"
#include "policy/access/snapshot.h"

#define IDENTITY_NAME_MAX 127
#define IDENTITY_TEXT_BYTES 384
#define CLIENT_SANS_MAX 8

/* The part of a device's entry that a client does not fit. */
enum identity_part {
    IDENTITY_PART_NONE = 0,
    IDENTITY_PART_MAC,
    IDENTITY_PART_VLAN,
    IDENTITY_PART_ADDRESS,
    IDENTITY_PART_CLIENT_ID,
    IDENTITY_PART_USER,
    IDENTITY_PART_MAC_OF_ANOTHER,
    IDENTITY_PART_ADDRESS_OF_ANOTHER,
    IDENTITY_PARTS,
};

struct client_facts {
    struct bytes listener; /* its name */
    struct bytes port;     /* name of the port */
    uint16_t vlan;
    bool has_mac;
    uint8_t mac[6];
    uint8_t source[16]; /* IPv4-mapped */
    struct bytes client_id;
    struct bytes user; /* at == NULL: none given */
    struct bytes cert_cn;
    struct bytes cert_ou;
    uint32_t cert_sans_n; /* at most CLIENT_SANS_MAX */
    struct bytes cert_san[CLIENT_SANS_MAX];
    struct bytes psk_id;
};

struct identity {
    const struct policy_role *role;     /* lives as long as the snapshot of `generation` */
    const struct policy_device *device; /* entry of the device table, or NULL */
    uint32_t generation;
    enum identity_part mismatch; /* with IDENTITY_MISMATCH */
    uint16_t name_len;
    char name[IDENTITY_NAME_MAX + 1]; /* ${id}: names certificate files, buckets, events */
    struct acl_values values;         /* point into text[] */
    uint16_t text_used;
    uint8_t text[IDENTITY_TEXT_BYTES];
};

/*
 * Fills in `out`, whose address must not change afterwards (values point into it). OUTCOME_ALLOWED, or
 * NO_ROLE, CLIENT_ID_MISMATCH, IDENTITY_MISMATCH (what the device table tells), QUARANTINED,
 * UNSAFE_VARIABLE, BAD_CLIENT_ID (no name comes of it, or one that is too long). On a refusal role, device
 * and name are set as far as they are known, for the event.
 */
enum outcome identity_resolve(const struct snapshot *snapshot, const struct client_facts *facts,
                              struct identity *out);

/*
 * Tells every variable that templates of the identity's role could use, whether its rules do so now or not,
 * by the name that templates have for it: of the connection, of captures, and of the role's and the device's
 * `vars`. Variables without a value are left out. `identity` was resolved under this snapshot, from these
 * facts, with ALLOWED; name and value are borrowed for the call.
 */
void identity_variables(const struct snapshot *snapshot, const struct client_facts *facts,
                        const struct identity *identity,
                        void (*each)(void *owner, struct bytes name, struct bytes value), void *owner);

/* What a role asks of a client and does not find: for explain. */
struct identity_unmet {
    const char *what; /* "match.client_id", "client_id"... */
    char asked[GLOB_PATTERN_MAX + 1];
    char is[GLOB_PATTERN_MAX + 1]; /* empty: not known */
};

/* The first of a role's conditions that does not hold, as far as `match` goes; false when all hold. */
bool identity_unmet(const struct snapshot *snapshot, uint32_t role, const struct client_facts *facts,
                    struct identity_unmet *out);

/* A sentence for events: "the MAC is not the one of the device table". */
const char *identity_part_text(enum identity_part part);

#endif
