"""Masks as a user draws them around a thing: of a wished area, somewhere around it.

A mask is [side, side] bool. Areas are parts of the picture; the buckets are EditBench's.

SPDX-License-Identifier: Apache-2.0
"""

import math
import random

import numpy as np

BUCKETS = {"small": (0.057, 0.215), "medium": (0.215, 0.369), "large": (0.369, 0.60)}
OUTLINES = ("box", "ellipse")
MARGIN = 0.015  # of the side: what a mask leaves at least around the thing's own box
TRIES = 24


def bucket_of(area: float) -> str:
    """The bucket of a mask, whatever its area: the first and the last have no outer limit here."""
    if area < BUCKETS["medium"][0]:
        return "small"
    return "medium" if area < BUCKETS["large"][0] else "large"


def bounds(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the true pixels, right and bottom exclusive."""
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fill(side: int, outline: str, centre: tuple[float, float], half: tuple[float, float]):
    """A box or an ellipse of these half sides, in pixels."""
    x = (np.arange(side) + 0.5 - centre[0]) / half[0]
    y = (np.arange(side) + 0.5 - centre[1]) / half[1]
    if outline == "box":
        return (np.abs(y) <= 1)[:, None] & (np.abs(x) <= 1)[None, :]
    return y[:, None] ** 2 + x[None, :] ** 2 <= 1


def place(rng: random.Random, lowest: float, highest: float, half: float, side: int):
    """A centre so that [lowest, highest] is covered and the mask is in the picture, or None."""
    first, last = max(highest - half, half), min(lowest + half, side - half)
    return rng.uniform(first, last) if first <= last else None


def around(rng: random.Random, pixels: np.ndarray, area: float, outline: str) -> np.ndarray | None:
    """A mask of this area that hides all of `pixels`; None where luck runs out."""
    side = pixels.shape[0]
    left, top, right, bottom = bounds(pixels)
    room = MARGIN * side
    filled = 4 if outline == "box" else math.pi
    for _ in range(TRIES):
        aspect = ((right - left) / (bottom - top)) ** rng.uniform(0.2, 1.0)
        half_x = min(math.sqrt(area * aspect / filled) * side, side / 2)
        half_y = min(area * side * side / filled / half_x, side / 2)
        x = place(rng, left - room, right + room, half_x, side)
        y = place(rng, top - room, bottom + room, half_y, side)
        if x is None or y is None:
            continue
        mask = fill(side, outline, (x, y), (half_x, half_y))
        if mask[pixels].all():
            return mask
    return None


def draw(rng: random.Random, groups: np.ndarray, group: int, area: float, outline: str):
    """As `around` for one group of a numbered picture, and hiding next to nothing of the others."""
    mask = around(rng, groups == group + 1, area, outline)
    others = (groups > 0) & (groups != group + 1)
    if mask is None or others[mask].sum() > 0.03 * others.sum():
        return None
    return mask
