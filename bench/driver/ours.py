"""bench_step --serve as a contestant: a process that makes one forward pass each time it is asked.

SPDX-License-Identifier: Apache-2.0
"""

import os
import subprocess
from pathlib import Path

import torch
from torch import Tensor


class Ours:
    name = "imagen-editor"

    def __init__(self, program: Path, arguments: list[str], output: Path, threads: int):
        """`arguments` choose the stage, the inputs and the precision; 0 threads: all."""
        environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
        command = [str(program), *arguments, "--threads", str(threads)]
        command += ["--output", str(output), "--serve"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.output = output
        word, flop, bytes_ = self._answer().split()
        assert word == "ready"
        self.flop, self.bytes = float(flop), float(bytes_)

    def _answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[0]} ended: its message is above")
        return line

    def run(self) -> tuple[float, float]:
        """Wall and processor seconds of one pass."""
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        wall, busy = self._answer().split()
        return float(wall), float(busy)

    def prediction(self, shape: torch.Size) -> Tensor:
        return torch.frombuffer(bytearray(self.output.read_bytes()), dtype=torch.float32).view(
            shape
        )

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
