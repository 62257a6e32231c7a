/* console.h - sentences on stderr. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_CONSOLE_H
#define IE_APPS_CONSOLE_H

#include "fail.h"

/* "imagen-editor: <sentence>", one line. */
__attribute__((format(printf, 1, 2))) void ie_note(const char *format, ...);

#endif
