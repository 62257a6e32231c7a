"""What a stage costs: parameters, and floating-point operations of a training step.

    python3 -m scripts.train.cost scripts/train/configs/demo/*.json

Counted on tensors without data: convolutions and matrix products, forward, of the U-Net and its
conditioning encoder. A multiply-add counts 2; a training step takes three times the forward pass.
`low` is the share of maps of half the side and below.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..reference.blocks import TextFeatures
from ..reference.unet import UNet
from .config import TrainingConfig
from .stage import encode_canvas, trained_config

TOKENS = 16  # of an ordinary caption


def unet_flop(config: TrainingConfig, unet: UNet) -> tuple[float, float]:
    """Forward FLOP of one sample, and of them those whose output is a full-size map."""
    side, low = config.side, config.unet.low_resolution
    z = torch.empty(1, 3, side, side)
    valid = torch.ones(1, TOKENS, dtype=torch.bool)
    width = config.unet.text.inner
    text = TextFeatures(torch.empty(1, TOKENS, width), valid, torch.empty(1, config.unet.embedding))
    canvas = torch.empty(1, 4, *(2 * [side * config.data.canvas // config.unet.resolution]))
    scalar = torch.empty(1)
    full = 0.0

    def note(module: nn.Module, _: tuple, output: torch.Tensor) -> None:
        nonlocal full
        if isinstance(module, nn.Conv2d) and output.shape[-1] == side:
            full += 2 * output.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(note) for module in unet.modules()]
    with FlopCounterMode(display=False) as counter:
        conditioning = encode_canvas(unet, canvas)
        unet(z, scalar, text, conditioning, z if low else None, scalar if low else None)
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops(), full


def say(config: TrainingConfig) -> None:
    with torch.device("meta"):
        unet = UNet(trained_config(config), zero_init=False)
        flop, full = unet_flop(config, unet)
    count = sum(p.numel() for p in unet.parameters())
    step = 3 * config.optimiser.batch * flop
    print(
        f"{config.stage.name}: {count / 1e6:.2f} M parameters; "
        f"forward {flop / 1e9:.2f} GFLOP a sample, {1 - full / flop:.0%} low; "
        f"{3 * flop / 1e9:.1f} GFLOP to train a sample, {step / 1e12:.2f} TFLOP a step"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a training file")
    try:
        for path in parser.parse_args(arguments).files:
            say(TrainingConfig.read(path))
    except (OSError, ValueError) as error:
        print(f"cost: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
