"""Noise schedules in continuous time, and the numbers of one sampling step.

engine/MODEL.md section 2. Everything here is Python floats (double); the engine rounds each number
of a step to f32 once, and the time input v as well.

SPDX-License-Identifier: Apache-2.0
"""

import math
from dataclasses import dataclass

from .config import Sampler, Schedule, Time

LAMBDA_LIMIT = 20.0
AUGMENTATION = Schedule("cosine", s=0.008)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log_snr(schedule: Schedule, t: float) -> float:
    """lambda(t) = log(alpha^2 / sigma^2), clamped to +-20."""
    if schedule.kind == "cosine":
        tangent = math.tan(math.pi / 2 * (t + schedule.s) / (1 + schedule.s))
        value = LAMBDA_LIMIT if tangent == 0 else -2 * math.log(abs(tangent))
    else:
        first, last = schedule.steps * schedule.beta_first, schedule.steps * schedule.beta_last
        minus_log_alpha2 = first * t + (last - first) * t * t / 2
        value = LAMBDA_LIMIT if t == 0 else -math.log(math.expm1(minus_log_alpha2))
    return min(max(value, -LAMBDA_LIMIT), LAMBDA_LIMIT)


def alpha_sigma(lam: float) -> tuple[float, float]:
    return math.sqrt(sigmoid(lam)), math.sqrt(sigmoid(-lam))


def augmentation(level: float) -> tuple[float, float, float]:
    """(alpha, sigma, lambda) of the low-resolution image; at 0 it is left as it is."""
    if level == 0:
        return 1.0, 0.0, LAMBDA_LIMIT
    lam = log_snr(AUGMENTATION, level)
    return *alpha_sigma(lam), lam


def time_input(time: Time, lam: float, t: float) -> float:
    """v: what the network is told of the time, from lambda or from t."""
    if time.input == "time":
        return time.scale * t
    return time.scale * (time.clamp - min(max(lam, -time.clamp), time.clamp))


@dataclass
class Step:
    """z' = keep z + now x0 + noise n, for z at time t with lambda, alpha and sigma."""

    t: float
    lam: float
    alpha: float
    sigma: float
    keep: float
    now: float
    noise: float


def make_step(schedule: Schedule, sampler: Sampler, index: int, count: int) -> Step:
    """Step `index` of `count`: from 1 - (1 - end) index/count to the next; the last is to x0."""
    t = 1 - (1 - sampler.end) * index / count
    lam = log_snr(schedule, t)
    alpha, sigma = alpha_sigma(lam)
    if index + 1 == count:
        return Step(t, lam, alpha, sigma, keep=0, now=1, noise=0)
    lam_s = log_snr(schedule, 1 - (1 - sampler.end) * (index + 1) / count)
    alpha_s, sigma_s = alpha_sigma(lam_s)
    if sampler.kind == "ddim":
        keep = sigma_s / sigma
        return Step(t, lam, alpha, sigma, keep, now=alpha_s - keep * alpha, noise=0)
    ratio = math.exp(lam - lam_s)
    small, large = (1 - ratio) * sigma_s**2, (1 - ratio) * sigma**2
    noise = math.sqrt(small ** (1 - sampler.gamma) * large**sampler.gamma)
    return Step(t, lam, alpha, sigma, ratio * alpha_s / alpha, (1 - ratio) * alpha_s, noise)
