"""Export the golden data of the parity ladder to tests/golden/, from the reference in double.

    python3 -m scripts.reference.golden [--seed 7] [--only NAME ...]

Values are computed in double and stored as F32. Beside a tensor `x` lie `x.spread_f32` and
`x.spread_bf16`: the largest displacement of any element of x over 8 runs of Monte-Carlo arithmetic
(monte_carlo.py), and `x.rms_f32`, `x.rms_bf16`, its root mean square. A test's bound is 6 times the
spread: the largest of 8 runs and many elements samples the tail of the error, and 6 leaves room for
an order of summation worse than a random walk. It is not a number to adjust.

All weights and text tokens are exact in bf16 and f16, so that an engine which rounds its weights to
bf16 is compared with the same values.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
from collections.abc import Callable

import torch

from . import golden_cascade, golden_ops, golden_steps, golden_text, golden_unet

EXPORTERS: dict[str, Callable[[str, int], None]] = {
    **{name: golden_unet.export for name in golden_unet.CASES},
    "text": golden_text.export,
    "ops": golden_ops.export,
    "steps": golden_steps.export,
    "cascade": golden_cascade.export,
    "cascade-kept": golden_cascade.export_kept,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=list(EXPORTERS), default=list(EXPORTERS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation
    for name in arguments.only:
        EXPORTERS[name](name, arguments.seed)
        print(name, flush=True)


if __name__ == "__main__":
    main()
