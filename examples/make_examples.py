#!/usr/bin/env python3
"""make_examples.py - render the example pictures and draw their masks; the results are committed.

    examples/make_examples.py            everything (needs povray; a few minutes)
    examples/make_examples.py masks      the masks alone

The pictures are scenes of our own (examples/scenes), so they may be used for anything the licence
of this project allows.
SPDX-License-Identifier: Apache-2.0
"""
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

# picture: size, POV-Ray's output option, and of each mask the ellipse where the edit goes (centre
# and radii)
PICTURES = {
    "desk.jpg": (
        (1024, 1024),
        "+FJ92",
        {
            "desk-bowl-mask.png": (262, 668, 145, 150),  # a glass fish bowl
            "desk-mask.png": (250, 692, 216, 230),  # anything, up to a snowman
        },
    ),
    "table.png": (
        (1024, 1024),
        "+FN8",
        {"table-mask.png": (540, 500, 150, 135)},  # a glass fish bowl
    ),
    "bay.jpg": (
        (1600, 1067),
        "+FJ86",
        {"bay-mask.png": (800, 570, 230, 165)},  # a red sailing boat
    ),
}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_png(path: Path, header: bytes, rows: bytes) -> None:
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def repack_png(path: Path) -> None:
    """Keep the pixels as filtered; drop dates and comments, compress as hard as zlib can."""
    data, at, parts = path.read_bytes(), 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        parts[kind] = parts.get(kind, b"") + body
        at += 12 + size
    write_png(path, parts[b"IHDR"], zlib.decompress(parts[b"IDAT"]))


def render(name: str, size: tuple[int, int], kind: str) -> None:
    scene = (HERE / "scenes" / name).with_suffix(".pov")
    files = [f"+I{scene}", f"+O{HERE / name}", kind]
    command = ["povray", *files, f"+W{size[0]}", f"+H{size[1]}", "+A0.2", "-D"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if name.endswith(".png"):
        repack_png(HERE / name)


def draw_mask(name: str, size: tuple[int, int], ellipse: tuple[int, int, int, int]) -> None:
    width, height = size
    x, y, rx, ry = ellipse
    column, row = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    mask = np.where(((column - x) / rx) ** 2 + ((row - y) / ry) ** 2 <= 1, 255, 0).astype(np.uint8)
    filters = np.zeros((height, 1), np.uint8)  # each row begins with its filter: none
    rows = np.hstack([filters, mask]).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    write_png(HERE / name, header, rows)


def main() -> None:
    only_masks = sys.argv[1:] == ["masks"]
    for name, (size, kind, masks) in PICTURES.items():
        if not only_masks:
            render(name, size, kind)
        for mask, ellipse in masks.items():
            draw_mask(mask, size, ellipse)


if __name__ == "__main__":
    main()
