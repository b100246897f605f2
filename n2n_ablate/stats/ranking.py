"""How well one figure would have ranked trials by another, and what choosing by it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from n2n_ablate.stats.intervals import LEVEL, Interval, t_interval


@dataclass(frozen=True)
class Ranking:
    """Agreement of a guide (say, the self-supervised loss) with the truth (PSNR), over images."""

    n_trials: int  # compared
    n_images: int  # that all trials have
    # Kendall's tau-b between guide and truth over trials, taken within each image, mean over
    # images: 1 ranks them alike, 0 at random, -1 the other way round. None if the trials cannot be
    # ranked.
    tau: float | None
    tau_interval: Interval | None  # over images
    tau_of_means: float | None  # of the means over images: one number without an interval
    # truth lost by choosing on each image the trial that the guide likes best, mean over images, in
    # units of the truth
    cost: float
    cost_interval: Interval | None


def ranking(
    guides: Sequence[Mapping[str, float]], truths: Sequence[Mapping[str, float]]
) -> Ranking | None:
    """Compare the order of trials by a guide with their order by the truth. Higher is better in both.

    Give a loss as its negative. Trials whose losses measure different things (another sampler,
    another loss) have no common scale, and a low tau then says just that.

    `guides`: value per image, one mapping per trial; `truths`: the same for what counts. None with fewer than
    two trials or no image that all have.
    """
    arms = [*guides, *truths]
    if len(guides) < 2:
        return None
    shared = [
        name for name in arms[0] if all(math.isfinite(arm.get(name, math.nan)) for arm in arms)
    ]
    if not shared:
        return None
    guide, truth = (
        np.array([[arm[name] for arm in side] for name in shared]) for side in (guides, truths)
    )
    taus = [tau for pair in zip(guide, truth, strict=True) if (tau := kendall(*pair)) is not None]
    chosen = np.take_along_axis(truth, guide.argmax(axis=1)[:, None], axis=1)[:, 0]
    tau, tau_ends = t_interval(taus) if taus else (None, None)
    cost, cost_ends = t_interval(list(truth.max(axis=1) - chosen))
    return Ranking(
        n_trials=len(guides),
        n_images=len(shared),
        tau=tau,
        tau_interval=_within(tau_ends, -1.0, 1.0),
        tau_of_means=kendall(guide.mean(axis=0), truth.mean(axis=0)),
        cost=cost,
        cost_interval=_within(cost_ends, 0.0, math.inf),
    )


def kendall(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray
) -> float | None:
    """Return Kendall's tau-b of two rankings; None if one of them has only ties."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.kendalltau(first, second).statistic)


def _within(ends: Interval | None, low: float, high: float) -> Interval | None:
    return ends and Interval(max(low, ends.low), min(high, ends.high), LEVEL)
