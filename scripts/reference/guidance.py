"""Classifier-free guidance in Imagen's convention: p = w conditional + (1 - w) unconditional.

w = 1 is the plain conditional model and needs no unconditional pass.

SPDX-License-Identifier: Apache-2.0
"""

import math

from .config import Guidance


def weights(guidance: Guidance, steps: int) -> list[float]:
    """The weight of every step."""
    if guidance.kind == "list":
        return list(guidance.weights)
    if guidance.kind == "constant":
        return [guidance.weight] * steps
    # 0.1 of 30 is 3, whatever the product rounds to.
    held, tail = (math.ceil(share * steps - 1e-3) for share in (guidance.hold, guidance.tail))
    # After the held steps: low, high, low, ...; the last ones are low whichever turn they have.
    alternate = [guidance.low if i % 2 == 0 else guidance.high for i in range(steps - held)]
    tail = max(tail, 1)
    return ([guidance.high] * held + alternate)[:-tail] + [guidance.low] * tail
