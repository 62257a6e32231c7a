/* sweep_new.cc - operator new of the tokenizer shim, able to fail as C++ fails: by an exception.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sweep_alloc.h"

#include <new>

extern "C" {
void *__real__Znwm(std::size_t bytes);
void *__wrap__Znwm(std::size_t bytes);
}

/* operator new(size_t). What it gives away is not counted as live: LeakSanitizer watches it. */
void *__wrap__Znwm(std::size_t bytes)
{
    if (sweep_fails()) throw std::bad_alloc();
    return __real__Znwm(bytes);
}
