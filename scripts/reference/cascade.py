"""A model directory and the whole edit: prompts, images and masks at canvas size to edited images.

Requests run in lockstep, stage after stage; a forward pass has one lane per request and branch, and
every lane carries its own time, text and conditioning.

SPDX-License-Identifier: Apache-2.0
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import guidance, philox, sampler, weights
from .blocks import TextFeatures
from .config import CascadeConfig, StageConfig, T5Config, UNetConfig
from .sampler import Known
from .schedule import Step, augmentation, make_step, time_input
from .t5 import T5Encoder
from .tokenizer import Tokenizer
from .unet import UNet


@dataclass
class Edit:
    prompt: str
    seed: int
    rgb: Tensor  # [canvas, canvas, 3] u8
    mask: Tensor  # [canvas, canvas] u8, 1 = fill


@dataclass
class Lanes:
    """What stays the same over the steps of a stage; rows are requests."""

    conditional: TextFeatures
    unconditional: TextFeatures
    conditioning: Tensor
    low: Tensor | None
    lambda_aug: float | None
    aug_t: float | None
    known: Known | None = None


def colours(levels: Tensor, dtype: torch.dtype) -> Tensor:
    """u8 [N, H, W, 3] to [N, 3, H, W] in [-1, 1]."""
    return levels.to(dtype).permute(0, 3, 1, 2) * (2 / 255) - 1


def conditioning_image(rgb: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
    """c = [(1 - m) rgb, m] with rgb in [-1, 1]: u8 [N, H, W, 3] and [N, H, W] to [N, 4, H, W]."""
    m = mask.to(dtype)[:, None]
    return torch.cat([(1 - m) * colours(rgb, dtype), m], dim=1)


def to_bytes(image: Tensor) -> Tensor:
    """[N, 3, H, W] in [-1, 1] to u8 [N, H, W, 3]; halves round up."""
    scaled = (image.clamp(-1, 1) + 1) * 127.5 + 0.5
    return scaled.floor().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def blocks(x: Tensor, size: int) -> Tensor:
    """[N, K, K, C] to [N, size, size, pixels of a block, C]."""
    count, side, _, channels = x.shape
    scale = side // size
    cut = x.reshape(count, size, scale, size, scale, channels).transpose(2, 3)
    return cut.reshape(count, size, size, scale * scale, channels)


def known_pixels(canvas: Tensor, size: int) -> Known:
    """The conditioning image [N, 4, K, K] at a stage's resolution: a pixel whose block has nothing
    to fill is known, and is the block's mean as a byte, halves rounded up."""
    levels = blocks(to_bytes(canvas[:, :3]), size).long()
    fill = blocks(canvas[:, 3:].permute(0, 2, 3, 1) > 0, size)
    area = levels.shape[3]
    mean = (2 * levels.sum(3) + area) // (2 * area)
    return Known(colours(mean, canvas.dtype), fill.any(3).permute(0, 3, 1, 2))


def null_text(like: Tensor) -> tuple[Tensor, Tensor]:
    """The text of the unconditional branch: one token whose encoder output is zero."""
    return like.new_zeros(1, 1, like.shape[2]), like.new_ones(1, dtype=torch.long)


