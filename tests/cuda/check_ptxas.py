#!/usr/bin/env python3
"""check_ptxas - what the assembler says of every kernel of the CUDA backend.

    tests/cuda/check_ptxas.py [--targets 80,90a,100,120] [--ptx FOLDER] [--show] [FILE.cu ...]
    tests/cuda/check_ptxas.py --log FILE [--show]

Compiles the files of kernels/cuda/sources.cmake (or those given) for each target, which needs nvcc
and no GPU, and demands of every kernel: no spilled register, no stack, no warning of the C75xx
kind (wgmma that waits for nothing), and no more registers than kernels/cuda/registers.txt allows.
--ptx takes PTX that was made before, a FILE.ptx for each FILE.cu, and only assembles it: PTX runs
on its own target and on later ones. --log reads what a build with -Xptxas -v has said, instead.
--show prints the numbers, a row per kernel, in the form of registers.txt.

    0  all is well     1  it is not     2  usage     77  SKIP: no nvcc

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "kernels/cuda"


@dataclass
class Use:
    kernel: str
    target: str
    registers: int
    spills: int
    stack: int


def sources():
    text = (KERNELS / "sources.cmake").read_text()
    names = re.search(r"set\(ie_cuda_sources\s+([^)]*)\)", text).group(1).split()
    return [KERNELS / name for name in names if (KERNELS / name).exists()]


def built_for():
    """The targets of a build that is not told any."""
    text = (ROOT / "cmake/IeDependencies.cmake").read_text()
    words = re.search(r"set\(CMAKE_CUDA_ARCHITECTURES ([^)]*)\)", text).group(1).split()
    return ",".join(word.split("-")[0] for word in words)


def limits():
    """Name of a kernel -> the registers it may use on any target."""
    table = {}
    for line in (KERNELS / "registers.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            table[words[0]] = int(words[1])
    return table


def plain_name(symbol):
    """The kernel's name without its space, arguments and parameters."""
    full = subprocess.run(["c++filt", symbol], text=True, capture_output=True,
                          check=True).stdout.strip()
    full = re.split(r"[<(]", full.replace("(anonymous namespace)", ""), maxsplit=1)[0]
    return re.split(r"[ :]", full)[-1]


def nvcc():
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def assembled(source, target, ptx):
    """The exit code of nvcc for a file, and what ptxas said; with a folder of PTX, of that."""
    flags = ["-std=c++17", "-O3", "-diag-suppress", "177", f"-I{ROOT / 'kernels'}"]
    if ptx:
        source, flags = ptx / f"{source.stem}.ptx", []
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [nvcc(), *flags, f"-arch=sm_{target}", "-Wno-deprecated-gpu-targets", "-Xptxas", "-v",
             "-cubin", str(source), "-o", f"{folder}/out.cubin"], text=True, capture_output=True)
    return done.returncode, done.stdout + done.stderr


def uses_in(said):
    """What ptxas reports, an entry per kernel; functions that are called have no spills."""
    found = []
    kernel = None
    for line in said.splitlines():
        entry = re.search(r"Compiling entry function '(\S+)' for 'sm_(\w+)'", line)
        stack = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill "
                          r"loads", line)
        used = re.search(r"Used (\d+) registers", line)
        if entry:
            kernel = Use(plain_name(entry.group(1)), entry.group(2), 0, 0, 0)
        elif stack and kernel:
            kernel.stack = int(stack.group(1))
            kernel.spills = int(stack.group(2)) + int(stack.group(3))
        elif used and kernel:
            kernel.registers = int(used.group(1))
            found.append(kernel)
            kernel = None
    return found


def complaints(said, uses, allowed):
    """Sentences about what is wrong in what ptxas said."""
    for line in said.splitlines():
        if re.search(r"\bC75\d\d\b|[Ww]arning", line):
            yield line.strip()
    for use in uses:
        where = f"{use.kernel} (sm_{use.target})"
        if use.spills or use.stack:
            yield f"{where} spills {use.spills} bytes and has a stack of {use.stack}"
        if use.kernel not in allowed:
            yield f"{where} uses {use.registers} registers and is not in registers.txt"
        elif use.registers > allowed[use.kernel]:
            yield f"{where} uses {use.registers} registers, allowed are {allowed[use.kernel]}"


def absent(uses, allowed):
    """Sentences about kernels of registers.txt that ptxas has not spoken of on each target."""
    for target in sorted({use.target for use in uses}):
        for kernel in sorted(allowed.keys() - {use.kernel for use in uses if use.target == target}):
            yield f"ptxas has said nothing of {kernel} (sm_{target})"


def most(uses):
    """Kernel -> the most registers of its instances, in the order of the files."""
    table = {}
    for use in uses:
        table[use.kernel] = max(use.registers, table.get(use.kernel, 0))
    return table


def assemble(arguments):
    """All that is said of the files, and sentences about those that do not compile."""
    everything, wrong = "", []
    for source in arguments.files or sources():
        for target in arguments.targets.split(","):
            code, said = assembled(source, target, arguments.ptx)
            everything += said
            if code:
                wrong.append(f"{source.name} does not compile for sm_{target}:\n{said[-4000:]}")
    return everything, wrong


def main():
    parser = argparse.ArgumentParser(description="what ptxas says of the kernels")
    parser.add_argument("--targets", default=built_for(), help="default: %(default)s")
    parser.add_argument("--ptx", type=Path, metavar="FOLDER")
    parser.add_argument("--log", type=Path, metavar="FILE")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.cu")
    arguments = parser.parse_args()
    if not arguments.log and not nvcc():
        print("SKIP: nvcc is not installed")
        return 77
    said, wrong = (arguments.log.read_text(), []) if arguments.log else assemble(arguments)
    uses, allowed = uses_in(said), limits()
    wrong += complaints(said, uses, allowed)
    if not arguments.files:
        wrong += absent(uses, allowed)
    for sentence in wrong:
        print(sentence)
    if arguments.show:
        for kernel, registers in most(uses).items():
            print(f"{kernel:28} {registers}")
    targets = ", ".join(sorted({f"sm_{use.target}" for use in uses})) or "no target"
    print(f"{len(uses)} kernels on {targets}, {len(wrong)} complaints")
    return 1 if wrong or not uses else 0


if __name__ == "__main__":
    sys.exit(main())
