"""One stage as it is trained: from a batch of samples to the loss.

engine/MODEL.md sections 2 and 3. The reference's U-Net and schedules are used as they are; this
file draws times and noise, makes the network's inputs, and compares.

SPDX-License-Identifier: Apache-2.0
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..reference import schedule, weights
from ..reference.config import UNetConfig
from ..reference.unet import UNet
from .config import MaskConfig, TrainingConfig
from .text import TextSide
from .widen import deepen, widen

NOISE, VALIDATION = 3, 4  # streams of random numbers, after those of data.py
FIRST = 0.03  # share of the samples at t = 1
BORDER = 2  # pixels on the masked side of the mask's border


# ---- the network --------------------------------------------------------------------------------


def trained_config(config: TrainingConfig) -> UNetConfig:
    """The U-Net's configuration at the size it is trained at: the whole image or the window."""
    unet, crop = config.unet, config.data.crop
    if not crop:
        return unet
    return replace(
        unet,
        resolution=crop,
        low_resolution=unet.low_resolution * crop // unet.resolution,
        conditioning=replace(
            unet.conditioning, resolution=unet.conditioning.resolution * crop // unet.resolution
        ),
    )


def repeats(config: UNetConfig, side: int) -> int:
    """How often each pixel of a canvas of this side is repeated, per axis, on the network's."""
    return config.conditioning.resolution // side


def new_unet(config: TrainingConfig) -> UNet:
    """Zero-initialised; a first convolution that is trained on reduced canvases starts as means.

    With data.canvas below the canvas only averages over its taps are seen in training. Equal taps
    stay equal, because their gradients are; so finer detail of a real canvas has no effect.
    """
    unet = UNet(trained_config(config))
    if config.conditioning == "fixed":
        fix_conditioning(unet)
    elif config.data.canvas != config.unet.conditioning.resolution:
        with torch.no_grad():
            first, times = unet.conditioning[0].weight, repeats(config.unet, config.data.canvas)
            means = F.avg_pool2d(first, times)
            first.copy_(means.repeat_interleave(times, 2).repeat_interleave(times, 3))
    return unet


@torch.no_grad()
def fix_conditioning(unet: UNet) -> None:
    """Each of the four channels of the canvas averaged over the stride's squares, not trained.

    The ablation of the learned encoder: ordinary weights of a convolution whose kernel is its
    stride, so the model's files and the engine need nothing new.
    """
    for conv in unet.conditioning:
        conv.weight.zero_()
        for channel in range(conv.weight.shape[0]):
            conv.weight[channel, channel] = 1 / conv.weight[0, 0].numel()
        conv.bias.zero_()
        conv.requires_grad_(False)


def start_from(unet: UNet, directory: Path) -> list[str]:
    """Load another model's U-Net; the names of the tensors that it lacks and that stay as they are.

    Its stem may have fewer input channels: the new ones, the conditioning, begin with zero weight,
    and the network begins as the one it is made from (Imagen Editor's recipe). Its levels may have
    fewer channels and blocks: widen.py.
    """
    state = unet.state_dict()
    frozen = {name for name, value in unet.named_parameters() if not value.requires_grad}
    found = {name: x for name, x in weights.read(directory).items() if name not in frozen}
    old = UNetConfig.read(directory / "config.json")
    found, old = deepen(found, old, unet.config)
    found = widen(found, old, state, unet.config)
    stem, old = state["stem.weight"], found.get("stem.weight")
    if old is not None and old.shape[1] < stem.shape[1] and old.shape[0] == stem.shape[0]:
        extended = torch.zeros_like(stem)
        extended[:, : old.shape[1]] = old
        found["stem.weight"] = extended
    wrong = [n for n, x in found.items() if n not in state or state[n].shape != x.shape]
    if wrong:
        raise ValueError(f"{directory}: {wrong[0]} does not fit the configuration's U-Net")
    missing = [name for name in state if name not in found]
    widened = old is not None and old.shape[1] < stem.shape[1]
    new = {n for n in missing if widened and n.startswith("conditioning.")}
    lost = [n for n in missing if n not in new | frozen]
    if lost:
        raise ValueError(f"{directory}: {lost[0]} is missing")
    unet.load_state_dict({**state, **found})
    return missing


