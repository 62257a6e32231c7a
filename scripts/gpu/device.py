"""scripts/gpu_check on a machine with a device: the steps, in order.

SPDX-License-Identifier: Apache-2.0
"""

import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import ledger, pack, results
from .run import Failed, Late, Run, Skip

ROOT = ledger.ROOT
VECTORS = ROOT / "tests" / "cudasim" / "golden" / "ptx.bin"

LADDER = ["test_golden_ops", "test_networks", "test_steps", "test_edit", "test_conditioning",
          "test_unet_properties"]
TARGETS = ["check_cuda", *LADDER, "ptx_vectors", "bench_ops", "bench_step", "bench_edit"]
STEPS = ["build", "kernels", "ladder", "sanitizer", "vectors", "operations", "record", "models",
         "steps", "edits", "compile"]
SANITIZERS = ["memcheck", "racecheck", "synccheck", "initcheck"]
UNSUPPORTED = "Device not supported"  # compute-sanitizer on some virtual machines
# What is timed: a commit that changes none of it keeps older measurements true.
TIMED = ["kernels", "engine", "bench/*.c", "bench/*.h", "bench/driver", "scripts/reference"]


@dataclass(frozen=True)
class Place:
    """What the steps work with; a rehearsal has its own."""

    build: Path = ROOT / "build" / "gpu"
    models: Path = ROOT / "out" / "gpu_models"
    results: Path = ROOT / "bench" / "results"
    readme: Path = ROOT / "bench" / "README.md"
    ledger: Path = ledger.LEDGER
    source: Path = ROOT / "examples" / "imagen-full"  # configurations of the models
    device: str = "cuda"
    rows: str = "full"  # of gpu_rows.py
    stages: tuple[str, ...] = ("base-64", "sr-1024", "sr-256")
    lanes: tuple[str, ...] = ("1", "2", "8", "16")
    steps_s: int = 16  # of passes of a stage
    requests: tuple[int, ...] = (1, 8)
    patience: int = 1  # times the limits of what is timed


def configure(build: Path, packed: Path, architectures: str) -> list[str]:
    """CMake's words for a build without what the machine need not have."""
    return ["cmake", "-G", "Ninja", "-B", str(build), "-S", str(ROOT), "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_SHARED_LIBS=OFF", "-DIE_CUDA=ON", "-DIE_ONEDNN=OFF", "-DIE_JPEG=OFF",
            "-DIE_WEBP=OFF", f"-DCMAKE_CUDA_ARCHITECTURES={architectures}-real",
            "-DCMAKE_CUDA_FLAGS=-lineinfo -Xptxas=-v", f"-DCMAKE_CUDA_COMPILER={nvcc()}",
            *pack.options(packed)]


def search_path() -> str:
    """Where programs are, the toolkit's and the driver's usual folders last."""
    return ":".join([os.environ.get("PATH", ""), "/usr/local/cuda/bin", "/usr/local/nvidia/bin"])


def nvcc() -> str | None:
    return shutil.which("nvcc", path=search_path())


def card() -> dict[str, str]:
    """Name, compute capability ("90a" for Hopper) and driver of the first device."""
    tool = shutil.which("nvidia-smi", path=search_path()) or "nvidia-smi"
    said = subprocess.run(
        [tool, "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"],
        capture_output=True, text=True, check=True).stdout.splitlines()[0]
    name, capability, driver = (part.strip() for part in said.split(","))
    number = capability.replace(".", "")
    return {"card": name, "arch": number + "a" * (number == "90"), "driver": driver}


def commit() -> str:
    """The last one that changed what is timed, and a + when files of that have changed since: then
    it does not tell one state from another."""
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words, "--", *TIMED], capture_output=True,
                              text=True, check=False).stdout.strip()

    last = git("log", "-1", "--format=%h", "--abbrev=12")
    return last + "+" * bool(git("status", "--porcelain")) if last else "unknown+"


def build(run: Run, folder: Path, packed: Path, arch: str, limit: float) -> None:
    """TARGETS and the program of golden vectors; what ptxas says of the kernels is in build.out."""
    run.command("configure", configure(folder, packed, arch), limit)
    run.together({
        "build": ["cmake", "--build", str(folder), "--target", *TARGETS],
        "vectors-build": [
            str(nvcc()), "-O2", "-std=c++17", f"-gencode=arch=compute_{arch},code=sm_{arch}",
            f"-I{ROOT / 'kernels'}", f"-I{ROOT / 'kernels' / 'cuda'}",
            str(ROOT / "tests" / "cudasim" / "ptx_vectors.cu"), "-o",
            str(run.out / "ptx_vectors")],
    }, limit)


