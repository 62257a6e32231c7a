"""SentencePiece as T5 uses it: the pieces of the prompt, then </s>, then padding.

SPDX-License-Identifier: Apache-2.0
"""

from pathlib import Path

import sentencepiece
import torch
from torch import Tensor

PAD, END = 0, 1


class Tokenizer:
    def __init__(self, path: Path):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        if self.pieces.pad_id() != PAD or self.pieces.eos_id() != END:
            raise ValueError(f"{path}: pad is not {PAD} or </s> is not {END}")

    def encode(self, text: str, length: int) -> tuple[list[int], int]:
        """(ids padded to `length`, tokens used with </s>). What does not fit is cut before </s>."""
        ids = self.pieces.encode(text)
        if not ids:
            raise ValueError("the prompt has no token")
        ids = ids[: length - 1] + [END]
        return ids + [PAD] * (length - len(ids)), len(ids)

    def batch(self, texts: list[str], length: int) -> tuple[Tensor, Tensor]:
        """ids [N, length] and the used lengths [N]."""
        encoded = [self.encode(text, length) for text in texts]
        return torch.tensor([ids for ids, _ in encoded]), torch.tensor([n for _, n in encoded])
