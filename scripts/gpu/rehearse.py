"""scripts/gpu_check --rehearse: every step that needs no device, in a temporary folder.

The pack, and that it links; everything that a run on a device builds, by nvcc and with the pack,
and what ptxas says of it; those programs where no device is, which must say so; the drivers of the
benches, small and on the reference; the golden vectors, written and replayed by the simulator
(where --vectors names its program); steps that fail, commands that do not end, sanitizers that
refuse; and the way from made-up output of every program to results, ledger and tables.

SPDX-License-Identifier: Apache-2.0
"""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

from bench.driver.gpu_rows import SMALL

from . import device, ledger, pack, results
from .run import Failed, Run, Skip

CARD = {"card": "A Card (SXM)", "arch": "90a", "driver": "1"}
CASCADE = ledger.ROOT / "tests" / "golden" / "cascade"

LINKED = """
#include <jansson.h>
#include <openssl/evp.h>
#include <png.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
int main(void)
{
    json_t *j = json_object();
    unsigned char sum[64];
    unsigned length = 0;
    const int hashed = EVP_Digest("a", 1, sum, &length, EVP_sha256(), NULL);
    const int bad = !j || hashed != 1 || length != 32 || png_access_version_number() == 0;
    json_decref(j);
    assert_false(bad);
    return bad;
}
"""

CHECKED = """cuda, IE_TEST_SEED=1
ok   conv        bf16   12 cases   0.10 s  worst 0.25 of the bound (3x3 of 5x7)
FAIL attention   bf16    4 cases   0.10 s  worst 7.5 of the bound (q 3)
  1 failures
ok   noise               3 cases   0.01 s  worst 0.5 of the bound ()
"""


# Twelve layers of two roundings to bf16, 2^-9 each, that all go the same way; another network would
# be at about 1.
DIFFERS = 24 / 512

# compute-sanitizer, as a tool speaks; one without a case finds nothing.
SANITIZER = """#!/bin/sh
case $2 in
{cases}
*) echo "[       OK ] a" ;;
esac
"""
REFUSES = ("echo '========= Error: Device not supported. Please refer to the \"Supported Devices\" "
           "section'; exit 1")


def need(condition: bool, what: str) -> None:
    if not condition:
        raise Failed(what)


