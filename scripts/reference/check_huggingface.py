"""Compare the text encoder and the tokenizer with Hugging Face transformers.

    python3 -m scripts.reference.check_huggingface      # writes scripts/reference/RESULTS.md

Needs transformers, protobuf and tiktoken (the last two to read a SentencePiece file).

Encoder: the same random weights in T5EncoderModel and in t5.py, in double, with padding; three
configurations and the golden text encoders. Tokenizer: a SentencePiece model with T5's
normalisation, trained here, in T5Tokenizer and in tokenizer.py, on prompts in several scripts.

SPDX-License-Identifier: Apache-2.0
"""

import io
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from torch import Tensor

from . import golden_text, weights
from .config import T5Config
from .golden_cascade import WORDS
from .golden_common import ROOT, generator
from .t5 import T5Encoder
from .tokenizer import Tokenizer

RESULTS = Path(__file__).with_name("RESULTS.md")

ENCODERS: dict[str, dict[str, Any]] = {
    "golden/text": {},
    "buckets 32, distance 128": {
        "relative_attention_max_distance": 128,
        "num_layers": 3,
        "layer_norm_epsilon": 1e-4,
    },
    "buckets 16, distance 50": {
        "relative_attention_num_buckets": 16,
        "relative_attention_max_distance": 50,
        "d_kv": 5,
        "num_heads": 3,
    },
}
LENGTHS = [300, 157, 2, 1]

PROMPTS = [
    "a glass fish bowl",
    "  two   owls\tsitting on a stone bridge\n",
    "A Photo of a DOG, wearing sunglasses!",
    "eine Brücke über dem Fluß im Frühling",
    "une chaîne d'oiseaux à côté du château",
    "красный чайник на столе",
    "一只戴着红帽子的猫",
    "赤い車と青い家",
    "고양이와 강아지",
    "قطة على الطاولة",
    "ｆｕｌｌｗｉｄｔｈ ① ﬁne ½",
    "e\u0301 and \u00e9, n\u0303 and \u00f1",
    "an emoji 🦊 and a family 👨‍👩‍👧",
    "zero\u200bwidth\u00a0and\u3000spaces",
    "3.14 + 2 = 5.14; 100% & more @ #1",
    "supercalifragilisticexpialidocious",
]
# transformers turns these words of a prompt into control tokens; here they are text.
CONTROL_PROMPT = "</s> and <pad> as text"

# transformers takes its norms' variances and its softmax in f32 even in a model of doubles.
BOUND = 64 * 2.0**-24


def hugging_face(config: dict[str, Any], encoder: T5Encoder) -> transformers.T5EncoderModel:
    model = transformers.T5EncoderModel(transformers.T5Config(**config)).double().eval()
    state = dict(encoder.state_dict())
    state["encoder.embed_tokens.weight"] = state["shared.weight"]  # the same tensor under two names
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise ValueError(f"tensor names differ: missing {missing}, unexpected {unexpected}")
    return model


def compare_encoders(config: dict[str, Any], encoder: T5Encoder) -> float:
    """Largest difference over the valid rows, in double."""
    model = hugging_face(config, encoder)
    size = LENGTHS[0]
    g = torch.Generator().manual_seed(1)
    ids = torch.randint(2, config["vocab_size"], (len(LENGTHS), size), generator=g)
    length = torch.tensor(LENGTHS)
    valid = torch.arange(size) < length[:, None]
    ids = ids * valid
    with torch.no_grad():
        theirs: Tensor = model(input_ids=ids, attention_mask=valid.long()).last_hidden_state
        ours = encoder(ids, length)
    if float(ours[~valid].abs().max()) != 0:
        raise ValueError("rows past the length are not zero")
    return float((ours - theirs)[valid].abs().max())


def encoder_results() -> list[tuple[str, float]]:
    results = []
    for name, changes in ENCODERS.items():
        config = golden_text.CONFIG | changes
        encoder = golden_text.random_encoder(config, generator(1, name))
        if name == "golden/text":
            weights.load_into(encoder, ROOT / "text")
        results.append((name, compare_encoders(config, encoder)))
    folder = ROOT / "cascade" / "text_encoder"
    encoder = T5Encoder(T5Config.read(folder / "config.json")).double()
    weights.load_into(encoder, folder)
    config = golden_text.CONFIG | vars(encoder.config)
    results.append(("golden/cascade", compare_encoders(config, encoder)))
    return results


def train_tokenizer(path: Path) -> None:
    """As T5's: unigram, nmt_nfkc normalisation, pad 0, </s> 1, unk 2. Some scripts stay unknown."""
    model = io.BytesIO()
    sentences = 4 * WORDS + 2 * PROMPTS[:8]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=180,
        hard_vocab_limit=False,
        model_type="unigram",
        normalization_rule_name="nmt_nfkc",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())


def tokenizer_differences(path: Path, prompts: list[str], length: int) -> list[str]:
    """Prompts on which the two tokenizers give other ids, padded and cut to `length`."""
    ours = Tokenizer(path)
    theirs = transformers.T5Tokenizer.from_pretrained(path.parent, extra_ids=0)
    different = []
    for prompt in prompts:
        ids, used = ours.encode(prompt, length)
        other = theirs(prompt, padding="max_length", truncation=True, max_length=length)
        if ids != other["input_ids"] or used != sum(other["attention_mask"]):
            different.append(f"{prompt!r}: {ids} against {other['input_ids']}")
    return different


def main() -> None:
    encoders = encoder_results()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spiece.model"
        train_tokenizer(path)
        different = [
            line for length in (64, 6) for line in tokenizer_differences(path, PROMPTS, length)
        ]
        control = tokenizer_differences(path, [CONTROL_PROMPT], 24)
    lines = [
        "# Agreement with Hugging Face transformers",
        "",
        "Written by `python3 -m scripts.reference.check_huggingface`.",
        f"Python {platform.python_version()}, torch {torch.__version__},"
        f" transformers {transformers.__version__}, sentencepiece {sentencepiece.__version__}.",
        "",
        f"T5EncoderModel, random weights, prompts of {LENGTHS} tokens padded to {LENGTHS[0]}",
        "and masked: largest difference of a valid row's output, in double. Values are about 1;",
        f"transformers takes variances and softmax in f32 all the same; the bound is {BOUND:.1e}.",
        "",
        "| encoder | largest difference |",
        "|---|---|",
        *(f"| {name} | {value:.1e} |" for name, value in encoders),
        "",
        f"T5Tokenizer, {len(PROMPTS)} prompts in several scripts, padded to 64 and cut to 6 tokens:"
        f" {len(different)} differences.",
        *(f"- {line}" for line in different),
        "",
        "One intended difference: transformers turns the words `</s>` and `<pad>` of a prompt into",
        "control tokens, here and in the engine they stay text:",
        "",
        *(f"- {line}" for line in control),
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    if different or max(value for _, value in encoders) > BOUND:
        sys.exit("the reference does not agree with transformers")


if __name__ == "__main__":
    main()
