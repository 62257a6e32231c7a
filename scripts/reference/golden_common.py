"""What the golden exporters share: seeds, random weights, spreads and the files themselves.

SPDX-License-Identifier: Apache-2.0
"""

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import weights
from .monte_carlo import Outputs, spreads

ROOT = Path(__file__).resolve().parents[2] / "tests" / "golden"


def generator(seed: int, name: str) -> torch.Generator:
    """Every case has its own stream, so that cases may be added or exported alone."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))


def uniform(low: float, high: float, size: tuple[int, ...], g: torch.Generator) -> Tensor:
    return as_f32(low + (high - low) * torch.rand(size, generator=g))


def normal(size: tuple[int, ...], g: torch.Generator, scale: float = 1.0) -> Tensor:
    """Doubles that f32 can hold: what is exported is exactly what was used."""
    return as_f32(scale * torch.randn(size, generator=g))


def as_f32(x: Tensor) -> Tensor:
    return x.float().double()


def as_bf16(x: Tensor) -> Tensor:
    """Doubles that bf16 and f16 can both hold, so that rounding weights changes nothing."""
    x = x.bfloat16().double()
    return torch.where(x.abs() < 2.0**-14, 0.0, x)


def randomise(module: nn.Module, g: torch.Generator, gain: float = 1.0) -> None:
    """Non-zero weights everywhere, of a size that keeps activations near 1; exact in bf16."""
    norms = (nn.GroupNorm, nn.LayerNorm)
    with torch.no_grad():
        for owner in module.modules():
            for name, parameter in owner.named_parameters(recurse=False):
                value = torch.randn(parameter.shape, generator=g, dtype=torch.float64)
                if isinstance(owner, norms) or type(owner).__name__ == "RMSNorm":
                    value = 0.2 * value + (1 if name == "weight" else 0)
                elif name == "bias":
                    value = 0.1 * value
                elif value.dim() > 1:
                    value = value * gain / math.sqrt(value[0].numel())
                parameter.copy_(as_bf16(value))


def write_json(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Doubles become F32, long integers I32; everything else as it is."""
    converted = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        if tensor.dtype == torch.float64:
            tensor = tensor.float()
        elif tensor.dtype == torch.int64:
            tensor = tensor.int()
        converted[name] = tensor.clone()
    path.parent.mkdir(parents=True, exist_ok=True)
    weights.write_file(path, converted)


def with_spreads(
    run: Callable[[], Outputs], seed: int, kinds: tuple[str, ...] = ("f32", "bf16")
) -> Outputs:
    """The outputs of `run`, and beside each its spread per kind."""
    with torch.no_grad():
        result = dict(run())
        for kind in kinds:
            largest, rms = spreads(run, seed, kind)
            result |= {f"{name}.spread_{kind}": value for name, value in largest.items()}
            result |= {f"{name}.rms_{kind}": value for name, value in rms.items()}
    return result


def scalar(value: float | int) -> Tensor:
    return torch.tensor([value], dtype=torch.int32 if isinstance(value, int) else torch.float32)


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x
