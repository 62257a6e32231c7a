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

import torch
from torch import nn

from ..scenes import vocabulary as words
from .camera import height_of
from .judge import ROOM, Judge, Ruler, new_nets
from .judge_accuracy import check_renders, check_test_set, table
from .judge_data import Renders, camera_of, regions_of
from .judge_loss import loss_of
from .judge_samples import Samples, collect

BATCH, RATE, DECAY = 64, 3e-3, 0.05


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
