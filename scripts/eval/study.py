"""A study: arms (models or settings) on the same items and seeds, judged and compared in pairs.

    python3 -m scripts.eval.study quality --model models/demo
    python3 -m scripts.eval.study stages --model models/demo
    python3 -m scripts.eval.study guidance --model models/demo
    python3 -m scripts.eval.study steps --model models/demo
    python3 -m scripts.eval.study releases --arm new=out/demo --arm old=models/demo
    python3 -m scripts.eval.study masking --arm object=models/demo --arm random=models/random
    python3 -m scripts.eval.study conditioning --arm learned=models/demo --arm fixed=models/fixed

Edits with the `imagen-editor` binary into WORK/<study>/<arm>, where it continues what an earlier
call left; writes RESULTS/<study>.md, .json and .jpg. The first arm is what the others are compared
with. README.md says what is measured.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path

import torch
from PIL import Image

from . import items as test_set
from . import run, sheet, tables
from .items import PROMPTS, Item
from .judge import Judge
from .score import Scored, score

# What the arms of a study are: their options of `imagen-editor edit`; the model says the rest. The
# arms of `stages` show what a stage has made, and waste no steps on later ones.
STUDIES: dict[str, dict[str, list[str]]] = {
    "quality": {"demo": []},
    "stages": {
        "sr-1024": [],
        "sr-256": ["--steps", ",,1"],
        "base-64": ["--steps", ",1,1"],
    },
    "guidance": {
        "the model's own": [],
        "oscillating": ["--guidance", "4~1@0.33@0.33"],
        "1": ["--guidance", "1"],
        "5": ["--guidance", "5"],
        "15": ["--guidance", "15"],
        "30": ["--guidance", "30"],
    },
    "steps": {
        "the model's own": [],
        "32": ["--steps", "32"],
        "128": ["--steps", "128"],
        ",8": ["--steps", ",8"],
    },
    "releases": {},
    "masking": {},
    "conditioning": {},
}
TRUTH, EMPTY = "true renders", "empty scenes"
SHOWN = 8  # items on a sheet


@dataclass
class Arm:
    name: str
    model: Path
    options: list[str] = field(default_factory=list)


def arms_of(options: argparse.Namespace) -> list[Arm]:
    """The study's own arms of --model, or those of --arm."""
    if options.arm:
        pairs = [text.partition("=") for text in options.arm]
        if not all(name and equals and model for name, equals, model in pairs):
            raise ValueError("--arm is NAME=MODEL")
        return [Arm(name, Path(model)) for name, _, model in pairs]
    known = STUDIES[options.study]
    if not known or options.model is None:
        raise ValueError(f"{options.study} needs {'--model' if known else '--arm, twice or more'}")
    return [Arm(name, options.model, own) for name, own in known.items()]


def steps_options(own: list[str], given: str) -> list[str]:
    """The arm's options; the stages whose steps it does not say have those of `given`."""
    if not given:
        return own
    if "--steps" not in own:
        return [*own, "--steps", given]
    at = own.index("--steps") + 1
    stages = zip_longest(own[at].split(","), given.split(","), fillvalue="")
    return [*own[:at], ",".join(arm or every for arm, every in stages), *own[at + 1 :]]


def plan_of(arm: Arm, options: argparse.Namespace) -> run.Plan:
    first, count = options.seed, options.seeds
    own = steps_options(arm.options, options.steps)
    source = "empties" if options.insert else "references"
    seeds = list(range(first, first + count))
    stage = arm.name if options.study == "stages" else options.stage
    return run.Plan(options.binary, arm.model, own, source, options.prompts, seeds, stage)


def limits(judge: Judge, items: list[Item], prompts: list[str]) -> dict[str, list[Scored]]:
    """What the judge says of the true renders, and of the scenes without the object."""
    result = {}
    for name, kind in ((TRUTH, "references"), (EMPTY, "empties")):
        path = partial(picture_of, kind)
        result[name] = score(judge, items, prompts, [0], path)
    return result


def picture_of(kind: str, item: Item, _prompt: str, _seed: int) -> Path:
    return item.picture(kind)


# ---- what is written ----------------------------------------------------------------------------


def marks(one: Scored) -> str:
    """What was right and what the judge saw instead."""
    wrong = [
        f"{name}: {one.said.get(name) or 'none'}"
        for name, right in one.right.items()
        if not right and name in one.said
    ]
    if not one.right["present"]:
        return "nothing there"
    return ", ".join(wrong) if wrong else "right"


