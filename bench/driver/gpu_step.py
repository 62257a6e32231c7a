"""Forward passes of one full-size stage on a device, ours and PyTorch's, in turns.

    python3 -m driver.gpu_step --program bench_step --stage DIR --lanes 1 2 8 16
                               [--device cuda] [--seconds N] [--compile]

Prints a JSON line for each number of lanes. Same weights (the stage's file), inputs and precision
(bf16). PyTorch runs scripts/reference's network eagerly, contiguous and channels last, with fused
attention (all text is present, so it needs no mask); with --compile also as torch.compile in mode
max-autotune, which makes kernels for one number of lanes: give it one. What a request keeps is
computed beforehand on both sides (bench/README.md). The clock is the wall's, from the call until
the device is done. SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from scripts.reference import blocks, weights
from scripts.reference.config import UNetConfig
from scripts.reference.unet import UNet

from . import duel, inputs
from .ours import Ours
from .yardstick import LAYOUTS, Forward, Kept

TOKENS = 128


def fused(q: Tensor, k: Tensor, v: Tensor, _: Tensor, heads: int) -> Tensor:
    """As blocks.attend when every key is there."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


class Lanes(Forward):
    """The forward pass of all lanes, or of the first few."""

    def __init__(self, unet: UNet, given: dict[str, Tensor]):
        super().__init__(unet, given, torch.bfloat16)
        self.kept = [module for module in unet.modules() if isinstance(module, Kept)]
        self.all = [module.value for module in self.kept]
        self.whole = (self.v, self.v_aug, self.low, self.conditioning, self.text)

    def choose(self, lanes: int, layout: torch.memory_format) -> None:
        for module, value in zip(self.kept, self.all):
            module.value = value[:lanes]
        v, v_aug, low, conditioning, text = self.whole
        self.v, self.conditioning = v[:lanes], conditioning[:lanes]
        self.v_aug = None if v_aug is None else v_aug[:lanes]
        self.low = None if low is None else low[:lanes]
        self.text = text.pick(torch.arange(lanes, device=v.device))
        self.lay_out(layout)


class Theirs:
    """PyTorch with all lanes of one set of inputs."""

    def __init__(self, folder: Path, given: dict[str, Tensor], device: str):
        self.device = device
        with torch.device("meta"):
            unet = UNet(UNetConfig.read(folder / "config.json"), zero_init=False)
        tensors = load_file(folder / weights.FILE, device=device)
        unet.load_state_dict({n: t.to(torch.bfloat16) for n, t in tensors.items()}, assign=True)
        given = {name: tensor.to(device) for name, tensor in given.items()}
        self.model = Lanes(unet.eval(), given).eval()
        self.z = given["z"].to(torch.bfloat16).permute(0, 3, 1, 2)

    def turn(self, lanes: int, layout: str, call: Callable[[Tensor], Tensor] | None = None):
        """A contestant. Turns of one layout follow each other only after `arrange`."""
        z = self.z[:lanes].contiguous(memory_format=LAYOUTS[layout])
        call = self.model if call is None else call

        def run() -> tuple[float, float]:
            start = time.perf_counter()
            call(z)
            wait(self.device)
            return time.perf_counter() - start, 0.0

        return run

    def arrange(self, lanes: int, layout: str) -> None:
        self.model.choose(lanes, LAYOUTS[layout])

    def prediction(self, lanes: int) -> Tensor:
        z = self.z[:lanes].contiguous(memory_format=torch.channels_last)
        return self.model(z).float().permute(0, 2, 3, 1).contiguous().cpu()


class OurLanes(Ours):
    """bench_step --serve, with the first few lanes."""

    lanes = 0

    def run(self) -> tuple[float, float]:
        self.process.stdin.write(f"run {self.lanes}\n")
        self.process.stdin.flush()
        wall, busy = self._answer().split()
        return float(wall), float(busy)

    def predict(self) -> float:
        """Seconds of such a pass on an H200, before anything is measured."""
        self.process.stdin.write(f"predict {self.lanes}\n")
        self.process.stdin.flush()
        return float(self._answer())


def rounds_for(turns: list[Callable[[], tuple[float, float]]], seconds: float) -> int:
    """So many that they take about that long; the first passes make and record what they need."""
    once = 0.0
    for turn in turns:
        for _ in range(3):
            last = turn()[0]
        once += last
    return max(3, min(21, int(seconds / (once + len(turns) * duel.PAUSE))))


def faster_layout(theirs: Theirs, lanes: int) -> str:
    """Weights have one layout at a time: the faster one takes part."""
    best = {}
    for layout in LAYOUTS:
        theirs.arrange(lanes, layout)
        turn = theirs.turn(lanes, layout)
        best[layout] = sorted(turn()[0] for _ in range(4))[0]
    return min(best, key=best.get)


def one_row(theirs: Theirs, ours: OurLanes, lanes: int, options: Any) -> dict[str, Any]:
    layout = "channels_last" if options.compile else faster_layout(theirs, lanes)
    theirs.arrange(lanes, layout)
    turns, names = [ours.run, theirs.turn(lanes, layout)], [ours.name, f"eager {layout}"]
    if options.compile:
        start = time.monotonic()
        compiled = torch.compile(theirs.model, mode="max-autotune", dynamic=False)
        turns.append(theirs.turn(lanes, layout, compiled))
        names.append("compile max-autotune")
        turns[-1]()
        print(f"compiled in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    ours.lanes = lanes
    times = duel.rounds(turns, rounds_for(turns, options.seconds / len(options.lanes)))
    row = duel.compare(times, names, 0)
    flop = ours.flop * lanes / max(options.lanes)
    return {"bench": "step", "stage": Path(options.stage).name, "lanes": lanes, "flop": flop,
            "compiled": options.compile, "predicted_ms": 1e3 * ours.predict(),
            "tflops": flop / row["ours"]["median"] * 1e-9, "rounds": len(times[0]), **row}


@torch.no_grad()
def main() -> int:
    parser = argparse.ArgumentParser(description="a full-size stage against PyTorch")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--stage", type=Path, required=True)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 8, 16])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    blocks.attend = fused
    torch.backends.cudnn.benchmark = True
    config = UNetConfig.read(options.stage / "config.json")
    most = max(options.lanes)
    with tempfile.TemporaryDirectory() as scratch:
        given = inputs.make(config, most, TOKENS)
        path = inputs.write(given, Path(scratch, "inputs.safetensors"))
        arguments = ["--stage", str(options.stage), "--inputs", str(path), "--precision", "bf16",
                     "--device", options.device]
        ours = OurLanes(options.program.resolve(), arguments, Path(scratch, "prediction"), 0)
        device = "cuda" if options.device.startswith("cuda") else "cpu"  # ours can be ref
        theirs = Theirs(options.stage, given, device)
        theirs.arrange(most, "channels_last")
        wanted = theirs.prediction(most)
        difference = float((ours.prediction(wanted.shape) - wanted).norm() / wanted.norm())
        for lanes in options.lanes:
            row = one_row(theirs, ours, lanes, options)
            print(json.dumps(row | {"relative_difference": difference}), flush=True)
        ours.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
