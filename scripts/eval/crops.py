"""Square windows of a picture as a judge sees them: SIDE x SIDE, with the mask as fourth channel.

Boxes are (left, top, right, bottom) in pixels; a window is (left, top, side).

SPDX-License-Identifier: Apache-2.0
"""

import numpy as np
from PIL import Image

SIDE = 64
Box = tuple[float, float, float, float]
Window = tuple[float, float, float]


def window_around(box: Box, size: int, room: float) -> Window:
    """A square around a box, larger than its longer side by the factor, inside the picture."""
    left, top, right, bottom = box
    side = min(max(right - left, bottom - top, 4) * room, size)
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    return min(max(x, 0), size - side), min(max(y, 0), size - side), side


def crop(picture: Image.Image, mask: Image.Image, window: Window) -> np.ndarray:
    """u8 [SIDE, SIDE, 4]."""
    left, top, side = window
    box = (left, top, left + side, top + side)
    parts = [image.resize((SIDE, SIDE), Image.BILINEAR, box=box) for image in (picture, mask)]
    return np.dstack([np.asarray(parts[0]), np.asarray(parts[1])])


def inside(box: Box, window: Window) -> np.ndarray:
    """The box as parts of the window, f32 [4]."""
    left, top, side = window
    offset = np.array([left, top, left, top], np.float32)
    return (np.asarray(box, np.float32) - offset) / np.float32(side)


def outside(part: np.ndarray, window: Window) -> Box:
    """Back from parts of the window to pixels."""
    left, top, side = window
    x0, y0, x1, y1 = (float(v) * side for v in part)
    return x0 + left, y0 + top, x1 + left, y1 + top
