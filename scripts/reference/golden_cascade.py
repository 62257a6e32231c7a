"""A complete tiny model directory, and two edits through all of it; the same, known pixels kept.

SPDX-License-Identifier: Apache-2.0
"""

import io
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from torch import Tensor

from . import golden_common as common
from . import golden_text, weights
from .cascade import Cascade, Edit, to_bytes
from .config import UNetConfig
from .golden_ops_sampler import signed
from .golden_unet import SQRT_HALF, conditioning, configuration, level, random_unet, text
from .monte_carlo import Outputs

CANVAS = 64
TEXT_WIDTH = 16
VOCABULARY = 120

WORDS = """a an the of on in with and at under over beside near two three four red green blue yellow
white black silver golden brown small large round square tall wooden metal glass paper stone cloth
cat dog horse bird fish bear fox owl bowl cup plate lamp chair table book clock vase basket flower
tree rose apple pear lemon bread cake car boat train bicycle house castle bridge tower window door
garden field river lake beach mountain sky cloud sun moon star night day morning snow rain fire ice
sitting standing flying running sleeping shining painted carved knitted striped spotted photo
painting drawing watercolor""".split()

CASCADE: dict[str, Any] = {
    "format": "imagen-editor-cascade",
    "version": 1,
    "name": "golden",
    "text_length": 20,
    "stages": [
        {
            "name": "base",
            "directory": "base",
            "schedule": {"kind": "cosine", "s": 0.008},
            "prediction": "epsilon",
            "sampler": {"kind": "ddpm", "gamma": 0.3},
            "steps": 6,
            "guidance": {"kind": "oscillate", "high": 8, "low": 1, "hold": 0.25},
            "threshold": {"kind": "dynamic", "percentile": 0.95, "cap": 0},
        },
        {
            "name": "sr",
            "directory": "sr",
            "schedule": {"kind": "cosine", "s": 0.008},
            "prediction": "v",
            "sampler": {"kind": "ddim"},
            "steps": 4,
            "guidance": {"kind": "list", "weights": [3, 2, 1, 1.5]},
            "threshold": {"kind": "dynamic", "percentile": 0.99, "cap": 1.5},
            "augmentation": 0.2,
        },
        {
            "name": "final",
            "directory": "final",
            "schedule": {"kind": "linear", "beta_first": 1e-4, "beta_last": 0.02, "steps": 1000},
            "prediction": "v",
            "sampler": {"kind": "ddpm", "gamma": 0.7},
            "steps": 4,
            "guidance": {"kind": "constant", "weight": 1},
            "threshold": {"kind": "static"},
            "augmentation": 0.05,
        },
    ],
}

KEPT = CASCADE | {
    "name": "golden-kept",
    "stages": [stage | {"known": "kept"} for stage in CASCADE["stages"]],
}

SUPER_RESOLUTION: dict[str, Any] = {
    "layout": "efficient",
    "text": text(TEXT_WIDTH, 2),
    "residual_scale": SQRT_HALF,
    "shortcut": "conv",
    "skip_join": "add",
    "skip_scale": SQRT_HALF,
    "head": {"norm": False, "kernel": 1},
}

# name: configuration and how its weights are stored
UNETS: dict[str, tuple[dict[str, Any], torch.dtype]] = {
    "base": (
        configuration(
            conditioning=conditioning(CANVAS, 3, [2, 2], [4, 8]),
            text=text(TEXT_WIDTH, 2),
            levels=[level(8, 1, 1), level(16, 2, 1, "self_text", 2, 8)],
            middle={"blocks": 2, "attention": "self_text", "heads": 2, "head_width": 8},
        ),
        torch.bfloat16,
    ),
    "sr": (
        configuration(
            **SUPER_RESOLUTION,
            resolution=32,
            low_resolution=16,
            conditioning=conditioning(CANVAS, 3, [2], [6]),
            levels=[level(8, 1, 1), level(12, 2, 1), level(16, 2, 1, "self_text", 2, 16)],
        ),
        torch.float32,
    ),
    "final": (
        configuration(
            **SUPER_RESOLUTION,
            resolution=64,
            low_resolution=32,
            conditioning=conditioning(CANVAS, 3, [], []),
            levels=[level(8, 2, 1), level(16, 2, 1, "text", 2, 16)],
        ),
        torch.float16,
    ),
}

EDITS = [("a red fish bowl on the table", 11), ("two golden owls", 0xDEADBEEF12345678)]


def train_tokenizer(path: Path) -> None:
    """Pieces occur often enough to be kept. The model file holds no path and no date."""
    sentences = 4 * WORDS + ["0123456789.,-'"]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=VOCABULARY,
        model_type="unigram",
        character_coverage=1.0,
        normalization_rule_name="identity",
        num_threads=1,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())


