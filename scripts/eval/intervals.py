"""Intervals of 95 % for shares and for paired differences.

Several samples of one item are not independent: an item counts once, with the mean of its samples.
That makes intervals too wide rather than too narrow.

SPDX-License-Identifier: Apache-2.0
"""

import math

import numpy as np

Z = 1.959964  # of a normal distribution, 95 % lie between -Z and Z
DRAWS = 10000


def wilson(right: float, count: int) -> tuple[float, float]:
    """Of a share: Wilson's score interval, sensible also at none and at all."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    middle = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    half /= 1 + Z * Z / count
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(values: list[float], seed: int = 0) -> tuple[float, float]:
    """Of the mean of `values`, one an item: percentiles of the means of resampled items."""
    if not values:
        return math.nan, math.nan
    data = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = data[rng.integers(0, len(data), (DRAWS, len(data)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
