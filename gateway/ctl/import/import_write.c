/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/import_write.h"

#include "policy/access/glob.h"

#include <string.h>

/* As libconfig reads it back. */
void import_write_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        if (*text == '\t') {
            fputs("\\t", to);
            continue;
        }
        if (*text == '"' || *text == '\\')
            fputc('\\', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

static void write_comment(FILE *to, const char *text)
{
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < 0x20 ? '?' : *text, to);
}

/* A glob that only this text matches. */
static bool write_glob(struct import_run *run, FILE *to, const char *text, const char *origin)
{
    char glob[3 * GLOB_PATTERN_MAX + 1];
    size_t n = 0;
    for (; *text != '\0' && n + 3 < sizeof(glob); text++) {
        bool special = strchr("*?[]{}", *text) != NULL;
        if (special)
            glob[n++] = '[';
        glob[n++] = *text;
        if (special)
            glob[n++] = ']';
    }
    glob[n] = '\0';
    if (*text != '\0' || n > GLOB_PATTERN_MAX || glob_check(bytes_of_text(glob)) != NULL) {
        import_tell(run, DIAGNOSTIC_ERROR, "import", 0,
                    "the name of '%.128s' cannot be written as a glob; change it", origin);
        return false;
    }
    import_write_string(to, glob);
    return true;
}

static void write_topic(FILE *to, const char *filter, const struct import_role *role)
{
    char text[4096 * 16];
    size_t n = 0;
    for (; *filter != '\0' && n + 16 < sizeof(text); filter++) {
        const char *piece = *filter == IMPORT_CLIENT_ID ? "${client_id}"
                            : *filter != IMPORT_USER    ? NULL
                            : role->by_certificate      ? "${cert.cn}"
                            : role->by_psk              ? "${psk.id}"
                                                        : "${user}";
        size_t length = piece == NULL ? 1 : strlen(piece);
        memcpy(text + n, piece == NULL ? filter : piece, length);
        n += length;
    }
    text[n] = '\0';
    import_write_string(to, text);
}

static bool write_match(struct import_run *run, FILE *to, const struct import_role *role)
{
    bool empty = role->listener == NULL && !role->needs_certificate && role->who == IMPORT_ANONYMOUS;
    bool good = true;
    fputs("match = { ", to);
    if (empty)
        fputs("any = true; ", to);
    if (role->listener != NULL) {
        fputs("listener = ", to);
        import_write_string(to, role->listener);
        fputs("; ", to);
    }
    if (role->by_certificate || role->needs_certificate) {
        fputs("cert_cn = ", to);
        if (role->by_certificate && role->who == IMPORT_NAMED)
            good = write_glob(run, to, role->user, role->origin);
        else
            fputs("\"*\"", to);
        fputs("; ", to);
    }
    if (!role->by_certificate && role->who != IMPORT_ANONYMOUS) {
        fputs(role->by_psk ? "psk_id = " : "user = ", to);
        if (role->who == IMPORT_NAMED)
            good = write_glob(run, to, role->user, role->origin) && good;
        else
            fputs("\"*\"", to);
        fputs("; ", to);
    }
    fputs("};", to);
    return good;
}

static void write_limits(FILE *to, const struct import_site *site, const struct import_role *role)
{
    uint32_t inflight = site->unlimited_inflight || site->max_inflight > 65535 ? 65535 : site->max_inflight;
    if (inflight != 0)
        fprintf(to, "    inflight = %u;\n", inflight);
    if (site->max_queued != 0)
        fprintf(to, "    queue = %u;\n", site->max_queued);
    if (site->expiry_s != 0)
        fprintf(to, "    session = { expiry = \"%us\"; };\n", site->expiry_s);
    for (uint32_t i = 0; role->listener != NULL && i < site->listeners_n; i++)
        if (strcmp(site->listeners[i].name, role->listener) == 0 && site->listeners[i].max_qos != 2)
            fprintf(to, "    max_qos = %u;\n", site->listeners[i].max_qos);
    if (site->packet_bytes == 0 && site->keepalive_max_s == 0)
        return;
    fputs("    limits = { ", to);
    if (site->packet_bytes != 0)
        fprintf(to, "packet = \"%uB\"; ", site->packet_bytes);
    if (site->keepalive_max_s != 0)
        fprintf(to, "keepalive = \"0s-%us\"; ", site->keepalive_max_s);
    fputs("};\n", to);
}

