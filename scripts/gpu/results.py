"""What programs print, as data; bench/results/<card>.jsonl; the tables of bench/README.md.

SPDX-License-Identifier: Apache-2.0
"""

import json
import re
from pathlib import Path
from typing import Any

Row = dict[str, Any]

BEGIN, END = "<!-- gpu_check: begin -->", "<!-- gpu_check: end -->"
NOTHING = "No device was at hand yet: nothing is measured."
VERDICT = re.compile(r"^(ok|FAIL)\s+(\w+)\s+(?:(?:f32|bf16)\s+)?(\d+) cases\s+\S+ s\s+"
                     r"worst (\S+) of the bound", re.M)


def json_lines(text: str) -> list[Row]:
    """A last line that was cut off is left out."""
    rows = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return rows


def check_errors(text: str) -> dict[str, float]:
    """Operation -> the worst error of check_cuda, as a multiple of its bound; one that failed is
    infinitely wrong."""
    worst: dict[str, float] = {}
    for verdict, name, _, value in VERDICT.findall(text):
        error = float(value) if verdict == "ok" else float("inf")
        worst[name] = max(error, worst.get(name, 0.0))
    return worst


def tests_passed(text: str) -> int:
    """Of a cmocka program; 0 when one skipped itself, with which the program ends well too."""
    return 0 if "SKIPPED" in text else len(re.findall(r"^\[\s+OK \]", text, re.M))


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def roofs(rows: list[Row]) -> dict[str, float]:
    """Operation -> the median share of the roof over its benches, in percent."""
    shares: dict[str, list[float]] = {}
    for row in rows:
        if row["bench"] == "op":
            shares.setdefault(row["op"], []).append(row["percent_of_roof"])
    return {name: median(values) for name, values in shares.items()}


def slug(card: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-")


def append(path: Path, rows: list[Row], facts: Row) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row | facts) + "\n")


def latest(path: Path) -> list[Row]:
    """The rows of a card that are true of its last commit: of each bench those of the last run that
    has some, but of passes all (a later run goes on where one had no more time), the last of two of
    the same kind. None: the file is not a card's."""
    rows = [row for row in json_lines(path.read_text(encoding="utf-8")) if "card" in row]
    if rows:
        commit, run = rows[-1]["commit"], rows[-1]["run"]
        rows = [row for row in rows if row["run"] == run
                or (row["commit"] == commit and not commit.endswith("+"))]
    last = {row["bench"]: row["run"] for row in rows}
    passes = {(row["stage"], row["lanes"], row.get("compiled")): row for row in rows
              if row["bench"] == "step"}
    return [row for row in rows if row["bench"] != "step" and row["run"] == last[row["bench"]]] + [
        *passes.values()]


# ---- tables --------------------------------------------------------------------------------------


def table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"


def step_table(rows: list[Row], rate: float) -> str:
    """The eager row of a stage and a number of lanes, with torch.compile from its own row."""
    eager = {(r["stage"], r["lanes"]): r for r in rows if r["bench"] == "step"
             and not r.get("compiled")}
    compiled = {(r["stage"], r["lanes"]): r for r in rows if r["bench"] == "step"
                and r.get("compiled")}
    lines = []
    for key in sorted(set(eager) | set(compiled)):
        row, other = eager.get(key) or compiled[key], compiled.get(key)
        share = 100 * row["tflops"] * 1e12 / rate if rate else 0
        name = next((n for n in row["all"] if n.startswith("eager")), "")
        theirs = row["all"].get(name, 0)
        late = other["all"].get("compile max-autotune") if other else None
        lines.append([
            key[0], str(key[1]), f"{row['predicted_ms']:.2f}", f"{row['ours']['median']:.2f}",
            f"{row['tflops']:.0f}, {share:.0f} %", f"{theirs:.2f} ({name[6:]})",
            f"{theirs / row['ours']['median']:.2f}", f"{late:.2f}" if late else "-",
            f"{late / other['ours']['median']:.2f}" if late else "-",
            f"{row['relative_difference']:.0e}",
        ])
    return table(["stage", "lanes", "predicted, ms", "ours, ms", "TFLOP/s, of the rate",
                  "eager, ms", "ratio", "compiled, ms", "ratio", "differs"], lines)


def op_table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        if row["bench"] != "op":
            continue
        theirs = [f"{row['torch_us']:.1f}", f"{row['ratio']:.2f} ({row['ratio_p10']:.2f} - "
                  f"{row['ratio_p90']:.2f})"] if "torch_us" in row else ["-", "-"]
        lines.append([row["name"], str(row["lanes"]), f"{row['predicted_us']:.1f}",
                      f"{row['ours_us']:.1f}", f"{row['percent_of_roof']:.0f} %", *theirs])
    return table(["operation", "lanes", "predicted, us", "ours, us", "of the roof", "PyTorch, us",
                  "ratio"], lines)


def edit_table(rows: list[Row]) -> str:
    lines = [[str(r["requests"]), f"{r['edit_s']:.2f}", f"{r['requests'] / r['edit_s']:.3f}",
              f"{r['flop'] / r['edit_s'] * 1e-12:.0f}"] for r in rows if r["bench"] == "edit"]
    return table(["edits at once", "s", "edits a second", "TFLOP/s"], lines)


def card_text(rows: list[Row]) -> str:
    first = rows[0]
    card = next((r for r in rows if r["bench"] == "ceilings"), {})
    rate, copy = card.get("matrix_flops", 0), card.get("copy_bytes_per_s", 0)
    text = (f"**{first['card']}**, driver {first['driver']}, {first['date']}, commit "
            f"{first['commit']}: 8192^3 in bf16 {rate * 1e-12:.0f} TFLOP/s, copies "
            f"{copy * 1e-12:.2f} TB/s. Predicted is for an H200, as inspect --operations does.\n\n")
    return text + step_table(rows, rate) + edit_table(rows) + op_table(rows)


def write_tables(document: Path, results: Path) -> None:
    """What stands between the two markers, from every card's last run."""
    text = document.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    cards = [rows for path in sorted(results.glob("*.jsonl")) if (rows := latest(path))]
    body = "".join(card_text(rows) for rows in cards).strip() or NOTHING
    document.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")
