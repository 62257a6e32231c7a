/* error.c - statuses as text, and the one place that fills an ie_error.
 * SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ie_status_text(ie_status status)
{
    switch (status) {
#define X(name, value, text) \
    case IE_##name: return text;
        IE_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

ie_status ie_fail_at(ie_error *err, ie_status status, int native, const char *file, int line,
                     const char *format, ...)
{
    if (!err) return status;
    const char *slash = strrchr(file, '/');
    err->status = status;
    err->native = native;
    snprintf(err->where, sizeof err->where, "%s:%d", slash ? slash + 1 : file, line);
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return status;
}
