#!/usr/bin/env python3
"""check_executed - was every kernel of the CUDA backend run by its tests? And does every one wait
for the grid before it (kernels/cuda/launch.h)?

    tests/cuda/check_executed.py PROGRAM LAUNCHED [FILE | KERNEL ...]

LAUNCHED is what runs of PROGRAM (check_cuda on the simulator) left with CUDASIM_LAUNCHED: a place
in the program a line. It is compared with every __global__ in kernels/cuda, and with every instance
of the templates among them that PROGRAM contains, but for the KERNELs and those of the FILEs, which
are for another chip and must not have run. A program with kernels translated from PTX runs those
and no other (sim/launch.cc).

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


def instance(symbol):
    """Of 'void space::kernel<128, (how)1>(int)': 'kernel' and 'kernel<128, (how)1>'; a function
    that is no template gives its name twice."""
    symbol = symbol.replace("(anonymous namespace)::", "")
    depth = 0
    for end, letter in enumerate(symbol):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            symbol = symbol[:end]
            break
    plain, angle, arguments = symbol.partition("<")
    name = re.split(r"[ :]", plain)[-1]
    return name, name + angle + arguments


def functions(program):
    """Address in the program and instance of each; an address may have two."""
    lines = subprocess.run(["nm", "-C", "--defined-only", program], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    rows = [line.split(" ", 2) for line in lines]
    return [(int(place, 16), instance(symbol)) for place, kind, symbol in rows if kind in "TtWw"]


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, path, *others = sys.argv[1:]
    kernels = declared()
    unknown = set(others) - set(kernels.values()) - set(kernels)
    if not kernels or unknown:
        sys.exit(f"check_executed: no kernel is declared in {', '.join(unknown) or 'kernels/cuda'}")
    places = {int(place, 16) for place in Path(path).read_text().split()}
    there = [(place, found) for place, found in functions(program) if found[0] in kernels]
    ran = {found for place, found in there if place in places}
    present = {found for _, found in there}
    present |= {(name, name) for name in kernels.keys() - dict(present).keys()}
    elsewhere = {name for name, file in kernels.items() if {name, file} & set(others)}
    wanted = {(name, text) for name, text in present if name not in elsewhere}
    for name, text in sorted(wanted - ran):
        print(f"never run: {text} ({kernels[name]})")
    for name, text in sorted(ran - wanted):
        print(f"run on a chip that it is not for: {text} ({kernels[name]})")
    hasty = [name for path in sources() for name, waits in kernels_in(path).items() if not waits]
    for name in hasty:
        print(f"does not wait for the grid before: {name} ({kernels[name]})")
    print(f"{len(wanted & ran)} of {len(wanted)} kernels and instances were run, "
          f"{len(kernels) - len(hasty)} of {len(kernels)} wait for the grid before")
    return 0 if ran == wanted and not hasty else 1


if __name__ == "__main__":
    sys.exit(main())
