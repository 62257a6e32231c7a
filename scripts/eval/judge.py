"""The attribute judge: what is in the masked part of a picture.

Two small networks of the same make, trained on renders only. The finder sees a window around the
mask and says whether there is a thing and where. The reader sees a window around that place, as
large as the thing, and says what it is; it corrects the place, and looks a second time. The size
comes from the corrected box and the camera (Ruler).

SPDX-License-Identifier: Apache-2.0
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..scenes import regions
from ..scenes import vocabulary as words
from .camera import Camera, height_of
from .crops import SIDE, Box, Window, crop, outside, window_around
from .judge_data import ANSWERS

FORMAT = "imagen-editor-judge"
ROOM = {"finder": 1.2, "reader": 1.4}  # a window's side in longer sides of the box inside
WIDTHS = (24, 48, 96, 128)
LOOKS = 2


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(x)))


class Net(nn.Module):
    """Crops [N, 4, SIDE, SIDE] in [-1, 1] to `outputs` numbers and a box [N, 4].

    Where something is says the last map as a whole; what it is made of, the mean and the maximum of
    the one before.
    """

    def __init__(self, outputs: int):
        super().__init__()
        self.outputs = outputs
        stem = nn.Conv2d(4, WIDTHS[0], 5, stride=2, padding=2, bias=False)
        layers = [nn.Sequential(stem, nn.BatchNorm2d(WIDTHS[0]), nn.ReLU())]
        layers += [Block(a, b) for a, b in zip(WIDTHS, WIDTHS[1:])]
        *body, self.last = layers
        self.body = nn.Sequential(*body)
        places = (SIDE >> len(WIDTHS)) ** 2
        self.mix = nn.Linear(WIDTHS[-1] * places, 192)
        self.head = nn.Linear(192 + 2 * WIDTHS[-2], outputs + 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        where = F.relu(self.mix(self.last(h).flatten(1)))
        what = torch.cat([where, h.mean((2, 3)), h.amax((2, 3))], 1)
        out = self.head(F.dropout(what, 0.2, self.training)).float()
        return out[:, : self.outputs], out[:, self.outputs :]


def new_nets() -> dict[str, Net]:
    return {"finder": Net(1), "reader": Net(sum(map(len, ANSWERS.values())))}


def split(logits: Tensor) -> dict[str, Tensor]:
    """The reader's numbers by question."""
    sizes = [len(options) for options in ANSWERS.values()]
    return dict(zip(ANSWERS, logits.split(sizes, dim=-1)))


def prepared(crops: np.ndarray | Tensor) -> Tensor:
    """u8 [N, SIDE, SIDE, 4] to f32 [N, 4, SIDE, SIDE] in [-1, 1]."""
    return torch.as_tensor(crops).permute(0, 3, 1, 2).float() * (2 / 255) - 1


class Ruler:
    """Measured heights to sizes. For each kind, how high one of scale 1 measures: a median."""

    def __init__(self, units: dict[str, float]):
        self.units = units

    @staticmethod
    def fit(measured: dict[str, list[float]]) -> "Ruler":
        """`measured`: by kind, heights divided by the true scale."""
        return Ruler({kind: float(np.median(values)) for kind, values in measured.items()})

    def size(self, kind: str, height: float) -> str:
        """The nearest size by ratio; "" is the middle one."""
        if not 0 < height < math.inf or kind not in self.units:
            return "unknown"
        scale = math.log(height / self.units[kind])
        return min(words.SIZES, key=lambda name: abs(math.log(words.SIZES[name]) - scale))


@dataclass
class Verdict:
    present: bool
    said: dict[str, str]  # an answer to every question, and "size"
    box: Box  # where it is, in pixels


class Judge:
    def __init__(self, nets: dict[str, Net], ruler: Ruler):
        self.nets = {name: net.eval() for name, net in nets.items()}
        self.ruler = ruler

    def save(self, path: Path, report: dict) -> None:
        state = {name: net.state_dict() for name, net in self.nets.items()}
        content = {"format": FORMAT, "nets": state, "units": self.ruler.units, "report": report}
        partial = path.with_suffix(".part")
        torch.save(content, partial)
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> "Judge":
        content = torch.load(path, weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"{path}: is no judge of scripts.eval.train_judge")
        nets = new_nets()
        for name, net in nets.items():
            net.load_state_dict(content["nets"][name])
        return Judge(nets, Ruler(content["units"]))

    @torch.no_grad()
    def look(self, name: str, picture: Image.Image, mask: Image.Image, window: Window):
        """Numbers and box of one window, the box in pixels."""
        numbers, part = self.nets[name](prepared(crop(picture, mask, window)[None]))
        return numbers[0], outside(part[0].numpy(), window)

    def judge(self, picture: Image.Image, mask: np.ndarray, camera: Camera) -> Verdict:
        """What the masked part of a square picture shows."""
        size = picture.width
        grey = Image.fromarray(mask.astype(np.uint8) * 255)
        place = tuple(float(v) for v in regions.bounds(mask))
        score, box = self.look("finder", picture, grey, window_around(place, size, ROOM["finder"]))
        for _ in range(LOOKS):
            window = window_around(within(box, size), size, ROOM["reader"])
            numbers, box = self.look("reader", picture, grey, window)
        said = {q: ANSWERS[q][int(x.argmax())] for q, x in split(numbers).items()}
        parts = tuple(edge / size for edge in box)
        said["size"] = self.ruler.size(said["kind"], height_of(camera, parts))
        return Verdict(bool(score[0] > 0), said, box)


def within(box: Box, size: int) -> Box:
    """The part of a box that is in the picture, at least a few pixels of it."""
    left, top, right, bottom = (min(max(edge, 0), size) for edge in box)
    return min(left, size - 4), min(top, size - 4), max(right, left + 4), max(bottom, top + 4)


