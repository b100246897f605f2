"""What a study could have seen, and how many images it would take to settle a contrast."""

from __future__ import annotations

import functools
import math

from scipy import optimize, stats

from n2n_ablate.stats.differences import LEVEL, Difference, t_critical

POWER = 0.8
SPREAD_LEVEL = 0.8
"""Level of the chi-square interval of the standard deviation that makes a range of images."""

LAST_LOOK = 1.14
"""At most so many times as wide as that of a single look is the interval at the last look of a race."""

MANY = 100_000
"""More images than anybody has: where a count of them ends."""


def power(effect: float, n: int, critical: float | None = None) -> float:
    """Return the chance that the interval excludes zero, from the noncentral t distribution.

    Args:
        effect: True mean difference in standard deviations over images.
        n: Images, at least two.
        critical: Half-width of the interval in standard errors; that of a plain 95 % interval if
            not given.
    """
    limit, centre = critical or t_critical(LEVEL, n), abs(effect) * math.sqrt(n)
    # By symmetry the second term is the chance below -limit, which scipy's cdf gives as NaN far out.
    return float(stats.nct.sf(limit, n - 1, centre) + stats.nct.sf(limit, n - 1, -centre))


def detectable(difference: Difference, *, chance: float = POWER) -> float | None:
    """Return the smallest true difference that a study like this one would have found.

    It depends on the spread over images and their number, not on the difference that came out.

    Args:
        difference: Gives spread, number of images and width of the interval.
        chance: Of finding it.

    Returns:
        In units of the metric; None if there is no interval.
    """
    if not math.isfinite(difference.half_width):
        return None
    return _effect(difference.n, difference.critical, chance) * difference.sd


@functools.cache  # it is the same for all contrasts of a study
def _effect(n: int, critical: float, chance: float) -> float:
    high = 2.0
    while power(high, n, critical) < chance:
        high *= 2
    found = optimize.brentq(lambda effect: power(effect, n, critical) - chance, 0, high, xtol=1e-6)
    return float(found)


def images_for(sd: float, half_width: float, level: float = LEVEL) -> int:
    """Return how many images make the interval this narrow if their spread is `sd`.

    Args:
        sd: Standard deviation of the difference over images.
        half_width: Wanted, in the same units, above zero.
        level: Of the interval.

    Returns:
        At least 2, at most `MANY`.
    """
    ratio = sd / half_width
    low, high = 1, 2  # too few, and the first that may do
    while high < MANY and t_critical(level, high) * ratio > math.sqrt(high):
        low, high = high, min(MANY, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        enough = t_critical(level, middle) * ratio <= math.sqrt(middle)
        low, high = (low, middle) if enough else (middle, high)
    return high


def images_to_settle(difference: Difference, margin: float) -> tuple[int, int] | None:
    """Return between how many images would settle an open contrast, if its mean stays as it is.

    That is when the interval has become narrow enough to exclude zero, or to lie within +- margin,
    whichever takes fewer. (A half-width of margin / 2 always does, so a mean that comes to lie
    elsewhere can take more, but never without end.) The spread is known from a few images only: the
    range comes from the 80 % chi-square interval of the standard deviation. After looks it is a race
    that so many images would settle, at its last look.

    Args:
        difference: Gives spread, number of images, level and width of the interval.
        margin: In units of the metric.

    Returns:
        Fewest and most, images of this study included: one more than those at least, which left it
        open. None without spread or with no margin.
    """
    if not difference.has_spread or margin <= 0:
        return None
    df = difference.n - 1
    mean = abs(difference.mean)
    # An early look has a far wider interval than the last one, so it says nothing about that.
    wider = min(LAST_LOOK, difference.critical / t_critical(difference.level, difference.n))
    narrow = max(mean, margin - mean)
    ends = (stats.chi2.isf(tail, df) for tail in ((1 - SPREAD_LEVEL) / 2, (1 + SPREAD_LEVEL) / 2))
    few, many = (
        images_for(wider * difference.sd * math.sqrt(df / end), narrow, difference.level)
        for end in ends
    )
    return max(few, difference.n + 1), max(many, difference.n + 1)
