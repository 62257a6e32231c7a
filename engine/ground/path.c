/* path.c - see path.h. SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <stdarg.h>
#include <stdio.h>

ie_status ie_path_of(ie_path *out, ie_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(out->text, sizeof out->text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof out->text) return IE_OK;
    return ie_fail(err, IE_BAD_ARGUMENT, "a path of %d characters is too long", length);
}
