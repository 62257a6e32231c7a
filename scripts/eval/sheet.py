"""Contact sheets: rows of pictures with words under them.

    python3 -m scripts.eval.sheet --model models/demo --image table.png --mask table-mask.png \\
        --prompts "a glass fish bowl" "a red cube" "a blue vase" "a snowman" --output sheet.jpg

edits one image and mask with several prompts and the same seeds, a row for each seed. The sheets of
a study are made by study.py.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TILE, TEXT, GAP = 192, 13, 6
SHOWN = (255, 60, 60)  # a mask's colour on a sheet
LINES = 4  # of words under a tile


@dataclass
class Tile:
    picture: Image.Image
    words: str


def masked(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with the mask laid over it in red."""
    half = mask.convert("L").resize(picture.size).point(lambda v: 150 if v >= 128 else 0)
    return Image.composite(Image.new("RGB", picture.size, SHOWN), picture, half)


def sheet(rows: list[list[Tile]], tile: int = TILE) -> Image.Image:
    """Rows of tiles of one size; the words are wrapped, and cut after LINES lines."""
    font = ImageFont.load_default(TEXT)
    height = tile + LINES * (TEXT + 3) + GAP
    columns = max(len(row) for row in rows)
    size = (columns * (tile + GAP) + GAP, len(rows) * height + GAP)
    result = Image.new("RGB", size, (255, 255, 255))
    pen = ImageDraw.Draw(result)
    for r, row in enumerate(rows):
        for c, one in enumerate(row):
            x, y = GAP + c * (tile + GAP), GAP + r * height
            result.paste(one.picture.convert("RGB").resize((tile, tile), Image.LANCZOS), (x, y))
            lines = textwrap.wrap(one.words, tile * 2 // TEXT)[:LINES]
            for n, line in enumerate(lines):
                pen.text((x, y + tile + 2 + n * (TEXT + 2)), line, (0, 0, 0), font=font)
    return result


def save(picture: Image.Image, path: Path) -> None:
    """A JPEG, or what the name says, whole or not at all."""
    partial = path.with_name("part-" + path.name)
    picture.save(partial, quality=88)
    partial.replace(path)


def prompts_sheet(options: argparse.Namespace) -> Image.Image:
    image, mask = Image.open(options.image).convert("RGB"), Image.open(options.mask)
    first = [Tile(image, "image"), Tile(masked(image, mask), "mask")]
    blank = Tile(Image.new("RGB", image.size, (255, 255, 255)), "")
    rows = [list(first) if i == 0 else [blank, blank] for i in range(options.seeds)]
    with tempfile.TemporaryDirectory() as folder:
        for prompt in options.prompts:
            command = [
                str(options.binary), "edit", "--quiet", "--model", str(options.model),
                "--image", str(options.image), "--mask", str(options.mask), "--prompt", prompt,
                "--seed", str(options.seed), "--count", str(options.seeds),
                "--output", str(Path(folder, "out.png")), *options.edit,
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr.strip()[-400:])
            for number, path in enumerate(sorted(Path(folder).glob("out*.png"))):
                picture = Image.open(path).convert("RGB")
                words = f"{prompt} (seed {options.seed + number})"
                rows[number].append(Tile(picture, words))
                path.unlink()
    return sheet(rows, options.tile)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=Path, default="build/release/apps/imagen-editor")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--mask", type=Path, required=True)
    parser.add_argument("--prompts", nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0, help="of the first row")
    parser.add_argument("--seeds", type=int, default=1, help="rows, at most 9")
    parser.add_argument("--tile", type=int, default=TILE, help="side in pixels")
    parser.add_argument("--edit", nargs=argparse.REMAINDER, default=[], help="options of edit")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        if not 1 <= options.seeds <= 9:
            raise ValueError(f"--seeds is {options.seeds}, not 1 .. 9")
        save(prompts_sheet(options), options.output)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"sheet: {error}", file=sys.stderr)
        return 2
    print(f"sheet: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
