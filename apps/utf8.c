/* utf8.c - well-formed UTF-8, by the table of the Unicode standard (3.9, table 3-7).
 * SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

/* First byte, then the range of the second; the others are 80..BF. */
static const struct {
    unsigned char first_low, first_high, second_low, second_high, bytes;
} forms[] = {
    {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

int ie_text_character(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (s[0] < forms[i].first_low || s[0] > forms[i].first_high) continue;
        const int bytes = forms[i].bytes;
        if (bytes == 1) return 1;
        if (s[1] < forms[i].second_low || s[1] > forms[i].second_high) return 0;
        for (int k = 2; k < bytes; k++) {
            if (s[k] < 0x80 || s[k] > 0xbf) return 0;
        }
        return bytes;
    }
    return 0;
}

bool ie_text_is_utf8(const char *text)
{
    while (*text) {
        const int bytes = ie_text_character(text);
        if (!bytes) return false;
        text += bytes;
    }
    return true;
}
