"""One set of inputs for both contestants, as the safetensors file that bench_step --inputs reads.

SPDX-License-Identifier: Apache-2.0
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from scripts.reference.config import UNetConfig


def make(config: UNetConfig, lanes: int, tokens: int) -> dict[str, Tensor]:
    """Names and shapes of bench/step_case.h: channels last, all text present."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    side, canvas = config.resolution, config.conditioning.resolution
    image = (lanes, side, side, config.image_channels)
    out = {
        "v": torch.linspace(200, 800, lanes),
        "z": normal(*image),
        "text.tokens": normal(lanes, tokens, config.text.width),
        "text.length": torch.full((lanes,), tokens, dtype=torch.int32),
        "canvas.rgb": torch.randint(
            0, 256, (lanes, canvas, canvas, 3), dtype=torch.uint8, generator=generator
        ),
        "canvas.mask": torch.zeros(lanes, canvas, canvas, 1, dtype=torch.uint8),
    }
    out["canvas.mask"][:, canvas // 4 : 3 * canvas // 4, canvas // 4 : 3 * canvas // 4] = 1
    if config.low_resolution:
        out["low"] = normal(*image).clamp(-1, 1)
        out["v_aug"] = torch.linspace(300, 400, lanes)
    return out


def write(inputs: dict[str, Tensor], path: Path) -> Path:
    save_file(inputs, path)
    return path
