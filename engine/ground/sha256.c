/* sha256.c - over OpenSSL's EVP. SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

/* ie_sha256 is OpenSSL's context under our name. */
static EVP_MD_CTX *context(ie_sha256 *h)
{
    return (EVP_MD_CTX *)h;
}

ie_status ie_sha256_begin(ie_sha256 **out, ie_error *err)
{
    *out = (ie_sha256 *)EVP_MD_CTX_new();
    if (*out && EVP_DigestInit_ex(context(*out), EVP_sha256(), NULL) == 1) return IE_OK;
    ie_sha256_drop(out);
    return ie_fail(err, IE_NO_MEMORY, "no memory for SHA-256");
}

ie_status ie_sha256_add(ie_sha256 *h, const void *bytes, uint64_t size, ie_error *err)
{
    if (EVP_DigestUpdate(context(h), bytes, (size_t)size) == 1) return IE_OK;
    return ie_fail(err, IE_IO, "SHA-256 failed");
}

ie_status ie_sha256_end(ie_sha256 **h, char out[IE_SHA256_TEXT], ie_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    const int ok = EVP_DigestFinal_ex(context(*h), digest, NULL);
    ie_sha256_drop(h);
    if (ok != 1) return ie_fail(err, IE_IO, "SHA-256 failed");
    for (size_t i = 0; i < IE_SHA256_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return IE_OK;
}

void ie_sha256_drop(ie_sha256 **h)
{
    if (!h || !*h) return;
    EVP_MD_CTX_free(context(*h));
    *h = NULL;
}
