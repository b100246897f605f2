"""Which places of a smoothed curve cannot be told from its best."""

from __future__ import annotations

import numpy as np

from n2n_ablate.stats import bands
from n2n_ablate.stats.smoother import Smoothed

_ROUNDING = 1e-12


def error(found: Smoothed) -> np.ndarray:
    """Return the standard error of the mean at each place; infinite if images show no spread."""
    return _error(found.values, np.diag(found.bias))


def near_best(found: Smoothed, level: float) -> np.ndarray:
    """Return at which places the true mean may be the highest of all.

    A place is left out if somewhere else the mean is higher by more than chance allows, paired by
    image, with a band over all other places at once. The true best place is left out only if that
    band misses at it, so the set holds it with probability `level` at least.

    Args:
        found: Smoothed values, places in order along the curve.
        level: Of the set.
    """
    images = found.values.shape[1]
    if images < 2:
        return np.ones(len(found.values), dtype=bool)
    may_be = []
    bias = np.diag(found.bias)
    for place, (own, crossed) in enumerate(zip(found.values, found.bias, strict=True)):
        higher = found.values - own
        sure = _error(higher, bias + bias[place] - 2 * crossed)
        sure[place] = np.inf  # nothing is higher than itself
        largest = float((higher.mean(axis=1) / sure).max())
        # From before the place to behind it the statistic turns its sign only.
        length = bands.path(bands.directions(np.delete(higher, place, axis=0)))
        may_be.append(bands.chance(largest, images, length) > 1 - level)
    return np.array(may_be)


def _error(values: np.ndarray, bias: np.ndarray) -> np.ndarray:
    images = values.shape[1]
    spread = values.std(axis=1, ddof=1) if images > 1 else np.zeros(len(values))
    if not (spread > _ROUNDING * max(1.0, float(np.abs(values).max(initial=0)))).any():
        return np.full(len(values), np.inf)
    return np.asarray(np.sqrt(spread**2 / images + np.maximum(0.0, bias)))
