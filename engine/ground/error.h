/* error.h - how a failure is described once, at its origin, and passed up untouched.
 *
 * ie_status and ie_error are public (imagen_editor.h). SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_ERROR_H
#define IE_GROUND_ERROR_H

#include "imagen_editor.h"

/* Fill *err (NULL is fine) and return `status`: return ie_fail(err, IE_BAD_MODEL, "%s", name); */
#define ie_fail(err, status, ...) ie_fail_at((err), (status), 0, __FILE__, __LINE__, __VA_ARGS__)
/* The same with the errno or device code behind it. */
#define ie_fail_native(err, status, native, ...) \
    ie_fail_at((err), (status), (native), __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 6, 7))) ie_status ie_fail_at(ie_error *err, ie_status status,
                                                           int native, const char *file, int line,
                                                           const char *format, ...);

#define IE_TRY(call)                                  \
    do {                                              \
        const ie_status try_status_ = (call);         \
        if (try_status_ != IE_OK) return try_status_; \
    } while (0)

/* The same for functions that release at a label: `status` is in scope, `done:` follows. */
#define IE_TRY_DONE(call)               \
    do {                                \
        status = (call);                \
        if (status != IE_OK) goto done; \
    } while (0)

#endif
