"""The text side of training: a tokenizer learned from captions, and prompts to token features.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import io
import json
import math
import os
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from torch import Tensor, nn

from ..reference import weights
from ..reference.config import T5Config, require
from ..reference.t5 import SelfAttention, T5Encoder
from ..reference.tokenizer import Tokenizer
from . import checkpoint
from .config import TextConfig

PRINTABLE = string.ascii_letters + string.digits + string.punctuation


def train_tokenizer(path: Path, captions: Iterable[str], vocabulary: int) -> None:
    """T5's settings: unigram, nmt_nfkc, pad 0, </s> 1, <unk> 2, no <s>; at most so many pieces.

    Every printable ASCII character has a piece, so that a prompt of any words can be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    with contextlib.redirect_stderr(io.StringIO()):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sorted(set(captions))),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary,
            hard_vocab_limit=False,
            character_coverage=1.0,
            required_chars=PRINTABLE,
            num_threads=1,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            minloglevel=2,
        )
    partial = path.with_suffix(".part")
    partial.write_bytes(model.getvalue())
    os.replace(partial, path)


def initialise(encoder: T5Encoder) -> None:
    """T5's initialisation: the scores have no 1/sqrt(d_kv), so q starts that much smaller."""
    config = encoder.config
    inner = config.num_heads * config.d_kv
    deviation = {
        "shared": 1.0,
        "q": (config.d_model * config.d_kv) ** -0.5,
        "k": config.d_model**-0.5,
        "v": config.d_model**-0.5,
        "o": inner**-0.5,
        "relative_attention_bias": config.d_model**-0.5,
        "wi_0": config.d_model**-0.5,
        "wi_1": config.d_model**-0.5,
        "wo": config.d_ff**-0.5,
    }
    for name, module in encoder.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=deviation[name.rsplit(".", 1)[-1]])
        elif isinstance(module, SelfAttention):
            assert math.isclose(module.q.out_features, inner)


def encoder_config(data: dict[str, Any], tokenizer: Tokenizer, where: str) -> dict[str, Any]:
    """The encoder's config.json, its vocabulary that of the tokenizer."""
    result = {
        "architectures": ["T5EncoderModel"],
        "model_type": "t5",
        **data,
        "vocab_size": tokenizer.pieces.get_piece_size(),
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    T5Config.parse(result, where)
    return result


class TextSide:
    """Tokenizer and encoder, and how a batch of prompts becomes the U-Net's text."""

    def __init__(self, config: TextConfig, tokenizer: Tokenizer, encoder: T5Encoder):
        self.config, self.tokenizer, self.encoder = config, tokenizer, encoder
        self.frozen = config.encoder is None

    def encode(self, prompts: list[str], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [N, T, D] and lengths [N]; where `keep` is false the null text, one zero."""
        device = self.encoder.shared.weight.device
        ids, length = self.tokenizer.batch(prompts, self.config.length)
        ids = ids[:, : int(length.max())].to(device)
        length = torch.where(keep, length, 1).to(device)
        keep = keep.to(device)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tokens = self.encoder(ids, length)
        return torch.where(keep[:, None, None], tokens, 0.0), length


def load_frozen(directory: Path, config: TextConfig) -> TextSide:
    """Tokenizer and encoder of a model directory, or the averaged ones of a run."""
    directory = Path(directory)
    run, model = directory / "checkpoint.pt", directory / "text_encoder" / "config.json"
    if run.exists():
        saved = checkpoint.load(run)
        require(bool(saved["text_config"]), str(run), "did not train a text encoder")
        encoder = T5Encoder(T5Config.parse(saved["text_config"], str(run)))
        encoder.load_state_dict(checkpoint.part(saved["average"], "text"))
    else:
        require(model.exists(), str(directory), "is neither a model directory nor a run")
        encoder = T5Encoder(T5Config.read(model))
        weights.load_into(encoder, directory / "text_encoder")
    return TextSide(config, Tokenizer(directory / "tokenizer" / "spiece.model"), encoder)


def start_training(config: TextConfig, tokenizer_path: Path) -> tuple[TextSide, dict[str, Any]]:
    """A new encoder for this tokenizer, and its config.json."""
    assert config.encoder is not None
    tokenizer = Tokenizer(tokenizer_path)
    data = encoder_config(config.encoder, tokenizer, "text.encoder")
    encoder = T5Encoder(T5Config.parse(data, "text.encoder"))
    initialise(encoder)
    return TextSide(config, tokenizer, encoder), data


def start_from(
    config: TextConfig, tokenizer_path: Path, model: Path
) -> tuple[TextSide, dict[str, Any]]:
    """To be trained on: a model directory's tokenizer, which is copied, and encoder."""
    tokenizer_path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer_path.write_bytes((Path(model) / "tokenizer" / "spiece.model").read_bytes())
    side, data = start_training(config, tokenizer_path)
    try:
        weights.load_into(side.encoder, Path(model) / "text_encoder")
    except RuntimeError as error:
        raise ValueError(f"{model}: another text encoder than configured: {error}") from error
    return side, data


def write(
    directory: Path, tokenizer: Path, data: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """The text part of a model directory."""
    weights.write(directory / "text_encoder", tensors)
    text = json.dumps(data, indent=2) + "\n"
    (directory / "text_encoder" / "config.json").write_text(text, encoding="utf-8")
    (directory / "tokenizer").mkdir(exist_ok=True)
    (directory / "tokenizer" / "spiece.model").write_bytes(Path(tokenizer).read_bytes())
