#!/usr/bin/env python3
"""check_executed - was every kernel of the CUDA backend run by its tests? And does every one wait
for the grid before it (kernels/cuda/launch.h)?

    tests/cuda/check_executed.py PROGRAM LAUNCHED [FILE ...]

LAUNCHED is what runs of PROGRAM (check_cuda on the simulator) left with CUDASIM_LAUNCHED: a place
in the program a line. It is compared with every __global__ in kernels/cuda but those of the FILEs,
which are for another chip and must not have run. A template counts as run when one of its
instances was. A program with kernels translated from PTX runs those and no other (sim/launch.cc).

    0  all were, and do     1  some were not, or do not     2  usage

SPDX-License-Identifier: Apache-2.0
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


WAIT = "wait_for_last_grid();"


def body_of(text, at):
    """From the opening brace at that place to the one that closes it."""
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[at:end]
    return text[at:]


def kernels_in(path):
    """Name of a kernel -> whether it waits for the grid before."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    kernels = {}
    for found in re.finditer(r"__global__\s+(.*?)\{", text, flags=re.S):
        # What is left of the parameters, without the attributes.
        head = re.sub(r"__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)", "", found.group(1))
        name = re.search(r"(\w+)\s*\(", head).group(1)
        kernels[name] = body_of(text, found.end() - 1).count(WAIT) == 1
    return kernels


def sources():
    folder = ROOT / "kernels/cuda"
    return sorted(folder.glob("*.cu")) + sorted(folder.glob("*.h"))


def declared():
    """Name of a kernel -> its file."""
    return {name: path.name for path in sources() for name in kernels_in(path)}


def symbols(program):
    """Address in the program -> demangled name."""
    lines = subprocess.run(["nm", "-C", "--defined-only", program], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    table = {}
    for line in lines:
        address, _, name = line.split(" ", 2)
        table[int(address, 16)] = name
    return table


def launched(program, path):
    table = symbols(program)
    names = set()
    for place in set(Path(path).read_text().split()):
        # "void space::kernel<128, true>(int)" and "kernel(int)" both give "kernel".
        plain = table.get(int(place, 16), "").replace("(anonymous namespace)", "")
        plain = re.split(r"[<(]", plain, maxsplit=1)[0]
        names.add(re.split(r"[ :]", plain)[-1])
    return names


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, path, *others = sys.argv[1:]
    kernels = declared()
    unknown = set(others) - set(kernels.values())
    if not kernels or unknown:
        sys.exit(f"check_executed: no kernel is declared in {', '.join(unknown) or 'kernels/cuda'}")
    ran = launched(program, path)
    wanted = {name for name, file in kernels.items() if file not in others}
    for name in sorted(wanted - ran):
        print(f"never run: {name} ({kernels[name]})")
    for name in sorted(ran & set(kernels) - wanted):
        print(f"run on a chip that it is not for: {name} ({kernels[name]})")
    hasty = [name for path in sources() for name, waits in kernels_in(path).items() if not waits]
    for name in hasty:
        print(f"does not wait for the grid before: {name} ({kernels[name]})")
    print(f"{len(wanted & ran)} of {len(wanted)} kernels were run, "
          f"{len(kernels) - len(hasty)} of {len(kernels)} wait for the grid before")
    return 0 if ran & set(kernels) == wanted and not hasty else 1


if __name__ == "__main__":
    sys.exit(main())
