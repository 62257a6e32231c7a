"""How far do rounding errors move a result? Monte-Carlo arithmetic over the reference.

The reference runs in double. Here the same code runs again with the output of every operation
displaced by an independent random amount, of the size by which honest f32 arithmetic may displace
it; and, for bf16, with every stored activation displaced by up to half a unit in the last place of
bf16. The largest displacement of a result over several runs is its *spread*: the error scale that
the network itself gives to rounding, from which the tests derive their bounds.

Sizes of the displacements (u = 2^-24, half a unit in the last place of f32 at 1):
  elementwise     uniform within half a unit in the last place, times the roundings inside
  sums, products  uniform within u sqrt(K) |terms|_2 for K terms: the size of a random walk of the
                  roundings of the K partial sums, whatever cancels in the result itself
  norms           mean and variance as sums, then x a + b with a = gamma / std, b = beta - mean a:
                  the two products are rounded before they may cancel
  softmax         exp of a rounded argument, divided by a rounded sum

SPDX-License-Identifier: Apache-2.0
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .rounding import in_double, is_in_double, on_store

U = 2.0**-24
BITS = {"f32": 24, "bf16": 8}

# Operations that move, choose or compare values: nothing is rounded.
EXACT = set(
    """_local_scalar_dense _to_copy _unsafe_view abs arange bitwise_not cat clamp clone detach
    embedding eq expand floor full gt index lift_fresh lt masked_fill maximum minimum nan_to_num neg
    new_ones new_zeros ones permute select slice sort split stack t transpose unbind unsqueeze
    upsample_nearest2d view where zeros""".split()
)
# Elementwise operations and the roundings in one of them.
ROUNDINGS = {
    "add": 1, "sub": 1, "rsub": 1, "mul": 1, "div": 1, "sqrt": 1, "pow": 1, "reciprocal": 1,
    "rsqrt": 2, "exp": 2, "log": 2, "cos": 2, "sin": 2, "tanh": 2, "silu": 4,
}  # fmt: skip


class Rounding(TorchDispatchMode):
    """While active, every operation on double tensors is displaced as if computed in f32."""

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if is_in_double():
            return out
        name = func.overloadpacket.__name__
        first = out[0] if isinstance(out, (tuple, list)) and out else out
        if name in EXACT or not isinstance(first, Tensor) or first.dtype != torch.float64:
            return out
        if name in ROUNDINGS:
            return out + ROUNDINGS[name] * self.within_half_unit(out, "f32")
        if name not in DISPLACEMENTS:
            raise NotImplementedError(f"how is the result of {name} rounded?")
        scale = DISPLACEMENTS[name](out, *args, **kwargs)
        if isinstance(out, tuple):
            return (first + self.uniform(first) * scale, *out[1:])
        return out + self.uniform(out) * scale

    def uniform(self, like: Tensor) -> Tensor:
        return 2 * torch.rand(like.shape, generator=self.generator, dtype=like.dtype) - 1

    def within_half_unit(self, x: Tensor, kind: str) -> Tensor:
        """Uniform within half a unit in the last place of x; zero stays zero."""
        _, exponent = torch.frexp(x)
        half_unit = torch.ldexp(torch.ones_like(x), exponent - BITS[kind] - 1)
        return self.uniform(x) * half_unit * (x != 0)

    def store(self, x: Tensor) -> Tensor:
        """For rounding.on_store: displace as a rounding to bf16 would."""
        with in_double():
            return x + self.within_half_unit(x, "bf16")


# ---- how far f32 may displace an operation's result ---------------------------------------------


def product(terms: int, sum_of_squares: Tensor) -> Tensor:
    return U * math.sqrt(terms) * sum_of_squares.sqrt()


def convolution(out: Tensor, x: Tensor, w: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
    squares = torch.ops.aten.convolution(x**2, w**2, None if bias is None else bias**2, *rest)
    return product(w[0].numel() + 1, squares)


def matrix(out: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return product(a.shape[-1], a**2 @ b**2)


def matrix_plus(out: Tensor, bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return product(a.shape[-1] + 1, bias**2 + a**2 @ b**2)


def mean(out: Tensor, x: Tensor, dim: list[int], keepdim: bool = False) -> Tensor:
    terms = x.numel() // out.numel()
    return product(terms, (x**2).sum(dim, keepdim=keepdim)) / terms


def softmax(out: Tensor, x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    distance = (x.amax(dim, keepdim=True) - x).masked_fill(out == 0, 0)
    return U * (distance + 4 + math.sqrt(x.shape[dim])) * out


def gelu(out: Tensor, x: Tensor, approximate: str = "none") -> Tensor:
    return 3 * U * x.abs()  # 1 + erf cancels for negative x


def pool(out: Tensor, x: Tensor, size: list[int], *rest: Any) -> Tensor:
    return 3 * U * torch.nn.functional.avg_pool2d(x.abs(), size)


def bilinear(out: Tensor, x: Tensor, size: list[int] | None, *rest: Any) -> Tensor:
    # Weights of two interpolations, and the two sums.
    return 4 * U * torch.ops.aten.upsample_bilinear2d(x.abs(), size, *rest)


def norm_scale(x: Tensor, weight: Tensor, mean_: Tensor, rstd: Tensor) -> Tensor:
    """The two products of x a + b, their roundings, and the statistics' own errors."""
    return 4 * U * (x.abs() + mean_.abs() + 1 / rstd) * rstd * weight.abs()