def rows_of(items: list[Item], scored: dict[str, list[Scored]], folders: dict[str, Path],
            prompt: str, source: str) -> list[list[sheet.Tile]]:  # fmt: skip
    """A row for each item: input, mask, and the first seed of every arm."""
    rows = []
    every = max(1, len(items) // SHOWN)
    for item in items[::every][:SHOWN]:
        given = Image.open(item.picture(source)).convert("RGB")
        red = sheet.masked(given, Image.open(item.picture("masks")))
        row = [sheet.Tile(given, f"input: {item.prompt(prompt)}"), sheet.Tile(red, item.name)]
        for arm, folder in folders.items():
            one = next(o for o in scored[arm] if (o.item, o.prompt) == (item.name, prompt))
            picture = Image.open(run.picture_path(folder, item, prompt, one.seed))
            row.append(sheet.Tile(picture, f"{arm}: {marks(one)}"))
        rows.append(row)
    return rows


def markdown(study: str, said: dict, arms: dict[str, dict], pairs: dict[str, dict]) -> str:
    first = next(name for name in arms if name not in (TRUTH, EMPTY))
    text = [f"# {study}\n", said["how"] + "\n", "Shares in percent, with intervals of 95 %; [n]: "
            "items that are asked for it.\n"]  # fmt: skip
    for prompt in said["prompts"]:
        text.append(tables.attribute_table(arms, prompt))
    if pairs:
        text.append("## Pairs\n\nIn points of percent, over the same items and seeds.\n")
        text += [tables.paired_table(first, pairs, prompt) for prompt in said["prompts"]]
    text.append("## Groups\n")
    own = {name: found for name, found in arms.items() if name not in (TRUTH, EMPTY)}
    for prompt in said["prompts"]:
        text += [tables.group_table(own, prompt, name) for name in ("category", "bucket")]
    text += ["## Seam\n", tables.seam_table(arms)]
    rows = {name: [f"{s['mean']:.1f}", str(s["pictures"])] for name, s in said["seconds"].items()}
    text += ["## Time\n", tables.grid("arm", ["seconds an edit", "edits"], rows)]
    return "\n".join(text)


def described(options: argparse.Namespace, plans: dict[str, run.Plan], items: list[Item]) -> str:
    lines = [
        f"{len(items)} items, seeds {options.seed} to {options.seed + options.seeds - 1}, "
        f"the object {'absent from' if options.insert else 'behind the mask of'} the input; arms:\n"
    ]
    lines += [
        f"- {name}: {plan.model.name} {run.model_digest(plan.model)}"
        f"{''.join(' ' + word for word in plan.options)}"
        f"{', after ' + plan.stage if plan.stage else ''}"
        for name, plan in plans.items()
    ]
    return "\n".join(lines)


def times(folder: Path) -> dict:
    found = run.seconds(folder)
    return {"mean": sum(found) / max(1, len(found)), "pictures": len(found)}


def study(options: argparse.Namespace) -> str:
    torch.set_num_threads(1)
    if options.seeds < 1 or (options.items is not None and options.items < 1):
        raise ValueError("--seeds and --items are at least 1")
    judge = Judge.load(options.judge)
    items = test_set.read(options.set)[: options.items]
    plans = {arm.name: plan_of(arm, options) for arm in arms_of(options)}
    folders = {name: options.work / options.study / name for name in plans}
    scored = limits(judge, items, options.prompts)
    for name, plan in plans.items():
        run.run(folders[name], plan, items, say=lambda line: print(line, flush=True))
        path = partial(run.picture_path, folders[name])
        scored[name] = score(judge, items, options.prompts, plan.seeds, path)
    first, *others = plans
    arms = {name: tables.summary(found) for name, found in scored.items()}
    pairs = {name: tables.paired(scored[first], scored[name]) for name in others}
    said = {"how": described(options, plans, items), "prompts": options.prompts,
            "seconds": {name: times(folder) for name, folder in folders.items()}}  # fmt: skip
    text = markdown(options.study, said, arms, pairs)
    options.results.mkdir(parents=True, exist_ok=True)
    pictures = [asdict(one) for name in plans for one in scored[name]]
    content = {**said, "arms": arms, "pairs": pairs, "pictures": pictures}
    (options.results / f"{options.study}.md").write_text(text, encoding="utf-8")
    (options.results / f"{options.study}.json").write_text(json.dumps(content, indent=1) + "\n")
    source = "empties" if options.insert else "references"
    rows = rows_of(items, scored, folders, options.prompts[0], source)
    sheet.save(sheet.sheet(rows), options.results / f"{options.study}.jpg")
    return text


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--model", type=Path, help="of every arm")
    parser.add_argument("--arm", action="append", metavar="NAME=MODEL", help="instead of --model")
    parser.add_argument("--set", type=Path, default=Path("data/test"), help="the test set")
    parser.add_argument("--judge", type=Path, default=Path("out/judge/judge.pt"))
    parser.add_argument("--binary", type=Path, default=Path("build/release/apps/imagen-editor"))
    parser.add_argument("--work", type=Path, default=Path("out/eval"), help="pictures go here")
    parser.add_argument("--results", type=Path, default=Path("scripts/eval/results"))
    parser.add_argument("--items", type=int, default=None, help="only the first so many")
    parser.add_argument("--prompts", nargs="+", choices=PROMPTS, default=list(PROMPTS))
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, default=1, help="samples of each item and prompt")
    parser.add_argument("--steps", default="", metavar="B,S1,S2", help="where an arm says nothing")
    parser.add_argument("--stage", default="", metavar="NAME",
                        help="judge what this stage made, enlarged and pasted")  # fmt: skip
    parser.add_argument("--insert", action="store_true", help="edit the scenes without the object")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    try:
        print(study(parse(arguments)))
    except (OSError, ValueError, RuntimeError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
