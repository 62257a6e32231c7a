"""How visible the border of a mask is in a result.

Neighbouring pixels are compared across the border and, in the same direction, up to DEPTH pixels
further in and further out. Where a result continues its surroundings, the step across the border is
no larger than the steps on either side of it. All values are levels of 0 .. 255, means of channels.

SPDX-License-Identifier: Apache-2.0
"""

from dataclasses import asdict, dataclass

import numpy as np

DEPTH = 4


@dataclass
class Seam:
    step: float  # across the border
    inside: float
    outside: float

    @property
    def excess(self) -> float:
        """Of the step over what is usual around it; about 0 without a seam."""
        return self.step - (self.inside + self.outside) / 2

    def values(self) -> dict[str, float]:
        return {**asdict(self), "excess": self.excess}


def steps_along(picture: np.ndarray, mask: np.ndarray) -> tuple[list[np.ndarray], ...]:
    """Steps between columns: at the border, inside and outside of it."""
    step = np.abs(np.diff(picture, axis=1)).mean(2)  # [H, W - 1], between x and x + 1
    within = mask[:, 1:] & mask[:, :-1]
    without = ~mask[:, 1:] & ~mask[:, :-1]
    border = mask[:, 1:] != mask[:, :-1]
    rows, columns = np.nonzero(border)
    inwards = np.where(mask[rows, columns + 1], 1, -1)
    found: tuple[list[np.ndarray], ...] = ([step[rows, columns]], [], [])
    for depth in range(1, DEPTH + 1):
        for part, allowed, sign in ((1, within, 1), (2, without, -1)):
            at = columns + sign * inwards * depth
            there = (at >= 0) & (at < step.shape[1])
            there[there] = allowed[rows[there], at[there]]
            found[part].append(step[rows[there], at[there]])
    return found


def measure(picture: np.ndarray, mask: np.ndarray) -> Seam | None:
    """Of a picture u8 [H, W, 3] with a mask bool [H, W]; None where the mask has no border."""
    values = picture.astype(np.float64)
    across, down = steps_along(values, mask), steps_along(values.swapaxes(0, 1), mask.T)
    parts = [np.concatenate(a + b) for a, b in zip(across, down)]
    if not all(part.size for part in parts):
        return None
    return Seam(*(float(part.mean()) for part in parts))
