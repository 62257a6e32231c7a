/* config_parts.h - what the readers of config.h share among themselves.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_CONFIG_PARTS_H
#define IE_MODEL_CONFIG_PARTS_H

#include "config.h"
#include "json.h"

enum { IE_CONFIG_BYTES_MAX = 1 << 20 };

/* Fills one of the structs of config.h from a parsed document. */
typedef ie_status ie_config_reader(void *out, const ie_json *root, ie_error *err);

/* Parse `text` (at most IE_CONFIG_BYTES_MAX bytes) and fill *out; `name` stands for the file in
 * messages. */
ie_status ie_config_from_text(void *out, const char *text, size_t bytes, const char *name,
                              ie_config_reader *read, ie_error *err);
ie_status ie_config_from_file(void *out, const char *path, ie_config_reader *read, ie_error *err);

/* The members "format" and "version" of our own files. */
ie_status ie_config_check_format(const ie_json *root, const char *format, ie_error *err);

/* Everything that must agree inside one U-Net's config.json (config_unet_check.c). */
ie_status ie_unet_config_check(const ie_unet_config *c, const ie_json *root, ie_error *err);

#endif
