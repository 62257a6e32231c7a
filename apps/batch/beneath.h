/* beneath.h - files named by strangers, opened below a folder and nowhere else.
 *
 * A path of a manifest is relative, its components are names, and no symbolic link lies on the way,
 * whatever happens to the folders meanwhile: the kernel resolves it (openat2), or, where it cannot,
 * one component after the other is opened without following links.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BENEATH_H
#define IE_APPS_BENEATH_H

#include "fail.h"

#include <stdbool.h>

/* How paths are resolved; the second is for kernels before 5.6 and sandboxes that forbid the first,
 * and is taken by itself where needed. */
typedef enum ie_beneath_way { IE_BENEATH_KERNEL, IE_BENEATH_WALK } ie_beneath_way;

/* Is it a path that may be opened: relative, UTF-8, no empty, "." or ".." component, no control
 * character, no component over 255 bytes? IE_BAD_INPUT with the reason. Looks at the text alone. */
ie_status ie_beneath_check(const char *path, ie_error *err);

/* A folder that the user named, to be opened once; anything goes. IE_BAD_ARGUMENT. */
ie_status ie_beneath_root(int *out, const char *folder, const char *option, ie_error *err);

/* Open a file to read. IE_BAD_INPUT. A FIFO is opened, not waited for. */
ie_status ie_beneath_open(int *out, int root, const char *path, ie_beneath_way way, ie_error *err);

/* Make a folder in the one open as `folder`; true when it is there afterwards, else errno says why
 * not. */
bool ie_beneath_make(int folder, const char *name);

/* Open the folder that `path` lies in, made with its parents if `make`; *name points at the last
 * component. IE_IO, with err->native. */
ie_status ie_beneath_folder(int *out, const char **name, int root, const char *path, bool make,
                            ie_error *err);

#endif
