/* path.h - file names built without truncation. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_PATH_H
#define IE_GROUND_PATH_H

#include "error.h"

typedef struct ie_path {
    char text[4096];
} ie_path;

/* IE_BAD_ARGUMENT when the name does not fit. */
__attribute__((format(printf, 3, 4))) ie_status ie_path_of(ie_path *out, ie_error *err,
                                                           const char *format, ...);

#endif
