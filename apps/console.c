/* console.c - one line on stderr. SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <stdarg.h>
#include <stdio.h>

void ie_note(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ie_one_line(text);
    fprintf(stderr, "imagen-editor: %s\n", text);
}
