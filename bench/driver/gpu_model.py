"""Model directories with random weights for examples/imagen-full, as fast as a GPU makes them.

    python3 -m driver.gpu_model --output DIR [--source examples/imagen-full] [--device cuda]
                                [--layers 2] [--tokenizer DIR]

Every stage as bf16 safetensors with PyTorch's own initialisation, a text encoder of `layers` of its
layers (its time is not what is measured, and 24 of them are 9 GB), a tokenizer copied from
tests/golden. SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import math
import shutil
from pathlib import Path

import torch
from torch import Tensor

from scripts.reference import weights
from scripts.reference.config import UNetConfig
from scripts.reference.unet import UNet

from .models import ROOT, toy_maker

TOKENIZER = ROOT / "tests" / "golden" / "cascade" / "tokenizer"


def save(folder: Path, tensors: dict[str, Tensor]) -> None:
    weights.write_file(folder / weights.FILE, {n: t.contiguous().cpu() for n, t in tensors.items()})


def make_stage(source: Path, folder: Path, device: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "config.json", folder / "config.json")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        unet = UNet(UNetConfig.read(source / "config.json"), zero_init=False)
    torch.set_default_dtype(torch.float32)
    save(folder, dict(unet.state_dict()))


def make_text(source: Path, folder: Path, device: str, layers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config["num_layers"] = min(layers, config["num_layers"])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    torch.manual_seed(1)
    tensors = {}
    for name, shape in toy_maker().text_tensors(config):
        scale = 1 / math.sqrt(shape[1]) if len(shape) > 1 and name != "shared.weight" else 1.0
        values = torch.randn(*shape, device=device, dtype=torch.bfloat16)
        tensors[name] = values * scale if len(shape) > 1 else torch.ones_like(values)
    save(folder, tensors)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="full-size models with random weights")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--source", type=Path, default=ROOT / "examples" / "imagen-full")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, default=2)
    options = parser.parse_args()
    device = "cuda" if options.device.startswith("cuda") else "cpu"  # PyTorch's; ours can be ref
    options.output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(options.source / "cascade.json", options.output / "cascade.json")
    shutil.copytree(TOKENIZER, options.output / "tokenizer", dirs_exist_ok=True)
    for path in sorted(options.source.glob("*/config.json")):
        part = path.parent.name
        if part == "text_encoder":
            make_text(path.parent, options.output / part, device, options.layers)
        else:
            make_stage(path.parent, options.output / part, device)
        print(f"made {options.output / part}", flush=True)


if __name__ == "__main__":
    main()
