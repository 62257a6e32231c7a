"""The attribute judge: what is in the masked part of a picture.

Two small networks, trained on renders only. The finder sees a window around the mask and says where
in it things are, and how large; so it also says how many, and whether there is anything. The reader
sees a window around one of them, as large as the thing, and says what it is; it corrects the box,
and looks a second time. The size comes from the corrected box and the camera (Ruler).

SPDX-License-Identifier: Apache-2.0
"""

import math
from dataclasses import dataclass, field
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
GRID = SIDE // 2  # cells of the finder's map
LOOKS = 2
SURE = 0.28  # a peak of the finder's map is a thing from here on
SAME = 0.55  # two boxes that share so much of their union are one thing


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


def stem() -> nn.Sequential:
    conv = nn.Conv2d(4, WIDTHS[0], 5, stride=2, padding=2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(WIDTHS[0]), nn.ReLU())


class Finder(nn.Module):
    """Crops [N, 4, SIDE, SIDE] in [-1, 1] to a map [N, 5, GRID, GRID].

    Of every cell: whether a thing has its middle there (a logit), and its left, top, right and
    bottom, counted from the cell's middle in parts of the window.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = stem()
        self.down = nn.ModuleList(Block(a, b) for a, b in zip(WIDTHS, WIDTHS[1:]))
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, a, 1, bias=False), nn.BatchNorm2d(a))
            for a, b in zip(WIDTHS, WIDTHS[1:])
        )
        self.join = nn.Sequential(
            nn.Conv2d(WIDTHS[0], 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()
        )
        self.head = nn.Conv2d(32, 5, 1)
        nn.init.constant_(self.head.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for block in self.down:
            maps.append(block(maps[-1]))
        h = maps.pop()
        for up in reversed(self.up):
            h = F.relu(F.interpolate(up(h), scale_factor=2.0) + maps.pop())
        return self.head(self.join(h)).float()


class Reader(nn.Module):
    """Crops to the answers [N, all of them] and a box [N, 4] in parts of the window.

    Where things are says the last map as a whole; what they are made of, the mean and the maximum
    of the one before.
    """

    def __init__(self) -> None:
        super().__init__()
        *blocks, self.last = [Block(a, b) for a, b in zip(WIDTHS, WIDTHS[1:])]
        self.body = nn.Sequential(stem(), *blocks)
        places = (SIDE >> len(WIDTHS)) ** 2
        self.mix = nn.Linear(WIDTHS[-1] * places, 192)
        self.answers = sum(map(len, ANSWERS.values()))
        self.head = nn.Linear(192 + 2 * WIDTHS[-2], self.answers + 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        where = F.relu(self.mix(self.last(h).flatten(1)))
        what = torch.cat([where, h.mean((2, 3)), h.amax((2, 3))], 1)
        out = self.head(F.dropout(what, 0.2, self.training)).float()
        return out[:, : self.answers], out[:, self.answers :]


def new_nets() -> dict[str, nn.Module]:
    return {"finder": Finder(), "reader": Reader()}


def split(logits: Tensor) -> dict[str, Tensor]:
    """The reader's numbers by question."""
    sizes = [len(options) for options in ANSWERS.values()]
    return dict(zip(ANSWERS, logits.split(sizes, dim=-1)))


def prepared(crops: np.ndarray | Tensor) -> Tensor:
    """u8 [N, SIDE, SIDE, 4] to f32 [N, 4, SIDE, SIDE] in [-1, 1]."""
    return torch.as_tensor(crops).permute(0, 3, 1, 2).float() * (2 / 255) - 1


def middles() -> Tensor:
    """x, y, x, y of every cell's middle in parts of the window, [4, GRID, GRID]."""
    at = (torch.arange(GRID) + 0.5) / GRID
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y, x, y])


def peaks(found: Tensor) -> list[tuple[float, Tensor]]:
    """Score and box, in parts of the window, of the things in one map [5, GRID, GRID]."""
    score = found[0].sigmoid()
    highest = F.max_pool2d(score[None], 3, stride=1, padding=1)[0]
    boxes = found[1:] + middles()
    cells = torch.nonzero((score == highest) & (score > SURE)).tolist()
    return [(float(score[row, column]), boxes[:, row, column]) for row, column in cells]


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
    said: dict[str, str] = field(default_factory=dict)  # answers, "size", "count"; empty: nothing
    boxes: list[Box] = field(default_factory=list)  # of the things, in pixels

    @property
    def present(self) -> bool:
        return bool(self.boxes)


class Judge:
    def __init__(self, nets: dict[str, nn.Module], ruler: Ruler):
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
    def judge(self, picture: Image.Image, mask: np.ndarray, camera: Camera) -> Verdict:
        """What the masked part of a square picture shows.

        Of several things the most answers count together: the reader's numbers are added.
        """
        grey = Image.fromarray(mask.astype(np.uint8) * 255)
        boxes = self.find(picture, grey, mask)
        if not boxes:
            return Verdict()
        numbers, boxes = self.read(picture, grey, boxes)
        kept = distinct(boxes)
        boxes = [boxes[i] for i in kept]
        answers = {q: x.log_softmax(-1).sum(0) for q, x in split(numbers[kept]).items()}
        said = {q: ANSWERS[q][int(x.argmax())] for q, x in answers.items()}
        said["count"] = str(len(boxes))
        size = picture.width
        heights = [height_of(camera, tuple(edge / size for edge in box)) for box in boxes]
        said["size"] = self.ruler.size(said["kind"], float(np.median(heights)))
        return Verdict(said, boxes)

    def find(self, picture: Image.Image, grey: Image.Image, mask: np.ndarray) -> list[Box]:
        """The things whose middle is masked, the surest first."""
        window = window_around(regions.bounds(mask), picture.width, ROOM["finder"])
        found = peaks(self.nets["finder"](prepared(crop(picture, grey, window)[None]))[0])
        ordered = sorted(found, key=lambda pair: -pair[0])
        boxes = [within(outside(part.tolist(), window), picture.width) for _, part in ordered]
        hidden = [mask[int((b[1] + b[3]) / 2), int((b[0] + b[2]) / 2)] for b in boxes]
        return [box for box, there in zip(boxes, hidden) if there]

    def read(self, picture: Image.Image, grey: Image.Image, boxes: list[Box]):
        """The reader's numbers [things, answers] and its boxes."""
        for _ in range(LOOKS):
            windows = [window_around(box, picture.width, ROOM["reader"]) for box in boxes]
            crops = np.stack([crop(picture, grey, window) for window in windows])
            numbers, parts = self.nets["reader"](prepared(crops))
            pairs: list[tuple[list[float], Window]] = list(zip(parts.tolist(), windows))
            boxes = [within(outside(part, window), picture.width) for part, window in pairs]
        return numbers, boxes


def within(box: Box, size: int) -> Box:
    """The part of a box that is in the picture, at least a few pixels of it."""
    left, top, right, bottom = (min(max(edge, 0.0), float(size)) for edge in box)
    left, top = min(left, size - 4.0), min(top, size - 4.0)
    return left, top, max(right, left + 4), max(bottom, top + 4)


def overlap(a: Box, b: Box) -> float:
    """The part of the boxes' union that both cover."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - both)


def distinct(boxes: list[Box]) -> list[int]:
    """Numbers of the boxes without those that show the same thing as an earlier one."""
    kept: list[int] = []
    for i, box in enumerate(boxes):
        if all(overlap(box, boxes[k]) < SAME for k in kept):
            kept.append(i)
    return kept
