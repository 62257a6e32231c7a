"""Noise as a pure function of (seed, stage, step, element): kernels/rng.h, vectorised.

The words are bit-exact. The normals follow the engine's f32 expression up to the functions log,
sqrt and cos, which are evaluated here in double: an f32 engine differs by their last places.

SPDX-License-Identifier: Apache-2.0
"""

import math

import numpy as np
import torch
from torch import Tensor

INITIAL = 0xFFFFFFFF  # step counter of z at t = 1
AUGMENTATION = 0xFFFFFFFE  # step counter of the noise on the low-resolution image
MASK = np.uint64(0xFFFFFFFF)


def philox(key: tuple[int, int], counter: np.ndarray) -> np.ndarray:
    """Philox4x32-10. counter [n, 4] of 32-bit words in uint64; the same shape comes back."""
    c0, c1, c2, c3 = (counter[:, i].astype(np.uint64) for i in range(4))
    for turn in range(10):
        key_low = np.uint64((key[0] + turn * 0x9E3779B9) & 0xFFFFFFFF)
        key_high = np.uint64((key[1] + turn * 0xBB67AE85) & 0xFFFFFFFF)
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        shift = np.uint64(32)
        c0, c1 = (p1 >> shift) ^ c1 ^ key_low, p1 & MASK
        c2, c3 = (p0 >> shift) ^ c3 ^ key_high, p0 & MASK
    return np.stack([c0, c1, c2, c3], axis=1)


def words(seed: int, stage: int, step: int, blocks: int) -> np.ndarray:
    counter = np.zeros((blocks, 4), dtype=np.uint64)
    counter[:, 0] = np.arange(blocks, dtype=np.uint64)
    counter[:, 2] = step
    counter[:, 3] = stage
    return philox((seed & 0xFFFFFFFF, seed >> 32), counter)


def normal(seed: int, stage: int, step: int, height: int, width: int, channels: int) -> Tensor:
    """Standard normals [channels, height, width]; element = index in [height, width, channels]."""
    count = height * width * channels
    bits = torch.from_numpy(words(seed, stage, step, (count + 3) // 4).astype(np.int64))
    unit = (bits >> 9).float() * 2.0**-23 + 2.0**-24  # exact in f32
    angle = (torch.tensor(2 * math.pi, dtype=torch.float32) * unit[:, 1::2]).double()
    radius = torch.sqrt(-2 * torch.log(unit[:, 0::2].double()))
    pairs = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=2)
    return pairs.flatten()[:count].reshape(height, width, channels).permute(2, 0, 1)
