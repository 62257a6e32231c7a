"""Marks of where the engine stores an activation, and so rounds it to its activation type.

The reference itself never rounds: `stored(x)` is x. A Monte-Carlo run (monte_carlo.py) installs a
function here that perturbs x as the engine's rounding would, and learns how far the result moves.
`in_double` marks the few places where the engine computes in double as well.

SPDX-License-Identifier: Apache-2.0
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

_on_store: Callable[[Tensor], Tensor] | None = None
_in_double = False


def stored(x: Tensor) -> Tensor:
    """Mark x as an activation tensor or a matrix operand of the engine's activation type."""
    return x if _on_store is None else _on_store(x)


@contextmanager
def on_store(function: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Apply `function` at every mark inside the `with` block."""
    global _on_store
    previous, _on_store = _on_store, function
    try:
        yield
    finally:
        _on_store = previous


@contextmanager
def in_double() -> Iterator[None]:
    """What the engine computes in double and rounds once: no rounding inside the block counts."""
    global _in_double
    previous, _in_double = _in_double, True
    try:
        yield
    finally:
        _in_double = previous


def is_in_double() -> bool:
    return _in_double
