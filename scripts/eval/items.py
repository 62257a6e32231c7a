"""The test set as scripts/scenes/testset.py writes it, and what its prompts ask for.

SPDX-License-Identifier: Apache-2.0
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..scenes import vocabulary as words
from .camera import Camera

PROMPTS = ("mask-simple", "mask-rich", "full")
ATTRIBUTES = ("kind", "colour", "material", "size", "count")


@dataclass
class Item:
    """One masked picture with its three prompts and its ground truth."""

    folder: Path
    row: dict[str, str]

    @property
    def name(self) -> str:
        return self.row["aos"]

    def picture(self, kind: str) -> Path:
        """`kind`: references, empties or masks."""
        return self.folder / f"{kind}_generated" / f"{self.name}.png"

    def mask(self) -> np.ndarray:
        return np.asarray(Image.open(self.picture("masks")).convert("L")) >= 128

    def prompt(self, kind: str) -> str:
        return self.row[f"prompt_{kind}"]

    @property
    def camera(self) -> Camera:
        names = ("height", "distance", "angle")
        return Camera(*(float(self.row[f"camera_{name}"]) for name in names))

    def asked(self, prompt: str) -> dict[str, str]:
        """The attributes that a prompt names and a picture can be judged by, with their values.

        `kind` is always asked for; of a primitive it is its shape. What a sign says is not judged.
        """
        row = self.row
        result = {"kind": row["kind"]}
        if int(row["count"]) > 1:
            result["count"] = row["count"]
        rich = prompt != "mask-simple"
        for name in ("colour", "material", "size"):
            if row[name] and (rich or row["attribute"] == name):
                result[name] = row[name]
        return result


def read(folder: Path) -> list[Item]:
    path = folder / "annotations_generated.csv"
    with open(path, newline="", encoding="utf-8") as file:
        items = [Item(folder, row) for row in csv.DictReader(file)]
    for item in items:
        unknown = item.row.get("kind", "") not in (*words.SHAPES, *words.OBJECTS, "sign")
        if unknown or item.row["attribute"] not in ("shape", *ATTRIBUTES):
            raise ValueError(f"{path}: {item.name} is not a line of scripts/scenes/testset.py")
    if not items:
        raise ValueError(f"{path}: no items")
    return items
