/* units.c - scaling and rounding for display. SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <stdio.h>

/* Three significant digits of 1 <= value < 1000. */
static int digits(double value)
{
    return value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
}

static char *scaled(char text[IE_UNIT_TEXT], double value, double step, const char *const *units)
{
    int i = 0;
    while (value >= 999.5 && units[i + 1]) {
        value /= step;
        i++;
    }
    (void)snprintf(text, IE_UNIT_TEXT, "%.*f%s", i ? digits(value) : 0, value, units[i]);
    return text;
}

char *ie_unit_count(char text[IE_UNIT_TEXT], double value)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E", NULL};
    return scaled(text, value, 1000, units);
}

char *ie_unit_bytes(char text[IE_UNIT_TEXT], uint64_t bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL};
    return scaled(text, (double)bytes, 1024, units);
}

char *ie_unit_seconds(char text[IE_UNIT_TEXT], double seconds)
{
    if (seconds < 59.95) {
        const int third = seconds < 0.9995e-3 ? 2 : seconds < 0.9995 ? 1 : 0;
        const double value = seconds * (third == 2 ? 1e6 : third == 1 ? 1e3 : 1);
        static const char *const units[] = {"s", "ms", "us"};
        (void)snprintf(text, IE_UNIT_TEXT, "%.*f %s", digits(value), value, units[third]);
        return text;
    }
    const int64_t whole = seconds < 1e15 ? (int64_t)(seconds + 0.5) : (int64_t)1e15;
    const long long hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
    if (hours) {
        (void)snprintf(text, IE_UNIT_TEXT, "%lld:%02lld:%02lld", hours, minutes, rest);
    } else {
        (void)snprintf(text, IE_UNIT_TEXT, "%lld:%02lld", minutes, rest);
    }
    return text;
}
