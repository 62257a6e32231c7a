"""Make a model directory of finished runs, one for each stage in order.

    python3 -m scripts.train.export --runs out/train/base-64 out/train/sr-256 out/train/sr-1024 \\
        --text out/train/text --output models/demo

The averaged weights are written as bf16, f16 or f32, with the configurations, the text encoder that
the runs were trained with, its tokenizer and cascade.json; then the directory is opened with the
reference, as the engine would.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..reference import weights
from ..reference.cascade import Cascade
from . import checkpoint, text
from .config import TrainingConfig

TYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}


def convert(tensors: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    result = {name: value.to(TYPES[kind]) for name, value in tensors.items()}
    broken = [name for name, value in result.items() if not value.isfinite().all()]
    if broken:
        raise ValueError(f"{broken[0]} does not fit {kind}")
    return result


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace the file in one step."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def check_cascade(configs: list[TrainingConfig]) -> None:
    """Whether these runs are the stages of one cascade."""
    canvas = configs[-1].unet.resolution
    previous = 0
    for config in configs:
        unet, name = config.unet, config.stage.name
        if unet.low_resolution != previous:
            raise ValueError(f"{name}: enlarges {unet.low_resolution}, but gets {previous}")
        if unet.conditioning.resolution != canvas:
            raise ValueError(f"{name}: its canvas is {unet.conditioning.resolution}, not {canvas}")
        previous = unet.resolution
    if len({config.text.length for config in configs}) > 1:
        raise ValueError("the stages differ in text.length")


def check_text(saved: list[dict[str, Any]], digest: str, configs: list[TrainingConfig]) -> None:
    for config, content in zip(configs, saved):
        if content["text_digest"] != digest:
            raise ValueError(
                f"{config.stage.name}: was trained with another text encoder; train it on with "
                "--text and --reconfigure"
            )


def export(options: argparse.Namespace) -> None:
    file = "best.pt" if options.best else "checkpoint.pt"
    saved = [checkpoint.load(run / file) for run in options.runs]
    configs = [
        TrainingConfig.parse(content["config"], str(run / file))
        for run, content in zip(options.runs, saved)
    ]
    check_cascade(configs)
    output = options.output
    output.mkdir(parents=True, exist_ok=True)
    (output / "cascade.json").unlink(missing_ok=True)  # written last: with it, it is complete
    data = json.loads((options.text / "text_encoder" / "config.json").read_text())
    tensors = weights.read(options.text / "text_encoder")
    check_text(saved, checkpoint.digest(tensors), configs)
    tokenizer = options.text / "tokenizer" / "spiece.model"
    text.write(output, tokenizer, data, convert(tensors, options.type))
    for config, content in zip(configs, saved):
        folder = output / config.stage.directory
        weights.write(folder, convert(content["average"], options.type))
        own = {"format": "imagen-editor-unet", "version": 1, **content["config"]["unet"]}
        write_json(folder / "config.json", own)
    cascade = {
        "format": "imagen-editor-cascade",
        "version": 1,
        "name": configs[0].model,
        "text_length": configs[0].text.length,
        "stages": [content["config"]["stage"] for content in saved],
    }
    write_json(output / "cascade.json", cascade)


def report(output: Path, runs: list[Path], best: bool) -> None:
    """Open the directory with the reference, which reads strictly, and say what is in it."""
    cascade = Cascade(output)
    _, _, tokens = cascade.encode(["a glass fish bowl"])
    if not tokens.isfinite().all():
        raise ValueError(f"{output}: the text encoder's output is not finite")
    modules = {"text_encoder": cascade.text} | {s.config.name: s.unet for s in cascade.stages}
    for name, module in modules.items():
        print(f"{name:14s}{sum(p.numel() for p in module.parameters()):12,d} parameters")
    for run in runs:
        saved = checkpoint.load(run / ("best.pt" if best else "checkpoint.pt"))
        print(f"{run.name:14s}{saved['step']:12,d} steps, {saved['seconds'] / 60:.0f} minutes")
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    print(f"export: {output}, {size / 1e6:.1f} MB")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="the stages' runs")
    parser.add_argument("--output", type=Path, required=True, help="the model directory")
    parser.add_argument("--type", choices=TYPES, default="bf16", help="of the weights")
    parser.add_argument("--text", type=Path, required=True, help="whose text encoder they used")
    parser.add_argument("--best", action="store_true", help="where the held-out loss was lowest")
    options = parser.parse_args(arguments)
    try:
        export(options)
        report(options.output, options.runs, options.best)
    except (OSError, ValueError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
