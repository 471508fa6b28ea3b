/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/scan.h"

#include "config/units.h"

#include <stdlib.h>
#include <string.h>

enum token_kind {
    TOKEN_START = 0, /* nothing yet */
    TOKEN_NAME,
    TOKEN_EQUALS,
    TOKEN_STRING,
    TOKEN_PLAIN, /* number or boolean */
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
};

struct token {
    enum token_kind kind;
    const char *at;
    size_t len;
    uint32_t line;
};

struct scan_name {
    const char *at;
    size_t len;
    struct config_origin origin;
};

struct scan_frame {
    char open; /* '{', '(' or '['; '{' for the file itself */
    struct config_origin origin;
    uint32_t names_from;
};

struct scan {
    struct source *into;
    struct diagnostics *d;
    scan_include *include;
    void *owner;
    bool failed;
    bool lost;  /* brackets do not fit: no use to go on */
    bool quiet; /* an error was told for this setting; wait for the next */
    struct token previous;
    uint32_t newlines; /* not yet passed on */
    uint32_t values;
    uint32_t depth;
    struct scan_frame frame[SCAN_DEPTH_MAX + 1];
    uint32_t names_n;
    struct scan_name name[(SCAN_DEPTH_MAX + 1) * SCAN_NAMES_MAX];
};

/* One file while it is read. */
struct reader {
    struct scan *scan;
    const char *file;
    const char *at;
    const char *end;
    const char *line_start;
    uint32_t line;
};

#define fail(r, where, ...)                                                                                  \
    do {                                                                                                     \
        (r)->scan->failed = true;                                                                            \
        diagnostics_add((r)->scan->d, DIAGNOSTIC_ERROR, (r)->file, where, __VA_ARGS__);                      \
    } while (0)

/* ---- characters to tokens ------------------------------------------------------------------------------ */

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_name_start(c) || is_digit(c) || c == '-' || c == '_';
}

static void take_newline(struct reader *r)
{
    r->line++;
    r->scan->newlines++;
    r->at++;
    r->line_start = r->at;
}

static void skip_line_comment(struct reader *r)
{
    while (r->at < r->end && *r->at != '\n') {
        if (*r->at == '\r' && r->end - r->at > 1 && r->at[1] != '\n') {
            fail(r, r->line,
                 "a comment here ends with a lone carriage return; save the file with lines that end in LF");
            r->at = r->end;
            return;
        }
        r->at++;
    }
}

static void skip_block_comment(struct reader *r)
{
    uint32_t opened = r->line;
    r->at += 2;
    while (r->at < r->end) {
        if (r->end - r->at > 1 && r->at[0] == '*' && r->at[1] == '/') {
            r->at += 2;
            return;
        }
        if (*r->at == '\n')
            take_newline(r);
        else
            r->at++;
    }
    fail(r, opened, "syntax error; the comment that begins here is never closed; write '*/' at its end");
}

static bool skip_blank(struct reader *r)
{
    char c = *r->at;
    char after = r->end - r->at > 1 ? r->at[1] : '\0';
    if (c == '\n')
        take_newline(r);
    else if (c == ' ' || c == '\t' || c == '\r' || c == '\f')
        r->at++;
    else if (c == '#' || (c == '/' && after == '/'))
        skip_line_comment(r);
    else if (c == '/' && after == '*')
        skip_block_comment(r);
    else
        return false;
    return true;
}

static bool check_escape(struct reader *r, const char *at)
{
    if (at[1] == 'x' && r->end - at > 3) {
        static const char hex[] = "0123456789abcdefABCDEF";
        if (at[2] == '0' && at[3] == '0') {
            fail(r, r->line, "a string may not hold NUL (\\x00); remove it");
            return false;
        }
        if (memchr(hex, at[2], sizeof(hex) - 1) != NULL && memchr(hex, at[3], sizeof(hex) - 1) != NULL)
            return true;
    } else if (memchr("\\\"nrtf", at[1], 6) != NULL) {
        return true;
    }
    fail(r, r->line, "unknown escape '\\%c' in a string; a backslash itself is written '\\\\'",
         at[1] >= 0x20 && at[1] < 0x7F ? at[1] : '?');
    return false;
}

