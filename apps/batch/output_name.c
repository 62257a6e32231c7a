/* output_name.c - percent-encoding. SPDX-License-Identifier: Apache-2.0 */
#include "output_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Not isalnum: the alphabet must not depend on the locale. */
static bool stays(char c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c == '_' || (!first && (c == '.' || c == '-'));
}

ie_status ie_output_name(char out[IE_OUTPUT_STEM + 16], const char *id, const char *extension,
                         ie_error *err)
{
    size_t used = 0;
    if (id[0] == '\0') return ie_app_fail(err, IE_BAD_INPUT, "the id is empty");
    for (const char *c = id; *c; c++) {
        if (used + 3 > IE_OUTPUT_STEM) {
            return ie_app_fail(
                err, IE_BAD_INPUT,
                "the id \"%.40s...\" makes a file name over %d bytes: give an output", id,
                IE_OUTPUT_STEM);
        }
        if (stays(*c, c == id)) {
            out[used++] = *c;
        } else {
            used += (size_t)snprintf(out + used, 4, "%%%02X", (unsigned)(unsigned char)*c);
        }
    }
    memcpy(out + used, extension, strlen(extension) + 1);
    return IE_OK;
}
