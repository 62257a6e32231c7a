/* utf8.c - the table of RFC 3629, section 4. SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#include <stdint.h>

/* What may follow a first byte: the range of the second one, then `more` bytes 80 .. BF. */
static const struct {
    uint8_t first_low, first_high, second_low, second_high, more;
} forms[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 0}, {0xE0, 0xE0, 0xA0, 0xBF, 1}, /* A0: shorter forms are overlong */
    {0xE1, 0xEC, 0x80, 0xBF, 1}, {0xED, 0xED, 0x80, 0x9F, 1}, /* 9F: surrogates follow */
    {0xEE, 0xEF, 0x80, 0xBF, 1}, {0xF0, 0xF0, 0x90, 0xBF, 2}, /* 90: overlong */
    {0xF1, 0xF3, 0x80, 0xBF, 2}, {0xF4, 0xF4, 0x80, 0x8F, 2}, /* 8F: above U+10FFFF */
};

/* Bytes of the character that begins at s, 0 if none does. */
static size_t character(const unsigned char *s, size_t bytes)
{
    if (s[0] < 0x80) return 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (s[0] < forms[i].first_low || s[0] > forms[i].first_high) continue;
        const size_t size = 2u + forms[i].more;
        if (bytes < size || s[1] < forms[i].second_low || s[1] > forms[i].second_high) return 0;
        for (size_t k = 2; k < size; k++) {
            if (s[k] < 0x80 || s[k] > 0xBF) return 0;
        }
        return size;
    }
    return 0;
}

size_t ie_utf8_valid(const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        const size_t size = character((const unsigned char *)text + at, bytes - at);
        if (size == 0) break;
        at += size;
    }
    return at;
}
