"""scripts/bench start: how long the command takes before it does anything.

SPDX-License-Identifier: Apache-2.0
"""

import dataclasses
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from . import machine, models
from .duel import Sample


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def run(options: Any) -> Iterator[dict[str, Any]]:
    program = str(options.build / "apps" / "imagen-editor")
    folder = str(models.cascade(options.model))
    for arguments in (["--version"], ["inspect", "--model", folder]):
        times = Sample.of([seconds([program, *arguments]) for _ in range(options.runs)])
        spread = f"{times.median:.0f} ms ({times.p10:.0f} - {times.p90:.0f})"
        print(f"imagen-editor {arguments[0]}: {spread}")
        yield {
            "bench": "start", "command": arguments[0], "model": options.model,
            "runs": options.runs, "wall_ms": dataclasses.asdict(times), **machine.facts(),
        }
