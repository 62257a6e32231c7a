"""The models that are timed: configurations of bench/configs with random weights.

Weights come from scripts/make_toy_model (NumPy, no PyTorch) and lie below build/bench-models, where
they are made once. A configuration with a cascade.json becomes a whole model directory; the others
are single stages.

SPDX-License-Identifier: Apache-2.0
"""

import importlib.machinery
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "bench" / "configs"
MODELS = ROOT / "build" / "bench-models"
SEED = 0


def toy_maker() -> ModuleType:
    path = ROOT / "scripts" / "make_toy_model"
    loader = importlib.machinery.SourceFileLoader("make_toy_model", str(path))
    spec = importlib.util.spec_from_loader("make_toy_model", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def make_stage(maker: ModuleType, source: Path, folder: Path) -> None:
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "config.json", folder / "config.json")
    if "d_model" in config:
        tensors = maker.text_tensors(config)
    else:
        maker.TEXT_WIDTH = config["text"]["width"]  # a constant of the toy model
        tensors = maker.unet_tensors(config)
    maker.write_weights(folder, SEED, tensors)


def newer(source: Path, made: Path) -> bool:
    return not made.exists() or source.stat().st_mtime > made.stat().st_mtime


def stage(name: str) -> Path:
    """The folder of stage `name` ("demo-size/base-64"), made if it is missing or out of date."""
    source, folder = CONFIGS / name, MODELS / name
    if newer(source / "config.json", folder / "model.safetensors"):
        make_stage(toy_maker(), source, folder)
    return folder


def cascade(name: str) -> Path:
    """The folder of a whole model, its tokenizer included."""
    source, folder = CONFIGS / name, MODELS / name
    for part in sorted(path.parent.name for path in source.glob("*/config.json")):
        stage(f"{name}/{part}")
    tokenizer = folder / "tokenizer" / "spiece.model"
    if not tokenizer.exists():
        toy_maker().train_tokenizer(tokenizer, SEED)
    shutil.copyfile(source / "cascade.json", folder / "cascade.json")
    return folder
