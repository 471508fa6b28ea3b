/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a file's bytes to libconfig's tree: text, source, scan and load (G1). */
#include "config/load.h"
#include "config/scan.h"
#include "config/text.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

#include <time.h>

/* What loading "x.conf" tells, after the tree when `tree` asks for it. */
static char rig_tree[8192];

static void put_tree(const struct load *load, const config_setting_t *setting, size_t *used)
{
    struct config_origin at = load_origin(load, setting);
    const char *name = config_setting_name(setting);
    int n = snprintf(rig_tree + *used, sizeof(rig_tree) - *used, "%s:%u %s", at.file, at.line,
                     name != NULL ? name : "-");
    *used += (size_t)n;
    if (config_setting_type(setting) == CONFIG_TYPE_STRING)
        *used += (size_t)snprintf(rig_tree + *used, sizeof(rig_tree) - *used, "=%s",
                                  config_setting_get_string(setting));
    else if (config_setting_is_number(setting))
        *used += (size_t)snprintf(rig_tree + *used, sizeof(rig_tree) - *used, "=%lld",
                                  config_setting_get_int64(setting));
    *used += (size_t)snprintf(rig_tree + *used, sizeof(rig_tree) - *used, "\n");
    for (int i = 0; config_setting_is_aggregate(setting) && i < config_setting_length(setting); i++)
        put_tree(load, config_setting_get_elem(setting, (unsigned int)i), used);
}

static const char *told_of(const char *name)
{
    struct diagnostics *d = diagnostics_create();
    struct load *load = load_file(rig_path(name), name, rig_home, d);
    CU_ASSERT_EQUAL(load == NULL, diagnostics_errors(d) != 0);
    rig_tree[0] = '\0';
    size_t used = 0;
    if (load != NULL)
        put_tree(load, load_root(load), &used);
    load_destroy(load);
    const char *told = rig_told(d);
    diagnostics_destroy(d);
    return told;
}

