#!/usr/bin/env python3
"""check_ptxas - what the assembler says of every kernel of the CUDA backend.

    tests/cuda/check_ptxas.py [--targets 80,90a,120] [--show] [FILE.cu ...]

Compiles the files of kernels/cuda/sources.cmake (or those given) for each target, which needs nvcc
and no GPU, and demands of every kernel: no spilled register, no stack, no warning of the C75xx
kind (wgmma that waits for nothing), and no more registers than kernels/cuda/registers.txt allows;
for sm_90 and later also, of its PTX, that no global memory is touched before griddepcontrol.wait,
and none by ld.global.nc (kernels/cuda/launch.h).
--show prints the numbers, a row per kernel and target, in the form of that file.

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


def compile_file(nvcc, source, target):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [nvcc, "-O3", "-std=c++17", f"-gencode=arch=compute_{target},code=sm_{target}",
             "-Xptxas", "-v", "-diag-suppress", "177", "-Wno-deprecated-gpu-targets",
             f"-I{ROOT / 'kernels'}", "--keep", "--keep-dir", folder, "-c", str(source), "-o",
             f"{folder}/out.o"], text=True, capture_output=True)
        ptx = "".join(path.read_text() for path in Path(folder).glob("*.ptx"))
    return done.returncode, done.stdout + done.stderr, ptx


def uses_in(said, target):
    """What ptxas reports, an entry per kernel; functions that are called have no spills."""
    found = []
    kernel = None
    for line in said.splitlines():
        entry = re.search(r"Compiling entry function '(\S+)'", line)
        stack = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill "
                          r"loads", line)
        used = re.search(r"Used (\d+) registers", line)
        if entry:
            kernel = Use(plain_name(entry.group(1)), target, 0, 0, 0)
        elif stack and kernel:
            kernel.stack = int(stack.group(1))
            kernel.spills = int(stack.group(2)) + int(stack.group(3))
        elif used and kernel:
            kernel.registers = int(used.group(1))
            found.append(kernel)
            kernel = None
    return found


# An instruction on memory that other grids see: it names it, or none, which may be any.
TOUCH = re.compile(r"\b(?:ld|st|atom|red|cp|prefetch)\S*\.global\S*|"
                   r"\b(?:ld|st|atom|red)\.(?!\S*(?:param|shared|const|local))\S+")


def hasty(source, ptx, target):
    """Sentences about kernels that touch what the grid before may still write."""
    if int(re.match(r"\d+", target).group()) < 90:
        return
    for entry in re.finditer(r"\.entry (\w+)(.*?)\n\}", ptx, flags=re.S):
        if not TOUCH.search(entry.group(2)):
            continue  # no body on this chip
        where = f"{plain_name(entry.group(1))} ({source.name}, sm_{target})"
        before, wait, _ = entry.group(2).partition("griddepcontrol.wait")
        early = TOUCH.search(before)
        if "ld.global.nc" in entry.group(2):
            yield f"{where} reads by ld.global.nc"
        if not wait:
            yield f"{where} never waits for the grid before"
        elif early:
            yield f"{where} has {early.group()} before griddepcontrol.wait"


def complaints(source, said, uses, allowed):
    """Sentences about what is wrong in one file on one target."""
    for line in said.splitlines():
        if re.search(r"\bC75\d\d\b|[Ww]arning", line):
            yield line.strip()
    for use in uses:
        where = f"{use.kernel} ({source.name}, sm_{use.target})"
        if use.spills or use.stack:
            yield f"{where} spills {use.spills} bytes and has a stack of {use.stack}"
        if use.kernel not in allowed:
            yield f"{where} uses {use.registers} registers and is not in registers.txt"
        elif use.registers > allowed[use.kernel]:
            yield f"{where} uses {use.registers} registers, allowed are {allowed[use.kernel]}"


def most(uses):
    """Kernel -> the most registers of its instances, in the order of the files."""
    table = {}
    for use in uses:
        table[use.kernel] = max(use.registers, table.get(use.kernel, 0))
    return table


def main():
    parser = argparse.ArgumentParser(description="what ptxas says of the kernels")
    parser.add_argument("--targets", default="80,90a,120")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if not nvcc:
        print("SKIP: nvcc is not installed")
        return 77
    allowed = limits()
    bad, everything = 0, []
    for source in arguments.files or sources():
        for target in arguments.targets.split(","):
            code, said, ptx = compile_file(nvcc, source, target)
            uses = uses_in(said, target)
            everything += uses
            if code:
                print(f"{source.name} does not compile for sm_{target}:\n{said[-4000:]}")
                bad += 1
            for sentence in (*complaints(source, said, uses, allowed),
                             *hasty(source, ptx, target)):
                print(sentence, flush=True)
                bad += 1
    if arguments.show:
        for kernel, registers in most(everything).items():
            print(f"{kernel:28} {registers}")
    print(f"{len(everything)} kernels on targets {arguments.targets}, {bad} complaints")
    return 1 if bad or not everything else 0


if __name__ == "__main__":
    sys.exit(main())
