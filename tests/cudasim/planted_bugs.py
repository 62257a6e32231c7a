#!/usr/bin/env python3
"""planted_bugs - plant mistakes in the test kernels, one at a time, and see that each is reported.

    planted_bugs.py --build FOLDER [--compiler PROGRAM] [--nvcc PROGRAM] [--jobs N] [--all-modes]
                    [NAME ...]

FOLDER is where CMake has built tests/cudasim: a mutant replaces one object file of a program there.
Every bug names the mode that finds it and what is said then; --all-modes tries the other modes too
and prints a table. NAMEs select bugs by a part of their description.

    plain   forward and lazy              random  as plain, in three random orders
    ubsan   with that sanitizer           races   instrumented for the race checker
    build   the compiler refuses it       ptx     what nvcc makes of it, translated, sm_90a

    0  every bug was found, as the list says; and the kernels without a bug pass
    1  one was not, or does not fit the sources
    77 SKIP: without nvcc the bugs of mode ptx are left out, and the rest passed

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WRONG = "times the bound"  # what test_kernels says of numbers that are not right


@dataclass
class Bug:
    what: str
    file: str  # below tests/cudasim/kernels, or ptx.h
    before: str  # occurs there once
    after: str
    test: str  # of test_kernels
    mode: str  # that finds it
    says: str  # a regular expression


# What mirror_kernel does with a number, and what it must not do.
MIRROR = """    const float sum = constant[i];
    grid_dependency_wait();
    grid_dependency_launch();
    y[i] = x[n - 1 - i] + sum;
"""
MIRROR_READS_EARLY = """    const float sum = x[n - 1 - i] + constant[i];
    grid_dependency_wait();
    grid_dependency_launch();
    y[i] = sum;
