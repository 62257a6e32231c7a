"""The U-Net of every stage: one module for both layouts of engine/MODEL.md section 4.

state_dict() has exactly the tensor names of the model's files.

SPDX-License-Identifier: Apache-2.0
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import (
    Attention,
    Embedding,
    ResidualBlock,
    TextConditioning,
    TextFeatures,
    activation,
    resample,
    zero,
)
from .config import Head, Level, Middle, UNetConfig
from .rounding import stored


def attention_of(config: UNetConfig, channels: int, part: Level | Middle) -> Attention:
    return Attention(config, channels, part.attention, part.heads, part.head_width)


class DownLevel(nn.Module):
    """One level of the encoder. `resample` ends it (adm) or begins it (efficient)."""

    def __init__(self, config: UNetConfig, index: int, inputs: int):
        super().__init__()
        level = config.levels[index]
        channels = level.channels
        adm = config.layout == "adm"
        if not adm and (level.stride == 2 or inputs != channels):
            self.resample = nn.Conv2d(inputs, channels, 3, stride=level.stride, padding=1)
            inputs = channels
        self.blocks = nn.ModuleList(
            ResidualBlock(config, inputs if j == 0 else channels, channels)
            for j in range(level.blocks)
        )
        self.attentions = nn.ModuleDict()
        if level.attention != "none":
            after = range(level.blocks) if adm else [level.blocks - 1]
            for j in after:
                self.attentions[str(j)] = attention_of(config, channels, level)
        if adm and index + 1 < len(config.levels):
            self.resample = ResidualBlock(config, channels, channels, "down")


class UpLevel(nn.Module):
    """One level of the decoder. `inputs`: what flows into each block, and the skip it is given."""

    def __init__(
        self, config: UNetConfig, index: int, inputs: list[tuple[int, int]], outputs: int
    ):
        super().__init__()
        level = config.levels[index]
        channels = level.channels
        self.stride = level.stride
        self.blocks = nn.ModuleList(ResidualBlock(config, sum(n), channels) for n in inputs)
        self.attentions = nn.ModuleDict()
        if level.attention != "none":
            after = range(len(inputs)) if config.layout == "adm" else [len(inputs) - 1]
            for j in after:
                self.attentions[str(j)] = attention_of(config, channels, level)
        if config.layout == "adm":
            if level.stride == 2:
                self.resample = ResidualBlock(config, channels, channels, "up")
        elif level.stride == 2 or outputs != channels:
            self.resample = nn.Conv2d(channels, outputs, 3, padding=1)


class MiddleLevel(nn.Module):
    def __init__(self, config: UNetConfig):
        super().__init__()
        channels = config.levels[-1].channels
        self.blocks = nn.ModuleList(
            ResidualBlock(config, channels, channels) for _ in range(config.middle.blocks)
        )
        if config.middle.attention != "none":
            self.attention = attention_of(config, channels, config.middle)

    def forward(self, h: Tensor, emb: Tensor, text: TextFeatures) -> Tensor:
        for j, block in enumerate(self.blocks):
            h = block(h, emb)
            if j == 0 and hasattr(self, "attention"):
                h = self.attention(h, text)
        return h


class OutputHead(nn.Module):
    """Norm, activation and convolution; without the norm the convolution alone."""

    def __init__(self, config: UNetConfig, channels: int):
        super().__init__()
        head: Head = config.head
        self.config = config
        if head.norm:
            self.norm = nn.GroupNorm(config.norm_groups, channels, eps=config.norm_eps)
        self.conv = nn.Conv2d(
            channels, config.output_channels, head.kernel, padding=head.kernel // 2
        )

    def forward(self, h: Tensor) -> Tensor:
        if hasattr(self, "norm"):
            h = stored(activation(self.config.activation, self.norm(h)))
        return self.conv(h)  # f32 in the engine whatever its activations are: guidance magnifies it


class UNet(nn.Module):
    def __init__(self, config: UNetConfig, zero_init: bool = True):
        super().__init__()
        self.config = config
        self.time = Embedding(config.time, config.embedding)
        if config.low_resolution:
            self.aug = Embedding(config.time, config.embedding)
        self.text = TextConditioning(config.text, config.embedding)
        self.conditioning = conditioning_chain(config)
        self.stem = nn.Conv2d(config.input_channels, config.width, 3, padding=1)
        self._build_levels()
        if zero_init:
            self.zero_initialise()

    def _build_levels(self) -> None:
        config = self.config
        levels = config.levels
        before = [config.width] + [level.channels for level in levels]  # channels entering level i
        self.down = nn.ModuleList(DownLevel(config, i, before[i]) for i in range(len(levels)))
        if config.middle.blocks:
            self.middle = MiddleLevel(config)
        inputs = adm_inputs(config) if config.layout == "adm" else efficient_inputs(config)
        self.up = nn.ModuleList(
            UpLevel(config, i, inputs[i], before[i]) for i in range(len(levels))
        )
        last = levels[0].channels if config.layout == "adm" else config.width
        self.head = OutputHead(config, last)

    def zero_initialise(self) -> None:
        """Every residual branch, the head and the stem's new conditioning slice start at zero."""
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                zero(module.conv2)
            elif isinstance(module, Attention):
                zero(module.out)
        zero(self.head.conv)
        with torch.no_grad():
            kept = self.config.input_channels - self.config.conditioning.channels
            self.stem.weight[:, kept:] = 0

    def encode_canvas(self, canvas: Tensor) -> Tensor:
        """The masked image and mask [N, 4, canvas, canvas] to this stage's resolution."""
        h = stored(canvas)
        for i, conv in enumerate(self.conditioning):
            h = stored(conv(stored(F.silu(h)) if i else h))
        return h

    def embed(self, v: Tensor, v_aug: Tensor | None, text: TextFeatures) -> Tensor:
        emb = self.time(v)
        if v_aug is not None:
            emb = emb + self.aug(v_aug)
        return emb + text.pooled

    def forward(
        self,
        z: Tensor,
        v: Tensor,
        text: TextFeatures,
        conditioning: Tensor | None = None,
        low: Tensor | None = None,
        v_aug: Tensor | None = None,
    ) -> Tensor:
        """The prediction [N, output_channels, H, W].

        z [N, 3, H, W]; v [N] the time input (schedule.time_input); text of each lane; conditioning
        [N, C, H, W] from encode_canvas, None for the plain network; low [N, 3, H, W] the enlarged,
        augmented previous image, v_aug [N] the time input of its noise, where the stage has them.
        """
        emb = self.embed(v, v_aug, text)
        sources = [x for x in (z, low, conditioning) if x is not None]
        h = stored(self.stem(stored(torch.cat(sources, dim=1))))
        run = self._adm if self.config.layout == "adm" else self._efficient
        return self.head(run(h, emb, text))

    def _join(self, h: Tensor, skip: Tensor) -> Tensor:
        scale = self.config.skip_scale
        if self.config.skip_join == "add":
            return stored(h + scale * skip)
        if scale != 1:
            skip = stored(scale * skip)
        return torch.cat([h, skip], dim=1)

    def _adm(self, h: Tensor, emb: Tensor, text: TextFeatures) -> Tensor:
        skips = [h]
        for level in self.down:
            for j, block in enumerate(level.blocks):
                h = block(h, emb)
                if str(j) in level.attentions:
                    h = level.attentions[str(j)](h, text)
                skips.append(h)
            if hasattr(level, "resample"):
                h = level.resample(h, emb)
                skips.append(h)
        if hasattr(self, "middle"):
            h = self.middle(h, emb, text)
        for level in reversed(self.up):
            for j, block in enumerate(level.blocks):
                h = block(self._join(h, skips.pop()), emb)
                if str(j) in level.attentions:
                    h = level.attentions[str(j)](h, text)
            if hasattr(level, "resample"):
                h = level.resample(h, emb)
        return h

    def _efficient(self, h: Tensor, emb: Tensor, text: TextFeatures) -> Tensor:
        skips = []
        for level in self.down:
            if hasattr(level, "resample"):
                h = stored(level.resample(h))
            h = run_blocks(level, h, emb, text)
            skips.append(h)
        if hasattr(self, "middle"):
            h = self._join(self.middle(h, emb, text), skips[-1])
        for i in reversed(range(len(self.up))):
            level = self.up[i]
            if i + 1 < len(self.up):
                h = self._join(h, skips[i])
            h = run_blocks(level, h, emb, text)
            if hasattr(level, "resample"):
                h = stored(level.resample(resample(h, "up" if level.stride == 2 else "same")))
        return h


