"""What a study of a given size detects, and how many images would resolve a contrast.

The spread over images is itself known from few images. All figures that rest on it use the upper
end of its 80 % interval, so that they are kept in about nine of ten studies.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from n2n_ablate.stats.intervals import HALL_FROM, limits, t_critical
from n2n_ablate.stats.verdicts import Levels

POWER = 0.8
SPREAD_LEVEL = 0.8

FEWEST_TO_PLAN = 4
"""Values below which their spread says too little to plan with."""

MANY = 100_000
"""More images than anybody has: where a count of them ends."""

_DRAWS = 4_000
_MOST_DRAWN = 200  # beyond so many images the correction for skewness no longer matters


def power(effect: float, n: int, critical: float) -> float:
    """Return the chance that a t interval excludes zero, from the noncentral t distribution.

    `effect`: true mean difference in standard deviations over images; `n`: images, at least two; `critical`:
    half-width of the interval in standard errors.
    """
    centre = abs(effect) * math.sqrt(n)
    # By symmetry the second term is the chance below -limit, which scipy's cdf gives as NaN far out.
    return float(stats.nct.sf(critical, n - 1, centre) + stats.nct.sf(critical, n - 1, -centre))


@functools.cache  # it is the same for all contrasts of a study
def detectable_effect(n: int, critical: float) -> float:
    """Return the true difference, in standard deviations, that is called better or worse with a power of 0.8.

    Arguments as in `power`.
    """
    if HALL_FROM <= n <= _MOST_DRAWN:
        # A shift of all values shifts their limits by as much, so one set of draws gives every shift.
        low, _ = limits(_draws(n), critical)
        return float(np.quantile(-low, POWER))
    high = 2.0
    while power(high, n, critical) < POWER:
        high *= 2
    return float(optimize.brentq(lambda effect: power(effect, n, critical) - POWER, 0, high))


def equivalence_power(n: int, size: int, margin: float) -> float:
    """Return how often a contrast without any true difference is called equivalent.

    `n`: images, at least two; `size`: of the family; `margin`: in standard deviations over images.
    """
    if n > _MOST_DRAWN:
        reach = margin * math.sqrt(n) - Levels(size).critical(n)[1]
        return max(0.0, 1 - 2 * float(stats.t.sf(reach, n - 1)))
    return float(np.mean(_farther_ends(n, size) <= margin))


def equivalence_margin(n: int, size: int) -> float:
    """Return the margin, in standard deviations, with which `equivalence_power` is 0.8."""
    if n > _MOST_DRAWN:
        ends = float(stats.t.isf((1 - POWER) / 2, n - 1)) + Levels(size).critical(n)[1]
        return ends / math.sqrt(n)
    return float(np.quantile(_farther_ends(n, size), POWER))


def images_to_show_equivalence(size: int, margin: float) -> int:
    """Return with how many images a true zero is called equivalent with a power of 0.8.

    `size`: of the family; `margin`: in standard deviations over images, above zero. At most `MANY`.
    """
    return _fewest(lambda n: equivalence_power(n, size, margin) >= POWER)


def spread_limit(sd: float, n: int) -> float:
    """Return the upper end of the 80 % chi-square interval of a standard deviation from n values."""
    return sd * _spread_ratio(n)


@functools.cache
def _spread_ratio(n: int) -> float:
    return math.sqrt((n - 1) / float(stats.chi2.ppf((1 - SPREAD_LEVEL) / 2, n - 1)))


def images_for(sd: float, half_width: float, level: float) -> int:
    """Return how many images make a t interval this narrow if their standard deviation is `sd`.

    At least 2, at most `MANY`.
    """
    ratio = sd / half_width
    return _fewest(lambda n: t_critical(level, n) * ratio <= math.sqrt(n))


def _fewest(enough: Callable[[int], bool]) -> int:
    """Return the first number that is enough, at least 2 and at most `MANY`."""
    low, high = 1, 2  # too few, and the first that may do
    while high < MANY and not enough(high):
        low, high = high, min(MANY, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def images_to_resolve(mean: float, sd: float, n: int, size: int, margin: float) -> int:
    """Return how many images of a new study would resolve an open contrast if its mean stays.

    That is when the interval of level 1 - a/m has become narrow enough to exclude zero, or that of
    level 1 - 2a/m to lie within +- margin, whichever takes fewer.

    `mean`, `sd`: of the differences of `n` images, at least two; `size`: of the family; `margin`: in their units;
    without one above zero only the sign can be resolved.
    """
    levels, wide = Levels(size), spread_limit(sd, n)
    counts = [images_for(wide, abs(mean), levels.difference)] if mean else []
    if abs(mean) < margin:
        counts.append(images_for(wide, margin - abs(mean), levels.equivalence))
    return min(counts, default=MANY)


def narrowing(n: int, level: float) -> float | None:
    """Return by what share twice the images would narrow a t interval, e.g. 0.42 for 6 and 97.5 %."""
    if n < 2:
        return None
    return 1 - t_critical(level, 2 * n) / t_critical(level, n) / math.sqrt(2)


@functools.cache
def _farther_ends(n: int, size: int) -> np.ndarray:
    """Return of drawn studies the end of the interval of two one-sided tests that lies farther from zero."""
    low, high = limits(_draws(n), Levels(size).critical(n)[1])
    return np.maximum(-low, high)


@functools.cache
def _draws(n: int) -> np.ndarray:
    return np.random.default_rng(n).standard_normal((_DRAWS, n))
