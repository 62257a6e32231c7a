/* fuzz_safetensors.c - a whole safetensors file from anyone: refused, or every view lies in it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "memory.h"
#include "weights.h"

#include <string.h>

/* The view lies inside the file and can be read; asking for it by name gives the same view. */
static uint64_t check_view(ie_weights *w, const char *name, ie_tensor t, const uint8_t *file,
                           size_t size)
{
    ie_tensor same;
    const uint8_t *begin = t.data;
    const uint64_t bytes = (uint64_t)ie_bytes(t);
    FUZZ_CHECK(begin >= file && begin <= file + size && bytes <= (uint64_t)(file + size - begin));
    FUZZ_CHECK((uintptr_t)begin % (uintptr_t)ie_dtype_size(t.dtype) == 0);
    FUZZ_CHECK(ie_weights_has(w, name));
    if (ie_weights_get(w, &same, name, t.rank, t.dim, NULL) == IE_OK) {
        FUZZ_CHECK(same.data == t.data && same.dtype == t.dtype);
    } else {
        FUZZ_CHECK(t.dtype == IE_I32 || t.dtype == IE_U8);
    }
    return bytes ? (uint64_t)begin[0] + begin[bytes - 1] : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ie_error err = {0};
    ie_weights *w = NULL;
    volatile uint64_t sum = 0;
    const int64_t live = ie_alloc_live();
    uint8_t *file = malloc(size + 1); /* aligned as the contract wants it */
    FUZZ_CHECK(file);
    memcpy(file, data, size);
    const ie_status status = ie_weights_open_memory(&w, file, size, "fuzz", &err);
    FUZZ_CHECK((status == IE_OK) == (w != NULL));
    FUZZ_CHECK(status == IE_OK || (status == IE_BAD_MODEL && err.text[0]));
    for (uint64_t i = 0; w && i < ie_weights_count(w); i++) {
        ie_tensor t;
        const char *name = ie_weights_at(w, i, &t);
        if (ie_present(t)) sum = sum + check_view(w, name, t, file, size);
    }
    ie_weights_close(&w);
    FUZZ_CHECK(ie_alloc_live() == live);
    free(file);
    return 0;
}
