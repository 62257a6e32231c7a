"""Render a held-out test set in EditBench's file layout.

    python3 -m scripts.scenes.testset --output data/test

Its scenes are of a seed of their own, which no training set may use. Deterministic in --seed;
interrupt it at any time and run it again. The layout, of which only the `generated` half exists:

    OUTPUT/annotations_generated.csv            a line an item, the columns named below
    OUTPUT/references_generated/<aos>.png       the scene
    OUTPUT/masks_generated/<aos>.png            white where the edit goes
    OUTPUT/empties_generated/<aos>.png          ours: the same scene without what is masked
    OUTPUT/groups/<scene>.png                   ours: which pixel shows which group

`aos` names an item by attribute, object and scene: "a=red|o=table-lamp|s=indoor". Columns of
EditBench: aos, prompt_full, prompt_mask-simple, prompt_mask-rich. Ours are the ground truth:

    attribute                   the one that the simple prompt names; shape: the thing alone
    kind, category              what it is; a primitive shape, an object or a text
    colour, material, size      empty where it has none of its own
    count, word                 how many; what a sign says
    bucket, area                of the mask: EditBench's sizes, and its part of the picture
    left, top, right, bottom    of what is masked, as parts of the picture
    camera_height, camera_distance, camera_angle, scene

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import csv
import json
import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from . import captions, pov, regions
from . import vocabulary as words
from .generate import QUALITIES, render, render_masks
from .scene import Group, Scene, draw, without

SEED = 2212_06909  # of the test set alone
# What each item's simple prompt is about, over and over; every line meets every size of mask.
WISHES = (
    ("shape", "colour"),
    ("object", "colour"),
    ("shape", "material"),
    ("text", "colour"),
    ("shape", "count"),
    ("object", "size"),
    ("shape", "colour"),
    ("object", "shape"),
    ("shape", "material"),
    ("object", "colour"),
    ("shape", "size"),
    ("text", "colour"),
    ("object", "count"),
    ("shape", "material"),
    ("object", "colour"),
    ("shape", "colour"),
)
LEAST = 0.015  # of the picture: what is masked is not smaller
INDOOR = ("table", "floor", "desk")
SEARCHED = 4000  # scenes at most


@dataclass
class Choice:
    """An item before it is rendered."""

    index: int  # of the scene
    group: int
    mask: np.ndarray
    row: dict[str, str]


def values(group: Group) -> dict[str, str]:
    """What a caption can say of a group, by attribute."""
    item, count = group.first, len(group.items)
    return {
        "colour": item.colour,
        "material": item.material,
        "size": item.size,
        "count": words.COUNTS[count] if count > 1 else "",
        "shape": "plain" if item.kind in words.UNCOLOURED else "",
    }


def category(kind: str) -> str:
    return "text" if kind == "sign" else "shape" if kind in words.SHAPES else "object"


def key(scene: Scene, group: Group, attribute: str) -> str:
    place = "indoor" if scene.setting in INDOOR else "outdoor"
    return f"a={values(group)[attribute]}|o={group.first.kind.replace(' ', '-')}|s={place}"


def fits(group: Group, wish: tuple[str, str]) -> bool:
    """Whether a simple prompt can say this of the group, and, of a primitive, a rich one more.

    Only prompts about the count are about several things.
    """
    kind, attribute = wish
    said = values(group)
    if category(group.first.kind) != kind or not said[attribute]:
        return False
    if attribute != "count" and said["count"]:
        return False
    return kind != "shape" or sum(map(bool, said.values())) > 1


def prompts(scene: Scene, g: int, attribute: str) -> dict[str, str]:
    group = scene.groups[g]
    single = [] if attribute in ("count", "shape") else [values(group)[attribute]]
    rich = captions.rich(group)[0]
    return {
        "prompt_full": captions.full(scene, random.Random(scene.seed), {g: rich}),
        "prompt_mask-simple": captions.named(group, single),
        "prompt_mask-rich": rich,
    }


def usable(groups: np.ndarray, g: int) -> bool:
    """Whether a group is large enough and wholly in the picture."""
    shown = groups == g + 1
    if shown.sum() < LEAST * shown.size:
        return False
    left, top, right, bottom = regions.bounds(shown)
    return min(left, top) > 0 and max(right, bottom) < shown.shape[0]


def choose(index: int, scene: Scene, groups: np.ndarray, want: tuple, taken: set) -> Choice | None:
    """An item of this scene with the wanted subject, bucket and outline."""
    wish, bucket, outline = want
    attribute = wish[1]
    rng = random.Random(f"{index}/mask")
    for g, group in enumerate(scene.groups):
        if not fits(group, wish) or key(scene, group, attribute) in taken:
            continue
        area = rng.uniform(*regions.BUCKETS[bucket])
        mask = regions.draw(rng, groups, g, area, outline) if usable(groups, g) else None
        if mask is None or regions.bucket_of(mask.mean()) != bucket:
            continue
        item, side = group.first, groups.shape[0]
        box = regions.bounds(groups == g + 1)
        row = {
            "aos": key(scene, group, attribute),
            **prompts(scene, g, attribute),
            "attribute": attribute,
            "kind": item.kind,
            "category": category(item.kind),
            **{name: values(group)[name] for name in ("colour", "material", "size")},
            "count": str(len(group.items)),
            "word": item.word,
            "bucket": bucket,
            "area": f"{mask.mean():.4f}",
            **{name: f"{v / side:.5f}" for name, v in zip(("left", "top", "right", "bottom"), box)},
            "camera_height": f"{scene.camera_height:.5f}",
            "camera_distance": f"{scene.camera_distance:.5f}",
            "camera_angle": f"{scene.camera_angle:.5f}",
            "scene": str(index),
        }
        return Choice(index, g, mask, row)
    return None


def wanted(count: int) -> list[tuple[tuple[str, str], str, str]]:
    """Subject, bucket and outline of every item."""
    buckets = list(regions.BUCKETS)
    return [
        (WISHES[i % len(WISHES)], buckets[(i + i // len(WISHES)) % 3], regions.OUTLINES[i % 2])
        for i in range(count)
    ]


def select(output: Path, seed: int, count: int, size: int) -> list[Choice]:
    """Scenes in their order, each for the first open wish it can fill."""
    wishes = dict(enumerate(wanted(count)))
    found: dict[int, Choice] = {}
    for index in range(SEARCHED):
        scene = draw(seed, index)
        open_wishes = {want[0] for want in wishes.values()}
        if not any(fits(group, wish) for group in scene.groups for wish in open_wishes):
            continue
        numbers = output / "groups" / f"{index:06d}.png"
        if not numbers.exists():
            render_masks(scene, numbers, size)
        groups = np.asarray(Image.open(numbers))
        taken = {choice.row["aos"] for choice in found.values()}
        for i, want in list(wishes.items()):
            choice = choose(index, scene, groups, want, taken)
            if choice:
                found[i] = choice
                del wishes[i]
                print(f"testset: {len(found)} of {count} chosen, {choice.row['aos']}", flush=True)
                break
        if not wishes:
            return [found[i] for i in range(count)]
    raise ValueError(f"{SEARCHED} scenes of seed {seed} have no {count} items: ask for fewer")


def claim(options: argparse.Namespace) -> None:
    """Say in the folder what it is for; another set must not be mixed into it."""
    path = options.output / "set.json"
    said = {name: getattr(options, name) for name in ("seed", "count", "size", "quality")}
    if path.exists() and json.loads(path.read_text()) != said:
        raise ValueError(f"{path} says that this folder holds another set: use a new one")
    path.write_text(json.dumps(said) + "\n")


def save(picture: Image.Image, path: Path) -> None:
    partial = path.with_suffix(".part")
    picture.save(partial, format="PNG")
    os.replace(partial, path)


def make(output: Path, seed: int, choice: Choice, size: int, quality: str) -> None:
    """The pictures of an item that are not there yet."""
    scene, name = draw(seed, choice.index), choice.row["aos"] + ".png"
    save(Image.fromarray(choice.mask), output / "masks_generated" / name)
    pairs = (("references", scene), ("empties", without(scene, choice.group)))
    for folder, shown in pairs:
        path = output / f"{folder}_generated" / name
        if not path.exists():
            render(pov.picture(shown), path, size, QUALITIES[quality])


def write_annotations(output: Path, rows: list[dict[str, str]]) -> None:
    """With this file the set is complete."""
    path = output / "annotations_generated.csv"
    partial = path.with_suffix(".part")
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the set")
    parser.add_argument("--count", type=int, default=48, help="items (default 48)")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed, another set")
    parser.add_argument("--size", type=int, default=512, help="side in pixels (default 512)")
    parser.add_argument("--quality", choices=QUALITIES, default="fine", help="default: fine")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="pictures at once")
    options = parser.parse_args()
    for folder in ("groups", "masks_generated", "references_generated", "empties_generated"):
        (options.output / folder).mkdir(parents=True, exist_ok=True)
    try:
        claim(options)
        choices = select(options.output, options.seed, options.count, options.size)
        with ThreadPoolExecutor(options.jobs) as pool:  # POV-Ray runs in processes of its own
            for done in [
                pool.submit(make, options.output, options.seed, c, options.size, options.quality)
                for c in choices
            ]:
                done.result()
        write_annotations(options.output, [choice.row for choice in choices])
    except (OSError, ValueError, RuntimeError) as error:
        print(f"testset: {error}", file=sys.stderr)
        return 2
    print(f"testset: {len(choices)} items in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
