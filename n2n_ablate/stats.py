"""Paired differences and their intervals. Pure: numbers in, numbers and one word out.

The unit is the image: seeds are averaged within an image before anything else, because two seeds
on one image say little about the next image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean paired difference between two trials, over images.

    Attributes:
        mean: In units of the metric; positive if the first trial is larger.
        half_width: Of the t interval; infinite if there is only one image.
        n: Images that both trials have.
        p: Two-sided, of the paired t test; 1 if it cannot be computed.
        wins: Images on which the first trial is larger.
        level: Coverage of the interval, after any correction for several contrasts.
    """

    mean: float
    half_width: float
    n: int
    p: float
    wins: int
    level: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width

    def verdict(self, margin: float) -> str:
        """Return `equivalent`, `better`, `worse` or `not distinguishable`.

        Equivalent means that the whole interval lies within +- margin, whether or not it holds
        zero: a difference that is real but too small to matter is no finding.
        """
        if not math.isfinite(self.half_width):
            return "not distinguishable"
        if -margin <= self.low and self.high <= margin:
            return "equivalent"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not distinguishable"


def paired(
    first: Mapping[str, float], second: Mapping[str, float], *, level: float = LEVEL
) -> Difference | None:
    """Compare two trials on the images that both have.

    Args:
        first: Value per image.
        second: Value per image.
        level: Coverage of the interval.

    Returns:
        The difference first - second, None if no image is in both.
    """
    shared = [name for name in first if name in second]
    if not shared:
        return None
    gaps = np.array([first[name] - second[name] for name in shared])
    n, mean, wins = len(gaps), float(gaps.mean()), int((gaps > 0).sum())
    if n < 2:
        return Difference(mean, math.inf, n, 1.0, wins, level)
    error = float(gaps.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else 1.0 if mean == 0 else 0.0
    return Difference(mean, half, n, p, wins, level)


def family(
    firsts: Sequence[Mapping[str, float]],
    second: Mapping[str, float],
    *,
    level: float = LEVEL,
    size: int = 0,
) -> list[Difference | None]:
    """Compare several trials with one, correcting for their number.

    Holm's step-down correction: the contrast with the smallest p gets the interval of level
    1 - alpha / m, the next 1 - alpha / (m - 1), until one of them holds zero; the rest get the
    interval of that one. So an interval excludes zero exactly if Holm's test rejects, and the
    chance of any false "better" or "worse" in the family is at most alpha. (The intervals are not
    simultaneous: the chance that all of them cover their true differences is below 1 - alpha.)

    Args:
        firsts: Value per image of each trial.
        second: Value per image of the trial that they are compared with.
        level: 1 - alpha.
        size: m, contrasts that were declared; at least the number of trials given.
    """
    plain = [paired(first, second, level=level) for first in firsts]
    order = sorted((item.p, place) for place, item in enumerate(plain) if item is not None)
    found: list[Difference | None] = [None] * len(plain)
    declared = max(size, len(order))
    open_alpha = (1 - level) / max(1, declared)
    rejecting = True
    for rank, (p, place) in enumerate(order):
        if rejecting:
            open_alpha = (1 - level) / (declared - rank)
            rejecting = p <= open_alpha
        found[place] = paired(firsts[place], second, level=1 - open_alpha)
    return found