def run_blocks(level: nn.Module, h: Tensor, emb: Tensor, text: TextFeatures) -> Tensor:
    for j, block in enumerate(level.blocks):
        h = block(h, emb)
        if str(j) in level.attentions:
            h = level.attentions[str(j)](h, text)
    return h


def conditioning_chain(config: UNetConfig) -> nn.ModuleList:
    chain = nn.ModuleList()
    inputs, kernel = 4, config.conditioning.kernel
    for stride, width in zip(config.conditioning.strides, config.conditioning.widths):
        padding = 0 if kernel == stride else (kernel - 1) // 2
        chain.append(nn.Conv2d(inputs, width, kernel, stride=stride, padding=padding))
        inputs = width
    return chain


def adm_inputs(config: UNetConfig) -> list[list[tuple[int, int]]]:
    """Input channels of the decoder's blocks: what flows in, and the skip that is popped."""
    skips = [config.width]
    for i, level in enumerate(config.levels):
        skips += [level.channels] * level.blocks
        if i + 1 < len(config.levels):
            skips.append(level.channels)
    current = config.levels[-1].channels
    inputs: list[list[tuple[int, int]]] = []
    for level in reversed(config.levels):
        row = []
        for _ in range(level.blocks + 1):
            row.append((current, skips.pop()))
            current = level.channels
        inputs.insert(0, row)
    return inputs


def efficient_inputs(config: UNetConfig) -> list[list[tuple[int, int]]]:
    """As adm_inputs: only the first block of a level sees the skip, and only if it is appended."""
    inputs = []
    for i, level in enumerate(config.levels):
        deepest = i + 1 == len(config.levels)
        joined = config.skip_join == "concat" and (not deepest or config.middle.blocks > 0)
        skip = level.channels if joined else 0
        inputs.append([(level.channels, skip)] + [(level.channels, 0)] * (level.blocks - 1))
    return inputs
