#!/usr/bin/env python3
"""mutate_kernels - break the CUDA kernels, one at a time, and see that check_cuda notices; and the
backend's host code, and see that test_cuda_engine does.

    tests/cuda/mutate_kernels.py --build FOLDER [--list] [WORD ...]

FOLDER is a configured build (ninja) in which check_cuda_plain, check_cuda_races, test_cuda_engine
and test_cuda_errors are built. A mutant replaces one object file of them; it is compiled as the
build would, and the operation that it belongs to is checked on the simulator until the first
complaint. WORDs select mutations by a part of their description.

    plain    forward and lazy          random   another order, asynchrony at any time
    races    instrumented for the race checker
    80       plain, on a device of compute capability 8.0, where conv80.cu does all products
    breaks   plain, in test_cuda_errors, whose device breaks
    host     a file of engine/backend, in test_cuda_engine; host-breaks: in test_cuda_errors

    0  every mutation was noticed
    1  one was not, does not fit the sources or does not compile
    2  usage, or the build is not there

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNELS, BACKEND = ROOT / "kernels/cuda", ROOT / "engine/backend"
# What ends a check: the harness's complaint, or the simulator's report.
NOTICED = re.compile(r"FAIL|cudasim: ")


@dataclass
class Mutation:
    what: str
    file: str
    before: str  # occurs there once
    after: str
    operation: str  # of check_ops.c; none: the whole program
    mode: str
    source: str = ""  # that the file, a header, is part of; none: its name says so

    @property
    def folder(self):
        return BACKEND if self.mode.startswith("host") else KERNELS

    @property
    def fits(self):
        return (self.folder / self.file).read_text().count(self.before) == 1


WAIT = "    wait_for_last_grid();\n"
UPDATE = WAIT + """    const ie_step &s = a.steps[blockIdx.y];
    const bool dynamic = s.threshold == IE_THRESHOLD_DYNAMIC;
    float limit = s.threshold == IE_THRESHOLD_NONE ? INFINITY : 1.0f;
    if (dynamic) limit = find_limit(search_of(a), s, a.count);
