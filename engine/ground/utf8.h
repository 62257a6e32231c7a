/* utf8.h - is this UTF-8? As strict as RFC 3629: no overlong form, no surrogate, nothing above
 * U+10FFFF. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_UTF8_H
#define IE_GROUND_UTF8_H

#include <stddef.h>

/* How many of the first bytes form whole characters: `bytes` when all of the text is valid, else
 * where the first character begins that is not. */
size_t ie_utf8_valid(const char *text, size_t bytes);

#endif
