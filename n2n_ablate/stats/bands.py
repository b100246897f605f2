"""How wide a band must be to hold a whole curve, when its spread is taken from few images.

At every place there is a t statistic over images. The largest of them over a stretch exceeds c with
a probability that depends on how much the statistic changes along the stretch: for smooth fields it
is the expected Euler characteristic of the places above c, a sum of densities that Worsley (1994)
gave for t fields, weighted by lengths that Taylor and Worsley (2007) estimate from the
residuals. Liebl and Reimherr (2023) use the same for bands of curves.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from n2n_ablate.stats.intervals import t_critical


def chance(largest: float, images: int, length: float = 0.0) -> float:
    """Return how often chance alone gives a t statistic beyond +- `largest` anywhere.

    Args:
        largest: Not negative.
        images: From which mean and spread are taken, at least 2.
        length: Of the curve (see `path`). 0 gives the ordinary two-sided p of one place.

    Returns:
        An upper bound, above 1 where it says nothing.
    """
    df = images - 1
    tail = (1 + largest * largest / df) ** (-(df - 1) / 2)
    found = special.stdtr(df, -largest) + length * tail / (2 * math.pi)
    return float(2 * found)


def critical(level: float, images: int, length: float = 0.0) -> float:
    """Return the half-width in standard errors of a band that holds everywhere at once.

    Args:
        level: Coverage.
        images: As for `chance`; the width is infinite for fewer than 2.
        length: As for `chance`.
    """
    if not length:
        return t_critical(level, images)
    if images < 3:  # the tail does not fall: no width is enough
        return math.inf
    low = high = t_critical(level, images)
    while chance(high, images, length) > 1 - level:
        high *= 2
    if high == low:
        return low
    return float(optimize.brentq(lambda c: chance(c, images, length) - 1 + level, low, high))


def directions(values: np.ndarray) -> np.ndarray:
    """Return residuals over images as unit vectors; their turning is how fast a t field changes.

    Args:
        values: Shape (places, images).

    Returns:
        The same shape; zeros where all images agree.
    """
    rest = values - values.mean(axis=-1, keepdims=True)
    size = np.linalg.norm(rest, axis=-1, keepdims=True)
    return np.divide(rest, size, out=np.zeros_like(rest), where=size > 0)


def path(units: np.ndarray) -> float:
    """Return the length of the way from each unit vector to the next.

    A vector and its opposite count as one, because bands have two sides: the difference of two
    places of a curve changes its sign where they meet, and nothing else.

    Args:
        units: Shape (places, images), neighbours side by side.
    """
    return float(_distance(units[1:], units[:-1]).sum())


def _distance(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    plus = np.linalg.norm(one + two, axis=-1)
    return np.minimum(np.linalg.norm(one - two, axis=-1), plus)
