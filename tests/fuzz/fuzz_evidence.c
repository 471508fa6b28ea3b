/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first byte even: evidence out of a file that anybody may have written: refused, or as whole as evidence
 * that was noted. It is mined, goes on to be noted in, and what is kept of it is taken in again as the same.
 * Odd: such a file, its digest made right.
 */
#include "dataplane/secure/digest.h"
#include "gateway/learn_file.h"
#include "policy/learn/mining.h"
#include "tests/unit/learn_lab.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            __builtin_trap();                                                                                \
    } while (0)

static void go_on(struct evidence *e)
{
    char name[24], topic[24];
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "truck-%u", i % 7);
        snprintf(topic, sizeof(topic), "a/%u/b", i);
        learn_lab_see(e, learn_lab_client(e, name, i % 3), (uint8_t)(i % 2), topic, i);
    }
    CHECK(learn_lab_whole(e));
}

static void one_evidence(struct bytes from)
{
    static uint8_t kept[EVIDENCE_STORE_MAX], again[EVIDENCE_STORE_MAX];
    struct evidence *e = learn_lab_create(), *other = learn_lab_create();
    if (evidence_take(e, from)) {
        CHECK(learn_lab_whole(e));
        size_t n = evidence_store(e, kept, sizeof(kept));
        CHECK(n != 0 && evidence_take(other, bytes_of(kept, n)));
        CHECK(evidence_store(other, again, sizeof(again)) == n && memcmp(kept, again, n) == 0);
        mined_destroy(mine((const struct evidence *const *)&e, 1, 5));
        go_on(e);
    }
    free(e);
    free(other);
}

static void one_file(struct bytes body)
{
    static const char kind[] = "sallyport learned 1\n";
    char digest[DIGEST_HEX];
    struct learn_reading reading = {.text = NULL};
    size_t n = sizeof(kind) - 1 + DIGEST_HEX + body.len;
    char *text = malloc(n);
    if (text == NULL)
        abort();
    digest_sha256(body.at, body.len, digest);
    memcpy(text, kind, sizeof(kind) - 1);
    memcpy(text + sizeof(kind) - 1, digest, DIGEST_HEX);
    text[sizeof(kind) - 1 + DIGEST_HEX - 1] = '\n';
    if (body.len != 0)
        memcpy(text + sizeof(kind) - 1 + DIGEST_HEX, body.at, body.len);
    if (learn_file_parse(bytes_of(text, n), &reading) == 0) {
        CHECK(reading.head.evidence_n <= LEARN_FILE_EVIDENCE && reading.head.role[0] != '\0');
        CHECK(strlen(reading.head.role) < EVENT_NAME_MAX && strlen(reading.head.fingerprint) < 9);
        bool good = true;
        for (uint32_t i = 0; good && i < reading.head.evidence_n; i++) {
            struct evidence *e = learn_lab_create();
            good = learn_file_next(&reading, e);
            CHECK(!good || learn_lab_whole(e));
            free(e);
        }
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes rest = bytes_of(data + 1, size - 1);
    if ((data[0] & 1) == 0)
        one_evidence(rest);
    else
        one_file(rest);
    return 0;
}
