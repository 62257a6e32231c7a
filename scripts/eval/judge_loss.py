"""How the judge's networks are wrong: samples drawn anew in every step, targets and losses.

SPDX-License-Identifier: Apache-2.0
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..train.fast import bf16_pays
from .judge import GRID, Finder, middles, prepared, split
from .judge_samples import IGNORED

SPREAD = 1.0  # in cells, of the heat around a middle
NOISES = 8  # different ones in a batch: drawing them costs
AROUND = 0.55  # heat from which on a cell's box is asked for: a middle and its four neighbours


def augmented(x: Tensor, boxes: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrored where `flip`, other exposure and contrast, some noise. The mask stays as it is."""
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    left, top, right, bottom = boxes.unbind(-1)
    mirrored = torch.stack([1 - right, top, 1 - left, bottom], -1)
    boxes = torch.where(flip[:, None, None], mirrored, boxes)
    shape = (len(x), 1, 1, 1)
    colour = x[:, :3] * (1 + 0.12 * torch.randn(shape)) + 0.06 * torch.randn(shape)
    noise = torch.randn(NOISES, *colour.shape[1:])[torch.randint(NOISES, (len(x),))]
    colour = colour + 0.04 * torch.rand(shape) * noise
    return torch.cat([colour, x[:, 3:]], 1), boxes


def targets(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the finder should say of boxes [N, MOST, 4].

    Heat [N, GRID, GRID], 1 in the cell of a middle and falling off around it; the boxes [N, 4,
    GRID, GRID] counted from the cells' middles; and where those are asked for, [N, GRID, GRID].
    """
    used = ~boxes.isnan().any(-1)
    boxes = boxes.nan_to_num()
    cells = ((boxes[..., :2] + boxes[..., 2:]) / 2 * GRID - 0.5).round().clamp(0, GRID - 1)
    at = torch.arange(GRID)
    away = at[:, None] - cells[:, :, None, :]  # [N, MOST, GRID, 2]: x and y
    x, y = (-(away**2) / (2 * SPREAD**2)).exp().unbind(-1)
    heat = y[:, :, :, None] * x[:, :, None, :] * used[:, :, None, None]
    heat, nearest = heat.max(1)
    rows = torch.arange(len(boxes))[:, None, None]
    offsets = boxes[rows, nearest].permute(0, 3, 1, 2) - middles()
    return heat, offsets, heat > AROUND


def finder_loss(found: Tensor, boxes: Tensor) -> Tensor:
    """Focal loss of the heat (of a cell that is not a middle it counts less the nearer it is to
    one), and the distance of the boxes around the middles."""
    heat, offsets, asked = targets(boxes)
    score = found[:, 0]
    chance = score.sigmoid()
    sure = heat == 1
    hit = -((1 - chance) ** 2) * F.logsigmoid(score) * sure
    miss = -((1 - heat) ** 4) * chance**2 * F.logsigmoid(-score) * ~sure
    things = sure.sum().clamp(min=1)
    far = F.smooth_l1_loss(found[:, 1:], offsets, beta=0.03, reduction="none").mean(1)
    return (hit + miss).sum() / things + 10 * (far * asked).sum() / asked.sum().clamp(min=1)


def reader_loss(found: tuple[Tensor, Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
    numbers, parts = found
    total = 10 * F.smooth_l1_loss(parts, boxes[:, 0], beta=0.03)
    for i, part in enumerate(split(numbers).values()):
        if (labels[:, i] != IGNORED).any():
            total = total + F.cross_entropy(
                part, labels[:, i], ignore_index=IGNORED, label_smoothing=0.02
            )
    return total


def loss_of(net: nn.Module, batch: list[Tensor]) -> Tensor:
    crops, boxes, labels = batch
    x, boxes = augmented(prepared(crops), boxes, torch.rand(len(crops)) < 0.5)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays()):
        found = net(x.contiguous(memory_format=torch.channels_last))
    if isinstance(net, Finder):
        return finder_loss(found, boxes)
    return reader_loss(found, boxes, labels)
