"""Comparisons of curves over training: peak against final value, and where two trials change places.

The unit is the image here too. Every band is the t interval over images at one step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.stats.intervals import LEVEL, t_critical, t_interval


@dataclass(frozen=True)
class Peak:
    """How much training beyond the peak costs."""

    step: int  # where the mean curve peaks
    # what stopping at the peak of the *other* images' mean curve would have gained over the final
    # value, mean over images: nobody knows the peak of an image beforehand. NaN with one image,
    # which has no other to choose by.
    gain: float
    low: float  # ends of its t interval over images; infinite if they show no spread
    high: float
    # the same with each image stopped at its own peak, never negative: an upper bound
    oracle: float


@dataclass(frozen=True)
class Crossing:
    """Whether and where two trials change places."""

    # where the mean difference has its last zero between signs that differ, None if it never
    # changes its sign: to touch zero and turn back is no change of places
    step: float | None
    # first and last step of the stretch around it where the band holds zero; a 95 % interval of the
    # step. None with `step`.
    low: int | None
    high: int | None
    certain: bool  # True if the band excludes zero before and after the stretch, on opposite sides


def peak(
    steps: Sequence[int] | np.ndarray, curves: np.ndarray, *, level: float = LEVEL
) -> Peak | None:
    """Compare the peak of curves with their last point.

    Args:
        steps: At which the curves have points, ascending.
        curves: Shape (images, points), seeds averaged; higher is better.
        level: Of the interval.

    Returns:
        None without an image whose curve is finite throughout.
    """
    good = _finite(curves)
    n = len(good)
    if n == 0:
        return None
    total = good.sum(axis=0)
    step = int(steps[int(total.argmax())])
    oracle = float((good.max(axis=1) - good[:, -1]).mean())
    if n == 1:
        return Peak(step, math.nan, -math.inf, math.inf, oracle)
    others = (total - good).argmax(axis=1)
    chosen = np.take_along_axis(good, others[:, None], axis=1)[:, 0]
    gain, low, high = t_interval(list(chosen - good[:, -1]), level)
    return Peak(step, gain, low, high, oracle)


def band(gaps: np.ndarray, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and the ends of the pointwise t interval over images at every step.

    Args:
        gaps: Shape (images, points); with one image the ends are infinite.
        level: Of the interval at each step, by itself.
    """
    n = len(gaps)
    mean = gaps.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    half = t_critical(level, n) * gaps.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def crossing(
    steps: Sequence[int] | np.ndarray, gaps: np.ndarray, *, level: float = LEVEL
) -> Crossing | None:
    """Find the step at which one trial overtakes another for good.

    The interval is the stretch of steps at which "no difference" cannot be excluded. Where the
    true curves cross once, that step is missed only if the band misses zero just there, so the
    pointwise level is the right one (the argument of Fieller, 1954).

    Args:
        steps: At which the curves have points, ascending.
        gaps: First minus second, shape (images, points), seeds averaged.
        level: Of the band.

    Returns:
        None without an image whose curve is finite throughout.
    """
    good = _finite(gaps)
    if len(good) == 0:
        return None
    mean, low, high = band(good, level=level)
    signed = np.flatnonzero(mean)  # a mean of exactly zero is on neither side
    changes = np.flatnonzero(np.diff(np.sign(mean[signed])))
    if len(changes) == 0:
        return Crossing(None, None, None, certain=False)
    at = int(signed[changes[-1] + 1]) - 1  # the last point before the new sign
    part = mean[at] / (mean[at] - mean[at + 1])
    step = float(steps[at] + part * (steps[at + 1] - steps[at]))
    side = np.where(low > 0, 1, np.where(high < 0, -1, 0))
    first, last = at, at + 1
    while first > 0 and side[first] == 0:
        first -= 1
    while last < len(mean) - 1 and side[last] == 0:
        last += 1
    certain = side[first] * side[last] < 0
    return Crossing(step, int(steps[first]), int(steps[last]), bool(certain))


def _finite(curves: np.ndarray) -> np.ndarray:
    whole = np.asarray(curves, dtype=float)
    return whole[np.isfinite(whole).all(axis=1)] if whole.size else whole.reshape(0, 0)
