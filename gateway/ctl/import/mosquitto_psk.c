/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/mosquitto_psk.h"

#include "dataplane/secure/psk_keys.h"
#include "policy/utf8.h"

#include <stdlib.h>
#include <string.h>

#define KEY_DIGITS_MIN 32u
#define HEX "0123456789abcdefABCDEF"

/* Why the gateway cannot take it; NULL: it can. */
static const char *unfit(const char *identity, size_t n, const char *key)
{
    size_t digits = strlen(key);
    if (n >= PSK_IDENTITY_MAX || !utf8_check(bytes_of(identity, n), UTF8_STRICT))
        return "the identity is longer than 127 bytes or not UTF-8";
    if (digits % 2 != 0)
        return "the key has an odd number of digits, of which it is not said which byte is short";
    if (digits < KEY_DIGITS_MIN)
        return "the key is shorter than 16 bytes and can be guessed; make another, on both sides";
    return digits > 2 * PSK_KEY_MAX ? "the key is longer than 64 bytes" : NULL;
}

/* True when the line is to be kept, or with `*failed` when it cannot be read. */
static bool judge(struct import_run *run, const char *file, uint32_t number, const char *line, bool *failed)
{
    const char *colon = strchr(line, ':');
    bool read =
        colon != NULL && colon != line && colon[1] != '\0' && strspn(colon + 1, HEX) == strlen(colon + 1);
    if (!read) {
        import_tell(run, DIAGNOSTIC_ERROR, file, number,
                    "the line is not 'identity:key in hex', with one colon and no blanks; correct it");
        *failed = true;
        return false;
    }
    const char *problem = unfit(line, (size_t)(colon - line), colon + 1);
    if (problem != NULL)
        import_tell(run, DIAGNOSTIC_WARNING, file, number, "%s; it is left out, and its client refused",
                    problem);
    return problem == NULL;
}

/* By identity: what stands before the colon. */
static int by_identity(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t n = strcspn(x, ":"), m = strcspn(y, ":");
    int order = memcmp(x, y, n < m ? n : m);
    return order != 0 ? order : n < m ? -1 : n > m;
}

static bool no_two(struct import_run *run, const char *file, const struct import_listener *listener)
{
    qsort(listener->psk, listener->psk_n, sizeof(*listener->psk), by_identity);
    for (uint32_t i = 1; i < listener->psk_n; i++)
        if (by_identity(&listener->psk[i - 1], &listener->psk[i]) == 0) {
            import_tell(run, DIAGNOSTIC_ERROR, file, 0, "identity '%.*s' has two keys; keep one",
                        (int)strcspn(listener->psk[i], ":"), listener->psk[i]);
            return false;
        }
    return true;
}

bool mosquitto_psk_parse(struct import_run *run, char *text, const char *file,
                         struct import_listener *listener)
{
    struct import_lines lines = {.at = text};
    uint32_t count = 1;
    size_t n;
    bool failed = false;
    for (const char *c = text; *c != '\0'; c++)
        count += *c == '\n';
    if (count > IMPORT_ENTRIES_MAX) {
        import_tell(run, DIAGNOSTIC_ERROR, file, 0, "there are more than %u lines; split the site",
                    IMPORT_ENTRIES_MAX);
        return false;
    }
    listener->psk = arena_take(run->arena, count * sizeof(*listener->psk));
    if (listener->psk == NULL)
        return false;
    listener->psk_n = 0;
    for (char *line; (line = import_next_line(&lines, &n)) != NULL;)
        if (n != 0 && line[0] != '#' && judge(run, file, lines.line, line, &failed))
            listener->psk[listener->psk_n++] = line;
    if (failed || !no_two(run, file, listener))
        return false;
    if (listener->psk_n != 0)
        return true;
    import_tell(run, DIAGNOSTIC_ERROR, file, 0, "no key is left that the gateway could take");
    return false;
}

bool mosquitto_psk_read(struct import_run *run, const struct mosquitto_path *path,
                        struct import_listener *listener)
{
    size_t n;
    char *text = import_read(run, path->text, path->at, &n);
    return text != NULL && mosquitto_psk_parse(run, text, path->text, listener);
}
