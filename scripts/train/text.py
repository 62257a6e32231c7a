"""The text side of training: tokenizer and encoder to begin with, and prompts to token features.

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
from .config import TextConfig

PRINTABLE = string.ascii_letters + string.digits + string.punctuation


def train_tokenizer(path: Path, captions: Iterable[str], vocabulary: int) -> None:
    """T5's settings: unigram, nmt_nfkc, pad 0, </s> 1, <unk> 2, no <s>; at most so many pieces.

    Every printable ASCII character has a piece, so that a prompt of any words can be read.
    SentencePiece takes as candidates only what occurs in two different words, so that "red" in all
    captions would be cut into r, e, d: each word is given with a comma as well.
    """
    captions = set(captions)
    words = {f"{word}," for caption in captions for word in caption.split()}
    path.parent.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    with contextlib.redirect_stderr(io.StringIO()):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sorted(captions | words)),
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
    """Tokenizer and frozen encoder, and how a batch of prompts becomes the U-Net's text."""

    def __init__(self, config: TextConfig, tokenizer: Tokenizer, encoder: T5Encoder):
        self.config, self.tokenizer = config, tokenizer
        self.encoder = encoder.requires_grad_(False).eval()

    @torch.no_grad()
    def encode(self, prompts: list[str], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [N, T, D] and lengths [N]; where `keep` is false the null text, one zero."""
        device = self.encoder.shared.weight.device
        ids, length = self.tokenizer.batch(prompts, self.config.length)
        ids = ids[:, : int(length.max())].to(device)
        length = torch.where(keep, length, 1).to(device)
        keep = keep.to(device)
        tokens = self.encoder(ids, length)
        return torch.where(keep[:, None, None], tokens, 0.0), length


def load(directory: Path, config: TextConfig) -> TextSide:
    """Of a model directory, or of a folder that scripts.train.denoise made."""
    directory = Path(directory)
    model = directory / "text_encoder" / "config.json"
    require(model.exists(), str(directory), "has no text_encoder/config.json")
    encoder = T5Encoder(T5Config.read(model))
    weights.load_into(encoder, directory / "text_encoder")
    return TextSide(config, Tokenizer(directory / "tokenizer" / "spiece.model"), encoder)


def write(
    directory: Path, tokenizer: Path, data: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """The text part of a model directory."""
    weights.write(directory / "text_encoder", tensors)
    text = json.dumps(data, indent=2) + "\n"
    (directory / "text_encoder" / "config.json").write_text(text, encoding="utf-8")
    (directory / "tokenizer").mkdir(exist_ok=True)
    (directory / "tokenizer" / "spiece.model").write_bytes(Path(tokenizer).read_bytes())
