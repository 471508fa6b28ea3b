/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/tls_error.h"

#include <stdarg.h>
#include <stdio.h>

bool tls_error_set(struct tls_error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return false;
}
