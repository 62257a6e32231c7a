"""scripts/gpu_check --rehearse: every step that needs no device, in a temporary folder.

The pack, and that it links; a build configured with nvcc and the pack, and one file of kernels
compiled in it; the golden vectors, written and replayed by the simulator (where --vectors names its
program); steps that fail and commands that do not end; and the way from made-up output of every
program to results, ledger and tables.

SPDX-License-Identifier: Apache-2.0
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from . import device, ledger, pack, results
from .run import Failed, Run, Skip

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


def need(condition: bool, what: str) -> None:
    if not condition:
        raise Failed(what)


class Rehearsal:
    def __init__(self, run: Run, folder: Path, vectors: Path | None):
        self.run, self.folder, self.vectors = run, folder, vectors
        self.packed = folder / "pack"

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
        build = self.folder / "build"
        self.run.command("configure", device.configure(build, self.packed, "90a"), 1200)
        cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
        need(str(self.packed) in cache, "the build does not use the pack")
        said = self.run.command("targets", ["ninja", "-C", str(build), "-t", "targets", "all"], 60)
        for target in device.TARGETS:
            need(f"/{target}: " in said, f"the build has no target {target}")
        self.run.command("compile", ["ninja", "-C", str(build), "-j1",
                                     "kernels/cuda/CMakeFiles/ie_kernels_cuda.dir/cuda.cu.o"], 900)
        return "cuda.cu for sm_90a"

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
        late = [sys.executable, "-c", "import time\nprint('{\"bench\": 1}', flush=True)\n"
                "time.sleep(60)"]
        inner.step("late", lambda: inner.command("late", late, 3))
        inner.step("partial", lambda: inner.command("partial", late, 15, partial=True) and None)
        inner.step("side", lambda: str(inner.together({"a": ["true"], "b": ["false"]}, 10)))
        inner.step("no time", lambda: "never", need=3600)
        verdicts = [outcome.verdict for outcome in inner.outcomes]
        need(verdicts == ["ok", "FAIL", "FAIL", "ok", "FAIL", "SKIP"], f"verdicts are {verdicts}")
        need(inner.code() == 1, "a failure is not in the exit code")
        need("2 passed, 3 failed, 1 skipped" in inner.summary(), "the summary counts otherwise")
        return "6 steps"

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
        ledger.write(path, ledger.verified(lines, errors, {"conv": 71.0}, "A Card", "2026-01-01"))
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
        need(results.BEGIN in device.README.read_text(encoding="utf-8"), "bench/README.md: markers")
        return "5 rows"

    def all(self) -> None:
        for name in ("failing", "ledger", "tables", "wrappers", "golden", "pack", "compile"):
            self.run.step(name, getattr(self, name))
