"""Comparisons of curves over training: peak against final value, and where two trials change places.

The unit is the image here too. Every band is the t interval over images at one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n2n_ablate.stats.intervals import LEVEL, Interval, t_critical, t_interval


@dataclass(frozen=True)
class Peak:
    """How much training beyond the peak costs."""

    step: int  # where the mean curve peaks
    # what stopping at the peak of the *other* images' mean curve would have gained over the final
    # value, mean over images: nobody knows the peak of an image beforehand. None with one image,
    # which has no other to choose by.
    gain: float | None
    interval: Interval | None  # plain 95 %; None without spread
    oracle_gain: float  # each image stopped at its own peak, never negative: an upper bound


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


def peak(steps: Sequence[int] | np.ndarray, curves: np.ndarray) -> Peak | None:
    """Compare the peak of curves with their last point; None without an image whose curve is finite.

    `steps`: at which the curves have points, ascending; `curves`: shape (images, points), seeds averaged;
    higher is better.
    """
    good = _finite(curves)
    n = len(good)
    if n == 0:
        return None
    total = good.sum(axis=0)
    step = int(steps[int(total.argmax())])
    oracle = float((good.max(axis=1) - good[:, -1]).mean())
    if n == 1:
        return Peak(step, None, None, oracle)
    others = (total - good).argmax(axis=1)
    chosen = np.take_along_axis(good, others[:, None], axis=1)[:, 0]
    return Peak(step, *t_interval(list(chosen - good[:, -1])), oracle)


def band(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and the ends of the pointwise 95 % t interval over images at every step.

    `gaps`: shape (images, points); with one image the ends are infinite.
    """
    n = len(gaps)
    mean = gaps.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    half = t_critical(LEVEL, n) * gaps.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def crossing(steps: Sequence[int] | np.ndarray, gaps: np.ndarray) -> Crossing | None:
    """Find the step at which one trial overtakes another for good.

    The interval is the stretch of steps at which "no difference" cannot be excluded. Where the
    true curves cross once, that step is missed only if the band misses zero just there, so the
    pointwise level is the right one (the argument of Fieller, 1954).

    `steps`: at which the curves have points, ascending; `gaps`: first minus second, shape (images, points),
    seeds averaged. None without an image whose curve is finite throughout.
    """
    good = _finite(gaps)
    if len(good) == 0:
        return None
    mean, low, high = band(good)
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
