"""The encoder of T5 v1.1 (engine/MODEL.md section 5), with Hugging Face's tensor names.

SPDX-License-Identifier: Apache-2.0
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import T5Config
from .rounding import stored


def position_bucket(distance: Tensor, buckets: int, max_distance: int) -> Tensor:
    """Bucket of key position minus query position: half of the buckets for keys that come later.

    Within a half, the first half of the distances is exact and the rest logarithmic. The logarithm
    is taken in f32 like the original's, so that a distance on a border falls on the same side.
    """
    half = buckets // 2
    exact = half // 2
    later = (distance > 0).long() * half
    distance = distance.abs()
    ratio = torch.log(distance.float().clamp(min=1) / exact) / math.log(max_distance / exact)
    logarithmic = exact + (ratio * (half - exact)).long()
    logarithmic = logarithmic.clamp(max=half - 1)
    return later + torch.where(distance < exact, distance, logarithmic)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight: no mean is subtracted and nothing is added."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class SelfAttention(nn.Module):
    def __init__(self, config: T5Config, has_bias: bool):
        super().__init__()
        inner = config.num_heads * config.d_kv
        self.heads = config.num_heads
        self.q = nn.Linear(config.d_model, inner, bias=False)
        self.k = nn.Linear(config.d_model, inner, bias=False)
        self.v = nn.Linear(config.d_model, inner, bias=False)
        self.o = nn.Linear(inner, config.d_model, bias=False)
        if has_bias:  # layer 0 owns the table that every layer uses
            self.relative_attention_bias = nn.Embedding(
                config.relative_attention_num_buckets, config.num_heads
            )

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [N, T, C]; bias [N, h, T, T], -inf at padded keys. No 1/sqrt(d) scale: T5 has none."""
        q, k, v = (
            stored(part).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q(x), self.k(x), self.v(x))
        )
        weights = stored(torch.softmax(q @ k.transpose(-1, -2) + bias, dim=-1))
        return self.o(stored(weights @ v).transpose(1, 2).flatten(2))


class AttentionLayer(nn.Module):
    def __init__(self, config: T5Config, has_bias: bool):
        super().__init__()
        self.SelfAttention = SelfAttention(config, has_bias)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        return h + self.SelfAttention(stored(self.layer_norm(h)), bias)


class GatedGelu(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.wi_0 = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wi_1 = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wo = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = F.gelu(self.wi_0(x), approximate="tanh")
        return self.wo(stored(gate * self.wi_1(x)))


class FeedForwardLayer(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.DenseReluDense = GatedGelu(config)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.DenseReluDense(stored(self.layer_norm(h)))


class Block(nn.Module):
    def __init__(self, config: T5Config, has_bias: bool):
        super().__init__()
        self.layer = nn.ModuleList([AttentionLayer(config, has_bias), FeedForwardLayer(config)])

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        return self.layer[1](self.layer[0](h, bias))


class Stack(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.block = nn.ModuleList([Block(config, i == 0) for i in range(config.num_layers)])
        self.final_layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)


class T5Encoder(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Stack(config)

    def position_bias(self, length: int) -> Tensor:
        """[h, T, T]: the bias of query i towards key j is table[bucket(j - i)]."""
        position = torch.arange(length, device=self.shared.weight.device)
        bucket = position_bucket(
            position[None, :] - position[:, None],
            self.config.relative_attention_num_buckets,
            self.config.relative_attention_max_distance,
        )
        table = self.encoder.block[0].layer[0].SelfAttention.relative_attention_bias
        return table(bucket).permute(2, 0, 1)

    def forward(self, ids: Tensor, length: Tensor) -> Tensor:
        """ids [N, T] padded with 0, length [N] counting </s>; tokens [N, T, C], zero past it."""
        size = ids.shape[1]
        valid = torch.arange(size, device=ids.device)[None, :] < length[:, None]
        bias = self.position_bias(size)[None].masked_fill(~valid[:, None, None, :], -math.inf)
        h = self.shared(ids)
        for block in self.encoder.block:
            h = block(h, bias)
        return self.encoder.final_layer_norm(h) * valid[..., None]
