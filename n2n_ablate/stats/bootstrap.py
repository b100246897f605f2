"""The BCa bootstrap of a mean difference, where there are images enough to resample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

FEWEST = 24
"""Images below which no bootstrap interval is given: it would be too narrow."""

_RESAMPLES = 9_999


def bca(
    gaps: Sequence[float], level: float, *, fewest: int = FEWEST, seed: int = 0
) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated interval of the mean (Efron, 1987).

    Args:
        gaps: One finite difference per image.
        level: Coverage.
        fewest: Images that it takes.
        seed: Of the resampling.

    Returns:
        Both ends; None with fewer images, or if all differences are equal.
    """
    values = np.asarray(gaps, dtype=float)
    if len(values) < max(2, fewest) or np.ptp(values) == 0:
        return None
    found = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        n_resamples=_RESAMPLES,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)