def encode_canvas(unet: UNet, canvas: Tensor) -> Tensor:
    """As UNet.encode_canvas; a smaller canvas stands for itself with every pixel repeated."""
    conditioning = unet.config.conditioning
    if canvas.shape[-1] == conditioning.resolution:
        return unet.encode_canvas(canvas)
    first, *others = unet.conditioning
    times = repeats(unet.config, canvas.shape[-1])
    taps = F.avg_pool2d(first.weight, times, divisor_override=1)
    h = F.conv2d(canvas, taps, first.bias, stride=taps.shape[-1])
    for conv in others:
        h = conv(F.silu(h))
    return h


# ---- inputs -------------------------------------------------------------------------------------


@dataclass
class Inputs:
    """What a batch becomes, apart from the text."""

    target: Tensor  # the clean image [N, 3, H, W]
    z: Tensor  # the noisy one
    answer: Tensor  # what the network should say: epsilon or v
    v: Tensor  # [N] time input
    canvas: Tensor  # [N, 4, S, S]
    weight: Tensor  # [N, 1, H, W] of each pixel in the loss
    low: Tensor | None  # [N, 3, H, W]
    v_aug: Tensor | None  # [N]


def generator(seed: int, stream: int, counter: int, device: torch.device) -> torch.Generator:
    """The random numbers of one step: nothing is carried from step to step."""
    state = np.random.SeedSequence([seed, stream, counter]).generate_state(2)
    return torch.Generator(device).manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def pictures(batch: dict[str, Any], device: torch.device) -> tuple[Tensor, Tensor]:
    """Images [N, 3, S, S] in [-1, 1] and masks [N, 1, S, S] in [0, 1]: the masked part of each
    pixel, of which that of the canvas is the mean where the canvas repeats the image's pixels."""
    image = batch["image"].to(device).permute(0, 3, 1, 2).float() * (2 / 255) - 1
    return image, reduce(batch["mask"].to(device)[:, None].float(), image.shape[-1])


