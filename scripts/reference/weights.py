"""safetensors files: one file, or an index and its shards, as Hugging Face writes them.

SPDX-License-Identifier: Apache-2.0
"""

import json
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def read_file(path: Path) -> dict[str, Tensor]:
    return load_file(path)


def read(directory: Path) -> dict[str, Tensor]:
    directory = Path(directory)
    if (directory / FILE).exists():
        return read_file(directory / FILE)
    index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(index["weight_map"].values())):
        tensors |= read_file(directory / shard)
    if set(tensors) != set(index["weight_map"]):
        raise ValueError(f"{directory / INDEX}: the index and the shards name different tensors")
    return tensors


def write_file(path: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, path)
    path.chmod(0o644)  # the library makes it private


def write(directory: Path, tensors: dict[str, Tensor], shard_bytes: int = 0) -> None:
    """One file, or shards of at most `shard_bytes` (a larger tensor has a shard of its own)."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    if not shard_bytes:
        write_file(directory / FILE, tensors)
        return
    shards: list[dict[str, Tensor]] = [{}]
    used = 0
    for name, tensor in tensors.items():
        if shards[-1] and used + tensor.nbytes > shard_bytes:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += tensor.nbytes
    weight_map = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        write_file(directory / file, shard)
        weight_map |= {name: file for name in shard}
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def load_into(module: nn.Module, directory: Path) -> None:
    """Load every tensor, strictly; the values take the module's own type."""
    module.load_state_dict(read(directory), strict=True)
