/* digest.c - SHA-256, from OpenSSL. SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *ie_digest(char out[IE_DIGEST_TEXT], const void *data, size_t bytes)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256(data, bytes, hash);
    for (size_t i = 0; i < sizeof hash; i++) (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return out;
}

uint64_t ie_item_seed(uint64_t job_seed, const char *id)
{
    char hex[IE_DIGEST_TEXT], first[15] = "";
    unsigned char message[8 + 4096]; /* ids are shorter: ie_item_check */
    const size_t length = strnlen(id, sizeof message - 8);
    for (int i = 0; i < 8; i++) message[i] = (unsigned char)(job_seed >> (8 * i));
    memcpy(message + 8, id, length);
    memcpy(first, ie_digest(hex, message, 8 + length), 14); /* 56 bits */
    return strtoull(first, NULL, 16) >> 3;
}
