"""Faster parts of a U-Net for training on a CPU: the same mathematics, the same weights.

The reference's modules are written to be read. Here group norm, scale/shift and SiLU are one pass
each way over channels-last activations (norm.c, compiled at the first use), and every activation
stays channels-last: bf16 under autocast, f32 elsewhere. `install` turns a network's modules into
these, which act on a CPU alone. test_train.py compares both.

SPDX-License-Identifier: Apache-2.0
"""

import ctypes
import math
import os
import shutil
import subprocess
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..reference.blocks import Attention, ResidualBlock, TextFeatures, resample
from ..reference.unet import OutputHead, UNet

SOURCE = Path(__file__).with_name("norm.c")
COMPILE = ["-c", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC"]
ELEMENT: dict[torch.dtype, list[str]] = {torch.float32: [], torch.bfloat16: ["-DBF16"]}
CHANNELS_LAST = torch.channels_last


def product_seconds(dtype: torch.dtype) -> float:
    """The shortest of a few products of matrices, after one that prepares them."""
    a, taken = torch.ones(384, 384, dtype=dtype), []
    for _ in range(6):
        begin = time.perf_counter()
        a @ a
        taken.append(time.perf_counter() - begin)
    return min(taken[1:])


@lru_cache(maxsize=1)
def bf16_pays() -> bool:
    """Whether this CPU multiplies in bf16 faster than in f32, measured in a few milliseconds.

    Its instructions do not tell: without any for bf16 it takes ten times as long, and there are
    CPUs that have them (AVX-512 bf16 without AMX) and take twice as long.
    """
    return product_seconds(torch.bfloat16) < product_seconds(torch.float32)


class Shape(ctypes.Structure):
    """struct shape of norm.c."""

    _fields_ = [(n, ctypes.c_int) for n in "samples pixels channels groups silu threads".split()]


@lru_cache(maxsize=2)
def library(dtype: torch.dtype) -> ctypes.CDLL:
    """norm.c for f32 or bf16 as a shared library; OSError says why it cannot be made."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise OSError("no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        code, shared = Path(folder) / "norm.o", Path(folder) / "norm.so"
        # Linked without -ffast-math, which would flush denormals in the whole process.
        for options in (
            [*COMPILE, *ELEMENT[dtype], "-o", str(code), str(SOURCE)],
            ["-shared", "-fopenmp", "-o", str(shared), str(code), "-lm"],
        ):
            done = subprocess.run([compiler, *options], capture_output=True, text=True)
            if done.returncode:
                raise OSError(f"{compiler}: {done.stderr.strip()}")
        return ctypes.CDLL(str(shared))


def pointer(x: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if x is None else x.data_ptr())


def activations() -> torch.dtype:
    return torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32


def laid_out(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype).contiguous(memory_format=CHANNELS_LAST)


class NormAct(torch.autograd.Function):
    """silu(group_norm(x) * (1 + scale) + shift), or without the SiLU. x [N, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: tuple[Any, ...], silu: bool, *vectors: Any) -> Tensor:
        groups, eps = norm
        x = laid_out(x, activations())
        vectors = tuple(v if v is None else v.float().contiguous() for v in vectors)
        samples, channels, height, width = x.shape
        threads = torch.get_num_threads()
        ctx.shape = Shape(samples, height * width, channels, groups, silu, threads)
        y, mean = torch.empty_like(x), torch.empty(samples, groups)
        rstd = torch.empty_like(mean)
        library(x.dtype).norm_forward(
            ctypes.byref(ctx.shape),
            *map(pointer, (x, *vectors)),
            ctypes.c_float(eps),
            *map(pointer, (y, mean, rstd)),
        )
        ctx.save_for_backward(x, *vectors, mean, rstd)
        return y

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, beta, scale, shift, mean, rstd = ctx.saved_tensors
        dx, s1 = torch.empty_like(x), torch.empty(x.shape[:2])
        s2 = torch.empty_like(s1)
        given = laid_out(dy[0], x.dtype)
        tensors = (x, given, gamma, beta, scale, shift, mean, rstd, dx, s1, s2)
        if library(x.dtype).norm_backward(ctypes.byref(ctx.shape), *map(pointer, tensors)):
            raise MemoryError("norm.c: no memory for a sample's gradient")
        if scale is None:
            return dx, None, None, s2.sum(0), s1.sum(0), None, None
        kept = 1 + scale
        return dx, None, None, (kept * s2).sum(0), (kept * s1).sum(0), gamma * s2 + beta * s1, s1


def norm_act(
    norm: nn.GroupNorm,
    x: Tensor,
    silu: bool,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    kind = (norm.num_groups, norm.eps)
    return NormAct.apply(x, kind, silu, norm.weight, norm.bias, scale, shift)


class FastResidualBlock(ResidualBlock):
    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x, emb)
        h = self.conv1(resample(norm_act(self.norm1, x, True), self.how))
        scale, shift = self.film(F.silu(emb)).chunk(2, dim=1)
        h = self.conv2(norm_act(self.norm2, h, True, scale, shift))
        x = resample(x, self.how)
        if hasattr(self, "shortcut"):
            x = self.shortcut(x)
        scale = self.config.residual_scale
        return h + x if scale == 1 else (h + x) * scale


def attend(q: Tensor, k: Tensor, v: Tensor, valid: Tensor, heads: int) -> Tensor:
    """As the reference's, without the scores in memory; in f32, five times as fast as in bf16."""
    dtype = v.dtype
    q, k, v = (x.float().unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    absent = torch.zeros(valid.shape, dtype=q.dtype).masked_fill(~valid, -math.inf)
    absent = absent[:, None, None, :].expand(-1, heads, q.shape[2], -1)
    with torch.autocast("cpu", enabled=False):
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=absent)
    return y.transpose(1, 2).flatten(2).to(dtype)


class FastAttention(Attention):
    def forward(self, x: Tensor, text: TextFeatures) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x, text)
        tokens = self.text_norm(text.tokens) if hasattr(self, "text_norm") else text.tokens
        k, v = self.text_kv(tokens).chunk(2, dim=-1)
        valid = text.valid
        pixels = norm_act(self.norm, x, False).flatten(2).transpose(1, 2)
        if hasattr(self, "qkv"):
            q, image_k, image_v = self.qkv(pixels).chunk(3, dim=-1)
            k, v = torch.cat([k, image_k], dim=1), torch.cat([v, image_v], dim=1)
            valid = torch.cat([valid, valid.new_ones(pixels.shape[:2])], dim=1)
        else:
            q = self.q(pixels)
        y = self.out(attend(q, k, v, valid, self.heads))
        y = y.transpose(1, 2).unflatten(2, x.shape[2:])
        scale = self.config.residual_scale
        return x + y if scale == 1 else (x + y) * scale


class FastOutputHead(OutputHead):
    def forward(self, h: Tensor) -> Tensor:
        if h.device.type != "cpu":
            return super().forward(h)
        return self.conv(norm_act(self.norm, h, True) if hasattr(self, "norm") else h)


FAST: dict[type[nn.Module], type[nn.Module]] = {
    ResidualBlock: FastResidualBlock,
    Attention: FastAttention,
    OutputHead: FastOutputHead,
}


def install(unet: UNet, precision: str) -> UNet:
    """The network with these parts, channels-last; OSError where norm.c cannot be compiled.

    precision: "f32", or "bf16" for a network that is used under autocast.
    """
    if unet.config.activation != "silu":
        raise OSError(f"written for SiLU, not for {unet.config.activation}")
    library(torch.bfloat16 if precision == "bf16" else torch.float32)
    for module in unet.modules():
        module.__class__ = FAST.get(type(module), type(module))
    return unet.to(memory_format=CHANNELS_LAST)
