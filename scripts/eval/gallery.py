"""What a batch job made, to look at: each input, its mask, its result, and the words.

    imagen-editor batch examples/edits.jsonl --output-dir out/edits --precision bf16
    python3 -m scripts.eval.gallery examples/edits.jsonl --results out/edits --output out/edits.jpg

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import sys
from pathlib import Path

from PIL import Image

from . import sheet


def gallery(manifest: Path, results: Path, columns: int, tile: int) -> Image.Image:
    """Items of the manifest, `columns` of them in a row of the sheet."""
    lines = manifest.read_text(encoding="utf-8").splitlines()
    tiles = []
    for item in (json.loads(line) for line in lines if line.strip()):
        image = Image.open(manifest.parent / item["image"]).convert("RGB")
        masked = sheet.masked(image, Image.open(manifest.parent / item["mask"]))
        result = Image.open(results / f"{item['id']}.png")
        words = f"\"{item['prompt']}\" (seed {item['seed']})"
        tiles.append([sheet.Tile(image, item["id"]), sheet.Tile(masked, ""),
                      sheet.Tile(result, words)])  # fmt: skip
    rows = [sum(tiles[i : i + columns], []) for i in range(0, len(tiles), columns)]
    return sheet.sheet(rows, tile)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--results", type=Path, required=True, help="the job's --output-dir")
    parser.add_argument("--columns", type=int, default=2, help="items in a row")
    parser.add_argument("--tile", type=int, default=sheet.TILE, help="side in pixels")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        made = gallery(options.manifest, options.results, options.columns, options.tile)
        sheet.save(made, options.output)
    except (OSError, ValueError, KeyError) as error:
        print(f"gallery: {error}", file=sys.stderr)
        return 2
    print(f"gallery: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