def write_model(folder: Path, seed: int) -> None:
    g = common.generator(seed, "cascade")
    common.write_json(folder / "cascade.json", CASCADE)
    train_tokenizer(folder / "tokenizer" / "spiece.model")
    data = golden_text.CONFIG | {
        "vocab_size": VOCABULARY + 8,  # the table may be larger than the vocabulary
        "d_model": TEXT_WIDTH,
        "d_ff": 32,
        "num_heads": 2,
    }
    encoder = golden_text.random_encoder(data, g)
    common.write_json(folder / "text_encoder" / "config.json", data)
    tensors = {name: value.float() for name, value in encoder.state_dict().items()}
    weights.write(folder / "text_encoder", tensors, shard_bytes=16384)
    for name, (unet_data, dtype) in UNETS.items():
        own = {k: v for k, v in unet_data.items() if k not in ("format", "version")}
        unet = random_unet(UNetConfig.parse(own, name), g)
        common.write_json(folder / name / "config.json", unet_data)
        weights.write(folder / name, {k: v.to(dtype) for k, v in unet.state_dict().items()})


def picture(index: int) -> tuple[Tensor, Tensor]:
    """A gradient with a disc, and a mask that is a rectangle or a ring."""
    y, x = torch.meshgrid(torch.arange(CANVAS), torch.arange(CANVAS), indexing="ij")
    distance = ((x - 30) ** 2 + (y - 36) ** 2).sqrt()
    disc = (distance < 14).long()
    rgb = torch.stack([4 * x, 4 * y, 255 - 2 * (x + y)], dim=2) * (1 - disc)[..., None]
    rgb = rgb + disc[..., None] * torch.tensor([230, 90 * index, 40])
    if index == 0:
        mask = (x >= 16) & (x < 45) & (y >= 20) & (y < 52)
    else:
        mask = (distance > 8) & (distance < 22)
    return rgb.byte(), mask.byte()


def run_edits(cascade: Cascade, edits: list[Edit]) -> Outputs:
    ids, length, tokens = cascade.encode([edit.prompt for edit in edits])
    _, results = cascade.edit(edits)
    outputs: Outputs = {}
    for n in range(len(edits)):
        outputs[f"edit{n}.tokens"] = tokens[n]
        for stage, result in zip(cascade.stages, results):
            outputs[f"edit{n}.{stage.config.name}.x0"] = common.channels_last(result)[n]
    return outputs


def write_kept(folder: Path) -> None:
    """The same model, all but cascade.json by links."""
    common.write_json(folder / "cascade.json", KEPT)
    for name in ("tokenizer", "text_encoder", *UNETS):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(Path("..", "cascade", name))


def export_kept(name: str, seed: int) -> None:
    """The results alone: the edits are those of cascade-io."""
    folder = common.ROOT / "cascade-kept"
    write_kept(folder)
    cascade = Cascade(folder, torch.float64)
    edits = [Edit(prompt, number, *picture(i)) for i, (prompt, number) in enumerate(EDITS)]
    tensors = common.with_spreads(lambda: run_edits(cascade, edits), seed)
    tensors = {key: value for key, value in tensors.items() if ".x0" in key}
    common.write_tensors(common.ROOT / "cascade-kept-io.safetensors", tensors)


def export(name: str, seed: int) -> None:
    folder = common.ROOT / "cascade"
    write_model(folder, seed)
    cascade = Cascade(folder, torch.float64)
    edits = [Edit(prompt, number, *picture(i)) for i, (prompt, number) in enumerate(EDITS)]
    tensors = common.with_spreads(lambda: run_edits(cascade, edits), seed)
    edited, results = cascade.edit(edits)
    ids, length, _ = cascade.encode([edit.prompt for edit in edits])
    for n, edit in enumerate(edits):
        words = [signed(edit.seed & 0xFFFFFFFF), signed(edit.seed >> 32)]
        tensors |= {
            f"edit{n}.prompt": torch.tensor(list(edit.prompt.encode()), dtype=torch.uint8),
            f"edit{n}.seed": torch.tensor(words),
            f"edit{n}.rgb": edit.rgb,
            f"edit{n}.mask": edit.mask[..., None],
            f"edit{n}.ids": ids[n],
            f"edit{n}.length": length[n : n + 1],
            f"edit{n}.image": to_bytes(results[-1])[n],
            f"edit{n}.edited": edited[n],
        }
    common.write_tensors(common.ROOT / "cascade-io.safetensors", tensors)
