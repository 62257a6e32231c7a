"""The operations that scripts/gpu_check times: layers of examples/imagen-full, at 1 and 8 lanes.

A row is what bench_ops --serve is told (bench/op_serve.c has the keys). `fused` is what a residual
block's convolution does: group norm, film and SiLU on the way in, the residual and the next norm's
moments on the way out. SPDX-License-Identifier: Apache-2.0
"""

from typing import Any

Row = dict[str, Any]

FUSED = {"norm": 1, "residual": 1, "moments": 1}
NORMED = {"norm": 1, "moments": 1}


def conv(side: int, inputs: int, outputs: int, kernel: int = 3, **other: int) -> Row:
    return {"kind": "conv", "size": side, "inputs": inputs, "outputs": outputs, "kernel": kernel,
            "stride": 1} | other


def attention(queries: int, heads: int, width: int, image: int) -> Row:
    return {"kind": "attention", "size": queries, "heads": heads, "width": width, "text": 128,
            "image": image}


def rows(kind: str, count: int, inputs: int, **other: int) -> Row:
    return {"kind": kind, "size": count, "inputs": inputs} | other


BASE = [
    conv(64, 512, 512, **FUSED),
    conv(32, 1024, 1024, **FUSED),
    conv(16, 1536, 1536, **FUSED),
    conv(8, 2048, 2048, **FUSED),
    conv(64, 512, 512, inputs2=512, **NORMED),
    conv(32, 1024, 1024, inputs2=1024, **NORMED),
    conv(8, 2048, 2048, inputs2=2048, **NORMED),
    conv(32, 1024, 1024, resample=1, **NORMED),
    conv(64, 512, 512, resample=2, **NORMED),
    conv(64, 512, 512, 1, inputs2=512),
    conv(16, 1536, 4608, 1, norm=1),
    attention(1024, 16, 64, 1024),
    attention(256, 24, 64, 256),
    attention(64, 32, 64, 64),
    rows("linear", 1, 2048, outputs=2048),
    rows("moments", 64, 512),
]
SR = [
    conv(256, 128, 128, **FUSED),
    conv(128, 128, 128, **FUSED),
    conv(64, 256, 256, **FUSED),
    conv(32, 512, 512, **FUSED),
    conv(16, 1024, 1024, **FUSED),
    conv(256, 128, 128, stride=2, moments=1),
    attention(256, 8, 256, 256),
    rows("linear", 1, 512, outputs=54784),
]
LARGE = [
    conv(1024, 128, 128, **FUSED),
    conv(512, 128, 128, **FUSED),
    conv(256, 256, 256, **FUSED),
    conv(128, 512, 512, **FUSED),
    conv(64, 1024, 1024, **FUSED),
    conv(1024, 10, 128, moments=1),
    conv(1024, 128, 3, 1),
    conv(512, 128, 128, resample=1, moments=1),
    attention(4096, 8, 256, 0),
    {"kind": "sample", "size": 1024},
]
TEXT = [
    rows("linear", 128, 4096, outputs=4096),
    rows("linear", 128, 4096, outputs=10240, gated=1),
    rows("linear", 128, 10240, outputs=4096, residual=1),
    rows("layer_norm", 128, 4096),
    rows("rms_norm", 128, 4096),
]
# One row of each kind, small enough for a CPU: what a rehearsal runs.
SMALL = [
    conv(8, 32, 32, **FUSED),
    conv(8, 32, 64, inputs2=32, resample=1, **NORMED),
    conv(8, 64, 32, stride=2, moments=1),
    conv(8, 64, 32, resample=2, norm=1),
    attention(16, 2, 16, 16) | {"text": 8},
    rows("linear", 1, 32, outputs=64),
    rows("linear", 16, 32, outputs=64, residual=1),
    rows("linear", 16, 32, outputs=64, gated=1),
    rows("moments", 8, 32),
    rows("layer_norm", 8, 64),
    rows("rms_norm", 8, 64),
    {"kind": "sample", "size": 32},
]
FULL = [row | {"lanes": lanes} for part in (BASE, SR, TEXT) for row in part for lanes in (2, 16)]
FULL += [row | {"lanes": lanes} for row in LARGE for lanes in (1, 4) if row["kind"] != "sample"
         or lanes == 1]
