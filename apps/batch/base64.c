/* base64.c - four characters for three bytes. SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <stdbool.h>
#include <stdlib.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

uint8_t *ie_base64_decode(const char *text, size_t length, size_t *bytes)
{
    if (length == 0 || length % 4) return NULL;
    const size_t padding = (size_t)(text[length - 1] == '=') + (size_t)(text[length - 2] == '=');
    uint8_t *out = malloc(length / 4 * 3);
    if (!out) return NULL;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t word = 0;
        for (size_t k = 0; k < 4; k++) {
            const bool padded = i + k >= length - padding;
            const int value = padded ? 0 : value_of(text[i + k]);
            if (value < 0) {
                free(out);
                return NULL;
            }
            word = word << 6 | (uint32_t)value;
        }
        for (size_t k = 0; k < 3; k++) out[i / 4 * 3 + k] = (uint8_t)(word >> (16 - 8 * k));
    }
    *bytes = length / 4 * 3 - padding;
    return out;
}

char *ie_base64_encode(const void *data, size_t bytes)
{
    const uint8_t *in = data;
    char *out = malloc((bytes + 2) / 3 * 4 + 1), *at = out;
    if (!out) return NULL;
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++) word = word << 8 | (i + k < bytes ? in[i + k] : 0U);
        for (size_t k = 0; k < 4; k++) {
            *at = '=';
            if (i + k <= bytes) *at = alphabet[word >> (18 - 6 * k) & 63];
            at++;
        }
    }
    *at = '\0';
    return out;
}
