"""scripts/bench edit: whole edits of a model by bench_edit, each in a process of its own.

SPDX-License-Identifier: Apache-2.0
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from . import machine, models
from .duel import Sample


def one_edit(options: Any, folder: str, precision: str) -> dict[str, Any]:
    command = [str(options.program), "--model", folder, "--precision", precision, "--json"]
    command += ["--threads", str(options.threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def run(options: Any) -> Iterator[dict[str, Any]]:
    folder = str(models.cascade(options.model))
    for precision in options.types:
        runs = [one_edit(options, folder, precision) for _ in range(options.runs)]
        opened, edited = (Sample.of([r[key] for r in runs]) for key in ("open_s", "edit_s"))
        row = min(runs, key=lambda r: abs(1e3 * r["edit_s"] - edited.median))  # the median run
        over = max(r["over_plan_percent"] for r in runs)
        stages = ", ".join(f"{s['stage']} {s['s']:.2f} s" for s in row["stages"])
        print(
            f"{options.model} {precision} on {options.threads}: edit {edited.median / 1e3:.2f} s "
            f"({edited.p10 / 1e3:.2f} - {edited.p90 / 1e3:.2f}; {stages}), open "
            f"{opened.median:.0f} ms, peak memory {over:+.1f} % over weights + workspace "
            f"({(row['weight_bytes'] + row['workspace_bytes']) / 2**20:.0f} MiB)",
            flush=True,
        )
        yield row | {
            "type": precision, "runs": options.runs, "edit_p10_s": edited.p10 / 1e3,
            "edit_p90_s": edited.p90 / 1e3, "open_p90_s": opened.p90 / 1e3,
            "over_plan_percent": over, **machine.facts(),
        }
