/* model_path.h - which model is taken when none is named. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MODEL_PATH_H
#define IE_APPS_MODEL_PATH_H

#include "fail.h"

#include <limits.h>

typedef struct ie_model_search {
    const char *given;       /* --model, or NULL */
    const char *environment; /* IMAGEN_EDITOR_MODEL, or NULL */
    const char *executable;  /* the program's own path */
    const char *data_dir;    /* of the installation */
} ie_model_search;

/* In this order: what was given; the environment; models/demo, then models/toy, of
 * ../share/imagen-editor beside the executable's folder, of the data folder, and of the
 * executable's folder and up to four above it. What was named is not replaced when it is missing:
 * opening it says so. IE_BAD_MODEL when nothing is found. */
ie_status ie_model_path(char out[PATH_MAX], const ie_model_search *search, ie_error *err);

/* The same with this process's environment and executable. */
ie_status ie_model_path_here(char out[PATH_MAX], const char *given, ie_error *err);

#endif
