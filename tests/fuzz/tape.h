/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fuzzer's input as a tape of choices; behind its end all of them are 0. */
#ifndef TESTS_FUZZ_TAPE_H
#define TESTS_FUZZ_TAPE_H

#include "policy/bytes.h"

static const uint8_t *tape;
static size_t tape_left;

static inline uint8_t draw(void)
{
    if (tape_left == 0)
        return 0;
    tape_left--;
    return *tape++;
}

static inline struct bytes draw_bytes(size_t n)
{
    if (n > tape_left)
        n = tape_left;
    struct bytes b = bytes_of(tape, n);
    tape += n;
    tape_left -= n;
    return b;
}

#endif