static void take_string(struct reader *r, struct token *token)
{
    bool told = false;
    token->kind = TOKEN_STRING;
    for (r->at++; r->at < r->end && *r->at != '"' && *r->at != '\n'; r->at++) {
        if (*r->at == '\\' && r->end - r->at > 1 && r->at[1] != '\n') {
            told = told || !check_escape(r, r->at);
            r->at++;
        }
    }
    if (r->at < r->end && *r->at == '"') {
        r->at++;
        return;
    }
    fail(r, token->line,
         "syntax error; a string that begins here is not closed on its line; write '\"' where it ends");
    r->scan->quiet = true;
}

/* True for "12", "-3", "0x1F", "7L"; what libconfig would wrap is told here. */
static bool check_integer(struct reader *r, const struct token *token)
{
    const char *at = token->at, *end = at + token->len;
    bool negative = *at == '-';
    unsigned int base = 10;
    uint64_t value = 0;
    if (*at == '-' || *at == '+')
        at++;
    if (end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        base = 16;
        at += 2;
    }
    while (end - at > 1 && end[-1] == 'L')
        end--;
    if (at == end)
        return false;
    for (; at < end; at++) {
        unsigned int digit =
            is_digit(*at) ? (unsigned int)(*at - '0') : (unsigned int)((*at | 0x20) - 'a') + 10;
        if (digit >= base)
            return false;
        value = value > UINT32_MAX ? value : value * base + digit;
    }
    if (value > (uint64_t)INT32_MAX + (negative ? 1 : 0)) {
        fail(r, token->line,
             "the number %.*s is too large; numbers end at 2147483647; sizes, times and rates are written "
             "with "
             "a unit in quotes, such as \"64KiB\"",
             (int)(token->len > 40 ? 40 : token->len), token->at);
        r->scan->quiet = true;
    }
    return true;
}

static bool is_float(const struct token *token)
{
    for (size_t i = 0; i < token->len; i++)
        if (!is_digit(token->at[i]) && memchr("+-.eE", token->at[i], 5) == NULL)
            return false;
    return true;
}

static void take_plain(struct reader *r, struct token *token)
{
    token->kind = TOKEN_PLAIN;
    while (r->at < r->end && (is_name(*r->at) || *r->at == '.' || *r->at == '+' || *r->at == '/')) {
        bool comment = *r->at == '/' && r->end - r->at > 1 && (r->at[1] == '/' || r->at[1] == '*');
        if (comment)
            break;
        r->at++;
    }
    token->len = (size_t)(r->at - token->at);
    if (check_integer(r, token) || is_float(token))
        return;
    fail(r, token->line, "syntax error; %.*s stands in quotes: \"%.*s\"",
         (int)(token->len > 40 ? 40 : token->len), token->at, (int)(token->len > 40 ? 40 : token->len),
         token->at);
    r->scan->quiet = true;
}

/* "a.b = 1": what libconfig's own paths look like, but not in a file. */
static void take_dots(struct reader *r, const struct token *token)
{
    while (r->at < r->end && (is_name(*r->at) || *r->at == '.'))
        r->at++;
    fail(r, token->line,
         "syntax error; a name holds no '.'; text stands in quotes, and a.b = 1; is written a = { b = 1; };");
    r->scan->quiet = true;
}

static bool is_boolean(const struct token *token)
{
    return (token->len == 4 && strncasecmp(token->at, "true", 4) == 0) ||
           (token->len == 5 && strncasecmp(token->at, "false", 5) == 0);
}

static bool at_line_start(const struct reader *r)
{
    for (const char *c = r->line_start; c < r->at; c++)
        if (*c != ' ' && *c != '\t')
            return false;
    return true;
}

