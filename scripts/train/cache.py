"""Make a training cache: square images of fixed sizes in memory-mapped files, boxes and captions.

    python3 -m scripts.train.cache --source data/train --output data/train-cache
    python3 -m scripts.train.cache --source data/large --output data/large-cache --sizes 256 1024

A source is a folder:

    SOURCE/images/*             PNG, JPEG or WebP of any size; the middle square is used
    SOURCE/captions.jsonl       a line for each image: {"file_name": "a.jpg", "caption": "..."},
                                or as scripts/scenes writes them: {"image_id": 7, "full": [...],
                                "groups": [{"simple": [...], "rich": [...]}, ...]}
    SOURCE/annotations.json     optional: COCO; boxes, with "score" where a detector made them.
                                "attributes": {"group": 0} ties a box to the captions' groups

What is written: images-SIZE.npy, u8 [count, SIZE, SIZE, 3], and index.json. A size that is not
cached is decoded from its file whenever it is needed.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image

from ..reference.config import read_json

FORMAT = "imagen-editor-training-cache"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
KEPT = 0.5  # of a box's area must lie in the middle square


# ---- reading a source ---------------------------------------------------------------------------


def middle_square(width: int, height: int) -> tuple[int, int, int]:
    """Left, top and side."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side


def square_box(bbox: list[float], square: tuple[int, int, int]) -> list[float] | None:
    """A COCO box as left, top, right, bottom, parts of the square; None where mostly outside."""
    left, top, side = square
    x, y, width, height = bbox
    edges = [(x - left) / side, (y - top) / side]
    edges += [edges[0] + width / side, edges[1] + height / side]
    inside = [min(max(edge, 0.0), 1.0) for edge in edges]
    area = (inside[2] - inside[0]) * (inside[3] - inside[1])
    return inside if area > 0 and area >= KEPT * width * height / side**2 else None


def captions_of(line: dict[str, Any], where: str) -> dict[str, Any]:
    full = [line["caption"]] if "caption" in line else line.get("full", [])
    if not full or not all(isinstance(text, str) and text.strip() for text in full):
        raise ValueError(f"{where}: neither a caption nor a list full of them")
    return {"full": full, "groups": line.get("groups", [])}


def read_captions(source: Path) -> dict[Any, dict[str, Any]]:
    """By file name or by image id, whichever the lines have."""
    result = {}
    path = source / "captions.jsonl"
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = json.loads(text)
        key = line.get("file_name", line.get("image_id"))
        if key is None:
            raise ValueError(f"{path}:{number}: neither file_name nor image_id")
        result[key] = captions_of(line, f"{path}:{number}")
    return result


def read_images(source: Path) -> list[dict[str, Any]]:
    """The images with their COCO annotations; without annotations.json every file in images/."""
    path = source / "annotations.json"
    if not path.exists():
        files = sorted(
            p.name for p in (source / "images").iterdir() if p.suffix.lower() in SUFFIXES
        )
        return [{"id": None, "file_name": name, "annotations": []} for name in files]
    coco = json.loads(path.read_text(encoding="utf-8"))
    images = {image["id"]: {**image, "annotations": []} for image in coco["images"]}
    for annotation in coco["annotations"]:
        if not annotation.get("iscrowd"):
            images[annotation["image_id"]]["annotations"].append(annotation)
    return list(images.values())


def boxes_of(image: dict[str, Any], square: tuple[int, int, int], groups: int) -> list[dict]:
    result = []
    for annotation in image["annotations"]:
        box = square_box(annotation["bbox"], square)
        group = annotation.get("attributes", {}).get("group")
        if group is not None and not 0 <= group < groups:
            raise ValueError(f"{image['file_name']}: its captions have no group {group}")
        if box:
            result.append({"box": box, "score": annotation.get("score", 1.0), "group": group})
    return result


