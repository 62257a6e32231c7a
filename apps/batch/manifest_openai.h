/* manifest_openai.h - a line of OpenAI's Batch form, for /v1/images/edits.
 *
 *     {"custom_id": "7", "method": "POST", "url": "/v1/images/edits", "body": {
 *         "images": [{"image_url": "data:image/png;base64,..."}],
 *         "mask": {"image_url": "data:image/png;base64,..."}, "prompt": "a fish"}}
 *
 * Nothing is fetched: images are data: URLs, or files by the fields image_path and mask_path that
 * are ours. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MANIFEST_OPENAI_H
#define IE_APPS_MANIFEST_OPENAI_H

#include "item.h"

#include <jansson.h>

bool ie_openai_is_form(const json_t *line);
ie_status ie_openai_read(ie_item *item, const json_t *line, ie_error *err);

/* The data: URL of the line's image or mask; NULL when it has none. */
const char *ie_openai_url(const json_t *line, bool mask);

#endif
