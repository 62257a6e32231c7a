"""scripts/bench step: one U-Net forward pass, ours and PyTorch's, in turns in one run.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.reference.config import UNetConfig

from . import duel, inputs, machine, models
from .ours import Ours
from .yardstick import LAYOUTS, Contestant, contestant

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def contestants(
    folder: Path, given: dict[str, Tensor], dtype: torch.dtype, compiled: bool
) -> Iterator[Contestant]:
    """Every way of running PyTorch. One that does not work here is reported, not hidden."""
    # Past a number of compiled models PyTorch would run the next ones eagerly.
    torch._dynamo.reset()
    ways = [(layout, False) for layout in LAYOUTS]
    if compiled:
        ways.append(("channels_last", True))  # the compiler chooses each layer's layout anyway
    for layout, compile_it in ways:
        try:
            yield contestant(folder, given, dtype, layout, compile_it)
        except Exception as error:  # pylint: disable=broad-except
            print(f"{layout}, compiled {compile_it}: {error}", file=sys.stderr)


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def one_row(name: str, precision: str, lanes: int, options: Any) -> dict[str, Any]:
    folder = models.stage(name)
    config = UNetConfig.read(folder / "config.json")
    with tempfile.TemporaryDirectory() as scratch:
        given = inputs.make(config, lanes, options.tokens)
        path = inputs.write(given, Path(scratch, "inputs.safetensors"))
        theirs = list(contestants(folder, given, TYPES[precision], options.compile))
        arguments = ["--stage", str(folder), "--inputs", str(path), "--precision", precision]
        ours = Ours(options.program, arguments, Path(scratch, "prediction"), options.threads)
        wanted = theirs[0].prediction()
        difference = distance(ours.prediction(wanted.shape), wanted)
        times = duel.rounds([ours.run] + [one.run for one in theirs], options.rounds)
        ours.close()
    names = [ours.name] + [one.name for one in theirs]
    return {
        "bench": "step-vs-pytorch", "stage": name, "type": precision, "lanes": lanes,
        "threads": options.threads, "tokens": options.tokens, "rounds": options.rounds,
        "flop": ours.flop, "bytes": ours.bytes, "relative_difference": difference,
        **{clock: duel.compare(times, names, i) for i, clock in enumerate(duel.CLOCKS)},
        **machine.facts(),
    }


def text(sample: dict[str, float]) -> str:
    return f"{sample['median']:7.1f} ms ({sample['p10']:.1f} - {sample['p90']:.1f})"


def line(row: dict[str, Any], clock: str) -> str:
    r = row[clock]
    return (
        f"{row['stage']:<22} {row['type']:<4} x{row['lanes']} on {row['threads']}  ours "
        f"{text(r['ours'])}  {r['yardstick']} {text(r['theirs'])}  ratio {r['ratio']:.2f} "
        f"({r['ratio_p10']:.2f} - {r['ratio_p90']:.2f})  differs {row['relative_difference']:.0e}"
    )


def run(options: Any) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(options.threads)
    for name in options.stages:
        for precision in options.types:
            for lanes in options.lanes:
                row = one_row(name, precision, lanes, options)
                print(line(row, options.clock), flush=True)
                yield row
