"""Training samples: an image or a window of it, a mask, and a prompt that says what is masked.

Sample `counter` of a run is a pure function of (seed, counter), so a run that resumes continues
exactly, whatever the number of loader processes.

SPDX-License-Identifier: Apache-2.0
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from .cache import Cache
from .config import TrainingConfig
from .masks import covered, draw_mask

# The streams of random numbers of a run.
ORDER, TRAINING, HELD_OUT = 0, 1, 2
COARSE = 64  # side of the grid on which the mask's border is looked for


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


def prompt_of(
    rng: np.random.Generator, entry: dict[str, Any], mask: np.ndarray, config: TrainingConfig
) -> str:
    """A caption of the whole image, or of the objects that the mask hides."""
    kinds, weights = zip(*config.data.prompts.items())
    kind = rng.choice(kinds, p=np.array(weights) / sum(weights))
    hidden = {
        item["group"]
        for item in entry["boxes"]
        if item["group"] is not None and covered(mask, item["box"]) >= config.data.covered
    }
    if kind == "full" or not hidden:
        return str(rng.choice(entry["full"]))
    phrases = [str(rng.choice(entry["groups"][group][kind])) for group in sorted(hidden)]
    return " and ".join(phrases[i] for i in rng.permutation(len(phrases)))


def border_cells(mask: np.ndarray) -> np.ndarray:
    """Cells [n, 2] (row, column) of a coarse grid where the mask begins or ends."""
    step = max(1, mask.shape[0] // COARSE)
    cells = mask[step // 2 :: step, step // 2 :: step].astype(np.int8)
    padded = np.pad(cells, 1, mode="edge")
    vertical = (padded[:-2, 1:-1] != cells) | (padded[2:, 1:-1] != cells)
    horizontal = (padded[1:-1, :-2] != cells) | (padded[1:-1, 2:] != cells)
    return np.argwhere(vertical | horizontal)


def on_border(rng: np.random.Generator, mask: np.ndarray, crop: int) -> list[int] | None:
    """Top and left of a window that the mask's border runs through, None if it has none."""
    cells = border_cells(mask)
    if not len(cells):
        return None
    step = max(1, mask.shape[0] // COARSE)
    place = cells[rng.integers(len(cells))] * step + step // 2
    return [int(v) - int(rng.integers(0, crop)) for v in place]


def around(rng: np.random.Generator, mask: np.ndarray, crop: int) -> list[int] | None:
    """Top and left of a window that holds the whole mask if it can, or else nothing but its rows
    or columns; None without a mask."""
    place = []
    for axis in (1, 0):
        masked = np.flatnonzero(mask.any(axis))
        if not len(masked):
            return None
        ends = sorted((int(masked[-1]) + 1 - crop, int(masked[0])))
        place.append(int(rng.integers(ends[0], ends[1] + 1)))
    return place


def choose_window(
    rng: np.random.Generator, mask: np.ndarray, config: TrainingConfig
) -> tuple[int, int, int]:
    """Top, left and side of a training window on the canvas: multiples of a pixel of the
    low-resolution image, or of the stage's own in a base."""
    unet, side = config.unet, mask.shape[0]
    unit = side // (unet.low_resolution or unet.resolution)
    crop = config.data.crop * side // unet.resolution
    places = (side - crop) // unit + 1
    top, left = rng.integers(0, places, 2)
    if rng.random() < config.data.touch:
        place = (on_border if unet.low_resolution else around)(rng, mask, crop)
        if place:
            top, left = (min(max(v // unit, 0), places - 1) for v in place)
    return int(top) * unit, int(left) * unit, crop


def cut(image: np.ndarray, window: Iterable[int]) -> np.ndarray:
    top, left, side = window
    return image[top : top + side, left : left + side]


class Samples:
    """The samples of a run by counter, and the held-out ones by number."""

    def __init__(self, cache: Cache, config: TrainingConfig):
        self.cache, self.config = cache, config
        self.training = len(cache) - config.data.validation
        if self.training < 1:
            raise ValueError(
                f"{cache.directory}: {len(cache)} images, of which {config.data.validation} are "
                "held out: none is left to train on"
            )
        shown, emphasis = cache.entries[: self.training], config.data.emphasis
        for phrase in emphasis:
            if not any(says(entry, phrase) for entry in shown):
                raise ValueError(
                    f"{cache.directory}: data.emphasis: no caption trained on has {phrase!r}"
                )
        times = [repeats(entry, emphasis) for entry in shown]
        self.epoch = np.repeat(np.arange(self.training), times)  # the images of an epoch

    def __getitem__(self, counter: int) -> dict[str, Any]:
        epoch, position = divmod(counter, len(self.epoch))
        place = epoch_order(self.config.seed, epoch, len(self.epoch))[position]
        rng = np.random.default_rng([self.config.seed, TRAINING, counter])
        return self.draw(rng, int(self.epoch[place]))

    def held_out(self, number: int) -> dict[str, Any]:
        """Sample `number` over the images that are never trained on; always the same."""
        index = self.training + number % self.config.data.validation
        rng = np.random.default_rng([self.config.seed, HELD_OUT, number])
        return self.draw(rng, index)

    def draw(self, rng: np.random.Generator, index: int) -> dict[str, Any]:
        """image [S, S, 3] and mask [F S, F S] u8, prompt, and keep: whether the text is shown.

        The mask is as fine as the network's canvas, F times finer than a cached image of a part of
        its size: a user's mask divides pixels at its border, so a stage has to see divided ones.
        """
        config, entry = self.config, self.cache.entries[index]
        finer = config.unet.conditioning.resolution // config.data.canvas
        boxes = [tuple(item["box"]) for item in entry["boxes"]]
        scores = [item["score"] for item in entry["boxes"]]
        image = self.cache.pixels(index)
        mask = draw_mask(rng, config.mask, finer * image.shape[0], boxes, scores)
        prompt = prompt_of(rng, entry, mask, config)
        if config.data.crop:
            window = choose_window(rng, mask, config)
            mask = cut(mask, window)
            image = cut(image, [v // finer for v in window])
        # A caption that quotes tells of written words, which must not be mirrored.
        if rng.random() < config.data.flip and not says(entry, '"'):
            image, mask = image[:, ::-1], mask[:, ::-1]
        recoloured = rng.random() < config.data.recoloured
        if recoloured:
            image = image[..., rng.permutation(3)]
        return {
            "image": np.array(image),
            "mask": np.ascontiguousarray(mask),
            "prompt": prompt,
            "keep": rng.random() >= config.text.dropout and not recoloured,
        }


def repeats(entry: dict[str, Any], emphasis: dict[str, int]) -> int:
    """How many times an epoch shows this image: as the most emphasised phrase in it says."""
    return max((n for phrase, n in emphasis.items() if says(entry, phrase)), default=1)


def says(entry: dict[str, Any], phrase: str) -> bool:
    """Whether a caption of the whole image has the phrase."""
    return any(phrase in text for text in entry["full"])


def batches(samples: Samples, numbers: Iterable[int], workers: int) -> Iterator[dict]:
    """The batches of these numbers, collated to tensors: number n begins with sample n * batch."""
    size = samples.config.optimiser.batch
    steps = ([number * size + i for i in range(size)] for number in numbers)
    loader = DataLoader(samples, batch_sampler=steps, num_workers=workers)
    return iter(loader)