def read_source(source: Path) -> Iterator[dict[str, Any]]:
    """The index's entries, `file` still absolute."""
    captions = read_captions(source)
    for image in read_images(source):
        file = source / "images" / image["file_name"]
        caption = captions.get(image["file_name"], captions.get(image["id"]))
        if caption is None:
            raise ValueError(f"{source / 'captions.jsonl'}: no line for {image['file_name']}")
        with Image.open(file) as opened:
            square = middle_square(*opened.size)
        boxes = boxes_of(image, square, len(caption["groups"]))
        yield {"file": str(file.resolve()), "square": square, "boxes": boxes, **caption}


# ---- pixels -------------------------------------------------------------------------------------


def decode(file: Path, square: tuple[int, int, int], size: int) -> np.ndarray:
    """The square of an image file, reduced to u8 [size, size, 3] by averaging."""
    left, top, side = square
    if side < size:
        raise ValueError(f"{file}: its side is {side}, the smallest usable one is {size}")
    with Image.open(file) as image:
        box = (left, top, left + side, top + side)
        rgb = image.convert("RGB")
        whole = (size, size) == rgb.size
        return np.asarray(rgb if whole else rgb.resize((size, size), Image.BOX, box=box))


def decode_sizes(entry: dict[str, Any], sizes: list[int]) -> list[np.ndarray]:
    return [decode(Path(entry["file"]), entry["square"], size) for size in sizes]


def build(sources: list[Path], output: Path, sizes: list[int], jobs: int) -> int:
    """Write the cache; the number of images. index.json comes last: with it, it is complete."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "index.json").unlink(missing_ok=True)
    entries = [entry for source in sources for entry in read_source(source)]
    if not entries:
        raise ValueError(f"{sources[0]}: no images")
    files = {size: output / f"images-{size}.npy" for size in sizes}
    arrays = [
        open_memmap(files[size], "w+", dtype=np.uint8, shape=(len(entries), size, size, 3))
        for size in sizes
    ]
    with ProcessPoolExecutor(jobs) as pool:
        decoded = pool.map(partial(decode_sizes, sizes=sizes), entries, chunksize=8)
        for i, pictures in enumerate(decoded):
            for array, picture in zip(arrays, pictures):
                array[i] = picture
            if (i + 1) % 1000 == 0:
                print(f"cache: {i + 1} of {len(entries)}", flush=True)
    for array in arrays:
        array.flush()
    for entry in entries:
        entry["file"] = os.path.relpath(entry["file"], output.resolve())
    index = {"format": FORMAT, "version": 1, "sizes": sizes, "images": entries}
    partial_index = output / "index.json.part"
    partial_index.write_text(json.dumps(index), encoding="utf-8")
    os.replace(partial_index, output / "index.json")
    return len(entries)


class Cache:
    """A cache, read at one size."""

    def __init__(self, directory: Path, size: int):
        self.directory, self.size = Path(directory), size
        self.entries = read_json(self.directory / "index.json", FORMAT)["images"]
        path = self.directory / f"images-{size}.npy"
        self.array = np.load(path, mmap_mode="r") if path.exists() else None

    def __len__(self) -> int:
        return len(self.entries)

    def pixels(self, index: int) -> np.ndarray:
        """Image `index`, u8 [size, size, 3]: memory-mapped, or decoded from its file."""
        if self.array is not None:
            return self.array[index]
        entry = self.entries[index]
        return decode(self.directory / entry["file"], entry["square"], self.size)

    def captions(self) -> Iterator[str]:
        """Every wording of every image."""
        for entry in self.entries:
            yield from entry["full"]
            for group in entry["groups"]:
                yield from group["simple"]
                yield from group["rich"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, nargs="+", required=True, help="folders of images")
    parser.add_argument("--output", type=Path, required=True, help="the cache")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256], help="default: 256")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    try:
        count = build(arguments.source, arguments.output, arguments.sizes, arguments.jobs)
    except (OSError, ValueError) as error:
        print(f"cache: {error}", file=sys.stderr)
        return 2
    print(f"cache: {count} images at {', '.join(map(str, arguments.sizes))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
