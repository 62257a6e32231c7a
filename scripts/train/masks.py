"""Training masks: random boxes and strokes, and the boxes of annotated objects.

Object masking (Imagen Editor, appendix A.2) is the union of a random mask with the boxes of
detected objects; the numbers that are not published are those of the configuration. A mask is
[side, side] u8 with 1 = fill. Everything is a function of the generator that is passed in.

SPDX-License-Identifier: Apache-2.0
"""

import math

import numpy as np
from PIL import Image, ImageDraw

from .config import MaskConfig, ObjectMask, RandomMask

Box = tuple[float, float, float, float]  # left, top, right, bottom as parts of the canvas


def draw_mask(
    rng: np.random.Generator, config: MaskConfig, side: int, boxes: list[Box], scores: list[float]
) -> np.ndarray:
    """A mask for an image with these objects."""
    if rng.random() < config.full:
        return np.ones((side, side), dtype=np.uint8)
    chosen: list[Box] = []
    if config.policy == "object":
        chosen = choose_boxes(rng, config.object, boxes, scores)
    joined = not chosen or rng.random() < config.object.union
    mask = random_mask(rng, config.random, side) if joined else np.zeros((side, side), np.uint8)
    for box in chosen:
        fill = fill_ellipse if rng.random() < config.object.ellipse else fill_box
        fill(mask, loosen(rng, config.object, box))
    return mask


# ---- objects ------------------------------------------------------------------------------------


def choose_boxes(
    rng: np.random.Generator, rules: ObjectMask, boxes: list[Box], scores: list[float]
) -> list[Box]:
    lowest, highest = rules.area
    usable = [
        box
        for box, score in zip(boxes, scores)
        if score >= rules.score and lowest <= (box[2] - box[0]) * (box[3] - box[1]) <= highest
    ]
    if not usable:
        return []
    count = min(int(rng.integers(rules.count[0], rules.count[1] + 1)), len(usable))
    return [usable[i] for i in rng.permutation(len(usable))[:count]]


def loosen(rng: np.random.Generator, rules: ObjectMask, box: Box) -> Box:
    """The box moved a little and grown on each side, as a user's mask is never exact."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    dx, dy = rng.uniform(-rules.jitter, rules.jitter, 2) * (width, height)
    grow = rng.uniform(rules.expand[0], rules.expand[1], 4) * (width, height, width, height)
    return (left + dx - grow[0], top + dy - grow[1], right + dx + grow[2], bottom + dy + grow[3])


def fill_box(mask: np.ndarray, box: Box) -> None:
    """Fill every pixel the box touches."""
    side = mask.shape[0]
    left, top = (max(0, math.floor(edge * side)) for edge in box[:2])
    right, bottom = (min(side, math.ceil(edge * side)) for edge in box[2:])
    mask[top:bottom, left:right] = 1


def fill_ellipse(mask: np.ndarray, box: Box) -> None:
    """Fill the pixels whose centre is in the ellipse through the box's corners."""
    left, top, right, bottom = box
    centres = (np.arange(mask.shape[0]) + 0.5) / mask.shape[0]
    x = (centres - (left + right) / 2) / max(right - left, 1e-6)
    y = (centres - (top + bottom) / 2) / max(bottom - top, 1e-6)
    mask[x[None, :] ** 2 + y[:, None] ** 2 <= 0.5] = 1


def covered(mask: np.ndarray, box: Box) -> float:
    """The share of the box's pixels that the mask fills."""
    side = mask.shape[0]
    left, top = (min(int(edge * side), side - 1) for edge in box[:2])
    right, bottom = (max(math.ceil(edge * side), 1) for edge in box[2:])
    return float(mask[top : max(bottom, top + 1), left : max(right, left + 1)].mean())


# ---- random -------------------------------------------------------------------------------------


def random_mask(rng: np.random.Generator, rules: RandomMask, side: int) -> np.ndarray:
    if rng.random() < rules.boxes:
        return random_boxes(rng, rules, side)
    return random_strokes(rng, rules, side)


def random_boxes(rng: np.random.Generator, rules: RandomMask, side: int) -> np.ndarray:
    mask = np.zeros((side, side), dtype=np.uint8)
    for _ in range(rng.integers(rules.box_count[0], rules.box_count[1] + 1)):
        width, height = rng.uniform(*rules.box_side, 2)
        left, top = rng.random(2) * (1 - width, 1 - height)
        fill_box(mask, (left, top, left + width, top + height))
    return mask


def random_strokes(rng: np.random.Generator, rules: RandomMask, side: int) -> np.ndarray:
    """Thick lines with round joints, each of several segments that turn by a random angle."""
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.integers(rules.stroke_count[0], rules.stroke_count[1] + 1)):
        x, y = rng.uniform(0, side, 2)
        for _ in range(rng.integers(rules.stroke_points[0], rules.stroke_points[1] + 1)):
            angle = rng.uniform(0, 2 * math.pi)
            length = rng.uniform(*rules.stroke_length) * side
            width = max(1.0, rng.uniform(*rules.stroke_width) * side)
            end_x = float(np.clip(x + length * math.cos(angle), 0, side))
            end_y = float(np.clip(y + length * math.sin(angle), 0, side))
            pen.line((x, y, end_x, end_y), fill=1, width=round(width))
            for px, py in ((x, y), (end_x, end_y)):
                pen.ellipse(
                    (px - width / 2, py - width / 2, px + width / 2, py + width / 2), fill=1
                )
            x, y = end_x, end_y
    return np.array(image)
