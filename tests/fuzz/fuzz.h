/* fuzz.h - what every fuzz target and the replay program agree on.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TESTS_FUZZ_H
#define IE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* libFuzzer's entry point: one input, which must not crash, leak or break an invariant. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An invariant: what was accepted must be as the contract says. */
#define FUZZ_CHECK(condition)                                                       \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

#endif
