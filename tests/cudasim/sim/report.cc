/* report.cc - one line about a mistake, with the place in the kernel's source.
 * SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include "state.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <elf.h>
#include <map>
#include <unistd.h>
#include <vector>

namespace cudasim
{
void quit(int code)
{
    std::fflush(nullptr);
    _exit(code);
}

void fail(const char *format, ...)
{
    std::va_list arguments;
    va_start(arguments, format);
    std::fputs("cudasim: ", stderr);
    std::vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (const Thread *t = machine.self) {
        const uint3 b = t->position.block;
        std::fprintf(stderr, " [block %u,%u,%u thread %u]", b.x, b.y, b.z, t->rank);
    }
    std::fputc('\n', stderr);
    quit(99);
}

static bool is_wrapper(const std::string &place)
{
    for (const char *name : {"ptx.h:", "ptx_model.h:", "cuda_runtime.h:", "cuda_bf16.h:"}) {
        if (place.find(name) != std::string::npos) return true;
    }
    return false;
}

/* As addr2line and nm count addresses of this program; 0: it is not in it. */
static size_t offset_of(const void *address)
{
    Dl_info info;
    if (!dladdr(address, &info)) return 0;
    const auto offset = reinterpret_cast<uintptr_t>(address);
    const auto *header = static_cast<const Elf64_Ehdr *>(info.dli_fbase);
    return header->e_type == ET_DYN ? offset - reinterpret_cast<uintptr_t>(info.dli_fbase) : offset;
}

std::string place_of(const void *function)
{
    char text[2 * sizeof(size_t) + 1];
    std::snprintf(text, sizeof text, "%zx", offset_of(function));
    return text;
}

/* What addr2line prints about an address of this program; nothing where it is missing. */
static std::vector<std::string> addr2line(const char *flags, const void *address)
{
    std::vector<std::string> lines;
    const size_t offset = offset_of(address);
    if (!offset) return lines;

    char command[160];
    std::snprintf(command, sizeof command, "addr2line %s -e /proc/%d/exe 0x%zx 2>/dev/null", flags,
                  getpid(), offset);
    FILE *pipe = popen(command, "r");
    if (!pipe) return lines;
    for (char line[1024]; std::fgets(line, sizeof line, pipe);) {
        lines.emplace_back(line);
        lines.back().pop_back();
    }
    pclose(pipe);
    return lines;
}

static std::string find_line(const void *call)
{
    std::string result;
    for (std::string place : addr2line("-i", call)) { /* innermost frame first */
        if (place[0] == '?') continue;
        place = place.substr(0, place.find(' '));
        place = place.substr(place.find_last_of('/') + 1);
        if (result.empty() || is_wrapper(result)) result = place;
    }
    return result;
}

std::string name_of(const void *function)
{
    const std::vector<std::string> lines = addr2line("-f -C", function);
    if (lines.empty() || lines[0][0] == '?') return "a kernel";
    return lines[0].substr(0, lines[0].find('('));
}

std::string line_of(const void *return_address)
{
    static std::map<const void *, std::string> known;
    if (!return_address) return "";
    const void *call = static_cast<const char *>(return_address) - 1;
    const auto found = known.find(call);
    if (found != known.end()) return found->second;
    return known[call] = find_line(call);
}
} /* namespace cudasim */
