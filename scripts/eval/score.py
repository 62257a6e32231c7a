"""From pictures to verdicts: what the judge says of each, and the seam at its mask.

SPDX-License-Identifier: Apache-2.0
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from . import seam
from .items import Item
from .judge import Judge


@dataclass
class Scored:
    """One picture. `right` holds `present`, every asked attribute, and `everything`."""

    item: str
    category: str
    bucket: str
    attribute: str
    prompt: str
    seed: int
    right: dict[str, bool]
    said: dict[str, str]
    seam: dict[str, float] = field(default_factory=dict)


def compare(asked: dict[str, str], said: dict[str, str]) -> dict[str, bool]:
    """Of what the judge says, which is nothing where it sees nothing."""
    right = {name: said.get(name) == value for name, value in asked.items()}
    return {"present": bool(said), **right, "everything": all(right.values())}


def seams(picture: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The seam, and how far it exceeds what the true render has at the same place."""
    found, true = seam.measure(picture, mask), seam.measure(reference, mask)
    if found is None or true is None:
        return {}
    return {**found.values(), "true step": true.step, "over truth": found.excess - true.excess}


def score(
    judge: Judge, items: list[Item], prompts: list[str], seeds: list[int],
    path: Callable[[Item, str, int], Path],
) -> list[Scored]:  # fmt: skip
    """Every picture that `path` names."""
    result = []
    for item in items:
        mask, row = item.mask(), item.row
        reference = np.asarray(Image.open(item.picture("references")).convert("RGB"))
        for prompt in prompts:
            for seed in seeds:
                picture = Image.open(path(item, prompt, seed)).convert("RGB")
                verdict = judge.judge(picture, mask, item.camera)
                right = compare(item.asked(prompt), verdict.said)
                about = (item.name, row["category"], row["bucket"], row["attribute"])
                measured = seams(np.asarray(picture), reference, mask)
                result.append(Scored(*about, prompt, seed, right, verdict.said, measured))
    return result