"""
UPDATE_LATE = UPDATE.removeprefix(WAIT) + WAIT

MUTATIONS = [
    Mutation("attention sees a key behind the end", "attention.cu", "if (key >= left) {",
             "if (key > left) {", "attention", "plain"),
    Mutation("attention: what was summed is not rescaled", "attention.cu",
             "        r.sum[i] *= factor;\n", "", "attention", "plain"),
    Mutation("attention: a tile is used before all have copied it", "attention.cu",
             "        __syncthreads(); /* tile t is there, and tile t - 1 has been used */\n", "",
             "attention", "races"),
    Mutation("film: scale taken from the shifts", "apply.cu", "scale *= 1.0f + film[c];",
             "scale *= 1.0f + film[channels + c];", "conv", "plain"),
    Mutation("group variance without the spread of means", "apply.cu",
             "variance += m[1] + d * d;", "variance += m[1];", "conv", "plain"),
    Mutation("moments merged without the distance of means", "moments.cu",
             "m2 += other_m2 + delta * delta * (count * share);", "m2 += other_m2;", "moments",
             "plain"),
    Mutation("moments of parts read before they are there", "moments.cu",
             "        cluster_arrive();\n        cluster_wait();\n        if (part == 0",
             "        if (part == 0", "moments", "races"),
    Mutation("quantile: every value counts in the lower digits", "sampler.cu",
             "e < left && bits >> top == prefix >> top", "e < left", "sample", "plain"),
    Mutation("known pixels are predicted", "sampler.cu",
             "        if (a.known) put_known(x0, a, s, at);\n", "", "sample", "plain"),
    Mutation("known pixels: free ones are known", "sampler.cu", "* a.channels] == 0)",
             "* a.channels] != 0)", "sample", "plain"),
    Mutation("known pixels of another slot", "sampler.cu", "a.known + s.slot * a.known_slot",
             "a.known + blockIdx.y * a.known_slot", "sample", "plain"),
    Mutation("conv80 waits for one stage too few", "conv80.cu",
             "cp_async_wait<TILE::stages - 2>();", "cp_async_wait<TILE::stages - 1>();", "conv",
             "80"),
    Mutation("conv80: moments of pixels that do not exist", "conv80_out.h",
             "if (row + i * 8 < pixels) square[j] += d * d;", "square[j] += d * d;", "conv", "80"),
    Mutation("conv80: a residual twice as large is summed", "conv80_out.h",
             "r[i] += 0.25f * one[i];", "r[i] += one[i];", "conv", "80"),
    Mutation("conv80: a part of K begins a stage late", "conv80.cu",
             "from.weight += begin * K_TILE;", "from.weight += (begin + 1) * K_TILE;", "conv",
             "80"),
    Mutation("conv90 gives a stage back before it is read", "conv90.cu",
             "wgmma_wait<1>(); /* the step before has read its stage */", "", "conv", "races"),
    Mutation("normed on load: padding is normed too", "conv90_norm.cu",
             "inside ? rounded(v) : uint4{0, 0, 0, 0}", "rounded(v)", "conv", "plain"),
    Mutation("normed on load: operands are multiplied before they are made", "conv90_norm.cu",
             "        mbarrier_wait(b.full(), b.phase());\n", "", "conv", "races"),
    Mutation("normed on load: operands are overwritten before they are read", "conv90_norm.cu",
             "    mbarrier_wait(b.empty(), b.phase() ^ 1);\n", "", "conv", "races"),
    Mutation("normed on load: wgmma may not see what was stored", "conv90_norm.cu",
             "    fence_proxy_async(); /* wgmma will read what was stored */\n", "", "conv",
             "races"),
    Mutation("normed on load: nothing waits for the folded norm", "conv90_norm.cu",
             WAIT + "    const int first = ", "    const int first = ", "conv", "plain"),
    Mutation("row products without half of the lanes", "linear.cu",
             "for (int bits = 16; bits > 0; bits /= 2)", "for (int bits = 8; bits > 0; bits /= 2)",
             "linear", "plain"),
    Mutation("row products: the second span of K is the first again", "linear.cu",
             "k = k0 + i % SPAN;", "k = i % SPAN;", "linear", "plain"),
    Mutation("row products: only a block's first outputs", "linear.cu",
             "round < c.rounds; round++", "round < 1; round++", "linear", "plain"),
    Mutation("gated layers: gate and value swapped", "conv90_out.h",
             "gelu_tanh(v[0]) * v[1]", "gelu_tanh(v[1]) * v[0]", "linear", "plain"),
    Mutation("gated layers on conv80: gate and value swapped", "conv80_out.h",
             "gelu_tanh(sums[2 * i]) * sums[2 * i + 1]", "gelu_tanh(sums[2 * i + 1]) * sums[2 * i]",
             "linear", "80"),
    Mutation("gated layers on conv80: a row's end is that of its sums", "conv80_out.h",
             "store_run(v, c, at, count / 2);", "store_run(v, c, at, count);", "linear", "80"),
    Mutation("gated layers: gates and values do not take turns", "conv.cu",
             "p.gated ? o / 2 + o % 2 * (p.outputs / 2) : o", "o", "linear", "plain"),
    Mutation("gated layers: biases do not take turns", "conv.cu",
             "conv_load_host(bias, row_of_output(*p, o))", "conv_load_host(bias, o)", "linear",
             "plain"),
    Mutation("enlarging without half-pixel centres", "pixels.cu",
             "static_cast<int64_t>(2 * i + 1) * from - size", "static_cast<int64_t>(2 * i) * from",
             "augment", "plain"),
    Mutation("conv90: the last part of a sum is not added", "conv90.cu",
             "split < job.plan.splits; split++", "split < job.plan.splits - 1; split++", "conv",
             "plain"),
    Mutation("conv90: the second half of a tile's pixels gets the first's sums", "conv90.cu",
             "sums_at(job, split, tile, conv90_row(half, i), o));",
             "sums_at(job, split, tile, conv90_row(0, i), o));", "conv", "plain"),
    Mutation("padded channels are those of the next pixel", "conv.cu",
             "first + i < c.channels ? __bfloat162float(x[i]) : 0.0f",
             "__bfloat162float(x[i])", "conv", "plain"),
    Mutation("gather: every lane takes the first one's source", "pixels.cu",
             "g.index[i][lane]", "g.index[i][0]", "gather", "plain"),
    Mutation("mask polarity", "pixels.cu", "mask[p] != 0", "mask[p] == 0", "mask_image", "plain"),
    Mutation("rows of slots: the lane's number is taken for its slot", "pixels.cu",
             "p.slots[p.index[blockIdx.y] * p.slot_row", "p.slots[blockIdx.y * p.slot_row",
             "add_rows", "plain"),
    Mutation("embed: a token's neighbour", "tokens.cu",
             "static_cast<int64_t>(ids[blockIdx.x]) * channels",
             "static_cast<int64_t>(ids[0]) * channels", "embed", "plain"),
    Mutation("sinusoid: cosine and sine swapped", "tokens.cu",
             "to[k] = static_cast<float>(cosine);\n    to[half + k] = static_cast<float>(sine);",
             "to[k] = static_cast<float>(sine);\n    to[half + k] = static_cast<float>(cosine);",
             "sinusoid", "plain"),
    Mutation("noise: every block of four is the first", "sampler.cu",
             "normal, seed, stage, step, static_cast<uint32_t>(block)",
             "normal, seed, stage, step, 0", "noise", "plain"),
    Mutation("a failed tensor map has no kernel's name", "conv90.cu",
             "return launch_failed(conv90_kernel<COLUMNS>, code);", "return code;", "", "breaks"),
    Mutation("a device that does not say what it is counts as an old one", "conv.cu",
             "const int code = device_arch(&arch);", "const int code = 0 * device_arch(&arch);",
             "", "breaks"),
    Mutation("a thread goes on without its device", "backend_cuda.c",
             "if (code == cudaSuccess) code = cudaSetDevice(b->device);",
             "(void)cudaSetDevice(b->device);", "", "host-breaks"),
    Mutation("the merge of moments does not wait for the product", "conv.cu",
             WAIT + "    spread *shared", "    spread *shared", "conv", "plain"),
    Mutation("the sampler's update waits when it has found its limit", "sampler.cu", UPDATE,
             UPDATE_LATE, "sample", "plain"),
    Mutation("the same late wait, seen as a race", "sampler.cu", UPDATE, UPDATE_LATE, "sample",
             "races"),
    Mutation("a norm of rows leaves without having waited", "tokens.cu",
             WAIT + "    float *const warps", "    float *const warps",
             "rms_norm", "plain"),
    Mutation("norms of rows divided by one less", "tokens.cu",
             "square = block_sum(square, warps) / static_cast<float>(p.channels);",
             "square = block_sum(square, warps) / static_cast<float>(p.channels - 1);",
             "rms_norm", "plain"),
    Mutation("packing: a piece goes where the one before went", "packing.h",
             "    p->device += p->used;\n", "", "conv", "plain", "conv.cu"),
    Mutation("packing: rows that were used before are not zeroed", "packing.h",
             "    memset(p->piece, 0, p->used);\n", "", "conv", "plain", "conv.cu"),
    Mutation("uploads: a half is filled while copies from it are under way", "cuda_staging.c",
             "return code == cudaSuccess ? cudaEventSynchronize(s->copied[s->half]) : code;",
             "return code;", "", "host"),
    Mutation("uploads: both halves are one", "cuda_staging.c",
             "(uint64_t)s->half * IE_CUDA_STAGING_BYTES + s->used", "s->used", "", "host"),
    Mutation("uploads: memory that may be reused is copied from later", "cuda_staging.c",
             "s->used += (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;", "", "", "host"),
]

ENVIRONMENTS = {
    "plain": {"CUDASIM_SCHED": "fwd", "CUDASIM_ASYNC": "lazy", "IE_TEST_RUNS": "1"},
    "random": {"CUDASIM_SCHED": "rand", "CUDASIM_ASYNC": "rand", "CUDASIM_SEED": "5"},
    "races": {"CUDASIM_SCHED": "rand", "CUDASIM_ASYNC": "rand", "CUDASIM_SEED": "2"},
    "80": {"CUDASIM_SCHED": "fwd", "CUDASIM_ASYNC": "lazy", "CUDASIM_ARCH": "80",
           "IE_TEST_RUNS": "1"},
    "host": {"CUDASIM_SCHED": "fwd", "CUDASIM_ASYNC": "lazy"},
}
ENVIRONMENTS["breaks"] = ENVIRONMENTS["host-breaks"] = ENVIRONMENTS["host"]

# Mode -> the object library of the mutant, and the program.
PARTS = {mode: ("cuda_kernels_plain.", "check_cuda_plain") for mode in ("plain", "random", "80")}
PARTS["races"] = ("cuda_kernels_races.", "check_cuda_races")
PARTS["host"] = ("cuda_backend_simulated.", "test_cuda_engine")
PARTS["breaks"] = ("cuda_kernels_plain.", "test_cuda_errors")
PARTS["host-breaks"] = ("cuda_backend_simulated.", "test_cuda_errors")


class Build:
    def __init__(self, folder):
        self.folder = folder.resolve()
        self.commands = json.loads((self.folder / "compile_commands.json").read_text())

    def compile(self, source, mutant, library, target):
        """The build's command for the file, on the mutant."""
        for entry in self.commands:
            words = shlex.split(entry["command"])
            if Path(entry["file"]) != source or not any(library in word for word in words):
                continue
            drop = {"-MD"}
            kept, skip = [], False
            for word in words[:words.index("-o")]:
                if skip or word in drop:
                    skip = False
                elif word in ("-MT", "-MF"):
                    skip = True
                else:
                    kept.append(word)
            command = kept + ["-w", f"-I{source.parent}", "-o", str(target), "-c", str(mutant)]
            return subprocess.run(command, cwd=entry["directory"], text=True,
                                  capture_output=True)
        sys.exit(f"mutate_kernels: {source.name} is not part of {self.folder} ({library})")

    def link(self, source, library, name, target, program):
        """The build's command for the program, with one object replaced."""
        said = subprocess.run(["ninja", "-C", str(self.folder), "-t", "commands",
                               name], text=True, capture_output=True, check=True)
        words = shlex.split(said.stdout.strip().splitlines()[-1])
        words = [word for word in words if word not in (":", "&&")]
        old = [word for word in words
               if library in word and word.endswith(f"/{source.name}.o")]
        if len(old) != 1:
            sys.exit(f"mutate_kernels: {name} does not have one {source.name}.o")
        words[words.index(old[0])] = str(target)
        words[words.index("-o") + 1] = str(program)
        subprocess.run(words, cwd=self.folder, check=True)


