"""A larger network that computes what a smaller one did (Net2Net: arXiv 1511.05641).

Where a level has more channels than in the network that a run starts from, every channel becomes
several neighbours: their incoming weights are copies, their outgoing ones are shares of the old
weight. The shares are random, or else the copies would learn the same for ever. Group norms keep
their statistics where channels multiply by one whole number in all that a norm sees; otherwise the
network begins near the old one. Widths of attention, embeddings and text stay what they are.

Blocks that a level has more than before hand on what they are given. They come after the old ones;
in the decoder of the adm layout after the level's first, which thus is given the skip it knows.

SPDX-License-Identifier: Apache-2.0
"""

import re
from dataclasses import replace

import torch
from torch import Tensor

from ..reference.config import UNetConfig
from ..reference.unet import UNet, adm_inputs, efficient_inputs

PART = re.compile(r"(down|up)\.(\d+)\.(blocks|attentions)\.(\d+)\.(.*)")


def widths(config: UNetConfig) -> list[int]:
    return [config.width] + [level.channels for level in config.levels]


def joins(config: UNetConfig) -> dict[str, tuple[int, int]]:
    """Of each decoder block the channels that flow in, and those of the skip appended to them."""
    inputs = adm_inputs if config.layout == "adm" else efficient_inputs
    return {
        f"up.{i}.blocks.{j}.": pair
        for i, level in enumerate(inputs(config))
        for j, pair in enumerate(level)
    }


def sources(parts: list[tuple[int, int]]) -> Tensor:
    """Of each new channel the old one; parts are (old, new) channels, one after another."""
    result, first = [], 0
    for old, new in parts:
        if new < old:
            raise ValueError(f"{old} channels into {new}: a network can only be widened")
        result.append(first + torch.arange(new) * old // new)
        first += old
    return torch.cat(result)


def shares(source: Tensor, shape: torch.Size) -> Tensor:
    """Random parts of 1 for the channels with one source, along axis 1 of a tensor of `shape`."""
    parts = torch.rand(shape) + 0.5
    total = torch.zeros(shape[0], int(source.max()) + 1, *shape[2:])
    return parts / total.index_add(1, source, parts)[:, source]


def widen(found: dict[str, Tensor], old: UNetConfig, new: dict[str, Tensor], config: UNetConfig
          ) -> dict[str, Tensor]:  # fmt: skip
    """The tensors `found` of a network `old` with the shapes of `new`, whose network is `config`.

    A tensor that `new` lacks, or whose first convolution reads other channels, stays as it is.
    """
    if widths(old) == widths(config):
        return found
    before, after = joins(old), joins(config)
    result = {}
    for name, tensor in found.items():
        result[name] = tensor
        shape = new[name].shape if name in new else tensor.shape
        if shape == tensor.shape or len(shape) != tensor.dim():
            continue
        block = name[: name.rfind(".", 0, name.rfind(".")) + 1]
        layer = name[len(block) :].split(".")[0]
        joined = layer in ("norm1", "conv1", "shortcut") and block in before and block in after
        inputs = list(zip(before[block], after[block])) if joined else None
        if tensor.dim() == 1:
            own = inputs if layer == "norm1" else None
            result[name] = tensor[sources(own or [(tensor.shape[0], shape[0])])]
            continue
        tensor = tensor[sources([(tensor.shape[0], shape[0])])]
        if name != "stem.weight":
            source = sources(inputs or [(tensor.shape[1], shape[1])])
            tensor = tensor.float()[:, source]
            tensor = tensor * shares(source, tensor.shape)
        result[name] = tensor
    return result


def deepen(found: dict[str, Tensor], old: UNetConfig, config: UNetConfig
           ) -> tuple[dict[str, Tensor], UNetConfig]:  # fmt: skip
    """The tensors `found` of a network `old`, with as many blocks as `config` has, and that
    network's configuration."""
    levels = [replace(b, blocks=max(a.blocks, b.blocks)) for a, b in zip(config.levels, old.levels)]
    deep = replace(old, levels=levels + old.levels[len(levels) :])
    adm = config.layout == "adm"
    added = [after.blocks - before.blocks for before, after in zip(old.levels, deep.levels)]
    if not any(added):
        return found, old
    if config.residual_scale != 1 and (adm or config.shortcut != "conv"):
        raise ValueError(
            "blocks are added where residual_scale is 1, or to efficient levels with shortcut conv"
        )

    def first(half: str, level: int) -> int:
        """The first added block. An adm decoder's first block joins two levels: it stays there."""
        return 1 if adm and half == "up" else old.levels[level].blocks

    result = {}
    for name, tensor in found.items():
        if match := PART.fullmatch(name):
            half, i, part, j, rest = match.groups()
            last_blocks = not adm and part == "attentions"  # an efficient level's, after its blocks
            if last_blocks or int(j) >= first(half, int(i)):
                name = f"{half}.{i}.{part}.{int(j) + added[int(i)]}.{rest}"
        result[name] = tensor
    for name, tensor in UNet(deep).state_dict().items():
        match = PART.fullmatch(name)
        if name in result or not match:
            continue
        half, i, part, j, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        if not first(half, i) <= j < first(half, i) + added[i]:
            continue
        if rest == "shortcut.weight":  # of what flows in, nothing of the skip
            tensor = torch.zeros_like(tensor)
            tensor[:, : tensor.shape[0], 0, 0] = torch.eye(tensor.shape[0]) / config.residual_scale
        result[name] = torch.zeros_like(tensor) if rest == "shortcut.bias" else tensor
    return result, deep
