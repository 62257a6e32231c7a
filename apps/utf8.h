/* utf8.h - is it UTF-8? SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_UTF8_H
#define IE_APPS_UTF8_H

#include <stdbool.h>

/* Bytes of the well-formed sequence at text (1 .. 4), 0 when it is not one: overlong forms,
 * surrogates and what is beyond U+10FFFF are not. The end of the text is not well-formed. */
int ie_text_character(const char *text);

bool ie_text_is_utf8(const char *text);

#endif
