"""What is looked at while training: the loss on held-out images and a picture of samples, both with
the averaged weights and always with the same images, masks, prompts and noise.

SPDX-License-Identifier: Apache-2.0
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from ..reference.cascade import Stage, to_bytes
from .checkpoint import Average
from .data import Samples
from .stage import VALIDATION, Objective, canvas_of, pictures, reduce

TILE = 128  # least side of a tile in pixels


def averaged(objective: Objective, average: Average) -> Objective:
    """A copy that uses the averaged weights."""
    unet = copy.deepcopy(objective.unet)
    unet.load_state_dict(average.values)
    return Objective(objective.config, unet, objective.text, objective.device)


@torch.no_grad()
def validation_loss(objective: Objective, samples: Samples) -> float:
    """The mean over the held-out images, each with one fixed mask, time and noise."""
    config = objective.config
    count, size = config.data.validation, config.optimiser.batch
    total = 0.0
    for first in range(0, count, size):
        chunk = range(first, min(first + size, count))
        batch = default_collate([samples.held_out(i) for i in chunk])
        loss = objective.loss(batch, (config.seed, VALIDATION, first))
        total += loss.item() * len(chunk)
    return total / count


def grid_batch(samples: Samples) -> dict[str, Any]:
    """Held-out samples with their prompts, then the first of them with the prompts to compare."""
    record = samples.config.record
    rows = [samples.held_out(i) for i in range(record.sample_count)]
    rows += [{**rows[0], "prompt": prompt} for prompt in record.sample_prompts]
    return default_collate([{**row, "keep": True} for row in rows])


@torch.no_grad()
def draw_samples(objective: Objective, batch: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
    """The sampled images [N, 3, H, W] and the enlarged low-resolution ones, by the reference."""
    config, unet = objective.config, objective.unet
    image, mask = pictures(batch, objective.device)
    canvas = canvas_of(image, mask)
    canvas = F.interpolate(canvas, size=unet.config.conditioning.resolution, mode="nearest")
    low = unet.config.low_resolution
    previous = reduce(image, low) if low else None
    stage_config = replace(config.stage, steps=config.record.sample_steps)
    stage = Stage(stage_config, unet, 1 if low else 0)
    seeds = list(range(image.shape[0]))
    with objective.autocast():
        tokens, length = objective.text.encode(batch["prompt"], batch["keep"])
        lanes = stage.prepare(tokens, length, canvas, previous, seeds)
        lanes.conditioning = lanes.conditioning.float()  # z takes its type, and stays f32
        result = stage.run(lanes, seeds)
    shown = None if previous is None else F.interpolate(previous, size=config.side)
    return result, shown


def write_grid(path: Path, objective: Objective, samples: Samples) -> None:
    """A row for each sample: masked image, low resolution, result, result pasted, original."""
    batch = grid_batch(samples)
    image, mask = pictures(batch, objective.device)
    result, low = draw_samples(objective, batch)
    side = objective.config.side
    target, hole = reduce(image, side), (reduce(mask, side) >= 0.5).float()
    columns = [(1 - hole) * target, low, result, hole * result + (1 - hole) * target, target]
    rows = torch.cat([to_bytes(c.float()) for c in columns if c is not None], dim=2)  # along W
    picture = rows.flatten(0, 1).cpu().numpy()
    scale = max(1, TILE // side)
    picture = np.repeat(np.repeat(picture, scale, axis=0), scale, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    lines = [f"{i}: {prompt}" for i, prompt in enumerate(batch["prompt"])]
    (path.parent / "prompts.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
