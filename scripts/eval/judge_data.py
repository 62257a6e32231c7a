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
from .camera import Camera
from .crops import Box

# The answers of each question; "" is: nothing to say, as of the colour of plain wood.
ANSWERS: dict[str, tuple[str, ...]] = {
    "kind": (*words.SHAPES, *words.OBJECTS, "sign", ""),
    "colour": (*words.COLOURS, ""),
    "material": (*words.MATERIALS, ""),
    "count": tuple(str(n) for n in words.COUNTS),
}
AREAS = (0.03, 0.60)  # of masks; small ones as often as large ones
TRIES = 8
COARSE = 64  # side of the grids on which an empty place is looked for
LOOKED = 500  # scenes in which it is looked for


@dataclass
class Region:
    """A masked place of a render: what is there, or nothing."""

    number: int  # of the render
    mask: np.ndarray  # bool [S, S]
    box: Box | None  # of the group, in pixels
    truth: dict[str, str]  # the answers, and "size"
    whole: bool = False  # the group is not cut by the picture's edge


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


def regions_of(renders: Renders, number: int, rng: random.Random) -> list[Region]:
    """A mask around every group that can be seen, hiding next to nothing of the others."""
    groups = renders.groups(number)
    side = groups.shape[0]
    result = []
    for annotation in annotations_of(renders.scene(number), groups):
        group = annotation["attributes"]["group"]
        for _ in range(TRIES):
            outline = rng.choice(regions.OUTLINES)
            mask = regions.draw(rng, groups, group, draw_area(rng), outline)
            if mask is not None:
                left, top, right, bottom = box = regions.bounds(groups == group + 1)
                whole = min(left, top) > 0 and max(right, bottom) < side
                result.append(Region(number, mask, box, truth_of(annotation), whole))
                break
    return result


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
        return Region(number, mask, None, dict.fromkeys((*ANSWERS, "size"), ""))
