"""Train the attribute judge on renders, and say how often it is right on renders it never saw.

    python3 -m scripts.eval.train_judge --renders data/scenes --seed 1 --output out/judge

The two networks learn at the same time, each on one core. The last scenes of the set are held out,
and --test adds the references of a test set with its own masks. OUTPUT/judge.pt is the judge,
OUTPUT/accuracy.md and .json the report.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..scenes import regions
from ..scenes import vocabulary as words
from . import items
from .camera import height_of
from .crops import Box, Window, crop, inside, window_around
from .intervals import wilson
from .judge import GRID, ROOM, Finder, Judge, Ruler, middles, new_nets, prepared, split, within
from .judge_data import ANSWERS, Empties, Region, Renders, camera_of, regions_of

BATCH, RATE, DECAY = 64, 3e-3, 0.05
EMPTY = 0.4  # share of the masks that are laid over an empty place too
IGNORED = -100  # a label that does not count
SPREAD = 1.0  # in cells, of the heat around a middle


# ---- samples ------------------------------------------------------------------------------------


def jittered(rng: random.Random, box: Box) -> Box:
    """A box as the finder might have found it."""
    left, top, right, bottom = box
    spread = 0.1 * max(right - left, bottom - top)
    return tuple(edge + rng.gauss(0, spread) for edge in (left, top, right, bottom))


def blurred(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Sometimes as soft as an enlarged picture: what is judged was made at 64 pixels first."""
    if rng.random() < 0.7:
        return picture
    side = int(picture.width * rng.uniform(0.5, 0.9))
    return picture.resize((side, side), Image.BOX).resize(picture.size, Image.BILINEAR)


class Samples:
    """Crops with the boxes that they show, [MOST, 4] in parts of the window, NaN where unused."""

    MOST = len(words.COUNTS)

    def __init__(self) -> None:
        self.crops: list[np.ndarray] = []
        self.boxes: list[np.ndarray] = []
        self.labels: list[list[int]] = []

    def add(self, picture: Image.Image, region: Region, window: Window, shown: list[Box]) -> None:
        grey = Image.fromarray(region.mask.astype(np.uint8) * 255)
        boxes = np.full((self.MOST, 4), np.nan, np.float32)
        for i, box in enumerate(shown):
            boxes[i] = inside(box, window)
        self.crops.append(crop(picture, grey, window))
        self.boxes.append(boxes)
        truth = region.truth
        self.labels.append([
            options.index(truth[q]) if truth.get(q) else IGNORED for q, options in ANSWERS.items()
        ])  # fmt: skip

    def tensors(self) -> list[Tensor]:
        """Crops u8 [N, SIDE, SIDE, 4], boxes [N, MOST, 4], labels [N, questions]."""
        crops, boxes = np.stack(self.crops), np.stack(self.boxes)
        return [torch.from_numpy(crops), torch.from_numpy(boxes), torch.tensor(self.labels)]


def add(name: str, samples: Samples, rng: random.Random, picture: Image.Image, region: Region):
    """The finder gets the whole mask, but is not asked where several groups are masked; the reader
    every thing."""
    soft, size = blurred(rng, picture), picture.width
    if name == "reader":
        for box in region.boxes:
            window = window_around(within(jittered(rng, box), size), size, ROOM[name])
            samples.add(soft, region, window, [box])
    elif region.clear:
        window = window_around(regions.bounds(region.mask), size, ROOM[name])
        samples.add(soft, region, window, region.boxes)


def collect(name: str, renders: Renders, numbers: range, masks: int, seed: int) -> Samples:
    """For one network: `masks` times every group of the scenes, and for the finder empty places."""
    samples = Samples()
    empties = Empties(renders, numbers) if name == "finder" else None
    for number in numbers:
        rng = random.Random(f"{seed}/{number}")
        picture = renders.picture(number)
        for _ in range(masks):
            for region in regions_of(renders, number, rng):
                add(name, samples, rng, picture, region)
                wanted = empties and region.clear and rng.random() < EMPTY
                empty = empties.region(region.mask, rng) if wanted else None
                if empty:
                    add(name, samples, rng, renders.picture(empty.number), empty)
    return samples


def fit_ruler(renders: Renders, numbers: range) -> Ruler:
    """From the true boxes of single things that are wholly in the picture."""
    measured = defaultdict(list)
    for number in numbers:
        camera, size = camera_of(renders.scene(number)), renders.groups(number).shape[0]
        for region in regions_of(renders, number, random.Random(number)):
            if region.usable and region.truth["count"] == "1":
                parts = tuple(edge / size for edge in region.boxes[0])
                scale = words.SIZES[region.truth["size"]]
                measured[region.truth["kind"]].append(height_of(camera, parts) / scale)
    return Ruler.fit(measured)