"""

BUGS = [
    # ---- copies and barriers --------------------------------------------------------------------
    Bug("no __syncthreads in the ring of cp.async", "gemm.cu",
        "        __syncthreads(); /* the stage is there for all, and the one before is free */\n",
        "", "test_gemm", "races", r"race write->read at shared\+\d+.*gemm_kernel at gemm.cu:\d+"),
    Bug("cp.async waits for one group too few", "gemm.cu", "cp_async_wait<STAGES - 2>",
        "cp_async_wait<STAGES - 1>", "test_gemm", "plain", WRONG),
    Bug("registers of B swapped in mma", "gemm.cu",
        "b[j >> 1][(j & 1) * 2], b[j >> 1][(j & 1) * 2 + 1]",
        "b[j >> 1][(j & 1) * 2 + 1], b[j >> 1][(j & 1) * 2]", "test_gemm", "plain", WRONG),
    Bug("a store one row past the result", "gemm.cu", "if (row < g.m && column < g.n)",
        "if (row < g.m + 1 && column < g.n)", "test_gemm", "plain",
        r"a load or store at .* outside .* global memory, at gemm.cu:\d+"),
    Bug("64 bytes of shared memory too few", "gemm.cu", "dim3(256), STAGES * STAGE,",
        "dim3(256), STAGES * STAGE - 64,", "test_gemm", "plain",
        r"shared access \d+\+16 beyond the \d+ bytes"),
    Bug("a read of cp.async one row past A", "gemm.cu", "in_a = m0 + row < g.m &&",
        "in_a = m0 + row < g.m + 1 &&", "test_gemm", "plain",
        "cp.async: 16 bytes at .* are not inside an allocation"),
    Bug("the last row of V is never loaded", "attention.cu",
        "    load_rows(v, tile.v, tile.first, tile.rows);",
        "    if (threadIdx.x < 120) load_rows(v, tile.v, tile.first, tile.rows);",
        "test_attention", "races", "read of uninitialised shared memory .*attention.cu"),
    Bug("the same, by its numbers", "attention.cu",
        "    load_rows(v, tile.v, tile.first, tile.rows);",
        "    if (threadIdx.x < 120) load_rows(v, tile.v, tile.first, tile.rows);",
        "test_attention", "plain", WRONG),
    Bug("a barrier in two branches", "group_norm.cu",
        "    __syncthreads();\n    float *const out",
        "    if (thread < 64)\n        __syncthreads();\n    else\n        __syncthreads();\n"
        "    float *const out", "test_group_norm", "plain",
        "__syncthreads at line .* wait for each other"),
    Bug("no barrier between zeroing and atomics", "group_norm.cu",
        "sums[i] = 0.0f;\n    __syncthreads();", "sums[i] = 0.0f;", "test_group_norm", "races",
        "race write/write at shared.*group_norm.cu"),
    Bug("a shuffle of all lanes in a branch", "group_norm.cu",
        "        sum += __shfl_xor_sync(0xffffffffu, sum, d);",
        "        if (mine & 1) sum += __shfl_xor_sync(0xffffffffu, sum, d);", "test_group_norm",
        "plain", "DEADLOCK|divergent warp"),
    Bug("16 bytes loaded from an odd element", "group_norm.cu",
        "const Eight v = *reinterpret_cast<const Eight *>(g.x + at);\n        for",
        "const Eight v = *reinterpret_cast<const Eight *>(g.x + at + (at ? -1 : 0));\n        for",
        "test_group_norm", "ubsan", "misaligned address"),
    Bug("a static shared array", "group_norm.cu", "    float sum = 0, squares = 0;",
        "    __shared__ float extra[32];\n    extra[thread & 63] = 0;\n"
        "    float sum = 0, squares = 0;", "test_group_norm", "build", "static shared memory"),
    Bug("the dynamic shared array overrun by a store", "group_norm.cu",
        "for (int i = thread; i < 2 * g.groups; i += THREADS) sums[i] = 0.0f;",
        "for (int i = thread; i < 2 * g.groups + 1; i += THREADS) sums[i] = 0.0f;",
        "test_group_norm", "races", "access outside the block's shared memory.*group_norm.cu"),
    Bug("a named barrier for another buffer", "grids.cu",
        "            named_barrier_sync(1 + b, 128);",
        "            named_barrier_sync(2 - b, 128);", "test_named_barriers", "plain", "DEADLOCK"),
    Bug("a buffer given back before it is read", "grids.cu",
        """            y[round * 64 + 63 - thread] = 2.0f * buffers[b * 64 + 63 - thread];
            if (round + 2 < rounds) named_barrier_arrive(3 + b, 128);
""", """            if (round + 2 < rounds) named_barrier_arrive(3 + b, 128);
            y[round * 64 + 63 - thread] = 2.0f * buffers[b * 64 + 63 - thread];
