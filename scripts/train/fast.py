"""Faster parts of a U-Net for training on a CPU in bf16: the same mathematics, the same weights.

The reference's modules are written to be read. Here group norm, scale/shift and SiLU are one pass
each way over bf16 channels-last activations (norm.c, compiled at the first use), and every
activation stays channels-last. `install` turns a network's modules into these, which act under
autocast alone: elsewhere the reference's own way remains. test_train.py compares both.

SPDX-License-Identifier: Apache-2.0
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..reference.blocks import Attention, ResidualBlock, TextFeatures, attend, resample
from ..reference.unet import OutputHead, UNet

SOURCE = Path(__file__).with_name("norm.c")
COMPILE = ["-c", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC"]
CHANNELS_LAST = torch.channels_last


def has_bf16(cpu: str) -> bool:
    """Whether this text of /proc/cpuinfo names instructions for products of bf16."""
    words = set(cpu.split())
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


@lru_cache(maxsize=1)
def this_cpu_has_bf16() -> bool:
    """Without them products of bf16 take ten times as long as those of f32. True where unknown."""
    path = Path("/proc/cpuinfo")
    return not path.exists() or has_bf16(path.read_text())


class Shape(ctypes.Structure):
    """struct shape of norm.c."""

    _fields_ = [(n, ctypes.c_int) for n in "samples pixels channels groups silu threads".split()]


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """norm.c as a shared library; OSError says why it cannot be made."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise OSError("no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        code, shared = Path(folder) / "norm.o", Path(folder) / "norm.so"
        # Linked without -ffast-math, which would flush denormals in the whole process.
        for options in (
            [*COMPILE, "-o", str(code), str(SOURCE)],
            ["-shared", "-fopenmp", "-o", str(shared), str(code), "-lm"],
        ):
            done = subprocess.run([compiler, *options], capture_output=True, text=True)
            if done.returncode:
                raise OSError(f"{compiler}: {done.stderr.strip()}")
        return ctypes.CDLL(str(shared))


def pointer(x: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if x is None else x.data_ptr())


def laid_out(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).contiguous(memory_format=CHANNELS_LAST)


class NormAct(torch.autograd.Function):
    """silu(group_norm(x) * (1 + scale) + shift), or without the SiLU. x [N, C, H, W], bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: tuple[Any, ...], silu: bool, *vectors: Any) -> Tensor:
        groups, eps = norm
        x = laid_out(x)
        vectors = tuple(v if v is None else v.float().contiguous() for v in vectors)
        samples, channels, height, width = x.shape
        threads = torch.get_num_threads()
        ctx.shape = Shape(samples, height * width, channels, groups, silu, threads)
        y, mean = torch.empty_like(x), torch.empty(samples, groups)
        rstd = torch.empty_like(mean)
        library().norm_forward(
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
        given = laid_out(dy[0])
        tensors = (x, given, gamma, beta, scale, shift, mean, rstd, dx, s1, s2)
        if library().norm_backward(ctypes.byref(ctx.shape), *map(pointer, tensors)):
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
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(x, emb)
        h = self.conv1(resample(norm_act(self.norm1, x, True), self.how))
        scale, shift = self.film(F.silu(emb)).chunk(2, dim=1)
        h = self.conv2(norm_act(self.norm2, h, True, scale, shift))
        x = resample(x, self.how)
        if hasattr(self, "shortcut"):
            x = self.shortcut(x)
        scale = self.config.residual_scale
        return h + x if scale == 1 else (h + x) * scale


class FastAttention(Attention):
    def forward(self, x: Tensor, text: TextFeatures) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
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
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(h)
        return self.conv(norm_act(self.norm, h, True) if hasattr(self, "norm") else h)


FAST: dict[type[nn.Module], type[nn.Module]] = {
    ResidualBlock: FastResidualBlock,
    Attention: FastAttention,
    OutputHead: FastOutputHead,
}


def install(unet: UNet) -> UNet:
    """The network with these parts, channels-last; OSError where norm.c cannot be compiled."""
    if unet.config.activation != "silu":
        raise OSError(f"written for SiLU, not for {unet.config.activation}")
    library()
    for module in unet.modules():
        module.__class__ = FAST.get(type(module), type(module))
    return unet.to(memory_format=CHANNELS_LAST)
