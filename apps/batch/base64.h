/* base64.h - RFC 4648, for data: URLs. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BASE64_H
#define IE_APPS_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* malloc'ed; NULL when the text is not base64 with its padding, or memory is out. */
uint8_t *ie_base64_decode(const char *text, size_t length, size_t *bytes);
/* malloc'ed, NUL-terminated; NULL: no memory. */
char *ie_base64_encode(const void *data, size_t bytes);

#endif
