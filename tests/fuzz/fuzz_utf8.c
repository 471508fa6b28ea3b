/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fast UTF-8 check against the plain automaton, at every level (D3). */
#include <stdlib.h>

#include "policy/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    for (int level = UTF8_SPEC; level <= UTF8_TEXT; level++)
        if (utf8_check(text, (enum utf8_level)level) != utf8_check_reference(text, (enum utf8_level)level))
            abort();
    return 0;
}
