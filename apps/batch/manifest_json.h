/* manifest_json.h - fields of an item from JSON values. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MANIFEST_JSON_H
#define IE_APPS_MANIFEST_JSON_H

#include "item.h"

#include <jansson.h>

/* As ie_item_set; a value of the wrong type is refused with the legal one. */
ie_status ie_item_set_json(ie_item *item, const char *key, const json_t *value, ie_error *err);

#endif