static const char *actions_text(uint8_t actions)
{
    return actions == IMPORT_BOTH      ? "[ \"publish\", \"subscribe\" ]"
           : actions == IMPORT_PUBLISH ? "\"publish\""
                                       : "\"subscribe\"";
}

static void write_rule(FILE *to, const struct import_site *site, const struct import_role *role,
                       uint32_t index, bool last)
{
    const struct import_entry *rule = &role->rules.at[index];
    bool publishes = (rule->actions & IMPORT_PUBLISH) != 0;
    fprintf(to, "      { id = \"%s.%u\"; %s = %s; topic = ", role->name, index + 1,
            rule->allow ? "allow" : "deny", actions_text(rule->actions));
    write_topic(to, rule->filter, role);
    if (rule->allow && publishes)
        fputs("; will = true", to);
    if (rule->allow && publishes && site->payload_max != 0)
        fprintf(to, "; payload_max = \"%uB\"", site->payload_max);
    fprintf(to, "; }%s   # ", last ? "" : ",");
    write_comment(to, rule->origin);
    fputc('\n', to);
}

/* mosquitto asks no pattern for names that hold '+' or '#'; a rule that names them has them refused. */
static void write_guard(FILE *to, const struct import_role *role)
{
    bool user = role->who == IMPORT_OTHERS;
    fprintf(to,
            "      { id = \"%s.names\"; deny = \"publish\"; topic = \"$import/${client_id}%s\"; },   # has "
            "names with '+', '#' or '/' "
            "refused, as patterns do\n",
            role->name,
            !user                  ? ""
            : role->by_certificate ? "/${cert.cn}"
            : role->by_psk         ? "/${psk.id}"
                                   : "/${user}");
}

static bool write_role(struct import_run *run, FILE *to, const struct import_site *site,
                       const struct import_role *role, bool last)
{
    bool good = true;
    fputs("  # ", to);
    write_comment(to, role->origin);
    fprintf(to, "\n  { name = \"%s\"; ", role->name);
    good = write_match(run, to, role);
    fputc('\n', to);
    if (role->client_id != NULL) {
        fputs("    client_id = ", to);
        good = write_glob(run, to, role->client_id, role->origin) && good;
        fputs(";\n", to);
    }
    if (role->trim)
        fputs("    subscribe_mode = \"filter\";\n", to);
    else if (role->except)
        fputs("    subscribe_mode = \"except\";\n", to);
    write_limits(to, site, role);
    fputs("    rules = (\n", to);
    if (role->has_patterns)
        write_guard(to, role);
    if (role->rules.n == 0)
        fprintf(to,
                "      { id = \"%s.none\"; deny = [ \"publish\", \"subscribe\" ]; topic = \"#\"; }   # "
                "nothing is granted\n",
                role->name);
    for (uint32_t i = 0; i < role->rules.n; i++)
        write_rule(to, site, role, i, i + 1 == role->rules.n);
    fprintf(to, "    ); }%s\n", last ? "" : ",");
    return good;
}

static const char policy_head[] =
    "# Read it before it is used: what comes out narrower than it was is in the warnings of the import. "
    "Besides:\n"
    "#   a client identifier with '/', or an empty one, is refused, and where there are patterns one with "
    "'+' or '#'\n"
    "#   one session at a time for an identity, and another place does not take it over (session.takeover)\n"
    "#   packets up to 256 KiB, keep-alive up to one hour, 64 subscriptions, 32 topic levels (limits)\n"
    "#   a Will that may not be published is refused when the client connects, not when it is due\n"
    "# The broker behind needs no rules of its own then, and must be reachable through the gateway only.\n";

static bool can_do_anything(const struct import_role *role)
{
    for (uint32_t i = 0; i < role->rules.n; i++)
        if (role->rules.at[i].allow)
            return true;
    return false;
}

