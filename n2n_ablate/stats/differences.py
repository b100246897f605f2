"""A paired difference between two trials over images: its t interval and the word read off it.

The unit is the image: seeds are averaged within an image before anything else, because two seeds
on one image say little about the next image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

LEVEL = 0.95
UNDECIDED = "not distinguishable"
VERDICTS = ("better", "equivalent", "worse", UNDECIDED)

_ROUNDING = 1e-12  # relative; a spread below it comes from the arithmetic, not from the images


@dataclass(frozen=True)
class Difference:
    """A mean paired difference between two trials, over images.

    Attributes:
        gaps: First minus second, one finite number per image, in units of the metric.
        level: What the interval promises, after any correction for several contrasts.
        critical: Half-width of the interval in standard errors.
        lost: Images that the second trial has and the first lost or never had.
        other_lost: Images that the first trial has and the second has not.
    """

    gaps: tuple[float, ...]
    level: float
    critical: float
    lost: int = 0
    other_lost: int = 0

    @property
    def n(self) -> int:
        """Images that both trials have."""
        return len(self.gaps)

    @property
    def mean(self) -> float:
        """The mean difference; positive if the first trial is higher."""
        return float(np.mean(self.gaps))

    @property
    def sd(self) -> float:
        """Standard deviation of the differences over images, NaN if there is only one image."""
        return float(np.std(self.gaps, ddof=1)) if self.n > 1 else math.nan

    @property
    def has_spread(self) -> bool:
        """False if the differences say nothing about how far images differ: one, or all equal."""
        return self.n > 1 and self.sd > _ROUNDING * max(1.0, *map(abs, self.gaps))

    @property
    def half_width(self) -> float:
        """Half of the interval's width; infinite if the images show no spread to take it from."""
        return self.critical * self.sd / math.sqrt(self.n) if self.has_spread else math.inf

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width

    @property
    def p(self) -> float:
        """Two-sided p of the paired t test, of this contrast alone; 1 if it cannot be computed."""
        if not self.has_spread:
            return 1.0
        return float(2 * stats.t.sf(abs(self.mean) / self.sd * math.sqrt(self.n), self.n - 1))

    @property
    def effect(self) -> float:
        """Standardised effect d_z, the mean in standard deviations over images; NaN without spread."""
        return self.mean / self.sd if self.has_spread else math.nan

    @property
    def wins(self) -> int:
        """Images on which the first trial is higher."""
        return sum(gap > 0 for gap in self.gaps)

    @property
    def losses(self) -> int:
        """Images on which the second trial is higher."""
        return sum(gap < 0 for gap in self.gaps)

    @property
    def ties(self) -> int:
        """Images on which both are equal."""
        return self.n - self.wins - self.losses

    @property
    def caveat(self) -> str:
        """Why there is no interval, or why a word is withheld; empty if all is well."""
        lost = self._losses
        if self.n == 1:
            text = "one image that both have" if lost else "one image"
            return "; ".join(filter(None, (f"{text} gives no interval", lost)))
        if not self.has_spread:
            what = "no difference on" if self.mean == 0 else "the same difference on"
            every = "any image" if self.mean == 0 else "every image"
            where = f"the {self.n} images that both have" if lost else every
            text = f"{what} {where}{', so no interval' if self.mean else ''}"
            return "; ".join(filter(None, (text, lost)))
        if self.lost and self.other_lost:
            return f"{lost}: no word on either"
        if self.lost:
            return f"{lost}: no word in favour of a trial that fails on images"
        return f"{lost}: no word in its favour" if lost else ""

    @property
    def _losses(self) -> str:
        if self.lost and self.other_lost:  # of an interaction both count the same images
            return "images lost on both sides"
        if self.other_lost:
            return f"{counted(self.other_lost, 'image')} lost by the baseline"
        return f"{counted(self.lost, 'image')} lost" if self.lost else ""

    def verdict(self, margin: float) -> str:
        """Return `better`, `worse`, `equivalent` or `not distinguishable`.

        Equivalent means that the whole interval lies within +- margin, whether or not it holds
        zero: a difference that is real but too small to matter is no finding.

        A trial that lost images is compared on those it survived, which flatters it: of it only
        `worse` can be said, and of a baseline that lost images only that the trial is better.

        Args:
            margin: In units of the metric, not negative.
        """
        if not math.isfinite(self.half_width):
            return UNDECIDED
        if -margin <= self.low and self.high <= margin:
            word = "equivalent"
        elif self.low > 0:
            word = "better"
        else:
            word = "worse" if self.high < 0 else UNDECIDED
        if (self.lost and word != "worse") or (self.other_lost and word != "better"):
            return UNDECIDED
        return word


def paired(
    first: Mapping[str, float], second: Mapping[str, float], *, level: float = LEVEL
) -> Difference | None:
    """Compare two trials on the images that both have.

    A value that is not finite counts as lost: no mean can be taken of it.

    Args:
        first: Value per image, seeds averaged.
        second: Value per image, seeds averaged.
        level: Coverage of the interval.

    Returns:
        The difference first - second, None if no image is in both.
    """
    one = {name for name, value in first.items() if math.isfinite(value)}
    two = {name for name, value in second.items() if math.isfinite(value)}
    shared = [name for name in first if name in one and name in two]
    if not shared:
        return None
    gaps = tuple(float(first[name] - second[name]) for name in shared)
    return Difference(gaps, level, t_critical(level, len(gaps)), len(two - one), len(one - two))


@lru_cache(maxsize=1024)
def t_critical(level: float, n: int) -> float:
    """Return the half-width of a t interval over n values in standard errors; infinite for n = 1."""
    return float(stats.t.isf((1 - level) / 2, n - 1)) if n > 1 else math.inf


def t_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Return mean and both ends of the t interval of values, one per image."""
    found = Difference(tuple(map(float, values)), level, t_critical(level, len(values)))
    return found.mean, found.low, found.high


def welch_interval(
    first: Sequence[float], second: Sequence[float], level: float = LEVEL
) -> tuple[float, float, float]:
    """Return mean(first) - mean(second) and both ends of its interval, for different images.

    Welch's t interval (1947): the spreads may differ. Infinite where either has a single value, or
    neither shows any spread.

    Args:
        first: One value per image.
        second: One value per image, of other images.
        level: Coverage.
    """
    gap = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2:
        return gap, -math.inf, math.inf
    one, two = (float(np.var(values, ddof=1)) / len(values) for values in (first, second))
    if math.sqrt(one + two) <= _ROUNDING * max(1.0, *map(abs, (*first, *second))):
        return gap, -math.inf, math.inf
    df = (one + two) ** 2 / (one**2 / (len(first) - 1) + two**2 / (len(second) - 1))
    half = float(stats.t.isf((1 - level) / 2, df)) * math.sqrt(one + two)
    return gap, gap - half, gap + half


def counted(count: int, what: str) -> str:
    """Return `1 image`, `8 images`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