static void mistakes(void)
{
    static const struct {
        const char *text;
        const char *told;
    } cases[] = {
        {"a = 5000000000;", /* libconfig 1.5: 705032704 */
         "x.conf:1: error: the number 5000000000 is too large; numbers end at 2147483647; sizes, times and "
         "rates are "
         "written with a unit in quotes, such as \"64KiB\"\n"},
        {"a = 2147483648;",
         "x.conf:1: error: the number 2147483648 is too large; numbers end at 2147483647; sizes, times "
         "and rates are written with a unit in quotes, such as \"64KiB\"\n"},
        {"a = 0xFFFFFFFF;",
         "x.conf:1: error: the number 0xFFFFFFFF is too large; numbers end at 2147483647; sizes, times "
         "and rates are written with a unit in quotes, such as \"64KiB\"\n"},
        {"a = -2147483649;",
         "x.conf:1: error: the number -2147483649 is too large; numbers end at 2147483647; sizes, "
         "times and rates are written with a unit in quotes, such as \"64KiB\"\n"},
        {"a = 99999999999999999999L;", "x.conf:1: error: the number 99999999999999999999L is too large; "
                                       "numbers end at 2147483647; sizes, times and "
                                       "rates are written with a unit in quotes, such as \"64KiB\"\n"},
        {"a = 64KiB;", "x.conf:1: error: syntax error; 64KiB stands in quotes: \"64KiB\"\n"},
        {"a = 20/s;", "x.conf:1: error: syntax error; 20/s stands in quotes: \"20/s\"\n"},
        {"a = 10.0.0.1/8;", "x.conf:1: error: syntax error; 10.0.0.1/8 stands in quotes: \"10.0.0.1/8\"\n"},
        {"a = 0x;", "x.conf:1: error: syntax error; 0x stands in quotes: \"0x\"\n"},
        {"a = enforce;", "x.conf:1: error: syntax error; text stands in quotes: name = \"value\"\n"},
        {"a = ( 1,\n2,\n);", /* operators' surface 2.6 */
         "x.conf:3: error: syntax error; a list may not end with ',' (found on line 2); remove that comma\n"},
        {"a = ( 1, 2, );", "x.conf:1: error: syntax error; a list may not end with ','; remove that comma\n"},
        {"a = [ \"x\", ];",
         "x.conf:1: error: syntax error; a list may not end with ','; remove that comma\n"},
        {"a = [ \"10.0.0.1\" \"10.0.0.2\" ];", /* libconfig joins them */
         "x.conf:1: error: syntax error; ',' is missing between two entries of a list\n"},
        {"a = ( { b = 1; } { b = 2; } );",
         "x.conf:1: error: syntax error; ',' is missing between two entries of a list\n"},
        {"a = [ (1) ];",
         "x.conf:1: error: syntax error; [ ] holds plain values only; a list of groups or lists is "
         "written ( )\n"},
        {"a = ( b = 1 );",
         "x.conf:1: error: syntax error; text in a list stands in quotes, and name = value; belongs in "
         "{ }\n"},
        {"a = ( 1; 2 );",
         "x.conf:1: error: syntax error; the entries of a list are parted by ',', not ';'\n"},
        {"a = (, 1);", "x.conf:1: error: syntax error; a ',' stands where no entry ends; remove it\n"},
        {"a = (1,,2);", "x.conf:1: error: syntax error; a ',' stands where no entry ends; remove it\n"},
        {"a = 1;; b = 2;",
         "x.conf:1: error: syntax error; a ';' or ',' stands where no setting ends; remove it\n"},
        {"a 1;", "x.conf:1: error: syntax error; '=' is missing between a name and its value\n"},
        {"a b = 1;", "x.conf:1: error: syntax error; '=' is missing between a name and its value\n"},
        {"= 1;", "x.conf:1: error: syntax error; there is no name before '='; a name is letters, digits, '-' "
                 "and '_', "
                 "and begins with a letter\n"},
        {"a = ;", "x.conf:1: error: syntax error; a name here has no value; write name = value;\n"},
        {"a = { b = }", "x.conf:1: error: syntax error; a name here has no value; write name = value;\n"},
        {"a =", "x.conf:1: error: syntax error; the file ends where a value is expected\n"},
        {"\"x\";", "x.conf:1: error: syntax error; a value here has no name; settings in { } are written "
                   "name = value;\n"},
        {"a = 1;\na = 2;",
         "x.conf:2: error: 'a' is set twice in one group; the first is on line 1; remove one\n"},
        {"a = { b = 1;\nc = 2; b = 3; };",
         "x.conf:2: error: 'b' is set twice in one group; the first is on line 1; remove one\n"},
        {"a = (1;\n", "x.conf:1: error: syntax error; the '(' that opens here is never closed\n"
                      "x.conf:1: error: syntax error; the entries of a list are parted by ',', not ';'\n"},
        {"a = {\nb = (1};",
         "x.conf:2: error: syntax error; '}' does not close the '(' of line 2; a ')' is missing before "
         "it\n"},
        {"a = 1; }", "x.conf:1: error: syntax error; '}' closes nothing; remove it\n"},
        {"a = \"x;\nb = 1;",
         "x.conf:1: error: syntax error; a string that begins here is not closed on its line; write "
         "'\"' where it ends\n"},
        {"a = \"x\\",
         "x.conf:1: error: syntax error; a string that begins here is not closed on its line; write '\"' "
         "where it ends\n"},
        {"/* x\ny",
         "x.conf:1: error: syntax error; the comment that begins here is never closed; write '*/' at its "
         "end\n"},
        {"a = \"\\x00\";", "x.conf:1: error: a string may not hold NUL (\\x00); remove it\n"},
        {"a = \"C:\\dir\";",
         "x.conf:1: error: unknown escape '\\d' in a string; a backslash itself is written '\\\\'\n"},
        {"a = \"\\xZZ\";",
         "x.conf:1: error: unknown escape '\\x' in a string; a backslash itself is written '\\\\'\n"},
        {"a.b = 1;", "x.conf:1: error: syntax error; a name holds no '.'; text stands in quotes, and a.b = "
                     "1; is written a = { b = 1; };\n"},
        {"a = broker.example;", "x.conf:1: error: syntax error; a name holds no '.'; text stands in quotes, "
                                "and a.b = 1; is written a = { b = 1; };\n"},
        {"a = $;",
         "x.conf:1: error: syntax error; the character '$' has no meaning here; text stands in quotes\n"},
        {"a = 1; @inclde \"y\"",
         "x.conf:1: error: syntax error; '@' begins only a line of the form @include \"FILE\"\n"},
        {"a = 1; @include \"y\"",
         "x.conf:1: error: syntax error; '@' begins only a line of the form @include \"FILE\"\n"},
        {"@include y",
         "x.conf:1: error: syntax error; '@' begins only a line of the form @include \"FILE\"\n"},
        {"@include \"\"",
         "x.conf:1: error: syntax error; '@' begins only a line of the form @include \"FILE\"\n"},
        {"@include \"y\n\"",
         "x.conf:1: error: syntax error; '@' begins only a line of the form @include \"FILE\"\n"
         "x.conf:2: error: syntax error; a string that begins here is not closed on its line; write "
         "'\"' where it ends\n"},
        {"# one\rb = 1;\n",
         "x.conf:1: error: a comment here ends with a lone carriage return; save the file with lines "
         "that end in LF\n"},
        {"a = 1.5;\nb = ( 1,\n );\nc = 64KiB;\nd = \"open\ne = 1; e = 2;\n", /* all of them, in one go */
         "x.conf:3: error: syntax error; a list may not end with ',' (found on line 2); remove that comma\n"
         "x.conf:4: error: syntax error; 64KiB stands in quotes: \"64KiB\"\n"
         "x.conf:5: error: syntax error; a string that begins here is not closed on its line; write '\"' "
         "where it ends\n"
         "x.conf:6: error: 'e' is set twice in one group; the first is on line 6; remove one\n"},
        {"a = [ 1, \"x\" ];", "x.conf:1: error: an array [ ] holds values of different kinds; all are text "
                              "in quotes, or all numbers; "
                              "write them alike\n"},
    };
    rig_begin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_write("x.conf", cases[i].text);
        rig_expect(cases[i].text, told_of("x.conf"), cases[i].told);
    }
    rig_end();
}