static void take_include(struct reader *r)
{
    static const char word[] = "@include";
    size_t len = sizeof(word) - 1;
    uint32_t line = r->line;
    const char *at = r->at;
    bool good = at_line_start(r) && (size_t)(r->end - at) > len && memcmp(at, word, len) == 0;
    at += good ? len : 0;
    while (good && at < r->end && (*at == ' ' || *at == '\t'))
        at++;
    const char *quote =
        good && at < r->end && *at == '"' ? memchr(at + 1, '"', (size_t)(r->end - at - 1)) : NULL;
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *line_end = newline == NULL ? r->end : newline;
    if (quote == NULL || quote > line_end || quote == at + 1) {
        fail(r, line, "syntax error; '@' begins only a line of the form @include \"FILE\"");
        r->at = line_end;
        return;
    }
    char *name = strndup(at + 1, (size_t)(quote - at - 1));
    r->at = quote + 1;
    r->scan->newlines = 0;
    struct config_origin origin = {.file = r->file, .line = line};
    if (name == NULL || !r->scan->include(r->scan->owner, r->scan, name, origin))
        r->scan->failed = r->scan->lost = true;
    free(name);
    r->scan->newlines = 0;
    origin.line = r->line;
    source_begin_part(r->scan->into, origin);
}

/* False at the end of the file. */
static bool next_token(struct reader *r, struct token *token)
{
    for (;;) {
        while (r->at < r->end && skip_blank(r))
            ;
        if (r->at >= r->end || r->scan->lost)
            return false;
        char c = *r->at;
        *token = (struct token){.at = r->at, .line = r->line};
        if (c == '@') {
            take_include(r);
            continue;
        }
        if (is_name_start(c)) {
            while (r->at < r->end && is_name(*r->at))
                r->at++;
            token->len = (size_t)(r->at - token->at);
            if (r->at < r->end && *r->at == '.')
                take_dots(r, token);
            token->kind = is_boolean(token) ? TOKEN_PLAIN : TOKEN_NAME;
            return true;
        }
        if (c == '"') {
            take_string(r, token);
        } else if (is_digit(c) || c == '-' || c == '+' || c == '.') {
            take_plain(r, token);
        } else {
            token->kind = c == '=' || c == ':'               ? TOKEN_EQUALS
                          : c == '{' || c == '(' || c == '[' ? TOKEN_OPEN
                          : c == '}' || c == ')' || c == ']' ? TOKEN_CLOSE
                          : c == ','                         ? TOKEN_COMMA
                          : c == ';'                         ? TOKEN_SEMICOLON
                                                             : TOKEN_START;
            r->at++;
        }
        token->len = (size_t)(r->at - token->at);
        if (token->kind != TOKEN_START)
            return true;
        if (!r->scan->quiet)
            fail(r, r->line, "syntax error; the character '%c' has no meaning here; text stands in quotes",
                 c >= 0x20 && c < 0x7F ? c : '?');
        r->scan->quiet = true;
    }
}

/* ---- tokens to settings -------------------------------------------------------------------------------- */

static bool is_value(enum token_kind kind)
{
    return kind == TOKEN_STRING || kind == TOKEN_PLAIN || kind == TOKEN_CLOSE;
}

static void syntax(struct reader *r, uint32_t line, const char *what)
{
    if (!r->scan->quiet)
        fail(r, line, "syntax error; %s", what);
    r->scan->failed = true;
    r->scan->quiet = true;
}

