#!/usr/bin/env python3
"""check_ptx - does every kernel, as PTX, wait for the grid before it (kernels/cuda/launch.h)?

    tests/cuda/check_ptx.py FOLDER

Demands of every kernel in the folder's PTX, if it is for sm_90 or later, that no global memory is
touched before griddepcontrol.wait, and none by ld.global.nc. And of the sources that they tell no
chip from 9.0 on apart but by PTX_SM90A: PTX of 10.0 then stands for that of every later chip.

    0  all is well     1  it is not     2  usage

SPDX-License-Identifier: Apache-2.0
"""

import re
import sys
from pathlib import Path

from check_ptxas import KERNELS, plain_name

# An instruction on memory that other grids see: it names it, or none, which may be any.
TOUCH = re.compile(r"\b(?:ld|st|atom|red|cp|prefetch)\S*\.global\S*|"
                   r"\b(?:ld|st|atom|red)\.(?!\S*(?:param|shared|const|local))\S+")
# What a source may ask of the chip that it is compiled for.
ASKED = re.compile(r"!defined\(__CUDA_ARCH__\)|__CUDA_ARCH__ >= (?:800|890|900)\b|"
                   r"defined\(__CUDA_ARCH_FEAT_SM90_ALL\)")


def entries(text):
    """Name and body of every kernel; the instances of a template share the name."""
    return [(plain_name(symbol), body)
            for symbol, body in re.findall(r"\.entry (\w+)(.*?)\n\}", text, flags=re.S)]


def hasty(kernel, body):
    """Sentences about a kernel that touches what the grid before may still write."""
    before, wait, _ = body.partition("griddepcontrol.wait")
    early = TOUCH.search(before)
    if "ld.global.nc" in body:
        yield f"{kernel} reads by ld.global.nc"
    if TOUCH.search(body) and not wait:  # without it: no body on this chip
        yield f"{kernel} never waits for the grid before"
    elif early:
        yield f"{kernel} has {early.group()} before griddepcontrol.wait"


def particular(path):
    """Lines that ask for a chip in another way."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "__CUDA_ARCH" in ASKED.sub("", line):
            yield f"{path.name}:{number} asks for a chip of its own: {line.strip()}"


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    wrong, read, waits = [], 0, 0
    for path in sorted([*KERNELS.glob("*.cu"), *KERNELS.glob("*.h")]):
        wrong += particular(path)
    for path in sorted(Path(sys.argv[1]).glob("*.ptx")):
        text = path.read_text()
        target = re.search(r"^\.target sm_(\d+)(\w*)", text, flags=re.M)
        kernels = entries(text)
        read += len(kernels)
        if int(target.group(1)) < 90:
            continue
        waits += len(kernels)
        wrong += [f"{sentence} ({path.name}, sm_{''.join(target.groups())})"
                  for kernel, body in kernels for sentence in hasty(kernel, body)]
    for sentence in wrong:
        print(sentence)
    print(f"{read} kernels, {waits} of them for sm_90 or later, {len(wrong)} complaints")
    return 1 if wrong or not read else 0


if __name__ == "__main__":
    sys.exit(main())