static void good_texts(void)
{
    static const struct {
        const char *text;
        const char *tree; /* without the root's line */
    } cases[] = {
        {"a = 1;\r\n# x\r\nb = \"y\";\r\n", "x.conf:1 a=1\nx.conf:3 b=y\n"},
        {"\xEF\xBB\xBF"
         "a = 1;",
         "x.conf:1 a=1\n"},
        {"a = 1 b = 2, c = 3", "x.conf:1 a=1\nx.conf:1 b=2\nx.conf:1 c=3\n"},
        {"a: 2147483647; b = -2147483648; c = 0x7fffffff; d = +7; e = 7L;",
         "x.conf:1 a=2147483647\nx.conf:1 b=-2147483648\nx.conf:1 c=2147483647\nx.conf:1 d=7\nx.conf:1 "
         "e=7\n"},
        {"// c\n# d\n/* e\n*/ a = 1;", "x.conf:4 a=1\n"},
        {"a = 1;//x\nb = 2/*y*/;\nc = 3#z", "x.conf:1 a=1\nx.conf:2 b=2\nx.conf:3 c=3\n"},
        {"a = \"x\" # one\n  \"y\";\nb = 1;", "x.conf:1 a=xy\nx.conf:3 b=1\n"},
        {"a = [\n \"x\"\n,\n # c\n \"y\" # d\n\n]; b = 1;",
         "x.conf:1 a\nx.conf:2 -=x\nx.conf:5 -=y\nx.conf:7 b=1\n"},
        {"a = (\n{ b = 1;\n c = ( \"x\",\n\"y\"\n ) } ,\n{ b = 2; }\n);",
         "x.conf:1 a\nx.conf:2 -\nx.conf:2 b=1\nx.conf:3 c\nx.conf:3 -=x\nx.conf:4 -=y\nx.conf:6 -\nx.conf:6 "
         "b=2\n"},
        {"a = \"# no comment /* nor this */ // \\\"\\\\\";",
         "x.conf:1 a=# no comment /* nor this */ // \"\\\n"},
        {"a = \"\\x41\\t\";", "x.conf:1 a=A\t\n"},
        {"a = {}; b = (); c = [];", "x.conf:1 a\nx.conf:1 b\nx.conf:1 c\n"},
        {"a = { b = 1, };", "x.conf:1 a\nx.conf:1 b=1\n"},
        {"a = { x = 1; }; b = { x = 1; };", "x.conf:1 a\nx.conf:1 x=1\nx.conf:1 b\nx.conf:1 x=1\n"},
        {"# only a comment", ""},
        {"a = 1;\f\tb = 2;", "x.conf:1 a=1\nx.conf:1 b=2\n"},
    };
    rig_begin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_write("x.conf", cases[i].text);
        rig_expect(cases[i].text, told_of("x.conf"), "");
        char *after = strchr(rig_tree, '\n');
        CU_ASSERT_PTR_NOT_NULL_FATAL(after);
        rig_expect(cases[i].text, after + 1, cases[i].tree);
    }
    rig_end();
}

