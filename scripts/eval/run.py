"""Edits of the test set by the `imagen-editor` binary: items x prompts x seeds, into one folder.

    OUTPUT/run.json                     what was run: model, options, input
    OUTPUT/pictures/<aos>/<prompt>-<seed>.png
    OUTPUT/times.jsonl                  seconds of every edit

It may be killed and run again: pictures that are there are kept, and carry their name only when
they are complete. Another model or other options in the same folder are refused.

SPDX-License-Identifier: Apache-2.0
"""

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from .items import Item


@dataclass
class Plan:
    """What is edited, by which model, and how."""

    binary: Path
    model: Path
    options: list[str]  # more options of `imagen-editor edit`
    source: str  # references: the object is there, behind the mask; empties: it never was
    prompts: list[str]
    seeds: list[int]
    stage: str = ""  # whose picture, enlarged and pasted, takes the place of the result


def picture_path(output: Path, item: Item, prompt: str, seed: int) -> Path:
    return output / "pictures" / item.name / f"{prompt}-{seed}.png"


def model_digest(model: Path) -> str:
    """Of the files of a model but its card, so that a folder of results belongs to one."""
    digest = hashlib.sha256()
    for path in sorted(p for p in model.rglob("*") if p.is_file() and p.name != "README.md"):
        digest.update(str(path.relative_to(model)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def claim(output: Path, plan: Plan) -> None:
    """Say in the folder what it is for."""
    said = {"model": model_digest(plan.model), "options": plan.options, "source": plan.source}
    if plan.stage:
        said["stage"] = plan.stage
    path = output / "run.json"
    if path.exists():
        if json.loads(path.read_text()) != said:
            raise ValueError(f"{path} is of another model or other options: use a new folder")
        return
    output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said, indent=2) + "\n")


def consecutive(seeds: list[int]) -> list[list[int]]:
    """Runs of seeds that --seed and --count express."""
    runs = groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0])
    return [[seed for _, seed in run] for _, run in runs]


def show_stage(result: Path, picture: Path, item: Item, source: str) -> None:
    """Replace a result by what one stage made of it, enlarged, inside the mask."""
    given = Image.open(item.picture(source)).convert("RGB")
    enlarged = Image.open(picture).convert("RGB").resize(given.size, Image.BICUBIC)
    mask = Image.fromarray((item.mask() * 255).astype(np.uint8))
    Image.composite(enlarged, given, mask).save(result)


def edit(output: Path, plan: Plan, item: Item, prompt: str, seeds: list[int]) -> None:
    """Consecutive seeds of one item and prompt, in one process."""
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    with tempfile.TemporaryDirectory(dir=output) as folder:
        command = [
            str(plan.binary), "edit", "--json", "--model", str(plan.model),
            "--image", str(item.picture(plan.source)), "--mask", str(item.picture("masks")),
            "--prompt", item.prompt(prompt), "--output", str(Path(folder, "out.png")),
            "--seed", str(seeds[0]), "--count", str(len(seeds)), *plan.options,
            *(["--save-stages", folder] if plan.stage else []),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError(f"{item.name}, {prompt}: {done.stderr.strip()[-400:]}")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        results = [event for event in events if event["event"] == "result"]
        if [event["seed"] for event in results] != seeds:
            raise RuntimeError(f"{item.name}, {prompt}: results of other seeds than {seeds}")
        for event in results:
            path = picture_path(output, item, prompt, event["seed"])
            path.parent.mkdir(parents=True, exist_ok=True)
            if plan.stage:
                result = Path(event["output"])
                named = result.with_name(f"{result.stem}-{plan.stage}.png")
                show_stage(result, named, item, plan.source)
            with open(output / "times.jsonl", "a", encoding="utf-8") as file:
                name = str(path.relative_to(output))
                file.write(json.dumps({"picture": name, "seconds": event["seconds"]}) + "\n")
            os.replace(event["output"], path)


def missing(output: Path, plan: Plan, item: Item, prompt: str) -> list[int]:
    return [s for s in plan.seeds if not picture_path(output, item, prompt, s).exists()]


def run(output: Path, plan: Plan, items: list[Item], say=print) -> None:
    claim(output, plan)
    total = len(items) * len(plan.prompts)
    for number, (item, prompt) in enumerate(((i, p) for i in items for p in plan.prompts), 1):
        absent = missing(output, plan, item, prompt)
        for seeds in consecutive(absent):
            edit(output, plan, item, prompt, seeds)
        if absent:
            say(f"run: {output.name}, {number} of {total}, {item.name}, {prompt}")


def seconds(output: Path) -> list[float]:
    """Of every picture in the folder: of the last time that it was made."""
    path = output / "times.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = {line["picture"]: line["seconds"] for line in map(json.loads, lines)}
    return list(found.values())
