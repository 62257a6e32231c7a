"""tests/VERIFIED: what a device has said of each kernel.

A line a kernel: its name and file; then `not yet run on a device`, or the blob hash that its file
had (as git counts it), the device, the date, the worst error of its operation's checks as a
multiple of the bound, and the median share of the roof over its operation's benches. A line whose
hash is no longer the file's is stale: true of an older file.

    python3 -m scripts.gpu.ledger            says what is stale
    python3 -m scripts.gpu.ledger --update   adds lines of new kernels, drops those of gone ones

Exit code 1: a kernel has no line, or a line no kernel. Stale is not wrong.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import hashlib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ROOT / "tests" / "VERIFIED"
NOT_RUN = "not yet run on a device"
HEAD = """\
# What a device has said of each kernel of kernels/cuda; written by scripts/gpu_check, which
# scripts/gpu/ledger.py explains. SPDX-License-Identifier: Apache-2.0
# kernel file: blob, device, date, worst error of its bound, median share of the roof
"""

# Operations of tests/kernels/check_ops.c that a kernel serves, where its name does not say so.
SERVES = {
    "apply_kernel": ["conv"],
    "fold_kernel": ["conv"],
    "norm_rows_kernel": ["layer_norm", "rms_norm"],
    "probe": [],
}
# Kernels, and files of kernels, that the launchers choose on compute capability 9.0 alone, where
# every other kernel runs too (tests/cuda demands both of the simulator).
ONLY_90A = ["conv90.cu", "conv90_norm.cu", "fold_kernel"]
OPERATIONS = ["conv", "linear", "attention", "moments", "add_rows", "add", "gather", "sinusoid",
              "embed", "mask_image", "noise", "augment", "sample"]


@dataclass
class Line:
    kernel: str
    file: str  # below kernels/cuda
    blob: str = ""  # empty: not yet run
    device: str = ""
    date: str = ""
    error: str = "-"
    roof: str = "-"

    def text(self) -> str:
        said = NOT_RUN
        if self.blob:
            said = f"{self.blob} {self.device} {self.date} error {self.error} roof {self.roof}"
        return f"{self.kernel} {self.file}: {said}"


def declared() -> dict[str, str]:
    """Kernel -> file, as tests/cuda/check_executed.py finds them."""
    path = ROOT / "tests" / "cuda" / "check_executed.py"
    spec = importlib.util.spec_from_file_location("check_executed", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.declared()


def blob(file: str) -> str:
    data = (ROOT / "kernels" / "cuda" / file).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()[:12]


def operations_of(kernel: str) -> list[str]:
    if kernel in SERVES:
        return SERVES[kernel]
    found = [name for name in OPERATIONS if kernel.startswith(name)]
    if not found:
        raise ValueError(f"{kernel}: scripts/gpu/ledger.py does not know its operation")
    return [max(found, key=len)]


def read(path: Path) -> dict[str, Line]:
    lines = {}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for row in text.splitlines():
        if not row or row.startswith("#"):
            continue
        found = re.fullmatch(
            rf"(\w+) (\S+): (?:{NOT_RUN}|(\w+) (\S+) (\S+) error (\S+) roof (\S+))", row)
        if not found:
            raise ValueError(f"{path}: cannot be read: {row}")
        lines[found.group(1)] = Line(*[part or "" for part in found.groups()])
    return lines


def write(path: Path, lines: dict[str, Line]) -> None:
    rows = sorted(lines.values(), key=lambda line: (line.file, line.kernel))
    path.write_text(HEAD + "".join(f"{line.text()}\n" for line in rows), encoding="utf-8")


def updated(lines: dict[str, Line], kernels: dict[str, str]) -> dict[str, Line]:
    """A line for each kernel: the one it had in this file, or a new one."""
    old = {(line.kernel, line.file): line for line in lines.values()}
    return {kernel: old.get((kernel, file), Line(kernel, file)) for kernel, file in kernels.items()}


def verified(
    lines: dict[str, Line], errors: dict[str, float], roofs: dict[str, float], device: str,
    arch: str, date: str,
) -> dict[str, Line]:
    """With what a run on a device of `arch` (90a for Hopper) has found. `errors` by operation,
    above 1 or missing: not verified; `roofs` by operation, in percent. A kernel that the run did
    not verify, or that does not run on such a device, keeps its line."""
    out = dict(lines)
    for kernel, line in lines.items():
        if arch != "90a" and (kernel in ONLY_90A or line.file in ONLY_90A):
            continue
        operations = operations_of(kernel)
        worst = [errors.get(name) for name in operations]
        if not errors or any(value is None or not value <= 1 for value in worst):
            continue
        shares = [roofs[name] for name in operations if name in roofs]
        out[kernel] = Line(
            kernel, line.file, blob(line.file), device.replace(" ", "_"), date,
            f"{max(worst):.3g}" if worst else "-", f"{min(shares):.0f}%" if shares else "-",
        )
    return out


def complaints(lines: dict[str, Line], kernels: dict[str, str]) -> tuple[list[str], list[str]]:
    """What is wrong, and what is stale."""
    wrong = [f"{kernel} ({file}) has no line" for kernel, file in kernels.items()
             if kernel not in lines or lines[kernel].file != file]
    wrong += [f"{kernel}: there is no such kernel" for kernel in lines if kernel not in kernels]
    for kernel in kernels:
        operations_of(kernel)
    stale = [f"stale: {line.kernel} ({line.file}) has changed since {line.date}"
             for line in lines.values()
             if line.blob and line.kernel in kernels and line.blob != blob(line.file)]
    return wrong, stale


def main() -> int:
    parser = argparse.ArgumentParser(description="the ledger tests/VERIFIED")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    kernels, lines = declared(), read(LEDGER)
    if options.update:
        lines = updated(lines, kernels)
        write(LEDGER, lines)
    wrong, stale = complaints(lines, kernels)
    for sentence in wrong + stale:
        print(sentence)
    run = sum(bool(line.blob) for line in lines.values())
    print(f"{len(kernels)} kernels, {run} run on a device, {len(stale)} of those stale")
    return 1 if wrong or not kernels else 0


if __name__ == "__main__":
    sys.exit(main())
