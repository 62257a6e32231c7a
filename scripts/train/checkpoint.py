"""Checkpoints: written whole or not at all, so that a run may be killed at any moment.

SPDX-License-Identifier: Apache-2.0
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def save(path: Path, content: dict[str, Any]) -> None:
    """Replace the file in one step; what it held is there until the new content is on the disk."""
    partial = path.with_name(path.name + ".part")
    with open(partial, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    return torch.load(path, map_location=device, weights_only=True)


def digest(tensors: dict[str, Tensor]) -> str:
    """A name for these values: SHA-256 over names, shapes and f32 bytes."""
    result = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().float().cpu().contiguous()
        result.update(f"{name} {list(value.shape)}\n".encode())
        result.update(value.numpy().tobytes())
    return result.hexdigest()


class Average:
    """The exponential moving average of named tensors; young runs forget faster."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay, self.live = decay, module.state_dict(keep_vars=True)
        self.values = {name: value.detach().clone() for name, value in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After step number `step`, from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        values, live = list(self.values.values()), list(self.live.values())
        torch._foreach_lerp_(values, live, 1 - decay)

    def load(self, values: dict[str, Tensor]) -> None:
        if set(values) != set(self.values):
            raise ValueError("the checkpoint's averages are those of another network")
        for name, value in values.items():
            self.values[name].copy_(value)