static void includes(void)
{
    rig_begin();
    rig_directory("sub");
    rig_write("x.conf", "a = 1;\nroles = (\n  @include \"sub/list.conf\"\n  , { n = 3; }\n);\n@include "
                        "\"sub/tail.conf\"\nz = 9;\n");
    rig_write("sub/list.conf", "# first\n{ n = 1; },\n{ n = 2; } # no newline");
    rig_write("sub/tail.conf", "b = 2;\n\n@include \"sub/deep.conf\"\nd = 4;");
    rig_write("sub/deep.conf", "c = 3;");
    rig_expect("places", told_of("x.conf"), "");
    rig_expect("places", rig_tree,
               "x.conf:0 -\nx.conf:1 a=1\nx.conf:2 roles\nsub/list.conf:2 -\nsub/list.conf:2 n=1\n"
               "sub/list.conf:3 -\nsub/list.conf:3 n=2\nx.conf:4 -\nx.conf:4 n=3\nsub/tail.conf:1 b=2\n"
               "sub/deep.conf:1 c=3\nsub/tail.conf:4 d=4\nx.conf:7 z=9\n");

    rig_write("x.conf", "a = 1;\n@include \"none.conf\"\n");
    rig_expect("missing", told_of("x.conf"),
               "x.conf:2: error: 'none.conf' is not included; it cannot be read: No such file or directory; "
               "create it or "
               "correct its name\n");
    rig_write("x.conf", "@include \"sub\"\n");
    rig_expect("directory", told_of("x.conf"),
               "x.conf:1: error: 'sub' is not included; it is a directory; a regular file is needed here\n");
    rig_write("x.conf", "@include \"x.conf\"\n");
    rig_expect("itself", told_of("x.conf"),
               "x.conf:1: error: 'x.conf' is not included; more than 256 files, or nested more than 8 deep; "
               "does a file "
               "include itself?\n");
    rig_write("x.conf", "@include \"y.conf\"\n@include \"y.conf\"\n"); /* grows by doubling: 2^8 files */
    rig_write("y.conf", "@include \"x.conf\"\n@include \"x.conf\"\n");
    CU_ASSERT(strstr(told_of("x.conf"), "does a file include itself?") != NULL);
    rig_write("x.conf", "a = {\n@include \"y.conf\"\n};");
    rig_write("y.conf", "b = 1; };");
    rig_expect("closes another's bracket", told_of("x.conf"),
               "y.conf:1: error: syntax error; '}' closes nothing; remove it\n");
    rig_write("y.conf", "b = (");
    rig_expect("leaves one open", told_of("x.conf"),
               "y.conf:1: error: syntax error; the '(' that opens here is never closed\n");
    rig_write("y.conf", "b = 1;\nb = 2;");
    rig_write("x.conf", "b = 1;\n@include \"y.conf\"\n");
    rig_expect(
        "twice across files", told_of("x.conf"),
        "y.conf:1: error: 'b' is set twice in one group; the first is on line 1 of x.conf; remove one\n"
        "y.conf:2: error: 'b' is set twice in one group; the first is on line 1 of x.conf; remove one\n");
    rig_write("x.conf", "/*\n@include \"none\"\n*/ a = \"@include \\\"none\\\"\"; # @include \"none\"\n");
    rig_expect("neither in strings nor in comments", told_of("x.conf"), "");
    rig_end();
}

static void strange_files(void)
{
    rig_begin();
    rig_expect(
        "missing", told_of("none.conf"),
        "none.conf: error: it cannot be read: No such file or directory; create it or correct its name\n");
    rig_write("empty.conf", "");
    rig_expect(
        "empty", told_of("empty.conf"),
        "empty.conf: error: it is empty; was it cut short when it was written? restore or remove it\n");
    rig_write("bom.conf", "\xEF\xBB\xBF");
    rig_expect("only a BOM", told_of("bom.conf"),
               "bom.conf: error: it is empty; was it cut short when it was written? restore or remove it\n");
    rig_write_bytes("nul.conf", "a = 1;\nb\0 = 2;", 14);
    rig_expect("NUL", told_of("nul.conf"),
               "nul.conf:2: error: NUL byte; the file is not text, or is UTF-16; save it as UTF-8\n");
    rig_write_bytes("utf16.conf",
                    "\xFF\xFE"
                    "a\0=\0",
                    6);
    rig_expect("UTF-16", told_of("utf16.conf"),
               "utf16.conf:1: error: NUL byte; the file is not text, or is UTF-16; save it as UTF-8\n");
    rig_write("latin.conf", "a = 1;\n\nb = \"\xE9t\xE9\";\n");
    rig_expect("Latin-1", told_of("latin.conf"),
               "latin.conf:3: error: the bytes here are not UTF-8; save the file as UTF-8\n");
    rig_write("overlong.conf", "a = \"\xC0\x80\";");
    rig_expect("overlong", told_of("overlong.conf"),
               "overlong.conf:1: error: the bytes here are not UTF-8; save the file as UTF-8\n");
    rig_directory("d.conf");
    rig_expect("directory", told_of("d.conf"),
               "d.conf: error: it is a directory; a regular file is needed here\n");
    CU_ASSERT_EQUAL_FATAL(mkfifo(rig_path("fifo.conf"), 0600), 0);
    rig_expect("FIFO, without waiting for a writer", told_of("fifo.conf"),
               "fifo.conf: error: it is a FIFO; a regular file is needed here\n");
    CU_ASSERT_EQUAL_FATAL(symlink("/dev/zero", rig_path("device.conf")), 0);
    rig_expect("device", told_of("device.conf"),
               "device.conf: error: it is a device; a regular file is needed here\n");
    CU_ASSERT_EQUAL_FATAL(symlink("loop.conf", rig_path("loop.conf")), 0);
    rig_expect("loop", told_of("loop.conf"),
               "loop.conf: error: it cannot be read: Too many levels of symbolic links\n");
    rig_write("large.conf", "a = 1;");
    CU_ASSERT_EQUAL_FATAL(truncate(rig_path("large.conf"), (off_t)TEXT_BYTES_MAX + 1), 0);
    rig_expect("too large", told_of("large.conf"),
               "large.conf: error: it is larger than 64 MiB; split it into several files\n");
    if (geteuid() != 0) {
        rig_write("secret.conf", "a = 1;");
        CU_ASSERT_EQUAL_FATAL(chmod(rig_path("secret.conf"), 0), 0);
        rig_expect("not readable", told_of("secret.conf"),
                   "secret.conf: error: it cannot be read: Permission denied; let this user read it\n");
    }
    rig_end();
}

