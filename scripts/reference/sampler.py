"""From a prediction to the next z: guidance, clean image, threshold, update.

engine/MODEL.md section 2; kernels/ops.h `sample` is this function for the engine.

SPDX-License-Identifier: Apache-2.0
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import philox, schedule
from .config import Threshold
from .schedule import Step


def clean_image(z: Tensor, prediction: Tensor, kind: str, alpha: float, sigma: float) -> Tensor:
    """x0 from a prediction of the noise (`epsilon`) or of v = alpha eps - sigma x."""
    if kind == "epsilon":
        return (z - sigma * prediction) / alpha
    return alpha * z - sigma * prediction


def quantile(values: Tensor, percentile: float) -> Tensor:
    """Linear interpolation between the order statistics around percentile * (n - 1)."""
    ordered = values.flatten().sort().values
    # The engine is told the percentile in f32. A tensor: its product counts as an operation.
    position = torch.tensor(percentile, dtype=torch.float32).to(values) * (ordered.numel() - 1)
    below = math.floor(position)
    above = min(below + 1, ordered.numel() - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def apply_threshold(x0: Tensor, threshold: Threshold) -> Tensor:
    """x0 of one request, over all its pixels and channels."""
    if threshold.kind == "none":
        return x0
    if threshold.kind == "static":
        return x0.clamp(-1, 1)
    limit = quantile(x0.abs(), threshold.percentile).clamp(min=1)
    if threshold.cap > 0:
        limit = limit.clamp(max=threshold.cap)
    return torch.minimum(torch.maximum(x0, -limit), limit) / limit


class Known(NamedTuple):
    """What of an image need not be drawn; with several images both have one axis more in front."""

    image: Tensor  # [3, H, W] in [-1, 1]
    free: Tensor  # [1, H, W] bool: pixels that are to be drawn, whatever the image says there


def update(
    z: Tensor,
    conditional: Tensor,
    unconditional: Tensor | None,
    weight: float,
    kind: str,
    threshold: Threshold,
    step: Step,
    noise: Tensor | None,
    known: Known | None = None,
) -> Tensor:
    """z' of one request; all images [3, H, W]. The thresholded x0 replaces the prediction, and what
    is known replaces x0."""
    prediction = conditional[: z.shape[0]]
    if unconditional is not None:
        prediction = weight * prediction + (1 - weight) * unconditional[: z.shape[0]]
    x0 = apply_threshold(clean_image(z, prediction, kind, step.alpha, step.sigma), threshold)
    if known is not None:
        x0 = torch.where(known.free, x0, known.image)
    z = step.keep * z + step.now * x0
    return z if noise is None else z + step.noise * noise


def augment(image: Tensor, size: int, level: float, seed: int, stage: int) -> Tensor:
    """The previous stage's image [3, h, w], enlarged to `size` and noised for stage `stage`."""
    alpha, sigma, _ = schedule.augmentation(level)
    image = image.clamp(-1, 1)[None]
    image = F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)[0]
    if sigma == 0:
        return alpha * image
    noise = philox.normal(seed, stage, philox.AUGMENTATION, size, size, image.shape[0])
    return alpha * image + sigma * noise.to(image)