static void check_in_group(struct reader *r, const struct token *token)
{
    enum token_kind before = r->scan->previous.kind;
    switch (token->kind) {
    case TOKEN_NAME:
        if (before == TOKEN_EQUALS)
            syntax(r, token->line, "text stands in quotes: name = \"value\"");
        else if (before == TOKEN_NAME)
            syntax(r, token->line, "'=' is missing between a name and its value");
        break;
    case TOKEN_EQUALS:
        if (before != TOKEN_NAME)
            syntax(r, token->line,
                   "there is no name before '='; a name is letters, digits, '-' and '_', and "
                   "begins with a letter");
        break;
    case TOKEN_STRING:
    case TOKEN_PLAIN:
    case TOKEN_OPEN:
        if (before == TOKEN_NAME)
            syntax(r, token->line, "'=' is missing between a name and its value");
        else if (before != TOKEN_EQUALS && !(before == TOKEN_STRING && token->kind == TOKEN_STRING))
            syntax(r, token->line, "a value here has no name; settings in { } are written name = value;");
        break;
    case TOKEN_CLOSE:
        if (before == TOKEN_NAME || before == TOKEN_EQUALS)
            syntax(r, token->line, "a name here has no value; write name = value;");
        break;
    default:
        if (before == TOKEN_NAME || before == TOKEN_EQUALS)
            syntax(r, token->line, "a name here has no value; write name = value;");
        else if (!is_value(before))
            syntax(r, token->line, "a ';' or ',' stands where no setting ends; remove it");
        break;
    }
}

static void check_in_list(struct reader *r, const struct token *token)
{
    const struct token *before = &r->scan->previous;
    switch (token->kind) {
    case TOKEN_NAME:
        syntax(r, token->line, "text in a list stands in quotes, and name = value; belongs in { }");
        break;
    case TOKEN_EQUALS:
        syntax(r, token->line,
               "'=' has no place between the entries of a list; name = value; belongs in { }");
        break;
    case TOKEN_SEMICOLON:
        syntax(r, token->line, "the entries of a list are parted by ',', not ';'");
        break;
    case TOKEN_COMMA:
        if (!is_value(before->kind))
            syntax(r, token->line, "a ',' stands where no entry ends; remove it");
        break;
    case TOKEN_CLOSE:
        if (before->kind == TOKEN_COMMA && before->line != token->line && !r->scan->quiet) {
            fail(r, token->line,
                 "syntax error; a list may not end with ',' (found on line %u); remove that comma",
                 before->line);
            r->scan->quiet = true;
        } else if (before->kind == TOKEN_COMMA) {
            syntax(r, token->line, "a list may not end with ','; remove that comma");
        }
        break;
    default:
        if (is_value(before->kind))
            syntax(r, token->line, "',' is missing between two entries of a list");
        else if (token->kind == TOKEN_OPEN && r->scan->frame[r->scan->depth].open == '[')
            syntax(r, token->line, "[ ] holds plain values only; a list of groups or lists is written ( )");
        break;
    }
}

static void remember_name(struct reader *r, const struct token *token)
{
    struct scan *scan = r->scan;
    uint32_t from = scan->frame[scan->depth].names_from;
    for (uint32_t i = from; i < scan->names_n; i++) {
        const struct scan_name *other = &scan->name[i];
        if (other->len != token->len || memcmp(other->at, token->at, token->len) != 0)
            continue;
        bool here = strcmp(other->origin.file, r->file) == 0;
        fail(r, token->line, "'%.*s' is set twice in one group; the first is on line %u%s%s; remove one",
             (int)(token->len > 64 ? 64 : token->len), token->at, other->origin.line, here ? "" : " of ",
             here ? "" : other->origin.file);
        return;
    }
    if (scan->names_n - from == SCAN_NAMES_MAX) {
        fail(r, token->line, "more than %d settings in one group; split it", SCAN_NAMES_MAX);
        scan->lost = true;
        return;
    }
    scan->name[scan->names_n++] = (struct scan_name){
        .at = token->at, .len = token->len, .origin = {.file = r->file, .line = token->line}};
}

static void open_frame(struct reader *r, const struct token *token)
{
    struct scan *scan = r->scan;
    if (scan->depth == SCAN_DEPTH_MAX) {
        fail(r, token->line, "brackets are nested more than %d deep; is one not closed?", SCAN_DEPTH_MAX);
        scan->lost = true;
        return;
    }
    scan->frame[++scan->depth] = (struct scan_frame){
        .open = *token->at, .origin = {.file = r->file, .line = token->line}, .names_from = scan->names_n};
}

