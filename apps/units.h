/* units.h - numbers for people: 2.01 G, 512 MiB, 1:23. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_UNITS_H
#define IE_APPS_UNITS_H

#include <stdint.h>

/* Room for any of the texts below. Each returns `text`. */
enum { IE_UNIT_TEXT = 32 };

/* Three digits and a decimal prefix: "0", "950", "4.60 G", "15.3 M". */
char *ie_unit_count(char text[IE_UNIT_TEXT], double value);
/* "812 B", "1.50 MiB". */
char *ie_unit_bytes(char text[IE_UNIT_TEXT], uint64_t bytes);
/* "4.20 us", "12.3 ms", "1.83 s", "2:05", "1:02:03". */
char *ie_unit_seconds(char text[IE_UNIT_TEXT], double seconds);

#endif
