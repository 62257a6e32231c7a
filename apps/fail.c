/* fail.c - filling an ie_error. SPDX-License-Identifier: Apache-2.0 */
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ie_one_line(char *text)
{
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    }
}

void ie_app_fail_at(ie_error *err, ie_status status, const char *file, int line, const char *format,
                    ...)
{
    if (!err) return;
    const char *slash = strrchr(file, '/');
    err->status = status;
    err->native = 0;
    (void)snprintf(err->where, sizeof err->where, "%s:%d", slash ? slash + 1 : file, line);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    ie_one_line(err->text);
}
