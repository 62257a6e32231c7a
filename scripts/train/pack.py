"""A cache as one small file of JPEG images, to send to another machine, and back.

    python3 -m scripts.train.pack --cache data/train-cache --size 256 --output train.zip
    python3 -m scripts.train.pack --unpack train.zip --output data/train-cache

A pack is a zip file: index.json as in the cache, and 000000.jpg, ... (4:4:4, so that colours stay
at full resolution). Part of a set is packed with --images FIRST:LAST; several packs are unpacked
into one cache, in the order they are given.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import io
import json
import os
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image

from .cache import FORMAT, Cache


def encode(pixels: np.ndarray, quality: int) -> bytes:
    result = io.BytesIO()
    Image.fromarray(pixels).save(result, format="JPEG", quality=quality, subsampling=0)
    return result.getvalue()


def decode(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def pack(cache: Cache, output: Path, images: range, quality: int) -> None:
    entries = [cache.entries[i] for i in images]
    index = {"format": FORMAT, "version": 1, "sizes": [cache.size], "images": entries}
    partial = output.with_name(output.name + ".part")
    with zipfile.ZipFile(partial, "w") as file:
        file.writestr("index.json", json.dumps(index), zipfile.ZIP_DEFLATED)
        for number, i in enumerate(images):
            file.writestr(f"{number:06d}.jpg", encode(np.array(cache.pixels(i)), quality))
    os.replace(partial, output)


def unpack(packs: list[Path], output: Path, jobs: int) -> int:
    """A cache of all their images; the number of them."""
    output.mkdir(parents=True, exist_ok=True)
    files = [zipfile.ZipFile(path) for path in packs]
    indices = [json.loads(file.read("index.json")) for file in files]
    sizes = {size for index in indices for size in index["sizes"]}
    if len(sizes) != 1:
        raise ValueError(f"the packs hold images of different sizes: {sorted(sizes)}")
    size = sizes.pop()
    entries = [entry for index in indices for entry in index["images"]]
    shape = (len(entries), size, size, 3)
    array = open_memmap(output / f"images-{size}.npy", "w+", dtype=np.uint8, shape=shape)
    stored = (
        file.read(f"{number:06d}.jpg")
        for file, index in zip(files, indices)
        for number in range(len(index["images"]))
    )
    with ProcessPoolExecutor(jobs) as pool:
        for i, pixels in enumerate(pool.map(decode, stored, chunksize=64)):
            array[i] = pixels
    array.flush()
    index = {"format": FORMAT, "version": 1, "sizes": [size], "images": entries}
    partial = output / "index.json.part"
    partial.write_text(json.dumps(index), encoding="utf-8")
    os.replace(partial, output / "index.json")
    for file in files:
        file.close()
    return len(entries)


def image_range(text: str, count: int) -> range:
    """FIRST:LAST, LAST not included; either may be left out."""
    first, colon, last = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, last)):
        raise ValueError(f"--images {text} is not FIRST:LAST")
    return range(count)[int(first or 0) : int(last or count)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--cache", type=Path, help="the cache to pack")
    what.add_argument("--unpack", type=Path, nargs="+", help="the packs to unpack")
    parser.add_argument("--output", type=Path, required=True, help="the pack, or the cache")
    parser.add_argument("--size", type=int, default=256, help="of the packed images (default 256)")
    parser.add_argument("--images", default=":", metavar="FIRST:LAST", help="default: all")
    parser.add_argument("--quality", type=int, default=92, help="of the JPEGs (default 92)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that unpack")
    options = parser.parse_args(arguments)
    try:
        if options.unpack:
            count = unpack(options.unpack, options.output, options.jobs)
        else:
            cache = Cache(options.cache, options.size)
            images = image_range(options.images, len(cache))
            pack(cache, options.output, images, options.quality)
            count = len(images)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"pack: {error}", file=sys.stderr)
        return 2
    size = options.output.stat().st_size / 1e6 if options.cache else 0
    print(f"pack: {count} images" + (f", {size:.1f} MB" if options.cache else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
