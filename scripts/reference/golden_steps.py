"""Golden trajectories: ten steps of the network of unet-adm under three samplers; schedule tables.

SPDX-License-Identifier: Apache-2.0
"""

from collections.abc import Callable

import torch
from torch import Tensor

from . import golden_common as common
from . import guidance, philox, weights
from .blocks import TextFeatures
from .cascade import Lanes, Stage, conditioning_image
from .config import Guidance, Sampler, Schedule, StageConfig, Threshold, UNetConfig
from .monte_carlo import Outputs
from .schedule import alpha_sigma, log_snr, make_step
from .unet import UNet

STEPS = 10
SEED = 20240229
COSINE = Schedule("cosine", s=0.008)
LINEAR = Schedule("linear", beta_first=1e-4, beta_last=0.02, steps=1000)

CASES = {
    "ddpm": StageConfig(
        "ddpm", "", COSINE, "epsilon", Sampler("ddpm", 0.3), STEPS,
        Guidance("oscillate", high=30, low=1, hold=0.25), Threshold("dynamic", 0.995, 0),
    ),
    "ddim": StageConfig(
        "ddim", "", COSINE, "epsilon", Sampler("ddim"), STEPS,
        Guidance("constant", weight=5), Threshold("static"),
    ),
    "v": StageConfig(
        "v", "", LINEAR, "v", Sampler("ddim"), STEPS,
        Guidance("constant", weight=1), Threshold("none"),
    ),
}  # fmt: skip


def schedule_tables() -> dict[str, Tensor]:
    """Doubles rounded once: their spread is half a unit in the last place."""
    tables: dict[str, list[float]] = {}
    for kind, schedule in (("cosine", COSINE), ("linear", LINEAR)):
        t = [1 - i / STEPS for i in range(STEPS + 1)]
        lam = [log_snr(schedule, x) for x in t]
        tables |= {f"{kind}.t": t, f"{kind}.lambda": lam}
        tables[f"{kind}.alpha"] = [alpha_sigma(x)[0] for x in lam]
        tables[f"{kind}.sigma"] = [alpha_sigma(x)[1] for x in lam]
        for sampler in (Sampler("ddpm", 0.3), Sampler("ddim")):
            steps = [make_step(schedule, sampler, i, STEPS) for i in range(STEPS)]
            prefix = f"{kind}.{sampler.kind}"
            tables[f"{prefix}.keep"] = [step.keep for step in steps]
            tables[f"{prefix}.now"] = [step.now for step in steps]
            tables[f"{prefix}.noise"] = [step.noise for step in steps]
    result = {}
    for name, values in tables.items():
        table = torch.tensor(values, dtype=torch.float64)
        result[f"schedule.{name}"] = table
        result[f"schedule.{name}.spread_f32"] = table.abs().max().reshape(1) * 2.0**-24
    return result


def trajectory(stage: Stage, texts: TextFeatures, canvas: Tensor) -> Outputs:
    """Text slot 0 against the null text of slot 2, the canvas of lane 0."""
    lanes = Lanes(
        conditional=texts.pick(torch.tensor([0])),
        unconditional=texts.pick(torch.tensor([2])),
        conditioning=stage.unet.encode_canvas(canvas),
        low=None,
        lambda_aug=None,
        aug_t=None,
    )
    trace: list[Tensor] = []
    stage.run(lanes, [SEED], trace)
    initial = stage.noise([SEED], philox.INITIAL, stage.unet.config.resolution)
    return {f"z_{i}": common.channels_last(z)[0] for i, z in enumerate([initial, *trace])}


def runner(stage: Stage, io: dict[str, Tensor]) -> Callable[[], Outputs]:
    def run() -> Outputs:
        tokens, length = io["text.tokens"].double(), io["text.length"].long()
        texts = stage.unet.text(tokens, length)
        canvas = conditioning_image(
            io["canvas.rgb"][:1], io["canvas.mask"][:1, ..., 0], torch.float64
        )
        return trajectory(stage, texts, canvas)

    return run


def export(name: str, seed: int) -> None:
    folder = common.ROOT / "unet-adm"
    unet = UNet(UNetConfig.read(folder / "config.json")).double()
    weights.load_into(unet, folder)
    io = weights.read_file(folder / "io.safetensors")
    tensors = schedule_tables()
    for case, config in CASES.items():
        outputs = common.with_spreads(runner(Stage(config, unet, 0), io), seed)
        tensors |= {f"{case}.{key}": value for key, value in outputs.items()}
        values = guidance.weights(config.guidance, STEPS)
        tensors[f"{case}.guidance"] = torch.tensor(values, dtype=torch.float64)
    tensors["seed"] = torch.tensor([SEED])
    common.write_tensors(common.ROOT / "steps.safetensors", tensors)
