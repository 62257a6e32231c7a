"""How often the judge is right: on renders it did not learn from, and on a test set's references.

SPDX-License-Identifier: Apache-2.0
"""

import random
from collections import defaultdict
from pathlib import Path

from PIL import Image

from . import items
from .intervals import wilson
from .judge import Judge
from .judge_data import Empties, Renders, camera_of, regions_of


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
