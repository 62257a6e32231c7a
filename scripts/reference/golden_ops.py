"""Golden data of single operations: kernels/ops.h computed by PyTorch.

Tensors are named "<case>.<role>" with the roles of ops.h, attributes "<case>.attr.<name>". Images
are channels last in the file; the functions here work on channels first.

SPDX-License-Identifier: Apache-2.0
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from . import golden_common as common
from . import golden_ops_sampler
from .blocks import resample, sinusoid
from .cascade import conditioning_image
from .golden_common import as_bf16, channels_last, normal
from .monte_carlo import Outputs
from .rounding import stored
from .t5 import RMSNorm

ACTIVATIONS: list[Callable[[Tensor], Tensor]] = [lambda x: x, F.silu, F.gelu]  # as ie_act
RESAMPLES = ["same", "up", "down"]  # as ie_resample


@dataclass
class ConvCase:
    channels: tuple[int, ...] = (6,)
    outputs: int = 8
    size: int = 6
    kernel: int = 3
    stride: int = 1
    pad: int = 1
    groups: int = 0
    eps: float = 1e-3
    act: int = 0
    resample: int = 0
    film: bool = False
    residual: bool = False
    residual_resample: int = 0
    scale: float = 1.0


CONV_CASES = {
    "conv_k3": ConvCase(),
    # Groups of 4 over 6 + 10 channels: the second group straddles the sources.
    "conv_block": ConvCase((6, 10), groups=4, act=1, film=True, residual=True, scale=0.70710678),
    "conv_up2": ConvCase((8,), groups=2, act=1, resample=1, residual=True, residual_resample=1),
    "conv_down2": ConvCase((8,), groups=4, act=1, resample=2, residual=True, residual_resample=2),
    "conv_stride2": ConvCase(stride=2, size=8),
    "conv_k1": ConvCase((5, 7), kernel=1, pad=0),
    "conv_gelu": ConvCase(groups=3, act=2),
    "conv_silu_only": ConvCase(kernel=4, stride=4, pad=0, size=8, act=1),
}


def moments(x: Tensor) -> Tensor:
    """[N, C, 2]: mean and biased variance over the pixels."""
    mean = x.mean((2, 3), keepdim=True)
    return torch.stack([mean[:, :, 0, 0], (x - mean).pow(2).mean((2, 3))], dim=2)


@dataclass
class Exporter:
    seed: int
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def add(
        self,
        case: str,
        inputs: dict[str, Tensor],
        run: Callable[[], Outputs],
        kinds: tuple[str, ...] = ("f32", "bf16"),
        **attributes: float | int,
    ) -> None:
        outputs = common.with_spreads(run, self.seed, kinds)
        for role, value in (inputs | outputs).items():
            self.tensors[f"{case}.{role}"] = value
        for name, value in attributes.items():
            self.tensors[f"{case}.attr.{name}"] = common.scalar(value)


def add_conv(out: Exporter, name: str, case: ConvCase, g: torch.Generator) -> None:
    lanes, total, size = 2, sum(case.channels), case.size
    sources = [as_bf16(normal((lanes, c, size, size), g) + 0.5) for c in case.channels]
    weight = as_bf16(normal((case.outputs, total, case.kernel, case.kernel), g, 0.3))
    bias = as_bf16(normal((case.outputs,), g))
    gamma, beta = as_bf16(1 + normal((total,), g, 0.3)), as_bf16(normal((total,), g, 0.3))
    film = normal((lanes, 2 * total), g, 0.5)
    inputs = {f"x{i}": channels_last(x) for i, x in enumerate(sources)}
    inputs |= {"weight": weight, "bias": bias}
    if case.groups:
        inputs |= {"gamma": gamma, "beta": beta}
        inputs |= {f"moments{i}": moments(x) for i, x in enumerate(sources)}
    if case.film:
        inputs["film"] = film
    residual = None
    if case.residual:
        residual = as_bf16(normal((lanes, case.outputs, size, size), g))
        inputs["residual"] = channels_last(residual)

    def run() -> Outputs:
        h = torch.cat(sources, dim=1)
        if case.groups:
            h = F.group_norm(h, case.groups, gamma, beta, case.eps)
        if case.film:
            scale, shift = film[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        h = stored(resample(ACTIVATIONS[case.act](h), RESAMPLES[case.resample]))
        y = F.conv2d(h, weight, bias, stride=case.stride, padding=case.pad)
        if residual is not None:
            y = y + resample(residual, RESAMPLES[case.residual_resample])
        y = case.scale * y
        return {"y": channels_last(stored(y)), "y_moments": moments(y)}

    out.add(
        name, inputs, run, kernel=case.kernel, stride=case.stride, pad=case.pad,
        groups=case.groups, eps=case.eps, act=case.act, resample=case.resample,
        residual_resample=case.residual_resample, scale=case.scale,
    )  # fmt: skip


def add_linear(out: Exporter, g: torch.Generator) -> None:
    for name, rows, act in (("linear_silu", 1, 1), ("linear_tokens", 5, 0)):
        x = as_bf16(normal((3, rows, 10), g))
        weight, bias = as_bf16(normal((7, 10), g, 0.3)), as_bf16(normal((7,), g))
        residual = as_bf16(normal((3, rows, 7), g))

        def run() -> Outputs:
            return {"y": stored(F.linear(stored(ACTIVATIONS[act](x)), weight, bias) + residual)}

        inputs = {"x": x, "weight": weight, "bias": bias, "residual": residual}
        # The embeddings (one row per lane) are f32 in every engine.
        out.add(name, inputs, run, ("f32",) if rows == 1 else ("f32", "bf16"), act=act, gated=0)

    x = as_bf16(normal((3, 5, 10), g))
    weight, bias = as_bf16(normal((14, 10), g, 0.6)), as_bf16(normal((14,), g))

    def run_gated() -> Outputs:
        gates, values = F.linear(x, weight, bias).chunk(2, dim=-1)
        return {"y": stored(F.gelu(gates, approximate="tanh") * values)}

    inputs = {"x": x, "weight": weight, "bias": bias}
    out.add("linear_gated", inputs, run_gated, act=0, gated=1)


def add_norms(out: Exporter, g: torch.Generator) -> None:
    x = as_bf16(normal((3, 4, 12), g, 0.05) + 0.02)
    w, b = as_bf16(1 + normal((12,), g, 0.3)), as_bf16(normal((12,), g, 0.3))
    length = torch.tensor([4, 1, 3])
    valid = (torch.arange(4) < length[:, None])[..., None]

    def layer_norm() -> Outputs:
        return {"y": stored(F.layer_norm(x, (12,), w, b, 1e-3) * valid)}

    def rms_norm() -> Outputs:
        norm = RMSNorm(12, 1e-3).double()
        norm.weight.data = w
        return {"y": stored(norm(x) * valid)}

    out.add("layer_norm", {"x": x, "w": w, "b": b, "length": length}, layer_norm, eps=1e-3)
    out.add("rms_norm", {"x": x, "w": w, "length": length}, rms_norm, eps=1e-3)
    maps = as_bf16(normal((2, 6, 5, 7), g) + 100 * torch.arange(6)[:, None, None])
    out.add("moments", {"x": channels_last(maps)}, lambda: {"m": moments(maps)}, ("f32",))


def attention(
    q: Tensor, keys: list[tuple[Tensor, Tensor, Tensor]], bias: Tensor | None, scale: float
) -> Tensor:
    """q [N, T, h, d]; keys: (k, v, valid) of each segment per lane; bias [h, T, L] of the last."""
    scores = []
    for i, (k, _, valid) in enumerate(keys):
        s = torch.einsum("nthd,nlhd->nhtl", q, k) * scale
        if bias is not None and i + 1 == len(keys):
            s = s + bias
        scores.append(s.masked_fill(~valid[:, None, None, :], -torch.inf))
    weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1).nan_to_num(0.0)
    values = torch.cat([v for _, v, _ in keys], dim=1)
    return torch.einsum("nhtl,nlhd->nthd", stored(weights), values)


def add_attention(out: Exporter, g: torch.Generator) -> None:
    lanes, queries, heads, width = 3, 6, 2, 5
    q = as_bf16(normal((lanes, queries, heads, width), g))
    text_k, text_v = (as_bf16(normal((4, 5, heads, width), g)) for _ in range(2))
    image_k, image_v = (as_bf16(normal((lanes, queries, heads, width), g)) for _ in range(2))
    index, length = torch.tensor([2, 0, 3]), torch.tensor([5, 1, 3, 0])
    bias = normal((heads, queries, queries), g)
    text_valid = (torch.arange(5) < length[:, None])[index]
    text = (text_k[index], text_v[index], text_valid)
    image = (image_k, image_v, torch.ones(lanes, queries, dtype=torch.bool))
    named = {"q": q, "k0": text_k, "v0": text_v, "index0": index, "length0": length}
    both = named | {"k1": image_k, "v1": image_v, "bias": bias}
    out.add(
        "attention_two",
        both,
        lambda: {"y": stored(attention(q, [text, image], bias, 0.4))},
        scale=0.4,
    )
    # The last lane's text has no key at all: zeros.
    out.add(
        "attention_text", named, lambda: {"y": stored(attention(q, [text], None, 0.6))}, scale=0.6
    )


def add_small(out: Exporter, g: torch.Generator) -> None:
    v = common.as_f32(torch.tensor([0.0, 0.75, 333.3, 1000.0]))
    out.add(
        "sinusoid", {"v": v}, lambda: {"y": sinusoid(v, 16, 10000.0)}, ("f32",), max_period=10000.0
    )
    rgb = torch.randint(0, 256, (2, 6, 6, 3), generator=g).byte()
    mask = torch.randint(0, 2, (2, 6, 6, 1), generator=g).byte()
    out.add(
        "mask_image",
        {"rgb": rgb, "mask": mask},
        lambda: {"y": channels_last(stored(conditioning_image(rgb, mask[..., 0], torch.float64)))},
    )


def export(name: str, seed: int) -> None:
    g = common.generator(seed, name)
    out = Exporter(seed)
    for case_name, case in CONV_CASES.items():
        add_conv(out, case_name, case, g)
    add_linear(out, g)
    add_norms(out, g)
    add_attention(out, g)
    add_small(out, g)
    golden_ops_sampler.add_all(out, g)
    common.write_tensors(common.ROOT / "ops.safetensors", out.tensors)
