"""Marks of where the engine stores an activation, and so rounds it to its activation type.

The reference itself never rounds: `stored(x)` is x. A Monte-Carlo run (monte_carlo.py) installs a
function here that perturbs x as the engine's rounding would, and learns how far the result moves.

SPDX-License-Identifier: Apache-2.0
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

_on_store: Callable[[Tensor], Tensor] | None = None


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