""", "test_named_barriers", "races", "race (read->write|write->read) at shared.*grids.cu"),
    # ---- between blocks -------------------------------------------------------------------------
    Bug("no fence before the ticket", "grids.cu",
        "    partial[blockIdx.x] = mine;\n    __threadfence();",
        "    partial[blockIdx.x] = mine;", "test_last_block", "races",
        "race write->read at global.*grids.cu"),
    Bug("no fence after the ticket", "grids.cu",
        "    __threadfence(); /* the others' sums are there */\n", "", "test_last_block", "races",
        "race write->read at global.*grids.cu"),
    Bug("no barrier between the blocks", "grids.cu", "    grid_barrier(arrived);\n",
        "    __syncthreads();\n", "test_grid_barrier", "races",
        "(race write->read at|uninitialised) global.*grids.cu"),
    Bug("the grid's barrier in a grid that is not cooperative", "grids.cu",
        "cooperative.val.cooperative = 1;", "cooperative.val.cooperative = 0;",
        "test_grid_barrier", "plain", "DEADLOCK in normalise_kernel"),
    Bug("two blocks write the same element", "grids.cu",
        "    if (threadIdx.x == 0) partial[blockIdx.x] = mine;",
        "    if (threadIdx.x == 0) partial[blockIdx.x & 6] = mine;", "test_grid_barrier", "races",
        "race write/write at global.*grids.cu"),
    Bug("a cluster's block leaves while its memory is read", "cluster_sm90.cu",
        "    cluster_arrive(); /* nobody leaves while its memory is read */\n    cluster_wait();\n",
        "", "test_cluster", "random", "shared memory of a block that has ended"),
    Bug("no cluster barrier before a remote read", "cluster_sm90.cu",
        "    sums[row] = sum;\n    cluster_arrive();\n    cluster_wait();",
        "    sums[row] = sum;\n    __syncthreads();", "test_cluster", "races",
        "race write->read at shared|uninitialised shared memory"),
    Bug("multicast to the own block alone", "cluster_sm90.cu", "loaded, 0, row, 3)",
        "loaded, 0, row, 1 << rank)", "test_cluster", "plain", "DEADLOCK in cluster_sums_kernel"),
    # ---- grids that overlap ---------------------------------------------------------------------
    Bug("a grid that does not wait for the one before", "grids.cu",
        "    grid_dependency_wait();\n", "", "test_overlap", "plain",
        "mirror_kernel.* ends without griddepcontrol.wait"),
    Bug("a read before the wait for the grid before", "grids.cu", MIRROR, MIRROR_READS_EARLY,
        "test_overlap", "plain", WRONG),
    Bug("the same read, seen as a race", "grids.cu", MIRROR, MIRROR_READS_EARLY, "test_overlap",
        "races", "before (its )?griddepcontrol.wait.*grids.cu"),
    Bug("a write before the wait for the grid before", "grids.cu", MIRROR,
        "    y[i] = 0;\n" + MIRROR, "test_overlap", "plain", WRONG),
    Bug("the same write, seen as a race", "grids.cu", MIRROR, "    y[i] = 0;\n" + MIRROR,
        "test_overlap", "races", "write before griddepcontrol.wait.*grids.cu"),
    # ---- tensor copies and wgmma ----------------------------------------------------------------
    Bug("the producer ignores the empty barrier", "conv_sm90.cu",
        "        mbarrier_wait(ring.empty + 8 * stage, phase ^ 1);\n", "", "test_conv", "plain",
        "mbarrier .* arrivals where the phase waits for 0|times the bound"),
    Bug("an mbarrier waited for with the other parity", "conv_sm90.cu",
        "mbarrier_wait(ring.empty + 8 * stage, phase ^ 1)",
        "mbarrier_wait(ring.empty + 8 * stage, phase)", "test_conv", "plain",
        r"DEADLOCK(.|\n)*a wait for an mbarrier at conv_sm90.cu:\d+"),
    Bug("too many bytes expected", "conv_sm90.cu",
        "mbarrier_arrive_expect(full, X_BYTES + W_BYTES)",
        "mbarrier_arrive_expect(full, X_BYTES + W_BYTES + 128)", "test_conv", "plain", "DEADLOCK"),
    Bug("sums read before their wait", "conv_sm90.cu", "    wgmma_wait<0>();\n}", "}", "test_conv",
        "plain", "a warpgroup ends before its wgmma were waited for|times the bound"),
    Bug("a descriptor with the wrong stride", "ptx.h", "static_cast<uint64_t>(1024 >> 4) << 32",
        "static_cast<uint64_t>(512 >> 4) << 32", "test_conv", "plain", WRONG),
    Bug("a stage released before wgmma has read it", "conv_sm90.cu",
        """        wgmma_wait<1>(); /* the step before has read its stage */
        if (step && threadIdx.x % 128 == 0) {
            mbarrier_arrive(ring.empty + 8 * ((step - 1) % STAGES));
        }
""", """        if (threadIdx.x % 128 == 0) mbarrier_arrive(ring.empty + 8 * stage);
        wgmma_wait<0>();