def group_norm(
    out: tuple[Tensor, ...], x: Tensor, weight: Tensor, bias: Tensor, n: int, c: int, hw: int,
    groups: int, eps: float,
) -> Tensor:  # fmt: skip
    def per_channel(statistic: Tensor) -> Tensor:
        return statistic.reshape(n, groups).repeat_interleave(c // groups, dim=1)[..., None, None]

    mean_, rstd = per_channel(out[1]), per_channel(out[2])
    return norm_scale(x, weight[:, None, None], mean_, rstd) + U * bias.abs()[:, None, None]


def layer_norm(
    out: tuple[Tensor, ...], x: Tensor, shape: list[int], weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    return norm_scale(x, weight, out[1], out[2]) + U * bias.abs()


DISPLACEMENTS: dict[str, Callable[..., Tensor]] = {
    "convolution": convolution,
    "mm": matrix,
    "bmm": matrix,
    "addmm": matrix_plus,
    "mean": mean,
    "_softmax": softmax,
    "gelu": gelu,
    "avg_pool2d": pool,
    "upsample_bilinear2d": bilinear,
    "native_group_norm": group_norm,
    "native_layer_norm": layer_norm,
}


# ---- spreads ------------------------------------------------------------------------------------

Outputs = dict[str, Tensor]


def spreads(
    run: Callable[[], Outputs], seed: int, kind: str, runs: int = 8
) -> tuple[Outputs, Outputs]:
    """(largest, root mean square) displacement of every output over `runs` displaced runs."""
    exact = run()
    largest = {name: torch.zeros(1, dtype=torch.float64) for name in exact}
    squares = {name: torch.zeros(1, dtype=torch.float64) for name in exact}
    for index in range(runs):
        generator = torch.Generator().manual_seed(seed * 1000 + index)
        displaced = displaced_run(run, generator, kind)
        for name, value in exact.items():
            distance = (displaced[name] - value).abs()
            largest[name] = torch.maximum(largest[name], distance.max())
            squares[name] += distance.pow(2).mean() / runs
    return largest, {name: value.sqrt() for name, value in squares.items()}


def displaced_run(run: Callable[[], Outputs], generator: torch.Generator, kind: str) -> Outputs:
    rounding = Rounding(generator)
    if kind == "f32":
        with rounding:
            return run()
    with on_store(rounding.store), rounding:
        return run()