static void close_frame(struct reader *r, const struct token *token, uint32_t floor)
{
    struct scan *scan = r->scan;
    const struct scan_frame *frame = &scan->frame[scan->depth];
    char wanted = frame->open == '{' ? '}' : frame->open == '(' ? ')' : ']';
    if (scan->depth == floor) {
        fail(r, token->line, "syntax error; '%c' closes nothing; remove it", *token->at);
        scan->lost = true;
    } else if (*token->at != wanted) {
        fail(r, token->line,
             "syntax error; '%c' does not close the '%c' of line %u; a '%c' is missing before it", *token->at,
             frame->open, frame->origin.line, wanted);
        scan->lost = true;
    } else {
        scan->names_n = frame->names_from;
        scan->depth--;
    }
}

static void pass_on(struct scan *scan, const struct token *token)
{
    bool ends = token->kind == TOKEN_COMMA || token->kind == TOKEN_SEMICOLON ||
                (token->kind == TOKEN_CLOSE && *token->at != '}');
    if (!ends) {
        for (; scan->newlines != 0; scan->newlines--)
            source_put(scan->into, "\n", 1);
        source_put(scan->into, " ", 1);
    }
    source_put(scan->into, token->at, token->len);
}

static void take_token(struct reader *r, const struct token *token, uint32_t floor)
{
    struct scan *scan = r->scan;
    bool in_group = scan->frame[scan->depth].open == '{';
    if (in_group && token->kind == TOKEN_NAME && is_value(scan->previous.kind) &&
        token->line != scan->previous.line)
        scan->quiet = false; /* a new setting, whatever came before */
    if (in_group)
        check_in_group(r, token);
    else
        check_in_list(r, token);
    if (token->kind == TOKEN_NAME && in_group && !scan->quiet)
        remember_name(r, token);
    else if (token->kind == TOKEN_OPEN)
        open_frame(r, token);
    else if (token->kind == TOKEN_CLOSE)
        close_frame(r, token, floor);
    if ((token->kind == TOKEN_STRING || token->kind == TOKEN_PLAIN || token->kind == TOKEN_OPEN) &&
        ++scan->values > SCAN_VALUES_MAX) {
        fail(r, token->line, "there are more than %d values; let one role serve many devices",
             SCAN_VALUES_MAX);
        scan->lost = true;
    }
    if (token->kind >= TOKEN_OPEN)
        scan->quiet = false;
    scan->previous = *token;
    if (!scan->failed)
        pass_on(scan, token);
}

bool scan_file(struct scan *scan, const char *file, const char *text, size_t len)
{
    struct reader r = {
        .scan = scan, .file = file, .at = text, .end = text + len, .line_start = text, .line = 1};
    uint32_t floor = scan->depth;
    struct token token;
    source_begin_part(scan->into, (struct config_origin){.file = file, .line = 1});
    while (next_token(&r, &token))
        take_token(&r, &token, floor);
    if (!scan->lost && scan->depth > floor) {
        const struct scan_frame *frame = &scan->frame[scan->depth];
        fail(&r, frame->origin.line, "syntax error; the '%c' that opens here is never closed", frame->open);
        scan->lost = true;
    }
    if (!scan->lost && floor == 0 &&
        (scan->previous.kind == TOKEN_NAME || scan->previous.kind == TOKEN_EQUALS))
        syntax(&r, scan->previous.line, "the file ends where a value is expected");
    return !scan->failed;
}

struct scan *scan_create(struct source *into, struct diagnostics *d, scan_include *include, void *owner)
{
    struct scan *scan = calloc(1, sizeof(*scan));
    if (scan == NULL)
        return NULL;
    scan->into = into;
    scan->d = d;
    scan->include = include;
    scan->owner = owner;
    scan->frame[0].open = '{';
    return scan;
}

void scan_destroy(struct scan *scan)
{
    free(scan);
}