""", "test_conv", "races", r"race (read->write|write->read) at shared.*conv_sm90.cu"),
    Bug("no fence.proxy.async before wgmma", "products_sm90.cu",
        "    fence_proxy_async(); /* wgmma reads what these stores wrote */\n", "",
        "test_small_product", "races", "without fence.proxy.async.*products_sm90.cu"),
    Bug("no fence.proxy.async before a tensor store", "products_sm90.cu",
        "    fence_proxy_async();\n    __syncthreads();\n    if (threadIdx.x == 0) {\n"
        "        tma_store",
        "    __syncthreads();\n    if (threadIdx.x == 0) {\n        tma_store",
        "test_small_product", "races", "without fence.proxy.async.*products_sm90.cu"),
    Bug("a tensor store that is not waited for", "products_sm90.cu",
        "        bulk_wait_read<0>();\n", "", "test_small_product", "plain",
        "ends before its bulk stores were waited for"),
    Bug("stmatrix in the unswizzled place", "products_sm90.cu",
        "stmatrix_x4(tile + row * 128 + ((chunk ^ (row & 7)) << 4), out)",
        "stmatrix_x4(tile + row * 128 + (chunk << 4), out)", "test_small_product", "plain", WRONG),
    Bug("an mbarrier used before its initialisation is seen", "products_sm90.cu",
        """        mbarrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect(loaded, 49152);""", """        mbarrier_init_fence();
    }
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect(loaded, 49152);""", "test_wide_product", "random",
        "a wait before it is initialised"),
    Bug("e4m3 with the registers of A swapped", "fp8.cu", "16 * (i >> 1);\n        fa",
        "16 * (i & 1);\n        fa", "test_fp8_tile", "plain", WRONG),
    # ---- inside the inline assembly: only the PTX path can see them -----------------------------
    Bug("asm: registers of B swapped in mma", "ptx.h",
        """m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}""",
        """m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%9,%8}""",
        "test_gemm", "ptx", WRONG),
    Bug("asm: ldmatrix without .trans", "ptx.h", "ldmatrix.sync.aligned.m8n8.x4.trans.shared",
        "ldmatrix.sync.aligned.m8n8.x4.shared", "test_attention", "ptx", WRONG),
    Bug("asm: cp.async without the size that fills with zeros", "ptx.h", "[%0], [%1], 16, %2;",
        "[%0], [%1], 16;", "test_gemm", "ptx", WRONG),
    Bug("asm: coordinates in another order", "ptx.h", "{%3,%4,%5,%6}", "{%3,%5,%4,%6}",
        "test_conv", "ptx", WRONG),
    Bug("asm: B said to be transposed", "ptx.h", '"%60,%61,%62,%63}, %64, %65, p, 1, 1, 0, 0; }"',
        '"%60,%61,%62,%63}, %64, %65, p, 1, 1, 0, 1; }"', "test_conv", "ptx",
        f"{WRONG}|wgmma: a descriptor reads"),
    Bug("asm: descriptors of A and B swapped", "ptx.h", "%64, %65, p,", "%65, %64, p,",
        "test_conv", "ptx", f"{WRONG}|beyond the"),
    Bug("asm: an arrival without the bytes", "ptx.h",
        "mbarrier.arrive.expect_tx.shared::cta.b64 t, [%0], %1; }",
        "mbarrier.arrive.shared::cta.b64 t, [%0]; }", "test_conv", "ptx",
        f"{WRONG}|a block ended before a bulk copy"),
    Bug("asm: another function than ex2", "ptx.h", "ex2.approx.ftz.f32 %0, %1;",
        "mul.f32 %0, %1, %1;", "test_attention", "ptx", WRONG),
    Bug("asm: a parity that is not the one asked for", "ptx.h",
        "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%0], %1;",
        "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%0], 0;", "test_conv", "ptx",
        f"{WRONG}|mbarrier|DEADLOCK"),
    Bug("asm: a launch where the wait for the grid before should be", "ptx.h",
        '"griddepcontrol.wait;"', '"griddepcontrol.launch_dependents;"', "test_overlap", "ptx",
        "mirror_kernel.* ends without griddepcontrol.wait"),
    Bug("asm: stmatrix of registers in another order", "ptx.h",
        "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};",
        "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%3,%2,%4};", "test_small_product",
        "ptx", WRONG),
]

FLAGS = ["-std=c++17", "-g", "-fno-strict-aliasing", "-fno-optimize-sibling-calls",
         "-ffp-contract=off", "-D_GNU_SOURCE", "-w"]
MODES = {"plain": ["-O1"], "random": ["-O1"], "build": ["-O1"],
         "races": ["-O1", "-fsanitize=thread"],
         "ubsan": ["-O1", "-fsanitize=undefined", "-fno-sanitize-recover=undefined"]}
RANDOM = [{"CUDASIM_SCHED": "rand", "CUDASIM_ASYNC": "rand", "CUDASIM_SEED": str(seed)}
          for seed in (1, 2, 3)]
SIMPLE = {"CUDASIM_SCHED": "fwd", "CUDASIM_ASYNC": "lazy"}


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **more)


class Workshop:
    """Compiles mutants in a folder of their own and runs them."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.objects = arguments.build / "CMakeFiles"

    def built(self, library):
        return sorted(str(o) for o in (self.objects / f"{library}.dir").rglob("*.o"))

    def includes(self, mutant):
        folders = [mutant, ROOT / "kernels/cuda", HERE / "include", HERE / "sim", HERE / "kernels"]
        return [f"-I{folder}" for folder in folders]

    def compile(self, source, mode, mutant):
        target = mutant / f"{mode}-{source.stem}.o"
        language = ["-x", "c++"] if source.suffix == ".cu" else []
        command = [self.arguments.compiler, *FLAGS, *MODES[mode], *self.includes(mutant),
                   f"-I{HERE}", "-c", *language, source, "-o", target]
        return target, run(command)

    def link(self, objects, mutant, mode, sanitize=()):
        program = mutant / f"{mode}-program"
        made = run([self.arguments.compiler, *sanitize, *objects, "-lcmocka", "-o", program])
        if made.returncode != 0:
            raise RuntimeError(f"does not link: {made.stdout}")
        return program

    def objects_for(self, mode, changed, replacement):
        """Those of a program, with one kernel's object replaced."""
        kernels = "cudasim_kernels_races" if mode == "races" else "cudasim_kernels_plain"
        objects = [o for library in ("cudasim", "cudasim_support", "cudasim_cases", kernels)
                   for o in self.built(library)]
        return [o for o in objects if Path(o).name != f"{changed}.cu.o"] + [str(replacement)]

    def find(self, bug, mode, mutant, source):
        """What is said about the bug: a text, or none when it is not noticed."""
        if mode == "ptx":
            return self.find_in_ptx(bug, mutant, source)
        target, made = self.compile(source, mode, mutant)
        if made.returncode != 0:
            return made.stdout if mode == "build" else None
        if mode == "build":
            return None
        sanitize = ["-fsanitize=undefined"] if mode == "ubsan" else []
        program = self.link(self.objects_for(mode, source.stem, target), mutant, mode, sanitize)
        return self.said(program, bug, RANDOM if mode == "random" else [SIMPLE])

    def said(self, program, bug, environments):
        for environment in environments:
            ran = run([program, "90a", bug.test], timeout=120,
                      env=os.environ | environment)
            if ran.returncode != 0:
                return ran.stdout
        return None

    def find_in_ptx(self, bug, mutant, source):
        changed = mutant / f"{source.stem}.ptx"
        made = run([self.arguments.nvcc, "-std=c++17", "-O3", "-ptx", "-arch=compute_90a", "-w",
                    f"-I{mutant}", f"-I{ROOT / 'kernels/cuda'}", f"-I{HERE / 'kernels'}", source,
                    "-o", changed])
        if made.returncode != 0:
            raise RuntimeError(f"nvcc refuses it: {made.stdout}")
        translation = mutant / "translation.cc"  # of one file: a test launches no other's kernels
        made = run([sys.executable, HERE / "ptx/ptx2cpp.py", changed, "-o", translation])
        if made.returncode != 0:
            return made.stdout
        target = mutant / "translation.o"
        made = run([self.arguments.compiler, *FLAGS, "-O0", "-fwrapv", *self.includes(mutant),
                    f"-I{HERE / 'ptx'}", "-c", translation, "-o", target])
        if made.returncode != 0:
            raise RuntimeError(made.stdout)
        libraries = ("cudasim", "cudasim_support", "cudasim_cases", "cudasim_kernels_plain")
        objects = [o for library in libraries for o in self.built(library)]
        return self.said(self.link([*objects, str(target)], mutant, "ptx"), bug, [SIMPLE])

    def source_of(self, bug):
        """The kernel's file that is compiled: for a bug in ptx.h, the one that its test runs."""
        if bug.file != "ptx.h":
            return bug.file
        return {"test_gemm": "gemm.cu", "test_attention": "attention.cu", "test_conv":
                "conv_sm90.cu", "test_small_product": "products_sm90.cu",
                "test_overlap": "grids.cu"}[bug.test]

    def plant(self, bug, number):
        mutant = self.folder / str(number)
        mutant.mkdir()
        original = (ROOT / "kernels/cuda" if bug.file == "ptx.h" else HERE / "kernels") / bug.file
        text = original.read_text()
        if text.count(bug.before) != 1:
            raise RuntimeError(f"its text occurs {text.count(bug.before)} times in {bug.file}")
        (mutant / bug.file).write_text(text.replace(bug.before, bug.after))
        source = self.source_of(bug)
        return mutant, (mutant if bug.file == source else HERE / "kernels") / source