static void bounds(void)
{
    static char text[1 << 20];
    rig_begin();
    for (unsigned int depth = SCAN_DEPTH_MAX; depth <= SCAN_DEPTH_MAX + 1; depth++) {
        char *to = text + sprintf(text, "a = ");
        memset(to, '(', depth);
        memset(to + depth, ')', depth);
        strcpy(to + 2 * depth, ";");
        rig_write("x.conf", text);
        rig_expect("depth", told_of("x.conf"),
                   depth == SCAN_DEPTH_MAX
                       ? ""
                       : "x.conf:1: error: brackets are nested more than 32 deep; is one not "
                         "closed?\n");
    }
    for (unsigned int names = SCAN_NAMES_MAX; names <= SCAN_NAMES_MAX + 1; names++) {
        char *to = text;
        for (unsigned int i = 0; i < names; i++)
            to += sprintf(to, "n%u = 1;\n", i);
        rig_write("x.conf", text);
        rig_expect("names", told_of("x.conf"),
                   names == SCAN_NAMES_MAX
                       ? ""
                       : "x.conf:129: error: more than 128 settings in one group; split it\n");
    }
    static char many[2 * SCAN_VALUES_MAX + 16] = "a = [ ";
    for (size_t i = 0; i < SCAN_VALUES_MAX; i++)
        memcpy(many + 6 + 2 * i, "1,", 2);
    rig_write("x.conf", many);
    CU_ASSERT(strstr(told_of("x.conf"), "x.conf:1: error: there are more than 4194304 values; ") == rig_said);
    memset(text, '(', 1 << 19);
    text[1 << 19] = '\0';
    rig_write("x.conf", text);
    CU_ASSERT(strlen(told_of("x.conf")) > 0);
    rig_end();
}

/* A file that was cut short while it was written is never taken for a whole one unless it is one, and never
 * does harm. */
static void cut_anywhere(void)
{
    static const char text[] =
        "a = { b = \"x\\\"\"; }; /* c */ # d\n@include \"y.conf\"\nl = ( { e = [ 1, 0x2 ]; },\n"
        "{ f = true; } );\r\ng = \"h\" \"i\";\n";
    rig_begin();
    rig_write("y.conf", "yy = 1;");
    for (size_t n = 1; n < sizeof(text); n++) {
        rig_write_bytes("x.conf", text, n);
        (void)told_of("x.conf");
    }
    rig_expect("whole", told_of("x.conf"), "");
    for (size_t n = 0; n + 1 < sizeof(text); n++) /* and any byte wrong */
        for (unsigned int c = 1; c < 128; c += 9) {
            char changed[sizeof(text)];
            memcpy(changed, text, sizeof(text));
            changed[n] = (char)c;
            rig_write("x.conf", changed);
            (void)told_of("x.conf");
        }
    rig_end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"mistakes (G1)", mistakes},           {"good texts", good_texts}, {"includes", includes},
        {"strange files (G1)", strange_files}, {"bounds", bounds},         {"cut anywhere", cut_anywhere},
    };
    return unit_run("config/scan", tests, sizeof(tests) / sizeof(tests[0]));
}
