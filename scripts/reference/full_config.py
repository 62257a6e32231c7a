"""Write examples/imagen-full: the full-size Imagen Editor as a model directory without weights, and
count its parameters beside the published sizes.

    python3 -m scripts.reference.full_config

Published (Imagen, appendix F): widths, blocks, attention resolutions, heads, kernels. Choices, as
the sources are silent or disagree: the widths of the conditioning encoders; one stride-less level
of one block before the listed four in both super-resolution nets; attention of inner width 2 c;
addition of the skips; 1/sqrt(2) on every residual sum; no projection of the text; steps and
guidance of the super-resolution stages.

SPDX-License-Identifier: Apache-2.0
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from .config import CascadeConfig, T5Config, UNetConfig
from .golden_common import write_json
from .t5 import T5Encoder
from .unet import UNet

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "imagen-full"
CANVAS = 1024
COSINE = {"kind": "cosine", "s": 0.008}
DYNAMIC = {"kind": "dynamic", "percentile": 0.995, "cap": 0}
ANCESTRAL = {"kind": "ddpm", "gamma": 0.3}
SQRT_HALF = 0.7071067811865476

CASCADE: dict[str, Any] = {
    "format": "imagen-editor-cascade",
    "version": 1,
    "name": "imagen-full",
    "text_length": 128,
    "stages": [
        {
            "name": "base-64",
            "directory": "base-64",
            "schedule": COSINE,
            "prediction": "epsilon",
            "sampler": ANCESTRAL,
            "steps": 256,
            "guidance": {"kind": "oscillate", "high": 30, "low": 1, "hold": 0.1},
            "threshold": DYNAMIC,
        },
        {
            "name": "sr-256",
            "directory": "sr-256",
            "schedule": COSINE,
            "prediction": "epsilon",
            "sampler": ANCESTRAL,
            "steps": 128,
            "guidance": {"kind": "constant", "weight": 5},
            "threshold": DYNAMIC,
            "augmentation": 0.2,
        },
        {
            "name": "sr-1024",
            "directory": "sr-1024",
            "schedule": {"kind": "linear", "beta_first": 1e-4, "beta_last": 0.02, "steps": 1000},
            "prediction": "epsilon",
            "sampler": ANCESTRAL,
            "steps": 64,
            "guidance": {"kind": "constant", "weight": 1},
            "threshold": DYNAMIC,
            "augmentation": 0.2,
        },
    ],
}

T5_XXL: dict[str, Any] = {
    "architectures": ["T5EncoderModel"],
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
}


def level(channels: int, stride: int, blocks: int, attention: str = "none", heads: int = 0,
          head_width: int = 0) -> dict[str, Any]:  # fmt: skip
    return locals()


def unet(width: int, embedding: int, **own: Any) -> dict[str, Any]:
    return {
        "format": "imagen-editor-unet",
        "version": 1,
        "image_channels": 3,
        "output_channels": 3,
        "width": width,
        "embedding": embedding,
        "time": {
            "input": "log_snr",
            "clamp": 20,
            "scale": 25,
            "width": width,
            "max_period": 10000,
        },
        "text": {"width": 4096, "norm": "layer", "project": 0, "kv_norm": "none", "pool_heads": 64},
        "norm_groups": 32,
        "norm_eps": 1e-5,
        "activation": "silu",
        "skip_scale": 1,
        **own,
    }


def conditioning(widths: list[int]) -> dict[str, Any]:
    return {"resolution": CANVAS, "kernel": 3, "strides": [2] * len(widths), "widths": widths}


def base() -> dict[str, Any]:
    return unet(
        512,
        2048,
        layout="adm",
        resolution=64,
        low_resolution=0,
        conditioning=conditioning([32, 64, 128, 128]),
        residual_scale=1,
        shortcut="auto",
        skip_join="concat",
        levels=[
            level(512, 1, 3),
            level(1024, 2, 3, "self_text", 16, 64),
            level(1536, 2, 3, "self_text", 24, 64),
            level(2048, 2, 3, "self_text", 32, 64),
        ],
        middle={"blocks": 2, "attention": "self_text", "heads": 32, "head_width": 64},
        head={"norm": True, "kernel": 3},
    )


def super_resolution(
    resolution: int, low: int, widths: list[int], attention: str
) -> dict[str, Any]:
    return unet(
        128,
        512,
        layout="efficient",
        resolution=resolution,
        low_resolution=low,
        conditioning=conditioning(widths),
        residual_scale=SQRT_HALF,
        shortcut="conv",
        skip_join="add",
        levels=[
            level(128, 1, 1),
            level(128, 2, 2),
            level(256, 2, 4),
            level(512, 2, 8),
            level(1024, 2, 8, attention, 8, 256),
        ],
        middle={"blocks": 0, "attention": "none", "heads": 0, "head_width": 0},
        head={"norm": False, "kernel": 1},
    )


UNETS = {
    "base-64": base(),
    "sr-256": super_resolution(256, 64, [32, 64], "self_text"),
    "sr-1024": super_resolution(1024, 256, [], "text"),
}
PUBLISHED = {"base-64": "2 B", "sr-256": "600 M", "sr-1024": "400 M", "text_encoder": "4.6 B"}


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def counts(folder: Path = FOLDER) -> dict[str, int]:
    """Parameters of every part of a model directory; nothing is allocated."""
    result = {}
    with torch.device("meta"):
        for stage in CascadeConfig.read(folder / "cascade.json").stages:
            config = UNetConfig.read(folder / stage.directory / "config.json")
            result[stage.name] = parameters(UNet(config, zero_init=False))
        text = T5Config.read(folder / "text_encoder" / "config.json")
        result["text_encoder"] = parameters(T5Encoder(text))
    return result


def main() -> None:
    write_json(FOLDER / "cascade.json", CASCADE)
    write_json(FOLDER / "text_encoder" / "config.json", T5_XXL)
    for name, data in UNETS.items():
        write_json(FOLDER / name / "config.json", data)
    for name, count in counts().items():
        print(f"{name:14s}{count:15,d}   published {PUBLISHED[name]}")


if __name__ == "__main__":
    main()
