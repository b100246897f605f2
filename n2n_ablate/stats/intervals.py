"""Confidence intervals of a mean over images: Student's t, and Hall's correction for skewness.

All functions of arrays work on the last axis, so that a benchmark decides thousands of drawn studies
with the same code as the program decides one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special, stats

LEVEL = 0.95

HALL_FROM = 14
"""Values from which Hall's interval counts too: with fewer, the sample skewness is mostly luck."""

_ROUNDING = 1e-12  # relative; a spread below it comes from the arithmetic, not from the images


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float  # ends, in units of what was measured
    high: float
    level: float  # coverage, after any correction for several contrasts
    # `t`, `t_hall` (on each side the outer limit of t and Hall's skew-corrected one), `repeated_t`,
    # `repeated_t_hall` (hold at every interim analysis), `welch`, `wilson`, `f`
    method: str = "t"

    @property
    def half_width(self) -> float:
        """Half of its width; of an interval that is not symmetric about the estimate, the mean of both."""
        return (self.high - self.low) / 2


@lru_cache(maxsize=4096)
def t_critical(level: float, n: int) -> float:
    """Return the half-width of a t interval over n values in standard errors; infinite for n = 1."""
    return -float(special.stdtrit(n - 1, (1 - level) / 2)) if n > 1 else math.inf


def has_spread(values: np.ndarray) -> np.ndarray:
    """Return where values, shape (..., n), differ by more than rounding, shape (...); never with one."""
    if values.shape[-1] < 2:
        return np.zeros(values.shape[:-1], dtype=bool)
    largest = np.maximum(1.0, np.abs(values).max(axis=-1))
    return np.asarray(values.std(axis=-1, ddof=1) > _ROUNDING * largest)


def limits(values: np.ndarray, critical: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both confidence limits of the mean.

    Below 14 values those of Student's t. From there on each side the outer one of t and of Hall's
    transformation (1992, "On the removal of skewness by transformation"), whose tails hold up where
    the values are skewed: with t * = g(t) = t + (s t^2 / 3 + s / 6) / sqrt(n) + s^2 t^3 / (27 n) and the
    sample skewness s, the limits are mean - g^-1(+-critical) standard errors.

    `values`: finite, shape (..., n); `critical`: half-widths in standard errors, of t, of a shape that
    broadcasts with (...). The limits have that shape; infinite where values show no spread.
    """
    n, mean = values.shape[-1], values.mean(axis=-1)
    spread = has_spread(values)
    if not spread.any() or n < 2:
        wide = np.full(np.broadcast(mean, critical).shape, np.inf)
        return -wide, wide
    rest = values - mean[..., None]
    square = np.where(spread, (rest * rest).mean(axis=-1), 1.0)
    error = np.sqrt(square / (n - 1))
    low, high = mean - critical * error, mean + critical * error
    if n >= HALL_FROM:
        third = np.einsum("...i,...i,...i->...", rest, rest, rest) / n
        skewness = third / square**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
        low = np.minimum(low, mean - _untransformed(critical, skewness, n) * error)
        high = np.maximum(high, mean - _untransformed(-critical, skewness, n) * error)
    return np.where(spread, low, -np.inf), np.where(spread, high, np.inf)


def _untransformed(y: float | np.ndarray, skewness: np.ndarray, n: int) -> np.ndarray:
    """Return g^-1(y) of Hall's transformation; y where there is no skewness."""
    none = np.abs(skewness) < 1e-8
    s = np.where(none, 1.0, skewness)
    root = np.cbrt(1 + s * (y / math.sqrt(n) - s / (6 * n)))
    return np.where(none, y, 3 * math.sqrt(n) / s * (root - 1))


def t_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, Interval | None]:
    """Return mean and t interval of values, one per image; no interval where they show no spread."""
    n, mean = len(values), float(np.mean(values))
    if not has_spread(np.asarray(values, dtype=float)):
        return mean, None
    half = t_critical(level, n) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return mean, Interval(mean - half, mean + half, level)


def welch_interval(
    first: Sequence[float], second: Sequence[float], level: float = LEVEL
) -> tuple[float, Interval | None]:
    """Return mean(first) - mean(second) and its interval, for one value per image of different images.

    Welch's t interval (1947): the spreads may differ. None where either has a single value, or
    neither shows any spread.
    """
    difference = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2:
        return difference, None
    one, two = (float(np.var(values, ddof=1)) / len(values) for values in (first, second))
    if math.sqrt(one + two) <= _ROUNDING * max(1.0, *map(abs, (*first, *second))):
        return difference, None
    df = (one + two) ** 2 / (one**2 / (len(first) - 1) + two**2 / (len(second) - 1))
    half = float(stats.t.isf((1 - level) / 2, df)) * math.sqrt(one + two)
    return difference, Interval(difference - half, difference + half, level, "welch")


def wilson_interval(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Return Wilson's interval (1927) of a share of n, which is at least 1."""
    z = _normal_critical(level)
    share, z2 = successes / n, z * z / n
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(share * (1 - share) * z2 + z2 * z2 / 4) / (1 + z2)
    return Interval(max(0.0, middle - half), min(1.0, middle + half), level, "wilson")


@lru_cache(maxsize=16)
def _normal_critical(level: float) -> float:
    return float(stats.norm.isf((1 - level) / 2))


def within_images_interval(values: np.ndarray, level: float = LEVEL) -> Interval | None:
    """Return an interval of the mean for *these* images, with other noise and training.

    Only the spread over seeds within images counts. `values`: finite differences, shape (images, seeds).
    None with one seed, or without spread over seeds.
    """
    images, seeds = values.shape
    if seeds < 2:
        return None
    variance = float(values.var(axis=1, ddof=1).mean())
    if variance <= (_ROUNDING * max(1.0, float(np.abs(values).max()))) ** 2:
        return None
    mean, df = float(values.mean()), images * (seeds - 1)
    half = float(stats.t.isf((1 - level) / 2, df)) * math.sqrt(variance / (images * seeds))
    return Interval(mean - half, mean + half, level)
