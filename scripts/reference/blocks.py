"""The parts of a U-Net: embeddings, text conditioning, residual block, attention.

engine/MODEL.md section 4. Tensors are [N, C, H, W] and tokens [N, T, C]; attribute names are the
names of the tensors in the file. Attention and embeddings are written out, without fused kernels.

SPDX-License-Identifier: Apache-2.0
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Text, Time, UNetConfig
from .rounding import in_double, stored

LAYER_NORM_EPS = 1e-5


def zero(module: nn.Module) -> nn.Module:
    """Start a layer at zero, so that the branch it ends contributes nothing at first."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def activation(name: str, x: Tensor) -> Tensor:
    return F.silu(x) if name == "silu" else F.gelu(x)


def resample(x: Tensor, how: str) -> Tensor:
    if how == "up":
        return F.interpolate(x, scale_factor=2, mode="nearest")
    if how == "down":
        return F.avg_pool2d(x, 2)
    return x


def attend(q: Tensor, k: Tensor, v: Tensor, valid: Tensor, heads: int) -> Tensor:
    """Softmax attention. q [N, T, h d], k and v [N, L, h d], valid [N, L]: which keys exist."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]))
    scores = scores.masked_fill(~valid[:, None, None, :], -math.inf)
    weights = stored(torch.softmax(scores, dim=-1))
    return stored(weights @ v).transpose(1, 2).flatten(2)


def sinusoid(v: Tensor, width: int, max_period: float) -> Tensor:
    """[cos(v f_k), sin(v f_k)]. Angles reach 1000, where f32 would lose four digits of them."""
    half = width // 2
    with in_double():
        exponent = torch.arange(half, dtype=torch.float64, device=v.device) / half
        angle = v.double()[:, None] * torch.exp(-math.log(max_period) * exponent)
    return torch.cat([torch.cos(angle), torch.sin(angle)], dim=1).to(v.dtype)


class Embedding(nn.Module):
    """A scalar per lane to a vector: sinusoid, linear, SiLU, linear. All of it in f32."""

    def __init__(self, time: Time, width: int):
        super().__init__()
        self.time = time
        self.linear1 = nn.Linear(time.width, width)
        self.linear2 = nn.Linear(width, width)

    def forward(self, v: Tensor) -> Tensor:
        wave = sinusoid(v, self.time.width, self.time.max_period)
        return self.linear2(F.silu(self.linear1(wave)))


class TextPool(nn.Module):
    """One learned query attends over the tokens; the result becomes an embedding vector."""

    def __init__(self, text: Text, width: int):
        super().__init__()
        inner = text.inner
        self.heads = text.pool_heads
        self.query = nn.Parameter(torch.randn(inner) / math.sqrt(inner))
        self.kv = nn.Linear(inner, 2 * inner)
        self.norm = nn.LayerNorm(inner, eps=LAYER_NORM_EPS)
        self.linear1 = nn.Linear(inner, width)
        self.linear2 = nn.Linear(width, width)

    def forward(self, tokens: Tensor, valid: Tensor) -> Tensor:
        k, v = stored(self.kv(tokens)).chunk(2, dim=-1)
        query = self.query.expand(tokens.shape[0], 1, -1)
        pooled = attend(query, k, v, valid, self.heads)[:, 0]
        return self.linear2(F.silu(self.linear1(self.norm(pooled))))


@dataclass
class TextFeatures:
    """What a U-Net needs of a prompt, computed once per request and branch."""

    tokens: Tensor  # [N, T, P]
    valid: Tensor  # [N, T] bool
    pooled: Tensor  # [N, E]

    def pick(self, slot: Tensor) -> "TextFeatures":
        """The features of each lane, when lanes name their text by slot."""
        return TextFeatures(self.tokens[slot], self.valid[slot], self.pooled[slot])


class TextConditioning(nn.Module):
    def __init__(self, text: Text, width: int):
        super().__init__()
        if text.norm == "layer":
            self.norm = nn.LayerNorm(text.width, eps=LAYER_NORM_EPS)
        if text.project:
            self.project = nn.Linear(text.width, text.project)
        self.pool = TextPool(text, width)

    def forward(self, tokens: Tensor, length: Tensor) -> TextFeatures:
        """tokens [N, T, D] of the text encoder, length [N]."""
        valid = torch.arange(tokens.shape[1], device=tokens.device)[None, :] < length[:, None]
        if hasattr(self, "norm"):
            tokens = self.norm(tokens)
        tokens = stored(tokens)
        if hasattr(self, "project"):
            tokens = stored(self.project(tokens))
        return TextFeatures(tokens, valid, self.pool(tokens, valid))


class ResidualBlock(nn.Module):
    def __init__(self, config: UNetConfig, inputs: int, outputs: int, how: str = "same"):
        super().__init__()
        self.config = config
        self.how = how
        self.norm1 = nn.GroupNorm(config.norm_groups, inputs, eps=config.norm_eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.film = nn.Linear(config.embedding, 2 * outputs)
        self.norm2 = nn.GroupNorm(config.norm_groups, outputs, eps=config.norm_eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if config.shortcut == "conv" or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        act = self.config.activation
        h = resample(activation(act, self.norm1(x)), self.how)
        h = stored(self.conv1(stored(h)))
        scale, shift = self.film(F.silu(emb))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        h = self.conv2(stored(activation(act, h)))
        x = resample(x, self.how)
        if hasattr(self, "shortcut"):
            x = stored(self.shortcut(stored(x)))
        return stored((h + x) * self.config.residual_scale)


class Attention(nn.Module):
    """Pixels attend to [text ; pixels] (`self_text`) or to the text alone (`text`)."""

    def __init__(self, config: UNetConfig, channels: int, kind: str, heads: int, head_width: int):
        super().__init__()
        inner = heads * head_width
        self.config = config
        self.heads = heads
        self.norm = nn.GroupNorm(config.norm_groups, channels, eps=config.norm_eps)
        if kind == "self_text":
            self.qkv = nn.Linear(channels, 3 * inner)
        else:
            self.q = nn.Linear(channels, inner)
        if config.text.kv_norm == "layer":
            self.text_norm = nn.LayerNorm(config.text.inner, eps=LAYER_NORM_EPS)
        self.text_kv = nn.Linear(config.text.inner, 2 * inner)
        self.out = nn.Linear(inner, channels)

    def forward(self, x: Tensor, text: TextFeatures) -> Tensor:
        tokens = text.tokens
        if hasattr(self, "text_norm"):
            tokens = stored(self.text_norm(tokens))
        k, v = stored(self.text_kv(tokens)).chunk(2, dim=-1)
        valid = text.valid
        pixels = stored(self.norm(x)).flatten(2).transpose(1, 2)
        if hasattr(self, "qkv"):
            q, image_k, image_v = stored(self.qkv(pixels)).chunk(3, dim=-1)
            k, v = torch.cat([k, image_k], dim=1), torch.cat([v, image_v], dim=1)
            every_pixel = valid.new_ones(pixels.shape[:2])
            valid = torch.cat([valid, every_pixel], dim=1)
        else:
            q = stored(self.q(pixels))
        y = self.out(attend(q, k, v, valid, self.heads))
        return stored(
            (x + y.transpose(1, 2).unflatten(2, x.shape[2:])) * self.config.residual_scale
        )
