"""A scene as data, and how one is drawn at random: a pure function of (seed, index).

Units: the ground is y = 0, an ordinary object is about 1 high, the camera looks along +z from 3 to
5 away: such an object then fills a quarter to a third of the picture's height.

SPDX-License-Identifier: Apache-2.0
"""

import math
import random
from dataclasses import dataclass, field

from . import vocabulary as words

REACH = 0.31  # how far to the sides things stand, as a part of the camera's distance


@dataclass
class Item:
    """One thing that stands on the ground."""

    kind: str  # a shape, an object, or "sign"
    colour: str  # "" where the thing has none of its own
    material: str  # "" for objects and signs
    size: str  # "small", "" or "large"
    x: float
    z: float
    turn: float  # degrees about y
    word: str = ""  # what a sign says

    @property
    def radius(self) -> float:
        """Of the circle it stands in."""
        widths = {
            "sign": 0.95,
            "table lamp": 0.62,
            "fish bowl": 0.72,
            "bottle": 0.38,
            "candle": 0.34,
        }
        return words.SIZES[self.size] * widths.get(self.kind, 0.62)


@dataclass
class Group:
    """Items described together: one thing, or several equal ones; what captions speak of."""

    items: list[Item]

    @property
    def first(self) -> Item:
        return self.items[0]


@dataclass
class Scene:
    setting: str
    seed: int  # of the details no caption speaks of: textures, clouds, bricks
    camera_angle: float  # degrees about y
    camera_height: float
    camera_distance: float
    sun_angle: float
    sun_height: float
    warmth: float  # of the light, 0 cool .. 1 warm
    groups: list[Group] = field(default_factory=list)

    def items(self) -> list[tuple[int, Item]]:
        """Every item with the number of its group."""
        return [(g, item) for g, group in enumerate(self.groups) for item in group.items]


def pick_look(rng: random.Random) -> tuple[str, str, str]:
    """Kind, colour and material of a new group."""
    if rng.random() < 0.42:
        kind = rng.choice(words.OBJECTS)
        return kind, "" if kind in words.UNCOLOURED else rng.choice(list(words.COLOURS)), ""
    if rng.random() < 0.1:
        return "sign", rng.choice(list(words.COLOURS)), ""
    material = rng.choice(words.MATERIALS)
    plain = material in ("stone", "wooden", "glass", "metal") and rng.random() < 0.5
    return rng.choice(words.SHAPES), "" if plain else rng.choice(list(words.COLOURS)), material


def free_place(
    rng: random.Random, reach: float, radius: float, taken: list[Item]
) -> tuple[float, float] | None:
    """A place where a thing of this radius overlaps no other, or None if luck runs out."""
    for _ in range(60):
        x, z = rng.uniform(-reach, reach), rng.uniform(-0.8, 1.1)
        if all(math.hypot(x - t.x, z - t.z) > radius + t.radius + 0.05 for t in taken):
            return x, z
    return None


def add_group(rng: random.Random, scene: Scene, count: int) -> None:
    kind, colour, material = pick_look(rng)
    if count > 1 and kind == "sign":
        kind, colour, material = "sphere", rng.choice(list(words.COLOURS)), "rubber"
    size = "small" if count > 2 else rng.choices(list(words.SIZES), (1, 2, 1))[0]
    group = Group([])
    for _ in range(count):
        item = Item(kind, colour, material, size, 0.0, 0.0, rng.uniform(-40, 40))
        if kind == "sign":
            item.word, item.turn = rng.choice(words.WORDS), rng.uniform(-15, 15)
        taken = [other for _, other in scene.items()] + group.items
        place = free_place(rng, REACH * scene.camera_distance, item.radius, taken)
        if place is None:
            break
        item.x, item.z = place
        group.items.append(item)
    # A count is only true if every one of them found room.
    if len(group.items) == count:
        scene.groups.append(group)


def draw(seed: int, index: int) -> Scene:
    """Scene `index` of the set `seed`."""
    rng = random.Random(f"{seed}/{index}")
    scene = Scene(
        setting=rng.choice(words.SETTINGS),
        seed=rng.randrange(1 << 20),
        camera_angle=rng.uniform(-14, 14),
        camera_height=rng.uniform(1.3, 2.6),
        camera_distance=rng.uniform(3.0, 5.0),
        sun_angle=rng.uniform(-60, 60),
        sun_height=rng.uniform(30, 65),
        warmth=rng.random(),
    )
    for _ in range(rng.choices((1, 2, 3), (5, 4, 2))[0]):
        add_group(rng, scene, rng.choices((1, 2, 3, 4, 5), (16, 2, 2, 1, 1))[0])
    if not scene.groups:
        add_group(rng, scene, 1)
    return scene


def without(scene: Scene, group: int) -> Scene:
    """The same scene without one group."""
    rest = [g for i, g in enumerate(scene.groups) if i != group]
    return Scene(**{**scene.__dict__, "groups": rest})
