"""Golden U-Nets: configuration, random weights, inputs of three lanes, prediction and taps.

SPDX-License-Identifier: Apache-2.0
"""

from typing import Any

import torch
from torch import Tensor, nn

from . import golden_common as common
from . import weights
from .blocks import Attention, ResidualBlock
from .cascade import conditioning_image
from .config import UNetConfig
from .monte_carlo import Outputs
from .rounding import stored
from .schedule import time_input
from .unet import OutputHead, UNet

LANES = 3
TOKENS = 7
TEXT_LENGTHS = [TOKENS, 4, 1]  # two prompts and the null text
TEXT_SLOTS = [1, 2, 0]
SQRT_HALF = 0.70710678


def level(channels: int, stride: int, blocks: int, attention: str = "none", heads: int = 0,
          head_width: int = 0) -> dict[str, Any]:  # fmt: skip
    return locals()


def time(kind: str = "log_snr", clamp: float = 20, scale: float = 25) -> dict[str, Any]:
    return {"input": kind, "clamp": clamp, "scale": scale, "width": 16, "max_period": 10000}


def conditioning(canvas: int, kernel: int, strides: list[int], widths: list[int]) -> dict[str, Any]:
    return {"resolution": canvas, "kernel": kernel, "strides": strides, "widths": widths}


def text(width: int, heads: int, norm: str = "layer", project: int = 0,
         kv_norm: str = "none") -> dict[str, Any]:  # fmt: skip
    return {"width": width, "norm": norm, "project": project, "kv_norm": kv_norm,
            "pool_heads": heads}  # fmt: skip


def configuration(**changes: Any) -> dict[str, Any]:
    """A small base-like network; each case changes what it is about.

    norm_eps is far above the usual 1e-5, so that a wrong one shows.
    """
    config = {
        "format": "imagen-editor-unet",
        "version": 1,
        "layout": "adm",
        "resolution": 16,
        "image_channels": 3,
        "output_channels": 3,
        "low_resolution": 0,
        "conditioning": conditioning(64, 3, [2, 2], [4, 8]),
        "width": 8,
        "embedding": 24,
        "time": time(),
        "text": text(12, 3),
        "norm_groups": 4,
        "norm_eps": 1e-3,
        "activation": "silu",
        "residual_scale": 1,
        "shortcut": "auto",
        "skip_join": "concat",
        "skip_scale": 1,
        "levels": [],
        "middle": {"blocks": 0, "attention": "none", "heads": 0, "head_width": 0},
        "head": {"norm": True, "kernel": 3},
    }
    assert set(changes) <= set(config)
    return config | changes


ADM = configuration(
    levels=[
        level(8, 1, 1),
        level(12, 2, 2, "self_text", 3, 4),
        level(16, 2, 1, "self_text", 2, 8),
    ],
    middle={"blocks": 2, "attention": "self_text", "heads": 4, "head_width": 4},
)

EFFICIENT_SELF = configuration(
    layout="efficient",
    low_resolution=8,
    conditioning=conditioning(32, 3, [2], [5]),
    norm_eps=1e-2,
    residual_scale=SQRT_HALF,
    shortcut="conv",
    skip_join="add",
    skip_scale=SQRT_HALF,
    levels=[
        level(8, 1, 1),
        level(12, 2, 2),
        level(16, 2, 2, "self_text", 2, 16),
    ],
)

EFFICIENT_TEXT = configuration(
    layout="efficient",
    low_resolution=4,
    conditioning=conditioning(16, 3, [], []),
    residual_scale=SQRT_HALF,
    shortcut="conv",
    skip_join="add",
    skip_scale=0.5,
    levels=[level(8, 2, 1), level(16, 2, 2, "text", 2, 16)],
    head={"norm": False, "kernel": 1},
)

ADM_OPTIONS = configuration(
    resolution=8,
    output_channels=6,
    low_resolution=4,
    conditioning=conditioning(16, 3, [2], [4]),
    time=time("time", scale=1000),
    text=text(10, 2, norm="none", project=6, kv_norm="layer"),
    norm_groups=2,
    activation="gelu",
    residual_scale=0.9,
    shortcut="conv",
    skip_scale=0.8,
    levels=[level(8, 1, 1, "text", 2, 3), level(10, 2, 1, "self_text", 2, 5)],
    middle={"blocks": 1, "attention": "none", "heads": 0, "head_width": 0},
)

EFFICIENT_CONCAT = configuration(
    layout="efficient",
    resolution=8,
    conditioning=conditioning(32, 4, [4], [6]),
    time=time(clamp=5, scale=40),
    skip_join="concat",
    skip_scale=SQRT_HALF,
    levels=[level(12, 1, 2), level(16, 2, 1, "text", 2, 8)],
    middle={"blocks": 3, "attention": "self_text", "heads": 2, "head_width": 8},
)

# name: configuration, how its weights are stored
CASES: dict[str, tuple[dict[str, Any], torch.dtype]] = {
    "unet-adm": (ADM, torch.float32),
    "unet-efficient-self": (EFFICIENT_SELF, torch.bfloat16),
    "unet-efficient-text": (EFFICIENT_TEXT, torch.float16),
    "unet-adm-options": (ADM_OPTIONS, torch.bfloat16),
    "unet-efficient-concat": (EFFICIENT_CONCAT, torch.bfloat16),
}


