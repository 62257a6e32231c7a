/* fail.h - how the command describes a failure: the public ie_error, filled once where it happens,
 * passed up untouched.
 *
 * The library's own helpers are private to it; the command sees imagen_editor.h alone, as any other
 * program does. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_FAIL_H
#define IE_APPS_FAIL_H

#include "imagen_editor.h"

/* Fill *err (NULL is fine); the value is `status`. Control characters of the text, which may come
 * from file names, become '?', so that a message is one line. */
#define ie_app_fail(err, status, ...) \
    (ie_app_fail_at((err), (status), __FILE__, __LINE__, __VA_ARGS__), (status))

__attribute__((format(printf, 5, 6))) void ie_app_fail_at(ie_error *err, ie_status status,
                                                          const char *file, int line,
                                                          const char *format, ...);

#define IE_APP_TRY(call)                              \
    do {                                              \
        const ie_status try_status_ = (call);         \
        if (try_status_ != IE_OK) return try_status_; \
    } while (0)

/* The same for functions that release at a label: `status` is in scope, `done:` follows. */
#define IE_APP_TRY_DONE(call)           \
    do {                                \
        status = (call);                \
        if (status != IE_OK) goto done; \
    } while (0)

/* Replace control characters by '?', in place. */
void ie_one_line(char *text);

#endif
