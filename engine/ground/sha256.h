/* sha256.h - SHA-256, from OpenSSL. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_SHA256_H
#define IE_GROUND_SHA256_H

#include "error.h"

enum { IE_SHA256_BYTES = 32, IE_SHA256_TEXT = 2 * IE_SHA256_BYTES + 1 };

typedef struct ie_sha256 ie_sha256;

/* begin, add any number of times, then end or drop, both of which release it on every path. */
ie_status ie_sha256_begin(ie_sha256 **out, ie_error *err);
ie_status ie_sha256_add(ie_sha256 *h, const void *bytes, uint64_t size, ie_error *err);
ie_status ie_sha256_end(ie_sha256 **h, char out[IE_SHA256_TEXT],
                        ie_error *err); /* hex, lower case */
void ie_sha256_drop(ie_sha256 **h);     /* NULL is fine */

#endif