def random_unet(config: UNetConfig, g: torch.Generator) -> UNet:
    """Residual branches are damped, so that blocks do not magnify rounding errors."""
    unet = UNet(config, zero_init=False).double()
    common.randomise(unet, g)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if name.endswith(("conv2.weight", ".out.weight")):
                parameter.copy_(common.as_bf16(0.5 * parameter))
            elif name == "text.pool.kv.weight":  # small values, so that the next norm's eps shows
                parameter.copy_(common.as_bf16(0.1 * parameter))
    return unet


def random_inputs(config: UNetConfig, g: torch.Generator) -> dict[str, Tensor]:
    """Channels last, as the files have them."""
    size, canvas = config.resolution, config.conditioning.resolution
    tokens = common.as_bf16(common.normal((len(TEXT_LENGTHS), TOKENS, config.text.width), g, 0.02))
    for slot, length in enumerate(TEXT_LENGTHS):
        tokens[slot, length:] = 0
    tokens[-1] = 0  # the null text: one token that is zero
    inputs = {
        "z": common.normal((LANES, size, size, config.image_channels), g),
        "canvas.rgb": torch.randint(0, 256, (LANES, canvas, canvas, 3), generator=g).byte(),
        "canvas.mask": random_masks(canvas, g),
        "text.tokens": tokens,
        "text.length": torch.tensor(TEXT_LENGTHS),
        "text_slot": torch.tensor(TEXT_SLOTS),
    }
    by_time = config.time.input == "time"
    values = [0.9, 0.05, 0.5] if by_time else [-8.25, 0.35, 6.5]
    inputs["t" if by_time else "lambda"] = common.as_f32(torch.tensor(values))
    if config.low_resolution:
        inputs["low"] = common.normal((LANES, size, size, config.image_channels), g, 0.7)
        values = [0.2, 0.0, 0.7] if by_time else [2.375, 20.0, -1.125]
        inputs["t_aug" if by_time else "lambda_aug"] = common.as_f32(torch.tensor(values))
    return inputs


def random_masks(canvas: int, g: torch.Generator) -> Tensor:
    """A rectangle per lane; the last lane's mask also has single pixels."""
    mask = torch.zeros(LANES, canvas, canvas, 1, dtype=torch.uint8)
    for lane in range(LANES):
        top, left = torch.randint(0, canvas // 2, (2,), generator=g).tolist()
        mask[lane, top : top + canvas // 2, left : left + canvas // 3] = 1
    mask[-1] |= (torch.rand(canvas, canvas, 1, generator=g) < 0.05).byte()
    return mask


def time_inputs(config: UNetConfig, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """v and v_aug of every lane, rounded to f32 once."""
    result = {}
    for suffix in ("", "_aug"):
        for name in ("lambda", "t"):
            if name + suffix in inputs:
                values = inputs[name + suffix].tolist()
                v = [time_input(config.time, value, value) for value in values]
                result["v" + suffix] = torch.tensor(v, dtype=torch.float32).double()
    return result


def add_taps(unet: UNet, taps: Outputs) -> list[Any]:
    """Record what every part of the network gives, by module path; returns the hooks."""

    def record(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            # A bare convolution's result is stored by its caller.
            taps["tap." + name] = stored(output) if isinstance(module, nn.Conv2d) else output

        return hook

    def is_tapped(name: str, module: nn.Module) -> bool:
        if isinstance(module, (ResidualBlock, Attention, OutputHead)):
            return True
        return isinstance(module, nn.Conv2d) and (name == "stem" or name.endswith(".resample"))

    return [
        module.register_forward_hook(record(name))
        for name, module in unet.named_modules()
        if is_tapped(name, module)
    ]


def evaluate(unet: UNet, inputs: dict[str, Tensor], vs: dict[str, Tensor]) -> Outputs:
    """One forward pass of all lanes, with everything a test may compare. Channels last."""
    taps: Outputs = {}
    hooks = add_taps(unet, taps)
    mask = inputs["canvas.mask"][..., 0]
    canvas = conditioning_image(inputs["canvas.rgb"], mask, inputs["z"].dtype)
    encoded = unet.encode_canvas(canvas)
    features = unet.text(inputs["text.tokens"], inputs["text.length"])
    lanes = features.pick(inputs["text_slot"])
    low = inputs["low"].permute(0, 3, 1, 2) if "low" in inputs else None
    z = inputs["z"].permute(0, 3, 1, 2)
    prediction = unet(z, vs["v"], lanes, encoded, low, vs.get("v_aug"))
    for hook in hooks:
        hook.remove()
    outputs = {
        "prediction": prediction,
        "conditioning": encoded,
        "pooled": features.pooled,
        "embedding": unet.embed(vs["v"], vs.get("v_aug"), lanes),
        **taps,
    }
    return {name: common.channels_last(value) for name, value in outputs.items()}


def export(name: str, seed: int) -> None:
    data, dtype = CASES[name]
    g = common.generator(seed, name)
    config = UNetConfig.parse(
        {k: v for k, v in data.items() if k not in ("format", "version")}, name
    )
    unet = random_unet(config, g)
    inputs = random_inputs(config, g)
    vs = time_inputs(config, inputs)
    outputs = common.with_spreads(lambda: evaluate(unet, inputs, vs), seed)
    folder = common.ROOT / name
    common.write_json(folder / "config.json", data)
    weights.write(folder, {key: value.to(dtype) for key, value in unet.state_dict().items()})
    common.write_tensors(folder / "io.safetensors", inputs | vs | outputs)
