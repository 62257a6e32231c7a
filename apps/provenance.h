/* provenance.h - how an image was made, as PNG texts: enough to make it again.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_PROVENANCE_H
#define IE_APPS_PROVENANCE_H

#include "image_io.h"

enum { IE_PROVENANCE_ENTRIES = 11, IE_PROVENANCE_TEXT = 160 };

typedef struct ie_provenance {
    ie_text_entry entries[IE_PROVENANCE_ENTRIES];
    int count;
    char storage[IE_PROVENANCE_ENTRIES][IE_PROVENANCE_TEXT]; /* of the texts made here */
} ie_provenance;

/* `guidance` is the text of --guidance, NULL for the model's default. The request's prompt and
 * `guidance` are not copied and must outlive *out, which must not be moved. */
void ie_provenance_fill(ie_provenance *out, const ie_request *request, const ie_engine_info *info,
                        const char *guidance);

#endif
