"""Train the attribute judge on renders, and say how often it is right on renders it never saw.

    python3 -m scripts.eval.train_judge --renders data/scenes --seed 1 --output out/judge

One core is enough. The last scenes of the set are held out, and --test adds the references of a
test set with its own masks. OUTPUT/judge.pt is the judge, OUTPUT/accuracy.md and .json the report.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..scenes import regions
from ..scenes import vocabulary as words
from . import items
from .camera import height_of
from .crops import Box, crop, inside, window_around
from .intervals import wilson
from .judge import ROOM, Judge, Net, Ruler, new_nets, prepared, split
from .judge_data import ANSWERS, Empties, Region, Renders, camera_of, regions_of

BATCH, RATE, DECAY = 64, 3e-3, 0.05
EMPTY = 0.4  # share of the masks that are laid over an empty place too
IGNORED = -100  # a label that does not count


# ---- samples ------------------------------------------------------------------------------------


def jittered(rng: random.Random, box: Box) -> Box:
    """A box as the finder might have found it."""
    left, top, right, bottom = box
    spread = 0.1 * max(right - left, bottom - top)
    return tuple(edge + rng.gauss(0, spread) for edge in (left, top, right, bottom))


def somewhere(rng: random.Random, mask: np.ndarray) -> Box:
    """A box in a mask with nothing in it."""
    left, top, right, bottom = regions.bounds(mask)
    width, height = (rng.uniform(0.25, 0.9) * v for v in (right - left, bottom - top))
    x, y = rng.uniform(left, right - width), rng.uniform(top, bottom - height)
    return x, y, x + width, y + height


def blurred(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Sometimes as soft as an enlarged picture: what is judged was made at 64 pixels first."""
    if rng.random() < 0.7:
        return picture
    side = int(picture.width * rng.uniform(0.5, 0.9))
    return picture.resize((side, side), Image.BOX).resize(picture.size, Image.BILINEAR)


