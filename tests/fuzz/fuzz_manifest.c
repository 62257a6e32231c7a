/* fuzz_manifest.c - any bytes as a manifest: lines are refused with a sentence, or their items keep
 * the promises of item.h. The first byte chooses the form. SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "beneath.h"
#include "manifest.h"

#include <string.h>

static void check_item(const ie_item *item)
{
    FUZZ_CHECK(item->id && item->id[0] && item->prompt && item->output);
    FUZZ_CHECK(item->count >= 1 && item->count <= IE_EDIT_MAX_COUNT);
    FUZZ_CHECK(ie_beneath_check(item->output, NULL) == IE_OK);
    FUZZ_CHECK(item->image_inline || ie_beneath_check(item->image, NULL) == IE_OK);
    FUZZ_CHECK(!item->mask || ie_beneath_check(item->mask, NULL) == IE_OK);
    FUZZ_CHECK(item->mask || item->mask_inline || item->mask_is_image);
    FUZZ_CHECK(strlen(item->request) == IE_ITEM_REQUEST - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ie_item_defaults defaults = {0, ".png", ""};
    if (size < 2) return 0;
    FILE *file = fmemopen((void *)(uintptr_t)(data + 1), size - 1, "rb");
    if (!file) return 0;
    ie_manifest m = {.name = "fuzz", .defaults = &defaults};
    ie_error err = {0};
    const ie_status status = data[0] == 'c' ? ie_manifest_read_csv(&m, file, &err)
                                            : ie_manifest_read_jsonl(&m, file, &err);
    FUZZ_CHECK(status == IE_OK);
    for (size_t i = 0; i < m.count; i++) check_item(&m.items[i]);
    for (size_t i = 0; i < m.error_count; i++) {
        FUZZ_CHECK(m.errors[i].text[0] && !strchr(m.errors[i].text, '\n'));
    }
    ie_manifest_release(&m);
    (void)fclose(file);
    return 0;
}
