/* output_name.h - a file's name from an item's id.
 *
 * Letters, digits, '.', '_' and '-' stay (a '.' or '-' at the start does not); every other byte
 * becomes %XX. Different ids have different names, and no id can leave its folder or hide.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_OUTPUT_NAME_H
#define IE_APPS_OUTPUT_NAME_H

#include "fail.h"

/* Longer names would leave no room for "-1000" and an extension. */
enum { IE_OUTPUT_STEM = 240 };

/* "shelf/12 b" and ".png" give "shelf%2F12%20b.png". IE_BAD_INPUT when the id is empty or the name
 * too long. */
ie_status ie_output_name(char out[IE_OUTPUT_STEM + 16], const char *id, const char *extension,
                         ie_error *err);

#endif
