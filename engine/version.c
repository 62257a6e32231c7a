/* version.c - the version of the library that is linked. SPDX-License-Identifier: Apache-2.0 */
#include "imagen_editor.h"

#define TEXT(x)         #x
#define DOTTED(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *ie_version(void)
{
    return DOTTED(IE_VERSION_MAJOR, IE_VERSION_MINOR, IE_VERSION_PATCH);
}