class Stage:
    """One U-Net and how it is sampled."""

    def __init__(self, config: StageConfig, unet: UNet, index: int):
        self.config = config
        self.unet = unet
        self.index = index

    def prepare(
        self,
        tokens: Tensor,
        length: Tensor,
        canvas: Tensor,
        previous: Tensor | None,
        seeds: list[int],
    ) -> Lanes:
        unet, count, size = self.unet, tokens.shape[0], self.unet.config.resolution
        null_tokens, null_length = null_text(tokens)
        unconditional = unet.text(null_tokens, null_length).pick(
            null_length.new_zeros(count)
        )
        low = lambda_aug = None
        if previous is not None:
            level = self.config.augmentation or 0.0
            low = torch.stack(
                [
                    sampler.augment(image, size, level, seed, self.index)
                    for image, seed in zip(previous, seeds)
                ]
            )
            lambda_aug = augmentation(level)[2]
        return Lanes(
            conditional=unet.text(tokens, length),
            unconditional=unconditional,
            conditioning=unet.encode_canvas(canvas),
            low=low,
            lambda_aug=lambda_aug,
            aug_t=self.config.augmentation,
            known=known_pixels(canvas, size) if self.config.known == "kept" else None,
        )

    def predict(self, z: Tensor, lanes: Lanes, text: TextFeatures, step: Step) -> Tensor:
        time = self.unet.config.time
        count = z.shape[0]
        v = time_values(time_input(time, step.lam, step.t), count, z)
        v_aug = None
        if lanes.low is not None:
            value = time_input(time, lanes.lambda_aug or 0.0, lanes.aug_t or 0.0)
            v_aug = time_values(value, count, z)
        return self.unet(z, v, text, lanes.conditioning, lanes.low, v_aug)

    def run(self, lanes: Lanes, seeds: list[int], trace: list[Tensor] | None = None) -> Tensor:
        """All steps for all requests; the clean images [N, 3, H, W]. `trace` collects every z."""
        config, size, known = self.config, self.unet.config.resolution, lanes.known
        like = lanes.conditioning
        z = self.noise(seeds, philox.INITIAL, size).to(like)
        for i, weight in enumerate(guidance.weights(config.guidance, config.steps)):
            step = make_step(config.schedule, config.sampler, i, config.steps)
            conditional = self.predict(z, lanes, lanes.conditional, step)
            unconditional = None
            if weight != 1:
                unconditional = self.predict(z, lanes, lanes.unconditional, step)
            noise = self.noise(seeds, i, size).to(like) if step.noise > 0 else None
            z = torch.stack(
                [
                    sampler.update(
                        z[n],
                        conditional[n],
                        None if unconditional is None else unconditional[n],
                        weight,
                        config.prediction,
                        config.threshold,
                        step,
                        None if noise is None else noise[n],
                        None if known is None else Known(known.image[n], known.free[n]),
                    )
                    for n in range(len(seeds))
                ]
            )
            if trace is not None:
                trace.append(z)
        return z

    def noise(self, seeds: list[int], step: int, size: int) -> Tensor:
        channels = self.unet.config.image_channels
        return torch.stack(
            [philox.normal(seed, self.index, step, size, size, channels) for seed in seeds]
        )


def time_values(value: float, count: int, like: Tensor) -> Tensor:
    """The time input of `count` lanes: computed in double and rounded to f32 once."""
    return torch.full((count,), value, dtype=torch.float32).to(like)


class Cascade:
    def __init__(self, directory: Path, dtype: torch.dtype = torch.float32):
        directory = Path(directory)
        self.config = CascadeConfig.read(directory / "cascade.json")
        self.dtype = dtype
        self.tokenizer = Tokenizer(directory / "tokenizer" / "spiece.model")
        self.text = T5Encoder(T5Config.read(directory / "text_encoder" / "config.json")).to(dtype)
        weights.load_into(self.text, directory / "text_encoder")
        self.stages = []
        for i, stage in enumerate(self.config.stages):
            unet = UNet(UNetConfig.read(directory / stage.directory / "config.json")).to(dtype)
            weights.load_into(unet, directory / stage.directory)
            self.stages.append(Stage(stage, unet, i))

    def encode(self, prompts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """ids, lengths and the encoder's tokens."""
        ids, length = self.tokenizer.batch(prompts, self.config.text_length)
        return ids, length, self.text(ids, length)

    @torch.no_grad()
    def edit(self, edits: list[Edit]) -> tuple[Tensor, list[Tensor]]:
        """The edited canvases [N, H, W, 3] u8, unmasked pixels kept, and every stage's result."""
        _, length, tokens = self.encode([edit.prompt for edit in edits])
        rgb = torch.stack([edit.rgb for edit in edits])
        mask = torch.stack([edit.mask for edit in edits])
        canvas = conditioning_image(rgb, mask, self.dtype)
        seeds = [edit.seed for edit in edits]
        results: list[Tensor] = []
        for stage in self.stages:
            previous = results[-1] if results else None
            lanes = stage.prepare(tokens, length, canvas, previous, seeds)
            results.append(stage.run(lanes, seeds))
        return torch.where(mask[..., None] == 1, to_bytes(results[-1]), rgb), results
