/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ocsp_ask = { ... } of a listener or an upstream (B4). */
#include "config/gateway_draft.h"

#include <string.h>

static const char *const mode_words[] = {"none", "soft", "hard", NULL};
static const char *const asking_words[] = {"soft", "hard", NULL};
static const char *const certificates_words[] = {"chain", "leaf", NULL};
#define ASKING .with = "mode", .with_words = asking_words

/* https is not spoken: an answer is signed, and who would verify that responder? */
static void set_responder(struct schema_read *read, const struct schema_value *value, void *into)
{
    static const char scheme[] = "http://";
    size_t n = strlen(scheme);
    const char *host = value->text + n;
    bool good = strncmp(value->text, scheme, n) == 0 && *host != 0 && *host != '/' && *host != ':' &&
                strchr(host, '@') == NULL;
    for (const char *at = value->text; *at != 0; at++)
        good = good && *at > ' ' && *at <= '~';
    if (good)
        ((struct config_ocsp *)into)->responder = value->text;
    else
        schema_refuse(read, value,
                      "a responder is http://HOST[:PORT][/PATH]; OCSP answers are signed, not encrypted");
}

static const struct schema_key ocsp_keys[] = {
    {.name = "mode",
     .type = SCHEMA_WORD,
     .words = mode_words,
     .fallback = "none",
     .example = "\"soft\"",
     SCHEMA_INTO(struct config_ocsp, mode)},
    {.name = "certificates",
     ASKING,
     .type = SCHEMA_WORD,
     .words = certificates_words,
     .fallback = "chain",
     .example = "\"leaf\"",
     SCHEMA_INTO(struct config_ocsp, leaf_only)},
    {.name = "responder",
     ASKING,
     .type = SCHEMA_TEXT,
     .max = 255,
     .example = "\"http://ocsp.example/\"",
     .set = set_responder},
    {.name = "cache",
     ASKING,
     .type = SCHEMA_DURATION,
     .min = 1000000,
     .max = INT64_C(7) * 86400 * 1000000,
     .fallback = "1h",
     SCHEMA_INTO(struct config_ocsp, cache_us)},
    {.name = "timeout",
     ASKING,
     .type = SCHEMA_DURATION,
     .min = 100000,
     .max = 9000000,
     .fallback = "3s",
     SCHEMA_INTO(struct config_ocsp, timeout_us)},
};
const struct schema_table gateway_ocsp_keys = {.what = "ocsp_ask", SCHEMA_KEYS(ocsp_keys)};
