"""What the judge's networks learn from: windows of renders with the boxes and labels in them.

SPDX-License-Identifier: Apache-2.0
"""

import random

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..scenes import regions
from ..scenes import vocabulary as words
from .crops import Box, Window, crop, inside, window_around
from .judge import ROOM, within
from .judge_data import ANSWERS, Empties, Region, Renders, regions_of

EMPTY = 0.4  # share of the masks that are laid over an empty place too
IGNORED = -100  # a label that does not count


def jittered(rng: random.Random, box: Box) -> Box:
    """A box as the finder might have found it."""
    left, top, right, bottom = box
    spread = 0.1 * max(right - left, bottom - top)
    return tuple(edge + rng.gauss(0, spread) for edge in (left, top, right, bottom))


def blurred(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Sometimes as soft as an enlarged picture: what is judged was made at 64 pixels first."""
    if rng.random() < 0.7:
        return picture
    side = int(picture.width * rng.uniform(0.5, 0.9))
    return picture.resize((side, side), Image.BOX).resize(picture.size, Image.BILINEAR)


class Samples:
    """Crops with the boxes that they show, [MOST, 4] in parts of the window, NaN where unused."""

    MOST = len(words.COUNTS)

    def __init__(self) -> None:
        self.crops: list[np.ndarray] = []
        self.boxes: list[np.ndarray] = []
        self.labels: list[list[int]] = []

    def add(self, picture: Image.Image, region: Region, window: Window, shown: list[Box]) -> None:
        grey = Image.fromarray(region.mask.astype(np.uint8) * 255)
        boxes = np.full((self.MOST, 4), np.nan, np.float32)
        for i, box in enumerate(shown):
            boxes[i] = inside(box, window)
        self.crops.append(crop(picture, grey, window))
        self.boxes.append(boxes)
        truth = region.truth
        self.labels.append([
            options.index(truth[q]) if truth.get(q) else IGNORED for q, options in ANSWERS.items()
        ])  # fmt: skip

    def tensors(self) -> list[Tensor]:
        """Crops u8 [N, SIDE, SIDE, 4], boxes [N, MOST, 4], labels [N, questions]."""
        crops, boxes = np.stack(self.crops), np.stack(self.boxes)
        return [torch.from_numpy(crops), torch.from_numpy(boxes), torch.tensor(self.labels)]


def add(name: str, samples: Samples, rng: random.Random, picture: Image.Image, region: Region):
    """The finder gets the whole mask, but is not asked where several groups are masked; the reader
    every thing."""
    soft, size = blurred(rng, picture), picture.width
    if name == "reader":
        for box in region.boxes:
            window = window_around(within(jittered(rng, box), size), size, ROOM[name])
            samples.add(soft, region, window, [box])
    elif region.clear:
        window = window_around(regions.bounds(region.mask), size, ROOM[name])
        samples.add(soft, region, window, region.boxes)


def collect(name: str, renders: Renders, numbers: range, masks: int, seed: int) -> Samples:
    """For one network: `masks` times every group of the scenes, and for the finder empty places."""
    samples = Samples()
    empties = Empties(renders, numbers) if name == "finder" else None
    for number in numbers:
        rng = random.Random(f"{seed}/{number}")
        picture = renders.picture(number)
        for _ in range(masks):
            for region in regions_of(renders, number, rng):
                add(name, samples, rng, picture, region)
                wanted = empties and region.clear and rng.random() < EMPTY
                empty = empties.region(region.mask, rng) if wanted else None
                if empty:
                    add(name, samples, rng, renders.picture(empty.number), empty)
    return samples
