"""Golden data of the sampler's operations: noise, augmentation, quantile, one step.

SPDX-License-Identifier: Apache-2.0
"""

from typing import Any

import torch
from torch import Tensor

from . import philox, sampler
from .config import Threshold
from .golden_common import channels_last, normal
from .monte_carlo import Outputs
from .schedule import Step, augmentation

SEED = 0x1234_5678_9ABC_DEF0
STAGE = 2


def signed(word: int) -> int:
    """A 32-bit word as the I32 with the same bits."""
    return word - 2**32 if word >= 2**31 else word


def seed_attributes() -> dict[str, int]:
    return {
        "seed_low": signed(SEED & 0xFFFFFFFF),
        "seed_high": signed(SEED >> 32),
        "stage": STAGE,
    }


def last(x: Tensor) -> Tensor:
    return channels_last(x[None])[0]


def add_noise(out: Any) -> None:
    # 5 x 5 x 3 values: the last block of four is not full.
    for name, step in (("noise_initial", philox.INITIAL), ("noise_step", 7)):
        out.add(name, {}, lambda: {"y": last(philox.normal(SEED, STAGE, step, 5, 5, 3))}, ("f32",),
                step=signed(step), **seed_attributes())  # fmt: skip
    words = philox.words(SEED, STAGE, 7, 8).astype("int64")
    out.tensors["philox.words"] = torch.from_numpy(words.astype("uint32").view("int32").copy())
    for key, value in seed_attributes().items():
        out.tensors[f"philox.attr.{key}"] = torch.tensor([value], dtype=torch.int32)
    out.tensors["philox.attr.step"] = torch.tensor([7], dtype=torch.int32)


def add_augment(out: Any, g: torch.Generator) -> None:
    image = normal((3, 4, 4), g, 0.8)  # some of it is past [-1, 1]
    for name, size, level in (("augment", 12, 0.3), ("augment_none", 16, 0.0)):
        alpha, sigma, _ = augmentation(level)
        out.add(name, {"x": last(image)},
                lambda: {"y": last(sampler.augment(image, size, level, SEED, STAGE))}, ("f32",),
                alpha=float(alpha), sigma=float(sigma), size=size,
                step=signed(philox.AUGMENTATION), **seed_attributes())  # fmt: skip


def add_quantile(out: Any, g: torch.Generator) -> None:
    x = normal((6, 5, 3), g, 1.5)
    out.add("quantile", {"x": x}, lambda: {"y": sampler.quantile(x.abs(), 0.93).reshape(1)},
            ("f32",), percentile=0.93)  # fmt: skip


def f32(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float32))


STEP = Step(
    t=0.5, lam=0.0, alpha=f32(0.6), sigma=f32(0.8), keep=f32(0.3), now=f32(0.55), noise=f32(0.2)
)
QUIET = Step(
    t=0.5, lam=0.0, alpha=f32(0.6), sigma=f32(0.8), keep=f32(0.7), now=f32(0.45), noise=0.0
)

# name: prediction, guidance, threshold, step
CASES = {
    "sample_ddpm_epsilon": ("epsilon", 7.5, Threshold("dynamic", f32(0.9), 0.0), STEP),
    "sample_ddim_epsilon": ("epsilon", 1.0, Threshold("static"), QUIET),
    "sample_ddpm_v": ("v", 1.0, Threshold("dynamic", f32(0.99), f32(1.25)), STEP),
    "sample_ddim_v": ("v", 3.0, Threshold("none"), QUIET),
    "sample_within": ("v", 1.0, Threshold("dynamic", f32(0.5), 0.0), QUIET),
}


def add_samples(out: Any, g: torch.Generator) -> None:
    """Slot 1 of z [2, 5, 5, 3]; rows 0 (conditional) and 1 of the 6-channel prediction."""
    for name, (kind, weight, threshold, step) in CASES.items():
        slots, prediction = normal((2, 3, 5, 5), g), normal((2, 6, 5, 5), g)
        noise = philox.normal(SEED, STAGE, 3, 5, 5, 3)

        def run() -> Outputs:
            y = sampler.update(
                slots[1], prediction[0], prediction[1] if weight != 1 else None, weight, kind,
                threshold, step, noise if step.noise else None,
            )  # fmt: skip
            return {"y": last(y)}

        inputs = {"z": channels_last(slots), "pred": channels_last(prediction)}
        out.add(
            name, inputs, run, ("f32",), guidance=weight, alpha=step.alpha, sigma=step.sigma,
            keep=step.keep, now=step.now, noise=float(step.noise), percentile=threshold.percentile,
            cap=threshold.cap, prediction=["epsilon", "v"].index(kind),
            threshold=["none", "static", "dynamic"].index(threshold.kind), slot=1, lane_cond=0,
            lane_uncond=1 if weight != 1 else -1, step=3, **seed_attributes(),
        )  # fmt: skip


def add_all(out: Any, g: torch.Generator) -> None:
    add_noise(out)
    add_augment(out, g)
    add_quantile(out, g)
    add_samples(out, g)
