"""What the judge learns from: renders with their numbered masks, and masks drawn around things.

A folder of scripts/scenes/generate.py is enough, also a half-finished one: what is in it follows
from the seed, and every scene that has its image and its mask is used.

SPDX-License-Identifier: Apache-2.0
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..scenes import regions
from ..scenes import vocabulary as words
from ..scenes.generate import annotations_of
from ..scenes.scene import Scene, draw
from ..scenes.testset import usable
from .camera import Camera
from .crops import Box

# The answers of each question. Where a thing has none, as plain wood no colour, it is not asked.
ANSWERS: dict[str, tuple[str, ...]] = {
    "kind": (*words.SHAPES, *words.OBJECTS, "sign"),
    "colour": tuple(words.COLOURS),
    "material": words.MATERIALS,
}
AREAS = (0.03, 0.60)  # of masks; small ones as often as large ones
TRIES = 12
ROOM = 0.02  # of the side: around a box
SEEN = 0.0012  # of the picture: a thing of which less can be seen is not looked for
COARSE = 64  # side of the grids on which an empty place is looked for
LOOKED = 500  # scenes in which it is looked for


@dataclass
class Region:
    """A masked place of a render: a group of things, or nothing."""

    number: int  # of the render
    mask: np.ndarray  # bool [S, S]
    truth: dict[str, str]  # the answers, "size" and "count"; empty where nothing is
    boxes: list[Box]  # in pixels, of what can be seen of each thing
    clear: bool = True  # next to nothing of other groups is hidden
    usable: bool = False  # as the test set's are: not small, not cut, every thing visible


class Renders:
    """The scenes of a folder that are there, by number."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.seed = Path(folder), seed
        images = {p.stem for p in (self.folder / "images").glob("[0-9]*.png")}
        masks = {p.stem for p in (self.folder / "masks").glob("[0-9]*.png") if "." not in p.stem}
        self.names = sorted(images & masks)
        if not self.names:
            raise ValueError(f"{folder}: no scene has both its image and its mask")

    def __len__(self) -> int:
        return len(self.names)

    def scene(self, number: int) -> Scene:
        return draw(self.seed, int(self.names[number]))

    def picture(self, number: int) -> Image.Image:
        return Image.open(self.folder / "images" / f"{self.names[number]}.png").convert("RGB")

    def groups(self, number: int) -> np.ndarray:
        return np.asarray(Image.open(self.folder / "masks" / f"{self.names[number]}.png"))


def camera_of(scene: Scene) -> Camera:
    return Camera(scene.camera_height, scene.camera_distance, scene.camera_angle)


def draw_area(rng: random.Random) -> float:
    """Log-uniform: a mask twice as large is as likely."""
    return AREAS[0] * (AREAS[1] / AREAS[0]) ** rng.random()


def truth_of(annotation: dict) -> dict[str, str]:
    found = annotation["attributes"]
    return {**{name: found[name] for name in ("kind", "colour", "material", "size")},
            "count": str(found["count"])}  # fmt: skip


def boxes_of(scene: Scene, groups: np.ndarray, group: int) -> list[Box]:
    """Of the things of a group: each takes the pixels that are nearer to its middle than to others.

    Distances are in heights of the thing; one of which next to nothing can be seen has no box.
    """
    camera, side = camera_of(scene), groups.shape[0]
    pixels = np.argwhere(groups == group + 1)
    distances = []
    for item in scene.groups[group].items:
        scale = words.SIZES[item.size]
        foot = camera.project(np.array([item.x, 0.0, item.z]))
        middle = camera.project(np.array([item.x, 0.5 * scale, item.z]))
        height = 2 * (foot[1] - middle[1]) * side
        offset = pixels + 0.5 - np.array([middle[1], middle[0]]) * side
        distances.append(np.linalg.norm(offset, axis=1) / height)
    nearest = np.argmin(distances, axis=0)
    found = [pixels[nearest == i] for i in range(len(distances))]
    return [
        (int(p[:, 1].min()), int(p[:, 0].min()), int(p[:, 1].max()) + 1, int(p[:, 0].max()) + 1)
        for p in found if len(p) >= SEEN * groups.size
    ]  # fmt: skip


def regions_of(renders: Renders, number: int, rng: random.Random) -> list[Region]:
    """A mask around every group that can be seen.

    Clear ones where that is possible; around a group that others stand before or beside, the box.
    """
    scene, groups = renders.scene(number), renders.groups(number)
    result = []
    for annotation in annotations_of(scene, groups):
        group, truth = annotation["attributes"]["group"], truth_of(annotation)
        boxes = boxes_of(scene, groups, group)
        if not boxes:
            continue
        mask = clear_mask(rng, groups, group)
        region = Region(number, mask, truth, boxes, mask is not None)
        if mask is None:
            region.mask = boxed(groups, regions.bounds(groups == group + 1))
        region.usable = usable(groups, group) and len(boxes) == int(truth["count"])
        result.append(region)
    return result


def clear_mask(rng: random.Random, groups: np.ndarray, group: int) -> np.ndarray | None:
    for _ in range(TRIES):
        outline = rng.choice(regions.OUTLINES)
        mask = regions.draw(rng, groups, group, draw_area(rng), outline)
        if mask is not None:
            return mask
    return None


def boxed(groups: np.ndarray, box: Box) -> np.ndarray:
    """The box with a little room, as a mask."""
    left, top, right, bottom = box
    room = round(ROOM * groups.shape[0])
    mask = np.zeros_like(groups, dtype=bool)
    mask[max(top - room, 0) : bottom + room, max(left - room, 0) : right + room] = True
    return mask


def coarse(shown: np.ndarray) -> np.ndarray:
    """Whether anything is true in each cell of a grid, bool [COARSE, COARSE]."""
    cell = -(-shown.shape[0] // COARSE)
    room = cell * COARSE - shown.shape[0]
    padded = np.pad(shown, ((0, room), (0, room)))
    return padded.reshape(COARSE, cell, COARSE, cell).any((1, 3))


class Empties:
    """Scenes that show nothing at a given place.

    A place without a thing must not be told by its mask: so masks of things are laid over other
    scenes, and the mask alone says nothing about what is in it.
    """

    def __init__(self, renders: Renders, numbers: range):
        self.numbers = numbers
        self.taken = np.stack([coarse(renders.groups(n) > 0) for n in numbers])

    def region(self, mask: np.ndarray, rng: random.Random) -> Region | None:
        """The same mask over a scene that has nothing there; None where none is found."""
        tried = rng.sample(range(len(self.taken)), min(LOOKED, len(self.taken)))
        free = ~(self.taken[tried] & coarse(mask)).any((1, 2))
        if not free.any():
            return None
        number = self.numbers[tried[int(free.argmax())]]
        return Region(number, mask, {}, [])