def first_complaint(program, mutation):
    """The first line that tells of the mistake; none: nobody noticed."""
    environment = dict(os.environ, OMP_WAIT_POLICY="passive", **ENVIRONMENTS[mutation.mode])
    # Line by line, so that the first complaint ends the run.
    words = ["stdbuf", "-oL", str(program), *mutation.operation.split()]
    with subprocess.Popen(words, text=True, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as run:
        for line in run.stdout:
            if NOTICED.search(line):
                run.kill()
                return line.strip()
    return "exit code without a word" if run.returncode else None


def try_mutation(build, mutation, folder):
    text = (mutation.folder / mutation.file).read_text()
    if not mutation.fits:
        return "ERROR", f"its text occurs {text.count(mutation.before)} times"
    # A header NAME_part.h belongs to NAME.cu; what includes it finds the broken one beside itself.
    source = mutation.folder / (mutation.source or re.sub(r"_.*\.h$", ".cu", mutation.file))
    mutant, target, program = folder / source.name, folder / "mutant.o", folder / "check"
    for header in mutation.folder.glob("*.h"):
        shutil.copy(header, folder)
    mutant.write_text(source.read_text())
    (folder / mutation.file).write_text(text.replace(mutation.before, mutation.after))
    library, name = PARTS[mutation.mode]
    made = build.compile(source, mutant, library, target)
    if made.returncode:
        return "ERROR", "does not compile: " + made.stderr[-400:]
    build.link(source, library, name, target, program)
    said = first_complaint(program, mutation)
    return ("found", said) if said else ("MISSED", "nobody noticed")


def main():
    parser = argparse.ArgumentParser(description="break the CUDA kernels and see it noticed")
    parser.add_argument("--build", type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    chosen = [m for m in MUTATIONS if all(word in m.what for word in arguments.words)]
    if arguments.list:
        for m in chosen:
            print(f"{m.mode:6} {m.operation:10} {m.what}{'' if m.fits else '   DOES NOT FIT'}")
        return 0
    if not arguments.build or not (arguments.build / "compile_commands.json").exists():
        parser.error("--build: a build folder of ninja, with compile_commands.json")
    bad = 0
    for mutation in chosen:
        with tempfile.TemporaryDirectory() as folder:
            verdict, line = try_mutation(build=Build(arguments.build), mutation=mutation,
                                         folder=Path(folder))
        print(f"{verdict:6} {mutation.mode:6} {mutation.what}: {line[:160]}", flush=True)
        bad += verdict != "found"
    print(f"{len(chosen) - bad} of {len(chosen)} mutations noticed")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
