"""Operations of a device against PyTorch's libraries, in turns, and against what the card can do.

    python3 -m driver.gpu_ops --program bench_ops [--device cuda] [--seconds N] [--rows full|small]

Prints JSON lines: the card's matrix rate (8192^3, bf16, random data) and copy bandwidth (bytes read
and written), then a line a row. PyTorch's side of a row is the library call plus the passes that it
needs around it (group norm, film, SiLU, resampling, residual), channels last; moments are not asked
of it. Both sides are timed as a recorded piece of work without the host, with operands that rotate.
`roof_us` is the larger of flop / rate and bytes / bandwidth; `predicted_us` is what was predicted
for an H200 before anything was measured, under the name of `imagen-editor inspect --operations`.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import duel, gpu_rows

COPIES = 4  # sets of operands, as in bench_case.c
ROUNDS = 7
WORK = 3e-3  # seconds of one timed piece of work, about


# ---- the card ------------------------------------------------------------------------------------


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], Any], device: str, count: int) -> float:
    """Seconds of one, `count` at once after three that do not count."""
    for _ in range(3):
        work()
    wait(device)
    start = time.perf_counter()
    for _ in range(count):
        work()
    wait(device)
    return (time.perf_counter() - start) / count


def ceilings(device: str) -> dict[str, Any]:
    side, bytes_ = (8192, 2 << 30) if device == "cuda" else (256, 1 << 20)
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    b = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    matrix = sorted(seconds_of(lambda: a @ b, device, 5) for _ in range(5))[2]
    source = torch.randn(bytes_ // 4, device=device)
    target = torch.empty_like(source)
    copy = sorted(seconds_of(lambda: target.copy_(source), device, 5) for _ in range(5))[2]
    return {"bench": "ceilings", "matrix_flops": 2 * side**3 / matrix,
            "copy_bytes_per_s": 2 * bytes_ / copy}


# ---- PyTorch's side of a row ---------------------------------------------------------------------


class Draw:
    """Tensors of small random numbers on the device, in bf16."""

    def __init__(self, device: str):
        self.device = device

    def __call__(self, *shape: int) -> Tensor:
        return 0.3 * torch.randn(*shape, device=self.device, dtype=torch.bfloat16)

    def map(self, lanes: int, channels: int, side: int) -> Tensor:
        return self(lanes, channels, side, side).contiguous(memory_format=torch.channels_last)


def conv_side(row: gpu_rows.Row, draw: Draw) -> list[Callable[[], Tensor]]:
    n, side, kernel, stride = row["lanes"], row["size"], row["kernel"], row["stride"]
    parts = [c for c in (row["inputs"], row.get("inputs2", 0)) if c]
    joint, outputs, how = sum(parts), row["outputs"], row.get("resample", 0)
    out = (2 * side if how == 1 else side // 2 if how == 2 else side) // stride
    weight = draw(outputs, joint, kernel, kernel).contiguous(memory_format=torch.channels_last)
    bias, gain, offset = draw(outputs), draw(joint), draw(joint)
    groups = 2 if joint % 32 else 32

    def copy() -> Callable[[], Tensor]:
        x = [draw.map(n, channels, side) for channels in parts]
        scale, shift = draw(n, joint, 1, 1), draw(n, joint, 1, 1)
        residual = draw.map(n, outputs, out) if row.get("residual") else None

        def run() -> Tensor:
            h = torch.cat(x, dim=1) if len(x) > 1 else x[0]
            if row.get("norm"):
                h = F.group_norm(h, groups, gain, offset, 1e-5)
                h = F.silu(h * (1 + scale) + shift)
            if how == 1:
                h = F.interpolate(h, scale_factor=2, mode="nearest")
            elif how == 2:
                h = F.avg_pool2d(h, 2)
            y = F.conv2d(h, weight, bias, stride=stride, padding=kernel // 2)
            return y if residual is None else y + residual

        return run

    return [copy() for _ in range(COPIES)]


def attention_side(row: gpu_rows.Row, draw: Draw) -> list[Callable[[], Tensor]]:
    n, h, d = row["lanes"], row["heads"], row["width"]

    def copy() -> Callable[[], Tensor]:
        q = draw(n, row["size"], h, d).transpose(1, 2)
        segments = [[draw(n, count, h, d) for count in (row["text"], row["image"]) if count]
                    for _ in range(2)]

        def run() -> Tensor:
            k, v = (torch.cat(part, dim=1) if len(part) > 1 else part[0] for part in segments)
            return F.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2))

        return run

    return [copy() for _ in range(COPIES)]


def gated(sums: Tensor) -> Tensor:
    gates, values = sums.chunk(2, dim=-1)
    return F.gelu(gates, approximate="tanh") * values


def rows_side(row: gpu_rows.Row, draw: Draw) -> list[Callable[[], Tensor]]:
    n, size, inputs = row["lanes"], row["size"], row["inputs"]
    gain, offset = draw(inputs), draw(inputs)
    sums = row.get("outputs", 1) * (2 if row.get("gated") else 1)
    weight, bias = draw(sums, inputs), draw(sums)

    def copy() -> Callable[[], Any]:
        shape = (n, size, size, inputs) if row["kind"] == "moments" else (n, size, inputs)
        x = draw(*shape)
        residual = draw(n, size, row["outputs"]) if row.get("residual") else None
        if row["kind"] == "moments":
            return lambda: torch.var_mean(x, dim=(1, 2), correction=0)
        if row["kind"] == "layer_norm":
            return lambda: F.layer_norm(x, (inputs,), gain, offset)
        if row["kind"] == "rms_norm":
            return lambda: F.rms_norm(x, (inputs,), gain)
        if residual is not None:
            return lambda: F.linear(x, weight, bias) + residual
        if row.get("gated"):
            return lambda: gated(F.linear(x, weight, bias))
        return lambda: F.linear(x, weight, bias)

    return [copy() for _ in range(COPIES)]


def torch_side(row: gpu_rows.Row, device: str) -> list[Callable[[], Any]]:
    """One call for each set of operands; none for what PyTorch has no call for."""
    draw = Draw(device)
    if row["kind"] == "sample":
        return []
    if row["kind"] == "conv":
        return conv_side(row, draw)
    return attention_side(row, draw) if row["kind"] == "attention" else rows_side(row, draw)


class Theirs:
    """`count` calls as a recorded graph on a GPU, one after the other elsewhere."""

    def __init__(self, calls: list[Callable[[], Any]], device: str, count: int):
        self.count, self.device = count, device
        self.work: Callable[[], Any] = lambda: [calls[i % COPIES]() for i in range(count)]
        self.work()
        wait(device)
        if device == "cuda":
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                calls[0]()
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.work()
            self.work = graph.replay

    def run(self) -> tuple[float, float]:
        start = time.perf_counter()
        self.work()
        wait(self.device)
        return (time.perf_counter() - start) / self.count, 0.0


# ---- our side ------------------------------------------------------------------------------------


class Ours:
    """bench_ops --serve."""

    def __init__(self, program: str, device: str):
        self.process = subprocess.Popen(
            [program, "--serve", "--device", device], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )
        self.count = COPIES

    def ask(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        if not said:
            raise RuntimeError(f"bench_ops ended at: {line}")
        if said == "failed":
            raise ValueError(f"bench_ops failed at: {line}")
        return said

    def row(self, row: gpu_rows.Row) -> dict[str, Any]:
        """What a run costs, what it is predicted to take on an H200, and its name."""
        keys = " ".join(f"{key}={value}" for key, value in row.items() if key != "kind")
        _, flop, bytes_, predicted, name = self.ask(f"row {row['kind']} {keys}").split(" ", 4)
        return {"name": name, "flop": float(flop), "bytes": float(bytes_),
                "predicted_us": 1e6 * float(predicted)}

    def run(self) -> tuple[float, float]:
        return float(self.ask(f"run {self.count}")), 0.0

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


# ---- a row ---------------------------------------------------------------------------------------


def time_row(row: gpu_rows.Row, ours: Ours, card: dict[str, Any], device: str) -> dict[str, Any]:
    told = ours.row(row)
    roof = max(told["flop"] / card["matrix_flops"], told["bytes"] / card["copy_bytes_per_s"])
    count = max(COPIES, min(256, int(WORK / (2 * roof)) // COPIES * COPIES))
    ours.count = count if device == "cuda" else COPIES
    calls = torch_side(row, device)
    turns, names = [ours.run], ["ours"]
    if calls:
        turns.append(Theirs(calls, device, ours.count).run)
        names.append("PyTorch")
    times = [[turn[0] for turn in turns] for turns in duel.rounds(turns, ROUNDS)]
    out = {
        "bench": "op", "op": row["kind"], "lanes": row["lanes"], **told, "roof_us": 1e6 * roof,
        "ours_us": 1e6 * duel.quantile(times[0], 0.5),
        "percent_of_roof": 100 * roof / duel.quantile(times[0], 0.5),
    }
    if calls:
        ratios = [b / a for a, b in zip(*times)]
        out |= {"torch_us": 1e6 * duel.quantile(times[1], 0.5),
                "ratio": duel.quantile(ratios, 0.5), "ratio_p10": duel.quantile(ratios, 0.1),
                "ratio_p90": duel.quantile(ratios, 0.9)}
    return out


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description="operations against PyTorch's libraries")
    parser.add_argument("--program", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rows", choices=("full", "small"), default="full")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    duel.PAUSE = 0.002  # what a CPU's threads need to go to sleep is not needed here
    torch.backends.cudnn.benchmark = True
    device = "cuda" if options.device.startswith("cuda") else "cpu"  # PyTorch's; ours can be ref
    card = ceilings(device)
    print(json.dumps(card), flush=True)
    ours = Ours(str(Path(options.program).resolve()), options.device)
    chosen = gpu_rows.FULL if options.rows == "full" else [r | {"lanes": 2} for r in gpu_rows.SMALL]
    failed = 0
    for i, row in enumerate(chosen):
        if time.monotonic() > end:
            print(f"SKIP: the last {len(chosen) - i} rows, time ran out", file=sys.stderr)
            break
        try:
            print(json.dumps(time_row(row, ours, card, device)), flush=True)
        except (ValueError, torch.OutOfMemoryError) as error:
            print(f"{row}: {error}", file=sys.stderr)
            failed += 1
        if device == "cuda":
            torch.cuda.empty_cache()
    ours.close()
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
