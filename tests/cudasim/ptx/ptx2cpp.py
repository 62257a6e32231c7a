#!/usr/bin/env python3
"""ptx2cpp - translate what nvcc makes of kernels, inline assembly included, into C++ that runs on
the simulator: it executes what ptxas would be given.

    ptx2cpp.py FILE.ptx ... -o TRANSLATION.cc

One C++ function per kernel, one statement per instruction, branches are gotos. A program that
links the translation runs it wherever it launches the kernels that have the same symbols.

    0  translated
    1  an instruction or directive that is not modelled, named on stderr

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import sys
from pathlib import Path

from ptx_arithmetic import ARITHMETIC
from ptx_memory import MEMORY
from ptx_operands import CPP, Operands
from ptx_text import Label, Untranslatable, parse


def statement(ops, instruction):
    parts = instruction.opcode.split(".")
    if parts[0] in ("ret", "exit"):
        return "return;"
    if parts[0] in ("bra",):
        return f"goto {instruction.operands[0]};"
    if parts[0] == "trap":
        return 'fail("the kernel executes trap");'
    emit = ARITHMETIC.get(parts[0]) or MEMORY.get(parts[0])
    if not emit:
        raise Untranslatable(instruction.opcode)
    return emit(ops, parts, instruction.operands)


def function(module, kernel):
    ops = Operands(module, kernel)
    lines = [f"static void translated_{kernel.name}(const unsigned char *parameters)", "{",
             "    using namespace cudasim;", "    (void)parameters;"]
    if kernel.shared:
        lines.append(f"    const uint32_t static_shared = shared_bytes() - {static_bytes(kernel)};")
    for name, (size, align) in kernel.local.items():
        lines.append(f"    alignas({align}) unsigned char {name}[{size}];")
    lines += [f"    {CPP[kind]} {name}{{}};" for name, kind in kernel.registers.items()]
    for item in kernel.body:
        if isinstance(item, Label):
            lines.append(f"{item.name}:;")
            continue
        try:
            text = statement(ops, item)
        except (Untranslatable, KeyError, AttributeError, IndexError, TypeError) as problem:
            what = f"{item.opcode} {', '.join(item.operands)}"
            raise Untranslatable(f"{kernel.name}: {what} ({problem})") from problem
        guard = f"if ({item.guard}) " if item.guard else ""
        lines.append(f"    {guard}{{ {text} }}")
    return lines + ["}"]


def static_bytes(kernel):
    return -(-kernel.shared_bytes // 16) * 16


def translate(texts):
    lines, table = ['#include "translated.h"'], []
    for text in texts:
        module = parse(text)
        lines += [f"alignas(16) static unsigned char {name}[] = {{{', '.join(map(str, values))}}};"
                  for name, values in module.arrays.items()]
        for kernel in module.kernels:
            lines += function(module, kernel)
            # The C++ kernel of that symbol; its type is of no interest here.
            lines.append(f'extern "C" void {kernel.name}();')
            table.append(f"    {{{kernel.name}, translated_{kernel.name}, "
                         f"{static_bytes(kernel)}}},")
    lines += ['extern "C" const cudasim::Translated *cudasim_translated()', "{",
              "    static const cudasim::Translated table[] = {", *table,
              "    {nullptr, nullptr, 0}};", "    return table;", "}"]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="translate PTX into C++ for the simulator")
    parser.add_argument("modules", nargs="+", type=Path, metavar="FILE.ptx")
    parser.add_argument("-o", dest="output", required=True, type=Path, metavar="TRANSLATION.cc")
    arguments = parser.parse_args()
    try:
        arguments.output.write_text(translate([m.read_text() for m in arguments.modules]))
    except Untranslatable as problem:
        print(f"ptx2cpp: not modelled: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
