"""Render a set of scenes with their ground truth.

    python3 -m scripts.scenes.generate --output data/train --count 20000 --seed 1 --size 256
    python3 -m scripts.scenes.generate --output data/test --count 48 --seed 2 --size 1024 --pairs
    python3 -m scripts.scenes.generate --output data/bowls --count 60 --about "fish bowl"

Needs POV-Ray and its include files (Debian: povray, povray-includes), NumPy and Pillow.
Deterministic in --seed; interrupt it at any time and run it again: finished scenes are kept,
half-written files never carry a final name.

    OUTPUT/images/000123.png        the scene
    OUTPUT/without/000123-0.png     with --pairs: the same without group 0
    OUTPUT/masks/000123.png         grey: (group + 1) at every pixel that shows a group, 0 elsewhere
    OUTPUT/annotations.json         COCO: a box, its area and its attributes for every visible group
    OUTPUT/captions.jsonl           every wording of every scene, a line each

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from . import captions, pov
from .scene import Scene, draw, without

# POV-Ray's antialiasing. `fine` is adaptive, at most 2x2 beyond what the threshold asks; `fast` has
# none and takes half the time: for pictures that are used at half their size or less.
QUALITIES = {"fine": ["+A0.2", "+AM2", "+R2"], "fast": ["-A"]}
MIN_VISIBLE = 0.002  # of the picture: a group hidden more than that is not annotated
LONGEST_SEARCH = 10000  # scenes
KINDS = [*captions.words.SHAPES, *captions.words.OBJECTS, "sign"]


def chosen(seed: int, count: int, about: str | None) -> list[int]:
    """The first `count` scenes of a seed; with `about` the first that have these words in one of
    their captions of the whole picture."""
    found: list[int] = []
    index = 0
    while len(found) < count:
        if not about or any(about in text for text in captions.describe(draw(seed, index))["full"]):
            found.append(index)
        elif index - (found[-1] if found else -1) > LONGEST_SEARCH:
            raise ValueError(f"--about {about!r}: {LONGEST_SEARCH} scenes in a row do not say it")
        index += 1
    return found


def render(text: str, path: Path, size: int, options: list[str]) -> None:
    """One picture; `path` appears only when it is complete."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source, result = Path(folder, "scene.pov"), Path(folder, "scene.png")
        source.write_text(text)
        command = [
            "povray",
            f"+I{source}",
            f"+O{result}",
            "+FN8",
            f"+W{size}",
            f"+H{size}",
            "-D",
            "+WT1",
        ]
        done = subprocess.run(command + options, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"povray failed on {path.name}: {done.stderr.strip()[-400:]}")
        os.replace(result, path)


def render_masks(scene: Scene, path: Path, size: int) -> None:
    flat = path.with_suffix(".flat.png")
    render(pov.numbered(scene), flat, size, ["-A", "File_Gamma=1"])
    levels = np.asarray(Image.open(flat).convert("L"), dtype=np.float32) / 255 * pov.GROUP_LEVELS
    numbers = Image.fromarray(np.rint(levels).astype(np.uint8))
    partial = path.with_suffix(".part")
    numbers.save(partial, format="PNG")
    flat.unlink()
    os.replace(partial, path)


def make(output: Path, seed: int, index: int, size: int, quality: str, pairs: bool) -> int:
    """All files of one scene that are not there yet."""
    options = QUALITIES[quality]
    scene, name = draw(seed, index), f"{index:06d}"
    for g in range(len(scene.groups)) if pairs else ():
        path = output / "without" / f"{name}-{g}.png"
        if not path.exists():
            render(pov.picture(without(scene, g)), path, size, options)
    if not (masks := output / "masks" / f"{name}.png").exists():
        render_masks(scene, masks, size)
    if not (image := output / "images" / f"{name}.png").exists():
        render(pov.picture(scene), image, size, options)
    return index


def annotations_of(scene: Scene, masks: np.ndarray) -> list[dict]:
    """COCO annotations of the groups that can be seen; box = [x, y, width, height] in pixels."""
    result = []
    for g, group in enumerate(scene.groups):
        rows, columns = np.nonzero(masks == g + 1)
        if rows.size < MIN_VISIBLE * masks.size:
            continue
        left, top = int(columns.min()), int(rows.min())
        box = [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]
        item = group.first
        attributes = {
            "group": g,
            "kind": item.kind,
            "colour": item.colour,
            "material": item.material,
            "size": item.size,
            "count": len(group.items),
            "word": item.word,
        }
        result.append(
            {
                "category_id": KINDS.index(item.kind) + 1,
                "bbox": box,
                "area": int(rows.size),
                "iscrowd": 0,
                "attributes": attributes,
            }
        )
    return result


def write_index(output: Path, seed: int, indices: list[int], size: int) -> None:
    images, annotations, lines = [], [], []
    for index in indices:
        scene, name = draw(seed, index), f"{index:06d}.png"
        masks = np.asarray(Image.open(output / "masks" / name))
        images.append({"id": index, "file_name": name, "width": size, "height": size})
        for found in annotations_of(scene, masks):
            annotations.append({"id": len(annotations) + 1, "image_id": index, **found})
        lines.append(
            json.dumps({"image_id": index, **captions.describe(scene), "scene": asdict(scene)})
        )
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(KINDS)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    for name, text in (
        ("annotations.json", json.dumps(coco)),
        ("captions.jsonl", "\n".join(lines) + "\n"),
    ):
        partial = output / (name + ".part")
        partial.write_text(text)
        os.replace(partial, output / name)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the set")
    parser.add_argument("--count", type=int, required=True, help="number of scenes")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another set (default 1)")
    parser.add_argument("--size", type=int, default=256, help="side in pixels (default 256)")
    parser.add_argument("--about", help="only scenes with these words in a caption of the whole")
    parser.add_argument(
        "--quality", choices=QUALITIES, default="fine", help="antialiasing (default fine)"
    )
    parser.add_argument(
        "--pairs", action="store_true", help="also render each scene without each group"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2 * (os.cpu_count() or 1),
        help="processes (default: two for each core, since POV-Ray waits half of its time)",
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    output, count = arguments.output, arguments.count
    try:
        indices = chosen(arguments.seed, count, arguments.about)
    except ValueError as error:
        print(f"generate: {error}", file=sys.stderr)
        return 2
    for folder in ("images", "masks") + (("without",) if arguments.pairs else ()):
        (output / folder).mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        work = [
            pool.submit(make, output, arguments.seed, i, arguments.size, arguments.quality,
                        arguments.pairs)
            for i in indices
        ]
        for done, future in enumerate(as_completed(work), 1):
            future.result()
            if done % max(1, count // 100) == 0 or done == count:
                pace = (time.monotonic() - begin) / done
                print(
                    f"scenes: {done} of {count}, {pace:.2f} s each,"
                    f" {pace * (count - done) / 60:.0f} min left",
                    flush=True,
                )
    write_index(output, arguments.seed, indices, arguments.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