def judge(workshop, bug, number):
    """(verdict, line): found, missed, or an error."""
    try:
        mutant, source = workshop.plant(bug, number)
        said = workshop.find(bug, bug.mode, mutant, source)
    except (RuntimeError, subprocess.TimeoutExpired) as problem:
        return "ERROR", str(problem)
    if said is None:
        return "MISSED", "nothing was said"
    found = re.search(bug.says, said)
    if not found:
        return "OTHER", said[-600:]
    line = next((line for line in said.splitlines() if found.group(0).splitlines()[0] in line), "")
    return "found", line.strip()[:150]


def table(workshop, bugs):
    """Every bug in every mode of its path, for the record."""
    for number, bug in enumerate(bugs):
        alone = bug.mode in ("ptx", "build")
        modes = [bug.mode] if alone else ["plain", "random", "ubsan", "races"]
        verdicts = []
        mutant, source = workshop.plant(bug, f"table{number}")
        for mode in modes:
            try:
                said = workshop.find(bug, mode, mutant, source)
                verdicts.append(f"{mode} {'yes' if said else '-'}")
            except (RuntimeError, subprocess.TimeoutExpired):
                verdicts.append(f"{mode} error")
        print(f"{bug.what:58} {'  '.join(verdicts)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="see that planted bugs are found")
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--nvcc", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all-modes", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    bugs = [b for b in BUGS if all(name in b.what for name in arguments.names)]
    left_out = [] if arguments.nvcc else [b for b in bugs if b.mode == "ptx"]
    bugs = [b for b in bugs if b not in left_out]
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(arguments, Path(folder))
        if arguments.all_modes:
            table(workshop, bugs)
            return 0
        with ThreadPoolExecutor(arguments.jobs) as pool:
            verdicts = list(pool.map(lambda pair: judge(workshop, *pair),
                                     [(b, i) for i, b in enumerate(bugs)]))
    for bug, (verdict, line) in zip(bugs, verdicts):
        print(f"{verdict:6} {bug.mode:6} {bug.what}: {line}")
    failures = sum(verdict != "found" for verdict, _ in verdicts)
    print(f"{len(bugs) - failures} of {len(bugs)} bugs found, {len(left_out)} left out")
    if failures or not bugs:
        return 1
    return 77 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
