"""Train a tokenizer and a T5 encoder on captions alone, before any stage is trained.

    python3 -m scripts.train.denoise --config scripts/train/configs/demo/text.json \\
        --data data/cache-256 --output out/text

Pieces of a caption are replaced by <unk>, and a linear layer, which is thrown away, says from the
encoder's output which piece was at every place, replaced or not. So no two words can become the
same to the U-Nets, which is what happens when the diffusion loss alone trains the encoder: words
that help it late, as those of shapes, are merged early and stay so (README.md). As in Imagen,
the stages then use the encoder frozen.

OUTPUT becomes the text part of a model directory, what --text of scripts.train.train and of
scripts.train.export takes. It takes a few minutes and does not resume: run it again.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..reference.config import T5Config, build, read_json, require
from ..reference.t5 import T5Encoder
from ..reference.tokenizer import Tokenizer
from . import text
from .cache import Cache

FORMAT = "imagen-editor-text-training"
UNKNOWN, SPECIAL = 2, 3  # <unk>; the pieces below SPECIAL are never replaced
HEAD_DECAY = 0.1  # keeps the linear layer small, so that the encoder's outputs have to differ
REPORT_STEPS = 100


@dataclass
class DenoisingConfig:
    length: int  # tokens, </s> included: text.length of the stages
    vocabulary: int  # most pieces of the tokenizer
    encoder: dict[str, Any]  # config.json of the T5, but for the vocabulary
    replaced: float  # share of the pieces that become <unk>
    rate: float  # Adam's, after a twentieth of the steps; it falls to nothing
    steps: int
    batch: int
    seed: int

    @staticmethod
    def read(path: Path) -> "DenoisingConfig":
        data = dict(read_json(path, FORMAT))
        config = build(DenoisingConfig, data, str(path))
        where = str(path)
        T5Config.parse({**config.encoder, "vocab_size": 1}, f"{where}: encoder")
        require(1 <= config.length <= 1024, where, "length is not in 1 .. 1024")
        require(config.vocabulary >= 1, where, "vocabulary is not at least 1")
        require(0 < config.replaced < 1, where, "replaced is not between 0 and 1")
        require(config.steps >= 1 and config.batch >= 1, where, "steps or batch is not at least 1")
        return config


def rate(config: DenoisingConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to 0."""
    warmup = config.steps / 20
    if step < warmup:
        return config.rate * (step + 1) / (warmup + 1)
    return config.rate * (1 + math.cos(math.pi * step / config.steps)) / 2


class Denoiser:
    """The encoder, the linear layer over it, and how often each kind of piece was named right."""

    def __init__(self, config: DenoisingConfig, tokenizer: Tokenizer):
        self.config, self.tokenizer = config, tokenizer
        torch.manual_seed(config.seed)
        self.t5_config = text.encoder_config(config.encoder, tokenizer, "encoder")
        self.encoder = T5Encoder(T5Config.parse(self.t5_config, "encoder"))
        text.initialise(self.encoder)
        self.head = nn.Linear(self.encoder.config.d_model, self.encoder.config.vocab_size)
        groups = [
            {"params": list(self.encoder.parameters()), "weight_decay": 0.0},
            {"params": list(self.head.parameters()), "weight_decay": HEAD_DECAY},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99))

    def corrupt(self, ids: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pieces to be read; which places count, and which were replaced."""
        valid = torch.arange(ids.shape[1])[None] < length[:, None]
        replaced = (torch.rand(ids.shape) < self.config.replaced) & valid & (ids >= SPECIAL)
        return torch.where(replaced, UNKNOWN, ids), valid, replaced

    def step(self, number: int, captions: list[str]) -> tuple[float, float, float]:
        """The loss, and the shares of kept and of replaced pieces that were named right."""
        ids, length = self.tokenizer.batch(captions, self.config.length)
        ids = ids[:, : int(length.max())]
        read, valid, replaced = self.corrupt(ids, length)
        said = self.head(self.encoder(read, length))
        loss = F.cross_entropy(said[valid], ids[valid])
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.config, number)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.encoder.parameters(), 1.0)
        self.optimiser.step()
        right = (said.argmax(-1) == ids).float()
        kept = valid & ~replaced
        return (loss.item(), *(right[which].mean().item() for which in (kept, replaced)))

    def train(self, captions: list[str]) -> None:
        config, begin, sums = self.config, time.monotonic(), torch.zeros(3)
        chosen = torch.Generator().manual_seed(config.seed)
        for number in range(config.steps):
            picked = torch.randint(len(captions), (config.batch,), generator=chosen).tolist()
            sums += torch.tensor(self.step(number, [captions[i] for i in picked])).nan_to_num()
            if (number + 1) % REPORT_STEPS == 0 or number + 1 == config.steps:
                loss, kept, replaced = (sums / ((number % REPORT_STEPS) + 1)).tolist()
                left = (time.monotonic() - begin) / (number + 1) * (config.steps - number - 1)
                print(f"text: step {number + 1} of {config.steps}, loss {loss:.4f}, named right: "
                      f"{kept:.1%} of the pieces kept, {replaced:.1%} of those replaced, "
                      f"{left / 60:.0f} min left", flush=True)  # fmt: skip
                sums.zero_()


def denoise(options: argparse.Namespace) -> None:
    config = DenoisingConfig.read(options.config)
    config.steps = options.steps or config.steps
    captions = [line for folder in options.data for line in Cache(folder, 0).captions()]
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "tokenizer" / "spiece.model"
    text.train_tokenizer(path, captions, config.vocabulary)
    denoiser = Denoiser(config, Tokenizer(path))
    print(f"text: {len(set(captions))} captions, {denoiser.t5_config['vocab_size']} pieces, "
          f"{sum(p.numel() for p in denoiser.encoder.parameters()) / 1e6:.2f} M parameters",
          flush=True)  # fmt: skip
    denoiser.train(captions)
    text.write(options.output, path, denoiser.t5_config, denoiser.encoder.state_dict())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="the text's training file")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="caches of captions")
    parser.add_argument("--output", type=Path, required=True, help="folder of the text part")
    parser.add_argument("--steps", type=int, default=0, help="instead of the file's")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        denoise(options)
    except (OSError, ValueError) as error:
        print(f"denoise: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
