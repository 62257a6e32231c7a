"""A larger network that computes what a smaller one did (Net2Net: arXiv 1511.05641).

Where a level has more channels than in the network that a run starts from, every channel becomes
several neighbours: their incoming weights are copies, their outgoing ones are shares of the old
weight. The shares are random, or else the copies would learn the same for ever. Group norms keep
their statistics where channels multiply by one whole number in all that a norm sees; otherwise the
network begins near the old one. Widths of attention, embeddings and text stay what they are.

Blocks that a level of the efficient layout has more than before come after the old ones and hand on
what they are given.

SPDX-License-Identifier: Apache-2.0
"""

import torch
from torch import Tensor

from ..reference.config import UNetConfig
from ..reference.unet import adm_inputs, efficient_inputs


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


def deepen(found: dict[str, Tensor], old: UNetConfig, new: dict[str, Tensor], config: UNetConfig
           ) -> dict[str, Tensor]:  # fmt: skip
    """`found` and the blocks that `config` has beyond those of `old`: as in `new`, where their last
    convolutions are zero, and with shortcuts that change nothing."""
    result = dict(found)
    for i, (before, after) in enumerate(zip(old.levels, config.levels)):
        if after.blocks <= before.blocks:
            continue
        if config.layout != "efficient" or after.attention != "none":
            raise ValueError(f"levels[{i}]: blocks are added to efficient levels without attention")
        for half in ("down", "up"):
            for j in range(before.blocks, after.blocks):
                block = f"{half}.{i}.blocks.{j}."
                result |= {name: x for name, x in new.items() if name.startswith(block)}
                if block + "shortcut.weight" in result:
                    identity = torch.eye(after.channels)[:, :, None, None]
                    result[block + "shortcut.weight"] = identity / config.residual_scale
                    result[block + "shortcut.bias"] = torch.zeros(after.channels)
    return result
