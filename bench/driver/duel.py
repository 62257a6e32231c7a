"""Taking turns, and what the turns say.

SPDX-License-Identifier: Apache-2.0
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

PAUSE = 0.02  # seconds before a turn: the last one's threads have gone to sleep
CLOCKS = ("wall", "processor")

Turn = Callable[[], tuple[float, float]]  # wall and processor seconds of one pass


def quantile(values: list[float], q: float) -> float:
    """The nearest order statistic."""
    return sorted(values)[int(q * (len(values) - 1) + 0.5)]


@dataclass
class Sample:
    """One contestant's turns by one clock, in milliseconds."""

    median: float
    p10: float
    p90: float
    least: float

    @staticmethod
    def of(seconds: list[float]) -> "Sample":
        return Sample(*(1e3 * quantile(seconds, q) for q in (0.5, 0.1, 0.9, 0)))


def reversed_turn(i: int) -> bool:
    """0110 1001 1001 0110 ...: cancels linear and quadratic drift."""
    return i.bit_count() % 2 == 1


def rounds(turns: list[Turn], count: int) -> list[list[tuple[float, float]]]:
    """Every contestant once a round, in the given order or in reverse (Thue-Morse); after one pass
    each that does not count. The result is by contestant."""
    times: list[list[tuple[float, float]]] = [[] for _ in turns]
    for turn in turns:
        turn()
    for i in range(count):
        order = range(len(turns))
        for k in reversed(order) if reversed_turn(i) else order:
            time.sleep(PAUSE)
            times[k].append(turns[k]())
    return times


def compare(
    times: list[list[tuple[float, float]]], names: list[str], clock: int
) -> dict[str, Any]:
    """The first contestant against the fastest of the others (by median): both samples, and the
    ratios of single rounds (above 1: the first is faster), their median and spread."""
    seconds = [[turn[clock] for turn in turns] for turns in times]
    medians = [quantile(turns, 0.5) for turns in seconds]
    best = min(range(1, len(names)), key=medians.__getitem__)
    ratios = [b / a for a, b in zip(seconds[0], seconds[best])]
    return {
        "ours": asdict(Sample.of(seconds[0])),
        "theirs": asdict(Sample.of(seconds[best])),
        "yardstick": names[best],
        "ratio": quantile(ratios, 0.5),
        "ratio_p10": quantile(ratios, 0.1),
        "ratio_p90": quantile(ratios, 0.9),
        "all": {name: 1e3 * median for name, median in zip(names[1:], medians[1:])},
    }
