/* model_path.c - looking for the shipped model. SPDX-License-Identifier: Apache-2.0 */
#include "model_path.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEVELS_UP = 4 };

/* Is there a model under ROOT[/MIDDLE]/models/...? */
static bool find_under(char out[PATH_MAX], const char *root, const char *middle)
{
    static const char *const names[] = {"demo", "toy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file[PATH_MAX];
        const int length = snprintf(out, PATH_MAX, "%s%s/models/%s", root, middle, names[i]);
        const int with_file = snprintf(file, sizeof file, "%s/cascade.json", out);
        if (length < PATH_MAX && with_file < PATH_MAX && access(file, R_OK) == 0) return true;
    }
    return false;
}

static ie_status take(char out[PATH_MAX], const char *path, ie_error *err)
{
    if (snprintf(out, PATH_MAX, "%s", path) < PATH_MAX) return IE_OK;
    return ie_app_fail(err, IE_BAD_MODEL, "the model's path is too long");
}

ie_status ie_model_path(char out[PATH_MAX], const ie_model_search *search, ie_error *err)
{
    if (search->given) return take(out, search->given, err);
    if (search->environment && search->environment[0]) return take(out, search->environment, err);

    char folder[PATH_MAX];
    IE_APP_TRY(take(folder, search->executable, err));
    for (int level = 0; level <= LEVELS_UP; level++) {
        char *slash = strrchr(folder, '/');
        if (!slash) break;
        *slash = '\0';
        if (level == 0) {
            if (find_under(out, folder, "/../share/imagen-editor")) return IE_OK;
            if (find_under(out, search->data_dir, "")) return IE_OK;
        }
        if (find_under(out, folder, "")) return IE_OK;
    }
    out[0] = '\0';
    return ie_app_fail(err, IE_BAD_MODEL,
                       "no model: name one with --model DIR or IMAGEN_EDITOR_MODEL (none is "
                       "installed in %s/models)",
                       search->data_dir);
}

ie_status ie_model_path_here(char out[PATH_MAX], const char *given, ie_error *err)
{
    char executable[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
    executable[length > 0 ? length : 0] = '\0';
    const ie_model_search search = {given, getenv("IMAGEN_EDITOR_MODEL"), executable, IE_DATA_DIR};
    return ie_model_path(out, &search, err);
}
