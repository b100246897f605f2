"""How well one figure would have ranked trials by another, and what choosing by it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from n2n_ablate.stats.intervals import LEVEL, t_interval


@dataclass(frozen=True)
class Ranking:
    """Agreement of a guide (say, the self-supervised loss) with the truth (PSNR), over images."""

    # Kendall's tau-b between guide and truth over trials, taken within each image, mean over
    # images: 1 ranks them alike, 0 at random, -1 the other way round. NaN if the trials cannot be
    # ranked.
    tau: float
    tau_low: float  # ends of its t interval over images; NaN if there is none
    tau_high: float
    overall: float  # tau of the means over images: one number without an interval
    # truth lost by choosing on each image the trial that the guide likes best, mean over images, in
    # units of the truth
    cost: float
    cost_low: float  # ends of its t interval over images; NaN if there is none
    cost_high: float
    images: int  # that all trials have
    trials: int  # compared


def ranking(
    guides: Sequence[Mapping[str, float]],
    truths: Sequence[Mapping[str, float]],
    *,
    level: float = LEVEL,
) -> Ranking | None:
    """Compare the order of trials by a guide with their order by the truth. Higher is better in both.

    Give a loss as its negative. Trials whose losses measure different things (another sampler,
    another loss) have no common scale, and a low tau then says just that.

    Args:
        guides: Value per image, one mapping per trial.
        truths: The same for what counts.
        level: Of the intervals.

    Returns:
        The agreement; None with fewer than two trials or no image that all have.
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
    taus = [tau for pair in zip(guide, truth, strict=True) if math.isfinite(tau := kendall(*pair))]
    costs = (
        truth.max(axis=1) - np.take_along_axis(truth, guide.argmax(axis=1)[:, None], axis=1)[:, 0]
    )
    tau, tau_low, tau_high = _interval(taus, level)
    cost, cost_low, cost_high = _interval(list(costs), level)
    return Ranking(
        tau=tau,
        tau_low=float(np.maximum(-1.0, tau_low)),
        tau_high=float(np.minimum(1.0, tau_high)),
        overall=kendall(guide.mean(axis=0), truth.mean(axis=0)),
        cost=cost,
        cost_low=float(np.maximum(0.0, cost_low)),
        cost_high=cost_high,
        images=len(shared),
        trials=len(guides),
    )


def kendall(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Return Kendall's tau-b of two rankings; NaN if one of them has only ties."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(stats.kendalltau(first, second).statistic)


def _interval(values: Sequence[float], level: float) -> tuple[float, float, float]:
    if not values:
        return math.nan, math.nan, math.nan
    mean, low, high = t_interval(values, level)
    return (mean, low, high) if math.isfinite(low) else (mean, math.nan, math.nan)