class Samples:
    """Crops and labels of both networks."""

    def __init__(self) -> None:
        self.crops: dict[str, list[np.ndarray]] = {"finder": [], "reader": []}
        self.boxes: dict[str, list[np.ndarray]] = {"finder": [], "reader": []}
        self.present: list[bool] = []
        self.labels: list[list[int]] = []

    def add(self, rng: random.Random, picture: Image.Image, region: Region) -> None:
        soft, size = blurred(rng, picture), picture.width
        grey = Image.fromarray(region.mask.astype(np.uint8) * 255)
        guess = jittered(rng, region.box) if region.box else somewhere(rng, region.mask)
        seen = {"finder": regions.bounds(region.mask), "reader": guess}
        for name, around in seen.items():
            window = window_around(around, size, ROOM[name])
            self.crops[name].append(crop(soft, grey, window))
            self.boxes[name].append(inside(region.box or guess, window))
        self.present.append(region.box is not None)
        truth = {**region.truth, "count": region.truth["count"] or "1"}
        self.labels.append([ANSWERS[q].index(truth[q]) for q in ANSWERS])

    def tensors(self, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops u8 [N, SIDE, SIDE, 4], boxes [N, 4], present [N], labels [N, questions]."""
        crops, boxes = np.stack(self.crops[name]), np.stack(self.boxes[name])
        return (
            torch.from_numpy(crops),
            torch.from_numpy(boxes),
            torch.tensor(self.present),
            torch.tensor(self.labels),
        )


def collect(renders: Renders, numbers: range, masks: int, seed: int) -> Samples:
    """`masks` times every group of the scenes, and empty places."""
    samples, empties = Samples(), Empties(renders, numbers)
    for number in numbers:
        rng = random.Random(f"{seed}/{number}")
        picture = renders.picture(number)
        for _ in range(masks):
            for region in regions_of(renders, number, rng):
                samples.add(rng, picture, region)
                empty = empties.region(region.mask, rng) if rng.random() < EMPTY else None
                if empty:
                    samples.add(rng, renders.picture(empty.number), empty)
    return samples


def fit_ruler(renders: Renders, numbers: range) -> Ruler:
    """From the true boxes of single things that are wholly in the picture."""
    measured = defaultdict(list)
    for number in numbers:
        scene = renders.scene(number)
        size = renders.groups(number).shape[0]
        for region in regions_of(renders, number, random.Random(number)):
            if region.whole and region.truth["count"] == "1":
                parts = tuple(edge / size for edge in region.box)
                scale = words.SIZES[region.truth["size"]]
                height = height_of(camera_of(scene), parts)
                measured[region.truth["kind"]].append(height / scale)
    return Ruler.fit(measured)


# ---- training -----------------------------------------------------------------------------------


def augmented(x: Tensor, boxes: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrored where `flip`, other exposure and contrast, some noise. The mask stays as it is."""
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    left, top, right, bottom = boxes.unbind(1)
    mirrored = torch.stack([1 - right, top, 1 - left, bottom], 1)
    boxes = torch.where(flip[:, None], mirrored, boxes)
    shape = (len(x), 1, 1, 1)
    colour = x[:, :3] * (1 + 0.12 * torch.randn(shape)) + 0.06 * torch.randn(shape)
    colour = colour + 0.04 * torch.rand(shape) * torch.randn_like(colour)
    return torch.cat([colour, x[:, 3:]], 1), boxes


def loss_of(name: str, net: Net, batch: list[Tensor]) -> Tensor:
    crops, boxes, present, labels = batch
    flip = torch.rand(len(crops)) < 0.5
    x, boxes = augmented(prepared(crops), boxes, flip)
    with torch.autocast("cpu", torch.bfloat16):
        numbers, found = net(x.contiguous(memory_format=torch.channels_last))
    near = F.smooth_l1_loss(found[present], boxes[present], beta=0.03) * 10
    if name == "finder":
        return near + F.binary_cross_entropy_with_logits(numbers[:, 0], present.float())
    labels = labels.clone()
    labels[~present, list(ANSWERS).index("count")] = IGNORED
    return near + sum(
        F.cross_entropy(part, labels[:, i], ignore_index=IGNORED, label_smoothing=0.02)
        for i, part in enumerate(split(numbers).values())
    )


def train(name: str, net: Net, samples: Samples, epochs: int) -> None:
    data = samples.tensors(name)
    steps = epochs * (len(data[0]) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=max(steps, 2), pct_start=0.15
    )
    net.to(memory_format=torch.channels_last)
    begin, done, total = time.monotonic(), 0, 0.0
    for epoch in range(epochs):
        order = torch.randperm(len(data[0]))
        for first in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[first : first + BATCH]
            loss = loss_of(name, net, [part[rows] for part in data])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            done, total = done + 1, total + loss.item()
        seconds = time.monotonic() - begin
        print(f"judge: {name} epoch {epoch + 1} of {epochs}, loss {total / max(done, 1):.3f},"
              f" {seconds:.0f} s", flush=True)  # fmt: skip
        done, total = 0, 0.0


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
    """The attributes a picture of this thing can be asked for (README.md: what is left out)."""
    asked = {"kind": truth["kind"], "count": truth["count"]}
    for name in ("colour", "material"):
        if truth[name]:
            asked[name] = truth[name]
    if truth["count"] == "1":
        asked["size"] = truth["size"]
    return asked


def check_renders(judge: Judge, renders: Renders, numbers: range, seed: int) -> dict:
    """Things and as many empty places, with masks drawn as a user would."""
    tally, empties = Tally(), Empties(renders, numbers)
    for number in numbers:
        rng = random.Random(f"{seed}/check/{number}")
        for region in regions_of(renders, number, rng):
            for one in (region, empties.region(region.mask, rng)):
                if one is None:
                    continue
                camera = camera_of(renders.scene(one.number))
                verdict = judge.judge(renders.picture(one.number), one.mask, camera)
                tally.add("present", str(verdict.present), str(one.box is not None))
                for name, truth in judgeable(one.truth).items() if one.box else ():
                    if name != "size" or one.whole:
                        tally.add(name, verdict.said[name], truth)
    return tally.report()


def check_test_set(judge: Judge, folder: Path) -> dict:
    """On the references, and whether the scenes without the object are called empty."""
    tally = Tally()
    for item in items.read(folder):
        for kind, there in (("references", True), ("empties", False)):
            picture = Image.open(item.picture(kind)).convert("RGB")
            verdict = judge.judge(picture, item.mask(), item.camera)
            tally.add("present", str(verdict.present), str(there))
            for name, truth in judgeable(item.row).items() if there else ():
                tally.add(name, verdict.said[name], truth)
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
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    begin = time.monotonic()
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        renders = Renders(options.renders, options.seed)
        known = len(renders) - options.held_out
        if known < BATCH:
            raise ValueError(f"{options.renders}: {known} scenes are left to learn from")
        samples = collect(renders, range(known), options.masks, options.seed)
        print(f"judge: {len(samples.present)} crops, {time.monotonic() - begin:.0f} s", flush=True)
        nets = new_nets()
        for name, net in nets.items():
            train(name, net, samples, options.epochs if name == "reader" else options.epochs // 2)
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
