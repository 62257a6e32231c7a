"""The golden text encoder: a tiny T5 with random weights, three prompts of ids, their tokens.

SPDX-License-Identifier: Apache-2.0
"""

from typing import Any

import torch

from . import golden_common as common
from . import weights
from .config import T5Config
from .monte_carlo import Outputs
from .t5 import T5Encoder

LENGTH = 40  # long enough for distances past the last bucket
LENGTHS = [40, 23, 2]

CONFIG: dict[str, Any] = {
    "architectures": ["T5EncoderModel"],
    "model_type": "t5",
    "vocab_size": 64,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 32,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
}


def random_encoder(data: dict[str, Any], g: torch.Generator) -> T5Encoder:
    """Embeddings small enough for the norm's epsilon to show."""
    config = T5Config.parse(data, "text_encoder")
    encoder = T5Encoder(config).double()
    common.randomise(encoder, g)
    with torch.no_grad():
        table = encoder.shared.weight
        size = 0.02 * config.d_model**0.5  # randomise divided by the root of d_model
        table.copy_(common.as_bf16(size * table))
        bias = encoder.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        bias.copy_(common.as_bf16(2 * bias))
        for block in encoder.encoder.block:
            attention = block.layer[0].SelfAttention
            # T5 has no attention scale: its queries start small.
            attention.q.weight.copy_(common.as_bf16(attention.q.weight / config.d_kv))
            attention.o.weight.copy_(common.as_bf16(0.5 * attention.o.weight))
    return encoder


def export(name: str, seed: int) -> None:
    g = common.generator(seed, name)
    encoder = random_encoder(CONFIG, g)
    ids = torch.randint(3, CONFIG["vocab_size"], (len(LENGTHS), LENGTH), generator=g)
    for row, length in enumerate(LENGTHS):
        ids[row, length - 1] = 1
        ids[row, length:] = 0
    length = torch.tensor(LENGTHS)

    def run() -> Outputs:
        return {"tokens": encoder(ids, length), "bias": encoder.position_bias(LENGTH)}

    folder = common.ROOT / name
    common.write_json(folder / "config.json", CONFIG)
    weights.write(folder, {k: v.float() for k, v in encoder.state_dict().items()})
    outputs = common.with_spreads(run, seed)
    common.write_tensors(folder / "io.safetensors", {"ids": ids, "length": length, **outputs})