def reduce(image: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(image, image.shape[-1] // side)


def canvas_of(image: Tensor, mask: Tensor) -> Tensor:
    return torch.cat([(1 - mask) * image, mask], dim=1)


def columns(values: list[tuple[float, ...]], like: Tensor) -> list[Tensor]:
    """Tuples of one per sample to tensors [N] of each of their members, rounded to f32 once."""
    return [torch.tensor(column, dtype=torch.float32).to(like.device) for column in zip(*values)]


def draw_times(count: int, power: float, numbers: torch.Generator) -> list[float]:
    """t of each sample: u^power, u uniform, one from each of `count` strata, but for the share
    FIRST of the samples, where it is 1 as in a sampler's first step. Log-SNR falls from -8 at
    t = 0.99 to -20 at t = 1, where a uniform t never comes."""
    offset = torch.rand(1, generator=numbers).item()
    uniform = [(offset + i / count) % 1 for i in range(count)]
    return [min(1.0, u / (1 - FIRST)) ** power for u in uniform]


def times(config: TrainingConfig, drawn: list[float]) -> list[tuple[float, ...]]:
    """(alpha, sigma, time input) of each t."""
    result = []
    for t in drawn:
        lam = schedule.log_snr(config.stage.schedule, t)
        alpha, sigma = schedule.alpha_sigma(lam)
        result.append((alpha, sigma, schedule.time_input(config.unet.time, lam, t)))
    return result


def augmentations(
    config: TrainingConfig, count: int, numbers: torch.Generator
) -> list[tuple[float, ...]]:
    """The same of the noise on the low-resolution image, at levels from U(0, augmentation)."""
    result = []
    for level in (config.augmentation * torch.rand(count, generator=numbers)).tolist():
        alpha, sigma, lam = schedule.augmentation(level)
        result.append((alpha, sigma, schedule.time_input(config.unet.time, lam, level)))
    return result


def as_made(
    config: TrainingConfig, small: Tensor, mask: Tensor, numbers: torch.Generator
) -> Tensor:
    """The image [N, 3, h, w] as the stage before may make it: where it is masked with the grain of
    few training samples, of a deviation from U(0, grain)."""
    deviation = config.grain * torch.rand((len(small), 1, 1, 1), generator=numbers)
    speckles = (deviation * torch.randn(small.shape, generator=numbers)).to(small.device)
    return small + reduce(mask, small.shape[-1]) * speckles


def border_of(mask: Tensor) -> Tensor:
    """1 at the first BORDER masked pixels of [N, 1, H, W], 0 elsewhere."""
    known = (mask == 0).to(mask.dtype)
    return F.max_pool2d(known, 2 * BORDER + 1, stride=1, padding=BORDER) * (1 - known)


def loss_weights(rules: MaskConfig, mask: Tensor) -> Tensor:
    """Of each pixel in the loss, by the masked part of it [N, 1, H, W]: `outside` .. 1, and
    `border` at the mask's border, where a wrong tone shows as a seam."""
    inside = rules.outside + (1 - rules.outside) * mask
    return inside + (rules.border - 1) * border_of(mask)


def make_inputs(
    config: TrainingConfig, batch: dict[str, Any], device: torch.device, seed: tuple[int, int, int],
    t: float | None = None,
) -> Inputs:  # fmt: skip
    """`seed` = (seed, stream, counter): the times on the host, the noise on the device. With t
    given, it is every sample's."""
    host = generator(*seed, torch.device("cpu"))
    noise = generator(*seed, device)
    image, mask = pictures(batch, device)
    target = reduce(image, config.side)
    count = target.shape[0]
    drawn = draw_times(count, config.time_power, host)
    alpha, sigma, v = columns(times(config, drawn if t is None else [t] * count), target)
    alpha, sigma = alpha.view(-1, 1, 1, 1), sigma.view(-1, 1, 1, 1)
    epsilon = torch.randn(target.shape, generator=noise, device=device)
    low = v_aug = None
    if config.unet.low_resolution:
        scale, spread, v_aug = columns(augmentations(config, count, host), target)
        small = reduce(image, config.side * config.unet.low_resolution // config.unet.resolution)
        if config.grain:
            small = as_made(config, small, mask, host)
        large = F.interpolate(small, size=target.shape[2:], mode="bilinear", align_corners=False)
        added = torch.randn(target.shape, generator=noise, device=device)
        low = scale.view(-1, 1, 1, 1) * large + spread.view(-1, 1, 1, 1) * added
    answer = epsilon if config.stage.prediction == "epsilon" else alpha * epsilon - sigma * target
    z = alpha * target + sigma * epsilon
    weight = loss_weights(config.mask, reduce(mask, config.side))
    return Inputs(target, z, answer, v, canvas_of(image, mask), weight, low, v_aug)


# ---- the loss -----------------------------------------------------------------------------------


def squared_error(error: Tensor, weight: Tensor, halvings: int) -> Tensor:
    """The mean square of error [N, C, H, W], its pixels weighted by weight [N, 1, H, W]; and of its
    averages over squares of 2, 4, ... pixels, so many times, each counting twice the one before.

    The multiscale loss of simple diffusion (Hoogeboom et al. 2023, section 3.4: weights 1 / side).
    The minimum is the same, the mean; but a wrong tone of a whole region, little beside the detail
    that nobody can guess, counts more.
    """
    total = error.new_zeros(())
    for level in range(halvings + 1):
        if level:
            error, weight = F.avg_pool2d(error, 2), F.avg_pool2d(weight, 2)
        square = error.square().mean(1, keepdim=True)
        total = total + 2**level * (weight * square).sum() / weight.sum()
    return total / (2 ** (halvings + 1) - 1)


class Objective:
    """The loss of a batch. Forward and loss are what a step differentiates."""

    def __init__(self, config: TrainingConfig, unet: UNet, text: TextSide, device: torch.device):
        self.config, self.unet, self.text, self.device = config, unet, text, device
        self.forward = unet.forward  # a compiled one may take its place

    def autocast(self) -> torch.autocast:
        enabled = self.config.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def predict(self, inputs: Inputs, prompts: list[str], keep: Tensor) -> Tensor:
        with self.autocast():
            tokens, length = self.text.encode(prompts, keep)
            text = self.unet.text(tokens, length)
            conditioning = encode_canvas(self.unet, inputs.canvas)
            answer = self.forward(inputs.z, inputs.v, text, conditioning, inputs.low, inputs.v_aug)
        return answer[:, : inputs.target.shape[1]].float()

    def loss(self, batch: dict[str, Any], seed: tuple[int, int, int]) -> Tensor:
        """The mean squared error over the whole images, masked pixels weighing more."""
        inputs = make_inputs(self.config, batch, self.device, seed)
        answer = self.predict(inputs, batch["prompt"], batch["keep"])
        return squared_error(answer - inputs.answer, inputs.weight, self.config.multiscale)


def rate(config: TrainingConfig, step: int) -> float:
    """The learning rate of a step: linear warm-up, then half a cosine down to the final rate."""
    o = config.optimiser
    if step < o.warmup:
        return o.rate * (step + 1) / o.warmup
    part = (step - o.warmup) / max(1, o.steps - o.warmup)
    return o.final_rate + (o.rate - o.final_rate) * (1 + math.cos(math.pi * min(part, 1))) / 2
