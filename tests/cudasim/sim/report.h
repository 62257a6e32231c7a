/* report.h - what the simulator says about a kernel's mistakes, always on stderr, always beginning
 * with `cudasim: `. A mistake ends the process: exit code 99, or 98 for a deadlock, 97 for races.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_REPORT_H
#define CUDASIM_REPORT_H

#include <string>

namespace cudasim
{
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void quit(int code); /* without running destructors: fibers are alive */

/* `file:line` of the instruction before a return address: of the innermost inlined frame that
 * is not one of the wrappers'. Empty where addr2line is missing. */
std::string line_of(const void *return_address);
std::string name_of(const void *function);
std::string place_of(const void *function); /* its address as nm prints it */
} /* namespace cudasim */

#endif
