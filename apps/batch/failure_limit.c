/* failure_limit.c - a number or a share. SPDX-License-Identifier: Apache-2.0 */
#include "failure_limit.h"

#include "args.h"

#include <stdlib.h>
#include <string.h>

ie_status ie_failure_limit_parse(ie_failure_limit *out, const char *text, ie_error *err)
{
    int count = 0;
    char *end = NULL;
    *out = (ie_failure_limit){.given = true};
    if (ie_parse_int(text, 0, INT32_MAX, &count)) {
        out->value = count;
        return IE_OK;
    }
    /* strtod would also take "nan%", "0x1p3%" and " 5%". */
    const size_t digits = strspn(text, "0123456789.");
    out->value = strtod(text, &end);
    out->percent = true;
    if (digits && end == text + digits && !strcmp(end, "%") && out->value <= 100) return IE_OK;
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "--max-failures %s: legal is a number (5) or a share of the items (2.5%%)",
                       text);
}

bool ie_failure_limit_passed(const ie_failure_limit *limit, size_t failures, size_t items)
{
    if (!limit->given) return false;
    const double allowed = limit->percent ? limit->value / 100 * (double)items : limit->value;
    return (double)failures > allowed;
}
