/* digest.h - SHA-256 of what is in memory, and the seed that follows from an item's id.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_DIGEST_H
#define IE_APPS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { IE_DIGEST_TEXT = 65 };

/* Hex, lower case; returns `out`. */
char *ie_digest(char out[IE_DIGEST_TEXT], const void *data, size_t bytes);

/* The first 53 bits of SHA-256 over the job's seed (8 bytes, little endian) and the id: a number
 * that every JSON reader holds exactly, and that depends on nothing but the two. */
uint64_t ie_item_seed(uint64_t job_seed, const char *id);

#endif