# ---- training -----------------------------------------------------------------------------------


def augmented(x: Tensor, boxes: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrored where `flip`, other exposure and contrast, some noise. The mask stays as it is."""
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    left, top, right, bottom = boxes.unbind(-1)
    mirrored = torch.stack([1 - right, top, 1 - left, bottom], -1)
    boxes = torch.where(flip[:, None, None], mirrored, boxes)
    shape = (len(x), 1, 1, 1)
    colour = x[:, :3] * (1 + 0.12 * torch.randn(shape)) + 0.06 * torch.randn(shape)
    colour = colour + 0.04 * torch.rand(shape) * torch.randn_like(colour)
    return torch.cat([colour, x[:, 3:]], 1), boxes


def targets(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the finder should say of boxes [N, MOST, 4].

    Heat [N, GRID, GRID], 1 in the cell of a middle and falling off around it; the boxes [N, 4,
    GRID, GRID] counted from the cells' middles; and where those are asked for, [N, GRID, GRID].
    """
    used = ~boxes.isnan().any(-1)
    boxes = boxes.nan_to_num()
    cells = ((boxes[..., :2] + boxes[..., 2:]) / 2 * GRID - 0.5).round().clamp(0, GRID - 1)
    at = torch.arange(GRID)
    x = (at - cells[..., :1])[:, :, None, :]  # [N, MOST, 1, GRID]
    y = (at - cells[..., 1:])[:, :, :, None]
    heat = (-(x**2 + y**2) / (2 * SPREAD**2)).exp() * used[:, :, None, None]
    heat, nearest = heat.max(1)
    rows = torch.arange(len(boxes))[:, None, None]
    offsets = boxes[rows, nearest].permute(0, 3, 1, 2) - middles()
    return heat, offsets, heat > 0.55


def finder_loss(found: Tensor, boxes: Tensor) -> Tensor:
    """Focal loss of the heat (of a cell that is not a middle it counts less the nearer it is to
    one), and the distance of the boxes around the middles."""
    heat, offsets, asked = targets(boxes)
    score = found[:, 0]
    chance = score.sigmoid()
    sure = heat == 1
    hit = -((1 - chance) ** 2) * F.logsigmoid(score) * sure
    miss = -((1 - heat) ** 4) * chance**2 * F.logsigmoid(-score) * ~sure
    things = sure.sum().clamp(min=1)
    far = F.smooth_l1_loss(found[:, 1:], offsets, beta=0.03, reduction="none").mean(1)
    return (hit + miss).sum() / things + 10 * (far * asked).sum() / asked.sum().clamp(min=1)


def reader_loss(found: tuple[Tensor, Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
    numbers, parts = found
    total = 10 * F.smooth_l1_loss(parts, boxes[:, 0], beta=0.03)
    for i, part in enumerate(split(numbers).values()):
        if (labels[:, i] != IGNORED).any():
            total = total + F.cross_entropy(
                part, labels[:, i], ignore_index=IGNORED, label_smoothing=0.02
            )
    return total


def loss_of(net: nn.Module, batch: list[Tensor]) -> Tensor:
    crops, boxes, labels = batch
    x, boxes = augmented(prepared(crops), boxes, torch.rand(len(crops)) < 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        found = net(x.contiguous(memory_format=torch.channels_last))
    if isinstance(net, Finder):
        return finder_loss(found, boxes)
    return reader_loss(found, boxes, labels)


def train(name: str, net: nn.Module, samples: Samples, epochs: int) -> None:
    data = samples.tensors()
    steps = epochs * (len(data[0]) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=max(steps, 2), pct_start=0.15
    )
    net.to(memory_format=torch.channels_last)
    for epoch in range(epochs):
        order, losses = torch.randperm(len(data[0])), []
        for first in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[first : first + BATCH]
            loss = loss_of(net, [part[rows] for part in data])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        mean, seconds = sum(losses) / max(len(losses), 1), time.process_time()
        print(f"judge: {name} epoch {epoch + 1} of {epochs}, loss {mean:.3f}, {seconds:.0f} CPU s",
              flush=True)  # fmt: skip


def trained(name: str, options: argparse.Namespace, known: int) -> nn.Module:
    """One network, in a process of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    renders = Renders(options.renders, options.seed)
    samples = collect(name, renders, range(known), options.masks, options.seed)
    print(f"judge: {name} learns from {len(samples.crops)} crops", flush=True)
    net = new_nets()[name]
    train(name, net, samples, options.epochs)
    return net


# ---- its own accuracy ---------------------------------------------------------------------------


class Tally:
    """How often an answer was right, by attribute; and the answers that were confused."""

    def __init__(self) -> None:
        self.right: dict[str, list[bool]] = defaultdict(list)
        self.confused: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, attribute: str, said: str, truth: str) -> None:
        self.right[attribute].append(said == truth)
        if said != truth:
            self.confused[attribute][f"{truth} as {said}"] += 1

    def report(self) -> dict:
        result = {}
        for name, values in self.right.items():
            low, high = wilson(sum(values), len(values))
            worst = sorted(self.confused[name].items(), key=lambda pair: -pair[1])[:6]
            result[name] = {
                "right": sum(values) / len(values),
                "low": low,
                "high": high,
                "count": len(values),
                "confused": dict(worst),
            }
        return result


def judgeable(truth: dict[str, str]) -> dict[str, str]:
    """What a picture of these things can be asked for."""
    names = ("kind", "count", "size", "colour", "material")
    return {n: truth[n] for n in names if n in truth and (truth[n] or n == "size")}


def check_renders(judge: Judge, renders: Renders, numbers: range, seed: int) -> dict:
    """Things and as many empty places, with masks drawn as a user would."""
    tally, empties = Tally(), Empties(renders, numbers)
    for number in numbers:
        rng = random.Random(f"{seed}/check/{number}")
        things = [r for r in regions_of(renders, number, rng) if r.clear and r.usable]
        for region in things:
            for one in (region, empties.region(region.mask, rng)):
                if one is None:
                    continue
                camera = camera_of(renders.scene(one.number))
                verdict = judge.judge(renders.picture(one.number), one.mask, camera)
                tally.add("present", str(verdict.present), str(bool(one.boxes)))
                for name, truth in judgeable(one.truth).items():
                    tally.add(name, verdict.said.get(name, "nothing"), truth)
    return tally.report()


def check_test_set(judge: Judge, folder: Path) -> dict:
    """On the references, and whether the scenes without the object are called empty."""
    tally = Tally()
    for item in items.read(folder):
        for kind, there in (("references", True), ("empties", False)):
            picture = Image.open(item.picture(kind)).convert("RGB")
            verdict = judge.judge(picture, item.mask(), item.camera)
            tally.add("present", str(verdict.present), str(there))
            for name, truth in judgeable(item.row if there else {}).items():
                tally.add(name, verdict.said.get(name, "nothing"), truth)
    return tally.report()


def table(title: str, report: dict) -> str:
    lines = [f"{title}\n", "| attribute | right | 95 % interval | of | most confused |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, row in report.items():
        confused = ", ".join(f"{pair} ({n})" for pair, n in list(row["confused"].items())[:3])
        lines.append(
            f"| {name} | {100 * row['right']:.1f} % | {100 * row['low']:.1f} to"
            f" {100 * row['high']:.1f} | {row['count']} | {confused} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renders", type=Path, required=True, help="a set of scripts.scenes")
    parser.add_argument("--seed", type=int, default=1, help="the seed it was rendered with")
    parser.add_argument("--test", type=Path, help="a test set to be checked on too")
    parser.add_argument("--output", type=Path, required=True, help="the judge's folder")
    parser.add_argument("--held-out", type=int, default=400, help="scenes at the set's end")
    parser.add_argument("--masks", type=int, default=2, help="drawn around every group")
    parser.add_argument("--epochs", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        renders = Renders(options.renders, options.seed)
        known = len(renders) - options.held_out
        if known < BATCH:
            raise ValueError(f"{options.renders}: {known} scenes are left to learn from")
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            work = {name: pool.submit(trained, name, options, known) for name in ROOM}
            nets = {name: future.result() for name, future in work.items()}
        judge = Judge(nets, fit_ruler(renders, range(min(known, 1500))))
        unseen = range(known, len(renders))
        report = {"renders": check_renders(judge, renders, unseen, options.seed)}
        text = table(f"On {len(unseen)} scenes it was not trained on:", report["renders"])
        if options.test:
            report["test set"] = check_test_set(judge, options.test)
            text += "\n" + table("On the test set's references:", report["test set"])
        report["seconds"] = round(time.monotonic() - begin)
        judge.save(options.output / "judge.pt", report)
        (options.output / "accuracy.json").write_text(json.dumps(report, indent=2) + "\n")
        (options.output / "accuracy.md").write_text(text)
    except (OSError, ValueError) as error:
        print(f"judge: {error}", file=sys.stderr)
        return 2
    print(f"{text}\n{report['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
