"""Count the FLOP of one forward pass of every part of a model directory, on tensors without data.

    python3 -m scripts.reference.full_flop [DIRECTORY]

Convolutions, linear layers and attention's two products, multiply-adds as 2; nothing else. Keys and
values of the text are left out: the engine computes them once a request, not once a step. This is
where the figures of tests/engine/test_plan.c come from.

SPDX-License-Identifier: Apache-2.0
"""

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .blocks import TextFeatures
from .config import CascadeConfig, T5Config, UNetConfig
from .full_config import FOLDER
from .t5 import T5Encoder
from .unet import UNet


def empty(*size: int) -> Tensor:
    return torch.empty(size, device="meta")


def unet_flop(config: UNetConfig, text_length: int) -> int:
    with torch.device("meta"):
        net = UNet(config, zero_init=False)
    side = config.resolution
    text = TextFeatures(
        empty(1, text_length, config.text.inner),
        torch.ones(1, text_length, dtype=torch.bool, device="meta"),
        empty(1, config.embedding),
    )
    image, v = empty(1, 3, side, side), empty(1)
    conditioning = empty(1, config.conditioning.channels, side, side)
    low = (image, v) if config.low_resolution else (None, None)
    counter = FlopCounterMode(display=False, depth=None)
    with counter, torch.no_grad():
        net(image, v, text, conditioning, *low)
    keys = sum(
        2 * text_length * module.in_features * module.out_features
        for name, module in net.named_modules()
        if name.endswith("text_kv")
    )
    return counter.get_total_flops() - keys


def text_flop(config: T5Config, text_length: int) -> int:
    with torch.device("meta"):
        encoder = T5Encoder(config)
    ids = torch.zeros(1, text_length, dtype=torch.long, device="meta")
    length = torch.ones(1, dtype=torch.long, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        encoder(ids, length)
    return counter.get_total_flops()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    cascade = CascadeConfig.read(folder / "cascade.json")
    for stage in cascade.stages:
        config = UNetConfig.read(folder / stage.directory / "config.json")
        print(f"{stage.name:14s}{unet_flop(config, cascade.text_length):20,d}")
    text = T5Config.read(folder / "text_encoder" / "config.json")
    print(f"{'text_encoder':14s}{text_flop(text, cascade.text_length):20,d}")


if __name__ == "__main__":
    main()
