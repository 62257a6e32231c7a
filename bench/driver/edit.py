"""scripts/bench edit: whole edits of a model by bench_edit, each in a process of its own, and the
memory of as many requests as the engine plans for.

SPDX-License-Identifier: Apache-2.0
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from . import machine, models
from .duel import Sample


FULL = ["--steps", "4", "--guidance", "1", "--requests", "4"]  # every byte of the workspace


def one_edit(options: Any, folder: str, precision: str, more: list[str]) -> dict[str, Any]:
    command = [str(options.program), "--model", folder, "--precision", precision, "--json"]
    command += ["--threads", str(options.threads), *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def run(options: Any) -> Iterator[dict[str, Any]]:
    folder = str(models.cascade(options.model))
    for precision in options.types:
        runs = [one_edit(options, folder, precision, []) for _ in range(options.runs)]
        opened, edited = (Sample.of([r[key] for r in runs]) for key in ("open_s", "edit_s"))
        row = min(runs, key=lambda r: abs(1e3 * r["edit_s"] - edited.median))  # the median run
        full = one_edit(options, folder, precision, FULL)
        over, peak = full["over_plan_percent"], full["edit_peak_bytes"] / 2**20
        stages = ", ".join(f"{s['stage']} {s['s']:.2f} s" for s in row["stages"])
        print(
            f"{options.model} {precision} on {options.threads}: edit {edited.median / 1e3:.2f} s "
            f"({edited.p10 / 1e3:.2f} - {edited.p90 / 1e3:.2f}; {stages}), open "
            f"{opened.median:.0f} ms; peak of four requests {peak:.0f} MiB, {over:+.1f} % against "
            "the plan",
            flush=True,
        )
        yield row | {
            "type": precision, "runs": options.runs, "edit_p10_s": edited.p10 / 1e3,
            "edit_p90_s": edited.p90 / 1e3, "open_p90_s": opened.p90 / 1e3,
            "full": full, **machine.facts(),
        }