class Device:
    """The steps share what was measured."""

    def __init__(self, run: Run, packed: Path, collect: Path | None, found: dict[str, str],
                 place: Place = Place()):
        """`found`: what `card` says."""
        self.run, self.packed, self.collect, self.place = run, packed, collect, place
        self.arch = found["arch"]
        now = time.gmtime()
        self.facts = {"card": found["card"], "driver": found["driver"],
                      "commit": commit(), "date": time.strftime("%Y-%m-%d", now),
                      "run": time.strftime("%Y%m%dT%H%M%S", now)}
        self.file = place.results / f"{results.slug(found['card'])}.jsonl"
        self.errors: dict[str, float] = {}
        self.models: subprocess.Popen | None = None
        run.after = self.keep

    # ---- building ----------------------------------------------------------------------------

    def program(self, name: str) -> str:
        return str(self.place.build / name)

    def begin_models(self) -> None:
        self.models = self.run.start("models", [
            sys.executable, "-m", "driver.gpu_model", "--output", str(self.place.models),
            "--source", str(self.place.source), "--device", self.place.device])

    def build(self) -> str:
        self.begin_models()
        build(self.run, self.place.build, self.packed, self.arch, 200)
        return f"{self.facts['card']}, sm_{self.arch}"

    # ---- right -------------------------------------------------------------------------------

    def kernels(self) -> str:
        try:
            self.run.command("check_cuda", [self.program("tests/kernels/check_cuda")], 90)
        finally:
            said = self.run.said("check_cuda", "out")
            self.errors = results.check_errors(said)
        if not self.errors:
            raise Failed("check_cuda checked nothing")
        worst = max(self.errors, key=self.errors.get)
        return f"{len(self.errors)} operations, worst {worst} {self.errors[worst]:.3g} of its bound"

    def passed(self, name: str) -> int:
        """Tests of a program that was run; that one was skipped, or none there, is a failure."""
        count = results.tests_passed(self.run.said(name, "out") + self.run.said(name, "log"))
        if not count:
            raise Failed(f"{name}: not every test of it was run on the device")
        return count

    def ladder(self) -> str:
        """Each program has its turn, whatever the others said."""
        count, failures = 0, []
        for name in LADDER:
            try:
                self.run.command(name, [self.program(f"tests/engine/{name}"),
                                        self.place.device, "bf16"], 60)
                count += self.passed(name)
            except Failed as failure:
                failures.append(str(failure))
        if failures:
            raise Failed("; ".join(failures))
        return f"{count} tests of {len(LADDER)} programs"

    def sanitizer(self) -> str:
        program = [self.program("tests/engine/test_edit"), self.place.device, "bf16"]
        said = self.run.side_by_side({
            tool: ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *program]
            for tool in SANITIZERS}, 100)
        failures, refused = [], []
        for tool, outcome in said.items():
            try:
                if UNSUPPORTED in self.run.said(tool, "out") + self.run.said(tool, "log"):
                    refused.append(tool)
                elif isinstance(outcome, Failed):
                    raise outcome
                else:
                    self.passed(tool)
            except Failed as failure:
                failures.append(str(failure))
        if failures:
            raise Failed("; ".join(failures))
        if refused:
            raise Skip(f"{', '.join(refused)}: {UNSUPPORTED}")
        return ", ".join(SANITIZERS)

    def vectors(self) -> str:
        VECTORS.parent.mkdir(parents=True, exist_ok=True)
        self.run.command("vectors", [str(self.run.out / "ptx_vectors"), "write", str(VECTORS)], 20)
        self.run.command("vectors-replay",
                         [self.program("tests/cudasim/ptx_vectors"), "replay", str(VECTORS)], 30)
        return f"{VECTORS.stat().st_size} bytes, the simulator agrees"

    # ---- fast --------------------------------------------------------------------------------

    def driver(self, name: str, module: str, words: list[str], limit: float) -> list[results.Row]:
        """The rows of a program of bench/driver, kept as they are measured."""
        try:
            self.run.command(name, [sys.executable, "-m", f"driver.{module}", *words],
                             limit * self.place.patience, partial=True)
        finally:
            rows = results.json_lines(self.run.said(name, "out"))
            results.append(self.file, rows, self.facts)
        return rows

    def operations(self) -> str:
        rows = self.driver("operations", "gpu_ops", [
            "--program", self.program("bench/bench_ops"), "--device", self.place.device,
            "--rows", self.place.rows, "--seconds", str(70 * self.place.patience)], 90)
        ratios = [row["ratio"] for row in rows if "ratio" in row]
        if not ratios:
            raise Failed("no row was timed")
        faster = sum(ratio > 1 for ratio in ratios)
        return (f"{len(rows) - 1} rows, {faster} of {len(ratios)} faster than PyTorch, median "
                f"ratio {results.median(ratios):.2f}")

    def made_models(self) -> str:
        if self.models is None:
            raise Skip("they were not begun")
        self.run.finish("models", self.models, 120 * self.place.patience, False)
        return str(self.place.models)

    def stage(self, stage: str, lanes: tuple[str, ...], compiled: bool, limit: float) -> str:
        folder = self.place.models / stage
        if not (folder / "model.safetensors").exists():
            raise Skip(f"there is no model of {stage}")
        words = ["--program", self.program("bench/bench_step"), "--stage", str(folder),
                 "--device", self.place.device, "--lanes", *lanes,
                 "--seconds", "5" if compiled else str(self.place.steps_s)]
        name = f"{'compile' if compiled else 'steps'}-{stage}-{'-'.join(lanes)}"
        rows = self.driver(name, "gpu_step", words + ["--compile"] * compiled, limit)
        if not rows:
            raise Failed("nothing was timed")
        return ", ".join(f"{r['lanes']}: {r['ours']['median']:.1f} ms {r['tflops']:.0f} TFLOP/s "
                         f"ratio {r['ratio']:.2f}" for r in rows)

    def not_compiled(self) -> list[tuple[str, str]]:
        """Stages and lanes that torch.compile has not been timed with on this card, as the code is
        now: one lane first, then most, in which the others lie."""
        commit = self.facts["commit"]
        rows = results.latest(self.file) if self.file.exists() else []
        known = {(row["stage"], str(row["lanes"])) for row in rows
                 if row.get("compiled") and row["commit"] == commit and not commit.endswith("+")}
        first, *middle, last = self.place.lanes
        every = [(stage, lanes) for lanes in (first, last, *middle) for stage in self.place.stages]
        return [each for each in every if each not in known]

    def compiled(self) -> str:
        """What fits into the time that is left; a later run goes on from there."""
        done, reasons = [], []
        left = self.not_compiled()
        for i, (stage, lanes) in enumerate(left):
            if self.run.left() < 45:
                reasons.append(f"no time for {stage} x{lanes} and {len(left) - i - 1} more")
                break
            try:
                said = self.stage(stage, (lanes,), True, self.run.left() - 10)
                done.append(f"{stage} {said}")
            except (Failed, Skip) as reason:
                reasons.append(f"{stage} x{lanes}: {reason}")
        if left and not done:
            raise Skip("; ".join(reasons))
        return "; ".join(done + reasons) or "all were timed before"

    def edits(self) -> str:
        said = []
        for requests in self.place.requests:
            name = f"edits-{requests}"
            words = [self.program("bench/bench_edit"), "--model", str(self.place.models),
                     "--device", self.place.device, "--precision", "bf16", "--requests",
                     str(requests), "--lanes", str(2 * requests), "--json"]
            try:
                text = self.run.command(name, words, 75 * self.place.patience)
            except Late:
                said.append(f"no time for {requests} at once")
                continue
            rows = [row | {"requests": requests} for row in results.json_lines(text)]
            results.append(self.file, rows, self.facts)
            said += [f"{requests} at once: {requests / row['edit_s']:.3f} a second" for row in rows]
        if not any("a second" in part for part in said):
            raise Skip(", ".join(said))
        return ", ".join(said)

    # ---- keeping -----------------------------------------------------------------------------

    def record(self) -> str:
        rows = results.latest(self.file) if self.file.exists() else []
        rows = [row for row in rows if row["run"] == self.facts["run"]]
        lines = ledger.updated(ledger.read(self.place.ledger), ledger.declared())
        lines = ledger.verified(lines, self.errors, results.roofs(rows), self.facts["card"],
                                self.arch, self.facts["date"])
        ledger.write(self.place.ledger, lines)
        results.write_tables(self.place.readme, self.place.results)
        ran = sum(line.date == self.facts["date"] for line in lines.values())
        return f"{ran} of {len(lines)} kernels verified"

    def keep(self) -> None:
        """Everything that was written, as one file that can be taken away and unpacked at ROOT."""
        (self.run.out / "summary.txt").write_text(self.run.summary(), encoding="utf-8")
        if not self.collect:
            return
        paths = [self.file, self.place.ledger, self.place.readme, VECTORS,
                 *self.run.out.glob("*.out"), *self.run.out.glob("*.log"),
                 self.run.out / "summary.txt"]
        with tarfile.open(self.collect, "w:gz") as archive:
            for path in paths:
                if path.exists():
                    archive.add(path, str(path.relative_to(ROOT)))

    def all(self, only: list[str]) -> None:
        """Every step, or those whose first words are given."""
        steps = [
            ("build", self.build, 5),
            ("kernels", self.kernels, 5),
            ("ladder", self.ladder, 5),
            ("sanitizer", self.sanitizer, 5),
            ("vectors", self.vectors, 5),
            ("operations", self.operations, 30),
            ("record", self.record, 0),
            ("models", self.made_models, 5),
            *((f"steps {stage}", lambda s=stage: self.stage(s, self.place.lanes, False, 70), 30)
              for stage in self.place.stages),
            ("edits", self.edits, 60),
            ("compile", self.compiled, 60),
            ("record", self.record, 0),
        ]
        for name, work, need in steps:
            if not only or name.split()[0] in only:
                self.run.step(name, work, need)