class Rehearsal:
    def __init__(self, run: Run, folder: Path, vectors: Path | None, core: Path | None):
        self.run, self.folder, self.vectors, self.core = run, folder, vectors, core
        self.packed = folder / "pack"
        self.place = device.Place(
            build=folder / "build", models=folder / "models", results=folder / "measured",
            readme=folder / "measured.md", ledger=folder / "measured.ledger", source=CASCADE,
            device="ref", rows="small", stages=("sr",), lanes=("1", "2"), steps_s=1,
            requests=(1,), patience=10)

    def inner(self, name: str, **environment: str) -> Run:
        """A run of its own, whose steps may fail."""
        return Run(self.folder / name, self.run.left(), self.run.environment | environment)

    def ends(self, name: str, words: list[str], code: int) -> str:
        """What a program says that is to end with this code."""
        process = self.run.start(name, words)
        try:
            self.run.finish(name, process, 300, False)
        except Failed:
            pass  # the code tells how
        need(process.returncode == code, f"{name} ended with {process.returncode}, not {code}")
        return self.run.said(name, "out") + self.run.said(name, "log")

    def pack(self) -> str:
        bytes_ = pack.pack(self.packed)
        moved = self.folder / "moved" / "pack"  # it may lie anywhere
        moved.parent.mkdir()
        self.packed.rename(moved)
        self.packed = moved
        tool, source = moved / "bin" / "pkg-config", self.folder / "linked.c"
        for package in pack.PACKAGES:
            subprocess.run([tool, "--exists", package], check=True)
        absent = subprocess.run([tool, "--exists", "nothing"], check=False)
        need(absent.returncode != 0, "the stand-in for pkg-config knows all packages")
        flags = subprocess.run([tool, "--cflags", "--libs", "jansson", "libpng", "libcrypto",
                                "cmocka"], capture_output=True, text=True, check=True)
        source.write_text(LINKED, encoding="utf-8")
        program = self.folder / "linked"
        self.run.command("link", ["cc", str(source), "-o", str(program), *flags.stdout.split(),
                                  f"-Wl,-rpath,{moved / 'lib'}"], 120)
        self.run.command("linked", [str(program)], 20)
        return f"{bytes_ / 2**20:.1f} MiB"

    def compile(self) -> str:
        if not device.nvcc():
            raise Skip("nvcc is not installed")
        build = self.place.build
        device.build(self.run, build, self.packed, CARD["arch"], 1500)
        cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
        need(str(self.packed) in cache, "the build does not use the pack")
        check = ledger.ROOT / "tests" / "cuda" / "check_ptxas.py"
        return self.run.command("registers", [
            sys.executable, str(check), "--log", str(self.run.out / "build.out")], 60).strip()

    def edit_on(self, name: str) -> list[str]:
        return [str(self.place.build / "bench/bench_edit"), "--model", str(CASCADE), "--device",
                name, "--precision", "bf16", "--json"]

    def absent(self) -> str:
        """What was built says that no device is there; no step takes that for success."""
        if not (self.place.build / "bench/bench_edit").exists():
            raise Skip("nothing was built")
        said = self.ends("no-device", [str(self.place.build / "tests/kernels/check_cuda")], 77)
        need("SKIP: no CUDA device" in said, f"check_cuda says {said}")
        said = self.ends("edit-cuda", self.edit_on("cuda"), 6)
        need("device 'cuda': no CUDA device (" in said, f"bench_edit says {said}")
        said = self.ends("edit-auto-none", self.edit_on("auto"), 6)
        need("device 'auto': this build has no oneDNN" in said, f"bench_edit says {said}")
        said = self.ends("write", [str(self.run.out / "ptx_vectors"), "write",
                                   str(self.folder / "written")], 1)
        need("FAIL: no CUDA device (" in said, f"ptx_vectors says {said}")
        place = dataclasses.replace(self.place, device="cuda")
        inner = self.inner("absent")
        device.Device(inner, self.packed, None, CARD, place).all(["kernels", "ladder"])
        verdicts = [outcome.verdict for outcome in inner.outcomes]
        need(verdicts == ["FAIL", "FAIL"], f"without a device the verdicts are {verdicts}")
        return "said by every program"

    def auto(self) -> str:
        """The command line that linked bench_edit, with oneDNN and the CPU's kernels of another
        build: the two backends in one program, as the preset `cuda` has them."""
        build, host = self.place.build, self.folder / "backend_host.o"
        if not self.core or not self.core.exists():
            raise Skip("no archive of a build with oneDNN was named (--core)")
        if not (build / "bench/bench_edit").exists():
            raise Skip("nothing was built")
        lines = self.run.command("commands", ["ninja", "-C", str(build), "-t", "commands",
                                              "bench/bench_edit"], 60).splitlines()
        compiled = next(line for line in lines if "/backend_host.c.o -c " in line)
        words = re.sub(r" -o \S+", f" -DIE_HAVE_ONEDNN -o {host}", compiled).split()
        self.run.command("compile-host", words, 300, folder=build)
        program = self.folder / "edit_auto"
        linked = lines[-1].removeprefix(": && ").removesuffix(" && :")
        words = re.sub(r" -o \S+", f" {host} -o {program}", linked).split()
        self.run.command("link-auto", [*words, str(self.core.resolve()), "-ldnnl"], 300,
                         folder=build)
        said = self.run.command("edit-auto", [str(program), *self.edit_on("auto")[1:]], 300)
        taken = results.json_lines(said)[0]["device"]
        need(taken.startswith("cpu, "), f"auto takes {taken}")
        return taken

    def drivers(self) -> str:
        """Models, operations, passes, edits and tables, as a run on a device goes through them."""
        missing = [name for name in ("torch", "numpy", "safetensors")
                   if not importlib.util.find_spec(name)]
        if missing:
            raise Skip(f"{', '.join(missing)} cannot be imported")
        if not (self.place.build / "bench/bench_edit").exists():
            raise Skip("nothing was built")
        self.place.readme.write_text(f"{results.BEGIN}\n{results.END}\n", encoding="utf-8")
        inner = self.inner("drivers")
        steps = device.Device(inner, self.packed, None, CARD, self.place)
        steps.begin_models()
        steps.all(["models", "operations", "steps", "edits", "record"])
        bad = [f"{o.name}: {o.note}" for o in inner.outcomes if o.verdict != "ok"]
        need(not bad, "; ".join(bad))
        rows = results.latest(steps.file)
        count = {bench: sum(row["bench"] == bench for row in rows)
                 for bench in ("ceilings", "op", "step", "edit")}
        wanted = {"ceilings": 1, "op": len(SMALL), "step": 2, "edit": 1}
        need(count == wanted, f"rows are {count}, not {wanted}")
        wrong = [row["stage"] for row in rows
                 if row["bench"] == "step" and not row["relative_difference"] < DIFFERS]
        need(not wrong, f"PyTorch computes something else in {wrong}")
        return ", ".join(f"{number} {bench}" for bench, number in count.items())

    def wrappers(self) -> str:
        header = (ledger.ROOT / "kernels/cuda/ptx.h").read_text(encoding="utf-8")
        program = (ledger.ROOT / "tests/cudasim/ptx_vectors.cu").read_text(encoding="utf-8")
        names = set(re.findall(r"PTX_INLINE \w[\w ]*?\**(\w+)\(", header))
        absent = sorted(name for name in names if not re.search(rf"\b{name}\b", program))
        need(not absent, f"ptx_vectors.cu has no case of {', '.join(absent)}")
        need(len(names) > 40, f"only {len(names)} wrappers were found in ptx.h")
        return f"{len(names)} of ptx.h"

    def golden(self) -> str:
        if not self.vectors or not self.vectors.exists():
            raise Skip("no program of the simulator was named (--vectors)")
        file = self.folder / "ptx.bin"
        self.run.command("vectors", [str(self.vectors), "rehearse", str(file)], 120)
        self.run.command("replay", [str(self.vectors), "replay", str(file)], 60)
        return f"{file.stat().st_size} bytes"

    def failing(self) -> str:
        inner = Run(self.folder / "inner", 60)
        inner.step("good", lambda: inner.command("good", ["echo", "{}"], 10) and None)
        inner.step("wrong", lambda: inner.command("wrong", ["false"], 10))
        late = ["sh", "-c", "echo '{}'; sleep 60"]
        inner.step("late", lambda: inner.command("late", late, 1))
        inner.step("partial", lambda: inner.command("partial", late, 3, partial=True) and None)
        inner.step("side", lambda: str(inner.together({"a": ["true"], "b": ["false"]}, 10)))
        inner.step("no time", lambda: "never", need=3600)
        verdicts = [outcome.verdict for outcome in inner.outcomes]
        need(verdicts == ["ok", "FAIL", "FAIL", "ok", "FAIL", "SKIP"], f"verdicts are {verdicts}")
        need(inner.code() == 1, "a failure is not in the exit code")
        need("2 passed, 3 failed, 1 skipped" in inner.summary(), "the summary counts otherwise")
        return "6 steps"

    def sanitizers(self) -> str:
        """A tool that does not support the device is left out; one that finds something is not."""
        tools = self.folder / "tools"
        tools.mkdir()
        inner = self.inner("sanitizers", PATH=f"{tools}:{self.run.environment['PATH']}")
        steps = device.Device(inner, self.packed, None, CARD, self.place)
        finds = "memcheck) echo '[       OK ] a'; echo '========= 1 error'; exit 9 ;;"
        for cases in ("", f"*) {REFUSES} ;;", f"racecheck) {REFUSES} ;;",
                      f"{finds}\n*) {REFUSES} ;;", "initcheck) echo '[  SKIPPED ] a' ;;"):
            program = tools / "compute-sanitizer"
            program.write_text(SANITIZER.format(cases=cases), encoding="utf-8")
            program.chmod(0o755)
            inner.step("sanitizer", steps.sanitizer)
        said = [(outcome.verdict, outcome.note) for outcome in inner.outcomes]
        need([verdict for verdict, _ in said] == ["ok", "SKIP", "SKIP", "FAIL", "FAIL"], f"{said}")
        need(said[2][1] == "racecheck: Device not supported", said[2][1])
        return f"{len(said)} answers"

    def ledger(self) -> str:
        errors = results.check_errors(CHECKED)
        need(errors == {"conv": 0.25, "attention": float("inf"), "noise": 0.5}, f"read {errors}")
        said = "[ RUN      ] a\n[       OK ] a\n"
        need(results.tests_passed(said) == 1, "tests of a cmocka program are not counted")
        need(results.tests_passed(said + "[  SKIPPED ] b\n") == 0, "a skipped test counts")
        kernels = ledger.declared()
        lines = ledger.updated({"gone": ledger.Line("gone", "gone.cu")}, kernels)
        wrong, stale = ledger.complaints(lines, kernels)
        need(not wrong and not stale, f"a new ledger has complaints: {wrong + stale}")
        path = self.folder / "VERIFIED"
        found = (errors, {"conv": 71.0}, "A Card")
        for arch, runs in (("80", False), ("90a", True), ("100", False), ("120", False)):
            there = ledger.verified(lines, *found, arch, "2026-01-01")
            for kernel in ("conv90_kernel", "conv90_reduce_kernel", "conv90_norm_kernel",
                           "fold_kernel"):
                need(bool(there[kernel].blob) == runs, f"{kernel} on sm_{arch}")
            need(there["conv80_kernel"].blob, f"conv80_kernel did not run on sm_{arch}")
        tests = (ledger.ROOT / "tests/cuda/CMakeLists.txt").read_text(encoding="utf-8")
        only = re.search(r"set\(only_90a ([^)]*)\)", tests).group(1).split()
        need(only == ledger.ONLY_90A, f"the tests of kernels run {only} on sm_90a alone")
        ledger.write(path, ledger.verified(lines, *found, "90a", "2026-01-01"))
        lines = ledger.read(path)
        need(set(lines) == set(kernels), "the ledger does not come back as it was written")
        conv = next(line for line in lines.values() if line.kernel.startswith("conv"))
        need((conv.error, conv.roof, conv.device) == ("0.25", "71%", "A_Card"), f"{conv}")
        need(not lines["attention_kernel"].blob, "a failed kernel counts as verified")
        conv.blob = "0" * 12
        wrong, stale = ledger.complaints(lines, kernels)
        need(not wrong and len(stale) == 1 and conv.kernel in stale[0], "a stale line is not told")
        del lines[conv.kernel]
        need(len(ledger.complaints(lines, kernels)[0]) == 1, "a missing line is not told")
        return f"{len(kernels)} kernels"

    def tables(self) -> str:
        sample = {"median": 10.0, "p10": 9.0, "p90": 11.0, "least": 9.0}
        step = {"bench": "step", "stage": "base-64", "lanes": 2, "flop": 5e12, "tflops": 500.0,
                "rounds": 3, "ours": sample, "theirs": sample, "ratio": 1.5,
                "relative_difference": 1e-3, "compiled": False, "predicted_ms": 7.5,
                "all": {"eager channels_last": 15.0}}
        rows = [
            {"bench": "ceilings", "matrix_flops": 8e14, "copy_bytes_per_s": 4.3e12},
            step, step | {"compiled": True, "all": step["all"] | {"compile max-autotune": 12.0}},
            {"bench": "op", "op": "conv", "name": "conv 3x3", "lanes": 2, "flop": 1e9, "bytes": 1e6,
             "predicted_us": 1.5, "roof_us": 1.0, "ours_us": 2.0, "percent_of_roof": 50.0,
             "torch_us": 3.0, "ratio": 1.5, "ratio_p10": 1.4, "ratio_p90": 1.6},
            {"bench": "edit", "requests": 8, "edit_s": 16.0, "flop": 1e15},
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows) + '{"bench": "cut o'
        need(results.json_lines("a word\n" + text) == rows, "JSON lines are not read as written")
        file = self.folder / "results" / f"{results.slug('A Card (SXM)')}.jsonl"
        facts = {"card": "A Card (SXM)", "driver": "1", "commit": "c", "date": "2026-01-01"}
        results.append(file, [{"bench": "ceilings"}], facts | {"run": "1"})
        results.append(file, rows, facts | {"run": "2"})
        (file.parent / "other.jsonl").write_text('{"bench": "step"}\n', encoding="utf-8")
        need(len(results.latest(file)) == len(rows), "an older run counts")
        need(results.roofs(rows) == {"conv": 50.0}, "shares of the roof")
        document = self.folder / "README.md"
        document.write_text(f"above\n{results.BEGIN}\nold\n{results.END}\nbelow\n",
                            encoding="utf-8")
        results.write_tables(document, file.parent)
        first = document.read_text(encoding="utf-8")
        results.write_tables(document, file.parent)
        need(document.read_text(encoding="utf-8") == first, "a second time the tables differ")
        for part in ("above\n", "below\n", "800 TFLOP/s",
                     "| base-64 | 2 | 7.50 | 10.00 | 500, 62 % | 15.00 (channels_last) | "
                     "1.50 | 12.00 | 1.20 | 1e-03 |",
                     "| 8 | 16.00 | 0.500 | 62 |",
                     "| conv 3x3 | 2 | 1.5 | 2.0 | 50 % | 3.0 | 1.50 (1.40 - 1.60) |"):
            need(part in first, f"the tables do not have '{part}':\n{first}")
        need("old" not in first, "what stood between the markers is still there")
        need(results.BEGIN in device.Place().readme.read_text(encoding="utf-8"),
             "bench/README.md: markers")
        return "5 rows"

    def later(self) -> str:
        """A second run goes on where the first had no more time, and adds to its tables."""
        place = dataclasses.replace(self.place, results=self.folder / "later" / "results",
                                    stages=("base", "final"))
        steps = device.Device(self.inner("later"), self.packed, None, CARD, place)
        row = {"bench": "step", "stage": "base", "lanes": 1, "compiled": True}
        steps.facts["commit"] = "c"
        results.append(steps.file, [{"bench": "ceilings"}, row | {"compiled": False}, row],
                       steps.facts | {"run": "1"})
        left = steps.not_compiled()
        need(left == [("final", "1"), ("base", "2"), ("final", "2")], f"left is {left}")
        again = [row | {"stage": "final"}, row | {"tflops": 2.0}]
        results.append(steps.file, again, steps.facts | {"run": "2"})
        kept = results.latest(steps.file)
        need([r.get("tflops") for r in kept] == [None, None, 2.0, None], f"kept is {kept}")
        results.append(steps.file, [row], steps.facts | {"run": "3", "commit": "c+"})
        results.append(steps.file, [row | {"stage": "final"}],
                       steps.facts | {"run": "4", "commit": "c+"})
        for commit in ("c", "c+"):
            steps.facts["commit"] = commit
            need(len(results.latest(steps.file)) == 1, "rows of other code count")
            need(len(steps.not_compiled()) == 4, f"what other code has timed counts as {commit}")
        return f"{len(left)} of 4 are left"

    def all(self) -> None:
        for name in ("failing", "sanitizers", "ledger", "tables", "later", "wrappers", "golden",
                     "pack", "compile", "absent", "drivers", "auto"):
            self.run.step(name, getattr(self, name))