bool import_write_policy(struct import_run *run, const struct import_site *site, const char *from,
                         const char *users_file, FILE *to, struct import_summary *summary)
{
    bool good = true;
    uint32_t last = UINT32_MAX;
    *summary = (struct import_summary){.roles = 0};
    for (uint32_t i = 0; i < site->roles_n; i++)
        if (can_do_anything(&site->roles[i]))
            last = i;
    /* A role that grants nothing keeps its clients from those behind it; behind the last that grants, nobody
     * is. */
    if (last == UINT32_MAX) {
        import_tell(run, DIAGNOSTIC_ERROR, from, 0,
                    "nobody may publish or receive anything by these rules; there is nothing to write");
        return false;
    }
    fputs("# Made by sallyportctl import from ", to);
    write_comment(to, from);
    fprintf(to, "\n%s", policy_head);
    if (users_file != NULL) {
        fputs("users_file = ", to);
        import_write_string(to, users_file);
        fputs(";\n", to);
    }
    fputs("roles = (\n", to);
    for (uint32_t i = 0; i <= last; i++) {
        const struct import_role *role = &site->roles[i];
        good = write_role(run, to, site, role, i == last) && good;
        summary->roles++;
        summary->rules += role->rules.n;
    }
    fputs(");\n", to);
    return import_write_tests(run, site, to, summary) && good && ferror(to) == 0;
}

/* ---- the gateway --------------------------------------------------------------------------------------- */

static void write_path(FILE *to, const char *key, const char *path)
{
    if (path == NULL)
        return;
    fprintf(to, " %s = ", key);
    import_write_string(to, path);
    fputc(';', to);
}

static void write_auth(FILE *to, const struct import_listener *listener)
{
    bool proved = listener->certificate_is_user || listener->key_is_user;
    const char *const words[] = {listener->require_certificate ? "cert" : NULL, listener->keys ? "psk" : NULL,
                                 listener->passwords && !proved ? "password" : NULL,
                                 listener->passwords && listener->anonymous && !proved ? "anonymous" : NULL};
    const char *before = " auth = [ ";
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i] != NULL) {
            fprintf(to, "%s\"%s\"", before, words[i]);
            before = ", ";
        }
    if (before[0] == ',')
        fputs(" ];", to);
}

static void write_listener(FILE *to, const struct import_listener *listener, bool last)
{
    fprintf(
        to,
        "  { name = \"%s\"; port = \"devices\"; protocol = \"mqtt\"; security = \"%s\"; listen = \":%u\";",
        listener->name, listener->tls ? "tls" : "none", listener->port);
    write_auth(to, listener);
    write_path(to, "certificate", listener->certificate);
    write_path(to, "key", listener->key);
    write_path(to, "client_ca", listener->client_ca);
    write_path(to, "crl", listener->crl);
    write_path(to, "psk_file", listener->psk_file);
    if (listener->tls)
        fprintf(to, " min_version = \"%s\";", listener->only_1_3 ? "1.3" : "1.2");
    fprintf(to, " upstream = \"broker\"; }%s   # ", last ? "" : ",");
    write_comment(to, listener->file);
    fprintf(to, ":%u%s", listener->line, listener->address != NULL ? ", was bound to " : "");
    write_comment(to, listener->address != NULL ? listener->address : "");
    fputc('\n', to);
}

static const char gateway_head[] =
    "\n# The ports, their addresses and the broker's are examples: write your own. The broker's own listener "
    "is the\n"
    "# upstream; it needs no users and no TLS when nothing but the gateway reaches it.\n"
    "schema = 1;\n"
    "gateway = { name = \"gateway\"; };\n"
    "dataplane = {\n"
    "  ports = ( { name = \"devices\"; device = \"af_packet:eth1\"; address = \"192.0.2.1/24\"; },\n"
    "            { name = \"broker\"; device = \"af_packet:eth2\"; address = \"198.51.100.1/24\"; next_hop = "
    "\"198.51.100.254\"; } ); };\n";

bool import_write_gateway(struct import_run *run, const struct import_site *site, const char *from,
                          const char *upstream, FILE *to)
{
    fputs("# Made by sallyportctl import from ", to);
    write_comment(to, from);
    fprintf(to, "%slisteners = (\n", gateway_head);
    for (uint32_t i = 0; i < site->listeners_n; i++) {
        const struct import_listener *listener = &site->listeners[i];
        if (listener->address != NULL &&
            (strncmp(listener->address, "127.", 4) == 0 || strcmp(listener->address, "::1") == 0))
            import_tell(run, DIAGNOSTIC_WARNING, listener->file, listener->line,
                        "the listener served only its own machine (%s); at the gateway it is on the devices' "
                        "network; leave "
                        "it out if nothing there needs it",
                        listener->address);
        write_listener(to, listener, i + 1 == site->listeners_n);
    }
    fputs(");\nupstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; servers = ", to);
    import_write_string(to, upstream != NULL ? upstream : "198.51.100.10:1883");
    fputs("; } );\n", to);
    return ferror(to) == 0;
}
